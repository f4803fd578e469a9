"""From confidence maps to points: maxima with sub-pixel refinement, in fixed shapes.

Every function takes the array namespace `xp` (`numpy` or `keras.ops`), so the code that
tests check on numpy arrays is the code inside the compiled graph of inference.

A plateau, that is cells of equal value that touch, is one peak at its centre. Bfloat16
networks and saturated outputs make plateaus all the time, and a maximum filter with
``>`` finds no peak on them and with ``>=`` several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter

__all__ = ["REFINEMENTS", "global_peaks", "local_peaks"]

PLATEAU_REACH = 6  # cells from where a plateau is first met; wider ones are cut there
FIT_RADIUS = 2  # the fit looks at 5 x 5 cells
MAX_OFFSET = 1.5  # cells; noise moves a maximum by more than the half cell of clean maps
# Share of the peak below which values are noise; at a border of the map, where three cells
# may decide, none of them is cut off.
LOG_FLOORS = np.float32(1e-3), np.float32(1e-6)
WIDE_PLATEAU = 9  # cells: with more, the fit would see little but the flat top
LEAST_CURVATURE = 1e-3  # of ln(value) per cell^2: a width of 22 cells, a plateau

_TRIPLES = np.array(list(combinations(range(2 * FIT_RADIUS + 1), 3)))  # (T, 3) cells of a line
_LOWEST = -1e30  # below every value of a map


# ---------------------------------------------------------------------------- the API
def global_peaks(maps: Any, refinement: str = "gaussian", xp: Any = np) -> tuple[Any, Any]:
    """Find the highest point of every channel.

    Parameters
    ----------
    maps : array of float, shape (B, h, w, K)
        Confidence maps; NaN counts as 0.
    refinement : {"gaussian", "integral", "none"}
        See `REFINEMENTS`.
    xp : module
        `numpy` or `keras.ops`.

    Returns
    -------
    xy : array of float32, shape (B, K, 2)
        (x, y) in map cells; `geometry.from_map` makes input px of them. Without meaning
        where the value is 0 or less: a flat map has no peak.
    value : array of float32, shape (B, K)
        The map at its highest cell, not the height of the fitted peak: the further the
        point lies from a cell, the lower.
    """
    channels = _put_channels_first(_clean(maps, xp), xp)  # (B, K, h, w)
    flat = _flatten(channels, xp)
    cell = xp.argmax(flat, axis=-1)[..., None]  # (B, K, 1)
    value = xp.max(flat, axis=-1)
    xy = _refine(channels, cell, value[..., None] > 0.0, refinement, xp)
    return xy[..., 0, :], value


def local_peaks(
    maps: Any,
    threshold: float,
    max_peaks: int,
    refinement: str = "gaussian",
    radius: int = 1,
    xp: Any = np,
) -> tuple[Any, Any]:
    """Find up to `max_peaks` local maxima of every channel, highest first.

    Cells of equal value within `radius` of each other form one plateau (a single cell is
    a small one). A plateau is a peak where its value is above the threshold and no cell
    within `radius` of it is higher.

    Parameters
    ----------
    maps : array of float, shape (B, h, w, K)
        Confidence maps; NaN counts as 0.
    threshold : float
        At least 0; values up to and with it are background.
    max_peaks : int
        P, the fixed number of slots for each channel.
    refinement : {"gaussian", "integral", "none"}
        See `REFINEMENTS`.
    radius : int
        Neighbourhood in cells; 1 compares with the 8 cells around.
    xp : module
        `numpy` or `keras.ops`.

    Returns
    -------
    xy : array of float32, shape (B, K, P, 2)
        (x, y) in map cells; NaN in empty slots.
    value : array of float32, shape (B, K, P)
        The map at the cell of the peak, descending; 0 in empty slots.
    """
    maps = _clean(maps, xp)
    peaks = _mark_peaks(maps, threshold, radius, xp)
    heights = _put_channels_first(xp.where(peaks, maps, xp.zeros_like(maps)), xp)
    value, cell = _top_k(_flatten(heights, xp), max_peaks, xp)  # (B, K, P)
    found = value > 0.0
    xy = _refine(_put_channels_first(maps, xp), cell, found, refinement, xp)
    return xp.where(found[..., None], xy, xp.full_like(xy, np.nan)), value


# ------------------------------------------------------------------ finding the maxima
def _mark_peaks(maps: Any, threshold: float, radius: int, xp: Any) -> Any:
    """Mark exactly one cell of every peak, bool (B, h, w, K).

    Cells not lower than their neighbourhood are candidates, and neighbouring candidates
    have equal values. Each starts with a label of its own, its number, or with a label
    above all numbers if an equal neighbour is no candidate: then its plateau is a terrace
    on a slope. The highest label spreads over each plateau; the cell whose number it is
    stands for it, and no cell does for a terrace.
    """
    candidate = (maps >= _highest_around(maps, radius, xp)) & (maps > threshold)
    others = xp.where(candidate, xp.full_like(maps, _LOWEST), maps)
    terrace = _highest_around(others, radius, xp) >= maps
    height, width = xp.shape(maps)[1:3]
    number = xp.reshape(xp.arange(height * width, dtype="float32"), (height, width, 1))
    number = number + xp.zeros_like(maps)  # exact up to 2^24 cells
    label = xp.where(terrace, xp.full_like(maps, 2.0**25), number)
    return candidate & (_spread(label, candidate, radius, xp) == number)


def _spread(label: Any, within: Any, radius: int, xp: Any) -> Any:
    """Give every connected part of the cells `within` its highest label; -1 elsewhere.

    All arrays (N, h, w, C).
    """
    outside = xp.full_like(label, -1.0)

    def step(state: Any) -> Any:
        return xp.where(within, _highest_around(state, radius, xp), outside)

    start = xp.where(within, label, outside)
    if xp is np:
        after = step(start)
        while not np.array_equal(start, after):
            start, after = after, step(after)
        return after

    def spread_once(state: Any, _: Any) -> tuple[Any, Any]:
        after = step(state)
        return after, xp.any(after != state)

    changing = xp.any(within)  # a tensor, as the loop demands
    return xp.while_loop(lambda _, changing: changing, spread_once, (start, changing))[0]


def _highest_around(maps: Any, radius: int, xp: Any) -> Any:
    """Maximum over a square of 2 radius + 1 cells around each cell, (N, h, w, C)."""
    side = 2 * radius + 1
    if xp is np:
        return maximum_filter(maps, (1, side, side, 1), mode="constant", cval=_LOWEST)
    return xp.max_pool(maps, side, strides=1, padding="same")


# ------------------------------------------------------------------------- refinement
class _Window(NamedTuple):
    """Square cut-outs of n x n cells around cells of interest."""

    values: Any  # (B, K, P, n, n); anything outside the map
    inside_x: Any  # (B, K, P, n) bool: the column is on the map
    inside_y: Any  # (B, K, P, n) bool: the row is
    steps: Any  # (n,) float32: columns or rows counted from the middle


def _refine(channels: Any, cell: Any, active: Any, refinement: str, xp: Any) -> Any:
    """Turn flat cell numbers (B, K, P) into (x, y) in cells, float32 (B, K, P, 2)."""
    width = xp.shape(channels)[-1]
    x, y = cell % width, cell // width
    around = _cut(channels, x, y, PLATEAU_REACH, xp)
    centre_x, centre_y, n_cells = _measure_plateau(around, active, xp)
    to_x, to_y = xp.round(centre_x), xp.round(centre_y)
    x, y = _to_float(x, xp) + to_x, _to_float(y, xp) + to_y
    window = _cut(channels, _to_int(x, xp), _to_int(y, xp), FIT_RADIUS, xp)
    flat_x, flat_y = centre_x - to_x, centre_y - to_y
    dx, dy = REFINEMENTS[refinement](window, flat_x, flat_y, xp)
    wide = n_cells > WIDE_PLATEAU
    return xp.stack([x + xp.where(wide, flat_x, dx), y + xp.where(wide, flat_y, dy)], axis=-1)


def _cut(channels: Any, x: Any, y: Any, radius: int, xp: Any) -> _Window:
    """Cut windows out of (B, K, h, w) around integer cells x, y (B, K, P)."""
    height, width = xp.shape(channels)[-2:]
    n_nodes, n_peaks = x.shape[-2:]
    side = 2 * radius + 1
    steps = np.arange(-radius, radius + 1, dtype=np.int32)
    rows, columns = y[..., None] + steps, x[..., None] + steps  # (B, K, P, n)
    row_on_map, column_on_map = xp.clip(rows, 0, height - 1), xp.clip(columns, 0, width - 1)
    index = row_on_map[..., :, None] * width + column_on_map[..., None, :]
    index = xp.reshape(index, (-1, n_nodes, n_peaks * side * side))
    values = xp.take_along_axis(_flatten(channels, xp), index, axis=-1)
    return _Window(
        values=xp.reshape(values, (-1, n_nodes, n_peaks, side, side)),
        inside_x=columns == column_on_map,
        inside_y=rows == row_on_map,
        steps=steps.astype(np.float32),
    )


def _measure_plateau(window: _Window, active: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Mean x, y and number of the cells connected to the middle one and equal, (B, K, P)."""
    middle = PLATEAU_REACH
    top = window.values[..., middle : middle + 1, middle : middle + 1]
    inside = window.inside_y[..., :, None] & window.inside_x[..., None, :]
    equal = (window.values == top) & inside & active[..., None, None]
    seed = np.zeros((2 * middle + 1,) * 2, np.float32)
    seed[middle, middle] = 1.0
    shape = xp.shape(equal)
    equal = xp.reshape(equal, (-1, *seed.shape, 1))  # windows as images, for the pooling
    start = xp.broadcast_to(seed[None, ..., None], xp.shape(equal))
    plateau = xp.reshape(_spread(start, equal, 1, xp), shape)
    plateau = xp.maximum(plateau, xp.zeros_like(plateau))  # 1 on it, else 0
    count = xp.maximum(xp.sum(plateau, axis=(-2, -1)), 1.0)
    x = xp.sum(xp.sum(plateau, axis=-2) * window.steps, axis=-1) / count
    y = xp.sum(xp.sum(plateau, axis=-1) * window.steps, axis=-1) / count
    return x, y, count


