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

    B is the batch, I the instances of a frame, K the nodes of the skeleton, C the
    identities that the head tells apart; all coordinates are (x, y) in px of the network
    input. Heads inherit from this: what most of them answer alike is answered here.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None: ...

    @property
    def n_outputs(self) -> dict[str, int]:
        """Channels of each output map by name."""
        ...

    @property
    def n_vectors(self) -> dict[str, int]:
        """Lengths of the outputs that are one vector for a whole window, by name."""
        return {}

    def targets(
        self, xy: Any, height: int, width: int, classes: Any | None = None
    ) -> dict[str, Any]:
        """Return what to learn for points (B, I, K, 2).

        Maps (B, h, w, channels) and, of `n_vectors`, vectors (B, length). `classes` are
        the numbers (B, I) of the instances' identities, -1 where it is not known, and None
        where it is known of none.
        """
        ...

    def loss(self, targets: dict[str, Any], outputs: dict[str, Any], weight: float) -> Any:
        """Return the scalar to minimise; `weight` is `TrainConfig.foreground_weight`."""
        ...

    def decode(self, outputs: dict[str, Any], refinement: str) -> tuple[Any, Any]:
        """Return points (B, I, K, 2) and their confidences (B, I, K)."""
        ...

    def identify(self, outputs: dict[str, Any], xy: Any) -> Any:
        """Return the probabilities (B, I, C) of each identity for the instances at `xy`.

        C is 0 for a head that tells no identities. `xy` are points (B, I, K, 2); NaN =
        missing.
        """
        return xy[..., 0, :0]


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

HEADS.register(
    "centered_instance_id",
    "napari_animalpose.nn.models.heads.centered_instance_id:CenteredInstanceIdHead",
)
HEADS.register(
    "multi_instance_id",
    "napari_animalpose.nn.models.heads.multi_instance_id:MultiInstanceIdHead",
)

CENTRED_HEADS = frozenset({"centered_instance", "centered_instance_id"})
"""Heads of networks that look at one animal at a time, in the middle of a window."""

LANDMARKS: dict[str, Skeleton] = {"centroid": Skeleton(("centroid",))}
"""What a head finds where that is something else than the nodes of the skeleton."""


class Detections(NamedTuple):
    """Instances found in a batch of B frames; NaN pads frames with fewer than I.

    points : float32 (B, I, K, 2), (x, y) in px of the frame
    point_scores : float32 (B, I, K), confidences
    scores : float32 (B, I) of the instances, or None for the mean of their points'
    classes : int32 (B, I), number of the identity or -1, or None where all have none
    class_scores : float32 (B, I), probability of the identity, or None
    crowded : bool (B,), frames that may hold more than could be kept; None for no frame
    """

    points: NDArray[np.float32]
    point_scores: NDArray[np.float32]
    scores: NDArray[np.float32] | None = None
    classes: NDArray[np.int32] | None = None
    class_scores: NDArray[np.float32] | None = None
    crowded: NDArray[np.bool_] | None = None


class Detector(Protocol):
    """A pipeline's networks put to work together."""

    def start(self, frames: NDArray[np.uint8]) -> Any:
        """Send frames (B, H, W, C) to the device and return what `finish` waits for."""
        ...

    def finish(self, pending: Any) -> Detections:
        """Wait for the device and return the instances."""
        ...

    def make_inspector(self) -> Any:
        """Return the `nn.inspection.Inspector` that says why `finish` returns what it does."""
        ...


class Pipeline(NamedTuple):
    """One way from frames to instances.

    heads : the networks it needs, in the order they run
    detector : ``"module:class"`` of the `Detector`, called with the networks and a PredictConfig
    shares : of the training time, for each of the heads; none means the same for all
    identifies : whether instances come out with the identities of the labels' tracks
    """

    heads: tuple[str, ...]
    detector: str
    summary: str
    shares: tuple[float, ...] = ()
    identifies: bool = False

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
PIPELINES.register(
    "topdown-id",
    Pipeline(
        ("centroid", "centered_instance_id"),
        "napari_animalpose.nn.models.detectors.topdown:TopDownDetector",
        "as topdown, for animals that look different: each look also tells which one it is",
        (0.25, 0.75),
        identifies=True,
    ),
)
PIPELINES.register(
    "bottomup-id",
    Pipeline(
        ("multi_instance_id",),
        "napari_animalpose.nn.models.detectors.bottomup_id:BottomUpIdDetector",
        "for animals that look different: points are found at once and joined by whose they are",
        identifies=True,
    ),
)
