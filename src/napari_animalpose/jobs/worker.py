"""A child process that stays: it sets up once, then answers one request after the other.

For a window that follows what a person looks at: of the requests that come while one is
being answered only the newest is worth an answer. The process itself is a `Job`.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NoReturn, Self, TypeAlias

from napari_animalpose.errors import CancelledError, JobError
from napari_animalpose.jobs.child import TerminatedError
from napari_animalpose.jobs.events import Cancelled, Event, Failed, Result
from napari_animalpose.jobs.failures import explain_exception
from napari_animalpose.jobs.job import start_job

__all__ = ["Outcome", "Superseded", "Ticket", "Worker"]


@dataclass(frozen=True)
class Superseded:
    """The outcome of a request whose place a newer one took before it was looked at."""


Outcome: TypeAlias = Result | Failed | Superseded | Cancelled


class Ticket:
    """One request to a `Worker`.

    Attributes
    ----------
    number : int
        Counts the requests to a worker from 0.
    request
        As it was asked.
    outcome : Result, Failed, Superseded, Cancelled or None
        `Result` holds the answer, `Cancelled` says that the worker was closed before;
        None until then.
    """

    def __init__(self, number: int, request: Any) -> None:
        self.number = number
        self.request = request
        self.outcome: Outcome | None = None

    @property
    def is_done(self) -> bool:
        """Whether there is an outcome."""
        return self.outcome is not None

    def __repr__(self) -> str:
        state = "waits" if self.outcome is None else type(self.outcome).__name__
        return f"<Ticket {self.number}: {state}>"


class Worker:
    """A warm child process that answers requests, the newest first.

    The child is started and set up like a job of `jobs.run`, and ends when this process
    ends. No method blocks unless it says so; all may be called from any thread.

    Parameters
    ----------
    setup : callable
        Of an importable module. The child calls ``setup(*args, **kwargs)`` once; what that
        returns is called with each request and returns its answer.
    *args, **kwargs
        For `setup`; pickled here and now.
    env : mapping of str, optional
        Environment variables set before the child imports anything.
    nice : int
        How much the child yields to other processes, 0 to 19.

    Raises
    ------
    ValueError
        If `setup` belongs to the main module, which a child cannot import.
    pickle.PicklingError, TypeError, AttributeError
        If an argument cannot be pickled.

    Notes
    -----
    An error while one request is answered is the outcome `Failed` of that request; the
    worker goes on. An error of `setup` and the death of the child end it: `outcome` and
    the outcomes of all open and later requests say why.
    """

    def __init__(
        self,
        setup: Callable[..., Callable[[Any], Any]],
        *args: Any,
        env: Mapping[str, str] | None = None,
        nice: int = 0,
        **kwargs: Any,
    ) -> None:
        self._job = start_job(
            _serve, (setup, args, kwargs), {}, env or {}, nice, importable=(setup,), converses=True
        )
        self._changed = threading.Condition()
        self._n_asked = 0
        self._running: Ticket | None = None
        self._waiting: tuple[Ticket, bytes] | None = None
        self._done: list[Ticket] = []
        self._is_ready = False
        self._outcome: Failed | Cancelled | None = None
        threading.Thread(target=self._collect, daemon=True).start()

    # --------------------------------------------------------------------------- state
    @property
    def pid(self) -> int:
        """Process number of the child."""
        return self._job.pid

    @property
    def is_ready(self) -> bool:
        """Whether the child is set up and there."""
        return self._is_ready and self._outcome is None

    @property
    def is_busy(self) -> bool:
        """Whether a request is without an outcome; the first one waits for the setup."""
        return self._running is not None

    @property
    def outcome(self) -> Failed | Cancelled | None:
        """Why the worker ended; None while it lives, `Cancelled` after `close`."""
        return self._outcome

    @property
    def output(self) -> str:
        """The last 64 KiB that the child wrote to its standard output and error."""
        return self._job.output

    # -------------------------------------------------------------------------- asking
    def ask(self, request: Any) -> Ticket:
        """Put a request; one that still waits for an older one to be answered gives way.

        Parameters
        ----------
        request
            Pickled here and now.

        Returns
        -------
        Ticket
            Where the outcome will be. After the end of the worker it is there at once.
        """
        payload = pickle.dumps(request, pickle.HIGHEST_PROTOCOL)
        with self._changed:
            ticket = Ticket(self._n_asked, request)
            self._n_asked += 1
            if self._outcome is not None:
                self._resolve(ticket, self._outcome)
            elif self._running is None:
                self._send(ticket, payload)
            else:
                if self._waiting is not None:
                    self._resolve(self._waiting[0], Superseded())
                self._waiting = ticket, payload
        return ticket

    def poll(self) -> list[Ticket]:
        """Return the tickets that got their outcome since the last call: for a timer."""
        with self._changed:
            done, self._done = self._done, []
        return done

    def result(self, ticket: Ticket, timeout: float | None = None) -> Any:
        """Wait for an answer and return it; `poll` then does not.

        Raises
        ------
        JobError
            If the request or the worker failed; the message is for the user.
        CancelledError
            If a newer request took its place, or the worker was closed.
        TimeoutError
            If there is no outcome after `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: ticket.is_done, timeout):
                raise TimeoutError(f"Expected an answer within {timeout} s; the work goes on.")
            self._done = [other for other in self._done if other is not ticket]
        if isinstance(ticket.outcome, Failed):
            raise JobError(ticket.outcome.message, ticket.outcome.kind, ticket.outcome.traceback)
        if not isinstance(ticket.outcome, Result):
            raise CancelledError("A newer request took its place, or the worker was closed.")
        return ticket.outcome.value

    # -------------------------------------------------------------------------- ending
    def close(self) -> None:
        """End the child within two seconds, whatever it does; `join` waits for that."""
        self._job.cancel()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the child is gone and all tickets have an outcome; return whether."""
        with self._changed:
            return self._changed.wait_for(lambda: self._outcome is not None, timeout) and (
                self._job.join(timeout)
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        self.join()

    # -------------------------------------------------------------------------- inside
    def _send(self, ticket: Ticket, payload: bytes) -> None:
        self._running = ticket
        self._job.put_question(payload)

    def _resolve(self, ticket: Ticket, outcome: Outcome) -> None:
        ticket.outcome = outcome
        self._done.append(ticket)
        self._changed.notify_all()

    def _collect(self) -> None:
        """Take what the child says until it ends: a thread of its own."""
        for event in self._job.events():
            if isinstance(event, _Answer):
                outcome = event.read()  # outside of the lock: it may be large
                with self._changed:
                    self._finish(outcome)
            elif isinstance(event, _Ready):
                self._is_ready = True
            elif isinstance(event, Failed | Cancelled):
                with self._changed:
                    self._end(event)

    def _finish(self, outcome: Result | Failed) -> None:
        running, self._running = self._running, None
        assert running is not None
        self._resolve(running, outcome)
        if self._waiting is not None:
            (ticket, payload), self._waiting = self._waiting, None
            self._send(ticket, payload)

    def _end(self, outcome: Failed | Cancelled) -> None:
        self._outcome = outcome
        waiting = self._waiting[0] if self._waiting is not None else None
        for ticket in (self._running, waiting):
            if ticket is not None:
                self._resolve(ticket, outcome)
        self._running = self._waiting = None
        self._changed.notify_all()


# ------------------------------------------------------------------------- the child's side
@dataclass(frozen=True)
class _Ready:
    """The setup is done."""


@dataclass(frozen=True)
class _Answer:
    """The outcome of the request that came last; a result as pickle."""

    outcome: Result | Failed

    def read(self) -> Result | Failed:
        """Return the outcome, a failure if the value cannot be read here."""
        if isinstance(self.outcome, Failed):
            return self.outcome
        try:
            return Result(pickle.loads(self.outcome.value))
        except Exception as error:  # noqa: BLE001 - unpickling runs code of any class
            return explain_exception(error)


def _serve(
    setup: Callable[..., Callable[[Any], Any]],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    on_event: Callable[[Event | _Ready | _Answer], None],
    questions: SimpleQueue[bytes | None],
) -> NoReturn:
    answer = setup(*args, **kwargs)
    on_event(_Ready())
    for question in iter(questions.get, None):
        on_event(_Answer(_try(answer, question)))
    raise CancelledError


def _try(answer: Callable[[Any], Any], question: bytes) -> Result | Failed:
    try:
        value = answer(pickle.loads(question))
        return Result(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
    except TerminatedError:
        raise
    except BaseException as error:  # noqa: BLE001 - the next request may go well
        return explain_exception(error)
