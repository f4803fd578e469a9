"""Runs side by side: their figures, each on its own frames or all on the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import DataError, ModelError
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.run_zip import open_run
from napari_animalpose.io.runs import RunFolder, read_json
from napari_animalpose.pipeline.evaluation import Comparison, evaluate
from napari_animalpose.pipeline.held_out import common_held_out

__all__ = ["FIGURES", "RunComparison", "RunRow", "compare_runs"]

FilePath = str | PathLike[str]
FIGURES: dict[str, str] = {
    "error_p50": "Median error (px)",
    "error_p90": "90 % of errors (px)",
    "mOKS": "Mean OKS",
    "mAP": "mAP",
    "mAR": "mAR",
    "pck5": "Within 5 px",
    "n_missed": "Animals missed",
    "n_false_positives": "Animals invented",
}
"""Figures worth a column, by their key in `RunRow.figures`, with a heading for people."""


@dataclass(frozen=True, eq=False)
class RunRow:
    """The figures of one run.

    Parameters
    ----------
    path : Path
    pipeline : str
    figures : dict
        As `Evaluation.to_dict` gives them; None stands for a figure over nothing.
    n_frames : int
        Frames that they are of.
    comparison : Comparison or None
        What they come from, where all runs were compared on the same frames.
    """

    path: Path
    pipeline: str
    figures: dict[str, Any]
    n_frames: int
    comparison: Comparison | None = None


@dataclass(frozen=True, eq=False)
class RunComparison:
    """Runs side by side.

    Parameters
    ----------
    rows : tuple of RunRow
        In the order asked for.
    frames : array of int64, shape (F, 2), or None
        (video, frame) that all figures are of; None where each run has its own.
    """

    rows: tuple[RunRow, ...]
    frames: NDArray[np.int64] | None


def compare_runs(runs: Sequence[FilePath], project: Project | None = None) -> RunComparison:
    """Return the figures of runs, without any network: predictions are in the run folders.

    Parameters
    ----------
    runs : sequence of paths
        Run folders, or zips of them, whose training is finished.
    project : Project, optional
        With labels as they are now. The runs are then compared on the same frames: those
        that every one of them held out, for validation or for test, and that have labels
        or are marked as empty. Without, each has the figures that it ended with, on its own
        validation frames: runs with other frames cannot be told apart by them.

    Raises
    ------
    ModelError
        If a folder is no finished run, or does not say which frames it held out.
    DataError
        If no labelled frame was held out by all of them, or nodes differ.
    """
    folders = [open_run(run) for run in runs]
    if project is None:
        return RunComparison(tuple(_read_row(folder) for folder in folders), None)
    known = np.concatenate([project.labeled_frames(), project.negative_frames]).tolist()
    labelled = set(map(tuple, known))
    held_out = [pair for pair in common_held_out(folders, project) if pair in labelled]
    frames = np.array(held_out, np.int64).reshape(-1, 2)
    if not len(frames):
        raise DataError(
            f"Expected labelled frames that all {len(folders)} runs held out; received none. "
            "Train with split_like, or compare each on its own frames."
        )
    return RunComparison(tuple(_evaluate(folder, project, frames) for folder in folders), frames)


def _read_row(folder: RunFolder) -> RunRow:
    metrics = read_json(folder.path / "metrics.json")
    figures = metrics.get("validation") or metrics.get("test") or {}
    return RunRow(
        folder.path, folder.read_config().pipeline, figures, int(figures.get("n_frames", 0))
    )


def _evaluate(folder: RunFolder, project: Project, frames: NDArray[np.int64]) -> RunRow:
    comparison = evaluate(_read_predictions(folder), project, pairs=frames)
    figures = comparison.evaluation.to_dict()
    pipeline = folder.read_config().pipeline
    return RunRow(folder.path, pipeline, figures, int(figures["n_frames"]), comparison)


def _read_predictions(folder: RunFolder) -> Project:
    """Return what a run predicted in the end on the frames that it had held out."""
    paths = [folder.path / f"predictions.{part}.slp" for part in ("validation", "test")]
    found = [read_labels(path) for path in paths if path.exists()]
    if not found:
        raise ModelError(
            f"Expected a finished run with predictions of its held-out frames; received "
            f"{str(folder.path)!r}. Was its training stopped, or was nothing held out?"
        )
    return found[0].replace(poses=Poses.concat([each.poses for each in found]), extras=None)
