"""A journal of edits on disk, so that a process that dies loses nothing.

A journal is one file of records (`io.journal_records`). Every record goes to the operating
system at once, which survives the death of the process at any moment. It goes to the disk
within `SYNC_S` seconds, on a thread of its own, which survives the loss of power but for these
seconds: what was labelled in them may be gone, all that came before is there.

Reading a journal is doing its edits in order: undo and redo are written as the edits that they
are, or, for large ones, as a reference to the record that has them. A journal that is in use is
locked by its process; one that is not, and holds edits, is work that somebody lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from weakref import WeakKeyDictionary

from napari_animalpose.data.edit_kinds import Edit, Holder
from napari_animalpose.errors import FileFormatError
from napari_animalpose.io.atomic import as_output_error
from napari_animalpose.io.journal_lock import describe_process, is_alive, lock
from napari_animalpose.io.journal_records import (
    MAGIC,
    Again,
    read_records,
    read_text,
    record_edits,
    size_of,
    write_edit,
    write_record,
)
from napari_animalpose.io.places import state_folder

__all__ = [
    "Journal",
    "Recovery",
    "find_recoverable",
    "fingerprint",
    "has_changed",
    "is_same_file",
    "journal_folder",
]

SYNC_S = 5.0  # how long an edit may wait for the disk
RETRY_S = 30.0  # how long after a failure to try again
_LARGE = 2**16  # bytes; a larger edit is not written again when it is undone or redone
_SUFFIX = ".journal"
_SAMPLES, _SAMPLE_BYTES = 16, 4096
_MOST_HASHED_BYTES = 2**30  # of a larger file only samples are read


def journal_folder() -> Path:
    """Return where journals are kept; ``ANIMALPOSE_JOURNALS`` names another folder."""
    return Path(os.environ.get("ANIMALPOSE_JOURNALS") or state_folder() / "journals")


def fingerprint(path: str | Path | None, *, whole: bool = True) -> dict[str, Any] | None:
    """Return size, time and hashes of a file; None where there is no file.

    Two fingerprints are of the same content if `is_same_file` says so.

    Parameters
    ----------
    path : path or None
    whole : bool
        Hash not only samples but also all bytes, of a file of up to a GiB (half a second).
    """
    if path is None:
        return None
    path = Path(path)
    try:
        stat = path.stat()
        is_file = path.is_file()
        digest = _hash_samples(path, stat.st_size) if is_file else ""
        found: dict[str, Any] = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        found["digest"] = digest
        if whole:
            is_small = is_file and stat.st_size <= _MOST_HASHED_BYTES
            found["content"] = _hash_all(path) if is_small else ""
    except OSError:
        return None
    return found


def has_changed(path: str | Path | None, known: Mapping[str, Any] | None) -> bool:
    """Whether a file has another content than the one of a fingerprint.

    Reads the whole file only where its time is another one.
    """
    found = fingerprint(path, whole=False)
    if found and known and found["mtime_ns"] != known["mtime_ns"]:
        found = fingerprint(path)
    return not is_same_file(found, known)


def is_same_file(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> bool:
    """Whether two fingerprints are of the same content, perhaps of another time.

    Folders, and files too large to be hashed as a whole, are known by their time.
    """
    if a is None or b is None:
        return a is b
    if a["size"] != b["size"] or a["digest"] != b["digest"]:
        return False
    if a["mtime_ns"] == b["mtime_ns"]:
        return True
    if a["digest"] and not ("content" in a and "content" in b):
        return True  # older journals know no more than the samples
    return bool(a.get("content")) and a["content"] == b["content"]


def _hash_all(path: Path) -> str:
    """Return the CRC-32 of a file: against chance, and several times faster than others."""
    checksum = 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(2**20):
            checksum = zlib.crc32(piece, checksum)
    return f"{checksum:08x}"


def _hash_samples(path: Path, size: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE_BYTES) * number // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


class Journal:
    """The edits of one open project since it was saved or opened.

    The file is made when the first edit comes, so that looking at a project leaves none.

    Parameters
    ----------
    header : mapping
        What the edits belong to, as values that JSON can hold.
    snapshot : callable
        Returns an edit that makes everything as it is now, whatever was there before.
    folder : Path, optional
        By default `journal_folder`.
    needs_snapshot : bool
        Whether the header alone does not lead to the project before the first edit.

    Attributes
    ----------
    path : Path or None
        The file, if there is one.
    needs_snapshot : bool
        Whether the next edit is written as everything that there is then.
    """

    def __init__(
        self,
        header: Mapping[str, Any],
        snapshot: Callable[[], Edit],
        folder: Path | None = None,
        *,
        needs_snapshot: bool = False,
    ) -> None:
        self._folder = folder or journal_folder()
        self._snapshot = snapshot
        self._sync = _SyncLater()
        self._file: IO[bytes] | None = None
        self.path: Path | None = None
        self._begin_anew(header, needs_snapshot)

    def _begin_anew(self, header: Mapping[str, Any], needs_snapshot: bool) -> None:
        self._header = dict(header)
        self.needs_snapshot = needs_snapshot
        self._retry_at = 0.0
        self._n_edits = 0
        self._written: WeakKeyDictionary[Edit, Again] = WeakKeyDictionary()

    def append(self, edit: Edit, backwards: bool = False) -> None:
        """Write an edit that was just done, or undone.

        Where an edit could not be written, the next one brings all that is missing.

        Raises
        ------
        OutputError
            If the disk is full or the folder cannot be written to; what was written before
            stays readable. It is not said of every edit, but every `RETRY_S` seconds.
        """
        if self._retry_at and time.monotonic() < self._retry_at:
            return
        try:
            if self.needs_snapshot:
                self._start_over()
            else:
                self._write(edit, backwards)
        except OSError as error:
            self.needs_snapshot = True
            self._retry_at = time.monotonic() + RETRY_S
            raise as_output_error(error, self.path or self._folder / "journal") from error

    def restart(self, header: Mapping[str, Any]) -> None:
        """Forget the edits: the project was saved, and is described by another header."""
        self.discard()
        self._begin_anew(header, needs_snapshot=False)

    def discard(self) -> None:
        """Remove the file, if there is one."""
        if self._file is not None:
            assert self.path is not None
            _remove(self._file, self.path)
            self._file = self.path = None

    def release(self) -> None:
        """Leave the file to `find_recoverable`, as if the process had ended."""
        if self._file is not None:
            self._file.close()
            self._file = self.path = None

    def adopt(self, file: IO[bytes], path: Path, n_edits: int) -> None:
        """Go on with the journal of a process that died, placed at its end."""
        self._file, self.path, self._n_edits = file, path, n_edits

    def _write(self, edit: Edit, backwards: bool) -> None:
        if self._file is None:
            self._file, self.path = self._create()
        assert self.path is not None
        known = self._written.get(edit)
        if known is not None:
            size = write_edit(self._file, Again(known.number, backwards != known.backwards))
        else:
            size = write_edit(self._file, edit.inverse() if backwards else edit)
        if size > _LARGE:
            self._written[edit] = Again(self._n_edits, backwards)
        self._n_edits += 1
        self._sync.ask(self.path)

    def _start_over(self) -> None:
        """Write everything to a new file, and only then let go of the old one."""
        file, path = self._create()
        try:
            write_edit(file, self._snapshot())
        except OSError:
            _remove(file, path)
            raise
        self.discard()
        self._begin_anew(self._header, needs_snapshot=False)
        self._file, self.path, self._n_edits = file, path, 1
        self._sync.ask(path)

    def _create(self) -> tuple[IO[bytes], Path]:
        """Return a new journal; nobody sees it before it is locked and has its header."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{time.time_ns():x}-{secrets.token_hex(4)}{_SUFFIX}"
        hidden = path.with_suffix(".new")
        file = hidden.open("x+b", buffering=0)
        try:
            lock(file)
            file.write(MAGIC)
            entries = {**self._header, "begun": time.time(), "process": describe_process()}
            write_record(file, entries)
            hidden.rename(path)
        except OSError:
            _remove(file, hidden)
            raise
        return file, path


