"""Keep the most recently used frames, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT_CACHE_BYTES", "FrameCache"]

DEFAULT_CACHE_BYTES = 256 * 2**20


class FrameCache:
    """Frames by index; when full, those used longest ago go first. Thread-safe.

    Parameters
    ----------
    max_bytes : int
        Upper bound of the summed size of the kept frames. 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f"Expected a cache of 0 bytes or more; received {max_bytes}.")
        self.max_bytes = max_bytes
        self._frames: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._nbytes = 0
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        """Summed size of the kept frames in bytes; never above `max_bytes`."""
        return self._nbytes

    def get(self, index: int) -> NDArray[np.uint8] | None:
        """Return the frame and mark it as used, or None if it is not kept."""
        with self._lock:
            frame = self._frames.get(index)
            if frame is not None:
                self._frames.move_to_end(index)
            return frame

    def put(self, index: int, frame: NDArray[np.uint8]) -> None:
        """Keep a frame; one larger than the whole cache is not kept."""
        with self._lock:
            old = self._frames.pop(index, None)
            if old is not None:
                self._nbytes -= old.nbytes
            if frame.nbytes > self.max_bytes:
                return
            self._frames[index] = frame
            self._nbytes += frame.nbytes
            while self._nbytes > self.max_bytes:
                _, dropped = self._frames.popitem(last=False)
                self._nbytes -= dropped.nbytes

    def clear(self) -> None:
        """Forget all frames."""
        with self._lock:
            self._frames.clear()
            self._nbytes = 0

    def __contains__(self, index: object) -> bool:
        return index in self._frames

    def __len__(self) -> int:
        return len(self._frames)
