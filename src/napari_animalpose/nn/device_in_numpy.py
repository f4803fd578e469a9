"""What `nn.models.device` does to frames, in numpy: for pictures in a process without keras.

Tests hold each function against its twin. `augment.warp_image` is that of `warp_images`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

__all__ = ["adjust_intensity", "cut_out", "shrink_frame"]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def shrink_frame(frame: NDArray[np.uint8], channels: int, scale: float) -> NDArray[np.uint8]:
    """Return a frame (H, W, 1 or 3) as a network sees it: uint8 (h, w, channels).

    Parameters
    ----------
    frame : uint8 array, shape (H, W, 1 or 3)
    channels : int
        1 or 3.
    scale : float
        Input scale, in (0, 1].
    """
    x = _to_channels(frame, channels)
    if scale == 1:
        return x
    height, width = x.shape[:2]
    block = math.floor(1 / scale + 1e-6)
    values = x.astype(np.float32)
    if block > 1:
        values = _pad(values, -height % block, -width % block)
        rows, columns = values.shape[0] // block, values.shape[1] // block
        values = values.reshape(rows, block, columns, block, channels).mean(axis=(1, 3))
    rest = scale * block
    if abs(rest - 1) >= 1e-6:
        size = math.ceil(height * scale - 1e-6), math.ceil(width * scale - 1e-6)
        values = _interpolate(values, rest, size)
    return np.rint(values).astype(np.uint8)


def _to_channels(frame: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    if frame.shape[-1] == channels:
        return frame
    if channels == 3:
        return np.repeat(frame, 3, axis=-1)
    luma: NDArray[np.float32] = frame.astype(np.float32) @ _LUMA
    return np.rint(luma)[..., None].astype(np.uint8)


def _pad(values: NDArray[np.float32], bottom: int, right: int) -> NDArray[np.float32]:
    return np.pad(values, ((0, bottom), (0, right), (0, 0)), mode="symmetric")


def _interpolate(
    values: NDArray[np.float32], scale: float, size: tuple[int, int]
) -> NDArray[np.float32]:
    """Resize (H, W, C) by 0.5 to 1, bilinearly; what lies outside repeats the border."""
    padded = np.pad(values, ((1, 2), (1, 2), (0, 0)), mode="symmetric")
    y, x = ((np.arange(side) + 0.5) / scale + 0.5 for side in size)
    grid = np.meshgrid(y, x, indexing="ij")
    channels = [
        map_coordinates(padded[..., c], grid, order=1, mode="nearest")
        for c in range(values.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def adjust_intensity(
    image: NDArray[np.floating], parameters: NDArray[np.floating], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Change contrast, brightness and gamma of an image (H, W, C) in 0..1 and add noise.

    Parameters
    ----------
    image : array of float, shape (H, W, C)
    parameters : array of float, shape (4,)
        As a row of `augment.sample_intensity`.
    rng : numpy.random.Generator
        Of the noise.
    """
    contrast, brightness, gamma, noise = np.asarray(parameters, np.float32)
    mean = image.mean()
    x = (image - mean) * contrast + mean + brightness
    x = np.clip(x, 1e-4, 1.0) ** gamma
    x = x + noise * rng.standard_normal(x.shape, np.float32)
    return np.asarray(np.clip(x, 0.0, 1.0), np.float32)


def cut_out(image: NDArray[np.float32], box: NDArray[np.floating]) -> NDArray[np.float32]:
    """Fill a box x0, y0, x1, y1 in px of an image (H, W, C) with the mean of the image."""
    x0, y0, x1, y1 = box
    height, width = image.shape[:2]
    rows = (np.arange(height) >= y0) & (np.arange(height) < y1)
    columns = (np.arange(width) >= x0) & (np.arange(width) < x1)
    filled = image.copy()
    filled[np.ix_(rows, columns)] = image.mean()
    return filled
