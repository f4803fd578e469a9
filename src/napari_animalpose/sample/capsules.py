"""Tapered capsules: the segments of legs and tails, anti-aliased on a local patch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.sample.sprites import LIGHT, Canvas

__all__ = ["capsule_coverage", "draw_capsule", "shade_capsule"]

_EDGE_PX = 1.5  # width of the ramp at the rim: pixel area and lens blur together


def capsule_coverage(
    size: tuple[int, int],
    ends: tuple[float, float, float, float],
    radii: tuple[float, float],
    edge_px: float = _EDGE_PX,
) -> tuple[tuple[slice, slice], NDArray[np.float32], NDArray[np.float32]] | None:
    """Return window, coverage and sideways light of a capsule, or None off the image.

    Parameters
    ----------
    size : (int, int)
        Height and width of the image.
    ends : (float, float, float, float)
        x, y of the start and x, y of the stop, px.
    radii : (float, float)
        Radius at start and stop, px.
    edge_px : float
        Width of the ramp from 1 inside to 0 outside; half coverage is on the rim.
    """
    x0, y0, x1, y1 = ends
    pad = max(radii) + edge_px / 2 + 0.5
    left, right = max(int(min(x0, x1) - pad), 0), min(int(max(x0, x1) + pad) + 2, size[1])
    top, bottom = max(int(min(y0, y1) - pad), 0), min(int(max(y0, y1) + pad) + 2, size[0])
    if left >= right or top >= bottom:
        return None
    f32 = np.float32
    dx = np.arange(left, right, dtype=f32) - f32(x0)
    dy = (np.arange(top, bottom, dtype=f32) - f32(y0))[:, None]
    ex, ey = x1 - x0, y1 - y0
    squared = max(ex * ex + ey * ey, 1e-12)
    along = dx * f32(ex / squared) + dy * f32(ey / squared)
    np.maximum(along, 0, out=along)
    np.minimum(along, 1, out=along)
    qx = dx - along * f32(ex)
    qy = dy - along * f32(ey)
    distance = np.sqrt(qx * qx + qy * qy)
    along *= f32(radii[1] - radii[0])
    along += f32(radii[0])  # now the radius
    distance -= along
    distance *= f32(-1 / edge_px)
    distance += f32(0.5)
    np.maximum(distance, 0, out=distance)
    np.minimum(distance, 1, out=distance)
    # lit across its axis only, so that segments of a chain join without seams
    lean = (ey * LIGHT[0] - ex * LIGHT[1]) / squared
    across = dx * f32(ey * lean) - dy * f32(ex * lean)
    across /= along
    return (slice(top, bottom), slice(left, right)), distance, across


def draw_capsule(
    canvas: Canvas,
    ends: tuple[float, float, float, float],
    radii: tuple[float, float],
    gray: float,
) -> None:
    """Draw a round, lit capsule of a gray level over a canvas (H, W), in place."""
    found = capsule_coverage((canvas.shape[0], canvas.shape[1]), ends, radii)
    if found is None:
        return
    window, coverage, light = found
    light *= np.float32(0.55 * gray)
    light += np.float32(gray)
    below = canvas[window]
    light -= below
    light *= coverage
    below += light


def shade_capsule(
    canvas: Canvas,
    ends: tuple[float, float, float, float],
    radii: tuple[float, float],
    depth: float,
    softness_px: float,
) -> None:
    """Darken a canvas by up to the share `depth` under a soft capsule, in place."""
    found = capsule_coverage((canvas.shape[0], canvas.shape[1]), ends, radii, softness_px)
    if found is None:
        return
    window, coverage, _ = found
    coverage *= np.float32(-depth)
    coverage += np.float32(1)
    canvas[window] *= coverage
