"""Frames to all points of all animals with one network, joined by whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig
from napari_animalpose.nn.heads import Detections
from napari_animalpose.nn.identity import ClassInstances, group_by_class
from napari_animalpose.nn.inspection import Inspector
from napari_animalpose.nn.models.detectors.bottomup import MOST_PEAKS
from napari_animalpose.nn.models.detectors.growing import GrowingPeaks
from napari_animalpose.nn.models.forward import Forward, to_frame
from napari_animalpose.nn.models.heads.multi_instance_id import MultiInstanceIdHead

__all__ = ["BottomUpIdDetector"]


class BottomUpIdDetector:
    """The pipeline "bottomup-id": peaks and whose they are on the device, then grouping.

    Parameters
    ----------
    forwards : mapping of str to Forward
        The network "multi_instance_id".
    config : PredictConfig
    """

    def __init__(self, forwards: Mapping[str, Forward], config: PredictConfig) -> None:
        self.forward = forwards["multi_instance_id"]
        head = self.forward.head
        if not isinstance(head, MultiInstanceIdHead):
            raise TypeError(f"Expected a MultiInstanceIdHead; received {type(head).__name__}.")
        self.head = head
        self.config = config
        self._peaks = GrowingPeaks(
            self.forward, self._read_maps, config.peak_threshold, self.forward.config.max_peaks,
            MOST_PEAKS,
        )  # fmt: skip

    def _read_maps(self, outputs: dict[str, Any], slots: int) -> tuple[Any, Any, Any]:
        points, heights = self.head.find_peaks(
            outputs, self.config.peak_threshold, slots, self.forward.refinement
        )
        return points, heights, self.head.probabilities_at(outputs, points)

    def make_inspector(self) -> Inspector:
        """Return what looks into the network."""
        from napari_animalpose.nn.models.inspectors.bottomup_id import BottomUpIdInspector

        return BottomUpIdInspector(self)

    def start(self, frames: NDArray[np.uint8]) -> Any:
        """Send frames (B, H, W, C) to the device."""
        return frames.shape[1:3], self._peaks.start(frames)

    def finish(self, pending: Any) -> Detections:
        """Return one animal for each identity that was found, in the order of the classes."""
        (height, width), asked = pending
        found, crowded = self._peaks.finish(asked)
        instances = self.join(found)
        scale = self.forward.config.input_scale
        return Detections(
            to_frame(instances.points, scale, height, width),
            instances.point_scores,
            instances.scores,
            instances.classes,
            instances.class_scores,
            crowded,
        )

    def join(self, found: tuple[NDArray[Any], ...]) -> ClassInstances:
        """Give each identity its peaks.

        Parameters
        ----------
        found : tuple of arrays
            Peaks (B, K, P, 2), their heights (B, K, P) and probabilities (B, K, P, C).
        """
        points, heights, probabilities = found
        return group_by_class(
            points, heights, probabilities,
            least=self.config.min_class_probability,
            reach=self.forward.config.max_reach_px,
            min_points=self.config.min_points,
            min_mean_height=self.config.min_mean_confidence,
            max_instances=self.config.max_instances,
        )  # fmt: skip
