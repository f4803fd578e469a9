"""Work in a child process, as Qt signals.

Every dock runs its long work through `QtJob`: a child process (`jobs`), asked from time
to time by a timer of the event loop. No threads touch anything that Qt draws.
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_animalpose import jobs
from napari_animalpose.jobs import Event, Job

__all__ = ["QtJob", "call_when_destroyed"]

POLL_MS = 50
BUDGET_S = 0.02  # of one turn of the event loop; what is left waits for the next


class QtJob(QObject):
    """One child process and what it says, as signals.

    Parameters
    ----------
    job : jobs.Job
        As `jobs.run` returns it; `QtJob.start` makes both.
    parent : QObject, optional
        When it is destroyed, a child that still runs is cancelled.

    Attributes
    ----------
    progress, metric, preview, part, log : Signal(object)
        The events of `jobs` of these names. Of progress that arrived at once, only the
        newest is told.
    result : Signal(object)
        What the function returned.
    failed : Signal(object)
        A `jobs.Failed`: a sentence for the user and details.
    cancelled : Signal()
    finished : Signal()
        After any of the last three; `outcome` is set before them.
    """

    progress = Signal(object)
    metric = Signal(object)
    preview = Signal(object)
    part = Signal(object)
    log = Signal(object)
    result = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    finished = Signal()

    def __init__(self, job: Job, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job = job
        self._pending: deque[Event] = deque()
        self._outcome: jobs.Result | jobs.Failed | jobs.Cancelled | None = None
        self._is_cancelled = False
        self._started = time.monotonic()
        self._ended: float | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        self._timer.start()
        # A running job is kept alive by its own threads.
        call_when_destroyed(self, partial(_cancel_if_running, weakref.ref(job)))

    @classmethod
    def start(
        cls,
        function: Callable[..., Any],
        *args: Any,
        parent: QObject | None = None,
        env: Mapping[str, str] | None = None,
        nice: int = 0,
        **kwargs: Any,
    ) -> QtJob:
        """Start a pipeline function in a child process; see `jobs.run`."""
        return cls(jobs.run(function, *args, env=env, nice=nice, **kwargs), parent)

    @property
    def pid(self) -> int:
        """Process number of the child."""
        return self._job.pid

    @property
    def is_running(self) -> bool:
        """Whether the end has not been told yet."""
        return self._outcome is None

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._is_cancelled

    @property
    def outcome(self) -> jobs.Result | jobs.Failed | jobs.Cancelled | None:
        """How it ended; None before."""
        return self._outcome

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, up to the end."""
        return (self._ended or time.monotonic()) - self._started

    def stop(self) -> None:
        """Ask the work to finish early and return the best that it has."""
        self._job.stop()

    def cancel(self) -> None:
        """Stop within two seconds and keep nothing; `cancelled` tells when it is done."""
        self._is_cancelled = True
        self._job.cancel()

    def wait(self, timeout_s: float) -> bool:
        """Block until the child is gone, for the end of the program; return whether it is."""
        return self._job.join(timeout_s)

    def _poll(self) -> None:
        self._pending.extend(self._job.poll())
        deadline = time.monotonic() + BUDGET_S
        while self._pending and time.monotonic() < deadline:
            event = self._pending.popleft()
            overtaken = isinstance(event, jobs.Progress) and any(
                isinstance(later, jobs.Progress) for later in self._pending
            )
            if not overtaken:
                self._tell(event)

    def _tell(self, event: Event) -> None:
        match event:
            case jobs.Progress():
                self.progress.emit(event)
            case jobs.Metric():
                self.metric.emit(event)
            case jobs.Preview():
                self.preview.emit(event)
            case jobs.Part():
                self.part.emit(event)
            case jobs.Log():
                self.log.emit(event)
            case jobs.Result() | jobs.Failed() | jobs.Cancelled():
                self._finish(event)

    def _finish(self, event: jobs.Result | jobs.Failed | jobs.Cancelled) -> None:
        self._timer.stop()
        self._outcome = event
        self._ended = time.monotonic()
        match event:
            case jobs.Result(value):
                self.result.emit(value)
            case jobs.Failed():
                self.failed.emit(event)
            case _:
                self.cancelled.emit()
        self.finished.emit()


_GUARDS: set[_Guard] = set()


class _Guard:
    """What is called when an object is destroyed; see `call_when_destroyed`."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function, self._guards = function, _GUARDS
        _GUARDS.add(self)

    def __call__(self, *args: object) -> None:
        self._guards.discard(self)
        self._function()


def call_when_destroyed(owner: QObject, function: Callable[[], object]) -> None:
    """Call a function when a Qt object is destroyed, whoever destroys it and when.

    To connect a lambda to ``destroyed`` is not safe: where Python collects the object as
    part of a cycle, the lambda may belong to the same cycle, be cleared first, and crash
    when it is called. What is connected here is held elsewhere until it was called.

    Parameters
    ----------
    owner : QObject
    function : callable
        Must not hold `owner`, which would then never be collected.
    """
    owner.destroyed.connect(_Guard(function))


def _cancel_if_running(reference: weakref.ref[Job]) -> None:
    job = reference()
    if job is not None and job.is_running:
        job.cancel()
