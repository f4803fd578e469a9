"""The one table: every instance of every animal in every frame, in columns.

`Poses` is the only thing that passes between the stages of the program. Rows are
instances, sorted by video and frame; columns are numpy arrays. Reading never changes
it; writing goes through `data.edits`, whose objects can be undone and cost what they
change, not the length of the video (`data.store` says how).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.columns import (
    COLUMNS,
    Origin,
    Visibility,
    check_columns,
    fill_column,
    number_repeats,
    rearrange_nodes,
    visible_where_placed,
)
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.store import (
    MAX_FRAME,
    Columns,
    Ownership,
    Store,
    join_sorted,
    pack,
    pack_sorted,
    unpack,
)
from napari_animalpose.errors import DataError

__all__ = ["FrameKey", "Origin", "Poses", "Visibility"]


class FrameKey(NamedTuple):
    """One frame of one video."""

    video: int
    frame: int


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

    __slots__ = ("_store", "skeleton", "track_names")

    def __init__(
        self,
        skeleton: Skeleton,
        columns: Mapping[str, NDArray[Any]],
        track_names: Sequence[str] = (),
    ) -> None:
        """Wrap columns that are already valid and sorted; use `from_arrays` otherwise.

        The arrays stay the caller's: an edit of this table copies before it writes.
        """
        self.skeleton = skeleton
        self.track_names = tuple(track_names)
        self._store = Store(columns, Ownership.BORROWED)

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
        copy: bool = True,
    ) -> Poses:
        """Build a table from arrays in any order of rows.

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
        copy : bool
            False = arrays that have the type of their column may become the table's own, and
            nobody else may use them any more.

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
        if frame.ndim != 1:
            raise DataError(f"Expected frame of shape (N,); received shape {frame.shape}.")
        n_rows, n_nodes = len(frame), len(skeleton)
        placed = fill_column("xy", xy, n_rows, n_nodes, copy=copy)
        given = {
            "video": video,
            "frame": frame,
            "track": track,
            "origin": origin,
            "xy": placed,
            "point_score": point_score,
            "score": score,
            "track_score": track_score,
        }
        if visibility is None:
            visibility = visible_where_placed(placed)
        given["visibility"] = visibility
        columns = {
            name: placed
            if name == "xy"
            else fill_column(name, given[name], n_rows, n_nodes, copy=copy)
            for name in COLUMNS
        }
        check_columns(columns, skeleton, tuple(track_names))
        columns["xy"][columns["visibility"] == Visibility.MISSING] = np.nan
        keys = pack(columns["video"], columns["frame"])
        if np.any(keys[1:] < keys[:-1]):
            order = np.argsort(keys, kind="stable")
            columns = {name: column[order] for name, column in columns.items()}
        return _wrap(skeleton, Store(columns, Ownership.OWNED), track_names)

    @classmethod
    def concat(cls, tables: Iterable[Poses]) -> Poses:
        """Join tables of one skeleton; tracks of equal name become one.

        Within a frame, rows keep the order of the tables. At least one table is needed.
        Where one table uses a name for several tracks they stay apart: the second of
        that name joins the second of that name in the other tables.

        Raises
        ------
        DataError
            If there is no table or the skeletons have other nodes.
        """
        tables = list(tables)
        if not tables:
            raise DataError("Expected at least one table of poses; received none.")
        skeleton = tables[0].skeleton
        names: dict[tuple[str, int], int] = {}
        tracks = []
        for table in tables:
            if table.skeleton.nodes != skeleton.nodes:
                raise DataError(
                    f"Expected the nodes {', '.join(skeleton.nodes)} in every table; received "
                    f"{', '.join(table.skeleton.nodes)}. Map the nodes onto one skeleton first."
                )
            numbers = [
                names.setdefault(key, len(names)) for key in number_repeats(table.track_names)
            ]
            tracks.append(np.array([*numbers, -1], np.int32)[table.track])
        columns = {
            name: np.concatenate([table.column(name) for table in tables]) for name in COLUMNS
        }
        columns["track"] = np.concatenate(tracks)
        order = np.argsort(pack(columns["video"], columns["frame"]), kind="stable")
        ordered = {name: column[order] for name, column in columns.items()}
        return _wrap(skeleton, Store(ordered, Ownership.OWNED), [name for name, _ in names])

    # ----------------------------------------------------------------------- columns
    def column(self, name: str) -> NDArray[Any]:
        """Return a whole column, read-only; the names are in the class docstring.

        The array shares memory with this table and is valid until the next edit.
        """
        view = self._store.columns()[name].view()
        view.flags.writeable = False
        return view

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns by name, read-only, in the order of the class docstring."""
        return {name: self.column(name) for name in COLUMNS}

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
        return self._store.n_rows

    @property
    def n_nodes(self) -> int:
        """Number of points K of an instance."""
        return len(self.skeleton)

    def __repr__(self) -> str:
        frames = len(self._store.frames())
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
                for name in COLUMNS
            )
        )

    __hash__ = None  # type: ignore[assignment]  # a mutable table

    # ------------------------------------------------------------------------ search
    def at(self, video: int, frame: int) -> Poses:
        """Return the rows of one frame: a binary search, no copy.

        The result shares memory with this table and is valid until the next edit.
        """
        if not 0 <= frame <= MAX_FRAME:
            return self._wrap(self._store.frame(-1))
        return self._wrap(self._store.frame((int(video) << 32) | int(frame)))

    def between(self, video: int, first: int, last: int) -> Poses:
        """Return the rows of frames `first` to `last`, both included.

        Without pending edits in the range the result shares memory with this table and
        is valid until the next edit.
        """
        low = (int(video) << 32) + max(int(first), 0)
        high = (int(video) << 32) + min(max(int(last), -1), MAX_FRAME) + 1
        return self._wrap(*self._store.between(low, max(low, high)))

    def take_frames(self, frames: ArrayLike) -> Poses:
        """Return a copy of the rows of some frames, (F, 2) of (video, frame), sorted."""
        return self._wrap(self._store.take(pack_sorted(frames)), Ownership.OWNED)

    def frame_keys(self) -> NDArray[np.int64]:
        """Return all frames with rows as an int64 array (F, 2) of (video, frame), sorted."""
        return unpack(self._store.frames())

    def frames(self, video: int = 0) -> NDArray[np.int32]:
        """Return the frames of one video that have rows, ascending, shape (F,)."""
        keys = self._store.frames()
        start, stop = keys.searchsorted((int(video) << 32, (int(video) + 1) << 32)).tolist()
        return (keys[start:stop] & 0xFFFFFFFF).astype(np.int32)

    def __iter__(self) -> Iterator[tuple[FrameKey, Poses]]:
        """Yield every frame with its rows, in order; valid until the next edit."""
        columns = self._store.columns()
        keys, starts = self._store.index()
        stops = np.append(starts, len(self))[1:]
        for key, start, stop in zip(keys.tolist(), starts.tolist(), stops.tolist(), strict=True):
            rows = {name: column[start:stop] for name, column in columns.items()}
            yield FrameKey(key >> 32, key & 0xFFFFFFFF), self._wrap(rows)

    # ----------------------------------------------------------------------- deriving
    def select(self, rows: ArrayLike) -> Poses:
        """Return a copy with some rows, given as a mask (N,) or as row numbers.

        Row numbers may be in any order; the result is sorted by (video, frame) again.
        """
        rows = np.asarray(rows)
        if rows.dtype == np.bool_:
            if rows.shape != (len(self),):
                raise ValueError(f"Expected a mask of shape {(len(self),)}; received {rows.shape}.")
            rows = np.flatnonzero(rows)
        index = rows.astype(np.intp)
        keys = pack(self.video[index], self.frame[index])
        index = index[np.argsort(keys, kind="stable")]
        columns = {name: self.column(name)[index] for name in COLUMNS}
        return self._wrap(columns, Ownership.OWNED)

    def labels(self) -> Poses:
        """Return a copy with the rows that a person made or confirmed."""
        return self.select(self.is_label)

    def labels_or_all(self) -> Poses:
        """Return `labels`, or this very table where there are none.

        In a file without labels the predictions are what a user can mean, as when somebody
        else's poses are all there is.
        """
        return self.labels() if self.is_label.any() else self

    def copy(self) -> Poses:
        """Return an independent copy; memory is shared until one of the two is changed."""
        return _wrap(self.skeleton, self._store.copy(), self.track_names)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Poses:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.skeleton, self._store.columns(), self.track_names)

    def replace(self, **changes: Any) -> Poses:
        """Return a copy with other columns, skeleton or track names, checked anew.

        Takes the arguments of `from_arrays`, all of them optional. New coordinates
        without new visibilities make a point missing where they are NaN and visible
        where there was none; other points stay visible or occluded as they were.
        """
        given: dict[str, Any] = {**self.columns, "track_names": self.track_names}
        skeleton = changes.pop("skeleton", self.skeleton)
        given |= changes
        if "xy" in changes and "visibility" not in changes:
            n_rows = len(np.atleast_1d(given["frame"]))
            seen = visible_where_placed(fill_column("xy", changes["xy"], n_rows, len(skeleton)))
            if seen.shape == self.visibility.shape:
                seen = np.where((seen > 0) & (self.visibility > 0), self.visibility, seen)
            given["visibility"] = seen
        return Poses.from_arrays(skeleton, **given)

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

        Raises
        ------
        ValueError
            If the block does not fit; the table is then as it was.

        Notes
        -----
        Costs what the block holds where instance counts stay the same, and a small
        constant for every frame where they do not; whole columns are rebuilt when next
        asked for, or at once when very many frames change their count.
        """
        keys = pack_sorted(frames)
        self._check_block(keys, block)
        self._store.replace(keys, block._store)

    def replace_nodes(
        self,
        skeleton: Skeleton,
        sources: Sequence[int],
        added: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Take another skeleton, whose nodes are some of the present ones or new.

        Parameters
        ----------
        skeleton : Skeleton
            With K' nodes.
        sources : sequence of int, length K'
            Which of the present K nodes each new node is; -1 = none of them.
        added : mapping of arrays, optional
            Values of the M nodes that are none of the present ones, in order: ``xy``
            (N, M, 2), ``visibility`` (N, M), ``point_score`` (N, M). Missing by default.

        Raises
        ------
        ValueError
            If `sources` does not fit the two skeletons.
        """
        if len(sources) != len(skeleton) or any(not -1 <= s < self.n_nodes for s in sources):
            raise ValueError(
                f"Expected a present node for each of {skeleton.nodes}; received {sources}."
            )
        if list(sources) != list(range(self.n_nodes)):
            for name, column in rearrange_nodes(self._store.columns(), sources, added).items():
                self._store.set_column(name, column)
        self.skeleton = skeleton

    def replace_tracks(
        self, track_names: Sequence[str], track: NDArray[np.int32] | None = None
    ) -> None:
        """Take other track names and, where given, other identities of all rows (N,).

        The caller sees to it that no row counts beyond the names.
        """
        if track is not None:
            self._store.set_column("track", np.array(track, np.int32))
        self.track_names = tuple(track_names)

    def restore(self, other: Poses) -> None:
        """Become a copy of `other`: its rows, skeleton and track names."""
        self.skeleton, self.track_names = other.skeleton, other.track_names
        self._store = other._store.copy()

    def concat_same(self, blocks: Sequence[Poses]) -> Poses:
        """Join tables that count the same tracks; faster than `concat`, nothing checked."""
        joined = join_sorted([table._store.columns() for table in (self, *blocks)])
        return self._wrap(joined, Ownership.OWNED)

    # ---------------------------------------------------------------------- internals
    def _wrap(self, columns: Columns, ownership: Ownership = Ownership.BORROWED) -> Poses:
        """Return a table of other rows with this skeleton and these tracks."""
        return _wrap(self.skeleton, Store(columns, ownership), self.track_names)

    def _check_block(self, keys: NDArray[np.int64], block: Poses) -> None:
        track = block.track
        if int(block._store.counts(keys).sum()) != len(block):
            raise ValueError("Expected rows of the frames to replace and of no other frame.")
        if block.skeleton.nodes != self.skeleton.nodes:
            raise ValueError(
                f"Expected the nodes {self.skeleton.nodes}; received {block.skeleton.nodes}."
            )
        if len(block) and track.max() >= len(self.track_names):
            raise ValueError(
                f"Expected tracks below {len(self.track_names)}; received {track.max()}."
            )


def _wrap(skeleton: Skeleton, store: Store, track_names: Sequence[str]) -> Poses:
    """Return a table over rows that are valid and sorted."""
    table = Poses.__new__(Poses)
    table.skeleton, table.track_names, table._store = skeleton, tuple(track_names), store
    return table


def _unpickle(skeleton: Skeleton, columns: Columns, track_names: tuple[str, ...]) -> Poses:
    """Return the table; arrays that arrive read-only are copied by the first edit."""
    writeable = all(column.flags.writeable for column in columns.values())
    ownership = Ownership.OWNED if writeable else Ownership.SHARED
    return _wrap(skeleton, Store(columns, ownership), track_names)
