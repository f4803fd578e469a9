"""Video files (mp4, avi, mov, mkv, ...) through PyAV, with exact random access."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import VideoError
from napari_animalpose.io.video._base import BaseVideo, VideoOptions, check_file
from napari_animalpose.io.video._decoder import StreamDecoder
from napari_animalpose.io.video._frames import FrameConverter, picture_size, to_rgb
from napari_animalpose.io.video._index import FrameIndex, read_index
from napari_animalpose.io.video._pixels import is_gray

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["MediaVideo", "open_media"]

# Up to this many frames ahead it is cheaper to decode on than to seek: a seek empties
# the decoder's threads and reorder buffer.
_MAX_SKIP = 16
# Keyframes looked at to find out whether a colour file holds gray frames.
_N_GRAY_SAMPLES = 5


class MediaVideo(BaseVideo):
    """A video file; frame `i` is the same image however it is reached.

    The packets are indexed once per file and process. A frame is reached by decoding on
    from where the decoder stands, or from the last keyframe that gives it exactly.
    Stepping backwards decodes a group of pictures once and keeps it in the cache.

    Gray frames (C = 1) are the luma plane of the stream, expanded to 0 .. 255 exactly as
    the conversion to RGB does: on a gray recording they equal each of R, G and B.
    A colour file is taken as gray if the first frame and up to four more keyframes
    spread over the file are gray within 2 levels. A rotation stored in the file (phone
    recordings) is applied, as players do.

    The number of frames is what the file really holds. Asking a truncated file for a
    frame that its header announces raises `VideoError`, and so does a damaged frame;
    the frames around it stay readable.

    Parameters
    ----------
    path : pathlib.Path
    options : VideoOptions

    Raises
    ------
    VideoError
        If the file is missing, unreadable, no video or without frames.
    """

    def __init__(self, path: Path, options: VideoOptions) -> None:
        check_file(path)
        super().__init__(path.name, str(path), options.cache_bytes)
        self._path = path
        self._decoder: StreamDecoder | None = None
        self._last_asked = -1
        self._damaged: set[int] = set()
        self._index = self._read_index()
        self._fps, self._announced = self._read_header(options.fps)
        self._size, gray = self._sample(options.grayscale)
        self._converter = FrameConverter(gray, self._size)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of frames, height, width, channels: (N, H, W, C)."""
        return len(self._index), *self._size, self._converter.channels

    @property
    def fps(self) -> float:
        """Average frames a second; NaN where the file does not say."""
        return self._fps

    def __len__(self) -> int:
        return len(self._index)

    def _check_index(self, index: int) -> int:
        if len(self) <= index < self._announced:
            raise VideoError(
                f"Expected frame {index} of '{self._path}'; received a truncated file, which "
                f"ends after frame {len(self) - 1} although it announces {self._announced} "
                "frames. Copy it again from the original.",
                self._path,
            )
        return super()._check_index(index)

    def _open_stream(self) -> tuple[InputContainer, VideoStream]:
        """Open the file and return it with its first true video stream."""
        import av

        check_file(self._path)
        try:
            container = av.open(str(self._path))
        except av.error.FFmpegError as error:
            raise VideoError(
                f"Expected a video; received '{self._path}', which is damaged, truncated or of "
                f"another format ({error.strerror}). Copy it again from the original.",
                self._path,
            ) from error
        for stream in container.streams.video:
            if not stream.disposition & type(stream.disposition).attached_pic:
                stream.thread_type = "AUTO"
                return container, stream
        container.close()
        raise VideoError(
            f"Expected a video; received '{self._path}', which has no video stream. "
            "Choose another file.",
            self._path,
        )

    def _read_index(self) -> FrameIndex:
        """Index the file; a file without frames is an error."""
        index = read_index(self._path, self._open_stream)
        if len(index) == 0:
            raise VideoError(
                f"Expected a video with frames; received '{self._path}', which has none that "
                "can be decoded. Copy it again from the original.",
                self._path,
            )
        return index

    def _read_header(self, fps: float | None) -> tuple[float, int]:
        """Return frames a second and how many frames the file would have if complete."""
        container, stream = self._open_stream()
        with container:
            rate = stream.average_rate or stream.guessed_rate
            truncated = stream.frames > self._index.n_packets
            announced = stream.frames if truncated else len(self._index)
        if fps is not None:
            return float(fps), announced
        return float(rate) if rate else float("nan"), announced

    def _sample(self, grayscale: bool | None) -> tuple[tuple[int, int], bool]:
        """Return height and width, and whether to deliver gray."""
        size: tuple[int, int] | None = None
        gray = grayscale is not False
        for picture in self._sample_pictures(1 if grayscale is not None else _N_GRAY_SAMPLES):
            size = size or picture_size(picture)
            if grayscale is None:
                gray = gray and is_gray(to_rgb(picture))
        if size is None:
            raise self._damaged_at(0)
        return size, gray

    def _sample_pictures(self, count: int) -> Iterator[VideoFrame]:
        """Yield the first frame and the first frames of groups spread over the file."""
        n = len(self._index.keyframes)
        spread = sorted({round(k) for k in np.linspace(0, n - 1, count)})[1:] if n else []
        decoder = StreamDecoder(self._open_stream, self._index, "SLICE")
        for keyframe in (-1, *spread):
            if keyframe >= 0:
                decoder.go_to(keyframe)
            for _, picture in decoder.decode():
                yield picture
                break
        decoder.close()

    def _load(self, index: int, keep: bool, check: Callable[[], None]) -> NDArray[np.uint8]:
        window = self._window() if keep else 0
        stepping_back = 0 < self._last_asked - index <= window
        self._last_asked = index
        first_kept = max(0, index - window) if stepping_back else index
        for start in self._find_starts(index):
            frame = self._decode_until(index, first_kept, start, check)
            if frame is not None:
                return frame
            # Not there: a damaged stretch may decode after all from an earlier keyframe.
        self._damaged.add(index)
        raise self._damaged_at(index)

    def _window(self) -> int:
        """Return how many frames to keep when stepping back: half of the cache."""
        height, width = self._size
        return self.cache.max_bytes // (2 * height * width * self._converter.channels)

    def _find_starts(self, index: int) -> list[int | None]:
        """Return where to try to decode from: None is "go on", -1 the beginning."""
        if index in self._damaged:
            return []
        keyframe = self._index.find_start(index)
        starts: list[int | None] = [keyframe]
        starts += [k for k in (keyframe - 1, -1) if -1 <= k < keyframe and k not in starts]
        if self._decoder is None or self._decoder.next_frame > index:
            return starts
        here = self._decoder.next_frame
        same_group = keyframe < 0 or int(self._index.first_shown[keyframe]) < here
        return [None, *starts] if same_group or index - here <= _MAX_SKIP else starts

    def _decode_until(
        self, index: int, first_kept: int, start: int | None, check: Callable[[], None]
    ) -> NDArray[np.uint8] | None:
        """Decode up to frame `index`; None if the decoder passes it without showing it.

        Frames from `first_kept` on that come by are put into the cache.
        """
        if self._decoder is None:
            self._decoder = StreamDecoder(self._open_stream, self._index)
        if start is not None:
            self._decoder.go_to(start)
        for number, picture in self._decoder.decode():
            if number == index:
                return self._converter.convert(picture)
            if number > index:
                return None
            if number >= first_kept:
                kept = self._converter.convert(picture)
                kept.flags.writeable = False
                self.cache.put(number, kept)
            check()
        return None

    def _damaged_at(self, index: int) -> VideoError:
        return VideoError(
            f"Expected frame {index} of '{self._path}'; received a file damaged at that frame "
            f"(frames 0 to {len(self) - 1} are announced). Copy it again from the original.",
            self._path,
        )

    def _release(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None


def open_media(source: object, options: VideoOptions) -> MediaVideo:
    """Open a video file."""
    return MediaVideo(Path(str(source)), options)