class _SyncLater:
    """Flushes a file to the disk some seconds after it was asked to, on its own thread."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def ask(self, path: Path) -> None:
        if self._timer is None or not self._timer.is_alive():
            self._timer = threading.Timer(SYNC_S, _sync, [path])
            self._timer.daemon = True
            self._timer.start()


def _sync(path: Path) -> None:
    with suppress(OSError):  # gone meanwhile; a failing disk says so at the next write
        descriptor = os.open(path, os.O_RDWR)  # its own, which holds no lock
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(file: IO[bytes], path: Path) -> None:
    """Empty, close and remove a journal; an empty one is none, should it have to stay."""
    with suppress(OSError):
        file.truncate(0)
    if sys.platform == "win32":  # an open file cannot be removed there
        file.close()
    with suppress(OSError):
        path.unlink(missing_ok=True)
    file.close()


@dataclass
class Recovery:
    """A journal that nobody uses, with edits that were not saved.

    Attributes
    ----------
    path : Path
        Of the journal.
    header : dict
        What the edits belong to.
    n_edits : int
    """

    path: Path
    header: dict[str, Any]
    n_edits: int

    @property
    def has_changed(self) -> bool:
        """Whether the project's file is another one than when the journal was begun."""
        return has_changed(self.header.get("source"), self.header.get("fingerprint"))

    def describe(self) -> str:
        """Return one or two sentences: which project, how many edits, when."""
        last = self.path.stat().st_mtime if self.path.exists() else self.header.get("begun", 0)
        when = time.strftime("%d %B %Y, %H:%M", time.localtime(last))
        edits = f"{self.n_edits} unsaved edit{'s' if self.n_edits != 1 else ''}"
        text = f"{self.header.get('name', 'untitled')}: {edits}, the last on {when}."
        source = self.header.get("source")
        if source is not None and not Path(source).exists():
            text += f" The file {source} is gone; put it back to recover them."
        elif self.has_changed:
            text += " The file has changed since; what still fits can be recovered."
        return text

    def discard(self) -> None:
        """Forget the edits for good, unless another window has taken them meanwhile."""
        with suppress(FileNotFoundError, FileFormatError):
            _remove(self.take(), self.path)

    def take(self) -> IO[bytes]:
        """Lock the journal and return it, placed after its last whole record.

        Raises
        ------
        FileFormatError
            If another window has taken it meanwhile.
        """
        try:
            file = self.path.open("r+b", buffering=0)
        except OSError:
            raise _taken(self.path) from None
        if lock(file) is False:
            file.close()
            raise _taken(self.path)
        end = len(MAGIC) + sum(size_of(record) for record in read_records(file))
        file.truncate(end)
        file.seek(end)
        return file

    def replay(self, holder: Holder) -> Iterator[Edit]:
        """Yield each edit, to be done to the project before the next one is asked for.

        What an edit replaces is not in the journal where the project itself has it.
        """
        with self.path.open("rb", buffering=0) as file:
            records = list(read_records(file))[1:]
        yield from record_edits(records, holder)


