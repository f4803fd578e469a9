"""Confidence maps with a peak on every point of every animal in a frame."""

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

__all__ = ["MultiPeakHead"]

CANDIDATE_HEIGHT = 0.1  # of a peak that validation counts as an answer


class MultiPeakHead(Head):
    """What the heads for many animals share: all points, whoever they belong to.

    Which points make an animal is for those who inherit from this to learn.

    Parameters
    ----------
    config : ModelConfig
    skeleton : Skeleton
        With K nodes.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None:
        self.config = config
        self.skeleton = skeleton

    @property
    def n_outputs(self) -> dict[str, int]:
        """Channels of each output map by name."""
        return {"confmaps": len(self.skeleton)}

    def targets(
        self, xy: Any, height: int, width: int, classes: Any | None = None
    ) -> dict[str, Any]:
        """Return confidence maps (B, h, w, K) for points (B, I, K, 2)."""
        stride, sigma = self.config.output_stride, self.config.sigma_px
        return {"confmaps": confidence_maps(xy, height, width, stride, sigma, xp=keras.ops)}

    def loss(self, targets: dict[str, Any], outputs: dict[str, Any], weight: float) -> Any:
        """Return the mean squared error of the maps, pixels of the animals weighing more."""
        return weighted_squared_error(targets["confmaps"], outputs["confmaps"], weight)

    def find_peaks(
        self, outputs: dict[str, Any], threshold: float, max_peaks: int, refinement: str
    ) -> tuple[Any, Any]:
        """Return up to `max_peaks` peaks of every node, highest first.

        Returns
        -------
        points : float32 tensor, shape (B, K, P, 2)
            (x, y) in px of the network input; NaN in empty slots.
        heights : float32 tensor, shape (B, K, P)
        """
        cells, heights = local_peaks(
            outputs["confmaps"], threshold, max_peaks, refinement, xp=keras.ops
        )
        return from_map(cells, self.config.output_stride), heights

    def decode(self, outputs: dict[str, Any], refinement: str) -> tuple[Any, Any]:
        """Return the peaks of each node, not joined: (B, P, K, 2) in input px and (B, P, K).

        That is what validation asks for: how far the nearest peak is from each point. An
        empty slot holds the highest place of the map with confidence 0.
        """
        points, heights = self.find_peaks(
            outputs, CANDIDATE_HEIGHT, self.config.max_peaks, refinement
        )
        highest, _ = global_peaks(outputs["confmaps"], refinement=refinement, xp=keras.ops)
        highest = from_map(highest, self.config.output_stride)[:, :, None]  # (B, K, 1, 2)
        points = keras.ops.where(heights[..., None] > 0.0, points, highest)
        return keras.ops.transpose(points, (0, 2, 1, 3)), keras.ops.transpose(heights, (0, 2, 1))
