"""A child that stays: newest request first, every way to fail, nobody left behind."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import worker_functions as functions

from napari_animalpose.errors import CancelledError, JobError
from napari_animalpose.jobs import Cancelled, Failed, Result, Superseded, Worker

pytestmark = pytest.mark.skipif(os.name != "posix", reason="looks at POSIX processes")
WAIT_S = 60


@pytest.fixture
def worker():
    with Worker(functions.Calculator, factor=3) as made:
        yield made
    assert_gone(made)


def assert_gone(worker) -> None:
    with pytest.raises(ProcessLookupError):  # neither running nor a zombie
        os.kill(worker.pid, 0)


def wait_until(condition, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def ask(worker, *request):
    return worker.result(worker.ask(request), WAIT_S)


# ----------------------------------------------------------------------------- answering
def test_state_is_built_once_in_a_process_of_its_own(worker):
    assert ask(worker, "multiply", 14) == 42
    assert worker.is_ready
    assert not worker.is_busy
    assert worker.outcome is None
    assert ask(worker, "pid") == worker.pid != os.getpid()
    assert ask(worker, "count") == 3


def test_poll_hands_out_every_ticket_once(worker):
    first = worker.ask(("multiply", 1))
    assert first.number == 0
    assert first.request == ("multiply", 1)
    assert wait_until(lambda: first.is_done)
    second = worker.ask(("multiply", 2))
    assert wait_until(lambda: second.is_done)
    assert worker.poll() == [first, second]
    assert worker.poll() == []
    assert [ticket.outcome for ticket in (first, second)] == [Result(3), Result(6)]


def test_what_was_waited_for_is_not_polled_again(worker):
    assert ask(worker, "multiply", 1) == 3
    assert worker.poll() == []


def test_the_newest_request_wins(worker, tmp_path):
    running = worker.ask(("wait_for", str(tmp_path / "go")))
    waiting = [worker.ask(("multiply", n)) for n in range(5)]
    assert worker.is_busy
    assert [ticket.outcome for ticket in waiting] == [Superseded()] * 4 + [None]
    assert running.outcome is None
    with pytest.raises(CancelledError):
        worker.result(waiting[3], 0)
    (tmp_path / "go").touch()
    assert worker.result(waiting[4], WAIT_S) == 12
    assert running.outcome == Result(str(tmp_path / "go"))
    assert worker.poll() == [*waiting[:3], running]  # the others were waited for
    assert ask(worker, "count") == 3  # those in between were never looked at


def test_requests_during_the_setup_wait_and_supersede(tmp_path):
    with Worker(functions.set_up_slowly, str(tmp_path / "go")) as worker:
        tickets = [worker.ask(("multiply", n)) for n in range(3)]
        assert not worker.is_ready
        (tmp_path / "go").touch()
        assert worker.result(tickets[2], WAIT_S) == 2
        assert [ticket.outcome for ticket in tickets] == [Result(0), Superseded(), Result(2)]


def test_an_answer_is_waited_for_no_longer_than_asked(worker):
    ticket = worker.ask(("nap", 0.5, "rested"))
    with pytest.raises(TimeoutError, match="the work goes on"):
        worker.result(ticket, 0.01)
    assert worker.result(ticket, WAIT_S) == "rested"


def test_large_arrays_pass_both_ways_unchanged(worker):
    array = np.random.default_rng(0).random((50, 512, 512), np.float32)
    assert ask(worker, "describe", array) == (array.shape, "float32", float(array.sum()))
    got = ask(worker, "ramp", 13, 600, 600)
    np.testing.assert_array_equal(got, np.arange(13 * 600 * 600).reshape(13, 600, 600))
    assert got.dtype == np.float32


def test_a_request_is_taken_as_it_is_when_asked(worker, tmp_path):
    worker.ask(("wait_for", str(tmp_path / "go")))
    array = np.ones(3)
    ticket = worker.ask(("multiply", array))
    array[:] = 0
    (tmp_path / "go").touch()
    np.testing.assert_array_equal(worker.result(ticket, WAIT_S), [3, 3, 3])


def test_what_is_printed_disturbs_nothing(worker):
    assert ask(worker, "chatter") is None
    assert ask(worker, "multiply", 2) == 6
    assert wait_until(lambda: worker.output == "said something\nraw\n")


def test_environment_and_priority():
    with Worker(functions.environment, env={"OMP_NUM_THREADS": "3"}, nice=2) as worker:
        assert worker.result(worker.ask("OMP_NUM_THREADS"), WAIT_S) == "3"
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) == os.nice(0) + 2


# ----------------------------------------------------------------- failures of one request
@pytest.mark.parametrize(
    ("request_", "kind", "message"),
    [
        (("raise_data_error",), "DataError", "Expected a frame; received none. Choose one."),
        (("nothing_like_this",), "AttributeError", "nothing_like_this"),
        (("raise_cancelled",), "CancelledError", "received CancelledError."),
        (("interrupt",), "KeyboardInterrupt", "received KeyboardInterrupt."),
        (("leave",), "SystemExit", "received SystemExit: 3"),
        (("allocate",), "MemoryError", "Expected enough memory"),
        (("give_unpicklable",), "", "lambda"),
        (("give_unreadable",), "RuntimeError", "not in this process"),
        (("take_unreadable", functions.OnlyInChild()), "RuntimeError", "not in this process"),
    ],
)
def test_an_error_of_a_request_is_its_outcome_and_the_worker_goes_on(
    worker, request_, kind, message
):
    ticket = worker.ask(request_)
    with pytest.raises(JobError) as raised:
        worker.result(ticket, WAIT_S)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("Expected ")
    assert raised.value.kind == kind or not kind
    assert "Traceback" in raised.value.traceback
    assert ask(worker, "multiply", 5) == 15
    assert worker.outcome is None


def test_a_value_that_looks_like_a_failure_is_a_value(worker):
    assert ask(worker, "give_failed") == Failed("a value like any other", "", "")


def test_what_cannot_be_pickled_is_refused_at_once(worker):
    with pytest.raises((pickle.PicklingError, AttributeError)):
        worker.ask(lambda: None)
    assert ask(worker, "count") == 1
    with pytest.raises((pickle.PicklingError, AttributeError)):
        Worker(functions.Calculator, lambda: None)


def test_functions_of_the_main_module_are_refused():
    local = type("function", (), {"__module__": "__main__"})()
    with pytest.raises(ValueError, match="Move it into a module of its own"):
        Worker(local)


# --------------------------------------------------------------------- death of the child
@pytest.mark.parametrize(
    ("request_", "kind", "message"),
    [
        (("kill", signal.SIGKILL), "SIGKILL", "most likely memory ran out"),
        (("kill", signal.SIGTERM), "SIGTERM", "from outside"),
        (("read_address_zero",), "SIGSEGV", "crash inside a compiled library"),
        (("exit_at_once", 7), "ExitCode", "exit code 7"),
    ],
)
def test_the_death_of_the_child_is_the_outcome_of_all_requests(request_, kind, message):
    worker = Worker(functions.Calculator)
    assert ask(worker, "multiply", 1) == 1
    running, waiting = worker.ask(request_), worker.ask(("multiply", 1))
    assert worker.join(WAIT_S)
    assert isinstance(worker.outcome, Failed)
    assert message in worker.outcome.message
    assert worker.outcome.kind == kind
    later = worker.ask(("multiply", 1))
    assert running.outcome == waiting.outcome == later.outcome == worker.outcome
    assert worker.poll() == [running, waiting, later]
    assert not worker.is_ready
    assert not worker.is_busy
    if kind == "ExitCode":
        assert worker.outcome.traceback == "last words\n"
    assert_gone(worker)


def test_kill_from_outside_while_idle_and_while_busy():
    for request in (None, ("nap", 60, None)):
        worker = Worker(functions.Calculator)
        ask(worker, "count")
        ticket = worker.ask(request) if request else None
        os.kill(worker.pid, signal.SIGKILL)
        assert worker.join(WAIT_S)
        assert isinstance(worker.outcome, Failed)
        assert worker.outcome.kind == "SIGKILL"
        assert ticket is None or ticket.outcome == worker.outcome
        assert_gone(worker)


@pytest.mark.parametrize(
    ("setup", "argument", "message"),
    [
        (functions.fail, "Expected a model; received none.", "Expected a model; received none."),
        (functions.leave, 4, "exit code 4"),
    ],
)
def test_a_failed_setup_ends_the_worker(setup, argument, message):
    worker = Worker(setup, argument)
    ticket = worker.ask(1)
    assert worker.join(WAIT_S)
    assert isinstance(worker.outcome, Failed)
    assert message in worker.outcome.message
    assert ticket.outcome == worker.outcome
    assert not worker.is_ready
    assert_gone(worker)


# -------------------------------------------------------------------------------- closing
@pytest.mark.parametrize("request_", [None, ("nap", 60, None)])
def test_close_ends_within_two_seconds(request_):
    worker = Worker(functions.Calculator)
    ask(worker, "count")
    ticket = worker.ask(request_) if request_ else None
    worker.close()
    worker.close()
    assert worker.join(2)
    assert worker.outcome == Cancelled()
    assert ticket is None or ticket.outcome == Cancelled()
    late = worker.ask(("count",))
    assert late.outcome == Cancelled()
    with pytest.raises(CancelledError):
        worker.result(late)
    assert_gone(worker)


def test_close_ends_one_that_does_not_listen(tmp_path):
    worker = Worker(functions.Calculator)
    worker.ask(("be_deaf", str(tmp_path / "deaf")))
    assert wait_until((tmp_path / "deaf").exists)
    worker.close()
    assert worker.join(2)
    assert_gone(worker)


def test_close_before_the_setup_is_done(tmp_path):
    worker = Worker(functions.set_up_slowly, str(tmp_path / "never"))
    worker.close()
    assert worker.join(WAIT_S)
    assert worker.outcome == Cancelled()


@pytest.mark.parametrize("end", [signal.SIGKILL, None], ids=["killed", "left"])
def test_a_worker_does_not_outlive_its_parent(tmp_path, end):
    script = tmp_path / "unguarded.py"
    script.write_text(
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import worker_functions\n"
        "from napari_animalpose.jobs import Worker\n"
        "worker = Worker(worker_functions.Calculator)\n"
        "print(worker.result(worker.ask(('pid',)), 60), flush=True)\n"
        "worker.ask(('nap', 600, None))\n" + ("time.sleep(600)\n" if end else "")
    )
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if end:
            assert is_alive(pid)
            parent.send_signal(end)
        parent.wait(WAIT_S)
        assert wait_until(lambda: not is_alive(pid))
