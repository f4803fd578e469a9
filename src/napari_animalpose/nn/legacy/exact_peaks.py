"""Peaks where SLEAP 1.4 sees them: strict maxima, centre of mass of 5 x 5 cells, offsets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

__all__ = ["Peaks", "find_global_peaks", "find_local_peaks"]

Floats = NDArray[np.float32]
PATCH_RADIUS = 2
RING = np.ones((1, 3, 3, 1), bool)
RING[0, 1, 1, 0] = False


class Peaks(NamedTuple):
    """Peaks of a batch, in the order of SLEAP: by frame, row, column, node.

    frame, node : int (N,)
    cell : float32 (N, 2), (x, y) in cells of the map
    value : float32 (N,), the map at the highest cell
    """

    frame: NDArray[np.intp]
    node: NDArray[np.intp]
    cell: Floats
    value: Floats


def find_local_peaks(maps: Floats, offsets: Floats | None, threshold: float) -> Peaks:
    """Find cells that are higher than the 8 around them.

    Cells of equal height side by side are no peak: SLEAP loses plateaus.

    Parameters
    ----------
    maps : float32 array, shape (B, h, w, K)
    offsets : float32 array, shape (B, h, w, 2 K), or None
        Learned offsets in cells, which then take the place of the centre of mass.
    threshold : float
        Cells up to and with it are no peaks.
    """
    around = maximum_filter(maps, footprint=RING, mode="constant", cval=-np.inf)
    frame, row, column, node = np.nonzero((maps > around) & (maps > threshold))
    value = maps[frame, row, column, node]
    cell = np.stack([column, row], axis=-1).astype(np.float32)
    return Peaks(frame, node, cell + _offset(maps, offsets, frame, row, column, node), value)


def find_global_peaks(
    maps: Floats, offsets: Floats | None, threshold: float
) -> tuple[Floats, Floats]:
    """Find the highest cell of every map.

    Parameters
    ----------
    maps, offsets, threshold
        As in `find_local_peaks`; a peak at the threshold counts here.

    Returns
    -------
    cells : float32 array, shape (B, K, 2)
        (x, y) in cells; NaN below the threshold.
    values : float32 array, shape (B, K)
    """
    n_frames, _, _, n_nodes = maps.shape
    frame, node = (axis.ravel() for axis in np.indices((n_frames, n_nodes)))
    # SLEAP asks for the highest row and the highest column by themselves.
    row = maps.max(axis=2).argmax(axis=1).ravel()
    column = maps.max(axis=1).argmax(axis=1).ravel()
    value = maps[frame, row, column, node]
    cell = np.stack([column, row], axis=-1) + _offset(maps, offsets, frame, row, column, node)
    cell[value < threshold] = np.nan
    shape = (n_frames, n_nodes)
    return cell.reshape(*shape, 2).astype(np.float32), value.reshape(shape)


def _offset(
    maps: Floats,
    offsets: Floats | None,
    frame: NDArray[Any],
    row: NDArray[Any],
    column: NDArray[Any],
    node: NDArray[Any],
) -> Floats:
    """Return from the cells to the points, (N, 2) in cells."""
    if offsets is not None:
        by_node = offsets.reshape(*offsets.shape[:3], -1, 2)
        return np.asarray(by_node[frame, row, column, node])
    r = PATCH_RADIUS
    steps = np.arange(-r, r + 1)
    padded = np.pad(maps, ((0, 0), (r, r), (r, r), (0, 0)))
    rows, columns = row[:, None] + r + steps, column[:, None] + r + steps
    index = frame[:, None, None], rows[:, :, None], columns[:, None, :], node[:, None, None]
    patch = padded[index]  # (N, 5, 5), negative values count
    total = patch.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        x = (patch.sum(axis=1) * steps).sum(axis=1) / total
        y = (patch.sum(axis=2) * steps).sum(axis=1) / total
    return np.stack([x, y], axis=-1).astype(np.float32)
