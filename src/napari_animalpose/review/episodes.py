"""From suspicious rows to episodes: neighbouring frames of one problem become one entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.review.evidence import Evidence, Rows
from napari_animalpose.review.findings import Findings, rate_severity

__all__ = ["Episodes", "merge_episodes", "report_rows"]


class Episodes(NamedTuple):
    """Runs of items that lie close together in time."""

    peak: Rows  # (E,) the item with the largest value
    first: NDArray[np.int32]  # (E,) frame
    last: NDArray[np.int32]  # (E,) frame
    size: Rows  # (E,) items


def merge_episodes(
    group: NDArray[np.int64],
    frame: NDArray[np.int32],
    value: NDArray[np.float64],
    max_gap: int,
) -> Episodes:
    """Join items of one group whose frames are at most `max_gap` apart.

    Parameters
    ----------
    group : array of int64, shape (M,)
        Items of different groups are never joined.
    frame : array of int32, shape (M,)
    value : array of float64, shape (M,)
        The item of the largest value stands for the episode, the earliest of equal ones.
    max_gap : int
        In frames.
    """
    order = np.lexsort((-value, frame, group))
    apart = np.diff(frame[order]) > max_gap
    begins = np.ones(len(order), bool)
    begins[1:] = apart | (np.diff(group[order]) != 0)
    starts = np.flatnonzero(begins)
    episode = np.cumsum(begins) - 1
    best = np.lexsort((frame[order], -value[order], episode))
    stops = np.append(starts, len(order))[1:]
    return Episodes(
        order[best[starts]],
        frame[order[starts]],
        frame[order[stops - 1]] if len(starts) else np.zeros(0, np.int32),
        np.asarray(stops - starts, np.intp),
    )


def report_rows(
    evidence: Evidence,
    kind: str,
    weight: float,
    excess: NDArray[np.float64],
    describe: Callable[[int, int], str],
    *,
    node: NDArray[Any] | None = None,
    other_track: NDArray[Any] | None = None,
) -> Findings:
    """Return the episodes of rows whose `excess` is 1 or more.

    Parameters
    ----------
    evidence : Evidence
        With N rows.
    kind : str
    weight : float
        See `rate_severity`.
    excess : array of float64, shape (N,)
        Multiples of what is still taken for right; NaN = not known.
    describe : callable
        Takes a row and the number of rows of its episode, returns the sentence.
    node : array of int, shape (N,), optional
        Which node it is about; by default the whole animal.
    other_track : array of int, shape (N,), optional
    """
    rows = np.flatnonzero(excess >= 1)
    poses = evidence.poses
    group = (poses.video[rows].astype(np.int64) << 32) + poses.track[rows] + 1
    if other_track is not None:
        group = np.unique(
            np.stack([group, other_track[rows]], axis=1), axis=0, return_inverse=True
        )[1].reshape(-1)
    gap = evidence.config.merge_gap_frames * evidence.stride
    found = merge_episodes(group, poses.frame[rows], excess[rows], gap)
    peak = rows[found.peak]
    texts = [describe(row, n) for row, n in zip(peak.tolist(), found.size.tolist(), strict=True)]
    return Findings.build(
        nodes=evidence.skeleton.nodes,
        track_names=evidence.track_names,
        video=poses.video[peak],
        frame=poses.frame[peak],
        first=found.first,
        last=found.last,
        instance=evidence.position[peak],
        track=poses.track[peak],
        other_track=-1 if other_track is None else other_track[peak],
        node=-1 if node is None else node[peak],
        kind=np.full(len(peak), kind, object),
        severity=rate_severity(excess[peak], weight),
        text=np.array(texts, object),
    )
