"""Crops that hold an animal around the point that a person chose as its place."""

from __future__ import annotations

import numpy as np

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.nn.anchors import anchor_index, locate_anchors
from napari_animalpose.nn.autoconfig.models import WINDOW_ANIMALS, round_up
from napari_animalpose.nn.heads import CENTRED_HEADS

__all__ = ["fit_crops", "measure_reach"]


def measure_reach(labels: Poses, model: ModelConfig) -> float:
    """Return how far points lie from the place of their animal, in px of the frame.

    The 95th percentile over the animals of the distance to the farthest point.

    Parameters
    ----------
    labels : Poses
        With at least one point.
    model : ModelConfig
        Says what the place of an animal is.

    Raises
    ------
    DataError
        If the skeleton has no such node.
    """
    xy = labels.xy[np.isfinite(labels.xy).all(axis=-1).any(axis=-1)].astype(np.float64)
    places = locate_anchors(xy, anchor_index(model, labels.skeleton))
    distance = np.linalg.norm(xy - places[:, None], axis=-1)  # (N, K)
    return float(np.percentile(np.nanmax(distance, axis=1), 95))


def fit_crops(
    config: RunConfig, labels: Poses, *, may_change: bool
) -> tuple[RunConfig, tuple[str, ...]]:
    """Return a configuration whose crops hold the animals, and what is said about it.

    Crops are chosen for animals with their middle in the middle. Around a nose, the tail
    would lie outside, where it can never be found.

    Parameters
    ----------
    config : RunConfig
    labels : Poses
    may_change : bool
        Enlarge crops that are too small; otherwise only say that they are.

    Raises
    ------
    DataError
        If the skeleton has no node of the name of an anchor.
    """
    networks, said = dict(config.networks), []
    for name, model in config.networks.items():
        if name not in CENTRED_HEADS or not model.anchor or not model.crop_px:
            continue
        reach_px = measure_reach(labels, model)
        side, scale = round_up(model.crop_px, model), model.input_scale
        if side >= 2 * reach_px * scale:
            continue
        needed = round_up(2 * WINDOW_ANIMALS * reach_px * scale, model)
        far = (
            f"5 % of the animals reach more than {reach_px:.0f} px from {model.anchor}, the middle "
            "of a crop"
        )
        if may_change:
            networks[name] = model.replace(crop_px=needed)
            said.append(
                f"Crops of {needed / scale:.0f} px of the frame instead of "
                f"{side / scale:.0f} px: {far}."
            )
        else:
            said.append(
                f"Crops of {side / scale:.0f} px of the frame are too small: {far}. Points outside "
                f"are never found. To enlarge the crops: --set networks.{name}.crop_px={needed}"
            )
    return config.replace(networks=networks), tuple(said)
