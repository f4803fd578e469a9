"""Losses on maps and on vectors."""

from __future__ import annotations

from typing import Any

from keras import ops

__all__ = ["class_cross_entropy", "weighted_squared_error"]


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


def class_cross_entropy(target: Any, logits: Any, weight: Any) -> Any:
    """Return the weighted mean of ``-sum(target * log(softmax(logits)))``.

    Parameters
    ----------
    target, logits : tensor, shape (..., C)
        Shares of C classes that sum to one, and what a network says before the softmax.
    weight : tensor, shape (...)
        Places of weight 0 make no difference; where all are 0 so is the loss.
    """
    # log(softmax), written so that no exponential overflows
    shifted = logits - ops.max(logits, axis=-1, keepdims=True)
    log_share = shifted - ops.log(ops.sum(ops.exp(shifted), axis=-1, keepdims=True))
    entropy = -ops.sum(target * log_share, axis=-1)
    return ops.sum(weight * entropy) / ops.maximum(ops.sum(weight), 1e-6)
