"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018) with a decoder of our own."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.nn.encoders import MobileNetOptions
from napari_animalpose.nn.filters import scale_filters
from napari_animalpose.nn.models.blocks import Features
from napari_animalpose.nn.models.decoder import build_decoder
from napari_animalpose.nn.models.encoder import EncoderLayers, ImageNetInput

__all__ = ["build_mobilenet"]

EXPANSION = 6
# Filters of the bottlenecks 0 to 16 and those of them that halve the resolution.
BOTTLENECKS = (16, 24, 24, 32, 32, 32, *(64,) * 4, *(96,) * 3, *(160,) * 3, 320)
HALVING = (1, 3, 6, 13)
LAST_HALVING = 13


def build_mobilenet(x: Any, options: MobileNetOptions, output_stride: int, policy: str) -> Features:
    """Connect the layers to an input and return the features that they make of it.

    The decoder sees the narrow ends of the bottlenecks, where the information is
    (Sandler et al., section 3.2), and not their wide insides.

    Parameters
    ----------
    x : tensor, shape (B, H, W, 1 or 3)
        In 0..1; H and W multiples of ``options.max_stride``.
    options : MobileNetOptions
    output_stride : int
        From 1 to ``options.max_stride``.
    policy : str
        Keras dtype policy of all layers.

    Returns
    -------
    Features
        At the output stride and, from the end of the encoder, at ``options.max_stride``.
    """
    make = EncoderLayers(policy, options.trainable, epsilon=1e-3)
    x = ImageNetInput("tf", dtype="float32", name="imagenet_input")(x)
    x = make.convolve(x, scale_filters(32 * options.width), 3, "Conv1", strides=2, padding="same")
    x = make.rectify(make.normalize(x, "bn_Conv1"), "Conv1_relu", 6.0)
    stride, skips = 2, {}
    for number, filters in enumerate(BOTTLENECKS):
        halving = number in HALVING and not (options.atrous and number == LAST_HALVING)
        if halving:
            skips[stride] = x
            stride *= 2
        x = _bottleneck(
            make, x, number, scale_filters(int(filters * options.width)), halving=halving,
            dilation=2 if options.atrous and number > LAST_HALVING else 1,
        )  # fmt: skip
    return Features(build_decoder(x, skips, options, output_stride, policy), x)


def _bottleneck(
    make: EncoderLayers, x: Any, number: int, filters: int, *, halving: bool, dilation: int
) -> Any:
    """Widen, convolve each channel 3 x 3, narrow without rectifying; add the input if it fits."""
    shortcut, name = x, f"block_{number}_" if number else "expanded_conv_"
    if number:  # the first one is not widened
        x = make.convolve(x, EXPANSION * x.shape[-1], 1, f"{name}expand", padding="same")
        x = make.rectify(make.normalize(x, f"{name}expand_BN"), f"{name}expand_relu", 6.0)
    if halving:  # of the even sides that all inputs have, as 'same' would
        x = make.pad(x, ((0, 1), (0, 1)), f"{name}pad")
        x = make.convolve_each(x, f"{name}depthwise", strides=2)
    else:
        x = make.convolve_each(x, f"{name}depthwise", padding="same", dilation_rate=dilation)
    x = make.rectify(make.normalize(x, f"{name}depthwise_BN"), f"{name}depthwise_relu", 6.0)
    x = make.convolve(x, filters, 1, f"{name}project", padding="same")
    x = make.normalize(x, f"{name}project_BN")
    # An atrous network adds where the published one does, so that its weights fit.
    if shortcut.shape[-1] == filters and number not in HALVING:
        x = keras.layers.Add(dtype=make.policy, name=f"{name}add")([shortcut, x])
    return x
