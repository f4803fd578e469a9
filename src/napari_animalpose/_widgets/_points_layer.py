"""The Points layer of instances: napari's own, but for what it says under the cursor."""

from __future__ import annotations

from typing import Any

from napari.layers import Points as NapariPoints

__all__ = ["Points"]


class Points(NapariPoints):
    """Points that tell which node of which animal is under the cursor.

    The class has napari's name because napari saves, copies and controls layers by the
    name of their class.
    """

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
