"""Pieces that the architectures share."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["BilinearUpsampling", "conv", "conv_block", "upsample"]


class BilinearUpsampling(keras.layers.Layer):
    """Doubles height and width by interpolation: (B, h, w, C) -> (B, 2h, 2w, C).

    In place of `keras.layers.UpSampling2D`, which needs sizes that are known in advance.
    """

    def call(self, x: Any) -> Any:
        """Interpolate in float32 and return the dtype of the input."""
        size = tf.shape(x)
        return tf.cast(tf.image.resize(x, [2 * size[1], 2 * size[2]]), x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input shape with height and width doubled where they are known."""
        batch, height, width, channels = input_shape
        return batch, height and 2 * height, width and 2 * width, channels


def conv(
    x: Any,
    filters: int,
    name: str,
    *,
    policy: str,
    kernel: int = 3,
    stride: int = 1,
    batch_norm: bool = False,
) -> Any:
    """Convolve, optionally normalise, rectify: (B, h, w, C) -> (B, h/stride, w/stride, filters).

    He-normal weights, zero bias; 'same' padding with zeros.
    """
    x = keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=not batch_norm,
        kernel_initializer="he_normal",
        dtype=policy,
        name=f"{name}_conv",
    )(x)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=0.9, dtype=policy, name=f"{name}_norm")(x)
    return keras.layers.ReLU(dtype=policy, name=f"{name}_relu")(x)


def conv_block(
    x: Any, filters: int, convs: int, name: str, *, policy: str, batch_norm: bool = False
) -> Any:
    """Stack 3 x 3 convolutions of one width: (B, h, w, C) -> (B, h, w, filters)."""
    for index in range(convs):
        x = conv(x, filters, f"{name}_{index}", policy=policy, batch_norm=batch_norm)
    return x


def upsample(x: Any, filters: int, name: str, *, policy: str, method: str) -> Any:
    """Double height and width: (B, h, w, C) -> (B, 2h, 2w, C or filters).

    ``bilinear`` keeps the channels; ``transposed`` learns a 3 x 3 kernel with stride 2.
    """
    if method == "bilinear":
        return BilinearUpsampling(dtype=policy, name=f"{name}_up")(x)
    return keras.layers.Conv2DTranspose(
        filters,
        3,
        strides=2,
        padding="same",
        activation="relu",
        kernel_initializer="he_normal",
        dtype=policy,
        name=f"{name}_up",
    )(x)
