"""A Vectors layer that is filled anew at every step: napari's own, without the slow picture."""

from __future__ import annotations

from typing import Any

from napari.layers import Vectors as NapariVectors

__all__ = ["Vectors"]

_MOST_IN_THUMBNAIL = 64


class Vectors(NapariVectors):
    """Vectors whose thumbnail is not drawn where there are many.

    napari draws it vector by vector in Python, 40 ms for a thousand, which is most of what
    it takes to show them (0.9.2). The class has napari's name because napari saves, copies
    and controls layers by the name of their class.
    """

    def refresh(self, event: Any = None, **options: Any) -> None:
        """Show the data as they are now; see `napari.layers.Layer.refresh`."""
        is_small = len(self.data) <= _MOST_IN_THUMBNAIL
        super().refresh(event, **{**options, "thumbnail": is_small})
