"""The one table: every instance of every animal in every frame, in columns.

`Poses` is the only thing that passes between the stages of the program. Rows are
instances, sorted by video and frame; columns are numpy arrays. Reading never changes
it; writing goes through `data.edits`, whose objects can be undone.

A table of a million frames must take a dragged point as fast as a table of ten. So an
edit replaces whole frames (`replace_frames`): where the number of instances in a frame
stays the same the columns are overwritten in place, and where it changes the new rows
lie in a side table until someone asks for whole columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError

__all__ = ["FrameKey", "Origin", "Poses", "Visibility"]


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


class FrameKey(NamedTuple):
    """One frame of one video."""

    video: int
    frame: int


class _Column(NamedTuple):
    dtype: DTypeLike
    per_node: tuple[int, ...] | None  # shape after (N, K), or None for one value a row
    default: float


_COLUMNS: Mapping[str, _Column] = {
    "video": _Column(np.int32, None, 0),
    "frame": _Column(np.int32, None, 0),
    "track": _Column(np.int32, None, -1),
    "origin": _Column(np.uint8, None, Origin.USER),
    "xy": _Column(np.float32, (2,), np.nan),
    "visibility": _Column(np.uint8, (), Visibility.MISSING),
    "point_score": _Column(np.float32, (), np.nan),
    "score": _Column(np.float32, None, np.nan),
    "track_score": _Column(np.float32, None, np.nan),
}


def _pack(video: ArrayLike, frame: ArrayLike) -> NDArray[np.int64]:
    """One sortable int64 for each (video, frame)."""
    return (np.asarray(video, np.int64) << 32) | np.asarray(frame, np.int64)


class Poses:
    """A columnar table of N instances with K points each, sorted by (video, frame).

    Build one with `from_arrays`, `empty` or `concat`. Columns are read-only arrays:

    ============= =========== ======= ==================================================
    column        shape       dtype   meaning
    ============= =========== ======= ==================================================
    video, frame  (N,)        int32   which video, which frame (both from 0)
    track         (N,)        int32   identity, an index into `track_names`; -1 = none
    origin        (N,)        uint8   `Origin`
    xy            (N, K, 2)   float32 (x, y) in px of the full frame, pixel centres at
                                      integers; NaN = missing
    visibility    (N, K)      uint8   `Visibility`
    point_score   (N, K)      float32 confidence of a point; NaN = none
    score         (N,)        float32 confidence of the instance; NaN = none
    track_score   (N,)        float32 confidence of the identity; NaN = none
    ============= =========== ======= ==================================================

    A point is missing exactly when its visibility is `Visibility.MISSING` and its
    coordinates are NaN; construction makes the two agree.
    """

    __slots__ = ("_columns", "_keys", "_n_rows", "_overrides", "skeleton", "track_names")

    def __init__(
        self,
        skeleton: Skeleton,
        columns: Mapping[str, NDArray[Any]],
        track_names: Sequence[str] = (),
    ) -> None:
        """Wrap columns that are already valid and sorted; use `from_arrays` otherwise."""
        self.skeleton = skeleton
        self.track_names = tuple(track_names)
        self._columns = dict(columns)
        self._keys: NDArray[np.int64] | None = None
        self._overrides: dict[int, Poses] = {}
        self._n_rows = len(self._columns["frame"])

    # ------------------------------------------------------------------ construction
    @classmethod
    def empty(cls, skeleton: Skeleton, track_names: Sequence[str] = ()) -> Poses:
        """Return a table without rows."""
        return cls.from_arrays(
            skeleton,
            frame=np.zeros(0, np.int32),
            xy=np.zeros((0, len(skeleton), 2), np.float32),
            track_names=track_names,
        )

    @classmethod
    def from_arrays(
        cls,
        skeleton: Skeleton,
        *,
        frame: ArrayLike,
        xy: ArrayLike,
        video: ArrayLike = 0,
        track: ArrayLike = -1,
        origin: ArrayLike = Origin.USER,
        visibility: ArrayLike | None = None,
        point_score: ArrayLike = np.nan,
        score: ArrayLike = np.nan,
        track_score: ArrayLike = np.nan,
        track_names: Sequence[str] = (),
    ) -> Poses:
        """Build a table from arrays in any order of rows; they are copied.

        Parameters
        ----------
        skeleton : Skeleton
            With K nodes.
        frame : array_like of int, shape (N,)
        xy : array_like of float, shape (N, K, 2)
            (x, y) in px; NaN = missing.
        video, track, origin, score, track_score : array_like, shape (N,) or scalar
        visibility : array_like of int, shape (N, K) or scalar, optional
            By default points with coordinates are visible and the others missing.
        point_score : array_like of float, shape (N, K) or scalar
        track_names : sequence of str
            Names of the tracks that `track` counts from 0.

        Raises
        ------
        DataError
            If shapes do not fit together, numbers are negative or infinite, a track has
            no name, or a point is called visible without coordinates.

        Notes
        -----
        Rows of one frame keep the order in which they are given.
        """
        frame = np.asarray(frame)
        n_rows, n_nodes = len(frame), len(skeleton)
        given = {
            "video": video,
            "frame": frame,
            "track": track,
            "origin": origin,
            "xy": xy,
            "point_score": point_score,
            "score": score,
            "track_score": track_score,
        }
        if visibility is None:
            present = np.isfinite(np.asarray(xy, np.float32)).all(axis=-1)
            visibility = np.where(present, Visibility.VISIBLE, Visibility.MISSING)
        given["visibility"] = visibility
        columns = {
            name: _fill(name, values, n_rows, n_nodes) for name, values in given.items()
        }
        _check(columns, skeleton, tuple(track_names))
        columns["xy"][columns["visibility"] == Visibility.MISSING] = np.nan
        keys = _pack(columns["video"], columns["frame"])
        if np.any(keys[1:] < keys[:-1]):
            order = np.argsort(keys, kind="stable")
            columns = {name: column[order] for name, column in columns.items()}
        return cls(skeleton, columns, track_names)

    @classmethod
    def concat(cls, tables: Iterable[Poses]) -> Poses:
        """Join tables of one skeleton; tracks of equal name become one.

        Within a frame, rows keep the order of the tables. At least one table is needed.

        Raises
        ------
        DataError
            If there is no table or the skeletons have other nodes.
        """
        tables = list(tables)
        if not tables:
            raise DataError("Expected at least one table of poses; received none.")
        skeleton = tables[0].skeleton
        names: dict[str, int] = {}
        tracks = []
        for table in tables:
            if table.skeleton.nodes != skeleton.nodes:
                raise DataError(
                    f"Expected the nodes {', '.join(skeleton.nodes)} in every table; received "
                    f"{', '.join(table.skeleton.nodes)}. Map the nodes onto one skeleton first."
                )
            renumber = np.array(
                [names.setdefault(name, len(names)) for name in table.track_names] + [-1], np.int32
            )
            tracks.append(renumber[table.track])
        columns = {
            name: np.concatenate([table.column(name) for table in tables]) for name in _COLUMNS
        }
        columns["track"] = np.concatenate(tracks)
        keys = _pack(columns["video"], columns["frame"])
        order = np.argsort(keys, kind="stable")
        return cls(
            skeleton, {name: column[order] for name, column in columns.items()}, tuple(names)
        )

    # ----------------------------------------------------------------------- columns
    def column(self, name: str) -> NDArray[Any]:
        """Return a whole column, read-only; the names are in the class docstring."""
        self._merge_overrides()
        view = self._columns[name].view()
        view.flags.writeable = False
        return view

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns by name, read-only, in the order of the class docstring."""
        return {name: self.column(name) for name in _COLUMNS}

    @property
    def video(self) -> NDArray[np.int32]:
        """Video of every row, shape (N,)."""
        return self.column("video")

    @property
    def frame(self) -> NDArray[np.int32]:
        """Frame of every row, shape (N,)."""
        return self.column("frame")

    @property
    def track(self) -> NDArray[np.int32]:
        """Index into `track_names` of every row or -1, shape (N,)."""
        return self.column("track")

    @property
    def origin(self) -> NDArray[np.uint8]:
        """`Origin` of every row, shape (N,)."""
        return self.column("origin")

    @property
    def xy(self) -> NDArray[np.float32]:
        """Points (x, y) in px, NaN = missing, shape (N, K, 2)."""
        return self.column("xy")

    @property
    def visibility(self) -> NDArray[np.uint8]:
        """`Visibility` of every point, shape (N, K)."""
        return self.column("visibility")

    @property
    def point_score(self) -> NDArray[np.float32]:
        """Confidence of every point, NaN = none, shape (N, K)."""
        return self.column("point_score")

    @property
    def score(self) -> NDArray[np.float32]:
        """Confidence of every instance, NaN = none, shape (N,)."""
        return self.column("score")

    @property
    def track_score(self) -> NDArray[np.float32]:
        """Confidence of every identity, NaN = none, shape (N,)."""
        return self.column("track_score")

    @property
    def is_label(self) -> NDArray[np.bool_]:
        """Rows that a person made or confirmed, shape (N,): what training learns from."""
        return np.asarray(self.origin != Origin.PREDICTED)

    def __len__(self) -> int:
        return self._n_rows

    @property
    def n_nodes(self) -> int:
        """Number of points K of an instance."""
        return len(self.skeleton)

    def __repr__(self) -> str:
        frames = len(self.frame_keys())
        return (
            f"<Poses: {len(self)} instances of {self.n_nodes} nodes in {frames} frames, "
            f"{len(self.track_names)} tracks>"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Poses):
            return NotImplemented
        return (
            self.skeleton == other.skeleton
            and self.track_names == other.track_names
            and len(self) == len(other)
            and all(
                np.array_equal(self.column(name), other.column(name), equal_nan=True)
                for name in _COLUMNS
            )
        )

    __hash__ = None  # type: ignore[assignment]  # a mutable table

    # ------------------------------------------------------------------------ search
    def at(self, video: int, frame: int) -> Poses:
        """Return the rows of one frame: a binary search, no copy.

        The result shares memory with this table and is valid until the next edit.
        """
        key = int(_pack(video, frame))
        if key in self._overrides:
            return self._overrides[key]
        start, stop = np.searchsorted(self._base_keys(), [key, key + 1])
        return self._slice(int(start), int(stop))

    def between(self, video: int, first: int, last: int) -> Poses:
        """Return the rows of frames `first` to `last`, both included.

        Without pending edits in the range the result shares memory with this table.
        """
        low, high = int(_pack(video, max(first, 0))), int(_pack(video, max(last, -1) + 1))
        start, stop = (int(i) for i in np.searchsorted(self._base_keys(), [low, high]))
        base = self._slice(start, stop)
        pending = sorted(key for key in self._overrides if low <= key < high)
        if not pending:
            return base
        block = base._empty_like().concat_same([self._overrides[key] for key in pending])
        return base._with_frames(np.array(pending, np.int64), block)

    def frame_keys(self) -> NDArray[np.int64]:
        """Return all frames with rows as an int64 array (F, 2) of (video, frame), sorted."""
        self._merge_overrides()
        keys = np.unique(self._base_keys())
        return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)

    def frames(self, video: int = 0) -> NDArray[np.int32]:
        """Return the frames of one video that have rows, ascending, shape (F,)."""
        rows = self.between(video, 0, np.iinfo(np.int32).max - 1)
        return np.unique(rows.frame)

    def __iter__(self) -> Iterator[tuple[FrameKey, Poses]]:
        """Yield every frame with its rows, in order."""
        self._merge_overrides()
        keys, starts = np.unique(self._base_keys(), return_index=True)
        stops = np.append(starts[1:], len(self))
        for key, start, stop in zip(keys.tolist(), starts.tolist(), stops.tolist(), strict=True):
            yield FrameKey(key >> 32, key & 0xFFFFFFFF), self._slice(start, stop)

    # ----------------------------------------------------------------------- deriving
    def select(self, rows: ArrayLike) -> Poses:
        """Return a copy with some rows, given as a mask (N,) or as row numbers.

        Row numbers may be in any order; the result is sorted by (video, frame) again.
        """
        rows = np.asarray(rows)
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.intp)
        keys = _pack(self.video[index], self.frame[index])
        index = index[np.argsort(keys, kind="stable")]
        columns = {name: self.column(name)[index] for name in _COLUMNS}
        return Poses(self.skeleton, columns, self.track_names)

    def labels(self) -> Poses:
        """Return a copy with the rows that a person made or confirmed."""
        return self.select(self.is_label)

    def copy(self) -> Poses:
        """Return an independent copy."""
        columns = {name: self.column(name).copy() for name in _COLUMNS}
        return Poses(self.skeleton, columns, self.track_names)

    def replace(self, **changes: Any) -> Poses:
        """Return a copy with other columns, skeleton or track names, checked anew.

        Takes the arguments of `from_arrays`, all of them optional.
        """
        given: dict[str, Any] = {**self.columns, "track_names": self.track_names}
        skeleton = changes.pop("skeleton", self.skeleton)
        return Poses.from_arrays(skeleton, **(given | changes))

    # ------------------------------------------------- changing (for data.edits alone)
    def replace_frames(self, frames: ArrayLike, block: Poses) -> None:
        """Replace all rows of some frames in place; the caller keeps what was there.

        This is the one primitive under every reversible edit of rows.

        Parameters
        ----------
        frames : array_like of int, shape (F, 2)
            (video, frame) pairs without repeats, sorted.
        block : Poses
            The new rows of those frames and of no other; a frame without rows here
            becomes empty. Same nodes as this table. Tracks count this table's names.

        Notes
        -----
        Costs what the block holds where instance counts stay the same, and a small
        constant for every frame where they do not; whole columns are rebuilt when next
        asked for, or at once when very many frames change their count.
        """
        pairs = np.asarray(frames, np.int64).reshape(-1, 2)
        keys = _pack(pairs[:, 0], pairs[:, 1])
        if np.any(keys[1:] <= keys[:-1]):
            raise ValueError("Expected sorted (video, frame) pairs without repeats.")
        if not np.isin(block._base_keys(), keys).all():
            raise ValueError("Expected rows of the frames to replace and of no other frame.")
        if self._overwrite(keys, block):
            return
        if len(keys) > max(1024, self._n_rows // 16):
            self._merge_overrides()
            self._adopt(self._with_frames(keys, block))
            return
        starts, stops = self._row_ranges(keys, block)
        for key, start, stop in zip(keys.tolist(), starts.tolist(), stops.tolist(), strict=True):
            old_rows = len(self.at(key >> 32, key & 0xFFFFFFFF))
            rows = block._slice(start, stop).copy()
            rows.track_names = self.track_names
            self._overrides[key] = rows
            self._n_rows += len(rows) - old_rows

    def _overwrite(self, keys: NDArray[np.int64], block: Poses) -> bool:
        """Write the block over the base rows if every frame keeps its number of rows."""
        if not self._overrides.keys().isdisjoint(keys.tolist()):
            return False
        starts, stops = self._row_ranges(keys, self)
        new_starts, new_stops = self._row_ranges(keys, block)
        counts = stops - starts
        if not np.array_equal(counts, new_stops - new_starts):
            return False
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.repeat(starts, counts) + within
        for name, column in self._columns.items():
            if not column.flags.writeable:
                column = self._columns[name] = column.copy()
            column[rows] = block._columns[name]
        return True

    @staticmethod
    def _row_ranges(
        keys: NDArray[np.int64], table: Poses
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        base = table._base_keys()
        return np.searchsorted(base, keys), np.searchsorted(base, keys, side="right")

    def _with_frames(self, keys: NDArray[np.int64], block: Poses) -> Poses:
        """Return a table in which `block` stands for all rows of the frames `keys`."""
        keep = ~np.isin(self._base_keys(), keys)
        kept = {name: column[keep] for name, column in self._columns.items()}
        return Poses(self.skeleton, kept, self.track_names).concat_same([block])

    def concat_same(self, blocks: Sequence[Poses]) -> Poses:
        """Join tables that count the same tracks; faster than `concat`, nothing checked."""
        tables = [self, *blocks]
        columns = {name: np.concatenate([t.column(name) for t in tables]) for name in _COLUMNS}
        order = np.argsort(_pack(columns["video"], columns["frame"]), kind="stable")
        sorted_columns = {name: column[order] for name, column in columns.items()}
        return Poses(self.skeleton, sorted_columns, self.track_names)

    def restore(self, other: Poses) -> None:
        """Become `other`: its rows, skeleton and track names. For table-wide edits."""
        self.skeleton, self.track_names = other.skeleton, other.track_names
        other._merge_overrides()
        self._adopt(other)

    # ---------------------------------------------------------------------- internals
    def _empty_like(self) -> Poses:
        return self._slice(0, 0)

    def _slice(self, start: int, stop: int) -> Poses:
        columns = {}
        for name, column in self._columns.items():
            columns[name] = column[start:stop]
            columns[name].flags.writeable = False
        return Poses(self.skeleton, columns, self.track_names)

    def _base_keys(self) -> NDArray[np.int64]:
        if self._keys is None:
            self._keys = _pack(self._columns["video"], self._columns["frame"])
        return self._keys

    def _merge_overrides(self) -> None:
        if not self._overrides:
            return
        keys = np.array(sorted(self._overrides), np.int64)
        blocks = [self._overrides[key] for key in keys.tolist()]
        self._overrides = {}
        self._adopt(self._with_frames(keys, self._empty_like().concat_same(blocks)))

    def _adopt(self, other: Poses) -> None:
        self._columns, self._keys = other._columns, None
        self._overrides = {}
        self._n_rows = len(self._columns["frame"])


def _fill(name: str, values: ArrayLike, n_rows: int, n_nodes: int) -> NDArray[Any]:
    """Broadcast one column to its full shape and dtype; always a fresh array."""
    dtype, per_node, _ = _COLUMNS[name]
    shape = (n_rows,) if per_node is None else (n_rows, n_nodes, *per_node)
    array = np.asarray(values)
    if array.ndim not in (0, len(shape)) or (array.ndim and array.shape != shape):
        raise DataError(
            f"Expected {name} of shape {shape} for {n_rows} instances of {n_nodes} nodes; "
            f"received {array.shape}."
        )
    if np.dtype(dtype).kind in "iu" and array.size:
        bounds = np.iinfo(np.dtype(dtype))
        if not np.all((array >= bounds.min) & (array <= bounds.max) & (array == np.floor(array))):
            raise DataError(
                f"Expected whole numbers from {bounds.min} to {bounds.max} as {name}; "
                f"received {array.min()} to {array.max()}."
            )
    return np.array(np.broadcast_to(array.astype(dtype), shape))


def _check(
    columns: Mapping[str, NDArray[Any]], skeleton: Skeleton, track_names: tuple[str, ...]
) -> None:
    """Refuse values that no later stage could give a meaning to."""
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
    if columns["origin"].max() > max(Origin) or columns["visibility"].max() > max(Visibility):
        raise DataError("Expected origins and visibilities from 0 to 2; received larger numbers.")
    xy = columns["xy"]
    if np.isinf(xy).any():
        raise DataError("Expected finite coordinates or NaN for a missing point; received inf.")
    unplaced = np.isnan(xy).any(axis=-1) & (columns["visibility"] != Visibility.MISSING)
    if unplaced.any():
        row, node = np.argwhere(unplaced)[0]
        raise DataError(
            f"Expected coordinates for every visible or occluded point; received NaN for "
            f"{skeleton.nodes[node]!r} in frame {columns['frame'][row]}. Mark it missing instead."
        )
