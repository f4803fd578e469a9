"""Where the animals are: one confidence map with a peak on each of them."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.anchors import anchor_index, locate_anchors
from napari_animalpose.nn.geometry import from_map
from napari_animalpose.nn.heads import Head
from napari_animalpose.nn.models.losses import weighted_squared_error
from napari_animalpose.nn.peaks import local_peaks
from napari_animalpose.nn.targets import confidence_maps

__all__ = ["MAX_CENTROIDS", "CentroidHead", "anchor_index", "locate_anchors"]

MAX_CENTROIDS = 64  # slots for animals in a frame; `GrowingPeaks` makes more where needed
FLOOR = 0.05  # lower peaks are never looked at; `PredictConfig.peak_threshold` is above it


class CentroidHead(Head):
    """Finds all animals of a frame as one point each.

    Parameters
    ----------
    config : ModelConfig
    skeleton : Skeleton

    Raises
    ------
    DataError
        If the skeleton lacks the anchor node of the configuration.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None:
        self.config = config
        self.anchor = anchor_index(config, skeleton)

    @property
    def n_outputs(self) -> dict[str, int]:
        """Channels of each output map by name."""
        return {"centroids": 1}

    def targets(
        self, xy: Any, height: int, width: int, classes: Any | None = None
    ) -> dict[str, Any]:
        """Return one map (B, h, w, 1) with a bump on every animal of (B, I, K, 2)."""
        places = locate_anchors(xy, self.anchor, keras.ops)[..., None, :]  # (B, I, 1, 2)
        stride, sigma = self.config.output_stride, self.config.sigma_px
        return {"centroids": confidence_maps(places, height, width, stride, sigma, xp=keras.ops)}

    def loss(self, targets: dict[str, Any], outputs: dict[str, Any], weight: float) -> Any:
        """Return the mean squared error, pixels of the animals weighing more."""
        return weighted_squared_error(targets["centroids"], outputs["centroids"], weight)

    def decode(self, outputs: dict[str, Any], refinement: str) -> tuple[Any, Any]:
        """Return points (B, P, 1, 2) in input px and confidences (B, P, 1), highest first.

        P is `MAX_CENTROIDS`; free slots have NaN points and confidence 0.
        """
        points, values = self.find_places(outputs, MAX_CENTROIDS, refinement)
        return points[:, 0, :, None], values[:, 0, :, None]

    def find_peaks(
        self, outputs: dict[str, Any], threshold: float, max_peaks: int, refinement: str
    ) -> tuple[Any, Any]:
        """Return points (B, 1, P, 2) and heights (B, 1, P); a threshold up to `FLOOR` is that."""
        points, heights = self.find_places(outputs, max_peaks, refinement)
        return points, keras.ops.where(heights > threshold, heights, keras.ops.zeros_like(heights))

    def find_places(
        self, outputs: dict[str, Any], max_places: int, refinement: str
    ) -> tuple[Any, Any]:
        """Return points (B, 1, P, 2) in input px and confidences (B, 1, P), highest first."""
        cells, values = local_peaks(
            outputs["centroids"], FLOOR, max_places, refinement, xp=keras.ops
        )
        return from_map(cells, self.config.output_stride), values
