"""Precision and recall of instances over thresholds of similarity, as in PASCAL VOC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["OKS_THRESHOLDS", "PrecisionRecall", "compute_precision_recall"]

OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALL_POINTS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall at each of `OKS_THRESHOLDS`.

    Parameters
    ----------
    precision : array of float64, shape (10,)
        Average precision: the interpolated precision at 101 recalls from 0 to 1, averaged.
    recall : array of float64, shape (10,)
        Share of the true instances that were found.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @property
    def mean_precision(self) -> float:
        """The mAP: mean over thresholds."""
        return float(self.precision.mean())

    @property
    def mean_recall(self) -> float:
        """The mAR: mean over thresholds."""
        return float(self.recall.mean())


def compute_precision_recall(oks: ArrayLike, scores: ArrayLike, n_truth: int) -> PrecisionRecall:
    """Rank predictions by score and follow precision and recall down the ranking.

    At each OKS threshold a prediction is right if its similarity reaches the threshold
    and wrong otherwise. Precision is made to fall with recall (each value becomes the
    highest of those at higher recall) and read at 101 recalls.

    Parameters
    ----------
    oks : array_like of float, shape (M,)
        Similarity of each prediction to the true instance it was matched with; 0 for an
        unmatched prediction. SLEAP leaves unmatched predictions out.
    scores : array_like of float, shape (M,)
        Confidence; NaN ranks last, and equal scores keep their order.
    n_truth : int
        Number of true instances, at least 1, found or not.
    """
    scores = np.asarray(scores, np.float64)
    order = np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")
    right = np.asarray(oks, np.float64)[order] >= OKS_THRESHOLDS[:, None]  # (10, M)
    n_right = np.cumsum(right, axis=1)
    precision = n_right / np.arange(1, right.shape[1] + 1)
    recall = n_right / n_truth
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # One column more: precision 0 beyond the highest recall that was reached.
    envelope = np.pad(envelope, ((0, 0), (0, 1)))
    average = [
        row[np.searchsorted(reached, _RECALL_POINTS)].mean()
        for row, reached in zip(envelope, recall, strict=True)
    ]
    return PrecisionRecall(np.array(average), right.sum(axis=1) / n_truth)
