"""The parent's side: start a child, collect its events, stop it, say how it ended."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from queue import SimpleQueue
from typing import IO, Any, TypeAlias

from napari_animalpose.errors import CancelledError, JobError
from napari_animalpose.jobs.events import Cancelled, Event, Failed, Preview, Result
from napari_animalpose.jobs.failures import explain_exception, explain_exit
from napari_animalpose.jobs.wire import (
    CANCEL,
    QUESTION,
    STOP_EARLY,
    frame_message,
    read_message,
    write_bytes,
    write_message,
)

__all__ = ["Job", "run", "start_job"]

Outcome: TypeAlias = Result | Failed | Cancelled

# A cancelled child ends by itself, or is told to (SIGTERM), or is killed, within two seconds.
_OBEY_S, _TERMINATE_S = 0.7, 0.5
_EXIT_S = 5.0  # for a child that has sent its last event, to leave
_OUTPUT_BYTES = 1 << 16


def run(
    function: Callable[..., Any],
    *args: Any,
    env: Mapping[str, str] | None = None,
    nice: int = 0,
    **kwargs: Any,
) -> Job:
    """Start a pipeline function in a child process of its own.

    The child is a fresh interpreter with this one's `sys.path` and working directory. It
    does not import the main module again: a script needs no main guard. It ends when this
    process ends, however that happens.

    Parameters
    ----------
    function : callable
        Of an importable module. It is called as ``function(*args, **kwargs, on_event=...,
        should_stop=...)``: see `Event` and `StopRequest`.
    *args, **kwargs
        For the function; pickled here and now, so later changes do not reach the child.
    env : mapping of str, optional
        Environment variables set before the child imports anything, such as
        ``{"OMP_NUM_THREADS": "1"}``; the others are this process's.
    nice : int
        How much the child yields to other processes, 0 to 19.

    Returns
    -------
    Job

    Raises
    ------
    ValueError
        If the function belongs to the main module, which a child cannot import.
    pickle.PicklingError, TypeError, AttributeError
        If an argument cannot be pickled.
    """
    return start_job(function, args, kwargs, env or {}, nice)


def start_job(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    env: Mapping[str, str],
    nice: int,
    importable: tuple[Callable[..., Any], ...] = (),
    converses: bool = False,
) -> Job:
    """Start a child as `run` does.

    Parameters
    ----------
    function, args, kwargs, env, nice
        As for `run`.
    importable : tuple of callable
        Functions among the arguments that the child calls; checked as `function` is.
    converses : bool
        Call the function with ``questions``, a queue of the messages of `Job.put_question`
        and of None for the order to end, in place of ``should_stop``.
    """
    for called in (function, *importable):
        _check_importable(called)
    request = pickle.dumps((function, args, dict(kwargs), converses), pickle.HIGHEST_PROTOCOL)
    return Job(_start_child(env, nice), request)


def _check_importable(function: Callable[..., Any]) -> None:
    if getattr(function, "__module__", None) == "__main__":
        raise ValueError(
            f"Expected a function of an importable module; received {function!r} of the main "
            "program. Move it into a module of its own."
        )


class Job:
    """Work in a child process: its events, its end, and how to stop it.

    Made by `run`. All methods return at once unless they say that they wait, and may be
    called from any thread. Every event is handed out once, by `poll` or by `events`; the
    last one is a `Result`, `Failed` or `Cancelled`, and comes when the child is gone.
    Nothing is lost but previews that a newer one of the same name has overtaken.
    """

    def __init__(self, process: subprocess.Popen[bytes], request: bytes) -> None:
        self._process = process
        self._orders: SimpleQueue[bytes | None] = SimpleQueue()
        self._queue: OrderedDict[int, Event] = OrderedDict()
        self._n_events = 0
        self._previews: dict[str, int] = {}  # name -> key in _queue of the one that waits
        self._changed = threading.Condition()
        self._outcome: Outcome | None = None
        self._said_last: Outcome | None = None  # the child's last event, as it came
        self._said_all = threading.Event()
        self._exited = threading.Event()
        self._finished = threading.Event()
        self._reap_lock = threading.Lock()
        self._is_cancelled = False
        self._output = bytearray()
        workers = (self._read_events, self._read_output, lambda: self._write_orders(request))
        self._workers = [threading.Thread(target=worker, daemon=True) for worker in workers]
        for thread in (*self._workers, threading.Thread(target=self._supervise, daemon=True)):
            thread.start()

    # --------------------------------------------------------------------------- asking
    @property
    def pid(self) -> int:
        """Process number of the child."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the child may still be there."""
        return not self._finished.is_set()

    @property
    def outcome(self) -> Result | Failed | Cancelled | None:
        """The last event; None while the child runs."""
        return self._outcome

    @property
    def output(self) -> str:
        """The last 64 KiB that the child wrote to its standard output and error."""
        return bytes(self._output).decode(errors="replace")

    # --------------------------------------------------------------------------- events
    def poll(self) -> list[Event]:
        """Return the events that have come since the last call: for a timer of a window."""
        with self._changed:
            events = list(self._queue.values())
            self._queue.clear()
            self._previews.clear()
        return events

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Wait for events and yield them up to the last one.

        Raises
        ------
        TimeoutError
            If nothing comes for `timeout` seconds.
        """
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._queue or self._outcome, timeout):
                    raise TimeoutError(f"Expected an event within {timeout} s; received none.")
                if not self._queue:
                    return
                key, event = self._queue.popitem(last=False)
                if isinstance(event, Preview) and self._previews.get(event.name) == key:
                    del self._previews[event.name]
            yield event

    # -------------------------------------------------------------------------- stopping
    def stop(self) -> None:
        """Ask the function to finish early and return the best that it has."""
        self._orders.put(STOP_EARLY)

    def put_question(self, payload: bytes) -> None:
        """Send a message to a function that was started to converse; see `start_job`."""
        self._orders.put(QUESTION + frame_message(payload))

    def cancel(self) -> None:
        """Stop within two seconds and keep nothing, whether or not the function listens.

        The child is asked, then told (SIGTERM), then killed, with all that it started.
        """
        with self._changed:
            if self._is_cancelled or self._outcome is not None:
                return
            self._is_cancelled = True
        self._orders.put(CANCEL)
        threading.Thread(target=self._escalate, daemon=True).start()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the child is gone; return whether it is, after `timeout` seconds."""
        return self._finished.wait(timeout)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end and return what the function returned.

        Raises
        ------
        JobError
            If the function failed or the child died; the message is for the user.
        CancelledError
            If the job was cancelled.
        TimeoutError
            If it has not ended after `timeout` seconds.
        """
        if not self.join(timeout):
            raise TimeoutError(f"Expected the work to end within {timeout} s; it goes on.")
        if isinstance(self._outcome, Failed):
            raise JobError(self._outcome.message, self._outcome.kind, self._outcome.traceback)
        if not isinstance(self._outcome, Result):
            raise CancelledError("The work was cancelled.")
        return self._outcome.value

    # --------------------------------------------------------------------------- threads
    def _write_orders(self, request: bytes) -> None:
        stdin = _pipe(self._process.stdin)
        try:
            write_message(stdin, request)
            for order in iter(self._orders.get, None):
                write_bytes(stdin, order)
        except OSError:
            return  # the child is gone; `_supervise` says why

    def _read_events(self) -> None:
        stdout = _pipe(self._process.stdout)
        while (payload := read_message(stdout)) is not None:
            try:
                event: Event = pickle.loads(payload)
                if isinstance(event, Result):
                    event = Result(pickle.loads(event.value))
            except Exception as error:  # noqa: BLE001 - unpickling runs code of any class
                event = explain_exception(error)
            if isinstance(event, Result | Failed | Cancelled):
                self._said_last = event
                self._said_all.set()
            else:
                self._put(event)

    def _read_output(self) -> None:
        stderr = _pipe(self._process.stderr)
        while piece := os.read(stderr, 1 << 16):
            self._output += piece
            del self._output[:-_OUTPUT_BYTES]

    def _supervise(self) -> None:
        watcher = threading.Thread(target=self._hurry_exit, daemon=True)
        watcher.start()
        _wait_without_reaping(self._process)
        with self._reap_lock:  # until here the number cannot belong to another process
            _signal_tree(self._process, force=True)
            self._process.wait()
            self._exited.set()
        self._said_all.set()
        self._orders.put(None)
        for worker in self._workers:
            worker.join(_EXIT_S)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            _close(pipe)
        with self._changed:
            self._outcome = self._choose_outcome()
            self._append(self._outcome)
        watcher.join()
        self._finished.set()

    def _hurry_exit(self) -> None:
        """Kill a child that has said its last and still does not leave."""
        self._said_all.wait()
        if not self._exited.wait(_EXIT_S):
            self._signal(force=True)

    def _escalate(self) -> None:
        if not self._exited.wait(_OBEY_S):
            self._signal(force=False)
        if not self._exited.wait(_TERMINATE_S):
            self._signal(force=True)

    def _signal(self, force: bool) -> None:
        with self._reap_lock:
            if not self._exited.is_set():
                _signal_tree(self._process, force)

    def _choose_outcome(self) -> Outcome:
        if self._is_cancelled:
            return Cancelled()
        return self._said_last or explain_exit(self._process.returncode, self.output)

    def _put(self, event: Event) -> None:
        with self._changed:
            self._append(event)

    def _append(self, event: Event) -> None:
        self._n_events += 1
        if isinstance(event, Preview):
            overtaken = self._previews.get(event.name)
            if overtaken is not None:
                del self._queue[overtaken]
            self._previews[event.name] = self._n_events
        self._queue[self._n_events] = event
        self._changed.notify_all()


def _start_child(env: Mapping[str, str], nice: int) -> subprocess.Popen[bytes]:
    path = [entry or os.getcwd() for entry in sys.path]
    code = (
        f"import sys; sys.path[:] = {path!r}; "
        f"from napari_animalpose.jobs.child import main; main({nice:d})"
    )
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        yielding = subprocess.BELOW_NORMAL_PRIORITY_CLASS if nice > 0 else 0
        options = {"creationflags": subprocess.CREATE_NO_WINDOW | yielding}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **env},
        **options,
    )


def _wait_without_reaping(process: subprocess.Popen[bytes]) -> None:
    """Wait until the child has ended but, where possible, still holds its process number."""
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:  # Windows, where a handle names the process, and macOS before Python 3.13
        process.wait()


def _signal_tree(process: subprocess.Popen[bytes], force: bool) -> None:
    """End the child and all that it started, gently or by force."""
    if sys.platform == "win32":
        if process.returncode is None:
            command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            subprocess.run(command, capture_output=True, check=False)
        return
    try:
        os.killpg(process.pid, signal.SIGKILL if force else signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left, or on macOS nobody but the dead


def _pipe(pipe: IO[bytes] | None) -> int:
    """Return the descriptor of a pipe that `_start_child` has made."""
    assert pipe is not None
    return pipe.fileno()


def _close(pipe: IO[bytes] | None) -> None:
    assert pipe is not None
    pipe.close()
