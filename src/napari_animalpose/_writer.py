"""napari's *File > Save*: the instances layer is saved as the project that it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_animalpose.errors import DataError

__all__ = ["write_instances"]


def write_instances(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save the project whose instances layer this is.

    The layer holds one frame; what is written is the whole project.

    Parameters
    ----------
    path : str
        A ``.slp`` file.
    data : array
        Points of the layer; not used.
    attributes : dict
        Attributes of the layer; its metadata say whose it is.

    Returns
    -------
    list of str
        The file that was written.

    Raises
    ------
    DataError
        If the layer is not that of an open project.
    """
    # The manifest is read long before anyone saves: the window is imported when one does.
    import napari

    from napari_animalpose._widgets._session import get_session

    viewer = napari.current_viewer()
    ours = attributes.get("metadata", {}).get("napari_animalpose", {})
    session = None if viewer is None else get_session(viewer)
    if session is None or session.document is None or ours.get("role") != "instances":
        raise DataError(
            "Expected the instances layer of an open project; received another Points layer. "
            "Save it as CSV, or open a project in the dock Label first."
        )
    written = session.document.save(Path(path))
    session.tell_saved(written)
    return [str(written)]
