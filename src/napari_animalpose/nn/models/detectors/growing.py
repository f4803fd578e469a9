"""Peaks of a crowded frame: as many as there are, although graphs have fixed shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.nn.models.forward import Forward

__all__ = ["GrowingPeaks"]


class GrowingPeaks:
    """Asks a network for its peaks and, where the slots for them are full, for more.

    A compiled graph returns a fixed number of peaks, the highest. Where not one of the
    slots of a frame is free there may be more, and the frames are looked at again with
    twice as many slots, which later frames have from the start.

    Parameters
    ----------
    forward : Forward
    read_maps : callable
        From the output maps and a number of slots P, inside the graph, to points
        (..., P, 2), heights (B, K, P) in descending order and whatever else is needed.
    threshold : float
        A last slot that is not as high as this is as good as free.
    slots : int
        To begin with.
    most : int
        More slots are not made; `finish` then says in which frames there may be more.
    """

    def __init__(
        self,
        forward: Forward,
        read_maps: Callable[[dict[str, Any], int], tuple[Any, ...]],
        threshold: float,
        slots: int,
        most: int,
    ) -> None:
        self._forward = forward
        self._read_maps = read_maps
        self._threshold = threshold
        self.slots = slots
        self.most = max(most, slots)
        self._ask = self._compile()

    def _compile(self) -> Callable[[Any], tuple[Any, ...]]:
        slots = self.slots
        return self._forward.compile(lambda outputs: self._read_maps(outputs, slots))

    def start(self, frames: Any) -> tuple[Any, Any, int]:
        """Send frames (B, H, W, C) to the device; returns what `finish` waits for."""
        return frames, self._ask(frames), self.slots

    def finish(
        self, pending: tuple[Any, Any, int]
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """Wait for the device.

        Returns
        -------
        found : tuple of arrays
            What `read_maps` returns.
        crowded : bool array, shape (B,)
            Frames with more peaks than the largest number of slots.
        """
        frames, found, slots = pending
        found = tuple(np.asarray(part) for part in found)
        full = self._find_full(found[1])
        while full.any() and slots < self.most:
            if slots == self.slots:  # nobody has made more in the meantime
                self.slots = min(2 * slots, self.most)
                self._ask = self._compile()
            slots = self.slots
            found = tuple(np.asarray(part) for part in self._ask(frames))
            full = self._find_full(found[1])
        return found, full

    def _find_full(self, heights: NDArray[np.float32]) -> NDArray[np.bool_]:
        last = heights[..., -1]  # (B, K)
        return np.asarray(((last > 0) & (last >= self._threshold)).any(axis=-1))
