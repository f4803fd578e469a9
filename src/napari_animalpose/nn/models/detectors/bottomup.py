"""Frames to all points of all animals with one network, joined along the skeleton."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig
from napari_animalpose.nn.geometry import unscale_points
from napari_animalpose.nn.grouping import Grouping, Instances, group_peaks
from napari_animalpose.nn.heads import Detections
from napari_animalpose.nn.models.forward import Forward
from napari_animalpose.nn.models.heads.multi_instance import MultiInstanceHead

__all__ = ["BottomUpDetector"]

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
        self.max_peaks = max(model.max_peaks, 2 * config.max_instances)
        self.grouping = Grouping(
            stride=model.output_stride,
            min_line_score=config.min_line_score,
            max_edge_px=model.max_edge_px,
            max_gap_px=GAP_EDGES * model.max_edge_px,
            min_points=config.min_points,
            min_mean_height=config.min_mean_confidence,
            max_instances=config.max_instances,
        )
        self._find = self.forward.compile(self._read_maps)

    def _read_maps(self, outputs: dict[str, Any]) -> tuple[Any, Any, Any]:
        points, heights = self.head.find_peaks(
            outputs, self.threshold, self.max_peaks, self.forward.refinement
        )
        return points, heights, self.head.split_fields(outputs["pafs"])

    def start(self, frames: NDArray[np.uint8]) -> Any:
        """Send frames (B, H, W, C) to the device."""
        return frames.shape[1:3], self._find(frames)

    def finish(self, pending: Any) -> Detections:
        """Join the peaks and return the animals, those with the highest scores first."""
        (height, width), found = pending
        instances = self.join(found)
        points = unscale_points(instances.points, self.forward.config.input_scale)
        # A peak in the padding belongs to the last pixel of the frame, not beyond it.
        points = np.clip(points, -0.5, np.array([width, height]) - 0.5).astype(np.float32)
        return Detections(points, instances.point_scores, instances.scores)

    def join(self, found: tuple[Any, Any, Any], return_candidates: bool = False) -> Instances:
        """Join what `start` found, in px of the network input, on request saying why.

        Parameters
        ----------
        found : tuple of tensors
            Peaks (B, K, P, 2), their heights (B, K, P) and fields (B, h, w, E, 2).
        return_candidates : bool
            As in `grouping.group_peaks`.
        """
        points, heights, pafs = (np.asarray(part) for part in found)
        return group_peaks(
            points, heights, pafs, self.head.skeleton, self.grouping, return_candidates
        )
