"""ResNet-50 (He, Zhang, Ren and Sun 2016) with a decoder of our own."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.nn.encoders import ResNetOptions
from napari_animalpose.nn.filters import scale_filters
from napari_animalpose.nn.models.blocks import Features
from napari_animalpose.nn.models.decoder import build_decoder
from napari_animalpose.nn.models.encoder import EncoderLayers, ImageNetInput

__all__ = ["build_resnet"]

STAGES = ((2, 64, 3), (3, 128, 4), (4, 256, 6), (5, 512, 3))  # number, filters, blocks


def build_resnet(x: Any, options: ResNetOptions, output_stride: int, policy: str) -> Features:
    """Connect the layers to an input and return the features that they make of it.

    Parameters
    ----------
    x : tensor, shape (B, H, W, 1 or 3)
        In 0..1; H and W multiples of ``options.max_stride``.
    options : ResNetOptions
    output_stride : int
        From 1 to ``options.max_stride``.
    policy : str
        Keras dtype policy of all layers.

    Returns
    -------
    Features
        At the output stride and, from the end of the encoder, at ``options.max_stride``.
    """
    make = EncoderLayers(policy, options.trainable, epsilon=1.001e-5, use_bias=True)
    x = ImageNetInput("caffe", dtype="float32", name="imagenet_input")(x)
    x = make.pad(x, 3, "conv1_pad")
    x = make.convolve(x, scale_filters(64 * options.width), 7, "conv1_conv", strides=2)
    x = make.rectify(make.normalize(x, "conv1_bn"), "conv1_relu")
    skips = {2: x}
    x = make.pad(x, 1, "pool1_pad")
    x = keras.layers.MaxPooling2D(3, strides=2, dtype=policy, name="pool1_pool")(x)
    for number, filters, blocks in STAGES:
        atrous = number == 5 and options.atrous
        for block in range(1, blocks + 1):
            x = _residual_block(
                make, x, scale_filters(filters * options.width), f"conv{number}_block{block}",
                stride=2 if block == 1 and number > 2 and not atrous else 1,
                dilation=2 if atrous else 1, project=block == 1,
            )  # fmt: skip
        if not atrous:
            skips[2**number] = x  # stage 2 has a stride of 4, stage 3 one of 8, ...
    return Features(build_decoder(x, skips, options, output_stride, policy), x)


def _residual_block(
    make: EncoderLayers,
    x: Any,
    filters: int,
    name: str,
    *,
    stride: int,
    dilation: int,
    project: bool,
) -> Any:
    """1 x 1 down to `filters`, 3 x 3, 1 x 1 up to four times as many, beside a shortcut."""
    shortcut = x
    if project:
        shortcut = make.convolve(x, 4 * filters, 1, f"{name}_0_conv", strides=stride)
        shortcut = make.normalize(shortcut, f"{name}_0_bn")
    x = make.convolve(x, filters, 1, f"{name}_1_conv", strides=stride)
    x = make.rectify(make.normalize(x, f"{name}_1_bn"), f"{name}_1_relu")
    x = make.convolve(x, filters, 3, f"{name}_2_conv", padding="same", dilation_rate=dilation)
    x = make.rectify(make.normalize(x, f"{name}_2_bn"), f"{name}_2_relu")
    x = make.normalize(make.convolve(x, 4 * filters, 1, f"{name}_3_conv"), f"{name}_3_bn")
    x = keras.layers.Add(dtype=make.policy, name=f"{name}_add")([shortcut, x])
    return make.rectify(x, f"{name}_out")
