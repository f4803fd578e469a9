"""Detectors that differ from those of our own networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig
from napari_animalpose.nn.grouping import Grouping
from napari_animalpose.nn.heads import Detections
from napari_animalpose.nn.inspection import Inspector
from napari_animalpose.nn.legacy.forward import SleapForward
from napari_animalpose.nn.models.detectors.bottomup import BottomUpDetector
from napari_animalpose.nn.models.detectors.topdown import Candidates, TopDownDetector
from napari_animalpose.nn.models.forward import Forward
from napari_animalpose.nn.models.heads.centroid import MAX_CENTROIDS
from napari_animalpose.nn.models.inspectors.topdown import TopDownInspector

__all__ = ["AnchoredDetector", "Anchors", "CentroidDetector", "SleapBottomUpDetector"]

EDGE_RATIO = 0.25  # longest edge over the longer side of the frame, as in SLEAP


class CentroidDetector:
    """A centroid network alone: animals of one point.

    Parameters
    ----------
    forwards : mapping of str to Forward
    config : PredictConfig
    """

    def __init__(self, forwards: Mapping[str, Forward], config: PredictConfig) -> None:
        self.forward = forwards["centroid"]
        self.config = config

    def start(self, frames: NDArray[np.uint8]) -> Any:
        """Send frames (B, H, W, C) to the device."""
        return self.forward.points(frames)

    def make_inspector(self) -> Inspector:
        """Return what looks into the network."""
        from napari_animalpose.nn.legacy.inspectors import CentroidInspector

        return CentroidInspector(self)

    def finish(self, pending: Any) -> Detections:
        """Return one instance for each peak, highest first."""
        points, scores = (np.asarray(part) for part in pending)  # (B, P, 1, 2), (B, P, 1)
        most = self.config.max_instances or MAX_CENTROIDS
        return Detections(points[:, :most], scores[:, :most])


class Anchors:
    """Where the animals of the next batch are, said by a person."""

    def __init__(self) -> None:
        self._places: list[NDArray[np.float32]] = []

    def set(self, places: list[NDArray[np.float32]]) -> None:
        """Take the anchors (I, 2) in px of each frame of the batch that comes next."""
        self._places = places

    def get(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the numbers of frames (N,), ascending, and the anchors (N, 2) in px."""
        counts = [len(places) for places in self._places]
        together = np.concatenate([np.zeros((0, 2), np.float32), *self._places])
        return np.repeat(np.arange(len(counts), dtype=np.int32), counts), together


class AnchoredDetector(TopDownDetector):
    """A centred network alone, in windows around given anchors.

    Parameters
    ----------
    forwards : mapping of str to Forward
    config : PredictConfig
    anchors : Anchors
    """

    def __init__(
        self, forwards: Mapping[str, Forward], config: PredictConfig, anchors: Anchors
    ) -> None:
        (only,) = forwards.values()
        super().__init__({"centroid": only, **forwards}, config)  # never asked for centroids
        self.anchors, self.min_score = anchors, 0.0  # there is an animal: a person says so

    def make_inspector(self) -> Inspector:
        """Return what looks into the network; places are given, not found."""
        return TopDownInspector(self, finds_places=False)

    def find_places(self, frames: Any) -> Candidates:
        """Return the anchors of frames (B, H, W, C), all of confidence 1."""
        numbers, places = self.anchors.get()
        certain = np.ones(len(places), np.float32)
        return Candidates(numbers, places, certain, np.zeros(len(frames), bool))


class SleapBottomUpDetector(BottomUpDetector):
    """Joins points with fields that have a stride of their own.

    Edges longer than a quarter of the frame need better evidence, as in SLEAP, because
    its models do not say how long an edge may be.
    """

    forward: SleapForward

    @property
    def point_scale(self) -> np.float32:
        """Input px for each px of the points, which are px of the frame."""
        return np.float32(self.forward.description.input_scale)

    def choose_grouping(self, pafs: NDArray[Any]) -> Grouping:
        """Return how peaks are joined with fields (B, h, w, E, 2)."""
        stride = self.forward.description.strides["pafs"]
        longest = EDGE_RATIO * max(pafs.shape[1:3]) * stride
        return replace(self.grouping, stride=stride, max_edge_px=longest)
