"""The network of LEAP (Pereira et al. 2019, Nature Methods 16, 117)."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.nn.backbones import LeapOptions, filters_at
from napari_animalpose.nn.models.blocks import Features, conv_block, upsample

__all__ = ["build_leap"]


def build_leap(x: Any, options: LeapOptions, output_stride: int, policy: str) -> Features:
    """Connect the layers to an input and return the features that they make of it.

    Blocks of convolutions with max pooling between them go down; transposed
    convolutions go up, with one convolution fewer than on the way down between them
    and none after the last.

    Parameters
    ----------
    x : tensor, shape (B, H, W, C)
        H and W multiples of ``options.max_stride``.
    options : LeapOptions
    output_stride : int
        From 1 to ``options.max_stride``.
    policy : str
        Keras dtype policy of all layers.

    Returns
    -------
    Features
        At the output stride and, from the end of the way down, at ``options.max_stride``.
    """

    def width(depth: int) -> int:
        return filters_at(options.filters, options.filters_rate, depth)

    convs = options.convs_per_block
    x = conv_block(x, width(0), convs, "down0", policy=policy)
    stride = 1
    for depth in range(1, options.down_blocks + 1):
        x = keras.layers.MaxPooling2D(2, dtype=policy, name=f"down{depth}_pool")(x)
        x = conv_block(x, width(depth), convs, f"down{depth}", policy=policy)
        stride *= 2
    deepest = x
    for depth in range(options.down_blocks - 1, -1, -1):
        if stride <= output_stride:
            break
        stride //= 2
        x = upsample(x, width(depth), f"up{depth}", policy=policy, method="transposed")
        if stride > output_stride:
            x = conv_block(x, width(depth), convs - 1, f"up{depth}", policy=policy)
    return Features(x, deepest)
