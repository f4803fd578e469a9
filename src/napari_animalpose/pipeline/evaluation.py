"""Comparing predictions with labels: figures, tables, pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.columns import number_repeats
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import DataError
from napari_animalpose.nn.identity import named_tracks
from napari_animalpose.nn.metrics import (
    Evaluation,
    Naming,
    match_frames,
    measure_naming,
    reorder_nodes,
)
from napari_animalpose.nn.metrics import evaluate as evaluate_poses
from napari_animalpose.pipeline.files import parse_frames_of_videos, read, select_frames
from napari_animalpose.pipeline.looked_at import predicted_frames
from napari_animalpose.pipeline.worst import mean_errors
from napari_animalpose.tracking.metrics import TrackEvaluation, evaluate_tracks

__all__ = [
    "Comparison",
    "draw_evaluation",
    "error_radii",
    "evaluate",
    "match_videos",
    "typical_row",
]

if TYPE_CHECKING:
    from napari_animalpose.drawing.comparison import ErrorTile

FilePath = str | PathLike[str]
CIRCLE_LEVELS = (50, 75, 90)  # percent of the points that error circles hold


@dataclass(frozen=True)
class Comparison:
    """Predictions and labels of the same frames, and how they agree.

    Parameters
    ----------
    evaluation : Evaluation
    predicted, truth : Poses
        Videos numbered as in `project`; nodes of both in the order of the truth.
    project : Project
        The one with the labels: its videos are the pictures.
    """

    evaluation: Evaluation
    predicted: Poses
    truth: Poses
    project: Project

    @property
    def naming(self) -> Naming | None:
        """How often animals have their own name; None where the two share no track name."""
        if not set(named_tracks(self.predicted)) & set(named_tracks(self.truth)):
            return None
        return measure_naming(self.predicted, self.truth)

    @property
    def tracking(self) -> TrackEvaluation | None:
        """How well identities are kept over time.

        None where either side has no tracks, or the truth has one twice in a frame.
        """
        named = self.truth.select(self.truth.track >= 0)
        if not len(named) or not (self.predicted.track >= 0).any():
            return None
        who = np.stack([named.video, named.frame, named.track])
        if np.unique(who, axis=1).shape[1] < len(named):
            return None
        return evaluate_tracks(self.predicted, self.truth)


def evaluate(
    predicted: FilePath | Project,
    labels: FilePath | Project,
    *,
    frames: str | None = None,
    pairs: ArrayLike | None = None,
) -> Comparison:
    """Compare predicted poses with labels.

    Parameters
    ----------
    predicted : path or Project
        Predictions; labels in it are not looked at.
    labels : path or Project
        The truth: labelled instances.
    frames : str, optional
        Only these frames, as `parse_frames_of_videos` reads them. By default all labelled
        frames that the prediction looked at, if its file says which these are, and else
        all labelled frames. Frames marked as empty are among them: what is predicted there
        is a false positive.
    pairs : array_like of int, shape (F, 2), optional
        Only these (video, frame) of `labels` instead, as far as they are labelled.

    Raises
    ------
    DataError
        If skeletons differ, or there is no labelled frame to compare.
    """
    guess, project = _open(predicted), _open(labels)
    truth = project.poses.labels_or_all()
    found = _match_videos(guess, project, guess.poses.select(~guess.poses.is_label))
    keys = np.unique(np.concatenate([truth.frame_keys(), project.negative_frames]), axis=0)
    if pairs is not None:
        wanted = np.asarray(pairs, np.int64).reshape(-1, 2)
        keys = _keep_frames(keys, {v: wanted[wanted[:, 0] == v, 1] for v in set(wanted[:, 0])})
    elif frames is not None:
        lengths = [len(video) for video in project.videos]
        keys = _keep_frames(keys, dict(enumerate(parse_frames_of_videos(frames, lengths))))
    else:
        looked_at = predicted_frames(guess)
        if looked_at is not None:
            numbers = match_videos(guess, project)
            keys = _keep_frames(keys, {numbers[v]: f for v, f in looked_at.items() if v in numbers})
    if not len(keys):
        raise DataError(
            "Expected labelled frames that were predicted; received none in common. "
            "Predict frames that have labels, or check that the videos are the same."
        )
    truth = select_frames(truth, keys)
    found = reorder_nodes(select_frames(found, keys), truth)
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


def match_videos(guess: Project, labels: Project) -> dict[int, int]:
    """Number in `labels` of each video of `guess`: the same source, else name, else the only one.

    Raises
    ------
    DataError
        If no video is in both.
    """
    # Arrays in memory may have one source: the second of them is the second one in both.
    known = {
        source: i for i, source in enumerate(number_repeats([v.source for v in labels.videos]))
    }
    sources = number_repeats([video.source for video in guess.videos])
    numbers = {i: known[source] for i, source in enumerate(sources) if source in known}
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
    numbers = match_videos(guess, labels)
    poses = poses.select(np.isin(poses.video, list(numbers)))
    renumber = np.zeros(len(guess.videos), np.int32)
    for old, new in numbers.items():
        renumber[old] = new
    return poses.replace(video=renumber[poses.video])


def draw_evaluation(comparison: Comparison, folder: FilePath, *, tiles: int = 8) -> list[Path]:
    """Draw what the figures say and return the files.

    ``error_circles.png`` (50th, 75th and 90th percentile around each node of a real
    animal), ``pck.png``, ``error_histogram.png`` and ``oks.png``; where there is such an
    animal, ``worst_frames.png`` (found, but badly) and ``missed_and_invented.png``.

    Parameters
    ----------
    comparison : Comparison
    folder : path
        Made if needed.
    tiles : int
        Animals in each of the two galleries.
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
    errors = _errors_with_missed(evaluation)
    typical = typical_row(comparison.truth)
    reach = max(10.0, float(np.ceil(2 * evaluation.error_percentile(75))))
    draw_error_circles(
        _frame_of(comparison, comparison.truth, typical),
        comparison.truth.xy[typical],
        skeleton,
        error_radii(evaluation),
        folder / "error_circles.png",
        title=f"Error of {evaluation.n_matched} animals",
    )
    draw_pck_curves(errors, skeleton, folder / "pck.png", max_px=reach)
    draw_error_histograms(errors, skeleton, folder / "error_histogram.png", max_px=reach)
    n_missed = evaluation.n_truth - evaluation.n_matched
    draw_oks_distribution(evaluation.oks, folder / "oks.png", n_missed=n_missed)
    names = ["error_circles", "pck", "error_histogram", "oks"]
    galleries = {
        "worst_frames": ("Largest errors", _worst_tiles(comparison, tiles)),
        "missed_and_invented": ("Missed and invented", _unmatched_tiles(comparison, tiles)),
    }
    for name, (title, shown) in galleries.items():
        if shown:
            draw_error_gallery(shown, skeleton, folder / f"{name}.png", title=title)
            names.append(name)
    return [folder / f"{name}.png" for name in names]


