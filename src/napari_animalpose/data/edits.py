"""Reversible edits of instances and points.

Each function reads the table as it is now and returns an edit; `History.do` carries it
out. Frames are (video, frame) pairs. An instance is addressed by (video, frame, position
among the rows of the frame), a point by (video, frame, position, node): rows of a frame
keep their order through every edit, and new ones come last.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.edit_kinds import Edit, FrameEdit, TableEdit
from napari_animalpose.data.poses import FrameKey, Origin, Poses, Visibility
from napari_animalpose.data.store import pack, unpack
from napari_animalpose.errors import DataError

__all__ = [
    "accept_predictions",
    "add_instances",
    "delete_instances",
    "duplicate_instances",
    "move_points",
    "paste_instances",
    "replace_frames",
    "replace_table",
    "set_track",
    "set_visibility",
    "swap_tracks",
]


class _Rows(NamedTuple):
    """Addressed instances together with all rows of their frames."""

    frames: NDArray[np.int64]  # (F, 2), sorted
    before: Poses  # a copy of the rows of those frames
    rows: NDArray[np.intp]  # (M,) which of them are addressed
    frame_of_row: NDArray[np.intp]  # (len(before),) index into frames


# ------------------------------------------------------------------------------ points
def move_points(
    poses: Poses, points: ArrayLike, xy: ArrayLike, *, merge_key: Hashable | None = None
) -> FrameEdit:
    """Give points new coordinates.

    A missing point becomes visible, an occluded one stays occluded, and a predicted
    instance becomes a corrected one. The confidence of a moved point is gone (NaN).

    Parameters
    ----------
    poses : Poses
    points : array_like of int, shape (M, 4)
        (video, frame, instance, node).
    xy : array_like of float, shape (M, 2)
        (x, y) in px.
    merge_key : hashable, optional
        Moves with an equal key, one after the other, are one step of undo: a drag.

    Raises
    ------
    DataError
        If coordinates are not finite.
    IndexError
        If there is no such instance or node.
    """
    found, nodes = _find_points(poses, points)
    new_xy = np.asarray(xy, np.float32).reshape(-1, 2)
    if not np.isfinite(new_xy).all():
        raise DataError(
            "Expected finite coordinates of moved points; received NaN or inf. To take a "
            "point away, set it missing."
        )
    changed = _copy_columns(found.before, "xy", "visibility", "point_score", "origin")
    changed["xy"][found.rows, nodes] = new_xy
    was_missing = changed["visibility"][found.rows, nodes] == Visibility.MISSING
    changed["visibility"][found.rows[was_missing], nodes[was_missing]] = Visibility.VISIBLE
    changed["point_score"][found.rows, nodes] = np.nan
    _mark_corrected(changed["origin"], found.rows)
    label = "Move point" if len(nodes) == 1 else f"Move {len(nodes)} points"
    return _edit_columns(label, found, changed, merge_key)


def set_visibility(poses: Poses, points: ArrayLike, visibility: Visibility) -> FrameEdit:
    """Call points visible, occluded or missing; a missing point loses its coordinates.

    A predicted instance becomes a corrected one. Undo brings coordinates back.

    Parameters
    ----------
    poses : Poses
    points : array_like of int, shape (M, 4)
        (video, frame, instance, node).
    visibility : Visibility

    Raises
    ------
    DataError
        If a missing point, which has no coordinates, is to be visible or occluded.
    IndexError
        If there is no such instance or node.
    """
    found, nodes = _find_points(poses, points)
    changed = _copy_columns(found.before, "xy", "visibility", "point_score", "origin")
    old = changed["visibility"][found.rows, nodes]
    if visibility != Visibility.MISSING and (old == Visibility.MISSING).any():
        node = poses.skeleton.nodes[nodes[old == Visibility.MISSING][0]]
        raise DataError(
            f"Expected points with coordinates to mark {visibility.name.lower()}; received "
            f"{node!r}, which is missing. Place it first."
        )
    changed["visibility"][found.rows, nodes] = visibility
    if visibility == Visibility.MISSING:
        changed["xy"][found.rows, nodes] = np.nan
        changed["point_score"][found.rows, nodes] = np.nan
    _mark_corrected(changed["origin"], found.rows)
    return _edit_columns(f"Mark {visibility.name.lower()}", found, changed)


# --------------------------------------------------------------------------- instances
def add_instances(poses: Poses, block: Poses, label: str = "Add instance") -> FrameEdit:
    """Add rows after those that their frames have; tracks are matched by name.

    Raises
    ------
    DataError
        If the block has other nodes.
    """
    frames = block.frame_keys()
    before = poses.take_frames(frames)
    return FrameEdit(label, frames, before, Poses.concat([before, block]))


def delete_instances(poses: Poses, instances: ArrayLike) -> FrameEdit:
    """Delete instances, given as (video, frame, instance), shape (M, 3).

    Raises
    ------
    IndexError
        If there is no such instance.
    """
    found = _find_instances(poses, instances)
    keep = np.ones(len(found.before), bool)
    keep[found.rows] = False
    label = "Delete instance" if len(found.rows) == 1 else f"Delete {len(found.rows)} instances"
    return FrameEdit(label, found.frames, found.before, found.before.select(keep))


def paste_instances(
    poses: Poses,
    block: Poses,
    video: int,
    frame: int,
    offset: tuple[float, float] = (0.0, 0.0),
    label: str = "Paste instance",
) -> FrameEdit:
    """Add the rows of `block` to one frame as a person's labels.

    Scores are gone (NaN); an instance keeps its track unless the frame has it already.

    Parameters
    ----------
    poses : Poses
    block : Poses
        Instances of any frame, with the same nodes.
    video, frame : int
        Where to paste.
    offset : (float, float)
        (x, y) in px by which the copies are moved.

    Raises
    ------
    DataError
        If the block has other nodes or the offset is not finite.
    """
    present = poses.at(video, frame)
    taken = {present.track_names[track] for track in present.track.tolist() if track >= 0}
    track = block.track.copy()
    for row, number in enumerate(track.tolist()):
        if number >= 0 and block.track_names[number] in taken:
            track[row] = -1
        elif number >= 0:
            taken.add(block.track_names[number])
    copies = block.replace(
        video=video,
        frame=np.full(len(block), frame),
        xy=block.xy + np.asarray(offset, np.float32) if any(offset) else block.xy,
        visibility=block.visibility,
        track=track,
        origin=Origin.USER,
        point_score=np.nan,
        score=np.nan,
        track_score=np.nan,
    )
    return add_instances(poses, _without_unused_tracks(copies), label)


def duplicate_instances(
    poses: Poses,
    instances: ArrayLike,
    to: FrameKey | tuple[int, int],
    offset: tuple[float, float] = (0.0, 0.0),
) -> FrameEdit:
    """Copy instances, given as (video, frame, instance), shape (M, 3), to another frame.

    See `paste_instances`; the target may be the frame that they are in.

    Raises
    ------
    IndexError
        If there is no such instance.
    """
    found = _find_instances(poses, instances)
    block = found.before.select(found.rows)
    return paste_instances(poses, block, to[0], to[1], offset, label="Duplicate instance")


def accept_predictions(poses: Poses, instances: ArrayLike) -> FrameEdit:
    """Make predicted instances, given as (video, frame, instance), labels as they are.

    Raises
    ------
    IndexError
        If there is no such instance.
    """
    found = _find_instances(poses, instances)
    changed = _copy_columns(found.before, "origin")
    _mark_corrected(changed["origin"], found.rows)
    return _edit_columns("Accept prediction", found, changed)


# -------------------------------------------------------------------------- identities
def set_track(poses: Poses, instances: ArrayLike, name: str | None) -> FrameEdit:
    """Give instances a track, which is made if new; None takes the track away.

    Where another instance of the frame has the track already, the two change places, so
    that a frame never shows one animal twice.

    Parameters
    ----------
    poses : Poses
    instances : array_like of int, shape (M, 3)
        (video, frame, instance), for a name at most one in each frame.
    name : str or None

    Raises
    ------
    DataError
        If two instances of one frame are to get one track, or the name is empty.
    IndexError
        If there is no such instance.
    """
    found = _find_instances(poses, instances)
    changed = _copy_columns(found.before, "track", "track_score")
    track, names, number = changed["track"], poses.track_names, -1
    if name is not None:
        if not name:
            raise DataError("Expected a name for the track; received an empty text.")
        if len(found.rows) > len(found.frames):
            raise DataError(
                f"Expected one instance a frame for the track {name!r}; received "
                f"{len(found.rows)} in {len(found.frames)} frames."
            )
        names = names if name in names else (*names, name)
        number = names.index(name)
        previous = np.full(len(found.frames), -1, np.int32)
        previous[found.frame_of_row[found.rows]] = track[found.rows]
        holders = track == number
        track[holders] = previous[found.frame_of_row[holders]]
    track[found.rows] = number
    changed["track_score"][found.rows] = np.nan
    after = Poses(poses.skeleton, {**found.before.columns, **changed}, names)
    return FrameEdit("Set track", found.frames, found.before, after)


def swap_tracks(poses: Poses, video: int, first: int, last: int, a: str, b: str) -> FrameEdit:
    """Exchange two tracks in the frames `first` to `last` of one video, both included.

    Raises
    ------
    DataError
        If there is no track of one of the names.
    """
    numbers = [find_track(poses, name) for name in (a, b)]
    span = poses.between(video, first, last)
    rows = np.isin(span.track, numbers)
    frames = unpack(np.unique(pack(span.video[rows], span.frame[rows])))
    before = poses.take_frames(frames)
    track = before.track.copy()
    for old, new in (numbers, numbers[::-1]):
        track[before.track == old] = new
    after = Poses(poses.skeleton, {**before.columns, "track": track}, poses.track_names)
    return FrameEdit(f"Swap {a} and {b}", frames, before, after)


def find_track(poses: Poses, name: str) -> int:
    """Return the number of a track.

    Raises
    ------
    DataError
        If there is no such track.
    """
    if name not in poses.track_names:
        known = ", ".join(poses.track_names) or "none"
        raise DataError(f"Expected the name of a track ({known}); received {name!r}.")
    return poses.track_names.index(name)


# ------------------------------------------------------------------------- whole frames
def replace_frames(
    poses: Poses, frames: ArrayLike, block: Poses, label: str = "Replace frames"
) -> FrameEdit:
    """Replace all rows of some frames, as by new predictions; tracks are matched by name.

    Parameters
    ----------
    poses : Poses
    frames : array_like of int, shape (F, 2)
        (video, frame) in any order.
    block : Poses
        Their new rows; frames without rows here become empty.
    label : str
        What a menu calls it.

    Raises
    ------
    DataError
        If the block has other nodes or rows of other frames.
    """
    pairs = np.asarray(frames, np.int64).reshape(-1, 2)
    keys = np.unique(pack(pairs[:, 0], pairs[:, 1]))
    if not np.isin(pack(block.video, block.frame), keys).all():
        raise DataError("Expected rows of the frames to replace; received rows of others too.")
    before = poses.take_frames(unpack(keys))
    after = Poses.concat([before.select([]), block])
    return FrameEdit(label, unpack(keys), before, after)


def replace_table(poses: Poses, after: Poses, label: str = "Replace all poses") -> Edit:
    """Replace the whole table, with skeleton and track names."""
    return TableEdit(label, poses.copy(), after.copy())


# ---------------------------------------------------------------------------- internals
def _find_instances(poses: Poses, instances: ArrayLike) -> _Rows:
    """Read the frames of instances given as (video, frame, position), shape (M, 3)."""
    address = np.asarray(instances, np.int64)
    address = address.reshape(-1, address.shape[-1] if address.size else 3)
    keys, which = np.unique(pack(address[:, 0], address[:, 1]), return_inverse=True)
    frames = unpack(keys)
    before = poses.take_frames(frames)
    row_keys = pack(before.video, before.frame)
    starts, stops = row_keys.searchsorted(keys), row_keys.searchsorted(keys, side="right")
    position = address[:, 2]
    absent = (position < 0) | (position >= (stops - starts)[which])
    if absent.any():
        video, frame, number = address[absent][0, :3].tolist()
        count = int((stops - starts)[which][absent][0])
        raise IndexError(
            f"Expected an instance below {count} in frame {frame} of video {video}; "
            f"received {number}."
        )
    frame_of_row = np.repeat(np.arange(len(keys)), stops - starts)
    return _Rows(frames, before, starts[which] + position, frame_of_row)


def _find_points(poses: Poses, points: ArrayLike) -> tuple[_Rows, NDArray[np.int64]]:
    """Read the frames of points given as (video, frame, position, node), shape (M, 4)."""
    address = np.asarray(points, np.int64).reshape(-1, 4)
    nodes = address[:, 3]
    if ((nodes < 0) | (nodes >= poses.n_nodes)).any():
        raise IndexError(f"Expected nodes 0 to {poses.n_nodes - 1}; received {nodes.tolist()}.")
    return _find_instances(poses, address), nodes


def _copy_columns(poses: Poses, *names: str) -> dict[str, NDArray[Any]]:
    return {name: poses.column(name).copy() for name in names}


def _mark_corrected(origin: NDArray[np.uint8], rows: NDArray[np.intp]) -> None:
    """Count predicted rows as corrected from now on, in place."""
    origin[rows[origin[rows] == Origin.PREDICTED]] = Origin.CORRECTED


def _edit_columns(
    label: str,
    found: _Rows,
    changed: Mapping[str, NDArray[Any]],
    merge_key: Hashable | None = None,
) -> FrameEdit:
    """Return the edit that gives the rows found these columns."""
    before = found.before
    after = Poses(before.skeleton, {**before.columns, **changed}, before.track_names)
    return FrameEdit(label, found.frames, before, after, merge_key)


def _without_unused_tracks(poses: Poses) -> Poses:
    """Return rows that count only the tracks they have."""
    used = np.unique(poses.track[poses.track >= 0])
    names: Sequence[str] = [poses.track_names[number] for number in used.tolist()]
    track = np.where(poses.track < 0, -1, used.searchsorted(poses.track)).astype(np.int32)
    return Poses(poses.skeleton, {**poses.columns, "track": track}, names)
