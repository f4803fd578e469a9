"""Squares on the image: what a network sees at one place, and what it is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Vectors
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_animalpose._widgets._aside import add_aside, remove_aside
from napari_animalpose.config import RunConfig
from napari_animalpose.errors import AnimalPoseError
from napari_animalpose.pipeline.previews import NetworkGeometry, Rectangle, describe_geometry

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["FIELD_COLOR", "WINDOW_COLOR", "GeometryOverlay", "outline"]

FIELD_COLOR, WINDOW_COLOR = "#e8833a", "#4c9be8"
_NAME = "network view"


class GeometryOverlay(QObject):
    """Draws the squares of the network that finds the points around an animal in view.

    Around the selected animal, else the first one of the frame, else the middle of the
    frame.

    Attributes
    ----------
    removed : Signal()
        A person deleted the layer.
    """

    removed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._config: RunConfig | None = None
        self._layer: Vectors | None = None
        self._is_shown = False
        self.geometry: NetworkGeometry | None = None
        session.frame_changed.connect(self.redraw)
        session.selection_changed.connect(self.redraw)
        session.edited.connect(self.redraw)
        session.document_changed.connect(self.redraw)

    @property
    def layer(self) -> Vectors | None:
        """The layer; None while nothing is shown."""
        return self._layer

    def set_config(self, config: RunConfig | None) -> None:
        """Draw for another configuration."""
        self._config = config
        self.geometry = None
        document = self._session.document
        if config is not None and document is not None:
            try:
                self.geometry = describe_geometry(
                    config, list(config.networks)[-1], document.project
                )
            except AnimalPoseError:
                self.geometry = None  # the form says what is wrong
        self.redraw()

    def set_shown(self, is_shown: bool) -> None:
        """Show the squares, or remove the layer."""
        self._is_shown = is_shown
        self.redraw()

    def close(self) -> None:
        """Remove the layer."""
        self.set_shown(False)

    def redraw(self, *args: Any) -> None:
        """Draw the squares where the animal is now."""
        if not self._is_shown or self.geometry is None or self._session.document is None:
            self._remove()
            return
        squares = self._squares(self.geometry)
        vectors = np.concatenate([outline(square) for square, _ in squares])
        colors = np.repeat([color for _, color in squares], 4)
        layer = self._layer or self._add()
        with layer.events.data.blocker():
            layer.data = vectors
        layer.edge_color = colors
        height, width = self._session.frame_shape
        layer.edge_width = max(0.8, min(height, width) / 250)

    def _squares(self, geometry: NetworkGeometry) -> list[tuple[Rectangle, str]]:
        xy = self._find_animal()
        height, width = self._session.frame_shape
        frame = Rectangle(-0.5, -0.5, width - 0.5, height - 0.5)
        if geometry.window_px:
            frame = geometry.around(xy, geometry.window_px)
        return [
            (frame, WINDOW_COLOR),
            (geometry.around(xy, geometry.receptive_field_px), FIELD_COLOR),
        ]

    def _find_animal(self) -> NDArray[np.float64]:
        rows = self._session.rows
        order = [*self._session.selected_instances, *range(len(rows))]
        for position in order:
            if position < len(rows) and np.isfinite(rows.xy[position]).all(axis=1).any():
                return np.asarray(rows.xy[position], np.float64)
        height, width = self._session.frame_shape
        n_nodes = max(1, rows.n_nodes)
        return np.tile([(width - 1) / 2, (height - 1) / 2], (n_nodes, 1))

    def _add(self) -> Vectors:
        viewer = self._session.viewer
        layer = Vectors(
            np.zeros((0, 2, 2)), ndim=2, name=_NAME, vector_style="line", opacity=0.9,
        )  # fmt: skip
        self._layer = layer
        add_aside(viewer, layer)
        viewer.layers.events.removed.connect(self._on_removed)
        return layer

    def _remove(self) -> None:
        layer, self._layer = self._layer, None
        if layer is None:
            return
        viewer = self._session.viewer
        viewer.layers.events.removed.disconnect(self._on_removed)
        remove_aside(viewer, layer)

    def _on_removed(self, event: Any) -> None:
        if self._layer is not None and event.value is self._layer:
            self._layer, self._is_shown = None, False
            event.source.events.removed.disconnect(self._on_removed)
            self.removed.emit()


def outline(square: Rectangle) -> NDArray[np.float64]:
    """Return the four sides of a rectangle as vectors (4, 2, 2): (y, x) start and direction."""
    left, top, right, bottom = square
    corners = np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
    return np.stack([corners, np.roll(corners, -1, axis=0) - corners], axis=1)
