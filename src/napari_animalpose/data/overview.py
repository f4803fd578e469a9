"""What every frame of a video holds, kept up to date edit by edit, drawn at any zoom.

The table knows instances; a timeline and "next labelled frame" ask about frames. An
`Overview` keeps a few bytes for each frame and changes with the table: an edit costs what
it touches, and a picture of any stretch costs its width in px, not its length in frames.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.frame_curves import CURVES, Curve
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.pyramid import Pyramid
from napari_animalpose.data.store import MAX_FRAME

__all__ = ["FrameKind", "Overview"]

_MAX_CURVES = 3  # of which the numbers are kept; others are measured when asked for


class FrameKind(IntFlag):
    """What can be said of a frame; several at once."""

    LABELLED = 1  # a person made or confirmed an instance in it
    PREDICTED = 2  # it has predictions
    SUGGESTED = 4  # it is proposed for labelling
    FLAGGED = 8  # something in it is suspected to be wrong
    EMPTY = 16  # a person marked it as empty on purpose
    UNLABELLED = 32  # neither labelled nor marked as empty


_FROM_ROWS = FrameKind.LABELLED | FrameKind.PREDICTED
_DONE = FrameKind.LABELLED | FrameKind.EMPTY
_MARKS = (FrameKind.SUGGESTED, FrameKind.FLAGGED, FrameKind.EMPTY)


class Overview:
    """The kinds of all frames of one video, and curves over them.

    Parameters
    ----------
    poses : Poses
        The live table; it is read, not copied.
    video : int
    n_frames : int
        Length of the video. Where poses or marks lie beyond it, the overview is longer.

    Attributes
    ----------
    n_frames : int
    status : array of uint8, shape (n_frames,)
        `FrameKind` of every frame; not to be written.
    """

    def __init__(self, poses: Poses, video: int, n_frames: int = 0) -> None:
        self.video = video
        self._poses = poses
        self._asked_frames = n_frames
        self._marks = {kind: np.zeros(0, np.int64) for kind in _MARKS}
        self._read_all()

    # ------------------------------------------------------------------------- asking
    def kinds_at(self, frame: int) -> FrameKind:
        """Return what a frame is; nothing outside the video."""
        return FrameKind(int(self.status[frame])) if 0 <= frame < self.n_frames else FrameKind(0)

    def count(self, kind: FrameKind) -> int:
        """Return how many frames are of one kind."""
        return self._counts[kind]

    def frames(self, kind: FrameKind) -> NDArray[np.int64]:
        """Return the frames that are of a kind, or of one of several, ascending, (F,)."""
        return np.flatnonzero(self.status & np.uint8(kind)).astype(np.int64)

    def between(self, starts: ArrayLike, stops: ArrayLike) -> NDArray[np.uint8]:
        """Return all kinds that occur in each of many stretches, uint8 (W,).

        The stop is not included. Costs the number of stretches, whatever their length.
        """
        return self._pyramid.between(starts, stops)

    def find_next(self, frame: int, kind: FrameKind) -> int | None:
        """Return the first frame of a kind from `frame` on, itself included; None if none."""
        return self._pyramid.find_next(frame, int(kind))

    def find_previous(self, frame: int, kind: FrameKind) -> int | None:
        """Return the last frame of a kind up to `frame`, itself included; None if none."""
        return self._pyramid.find_previous(frame, int(kind))

    def curve(self, name: str, track: int | None = None) -> Curve:
        """Return a curve over all frames, which is measured when first asked for.

        Parameters
        ----------
        name : str
            Name in `frame_curves.CURVES`.
        track : int, optional
            Of one track alone.

        Raises
        ------
        ConfigError
            If there is no such curve.
        """
        key = (name, track)
        found = self._curves.pop(key, None)
        if found is None:
            found = Curve(CURVES.get(name), track, self.n_frames, self._read_rows())
        self._curves[key] = found  # the newest is last
        while len(self._curves) > _MAX_CURVES:
            del self._curves[next(iter(self._curves))]
        return found

    # ------------------------------------------------------------------- keeping up
    def update(self, poses: Poses, frames: ArrayLike | None) -> bool:
        """Follow an edit of the table.

        Parameters
        ----------
        poses : Poses
            The table as it is now.
        frames : array_like of int, shape (F, 2), or None
            (video, frame) that changed, sorted, as `Change.frames` says; None = any.

        Returns
        -------
        bool
            Whether a frame of this video was among them.
        """
        if frames is None or poses is not self._poses:
            self._poses = poses
            self._read_all()
            return True
        pairs = np.asarray(frames, np.int64).reshape(-1, 2)
        touched = pairs[pairs[:, 0] == self.video, 1]
        if not len(touched):
            return False
        if touched[-1] >= self.n_frames:
            self._read_all()
            return True
        self._update_status(touched)
        self._update_curves(touched)
        return True

    def set_marks(self, kind: FrameKind, frames: ArrayLike) -> bool:
        """Say which frames are suggested, flagged or marked as empty: all of one kind.

        Parameters
        ----------
        kind : FrameKind
            SUGGESTED, FLAGGED or EMPTY.
        frames : array_like of int, shape (F,)
            Of this video, in any order.

        Returns
        -------
        bool
            Whether that is something new.
        """
        if kind not in self._marks:
            raise ValueError(f"Expected one of {[m.name for m in _MARKS]}; received {kind!r}.")
        new = np.unique(np.asarray(frames, np.int64))
        changed = np.setxor1d(self._marks[kind], new, assume_unique=True)
        if not len(changed):
            return False
        self._marks[kind] = new
        if changed[-1] >= self.n_frames:
            self._read_all()
        else:
            self._write_status(changed, self.status[changed] ^ np.uint8(kind))
        return True

    # ---------------------------------------------------------------------- internals
    def _read_rows(self) -> Poses:
        return self._poses.between(self.video, 0, MAX_FRAME)

    def _read_all(self) -> None:
        rows = self._read_rows()
        last = [int(marks[-1]) for marks in self._marks.values() if len(marks)]
        last += [int(rows.frame[-1])] if len(rows) else []
        self.n_frames = max(self._asked_frames, *(frame + 1 for frame in last), 0)
        status = np.zeros(self.n_frames, np.uint8)
        predicted = rows.origin == Origin.PREDICTED
        status[rows.frame[~predicted]] |= np.uint8(FrameKind.LABELLED)
        status[rows.frame[predicted]] |= np.uint8(FrameKind.PREDICTED)
        for kind, frames in self._marks.items():
            status[frames] |= np.uint8(kind)
        status = _derive(status)
        self.status = status
        self._pyramid = Pyramid(status, np.bitwise_or, 0)
        self._counts = {kind: _count(status, kind) for kind in FrameKind}
        self._curves: dict[tuple[str, int | None], Curve] = {}

    def _update_status(self, touched: NDArray[np.int64]) -> None:
        rows = self._take(touched)
        status = self.status[touched] & ~np.uint8(_FROM_ROWS)
        place = touched.searchsorted(rows.frame)
        predicted = rows.origin == Origin.PREDICTED
        status[place[~predicted]] |= np.uint8(FrameKind.LABELLED)
        status[place[predicted]] |= np.uint8(FrameKind.PREDICTED)
        self._write_status(touched, status)

    def _write_status(self, frames: NDArray[np.int64], status: NDArray[np.uint8]) -> None:
        status = _derive(status)
        for kind in FrameKind:
            self._counts[kind] += _count(status, kind) - _count(self.status[frames], kind)
        self.status[frames] = status
        self._pyramid.update(frames)

    def _update_curves(self, touched: NDArray[np.int64]) -> None:
        if not self._curves:
            return
        after = touched + 1  # whose speed is measured from the frames touched
        changed = np.union1d(touched, after[after < self.n_frames])
        rows = self._take(np.union1d(changed, touched[touched > 0] - 1))
        for curve in self._curves.values():
            curve.update(changed, rows)

    def _take(self, frames: NDArray[np.int64]) -> Poses:
        video = np.full(len(frames), self.video, np.int64)
        return self._poses.take_frames(np.stack([video, frames], axis=1))


def _derive(status: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the status with the kinds that follow from others."""
    unlabelled = np.where(status & np.uint8(_DONE), 0, np.uint8(FrameKind.UNLABELLED))
    return status & ~np.uint8(FrameKind.UNLABELLED) | unlabelled.astype(np.uint8)


def _count(status: NDArray[np.uint8], kind: FrameKind) -> int:
    return int(np.count_nonzero(status & np.uint8(kind)))
