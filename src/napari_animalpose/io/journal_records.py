"""The records of a journal: how they lie in the file, and how edits become records.

A journal is a magic line, then records. A record is a length, a checksum (CRC-32) and that
many bytes: the length of a JSON text, the text, and the raw bytes of arrays, which the text
names. Nothing in it is executed. The first record has no arrays and says which project the
others belong to; every other one is an edit, or says that an edit of this file was undone or
done again. A record that is cut off or damaged ends the journal.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
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
from napari_animalpose.data.edit_sequence import EditSequence, split_sequence
from napari_animalpose.data.mark_edits import Marks
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.video import Video
from napari_animalpose.errors import FileFormatError
from napari_animalpose.io.video_edits import VideosEdit, describe_video

__all__ = [
    "MAGIC",
    "Again",
    "read_records",
    "read_text",
    "record_edits",
    "size_of",
    "write_edit",
    "write_record",
]

MAGIC = b"animalpose journal 2\n"
_RECORD = struct.Struct("<QI")  # length, CRC-32
_TEXT = struct.Struct("<I")  # length of the JSON text
_ARRAY_KINDS = frozenset("biuf")

Values = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Again:
    """The edit of record `number` (0 = the first edit) once more, or its inverse."""

    number: int
    backwards: bool


# ------------------------------------------------------------------------------ the file
def write_record(file: IO[bytes], entries: Mapping[str, Any], arrays: Values | None = None) -> int:
    """Append a record to an unbuffered file and return its length in bytes.

    Raises
    ------
    OSError
        If not all of it could be written; what is in the file then is no record.
    """
    whole = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    described = [[name, array.dtype.str, array.shape] for name, array in whole.items()]
    text = json.dumps({**entries, "arrays": described}, separators=(",", ":")).encode()
    parts = [memoryview(_TEXT.pack(len(text)) + text), *map(_bytes_of, whole.values())]
    checksum, length = 0, sum(part.nbytes for part in parts)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    parts.insert(0, memoryview(_RECORD.pack(length, checksum)))
    if length < 2**20:
        parts = [memoryview(b"".join(parts))]  # one call, so that it is there whole or not
    for rest in parts:
        while rest:  # an unbuffered file may take a piece
            rest = rest[file.write(rest) :]
    return _RECORD.size + length


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]  # numpy 2 has buffers


def read_records(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the whole records of a journal from the beginning of a file."""
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        return
    end = os.fstat(file.fileno()).st_size
    while len(head := file.read(_RECORD.size)) == _RECORD.size:
        length, checksum = _RECORD.unpack(head)
        if length > end:  # nonsense: do not ask for so much memory
            return
        payload = bytearray()
        while len(payload) < length and (piece := file.read(length - len(payload))):
            payload += piece
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield bytes(payload)


def size_of(record: bytes) -> int:
    """Return the bytes that a record read by `read_records` takes in the file."""
    return _RECORD.size + len(record)


def read_text(record: bytes) -> dict[str, Any]:
    """Return the entries of a record without its arrays."""
    (length,) = _TEXT.unpack_from(record)
    entries: dict[str, Any] = json.loads(record[_TEXT.size : _TEXT.size + length])
    return entries


