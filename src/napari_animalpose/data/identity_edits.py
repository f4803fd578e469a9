"""Reversible edits that fix who is who: swap, assign, merge, split and delete tracks.

`edits.set_track`, `edits.swap_tracks`, `schema_edits.rename_track` and
`schema_edits.remove_track` (the identity alone) are the simple ones. Every edit leaves
at most one instance of an identity in the frames that it changes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.edit_kinds import FrameEdit, TracksEdit
from napari_animalpose.data.edit_sequence import EditSequence, chain_edits
from napari_animalpose.data.edits import delete_instances, find_track, set_track, swap_tracks
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.schema_edits import remove_track
from napari_animalpose.data.selection import FrameRange, rank_instances, select_track
from napari_animalpose.data.store import MAX_FRAME, pack, unpack
from napari_animalpose.errors import DataError

__all__ = [
    "assign_track",
    "delete_track",
    "find_next_swap",
    "merge_tracks",
    "remove_unused_tracks",
    "split_track",
    "swap_from",
    "swap_until_next",
]

_FIRST_WINDOW = 4096  # frames that the search for the next swap looks at first


# --------------------------------------------------------------------------------- swap
def swap_from(poses: Poses, video: int, frame: int, a: str, b: str) -> FrameEdit:
    """Exchange two tracks from a frame to the end of its video.

    Raises
    ------
    DataError
        If there is no track of one of the names, or the two are one.
    """
    _check_two(a, b)
    return swap_tracks(poses, video, frame, MAX_FRAME, a, b)


def swap_until_next(poses: Poses, video: int, frame: int, a: str, b: str) -> FrameEdit:
    """Exchange two tracks from a frame to where they change places again, or to the end.

    `find_next_swap` says where that is. So one wrong stretch between two switches is put
    right at once, wherever in it a person looks first.

    Raises
    ------
    DataError
        If there is no track of one of the names, or the two are one.
    """
    next_swap = find_next_swap(poses, video, frame, a, b)
    return swap_tracks(poses, video, frame, MAX_FRAME if next_swap is None else next_swap - 1, a, b)


def find_next_swap(poses: Poses, video: int, frame: int, a: str, b: str) -> int | None:
    """Return the first frame after `frame` at which two tracks change places; None if none.

    They do in a frame where their poses lie, in sum, less than half as far from where the
    other track was last seen (at or after `frame`) as from where their own track was. The
    distance of two poses is the mean distance of the nodes that both have, or that of
    their centres where they share none. A track that ends while the other goes on is
    thus no swap, but the other one continuing in its place is.

    Parameters
    ----------
    poses : Poses
    video, frame : int
        Where to begin; whether they change places in this very frame is not asked.
    a, b : str
        Names of the tracks.

    Raises
    ------
    DataError
        If there is no track of one of the names, or the two are one.

    Notes
    -----
    Reads on in windows of growing length: costs the distance to the next swap.
    """
    _check_two(a, b)
    numbers = find_track(poses, a), find_track(poses, b)
    length = _FIRST_WINDOW
    while True:
        last = min(frame + length, MAX_FRAME)
        swaps = _find_swaps(poses.between(video, frame, last), numbers)
        if len(swaps):
            return int(swaps[0])
        frames = poses.frames(video)
        if not len(frames) or last >= frames[-1]:
            return None
        length *= 4


def _find_swaps(rows: Poses, numbers: tuple[int, int]) -> NDArray[np.int32]:
    """Return the frames of one video at which two tracks change places."""
    frames = np.unique(rows.frame[np.isin(rows.track, numbers)])
    xy = np.full((len(frames), 2, rows.n_nodes, 2), np.nan)
    there = np.zeros((len(frames), 2), bool)
    for which, number in enumerate(numbers):
        mine = np.flatnonzero(rows.track == number)[::-1]  # the first of a frame is written last
        place = frames.searchsorted(rows.frame[mine])
        xy[place, which], there[place, which] = rows.xy[mine], True
    there &= ~np.isnan(xy).all(axis=(2, 3))
    count = np.arange(len(frames))[:, None]
    seen = np.maximum.accumulate(np.where(there, count, -1), axis=0)
    seen = np.concatenate([np.full((1, 2), -1), seen])[: len(frames)]  # before this frame
    known = (seen >= 0).all(axis=1) & there.any(axis=1)
    before = xy[np.maximum(seen, 0), np.arange(2)]  # (F, 2, K, 2)
    cost = _measure_distance(xy[known][:, :, None], before[known][:, None])  # (F', now, before)
    cost = np.where(there[known][:, :, None], cost, 0.0)
    straight = cost[:, 0, 0] + cost[:, 1, 1]
    crossed = cost[:, 0, 1] + cost[:, 1, 0]
    return frames[known][crossed < straight / 2]


def _measure_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance in px of poses (..., K, 2), each with at least one point."""
    shared = ~np.isnan(a - b).any(axis=-1)
    distance = np.where(shared, np.hypot(*np.moveaxis(a - b, -1, 0)), 0.0).sum(axis=-1)
    n_shared = shared.sum(axis=-1)
    centers = [np.nan_to_num(xy).sum(axis=-2) / _count_points(xy)[..., None] for xy in (a, b)]
    between_centers = np.hypot(*np.moveaxis(centers[0] - centers[1], -1, 0))
    mean = distance / np.maximum(n_shared, 1)
    return np.asarray(np.where(n_shared > 0, mean, between_centers), np.float64)


