"""HOTA: one number for finding animals and for knowing who is who."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["ALPHAS", "FramePair", "Hota", "compute_hota"]

ALPHAS: NDArray[np.float64] = np.arange(1.0, 20.0) * 0.05
TOLERANCE = np.finfo(np.float64).eps  # 0.3 is not quite 6 * 0.05


class FramePair(NamedTuple):
    """One frame: who is there, who was found, and how alike they are.

    Parameters
    ----------
    truth : array of int, shape (N,)
        True identities, each at most once.
    predicted : array of int, shape (M,)
        Predicted identities, each at most once.
    similarity : array of float64, shape (N, M)
        Between 0 and 1.
    """

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    similarity: NDArray[np.float64]


@dataclass(frozen=True)
class Hota:
    """HOTA and its parts at every localisation threshold; arrays are float64, shape (19,).

    Attributes
    ----------
    alphas : array
        Similarity that a pair needs, 0.05 to 0.95.
    hota : array
        Geometric mean of `deta` and `assa`.
    deta, detre, detpr : array
        Detection accuracy, recall and precision.
    assa, assre, asspr : array
        Association accuracy, recall and precision, 0 where nothing matches.
    loca : array
        Mean similarity of the pairs, 1 where there are none.
    """

    alphas: NDArray[np.float64]
    hota: NDArray[np.float64]
    deta: NDArray[np.float64]
    detre: NDArray[np.float64]
    detpr: NDArray[np.float64]
    assa: NDArray[np.float64]
    assre: NDArray[np.float64]
    asspr: NDArray[np.float64]
    loca: NDArray[np.float64]


def compute_hota(frames: Sequence[FramePair], n_truth: int, n_predicted: int) -> Hota:
    """Return the higher order tracking accuracy.

    Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking",
    IJCV 129, 2021. At a threshold alpha, pairs of a true and a predicted instance that are
    at least so similar are true positives; every one of them is weighed with the Jaccard
    index of its two identities over all frames (how many of the frames in which either is
    there have this pair), and

        HOTA = sqrt(sum of these indices / (TP + FN + FP)).

    Pairs are chosen frame by frame to make the sum of similarity times the identities'
    overall agreement largest, once for all thresholds, as the authors' own program does.

    Parameters
    ----------
    frames : sequence of FramePair
    n_truth, n_predicted : int
        Identities are numbered below these.

    Returns
    -------
    Hota
        0 (and a localisation of 1) where one side is empty.
    """
    agreement, n_true_seen, n_predicted_seen = _measure_agreement(frames, n_truth, n_predicted)
    n_alphas = len(ALPHAS)
    joint = np.zeros((n_alphas, n_truth, n_predicted))  # frames with this pair
    similarity_sum = np.zeros(n_alphas)
    for frame in frames:
        weight = agreement[np.ix_(frame.truth, frame.predicted)] * frame.similarity
        rows, columns = linear_sum_assignment(weight, maximize=True)
        similarity = frame.similarity[rows, columns]
        good = similarity[None] >= ALPHAS[:, None] - TOLERANCE  # (19, P)
        joint[:, frame.truth[rows], frame.predicted[columns]] += good
        similarity_sum += good @ similarity
    true_positive = joint.sum(axis=(1, 2))
    either = n_true_seen[:, None] + n_predicted_seen[None] - joint
    detre = true_positive / max(n_true_seen.sum(), 1.0)
    detpr = true_positive / max(n_predicted_seen.sum(), 1.0)
    everything = n_true_seen.sum() + n_predicted_seen.sum() - true_positive
    deta = true_positive / np.maximum(everything, 1.0)

    def associate(total: NDArray[np.float64]) -> NDArray[np.float64]:
        weighed = (joint * joint / np.maximum(total, 1.0)).sum(axis=(1, 2))
        return np.asarray(weighed / np.maximum(true_positive, 1.0))

    assa = associate(either)
    found = true_positive > 0
    return Hota(
        alphas=ALPHAS,
        hota=np.sqrt(deta * assa),
        deta=deta,
        detre=detre,
        detpr=detpr,
        assa=assa,
        assre=associate(n_true_seen[:, None]),
        asspr=associate(n_predicted_seen[None]),
        loca=np.where(found, similarity_sum / np.maximum(true_positive, 1.0), 1.0),
    )


def _measure_agreement(
    frames: Sequence[FramePair], n_truth: int, n_predicted: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return how well identities agree (N, M) before pairs are chosen, and their lengths.

    A soft Jaccard index: in each frame a pair counts its similarity as a share of all that
    its two instances have with anybody.
    """
    shared = np.zeros((n_truth, n_predicted))
    n_true_seen, n_predicted_seen = np.zeros(n_truth), np.zeros(n_predicted)
    for truth, predicted, similarity in frames:
        n_true_seen[truth] += 1
        n_predicted_seen[predicted] += 1
        total = similarity.sum(axis=0)[None] + similarity.sum(axis=1)[:, None] - similarity
        share = np.divide(similarity, total, out=np.zeros_like(similarity), where=total > TOLERANCE)
        shared[np.ix_(truth, predicted)] += share
    either = n_true_seen[:, None] + n_predicted_seen[None] - shared
    agreement = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
    return agreement, n_true_seen, n_predicted_seen
