"""The child's side: read the request, run the function, send events, obey and never orphan.

The request comes through standard input, after it single bytes that ask to stop and the
questions to a worker; its end means that the parent is gone. Events leave through what was
standard output, which is then joined to standard error so that nothing printed can disturb
them.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from queue import SimpleQueue
from types import FrameType
from typing import Any, NoReturn

from napari_animalpose.errors import CancelledError
from napari_animalpose.jobs.events import Cancelled, Event, Result, StopRequest
from napari_animalpose.jobs.failures import explain_exception, explain_exit
from napari_animalpose.jobs.wire import (
    CANCEL,
    QUESTION,
    STOP_EARLY,
    read_exactly,
    read_message,
    write_message,
)

__all__ = ["TerminatedError", "main"]

_PARENT_CHECK_S = 1.0
_REQUESTS = {STOP_EARLY: StopRequest.STOP_EARLY, CANCEL: StopRequest.CANCEL}


class TerminatedError(CancelledError):
    """Raised in the main thread by SIGTERM."""


class _Sender:
    """Sends events whole and one at a time, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._is_whole = True

    def __call__(self, event: Event) -> None:
        self.send(pickle.dumps(event, pickle.HIGHEST_PROTOCOL))

    def send(self, payload: bytes) -> None:
        with self._lock:
            if not self._is_whole:  # a message was cut off: the parent cannot read on
                return
            self._is_whole = False
            write_message(self._descriptor, payload)
            self._is_whole = True


class _Orders:
    """What the parent asked for, read in a thread of its own."""

    def __init__(self, descriptor: int) -> None:
        self.request = StopRequest.NONE
        self.questions: SimpleQueue[bytes | None] = SimpleQueue()  # None: no more will come
        self._descriptor = descriptor
        self._parent = os.getppid()
        threading.Thread(target=self._listen, daemon=True).start()
        if os.name == "posix":
            threading.Thread(target=self._watch_parent, daemon=True).start()

    def __call__(self) -> StopRequest:
        return self.request

    def _listen(self) -> None:
        while (byte := read_exactly(self._descriptor, 1)) is not None:
            if byte == QUESTION:
                self.questions.put(read_message(self._descriptor))
                continue
            self.request = max(self.request, _REQUESTS[byte])
            self.questions.put(None)
        _end_with_children()

    def _watch_parent(self) -> None:
        # The pipe stays open after the parent's death if another of its children, made by
        # a plain fork, holds the other end.
        while os.getppid() == self._parent:
            time.sleep(_PARENT_CHECK_S)
        _end_with_children()


def main(nice: int) -> None:
    """Serve one request; `nice` is added to the priority number on POSIX."""
    if nice and os.name == "posix":
        os.nice(nice)
    requests, events = os.dup(0), os.dup(1)
    _replace_standard_streams()
    if os.name == "posix":
        signal.signal(signal.SIGTERM, _raise_terminated)
    sender = _Sender(events)
    request = read_message(requests)
    if request is None:
        _end_with_children()
    orders = _Orders(requests)
    payload = pickle.dumps(_run(request, sender, orders), pickle.HIGHEST_PROTOCOL)
    sender.send(payload)


def _run(request: bytes, sender: _Sender, orders: _Orders) -> Event:
    """Return the last event: of a result, of a failure, or of having been cancelled."""
    try:
        function, args, kwargs, converses = pickle.loads(request)
        channel: dict[str, Any] = {"on_event": sender}
        channel |= {"questions": orders.questions} if converses else {"should_stop": orders}
        value = function(*args, **channel, **kwargs)
        last: Event = Result(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
    except TerminatedError:
        last = explain_exit(-signal.SIGTERM, "")
    except CancelledError:
        last = Cancelled()
    except BaseException as error:  # noqa: BLE001 - whatever it is must reach the user
        last = explain_exception(error)
    return Cancelled() if orders.request is StopRequest.CANCEL else last


def _replace_standard_streams() -> None:
    """Send what is printed to standard error, and give libraries an empty input."""
    os.dup2(2, 1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)


def _raise_terminated(number: int, frame: FrameType | None) -> NoReturn:
    """Let `finally` blocks remove half-written files before the process is killed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise TerminatedError


def _end_with_children() -> NoReturn:
    """End this process and, where it leads a session of its own, all that it started."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
