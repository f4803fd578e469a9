"""Every action of the window: its name, its keys, what it does. One table for all uses.

The manifest lists the same actions as commands (the palette), `bind_keys` gives them keys
that *Preferences > Shortcuts* shows, and the cheat sheet prints them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from napari import Viewer
from napari.layers import Points
from napari.utils.action_manager import action_manager

from napari_animalpose._widgets._labelling import get_labelling
from napari_animalpose._widgets._overviews import get_overviews
from napari_animalpose._widgets._session import (
    NOTHING_OPEN,
    Session,
    find_session,
    get_session,
)
from napari_animalpose._widgets._settings import PLUGIN
from napari_animalpose.data.overview import FrameKind

__all__ = ["ACTIONS", "LAYER_KEYS", "Action", "bind_keys", "bind_layer_keys", "equip", "run_action"]


class Action(NamedTuple):
    """One thing that a person can do.

    Parameters
    ----------
    title : str
        What the palette and the preferences call it.
    group : str
        Heading of the cheat sheet.
    run : callable
        Takes the session.
    keys : tuple of str
        Default keys, as napari writes them.
    on_points : bool
        Whether the keys are those of the instances layer; else they are the window's,
        which every layer's own keys go before.
    repeats : bool
        Whether a key that is held down goes on.
    """

    title: str
    group: str
    run: Callable[[Session], object]
    keys: tuple[str, ...] = ()
    on_points: bool = False
    repeats: bool = False


def _label(method: str, *args: Any, **kwargs: Any) -> Callable[[Session], object]:
    """Return what calls a method of the session's `Labelling`."""

    def run(session: Session) -> object:
        return getattr(get_labelling(session), method)(*args, **kwargs)

    return run


def _go_to(kind: FrameKind, step: int) -> Callable[[Session], object]:
    """Return what goes to the next or previous frame of a kind."""
    return lambda session: get_overviews(session).go(kind, step)


def _dock(name: str) -> Callable[[Session], object]:
    return lambda session: session.open_dock(name)


def _show_help(session: Session) -> None:
    from napari_animalpose._widgets._cheat_sheet import toggle_cheat_sheet

    toggle_cheat_sheet(session)


_on = partial(Action, on_points=True)
PLACE, CHANGE, WHOLE, PREDICTED, WHO, GO, FILE, SHOW = (
    "Place points", "Change points", "Whole animals", "Predictions", "Identities",
    "Go around", "Project", "Show",
)  # fmt: skip

