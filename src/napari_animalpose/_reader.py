"""napari's *File > Open* and drag and drop: labels and videos open as a project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_animalpose.errors import FileFormatError
from napari_animalpose.io.labels import sniff_format
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
    if is_video_path(path):
        return True
    try:
        sniff_format(path)
    except (FileFormatError, OSError):
        return False
    return True


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
    if len(paths) == 1:
        opened = session.open(paths[0], as_example=as_example)
    else:
        opened = session.open_new(paths)
    if opened:
        session.show_docks()
    return [(None,)]
