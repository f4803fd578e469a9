"""Which packet of a video file shows which frame, without decoding where possible.

Packets are numbered by their position in the file (decode order), frames by their order
on the screen. A decoder hands the timestamp of a packet on to the frame it becomes, so a
reader that overwrites the timestamps by packet numbers knows of every decoded frame which
packet it was, however the file is timed: B-frames, variable rate, missing or repeated
timestamps, negative starts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["FrameIndex", "OpenStream", "PacketKey", "decode_packets", "packet_key", "read_index"]

PacketKey = tuple[int | None, int | None, int]
OpenStream: TypeAlias = "Callable[[], tuple[InputContainer, VideoStream]]"

# Codecs of which each packet holds exactly one shown frame, so that timestamps suffice.
# The others (hidden frames, two fields, two frames in a packet) are decoded once instead.
_ONE_FRAME_PER_PACKET = frozenset(
    {
        "av1", "dnxhd", "dvvideo", "ffv1", "ffvhuff", "h264", "hevc", "huffyuv", "libdav1d",
        "magicyuv", "mjpeg", "msmpeg4v2", "msmpeg4v3", "png", "prores", "qtrle", "rawvideo",
        "utvideo", "vp9",
    }
)  # fmt: skip
# Frames decoded on opening to see that the packets do become frames in the assumed order.
_N_CHECKED = 8
_N_CACHED_INDICES = 64


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a video stream and where to start decoding for each.

    Attributes
    ----------
    packets : (N,) int64
        Packet that becomes each frame; all -1 if unknown, which forbids seeking.
    keyframes : (K,) int64
        Packets at which decoding can start, increasing.
    first_shown : (K,) int64
        The first frame on the screen that decoding from each of them gives exactly.
    seek_times : (K,) int64
        Timestamp to seek to for each, in stream units.
    key_packets : dict
        Number of the keyframe packets, by what identifies a packet after a seek.
    n_packets : int
        Packets in the file.
    corrupt : bool
        Whether the container knows of damaged packets. Decoders then must not use
        threads, which lose sound frames next to damaged ones.
    """

    packets: NDArray[np.int64]
    keyframes: NDArray[np.int64]
    first_shown: NDArray[np.int64]
    seek_times: NDArray[np.int64]
    key_packets: dict[PacketKey, int]
    n_packets: int
    corrupt: bool

    def __len__(self) -> int:
        return len(self.packets)

    @property
    def counts_only(self) -> bool:
        """Whether frames are known only by counting from the beginning of the file."""
        return len(self.packets) > 0 and int(self.packets[0]) < 0

    def frame_numbers(self) -> dict[int, int]:
        """Return the frame of each packet that becomes one."""
        return {int(packet): i for i, packet in enumerate(self.packets)}

    def find_start(self, frame: int) -> int:
        """Return the number k of the last keyframe from which `frame` decodes exactly.

        That is one before it both in the file and on the screen: frames of an open group
        of pictures come after a keyframe in the file, are shown before it, and need the
        group before. -1 stands for the beginning of the file.
        """
        k = int(np.searchsorted(self.keyframes, self.packets[frame], side="right")) - 1
        while k >= 0 and self.first_shown[k] > frame:
            k -= 1
        return k


@dataclass
class _Packets:
    """What demuxing tells about the packets, in file order."""

    pts: list[int | None]
    dts: list[int | None]
    keys: list[bool]
    discarded: list[bool]
    corrupt: bool
    identities: list[PacketKey]


def packet_key(packet: Packet[Any]) -> PacketKey:
    """Return what identifies a packet however it was reached (dts may be guessed anew)."""
    return packet.pos, packet.pts, packet.size


def read_index(path: Path, open_stream: OpenStream) -> FrameIndex:
    """Return the index of a file's video stream, from memory if it was read before.

    Demuxes all packets once; decodes the file once where timestamps cannot be trusted.

    Parameters
    ----------
    path : pathlib.Path
        The file; its size and time of change tell whether the remembered index holds.
    open_stream : callable
        Opens the file and returns container and video stream. Several passes open it
        several times, because not every format can be rewound exactly.
    """
    status = path.stat()
    identity = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    with _memory_lock:
        known = _memory.get(identity)
        if known is not None:
            _memory.move_to_end(identity)
            return known
    index = _build_index(open_stream)
    with _memory_lock:
        _memory[identity] = index
        while len(_memory) > _N_CACHED_INDICES:
            _memory.popitem(last=False)
    return index


_memory: OrderedDict[tuple[str, int, int], FrameIndex] = OrderedDict()
_memory_lock = Lock()