def _errors_with_missed(evaluation: Evaluation) -> NDArray[np.float64]:
    """Errors in px, inf for every labelled point that was not found, (rows, K); NaN = none."""
    pairs = evaluation.in_truth & ~evaluation.in_prediction
    errors = np.where(pairs, np.inf, evaluation.errors_px)
    unmatched = evaluation.n_points - evaluation.in_truth.sum(axis=0)  # points of missed animals
    rows = np.arange(unmatched.max(initial=0))[:, None] < unmatched
    return np.concatenate([errors, np.where(rows, np.inf, np.nan)])


def error_radii(
    evaluation: Evaluation, levels: Sequence[float] = CIRCLE_LEVELS
) -> NDArray[np.float64]:
    """Return the radii in px within which some percent of the points of each node lie.

    Parameters
    ----------
    evaluation : Evaluation
    levels : sequence of P floats
        Percent of the labelled points, missed ones included.

    Returns
    -------
    array of float64, shape (K, P)
        The smallest error that so many points do not exceed: no mean of two errors, of
        which one may be infinite. inf = more points were missed than the level leaves out;
        NaN = the node was never labelled.
    """
    radii = np.full((len(evaluation.nodes), len(levels)), np.nan)
    for node, errors in enumerate(_errors_with_missed(evaluation).T):
        counted = errors[~np.isnan(errors)]
        if counted.size:
            radii[node] = np.percentile(counted, levels, method="inverted_cdf")
    return radii


def _frame_of(comparison: Comparison, poses: Poses, row: int) -> NDArray[np.uint8]:
    return comparison.project.videos[int(poses.video[row])][int(poses.frame[row])]


def _name_frame(comparison: Comparison, poses: Poses, row: int) -> str:
    frame = f"frame {poses.frame[row]}"
    several = len(comparison.project.videos) > 1
    return f"video {poses.video[row]}, {frame}" if several else frame


def typical_row(truth: Poses) -> int:
    """Row of a complete animal of typical size, to draw circles on."""
    placed = np.isfinite(truth.xy[..., 0]).sum(axis=1)
    rows = np.flatnonzero(placed == placed.max())
    extent = np.nanmax(truth.xy[rows], axis=1) - np.nanmin(truth.xy[rows], axis=1)
    size = np.hypot(extent[:, 0], extent[:, 1])
    return int(rows[np.argmin(np.abs(size - np.median(size)))])


def _worst_tiles(comparison: Comparison, count: int) -> list[ErrorTile]:
    from napari_animalpose.drawing.comparison import ErrorTile

    matches = match_frames(comparison.predicted, comparison.truth)
    mean = np.nan_to_num(mean_errors(comparison, matches)[1])
    truth, predicted = comparison.truth, comparison.predicted
    return [
        ErrorTile(
            _frame_of(comparison, truth, row),
            truth.xy[row],
            predicted.xy[found],
            _name_frame(comparison, truth, row),
        )
        for i in np.argsort(-mean)[:count].tolist()
        for row, found in [(int(matches.truth[i]), int(matches.predicted[i]))]
    ]


def _unmatched_tiles(comparison: Comparison, count: int) -> list[ErrorTile]:
    """Missed animals in the order of frames, then invented ones, the surest first.

    Half of the tiles are for either, unless there are fewer.
    """
    from napari_animalpose.drawing.comparison import ErrorTile

    truth, predicted = comparison.truth, comparison.predicted
    matches = match_frames(predicted, truth)
    missed = np.setdiff1d(np.flatnonzero(_has_any_point(truth)), matches.truth)
    invented = np.setdiff1d(np.flatnonzero(_has_any_point(predicted)), matches.predicted)
    invented = invented[np.argsort(-np.nan_to_num(predicted.score[invented]), kind="stable")]
    n_missed = min(len(missed), max(count - len(invented), count - count // 2))
    nothing = np.full((truth.n_nodes, 2), np.nan)
    tiles = []
    for row in missed[:n_missed].tolist():
        frame = _frame_of(comparison, truth, row)
        name = _name_frame(comparison, truth, row)
        tiles.append(ErrorTile(frame, truth.xy[row], nothing, name))
    for row in invented[: count - n_missed].tolist():
        frame = _frame_of(comparison, predicted, row)
        name = _name_frame(comparison, predicted, row)
        tiles.append(ErrorTile(frame, nothing, predicted.xy[row], name))
    return tiles


def _has_any_point(poses: Poses) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(poses.xy[..., 0]).any(axis=1))
