"""What happens to frames on the device before the network sees them."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

__all__ = [
    "adjust_intensity",
    "cut_out",
    "cut_windows",
    "resize_frames",
    "shrink_frames",
    "to_channels",
    "warp_images",
]


def to_channels(images: Any, channels: int) -> Any:
    """Make images gray or colour: (B, H, W, 1 or 3) -> (B, H, W, channels), same dtype.

    Gray is the luma of ITU-R BT.601, rounded for integers.
    """
    given = images.shape[-1]
    if given == channels:
        return images
    if channels == 3:
        return tf.repeat(images, 3, axis=-1)
    luma = tf.tensordot(tf.cast(images, tf.float32), tf.constant([0.299, 0.587, 0.114]), 1)
    luma = luma[..., None]
    if images.dtype.is_integer:
        luma = tf.round(luma)
    return tf.cast(luma, images.dtype)


def warp_images(images: Any, matrices: Any, height: int, width: int) -> Any:
    """Resample images bilinearly through affine maps; outside of them is 0.

    Parameters
    ----------
    images : tensor, shape (B, H, W, C)
    matrices : float32 tensor, shape (B, 2, 3)
        From px of the *output* to px of the input, pixel centres at integers.
    height, width : int
        Of the output.

    Returns
    -------
    tensor, shape (B, height, width, C), dtype of `images`
    """
    count = tf.shape(matrices)[0]
    rows = tf.concat([tf.reshape(matrices, (count, 6)), tf.zeros((count, 2))], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=rows,
        output_shape=tf.stack([height, width]),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def cut_windows(images: Any, numbers: Any, corners: Any, side: int) -> Any:
    """Cut square windows out of images, bilinearly at fractions of a pixel.

    Parameters
    ----------
    images : tensor, shape (B, H, W, C)
    numbers : int32 tensor, shape (N,)
        Which image each window is cut out of.
    corners : float32 tensor, shape (N, 2)
        (x, y) in px of the image of pixel (0, 0) of each window.
    side : int
        Of the windows in px.

    Returns
    -------
    float32 tensor, shape (N, side, side, C)
        0 outside of the images.
    """
    first = tf.floor(corners)
    shift = corners - first  # (N, 2), the fraction that is left to interpolate
    x, y = (tf.cast(first[:, i, None], tf.int32) + tf.range(side + 1) for i in (0, 1))
    size = tf.shape(images)
    height, width = size[1], size[2]
    rows = numbers[:, None] * height + tf.clip_by_value(y, 0, height - 1)  # (N, side + 1)
    cells = rows[:, :, None] * width + tf.clip_by_value(x, 0, width - 1)[:, None, :]
    patches = tf.gather(tf.reshape(images, (-1, images.shape[-1])), cells)
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    patches = tf.cast(patches, tf.float32) * tf.cast(inside, tf.float32)[..., None]
    one, zero = tf.ones_like(shift[:, 0]), tf.zeros_like(shift[:, 0])
    rows_of_matrix = [one, zero, shift[:, 0]], [zero, one, shift[:, 1]]
    matrices = tf.stack([tf.stack(row, axis=1) for row in rows_of_matrix], axis=1)
    return warp_images(patches, matrices, side, side)


def shrink_frames(frames: Any, channels: int, scale: float) -> Any:
    """Make frames as a network sees them, the same in training and in prediction.

    Parameters
    ----------
    frames : uint8 tensor, shape (B, H, W, 1 or 3)
    channels : int
        1 or 3.
    scale : float
        Input scale, in (0, 1].

    Returns
    -------
    uint8 tensor, shape (B, ceil(H * scale), ceil(W * scale), channels)
    """
    x = to_channels(frames, channels)
    return x if scale == 1 else tf.cast(tf.round(resize_frames(x, scale)), tf.uint8)


def resize_frames(frames: Any, scale: float) -> Any:
    """Make frames smaller by exactly `scale`, averaging before sampling.

    Blocks of floor(1 / scale) pixels are averaged, then the rest is interpolated, so
    that no detail is skipped. A point moves from x to (x + 0.5) * scale - 0.5, exactly:
    sides that do not come out even are continued by their last pixels.

    Parameters
    ----------
    frames : uint8 tensor, shape (B, H, W, C)
    scale : float
        In (0, 1].

    Returns
    -------
    float32 tensor, shape (B, ceil(H * scale), ceil(W * scale), C), in 0..255
    """
    size = tf.shape(frames)
    height, width = size[1], size[2]
    x = tf.cast(frames, tf.float32)
    block = math.floor(1 / scale + 1e-6)
    if block > 1:
        x = _pad_edges(x, -height % block, -width % block)
        x = tf.nn.avg_pool2d(x, block, block, "VALID")
    rest = scale * block
    if abs(rest - 1) < 1e-6:
        return x
    new_height, new_width = (
        tf.cast(tf.math.ceil(tf.cast(side, tf.float64) * scale - 1e-6), tf.int32)
        for side in (height, width)
    )
    # Clamp to the edge: what lies outside, by up to 1.5 px, repeats the border.
    x = _pad_edges(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC"), 1, 1)
    shift = 0.5 / rest - 0.5 + 1.0
    matrix = tf.constant([[[1 / rest, 0.0, shift], [0.0, 1 / rest, shift]]], tf.float32)
    matrices = tf.repeat(matrix, size[0], axis=0)
    return warp_images(x, matrices, new_height, new_width)


def _pad_edges(x: Any, bottom: Any, right: Any) -> Any:
    return tf.pad(x, [[0, 0], [0, bottom], [0, right], [0, 0]], "SYMMETRIC")


def pad_to(x: Any, multiple: int) -> Any:
    """Pad images with zeros at the bottom and on the right to multiples of px."""
    size = tf.shape(x)
    bottom, right = -size[1] % multiple, -size[2] % multiple
    return tf.pad(x, [[0, 0], [0, bottom], [0, right], [0, 0]])


def adjust_intensity(images: Any, parameters: Any, seed: Any) -> Any:
    """Change contrast, brightness and gamma and add noise, one set of values an image.

    Parameters
    ----------
    images : float32 tensor, shape (B, H, W, C), in 0..1
    parameters : float32 tensor, shape (B, 4)
        Contrast factor, brightness shift, gamma and standard deviation of the noise,
        as `augment.sample_intensity` draws them.
    seed : int32 tensor, shape (2,)
        Of the noise.

    Returns
    -------
    float32 tensor, shape (B, H, W, C), in 0..1
    """
    contrast, brightness, gamma, noise = (parameters[:, i, None, None, None] for i in range(4))
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    x = (images - mean) * contrast + mean + brightness
    x = tf.pow(tf.clip_by_value(x, 1e-4, 1.0), gamma)
    x += noise * tf.random.stateless_normal(tf.shape(x), seed)
    return tf.clip_by_value(x, 0.0, 1.0)


def cut_out(images: Any, boxes: Any) -> Any:
    """Fill a box in every image with its mean: (B, H, W, C) and (B, 4) x0, y0, x1, y1 in px."""
    size = tf.shape(images)
    x = tf.cast(tf.range(size[2]), tf.float32)[None, None, :, None]
    y = tf.cast(tf.range(size[1]), tf.float32)[None, :, None, None]
    x0, y0, x1, y1 = (boxes[:, i, None, None, None] for i in range(4))
    inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    return tf.where(inside, tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True), images)
