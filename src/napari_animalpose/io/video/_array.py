"""A video that is an array in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import DataError
from napari_animalpose.io.video._base import RawVideo, VideoOptions

__all__ = ["ArrayVideo", "open_array"]


class ArrayVideo(RawVideo):
    """Frames of an array (N, H, W) or (N, H, W, C), which is not copied.

    Parameters
    ----------
    array : (N, H, W) or (N, H, W, C)
        Any real dtype, C in 1 .. 4.
    options : VideoOptions, optional
    name : str, optional
        What to call it.

    Raises
    ------
    DataError
        If the array has another number of axes, no frames or more than four channels.
    """

    def __init__(
        self,
        array: NDArray[Any],
        options: VideoOptions | None = None,
        *,
        name: str = "array",
    ) -> None:
        if array.ndim not in (3, 4) or (array.ndim == 4 and not 1 <= array.shape[3] <= 4):
            raise DataError(
                "Expected frames as an array (N, H, W) or (N, H, W, C) with 1 to 4 channels; "
                f"received shape {array.shape}. Move the axes first."
            )
        if 0 in array.shape:
            raise DataError(f"Expected at least one frame; received shape {array.shape}.")
        settings = options or VideoOptions()
        uncached = VideoOptions(grayscale=settings.grayscale, fps=settings.fps, cache_bytes=0)
        super().__init__(name, name, uncached)
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def _size(self) -> tuple[int, int]:
        return self._array.shape[1], self._array.shape[2]

    def _read_raw(self, index: int) -> NDArray[Any]:
        frame: NDArray[Any] = self._array[index]
        return frame

    def _release(self) -> None:
        """Nothing to close: the array belongs to the caller."""


def open_array(source: object, options: VideoOptions) -> ArrayVideo:
    """Open an array as a video."""
    return ArrayVideo(np.asarray(source), options)
