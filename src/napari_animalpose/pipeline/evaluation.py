"""Comparing predictions with labels: figures, tables, pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import DataError
from napari_animalpose.nn.metrics import Evaluation, match_frames
from napari_animalpose.nn.metrics import evaluate as evaluate_poses
from napari_animalpose.pipeline.files import parse_frames, read, select_frames
from napari_animalpose.pipeline.prediction import predicted_frames

__all__ = ["Comparison", "draw_evaluation", "evaluate"]

if TYPE_CHECKING:
    from napari_animalpose.drawing.comparison import ErrorTile

FilePath = str | PathLike[str]


@dataclass(frozen=True)
class Comparison:
    """Predictions and labels of the same frames, and how they agree.

    Parameters
    ----------
    evaluation : Evaluation
    predicted, truth : Poses
        Videos numbered as in `project`.
    project : Project
        The one with the labels: its videos are the pictures.
    """

    evaluation: Evaluation
    predicted: Poses
    truth: Poses
    project: Project


def evaluate(
    predicted: FilePath | Project,
    labels: FilePath | Project,
    *,
    frames: str | None = None,
) -> Comparison:
    """Compare predicted poses with labels.

    Parameters
    ----------
    predicted : path or Project
        Predictions; labels in it are not looked at.
    labels : path or Project
        The truth: labelled instances.
    frames : str, optional
        Only these frames, as `parse_frames` reads them. By default all labelled frames
        that the prediction looked at, if its file says which these are, and else all
        labelled frames.

    Raises
    ------
    DataError
        If skeletons differ, or there is no labelled frame to compare.
    """
    guess, project = _open(predicted), _open(labels)
    truth = project.poses.labels_or_all()
    found = _match_videos(guess, project, guess.poses.select(~guess.poses.is_label))
    keys = truth.frame_keys()
    if frames is not None:
        keys = _keep_frames(keys, {
            number: parse_frames(frames, len(video)) for number, video in enumerate(project.videos)
        })  # fmt: skip
    else:
        looked_at = predicted_frames(guess)
        if looked_at is not None:
            numbers = _video_numbers(guess, project)
            keys = _keep_frames(keys, {numbers[v]: f for v, f in looked_at.items() if v in numbers})
    if not len(keys):
        raise DataError(
            "Expected labelled frames that were predicted; received none in common. "
            "Predict frames that have labels, or check that the videos are the same."
        )
    truth, found = select_frames(truth, keys), select_frames(found, keys)
    return Comparison(evaluate_poses(found, truth, frames=keys), found, truth, project)


def _open(source: FilePath | Project) -> Project:
    return source if isinstance(source, Project) else read(source)


def _keep_frames(
    keys: NDArray[np.int64], wanted: dict[int, NDArray[np.int64]]
) -> NDArray[np.int64]:
    keep = np.zeros(len(keys), bool)
    for video, frames in wanted.items():
        keep |= (keys[:, 0] == video) & np.isin(keys[:, 1], frames)
    return keys[keep]


def _video_numbers(guess: Project, labels: Project) -> dict[int, int]:
    """Number in `labels` of each video of `guess`: the same source, else name, else the only one.

    Raises
    ------
    DataError
        If no video is in both.
    """
    known = {video.source: i for i, video in enumerate(labels.videos)}
    numbers = {i: known[video.source] for i, video in enumerate(guess.videos)
               if video.source in known}  # fmt: skip
    # By name only where that can mean one video: every camera may have its "video.mp4".
    left = _number_by_name(labels, numbers.values())
    for name, number in _number_by_name(guess, numbers).items():
        if name in left:
            numbers[number] = left[name]
    if not numbers and len(guess.videos) == len(labels.videos) == 1:
        numbers = {0: 0}
    if not numbers:
        raise DataError(
            f"Expected predictions of the labelled videos "
            f"({', '.join(video.name for video in labels.videos)}); received predictions of "
            f"{', '.join(video.name for video in guess.videos)}."
        )
    return numbers


def _number_by_name(project: Project, without: Iterable[int]) -> dict[str, int]:
    """Number of each video, but for some, that shares its name with no other of these."""
    taken = set(without)
    names = [(video.name, i) for i, video in enumerate(project.videos) if i not in taken]
    counts = Counter(name for name, _ in names)
    return {name: i for name, i in names if counts[name] == 1}


def _match_videos(guess: Project, labels: Project, poses: Poses) -> Poses:
    numbers = _video_numbers(guess, labels)
    poses = poses.select(np.isin(poses.video, list(numbers)))
    renumber = np.zeros(len(guess.videos), np.int32)
    for old, new in numbers.items():
        renumber[old] = new
    return poses.replace(video=renumber[poses.video])


def draw_evaluation(comparison: Comparison, folder: FilePath, *, tiles: int = 8) -> list[Path]:
    """Draw what the figures say and return the files.

    ``error_circles.png`` (50th, 75th and 90th percentile around each node of a real
    animal), ``pck.png``, ``error_histogram.png``, ``oks.png`` and, if any animal was
    found, ``worst_frames.png``.

    Parameters
    ----------
    comparison : Comparison
    folder : path
        Made if needed.
    tiles : int
        Frames in the gallery of the worst.
    """
    from napari_animalpose.drawing.comparison import draw_error_gallery
    from napari_animalpose.drawing.curves import (
        draw_error_histograms,
        draw_oks_distribution,
        draw_pck_curves,
    )
    from napari_animalpose.drawing.figures import draw_error_circles

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    evaluation, skeleton = comparison.evaluation, comparison.truth.skeleton
    errors = np.where(evaluation.in_truth & ~evaluation.in_prediction, np.inf, evaluation.errors_px)
    typical = _typical_row(comparison.truth)
    reach = max(10.0, float(np.ceil(2 * evaluation.error_percentile(75))))
    draw_error_circles(
        _frame_of(comparison, typical),
        comparison.truth.xy[typical],
        skeleton,
        evaluation.error_percentiles[:, :3],
        folder / "error_circles.png",
        title=f"Error in {evaluation.n_frames} frames",
    )
    draw_pck_curves(errors, skeleton, folder / "pck.png", max_px=reach)
    draw_error_histograms(errors, skeleton, folder / "error_histogram.png", max_px=reach)
    missed = np.zeros(evaluation.n_truth - evaluation.n_matched)
    draw_oks_distribution(np.concatenate([evaluation.oks, missed]), folder / "oks.png")
    names = ["error_circles", "pck", "error_histogram", "oks"]
    worst = _worst_tiles(comparison, tiles)
    if worst:
        draw_error_gallery(worst, skeleton, folder / "worst_frames.png")
        names.append("worst_frames")
    return [folder / f"{name}.png" for name in names]


def _frame_of(comparison: Comparison, row: int) -> NDArray[np.uint8]:
    truth = comparison.truth
    return comparison.project.videos[int(truth.video[row])][int(truth.frame[row])]


def _typical_row(truth: Poses) -> int:
    """Row of a complete animal of typical size, to draw circles on."""
    placed = np.isfinite(truth.xy[..., 0]).sum(axis=1)
    rows = np.flatnonzero(placed == placed.max())
    extent = np.nanmax(truth.xy[rows], axis=1) - np.nanmin(truth.xy[rows], axis=1)
    size = np.hypot(extent[:, 0], extent[:, 1])
    return int(rows[np.argmin(np.abs(size - np.median(size)))])


def _worst_tiles(comparison: Comparison, count: int) -> list[ErrorTile]:
    from napari_animalpose.drawing.comparison import ErrorTile

    matches = match_frames(comparison.predicted, comparison.truth)
    distance = np.linalg.norm(
        comparison.truth.xy[matches.truth] - comparison.predicted.xy[matches.predicted], axis=-1
    )
    counted = np.isfinite(distance)
    mean = np.where(counted, distance, 0).sum(axis=1) / np.maximum(1, counted.sum(axis=1))
    order = np.argsort(-mean)[:count]
    return [
        ErrorTile(
            _frame_of(comparison, int(matches.truth[i])),
            comparison.truth.xy[matches.truth[i]],
            comparison.predicted.xy[matches.predicted[i]],
            f"frame {comparison.truth.frame[matches.truth[i]]}",
        )
        for i in order
    ]
