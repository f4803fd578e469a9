"""Whose journal is it: a lock that ends with its process, and what to do without one."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

__all__ = ["describe_process", "is_alive", "lock"]

# What a file system says that has no locks, as some network shares.
_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


def lock(file: IO[bytes]) -> bool | None:
    """Lock a file until it is closed or the process dies.

    Returns
    -------
    bool or None
        False if somebody else has it; None if this file system has no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            place = file.tell()
            file.seek(2**40)  # far behind the content, which others may read
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            finally:
                file.seek(place)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in _UNSUPPORTED else False
    return True


def describe_process() -> dict[str, Any]:
    """Return what tells this process from all others: machine, number and time of start."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
    }


def is_alive(process: Mapping[str, Any]) -> bool:
    """Whether a process that `describe_process` described may still be there.

    Of another machine nobody can tell: then it may.
    """
    if process.get("host") != socket.gethostname():
        return True
    pid = int(process["pid"])
    if sys.platform == "win32":
        return pid == os.getpid()  # Windows has locks everywhere: not asked in earnest
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return process.get("started") in (None, _started(pid))


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks since the machine did; None if not known."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]
