"""Frames to several instances with two networks: where animals are, then each closely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig
from napari_animalpose.data.oks import compute_areas, compute_oks
from napari_animalpose.nn.heads import Detections
from napari_animalpose.nn.models.forward import Forward, crop_side

__all__ = ["TopDownDetector", "split_counts", "suppress_duplicates"]

SPARE = 2  # windows looked at for each animal that `max_instances` allows
DUPLICATE_OKS = 0.7  # with DUPLICATE_STDDEV: points less than a tenth of the animal apart
DUPLICATE_STDDEV = 0.1
CPU_WINDOW_PIXELS, GPU_WINDOW_PIXELS = 0.5e6, 8e6  # of one step of the second network


class Candidates(NamedTuple):
    """Places of a batch of frames where an animal may be.

    frame : int32 (N,), number in the batch, ascending
    centre : float32 (N, 2), (x, y) in px of the frame
    score : float32 (N,), confidence, descending in each frame
    """

    frame: NDArray[np.int32]
    centre: NDArray[np.float32]
    score: NDArray[np.float32]


class TopDownDetector:
    """The pipeline "topdown": a centroid network, then windows of all frames together.

    The score of an instance is the confidence of its centroid times the mean confidence
    of its points: either network can tell that there is no animal.

    Parameters
    ----------
    forwards : mapping of str to Forward
        The networks "centroid" and "centered_instance".
    config : PredictConfig
        `peak_threshold` holds for centroids as for points. With `max_instances`, the
        best of up to twice as many places are kept.
    """

    def __init__(self, forwards: Mapping[str, Forward], config: PredictConfig) -> None:
        self.centroid = forwards["centroid"]
        self.closer = forwards["centered_instance"]
        self.config = config
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        pixels = GPU_WINDOW_PIXELS if on_gpu else CPU_WINDOW_PIXELS
        self.max_windows = max(1, int(pixels / crop_side(self.closer.config) ** 2))

    def start(self, frames: NDArray[np.uint8]) -> Any:
        """Find places in frames (B, H, W, C) and send the windows around them to the device."""
        batch = tf.constant(frames)
        candidates = self.find_places(batch)
        results: list[tuple[Any, Any, int]] = []
        if len(candidates.frame):
            inputs = self.closer.inputs(batch)
            first = 0
            for count, size in split_counts(len(candidates.frame), self.max_windows):
                # The windows that fill up a step are copies of its last one.
                rows = np.minimum(np.arange(first, first + size), first + count - 1)
                numbers, centres = candidates.frame[rows], candidates.centre[rows]
                results.append((*self.closer.points_in_windows(inputs, numbers, centres), count))
                first += count
        return len(frames), candidates, results

    def find_places(self, frames: Any) -> Candidates:
        """Return where animals may be in frames (B, H, W, C), best first in each frame."""
        points, scores = (np.asarray(part) for part in self.centroid.points(frames))
        centres, scores = points[:, :, 0], scores[:, :, 0]  # (B, P, 2), (B, P)
        limit = SPARE * self.config.max_instances or scores.shape[1]
        found = (scores > 0) & (scores >= self.config.peak_threshold)
        found[:, limit:] = False  # peaks come in descending order
        numbers, slots = np.nonzero(found)
        return Candidates(numbers.astype(np.int32), centres[numbers, slots], scores[numbers, slots])

    def finish(self, pending: Any) -> Detections:
        """Return the instances, best first, without those that were found twice."""
        n_frames, candidates, results = pending
        n_nodes = self.closer.head.n_outputs["confmaps"]
        parts = [np.zeros((0, n_nodes, 2), np.float32)], [np.zeros((0, n_nodes), np.float32)]
        for points, scores, count in results:
            parts[0].append(np.asarray(points)[:count])
            parts[1].append(np.asarray(scores)[:count])
        points, point_scores = (np.concatenate(part) for part in parts)  # (N, K, 2), (N, K)
        scores = np.clip(candidates.score, 0, 1) * np.clip(point_scores, 0, 1).mean(axis=1)
        kept = [
            self._choose(np.flatnonzero(candidates.frame == number), points, point_scores, scores)
            for number in range(n_frames)
        ]
        return _pad_frames(kept, points, point_scores, scores)

    def _choose(
        self,
        rows: NDArray[np.intp],
        points: NDArray[np.float32],
        point_scores: NDArray[np.float32],
        scores: NDArray[np.float32],
    ) -> NDArray[np.intp]:
        """Return the rows of one frame's instances, best first."""
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        placed = point_scores[rows] >= self.config.peak_threshold
        xy = np.where(placed[..., None], points[rows], np.nan)
        rows = rows[placed.any(axis=1) & suppress_duplicates(xy)]
        return rows[: self.config.max_instances or None]


def split_counts(total: int, limit: int) -> Iterator[tuple[int, int]]:
    """Divide windows into steps of few different sizes.

    A device prepares anew for every size that it has not seen. The sizes are 1, 2, 3, 4,
    6, 8, 12, 16, 24, ..., so that less than a third of a step is wasted.

    Parameters
    ----------
    total : int
        Windows.
    limit : int
        The most in one step; rounded down to one of the sizes.

    Yields
    ------
    count, size : int
        Windows of this step, and how many it has after filling up.
    """
    sizes = [1, 2, 3, 4]
    while sizes[-1] < limit:
        sizes += [2 * sizes[-2], 2 * sizes[-1]]
    sizes = sorted(size for size in sizes if size <= max(1, limit))
    while total > 0:
        count = min(total, sizes[-1])
        yield count, next(size for size in sizes if size >= count)
        total -= count


def suppress_duplicates(xy: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which instances of a frame are not the same as a better one.

    Parameters
    ----------
    xy : array of float, shape (I, K, 2)
        (x, y) in px, best instance first; NaN = missing.

    Returns
    -------
    bool array, shape (I,)
        False where the OKS with a better instance that is kept is at least
        `DUPLICATE_OKS`, the size being that of the larger of the two.
    """
    keep = np.ones(len(xy), bool)
    areas = compute_areas(xy)
    for i in range(1, len(xy)):
        better = np.flatnonzero(keep[:i])
        area = np.maximum(areas[better], max(areas[i], 1.0))
        alike = compute_oks(xy[better], xy[i : i + 1], area_px2=area, stddev=DUPLICATE_STDDEV)
        keep[i] = not (alike >= DUPLICATE_OKS).any()
    return keep


def _pad_frames(
    kept: list[NDArray[np.intp]],
    points: NDArray[np.float32],
    point_scores: NDArray[np.float32],
    scores: NDArray[np.float32],
) -> Detections:
    """Arrange rows by frame; NaN fills up."""
    shape = len(kept), max((len(rows) for rows in kept), default=0)
    arranged = []
    for values in (points, point_scores, scores):
        target = np.full((*shape, *values.shape[1:]), np.nan, np.float32)
        for frame, rows in enumerate(kept):
            target[frame, : len(rows)] = values[rows]
        arranged.append(target)
    return Detections(*arranged)
