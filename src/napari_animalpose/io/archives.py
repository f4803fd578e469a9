"""Zip files from elsewhere: nothing in them is trusted, nothing in them is executed."""

from __future__ import annotations

import shutil
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from napari_animalpose.errors import AnimalPoseError, OutputError

__all__ = ["Archive", "open_archive", "why_unsafe"]

MOST_MEMBERS = 20_000
MOST_RATIO = 100  # of a member's size to its size in the archive; logs reach 20, bombs 1000
UNSUSPICIOUS_BYTES = 16 << 20  # smaller members may be compressed as they like
_BLOCK = 1 << 20
# What a damaged, encrypted or strangely compressed archive raises while it is read.
_DAMAGE = (BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, zlib.error)


def why_unsafe(member: ZipInfo) -> str | None:
    """Say what is wrong with a member whose name or kind could reach outside of its folder."""
    name = PurePosixPath(member.orig_filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in (name.parts or ("",))[0]:
        return "points outside of its folder"
    return "is a link" if stat.S_ISLNK(member.external_attr >> 16) else None


@dataclass(frozen=True)
class Archive:
    """An open zip whose members have been checked.

    Parameters
    ----------
    path : Path
        For messages.
    members : dict
        The files in it (no folders) by name.
    """

    path: Path
    members: dict[str, ZipInfo]
    _file: ZipFile
    _fail: Callable[[str], AnimalPoseError]

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of a small member; at most `limit` are accepted."""
        if self.members[name].file_size > limit:
            raise self._fail(
                f"Expected at most {limit >> 20} MB in {name!r} of {str(self.path)!r}; received "
                f"{self.members[name].file_size >> 20} MB. Do not use this file."
            )
        return b"".join(self._blocks(name))

    def extract(self, name: str, target: Path) -> None:
        """Write a member to a new file whose folder exists.

        Raises
        ------
        OutputError
            If the disk has no room for it.
        """
        size = self.members[name].file_size
        free = shutil.disk_usage(target.parent).free
        if size > free:
            raise OutputError(
                f"Expected {size >> 20} MB of free space for {name!r} in '{target.parent}'; "
                f"received {free >> 20} MB. Free some space or choose another disk.",
                target,
            )
        with target.open("xb") as file:
            for block in self._blocks(name):
                file.write(block)

    def _blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a member; errors in what is done with them stay what they are."""
        try:
            with self._file.open(self.members[name]) as stream:
                while block := stream.read(_BLOCK):
                    yield block
        except _DAMAGE as error:
            raise self._fail(
                f"Expected a readable {name!r} in {str(self.path)!r}; received a damaged file "
                f"({error}). Copy it again."
            ) from error


@contextmanager
def open_archive(
    path: Path, what: str, fail: Callable[[str], AnimalPoseError]
) -> Iterator[Archive]:
    """Open a zip from elsewhere and refuse it as a whole if any member is suspicious.

    Parameters
    ----------
    path : Path
    what : str
        What it should be, for messages: "a zip of a run folder".
    fail : callable
        Makes the error to raise from a message.

    Yields
    ------
    Archive

    Raises
    ------
    AnimalPoseError
        As `fail` makes it: if the file is missing or no zip, or a member is a link, leads
        outside of its folder or unpacks to far more than it takes, or there are too many.
    """
    try:
        file = ZipFile(path)
    except (BadZipFile, NotImplementedError, OSError, ValueError) as error:
        reason = "no such file" if not path.exists() else f"a damaged file ({error})"
        raise fail(f"Expected {what} in {str(path)!r}; received {reason}. Copy it again.") from None
    with file:
        members = file.infolist()
        if len(members) > MOST_MEMBERS:
            raise fail(
                f"Expected {what} with at most {MOST_MEMBERS} files; received {len(members)} in "
                f"{str(path)!r}. Do not use this file."
            )
        for member in members:
            danger = why_unsafe(member) or _why_bomb(member)
            if danger is not None:
                raise fail(
                    f"Expected {what} with plain files only; received {str(path)!r}, in which "
                    f"{member.orig_filename[:80]!r} {danger}. Do not use this file."
                )
        files = {member.filename: member for member in members if not member.is_dir()}
        yield Archive(path, files, file, fail)


def _why_bomb(member: ZipInfo) -> str | None:
    """Say so of a member that unpacks to far more than it takes in the archive.

    The size that the archive announces is also the most that is read of a member.
    """
    most = max(UNSUSPICIOUS_BYTES, MOST_RATIO * member.compress_size)
    if member.file_size <= most:
        return None
    return f"unpacks to {member.file_size >> 20} MB from {member.compress_size >> 10} kB"
