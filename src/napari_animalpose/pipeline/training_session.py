"""Training the networks of a run one after the other, and looking at what they have learned."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import RunConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.runs import RunFolder, write_json
from napari_animalpose.jobs import Event, Log, Metric, Part, Preview, Progress, StopRequest
from napari_animalpose.nn.autoconfig import LabelMeasures
from napari_animalpose.nn.heads import LANDMARKS, PIPELINES
from napari_animalpose.nn.metrics import evaluate, measure_naming
from napari_animalpose.nn.validation import ValidationExample
from napari_animalpose.pipeline.files import select_frames
from napari_animalpose.pipeline.start import Start
from napari_animalpose.pipeline.training_events import (
    NETWORK,
    PLAN,
    NetworkStart,
    TrainingPlan,
)

if TYPE_CHECKING:
    from napari_animalpose.nn.models.tensorboard import TensorBoardLog
    from napari_animalpose.nn.training import Trainer

__all__ = ["TrainingSession"]

Key = tuple[int, int]


class TrainingSession:
    """One call of `pipeline.train` after everything has been checked.

    Parameters
    ----------
    project : Project
    labels : Poses
        What is learned from and checked with.
    config : RunConfig
    measures : LabelMeasures
    split : dict
        (video, frame) for ``train``, ``validation`` and ``test``.
    folder : RunFolder
        Holds everything but networks and metrics.
    started : float
        `time.monotonic` of the beginning.
    judges : sequence of (video, frame), optional
        Validation frames that say which weights are best; by default all.
    """

    def __init__(
        self,
        project: Project,
        labels: Poses,
        config: RunConfig,
        measures: LabelMeasures,
        split: dict[str, list[Key]],
        folder: RunFolder,
        started: float,
        judges: Sequence[Key] | None = None,
    ) -> None:
        self.project = project
        self.labels = labels
        self.config = config
        self.measures = measures
        self.split = split
        self.folder = folder
        self.started = started
        self.judges = split["validation"] if judges is None else list(judges)
        self.queue = PIPELINES.get(config.pipeline).heads

    def announce(
        self,
        reasons: Sequence[str],
        start: Start | None,
        started_from: str | list[str] | None,
        on_event: Callable[[Event], None],
    ) -> None:
        """Say what is going to be trained."""
        plan = TrainingPlan(
            path=self.folder.path,
            config=self.config,
            reasons=tuple(reasons),
            networks=self.queue,
            finished=() if start is None else tuple(start.finished),
            n_frames={part: len(frames) for part, frames in self.split.items()},
            n_instances=len(self.labels),
            started_from=started_from,
        )
        on_event(Part(PLAN, plan))

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
        finished = {} if start is None else start.finished
        for name in self.queue:
            if name in finished:
                self.folder.copy_network(finished[name], name)
                continue
            goes_on = start is not None and start.knows(name)
            stopped = should_stop() is StopRequest.STOP_EARLY and any(self.folder.trained())
            if stopped and not goes_on:  # one that goes on keeps what it started from, at once
                on_event(Log(logging.WARNING, self._tell_missing(name)))
                continue
            data = prepare(
                self.project.videos, self.labels, {**self.split, "validation": self.judges},
                self.config, name, self.measures.size_px, on_event, should_stop,
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
                on_event(Part(NETWORK, self._describe(trainer)))
                if start is None:
                    trainer.start_anew()
                else:
                    start.restore(trainer, name)
                log.write_graph(trainer.forward.trace())
                reserve_s += time.monotonic() - began  # the network will be built once more
                trainer.schedule.limit_s = self._limit_seconds(name, reserve_s)
                trainer.run()
                reserve_s += trainer.schedule.reserve_s

    def _tell_missing(self, name: str) -> str:
        return (
            f"Stopped before the network {name} was trained: nothing can be predicted yet. To "
            f"train what is missing: animalpose train LABELS -o NEW --resume {self.folder.path}"
        )

    def _describe(self, trainer: Trainer) -> NetworkStart:
        from napari_animalpose.nn.models.network import describe_device

        kind, device = describe_device()
        return NetworkStart(
            name=trainer.name,
            number=self.queue.index(trainer.name),
            count=len(self.queue),
            device_kind=kind,
            device=device,
            precision=trainer.precision,
            n_parameters=int(trainer.network.count_params()),
            n_steps=trainer.schedule.total_steps,
            n_examples=len(trainer.data.train),
            n_validation=len(trainer.data.validation),
            window=(trainer.data.window[0], trainer.data.window[1]),
        )

    def _record(
        self, name: str, log: TensorBoardLog, on_event: Callable[[Event], None]
    ) -> Callable[[Event], None]:
        """Return a handler that keeps the events of one network in the logs and passes them on."""
        began = time.monotonic()

        def handle(event: Event) -> None:
            if isinstance(event, Metric):
                figures = {k: v for k, v in event.values.items() if not k.startswith("best_")}
                self.folder.append_log({"network": name, "step": event.step, **figures})
                log.write_scalars(event.step, figures)
            elif isinstance(event, Preview):
                log.write_image(event.name, partial(self._picture, event.arrays, name))
            elif isinstance(event, Progress) and event.eta_s is not None:
                passed = time.monotonic() - began
                left = self._seconds_left(name, passed, event.eta_s)
                event = replace(event, whole_eta_s=left)
            on_event(event)

        return handle

    def _seconds_left(self, name: str, passed_s: float, left_s: float) -> float:
        """Return the time to the end of the whole run, as one network lets expect it.

        Those after it are taken to need their share of the time, as `Pipeline.shares` says.
        """
        share = PIPELINES.get(self.config.pipeline).share_of_rest(name)
        left_s += (passed_s + left_s) * (1 / share - 1)
        limit_s = self.config.train.max_minutes * 60
        if not limit_s:
            return left_s
        rest_s = max(0.0, limit_s - (time.monotonic() - self.started))
        return rest_s if math.isnan(left_s) else min(left_s, rest_s)

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

    def _picture(self, arrays: Mapping[str, Any], name: str) -> NDArray[np.uint8]:
        """Draw the first of the validation examples with labels, predictions and maps."""
        from napari_animalpose.drawing.canvas import figure_to_rgb
        from napari_animalpose.drawing.comparison import draw_validation_preview

        example: ValidationExample = arrays["examples"][0]
        skeleton = LANDMARKS.get(name, self.project.skeleton)
        figure = draw_validation_preview(
            example.frame, example.truth, example.points, example.maps(len(skeleton)),
            arrays["stride"], skeleton,
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
        if self.folder.untrained():
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
