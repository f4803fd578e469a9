"""Write a file whole or not at all: temporary file, fsync, rename."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_animalpose.errors import OutputError

__all__ = ["as_output_error", "atomic_path"]

# What the system says, as "received ..." and as the remedy, for each error number that
# means "the result cannot be stored here".
_CAUSES: dict[int, tuple[str, str]] = {
    errno.EACCES: ("no permission", "Choose another folder or change its permissions."),
    errno.EPERM: ("no permission", "Choose another folder or change its permissions."),
    errno.EROFS: ("a read-only file system", "Choose a folder on a writable disk."),
    errno.ENOSPC: ("a full disk", "Free some space or choose another disk."),
    errno.EDQUOT: ("an exhausted disk quota", "Free some space or choose another disk."),
    errno.EFBIG: ("a file-size limit", "Raise the limit or choose another disk."),
    errno.EIO: ("a failing disk", "Choose another disk and check this one."),
    errno.ENOENT: ("no such folder", "Create the folder first."),
    errno.ENOTDIR: ("a file where a folder is needed", "Choose another folder."),
    errno.EISDIR: ("a folder of that name", "Choose another file name."),
    errno.ENAMETOOLONG: ("a name that is too long", "Choose a shorter file name."),
}
# Inside the caller's block these say something about the output wherever they come from;
# the others may concern a file that the block reads, and count only if they name ours.
_ALWAYS_OUTPUT = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# HDF5 reports a full disk on closing as a RuntimeError that holds the number in its text.
_HDF5_ERRNO = re.compile(r"errno = (\d+)")


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which becomes `path` when the block succeeds.

    The temporary file exists (empty) on entry, so that a folder without permission is
    found before any long work, and ends with the same name, so that writers which look
    at the suffix see it. On success it is flushed to disk and renamed over `path`; on
    any exception it is removed and an old file at `path` stays as it was. A process
    killed at any moment leaves the old file or the new one, whole.

    A symbolic link is written through; an existing file keeps its mode, a new one gets
    the mode that the umask gives.

    Parameters
    ----------
    path : str or PathLike
        The file to write. Its folder must exist.

    Yields
    ------
    pathlib.Path
        The temporary file to write, in the folder of the final one.

    Raises
    ------
    OutputError
        If the folder is missing or not writable, the disk is full or read-only, or
        `path` is a folder or a write-protected file.
    """
    requested = Path(path)
    target = Path(os.path.realpath(requested))
    try:
        _refuse_unwritable_target(target)
        temporary = _create_beside(target)
    except OSError as error:
        raise as_output_error(error, requested) from error
    finished = False
    try:
        yield temporary
        _sync_file(temporary)
        os.replace(temporary, target)
        finished = True
        _sync_folder(target.parent)
    except (OSError, RuntimeError) as error:
        if _concerns_output(error, (temporary, target)):
            raise as_output_error(error, requested) from error
        raise
    finally:
        if not finished:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def as_output_error(error: BaseException, path: str | os.PathLike[str]) -> OutputError:
    """Translate an operating-system error into one sentence about the output file.

    Parameters
    ----------
    error : BaseException
        What was raised: an `OSError`, or the error of a library that wraps one.
    path : str or PathLike
        The file the user asked for.

    Returns
    -------
    OutputError
        To be raised ``from error``.
    """
    cause, remedy = _CAUSES.get(_error_number(error), (f"{error}", "Choose another folder."))
    folder = Path(path).absolute().parent
    return OutputError(
        f"Expected to write {os.fspath(path)!r} into the folder '{folder}'; "
        f"received {cause}. {remedy}",
        path,
    )


def _error_number(error: BaseException) -> int:
    """Return the errno of an error, 0 if it has none."""
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return number
    found = _HDF5_ERRNO.search(str(error))
    return int(found.group(1)) if found else 0


def _concerns_output(error: OSError | RuntimeError, ours: tuple[Path, ...]) -> bool:
    """Say whether an error from the caller's block is about the file being written."""
    number = _error_number(error)
    if number in _ALWAYS_OUTPUT:
        return True
    named = getattr(error, "filename", None)
    return number in _CAUSES and named is not None and Path(os.fsdecode(named)) in ours


def _refuse_unwritable_target(target: Path) -> None:
    """Raise `OSError` for a target that renaming would replace but writing would not."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))


def _create_beside(target: Path) -> Path:
    """Create an empty file next to `target` with the mode that `target` has or would get."""
    temporary = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    # 0o666 less the umask is what open() gives; tempfile would give 0o600.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    if target.exists():
        os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
    return temporary


def _sync_file(path: Path) -> None:
    """Flush a file to the disk, so that the rename never exposes an unwritten one."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk (Windows has no such call and needs none)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
