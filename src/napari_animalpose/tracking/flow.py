"""Tracks expected where the image around their points has moved to."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_animalpose.config import TrackConfig
from napari_animalpose.errors import DataError
from napari_animalpose.tracking.base import Tracker
from napari_animalpose.tracking.comparison import Candidates

__all__ = ["FlowTracker", "shift_points"]

Floats = NDArray[np.float64]
LEVELS = 3  # of the pyramid above the full image
WINDOW_FRACTION = 0.25  # of a body length: the patch that is looked for
LEAST_WINDOW_PX, MOST_WINDOW_PX = 9, 31
ITERATIONS, PRECISION_PX = 20, 0.02


class FlowTracker(Tracker):
    """Shifts the last pose by the optical flow of the image (pyramidal Lucas-Kanade).

    From the frame in which the animal was seen last to this one, if that is no more than
    `TrackConfig.window_frames` ago; older poses stay where they are. For textured animals
    that move far between two frames without warning.

    Bouguet, "Pyramidal implementation of the affine Lucas Kanade feature tracker", 2001.
    """

    summary: ClassVar[str] = "last pose, moved by optical flow; needs the video"
    needs_images: ClassVar[bool] = True

    def __init__(
        self, n_nodes: int, config: TrackConfig | None = None, *, n_classes: int = 0
    ) -> None:
        super().__init__(n_nodes, config, n_classes=n_classes)
        self._past: deque[tuple[int, NDArray[np.uint8]]] = deque(maxlen=self.config.window_frames)

    @property
    def nbytes(self) -> int:
        """Memory of tracks and images in bytes."""
        return super().nbytes + sum(int(image.nbytes) for _, image in self._past)

    def columns(self) -> Mapping[str, tuple[DTypeLike, tuple[int, ...]]]:
        """Return nothing: the last pose is in the table already."""
        return {}

    def expect(self, frame: int, image: NDArray[np.uint8] | None) -> Candidates:
        """Return the last pose of every track, shifted."""
        if image is None:
            raise DataError(
                "Expected the image of every frame for the tracker 'flow'; received none. "
                "Give the video, or use another tracker."
            )
        gray = to_gray(image)
        xy = self.tracks["xy"].copy()
        last = self.tracks["last"]
        for past_frame, past in self._past:
            rows = np.flatnonzero(last == past_frame)
            if rows.size and past.shape == gray.shape:
                xy[rows] = shift_points(past, gray, xy[rows], self._window_px())
        self._past.append((frame, gray))
        return Candidates(
            xy=xy, track=np.arange(len(self.tracks)), growth=self.motion.growth(frame - last)
        )

    def start(self, rows: NDArray[np.intp], xy: Floats, frame: int) -> None:
        """Do nothing: the pose is remembered anyhow."""

    def observe(self, rows: NDArray[np.intp], xy: Floats, frame: int) -> None:
        """Do nothing: the pose is remembered anyhow."""

    def _window_px(self) -> int:
        """Odd side of the patch around a point."""
        side = round(WINDOW_FRACTION * self.motion.body_length_px)
        return min(max(side, LEAST_WINDOW_PX), MOST_WINDOW_PX) | 1


def to_gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return one channel (H, W) of a frame (H, W), (H, W, 1) or (H, W, 3)."""
    if image.ndim == 2:
        return image
    if image.shape[2] == 1:
        return np.ascontiguousarray(image[..., 0])
    import cv2

    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def shift_points(
    before: NDArray[np.uint8], after: NDArray[np.uint8], xy: Floats, window_px: int
) -> Floats:
    """Move points from one gray image to where their surroundings are in the next.

    Parameters
    ----------
    before, after : array of uint8, shape (H, W)
    xy : array of float64, shape (T, K, 2)
        (x, y) in px of `before`; NaN = missing.
    window_px : int
        Side of the patch that is compared, odd.

    Returns
    -------
    array of float64, shape (T, K, 2)
        A point that is not found again moves as the median of the others of its instance;
        where none is found they stay where they are. NaN stays NaN.
    """
    import cv2

    placed = ~np.isnan(xy).any(axis=-1)
    if not placed.any():
        return xy
    points = xy[placed].astype(np.float32).reshape(-1, 1, 2)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, ITERATIONS, PRECISION_PX)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, None,
        winSize=(window_px, window_px), maxLevel=LEVELS, criteria=criteria,
    )  # fmt: skip
    flow = np.full(xy.shape, np.nan)
    flow[placed] = np.where(found.reshape(-1, 1) > 0, (moved - points).reshape(-1, 2), np.nan)
    lost = placed & np.isnan(flow[..., 0])
    for row in np.flatnonzero(lost.any(axis=1)):
        kept = ~np.isnan(flow[row, :, 0])
        flow[row, lost[row]] = np.median(flow[row, kept], axis=0) if kept.any() else 0.0
    return np.asarray(xy + flow)