def _fit_gaussian(window: _Window, plateau_x: Any, plateau_y: Any, xp: Any) -> tuple[Any, Any]:
    """Offset (dx, dy) of the maximum of a Gaussian fitted to the window, (B, K, P) each.

    The logarithm of a Gaussian is a parabola in x plus one in y. They are fitted by
    weighted least squares with the squared values of a first guess as weights: the error
    of ln(v) is that of v divided by v (Guo, "A simple algorithm for fitting a Gaussian
    function", IEEE Signal Processing Magazine 28, 2011). The guess, unlike the values
    themselves, lets neither noise nor the flank of a neighbour into the far cells. It has
    axes along x and y, so the weights are a product and the fit falls apart into one
    parabola along x and one along y, each in closed form.

    Mean error in px for sigma 2.5 px at stride 2 (benchmarks/peak_accuracy.py)::

                                        this    three points   centre of mass
        ideal                           0.000   0.000          0.17
        rounded to bfloat16             0.002   0.02           0.17
        white noise, sd .03 of 1        0.06    0.14           0.19
        noise as smooth as the peak     0.10    0.06           0.22
        another peak at 2.5 sigma       0.24    0.000          0.53

    Under white noise this is within 10 % of the Cramer-Rao bound where the window covers
    the peak (sigma up to 1.5 cells).
    """
    r = FIT_RADIUS
    top = window.values[..., r : r + 1, r : r + 1]
    share = window.values / xp.maximum(top, 1e-12)
    whole = xp.all(window.inside_x & window.inside_y, axis=-1)[..., None, None]
    logs = xp.log(xp.maximum(share, xp.where(whole, *LOG_FLOORS)))
    weight_x = _guess_weights(logs[..., r, :], window.inside_x, window.steps, xp)
    weight_y = _guess_weights(logs[..., :, r], window.inside_y, window.steps, xp)
    sum_x, sum_y = xp.sum(weight_x, axis=-1)[..., None], xp.sum(weight_y, axis=-1)[..., None]
    profile_x = xp.sum(logs * weight_y[..., :, None], axis=-2) / sum_y  # (B, K, P, n)
    profile_y = xp.sum(logs * weight_x[..., None, :], axis=-1) / sum_x
    return (
        _parabola_top(profile_x, weight_x, plateau_x, xp),
        _parabola_top(profile_y, weight_y, plateau_y, xp),
    )


