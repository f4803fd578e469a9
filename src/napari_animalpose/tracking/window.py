"""Tracks expected where they were seen last: several past frames are candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_animalpose.tracking.base import Tracker
from napari_animalpose.tracking.comparison import Candidates

__all__ = ["WindowTracker"]

NEVER = -(2**40)  # frame of a slot that holds nothing


class WindowTracker(Tracker):
    """Compares with the poses of the last frames, unmoved.

    A track expects each of its poses of the last `TrackConfig.window_frames` frames, and
    in any case the last one, the less closely the older it is. One bad pose, or one frame
    out of sight, then costs nothing. For slow animals and high frame rates.
    """

    summary: ClassVar[str] = "last poses, unmoved; for slow animals and high frame rates"

    def columns(self) -> Mapping[str, tuple[DTypeLike, tuple[int, ...]]]:
        """Return the poses of the window (W, K, 2) and their frames (W,)."""
        length = self.config.window_frames
        return {
            "past_xy": (np.float64, (length, self.n_nodes, 2)),
            "past_frame": (np.int64, (length,)),
            "slot": (np.int64, ()),
        }

    def expect(self, frame: int, image: NDArray[np.uint8] | None) -> Candidates:
        """Return every pose of the windows."""
        past = self.tracks["past_frame"]
        recent = past > frame - 1 - self.config.window_frames
        recent |= past == self.tracks["last"][:, None]
        track, slot = np.nonzero(recent)
        return Candidates(
            xy=self.tracks["past_xy"][track, slot],
            track=track,
            growth=self.motion.growth(frame - past[track, slot]),
        )

    def start(self, rows: NDArray[np.intp], xy: NDArray[np.float64], frame: int) -> None:
        """Empty the windows and put the first pose in."""
        self.tracks["past_frame"][rows] = NEVER
        self.tracks["past_xy"][rows] = np.nan
        self.observe(rows, xy, frame)

    def observe(self, rows: NDArray[np.intp], xy: NDArray[np.float64], frame: int) -> None:
        """Put a pose in the place of the oldest."""
        slot = self.tracks["slot"][rows]
        self.tracks["past_xy"][rows, slot] = xy
        self.tracks["past_frame"][rows, slot] = frame
        self.tracks["slot"][rows] = (slot + 1) % self.config.window_frames
