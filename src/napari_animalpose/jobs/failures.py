"""One clear sentence for each way in which a child process can end badly."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable

from napari_animalpose.errors import AnimalPoseError
from napari_animalpose.jobs.events import Failed

__all__ = ["explain_exception", "explain_exit"]

_NO_MEMORY = (
    "Expected enough memory for the work; received {found}. Choose a smaller batch, a smaller "
    "input scale or fewer frames, or close other programs."
)
_CRASHED = (
    "Expected the work to finish; received a crash inside a compiled library ({found}). Run it "
    "again; if it stays, report it with the details and what `animalpose info` prints."
)
_NO_PACKAGE = (
    "Expected a package that the work needs; received {found}. Install it into the environment "
    "that the program runs in."
)
_NO_GPU = (
    "Expected a GPU that TensorFlow can use; received {found}. Choose the CPU as device, or see "
    "`animalpose info` for how to get the GPU working."
)
_OTHER = "Expected the work to finish; received {found}. The details say where."

_BY_EXCEPTION = {
    "MemoryError": _NO_MEMORY,
    "ResourceExhaustedError": _NO_MEMORY,
    "ImportError": _NO_PACKAGE,
}
_BY_SIGNAL = {
    "SIGKILL": "Expected the work to finish; received a kill by the system (SIGKILL): most "
    "likely memory ran out. Choose a smaller batch, a smaller input scale or fewer frames.",
    "SIGTERM": "Expected the work to finish; received the order to end (SIGTERM) from outside "
    "this program.",
    "SIGSEGV": _CRASHED,
    "SIGABRT": _CRASHED,
    "SIGBUS": _CRASHED,
    "SIGILL": _CRASHED,
    "SIGFPE": _CRASHED,
}
_BY_WINDOWS_STATUS = {0xC0000005: "SIGSEGV", 0xC0000409: "SIGABRT", 0xC000001D: "SIGILL"}


def explain_exception(error: BaseException) -> Failed:
    """Return the failure for an exception that a pipeline function raised."""
    kind = type(error).__name__
    details = "".join(traceback.format_exception(error))
    if isinstance(error, AnimalPoseError):
        return Failed(str(error), kind, details)
    text = str(error).strip().splitlines()
    found = f"{kind}: {text[0]}" if text else kind
    return Failed(_choose_sentence(error)(found=found), kind, details)


def _choose_sentence(error: BaseException) -> Callable[..., str]:
    # A library that finds no memory to be loaded into is an ImportError or an OSError.
    if isinstance(error, OSError | ImportError) and any(
        sign in str(error) for sign in ("failed to map segment", "Cannot allocate memory")
    ):
        return _NO_MEMORY.format
    for base in type(error).__mro__:
        if base.__name__ in _BY_EXCEPTION:
            return _BY_EXCEPTION[base.__name__].format
    # TensorFlow tells a missing device apart from other errors only in its text.
    if type(error).__module__.startswith("tensorflow") and any(
        sign in str(error) for sign in ("GPU", "CUDA", "libcud")
    ):
        return _NO_GPU.format
    return _OTHER.format


def explain_exit(code: int, output: str) -> Failed:
    """Return the failure for a child that ended without a result.

    Parameters
    ----------
    code : int
        As `subprocess.Popen.returncode`: negative for a signal on POSIX.
    output : str
        The last that the child wrote to its standard output and error.
    """
    name = _name_signal(code)
    if name is None:
        message = (
            "Expected the work to finish with a result; received the end of its process with "
            f"exit code {code}. The details hold the last that it wrote."
        )
        return Failed(message, "ExitCode", output)
    return Failed(_BY_SIGNAL.get(name, _OTHER).format(found=name), name, output)


def _name_signal(code: int) -> str | None:
    if code >= 0:
        return _BY_WINDOWS_STATUS.get(code)
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
