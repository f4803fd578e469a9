"""Frames to one instance each with one network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig
from napari_animalpose.nn.heads import Detections
from napari_animalpose.nn.models.forward import Forward

__all__ = ["SingleDetector"]


class SingleDetector:
    """The pipeline "single": the points of one network are the animal."""

    def __init__(self, forwards: Mapping[str, Forward], config: PredictConfig) -> None:
        self.forward = forwards["single_instance"]

    def start(self, frames: NDArray[np.uint8]) -> Any:
        """Send frames (B, H, W, C) to the device."""
        return self.forward.points(frames)

    def finish(self, pending: Any) -> Detections:
        """Return one instance a frame."""
        points, scores = (np.asarray(part) for part in pending)
        return Detections(points, scores)
