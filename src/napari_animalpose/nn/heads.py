"""What networks can be asked for, by name; the parts themselves are in `nn.models.heads`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple, Protocol

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.registry import Registry

__all__ = ["HEADS", "PIPELINES", "Head", "Pipeline"]


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


class Pipeline(NamedTuple):
    """One way from frames to instances.

    heads : the networks it needs, in the order they run
    detector : ``"module:class"`` in `nn.inference` that runs them together
    """

    heads: tuple[str, ...]
    detector: str
    summary: str

    def load_detector(self) -> Any:
        """Import the detector, and keras with it."""
        module, _, name = self.detector.partition(":")
        return getattr(import_module(module), name)


PIPELINES: Registry[Pipeline] = Registry("pipeline")
PIPELINES.register(
    "single",
    Pipeline(
        ("single_instance",),
        "napari_animalpose.nn.inference:SingleDetector",
        "one animal in a frame: one confidence map a node, its highest peak",
    ),
)
