"""The actions as commands of the plugin's manifest, for napari's command palette."""

from __future__ import annotations

from collections.abc import Callable

from napari import Viewer

from napari_animalpose._widgets._actions import ACTIONS, run_action
from napari_animalpose._widgets._session import get_session


def _make_command(name: str) -> Callable[[Viewer], None]:
    def command(viewer: Viewer) -> None:
        run_action(name, get_session(viewer))

    command.__name__ = command.__qualname__ = name
    # napari reads the type to hand over its viewer; as a text it would not find the name.
    command.__annotations__ = {"viewer": Viewer, "return": None}
    return command


globals().update({name: _make_command(name) for name in ACTIONS})
