"""Tracks as series without holes, on which filters work, and the way back to a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.columns import COLUMNS
from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.smoothed import PointKind, Smoothed
from napari_animalpose.data.store import join_sorted, pack
from napari_animalpose.tracking.cleaning import keep_one_identity
from napari_animalpose.tracking.steps import count_steps, find_strides

__all__ = ["Knots", "Trajectories", "close_trajectories", "find_knots", "open_trajectories"]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """M places of tracks, each a step of time after the one before it in its span.

    A span is a stretch of one track; a step is the usual distance of the frames of its
    video, and a frame between two of its grid is a step of its own. Gaps within a span are
    places without a row, whose points are missing. Between spans there is no connection.

    Attributes
    ----------
    row : numpy.ndarray of intp, shape (M,)
        Row of the table, -1 for a place in a gap.
    video, track, frame : numpy.ndarray of int64, shape (M,)
    span : numpy.ndarray of intp, shape (M,)
        From 0, ascending.
    xy : numpy.ndarray of float32, shape (M, K, 2)
        px, NaN = missing.
    kind : numpy.ndarray of uint8, shape (M, K)
    stddev_px : numpy.ndarray of float32, shape (M, K)
    point_score : numpy.ndarray of float32, shape (M, K)
        NaN = none.
    """

    row: NDArray[np.intp]
    video: NDArray[np.int64]
    track: NDArray[np.int64]
    frame: NDArray[np.int64]
    span: NDArray[np.intp]
    xy: NDArray[np.float32]
    kind: NDArray[np.uint8]
    stddev_px: NDArray[np.float32]
    point_score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.row)

    def with_points(
        self,
        xy: NDArray[np.float32],
        stddev_px: NDArray[np.float32] | None = None,
    ) -> Trajectories:
        """Return a copy with other points, marked where they were filled or moved.

        Without deviations, those of points that changed are no longer known.
        """
        missing = np.isnan(self.xy[..., 0])
        placed = ~np.isnan(xy[..., 0])
        moved = ~missing & (xy != self.xy).any(axis=-1)
        kind = self.kind.copy()
        kind[missing & placed] = PointKind.FILLED
        kind[moved & (kind == PointKind.RAW)] = PointKind.SMOOTHED
        if stddev_px is None:
            stddev_px = np.where(moved, np.float32(np.nan), self.stddev_px)
        return replace(self, xy=xy, kind=kind, stddev_px=stddev_px)


def open_trajectories(smoothed: Smoothed, max_gap_frames: int) -> Trajectories:
    """Return the tracks of a table, with places for whole instances that are missing.

    Parameters
    ----------
    smoothed : Smoothed
        Of several instances with one identity in a frame, the best is taken.
    max_gap_frames : int
        Tracks are cut where more steps are missing, and at a gap that is no whole number
        of steps.
    """
    unique, _ = keep_one_identity(smoothed.poses)
    rows = np.flatnonzero(unique.track >= 0)
    rows = rows[np.lexsort((unique.track[rows], unique.video[rows]))]
    video, track, frame = (
        column[rows].astype(np.int64) for column in (unique.video, unique.track, unique.frame)
    )
    # Two labels may share an identity: the second is no part of the movement.
    new = np.ones((2, len(rows)), np.bool_)
    new[0, 1:] = (video[1:] != video[:-1]) | (track[1:] != track[:-1])
    new[1, 1:] = new[0, 1:] | (frame[1:] != frame[:-1])
    once = new[1]
    rows, video, track, frame, begins = (a[once] for a in (rows, video, track, frame, new[0]))
    keys = pack(unique.video, unique.frame)
    frames, number = np.unique(keys, return_inverse=True)
    stride = find_strides(frames)[number[rows]]
    distance = np.diff(frame)
    steps = np.ones(len(rows), np.int64)  # to the next place that has a row
    steps[:-1] = np.where(begins[1:], 1, count_steps(distance, stride[:-1]))
    cut = steps > max_gap_frames + 1
    cut[:-1] |= (steps[:-1] > 1) & (distance % stride[:-1] != 0)
    steps[cut] = 1
    begins[1:] |= cut[:-1]
    owner = np.repeat(np.arange(len(rows)), steps)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(steps) - steps, steps)
    in_gap = offset > 0

    def spread(column: NDArray[Any], missing: float) -> NDArray[Any]:
        wide: NDArray[Any] = column[rows[owner]]
        wide[in_gap] = missing
        return wide

    return Trajectories(
        row=np.where(in_gap, -1, rows[owner]),
        video=video[owner],
        track=track[owner],
        frame=frame[owner] + offset * stride[owner],
        span=(np.cumsum(begins) - 1)[owner].astype(np.intp),
        xy=spread(unique.xy, np.nan),
        kind=spread(smoothed.kind, PointKind.RAW),
        stddev_px=spread(smoothed.stddev_px, np.nan),
        point_score=spread(unique.point_score, np.nan),
    )


def close_trajectories(
    before: Smoothed,
    trajectories: Trajectories,
    step: Mapping[str, Any],
    *,
    keep_labels: bool,
) -> Smoothed:
    """Write trajectories into a copy of the table they came from.

    Places in gaps become instances where a point was filled: predictions without a score,
    after the other instances of the frame.

    Parameters
    ----------
    before : Smoothed
    trajectories : Trajectories
    step : mapping
        What was done.
    keep_labels : bool
        Leave labels as they are. Otherwise those that changed become predictions.
    """
    poses = before.poses
    there = trajectories.row >= 0
    if keep_labels:
        there &= ~poses.is_label[trajectories.row]
    rows = trajectories.row[there]
    columns = {name: poses.column(name).copy() for name in COLUMNS}
    marks: dict[str, NDArray[Any]] = {
        "kind": before.kind.copy(),
        "stddev_px": before.stddev_px.copy(),
    }
    columns["xy"][rows] = trajectories.xy[there]
    marks["kind"][rows] = trajectories.kind[there]
    marks["stddev_px"][rows] = trajectories.stddev_px[there]
    was_missing = columns["visibility"] == Visibility.MISSING
    columns["visibility"][was_missing & ~np.isnan(columns["xy"][..., 0])] = Visibility.VISIBLE
    changed = (marks["kind"] != before.kind).any(axis=1)
    columns["origin"][changed] = Origin.PREDICTED
    created = _create_rows(trajectories)
    joined: dict[str, Any] = columns | marks
    if len(created["frame"]):
        joined = join_sorted(
            [joined, {name: created[name].astype(joined[name].dtype) for name in joined}]
        )
    kind, stddev_px = joined.pop("kind"), joined.pop("stddev_px")
    table = Poses.from_arrays(poses.skeleton, **joined, track_names=poses.track_names)
    counts = {"instances_created": len(created["frame"])}
    return Smoothed(table, kind, stddev_px, (*before.steps, {**step, **counts}))


def _create_rows(trajectories: Trajectories) -> dict[str, NDArray[Any]]:
    """Return the columns and marks of the instances that were found in gaps."""
    placed = ~np.isnan(trajectories.xy[..., 0])
    new = np.flatnonzero((trajectories.row < 0) & placed.any(axis=1))
    nothing = np.full(len(new), np.nan)
    return {
        "video": trajectories.video[new],
        "frame": trajectories.frame[new],
        "track": trajectories.track[new],
        "origin": np.full(len(new), Origin.PREDICTED),
        "xy": trajectories.xy[new],
        "visibility": np.where(placed[new], Visibility.VISIBLE, Visibility.MISSING),
        "point_score": trajectories.point_score[new],
        "score": nothing,
        "track_score": nothing,
        "kind": trajectories.kind[new],
        "stddev_px": trajectories.stddev_px[new],
    }


@dataclass(frozen=True, eq=False)
class Knots:
    """The places where one node is there, in segments without too long a gap.

    Attributes
    ----------
    place : numpy.ndarray of intp, shape (P,)
        Ascending.
    segment : numpy.ndarray of intp, shape (P,)
        From 0, ascending; knots of one segment belong together.
    """

    place: NDArray[np.intp]
    segment: NDArray[np.intp]

    @property
    def begins(self) -> NDArray[np.bool_]:
        """Whether a knot is the first of its segment, shape (P,)."""
        return np.diff(self.segment, prepend=-1) > 0

    @property
    def ends(self) -> NDArray[np.bool_]:
        """Whether a knot is the last of its segment, shape (P,)."""
        return np.append(self.begins[1:], True)[: len(self.place)]


def find_knots(present: NDArray[np.bool_], span: NDArray[np.intp], max_gap_frames: int) -> Knots:
    """Return the knots of one node from where it is present (M,).

    Segments end with their span and where more than `max_gap_frames` places are missing.
    """
    place = np.flatnonzero(present)
    begins = np.zeros(len(place), np.bool_)
    begins[1:] = (np.diff(place) > max_gap_frames + 1) | (span[place[1:]] != span[place[:-1]])
    return Knots(place, np.cumsum(begins))
