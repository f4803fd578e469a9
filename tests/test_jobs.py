"""Work in real child processes: every way to end, nothing lost, nobody left behind."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import job_functions as functions
import pytest

from napari_animalpose import jobs
from napari_animalpose.errors import CancelledError, FileFormatError, JobError
from napari_animalpose.jobs import (
    Cancelled,
    Failed,
    Log,
    Metric,
    Part,
    Preview,
    Progress,
    Result,
    StopRequest,
)
from napari_animalpose.jobs.failures import explain_exception, explain_exit

pytestmark = pytest.mark.skipif(os.name != "posix", reason="looks at POSIX processes")
WAIT_S = 60


def is_alive(pid: int) -> bool:
    """Whether a process is there and runs; a zombie is not alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until(condition, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def wait_for(job, kind):
    """Return the first event of a kind."""
    return next(event for event in job.events(WAIT_S) if isinstance(event, kind))


def assert_gone(job) -> None:
    assert job.join(WAIT_S)
    assert not job.is_running
    with pytest.raises(ProcessLookupError):  # neither running nor a zombie
        os.kill(job.pid, 0)


# ------------------------------------------------------------------------------ results
def test_a_result_comes_after_all_events():
    job = jobs.run(functions.add, 2, b=3)
    assert list(job.events(WAIT_S)) == [
        Progress("Add", 1, 2, rate=0.5, eta_s=2.0),
        Log(30, "adding 2 and 3"),
        Result(5),
    ]
    assert job.result(WAIT_S) == 5
    assert list(job.events(WAIT_S)) == []
    assert_gone(job)


def test_the_child_is_a_light_process_of_its_own():
    job = jobs.run(functions.describe_process, env={"OMP_NUM_THREADS": "3"}, nice=4)
    told = job.result(WAIT_S)
    assert told["pid"] == told["session"] == job.pid
    assert told["nice"] == os.nice(0) + 4
    assert told["threads"] == "3"
    assert told["main"] is None
    assert told["heavy"] == []
    assert told["cwd"] == os.getcwd()


def test_large_arguments_and_results_pass():
    payload = os.urandom(10_000_000)
    assert jobs.run(functions.add, payload, b"!").result(WAIT_S) == payload + b"!"


def test_a_result_is_waited_for_no_longer_than_asked():
    job = jobs.run(functions.listen)
    with pytest.raises(TimeoutError, match="it goes on"):
        job.result(timeout=0.01)
    with pytest.raises(TimeoutError, match="received none"):
        for _ in job.events(timeout=0.7):
            pass
    job.stop()
    job.result(WAIT_S)


def test_poll_hands_out_every_event_once():
    job = jobs.run(functions.flood, 500)
    events = []
    while job.is_running:
        events += job.poll()
    events += job.poll()
    assert [e.step for e in events if isinstance(e, Metric)] == list(range(500))
    assert events[-1] == Result(500)
    assert job.poll() == []


def test_a_flood_loses_no_metric_and_only_overtaken_previews():
    job = jobs.run(functions.flood, 10_000)
    assert job.join(WAIT_S)  # nobody has read anything so far
    events = list(job.events(WAIT_S))
    metrics = [event for event in events if isinstance(event, Metric)]
    assert metrics == [Metric(step, {"loss": step / 2}) for step in range(10_000)]
    assert [e.arrays["step"] for e in events if isinstance(e, Preview)] == [9900]
    assert [e.value for e in events if isinstance(e, Part)] == list(range(0, 10_000, 100))
    assert events[-1] == Result(10_000)


def test_what_was_finished_before_the_child_was_killed_has_come():
    *parts, last = jobs.run(functions.finish_pieces_and_die, 50).events(WAIT_S)
    assert parts == [Part("piece", number) for number in range(50)]
    assert last.kind == "SIGKILL"


def test_events_of_several_threads_stay_whole_and_in_order():
    job = jobs.run(functions.write_from_threads, 4, 300)
    events = [event for event in job.events(WAIT_S) if isinstance(event, Metric)]
    for thread in range(4):
        assert [e.step for e in events if e.values["thread"] == thread] == list(range(300))


def test_what_is_printed_disturbs_nothing_and_its_end_is_kept():
    job = jobs.run(functions.chatter, 300_000)
    assert job.result(WAIT_S) == ""  # standard input is empty
    assert job.output.endswith("the end\n")
    assert "raw to descriptor one\n" in job.output
    assert len(job.output) <= 1 << 16


def test_a_child_that_cannot_leave_is_helped(monkeypatch):
    monkeypatch.setattr("napari_animalpose.jobs.job._EXIT_S", 0.5)
    job = jobs.run(functions.hang_at_exit)
    assert job.result(WAIT_S) == "done"
    assert_gone(job)


# ----------------------------------------------------------------------------- failures
@pytest.mark.parametrize(
    ("function", "args", "kind", "message"),
    [
        (functions.fail_with_data, (), "DataError", "Expected labels; received none. Label a"),
        (
            functions.raise_error,
            (FileFormatError("Expected a label file; received none.", "a.slp"),),
            "FileFormatError",
            "Expected a label file; received none.",
        ),
        (functions.raise_error, (KeyError("node"),), "KeyError", "received KeyError: 'node'"),
        (functions.raise_error, (AssertionError(),), "AssertionError", "received AssertionError."),
        (functions.raise_error, (KeyboardInterrupt(),), "KeyboardInterrupt", "Expected the work"),
        (functions.exit_politely, (), "SystemExit", "received SystemExit: no more"),
        (functions.allocate_too_much, (), "MemoryError", "Expected enough memory"),
        (functions.import_missing, (), "ModuleNotFoundError", "'no_such_package_anywhere'"),
        (functions.give_unpicklable, (), "", "lambda"),
        (functions.give_unreadable, (), "RuntimeError", "not in this process"),
        (functions.exit_at_once, (3,), "ExitCode", "exit code 3"),
        (functions.exit_at_once, (0,), "ExitCode", "exit code 0"),
        (functions.kill_self, (signal.SIGKILL,), "SIGKILL", "most likely memory ran out"),
        (functions.kill_self, (signal.SIGTERM,), "SIGTERM", "from outside"),
        (functions.read_address_zero, (), "SIGSEGV", "crash inside a compiled library"),
        (functions.die_in_the_middle_of_a_message, (), "ExitCode", "exit code 7"),
    ],
)
def test_a_failure_is_one_clear_sentence(function, args, kind, message):
    job = jobs.run(function, *args)
    *before, last = job.events(WAIT_S)
    assert isinstance(last, Failed)
    assert message in last.message
    assert last.message.startswith("Expected ")
    assert "\n" not in last.message
    assert last.kind == kind or not kind
    assert job.outcome is last
    assert_gone(job)
    with pytest.raises(JobError) as raised:
        job.result()
    assert str(raised.value) == last.message
    assert raised.value.kind == last.kind
    if function in (functions.exit_at_once, functions.kill_self):
        assert before == [Metric(0, {"loss": 1.0})]  # sent right before the end
    if function is functions.exit_at_once:
        assert last.traceback == "last words\n"


def test_an_exception_keeps_its_traceback():
    failed = wait_for(jobs.run(functions.raise_error, ZeroDivisionError("by hand")), Failed)
    assert "in raise_error" in failed.traceback
    assert failed.traceback.endswith("ZeroDivisionError: by hand\n")


class _InternalError(RuntimeError):
    """Stands for one of TensorFlow's."""


_InternalError.__module__ = "tensorflow.python.framework.errors_impl"
ResourceExhaustedError = type("ResourceExhaustedError", (Exception,), {})


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (_InternalError("no kernel image on GPU"), "Expected a GPU"),
        (_InternalError("graph is odd"), "Expected the work to finish"),
        (RuntimeError("GPU"), "Expected the work to finish"),
        (ResourceExhaustedError("OOM when allocating"), "Expected enough memory"),
        (
            ImportError("libx.so: failed to map segment from shared object"),
            "Expected enough memory",
        ),
        (ImportError("No module named 'x'"), "Expected a package"),
        (ValueError("first line\nsecond line"), "ValueError: first line."),
    ],
)
def test_explanations_of_exceptions(error, message):
    assert message in explain_exception(error).message


