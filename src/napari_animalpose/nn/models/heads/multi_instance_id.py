"""Confidence maps and class maps: all points of all animals, and whose they are."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.class_targets import class_maps
from napari_animalpose.nn.models.heads.classes import check_classes
from napari_animalpose.nn.models.heads.multi_peak import MultiPeakHead
from napari_animalpose.nn.models.losses import class_cross_entropy

__all__ = ["MultiInstanceIdHead"]


class MultiInstanceIdHead(MultiPeakHead):
    """Finds the points of C animals that look different, and whose each of them is.

    The multi-class bottom-up model of SLEAP (Pereira et al., Nature Methods 2022), with
    one change: the class maps of a cell are not C independent sigmoids that also say
    whether there is an animal, which the confidence maps do already, but one softmax over
    the identities, learned where animals are (see `nn.class_targets.class_maps`).

    Parameters
    ----------
    config : ModelConfig
        With C >= 2 classes.
    skeleton : Skeleton
        With K nodes; edges are not needed.

    Raises
    ------
    ConfigError
        With fewer than two classes.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        check_classes(config, "multi_instance_id")

    @property
    def n_outputs(self) -> dict[str, int]:
        """Channels of each output map by name."""
        return {**super().n_outputs, "classmaps": len(self.config.classes)}

    def targets(
        self, xy: Any, height: int, width: int, classes: Any | None = None
    ) -> dict[str, Any]:
        """Return maps (B, h, w, K) and (B, h, w, C), and the weights (B, h, w) of the latter."""
        if classes is None:
            classes = keras.ops.full(keras.ops.shape(xy)[:2], -1, "int32")
        shares, weights = class_maps(
            xy, classes, len(self.config.classes), height, width, self.config.output_stride,
            self.config.sigma_px, xp=keras.ops,
        )  # fmt: skip
        maps = super().targets(xy, height, width)
        return {**maps, "classmaps": shares, "class_weights": weights}

    def loss(self, targets: dict[str, Any], outputs: dict[str, Any], weight: float) -> Any:
        """Return the squared error of the maps and the cross-entropy where animals are."""
        error = class_cross_entropy(
            targets["classmaps"], outputs["classmaps"], targets["class_weights"]
        )
        return super().loss(targets, outputs, weight) + self.config.class_loss_weight * error

    def read_class_maps(self, outputs: dict[str, Any]) -> Any:
        """Return the probability (B, h, w, C) of each identity in every cell."""
        return keras.ops.softmax(outputs["classmaps"], axis=-1)

    def probabilities_at(self, outputs: dict[str, Any], xy: Any) -> Any:
        """Return the probabilities (B, ..., C) of each identity at points (B, ..., 2).

        Those of the nearest cell; NaN where a point is.
        """
        ops = keras.ops
        logits = outputs["classmaps"]
        _, height, width, n_classes = ops.shape(logits)
        known = ops.logical_not(ops.any(ops.isnan(xy), axis=-1, keepdims=True))
        cells = ops.where(known, xy, ops.zeros_like(xy)) / float(self.config.output_stride)
        cells = ops.cast(ops.round(cells), "int32")
        columns = ops.clip(cells[..., 0], 0, width - 1)
        rows = ops.clip(cells[..., 1], 0, height - 1)
        flat = ops.reshape(logits, (-1, height * width, n_classes))
        places = ops.reshape(rows * width + columns, (ops.shape(flat)[0], -1, 1))
        found = ops.softmax(ops.take_along_axis(flat, places, axis=1), axis=-1)
        found = ops.reshape(found, (*ops.shape(xy)[:-1], n_classes))
        return ops.where(known, found, ops.full_like(found, float("nan")))

    def identify(self, outputs: dict[str, Any], xy: Any) -> Any:
        """Return the probabilities (B, I, C) of each identity for instances (B, I, K, 2).

        The mean over an instance's points; 0 for one without any.
        """
        ops = keras.ops
        found = self.probabilities_at(outputs, xy)  # (B, I, K, C)
        known = ops.logical_not(ops.isnan(found))
        total = ops.sum(ops.where(known, found, ops.zeros_like(found)), axis=2)
        count = ops.sum(ops.cast(known, total.dtype), axis=2)
        return total / ops.maximum(count, 1.0)
