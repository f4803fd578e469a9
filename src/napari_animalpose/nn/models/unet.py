"""U-Net (Ronneberger, Fischer and Brox 2015) from a template with explicit knobs."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.nn.backbones import UNetOptions, filters_at
from napari_animalpose.nn.models.blocks import Features, conv, conv_block, upsample

__all__ = ["build_unet"]


def build_unet(x: Any, options: UNetOptions, output_stride: int, policy: str) -> Features:
    """Connect the layers to an input and return the features that they make of it.

    Parameters
    ----------
    x : tensor, shape (B, H, W, C)
        H and W multiples of ``options.max_stride``.
    options : UNetOptions
    output_stride : int
        At least the stride of the stem and at most ``options.max_stride``.
    policy : str
        Keras dtype policy of all layers.

    Returns
    -------
    Features
        At the output stride and, from the end of the way down, at ``options.max_stride``.
    """
    batch_norm = options.normalization == "batch"

    def width(depth: int) -> int:
        return filters_at(options.filters, options.filters_rate, depth)

    def block(x: Any, depth: int, name: str) -> Any:
        return conv_block(
            x, width(depth), options.convs_per_block, name, policy=policy, batch_norm=batch_norm
        )

    stride = 1
    while stride < options.stem_stride:
        x = conv(x, width(0), f"stem{stride}", policy=policy, kernel=5, stride=2)
        stride *= 2
    x = block(x, 0, "down0")
    skips = {stride: x}
    for depth in range(1, options.down_blocks + 1):
        x = keras.layers.MaxPooling2D(2, dtype=policy, name=f"down{depth}_pool")(x)
        stride *= 2
        x = block(x, depth, f"down{depth}")  # (B, H / stride, W / stride, width(depth))
        skips[stride] = x
    deepest = x
    for depth in range(options.down_blocks - 1, -1, -1):
        if stride <= output_stride:
            break
        stride //= 2
        name = f"up{depth}"
        x = upsample(x, width(depth), name, policy=policy, method=options.upsampling)
        x = _join(x, skips[stride], width(depth), options.skip, name, policy)
        x = block(x, depth, name)  # (B, H / stride, W / stride, width(depth))
    return Features(x, deepest)


def _join(x: Any, skip: Any, filters: int, how: str, name: str, policy: str) -> Any:
    if how == "concat":
        return keras.layers.Concatenate(dtype=policy, name=f"{name}_skip")([skip, x])
    if how == "add":
        x = keras.layers.Conv2D(filters, 1, dtype=policy, name=f"{name}_project")(x)
        return keras.layers.Add(dtype=policy, name=f"{name}_skip")([skip, x])
    return x
