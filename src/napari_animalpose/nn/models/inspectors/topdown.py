"""Looks into both networks of the pipelines "topdown" and "topdown-id"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.nn.inspection import NONE, PLACE, Crops, Findings, MapStack
from napari_animalpose.nn.models.forward import Forward, crop_side, to_frame
from napari_animalpose.nn.models.inspectors.base import (
    PEAK_FLOOR,
    PeakTable,
    Seen,
    Stopwatch,
    WholeFrame,
    mark_nearest,
    pack_maps,
)

if TYPE_CHECKING:
    from napari_animalpose.nn.models.detectors.topdown import Candidates, TopDownDetector

__all__ = ["TopDownInspector"]

MOST_CROPS = 32  # whose maps are shown; all are looked at
CROP_SLOTS = 16  # peaks of a node in a crop


class Looks(NamedTuple):
    """What the second network sees in N windows.

    points, point_scores, likely : as `Forward.points_in_windows` gives them
    corners : float32 (N, 2), (x, y) in px of the network input
    peaks : float32 (N, K, P, 2), in px of the frame; NaN in empty slots
    heights : float32 (N, K, P)
    maps : float16 (N, K, h, w)
    """

    points: NDArray[np.float32]
    point_scores: NDArray[np.float32]
    likely: NDArray[np.float32]
    corners: NDArray[np.float32]
    peaks: NDArray[np.float32]
    heights: NDArray[np.float32]
    maps: NDArray[np.float16]


class TopDownInspector:
    """The centroid map and, for each crop, confidence maps and peaks.

    Parameters
    ----------
    detector : TopDownDetector
    finds_places : bool
        Look into the network for centroids; without, the detector knows the places.
    """

    def __init__(self, detector: TopDownDetector, finds_places: bool = True) -> None:
        self.detector = detector
        self.closer: Forward = detector.closer
        head: Any = self.closer.head
        self.nodes: tuple[str, ...] = head.skeleton.nodes
        threshold = detector.config.peak_threshold
        self.whole = (
            WholeFrame(detector.centroid, threshold, most=detector.most_places)
            if finds_places
            else None
        )
        floor = min(PEAK_FLOOR, threshold)
        refinement = self.closer.refinement

        def read_maps(outputs: dict[str, Any]) -> tuple[Any, ...]:
            found = head.find_peaks(outputs, floor, CROP_SLOTS, refinement)
            return *found, pack_maps(outputs["confmaps"])

        self._ask = self.closer.compile_windows(read_maps)

    def __call__(self, frames: NDArray[np.uint8]) -> Findings:
        """Return what is found in one frame (1, H, W, C)."""
        watch, size = Stopwatch(), frames.shape[1:3]
        seen, candidates = self._find_places(frames)
        watch.lap("centroids")
        looks = self._look(frames, candidates)
        watch.lap("windows")
        results = []
        if looks is not None:
            n_crops = len(candidates.frame)
            results = [(looks.points, looks.point_scores, looks.likely, n_crops)]
        found, (kept,), verdicts = self.detector.judge((frames.shape[:3], candidates, results))
        instance = np.full(len(verdicts), NONE, np.int32)
        instance[kept] = np.arange(len(kept))
        watch.lap("choosing")
        table = PeakTable(len(self.closer.config.classes))
        maps: list[MapStack] = []
        if seen is not None and self.whole is not None:
            owner = np.full(seen.heights.shape[1:], NONE, np.int32)
            owner[0, : len(instance)] = instance  # the places are the first of the peaks
            table.add(seen.placed, seen.heights[0], owner, node=PLACE)
            channels = ("centroid",)
            maps.append(self.whole.pack("centroids", channels, seen.maps["centroids"]))
        crops = self._pack(candidates, looks, verdicts, instance)
        if looks is not None:
            self._list_peaks(table, looks, instance, size)
            maps += self._pack_maps(looks)
        else:
            table.add(*_no_peaks())
        watch.lap("packing")
        limits = {
            "peak_threshold": self.detector.config.peak_threshold,
            "max_instances": self.detector.config.max_instances,
            "min_instance_score": self.detector.min_score,
            "min_class_probability": self.detector.config.min_class_probability,
        }
        return Findings(
            found, tuple(maps), table.build(), crops=crops, limits=limits, seconds=watch.seconds
        )

    def _find_places(self, frames: NDArray[np.uint8]) -> tuple[Seen | None, Candidates]:
        if self.whole is None:
            return None, self.detector.find_places(tf.constant(frames))
        seen = self.whole(frames)
        crowded = np.zeros(1, bool)
        return seen, self.detector.choose_places(
            seen.points, seen.heights, crowded, *frames.shape[1:3]
        )

    def _look(self, frames: NDArray[np.uint8], candidates: Candidates) -> Looks | None:
        """Look at all windows, in steps as the detector takes them; None without any."""
        from napari_animalpose.nn.models.detectors.topdown import split_counts

        if not len(candidates.frame):
            return None
        inputs = self.closer.inputs(tf.constant(frames))
        steps, first = [], 0
        for count, size in split_counts(len(candidates.frame), self.detector.max_windows):
            rows = np.minimum(np.arange(first, first + size), first + count - 1)
            numbers, centres = candidates.frame[rows], candidates.centre[rows]
            asked = self._ask(inputs, tf.constant(numbers), tf.constant(centres))
            steps.append([np.asarray(part)[:count] for part in asked])
            first += count
        return Looks(*(np.concatenate(parts) for parts in zip(*steps, strict=True)))

    def _list_peaks(
        self, table: PeakTable, looks: Looks, instance: NDArray[np.int32], size: tuple[int, int]
    ) -> None:
        placed = to_frame(looks.peaks, 1.0, *size)
        points = to_frame(looks.points, 1.0, *size)
        known = looks.point_scores >= self.detector.config.peak_threshold
        points = np.where(known[..., None], points, np.float32(np.nan))
        n_peaks, n_classes = placed.shape[1:3], looks.likely.shape[-1]
        for crop, number in enumerate(instance):
            owner = mark_nearest(placed[crop], points[crop : crop + 1])
            owner[owner >= 0] = number
            likely = np.broadcast_to(looks.likely[crop], (*n_peaks, n_classes))
            table.add(placed[crop], looks.heights[crop], owner, crop=crop, likely=likely)

    def _pack(
        self,
        candidates: Candidates,
        looks: Looks | None,
        verdicts: NDArray[np.int8],
        instance: NDArray[np.int32],
    ) -> Crops:
        corners = np.zeros((0, 2)) if looks is None else looks.corners
        side = crop_side(self.closer.config)
        edges = np.array([[-0.5, -0.5], [side - 0.5, side - 0.5]])
        rectangles = [self.closer.grid(1, corner).to_frame(edges).ravel() for corner in corners]
        return Crops(
            np.array(rectangles, np.float32).reshape(-1, 4),
            candidates.centre,
            candidates.score,
            verdicts,
            instance,
        )

    def _pack_maps(self, looks: Looks) -> list[MapStack]:
        stride = self.closer.map_stride("confmaps")
        return [
            MapStack("confmaps", self.nodes, maps, self.closer.grid(stride, corner), crop)
            for crop, (maps, corner) in enumerate(
                zip(looks.maps[:MOST_CROPS], looks.corners[:MOST_CROPS], strict=True)
            )
        ]


def _no_peaks() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    return (
        np.zeros((1, 0, 2), np.float32), np.zeros((1, 0), np.float32), np.zeros((1, 0), np.int32),
    )  # fmt: skip
