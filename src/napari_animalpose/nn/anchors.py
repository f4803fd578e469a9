"""Where an animal is, as one point: for numpy and for the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton

__all__ = ["anchor_index", "locate_anchors"]


def anchor_index(config: ModelConfig, skeleton: Skeleton) -> int | None:
    """Return the number of the anchor node, None without one.

    Raises
    ------
    DataError
        If the skeleton has no such node.
    """
    return skeleton.index(config.anchor) if config.anchor else None


def locate_anchors(xy: Any, anchor: int | None, xp: Any = np) -> Any:
    """Return where animals are: their anchor point, or else the middle of their box.

    Parameters
    ----------
    xy : array of float, shape (..., K, 2)
        (x, y) in px; NaN = missing.
    anchor : int or None
        Number of the anchor node; where it is missing, and for None, the middle of the
        box around all points that are not.
    xp : module
        `numpy` or `keras.ops`.

    Returns
    -------
    array of float, shape (..., 2)
        NaN for an animal without any point.
    """
    known = xp.logical_not(xp.any(xp.isnan(xy), axis=-1, keepdims=True))  # (..., K, 1)
    far = xp.full_like(xy, 1e9)
    low = xp.min(xp.where(known, xy, far), axis=-2)
    high = xp.max(xp.where(known, xy, -far), axis=-2)
    middle = xp.where(xp.any(known, axis=-2), 0.5 * (low + high), xp.full_like(low, np.nan))
    if anchor is None:
        return middle
    return xp.where(known[..., anchor, :], xy[..., anchor, :], middle)
