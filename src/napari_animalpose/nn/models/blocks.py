"""Pieces that the architectures share."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

__all__ = ["BilinearUpsampling", "Features", "FocusedPooling", "conv", "conv_block", "upsample"]


class Features(NamedTuple):
    """What a backbone makes of images (B, H, W, C).

    decoded : tensor (B, H / output_stride, W / output_stride, F), what maps are read from
    deepest : tensor (B, H / max_stride, W / max_stride, G), the end of the encoder, before
        any step up: what is said about a whole window is read from it
    """

    decoded: Any
    deepest: Any


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


class FocusedPooling(keras.layers.Layer):
    """Averages features over the places where confidence maps are high.

    Features (B, h, w, C) and maps (B, n h, n w, K) give (B, C), float32: the mean of the
    features, weighted by the highest of the K maps averaged over n x n cells. A pool over
    the whole window would mix the animal in its middle with the neighbours that touch it,
    which the maps of that animal leave out. A little weight everywhere (`EVENLY`) makes
    this the plain mean where the maps are empty, as they are when training begins. No
    gradient reaches the maps from here.
    """

    EVENLY = 1e-3

    def call(self, inputs: Any) -> Any:
        """Return the weighted means."""
        features, maps = (tf.cast(x, tf.float32) for x in inputs)
        size = tf.shape(features)[1:3]
        highest = tf.stop_gradient(tf.nn.relu(tf.reduce_max(maps, axis=-1, keepdims=True)))
        folds = tf.shape(highest)[1:3] // size
        cells = (-1, size[0], folds[0], size[1], folds[1])
        weights = tf.reduce_mean(tf.reshape(highest, cells), axis=(2, 4)) + self.EVENLY
        total = tf.reduce_sum(weights, axis=(1, 2))[:, None]  # (B, 1)
        return tf.reduce_sum(features * weights[..., None], axis=(1, 2)) / total

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (B, C)."""
        features, _ = input_shape
        return features[0], features[-1]


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