def _count_points(xy: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.asarray(np.maximum((~np.isnan(xy).any(axis=-1)).sum(axis=-1), 1))


# ---------------------------------------------------------------- assign, merge and split
def assign_track(
    poses: Poses, source: str, target: str, within: FrameRange | None = None
) -> FrameEdit:
    """Give what one track has in a range of frames to another, which is made if new.

    Where the other is in the frame already, the two change places.

    Raises
    ------
    DataError
        If there is no track `source`, it is `target`, or it has two instances in a frame.
    """
    _check_two(source, target)
    return set_track(poses, select_track(poses, source, within, labels_too=True), target)


def merge_tracks(
    poses: Poses,
    source: str,
    target: str,
    on_conflict: Literal["refuse", "unassign", "delete"] = "refuse",
) -> EditSequence:
    """Make two tracks one: `source` becomes `target`, in all videos, and its name goes.

    Parameters
    ----------
    poses : Poses
    source, target : str
    on_conflict : {"refuse", "unassign", "delete"}
        What to do in frames that show both. The better instance keeps the track (a label
        before a prediction, then the higher score, the larger number of points, and the
        one of `target`); the other stays without a track or is deleted.

    Raises
    ------
    DataError
        If there is no track of one of the names, the two are one, `on_conflict` is none
        of the three, or frames show both and that is to be refused.
    """
    _check_two(source, target)
    numbers = [find_track(poses, name) for name in (source, target)]
    if on_conflict not in ("refuse", "unassign", "delete"):
        raise DataError(
            f"Expected on_conflict='refuse', 'unassign' or 'delete'; received {on_conflict!r}."
        )
    losers = _find_losers(poses, numbers[0], numbers[1])
    if len(losers) and on_conflict == "refuse":
        video, frame = losers[0, :2].tolist()
        n_frames = len(np.unique(losers[:, :2], axis=0))
        raise DataError(
            f"Expected tracks that are never in one frame; received {source!r} and {target!r}, "
            f"both in {n_frames} frames, first in frame {frame} of video {video}. Say what "
            "becomes of the second instance: on_conflict='unassign' or 'delete'."
        )

    def clear(table: Poses) -> FrameEdit:
        if on_conflict == "delete":
            return delete_instances(table, losers)
        return set_track(table, losers, None)

    def join(table: Poses) -> TracksEdit:
        return _join_names(table, source, target)

    return chain_edits(poses, f"Merge {source} into {target}", (clear, join))


def split_track(
    poses: Poses, name: str, video: int, frame: int, new_name: str | None = None
) -> FrameEdit:
    """Give what a track has from a frame to the end of its video a name of its own.

    Parameters
    ----------
    poses : Poses
    name : str
    video, frame : int
        The first frame of the new track.
    new_name : str, optional
        By default the name followed by the first free number from 2.

    Raises
    ------
    DataError
        If there is no such track, nothing of it lies on one side of the split, or the new
        name is empty or taken.
    """
    instances = select_track(poses, name, FrameRange(video, frame), labels_too=True)
    n_all = int(np.count_nonzero(poses.track == find_track(poses, name)))
    if not 0 < len(instances) < n_all:
        raise DataError(
            f"Expected a frame inside the track {name!r}; received frame {frame} of video "
            f"{video}, with {len(instances)} of its {n_all} instances from there on."
        )
    if new_name is None:
        taken, number = set(poses.track_names), 2
        while f"{name} {number}" in taken:
            number += 1
        new_name = f"{name} {number}"
    if new_name in poses.track_names:
        raise DataError(
            f"Expected a new name for the second part of {name!r}; received {new_name!r}, which "
            "is taken. Use assign_track to give it to a track that is there."
        )
    return set_track(poses, instances, new_name)


# ------------------------------------------------------------------------------- delete
def delete_track(poses: Poses, name: str) -> EditSequence:
    """Delete a track with all its instances, labels too, in all videos.

    `schema_edits.remove_track` keeps the instances, without identity.

    Raises
    ------
    DataError
        If there is no such track.
    """
    instances = select_track(poses, name, labels_too=True)
    return chain_edits(
        poses,
        f"Delete track {name}",
        (lambda table: delete_instances(table, instances), lambda table: remove_track(table, name)),
    )


def remove_unused_tracks(poses: Poses) -> TracksEdit:
    """Remove the names of tracks that no instance has."""
    track = poses.track.copy()
    used = np.unique(track[track >= 0])
    after = np.where(track < 0, -1, used.searchsorted(track)).astype(np.int32)
    names = tuple(poses.track_names[number] for number in used.tolist())
    return TracksEdit("Remove unused tracks", poses.track_names, names, track, after)


# ---------------------------------------------------------------------------- internals
def _check_two(a: str, b: str) -> None:
    if a == b:
        raise DataError(f"Expected two different tracks; received {a!r} twice.")


def _find_losers(poses: Poses, source: int, target: int) -> NDArray[np.int64]:
    """Return the addresses (M, 3) of what cannot stay where two tracks become one."""
    either = np.flatnonzero((poses.track == source) | (poses.track == target))
    rows = poses.select(either)
    keys = pack(poses.video, poses.frame)
    position = np.arange(len(poses)) - keys.searchsorted(keys)
    losing = either[rank_instances(rows, first=rows.track == target) > 0]
    return np.concatenate([unpack(keys[losing]), position[losing, None]], axis=1)


def _join_names(poses: Poses, source: str, target: str) -> TracksEdit:
    """Return the edit that gives all rows of one track to another and drops its name."""
    gone, kept = find_track(poses, source), find_track(poses, target)
    names = poses.track_names[:gone] + poses.track_names[gone + 1 :]
    before = poses.track.copy()
    after = np.where(before == gone, kept, before)
    after = (after - (after > gone)).astype(np.int32)
    return TracksEdit(f"Join {source} and {target}", poses.track_names, names, before, after)
