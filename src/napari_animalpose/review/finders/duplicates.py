"""Two instances on one animal."""

from __future__ import annotations

import numpy as np

from napari_animalpose.review.episodes import report_rows
from napari_animalpose.review.evidence import Evidence, measure_distance, pair_within_frames
from napari_animalpose.review.findings import Findings

__all__ = ["find_duplicates"]

_WEIGHT = 0.9
_NEAR_BODIES = 0.08  # body lengths between poses that can hardly be two animals
_BATCH = 200_000  # pairs measured at once


def find_duplicates(evidence: Evidence) -> Findings:
    """Return instances whose points lie on those of another instance of the frame.

    They do where the nodes that both have are in the mean nearer than 0.08 body lengths,
    and at least a third of the nodes are common.
    """
    nearest = np.full(len(evidence), np.inf)
    partner = np.full(len(evidence), -1, np.intp)
    limit = _NEAR_BODIES * evidence.body_px
    center, xy = evidence.center, evidence.poses.xy
    for start in range(0, len(evidence), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(evidence)))
        first, second = pair_within_frames(evidence.keys, rows)
        ahead = first < second
        first, second = first[ahead], second[ahead]
        apart = np.abs(center[first] - center[second]).max(axis=1, initial=0)
        near = apart < 4 * limit
        first, second = first[near], second[near]
        distance = measure_distance(xy[first], xy[second])
        common = (~np.isnan(xy[first] - xy[second]).any(axis=-1)).mean(axis=1)
        close = (distance < limit) & (common >= 1 / 3)
        order = np.argsort(-distance[close], kind="stable")  # the nearest is written last
        nearest[second[close][order]] = distance[close][order]
        partner[second[close][order]] = first[close][order]
    track = evidence.poses.track
    other = np.where(partner >= 0, track[partner], -1)

    def describe(row: int, n_rows: int) -> str:
        again = f", in {n_rows} frames" if n_rows > 1 else ""
        tracks = sorted({int(track[row]), int(other[row])} - {-1})
        names = ", ".join(repr(evidence.track_names[number]) for number in tracks)
        which = f" ({names})" if names else ""
        return (
            f"Two instances{which} lie on one animal, in the mean {nearest[row]:.1f} px "
            f"apart{again}."
        )

    excess = np.where(np.isfinite(nearest), limit / np.maximum(nearest, 0.1 * limit), 0.0)
    return report_rows(evidence, "duplicate", _WEIGHT, excess, describe, other_track=other)
