"""The trainings of a session: what runs, what it has said, how it ended.

A training belongs to the session and not to a dock: a dock that is closed and opened
again shows the same run, with everything that it said in between.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_animalpose import jobs
from napari_animalpose._widgets._worker import QtJob
from napari_animalpose.config import RunConfig
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.nn.heads import PIPELINES
from napari_animalpose.pipeline.training import train
from napari_animalpose.pipeline.training_events import NETWORK, PLAN, NetworkStart, TrainingPlan

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session
    from napari_animalpose.pipeline.document import Document

__all__ = ["Runs", "TrainingRun", "get_runs"]

NICE = 5  # a training yields to the window that one works in
LOG_LINES = 2000
CANCEL_S = 2.5  # after which a cancelled child is gone


def get_runs(session: Session) -> Runs:
    """Return the trainings of a session, made on first use."""
    found = session.findChild(Runs)
    return found if isinstance(found, Runs) else Runs(session)


class TrainingRun(QObject):
    """One training and everything that it has said so far.

    Parameters
    ----------
    worker : QtJob
        Runs `pipeline.train`.
    out : Path
        Its run folder.
    config : RunConfig, optional
        As far as it is known when it starts.
    skeleton : Skeleton, optional
        Of the labels.
    document : Document, optional
        The project of the labels.

    Attributes
    ----------
    changed : Signal()
        There is anything new.
    previewed : Signal(str)
        The name of a preview that is new.
    ended : Signal()
        It is done, failed or cancelled; `state` says which.
    """

    changed = Signal()
    previewed = Signal(str)
    ended = Signal()

    def __init__(
        self,
        worker: QtJob,
        out: Path,
        config: RunConfig | None = None,
        skeleton: Skeleton | None = None,
        document: Document | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.worker = worker
        worker.setParent(self)
        self.out, self.config, self.skeleton = out, config, skeleton or Skeleton(())
        self._document = None if document is None else weakref.ref(document)
        self._project_path = None if document is None else document.path
        self._was_there = out.exists()  # the child has yet to make it
        self.plan: TrainingPlan | None = None
        self.starts: dict[str, NetworkStart] = {}
        self.history: dict[str, list[Mapping[str, float]]] = {}
        self.previews: dict[str, Mapping[str, Any]] = {}
        self.log: list[tuple[int, str]] = []
        self.progress: jobs.Progress | None = None
        self.failure: jobs.Failed | None = None
        self.result: Any = None
        self.is_stopping = False
        self.kept = False  # whether a failed training has left networks that learned
        self._progress_at = time.monotonic()
        worker.progress.connect(self._on_progress)
        worker.metric.connect(self._on_metric)
        worker.part.connect(self._on_part)
        worker.preview.connect(self._on_preview)
        worker.log.connect(self._on_log)
        worker.result.connect(self._on_result)
        worker.failed.connect(self._on_failed)
        worker.cancelled.connect(self.remove_rest)
        worker.finished.connect(self._on_finished)

    # ------------------------------------------------------------------------------ asking
    @property
    def name(self) -> str:
        """Name of the run folder."""
        return self.out.name

    @property
    def is_running(self) -> bool:
        """Whether the child is at work."""
        return self.worker.is_running

    @property
    def state(self) -> str:
        """``running``, ``stopping``, ``cancelling``, ``done``, ``failed`` or ``cancelled``."""
        if self.is_running:
            if self.worker.is_cancelled:
                return "cancelling"
            return "stopping" if self.is_stopping else "running"
        if self.failure is not None:
            return "failed"
        return "done" if isinstance(self.worker.outcome, jobs.Result) else "cancelled"

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks in the order in which they are trained."""
        if self.plan is not None:
            return self.plan.networks
        if self.config is not None:
            return PIPELINES.get(self.config.pipeline).heads
        return tuple(self.history)

    @property
    def network(self) -> str:
        """The network that is being trained, or was last; "" before the first."""
        return next(reversed(self.starts), "")

    def has_finished(self, network: str) -> bool:
        """Whether a network needs no more training."""
        if self.plan is not None and network in self.plan.finished:
            return True
        return network in self.starts and (network != self.network or self.state == "done")

    @property
    def is_usable(self) -> bool:
        """Whether it can predict: done, and not stopped before all its networks were trained."""
        return self.state == "done" and bool(self.result.metrics)

    def belongs_to(self, document: Document | None) -> bool:
        """Whether it learns from the labels of a project, which may have been opened anew."""
        if document is None:
            return False
        is_same = self._document is not None and self._document() is document
        return is_same or (document.path is not None and document.path == self._project_path)

    @property
    def seconds_left(self) -> float:
        """Estimated seconds to the end of the whole training; NaN where it is not known."""
        if not self.is_running or self.progress is None:
            return math.nan
        told = self.progress.whole_eta_s
        if told is None:
            told = self.progress.eta_s
        if told is None or not math.isfinite(told):
            return math.nan
        return max(0.0, told - (time.monotonic() - self._progress_at))

    def column(self, network: str, name: str) -> tuple[list[float], list[float]]:
        """Return (epochs, values) of one figure of a network; NaN where it has none."""
        rows = self.history.get(network, [])
        return (
            [row.get("epoch", math.nan) for row in rows],
            [row.get(name, math.nan) for row in rows],
        )

    def best(self, network: str) -> tuple[float, float] | None:
        """Return (epoch, error in px) of the best epoch of a network so far, if there is one."""
        rows = self.history.get(network, [])
        if not rows or not math.isfinite(rows[-1].get("best_error_px", math.nan)):
            return None
        return rows[-1]["best_epoch"], rows[-1]["best_error_px"]

    # ---------------------------------------------------------------------------- stopping
    def stop_early(self) -> None:
        """Ask it to finish with the best that it has."""
        self.is_stopping = True
        self.worker.stop()
        self.changed.emit()

    def cancel(self) -> None:
        """Stop it and keep nothing."""
        self.worker.cancel()
        self.changed.emit()

    # ----------------------------------------------------------------------------- hearing
    def _on_progress(self, progress: jobs.Progress) -> None:
        self.progress = progress
        self._progress_at = time.monotonic()
        self.changed.emit()

    def _on_metric(self, metric: jobs.Metric) -> None:
        source = metric.source or self.network
        self.history.setdefault(source, []).append({"step": metric.step, **metric.values})
        self.changed.emit()

    def _on_part(self, part: jobs.Part) -> None:
        if part.name == PLAN:
            self.plan, self.config = part.value, part.value.config
        elif part.name == NETWORK:
            self.starts[part.value.name] = part.value
        self.changed.emit()

    def _on_preview(self, preview: jobs.Preview) -> None:
        self.previews[preview.name] = preview.arrays
        self.previewed.emit(preview.name)

    def _on_log(self, log: jobs.Log) -> None:
        self.log.append((log.level, log.message))
        del self.log[:-LOG_LINES]
        self.changed.emit()

    def _on_result(self, run: Any) -> None:
        self.result = run

    def _on_failed(self, failed: jobs.Failed) -> None:
        self.failure = failed
        self._remove_if_useless()
        self.log.append((logging.ERROR, failed.message))

    def _remove_if_useless(self) -> None:
        """Remove what a killed child could not: its folder, if nothing in it was learned.

        A plan says that the folder was new, and that the child has made it.
        """
        self.kept = self.plan is not None and bool(RunFolder(self.out).trained())
        if self.plan is not None and not self.kept:
            shutil.rmtree(self.out, ignore_errors=True)

    def remove_rest(self) -> None:
        """Remove what a cancelled child has left, which is nothing if it had time enough.

        Without a plan, the folder may be one that the child would have refused: it is the
        child's only if it is new and nothing in it was learned.
        """
        is_own = self.plan is not None or not (self._was_there or RunFolder(self.out).trained())
        if is_own:
            shutil.rmtree(self.out, ignore_errors=True)

    def _on_finished(self) -> None:
        self.changed.emit()
        self.ended.emit()


