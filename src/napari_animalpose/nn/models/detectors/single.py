"""Frames to one instance each with one network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig
from napari_animalpose.nn.heads import Detections
from napari_animalpose.nn.inspection import Inspector
from napari_animalpose.nn.models.forward import Forward

__all__ = ["SingleDetector"]


class SingleDetector:
    """The pipeline "single": the points of one network are the animal, if there is one.

    Every map has a highest point, also that of an empty frame. As where points are joined,
    an animal whose points have too low a mean confidence is none.
    """

    def __init__(self, forwards: Mapping[str, Forward], config: PredictConfig) -> None:
        self.forward = forwards["single_instance"]
        self.config = config

    def start(self, frames: NDArray[np.uint8]) -> Any:
        """Send frames (B, H, W, C) to the device."""
        return self.forward.points(frames)

    def make_inspector(self) -> Inspector:
        """Return what looks into the network."""
        from napari_animalpose.nn.models.inspectors.single import SingleInspector

        return SingleInspector(self)

    def finish(self, pending: Any) -> Detections:
        """Return at most one instance a frame."""
        points, scores = (np.asarray(part) for part in pending)  # (B, 1, K, 2), (B, 1, K)
        placed = scores >= self.config.peak_threshold
        mean = np.where(placed, scores, 0.0).sum(axis=2) / np.maximum(placed.sum(axis=2), 1)
        there = mean >= self.config.min_mean_confidence  # (B, 1)
        return Detections(
            np.where(there[..., None, None], points, np.float32(np.nan)),
            np.where(there[..., None], scores, np.float32(np.nan)),
        )
