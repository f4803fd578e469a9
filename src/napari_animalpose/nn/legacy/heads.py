"""Decoders for the outputs of SLEAP's networks: learned offsets, strides of their own.

In training SLEAP drew the target of a point at ``point * input_scale``, so a peak in cell
i of a map is at ``i * stride / input_scale`` px of the frame (or of the window, which is
cut out after the resize). SLEAP 1.4 adds half a pixel where it has resized.

Where a network also learned how far a point lies from the cell, SLEAP takes that. Here it
is what ``refinement="none"`` means for such a network: a fit to the peak was closer to the
labels in all of the models that we have (docs/sleap_models.md).
"""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.config import ModelConfig
from napari_animalpose.nn.geometry import from_map
from napari_animalpose.nn.heads import Head
from napari_animalpose.nn.legacy.description import Description
from napari_animalpose.nn.models.heads.centered_instance import CenteredInstanceHead
from napari_animalpose.nn.models.heads.centered_instance_id import CenteredInstanceIdHead
from napari_animalpose.nn.models.heads.centroid import FLOOR, CentroidHead
from napari_animalpose.nn.models.heads.multi_instance import MultiInstanceHead
from napari_animalpose.nn.models.heads.multi_instance_id import MultiInstanceIdHead
from napari_animalpose.nn.models.heads.single_instance import SingleInstanceHead
from napari_animalpose.nn.peaks import global_peaks, local_peaks

__all__ = ["add_offsets", "make_head"]


