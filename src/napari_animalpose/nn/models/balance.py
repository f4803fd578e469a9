"""Weights of a new network that suit its images: each layer says something from the start."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import keras
import numpy as np

__all__ = ["balance_layers"]

LEAST_SHARE = 0.1  # of the mean deviation of a layer: what a quieter channel counts as
LEAST = 0.05  # and in all: steps of one size hardly move weights that have become very large
SILENT = 1e-4  # mean deviation of a layer that sees nothing, which is left as it is


def balance_layers(network: Any, images: Any, outputs: Collection[str] = ()) -> int:
    """Scale and shift the convolutions of a new network; return how many.

    Afterwards every channel of every convolution has mean 0 and standard deviation 1 over
    these images (less where they have hardly any contrast), so that each rectifier behind it
    is open for half of what it sees. Random weights alone let bright backgrounds shut many of
    them for good, and a network whose targets are nearly everywhere 0 then stays at 0 for
    hundreds of steps, or for ever.

    Parameters
    ----------
    network : keras.Model
        With random weights; changed in place. One that normalises batches stays as it is.
    images : tensor, shape (B, H, W, C)
        As in training.
    outputs : collection of str
        Names of layers that make outputs, which stay as they are.

    Notes
    -----
    Mishkin and Matas, "All you need is a good init" (ICLR 2016), with the means of Salimans
    and Kingma, "Weight normalization" (NeurIPS 2016), in one pass from the first layer to
    the last.
    """
    count = 0
    if any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers):
        return count
    for layer in network.layers:
        if type(layer) is not keras.layers.Conv2D or layer.name in outputs:
            continue
        seen = np.asarray(
            keras.ops.cast(keras.Model(network.input, layer.output)(images), "float32")
        )
        mean, deviation = seen.mean(axis=(0, 1, 2)), seen.std(axis=(0, 1, 2))
        usual = float(deviation.mean())
        if usual < SILENT:
            continue
        scale = np.maximum(deviation, max(LEAST, LEAST_SHARE * usual))
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel / scale, (bias - mean) / scale])
        count += 1
    return count