@pytest.mark.parametrize(
    ("code", "kind"),
    [(-6, "SIGABRT"), (-63, "signal 63"), (0xC0000005, "SIGSEGV"), (1, "ExitCode")],
)
def test_explanations_of_exits(code, kind):
    failed = explain_exit(code, "output")
    assert failed.kind == kind
    assert failed.traceback == "output"


def test_what_cannot_be_sent_is_refused_at_once():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        jobs.run(functions.add, lambda: None)
    local = type("function", (), {"__module__": "__main__"})()
    with pytest.raises(ValueError, match="function of an importable module"):
        jobs.run(local)


# ---------------------------------------------------------------------------- stopping
def test_stopping_early_returns_the_best_so_far():
    job = jobs.run(functions.listen)
    wait_for(job, Log)
    job.stop()
    assert job.result(WAIT_S) >= 0
    assert_gone(job)


@pytest.mark.parametrize("function", [functions.listen, functions.ignore_everything])
def test_cancel_ends_within_two_seconds(function):
    job = jobs.run(function)
    wait_for(job, Log)
    job.cancel()
    job.cancel()
    assert job.join(2)
    assert list(job.events(WAIT_S)) == [Cancelled()]
    with pytest.raises(CancelledError):
        job.result()
    job.cancel()  # after the end nothing happens
    assert job.outcome == Cancelled()
    assert_gone(job)


