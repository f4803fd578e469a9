"""Tracklets: stretches of frames through which a tracker followed one animal."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.store import pack
from napari_animalpose.tracking.steps import count_times

__all__ = ["Tracklets", "average_over", "find_tracklets"]


@dataclass(frozen=True, eq=False)
class Tracklets:
    """R tracklets that cover the M instances with a track.

    Attributes
    ----------
    rows : numpy.ndarray of intp, shape (M,)
        Rows of the table by video, track and frame.
    starts, stops : numpy.ndarray of intp, shape (R,)
        Tracklet r has ``rows[starts[r] : stops[r]]``.
    frame : numpy.ndarray of int64, shape (M,)
        Time of each of `rows` in steps between frames with instances, from the first of
        its video: of a video predicted at every eighth frame, frame 16 is 2.
    video, track, first, last : numpy.ndarray of int64, shape (R,)
        Its video, track, first and last frame, in the same steps.
    labelled : numpy.ndarray of bool, shape (R,)
        Whether a person made or confirmed one of its instances.
    anchored : numpy.ndarray of bool, shape (R,)
        Whether a person gave one of its instances its track.
    """

    rows: NDArray[np.intp]
    starts: NDArray[np.intp]
    stops: NDArray[np.intp]
    frame: NDArray[np.int64]
    video: NDArray[np.int64]
    track: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    labelled: NDArray[np.bool_]
    anchored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def counts(self) -> NDArray[np.intp]:
        """Number of instances of every tracklet, shape (R,)."""
        return np.asarray(self.stops - self.starts)

    @property
    def number(self) -> NDArray[np.intp]:
        """Tracklet of each of `rows`, shape (M,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    def thin(self, stride: int) -> Tracklets:
        """Return the same tracklets with every `stride`-th of their instances only."""
        within = np.arange(len(self.rows)) - np.repeat(self.starts, self.counts)
        kept = np.flatnonzero(within % stride == 0)
        counts = (self.counts + stride - 1) // stride
        stops = np.cumsum(counts)
        return dataclasses.replace(
            self, rows=self.rows[kept], frame=self.frame[kept], starts=stops - counts, stops=stops
        )

    def take(self, chosen: NDArray[np.intp]) -> Tracklets:
        """Return some of the tracklets, in the order given."""
        counts = self.counts[chosen]
        stops = np.cumsum(counts)
        places = np.arange(counts.sum()) + np.repeat(self.starts[chosen] - stops + counts, counts)
        return Tracklets(
            self.rows[places],
            stops - counts,
            stops,
            self.frame[places],
            self.video[chosen],
            self.track[chosen],
            self.first[chosen],
            self.last[chosen],
            self.labelled[chosen],
            self.anchored[chosen],
        )


def find_tracklets(
    poses: Poses,
    max_gap_frames: int | None = 0,
    anchored: NDArray[np.bool_] | None = None,
) -> Tracklets:
    """Cut tracks into tracklets where they miss more than `max_gap_frames` frames.

    Parameters
    ----------
    poses : Poses
        Instances without a track belong to no tracklet.
    max_gap_frames : int or None
        None never cuts: every track of a video is one tracklet.
    anchored : array of bool, shape (N,), optional
        Rows whose track a person gave; by default all labels.

    Returns
    -------
    Tracklets
        By video, track and frame.
    """
    tracked = np.flatnonzero(poses.track >= 0)
    # Rows are sorted by video and frame already: a stable sort by track alone is left.
    by = (poses.track[tracked], poses.video[tracked])
    rows = tracked[np.lexsort(by)]
    video, track = (column[rows].astype(np.int64) for column in (poses.video, poses.track))
    keys, place = np.unique(pack(poses.video, poses.frame), return_inverse=True)
    frame = count_times(keys)[place[rows]]
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (video[1:] != video[:-1]) | (track[1:] != track[:-1])
    if max_gap_frames is not None:
        begins[1:] |= np.diff(frame) > max_gap_frames + 1
    starts = np.flatnonzero(begins)
    stops = np.append(starts[1:], len(rows)).astype(np.intp)[: len(starts)]
    number = np.cumsum(begins) - 1
    labelled, anchored = (
        np.bincount(number, mask[rows], len(starts)) > 0
        for mask in (poses.is_label, poses.is_label if anchored is None else anchored)
    )
    return Tracklets(
        rows,
        starts,
        stops,
        frame,
        video[starts],
        track[starts],
        frame[starts],
        frame[stops - 1],
        labelled,
        anchored,
    )


def average_over(
    tracklets: Tracklets, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the mean of values (M, D) over every tracklet and how many were not NaN.

    Returns
    -------
    mean : numpy.ndarray of float64, shape (R, D)
        NaN where a tracklet has none.
    count : numpy.ndarray of intp, shape (R, D)
    """
    if not len(tracklets):
        shape = (0, values.shape[1])
        return np.zeros(shape), np.zeros(shape, np.intp)
    known = ~np.isnan(values)
    count = np.add.reduceat(known.astype(np.intp), tracklets.starts, axis=0)
    total = np.add.reduceat(np.where(known, values, 0.0), tracklets.starts, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count
