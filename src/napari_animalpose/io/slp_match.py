"""Which row of an edited table continues which row of the table that a file held.

The table of poses has no row numbers that survive edits. A file has more to say about an
instance than the table (flags, links, masks), so before writing, every row looks for the
one it came from: first the same points, then the same track, then the same place in a
frame that kept its number of instances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.store import pack

__all__ = ["match_rows"]

_ROWS_AT_ONCE = 4096  # fit the processor's cache

# What has to agree, strictest first. Rows that an early rule pairs are not looked at again.
_RULES: tuple[tuple[str, ...], ...] = (
    ("points", "predicted", "track"),
    ("points", "predicted"),
    ("points",),
    ("track", "predicted"),
    ("track",),
    ("predicted",),
    (),
)


def match_rows(old: Poses, new: Poses) -> NDArray[np.intp]:
    """Return for each row of `new` the row of `old` that it continues, or -1.

    Parameters
    ----------
    old, new : Poses
        Tables that count the same nodes, tracks and videos.

    Returns
    -------
    numpy.ndarray, shape (len(new),)
        No row of `old` occurs twice, and pairs are always of one frame. Rows without
        equal points or equal track are paired only if they share a point or if their
        frame kept its number of instances.
    """
    match = np.full(len(new), -1, np.intp)
    same_old, same_new = _find_unchanged(old, new)
    match[same_new] = same_old
    free_old, free_new = (
        np.flatnonzero(np.bincount(same, minlength=len(poses)) == 0)
        for same, poses in ((same_old, old), (same_new, new))
    )
    if not len(free_old) or not len(free_new):
        return match
    found = _match_rest(old.select(free_old), new.select(free_new))
    match[free_new] = np.where(found >= 0, free_old[found], -1)
    return match


def _match_rest(old: Poses, new: Poses) -> NDArray[np.intp]:
    """Return the same as `match_rows`, by the rules alone."""
    match = np.full(len(new), -1, np.intp)
    left, right = _columns_of(old), _columns_of(new)
    free_old, free_new = np.arange(len(old)), np.arange(len(new))
    for rule in _RULES:
        a, b = free_old, free_new
        if "track" in rule and "points" not in rule:
            a, b = a[old.track[a] >= 0], b[new.track[b] >= 0]
        names = ("frame", *rule)
        i, j = _pair([left[name][a] for name in names], [right[name][b] for name in names])
        i, j = a[i], b[j]
        if "points" not in rule and "track" not in rule:
            trusted = _share_point(old, new, i, j) | _same_count(left, right, i)
            i, j = i[trusted], j[trusted]
        match[j] = i
        free_old = np.setdiff1d(free_old, i, assume_unique=True)
        free_new = np.setdiff1d(free_new, j, assume_unique=True)
        if not len(free_old) or not len(free_new):
            break
    return match


def _find_unchanged(old: Poses, new: Poses) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows, in both tables, of the frames in which nothing at all has changed.

    They are nearly all rows of a long video, and the rules take much longer to pair them.
    """
    (keys, starts, counts), (new_keys, new_starts, new_counts) = map(_index_frames, (old, new))
    place = np.minimum(new_keys.searchsorted(keys), max(len(new_keys) - 1, 0))
    both = new_keys[place] == keys if len(new_keys) else np.zeros(len(keys), bool)
    both[both] = new_counts[place[both]] == counts[both]
    starts, counts, new_starts = starts[both], counts[both], new_starts[place[both]]
    begins = np.cumsum(counts) - counts  # of each frame among the rows found here
    inside = np.arange(counts.sum()) - np.repeat(begins, counts)
    rows, new_rows = np.repeat(starts, counts) + inside, np.repeat(new_starts, counts) + inside
    same = np.ones(len(rows), bool)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        some = slice(first, first + _ROWS_AT_ONCE)
        same[some] = _are_equal(old, rows[some], new, new_rows[some])
    if len(begins):
        same = np.repeat(np.logical_and.reduceat(same, begins), counts)
    return rows[same], new_rows[same]


def _index_frames(
    poses: Poses,
) -> tuple[NDArray[np.int64], NDArray[np.intp], NDArray[np.intp]]:
    """Return key, first row and number of rows of each frame that has rows, in order."""
    keys = pack(poses.video, poses.frame)
    starts = np.flatnonzero(np.append(len(keys) > 0, keys[1:] != keys[:-1])[: len(keys)])
    return keys[starts], starts, np.diff(np.append(starts, len(keys)))


def _are_equal(
    old: Poses, rows: NDArray[np.intp], new: Poses, new_rows: NDArray[np.intp]
) -> NDArray[np.bool_]:
    equal = (old.track[rows] == new.track[new_rows]) & (old.origin[rows] == new.origin[new_rows])
    a, b = old.xy[rows], new.xy[new_rows]
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.asarray(equal & same.reshape(len(rows), -1).all(axis=1))


def _columns_of(poses: Poses) -> dict[str, NDArray[np.int64]]:
    """Return the columns that rules name, as integers."""
    return {
        "frame": (poses.video.astype(np.int64) << 32) | poses.frame,
        "points": _hash_points(poses.xy),
        "predicted": (poses.origin == Origin.PREDICTED).astype(np.int64),
        "track": poses.track.astype(np.int64),
    }


def _hash_points(xy: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return one number per row that equal coordinates share (and others hardly ever)."""
    bits = np.where(np.isnan(xy), np.float32(np.nan), xy + np.float32(0)).view(np.uint32)
    flat = bits.reshape(len(xy), int(np.prod(xy.shape[1:]))).astype(np.uint64)
    weights = np.random.default_rng(0).integers(1, 2**63, flat.shape[1], np.uint64) * 2 + 1
    return np.asarray((flat * weights).sum(axis=1, dtype=np.uint64).view(np.int64))


def _pair(
    old: Sequence[NDArray[np.int64]], new: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair rows with equal keys, the first with the first, the second with the second."""
    n_old, n_rows = len(old[0]), len(old[0]) + len(new[0])
    columns = [np.concatenate(pair) for pair in zip(old, new, strict=True)]
    side = np.arange(n_rows) >= n_old
    order = np.lexsort((side, *columns))
    changes = np.zeros(n_rows, bool)
    for column in columns:
        changes[1:] |= column[order][1:] != column[order][:-1]
    group = np.cumsum(changes)
    first = np.ones(n_rows, bool)
    first[1:] = changes[1:] | (side[order][1:] != side[order][:-1])
    begin = np.maximum.accumulate(np.where(first, np.arange(n_rows), 0))
    identity = np.empty(n_rows, np.int64)
    identity[order] = group * (n_rows + 1) + (np.arange(n_rows) - begin)
    _, i, j = np.intersect1d(
        identity[:n_old], identity[n_old:], assume_unique=True, return_indices=True
    )
    return i, j


def _share_point(
    old: Poses, new: Poses, i: NDArray[np.intp], j: NDArray[np.intp]
) -> NDArray[np.bool_]:
    return np.asarray((old.xy[i] == new.xy[j]).all(axis=-1).any(axis=-1))


def _same_count(
    left: dict[str, NDArray[np.int64]], right: dict[str, NDArray[np.int64]], i: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Say for rows of the old table whether their frame has as many rows in both tables."""
    keys = left["frame"][i]

    def count(frames: NDArray[np.int64]) -> NDArray[np.intp]:
        return np.searchsorted(frames, keys, side="right") - np.searchsorted(frames, keys)

    return np.asarray(count(left["frame"]) == count(right["frame"]))
