"""``python -m napari_animalpose._widgets [FILE]``: napari with our docks, on a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Show napari on the files named, until its window is closed."""
    import napari

    from napari_animalpose._widgets._session import get_session

    paths = list(sys.argv[1:] if arguments is None else arguments)
    viewer = napari.Viewer(title="Animal Pose")
    session = get_session(viewer)
    session.show_docks()
    if len(paths) == 1:
        session.open(paths[0])
    elif paths:
        session.open_new(paths)
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
