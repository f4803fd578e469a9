"""Looks into what only SLEAP has: a centroid model alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.nn.inspection import NONE, Findings
from napari_animalpose.nn.models.inspectors.base import PeakTable, Stopwatch, WholeFrame

if TYPE_CHECKING:
    from napari_animalpose.nn.legacy.detectors import CentroidDetector

__all__ = ["CentroidInspector"]


class CentroidInspector:
    """The centroid map and its peaks, each an animal of one point.

    Parameters
    ----------
    detector : CentroidDetector
    """

    def __init__(self, detector: CentroidDetector) -> None:
        self.detector = detector
        self.whole = WholeFrame(detector.forward, detector.config.peak_threshold)

    def __call__(self, frames: NDArray[np.uint8]) -> Findings:
        """Return what is found in one frame (1, H, W, C)."""
        watch, threshold = Stopwatch(), self.detector.config.peak_threshold
        seen = self.whole(frames)
        watch.lap("network")
        heights = seen.heights[0]  # (1, P)
        points = np.swapaxes(seen.placed, 0, 1)[None]  # (1, P, 1, 2)
        found = self.detector.finish((points, heights[:, :, None]))
        slots = np.arange(heights.shape[1])
        used = (heights >= threshold) & (heights > 0) & (slots < found.points.shape[1])
        table = PeakTable()
        table.add(seen.placed, heights, np.where(used, slots, NONE).astype(np.int32))
        maps = self.whole.pack("centroids", ("centroid",), seen.maps["centroids"])
        watch.lap("packing")
        limits = {
            "peak_threshold": threshold,
            "max_instances": self.detector.config.max_instances,
        }
        return Findings(found, (maps,), table.build(), limits=limits, seconds=watch.seconds)
