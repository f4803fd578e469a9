"""What a network learns to draw: confidence maps and part affinity fields.

Each function takes the array namespace `xp` (`numpy` or `keras.ops`) and uses only what
the two share, so tests check on numpy arrays the very code that runs on the device.
Shapes are static: the loop over instances is unrolled in a compiled graph, which keeps
memory at one map per frame instead of one per instance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_animalpose.nn.geometry import map_size

__all__ = ["confidence_maps", "part_affinity_fields"]


def _grid(n_cells: int, stride: int, xp: Any) -> Any:
    """Input px of the cells of a map along one axis, float32, shape (n_cells,)."""
    return xp.arange(n_cells, dtype="float32") * float(stride)


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
    product take the place of a grid of distances.
    """
    h, w = map_size((height, width), stride)
    bump_x = _bumps(xy[..., 0], _grid(w, stride, xp), sigma_px, xp)  # (..., I, w, K)
    bump_y = _bumps(xy[..., 1], _grid(h, stride, xp), sigma_px, xp)  # (..., I, h, K)
    maps = None
    for i in range(xy.shape[-3]):
        bump = bump_y[..., i, :, None, :] * bump_x[..., i, None, :, :]  # (..., h, w, K)
        maps = bump if maps is None else xp.maximum(maps, bump)
    return maps


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
    """
    h, w = map_size((height, width), stride)
    edges = np.asarray(edges, np.int32).reshape(-1, 2)
    sources, destinations = xp.take(xy, edges[:, 0], axis=-2), xp.take(xy, edges[:, 1], axis=-2)
    grid_x, grid_y = _grid(w, stride, xp)[None, :, None], _grid(h, stride, xp)[:, None, None]
    field_x = field_y = 0.0
    for i in range(xy.shape[-3]):
        ends = sources[..., i, None, None, :, :], destinations[..., i, None, None, :, :]
        x, y = _edge_field(*ends, grid_x, grid_y, half_width_px, xp)  # (..., h, w, E) each
        field_x, field_y = field_x + x, field_y + y
    length = xp.sqrt(field_x * field_x + field_y * field_y)
    shrink = 1.0 / xp.maximum(length, xp.ones_like(length))
    return xp.stack([field_x * shrink, field_y * shrink], axis=-1)


def _edge_field(
    source: Any, destination: Any, grid_x: Any, grid_y: Any, half_width_px: float, xp: Any
) -> tuple[Any, Any]:
    """x and y components (..., h, w, E) of one instance's edges, ends (..., 1, 1, E, 2)."""
    edge = destination - source
    length = xp.sqrt(xp.sum(edge * edge, axis=-1))  # (..., 1, 1, E)
    drawn = length > 0.0  # false for NaN, too
    safe = xp.where(drawn, length, xp.ones_like(length))
    ux, uy = edge[..., 0] / safe, edge[..., 1] / safe
    x, y = grid_x - source[..., 0], grid_y - source[..., 1]
    along, across = x * ux + y * uy, x * uy - y * ux  # (..., h, w, E)
    beyond = along - xp.clip(along, 0.0, safe)
    distance2 = across * across + beyond * beyond
    weight = xp.exp(distance2 * (-math.log(2.0) / half_width_px**2))
    nothing = xp.zeros_like(weight)
    return xp.where(drawn, weight * ux, nothing), xp.where(drawn, weight * uy, nothing)