def test_cancel_before_the_child_listens():
    job = jobs.run(functions.listen)
    job.cancel()
    assert job.join(WAIT_S)
    assert job.outcome == Cancelled()


def test_cancel_while_a_large_argument_is_on_its_way():
    job = jobs.run(functions.add, bytes(50_000_000), b"")
    job.cancel()
    assert job.join(WAIT_S)
    assert job.outcome == Cancelled()


def test_cancel_lets_cleaning_up_happen(tmp_path):
    job = jobs.run(functions.clean_up_when_told, str(tmp_path / "half"))
    wait_for(job, Log)
    assert (tmp_path / "half").exists()
    job.cancel()
    assert job.join(WAIT_S)
    assert job.outcome == Cancelled()
    assert not (tmp_path / "half").exists()


def test_a_function_may_cancel_itself():
    assert wait_for(jobs.run(functions.give_up), Cancelled)


def test_cancel_ends_grandchildren_that_do_not_listen():
    job = jobs.run(functions.start_grandchild_and_wait)
    grandchild = wait_for(job, Metric).values["pid"]
    assert is_alive(grandchild)
    job.cancel()
    assert job.join(WAIT_S)
    assert wait_until(lambda: not is_alive(grandchild))


def test_a_forked_grandchild_holds_nothing_up_and_is_ended():
    job = jobs.run(functions.leave_forked_grandchild)
    grandchild = job.result(WAIT_S)
    assert wait_until(lambda: not is_alive(grandchild))
    assert_gone(job)


def test_interrupts_ask_to_stop_then_to_cancel_then_interrupt():
    before = signal.getsignal(signal.SIGINT)
    with jobs.stop_on_interrupt() as should_stop:
        assert should_stop() is StopRequest.NONE
        signal.raise_signal(signal.SIGINT)
        assert should_stop() is StopRequest.STOP_EARLY
        signal.raise_signal(signal.SIGINT)
        assert should_stop() is StopRequest.CANCEL
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_defaults_for_work_in_this_process():
    assert not jobs.never_stop()
    assert functions.add(1, 2, on_event=jobs.ignore_event, should_stop=jobs.never_stop) == 3


# ------------------------------------------------------------------------ other parents
UNGUARDED = """
import sys
sys.path.insert(0, {tests!r})
import job_functions
from napari_animalpose import jobs
print("imported", flush=True)
job = jobs.run(job_functions.{call})
"""


def write_script(folder: Path, call: str, rest: str) -> list[str]:
    script = folder / "unguarded.py"
    tests = str(Path(__file__).parent)
    script.write_text(UNGUARDED.format(tests=tests, call=call) + rest)
    return [sys.executable, str(script)]


def test_a_script_needs_no_main_guard(tmp_path):
    command = write_script(tmp_path, "add, 1, 2", "print(job.result(60))\n")
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=True)
    assert done.stdout == "imported\n3\n"
    assert done.stderr == ""


def test_functions_of_a_script_are_refused_with_the_remedy(tmp_path):
    rest = "def own(*, on_event, should_stop): ...\njobs.run(own)\n"
    command = write_script(tmp_path, "add, 1, 2", rest)
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 1
    assert "Move it into a module of its own." in done.stderr


@pytest.mark.parametrize("holds_pipe", [False, True], ids=["alone", "with another child"])
@pytest.mark.parametrize("end", [signal.SIGKILL, None], ids=["killed", "left"])
def test_nobody_outlives_the_parent(tmp_path, end, holds_pipe):
    # Another child of the parent, made by a plain fork, keeps the job's pipes open.
    fork = "import os\nif os.fork() == 0: time.sleep(30); os._exit(0)\n" if holds_pipe else ""
    rest = (
        "import time\nevent = next(job.events(60))\n"
        + fork
        + "print(job.pid, flush=True)\n"
        + ("time.sleep(600)\n" if end else "os._exit(0)\n" if fork else "")
    )
    command = write_script(tmp_path, "ignore_everything", rest)
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"imported\n"
            pid = int(parent.stdout.readline())
            if end:
                assert is_alive(pid)
                parent.send_signal(end)
            parent.wait(WAIT_S)
            assert wait_until(lambda: not is_alive(pid))
        finally:
            if holds_pipe:
                os.killpg(parent.pid, signal.SIGKILL)
