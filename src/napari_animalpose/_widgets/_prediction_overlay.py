"""What a run predicted for one animal, drawn over its label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_animalpose._layers import xy_to_yx
from napari_animalpose._widgets._aside import add_aside, remove_aside
from napari_animalpose._widgets._frame_layers import Vectors
from napari_animalpose.data.skeleton import Skeleton

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["PREDICTION_COLOR", "PredictionOverlay", "draw_skeleton"]

PREDICTION_COLOR = "#ff7a1a"
_NAME = "evaluated prediction"


class PredictionOverlay(QObject):
    """Draws one animal as crosses and lines, until another frame is in view.

    It is in no table: what a run predicts in the frames that it is measured on must not be
    taken for a prediction that waits to be corrected.
    """

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._layer: Vectors | None = None
        self._place = (-1, -1)
        session.frame_changed.connect(self._on_frame)
        session.document_changed.connect(self.clear)

    @property
    def layer(self) -> Vectors | None:
        """The layer; None while nothing is shown."""
        return self._layer

    def show(self, xy: NDArray[np.floating], skeleton: Skeleton) -> None:
        """Draw points (K, 2) and their edges over the frame in view."""
        self._place = (self._session.video, self._session.frame)
        point_px = self._session.canvas.style.point_px
        layer = self._layer or self._add()
        with layer.events.data.blocker():
            layer.data = draw_skeleton(xy, skeleton, 0.6 * point_px)
        layer.edge_color = PREDICTION_COLOR
        layer.edge_width = max(0.4, 0.16 * point_px)
        layer.draw_thumbnail()

    def clear(self) -> None:
        """Remove the layer."""
        layer, self._layer = self._layer, None
        if layer is None:
            return
        viewer = self._session.viewer
        viewer.layers.events.removed.disconnect(self._on_removed)
        remove_aside(viewer, layer)

    def _add(self) -> Vectors:
        viewer = self._session.viewer
        self._layer = Vectors(np.zeros((0, 2, 2)), ndim=2, name=_NAME, vector_style="line")
        add_aside(viewer, self._layer)
        viewer.layers.events.removed.connect(self._on_removed)
        return self._layer

    def _on_frame(self, video: int, frame: int) -> None:
        if (video, frame) != self._place:
            self.clear()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._layer = None
            event.source.events.removed.disconnect(self._on_removed)


def draw_skeleton(
    xy: NDArray[np.floating], skeleton: Skeleton, cross_px: float
) -> NDArray[np.float32]:
    """Return edges and crosses of one animal as vectors (V, 2, 2): (y, x) start and direction.

    Parameters
    ----------
    xy : array, shape (K, 2)
        px; NaN = missing, left out.
    skeleton : Skeleton
    cross_px : float
        Half of the size of a cross.
    """
    yx = xy_to_yx(xy)
    ends = np.asarray(skeleton.edges, np.intp).reshape(-1, 2)
    edges = np.stack([yx[ends[:, 0]], yx[ends[:, 1]] - yx[ends[:, 0]]], axis=1)
    arms = np.array([[1, 1], [1, -1]], np.float32) * cross_px / np.sqrt(2)
    crosses = np.stack(
        np.broadcast_arrays(yx[:, None] - arms, 2 * arms), axis=2
    )  # (K, arm, start and direction, 2)
    vectors = np.concatenate([edges, crosses.reshape(-1, 2, 2)])
    return np.ascontiguousarray(vectors[np.isfinite(vectors).all(axis=(1, 2))], np.float32)
