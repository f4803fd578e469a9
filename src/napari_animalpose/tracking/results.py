"""From what a tracker said frame by frame to the columns and names of the pose table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_animalpose.data.poses import Poses
from napari_animalpose.tracking.base import Step
from napari_animalpose.tracking.identities import NONE, Naming

__all__ = ["VideoTracks", "name_tracks"]

Numbers = NDArray[np.int64]


class VideoTracks:
    """Identities of the rows of one video.

    Parameters
    ----------
    first, stop : int
        Its rows in the pose table.
    """

    def __init__(self, first: int, stop: int) -> None:
        self.rows = slice(first, stop)
        n_rows = stop - first
        self._identity = np.full(n_rows, NONE, np.int64)
        self._tracklet = np.full(n_rows, NONE, np.int64)
        self._time = np.zeros(n_rows, np.int64)
        self.score = np.full(n_rows, np.nan)
        self._namings: list[Naming] = []

    def add(self, rows: slice, time: int, step: Step) -> None:
        """Write down one frame, whose rows are those of the whole table."""
        here = slice(rows.start - self.rows.start, rows.stop - self.rows.start)
        self._identity[here], self._tracklet[here] = step.identity, step.tracklet
        self._time[here], self.score[here] = time, step.score
        self._namings.extend(step.named)

    def identities(self) -> Numbers:
        """Return the identity of every row, -1 = none: also of those named afterwards."""
        if not self._namings:
            return self._identity.copy()
        tracklet, identity, since = np.array(self._namings, np.int64).T
        named = np.full(max(int(self._tracklet.max()), int(tracklet.max())) + 2, NONE, np.int64)
        begins = np.zeros_like(named)
        named[tracklet], begins[tracklet] = identity, since
        later = named[self._tracklet]  # of tracklet -1: the last entry, which is none
        waiting = (self._identity == NONE) & (later >= 0) & (self._time >= begins[self._tracklet])
        return np.where(waiting, later, self._identity)


def name_tracks(
    poses: Poses,
    results: Sequence[VideoTracks],
    anchored: NDArray[np.bool_],
    *,
    use_identities: bool = False,
) -> Poses:
    """Write identities into a table and call them by name.

    Parameters
    ----------
    poses : Poses
        With the tracks that a person or an identity model gave.
    results : sequence of VideoTracks
        One for each video.
    anchored : array of bool, shape (N,)
        Rows that keep their track and its score.
    use_identities : bool
        Name identities by the tracks that most of their instances had.

    Returns
    -------
    Poses
        Each track once in a frame; names that no row has any more are gone.
    """
    track = np.full(len(poses), NONE, np.int64)
    score = np.full(len(poses), np.nan, np.float32)
    taken = len(poses.track_names)
    for result in results:
        rows = result.rows
        identity = result.identities()
        n_identities = int(identity.max(initial=NONE)) + 1
        evidence = np.where(anchored[rows], 1.0, 0.0)
        owner = _choose_names(identity, poses.track[rows], evidence, n_identities, taken)
        if use_identities:
            sure = np.nan_to_num(poses.track_score[rows].astype(np.float64), nan=1.0)
            left = _choose_names(identity, poses.track[rows], sure, n_identities, taken)
            left[np.isin(left, owner[owner >= 0])] = NONE
            owner = np.where(owner >= 0, owner, left)
        nameless = owner < 0
        owner[nameless] = taken + np.arange(np.count_nonzero(nameless))
        track[rows] = np.append(owner, NONE)[identity]
        score[rows] = np.where(identity >= 0, result.score, np.nan)
    track[anchored], score[anchored] = poses.track[anchored], poses.track_score[anchored]
    _clear_repeats(poses, track, score, anchored)
    score[track < 0] = np.nan
    return _rename(poses, track, score)


def _choose_names(
    identity: Numbers,
    track: NDArray[np.int32],
    weight: NDArray[np.float64],
    n_identities: int,
    n_names: int,
) -> Numbers:
    """Name that fits best for every identity, -1 = none; each name once.

    The pairing of identities and names with the largest sum of weights of their rows.
    """
    owner = np.full(n_identities, NONE, np.int64)
    told = (identity >= 0) & (track >= 0) & (weight > 0)
    if not told.any():
        return owner
    votes = np.zeros((n_identities, n_names))
    np.add.at(votes, (identity[told], track[told]), weight[told])
    rows, columns = linear_sum_assignment(votes, maximize=True)
    chosen = votes[rows, columns] > 0
    owner[rows[chosen]] = columns[chosen]
    return owner


def _clear_repeats(
    poses: Poses, track: Numbers, score: NDArray[np.float32], anchored: NDArray[np.bool_]
) -> None:
    """Take a track from all but one row of a frame: labels first, then the surest."""
    rows = np.flatnonzero((track >= 0) & ~anchored)
    keys = (poses.video.astype(np.int64) << 32) | poses.frame
    labelled = {(int(keys[row]), int(track[row])) for row in np.flatnonzero(anchored)}
    order = rows[np.lexsort((-np.nan_to_num(score[rows]), track[rows], keys[rows]))]
    same = (np.diff(keys[order]) == 0) & (np.diff(track[order]) == 0)
    track[order[1:][same]] = NONE
    if labelled:
        clash = [(int(keys[row]), int(track[row])) in labelled for row in rows]
        track[rows[np.array(clash, bool)]] = NONE


def _rename(poses: Poses, track: Numbers, score: NDArray[np.float32]) -> Poses:
    """Return the table with tracks counted anew and names for the new ones."""
    present = np.unique(track[track >= 0])
    old = present[present < len(poses.track_names)]
    names = [poses.track_names[number] for number in old]
    generic = (f"track_{n}" for n in range(len(present) + len(names)) if f"track_{n}" not in names)
    names += [next(generic) for _ in range(len(present) - len(old))]
    return poses.replace(
        track=np.where(track >= 0, np.searchsorted(present, track), NONE),
        track_score=score,
        track_names=names,
    )
