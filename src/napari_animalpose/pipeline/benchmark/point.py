"""One point of a sweep: what is trained and measured, and doing it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig, RunConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import CancelledError
from napari_animalpose.io.runs import RunFolder, versions
from napari_animalpose.jobs import Event, Progress, StopRequest, ignore_event, never_stop
from napari_animalpose.nn.metrics import evaluate
from napari_animalpose.pipeline.benchmark.sources import Source
from napari_animalpose.pipeline.files import format_frames, select_frames
from napari_animalpose.pipeline.prediction import load_predictor
from napari_animalpose.pipeline.selection import training_labels
from napari_animalpose.pipeline.training import train

if TYPE_CHECKING:
    from napari_animalpose.nn.inference import Predictor

__all__ = ["Point", "describe_environment", "measure_point"]

Key = tuple[int, int]
FORMAT = 1  # of what a point measures; a change of its meaning makes old points void
TIMED_FRAMES = 48  # the most that the time of a frame is measured on
TIMED_REPEATS = 3


@dataclass(frozen=True)
class Point:
    """Everything that the figures of one training follow from.

    Parameters
    ----------
    source : Source
    content : dict
        What `Source.describe` says of the frames in use.
    train, test : sequence of (int, int)
        (video, frame) of the labelled frames to learn from and to test on. Of the former,
        training holds out the share for validation that its configuration says.
    config : RunConfig
    predict : PredictConfig
    """

    source: Source
    content: dict[str, Any]
    train: tuple[Key, ...]
    test: tuple[Key, ...]
    config: RunConfig
    predict: PredictConfig = field(default_factory=PredictConfig)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that matters as plain data, and not where the labels lie."""
        return {
            "format": FORMAT,
            "data": self.content,
            "train": _format_keys(self.train),
            "test": _format_keys(self.test),
            "config": self.config.to_dict(),
            "predict": self.predict.to_dict(),
        }

    @property
    def key(self) -> str:
        """A name that two points share only if all their settings are the same."""
        text = json.dumps(self.settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def _format_keys(keys: Iterable[Key]) -> dict[str, str]:
    """Frames of each video as text."""
    frames: dict[str, list[int]] = {}
    for video, frame in sorted(keys):
        frames.setdefault(str(video), []).append(frame)
    return {video: format_frames(numbers) for video, numbers in frames.items()}


def describe_environment(
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> dict[str, str]:
    """Return the device and the versions that figures depend on besides their settings."""
    import os

    from napari_animalpose.nn.models.network import describe_device

    kind, name = describe_device()
    device = f"{name}, {os.cpu_count()} cores" if kind == "cpu" else name
    found = versions()
    named = ("napari-animalpose", "tensorflow", "keras")
    return {"device": device, **{name: found[name] for name in named}}


def measure_point(
    point: Point,
    folder: str,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> dict[str, Any]:
    """Train, predict the test frames and return what came out: the work of one child.

    Parameters
    ----------
    point : Point
    folder : str
        The run folder to make.
    on_event, should_stop : callable
        As `jobs.run` gives them.

    Returns
    -------
    dict
        ``accuracy`` on the test frames as `Evaluation.to_dict` says; ``seconds_per_frame``
        of prediction from frames in memory and its two parts,
        ``network_seconds_per_frame`` and ``grouping_seconds_per_frame``;
        ``n_parameters`` of all networks; ``steps`` of training by network;
        ``training_seconds``.

    Raises
    ------
    CancelledError
        If asked to stop in either way: half a training is no point of a sweep.
    AnimalPoseError
        For what cannot be learned from.
    """
    project = point.source.open((*point.train, *point.test))
    labels = training_labels(project)
    learned = project.replace(
        poses=select_frames(labels, point.train), negative_frames=(), suggestions=(), extras=None
    )
    run = train(
        learned, folder, config=point.config, on_event=on_event, should_stop=should_stop
    )  # fmt: skip
    _check_going_on(should_stop)
    predictor = load_predictor(folder, point.predict)
    predicted = _predict(predictor, project, point.test, on_event, should_stop)
    truth = select_frames(labels, point.test)
    accuracy = evaluate(predicted, truth, frames=np.array(point.test)).to_dict()
    sizes = {name: forward.network.count_params() for name, forward in predictor.forwards.items()}
    return {
        "accuracy": accuracy,
        **_time_stages(predictor, project, point.test),
        "n_parameters": sum(sizes.values()),
        "steps": _count_steps(RunFolder(folder)),
        "training_seconds": run.metrics["seconds"],
    }


def _check_going_on(should_stop: Callable[[], StopRequest]) -> None:
    if should_stop():
        raise CancelledError("The sweep was stopped; finished points are kept.")


def _predict(
    predictor: Predictor,
    project: Project,
    keys: Sequence[Key],
    on_event: Callable[[Event], None],
    should_stop: Callable[[], StopRequest],
) -> Poses:
    """Return the poses in some frames."""
    parts = [Poses.empty(predictor.skeleton, predictor.run_config.classes)]
    for number, video in enumerate(project.videos):
        frames = sorted(frame for own, frame in keys if own == number)
        before = sum(own < number for own, _ in keys)

        def report(done: int, rate: float, before: int = before) -> None:
            on_event(Progress("predict", before + done, len(keys), rate=rate))

        poses, _ = predictor.run(video, frames, number, on_progress=report, should_stop=should_stop)
        _check_going_on(should_stop)
        parts.append(poses)
    return Poses.concat(parts)


def _time_stages(predictor: Predictor, project: Project, keys: Sequence[Key]) -> dict[str, float]:
    """Return the seconds that a frame takes, read beforehand, and their parts."""
    from napari_animalpose.nn.models.stopwatch import time_stages

    chosen = np.linspace(0, len(keys) - 1, min(len(keys), TIMED_FRAMES)).round().astype(int)
    frames: list[NDArray[np.uint8]] = [
        project.videos[keys[i][0]][keys[i][1]] for i in chosen.tolist()
    ]
    stages = time_stages(predictor, frames, TIMED_REPEATS)
    return {
        "seconds_per_frame": stages.network_s + stages.grouping_s,
        "network_seconds_per_frame": stages.network_s,
        "grouping_seconds_per_frame": stages.grouping_s,
    }


def _count_steps(folder: RunFolder) -> dict[str, int]:
    """Training steps of each network, from the log."""
    log = folder.read_log()
    steps: dict[str, int] = {}
    for name, step in zip(log["network"], log["step"], strict=True):
        steps[name] = max(steps.get(name, 0), int(step))
    return steps
