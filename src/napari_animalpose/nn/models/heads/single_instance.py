"""One confidence map a node; its highest peak is the point."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.geometry import from_map
from napari_animalpose.nn.heads import Head
from napari_animalpose.nn.models.losses import weighted_squared_error
from napari_animalpose.nn.peaks import global_peaks, local_peaks
from napari_animalpose.nn.targets import confidence_maps

__all__ = ["SingleInstanceHead"]


class SingleInstanceHead(Head):
    """Finds one animal in a frame: K maps, one global peak in each.

    Parameters
    ----------
    config : ModelConfig
    skeleton : Skeleton
        With K nodes.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None:
        self.config = config
        self.skeleton = skeleton
        self.n_nodes = len(skeleton)

    @property
    def n_outputs(self) -> dict[str, int]:
        """Channels of each output map by name."""
        return {"confmaps": self.n_nodes}

    def targets(
        self, xy: Any, height: int, width: int, classes: Any | None = None
    ) -> dict[str, Any]:
        """Return confidence maps (B, h, w, K) for points (B, I, K, 2)."""
        stride, sigma = self.config.output_stride, self.config.sigma_px
        return {"confmaps": confidence_maps(xy, height, width, stride, sigma, xp=keras.ops)}

    def loss(self, targets: dict[str, Any], outputs: dict[str, Any], weight: float) -> Any:
        """Return the mean squared error, pixels of the animal weighing more."""
        return weighted_squared_error(targets["confmaps"], outputs["confmaps"], weight)

    def find_peaks(
        self, outputs: dict[str, Any], threshold: float, max_peaks: int, refinement: str
    ) -> tuple[Any, Any]:
        """Return all peaks, highest first: (B, K, P, 2) in input px, NaN = none, and (B, K, P)."""
        cells, heights = local_peaks(
            outputs["confmaps"], threshold, max_peaks, refinement, xp=keras.ops
        )
        return from_map(cells, self.config.output_stride), heights

    def decode(self, outputs: dict[str, Any], refinement: str) -> tuple[Any, Any]:
        """Return points (B, 1, K, 2) in input px and confidences (B, 1, K)."""
        cells, values = global_peaks(outputs["confmaps"], refinement=refinement, xp=keras.ops)
        points = from_map(cells, self.config.output_stride)  # (B, K, 2)
        return points[:, None], values[:, None]
