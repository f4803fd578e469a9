"""Birth, naming and end of tracks: when a moving thing becomes a known animal."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_animalpose.config import TrackConfig
from napari_animalpose.tracking.table import TrackTable

__all__ = ["NONE", "IdentityBook", "Naming"]

NONE, ENDED = -1, -2  # identities of tracks without name, and of rows about to go
CompareTracks = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]]


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

        New identities as long as there may be more, to those a person named and then to
        those seen most often; then identities that are free: those of animals out of sight
        for more than `max_gap_frames`, the most plausible ones.
        """
        tracks = self._tracks
        confirmed = (tracks["hits"] >= self._config.confirm_frames) | (tracks["anchor"] >= 0)
        ready = np.flatnonzero(confirmed & (tracks["identity"] == NONE) & (tracks["last"] == frame))
        if not ready.size:
            return []
        ready = ready[np.lexsort((-tracks["hits"][ready], tracks["anchor"][ready] < 0))]
        n_new = int(min(len(ready), self.n_left))
        namings = []
        for row in ready[:n_new]:
            namings.append(self._give(row, self.n_identities, int(tracks["first"][row])))
            self.n_identities += 1
        return namings + self._take_over(ready[n_new:], frame, compare)

    def _take_over(
        self, ready: NDArray[np.intp], frame: int, compare: CompareTracks
    ) -> list[Naming]:
        tracks = self._tracks
        gap = frame - tracks["last"] - 1
        free = np.flatnonzero((tracks["identity"] >= 0) & (gap > self._config.max_gap_frames))
        if not ready.size or not free.size:
            return []
        clash = (tracks["anchor"][ready] >= 0)[:, None] & (tracks["anchor"][free] >= 0)[None]
        rows, columns = linear_sum_assignment(np.where(clash, 1e9, compare(ready, free)))
        namings = []
        for row, column in zip(rows, columns, strict=True):
            if clash[row, column]:
                continue
            new, old = ready[row], free[column]
            since = max(int(tracks["first"][new]), int(tracks["last"][old]) + 1)
            namings.append(self._give(new, int(tracks["identity"][old]), since))
            if tracks["anchor"][new] < 0:
                tracks["anchor"][new] = tracks["anchor"][old]
            tracks["identity"][old], tracks["anchor"][old] = ENDED, NONE
        return namings

    def _give(self, row: int, identity: int, since: int) -> Naming:
        self._tracks["identity"][row] = identity
        return Naming(int(self._tracks["tracklet"][row]), identity, since)
