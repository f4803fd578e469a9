"""Which prediction stands for which true instance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.oks import compute_areas, compute_oks
from napari_animalpose.data.poses import Poses

__all__ = ["Matches", "match_frames", "match_instances"]

# What a skeleton of one point leaves open; OKS is then 0.5 at 5.9 px.
UNKNOWN_AREA_PX2 = 100.0**2


@dataclass(frozen=True)
class Matches:
    """Pairs of a true and a predicted instance, in order of frames.

    Parameters
    ----------
    truth, predicted : array of intp, shape (M,)
        Rows of the two tables; a row is in one pair at most.
    oks : array of float64, shape (M,)
        Similarity of the pair, above 0.
    """

    truth: NDArray[np.intp]
    predicted: NDArray[np.intp]
    oks: NDArray[np.float64]


def match_instances(
    oks: NDArray[np.float64], scores: NDArray[np.floating]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair the instances of one frame greedily, as COCO and SLEAP do.

    The prediction with the highest score takes the true instance that it resembles most,
    then the next takes one of the rest, and so on. A pair needs an OKS above 0.

    Parameters
    ----------
    oks : array of float64, shape (N, M)
        Similarity of true (rows) and predicted (columns) instances.
    scores : array of float, shape (M,)
        NaN comes last. Of equal scores the one with the higher best OKS comes first, so
        that the order of the instances makes no difference.

    Returns
    -------
    truth, predicted : array of intp, shape (P,)
        Row and column of each pair, in order of descending score.
    """
    if not oks.size:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    pairs = []
    free = oks.copy()
    for prediction in np.lexsort((-oks.max(axis=0), -ranked)):
        best = int(free[:, prediction].argmax())
        if free[best, prediction] > 0.0:
            pairs.append((best, int(prediction)))
            free[best] = 0.0
    rows = np.array(pairs, np.intp).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def match_frames(predicted: Poses, truth: Poses) -> Matches:
    """Pair the instances of two tables frame by frame.

    Parameters
    ----------
    predicted, truth : Poses
        Of the same nodes in the same order; video and frame numbers mean the same.

    Notes
    -----
    True instances whose box is empty (one point, or all in one row or column) get the
    median area of the others, or 100 x 100 px where no instance has an area: SLEAP would
    never match them.
    """
    area = compute_areas(truth.xy)
    measured = area[area > 0.0]
    area[area == 0.0] = np.median(measured) if measured.size else UNKNOWN_AREA_PX2
    true_keys, predicted_keys = _frame_numbers(truth), _frame_numbers(predicted)
    shared = np.intersect1d(true_keys, predicted_keys)
    starts, stops = (np.searchsorted(true_keys, shared, side) for side in ("left", "right"))
    firsts, lasts = (np.searchsorted(predicted_keys, shared, side) for side in ("left", "right"))
    true_xy, predicted_xy, scores = truth.xy, predicted.xy, predicted.score
    pairs = []
    for start, stop, first, last in zip(starts, stops, firsts, lasts, strict=True):
        oks = compute_oks(true_xy[start:stop], predicted_xy[first:last], area_px2=area[start:stop])
        rows, columns = match_instances(oks, scores[first:last])
        pairs.append((start + rows, first + columns, oks[rows, columns]))
    if not pairs:
        return Matches(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))
    return Matches(*(np.concatenate(column) for column in zip(*pairs, strict=True)))


def _frame_numbers(poses: Poses) -> NDArray[np.int64]:
    """One ascending int64 for each row, equal for rows of one frame."""
    return (poses.video.astype(np.int64) << 32) | poses.frame
