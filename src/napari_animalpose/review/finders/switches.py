"""Two tracks that change places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.review.episodes import report_rows
from napari_animalpose.review.evidence import (
    Evidence,
    Rows,
    measure_distance,
    pair_within_frames,
)
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.robust import estimate_tail, median_of_present

__all__ = ["find_switches"]

_WEIGHT = 1.0
_LEAST_BODIES = 0.1  # body lengths by which both ways together must become shorter
_RATIO = 0.6  # the ways after swapping, as a share of those before, at most

Floats = NDArray[np.float64]


def find_switches(evidence: Evidence) -> Findings:
    """Return frames from which on two tracks would go on more smoothly if swapped.

    For two animals that are both in a frame, the mean way of their points since their
    last rows is compared with what it would be had they changed names: from where they
    were, and from where their own speed would have carried them. Swapping must shorten it
    in both views, so that animals which cross at speed are not taken for switched ones.
    """
    n_rows = len(evidence)
    excess, partner = np.zeros(n_rows), np.full(n_rows, -1, np.intp)
    steps = evidence.steps(evidence.previous)
    way = measure_distance(steps, np.zeros_like(steps))
    per_frame = way / evidence.gap_to(evidence.previous)
    usual = evidence.config.threshold_sd * estimate_tail(per_frame, dimensions=2)
    limit = max(float(usual), _LEAST_BODIES * evidence.body_px)
    # Swapping saves no more than both ways together: one of them must be long.
    long_way = np.flatnonzero((way > limit / 2) & (evidence.previous >= 0))
    first, second = pair_within_frames(evidence.keys, long_way)
    known = (evidence.previous[second] >= 0) & (evidence.chains[second] != evidence.chains[first])
    first, second = first[known], second[known]
    saved = np.minimum(
        _measure_saving(evidence, first, second, None),
        _measure_saving(evidence, first, second, _estimate_velocity(evidence)),
    )
    gain = np.nan_to_num(saved / limit)
    order = np.argsort(gain, kind="stable")  # the largest is written last
    rows = np.minimum(first, second)[order]
    excess[rows], partner[rows] = gain[order], np.maximum(first, second)[order]
    other = np.where(partner >= 0, evidence.poses.track[partner], -1)

    def describe(row: int, n_rows: int) -> str:
        again = f"; {n_rows} times in short succession" if n_rows > 1 else ""
        return (
            f"The tracks {evidence.name_track(row)} and {evidence.name_track(int(partner[row]))} "
            f"seem to change places: swapped, both would move {excess[row] * limit:.0f} px "
            f"less{again}."
        )

    return report_rows(evidence, "switch", _WEIGHT, excess, describe, other_track=other)


def _estimate_velocity(evidence: Evidence) -> Floats:
    """Return the way in px per frame to every row from the one before, 0 if none, (N, 2)."""
    step = median_of_present(evidence.steps(evidence.previous), axis=1)
    return np.asarray(np.nan_to_num(step / evidence.gap_to(evidence.previous)[:, None]))


def _measure_saving(
    evidence: Evidence, first: Rows, second: Rows, velocity: Floats | None
) -> Floats:
    """Return by how many px swapping shortens the ways of pairs of rows, (M,).

    0 where it does not shorten them clearly; NaN where poses share no node.
    """
    xy, frame, previous = evidence.poses.xy, evidence.poses.frame, evidence.previous
    now = np.stack([xy[first], xy[second]], axis=1)[:, :, None]  # (M, now, 1, K, 2)
    before_rows = np.stack([previous[first], previous[second]], axis=1)  # (M, before)
    before = xy[before_rows].astype(np.float64)
    if velocity is not None:
        lead = (frame[first][:, None] - frame[before_rows])[..., None]
        before = before + (velocity[before_rows] * lead)[:, :, None]
    way = measure_distance(now, before[:, None])  # (M, now, before)
    straight, crossed = way[:, 0, 0] + way[:, 1, 1], way[:, 0, 1] + way[:, 1, 0]
    return np.asarray(np.where(crossed < _RATIO * straight, straight - crossed, 0 * straight))