def decode_packets(
    packets: Iterable[Packet[VideoStream]], start: int
) -> Iterator[tuple[int | None, VideoFrame]]:
    """Decode packets and say which packet each frame was.

    Parameters
    ----------
    packets : iterable of av.Packet
        As demuxed, from the first one or from a keyframe on.
    start : int
        Number of the first of them.

    Yields
    ------
    packet : int or None
        The packet the frame was, None if the decoder lost track.
    frame : VideoFrame

    Notes
    -----
    A packet that cannot be decoded is left out, as players do; the caller sees that its
    frame does not come.
    """
    import av

    number = start
    for packet in packets:
        if packet.size:
            # The decoder copies this number to the frame that the packet becomes.
            packet.pts = number
            number += 1
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            yield frame.pts, frame


def _demux(container: InputContainer, stream: VideoStream) -> _Packets:
    """Read all packets of a stream without decoding them."""
    import av

    read = _Packets([], [], [], [], False, [])
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            read.pts.append(packet.pts)
            read.dts.append(packet.dts)
            read.keys.append(packet.is_keyframe)
            read.discarded.append(packet.is_discard)
            read.corrupt = read.corrupt or packet.is_corrupt
            read.identities.append(packet_key(packet))
    except av.error.InvalidDataError:
        # The file is damaged from here on; what precedes is decoded and counted.
        read.corrupt = True
    return read


def _build_index(open_stream: OpenStream) -> FrameIndex:
    """Index by timestamps if that can be trusted, otherwise by decoding."""
    container, stream = open_stream()
    with container:
        read = _demux(container, stream)
        trusted = _timestamps_suffice(read, stream)
    if trusted:
        index = _index_by_time(read)
        if _first_frames_agree(index, open_stream):
            return index
    return _index_by_decoding(read, open_stream)


def _timestamps_suffice(read: _Packets, stream: VideoStream) -> bool:
    """Say whether sorting the packets by time gives the frames."""
    return (
        stream.codec_context.name in _ONE_FRAME_PER_PACKET
        and not read.corrupt
        and bool(read.keys)
        and read.keys[0]
        and None not in read.pts
        and len(set(read.pts)) == len(read.pts)
    )


def _index_by_time(read: _Packets) -> FrameIndex:
    """Give frames their numbers by sorting packets by presentation time."""
    order = np.argsort(np.asarray(read.pts, dtype=np.int64), kind="stable")
    shown = ~np.asarray(read.discarded, dtype=bool)[order]
    before = np.empty(len(order), dtype=np.int64)
    before[order] = np.cumsum(shown) - shown  # shown frames earlier on the screen
    return _with_keyframes(read, order[shown], {i: int(b) for i, b in enumerate(before)})


def _first_frames_agree(index: FrameIndex, open_stream: OpenStream) -> bool:
    """Decode a few frames and compare them with the index."""
    expected: list[int] = index.packets[:_N_CHECKED].tolist()
    container, stream = open_stream()
    with container:
        decoded = islice(decode_packets(container.demux(stream), 0), len(expected))
        packets = [packet for packet, _ in decoded]
    return packets == expected


def _index_by_decoding(read: _Packets, open_stream: OpenStream) -> FrameIndex:
    """Give frames their numbers by decoding the whole stream."""
    container, stream = open_stream()
    if read.corrupt:
        stream.thread_type = "NONE"
    shown: list[int | None] = []
    starts: dict[int, int] = {}
    with container:
        for packet, picture in decode_packets(container.demux(stream), 0):
            # Packed files flag packets as keyframes that become other pictures.
            if packet is not None and picture.key_frame:
                starts[packet] = len(shown)
            shown.append(packet)
    known = [packet for packet in shown if packet is not None]
    if len(set(known)) != len(shown):
        return _with_keyframes(read, np.full(len(shown), -1, dtype=np.int64), {})
    return _with_keyframes(read, np.asarray(known, dtype=np.int64), starts)


def _with_keyframes(
    read: _Packets, packets: NDArray[np.int64], shown_before: dict[int, int]
) -> FrameIndex:
    """Add the keyframes that can be sought and recognised afterwards.

    `shown_before` maps packets, where decoding may start, to the first frame it shows.
    """
    counts: dict[PacketKey, int] = {}
    for identity in read.identities:
        counts[identity] = counts.get(identity, 0) + 1
    usable = []
    for number, is_key in enumerate(read.keys):
        timed = read.dts[number] is not None or read.pts[number] is not None
        alone = counts[read.identities[number]] == 1
        if is_key and timed and alone and number in shown_before:
            usable.append(number)
    times = [read.dts[k] if read.dts[k] is not None else read.pts[k] for k in usable]
    return FrameIndex(
        packets=np.asarray(packets, dtype=np.int64),
        keyframes=np.asarray(usable, dtype=np.int64),
        first_shown=np.asarray([shown_before[k] for k in usable], dtype=np.int64),
        seek_times=np.asarray(times, dtype=np.int64),
        key_packets={read.identities[k]: k for k in usable},
        n_packets=len(read.keys),
        corrupt=read.corrupt,
    )
