"""Single points that jump while the rest of the body does not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.review.episodes import report_rows
from napari_animalpose.review.evidence import Evidence
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.robust import estimate_tail, median_of_present

__all__ = ["find_jumps", "measure_jumps"]

_WEIGHT = 0.8
_LEAST_BODIES = 0.12  # body lengths: smaller jumps are not worth a look


def find_jumps(evidence: Evidence) -> Findings:
    """Return points that are far from the line between the frames before and after.

    The distance is taken relative to the body (less the median over its points), so that
    an animal that darts off is none, and compared with the tail of the same node.
    """
    if evidence.poses.n_nodes < 3:
        return report_rows(evidence, "jump", _WEIGHT, np.zeros(len(evidence)), lambda r, n: "")
    size = measure_jumps(evidence)
    usual = evidence.config.threshold_sd * estimate_tail(size, dimensions=2, axis=0)
    limit = np.maximum(usual, _LEAST_BODIES * evidence.body_px)
    excess = np.nan_to_num(size / limit)
    node = excess.argmax(axis=1)

    def describe(row: int, n_rows: int) -> str:
        name = evidence.skeleton.nodes[node[row]]
        bodies = size[row, node[row]] / evidence.body_px
        again = f", in {n_rows} frames" if n_rows > 1 else ""
        return (
            f"The point {name!r} of {evidence.name_track(row)} jumps by {bodies:.2f} body lengths "
            f"while the body does not{again}."
        )

    worst = excess.max(axis=1, initial=0)
    return report_rows(evidence, "jump", _WEIGHT, worst, describe, node=node)


def measure_jumps(evidence: Evidence) -> NDArray[np.float64]:
    """Return how far in px every point is from where its neighbours in time put it, (N, K).

    NaN where a neighbour is missing, or for fewer than three points, which have no body.
    """
    poses, before, after = evidence.poses, evidence.previous, evidence.following
    rows = np.flatnonzero((before >= 0) & (after >= 0))
    before, after = before[rows], after[rows]
    lead = (poses.frame[rows] - poses.frame[before]).astype(np.float32)
    share = (lead / (poses.frame[after] - poses.frame[before]))[:, None, None]
    xy = poses.xy
    off = xy[rows] - (xy[before] + share * (xy[after] - xy[before]))
    off -= median_of_present(off, axis=1)[:, None].astype(np.float32)
    off[(~np.isnan(off[..., 0])).sum(axis=1) < 3] = np.nan
    size = np.full(poses.visibility.shape, np.nan)
    size[rows] = np.hypot(off[..., 0], off[..., 1])
    return size
