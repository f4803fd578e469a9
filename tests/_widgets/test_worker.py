"""The worker: every way in which work goes and ends arrives as a signal."""

from __future__ import annotations

import gc
import signal
from functools import partial

import job_functions
import pytest
from qtpy.QtCore import QObject

from napari_animalpose import jobs
from napari_animalpose._widgets._worker import QtJob, call_when_destroyed

pytestmark = pytest.mark.gui


class Listener:
    """Keeps what a worker tells, in order."""

    def __init__(self, worker: QtJob) -> None:
        self.heard: list[tuple[str, object]] = []
        for name in ("progress", "metric", "preview", "part", "log", "result", "failed"):
            getattr(worker, name).connect(lambda value, name=name: self.heard.append((name, value)))
        for name in ("cancelled", "finished"):
            getattr(worker, name).connect(lambda name=name: self.heard.append((name, None)))

    def names(self) -> list[str]:
        return [name for name, _ in self.heard]


def test_events_come_in_order_and_the_end_last(qtbot):
    worker = QtJob.start(job_functions.add, 2, 3)
    listener = Listener(worker)
    with qtbot.waitSignal(worker.finished, timeout=20_000):
        assert worker.is_running
    assert listener.names() == ["progress", "log", "result", "finished"]
    assert listener.heard[2][1] == 5
    assert isinstance(worker.outcome, jobs.Result)
    assert not worker.is_running
    assert worker.elapsed_s > 0


def test_a_child_that_is_killed_fails_with_a_sentence(qtbot):
    worker = QtJob.start(job_functions.kill_self, signal.SIGKILL)
    listener = Listener(worker)
    with qtbot.waitSignal(worker.finished, timeout=20_000):
        pass
    assert listener.names() == ["metric", "failed", "finished"]
    failed = listener.heard[1][1]
    assert failed.kind == "SIGKILL"
    assert "memory" in failed.message


def test_stop_early_returns_the_best(qtbot):
    worker = QtJob.start(job_functions.listen)
    with qtbot.waitSignal(worker.log, timeout=20_000):
        pass
    with qtbot.waitSignal(worker.result, timeout=20_000) as told:
        worker.stop()
    assert told.args[0] >= 0
    assert not worker.is_cancelled


@pytest.mark.parametrize("function", [job_functions.listen, job_functions.ignore_everything])
def test_cancel_ends_it(qtbot, function):
    worker = QtJob.start(function)
    listener = Listener(worker)
    with qtbot.waitSignal(worker.log, timeout=20_000):
        pass
    with qtbot.waitSignal(worker.finished, timeout=20_000):
        worker.cancel()
    assert worker.is_cancelled
    assert listener.names() == ["log", "cancelled", "finished"]


def test_every_metric_of_a_flood_arrives(qtbot):
    worker = QtJob.start(job_functions.flood, 2000)
    listener = Listener(worker)
    with qtbot.waitSignal(worker.finished, timeout=60_000):
        pass
    steps = [event.step for name, event in listener.heard if name == "metric"]
    assert steps == list(range(2000))


def test_destroying_the_parent_ends_the_child(qtbot):
    parent = QObject()
    job = jobs.run(job_functions.listen)
    worker = QtJob(job, parent)
    with qtbot.waitSignal(worker.log, timeout=20_000):
        pass
    parent.deleteLater()
    qtbot.waitUntil(lambda: not job.is_running, timeout=20_000)
    assert isinstance(job.outcome, jobs.Cancelled)


class Told:
    """Counts calls; part of a cycle with what it belongs to, as closures of docks are."""

    def __init__(self) -> None:
        self.owner = QObject()
        self.owner.told = self


def test_what_is_called_at_destruction_survives_the_collection_of_a_cycle(qtbot):
    calls: list[int] = []
    for number in range(20):
        told = Told()
        call_when_destroyed(told.owner, partial(calls.append, number))
        del told
    gc.collect()
    assert sorted(calls) == list(range(20))
