"""Predictions that the network itself was unsure of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.review.episodes import report_rows
from napari_animalpose.review.evidence import Evidence
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.robust import estimate_tail, median_or

__all__ = ["find_low_scores", "measure_confidence"]

_WEIGHT = 0.5
_LEAST_DROP = 0.15  # of the usual confidence: networks vary by this much


def find_low_scores(evidence: Evidence) -> Findings:
    """Return predictions whose confidence is far below that of the others.

    See `measure_confidence`; half the usual number of deviations is enough, because
    confidences are bounded below.
    """
    confidence = measure_confidence(evidence)
    usual = median_or(confidence, np.nan)
    drop = usual - confidence
    scale = estimate_tail(np.where(drop > 0, drop, np.nan))
    limit = np.fmax(evidence.config.threshold_sd / 2 * scale, _LEAST_DROP * abs(usual))
    floor = 0.75 * abs(usual)  # almost nothing is left: reported however widely scores vary
    excess = np.nan_to_num(drop / np.fmax(np.fmin(limit, floor), 1e-9))
    missing = np.isnan(evidence.poses.xy[..., 0])
    point_score = np.where(missing, np.nan, evidence.poses.point_score)
    scored = np.isfinite(point_score).any(axis=1)
    node = np.where(scored, np.nan_to_num(point_score, nan=np.inf).argmin(axis=1), -1)

    def describe(row: int, n_rows: int) -> str:
        again = f", in {n_rows} frames" if n_rows > 1 else ""
        least = f", lowest at {evidence.skeleton.nodes[node[row]]!r}" if node[row] >= 0 else ""
        n_missing = int(missing[row].sum())
        absent = f", with {n_missing} of {missing.shape[1]} points missing" if n_missing else ""
        return (
            f"The confidence of {evidence.name_track(row)} is {confidence[row]:.2f} where "
            f"{usual:.2f} is usual{least}{absent}{again}."
        )

    return report_rows(evidence, "score", _WEIGHT, excess, describe, node=node)


def measure_confidence(evidence: Evidence) -> NDArray[np.float64]:
    """Return the confidence of every prediction, NaN for labels and without scores, (N,).

    It is the mean score of the points, where a missing one counts 0 and each node as much
    as it is usually there; without scores of points, that of the instance.
    """
    poses = evidence.poses
    present = ~np.isnan(poses.xy[..., 0])
    if np.isfinite(poses.point_score[present]).any():
        usual = present.mean(axis=0) if len(poses) else np.zeros(poses.n_nodes)
        unknown = present & np.isnan(poses.point_score)
        weight = np.where(unknown, 0.0, usual)
        total = np.where(present, np.nan_to_num(poses.point_score), 0.0) * weight
        amount = weight.sum(axis=1)
        confidence = np.where(amount > 0, total.sum(axis=1) / np.maximum(amount, 1e-9), np.nan)
        confidence[unknown.any(axis=1) & ~np.isfinite(poses.point_score).any(axis=1)] = np.nan
    else:
        confidence = poses.score.astype(np.float64)
    return np.where(poses.is_label, np.nan, confidence)
