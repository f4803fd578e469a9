"""Messages over a pipe: a length of 8 bytes, then that many bytes of pickle."""

from __future__ import annotations

import os
import struct

__all__ = [
    "CANCEL",
    "QUESTION",
    "STOP_EARLY",
    "frame_message",
    "read_exactly",
    "read_message",
    "write_bytes",
    "write_message",
]

# What the parent writes to the child after the request; a message follows a question.
STOP_EARLY, CANCEL, QUESTION = b"S", b"C", b"Q"
_LENGTH = struct.Struct("<Q")


def write_message(descriptor: int, payload: bytes) -> None:
    """Write one message whole; blocks until the other side has room for it."""
    write_bytes(descriptor, _LENGTH.pack(len(payload)))
    write_bytes(descriptor, payload)


def frame_message(payload: bytes) -> bytes:
    """Return what `write_message` writes."""
    return _LENGTH.pack(len(payload)) + payload


def read_message(descriptor: int) -> bytes | None:
    """Return one message; None if the other side ended, even in the middle of one."""
    head = read_exactly(descriptor, _LENGTH.size)
    return None if head is None else read_exactly(descriptor, _LENGTH.unpack(head)[0])


def read_exactly(descriptor: int, size: int) -> bytes | None:
    """Return `size` bytes, or None if the other side ended before."""
    pieces, missing = [], size
    while missing:
        piece = os.read(descriptor, min(missing, 1 << 20))
        if not piece:
            return None
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def write_bytes(descriptor: int, payload: bytes) -> None:
    """Write all bytes; a pipe may take them in pieces."""
    rest = memoryview(payload)
    while rest:
        rest = rest[os.write(descriptor, rest[: 1 << 20]) :]