ACTIONS: dict[str, Action] = {
    # placing
    "place_points": _on("Place points by clicking, or stop", PLACE, _label("place_points"), ("Q",)),
    "new_animal": _on("Place another animal", PLACE, _label("new_animal"), ("N",)),
    "animal_from_template": _on(
        "Add a whole animal at the cursor", PLACE, _label("animal_from_template"), ("Shift-N",)
    ),
    "skip_node": _on("Leave the next point missing", PLACE, _label("skip_node"), ("X",)),
    # changing points
    "toggle_occluded": _on(
        "Mark points as occluded or seen", CHANGE, _label("toggle_occluded"), ("O",)
    ),
    "mark_missing": _on("Take points away", CHANGE, _label("mark_missing"), ("M",)),
    "nudge_left": _on("Nudge left", CHANGE, _label("nudge", -1, 0), ("Shift-Left",), repeats=True),
    "nudge_right": _on(
        "Nudge right", CHANGE, _label("nudge", 1, 0), ("Shift-Right",), repeats=True
    ),
    "nudge_up": _on("Nudge up", CHANGE, _label("nudge", 0, -1), ("Shift-Up",), repeats=True),
    "nudge_down": _on("Nudge down", CHANGE, _label("nudge", 0, 1), ("Shift-Down",), repeats=True),
    # whole animals
    "select_whole": _on("Select the whole animal", WHOLE, _label("select_whole"), ("G",)),
    "rotate_left": _on(
        "Turn anticlockwise", WHOLE, _label("transform", degrees=-5), ("[",), repeats=True
    ),
    "rotate_right": _on(
        "Turn clockwise", WHOLE, _label("transform", degrees=5), ("]",), repeats=True
    ),
    "scale_down": _on(
        "Make smaller", WHOLE, _label("transform", scale=1 / 1.05), ("-",), repeats=True
    ),
    "scale_up": _on("Make larger", WHOLE, _label("transform", scale=1.05), ("=",), repeats=True),
    "exchange_sides": _on("Exchange left and right", WHOLE, _label("exchange_sides"), ("F",)),
    "copy": _on("Copy animals", WHOLE, _label("copy"), ("C",)),
    "paste": _on("Paste animals", WHOLE, _label("paste"), ("Shift-C",)),
    "copy_previous": _on("Copy the previous frame", WHOLE, _label("copy_previous"), ("D",)),
    "delete_animals": _on("Delete animals", WHOLE, _label("delete_animals"), ("Shift-X",)),
    "mark_empty": _on("Mark the frame as empty", WHOLE, _label("mark_empty"), ("B",)),
    # predictions
    "accept": _on("Accept predictions as labels", PREDICTED, _label("accept"), ("E",)),
    "accept_all": _on(
        "Accept all predictions of the frame", PREDICTED, _label("accept_all"), ("Shift-E",)
    ),
    # identities
    "next_track": _on("Give the next identity", WHO, _label("next_track"), ("T",)),
    "new_track": _on("Give a new identity", WHO, _label("new_track"), ("Shift-T",)),
    "swap_tracks": _on("Swap two identities from here on", WHO, _label("swap_tracks"), ("W",)),
    # going around
    "next_labelled": Action("Next labelled frame", GO, _go_to(FrameKind.LABELLED, 1), (".",)),
    "previous_labelled": Action(
        "Previous labelled frame", GO, _go_to(FrameKind.LABELLED, -1), (",",)
    ),
    "next_suggested": Action("Next suggested frame", GO, _go_to(FrameKind.SUGGESTED, 1), ("K",)),
    "previous_suggested": Action(
        "Previous suggested frame", GO, _go_to(FrameKind.SUGGESTED, -1), ("J",)
    ),
    "next_predicted": Action("Next predicted frame", GO, _go_to(FrameKind.PREDICTED, 1), ("L",)),
    "previous_predicted": Action(
        "Previous predicted frame", GO, _go_to(FrameKind.PREDICTED, -1), ("H",)
    ),
    "next_flagged": Action("Next likely error", GO, _go_to(FrameKind.FLAGGED, 1), ("Shift-K",)),
    "previous_flagged": Action(
        "Previous likely error", GO, _go_to(FrameKind.FLAGGED, -1), ("Shift-J",)
    ),
    # the project
    "undo": Action("Undo", FILE, Session.undo, ("Control-Z",), repeats=True),
    "redo": Action(
        "Redo", FILE, Session.redo, ("Control-Shift-Z",), repeats=True
    ),
    "save": Action("Save the project", FILE, Session.save, ("Control-Shift-S",)),
    "save_as": Action("Save the project as", FILE, Session.save_as),
    "restore_layers": Action("Bring back deleted layers", FILE, Session.restore_layers),
    # docks
    "show_project": Action("Show the dock Label", SHOW, _dock("project")),
    "show_skeleton": Action("Show the dock Skeleton", SHOW, _dock("skeleton")),
    "show_timeline": Action("Show the dock Timeline", SHOW, _dock("timeline")),
    "show_review": Action("Show suggestions and likely errors", SHOW, _dock("review")),
    "show_train": Action("Show the dock Train", SHOW, _dock("train")),
    "show_monitor": Action("Show the training monitor", SHOW, _dock("monitor")),
    "show_predict": Action("Show the dock Predict", SHOW, _dock("predict")),
    "show_inspect": Action("Show the dock Inspect", SHOW, _dock("inspect")),
    "show_evaluate": Action("Show the dock Evaluate", SHOW, _dock("evaluate")),
    "show_keys": Action("Show all keys", SHOW, _show_help, ("/",)),
}  # fmt: skip

# napari's own copy and paste of points fails across frames (0.9.2): on our layer they copy
# animals. Bound to the layer itself, so that other layers keep theirs.
LAYER_KEYS = {"Control-C": "copy", "Control-V": "paste"}


def run_action(name: str, session: Session) -> None:
    """Carry out an action by name; of those on animals only where a project is open."""
    action = ACTIONS[name]
    if action.on_points and session.document is None:
        session.show_error(NOTHING_OPEN)
    else:
        action.run(session)


def equip(session: Session) -> None:
    """Give a new session what labels in it, and its keys."""
    get_labelling(session)
    bind_keys()
    session.canvas.points_made.connect(bind_layer_keys)


def bind_keys() -> None:
    """Register all actions with napari, with the keys of the person or else the defaults.

    Safe to call any number of times.
    """
    for name, action in ACTIONS.items():
        identifier = f"{PLUGIN}:{name}"
        provider = Points if action.on_points else Viewer
        action_manager.register_action(
            identifier, _key_command(name), action.title, provider, repeatable=action.repeats
        )
        stored = _stored_keys(identifier)
        for key in action.keys if stored is None else stored:
            action_manager.bind_shortcut(identifier, key)


def bind_layer_keys(layer: Points) -> None:
    """Give the instances layer the keys that no other layer may have."""
    for key, name in LAYER_KEYS.items():
        layer.bind_key(key, _key_command(name), overwrite=True)


def _key_command(name: str) -> Callable[[Any], None]:
    """Return what a key calls, with the layer or viewer that has the focus.

    Other people's Points layers have the same keys, and nothing happens there.
    """

    def command(owner: Any) -> None:
        session = find_session(owner) if isinstance(owner, Points) else get_session(owner)
        if session is not None:
            run_action(name, session)

    command.__name__ = name
    return command


def _stored_keys(identifier: str) -> list[Any] | None:
    """Return the keys that the person chose, maybe none at all; None where nobody chose."""
    from napari.settings import get_settings

    stored = get_settings().shortcuts.shortcuts.get(identifier)
    return None if stored is None else list(stored)
