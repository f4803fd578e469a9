"""The arena and the sensor: everything in a frame that is not an animal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_animalpose.sample.plan import Floats
from napari_animalpose.sample.sprites import LIGHT, Canvas

__all__ = ["FLAT_GRAY", "NoisePool", "paint_floor"]

FLAT_GRAY = 168.0  # gray level of the floor before texture and light
_POOL_FRAMES = 4
_POOL_MARGIN = 61  # px by which a noise field is larger than a frame


def paint_floor(size: tuple[int, int], generator: np.random.Generator) -> Canvas:
    """Paint the empty arena: grain, stains, scratches, dust, a lit rim and a vignette.

    Parameters
    ----------
    size : (int, int)
        Height and width, px.
    generator : numpy.random.Generator

    Returns
    -------
    float32, shape (H, W)
        Gray levels.
    """
    height, width = size
    y, x = np.mgrid[0:height, 0:width]
    nx, ny = 2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1
    floor = np.full(size, FLAT_GRAY)
    for sigma, amount in ((0.8, 2.2), (2.5, 1.6), (9.0, 2.2), (35.0, 4.0)):
        grain = ndimage.gaussian_filter(generator.standard_normal(size), sigma, mode="reflect")
        floor += amount * grain / max(float(grain.std()), 1e-9)
    floor += _marks(size, generator)
    floor *= 1.0 - 0.05 * (nx * np.sign(-LIGHT[0]) + ny * np.sign(-LIGHT[1]))
    floor *= 1 - 0.16 * np.clip(nx**2 + ny**2, 0, 2) ** 1.5 / 2.8
    return np.asarray(floor * _rim(size), np.float32)


def _rim(size: tuple[int, int]) -> Floats:
    """A rounded-square wall just inside the frame: dark at its foot, bright on its lip."""
    height, width = size
    side = min(size)
    corner, inset = 0.16 * side, 0.012 * side
    y, x = np.mgrid[0:height, 0:width]
    qx = np.abs(x - (width - 1) / 2) - (width - 1) / 2 + corner + inset
    qy = np.abs(y - (height - 1) / 2) - (height - 1) / 2 + corner + inset
    outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0)
    distance = outside - corner  # > 0 on the wall
    thick = max(0.006 * side, 1.0)
    foot = 0.16 * np.exp(-(((distance + thick) / (3 * thick)) ** 2))
    lip = 0.10 * np.exp(-(((distance - thick) / thick) ** 2))
    wall = 0.30 * np.clip(distance / (2 * thick), 0, 1)
    return np.asarray(1 - foot + lip - wall)


def _marks(size: tuple[int, int], generator: np.random.Generator) -> Floats:
    """Dust specks and hair scratches, as a gray-level difference."""
    marks = np.zeros(size)
    for _ in range(max(size[0] * size[1] // 2600, 3)):
        row, col = generator.uniform(0, size[0] - 1), generator.uniform(0, size[1] - 1)
        marks[int(row), int(col)] += generator.uniform(-110, 60)
    for _ in range(max(size[0] * size[1] // 12000, 2)):
        row, col = generator.uniform(0, size[0]), generator.uniform(0, size[1])
        angle, curl = generator.uniform(0, 2 * np.pi), generator.normal(0, 0.012)
        strength = generator.uniform(-14, 10)
        for _step in range(int(generator.uniform(12, 0.22 * min(size) + 13))):
            row, col, angle = row + np.sin(angle), col + np.cos(angle), angle + curl
            if 0 <= row < size[0] and 0 <= col < size[1]:
                marks[int(row), int(col)] += strength
    return np.asarray(ndimage.gaussian_filter(marks, 0.7))


class NoisePool:
    """Sensor noise drawn once; every frame takes its own cut of it.

    Parameters
    ----------
    size : (int, int)
        Height and width of a frame, px.
    sd : float
        Standard deviation in gray levels.
    seed : int
    """

    def __init__(self, size: tuple[int, int], sd: float, seed: int) -> None:
        self.size, self.seed = size, seed
        shape = (_POOL_FRAMES, size[0] + _POOL_MARGIN, size[1] + _POOL_MARGIN)
        generator = np.random.default_rng([seed, 3])
        self._fields: NDArray[np.float32] = generator.standard_normal(shape, dtype=np.float32)
        self._fields *= np.float32(sd)

    def at(self, index: int) -> NDArray[np.float32]:
        """Return the noise of frame `index`, shape (H, W): a view, do not write."""
        mixed = ((index + 1) * 0x9E3779B97F4A7C15 + self.seed * 0xBF58476D1CE4E5B9) % 2**64
        mixed = ((mixed ^ (mixed >> 31)) * 0x94D049BB133111EB) % 2**64
        mixed ^= mixed >> 29
        field = self._fields[mixed % _POOL_FRAMES]
        row, col = (mixed >> 8) % (_POOL_MARGIN + 1), (mixed >> 24) % (_POOL_MARGIN + 1)
        cut: Canvas = field[row : row + self.size[0], col : col + self.size[1]]
        if mixed >> 40 & 1:
            cut = cut[::-1]
        return cut[:, ::-1] if mixed >> 41 & 1 else cut