def _guess_weights(logs: Any, inside: Any, steps: Any, xp: Any) -> Any:
    """Squared Gaussian through the three middle cells of a line, 0 off the map, (..., n)."""
    r = FIT_RADIUS
    before, after = logs[..., r - 1], logs[..., r + 1]  # the middle one is ln(1) = 0
    # At the border of the map the missing side is taken to be like the other one.
    before, after = (
        xp.where(inside[..., r - 1], before, after),
        xp.where(inside[..., r + 1], after, before),
    )
    curvature = xp.minimum(0.5 * (before + after), -LEAST_CURVATURE)
    top = xp.clip((before - after) / (4.0 * curvature), -MAX_OFFSET, MAX_OFFSET)
    away = steps - top[..., None]
    weights = xp.exp(xp.maximum(2.0 * curvature[..., None] * away * away, -25.0))
    return xp.where(inside, weights, xp.zeros_like(weights))


def _parabola_top(profile: Any, weights: Any, plateau: Any, xp: Any) -> Any:
    """Where the weighted least-squares parabola through (..., n) values is highest, (...).

    That parabola is the mean of the parabolas through every three of the values, weighted
    by the product of the three weights and the squared Vandermonde determinant of the
    places (Cauchy-Binet). All terms are positive, so float32 is enough, which it is not
    for the normal equations of narrow peaks.

    The centre of the plateau where the parabola has no maximum to speak of.
    """
    i, j, k = (_TRIPLES.T - FIT_RADIUS).astype(np.float32)  # (T,) each
    at_i, at_j, at_k = (xp.take(profile, cells, axis=-1) for cells in _TRIPLES.T)
    share = ((j - i) * (k - i) * (k - j)) ** 2  # (..., T)
    for cells in _TRIPLES.T:
        share = share * xp.take(weights, cells, axis=-1)
    slope_ij, slope_jk = (at_j - at_i) / (j - i), (at_k - at_j) / (k - j)
    bend = (slope_jk - slope_ij) / (k - i)
    total = xp.maximum(xp.sum(share, axis=-1), 1e-36)  # 0 on maps of one or two cells
    curvature = xp.sum(share * bend, axis=-1) / total
    slope = xp.sum(share * (slope_ij - bend * (i + j)), axis=-1) / total  # in the middle
    curved = curvature < -LEAST_CURVATURE
    top = -slope / (2.0 * xp.where(curved, curvature, -xp.ones_like(curvature)))
    return xp.where(curved, xp.clip(top, -MAX_OFFSET, MAX_OFFSET), plateau)


