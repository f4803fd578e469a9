"""The window uses what napari makes public, and leaves TensorFlow alone."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from pathlib import Path

import pytest

import napari_animalpose
from napari_animalpose._widgets._docks import DOCKS

ROOT = Path(napari_animalpose.__file__).parent
FILES = sorted([*(ROOT / "_widgets").glob("*.py"), *ROOT.glob("_*er.py"), ROOT / "_sample_data.py"])


def private_names(tree: ast.AST) -> list[tuple[int, str]]:
    """Return (line, name) of each private attribute taken of something that is not our own.

    Our own are `self`, `cls`, and modules and classes of ours by their name; an attribute of
    an attribute of self counts as foreign unless the class of this file defines that name.
    """
    defined = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    defined |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_animalpose")
        for alias in node.names
    }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
            continue
        if node.attr.startswith("__") or node.attr in ("_replace", "_asdict", "_fields"):
            continue  # Python's own; named tuples
        owner = node.value
        if isinstance(owner, ast.Name) and owner.id in {"self", "cls"} | imported:
            continue
        if node.attr in defined:
            continue
        found.append((node.lineno, node.attr))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_private_of_napari_or_qt_is_used(path: Path) -> None:
    assert private_names(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("viewer.window._qt_window.close()", ["_qt_window"]),
        ("layer._view_data", ["_view_data"]),
        ("self.viewer._layer_slicer", ["_layer_slicer"]),
        ("self._points", []),
        ("class A:\n def b(self, other):\n  self._c = other._c", []),
    ],
)
def test_the_search_finds_what_is_private(code: str, names: list[str]) -> None:
    assert [name for _, name in private_names(ast.parse(code))] == names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_private_module_of_napari_is_imported(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        for module in modules:
            if module.split(".")[0] in ("napari", "qtpy", "superqt", "vispy"):
                assert not any(part.startswith("_") for part in module.split(".")), module


@pytest.mark.gui
def test_no_dock_brings_tensorflow(project) -> None:
    """Beside the canvas it would end the process (DESIGN, rule 1)."""
    window = project.session.window
    for name in DOCKS:
        widget = project.session.open_dock(name)
        project.person.wait(0.05)
        assert widget.window() is window, name
        assert widget.isVisible(), name
    project.session.go_to(11)
    project.person.wait(0.1)
    heavy = {name.split(".")[0] for name in sys.modules} & {"tensorflow", "keras", "jax", "torch"}
    assert heavy == set()


@pytest.mark.gui
def test_docks_are_on_their_side_once(project) -> None:
    from qtpy.QtWidgets import QDockWidget

    first = {name: project.session.open_dock(name) for name in DOCKS}
    again = {name: project.session.open_dock(name) for name in DOCKS}
    assert first == again
    window = project.session.window
    for name, widget in first.items():
        dock = next(d for d in window.findChildren(QDockWidget) if d.isAncestorOf(widget))
        assert window.dockWidgetArea(dock) == DOCKS[name].area, name


@pytest.mark.parametrize("name", ["napari_animalpose._widgets.commands"])
def test_commands_can_be_imported_before_there_is_a_window(name: str) -> None:
    assert import_module(name)
