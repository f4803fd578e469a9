"""The points of the animal in the middle of a window, and which animal it is."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.models.heads.centered_instance import CenteredInstanceHead
from napari_animalpose.nn.models.heads.classes import check_classes
from napari_animalpose.nn.models.losses import class_cross_entropy

__all__ = ["CenteredInstanceIdHead"]


class CenteredInstanceIdHead(CenteredInstanceHead):
    """Finds the points of the centred animal and the probabilities of its identities.

    The multi-class top-down model of SLEAP (Pereira et al., Nature Methods 2022): beside
    the confidence maps a vector of C numbers, whose softmax are the probabilities.

    Parameters
    ----------
    config : ModelConfig
        With C >= 2 classes and a crop size.
    skeleton : Skeleton

    Raises
    ------
    ConfigError
        Without a crop size, or with fewer than two classes.
    DataError
        If the skeleton lacks the anchor node of the configuration.
    """

    name = "centered_instance_id"

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        check_classes(config, self.name)

    @property
    def n_vectors(self) -> dict[str, int]:
        """Lengths of the outputs that are one vector for a whole window, by name."""
        return {"classes": len(self.config.classes)}

    def targets(
        self, xy: Any, height: int, width: int, classes: Any | None = None
    ) -> dict[str, Any]:
        """Return maps (B, h, w, K) for points (B, 1, K, 2), and classes (B, C) for (B, 1).

        The row of an instance whose class is -1, which is not known, is all zeros.
        """
        if classes is None:
            classes = keras.ops.full(keras.ops.shape(xy)[:2], -1, "int32")
        one_hot = keras.ops.one_hot(classes[:, 0], len(self.config.classes), dtype="float32")
        return {**super().targets(xy, height, width), "classes": one_hot}

    def loss(self, targets: dict[str, Any], outputs: dict[str, Any], weight: float) -> Any:
        """Return the squared error of the maps and the cross-entropy of known classes."""
        known = keras.ops.sum(targets["classes"], axis=-1)  # (B,), 0 or 1
        error = class_cross_entropy(targets["classes"], outputs["classes"], known)
        return super().loss(targets, outputs, weight) + self.config.class_loss_weight * error

    def identify(self, outputs: dict[str, Any], xy: Any) -> Any:
        """Return the probabilities (B, 1, C) of each identity for the centred animal."""
        return keras.ops.softmax(outputs["classes"], axis=-1)[:, None]
