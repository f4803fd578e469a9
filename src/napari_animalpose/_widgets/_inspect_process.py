"""The child process that keeps a model warm and looks at the frame that a person is at."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_animalpose import jobs
from napari_animalpose._widgets._worker import call_when_destroyed
from napari_animalpose.config import PredictConfig
from napari_animalpose.nn.inspection import Inspection
from napari_animalpose.pipeline.inspection import InspectRequest, open_inspector

__all__ = ["Answer", "InspectProcess", "start_worker"]

BUSY_MS, IDLE_MS = 8, 200  # how often the worker is asked for news
REMEMBERED = 12  # frames to which a step back is instant
NICE = 2


class WorkerLike(Protocol):
    """What is used of a `jobs.Worker`."""

    @property
    def is_ready(self) -> bool: ...
    @property
    def is_busy(self) -> bool: ...
    @property
    def outcome(self) -> jobs.Failed | jobs.Cancelled | None: ...
    def ask(self, request: InspectRequest) -> jobs.Ticket: ...
    def poll(self) -> list[jobs.Ticket]: ...
    def close(self) -> None: ...


def start_worker(models: tuple[Path, ...], config: PredictConfig) -> WorkerLike:
    """Start the child that loads the models."""
    return jobs.Worker(open_inspector, list(models), config, nice=NICE)


class Answer(NamedTuple):
    """What came back for a request.

    inspection : Inspection
    seconds : float
        From asking to having it here; 0 for a frame that was remembered.
    was_loading : bool
        Whether the model was not loaded yet when it was asked.
    """

    inspection: Inspection
    seconds: float
    was_loading: bool = False


class InspectProcess(QObject):
    """One warm child process, as Qt signals; the newest request wins.

    Parameters
    ----------
    parent : QObject, optional
        The child ends with it at the latest.
    start : callable, optional
        ``start(models, config)`` returns a worker; by default `start_worker`.

    Attributes
    ----------
    answered : Signal(object)
        An `Answer` to the newest request.
    failed : Signal(str)
        The newest request has no answer, and why; the child goes on.
    changed : Signal()
        `state` or `problem` is another.
    """

    answered = Signal(object)
    failed = Signal(str)
    changed = Signal()

    def __init__(
        self,
        parent: QObject | None = None,
        start: Callable[[tuple[Path, ...], PredictConfig], WorkerLike] | None = None,
    ) -> None:
        super().__init__(parent)
        self._start = start or start_worker
        self._worker: WorkerLike | None = None
        self._models: tuple[Path, ...] = ()
        self.problem = ""
        self._state = "off"
        self._newest: jobs.Ticket | None = None
        self._asked: dict[int, tuple[float, Any, bool]] = {}  # by ticket: when, key, loading
        self._known: OrderedDict[Any, Inspection] = OrderedDict()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._poll)
        holder: list[Any] = [None]
        self._holder = holder
        call_when_destroyed(self, partial(_close, holder))

    @property
    def state(self) -> str:
        """``off``, ``starting``, ``ready``, ``busy`` or ``dead``."""
        worker = self._worker
        if worker is None:
            return "dead" if self.problem else "off"
        if not worker.is_ready:
            return "starting"
        return "busy" if self._newest is not None else "ready"

    @property
    def models(self) -> tuple[Path, ...]:
        """What the child has loaded; empty without a child."""
        return self._models

    def start(self, models: tuple[Path, ...], config: PredictConfig) -> None:
        """Start a child for these models; one that has others loaded ends."""
        if self._worker is not None and models == self._models:
            return
        self.stop()
        self._worker, self._models, self.problem = self._start(models, config), models, ""
        self._holder[0] = weakref.ref(self._worker)
        self._timer.start(IDLE_MS)
        self._tell()

    def stop(self) -> None:
        """End the child and forget what it said."""
        worker, self._worker = self._worker, None
        self._holder[0] = None
        self._models, self._newest, self.problem = (), None, ""
        self._asked.clear()
        self._known.clear()
        self._timer.stop()
        if worker is not None:
            worker.close()
        self._tell()

    def ask(self, request: InspectRequest, key: Any = None) -> None:
        """Ask for a frame.

        Parameters
        ----------
        request : InspectRequest
        key : hashable, optional
            Of all that the answer depends on. What was answered lately under the same key
            comes at once. None is asked anew each time.
        """
        worker = self._worker
        if worker is None:
            return
        known = self._known.get(key) if key is not None else None
        if known is not None:
            self._known.move_to_end(key)
            self._newest = None
            self._tell()
            self.answered.emit(Answer(known, 0.0))
            return
        self._newest = worker.ask(request)
        self._asked[self._newest.number] = perf_counter(), key, not worker.is_ready
        self._timer.setInterval(BUSY_MS)
        self._tell()

    def forget(self) -> None:
        """Wait for no answer any more."""
        self._newest = None
        self._tell()

    def _poll(self) -> None:
        worker = self._worker
        if worker is None:
            return
        for ticket in worker.poll():
            self._finish(ticket)
            if worker is not self._worker:
                return  # whoever was told has ended or replaced it
        if isinstance(worker.outcome, jobs.Failed):
            message = worker.outcome.message
            self.stop()
            self.problem = message
        elif not worker.is_busy:
            self._timer.setInterval(IDLE_MS)
        self._tell()

    def _finish(self, ticket: jobs.Ticket) -> None:
        """Keep an answer, and pass it on if it is to the newest request."""
        began, key, was_loading = self._asked.pop(ticket.number)
        is_newest = ticket is self._newest
        if is_newest:
            self._newest = None
        match ticket.outcome:
            case jobs.Result(value):
                if key is not None:
                    self._known[key] = value
                    while len(self._known) > REMEMBERED:
                        self._known.popitem(last=False)
                if is_newest:
                    self.answered.emit(Answer(value, perf_counter() - began, was_loading))
            case jobs.Failed(message) if is_newest and self._is_alive:
                self.failed.emit(message)

    @property
    def _is_alive(self) -> bool:
        return self._worker is not None and self._worker.outcome is None

    def _tell(self) -> None:
        state = self.state
        if state != self._state:
            self._state = state
            self.changed.emit()


def _close(holder: list[Any]) -> None:
    """End a child whose owner is gone."""
    worker = holder[0]() if holder[0] is not None else None
    if worker is not None:
        worker.close()
