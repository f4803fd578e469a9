"""Write videos: uint8 frames to an mp4 that seeks well, whole or not at all."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import OutputError
from napari_animalpose.io.atomic import atomic_path

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream

__all__ = ["VideoWriter"]

# H.264 first; MPEG-4 part 2 is in every build of the library.
_ENCODERS = ("libx264", "mpeg4")


class VideoWriter:
    """Writes frames to a video file, which appears when all are written.

    A context manager: leaving it normally finishes the file and renames it into place;
    an exception inside removes what was written and leaves an older file as it was.
    H.264 in 4:2:0 with even sides; an odd side is padded by repeating its last line.

    Parameters
    ----------
    path : path
        Usually ``.mp4``; the suffix chooses the container.
    fps : float
        Frames a second.
    size : (int, int), optional
        Height and width of the frames; by default those of the first.
    crf : int
        Quality of H.264: 0 is lossless in luma, 18 looks lossless, 23 is small.
    keyframe_interval : int
        Frames between keyframes. Few make a seek fast, many make the file small.

    Raises
    ------
    OutputError
        If the file cannot be written: no permission, no such folder, full disk.

    Examples
    --------
    >>> with VideoWriter("labelled.mp4", fps=30) as writer:  # doctest: +SKIP
    ...     for frame in frames:
    ...         writer.write(frame)
    """

    def __init__(
        self,
        path: str | PathLike[str],
        fps: float,
        size: tuple[int, int] | None = None,
        *,
        crf: int = 18,
        keyframe_interval: int = 30,
    ) -> None:
        if not (np.isfinite(fps) and fps > 0):
            raise ValueError(f"Expected a positive number of frames a second; received {fps}.")
        self.path = Path(path)
        self._rate = Fraction(fps).limit_denominator(100_000)
        self._size = size
        self._crf = crf
        self._keyframe_interval = keyframe_interval
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._n_written = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        import av

        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path))
            try:
                self._container = av.open(str(temporary), "w")
            except ValueError as error:
                raise OutputError(
                    f"Expected a video file name such as 'name.mp4'; received {str(self.path)!r}. "
                    "Give it the suffix .mp4.",
                    self.path,
                ) from error
            stack.push(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Append a frame.

        Parameters
        ----------
        frame : (H, W), (H, W, 1) gray or (H, W, 3) RGB, uint8
            All of one size; gray and RGB may be mixed.

        Raises
        ------
        ValueError
            If dtype, size or channels are others, or the writer is not entered.
        OSError
            If the disk is full; leaving the context turns it into an `OutputError`.
        """
        import av

        pixels = _check_frame(frame, self._size)
        self._size = pixels.shape[0], pixels.shape[1]
        pixels = _pad_even(pixels)
        if self._stream is None:
            self._stream = self._add_stream(pixels.shape[0], pixels.shape[1])
        gray = pixels.ndim == 2
        picture = av.VideoFrame.from_ndarray(pixels, format="gray" if gray else "rgb24")
        picture.pts = self._n_written
        self._encode(picture.reformat(format="yuv420p"))
        self._n_written += 1

    @property
    def n_written(self) -> int:
        """Frames written so far."""
        return self._n_written

    def _add_stream(self, height: int, width: int) -> VideoStream:
        """Set up the encoder once the frame size is known."""
        import av

        if self._container is None:
            raise ValueError("Expected VideoWriter to be used in a with statement.")
        name = next(name for name in _ENCODERS if name in av.codecs_available)
        stream = cast("VideoStream", self._container.add_stream(name, rate=self._rate))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = self._keyframe_interval
        # Frame numbers are the time stamps.
        stream.codec_context.time_base = 1 / self._rate
        # MPEG-4 has no crf: a fixed quantiser of 2 to 31 is its nearest kin.
        quantiser = max(2, round(self._crf / 51 * 31))
        stream.options = (
            {"crf": str(self._crf), "preset": "veryfast"}
            if name == "libx264"
            else {"qmin": str(quantiser), "qmax": str(quantiser)}
        )
        return stream

    def _encode(self, picture: VideoFrame | None) -> None:
        """Encode a picture, or with None what the encoder still holds."""
        if self._container is not None and self._stream is not None:
            for packet in self._stream.encode(picture):
                self._container.mux(packet)

    def _end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the file, or after an exception only close it."""
        container, self._container, stream = self._container, None, self._stream
        if container is None:
            return
        if kind is not None:
            # The file is about to be removed: what closing it says does not matter.
            with suppress(OSError, ValueError):
                container.close()
            return
        if stream is None:
            container.close()
            raise OutputError(
                f"Expected at least one frame for '{self.path}'; received none. "
                "Choose a range that holds frames.",
                self.path,
            )
        with container:
            for packet in stream.encode(None):
                container.mux(packet)


def _check_frame(frame: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Return a frame as (H, W) or (H, W, 3), or raise `ValueError`."""
    pixels = frame[..., 0] if frame.ndim == 3 and frame.shape[2] == 1 else frame
    right_axes = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if pixels.dtype != np.uint8 or not right_axes or 0 in pixels.shape:
        raise ValueError(
            "Expected a uint8 frame (H, W), (H, W, 1) or (H, W, 3); "
            f"received {frame.dtype} {frame.shape}."
        )
    if size is not None and pixels.shape[:2] != tuple(size):
        raise ValueError(f"Expected a frame of size {size}; received {pixels.shape[:2]}.")
    return np.ascontiguousarray(pixels)


def _pad_even(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the last row or column of odd sides: 4:2:0 has one chroma for two pixels."""
    padding = [(0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)][: pixels.ndim]
    return np.pad(pixels, padding, mode="edge") if any(p[1] for p in padding) else pixels
