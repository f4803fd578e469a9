"""Run pipeline functions in a child process, with events, two kinds of stop and a result.

A pipeline function takes the keyword arguments ``on_event`` (called with every `Event`)
and ``should_stop`` (returns a `StopRequest`). `run` starts such a function in a child;
the command line calls the same function in its own process, under `stop_on_interrupt`.
A `Worker` is a child that stays and answers requests.
"""

from napari_animalpose.jobs.events import (
    Cancelled,
    Event,
    Failed,
    Log,
    Metric,
    Part,
    Preview,
    Progress,
    Result,
    StopRequest,
    ignore_event,
    never_stop,
    stop_on_interrupt,
)
from napari_animalpose.jobs.job import Job, run
from napari_animalpose.jobs.worker import Superseded, Ticket, Worker

__all__ = [
    "Cancelled",
    "Event",
    "Failed",
    "Job",
    "Log",
    "Metric",
    "Part",
    "Preview",
    "Progress",
    "Result",
    "StopRequest",
    "Superseded",
    "Ticket",
    "Worker",
    "ignore_event",
    "never_stop",
    "run",
    "stop_on_interrupt",
]
