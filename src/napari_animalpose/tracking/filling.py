"""Interpolation of missing points over gaps of a limited length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import SmoothConfig
from napari_animalpose.tracking.trajectories import Knots, Trajectories, find_knots

__all__ = ["fill_linear", "fill_pchip"]

Floats = NDArray[np.float64]


def fill_linear(
    trajectories: Trajectories, config: SmoothConfig
) -> tuple[Trajectories, dict[str, Any]]:
    """Fill gaps of a point along the straight line between the points around it.

    What is missing at the ends of a track stays missing.
    """
    return _fill(trajectories, config, smooth=False), {}


def fill_pchip(
    trajectories: Trajectories, config: SmoothConfig
) -> tuple[Trajectories, dict[str, Any]]:
    """Fill gaps of a point along a cubic that goes on as the point moved and never overshoots.

    Notes
    -----
    Piecewise cubic Hermite interpolation (Fritsch and Butland, "A method for constructing
    local monotone piecewise cubic interpolants", SIAM J. Sci. Stat. Comput. 5, 1984), for x
    and y apart: between two points the curve stays in the box that they span. A cubic
    spline is smoother by one derivative, but swings out of it where an animal stops, and a
    jump far away bends it.
    """
    return _fill(trajectories, config, smooth=True), {}


def _fill(trajectories: Trajectories, config: SmoothConfig, *, smooth: bool) -> Trajectories:
    xy = trajectories.xy.copy()
    for node in range(xy.shape[1]):
        present = ~np.isnan(xy[:, node, 0])
        knots = find_knots(present, trajectories.span, config.max_gap_frames)
        values = xy[knots.place, node].astype(np.float64)
        places, filled = _interpolate(knots, values, smooth=smooth)
        xy[places, node] = filled
    return trajectories.with_points(xy)


def _interpolate(knots: Knots, values: Floats, *, smooth: bool) -> tuple[NDArray[np.intp], Floats]:
    """Return the places in gaps and their points (G, 2), given those of the knots (P, 2)."""
    length = np.diff(knots.place, append=0)
    gap = np.flatnonzero(~knots.ends & (length > 1))
    owner = np.repeat(gap, length[gap] - 1)
    count = length[gap] - 1
    offset = 1 + np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    places = knots.place[owner] + offset
    h = length[owner][:, None].astype(np.float64)
    t = offset[:, None] / h
    a, b = values[owner], values[owner + 1]
    if not smooth:
        return places, a + t * (b - a)
    slopes = _find_slopes(knots, values)
    da, db = slopes[owner] * h, slopes[owner + 1] * h
    rest = 1 - t
    # Cubic Hermite basis, with values and slopes at both ends.
    filled = (1 + 2 * t) * rest**2 * a + t * rest**2 * da + t**2 * (3 - 2 * t) * b
    return places, filled - t**2 * rest * db


def _find_slopes(knots: Knots, values: Floats) -> Floats:
    """Return the slopes of the interpolant at the knots, shape (P, 2)."""
    slopes = np.zeros_like(values)
    first, last = knots.begins, knots.ends
    step = np.diff(knots.place)[:, None].astype(np.float64)  # meaningless between segments
    rise = np.diff(values, axis=0) / step
    inner = np.flatnonzero(~first & ~last)
    slopes[inner] = _harmonic_mean(step[inner - 1], step[inner], rise[inner - 1], rise[inner])
    two = np.flatnonzero(first & ~last)
    alone = last[two + 1]
    slopes[two[alone]] = slopes[two[alone] + 1] = rise[two[alone]]
    head = two[~alone]
    slopes[head] = _one_sided(step[head], step[head + 1], rise[head], rise[head + 1])
    tail = np.flatnonzero(last & ~first)
    tail = tail[~first[tail - 1]]
    slopes[tail] = _one_sided(step[tail - 1], step[tail - 2], rise[tail - 1], rise[tail - 2])
    return slopes


def _harmonic_mean(h0: Floats, h1: Floats, rise0: Floats, rise1: Floats) -> Floats:
    """Return slopes between two rises: 0 at an extremum, so that nothing overshoots."""
    same_way = rise0 * rise1 > 0
    w0, w1 = 2 * h1 + h0, h1 + 2 * h0
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (w0 + w1) / (w0 / rise0 + w1 / rise1)
    return np.asarray(np.where(same_way, mean, 0.0))


def _one_sided(h0: Floats, h1: Floats, rise0: Floats, rise1: Floats) -> Floats:
    """Return slopes at an end: of the parabola through three knots, kept from overshooting."""
    slope = ((2 * h0 + h1) * rise0 - h0 * rise1) / (h0 + h1)
    slope = np.where(slope * rise0 <= 0, 0.0, slope)
    turns = (rise0 * rise1 < 0) & (np.abs(slope) > 3 * np.abs(rise0))
    return np.asarray(np.where(turns, 3 * rise0, slope))
