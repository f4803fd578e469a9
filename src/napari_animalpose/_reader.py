"""napari's *File > Open* and drag and drop: labels and videos open as a project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_animalpose.io.labels import is_label_file
from napari_animalpose.io.video import is_video_path

__all__ = ["get_reader"]

LayerData = tuple[Any, ...]
Reader = Callable[[str | Sequence[str]], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return what opens a path, or None where it is neither labels nor a video.

    Parameters
    ----------
    path : str or sequence of str
        Several paths are videos of one new project.
    """
    paths = [path] if isinstance(path, str) else list(path)
    if not paths or not all(_is_ours(Path(name)) for name in paths):
        return None
    return open_in_viewer


def _is_ours(path: Path) -> bool:
    return is_video_path(path) or is_label_file(path)


def open_in_viewer(path: str | Sequence[str], *, as_example: bool = False) -> list[LayerData]:
    """Open a project in the present viewer; its layers are the session's own.

    Parameters
    ----------
    path : str or sequence of str
    as_example : bool
        Whether saving asks for a name.

    Returns
    -------
    list
        One empty entry: napari has nothing to add. (It takes ``(None,)`` for "read, and
        there are no layers".)
    """
    # Asking whether a file is ours must not cost the import of the whole window.
    import napari

    from napari_animalpose._widgets._session import get_session

    viewer = napari.current_viewer() or napari.Viewer()
    paths = [path] if isinstance(path, str) else list(path)
    session = get_session(viewer)
    opened = session.open_dropped(paths, as_example=as_example)
    if opened:
        session.show_docks()
    return [(None,)]
