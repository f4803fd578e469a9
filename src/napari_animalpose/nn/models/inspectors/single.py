"""Looks into the network of the pipeline "single"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.nn.inspection import Findings
from napari_animalpose.nn.models.forward import to_frame
from napari_animalpose.nn.models.inspectors.base import (
    PeakTable,
    Stopwatch,
    WholeFrame,
    mark_nearest,
)

if TYPE_CHECKING:
    from napari_animalpose.nn.models.detectors.single import SingleDetector

__all__ = ["SingleInspector"]


class SingleInspector:
    """Confidence maps and all of their peaks, of which the highest are the animal.

    Parameters
    ----------
    detector : SingleDetector
    """

    def __init__(self, detector: SingleDetector) -> None:
        self.detector = detector
        head: Any = detector.forward.head
        self.nodes: tuple[str, ...] = head.skeleton.nodes
        self.whole = WholeFrame(detector.forward, detector.config.peak_threshold, self._decode)

    def _decode(self, outputs: dict[str, Any], _: Any) -> tuple[Any, ...]:
        points, scores = self.detector.forward.head.decode(
            outputs, self.detector.forward.refinement
        )
        return points, scores

    def __call__(self, frames: NDArray[np.uint8]) -> Findings:
        """Return what is found in one frame (1, H, W, C)."""
        watch, size, config = Stopwatch(), frames.shape[1:3], self.detector.config
        seen = self.whole(frames)
        watch.lap("network")
        points, scores = seen.more
        scale = self.detector.forward.config.input_scale
        found = self.detector.finish((to_frame(points, scale, *size), scores))
        known = found.point_scores[0] >= config.peak_threshold  # (1, K), false for NaN
        animals = np.where(known[..., None], found.points[0], np.float32(np.nan))
        table = PeakTable()
        table.add(seen.placed, seen.heights[0], mark_nearest(seen.placed, animals))
        maps = self.whole.pack("confmaps", self.nodes, seen.maps["confmaps"])
        watch.lap("packing")
        limits = {
            "peak_threshold": config.peak_threshold,
            "min_mean_confidence": config.min_mean_confidence,
        }
        return Findings(found, (maps,), table.build(), limits=limits, seconds=watch.seconds)
