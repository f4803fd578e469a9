"""What networks can be asked for, by name; the parts themselves are in `nn.models.heads`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.registry import Registry

__all__ = [
    "CENTRED_HEADS",
    "HEADS",
    "LANDMARKS",
    "PIPELINES",
    "Detections",
    "Detector",
    "Head",
    "Pipeline",
]


class Head(Protocol):
    """One kind of question to a network: its targets, its loss and its decoder.

    B is the batch, I the instances of a frame, K the nodes of the skeleton; all
    coordinates are (x, y) in px of the network input.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None: ...

    @property
    def n_outputs(self) -> dict[str, int]:
        """Channels of each output map by name."""
        ...

    def targets(self, xy: Any, height: int, width: int) -> dict[str, Any]:
        """Return the maps to learn for points (B, I, K, 2), each (B, h, w, channels)."""
        ...

    def loss(self, targets: dict[str, Any], outputs: dict[str, Any], weight: float) -> Any:
        """Return the scalar to minimise; `weight` is `TrainConfig.foreground_weight`."""
        ...

    def decode(self, outputs: dict[str, Any], refinement: str) -> tuple[Any, Any]:
        """Return points (B, I, K, 2) and their confidences (B, I, K)."""
        ...


HEADS: Registry[type[Head]] = Registry("head")
HEADS.register(
    "single_instance",
    "napari_animalpose.nn.models.heads.single_instance:SingleInstanceHead",
)
HEADS.register("centroid", "napari_animalpose.nn.models.heads.centroid:CentroidHead")
HEADS.register(
    "centered_instance",
    "napari_animalpose.nn.models.heads.centered_instance:CenteredInstanceHead",
)
HEADS.register(
    "multi_instance", "napari_animalpose.nn.models.heads.multi_instance:MultiInstanceHead"
)

CENTRED_HEADS = frozenset({"centered_instance"})
"""Heads of networks that look at one animal at a time, in the middle of a window."""

LANDMARKS: dict[str, Skeleton] = {"centroid": Skeleton(("centroid",))}
"""What a head finds where that is something else than the nodes of the skeleton."""


class Detections(NamedTuple):
    """Instances found in a batch of B frames; NaN pads frames with fewer than I.

    points : float32 (B, I, K, 2), (x, y) in px of the frame
    point_scores : float32 (B, I, K), confidences
    scores : float32 (B, I) of the instances, or None for the mean of their points'
    """

    points: NDArray[np.float32]
    point_scores: NDArray[np.float32]
    scores: NDArray[np.float32] | None = None


class Detector(Protocol):
    """A pipeline's networks put to work together."""

    def start(self, frames: NDArray[np.uint8]) -> Any:
        """Send frames (B, H, W, C) to the device and return what `finish` waits for."""
        ...

    def finish(self, pending: Any) -> Detections:
        """Wait for the device and return the instances."""
        ...


class Pipeline(NamedTuple):
    """One way from frames to instances.

    heads : the networks it needs, in the order they run
    detector : ``"module:class"`` of the `Detector`, called with the networks and a PredictConfig
    shares : of the training time, for each of the heads; none means the same for all
    """

    heads: tuple[str, ...]
    detector: str
    summary: str
    shares: tuple[float, ...] = ()

    def share_of_rest(self, head: str) -> float:
        """Return which part of the time that is left is for a head: the last has it all."""
        shares = self.shares or (1.0,) * len(self.heads)
        rest = shares[self.heads.index(head) :]
        return rest[0] / sum(rest)

    def load_detector(self) -> Any:
        """Import the detector, and keras with it."""
        module, _, name = self.detector.partition(":")
        return getattr(import_module(module), name)


PIPELINES: Registry[Pipeline] = Registry("pipeline")
PIPELINES.register(
    "single",
    Pipeline(
        ("single_instance",),
        "napari_animalpose.nn.models.detectors.single:SingleDetector",
        "one animal in a frame: one confidence map a node, its highest peak",
    ),
)
PIPELINES.register(
    "topdown",
    Pipeline(
        ("centroid", "centered_instance"),
        "napari_animalpose.nn.models.detectors.topdown:TopDownDetector",
        "several animals: each is found in a small copy of the frame, then looked at closely",
        (0.25, 0.75),
    ),
)
PIPELINES.register(
    "bottomup",
    Pipeline(
        ("multi_instance",),
        "napari_animalpose.nn.models.detectors.bottomup:BottomUpDetector",
        "several animals: all points are found at once and joined along the skeleton",
    ),
)
