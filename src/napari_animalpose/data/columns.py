"""The columns of the pose table: names, types, meaning, and what they refuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError

__all__ = [
    "COLUMNS",
    "Column",
    "Origin",
    "Visibility",
    "check_columns",
    "fill_column",
    "has_nan",
    "number_repeats",
    "rearrange_nodes",
    "visible_where_placed",
]


class Origin(IntEnum):
    """Who made an instance."""

    USER = 0
    PREDICTED = 1
    CORRECTED = 2  # predicted, then moved or accepted by a person: counts as a label


class Visibility(IntEnum):
    """What a person or a network says about one point."""

    MISSING = 0
    OCCLUDED = 1  # has a position, is not seen
    VISIBLE = 2


class Column(NamedTuple):
    """Type and shape of one column."""

    dtype: DTypeLike
    per_node: tuple[int, ...] | None  # shape after (N, K), or None for one value a row


COLUMNS: Mapping[str, Column] = {
    "video": Column(np.int32, None),
    "frame": Column(np.int32, None),
    "track": Column(np.int32, None),
    "origin": Column(np.uint8, None),
    "xy": Column(np.float32, (2,)),
    "visibility": Column(np.uint8, ()),
    "point_score": Column(np.float32, ()),
    "score": Column(np.float32, None),
    "track_score": Column(np.float32, None),
}


def fill_column(
    name: str, values: ArrayLike, n_rows: int, n_nodes: int, *, copy: bool = True
) -> NDArray[Any]:
    """Broadcast one column to its full shape and dtype; a fresh array unless `copy` is False.

    Raises
    ------
    DataError
        If the shape does not fit, or a column of whole numbers holds others.
    """
    dtype, per_node = COLUMNS[name]
    shape = (n_rows,) if per_node is None else (n_rows, n_nodes, *per_node)
    array = np.asarray(values)
    if array.ndim and array.shape != shape:
        raise DataError(
            f"Expected {name} of shape {shape} for {n_rows} instances of {n_nodes} nodes; "
            f"received {array.shape}."
        )
    if np.dtype(dtype).kind in "iu" and array.size and array.dtype != dtype:
        bounds = np.iinfo(np.dtype(dtype))
        if not np.all((array >= bounds.min) & (array <= bounds.max) & (array == np.floor(array))):
            raise DataError(
                f"Expected whole numbers from {bounds.min} to {bounds.max} as {name}; "
                f"received {array.min()} to {array.max()}."
            )
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, refused later
        if not array.ndim:
            return np.full(shape, array, dtype)
        return array.astype(dtype, order="C", copy=copy)


def visible_where_placed(xy: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return visibilities (N, K): visible where both coordinates (N, K, 2) are numbers."""
    placed = ~has_nan(xy)
    return np.where(placed, Visibility.VISIBLE, Visibility.MISSING).astype(np.uint8)


def has_nan(xy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which points (N, K, 2) have NaN for a coordinate, (N, K)."""
    # Many times faster than `any` over an axis of two.
    return np.asarray(np.isnan(xy[..., 0]) | np.isnan(xy[..., 1]))


def number_repeats(names: Sequence[str]) -> list[tuple[str, int]]:
    """Pair every name with how often it came before, so that each pair is there once."""
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        numbered.append((name, seen[name]))
        seen[name] += 1
    return numbered


def rearrange_nodes(
    columns: Mapping[str, NDArray[Any]],
    sources: Sequence[int],
    added: Mapping[str, NDArray[Any]] | None,
) -> dict[str, NDArray[Any]]:
    """Return the columns with a K axis for other nodes: `sources` of the present, -1 = new.

    New nodes take the values `added` (N, M, ...) in order, and are missing without.
    """
    rearranged = {}
    for name in ("xy", "visibility", "point_score"):
        dtype, per_node = COLUMNS[name]
        old = columns[name]
        fill = Visibility.MISSING if name == "visibility" else np.nan
        new = np.full((len(old), len(sources), *(per_node or ())), fill, dtype)
        new_nodes = [node for node, source in enumerate(sources) if source < 0]
        for node, source in enumerate(sources):
            if source >= 0:
                new[:, node] = old[:, source]
            elif added is not None:
                new[:, node] = added[name][:, new_nodes.index(node)]
        rearranged[name] = new
    return rearranged


def check_columns(
    columns: Mapping[str, NDArray[Any]], skeleton: Skeleton, track_names: tuple[str, ...]
) -> None:
    """Refuse values that no later stage could give a meaning to.

    Raises
    ------
    DataError
        For negative frames, tracks without a name, unknown origins or visibilities,
        infinite coordinates, and visible points without coordinates.
    """
    if not len(columns["frame"]):
        return
    for name in ("video", "frame"):
        if columns[name].min() < 0:
            raise DataError(f"Expected {name} numbers from 0; received {columns[name].min()}.")
    track = columns["track"]
    if track.min() < -1 or track.max() >= len(track_names):
        raise DataError(
            f"Expected tracks from -1 (none) to {len(track_names) - 1}, one for each of the "
            f"{len(track_names)} track names; received {track.min()} to {track.max()}."
        )
    for name, kind in (("origin", Origin), ("visibility", Visibility)):
        largest = columns[name].max(initial=0)
        if largest > max(kind):
            raise DataError(f"Expected {name} from 0 to {int(max(kind))}; received {largest}.")
    _check_points(columns, skeleton)


def _check_points(columns: Mapping[str, NDArray[Any]], skeleton: Skeleton) -> None:
    """Refuse infinite coordinates and present points without coordinates."""
    xy = columns["xy"]
    if np.isinf(xy).any():
        row, node, _ = np.argwhere(np.isinf(xy))[0]
        raise DataError(
            "Expected finite coordinates, or NaN for a missing point; received inf for "
            f"{skeleton.nodes[node]!r} in frame {columns['frame'][row]}."
        )
    unplaced = has_nan(xy) & (columns["visibility"] != Visibility.MISSING)
    if unplaced.any():
        row, node = np.argwhere(unplaced)[0]
        raise DataError(
            f"Expected coordinates for every visible or occluded point; received NaN for "
            f"{skeleton.nodes[node]!r} in frame {columns['frame'][row]}. Mark it missing instead."
        )