def _integrate(window: _Window, plateau_x: Any, plateau_y: Any, xp: Any) -> tuple[Any, Any]:
    """Offset (dx, dy) of the centre of mass of the window, negative values as 0.

    As in SLEAP and, over whole maps, Sun et al., "Integral human pose regression", ECCV
    2018. Drawn towards the middle of the window when the peak is wider than the window.
    """
    inside = window.inside_y[..., :, None] & window.inside_x[..., None, :]
    nothing = xp.zeros_like(window.values)
    mass = xp.where(inside, xp.maximum(window.values, nothing), nothing)
    total = xp.maximum(xp.sum(mass, axis=(-2, -1)), 1e-12)
    dx = xp.sum(xp.sum(mass, axis=-2) * window.steps, axis=-1) / total
    dy = xp.sum(xp.sum(mass, axis=-1) * window.steps, axis=-1) / total
    return dx, dy


def _keep_cell(_: _Window, plateau_x: Any, plateau_y: Any, xp: Any) -> tuple[Any, Any]:
    """Offset (dx, dy) of the plateau's centre, which is 0 for a single highest cell."""
    return plateau_x, plateau_y


REFINEMENTS: Mapping[str, Callable[[_Window, Any, Any, Any], tuple[Any, Any]]] = {
    "gaussian": _fit_gaussian,
    "integral": _integrate,
    "none": _keep_cell,
}
"""Ways to find the maximum between cells: a fitted Gaussian (exact on ideal maps), the
centre of mass of 5 x 5 cells (what SLEAP does), or none (the centre of the cell)."""


# ----------------------------------------------------- what numpy and keras.ops lack
def _clean(maps: Any, xp: Any) -> Any:
    """Maps of any float dtype as float32, NaN as 0."""
    maps = _to_float(maps, xp)
    return xp.where(xp.isnan(maps), xp.zeros_like(maps), maps)


def _put_channels_first(maps: Any, xp: Any) -> Any:
    """(B, h, w, K) to (B, K, h, w)."""
    return xp.transpose(maps, (0, 3, 1, 2))


def _flatten(channels: Any, xp: Any) -> Any:
    """(B, K, h, w) to (B, K, h * w)."""
    _, n_nodes, height, width = xp.shape(channels)
    return xp.reshape(channels, (-1, n_nodes, height * width))


def _to_float(values: Any, xp: Any) -> Any:
    return values.astype(np.float32) if xp is np else xp.cast(values, "float32")


def _to_int(values: Any, xp: Any) -> Any:
    return values.astype(np.int32) if xp is np else xp.cast(values, "int32")


def _top_k(values: Any, k: int, xp: Any) -> tuple[Any, Any]:
    """The k highest of values of at least 0, descending, and where they are; else 0 and 0."""
    # Small maps have fewer cells than there are slots.
    values = xp.concatenate([values, xp.zeros_like(values[..., :1]) + np.zeros(k, np.float32)], -1)
    if xp is np:
        index = np.argsort(-values, axis=-1, kind="stable")[..., :k]
        highest = np.take_along_axis(values, index, axis=-1)
    else:
        highest, index = xp.top_k(values, k)
    return highest, xp.where(highest > 0.0, index, xp.zeros_like(index))
