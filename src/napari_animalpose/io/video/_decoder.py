"""One open video stream that can be put at any keyframe of its index."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from napari_animalpose.io.video._index import (
    FrameIndex,
    OpenStream,
    decode_packets,
    packet_key,
)

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["StreamDecoder"]


class StreamDecoder:
    """Decodes the frames of a stream in the order of the screen, from any keyframe on.

    Not thread-safe.

    Parameters
    ----------
    open_stream : callable
        Opens the file and returns container and video stream.
    index : FrameIndex
    thread_type : str
        How the decoder uses threads: "AUTO" for throughput, "SLICE" to get single frames
        without first filling the pipeline of frame threads.
    """

    def __init__(
        self, open_stream: OpenStream, index: FrameIndex, thread_type: str = "AUTO"
    ) -> None:
        self._open_stream = open_stream
        self._index = index
        self._thread_type = "NONE" if index.corrupt else thread_type
        self._frame_of_packet = index.frame_numbers()
        self._container, self._stream = open_stream()
        self._stream.thread_type = self._thread_type
        self._pictures = decode_packets(self._container.demux(self._stream), 0)
        self._next = 0

    @property
    def next_frame(self) -> int:
        """The frame that comes next, if the file is not damaged there."""
        return self._next

    def decode(self) -> Iterator[tuple[int, VideoFrame]]:
        """Yield (frame number, picture) from here to the end of the file.

        Numbers increase. Those of damaged frames are left out, and so are pictures that
        the index does not count. Iterating again goes on where the last iteration was
        left.
        """
        for packet, picture in self._pictures:
            if self._index.counts_only:
                number: int | None = self._next
            else:
                number = None if packet is None else self._frame_of_packet.get(packet)
            if number is not None and number >= self._next:
                self._next = number + 1
                yield number, picture

    def go_to(self, keyframe: int) -> None:
        """Continue at a keyframe.

        Parameters
        ----------
        keyframe : int
            Position in ``index.keyframes``; -1 is the beginning of the file.
        """
        for k in (keyframe, keyframe - 1):
            # Some formats land late: then seek to the keyframe before and skip packets.
            if k >= 0 and self._seek(int(self._index.seek_times[k]), keyframe):
                return
        self._restart()
        if keyframe >= 0:
            self._skip_to(keyframe)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _restart(self) -> None:
        """Open the file anew, at its first packet."""
        self._container.close()
        self._container, self._stream = self._open_stream()
        self._stream.thread_type = self._thread_type
        self._pictures = decode_packets(self._container.demux(self._stream), 0)
        self._next = 0

    def _seek(self, time: int, keyframe: int) -> bool:
        """Seek and skip packets up to a keyframe; False if it does not come."""
        import av

        try:
            self._container.seek(time, stream=self._stream)
        except av.error.FFmpegError:
            return False
        return self._skip_to(keyframe)

    def _skip_to(self, keyframe: int) -> bool:
        """Skip packets, undecoded, up to a keyframe; False if it is already behind."""
        target = int(self._index.keyframes[keyframe])
        packets = self._container.demux(self._stream)
        for packet in packets:
            landed = self._index.key_packets.get(packet_key(packet), -1)
            if landed > target:
                return False
            if landed == target:
                self._pictures = decode_packets(chain((packet,), packets), target)
                self._next = int(self._index.first_shown[keyframe])
                return True
        return False
