"""Actions: the palette, the keys, the sheet of keys; one table for all."""

from __future__ import annotations

import pytest
from napari.layers import Points
from napari.utils.action_manager import action_manager
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QLabel

from napari_animalpose._widgets._actions import ACTIONS, LAYER_KEYS, bind_keys, run_action
from napari_animalpose._widgets._cheat_sheet import CheatSheet
from napari_animalpose._widgets._docks import DOCKS
from napari_animalpose._widgets._settings import PLUGIN

pytestmark = pytest.mark.gui

KEYS = [(key, name) for name, action in ACTIONS.items() for key in action.keys]
KEYS += list(LAYER_KEYS.items())


def normal(key: object) -> str:
    """Return a key as text that is the same however it was written."""
    text = str(key).replace("+", "-").replace("Arrow", "").lower()
    return text.replace("control", "ctrl")


def press(window, key: str) -> None:
    """Press a key with its modifiers on the canvas."""
    text = key.replace("Control", "Ctrl")
    text = text if text == "-" else text.replace("-", "+")
    combined = QKeySequence(text)[0]
    window.person.key(combined.key(), combined.keyboardModifiers())


def record(monkeypatch) -> list[str]:
    """Have all actions note their name instead of doing anything."""
    done: list[str] = []
    for name, action in ACTIONS.items():
        monkeypatch.setitem(
            ACTIONS, name, action._replace(run=lambda session, name=name: done.append(name))
        )
    return done


def test_every_key_does_its_action_and_only_that(project, monkeypatch):
    done = record(monkeypatch)
    for key, name in KEYS:
        done.clear()
        press(project, key)
        assert done == [name], key


def test_keys_of_animals_do_nothing_in_the_layers_of_others(project, monkeypatch):
    done = record(monkeypatch)
    other = project.viewer.add_points([[1.0, 2.0]], name="others")
    project.viewer.layers.selection.active = other
    for key, name in KEYS:
        if ACTIONS[name].on_points and key not in LAYER_KEYS:
            press(project, key)
    assert done == []


def test_no_two_actions_have_the_same_key():
    keys = [key for action in ACTIONS.values() for key in action.keys]
    assert len(keys) == len(set(keys))


def test_no_key_hides_one_of_napari_s_own(project):
    """napari's table of keys does not say whose they are; its action manager knows."""
    taken = {
        normal(key): name
        for name, action in action_manager._actions.items()
        if name.startswith("napari:")
        and getattr(action.keymapprovider, "__name__", "") in ("Points", "ViewerModel", "Viewer")
        for key in default_shortcuts.get(name, [])
    }  # fmt: skip
    assert {"a", "delete", "ctrl-g"} <= set(taken)  # it does find some
    for name, action in ACTIONS.items():
        for key in action.keys:
            assert normal(key) not in taken, f"{name} hides {taken.get(normal(key))}"


def test_no_key_is_that_of_a_menu(project):
    from napari._app_model import get_app_model

    menus = {normal(rule.keybinding): rule.command_id for rule in get_app_model().keybindings}
    assert "ctrl-s" in menus
    ours = {normal(key): name for key, name in KEYS}
    assert set(ours) & set(menus) == set()


def test_a_key_of_the_person_takes_the_place_of_the_default(project, monkeypatch):
    from napari.settings import get_settings

    done = record(monkeypatch)
    shortcuts = get_settings().shortcuts.shortcuts
    try:
        shortcuts[f"{PLUGIN}:mark_missing"] = ["Alt-M"]
        action_manager.unbind_shortcut(f"{PLUGIN}:mark_missing")
        bind_keys()
        press(project, "Alt-M")
        press(project, "M")
        assert done == ["mark_missing"]
        sheet = CheatSheet(project.session.window)
        text = " ".join(label.text() for label in sheet.findChildren(QLabel))
        assert "<b>Alt + M</b>" in text
        sheet.close()
        sheet.deleteLater()
    finally:
        shortcuts.pop(f"{PLUGIN}:mark_missing")
        action_manager.unbind_shortcut(f"{PLUGIN}:mark_missing")
        bind_keys()
    press(project, "M")
    assert done == ["mark_missing", "mark_missing"]


def test_preferences_list_every_action(project):
    for name, action in ACTIONS.items():
        registered = action_manager._actions[f"{PLUGIN}:{name}"]
        assert registered.description == action.title
        assert registered.repeatable == action.repeats


# ------------------------------------------------------------------------------ the palette
def test_commands_of_the_palette_do_the_same(project, monkeypatch):
    from napari_animalpose._widgets import commands

    done = record(monkeypatch)
    for name in ACTIONS:
        getattr(commands, name)(project.viewer)
    assert done == list(ACTIONS)


def test_a_command_of_the_palette_is_given_the_viewer(project, monkeypatch):
    from npe2 import PluginManager

    done = record(monkeypatch)
    PluginManager.instance().commands.execute(f"{PLUGIN}.nudge_up", args=(project.viewer,))
    assert done == ["nudge_up"]


@pytest.mark.parametrize("name", sorted(set(ACTIONS) & {f"show_{dock}" for dock in DOCKS}))
def test_actions_that_show_something_name_a_dock_that_exists(project, name, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(project.session, "open_dock", shown.append)
    run_action(name, project.session)
    assert [dock in DOCKS for dock in shown] == [True]


# ----------------------------------------------------------------------------- all the keys
def test_a_question_mark_shows_all_keys_and_anything_takes_them_away(project):
    person, window = project.person, project.session.window
    person.key(Qt.Key.Key_Question, Qt.KeyboardModifier.ShiftModifier)
    (sheet,) = window.findChildren(CheatSheet)
    assert sheet.isVisible()
    text = " ".join(label.text() for label in sheet.findChildren(QLabel))
    for name, action in ACTIONS.items():
        if action.keys:
            assert f"<td>{action.title}</td>" in text, name
    for key in (
        "Ctrl + Shift + Z",
        "Shift + Left",
        "<b>?, /</b>",
        "<b>-</b>",
        "<b>=</b>",
        "Shift + C",
    ):
        assert key in text, key
    assert sheet.rect().width() <= window.width()
    assert sheet.rect().height() <= window.height()
    person.key(Qt.Key.Key_Question, Qt.KeyboardModifier.ShiftModifier)
    assert window.findChildren(CheatSheet) == []


def test_the_instances_layer_alone_has_the_keys_of_copying(project):
    other = Points([[1.0, 2.0]])
    assert LAYER_KEYS.keys() <= {
        str(key).replace("Ctrl+", "Control-") for key in project.session.canvas.points.keymap
    }
    assert other.keymap == {}
