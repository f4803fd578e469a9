"""Confidence maps and part affinity fields: all points of all animals, and what joins them."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.grouping import check_joinable
from napari_animalpose.nn.models.heads.multi_peak import MultiPeakHead
from napari_animalpose.nn.targets import part_affinity_fields

__all__ = ["MultiInstanceHead"]


class MultiInstanceHead(MultiPeakHead):
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
        super().__init__(config, skeleton)

    @property
    def n_outputs(self) -> dict[str, int]:
        """Channels of each output map by name."""
        return {**super().n_outputs, "pafs": 2 * len(self.skeleton.edges)}

    def targets(
        self, xy: Any, height: int, width: int, classes: Any | None = None
    ) -> dict[str, Any]:
        """Return maps (B, h, w, K) and fields (B, h, w, 2 E) for points (B, I, K, 2)."""
        fields = part_affinity_fields(
            xy, self.skeleton.edges, height, width, self.config.output_stride,
            self.config.paf_half_width_px, xp=keras.ops,
        )  # fmt: skip
        shape = keras.ops.shape(fields)
        return {
            **super().targets(xy, height, width),
            "pafs": keras.ops.reshape(fields, (-1, *shape[1:3], 2 * shape[3])),
        }

    def loss(self, targets: dict[str, Any], outputs: dict[str, Any], weight: float) -> Any:
        """Return the squared errors of maps and fields, weighed as `paf_loss_weight` says."""
        maps = super().loss(targets, outputs, weight)
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
