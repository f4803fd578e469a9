"""What a window has done in a child process: reading video, TensorFlow, many files.

Each is a pipeline function for `jobs.run`, but for `open_augmenter`, which sets up a
`jobs.Worker`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from napari_animalpose.config import RunConfig
from napari_animalpose.data.project import Project
from napari_animalpose.jobs import Event, StopRequest, ignore_event, never_stop
from napari_animalpose.nn.autoconfig import LabelMeasures
from napari_animalpose.pipeline.previews import AugmentationPreview, preview_augmentation
from napari_animalpose.pipeline.rounds import Round, compare_rounds, read_rounds
from napari_animalpose.pipeline.selection import empty_frames, measure_project, training_labels

__all__ = ["Device", "RoundHistory", "find_device", "list_rounds", "measure", "open_augmenter"]

FilePath = str | PathLike[str]


@dataclass(frozen=True)
class Device:
    """What networks run on.

    Parameters
    ----------
    kind : str
        "cpu" or "gpu".
    name : str
        As the system calls it.
    precision : str
        That ``auto`` chooses there.
    """

    kind: str
    name: str
    precision: str


@dataclass(frozen=True)
class RoundHistory:
    """The rounds of a project, and what they have brought.

    Parameters
    ----------
    rounds : tuple of Round
        All of them, with the figures of each round's own held-out frames.
    compared : tuple of Round
        The finished ones.
    n_common : int
        Labelled frames that all of `compared` were measured on; 0 where no frame was held
        out in all of them, and each has the figures of its own frames.
    """

    rounds: tuple[Round, ...]
    compared: tuple[Round, ...]
    n_common: int


def find_device(
    *,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> Device:
    """Return the device that a training on this machine uses; loads TensorFlow."""
    from napari_animalpose.nn.models.network import describe_device, resolve_precision

    kind, name = describe_device()
    return Device(kind, name, resolve_precision("auto"))


def measure(
    project: Project,
    *,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> LabelMeasures:
    """Measure the labels of a project and some of their frames; see `measure_project`."""
    labels = training_labels(project)
    return measure_project(project, labels, empty_frames(project, labels))


def list_rounds(
    models: FilePath,
    project: Project,
    *,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> RoundHistory:
    """Read the rounds of a project and compare them on the same labels.

    Parameters
    ----------
    models : path
        The folder with the run folders, which need not exist.
    project : Project
        With its labels as they are now; where it has a path, only runs of this file count.
    """
    rounds = read_rounds(models, labels=None if project.path is None else Path(project.path).name)
    compared, comparison = compare_rounds(rounds, project)
    frames = None if comparison is None else comparison.frames
    return RoundHistory(tuple(rounds), tuple(compared), 0 if frames is None else len(frames))


def open_augmenter() -> Callable[[tuple[Project, RunConfig, dict[str, Any]]], AugmentationPreview]:
    """Return a function that draws training windows: (project, config, options) to a preview.

    The options are those of `preview_augmentation`.
    """

    def augment(request: tuple[Project, RunConfig, dict[str, Any]]) -> AugmentationPreview:
        project, config, options = request
        return preview_augmentation(project, config, **options)

    return augment
