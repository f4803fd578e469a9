"""Runs side by side for a window: figures, error circles, the worst animals. For `jobs.run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import AnimalPoseError, CancelledError, DataError, VideoError
from napari_animalpose.io.run_zip import open_run
from napari_animalpose.jobs import Event, Progress, StopRequest, ignore_event, never_stop
from napari_animalpose.pipeline.comparing import RunRow, compare_runs
from napari_animalpose.pipeline.evaluation import (
    CIRCLE_LEVELS,
    Comparison,
    error_radii,
    typical_row,
)
from napari_animalpose.pipeline.worst import InstanceError, rank_errors

__all__ = ["ErrorCircles", "EvaluationReport", "RunReport", "evaluate_runs"]

FilePath = str | PathLike[str]
LEVELS = CIRCLE_LEVELS
MARGIN = 0.15  # around the animal, of its longer side
MOST_ERRORS = 300


@dataclass(frozen=True, eq=False)
class ErrorCircles:
    """How far predictions fall from the truth, around each node of a real animal.

    After Pereira et al. 2019, "Fast animal pose estimation using deep neural networks",
    Fig. 2.

    Parameters
    ----------
    image : array of uint8, shape (h, w, 3)
        The part of a frame around the animal; a black one where the video is missing.
    xy : array of float64, shape (K, 2)
        The animal, in px of `image`; NaN = missing.
    radii : array of float64, shape (K, 3)
        `LEVELS` of the distance, px, missed points included (`evaluation.error_radii`);
        NaN = no figure, inf = more points were missed than the level leaves out.
    skeleton : Skeleton
    """

    image: NDArray[np.uint8]
    xy: NDArray[np.float64]
    radii: NDArray[np.float64]
    skeleton: Skeleton


@dataclass(frozen=True, eq=False)
class RunReport:
    """How good one run is.

    Parameters
    ----------
    path : Path
    pipeline : str
        "" where the run cannot be read.
    figures : dict
        As `Evaluation.to_dict` gives them.
    n_frames : int
        Labelled frames that the figures are of.
    errors : tuple of InstanceError
        The worst first; none where only the figures of the run itself are known.
    circles : ErrorCircles or None
        None likewise, and where no animal was found.
    problem : str
        Why it cannot be compared; "" if it can.
    """

    path: Path
    pipeline: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    n_frames: int = 0
    errors: tuple[InstanceError, ...] = ()
    circles: ErrorCircles | None = None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """Runs side by side.

    Parameters
    ----------
    runs : tuple of RunReport
        In the order asked for.
    n_common : int
        Labelled frames that all of them held out and are measured on; 0 where there are
        none, and each has the figures of its own held-out frames.
    """

    runs: tuple[RunReport, ...]
    n_common: int


def evaluate_runs(
    runs: Sequence[FilePath],
    project: Project | None = None,
    *,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> EvaluationReport:
    """Compare runs on the labelled frames that all of them held out, if there are any.

    Parameters
    ----------
    runs : sequence of paths
        Run folders, or zips of them. What is no finished run, or does not say which frames
        it held out where that matters, is in the report with its `problem`.
    project : Project, optional
        With labels as they are now.
    on_event, should_stop : callable
        As `jobs.run` gives them.

    Raises
    ------
    CancelledError
        If asked to stop.
    """
    paths = [Path(run) for run in runs]
    reports: dict[Path, RunReport] = {}
    own: dict[Path, RunRow] = {}
    for path in paths:
        try:
            row = compare_runs([path]).rows[0]
            if project is not None:
                open_run(path).read_split()  # refused here, not for all runs together
            own[path] = row
        except AnimalPoseError as error:
            reports[path] = RunReport(path, problem=str(error))
    rows, n_common = _compare(own, project)
    for done, (path, row) in enumerate(rows.items()):
        if should_stop() is not StopRequest.NONE:
            raise CancelledError("The comparison was cancelled.")
        on_event(Progress("compare", done, len(rows)))
        reports[path] = _report(path, row)
    on_event(Progress("compare", len(rows), len(rows)))
    return EvaluationReport(tuple(reports[path] for path in paths), n_common)


def _compare(own: dict[Path, RunRow], project: Project | None) -> tuple[dict[Path, RunRow], int]:
    """Return the rows on common frames and how many these are, or each on its own frames."""
    if project is None or not own:
        return own, 0
    try:
        found = compare_runs(list(own), project)
        assert found.frames is not None
        return dict(zip(own, found.rows, strict=True)), len(found.frames)
    except AnimalPoseError:
        return {path: _compare_alone(path, row, project) for path, row in own.items()}, 0


def _compare_alone(path: Path, row: RunRow, project: Project) -> RunRow:
    """Return a run on its own held-out frames that have labels, else what it ended with."""
    try:
        return compare_runs([path], project).rows[0]
    except AnimalPoseError:
        return row


def _report(path: Path, row: RunRow) -> RunReport:
    comparison = row.comparison
    if comparison is None:
        return RunReport(path, row.pipeline, row.figures, row.n_frames)
    errors = tuple(rank_errors(comparison, MOST_ERRORS))
    circles = _make_circles(comparison) if comparison.evaluation.n_matched else None
    return RunReport(path, row.pipeline, row.figures, row.n_frames, errors, circles)


def _make_circles(comparison: Comparison) -> ErrorCircles:
    truth = comparison.truth
    row = typical_row(truth)
    xy = truth.xy[row].astype(np.float64)
    try:
        video = comparison.project.videos[int(truth.video[row])]
        frame = np.asarray(video[int(truth.frame[row])])
    except (VideoError, DataError, IndexError):
        low, high = np.nanmin(xy, axis=0), np.nanmax(xy, axis=0)
        frame = np.zeros((*np.ceil(high + (high - low) + 20).astype(int)[::-1], 1), np.uint8)
    left, top, right, bottom = _box_around(xy, frame.shape)
    image = np.broadcast_to(frame[top:bottom, left:right], (bottom - top, right - left, 3))
    radii = error_radii(comparison.evaluation, LEVELS)
    return ErrorCircles(np.ascontiguousarray(image), xy - (left, top), radii, truth.skeleton)


def _box_around(xy: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) of the pixels to show, right and bottom excluded."""
    low, high = np.nanmin(xy, axis=0), np.nanmax(xy, axis=0)
    margin = max(10.0, MARGIN * float((high - low).max()))
    size = np.array(shape[1::-1])
    first = np.clip(np.floor(low - margin), 0, size - 1).astype(int)
    last = np.clip(np.ceil(high + margin) + 1, first + 1, size).astype(int)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])
