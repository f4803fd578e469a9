"""What a network learns to draw: confidence maps and part affinity fields.

Each function takes the array namespace `xp` (`numpy` or `keras.ops`) and uses only what
the two share, so tests check on numpy arrays the very code that runs on the device.
A loop over instances keeps memory at one map per frame instead of one per instance, and
visits only those that reach the window: what a window of a crowd costs is set by the
animals around it and not by those in the whole frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from napari_animalpose.nn.geometry import map_size

__all__ = ["confidence_maps", "part_affinity_fields"]

_HALVINGS = 151.0  # of 1 until nothing is left: the smallest float32 above 0 is 2 ** -149


def _grid(n_cells: int, stride: int, xp: Any) -> Any:
    """Input px of the cells of a map along one axis, float32, shape (n_cells,)."""
    return xp.arange(n_cells, dtype="float32") * float(stride)


def _reaches(low: Any, high: Any, size: tuple[int, int], reach_px: float, xp: Any) -> Any:
    """Whether boxes with corners (..., 2) come within `reach_px` of a window; not if NaN.

    `size` is (height, width) of the window in px; its first pixel has its centre at 0.
    """
    height, width = size
    first = np.array([-reach_px, -reach_px], np.float32)
    last = np.array([width - 1 + reach_px, height - 1 + reach_px], np.float32)
    return xp.all(xp.logical_and(high >= first, low <= last), axis=-1)


def _rank(reaching: Any, xp: Any) -> tuple[Any, Any]:
    """Put the instances that reach a window before those that do not.

    Parameters
    ----------
    reaching : array of bool, shape (..., I, N)
        For each of N channels on its own.

    Returns
    -------
    order : array of int, shape (..., I, N)
        Numbers of the instances; equals stay in the order they have.
    count : array of int, scalar
        How many have to be looked at: the most that reach any window in any channel.
    """
    n_instances = reaching.shape[-2]
    numbers = np.arange(n_instances, dtype=np.int32)[:, None]
    order = xp.argsort(xp.where(reaching, numbers, numbers + n_instances), axis=-2)
    return order, xp.max(xp.count_nonzero(reaching, axis=-2), initial=0)


def _fold(count: Any, step: Callable[[Any, Any], Any], state: Any, xp: Any) -> Any:
    """Apply ``state = step(i, state)`` for i from 0 to `count` (exclusive)."""
    if xp is not np:
        return xp.fori_loop(0, count, step, state)
    for i in range(int(count)):
        state = step(i, state)
    return state


def _bump_reach(sigma_px: float) -> float:
    """Distance in px at which a Gaussian bump is 0 in float32: 14.5 sigma."""
    return sigma_px * math.sqrt(2.0 * math.log(2.0) * _HALVINGS)


def confidence_maps(
    xy: Any, height: int, width: int, stride: int, sigma_px: float, xp: Any = np
) -> Any:
    """Draw a Gaussian bump around every point, one channel for each node.

    ``map[i, j, k] = max over instances of exp(-d^2 / (2 sigma^2))`` with d the distance
    in input px from (j * stride, i * stride) to point k. The maximum, and not the sum,
    keeps neighbouring animals apart: each peak stays where its point is.

    Parameters
    ----------
    xy : array of float, shape (..., I, K, 2)
        (x, y) of I >= 1 instances in px of the network input; NaN = missing. Rows of NaN pad
        frames with fewer instances.
    height, width : int
        Size of the network input in px.
    stride : int
        Output stride in px: cell i stands for input pixel ``i * stride``.
    sigma_px : float
        Standard deviation of the bump in input px.
    xp : module
        `numpy` or `keras.ops`.

    Returns
    -------
    array, shape (..., h, w, K)
        Between 0 and 1 with ``h = ceil(height / stride)``, ``w = ceil(width / stride)``;
        0 everywhere for a node that no instance has. Of the dtype of `xy`.

    Notes
    -----
    A Gaussian is separable: two 1-D bumps, (..., h, K) and (..., w, K), and their outer
    product take the place of a grid of distances. Points so far outside that their bump
    is 0 in float32 everywhere (14.5 sigma) are not drawn.
    """
    h, w = map_size((height, width), stride)
    grid_x, grid_y = _grid(w, stride, xp), _grid(h, stride, xp)
    reaching = _reaches(xy, xy, (height, width), _bump_reach(sigma_px), xp)  # (..., I, K)
    order, count = _rank(reaching, xp)
    x = xp.take_along_axis(xy[..., 0], order, axis=-2)  # (..., I, K)
    y = xp.take_along_axis(xy[..., 1], order, axis=-2)

    def bump(i: Any) -> Any:
        bump_x = _bumps(xp.take(x, i, axis=-2), grid_x, sigma_px, xp)  # (..., w, K)
        bump_y = _bumps(xp.take(y, i, axis=-2), grid_y, sigma_px, xp)  # (..., h, K)
        return bump_y[..., :, None, :] * bump_x[..., None, :, :]  # (..., h, w, K)

    def draw(i: Any, maps: Any) -> Any:
        return xp.maximum(maps, bump(i))

    return _fold(count, draw, xp.zeros_like(bump(0)), xp)


def _bumps(positions: Any, grid: Any, sigma_px: float, xp: Any) -> Any:
    """1-D Gaussians (..., n, K) at positions (..., K) over a grid (n,); 0 for NaN."""
    distance = grid[:, None] - positions[..., None, :]
    bump = xp.exp(distance * distance * (-0.5 / sigma_px**2))
    return xp.where(xp.isnan(distance), xp.zeros_like(bump), bump)


def part_affinity_fields(
    xy: Any,
    edges: Sequence[Sequence[int]] | Any,
    height: int,
    width: int,
    stride: int,
    half_width_px: float,
    xp: Any = np,
) -> Any:
    """Draw, along every edge, vectors that point from its source to its destination.

    One instance contributes ``u * exp(-ln 2 * (d / half_width)^2)``: u is the unit vector
    from source to destination, d the distance from the cell to the segment between them.
    The weight is 1 on the segment and 0.5 at `half_width_px` from it, all around.

    Where instances overlap their vectors are added and the sum is shortened to length 1
    if it is longer: ``F = S / max(1, |S|)``. A plain sum (as in SLEAP) makes the network
    count how many limbs lie on top of each other; an average over instances (Cao et al.,
    "Realtime multi-person 2D pose estimation using part affinity fields", CVPR 2017)
    halves the field where two limbs cross, and with it the score of both. Here lengths
    stay in the range of a single limb, and a right-angled crossing keeps 0.71 of either.

    Parameters
    ----------
    xy : array of float, shape (..., I, K, 2)
        (x, y) of I >= 1 instances in px of the network input; NaN = missing.
    edges : array_like of int, shape (E, 2)
        Source and destination node of every edge.
    height, width : int
        Size of the network input in px.
    stride : int
        Output stride in px.
    half_width_px : float
        Distance from the segment, in input px, at which the weight is one half.
    xp : module
        `numpy` or `keras.ops`.

    Returns
    -------
    array, shape (..., h, w, E, 2)
        (x, y) components, length at most 1. An edge without one of its ends, or whose
        ends coincide, contributes nothing. Of the dtype of `xy`.

    Notes
    -----
    Edges so far outside that their weight is 0 in float32 everywhere (12.3 half-widths)
    are not drawn.
    """
    h, w = map_size((height, width), stride)
    edges = np.asarray(edges, np.int32).reshape(-1, 2)
    source, destination = xp.take(xy, edges[:, 0], axis=-2), xp.take(xy, edges[:, 1], axis=-2)
    low, high = xp.minimum(source, destination), xp.maximum(source, destination)
    reach_px = half_width_px * math.sqrt(_HALVINGS)
    order, count = _rank(_reaches(low, high, (height, width), reach_px, xp), xp)
    ends = [
        xp.take_along_axis(end[..., axis], order, axis=-2)  # (..., I, E)
        for end in (source, destination)
        for axis in (0, 1)
    ]
    grid_x, grid_y = _grid(w, stride, xp)[None, :, None], _grid(h, stride, xp)[:, None, None]

    def vectors(i: Any) -> tuple[Any, Any]:
        chosen = [xp.take(end, i, axis=-2)[..., None, None, :] for end in ends]
        return _edge_field(chosen, grid_x, grid_y, half_width_px, xp)  # (..., h, w, E) each

    def add(i: Any, fields: tuple[Any, Any]) -> tuple[Any, Any]:
        x, y = vectors(i)
        return fields[0] + x, fields[1] + y

    nothing = xp.zeros_like(vectors(0)[0])
    field_x, field_y = _fold(count, add, (nothing, nothing), xp)
    length = xp.sqrt(field_x * field_x + field_y * field_y)
    shrink = 1.0 / xp.maximum(length, xp.ones_like(length))
    return xp.stack([field_x * shrink, field_y * shrink], axis=-1)


def _edge_field(
    ends: Sequence[Any], grid_x: Any, grid_y: Any, half_width_px: float, xp: Any
) -> tuple[Any, Any]:
    """x and y components (..., h, w, E) of one instance's edges.

    `ends` are x and y of their sources, then of their destinations, each (..., 1, 1, E).
    """
    source_x, source_y, destination_x, destination_y = ends
    edge_x, edge_y = destination_x - source_x, destination_y - source_y
    length = xp.sqrt(edge_x * edge_x + edge_y * edge_y)
    drawn = length > 0.0  # false for NaN, too
    nothing = xp.zeros_like(length)
    # What is not drawn gets a direction of length 0 somewhere: no NaN reaches the maps.
    safe = xp.where(drawn, length, xp.ones_like(length))
    ux, uy = xp.where(drawn, edge_x / safe, nothing), xp.where(drawn, edge_y / safe, nothing)
    x, y = grid_x - xp.where(drawn, source_x, nothing), grid_y - xp.where(drawn, source_y, nothing)
    along, across = x * ux + y * uy, x * uy - y * ux  # (..., h, w, E)
    beyond = along - xp.clip(along, 0.0, safe)
    distance2 = across * across + beyond * beyond
    weight = xp.exp(distance2 * (-math.log(2.0) / half_width_px**2))
    return weight * ux, weight * uy