def _read_arrays(record: bytes) -> tuple[dict[str, Any], Values]:
    entries = read_text(record)
    (length,) = _TEXT.unpack_from(record)
    offset, arrays = _TEXT.size + length, {}
    for name, kind, shape in entries.pop("arrays"):
        dtype, count = np.dtype(kind), math.prod(shape)
        if dtype.kind not in _ARRAY_KINDS:
            raise FileFormatError(
                f"Expected numbers in a journal; received {kind!r}. Discard it.", ""
            )
        arrays[name] = np.frombuffer(record, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
    return entries, arrays


# ------------------------------------------------------------------------------ edits
def write_edit(file: IO[bytes], edit: Edit | Again) -> int:
    """Append an edit without what the project itself holds before it."""
    if isinstance(edit, Again):
        return write_record(file, {"again": edit.number, "backwards": edit.backwards})
    values = edit.to_dict()
    dropped = tuple(_known_before(edit))
    texts = {key: str(array) for key, array in values.items() if array.dtype.kind == "U"}
    arrays = {
        key: array
        for key, array in values.items()
        if key not in texts and not (dropped and key.startswith(dropped))
    }
    return write_record(file, {"texts": texts}, arrays)


def _known_before(edit: Edit, prefix: str = "", is_first: bool = True) -> Iterator[str]:
    """Yield how the names of arrays begin that can be read from the project instead.

    In the middle of a sequence only whole tables are left out: to read them, the parts
    before have to be tried on a copy.
    """
    if isinstance(edit, TableEdit) or (is_first and isinstance(edit, FrameEdit)):
        yield f"{prefix}before."
    elif isinstance(edit, EditSequence):
        for number, part in enumerate(edit.edits):
            yield from _known_before(part, f"{prefix}{number}.", is_first and not number)


def record_edits(records: list[bytes], holder: Holder) -> Iterator[Edit]:
    """Yield the edit of each record, to be done before the next one is asked for."""
    texts = [read_text(record) for record in records]
    wanted = {text["again"] for text in texts if "again" in text}
    kept: dict[int, Edit] = {}
    for number, (text, record) in enumerate(zip(texts, records, strict=True)):
        if "again" in text:
            edit = kept[text["again"]]
            edit = edit.inverse() if text["backwards"] else edit
        else:
            entries, arrays = _read_arrays(record)
            values = {key: np.array(value) for key, value in entries["texts"].items()}
            edit = _rebuild({**values, **arrays}, holder)
        if number in wanted:
            kept[number] = edit
        yield edit


class _Scratch:
    """A copy of a project on which the parts of a sequence are tried."""

    def __init__(self, holder: Holder) -> None:
        self.poses: Poses = holder.poses.copy()
        self.marks: Marks = holder.marks
        self.videos: tuple[Video, ...] = holder.videos


def _rebuild(values: Values, holder: Holder) -> Edit:
    """Build an edit; what was left out is read from the project as it is now."""
    kind = read_header(values)["kind"]
    if kind == EditSequence.kind:
        return _rebuild_sequence(values, holder)
    if _lacks_before(values):
        poses, is_frames = holder.poses, kind == FrameEdit.kind
        before = poses.take_frames(values["frames"]) if is_frames else poses.copy()
        values = values | {f"before.{name}": column for name, column in before.columns.items()}
        values["header"] = _with_schema(values, before)
    edit = edit_from_dict(values)
    if isinstance(edit, VideosEdit):
        return replace(
            edit,
            before=_same_videos(edit.before, holder.videos),
            after=_same_videos(edit.after, holder.videos),
        )
    return edit


def _rebuild_sequence(values: Values, holder: Holder) -> EditSequence:
    header, parts = split_sequence(values)
    edits: list[Edit] = []
    scratch: Holder | None = None
    for number, part in enumerate(parts):
        edits.append(_rebuild(part, scratch or holder))
        if any(_lacks_before(later) for later in parts[number + 1 :]):
            scratch = scratch or _Scratch(holder)
            edits[-1].apply_to(scratch)
    return EditSequence(header["label"], tuple(edits))


def _lacks_before(values: Values) -> bool:
    header = read_header(values)
    if header["kind"] == EditSequence.kind:
        return any(_lacks_before(part) for part in split_sequence(values)[1])
    return header["kind"] in (FrameEdit.kind, TableEdit.kind) and "before.frame" not in values


def _with_schema(values: Values, before: Poses) -> NDArray[Any]:
    """Return the header with the schema that the project has, should its file have changed."""
    schema = {"skeleton": asdict(before.skeleton), "track_names": before.track_names}
    return np.array(json.dumps({**read_header(values), "before": schema}))


def _same_videos(videos: tuple[Video, ...], present: tuple[Video, ...]) -> tuple[Video, ...]:
    """Return the videos, with those that the project has open already as they are there."""
    known = {json.dumps(_describe_source(video)): video for video in present}
    return tuple(known.get(json.dumps(_describe_source(video)), video) for video in videos)


def _describe_source(video: Video) -> dict[str, Any]:
    """Return the description of a video without what may be known of it only later."""
    return {name: value for name, value in describe_video(video).items() if name != "shape"}
