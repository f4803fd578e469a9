"""The way up from an encoder to the confidence maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from napari_animalpose.nn.encoders import EncoderOptions
from napari_animalpose.nn.models.blocks import conv, conv_block, upsample

__all__ = ["build_decoder"]


def build_decoder(
    x: Any, skips: Mapping[int, Any], options: EncoderOptions, output_stride: int, policy: str
) -> Any:
    """Double the resolution of an encoder's last features up to the output stride.

    A 1 x 1 convolution first brings the many channels of the encoder down to the width of
    the decoder.

    Parameters
    ----------
    x : tensor, shape (B, H / max_stride, W / max_stride, C)
    skips : mapping of int to tensor
        Features of the encoder by their stride in px.
    options : EncoderOptions
    output_stride : int
        From 1 to ``options.max_stride``.
    policy : str
        Keras dtype policy of all layers.

    Returns
    -------
    tensor, shape (B, H / output_stride, W / output_stride, F)
        `x` itself where there is no way to go.
    """
    stride = options.max_stride
    if stride > output_stride:
        x = conv(x, options.decoder_width(stride), "narrow", policy=policy, kernel=1)
    while stride > output_stride:
        stride //= 2
        name, filters = f"up{stride}", options.decoder_width(stride)
        x = upsample(x, filters, name, policy=policy, method=options.upsampling)
        if stride in skips and options.skip != "none":
            x = _join(x, skips[stride], filters, options.skip, name, policy)
        x = conv_block(x, filters, options.decoder_convs, name, policy=policy)
    return x


def _join(x: Any, skip: Any, filters: int, how: str, name: str, policy: str) -> Any:
    if how == "concat":
        return keras.layers.Concatenate(dtype=policy, name=f"{name}_skip")([skip, x])
    parts = [
        keras.layers.Conv2D(filters, 1, dtype=policy, name=f"{name}_project_{part}")(tensor)
        for part, tensor in (("skip", skip), ("deep", x))
    ]
    return keras.layers.Add(dtype=policy, name=f"{name}_skip")(parts)
