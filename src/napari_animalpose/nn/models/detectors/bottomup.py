"""Frames to all points of all animals with one network, joined along the skeleton."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig
from napari_animalpose.nn.grouping import Grouping, Instances, group_peaks
from napari_animalpose.nn.heads import Detections
from napari_animalpose.nn.inspection import Inspector
from napari_animalpose.nn.models.detectors.growing import GrowingPeaks
from napari_animalpose.nn.models.forward import Forward, to_frame
from napari_animalpose.nn.models.heads.multi_instance import MultiInstanceHead

__all__ = ["BottomUpDetector"]

MOST_PEAKS = 128  # of a node in a frame: the work of joining grows with their square
GHOST_SIGMAS = 1.5  # of a confidence map: how far apart two peaks of one place can be
GAP_EDGES = 1.5  # longest edges that a missing node may hold two parts of an animal apart


class BottomUpDetector:
    """The pipeline "bottomup": peaks and fields on the device, grouping on the processor.

    Parameters
    ----------
    forwards : mapping of str to Forward
    config : PredictConfig
    """

    def __init__(self, forwards: Mapping[str, Forward], config: PredictConfig) -> None:
        self.forward = forwards["multi_instance"]
        head = self.forward.head
        if not isinstance(head, MultiInstanceHead):
            raise TypeError(f"Expected a MultiInstanceHead; received {type(head).__name__}.")
        self.head = head
        model = self.forward.config
        self.threshold = config.peak_threshold
        slots = max(model.max_peaks, 2 * config.max_instances)
        self.grouping = Grouping(
            stride=model.output_stride,
            min_line_score=config.min_line_score,
            max_edge_px=model.max_edge_px,
            max_gap_px=GAP_EDGES * model.max_edge_px,
            min_points=config.min_points,
            min_mean_height=config.min_mean_confidence,
            min_score=config.min_instance_score,
            ghost_px=GHOST_SIGMAS * model.sigma_px,
            max_instances=config.max_instances,
        )
        self._peaks = GrowingPeaks(self.forward, self._read_maps, self.threshold, slots, MOST_PEAKS)

    def _read_maps(self, outputs: dict[str, Any], slots: int) -> tuple[Any, Any, Any]:
        points, heights = self.head.find_peaks(
            outputs, self.threshold, slots, self.forward.refinement
        )
        return points, heights, self.head.split_fields(outputs["pafs"])

    def make_inspector(self) -> Inspector:
        """Return what looks into the network."""
        from napari_animalpose.nn.models.inspectors.bottomup import BottomUpInspector

        return BottomUpInspector(self)

    def start(self, frames: NDArray[np.uint8]) -> Any:
        """Send frames (B, H, W, C) to the device."""
        return frames.shape[1:3], self._peaks.start(frames)

    def finish(self, pending: Any) -> Detections:
        """Join the peaks and return the animals, those with the highest scores first."""
        (height, width), _ = pending
        found, crowded = self.wait(pending)
        instances = self.join(found)
        points = to_frame(instances.points, self.forward.config.input_scale, height, width)
        return Detections(points, instances.point_scores, instances.scores, crowded=crowded)

    def wait(self, pending: Any) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """Return what `join` takes, and which frames (B,) have more peaks than fit in it."""
        return self._peaks.finish(pending[1])

    def join(self, found: tuple[NDArray[Any], ...], return_candidates: bool = False) -> Instances:
        """Join what `wait` found, in its own px, on request saying why.

        Parameters
        ----------
        found : tuple of arrays
            Peaks (B, K, P, 2), their heights (B, K, P) and fields (B, h, w, E, 2).
        return_candidates : bool
            As in `grouping.group_peaks`.
        """
        points, heights, pafs = found
        instances = group_peaks(
            points * self.point_scale, heights, pafs, self.head.skeleton,
            self.choose_grouping(pafs), return_candidates,
        )  # fmt: skip
        return instances._replace(points=instances.points / self.point_scale)

    @property
    def point_scale(self) -> np.float32:
        """Input px for each px of the points that the network gives."""
        return np.float32(1.0)

    def choose_grouping(self, pafs: NDArray[Any]) -> Grouping:
        """Return how peaks are joined with fields (B, h, w, E, 2)."""
        return self.grouping
