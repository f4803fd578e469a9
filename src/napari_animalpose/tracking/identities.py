"""Birth, naming and end of tracks: when a moving thing becomes a known animal."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import TrackConfig
from napari_animalpose.tracking.assignment import assign_optimally
from napari_animalpose.tracking.table import TrackTable

__all__ = ["NONE", "IdentityBook", "Naming"]

NONE, ENDED = -1, -2  # identities of tracks without name, and of rows about to go
NEAR_LENGTHS = 2.0  # body lengths: a newcomer so near to a lost animal is that animal
CompareTracks = Callable[
    [NDArray[np.intp], NDArray[np.intp]], tuple[NDArray[np.float64], NDArray[np.float64]]
]
"""Rows (S,) seen now and rows (L,) lost before -> cost and distance in body lengths (S, L)."""


class Naming(NamedTuple):
    """From frame `since` on, the instances of a tracklet are this identity."""

    tracklet: int
    identity: int
    since: int


class IdentityBook:
    """Decides which tracks have which identity, and keeps the limit.

    Parameters
    ----------
    tracks : TrackTable
        With the columns tracklet, identity, anchor, first, last, hits.
    config : TrackConfig
        `max_animals`, `max_gap_frames` and `confirm_frames` are used.

    Attributes
    ----------
    n_identities, n_tracklets : int
        How many there were so far.
    """

    def __init__(self, tracks: TrackTable, config: TrackConfig) -> None:
        self._tracks, self._config = tracks, config
        self.n_identities = self.n_tracklets = 0

    @property
    def n_left(self) -> float:
        """Number of identities that may still be made."""
        limit = self._config.max_animals
        return limit - self.n_identities if limit else float("inf")

    def forget(self, frame: int) -> None:
        """Drop tracks that ended before a frame.

        Tracks without a name end after `confirm_frames` frames out of sight, the others
        after `max_gap_frames`, unless the number of animals is known or a person named
        them: those wait for ever.
        """
        tracks = self._tracks
        if not len(tracks):
            return
        gap = frame - tracks["last"] - 1  # frames out of sight
        waits = (tracks["anchor"] >= 0) | (self._config.max_animals > 0)
        named = tracks["identity"] >= 0
        ended = np.where(
            named, (gap > self._config.max_gap_frames) & ~waits, gap >= self._config.confirm_frames
        )
        ended |= tracks["identity"] == ENDED
        if ended.any():
            tracks.keep(~ended)

    def begin(self, n_tracks: int, frame: int) -> NDArray[np.intp]:
        """Add tracks without a name and return their rows."""
        tracks = self._tracks
        rows = tracks.append(n_tracks)
        tracks["tracklet"][rows] = self.n_tracklets + np.arange(n_tracks)
        tracks["identity"][rows] = tracks["anchor"][rows] = NONE
        tracks["first"][rows] = tracks["last"][rows] = frame
        self.n_tracklets += n_tracks
        return rows

    def absorb(self, cost: NDArray[np.float64], match: NDArray[np.intp]) -> list[Naming]:
        """Recognise tracklets that were a lost animal all along.

        An animal that comes back is at first a tracklet without a name. When the lost
        track, whose reach grows, takes over the instance that the tracklet would have had,
        the tracklet was that animal since it began.

        Parameters
        ----------
        cost : array of float64, shape (I, T)
        match : array of intp, shape (I,)
            Row of the table that every instance was given to; -1 = none.
        """
        tracks = self._tracks
        loose = tracks["identity"] == NONE
        loose[match[match >= 0]] = False
        namings: list[Naming] = []
        if not loose.any():
            return namings
        for instance in np.flatnonzero(match >= 0):
            row = match[instance]
            able = loose & (tracks["first"] > tracks["last"][row]) & np.isfinite(cost[instance])
            if tracks["identity"][row] < 0 or not able.any():
                continue
            best = int(np.argmin(np.where(able, cost[instance], np.inf)))
            namings.append(
                Naming(
                    int(tracks["tracklet"][best]),
                    int(tracks["identity"][row]),
                    int(tracks["first"][best]),
                )
            )
            loose[best] = False
            tracks["identity"][best] = ENDED
        return namings

    def name(self, frame: int, compare: CompareTracks) -> list[Naming]:
        """Give an identity to tracks that were seen often enough.

        First that of a lost animal nearby: one that was not seen since the newcomer
        began and went no farther than `NEAR_LENGTHS`, more than any spread would have it.
        Then a new one, as long as there may be more: those a person named come first, and
        then those seen most often. Then, where the number of animals is known, that of any
        animal out of sight for more than `max_gap_frames`.
        """
        tracks = self._tracks
        confirmed = (tracks["hits"] >= self._config.confirm_frames) | (tracks["anchor"] >= 0)
        ready = confirmed & (tracks["identity"] == NONE) & (tracks["last"] == frame)
        ready = ready.nonzero()[0]
        if not ready.size:
            return []
        ready = ready[np.lexsort((-tracks["hits"][ready], tracks["anchor"][ready] < 0))]
        lost = np.flatnonzero((tracks["identity"] >= 0) & (tracks["last"] < frame))
        cost, lengths = compare(ready, lost)
        near = lengths <= NEAR_LENGTHS
        near &= tracks["last"][lost][None] < tracks["first"][ready][:, None]
        namings, left = self._take_over(ready, lost, np.where(near, cost, np.inf))
        n_new = int(min(float(np.count_nonzero(left)), self.n_left))
        for row in ready[left][:n_new]:
            namings.append(self._give(row, self.n_identities, int(tracks["first"][row])))
            self.n_identities += 1
        left[np.flatnonzero(left)[:n_new]] = False
        waits = frame - tracks["last"][lost] - 1 > self._config.max_gap_frames
        waits &= tracks["identity"][lost] >= 0
        if left.any() and waits.any():
            namings += self._take_over(ready[left], lost[waits], cost[np.ix_(left, waits)])[0]
        return namings

    def _take_over(
        self, ready: NDArray[np.intp], lost: NDArray[np.intp], cost: NDArray[np.float64]
    ) -> tuple[list[Naming], NDArray[np.bool_]]:
        """Give identities of lost tracks to others where the cost is finite.

        Returns
        -------
        list of Naming
        array of bool
            Which of `ready` are left.
        """
        tracks = self._tracks
        left = np.ones(len(ready), bool)
        namings: list[Naming] = []
        clash = (tracks["anchor"][ready] >= 0)[:, None] & (tracks["anchor"][lost] >= 0)[None]
        for row, column in zip(*assign_optimally(np.where(clash, np.inf, cost), 1e9), strict=True):
            new, old = ready[row], lost[column]
            since = max(int(tracks["first"][new]), int(tracks["last"][old]) + 1)
            namings.append(self._give(new, int(tracks["identity"][old]), since))
            if tracks["anchor"][new] < 0:
                tracks["anchor"][new] = tracks["anchor"][old]
            tracks["identity"][old], tracks["anchor"][old] = ENDED, NONE
            left[row] = False
        return namings, left

    def _give(self, row: int, identity: int, since: int) -> Naming:
        self._tracks["identity"][row] = identity
        return Naming(int(self._tracks["tracklet"][row]), identity, since)
