"""From labels to a run folder with trained networks."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import RunConfig, override
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import CancelledError, ConfigError, DataError, VideoError
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.package import keep_images, read_packaged_config
from napari_animalpose.io.runs import RunFolder, versions, write_json
from napari_animalpose.jobs import (
    Event,
    Log,
    Metric,
    Preview,
    Progress,
    StopRequest,
    ignore_event,
    never_stop,
)
from napari_animalpose.nn.autoconfig import Choice, LabelMeasures, choose_config, measure_labels
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.grouping import check_joinable
from napari_animalpose.nn.heads import LANDMARKS, PIPELINES
from napari_animalpose.nn.metrics import evaluate, measure_naming
from napari_animalpose.nn.pretrained import find_weights
from napari_animalpose.pipeline.files import read, select_frames
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

if TYPE_CHECKING:
    from napari_animalpose.nn.models.tensorboard import TensorBoardLog

__all__ = ["Run", "check_config", "choose", "train"]

FilePath = str | PathLike[str]
Key = tuple[int, int]


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
        whose networks and weights to start from; see `start.open_start`.
    on_event, should_stop : callable
        As `jobs.run` gives them. `StopRequest.STOP_EARLY` keeps the best weights so far.

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
    initial = {"pipeline": pipeline, "preset": preset, "frames": frames, "seed": seed,
               "max_minutes": max_minutes, "overrides": list(overrides),
               "resume": name_start(resume),
               "config": None if config is None else config.to_dict()}  # fmt: skip
    empty = empty_frames(project, learned, frames)
    measures = measure_project(project, learned, empty)
    start = None if resume is None else open_start(resume)
    resolved, reasons = _resolve(learned, measures, pipeline, preset, config, start)
    if max_minutes is not None:
        overrides = [*overrides, f"train.max_minutes={max_minutes}"]
    if seed is not None:
        overrides = [*overrides, f"train.seed={seed}"]
    resolved = override(resolved, overrides)
    check_config(resolved)
    check_classes(resolved, learned)
    _check_pipeline(resolved, measures, project.skeleton)
    if start is not None:
        start.check_skeleton(project.skeleton)
    else:
        _fetch_weights(resolved, on_event, should_stop)
    keys = [(int(v), int(f)) for v, f in learned.frame_keys()]
    settings = resolved.train
    fractions = settings.validation_fraction, settings.test_fraction
    split = split_frames(keys, *fractions, settings.seed)
    for part, frames_of_part in split_empty_frames(empty, *fractions, settings.seed).items():
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
        reasons = (*reasons, *describe_contradictions(project, learned))
        for reason in reasons:  # said only now that nothing is left to refuse
            on_event(Log(logging.INFO, reason))
        session = _Session(project, learned, resolved, measures, split, folder, started)
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


class _Session:
    """One call of `train` after everything has been checked."""

    def __init__(
        self,
        project: Project,
        labels: Poses,
        config: RunConfig,
        measures: LabelMeasures,
        split: dict[str, list[Key]],
        folder: RunFolder,
        started: float,
    ) -> None:
        self.project = project
        self.labels = labels
        self.config = config
        self.measures = measures
        self.split = split
        self.folder = folder
        self.started = started

    def train_networks(
        self,
        start: Start | None,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], StopRequest],
    ) -> None:
        """Train each network in turn and keep its best weights in the folder."""
        from napari_animalpose.nn.models.preparation import prepare
        from napari_animalpose.nn.models.tensorboard import TensorBoardLog
        from napari_animalpose.nn.training import Checkpoint, Trainer

        reserve_s = 0.0  # for looking at the held-out frames with all networks in the end
        for name in PIPELINES.get(self.config.pipeline).heads:
            if should_stop() is StopRequest.STOP_EARLY and any(self.folder.trained()):
                on_event(Log(logging.WARNING, f"Stopped before the network {name} was trained."))
                continue
            data = prepare(
                self.project.videos, self.labels, self.split, self.config, name,
                self.measures.size_px, on_event, should_stop,
            )  # fmt: skip
            log = TensorBoardLog(self.folder.path / "tensorboard" / name)
            with closing(data.store), closing(log):

                def keep(best: Checkpoint, name: str = name) -> None:
                    self.folder.write_weights(name, best.weights)
                    self.folder.write_state(name, best.raw, best.optimizer)

                began = time.monotonic()
                trainer = Trainer(
                    self.config, self.project.skeleton, name, data,
                    started=self.started, on_event=self._record(name, log, on_event),
                    should_stop=should_stop, on_best=keep,
                )  # fmt: skip
                if start is None:
                    trainer.start_from_file()
                else:
                    start.restore(trainer, name)
                log.write_graph(trainer.forward.trace())
                reserve_s += time.monotonic() - began  # the network will be built once more
                trainer.schedule.limit_s = self._limit_seconds(name, reserve_s)
                trainer.run()
                reserve_s += trainer.schedule.reserve_s

    def _record(
        self, name: str, log: TensorBoardLog, on_event: Callable[[Event], None]
    ) -> Callable[[Event], None]:
        """Return a handler that keeps the events of one network in the logs and passes them on."""

        def handle(event: Event) -> None:
            if isinstance(event, Metric):
                self.folder.append_log({"network": name, "step": event.step, **event.values})
                log.write_scalars(event.step, event.values)
            elif isinstance(event, Preview):
                log.write_image(event.name, partial(self._picture, event.arrays, name))
            on_event(event)

        return handle

    def _limit_seconds(self, name: str, reserve_s: float) -> float:
        """Return when a network has to be done, in seconds from the start; 0 for no limit.

        What is left of `max_minutes` is divided among this network and those after it,
        so that time that one does not need goes to the next.
        """
        limit_s = self.config.train.max_minutes * 60
        if not limit_s:
            return 0.0
        share = PIPELINES.get(self.config.pipeline).share_of_rest(name)
        passed = time.monotonic() - self.started
        return passed + max(1.0, share * (limit_s - reserve_s - passed))

    def _picture(self, arrays: Any, name: str) -> NDArray[np.uint8]:
        """Draw a validation frame with labels, predictions and confidence maps."""
        from napari_animalpose.drawing.canvas import figure_to_rgb
        from napari_animalpose.drawing.comparison import draw_validation_preview

        stride = self.config.networks[name].output_stride
        figure = draw_validation_preview(
            arrays["frame"], arrays["truth"], arrays["points"], arrays["maps"],
            stride, LANDMARKS.get(name, self.project.skeleton),
        )  # fmt: skip
        return figure_to_rgb(figure)

    def evaluate_held_out(
        self, on_event: Callable[[Event], None], should_stop: Callable[[], StopRequest]
    ) -> dict[str, Any]:
        """Predict the held-out frames with the best weights and write the accuracy.

        Empty where the run was stopped before all networks were trained.
        """
        from napari_animalpose.pipeline.prediction import predict

        metrics: dict[str, Any] = {}
        if set(self.folder.trained()) < set(self.config.networks):
            return metrics

        def unless_cancelled() -> StopRequest:  # stopping early is about training
            cancelled = should_stop() is StopRequest.CANCEL
            return StopRequest.CANCEL if cancelled else StopRequest.NONE

        for part in ("validation", "test"):
            if not self.split.get(part):
                continue
            on_event(Progress(f"evaluate {part}", 0, None))
            predicted = predict(
                self.project, self.folder.path, split=part, should_stop=unless_cancelled
            )
            truth = select_frames(self.labels, self.split[part])
            frames = np.array(self.split[part])
            metrics[part] = evaluate(predicted.poses, truth, frames=frames).to_dict()
            if self.config.classes:
                metrics[part] |= measure_naming(predicted.poses, truth).to_dict()
            write_labels(predicted, self.folder.path / f"predictions.{part}.slp")
            on_event(Progress(f"evaluate {part}", 1, 1))
        metrics["seconds"] = time.monotonic() - self.started
        write_json(self.folder.path / "metrics.json", metrics)
        return metrics
