"""Looks into the network of the pipeline "bottomup-id"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.nn.heads import Detections
from napari_animalpose.nn.inspection import Findings
from napari_animalpose.nn.models.forward import to_frame
from napari_animalpose.nn.models.inspectors.base import (
    PeakTable,
    Stopwatch,
    WholeFrame,
    mark_nearest,
    pack_maps,
)

if TYPE_CHECKING:
    from napari_animalpose.nn.models.detectors.bottomup_id import BottomUpIdDetector

__all__ = ["BottomUpIdInspector"]


class BottomUpIdInspector:
    """Confidence maps, class maps and all peaks with whose they are.

    Parameters
    ----------
    detector : BottomUpIdDetector
    """

    def __init__(self, detector: BottomUpIdDetector) -> None:
        self.detector = detector
        self.nodes = detector.head.skeleton.nodes
        self.classes = detector.forward.config.classes
        self.whole = WholeFrame(detector.forward, detector.config.peak_threshold, self._classify)

    def _classify(self, outputs: dict[str, Any], points: Any) -> tuple[Any, ...]:
        head = self.detector.head
        return head.probabilities_at(outputs, points), pack_maps(head.read_class_maps(outputs))

    def __call__(self, frames: NDArray[np.uint8]) -> Findings:
        """Return what is found in one frame (1, H, W, C)."""
        watch, size, config = Stopwatch(), frames.shape[1:3], self.detector.config
        seen = self.whole(frames)
        watch.lap("network")
        likely, class_maps = seen.more
        strong = seen.heights > config.peak_threshold
        points = np.where(strong[..., None], seen.points, np.float32(np.nan))
        heights = np.where(strong, seen.heights, np.float32(0))
        animals = self.detector.join((points, heights, likely))
        scale = self.detector.forward.config.input_scale
        placed = to_frame(animals.points, scale, *size)
        watch.lap("joining")
        table = PeakTable(len(self.classes))
        owner = mark_nearest(seen.placed, placed[0])
        table.add(seen.placed, seen.heights[0], owner, likely=likely[0])
        maps = (
            self.whole.pack("confmaps", self.nodes, seen.maps["confmaps"]),
            self.whole.pack("classmaps", self.classes, class_maps[0]),
        )
        found = Detections(
            placed, animals.point_scores, animals.scores, animals.classes, animals.class_scores
        )
        watch.lap("packing")
        limits = {
            "peak_threshold": config.peak_threshold,
            "min_class_probability": config.min_class_probability,
            "min_points": config.min_points,
            "min_mean_confidence": config.min_mean_confidence,
            "max_instances": config.max_instances,
        }
        return Findings(found, maps, table.build(), limits=limits, seconds=watch.seconds)
