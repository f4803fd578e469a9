"""A journal of edits on disk, so that a process that dies loses nothing.

A journal is one file: a magic line, then records. Each record has a length, a checksum
(CRC-32) and its bytes; the first one is JSON and says which project the edits belong to,
every other one is an edit as an npz file (arrays without objects). Every record goes to
the operating system at once, which survives the death of the process; it goes to the disk
every few seconds and when the project is saved, which survives the loss of power but for
these seconds. A record that was cut off ends the journal.

Undo and redo are written as the edits that they are, so that reading a journal is doing
its edits in order. A journal that is in use is locked; one that is not, and holds edits,
is work that somebody lost.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import struct
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.edit_kinds import (
    Edit,
    FrameEdit,
    Holder,
    TableEdit,
    edit_from_dict,
    read_header,
)
from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import FileFormatError
from napari_animalpose.io.atomic import as_output_error
from napari_animalpose.io.places import state_folder

__all__ = ["Journal", "Recovery", "find_recoverable", "fingerprint", "journal_folder"]

_MAGIC = b"animalpose journal 1\n"
_RECORD = struct.Struct("<QI")  # length, CRC-32
_SYNC_S = 5.0
_SUFFIX = ".journal"


def journal_folder() -> Path:
    """Return where journals are kept; ``ANIMALPOSE_JOURNALS`` names another folder."""
    return Path(os.environ.get("ANIMALPOSE_JOURNALS") or state_folder() / "journals")


def fingerprint(path: str | Path | None) -> dict[str, Any] | None:
    """Return size and time of a file, to see whether it has changed; None without one."""
    if path is None:
        return None
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


class Journal:
    """The edits of one open project since it was saved or opened.

    The file is made when the first edit comes, so that looking at a project leaves none.

    Parameters
    ----------
    header : mapping
        What the edits belong to, as values that JSON can hold.
    folder : Path, optional
        By default `journal_folder`.
    """

    def __init__(self, header: Mapping[str, Any], folder: Path | None = None) -> None:
        self._header = dict(header)
        self._folder = folder or journal_folder()
        self._file: IO[bytes] | None = None
        self._synced = time.monotonic()
        self.path: Path | None = None

    def append(self, edit: Edit) -> None:
        """Write an edit that was just done.

        Raises
        ------
        OutputError
            If the disk is full or the folder cannot be written to; what was written before
            stays readable.
        """
        try:
            if self._file is None:
                self._begin()
            assert self._file is not None
            end = self._file.tell()
            try:
                _write_record(self._file, _pack_edit(edit))
            except OSError:
                self._file.truncate(end)
                raise
            if time.monotonic() - self._synced > _SYNC_S:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise as_output_error(error, self.path or self._folder) from error

    def restart(self, header: Mapping[str, Any]) -> None:
        """Forget the edits: the project was saved, and is described by another header."""
        self.discard()
        self._header = dict(header)

    def discard(self) -> None:
        """Remove the file, if there is one."""
        if self._file is not None:
            assert self.path is not None
            if sys.platform == "win32":  # an open file cannot be removed there
                self._file.close()
                self.path.unlink(missing_ok=True)
            else:
                self.path.unlink(missing_ok=True)
                self._file.close()
            self._file = self.path = None

    def adopt(self, file: IO[bytes], path: Path) -> None:
        """Go on with the journal of a process that died."""
        self._file, self.path = file, path

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.path = self._folder / f"{time.time_ns():x}-{secrets.token_hex(4)}{_SUFFIX}"
        self._file = self.path.open("x+b", buffering=0)
        _lock(self._file)
        self._file.write(_MAGIC)
        _write_record(self._file, json.dumps({**self._header, "begun": time.time()}).encode())


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
        return fingerprint(self.header.get("source")) != self.header.get("fingerprint")

    def describe(self) -> str:
        """Return one sentence: which project, how many edits, when."""
        began = time.strftime("%d %B %Y, %H:%M", time.localtime(self.header.get("begun", 0)))
        edits = f"{self.n_edits} unsaved edit{'s' if self.n_edits != 1 else ''}"
        text = f"{self.header.get('name', 'untitled')}: {edits} from {began}."
        if self.has_changed:
            text += " The file has changed since; what still fits can be recovered."
        return text

    def discard(self) -> None:
        """Forget the edits for good."""
        self.path.unlink(missing_ok=True)

    def take(self) -> IO[bytes]:
        """Lock the journal and return it, placed after its last whole record.

        Raises
        ------
        FileFormatError
            If another window has taken it meanwhile.
        """
        file = self.path.open("r+b", buffering=0)
        if not _lock(file):
            file.close()
            raise FileFormatError(
                f"Expected unsaved edits that no other window uses; received {self.path.name!r}, "
                "which one has opened meanwhile.",
                self.path,
            )
        end = len(_MAGIC)
        for record in _read_records(file):
            end += _RECORD.size + len(record)
        file.truncate(end)
        file.seek(end)
        return file

    def replay(self, holder: Holder) -> Iterator[Edit]:
        """Yield each edit, to be done to the project before the next one is asked for.

        What an edit replaces is not in the journal where the project itself has it.
        """
        with self.path.open("rb") as file:
            records = _read_records(file)
            next(records)
            for record in records:
                yield _unpack_edit(record, holder)


def find_recoverable(folder: Path | None = None) -> list[Recovery]:
    """Return the journals with edits of processes that are gone, the newest first.

    Journals without a whole edit are removed on the way; files that are none are left.
    """
    folder = folder or journal_folder()
    found = []
    for path in sorted(folder.glob(f"*{_SUFFIX}"), reverse=True):
        try:
            with path.open("r+b", buffering=0) as file:
                if not _lock(file):
                    continue
                count = sum(1 for _ in _read_records(file))
                file.seek(0)
                header = next(_read_records(file), None)
        except OSError:
            continue  # gone meanwhile, or not ours to read
        if header is None or count < 2:
            path.unlink(missing_ok=True)
        else:
            found.append(Recovery(path, json.loads(header), count - 1))
    return found


# ------------------------------------------------------------------------------- records
def _write_record(file: IO[bytes], payload: bytes) -> None:
    """Write a record with one call, as a whole or, on a full disk, not at all."""
    data = _RECORD.pack(len(payload), zlib.crc32(payload)) + payload
    view = memoryview(data)
    while view:  # an unbuffered file may take a part
        view = view[file.write(view) :]


def _read_records(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the whole records of a journal from its beginning; stop at what is cut off."""
    if file.read(len(_MAGIC)) != _MAGIC:
        return
    while len(head := file.read(_RECORD.size)) == _RECORD.size:
        length, checksum = _RECORD.unpack(head)
        payload = b""
        while len(payload) < length and (piece := file.read(length - len(payload))):
            payload += piece
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield payload


def _pack_edit(edit: Edit) -> bytes:
    """Return an edit as an npz file, without what the table itself holds before it."""
    values = edit.to_dict()
    if isinstance(edit, FrameEdit | TableEdit):
        values = {key: array for key, array in values.items() if not key.startswith("before.")}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **values)
    return buffer.getvalue()


def _unpack_edit(payload: bytes, holder: Holder) -> Edit:
    with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
        values: dict[str, NDArray[Any]] = dict(stored)
    kind = read_header(values)["kind"]
    if kind in (FrameEdit.kind, TableEdit.kind) and "before.frame" not in values:
        before = _rows_before(kind, values, holder.poses)
        values |= {f"before.{name}": column for name, column in before.columns.items()}
    return edit_from_dict(values)


def _rows_before(kind: str, values: Mapping[str, NDArray[Any]], poses: Poses) -> Poses:
    return poses.take_frames(values["frames"]) if kind == FrameEdit.kind else poses.copy()


# --------------------------------------------------------------------------------- locks
def _lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed or the process dies; False if somebody else has."""
    try:
        if sys.platform == "win32":
            import msvcrt

            place = file.tell()
            file.seek(2**40)  # far behind the content, which others may read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(place)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
