"""Functions that `test_jobs` runs in child processes, one for each way to go and to end."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from napari_animalpose.errors import CancelledError, DataError
from napari_animalpose.jobs import Log, Metric, Part, Preview, Progress, StopRequest


def add(a, b, *, on_event, should_stop):
    on_event(Progress("Add", 1, 2, rate=0.5, eta_s=2.0))
    on_event(Log(logging.WARNING, f"adding {a} and {b}"))
    return a + b


def describe_process(*, on_event, should_stop):
    return {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "nice": os.nice(0),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "main": sys.modules["__main__"].__dict__.get("__file__"),
        "heavy": sorted({"numpy", "tensorflow", "keras", "qtpy"} & set(sys.modules)),
        "cwd": os.getcwd(),
    }


def raise_error(error, *, on_event, should_stop):
    raise error


def give_unpicklable(*, on_event, should_stop):
    return lambda: None


class OnlyInChild:
    """Cannot be read back in the parent."""

    def __reduce__(self):
        return _refuse_in_parent, (os.getpid(),)


def _refuse_in_parent(pid):
    if os.getpid() != pid:
        raise RuntimeError("not in this process")
    return OnlyInChild()


def give_unreadable(*, on_event, should_stop):
    return OnlyInChild()


def exit_at_once(code, *, on_event, should_stop):
    on_event(Metric(0, {"loss": 1.0}))
    print("last words", flush=True)
    os._exit(code)


def exit_politely(*, on_event, should_stop):
    sys.exit("no more")


def kill_self(number, *, on_event, should_stop):
    on_event(Metric(0, {"loss": 1.0}))
    os.kill(os.getpid(), number)
    time.sleep(60)


def finish_pieces_and_die(n, *, on_event, should_stop):
    for number in range(n):
        on_event(Part("piece", number))
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def read_address_zero(*, on_event, should_stop):
    ctypes.string_at(0)


def die_in_the_middle_of_a_message(*, on_event, should_stop):
    on_event(Metric(0, {"loss": 1.0}))
    threading.Timer(0.3, os._exit, [7]).start()
    while True:
        on_event(Log(0, "x" * 10_000_000))


def ignore_everything(*, on_event, should_stop):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    on_event(Log(0, "deaf"))
    while True:
        pass


def clean_up_when_told(path, *, on_event, should_stop):
    half_written = Path(path)
    half_written.touch()
    on_event(Log(0, "writing"))
    try:
        while True:
            pass
    finally:
        half_written.unlink()


def listen(*, on_event, should_stop):
    best = 0
    on_event(Log(0, "listening"))
    while True:
        match should_stop():
            case StopRequest.STOP_EARLY:
                return best
            case StopRequest.CANCEL:
                raise CancelledError
        best += 1
        time.sleep(0.01)


def give_up(*, on_event, should_stop):
    raise CancelledError


def start_grandchild_and_wait(*, on_event, should_stop):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    grandchild = subprocess.Popen([sys.executable, "-c", code])
    on_event(Metric(0, {"pid": grandchild.pid}))
    time.sleep(600)


def leave_forked_grandchild(*, on_event, should_stop):
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    return pid


def flood(n, *, on_event, should_stop):
    for step in range(n):
        on_event(Metric(step, {"loss": step / 2}))
        if step % 100 == 0:
            on_event(Preview("frame", {"image": bytes(100_000), "step": step}))
            on_event(Part("piece", step))
    return n


def write_from_threads(n_threads, n_events, *, on_event, should_stop):
    def write(thread):
        for step in range(n_events):
            on_event(Metric(step, {"thread": thread}))

    threads = [threading.Thread(target=write, args=[i]) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def hang_at_exit(*, on_event, should_stop):
    threading.Thread(target=time.sleep, args=[600]).start()
    return "done"


def chatter(n_bytes, *, on_event, should_stop):
    print("x" * n_bytes)
    os.write(1, b"raw to descriptor one\n")
    print("the end", file=sys.stderr)
    return sys.stdin.read()


def allocate_too_much(*, on_event, should_stop):
    return bytearray(1 << 62)


def import_missing(*, on_event, should_stop):
    import no_such_package_anywhere

    return no_such_package_anywhere


def fail_with_data(*, on_event, should_stop):
    raise DataError("Expected labels; received none. Label a frame first.")