class Runs(QObject):
    """The trainings of a session; only one is at work at a time.

    Attributes
    ----------
    started : Signal(object)
        A `TrainingRun` that has begun.
    changed : Signal()
        Anything is new in the training that is at work.
    ended : Signal(object)
        A `TrainingRun` that is done, failed or cancelled.
    train_finished : Signal(object)
        The path of a run folder of the open project that can be used now.
    predict_requested : Signal(object)
        A person wants to predict with the run folder at this path.
    """

    started = Signal(object)
    changed = Signal()
    ended = Signal(object)
    train_finished = Signal(object)
    predict_requested = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self.runs: list[TrainingRun] = []
        session.add_close_check(self.may_close)

    @property
    def current(self) -> TrainingRun | None:
        """The training that is at work or was last; None before the first."""
        return self.runs[-1] if self.runs else None

    @property
    def running(self) -> TrainingRun | None:
        """The training that is at work."""
        current = self.current
        return current if current is not None and current.is_running else None

    def start(
        self,
        project: Project,
        out: Path,
        *,
        config: RunConfig | None = None,
        **options: Any,
    ) -> TrainingRun:
        """Start `pipeline.train` in a child process.

        Parameters
        ----------
        project : Project
            With the labels to learn from, saved or not; pickled here and now.
        out : Path
        config : RunConfig, optional
            What will be trained; given to `train` unless it goes on from a run.
        **options
            Of `train`.

        Raises
        ------
        RuntimeError
            If a training is at work.
        """
        if self.running is not None:
            raise RuntimeError(f"a training is at work in {self.running.out}")
        if "resume" not in options:
            options["config"] = config
        worker = QtJob.start(train, project, out, nice=NICE, **options)
        document = self._session.document
        run = TrainingRun(worker, out, config, project.skeleton, document, parent=self)
        run.changed.connect(self.changed)
        run.ended.connect(self._on_ended)
        self.runs.append(run)
        self.started.emit(run)
        self.changed.emit()
        return run

    def may_close(self) -> bool:
        """Ask whether to end the training that is at work; True if there is none any more."""
        run = self.running
        if run is None:
            return True
        go_on = self._session.dialogs.confirm(
            "Training at work",
            f"The training {run.name} is not finished.",
            "Closing the window cancels it, and nothing of it is kept.",
            yes="Cancel training and close",
        )
        if go_on:
            run.cancel()
            if run.worker.wait(CANCEL_S):  # afterwards nobody is told any more
                run.remove_rest()
        return bool(go_on)

    def _on_ended(self) -> None:
        run = self.current
        assert run is not None
        self.ended.emit(run)
        if run.is_usable and run.belongs_to(self._session.document):
            self.train_finished.emit(run.out)
