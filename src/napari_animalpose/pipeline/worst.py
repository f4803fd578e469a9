"""The animals that were predicted worst, as data: where they are and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.nn.metrics import Matches, match_frames

if TYPE_CHECKING:
    from napari_animalpose.pipeline.evaluation import Comparison

__all__ = ["InstanceError", "mean_errors", "rank_errors"]


@dataclass(frozen=True)
class InstanceError:
    """One animal that was predicted badly, not at all, or that is not there.

    Parameters
    ----------
    video, frame : int
        In the numbers of `Comparison.project`.
    kind : {"wrong", "missed", "invented"}
    error_px : float
        Mean distance over the points that both have; NaN for an animal that was missed or
        invented, and where the two have no point in common.
    node : int
        The point that is farthest off; -1 where there is no distance.
    node_error_px : float
        Its distance; NaN likewise.
    instance : int
        Position of the label among all rows of its frame in the table of the project, as
        edits count them; -1 for an invented animal.
    truth_row, predicted_row : int
        Rows of `Comparison.truth` and `Comparison.predicted`; -1 = none.
    predicted_xy : array of float32, shape (K, 2), or None
        What was predicted, (x, y) in px with NaN for missing points; None for a missed
        animal.
    """

    video: int
    frame: int
    kind: Literal["wrong", "missed", "invented"]
    error_px: float
    node: int
    node_error_px: float
    instance: int
    truth_row: int
    predicted_row: int
    predicted_xy: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


def rank_errors(comparison: Comparison, count: int | None = None) -> list[InstanceError]:
    """Return the animals of a comparison that are wrong, the worst first.

    Missed ones come first in the order of frames, then those found by descending error,
    then invented ones, the surest first.

    Parameters
    ----------
    comparison : Comparison
    count : int, optional
        The most to return; by default all.
    """
    truth, predicted = comparison.truth, comparison.predicted
    matches = match_frames(predicted, truth)
    distance, mean = mean_errors(comparison, matches)
    positions = _positions(comparison)
    worst = np.where(np.isfinite(distance), distance, -1.0).argmax(axis=1)
    ranked = [
        _unmatched(truth, row, "missed", instance=positions[row], truth_row=row)
        for row in np.setdiff1d(_with_points(truth), matches.truth).tolist()
    ]
    for pair in np.argsort(-np.nan_to_num(mean), kind="stable").tolist():
        row, found = int(matches.truth[pair]), int(matches.predicted[pair])
        node = int(worst[pair]) if np.isfinite(mean[pair]) else -1
        ranked.append(
            InstanceError(
                int(truth.video[row]), int(truth.frame[row]), "wrong", float(mean[pair]), node,
                float(distance[pair, node]) if node >= 0 else float("nan"), positions[row], row,
                found, predicted.xy[found],
            )
        )  # fmt: skip
    invented = np.setdiff1d(_with_points(predicted), matches.predicted)
    surest = np.argsort(-np.nan_to_num(predicted.score[invented]), kind="stable")
    ranked += [
        _unmatched(predicted, row, "invented", predicted_row=row)
        for row in invented[surest].tolist()
    ]
    return ranked[:count]


def mean_errors(
    comparison: Comparison, matches: Matches
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distances (M, K) of pairs in px and their means (M,); NaN where none."""
    difference = (
        comparison.truth.xy[matches.truth].astype(np.float64)
        - comparison.predicted.xy[matches.predicted]
    )
    distance = np.hypot(difference[..., 0], difference[..., 1])
    known = np.isfinite(distance)
    total = np.where(known, distance, 0.0).sum(axis=1)
    n_known = known.sum(axis=1)
    return distance, np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)


def _unmatched(
    poses: Poses,
    row: int,
    kind: Literal["missed", "invented"],
    *,
    instance: int = -1,
    truth_row: int = -1,
    predicted_row: int = -1,
) -> InstanceError:
    nan, place = float("nan"), (int(poses.video[row]), int(poses.frame[row]))
    found = poses.xy[row] if predicted_row >= 0 else None
    return InstanceError(*place, kind, nan, -1, nan, instance, truth_row, predicted_row, found)


def _with_points(poses: Poses) -> NDArray[np.intp]:
    return np.flatnonzero(np.isfinite(poses.xy[..., 0]).any(axis=1))


def _positions(comparison: Comparison) -> list[int]:
    """Position of each true row among all rows of its frame in the project's table."""
    table, truth = comparison.project.poses, comparison.truth
    labels_only = bool(table.is_label.any())
    positions: list[int] = []
    for key in truth.frame_keys().tolist():
        rows = table.at(*key)
        counted = np.flatnonzero(rows.is_label) if labels_only else np.arange(len(rows))
        positions += counted[: len(truth.at(*key))].tolist()
    return positions