def _taken(path: Path) -> FileFormatError:
    return FileFormatError(
        f"Expected unsaved edits that no other window uses; received {path.name!r}, which one "
        "has opened or discarded meanwhile.",
        path,
    )


def find_recoverable(folder: Path | None = None) -> list[Recovery]:
    """Return the journals with edits of processes that are gone, the newest first.

    Journals without a whole edit are removed on the way; files that are none are left.
    """
    folder = folder or journal_folder()
    found = []
    for path in sorted(folder.glob(f"*{_SUFFIX}"), reverse=True):
        try:
            with path.open("r+b", buffering=0) as file:
                recovery = _inspect(file, path)
        except (OSError, json.JSONDecodeError):
            continue  # gone meanwhile, or not ours to read
        if recovery is not None:
            found.append(recovery)
    return found


def _inspect(file: IO[bytes], path: Path) -> Recovery | None:
    locked = lock(file)
    if locked is False:
        return None
    begins = file.read(len(MAGIC))
    if begins != MAGIC[: len(begins)]:
        return None  # of another version, or no journal
    header: dict[str, Any] | None = None
    n_edits = 0
    for record in read_records(file):
        if header is None:
            header = read_text(record)
        else:
            n_edits += 1
    if locked is None and header is not None and is_alive(header.get("process", {})):
        return None
    if not n_edits or header is None:
        _remove(file, path)
        return None
    return Recovery(path, header, n_edits)
