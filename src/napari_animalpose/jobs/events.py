"""What long work says while it runs, and how it is asked to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from types import FrameType
from typing import Any, TypeAlias

__all__ = [
    "Cancelled",
    "Event",
    "Failed",
    "Log",
    "Metric",
    "Part",
    "Preview",
    "Progress",
    "Result",
    "StopRequest",
    "ignore_event",
    "never_stop",
    "stop_on_interrupt",
]


class StopRequest(IntEnum):
    """What the user wants of work in progress; true in a condition unless `NONE`."""

    NONE = 0
    STOP_EARLY = 1  # finish soon, keep the best so far, return it
    CANCEL = 2  # raise CancelledError, keep nothing


@dataclass(frozen=True)
class Progress:
    """How far a stage has come.

    Parameters
    ----------
    stage : str
        For people: "Train", "Predict".
    done, total : float
        In units of the stage; `total` is None where unknown.
    rate : float, optional
        Units a second.
    eta_s : float, optional
        Seconds left.
    whole_eta_s : float, optional
        Seconds left of the whole work, where this stage is one of several.
    """

    stage: str
    done: float
    total: float | None
    rate: float | None = None
    eta_s: float | None = None
    whole_eta_s: float | None = None


@dataclass(frozen=True)
class Metric:
    """Figures at one step, such as losses after an epoch; `source` says whose they are."""

    step: int
    values: Mapping[str, float]
    source: str = ""


@dataclass(frozen=True)
class Preview:
    """Arrays to look at; only the newest of a name waits for a slow reader."""

    name: str
    arrays: Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A piece of the result that is finished, or a fact to show at once; never left out.

    What has come stays with the reader, whatever happens to the work afterwards.

    Parameters
    ----------
    name : str
        What it is; the function says which names it uses.
    value : object
        Anything that can be pickled.
    """

    name: str
    value: Any


@dataclass(frozen=True)
class Log:
    """One message for people; `level` is a number of `logging`."""

    level: int
    message: str


@dataclass(frozen=True)
class Result:
    """The last event of work that finished: what the function returned."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """The last event of work that did not finish.

    Parameters
    ----------
    message : str
        One sentence for the user.
    kind : str
        Class of the exception ("DataError") or name of the signal ("SIGKILL").
    traceback : str
        For reports: the traceback, or the last lines that the child wrote.
    """

    message: str
    kind: str
    traceback: str = ""


@dataclass(frozen=True)
class Cancelled:
    """The last event of work that was cancelled."""


Event: TypeAlias = Progress | Metric | Preview | Part | Log | Result | Failed | Cancelled


def ignore_event(event: Event) -> None:
    """Do nothing: the default for ``on_event``."""


def never_stop() -> StopRequest:
    """Return `StopRequest.NONE`: the default for ``should_stop``."""
    return StopRequest.NONE


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], StopRequest]]:
    """Turn Ctrl-C into requests to stop, for work in this process; main thread only.

    The first Ctrl-C asks to stop early and keep the best, the second to cancel, the third
    interrupts as usual.

    Yields
    ------
    callable
        A ``should_stop`` for the pipeline function.
    """
    requests = [StopRequest.NONE]

    def ask(number: int, frame: FrameType | None) -> None:
        if requests[-1] is StopRequest.CANCEL:
            raise KeyboardInterrupt
        requests.append(StopRequest(requests[-1] + 1))

    previous = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: requests[-1]
    finally:
        signal.signal(signal.SIGINT, previous)
