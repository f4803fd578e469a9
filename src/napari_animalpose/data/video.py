"""What a video is to the rest of the program; the decoders are in `io.video`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Video"]


@runtime_checkable
class Video(Protocol):
    """A sequence of frames with random access.

    Frame `i` is the i-th frame in display order, whichever way it is reached. Frames
    are gray (C = 1) or RGB (C = 3), always uint8. Frames of an image list may differ in
    size: `shape` then holds the largest height and width and `video[i]` has its own.
    """

    @property
    def name(self) -> str:
        """A short name for people: usually the file name."""
        ...

    @property
    def source(self) -> str:
        """Where the frames come from: a path, or a path and a data set inside it."""
        ...

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of frames, height, width, channels: (N, H, W, C)."""
        ...

    @property
    def fps(self) -> float:
        """Frames a second; NaN where the source does not say."""
        ...

    def __len__(self) -> int:
        """Return the number of frames N."""
        ...

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return frame `index` as a uint8 array of shape (H, W, C).

        Raises
        ------
        IndexError
            Outside -N .. N-1.
        VideoError
            If the source is gone or damaged at this frame.
        """
        ...

    def close(self) -> None:
        """Release decoders and files; the next access opens them again."""
        ...
