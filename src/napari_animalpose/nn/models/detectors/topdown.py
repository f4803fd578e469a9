"""Frames to several instances with two networks: where animals are, then each closely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig
from napari_animalpose.data.oks import compute_areas, compute_oks
from napari_animalpose.nn.heads import CENTRED_HEADS, Detections
from napari_animalpose.nn.identity import NO_CLASS, assign_classes
from napari_animalpose.nn.inspection import CropVerdict, Inspector
from napari_animalpose.nn.models.detectors.growing import GrowingPeaks
from napari_animalpose.nn.models.forward import Forward, crop_side, to_frame
from napari_animalpose.nn.models.heads.centroid import MAX_CENTROIDS, CentroidHead

__all__ = ["TopDownDetector", "split_counts", "suppress_duplicates"]

MOST_PLACES = 512  # in a frame
SPARE = 2  # windows looked at for each animal that `max_instances` allows
DUPLICATE_OKS = 0.7  # with DUPLICATE_STDDEV: points less than a tenth of the animal apart
DUPLICATE_STDDEV = 0.1
LEAST_SHARED = 2  # points that two instances have both, to tell that one is a part of the other
CPU_WINDOW_PIXELS, GPU_WINDOW_PIXELS = 0.5e6, 8e6  # of one step of the second network


class Candidates(NamedTuple):
    """Places of a batch of frames where an animal may be.

    frame : int32 (N,), number in the batch, ascending
    centre : float32 (N, 2), (x, y) in px of the frame
    score : float32 (N,), confidence, descending in each frame
    crowded : bool (B,), frames with more places than were looked for
    """

    frame: NDArray[np.int32]
    centre: NDArray[np.float32]
    score: NDArray[np.float32]
    crowded: NDArray[np.bool_]


class TopDownDetector:
    """The pipelines "topdown" and "topdown-id": centroids, then windows of all frames together.

    The score of an instance is the confidence of its centroid times the mean confidence
    of its points: either network can tell that there is no animal.

    Where the second network tells identities, the instances of a frame that are kept get
    theirs by `identity.assign_classes`. One that gets none is still an instance: its
    points are as good as any, and which animal it is can come from the frames around it.

    Parameters
    ----------
    forwards : mapping of str to Forward
        The network "centroid" and one of `CENTRED_HEADS`.
    config : PredictConfig
        `peak_threshold` holds for centroids as for points. With `max_instances`, the
        best of up to twice as many places are kept.
    """

    def __init__(self, forwards: Mapping[str, Forward], config: PredictConfig) -> None:
        self.centroid = forwards["centroid"]
        self.closer = next(forwards[name] for name in forwards if name in CENTRED_HEADS)
        self.config, self.min_score = config, config.min_instance_score
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        pixels = GPU_WINDOW_PIXELS if on_gpu else CPU_WINDOW_PIXELS
        self.max_windows = max(1, int(pixels / crop_side(self.closer.config) ** 2))
        self._places = GrowingPeaks(
            self.centroid, self._read_maps, config.peak_threshold,
            max(MAX_CENTROIDS, SPARE * config.max_instances), MOST_PLACES,
        )  # fmt: skip
        self.most_places = self._places.most

    def _read_maps(self, outputs: dict[str, Any], slots: int) -> tuple[Any, Any]:
        head = cast(CentroidHead, self.centroid.head)
        return head.find_places(outputs, slots, self.centroid.refinement)

    def make_inspector(self) -> Inspector:
        """Return what looks into both networks."""
        from napari_animalpose.nn.models.inspectors.topdown import TopDownInspector

        return TopDownInspector(self)

    def start(self, frames: NDArray[np.uint8]) -> Any:
        """Find places in frames (B, H, W, C) and send the windows around them to the device."""
        batch = tf.constant(frames)
        candidates = self.find_places(batch)
        results: list[tuple[Any, Any, Any, int]] = []
        if len(candidates.frame):
            inputs = self.closer.inputs(batch)
            first = 0
            for count, size in split_counts(len(candidates.frame), self.max_windows):
                # The windows that fill up a step are copies of its last one.
                rows = np.minimum(np.arange(first, first + size), first + count - 1)
                numbers, centres = candidates.frame[rows], candidates.centre[rows]
                results.append((*self.closer.points_in_windows(inputs, numbers, centres), count))
                first += count
        return frames.shape[:3], candidates, results

    def find_places(self, frames: Any) -> Candidates:
        """Return where animals may be in frames (B, H, W, C), best first in each frame."""
        (points, heights), crowded = self._places.finish(self._places.start(frames))
        return self.choose_places(points, heights, crowded, *frames.shape[1:3])

    def choose_places(
        self, points: NDArray[np.float32], heights: NDArray[np.float32],
        crowded: NDArray[np.bool_], height: int, width: int,
    ) -> Candidates:  # fmt: skip
        """Return which of the peaks (B, 1, P, 2) with heights (B, 1, P) are looked at."""
        centres = to_frame(points[:, 0], self.centroid.config.input_scale, height, width)
        scores = heights[:, 0]  # (B, P); centres (B, P, 2)
        limit = SPARE * self.config.max_instances or scores.shape[1]
        found = (scores > 0) & (scores >= self.config.peak_threshold)
        found[:, limit:] = False  # peaks come in descending order
        numbers, slots = np.nonzero(found)
        return Candidates(
            numbers.astype(np.int32), centres[numbers, slots], scores[numbers, slots], crowded
        )

    def finish(self, pending: Any) -> Detections:
        """Return the instances, best first, without those that were found twice."""
        return self.judge(pending)[0]

    def judge(self, pending: Any) -> tuple[Detections, list[NDArray[np.intp]], NDArray[np.int8]]:
        """Return the instances, of which windows of each frame they are, and all verdicts.

        Returns
        -------
        detections : Detections
        kept : list of int array
            Rows of the candidates in the order of the instances, by frame.
        verdicts : int8 array, shape (N,)
            `CropVerdict` on each candidate.
        """
        (n_frames, height, width), candidates, results = pending
        points, point_scores, likely = self._collect(results)
        points = to_frame(points, 1.0, height, width)
        scores = np.clip(candidates.score, 0, 1) * np.clip(point_scores, 0, 1).mean(axis=1)
        verdicts = np.zeros(len(scores), np.int8)
        kept = []
        for number in range(n_frames):
            rows = np.flatnonzero(candidates.frame == number)
            rows = rows[np.argsort(-scores[rows], kind="stable")]
            verdicts[rows] = self._judge_frame(points[rows], point_scores[rows], scores[rows])
            kept.append(rows[verdicts[rows] == CropVerdict.KEPT])
        classes, class_scores = self._name(kept, likely)
        found = Detections(
            _pad_frames(kept, points, np.nan),
            _pad_frames(kept, point_scores, np.nan),
            _pad_frames(kept, scores, np.nan),
            _pad_frames(kept, classes, NO_CLASS),
            _pad_frames(kept, class_scores, np.nan),
            candidates.crowded,
        )
        return found, kept, verdicts

    def _name(
        self, kept: list[NDArray[np.intp]], likely: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return identities (N,) and their probabilities of the rows kept in each frame."""
        classes = np.full(len(likely), NO_CLASS, np.int32)
        for rows in kept:
            classes[rows] = assign_classes(likely[rows], self.config.min_class_probability)
        named = np.flatnonzero(classes != NO_CLASS)
        scores = np.full(len(likely), np.nan, np.float32)
        scores[named] = likely[named, classes[named]]
        return classes, scores

    def _collect(self, results: list[tuple[Any, Any, Any, int]]) -> list[NDArray[np.float32]]:
        """Return points (N, K, 2), confidences (N, K) and class probabilities (N, C)."""
        n_nodes = self.closer.head.n_outputs["confmaps"]
        n_classes = len(self.closer.config.classes)
        shapes = (0, n_nodes, 2), (0, n_nodes), (0, n_classes)
        return [
            np.concatenate(
                [np.zeros(shape, np.float32)]
                + [np.asarray(result[part])[: result[-1]] for result in results]
            )
            for part, shape in enumerate(shapes)
        ]

    def _judge_frame(
        self,
        points: NDArray[np.float32],
        point_scores: NDArray[np.float32],
        scores: NDArray[np.float32],
    ) -> NDArray[np.int8]:
        """Return the `CropVerdict` on what is in the windows of a frame, best first."""
        placed = point_scores >= self.config.peak_threshold
        xy = np.where(placed[..., None], points, np.nan)
        verdicts = np.full(len(xy), CropVerdict.KEPT, np.int8)
        verdicts[~suppress_duplicates(xy)] = CropVerdict.DUPLICATE
        verdicts[scores < self.min_score] = CropVerdict.FAINT
        verdicts[~placed.any(axis=1)] = CropVerdict.NO_POINTS
        if self.config.max_instances:
            good = np.flatnonzero(verdicts == CropVerdict.KEPT)
            verdicts[good[self.config.max_instances :]] = CropVerdict.SURPLUS
        return verdicts


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

    An animal that another one hides in part has its own points, and they lie elsewhere.
    What has no points but copies of a better instance's is that instance again, and so is
    the whole of which the better one is a part: the OKS is a mean over the points of the
    one that has fewer. A single point that both have proves nothing, as the noses of two
    animals may touch: then it is a mean over the points of the one that has more.

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
    known = np.isfinite(xy).all(axis=-1)  # (I, K)
    counts = known.sum(axis=1)
    for i in range(1, len(xy)):
        better = np.flatnonzero(keep[:i])
        area = np.maximum(areas[better], max(areas[i], 1.0))
        oks = compute_oks(xy[better], xy[i : i + 1], area_px2=area, stddev=DUPLICATE_STDDEV)
        shared = (known[better] & known[i]).sum(axis=1)
        fewer, more = np.minimum(counts[better], counts[i]), np.maximum(counts[better], counts[i])
        counted = np.where(shared >= LEAST_SHARED, fewer, more)
        alike = oks[:, 0] * counts[better] / np.maximum(counted, 1)
        keep[i] = not (alike >= DUPLICATE_OKS).any()
    return keep


def _pad_frames(kept: list[NDArray[np.intp]], values: NDArray[Any], padding: float) -> NDArray[Any]:
    """Arrange rows (N, ...) by frame, (B, I, ...); `padding` fills up."""
    shape = len(kept), max((len(rows) for rows in kept), default=0)
    arranged = np.full((*shape, *values.shape[1:]), padding, values.dtype)
    for frame, rows in enumerate(kept):
        arranged[frame, : len(rows)] = values[rows]
    return arranged
