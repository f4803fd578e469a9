"""Layers that are filled anew at every step: napari's own, without what costs time there.

The classes have napari's names because napari saves, copies and controls layers by the name
of their class.
"""

from __future__ import annotations

from typing import Any

from napari.layers import Points as NapariPoints
from napari.layers import Vectors as NapariVectors

__all__ = ["Points", "Vectors"]

_MOST_IN_THUMBNAIL = 64


class _LateThumbnail:
    """A layer whose thumbnail is drawn when somebody says that there is time for it.

    napari draws it with every change of the data, in Python, and then paints its whole list
    of layers again (0.9.2): more than the change itself takes.
    """

    data: Any

    def refresh(self, event: Any = None, **options: Any) -> None:
        """Show the data as they are now; see `napari.layers.Layer.refresh`."""
        super().refresh(event, **{**options, "thumbnail": False})  # type: ignore[misc]

    def draw_thumbnail(self) -> None:
        """Draw the thumbnail of what the layer holds."""
        super().refresh(data_displayed=False, highlight=False, extent=False)  # type: ignore[misc]


class Vectors(_LateThumbnail, NapariVectors):
    """Vectors with a late thumbnail, and none of many: napari takes 40 ms for a thousand."""

    def draw_thumbnail(self) -> None:
        """Draw the thumbnail of what the layer holds, where that is little."""
        if len(self.data) <= _MOST_IN_THUMBNAIL:
            super().draw_thumbnail()


class Points(_LateThumbnail, NapariPoints):
    """Points with a late thumbnail, that tell which node of which animal is under the cursor."""

    def get_status(self, position: Any = None, **kwargs: Any) -> dict[str, str]:
        """Return the text of the status bar; see `napari.layers.Layer.get_status`.

        A thread of napari asks for it at any time, also while the points are being
        replaced by those of another frame, and then finds points and sizes that do not
        fit together. There is nothing to say about a frame that is gone.
        """
        try:
            status: dict[str, str] = super().get_status(position, **kwargs)
            return status
        except (IndexError, KeyError, ValueError):
            return {
                "layer_name": self.name,
                "layer_base": self.name,
                "source_type": "",
                "plugin": "",
                "coordinates": "",
                "coords": "",
                "value": "",
            }
