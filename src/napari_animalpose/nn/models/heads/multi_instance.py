"""Confidence maps and part affinity fields: all points of all animals, and what joins them."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.geometry import from_map
from napari_animalpose.nn.grouping import check_joinable
from napari_animalpose.nn.models.losses import weighted_squared_error
from napari_animalpose.nn.peaks import global_peaks, local_peaks
from napari_animalpose.nn.targets import confidence_maps, part_affinity_fields

__all__ = ["MultiInstanceHead"]

CANDIDATE_HEIGHT = 0.1  # of a peak that validation counts as an answer


class MultiInstanceHead:
    """Finds the points of any number of animals, K maps and a field for each of E edges.

    Both have the output stride of the configuration. Coarser fields would save memory and
    hardly any time: drawing, learning and comparing them takes a sixth of a training step
    (13 nodes, 12 edges, windows of 128 px at stride 2).

    Parameters
    ----------
    config : ModelConfig
    skeleton : Skeleton
        A forest with K nodes and E >= 1 edges.

    Raises
    ------
    DataError
        If the skeleton has no edge, a node with two parents or a cycle.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None:
        check_joinable(skeleton)
        self.config = config
        self.skeleton = skeleton

    @property
    def n_outputs(self) -> dict[str, int]:
        """Channels of each output map by name."""
        return {"confmaps": len(self.skeleton), "pafs": 2 * len(self.skeleton.edges)}

    def targets(self, xy: Any, height: int, width: int) -> dict[str, Any]:
        """Return maps (B, h, w, K) and fields (B, h, w, 2 E) for points (B, I, K, 2)."""
        stride = self.config.output_stride
        maps = confidence_maps(xy, height, width, stride, self.config.sigma_px, xp=keras.ops)
        fields = part_affinity_fields(
            xy, self.skeleton.edges, height, width, stride, self.config.paf_half_width_px,
            xp=keras.ops,
        )  # fmt: skip
        shape = keras.ops.shape(fields)
        return {
            "confmaps": maps,
            "pafs": keras.ops.reshape(fields, (-1, *shape[1:3], 2 * shape[3])),
        }

    def loss(self, targets: dict[str, Any], outputs: dict[str, Any], weight: float) -> Any:
        """Return the squared errors of maps and fields, weighed as `paf_loss_weight` says."""
        maps = weighted_squared_error(targets["confmaps"], outputs["confmaps"], weight)
        target = self.split_fields(targets["pafs"])  # (B, h, w, E, 2)
        difference = self.split_fields(outputs["pafs"]) - target
        length = keras.ops.sqrt(keras.ops.sum(target * target, axis=-1))  # (B, h, w, E)
        squared = keras.ops.sum(difference * difference, axis=-1)
        fields = 0.5 * keras.ops.mean((1.0 + weight * length) * squared)
        return maps + self.config.paf_loss_weight * fields

    def split_fields(self, pafs: Any) -> Any:
        """Return fields (B, h, w, 2 E) as (B, h, w, E, 2)."""
        _, height, width, channels = keras.ops.shape(pafs)
        return keras.ops.reshape(pafs, (-1, height, width, channels // 2, 2))

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
