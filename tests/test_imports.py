"""Importing a module must not load what it does not need: see docs/architecture.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import napari_animalpose

PACKAGE = Path(napari_animalpose.__file__).parent
# The only places that may import Keras and Qt at module level.
KERAS = ("nn.models", "nn.training", "nn.inference", "nn.legacy")
WINDOW = ("_widgets",)
HEAVY = ("keras", "magicgui", "matplotlib", "napari", "pandas", "qtpy", "tensorflow")

# Imports the modules named in its arguments, in order, and prints for each of them which
# of the heavy packages were loaded by then.
PROBE = f"""
import importlib, json, sys
loaded = {{}}
for name in sys.argv[1:]:
    importlib.import_module(name)
    loaded[name] = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]
print(json.dumps(loaded))
"""


def run_python(code: str, *arguments: str) -> str:
    """Return what a fresh interpreter prints on stdout."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def list_modules() -> list[str]:
    """Return the dotted names of all modules of the package, found as files."""
    files = (file.relative_to(PACKAGE) for file in sorted(PACKAGE.rglob("*.py")))
    parts = (file.with_suffix("").parts for file in files)
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def is_below(name: str, tops: tuple[str, ...]) -> bool:
    return any(name == top or name.startswith(f"{top}.") for top in tops)


LIGHT = [
    f"napari_animalpose.{name}".rstrip(".")
    for name in list_modules()
    if not is_below(name, KERAS + WINDOW)
]


def test_light_modules_load_nothing_heavy() -> None:
    assert len(LIGHT) > 10
    loaded = json.loads(run_python(PROBE, *LIGHT))
    assert {name: heavy for name, heavy in loaded.items() if heavy} == {}


def test_package_itself_loads_only_the_standard_library() -> None:
    code = "import sys, napari_animalpose; print(*{name.split('.')[0] for name in sys.modules})"
    before = set(run_python("import sys; print(*{n.split('.')[0] for n in sys.modules})").split())
    foreign = set(run_python(code).split()) - before - sys.stdlib_module_names
    assert foreign == {"napari_animalpose"}


@pytest.mark.parametrize("name", [*napari_animalpose.__all__, "__version__"])
def test_lazy_name_resolves_and_is_listed(name: str) -> None:
    assert getattr(napari_animalpose, name) is not None
    assert name in dir(napari_animalpose)


def test_lazy_names_are_those_that_type_checkers_see() -> None:
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    declared = {line.rsplit(" as ", 1)[1] for line in source.splitlines() if " as " in line}
    assert declared == set(napari_animalpose.__all__)


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_it'"):
        napari_animalpose.nothing_like_it  # noqa: B018
