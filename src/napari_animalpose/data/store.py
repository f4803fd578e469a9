"""Where the columns of a pose table lie: searched, shared and changed frame by frame.

A table of a million frames must take a dragged point as fast as a table of ten. So where
the number of rows in a frame stays the same, the columns are overwritten in place; where
it changes, the new rows wait in a side table until someone asks for whole columns.

Tables may share memory: a copy costs nothing until one of the two is changed. Every
column therefore knows whose it is (`Ownership`), and only an owned one is written to.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MAX_FRAME",
    "Columns",
    "Ownership",
    "Store",
    "join_sorted",
    "pack",
    "pack_sorted",
    "unpack",
]

Columns = dict[str, NDArray[Any]]

MAX_FRAME = int(np.iinfo(np.int32).max)
_MIN_FRAMES_AT_ONCE = 1024  # fewer frames than this may always wait in the side table


class Ownership(Enum):
    """Who else sees the memory of a column."""

    OWNED = 0  # this store alone: may be written in place
    SHARED = 1  # several stores, none of which writes in place
    BORROWED = 2  # belongs to someone who may write in place


def pack(video: ArrayLike, frame: ArrayLike) -> NDArray[np.int64]:
    """Return one sortable int64 for each (video, frame)."""
    return (np.asarray(video, np.int64) << 32) | np.asarray(frame, np.int64)


def unpack(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (F, 2) video and frame numbers behind packed keys."""
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)


def pack_sorted(frames: ArrayLike) -> NDArray[np.int64]:
    """Return the keys (F,) of (F, 2) frames.

    Raises
    ------
    ValueError
        If the frames are not sorted, repeat themselves or are negative.
    """
    pairs = np.asarray(frames, np.int64).reshape(-1, 2)
    keys = pack(pairs[:, 0], pairs[:, 1])
    if np.any(keys[1:] <= keys[:-1]) or np.any((pairs < 0) | (pairs > MAX_FRAME)):
        raise ValueError("Expected sorted (video, frame) pairs from 0, without repeats.")
    return keys