def add_offsets(cells: Any, offsets: Any) -> Any:
    """Move peaks by what a network says about their cells.

    Parameters
    ----------
    cells : tensor, shape (B, K, P, 2)
        (x, y) in cells of the map; NaN in empty slots, which stay NaN.
    offsets : tensor, shape (B, h, w, 2 K)
        (x, y) of every node in cells, from the cell to the point.
    """
    ops = keras.ops
    _, height, width, channels = ops.shape(offsets)
    known = ops.logical_not(ops.isnan(cells))
    nearest = ops.cast(ops.round(ops.where(known, cells, ops.zeros_like(cells))), "int32")
    column = ops.clip(nearest[..., 0], 0, width - 1)
    row = ops.clip(nearest[..., 1], 0, height - 1)
    by_node = ops.reshape(offsets, (-1, height * width, channels // 2, 2))
    by_node = ops.transpose(by_node, (0, 2, 1, 3))  # (B, K, h * w, 2)
    index = ops.repeat((row * width + column)[..., None], 2, axis=-1)  # (B, K, P, 2)
    return cells + ops.take_along_axis(by_node, index, axis=2)


class _SleapMaps:
    """Where the peaks of the maps are, in px of the frame."""

    description: Description

    def locate(self, cells: Any) -> Any:
        """Return cells (..., 2) of the confidence maps in px of the frame or the window."""
        return from_map(cells, self.description.strides["confmaps"]) / self.description.input_scale

    def find_highest(self, outputs: dict[str, Any], refinement: str) -> tuple[Any, Any]:
        """Return the highest peak of every map: (B, 1, K, 2) in px and (B, 1, K)."""
        cells, values = global_peaks(outputs["confmaps"], refinement=refinement, xp=keras.ops)
        if refinement == "none" and "offsets" in outputs:
            cells = add_offsets(cells[:, :, None], outputs["offsets"])[:, :, 0]
        return self.locate(cells)[:, None], values[:, None]

    def find_all(
        self, outputs: dict[str, Any], name: str, threshold: float, count: int, refinement: str
    ) -> tuple[Any, Any]:
        """Return up to `count` peaks of every map: (B, K, P, 2) in px and (B, K, P)."""
        cells, values = local_peaks(outputs[name], threshold, count, refinement, xp=keras.ops)
        if refinement == "none" and "offsets" in outputs:
            cells = add_offsets(cells, outputs["offsets"])
        return self.locate(cells), values


class _Highest(_SleapMaps):
    """Models that look for one animal."""

    def find_peaks(
        self, outputs: dict[str, Any], threshold: float, max_peaks: int, refinement: str
    ) -> tuple[Any, Any]:
        """Return all points (B, K, P, 2) in px and heights (B, K, P), highest first."""
        return self.find_all(outputs, "confmaps", threshold, max_peaks, refinement)

    def decode(self, outputs: dict[str, Any], refinement: str) -> tuple[Any, Any]:
        """Return points (B, 1, K, 2) in px and confidences (B, 1, K)."""
        return self.find_highest(outputs, refinement)


class SleapSingleHead(_Highest, SingleInstanceHead):
    """Reads a model "single_instance"."""


class SleapCenteredHead(_Highest, CenteredInstanceHead):
    """Reads a model "centered_instance"."""


class SleapCenteredIdHead(_Highest, CenteredInstanceIdHead):
    """Reads a model "multi_class_topdown", whose vectors are probabilities already."""

    def identify(self, outputs: dict[str, Any], xy: Any) -> Any:
        """Return the probabilities (B, 1, C) of each identity for the centred animal."""
        return outputs["classes"][:, None]


class SleapCentroidHead(_SleapMaps, CentroidHead):
    """Reads a model "centroid"."""

    def find_places(
        self, outputs: dict[str, Any], max_places: int, refinement: str
    ) -> tuple[Any, Any]:
        """Return points (B, 1, P, 2) in px and confidences (B, 1, P), highest first."""
        return self.find_all(outputs, "centroids", FLOOR, max_places, refinement)


class _All(_SleapMaps):
    """Models that look for all points of all animals."""

    def find_peaks(
        self, outputs: dict[str, Any], threshold: float, max_peaks: int, refinement: str
    ) -> tuple[Any, Any]:
        """Return points (B, K, P, 2) in px and heights (B, K, P), highest first."""
        return self.find_all(outputs, "confmaps", threshold, max_peaks, refinement)


class SleapMultiHead(_All, MultiInstanceHead):
    """Reads a model "multi_instance"."""


class SleapMultiIdHead(_All, MultiInstanceIdHead):
    """Reads a model "multi_class_bottomup".

    Its class maps are independent of each other: near 1 on the points of their own
    animal, and near 0 on those of others and far from any.
    """

    def read_class_maps(self, outputs: dict[str, Any]) -> Any:
        """Return the maps (B, h, w, C), which are probabilities already."""
        return outputs["classmaps"]

    def probabilities_at(self, outputs: dict[str, Any], xy: Any) -> Any:
        """Return the class maps (B, ..., C) at the cells nearest to (B, ..., 2); NaN for NaN."""
        ops = keras.ops
        maps = outputs["classmaps"]
        _, height, width, n_classes = ops.shape(maps)
        known = ops.logical_not(ops.any(ops.isnan(xy), axis=-1, keepdims=True))
        to_cells = self.description.input_scale / self.description.strides["classmaps"]
        cells = ops.where(known, xy, ops.zeros_like(xy)) * to_cells
        cells = ops.cast(ops.round(cells), "int32")
        column = ops.clip(cells[..., 0], 0, width - 1)
        row = ops.clip(cells[..., 1], 0, height - 1)
        flat = ops.reshape(maps, (-1, height * width, n_classes))
        places = ops.reshape(row * width + column, (ops.shape(flat)[0], -1, 1))
        places = ops.repeat(places, n_classes, axis=-1)
        found = ops.reshape(
            ops.take_along_axis(flat, places, axis=1), (*ops.shape(xy)[:-1], n_classes)
        )
        return ops.where(known, found, ops.full_like(found, float("nan")))


SLEAP_HEADS: dict[str, Any] = {
    "single_instance": SleapSingleHead,
    "centroid": SleapCentroidHead,
    "centered_instance": SleapCenteredHead,
    "centered_instance_id": SleapCenteredIdHead,
    "multi_instance": SleapMultiHead,
    "multi_instance_id": SleapMultiIdHead,
}


def make_head(name: str, config: ModelConfig, description: Description) -> Head:
    """Return the decoder of a model.

    Parameters
    ----------
    name : str
        In `nn.heads.HEADS`.
    config : ModelConfig
        That of the model, for frames as they are (`input_scale` 1).
    description : Description
    """
    head = SLEAP_HEADS[name](config, description.skeleton)
    head.description = description
    made: Head = head
    return made
