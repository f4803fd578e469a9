"""Points whose place a smoother was unsure of."""

from __future__ import annotations

import numpy as np

from napari_animalpose.review.episodes import report_rows
from napari_animalpose.review.evidence import Evidence
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.robust import estimate_tail, median_of_present

__all__ = ["find_high_variance"]

_WEIGHT = 0.6
_LEAST_BODIES = 0.05  # body lengths: known well enough


def find_high_variance(evidence: Evidence) -> Findings:
    """Return points with a posterior standard deviation far above that of their node."""
    if evidence.variance is None or not evidence.variance.size:
        return report_rows(evidence, "variance", _WEIGHT, np.zeros(len(evidence)), lambda r, n: "")
    deviation = np.sqrt(evidence.variance)
    usual = median_of_present(deviation, axis=0)
    above = np.where(deviation > usual, deviation - usual, np.nan)
    limit = usual + evidence.config.threshold_sd * estimate_tail(above, axis=0)
    limit = np.fmax(limit, _LEAST_BODIES * evidence.body_px)
    excess = np.nan_to_num(deviation / limit)
    node = excess.argmax(axis=1)

    def describe(row: int, n_rows: int) -> str:
        again = f", in {n_rows} frames" if n_rows > 1 else ""
        return (
            f"The point {evidence.skeleton.nodes[node[row]]!r} of {evidence.name_track(row)} is "
            f"known to {deviation[row, node[row]]:.1f} px only, one standard deviation{again}."
        )

    return report_rows(evidence, "variance", _WEIGHT, excess.max(axis=1), describe, node=node)
