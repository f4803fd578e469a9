"""A video as an array that an Image layer slices lazily."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.video import Video
from napari_animalpose.errors import VideoError
from napari_animalpose.io.video import ReadAhead

__all__ = ["VideoArray"]


class VideoArray:
    """Frames of a video by index, decoded when they are looked at.

    Parameters
    ----------
    video : Video
    shape : (int, int, int, int), optional
        (N, H, W, C) to pretend where the video cannot be opened; its frames are black.

    Notes
    -----
    Frames are always those that were asked for: reading at random waits for the decoder.
    What follows in the direction of travel is decoded in the background.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, video: Video, shape: tuple[int, int, int, int] | None = None) -> None:
        n, height, width, channels = shape or video.shape
        self.video = video
        self.is_missing = shape is not None
        self.is_rgb = channels == 3
        self.shape = (n, height, width, 3) if self.is_rgb else (n, height, width)
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self._failed: dict[int, str] = {}
        self._ahead: ReadAhead | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all frames, if they were in memory."""
        return self.size

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        index, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(index, int | np.integer):
            return np.asarray(self._frame(int(index))[tuple(rest)])
        numbers = np.arange(len(self))[index]
        frames = [self._frame(int(number))[tuple(rest)] for number in np.atleast_1d(numbers)]
        return np.stack(frames) if frames else np.zeros((0, *self.shape[1:]), np.uint8)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)

    def close(self) -> None:
        """End the thread that reads ahead and release the decoder."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None
        self.video.close()

    def error_at(self, index: int) -> str | None:
        """Return why a frame could not be read, None if it was."""
        return self._failed.get(index)

    def _frame(self, index: int) -> NDArray[np.uint8]:
        blank = np.zeros(self.shape[1:], np.uint8)
        if self.is_missing:
            return blank
        try:
            frame = self.video[index]
        except VideoError as error:  # a damaged frame is black, and the others go on
            self._failed[index] = str(error)
            return blank
        self._read_on(index)
        if not self.is_rgb:
            frame = frame[..., 0]
        if frame.shape == self.shape[1:]:
            return frame
        # Frames of an image list may be smaller than the largest, or gray among colour.
        height, width = frame.shape[:2]
        blank[:height, :width] = frame if frame.ndim == blank.ndim else frame[..., :1]
        return blank

    def _read_on(self, index: int) -> None:
        if self._ahead is None:
            self._ahead = ReadAhead(self.video, _ignore, _ignore)
        with suppress(RuntimeError):  # the interpreter is shutting down
            self._ahead.request(index)


def _ignore(index: int, value: object) -> None:
    """Take a frame that is wanted in the cache only."""
