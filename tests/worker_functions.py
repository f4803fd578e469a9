"""What `test_worker` runs in child processes: setups, and what answers requests."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from napari_animalpose.errors import CancelledError, DataError
from napari_animalpose.jobs import Failed


class Calculator:
    """Answers (name of a method, *arguments)."""

    def __init__(self, factor=1):
        self.factor = factor
        self.n_asked = 0

    def __call__(self, request):
        self.n_asked += 1
        name, *args = request
        return getattr(self, name)(*args)

    def multiply(self, value):
        return self.factor * value

    def count(self):
        return self.n_asked

    def pid(self):
        return os.getpid()

    def nap(self, seconds, value):
        time.sleep(seconds)
        return value

    def wait_for(self, path):
        while not Path(path).exists():
            time.sleep(0.005)
        return path

    def raise_data_error(self):
        raise DataError("Expected a frame; received none. Choose one.")

    def raise_cancelled(self):
        raise CancelledError

    def interrupt(self):
        raise KeyboardInterrupt

    def leave(self):
        sys.exit(3)

    def allocate(self):
        return bytearray(1 << 62)

    def give_unpicklable(self):
        return lambda: None

    def give_unreadable(self):
        return OnlyInChild()

    def give_failed(self):
        return Failed("a value like any other", "", "")

    def take_unreadable(self, value):
        return value

    def chatter(self):
        print("said something", flush=True)
        os.write(1, b"raw\n")

    def kill(self, number):
        os.kill(os.getpid(), number)
        time.sleep(60)

    def exit_at_once(self, code):
        print("last words", flush=True)
        os._exit(code)

    def read_address_zero(self):
        ctypes.string_at(0)

    def be_deaf(self, path):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(path).touch()
        while True:
            pass

    def describe(self, array):
        return array.shape, str(array.dtype), float(array.sum())

    def ramp(self, *shape):
        return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


class OnlyInChild:
    """Cannot be read back in another process."""

    def __reduce__(self):
        return _refuse_elsewhere, (os.getpid(),)


def _refuse_elsewhere(pid):
    if os.getpid() != pid:
        raise RuntimeError("not in this process")
    return OnlyInChild()


def fail(message):
    raise DataError(message)


def leave(code):
    os._exit(code)


def set_up_slowly(path):
    while not Path(path).exists():
        time.sleep(0.005)
    return Calculator()


def environment():
    return os.environ.get
