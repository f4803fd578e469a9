"""The commands of the manifest: each can be imported, and none is missing."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():  # npe2 0.10 declares its models as pydantic 1 did
    warnings.simplefilter("ignore", DeprecationWarning)
    from npe2 import PluginManifest

from napari_animalpose._widgets._actions import ACTIONS
from napari_animalpose._widgets._docks import DOCKS

PLUGIN = "napari-animalpose"


def read_manifest() -> PluginManifest:
    return PluginManifest.from_distribution(PLUGIN)


def test_every_command_can_be_imported() -> None:
    read_manifest().validate_imports()


def test_every_action_is_a_command_and_in_the_palette() -> None:
    titles = {command.id: command.title for command in read_manifest().contributions.commands}
    for name, action in ACTIONS.items():
        assert titles[f"{PLUGIN}.{name}"] == f"Animal Pose: {action.title}"


def test_every_dock_is_a_widget_under_its_title() -> None:
    contributed = read_manifest().contributions.widgets
    assert {widget.display_name for widget in contributed} == {d.title for d in DOCKS.values()}
