"""Whole animals that leap: a track that goes on in another place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.review.episodes import report_rows
from napari_animalpose.review.evidence import Evidence
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.robust import estimate_tail, median_of_present

__all__ = ["find_leaps", "measure_leaps"]

_WEIGHT = 0.9
_REPLACED = 0.5  # share of the leap
_LEAST_BODIES = 0.5  # body lengths: less is how animals move


def find_leaps(evidence: Evidence) -> Findings:
    """Return steps of whole animals that are far longer than their usual ones.

    The step of an animal is the median over its points of their way since its previous
    row. It is compared with its tail (`robust.estimate_tail`) and with half a body. Where
    a leap ends near the last place of an animal that is not in the frame, it is named, and
    the leap is twice as suspicious.
    """
    step, limit = measure_leaps(evidence)
    excess = step / limit
    replaced = np.full(len(evidence), -1, np.intp)
    for row in np.flatnonzero(excess >= 1).tolist():
        replaced[row] = _find_replaced(evidence, row, float(step[row]))
    excess = np.where(replaced >= 0, 2, 1) * excess
    other = np.where(replaced >= 0, evidence.poses.track[replaced], -1)

    def describe(row: int, n_rows: int) -> str:
        bodies = step[row] / evidence.body_px
        again = f", {n_rows} times in a row" if n_rows > 1 else ""
        guess = "perhaps it goes on with another animal."
        if replaced[row] >= 0:
            name = evidence.name_track(int(replaced[row]))
            guess = f"it goes on where {name} was last seen."
        return (
            f"The track {evidence.name_track(row)} leaps by {bodies:.1f} body lengths{again}: "
            f"{guess}"
        )

    return report_rows(evidence, "leap", _WEIGHT, excess, describe, other_track=other)


def _find_replaced(evidence: Evidence, row: int, step: float) -> int:
    """Return the last row of an animal in whose place a leap of so many px ends, -1 = none.

    The animal is not in the frame, was seen shortly before, and was less than half as far
    from there as the animal that leapt.
    """
    keys, chains = evidence.keys, evidence.chains
    reach = evidence.config.max_gap_frames * evidence.stride
    frame = int(evidence.poses.frame[row])
    begin = keys[row] - min(reach, frame)
    start, here, stop = keys.searchsorted((begin, keys[row], keys[row] + 1)).tolist()
    earlier = np.arange(start, here)
    earlier = earlier[(chains[earlier] >= 0) & ~np.isin(chains[earlier], chains[here:stop])]
    if not len(earlier):
        return -1
    away = np.hypot(*(evidence.center[earlier] - evidence.center[row]).T)
    near = earlier[away < _REPLACED * step]
    return int(near[-1]) if len(near) else -1


def measure_leaps(evidence: Evidence) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the step in px to every row from the one before, NaN if none, and its limit.

    Both of shape (N,); a step beyond its limit is a leap.
    """
    step = np.hypot(*median_of_present(evidence.steps(evidence.previous), axis=1).T)
    gap = evidence.gap_to(evidence.previous)
    usual = evidence.config.threshold_sd * estimate_tail(step / gap, dimensions=2)
    return step, np.maximum(usual * gap, _LEAST_BODIES * evidence.body_px)
