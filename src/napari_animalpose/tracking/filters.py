"""Median and Savitzky-Golay filters that never look across a gap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import SmoothConfig
from napari_animalpose.tracking.trajectories import Knots, Trajectories, find_knots

__all__ = ["filter_median", "filter_savgol"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def filter_median(
    trajectories: Trajectories, config: SmoothConfig
) -> tuple[Trajectories, dict[str, Any]]:
    """Replace each coordinate by its median in the window of frames around it.

    Near the end of an unbroken run the window shrinks on both sides, so that steady
    movement stays as it is; the last point of a run never changes.
    """
    half = config.window_frames // 2

    def run(values: Floats, start: Ints, length: Ints) -> Floats:
        place = np.arange(len(values))
        reach = np.minimum(np.minimum(place - start, start + length - 1 - place), half)
        result = values.copy()
        for size in range(1, half + 1):
            here = np.flatnonzero(reach == size)
            window = values[here[:, None] + np.arange(-size, size + 1)]  # (n, 2 size + 1, 2)
            result[here] = np.median(window, axis=1)
        return result

    return _filter_runs(trajectories, run), {}


def filter_savgol(
    trajectories: Trajectories, config: SmoothConfig
) -> tuple[Trajectories, dict[str, Any]]:
    """Replace each coordinate by that of the polynomial that fits its window best.

    Near the end of an unbroken run, the polynomial of the last whole window counts. A run
    shorter than the window has one polynomial, and one that is too short for any stays.

    Notes
    -----
    Savitzky and Golay, "Smoothing and differentiation of data by simplified least squares
    procedures", Anal. Chem. 36, 1964.
    """
    width = config.window_frames
    table = _fit_polynomials(width, config.polynomial_order)

    def run(values: Floats, start: Ints, length: Ints) -> Floats:
        place = np.arange(len(values))
        used = np.minimum(length, width)
        begin = np.clip(place - width // 2, start, start + length - used)
        weights = table[used, place - begin]  # (P, width)
        result = np.zeros_like(values)
        for offset in range(width):
            neighbour = np.minimum(begin + offset, len(values) - 1)
            result += weights[:, offset, None] * values[neighbour]
        return result

    return _filter_runs(trajectories, run), {}


def _fit_polynomials(width: int, order: int) -> Floats:
    """Return the weights (width + 1, width, width) of values by run length and position.

    ``table[n, i, :n]`` are those of n values for the fitted value at place i.
    """
    table = np.zeros((width + 1, width, width))
    for n in range(1, width + 1):
        for i in range(n):
            if n <= order:
                table[n, i, i] = 1.0
            else:
                powers = np.vander(np.arange(n) - float(i), order + 1, increasing=True)
                table[n, i, :n] = np.linalg.pinv(powers)[0]
    return table


def _filter_runs(trajectories: Trajectories, run: Any) -> Trajectories:
    """Apply a filter of runs to every node.

    ``run(values, start, length)`` takes the points (P, 2) of all runs one after the other
    and for each where its run starts and how long it is, both (P,).
    """
    xy = trajectories.xy.copy()
    for node in range(xy.shape[1]):
        knots = find_knots(~np.isnan(xy[:, node, 0]), trajectories.span, 0)
        start, length = _measure_runs(knots)
        values = xy[knots.place, node].astype(np.float64)
        xy[knots.place, node] = run(values, start, length)
    return trajectories.with_points(xy)


def _measure_runs(knots: Knots) -> tuple[Ints, Ints]:
    starts = np.flatnonzero(knots.begins)
    lengths = np.diff(starts, append=len(knots.place))
    return starts[knots.segment], lengths[knots.segment]
