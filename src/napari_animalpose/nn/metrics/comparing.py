"""Comparing a table of predictions with a table of the truth."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.oks import compute_sides
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.errors import DataError
from napari_animalpose.nn.metrics.centroids import (
    CENTROID_SHARE,
    UNKNOWN_DISTANCE_PX,
    match_centroids,
)
from napari_animalpose.nn.metrics.evaluation import PCK_THRESHOLDS_PX, Evaluation
from napari_animalpose.nn.metrics.matching import Matches, match_frames
from napari_animalpose.nn.metrics.precision import PrecisionRecall, compute_precision_recall

__all__ = ["evaluate", "reorder_nodes"]


def evaluate(predicted: Poses, truth: Poses, frames: ArrayLike | None = None) -> Evaluation:
    """Compare predictions with the truth.

    Parameters
    ----------
    predicted : Poses
        With the nodes of `truth`, in any order. Instances without points are left out.
    truth : Poses
        Every row counts as true: pass `truth.labels()` of a table that also holds
        predictions. Video numbers mean the same videos in both tables.
    frames : array_like of int, shape (F, 2), optional
        (video, frame) pairs to evaluate, by default all frames of `truth`. What lies in
        other frames does not count. A prediction in a frame of this list that has no true
        instance is a false positive.

    Returns
    -------
    Evaluation
        Frames without a prediction count as missed in mAP, mAR, PCK and all counts (SLEAP
        skips them), and not in distances.

    Raises
    ------
    DataError
        If the nodes differ, or if no labelled point is in the frames.
    """
    predicted = reorder_nodes(predicted, truth)
    keys = _frame_numbers(truth.frame_keys() if frames is None else frames)
    truth, predicted = _select(truth, keys), _select(predicted, keys)
    if not len(truth):
        raise DataError(
            "Expected at least one labelled point in the frames to evaluate; received none. "
            "Give frames that were labelled."
        )
    matches = match_frames(predicted, truth)
    in_truth, in_prediction = _has_points(truth), _has_points(predicted)
    distance = _distances(predicted, truth, matches)
    size_px = _measure_animals(truth)
    reach_px = CENTROID_SHARE * size_px if size_px > 0.0 else UNKNOWN_DISTANCE_PX
    with_truth, with_prediction = (_frame_numbers(p.frame_keys()) for p in (truth, predicted))
    invented = ~np.isin(_row_keys(predicted), with_truth)
    return Evaluation(
        nodes=truth.skeleton.nodes,
        n_frames=len(keys),
        n_frames_missed=len(np.setdiff1d(with_truth, with_prediction)),
        n_frames_empty=len(keys) - len(with_truth),
        n_frames_invented=len(np.setdiff1d(with_prediction, with_truth)),
        n_invented=int(invented.sum()),
        n_truth=len(truth),
        n_predicted=len(predicted),
        n_points=in_truth.sum(axis=0),
        n_points_predicted=int(in_prediction.sum()),
        errors_px=distance,
        in_truth=in_truth[matches.truth],
        in_prediction=in_prediction[matches.predicted],
        occluded=truth.visibility[matches.truth] == Visibility.OCCLUDED,
        oks=matches.oks,
        animal_size_px=size_px,
        centroids=match_centroids(predicted, truth, reach_px),
        **_rank(predicted, len(truth), matches, distance),
    )


def _rank(
    predicted: Poses, n_truth: int, matches: Matches, distance: NDArray[np.float64]
) -> dict[str, PrecisionRecall]:
    """Precision and recall in the three ways of `Evaluation`."""
    scores = predicted.score[matches.predicted]
    all_oks = np.zeros(len(predicted))
    all_oks[matches.predicted] = matches.oks
    right = (distance[..., None] < PCK_THRESHOLDS_PX).mean(axis=(1, 2))
    return {
        "ranking": compute_precision_recall(matches.oks, scores, n_truth),
        "ranking_with_false_positives": compute_precision_recall(all_oks, predicted.score, n_truth),
        "ranking_by_pck": compute_precision_recall(right, scores, n_truth),
    }


def _measure_animals(truth: Poses) -> float:
    """Median diagonal in px of the boxes around the instances; NaN if none has a size."""
    diagonal = np.hypot(*compute_sides(truth.xy).T)
    measured = diagonal[diagonal > 0.0]
    return float(np.median(measured)) if measured.size else math.nan


def reorder_nodes(predicted: Poses, truth: Poses) -> Poses:
    """Give the predictions the node order of the truth.

    Raises
    ------
    DataError
        If the two have other nodes.
    """
    nodes, wanted = predicted.skeleton.nodes, truth.skeleton.nodes
    if nodes == wanted:
        return predicted
    if set(nodes) != set(wanted):
        raise DataError(
            f"Expected predictions of the nodes {', '.join(wanted)}; received "
            f"{', '.join(nodes)}. Map the nodes of one table onto the other first."
        )
    order = [nodes.index(node) for node in wanted]
    columns = ("xy", "visibility", "point_score")
    reordered = {name: predicted.column(name)[:, order] for name in columns}
    return predicted.replace(skeleton=truth.skeleton, **reordered)


def _frame_numbers(frames: ArrayLike) -> NDArray[np.int64]:
    """One int64 for each (video, frame), ascending, without repeats."""
    pairs = np.asarray(frames, np.int64).reshape(-1, 2)
    return np.unique((pairs[:, 0] << 32) | pairs[:, 1])


def _select(poses: Poses, keys: NDArray[np.int64]) -> Poses:
    """Keep the instances with points in some frames."""
    return poses.select(_has_points(poses).any(axis=-1) & np.isin(_row_keys(poses), keys))


def _row_keys(poses: Poses) -> NDArray[np.int64]:
    """One int64 for the frame of each row, shape (N,)."""
    return (poses.video.astype(np.int64) << 32) | poses.frame


def _has_points(poses: Poses) -> NDArray[np.bool_]:
    """Whether each instance has each point, shape (N, K)."""
    return np.asarray(~np.isnan(poses.xy).any(axis=-1))


def _distances(predicted: Poses, truth: Poses, matches: Matches) -> NDArray[np.float64]:
    """Distance in px between the points of each pair, shape (M, K)."""
    difference = predicted.xy[matches.predicted].astype(np.float64) - truth.xy[matches.truth]
    return np.asarray(np.hypot(difference[..., 0], difference[..., 1]))
