"""Random changes to training examples: drawn here, carried out on the device.

The numbers are drawn with numpy from one seeded generator, so that a run can be
repeated and a preview shows what training sees; `nn.models.device` applies them to
whole batches. A geometric change is one affine map from frame to network input, so
that an image is resampled once, whatever is combined.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import AugmentConfig
from napari_animalpose.nn.geometry import affine_matrix, compose, invert

__all__ = ["sample_affine", "sample_cutout", "sample_intensity", "warp_image", "window_matrix"]


def window_matrix(centre: NDArray[np.float64], size: Sequence[int]) -> NDArray[np.float64]:
    """Return the maps from frame px to px of windows around points, without any change.

    Parameters
    ----------
    centre : float array, shape (B, 2)
        (x, y) in px that come to lie in the middle of the window.
    size : (int, int)
        (height, width) of the window in px.

    Returns
    -------
    float64 array, shape (B, 2, 3)
    """
    height, width = size
    shift = np.array([(width - 1) / 2, (height - 1) / 2]) - centre
    return np.asarray(affine_matrix(np.zeros_like(shift), translation=shift))


def sample_affine(
    rng: np.random.Generator,
    config: AugmentConfig,
    centre: NDArray[np.float64],
    size: Sequence[int],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Draw one random map from frame px to window px for each example.

    Parameters
    ----------
    rng : numpy.random.Generator
    config : AugmentConfig
    centre : float array, shape (B, 2)
        (x, y) in px of the frame that come to the middle of the window before the shift.
    size : (int, int)
        (height, width) of the window in px.

    Returns
    -------
    matrices : float64 array, shape (B, 2, 3)
        From frame px to window px, for points; invert them for images.
    mirrored : bool array, shape (B,)
        Where symmetric nodes have to change places: mirrored along one axis, not both.
    """
    count = len(centre)
    height, width = size
    reach = config.translate_fraction * np.array([width, height])
    flip_x = rng.random(count) < 0.5 * (config.flip in ("horizontal", "both"))
    flip_y = rng.random(count) < 0.5 * (config.flip in ("vertical", "both"))
    low, high = np.log(config.scale_min), np.log(config.scale_max)
    change = affine_matrix(
        np.broadcast_to([(width - 1) / 2, (height - 1) / 2], (count, 2)),
        rotation_rad=np.deg2rad(rng.uniform(-1, 1, count) * config.rotation_deg),
        scale=np.exp(rng.uniform(low, high, count)),
        translation=rng.uniform(-1, 1, (count, 2)) * reach,
        flip_x=flip_x,
        flip_y=flip_y,
    )
    return np.asarray(compose(change, window_matrix(centre, size))), flip_x ^ flip_y


def sample_intensity(
    rng: np.random.Generator, config: AugmentConfig, count: int
) -> NDArray[np.float32]:
    """Draw contrast factor, brightness shift, gamma and noise sd: float32 (count, 4)."""
    contrast = np.exp(rng.uniform(-1, 1, count) * np.log1p(config.contrast))
    brightness = rng.uniform(-1, 1, count) * config.brightness
    gamma = np.exp(rng.uniform(-1, 1, count) * np.log1p(config.gamma))
    noise = rng.uniform(0, 1, count) * config.noise
    return np.stack([contrast, brightness, gamma, noise], axis=1).astype(np.float32)


def sample_cutout(
    rng: np.random.Generator, config: AugmentConfig, count: int, size: Sequence[int]
) -> NDArray[np.float32]:
    """Draw boxes x0, y0, x1, y1 in window px to hide, float32 (count, 4); empty = none.

    Sides are 5 to 20 % of the window's.
    """
    height, width = size
    sides = rng.uniform(0.05, 0.2, (count, 2)) * [width, height]
    corner = rng.uniform(0, 1, (count, 2)) * [width, height] - sides / 2
    sides[rng.random(count) >= config.cutout_probability] = 0
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32)


def warp_image(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: Sequence[int]
) -> NDArray[np.float32]:
    """Resample one image as the device does, for previews and tests.

    Parameters
    ----------
    image : uint8 array, shape (H, W, C)
    matrix : float64 array, shape (2, 3)
        From image px to window px.
    size : (int, int)
        (height, width) of the window.

    Returns
    -------
    float32 array, shape (height, width, C), in 0..255; outside of the image 0
    """
    from scipy.ndimage import map_coordinates

    height, width = size
    back = invert(matrix)
    y, x = np.mgrid[:height, :width]
    source_x = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    source_y = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    channels = [
        map_coordinates(
            image[..., c].astype(np.float32),
            [source_y, source_x],
            order=1,
            mode="grid-constant",
        )
        for c in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1).astype(np.float32)
