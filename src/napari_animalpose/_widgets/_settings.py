"""The choices of a person that last: napari's own preferences of this plugin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["PLUGIN", "Settings"]

PLUGIN = "napari-animalpose"
_PAGES = ("appearance", "labeling", "saving")


@dataclass
class Settings:
    """What *Preferences > Animal Pose* holds; the manifest has the same names and defaults.

    Parameters
    ----------
    color_by : str
        "node", "track" or "instance".
    point_size : float
        Size of points relative to what suits the animal.
    edge_opacity : float
        Of the edges of labels, 0 to 1.
    trail_frames : int
        Length of the way drawn behind each tracked animal, in frames.
    template : str
        Where the points of a new animal are put: "mean pose", "previous frame" or
        "prediction".
    nudge_px : float
        How far an arrow key moves what is selected.
    autosave_minutes : float
        Between saves without asking; 0 = only when asked.
    """

    color_by: str = "node"
    point_size: float = 1.0
    edge_opacity: float = 0.9
    trail_frames: int = 30
    template: str = "mean pose"
    nudge_px: float = 1.0
    autosave_minutes: float = 0.0

    @classmethod
    def load(cls) -> Settings:
        """Return what napari has stored; the defaults where it knows no such plugin."""
        values: dict[str, Any] = {}
        for page in _stored_pages():
            known = {field.name for field in fields(cls)}
            values |= {name: getattr(page, name) for name in known if hasattr(page, name)}
        return cls(**values)


def store(name: str, value: Any) -> None:
    """Keep one choice among napari's preferences, where the plugin is known to napari."""
    for page in _stored_pages():
        if hasattr(page, name):
            setattr(page, name, value)


def watch(callback: Callable[[], None]) -> None:
    """Call back after any of the choices has changed; a method is held weakly."""
    for page in _stored_pages():
        page.events.connect(callback)


def _stored_pages() -> list[Any]:
    from napari.settings import get_plugin_settings

    try:
        stored = get_plugin_settings(PLUGIN)
    except KeyError:  # not installed as a plugin, or switched off
        return []
    return [getattr(stored, page) for page in _PAGES if hasattr(stored, page)]
