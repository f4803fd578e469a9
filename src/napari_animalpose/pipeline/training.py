"""From labels to a run folder with trained networks."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from napari_animalpose.config import RunConfig, override
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import CancelledError, ConfigError, DataError, VideoError
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.package import keep_images, read_packaged_config
from napari_animalpose.io.run_zip import open_run
from napari_animalpose.io.runs import RunFolder, versions, write_json
from napari_animalpose.jobs import (
    Event,
    Log,
    Progress,
    StopRequest,
    ignore_event,
    never_stop,
)
from napari_animalpose.nn.autoconfig import (
    Choice,
    LabelMeasures,
    choose_config,
    fit_crops,
    measure_labels,
)
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.grouping import check_joinable
from napari_animalpose.nn.heads import PIPELINES
from napari_animalpose.nn.pretrained import find_weights
from napari_animalpose.pipeline.files import read, select_frames
from napari_animalpose.pipeline.held_out import read_split_of
from napari_animalpose.pipeline.identities import (
    check_classes,
    check_learned_classes,
    check_tracks,
)
from napari_animalpose.pipeline.selection import (
    describe_contradictions,
    empty_frames,
    measure_project,
    split_empty_frames,
    split_frames,
    training_labels,
)
from napari_animalpose.pipeline.start import Start, name_start, open_start
from napari_animalpose.pipeline.training_session import TrainingSession

__all__ = ["Run", "check_config", "choose", "train"]

FilePath = str | PathLike[str]
Key = tuple[int, int]
LEAST_JUDGES = 2  # labelled frames that say which weights are best


@dataclass(frozen=True)
class Run:
    """What a training leaves behind.

    Parameters
    ----------
    path : Path
        The run folder.
    config : RunConfig
    metrics : dict
        Accuracy on the validation and, if there are any, the test frames.
    """

    path: Path
    config: RunConfig
    metrics: dict[str, Any]


def choose(
    labels: FilePath | Project,
    *,
    pipeline: str = "auto",
    preset: str = "balanced",
    frames: str | None = None,
    guess_missing: bool = False,
) -> Choice:
    """Choose a network for the animal of a label file, with reasons.

    Parameters
    ----------
    labels : path or Project
    pipeline : str
        "auto", or the pipeline to configure.
    preset : str
        Name in `nn.autoconfig.PRESETS`.
    frames : str, optional
        Only the labels in these frames, as `parse_frames_of_videos` reads them.
    guess_missing : bool
        Where a video is missing, take its frames to be gray and to end just beyond the
        outermost labels, and say so in the first reason.

    Raises
    ------
    VideoError
        If a labelled frame cannot be read and its size is not to be guessed.
    """
    project = labels if isinstance(labels, Project) else read(labels)
    chosen = training_labels(project, frames)
    empty = empty_frames(project, chosen, frames)
    check_tracks(chosen, pipeline)
    try:
        return choose_config(measure_project(project, chosen, empty), preset, pipeline)
    except VideoError as error:
        if not guess_missing or Path(error.path).exists():  # damaged is not missing
            raise
        reach = np.nanmax(chosen.xy.reshape(-1, 2), axis=0)
        width, height = (math.ceil(side / 32) * 32 for side in (reach + 1).tolist())
        measures = measure_labels(chosen, [(height, width)], 1, n_empty_frames=len(empty))
        choice = choose_config(measures, preset, pipeline)
        note = f"The size of the frames is guessed from the labels. {error}"
        return replace(choice, reasons=(note, *choice.reasons))


def train(
    labels: FilePath | Project,
    out: FilePath,
    *,
    pipeline: str | None = None,
    preset: str | None = None,
    frames: str | None = None,
    config: RunConfig | None = None,
    overrides: Sequence[str] = (),
    max_minutes: float | None = None,
    seed: int | None = None,
    resume: FilePath | Sequence[FilePath] | None = None,
    split_like: FilePath | None = None,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> Run:
    """Train networks on labelled frames and write a run folder.

    Parameters
    ----------
    labels : path or Project
        Labels of any known format. Of a training package, the configuration in it is
        used where none of `config`, `resume`, `pipeline` and `preset` is given.
    out : path
        The run folder to make.
    pipeline, preset : str, optional
        As in `choose`, by default "auto" and "balanced"; without effect where `config`
        or `resume` is given, but that `preset` chooses what models of SLEAP do not say.
    frames : str, optional
        Learn only from the labels and the empty frames among these, as
        `parse_frames_of_videos` reads them.
    config : RunConfig, optional
        Instead of choosing one from the labels.
    overrides : sequence of str
        ``section.key=value`` changes to the configuration, as `config.override` takes.
    max_minutes : float, optional
        Wall-clock limit, from this call to its return.
    seed : int, optional
    resume : path or sequence of paths, optional
        A run folder whose configuration and weights to start from, or models of SLEAP
        whose networks and weights to start from; see `start.open_start`. A run that was
        stopped before all its networks were trained is completed. Otherwise the result is
        never worse on the validation frames than what it started from, unless that lacked
        something: edges that are new, points or fields that a model of SLEAP does not have.
    split_like : path, optional
        A run whose held-out frames to hold out again, so that the two can be compared;
        of frames that it did not have, the same share is held out. By default the run of
        `resume`.
    on_event, should_stop : callable
        As `jobs.run` gives them; `training_events` says what is told. `STOP_EARLY` keeps
        the best weights so far. Asked while the first of two networks is trained, it leaves
        a folder that holds this one whole and cannot predict: `resume` then trains only
        what is missing.

    Returns
    -------
    Run

    Raises
    ------
    AnimalPoseError
        For labels, configurations and folders that cannot be used, before anything is
        written.
    CancelledError
        If asked to cancel; the folder is removed again.
    """
    started = time.monotonic()
    project = labels if isinstance(labels, Project) else read(labels)
    learned = training_labels(project, frames)
    if config is None and resume is None and pipeline is None and preset is None:
        config = read_packaged_config(project.path)
    pipeline, preset = pipeline or "auto", preset or "balanced"
    initial = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "labels": project.path,
               "pipeline": pipeline, "preset": preset, "frames": frames, "seed": seed,
               "max_minutes": max_minutes, "overrides": list(overrides),
               "resume": name_start(resume),
               "split_like": None if split_like is None else fspath(split_like),
               "config": None if config is None else config.to_dict()}  # fmt: skip
    empty = empty_frames(project, learned, frames)
    measures = measure_project(project, learned, empty)
    start = None if resume is None else open_start(resume)
    if start is not None:
        start.check_skeleton(project.skeleton)
    resolved, reasons = _resolve(learned, measures, pipeline, preset, config, start)
    if max_minutes is not None:
        overrides = [*overrides, f"train.max_minutes={max_minutes}"]
    if seed is not None:
        overrides = [*overrides, f"train.seed={seed}"]
    resolved = override(resolved, overrides)
    check_config(resolved)
    own_crops = config is not None or any("crop_px" in text for text in overrides)
    resolved, fitted = fit_crops(resolved, learned, may_change=start is None and not own_crops)
    reasons = (*reasons, *fitted)
    check_classes(resolved, learned)
    _check_pipeline(resolved, measures, project.skeleton)
    if start is not None:
        _check_finished(resolved, start)
    else:
        _fetch_weights(resolved, on_event, should_stop)
    keys = [(int(v), int(f)) for v, f in learned.frame_keys()]
    settings = resolved.train
    fractions = settings.validation_fraction, settings.test_fraction
    earlier = _read_earlier_split(project, start, split_like)
    split = split_frames(keys, *fractions, settings.seed, earlier)
    without = split_empty_frames(empty, *fractions, settings.seed, earlier)
    for part, frames_of_part in without.items():
        split[part] = sorted([*split[part], *frames_of_part])
    check_learned_classes(resolved, learned, select_frames(learned, split["train"]))
    folder = RunFolder(out)
    folder.create()
    with folder.remove_if_useless():
        folder.write_config(resolved)
        write_json(folder.path / "initial_config.json", initial)
        write_json(folder.path / "versions.json", versions())
        folder.write_skeleton(project.skeleton)
        folder.write_split(split)
        project = keep_images(project, folder.path)
        used = project.replace(poses=learned, negative_frames=empty, extras=None)
        write_labels(used, folder.path / "labels.slp")
        judges = _choose_judges(split, None if start is None else earlier, keys)
        if len(judges) < len(split["validation"]):
            reasons = (*reasons, _explain_judges(len(judges)))
        reasons = (*reasons, *describe_contradictions(project, learned))
        for reason in reasons:  # said only now that nothing is left to refuse
            on_event(Log(logging.INFO, reason))
        session = TrainingSession(
            project, learned, resolved, measures, split, folder, started, judges
        )
        session.announce(reasons, start, name_start(resume), on_event)
        session.train_networks(start, on_event, should_stop)
        metrics = session.evaluate_held_out(on_event, should_stop)
    return Run(folder.path, resolved, metrics)


def _resolve(
    labels: Poses,
    measures: LabelMeasures,
    pipeline: str,
    preset: str,
    config: RunConfig | None,
    start: Start | None,
) -> tuple[RunConfig, tuple[str, ...]]:
    """Return the configuration before any changes, and the reasons if it was chosen."""
    if start is not None:
        return start.configure(measures, preset)
    if config is not None:
        return config, ()
    check_tracks(labels, pipeline)
    choice = choose_config(measures, preset, pipeline)
    return choice.config, choice.reasons


def check_config(config: RunConfig) -> None:
    """Check what belongs together in a configuration, before anything is built of it.

    Raises
    ------
    ConfigError
        For an unknown pipeline, networks other than those that it needs, and backbones,
        options or output strides that do not exist.
    """
    needed = PIPELINES.get(config.pipeline).heads
    if set(config.networks) != set(needed):
        raise ConfigError(
            f"Expected the networks {', '.join(needed)} for the pipeline {config.pipeline}; "
            f"received {', '.join(config.networks) or 'none'}. Choose another pipeline with "
            "--pipeline, or make a configuration for it."
        )
    for model in config.networks.values():
        backbone_options(model)


def _check_pipeline(config: RunConfig, measures: LabelMeasures, skeleton: Skeleton) -> None:
    if config.pipeline == "single" and measures.animals_per_frame > 1:
        raise DataError(
            f"Expected one animal in a frame for the pipeline single; received up to "
            f"{measures.animals_per_frame}. Choose another pipeline."
        )
    if "multi_instance" in config.networks:
        check_joinable(skeleton)


def _check_finished(config: RunConfig, start: Start) -> None:
    for name, folder in start.finished.items():
        if config.networks[name] != folder.read_config().networks[name]:
            raise ConfigError(
                f"Expected the network {name} as it was trained in {str(folder.path)!r}; received "
                "another configuration of it. Leave it as it is, or train from the start."
            )


def _read_earlier_split(
    project: Project, start: Start | None, split_like: FilePath | None
) -> dict[str, list[Key]] | None:
    """Return how frames were divided before, None where nobody says so."""
    if split_like is not None:
        return read_split_of(open_run(split_like), project)
    return None if start is None else start.read_split(project)


def _choose_judges(
    split: dict[str, list[Key]], earlier: dict[str, list[Key]] | None, labelled: Sequence[Key]
) -> list[Key]:
    """Return the validation frames that say which weights are best.

    Where training goes on from a run, those that it held out itself, if two of them at
    least are labelled: in empty frames there is no distance to measure. Newer labels may be
    its own predictions, which a person has looked through: by these, no other weights could
    ever be better.
    """
    held_out = split["validation"]
    if earlier is None:
        return held_out
    known = set(earlier.get("validation", ()))
    old = [key for key in held_out if key in known]
    return old if len(set(old) & set(labelled)) >= LEAST_JUDGES else held_out


def _explain_judges(n_frames: int) -> str:
    return (
        f"Which weights are best is judged by the {n_frames} validation frames of the run before: "
        "newer labels may be its own predictions, looked through, and would favour it. The figures "
        "at the end are of all validation frames."
    )


def _fetch_weights(
    config: RunConfig, on_event: Callable[[Event], None], should_stop: Callable[[], StopRequest]
) -> None:
    """Find or download the weights that encoders start from, before any other work."""

    def report(done: int, total: int | None) -> None:
        on_event(Progress("download weights", done, total))
        if should_stop() is StopRequest.CANCEL:
            raise CancelledError("The download of weights was cancelled; nothing was kept.")

    for model in config.networks.values():
        find_weights(model, report)
