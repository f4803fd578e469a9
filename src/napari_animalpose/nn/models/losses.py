"""Losses on maps."""

from __future__ import annotations

from typing import Any

from keras import ops

__all__ = ["weighted_squared_error"]


def weighted_squared_error(target: Any, output: Any, weight: float) -> Any:
    """Return ``mean((1 + weight * target) * (output - target)^2)`` over all axes.

    Parameters
    ----------
    target, output : tensor, shape (B, h, w, C)
        Targets between 0 and 1.
    weight : float
        How much more an error on a peak weighs than one on the background.
    """
    difference = output - target
    return ops.mean((1.0 + weight * target) * difference * difference)
