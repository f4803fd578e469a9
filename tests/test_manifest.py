"""What the package says of itself: to napari, to pip, and to the shell."""

from __future__ import annotations

import re
import warnings
from importlib.metadata import entry_points, metadata, requires
from importlib.resources import files
from pathlib import Path

import pytest

with warnings.catch_warnings():  # npe2 0.10 declares its models as pydantic 1 did
    warnings.simplefilter("ignore", DeprecationWarning)
    from npe2 import PluginManifest

ROOT = Path(__file__).parents[1]
QT_BINDINGS = {"pyqt5", "pyqt6", "pyside2", "pyside6"}


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    """Return the manifest as napari finds it: through the entry point."""
    return PluginManifest.from_distribution("napari-animalpose")


def test_manifest_is_found_through_the_entry_point(manifest: PluginManifest) -> None:
    assert manifest.name == "napari-animalpose"
    assert manifest.display_name == "Animal Pose"
    assert manifest.package_version == metadata("napari-animalpose")["Version"]


def test_root_manifest_is_a_link_to_the_one_in_the_package() -> None:
    inside = ROOT / "src" / "napari_animalpose" / "napari.yaml"
    assert (ROOT / "napari.yaml").resolve() == inside.resolve()
    assert files("napari_animalpose").joinpath("napari.yaml").is_file()


def test_command_line_is_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="animalpose")
    assert callable(script.load())


def test_plain_installation_brings_neither_napari_nor_qt() -> None:
    plain = [line for line in requires("napari-animalpose") or [] if "extra ==" not in line]
    names = {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in plain}
    assert "numpy" in names
    assert names.isdisjoint({"napari", "magicgui", "qtpy", *QT_BINDINGS})