def join_sorted(parts: Sequence[Mapping[str, NDArray[Any]]]) -> Columns:
    """Join columns and sort them by frame; within a frame rows keep the order of the parts."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(pack(joined["video"], joined["frame"]), kind="stable")
    return {name: column[order] for name, column in joined.items()}


class Store:
    """Columns of N rows sorted by (video, frame), with cheap edits of single frames.

    Parameters
    ----------
    columns : mapping of arrays
        All of length N, sorted; ``video`` and ``frame`` are among them.
    ownership : Ownership
        Whether this store may write into the arrays it is given.
    """

    __slots__ = ("_columns", "_index", "_keys", "_ownership", "_pending", "_side", "n_rows")

    def __init__(self, columns: Mapping[str, NDArray[Any]], ownership: Ownership) -> None:
        self._reset(columns, ownership)

    def _reset(self, columns: Mapping[str, NDArray[Any]], ownership: Ownership) -> None:
        self._columns = dict(columns)
        self._ownership = dict.fromkeys(columns, ownership)
        self._keys: NDArray[np.int64] | None = None
        self._index: tuple[NDArray[np.int64], NDArray[np.intp]] | None = None
        self._side: dict[int, Columns] = {}  # frames whose number of rows changed
        self._pending: list[int] = []  # their keys, sorted
        self.n_rows = len(columns["frame"])

    # ------------------------------------------------------------------------ reading
    def columns(self) -> Columns:
        """Return the whole columns, with all pending frames merged in; not to be written."""
        if self._pending:
            merged = self._spliced(0, len(self._columns["frame"]), self._pending)
            self._reset(merged, Ownership.OWNED)
        return self._columns

    def frame(self, key: int) -> Columns:
        """Return views of the rows of one frame."""
        waiting = self._side.get(key)
        if waiting is not None:
            return waiting
        start, stop = self._base_keys().searchsorted((key, key + 1)).tolist()
        return self._slice(start, stop)

    def between(self, low: int, high: int) -> tuple[Columns, Ownership]:
        """Return the rows with low <= key < high: views, or a merged copy if edits pend."""
        start, stop = self._base_keys().searchsorted((low, high)).tolist()
        pending = self._pending[bisect_left(self._pending, low) : bisect_left(self._pending, high)]
        if not pending:
            return self._slice(start, stop), Ownership.BORROWED
        return self._spliced(start, stop, pending), Ownership.OWNED

    def take(self, keys: NDArray[np.int64]) -> Columns:
        """Return a copy of the rows of some frames, given by sorted keys."""
        waiting = self._side.keys() & set(keys.tolist()) if self._side else set()
        settled = np.array([key for key in keys.tolist() if key not in waiting], np.int64)
        rows = _expand(*self._row_ranges(settled if waiting else keys))
        taken = {name: column[rows] for name, column in self._columns.items()}
        return join_sorted([taken, *(self._side[key] for key in waiting)]) if waiting else taken

    def frames(self) -> NDArray[np.int64]:
        """Return the keys of all frames that have rows, pending ones included, sorted (F,)."""
        base, _ = self.index()
        if not self._pending:
            return base
        pending = np.asarray(self._pending, np.int64)
        has_rows = np.array([len(self._side[key]["frame"]) > 0 for key in self._pending])
        starts, stops = base.searchsorted(pending), base.searchsorted(pending, side="right")
        base = np.delete(base, starts[starts < stops])
        return np.insert(base, base.searchsorted(pending[has_rows]), pending[has_rows])

    def index(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Return the frames of the merged rows (F,) and where each begins (F,)."""
        if self._index is None:
            keys = self._base_keys()
            starts = np.flatnonzero(np.diff(keys, prepend=-1))
            self._index = keys[starts], starts
        return self._index

    def counts(self, keys: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return how many of the merged rows each frame has (F,)."""
        starts, stops = self._row_ranges(keys)
        return stops - starts

    # ---------------------------------------------------------------- sharing, writing
    def copy(self) -> Store:
        """Return an independent store; memory is shared until one of the two is changed."""
        twin = Store(self._columns, Ownership.SHARED)
        for name, ownership in self._ownership.items():
            if ownership is Ownership.BORROWED:
                twin._columns[name] = self._columns[name].copy()
                twin._ownership[name] = Ownership.OWNED
            else:
                self._ownership[name] = Ownership.SHARED
        twin._keys, twin._index, twin.n_rows = self._keys, self._index, self.n_rows
        twin._side, twin._pending = dict(self._side), list(self._pending)
        return twin

    def set_column(self, name: str, values: NDArray[Any]) -> None:
        """Replace a whole column (N, ...) by a fresh array that this store then owns."""
        self.columns()[name] = values
        self._ownership[name] = Ownership.OWNED

    def replace(self, keys: NDArray[np.int64], block: Store) -> None:
        """Put the rows of `block` in place of all rows of the frames `keys` (sorted).

        Costs what the block holds where every frame keeps its number of rows, and a
        small constant for every frame where not; a change of count in very many frames
        rebuilds the columns at once.
        """
        new = block.columns()
        starts, stops = block._row_ranges(keys)
        if self._overwrite(keys, new, stops - starts):
            return
        if len(keys) > max(_MIN_FRAMES_AT_ONCE, self.n_rows // 16):
            self._rebuild(keys, new)
            return
        new = {name: column.copy() for name, column in new.items()}
        for key, start, stop in zip(keys.tolist(), starts.tolist(), stops.tolist(), strict=True):
            self.n_rows += stop - start - len(self.frame(key)["frame"])
            if key not in self._side:
                insort(self._pending, key)
            self._side[key] = {name: column[start:stop] for name, column in new.items()}

    # ---------------------------------------------------------------------- internals
    def _overwrite(self, keys: NDArray[np.int64], new: Columns, counts: NDArray[np.intp]) -> bool:
        """Write new rows over the old if no frame changes its number of rows."""
        if not self._side.keys().isdisjoint(keys.tolist()):
            return False
        starts, stops = self._row_ranges(keys)
        if not np.array_equal(stops - starts, counts):
            return False
        rows = _expand(starts, stops)
        for name, column in self._columns.items():
            if column[rows].tobytes() == new[name].tobytes():
                continue
            if self._ownership[name] is not Ownership.OWNED:
                column = self._columns[name] = column.copy()
                self._ownership[name] = Ownership.OWNED
            column[rows] = new[name]
        return True

    def _rebuild(self, keys: NDArray[np.int64], new: Columns) -> None:
        old = self.columns()
        base = self._base_keys()
        nearest = keys[np.minimum(keys.searchsorted(base), len(keys) - 1)]
        kept = {name: column[nearest != base] for name, column in old.items()}
        self._reset(join_sorted([kept, new]), Ownership.OWNED)

    def _spliced(self, start: int, stop: int, pending: Sequence[int]) -> Columns:
        """Return the base rows `start` to `stop` with pending frames put in their place."""
        starts, stops = self._row_ranges(np.asarray(pending, np.int64))
        gaps = list(zip([start, *stops.tolist()], [*starts.tolist(), stop], strict=True))
        spliced = {}
        for name, base in self._columns.items():
            pieces = [base[gaps[0][0] : gaps[0][1]]]
            for key, (first, last) in zip(pending, gaps[1:], strict=True):
                pieces += [self._side[key][name], base[first:last]]
            spliced[name] = np.concatenate(pieces)
        return spliced

    def _slice(self, start: int, stop: int) -> Columns:
        return {name: column[start:stop] for name, column in self._columns.items()}

    def _base_keys(self) -> NDArray[np.int64]:
        if self._keys is None:
            self._keys = pack(self._columns["video"], self._columns["frame"])
        return self._keys

    def _row_ranges(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        base = self._base_keys()
        return base.searchsorted(keys), base.searchsorted(keys, side="right")


def _expand(starts: NDArray[np.intp], stops: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the row numbers of all ranges one after the other."""
    counts = stops - starts
    before = np.cumsum(counts) - counts
    return np.asarray(np.arange(counts.sum()) + np.repeat(starts - before, counts), np.intp)
