"""The rounds of labelling: train, predict, correct, train again, and what each has brought.

Runs of a project lie in the folder ``models`` beside its file, one for each round.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from os import PathLike, fspath
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from napari_animalpose.data.project import Project
from napari_animalpose.errors import AnimalPoseError, DataError
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.runs import RunFolder, read_json
from napari_animalpose.pipeline.comparing import RunComparison, compare_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Round",
    "compare_rounds",
    "draw_rounds",
    "models_folder",
    "next_run_folder",
    "read_rounds",
]

FilePath = str | PathLike[str]


@dataclass(frozen=True)
class Round:
    """One round: what was trained from how many labels, and how good it is.

    Parameters
    ----------
    number : int
        From 1, in the order of time.
    path : Path
        The run folder.
    date : datetime
        When training began, in UTC.
    pipeline : str
    n_frames, n_instances : int
        Labelled frames and animals, held-out ones included.
    minutes : float
        From the start of training to its end; NaN while it is not finished.
    figures : mapping
        Of the validation frames of this round (`Evaluation.to_dict`); empty while it is
        not finished. They are of the same frames as those of other rounds only after
        `compare_rounds`.
    started_from : str
        Path of the run that it went on from; "" for one from the start.
    is_finished : bool
        Whether all networks are trained and looked at.
    problem : str
        Why it cannot be read, in a sentence; "" if it can.
    """

    number: int
    path: Path
    date: datetime
    pipeline: str = ""
    n_frames: int = 0
    n_instances: int = 0
    minutes: float = math.nan
    figures: Mapping[str, Any] = field(default_factory=dict)
    started_from: str = ""
    is_finished: bool = False
    problem: str = ""

    def figure(self, key: str) -> float:
        """Return a figure such as "error_p50", "mAP" or "pck5"; NaN where there is none."""
        value = self.figures.get(key)
        return math.nan if value is None else float(value)


def models_folder(project_path: FilePath) -> Path:
    """Return the folder beside a project file that its runs lie in; it need not exist."""
    return Path(project_path).absolute().parent / "models"


def next_run_folder(project_path: FilePath) -> Path:
    """Return a path for the run of the next round that nothing is at yet."""
    folder, stem = models_folder(project_path), PurePath(project_path).name.split(".")[0]
    pattern = re.compile(re.escape(stem) + r"_round_(\d+)")
    taken = [
        int(found[1])
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (found := pattern.match(path.name))
    ]
    return folder / f"{stem}_round_{max(taken, default=0) + 1:02d}"


def read_rounds(models: FilePath, *, labels: FilePath | None = None) -> list[Round]:
    """Read the run folders in a folder as rounds, in the order of time.

    Parameters
    ----------
    models : path
        The folder with the run folders, which need not exist.
    labels : path, optional
        Only the runs that were trained on the label file of this name, and those that do
        not say on which.

    Returns
    -------
    list of Round
        Also of runs that go on, were stopped or are damaged; see `Round.is_finished` and
        `Round.problem`. Folders without a configuration are no runs.
    """
    folder = Path(models)
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not (path / "config.json").is_file():
            continue
        initial = _read_or_nothing(path / "initial_config.json")
        source = initial.get("labels")
        if labels is not None and source and _last_part(source) != _last_part(fspath(labels)):
            continue
        found.append(_read_round(RunFolder(path), initial))
    found.sort(key=lambda each: (each.date, each.path.name))
    return [replace(each, number=number) for number, each in enumerate(found, start=1)]


def _read_round(folder: RunFolder, initial: Mapping[str, Any]) -> Round:
    started = initial.get("resume")
    if isinstance(started, list):
        started = ", ".join(started)
    begun = Round(0, folder.path, _date_of(folder, initial), started_from=started or "")
    try:
        folder.read_split()  # without it, nobody knows which frames it can be judged by
        poses = read_labels(folder.path / "labels.slp").poses
        metrics = _read_or_nothing(folder.path / "metrics.json")
        is_finished = "seconds" in metrics and not folder.untrained()
        return replace(
            begun,
            pipeline=folder.read_config().pipeline,
            n_frames=len(poses.frame_keys()),
            n_instances=len(poses),
            minutes=metrics["seconds"] / 60 if is_finished else math.nan,
            figures=(metrics.get("validation") or metrics.get("test") or {}) if is_finished else {},
            is_finished=is_finished,
        )
    except AnimalPoseError as error:
        return replace(begun, problem=str(error))


def _read_or_nothing(path: Path) -> dict[str, Any]:
    """Return what a JSON file of a run says; {} where it is missing or damaged."""
    try:
        values = read_json(path)
    except AnimalPoseError:
        return {}
    return values if isinstance(values, dict) else {}


def _date_of(folder: RunFolder, initial: Mapping[str, Any]) -> datetime:
    """Return when a run began, or else when its configuration was written."""
    try:
        date = datetime.fromisoformat(str(initial.get("date")))
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp((folder.path / "config.json").stat().st_mtime, UTC)


def _last_part(path: str) -> str:
    """Return the name of a file whose path may come from another system."""
    return re.split(r"[\\/]", path)[-1]


def compare_rounds(
    rounds: Sequence[Round], project: Project
) -> tuple[list[Round], RunComparison | None]:
    """Give the finished rounds the figures of the same held-out labels: the fair curve.

    Parameters
    ----------
    rounds : sequence of Round
    project : Project
        With labels as they are now.

    Returns
    -------
    rounds : list of Round
        The finished ones.
    comparison : RunComparison or None
        None where no labelled frame was held out in all of them; the figures then are
        those of each round's own frames.
    """
    finished = [each for each in rounds if each.is_finished]
    if not finished:
        return [], None
    try:
        comparison = compare_runs([each.path for each in finished], project)
    except DataError:
        return finished, None
    rows = zip(finished, comparison.rows, strict=True)
    return [replace(each, figures=row.figures) for each, row in rows], comparison


def draw_rounds(
    rounds: Sequence[Round], path: FilePath | None = None, *, title: str = ""
) -> Figure:
    """Draw accuracy against labelled frames, one point for each round with figures.

    Raises
    ------
    DataError
        If there is no such round.
    OutputError
        If the file cannot be written.
    """
    from napari_animalpose.drawing.rounds import RoundPoint, draw_learning_curve

    points = [
        RoundPoint(
            each.number, each.n_frames, each.figure("error_p50"), each.figure("mAP"),
            each.minutes, bool(each.started_from),
        )
        for each in rounds
        if each.figures
    ]  # fmt: skip
    return draw_learning_curve(points, path, title=title)
