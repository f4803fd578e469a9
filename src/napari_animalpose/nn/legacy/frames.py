"""Frames as the networks of SLEAP were shown them in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["cut_boxes", "match_size", "normalize", "resize", "to_sleap_channels"]

MEAN_RGB, SD_RGB = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, of 1
MEAN_BGR = (103.939, 116.779, 123.68)  # of ImageNet, of 255


def to_sleap_channels(frames: Any, channels: int) -> Any:
    """Make uint8 frames (B, H, W, 1 or 3) gray or colour, rounding as TensorFlow does."""
    if frames.shape[-1] == channels:
        return frames
    convert = tf.image.rgb_to_grayscale if channels == 1 else tf.image.grayscale_to_rgb
    return convert(frames)


def resize(images: Any, scale: float) -> Any:
    """Resize images (B, H, W, C) bilinearly to ``int(side * scale)``; float32.

    Without a filter against aliasing: below one half, pixels are left out.
    """
    x = tf.cast(images, tf.float32)
    if scale == 1.0:
        return x
    size = tf.cast(tf.shape(images)[1:3], tf.float32) * tf.constant(scale, tf.float32)
    return tf.image.resize(x, tf.cast(size, tf.int32))


def normalize(images: Any, mode: str) -> Any:
    """Bring images (B, H, W, C) from 0..1 to the range that weights from ImageNet expect.

    Parameters
    ----------
    images : float32 tensor
    mode : {"", "tf", "caffe", "torch"}
        Nothing; -1..1; blue, green, red in 0..255 less their mean; red, green, blue
        standardised.
    """
    if not mode:
        return images
    if mode == "tf":
        return 2.0 * images - 1.0
    if mode == "caffe":
        return 255.0 * tf.reverse(images, [-1]) - tf.constant(MEAN_BGR)
    return (images - tf.constant(MEAN_RGB)) / tf.constant(SD_RGB)


def cut_boxes(images: Any, numbers: Any, corners: Any, side: int) -> Any:
    """Cut square windows out of images, bilinearly; float32 (N, side, side, C), 0 outside.

    Parameters
    ----------
    images : tensor, shape (B, H, W, C)
    numbers : int32 tensor, shape (N,)
        Which image each window is cut out of.
    corners : float32 tensor, shape (N, 2)
        (x, y) in px of the image of pixel (0, 0) of each window.
    side : int
        In px.
    """
    last = tf.cast(tf.shape(images)[1:3], tf.float32) - 1.0  # height, width
    first = corners[:, ::-1]
    boxes = tf.concat([first / last, (first + (side - 1.0)) / last], axis=1)
    return tf.image.crop_and_resize(tf.cast(images, tf.float32), boxes, numbers, [side, side])


def match_size(
    frames: NDArray[np.uint8], target: tuple[int, int] | None
) -> tuple[NDArray[np.uint8], float]:
    """Make frames as large as those that a model was trained on.

    Parameters
    ----------
    frames : uint8 array, shape (B, H, W, C)
    target : (int, int) or None
        (height, width) in px; None leaves the frames as they are.

    Returns
    -------
    frames : uint8 array, shape (B, height, width, C)
        Resized without change of their proportions, then padded with 0 at the bottom or
        on the right.
    ratio : float
        By which points of the frame are multiplied.
    """
    height, width = frames.shape[1:3]
    if target is None or target == (height, width):
        return frames, 1.0
    ratio = min(target[0] / height, target[1] / width)
    size = min(target[0], int(height * ratio)), min(target[1], int(width * ratio))
    resized = np.asarray(tf.cast(tf.image.resize(frames, size), tf.uint8))
    below, right = target[0] - size[0], target[1] - size[1]
    return np.pad(resized, ((0, 0), (0, below), (0, right), (0, 0))), ratio
