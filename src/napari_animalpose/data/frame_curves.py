"""One number for every frame of a video: how sure, how many, how fast.

A curve is measured for each instance and then combined within each frame. Adding one is
a function of rows and a line in `CURVES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.pyramid import Pyramid
from napari_animalpose.registry import Registry

__all__ = ["CURVES", "Curve", "CurveKind", "measure_speed"]

_CHUNK = 1 << 15  # rows whose points are looked at together: they stay in the cache


@dataclass(frozen=True)
class CurveKind:
    """What is drawn over the frames.

    Parameters
    ----------
    title : str
        For a menu.
    measure : callable
        Takes rows of one video, sorted by frame, and returns a number for each, (N,);
        NaN = none. It may look at the frame before, and at no other.
    combine : {"mean", "sum"}
        How the numbers of a frame become one: the mean (NaN without any) or the sum.
    unit : str
    ceiling : float, optional
        The upper end of the axis, unless values lie beyond it.
    """

    title: str
    measure: Callable[[Poses], NDArray[np.floating]]
    combine: Literal["mean", "sum"] = "mean"
    unit: str = ""
    ceiling: float | None = None


# --------------------------------------------------------------------- of an instance
def measure_score(rows: Poses) -> NDArray[np.float32]:
    """Return the confidence of every prediction, (N,): its own or the mean of its points.

    Labels have none, NaN: what they were made of may have been scored on another scale.
    """
    score = rows.score.copy()
    for part in _chunks(np.flatnonzero(np.isnan(score))):
        score[part] = _mean_of_present(rows.point_score[part])
    score[rows.is_label] = np.nan
    return score


def measure_presence(rows: Poses) -> NDArray[np.float32]:
    """Return 1 for every instance, (N,)."""
    return np.ones(len(rows), np.float32)


def measure_speed(rows: Poses) -> NDArray[np.float32]:
    """Return how far the points of every instance moved since the frame before.

    In px per frame, the mean over the nodes that both poses have. The pose before is that
    of the same track; for an instance without a track it is the nearest one.

    Returns
    -------
    array of float32, shape (N,)
        NaN where the frame before has no such pose.
    """
    before = _find_tracked(rows)
    loose = np.flatnonzero(rows.track < 0)
    before[loose] = _find_nearest(rows, loose)
    speed = np.full(len(rows), np.nan, np.float32)
    xy = rows.xy
    for part in _chunks(np.flatnonzero(before >= 0)):
        step = xy[part] - xy[before[part]]
        way = np.sqrt(step[..., 0] ** 2 + step[..., 1] ** 2)
        speed[part] = _mean_of_present(way)
    return speed


CURVES: Registry[CurveKind] = Registry("curve")
CURVES.register("score", CurveKind("Score", measure_score, ceiling=1.0))
CURVES.register("count", CurveKind("Count", measure_presence, combine="sum", unit="animals"))
CURVES.register("velocity", CurveKind("Velocity", measure_speed, unit="px/frame"))


# ------------------------------------------------------------------------- of a frame
class Curve:
    """A number for each of n frames, and its extremes and mean over any stretch.

    Parameters
    ----------
    kind : CurveKind
    track : int or None
        Of one track alone; None = of all instances.
    n_frames : int
    rows : Poses
        All rows of the video.

    Attributes
    ----------
    values : array of float32, shape (n,)
        NaN = none.
    """

    def __init__(self, kind: CurveKind, track: int | None, n_frames: int, rows: Poses) -> None:
        self.kind, self.track = kind, track
        self.values = self._combine(rows, rows.frame, n_frames)
        self._present = (~np.isnan(self.values)).astype(np.float32)
        self._filled = np.nan_to_num(self.values)
        self._low = Pyramid(self.values, np.fmin, np.nan)
        self._high = Pyramid(self.values, np.fmax, np.nan)
        self._total = Pyramid(self._filled, np.add, 0.0)
        self._count = Pyramid(self._present, np.add, 0.0)

    @property
    def highest(self) -> float:
        """The largest value of all frames; NaN where there is none."""
        return float(self._high.total)

    def between(
        self, starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return the lowest, the highest and the mean value of many stretches, (W,) each.

        NaN where a stretch has none; the stop is not included.
        """
        count = self._count.between(starts, stops)
        mean = self._total.between(starts, stops) / np.maximum(count, 1)
        mean[count == 0] = np.nan
        return self._low.between(starts, stops), self._high.between(starts, stops), mean

    def update(self, frames: NDArray[np.int64], rows: Poses) -> None:
        """Measure some frames again.

        Parameters
        ----------
        frames : array of int, shape (F,)
            Sorted, without repeats.
        rows : Poses
            The rows of these frames and of those before each of them.
        """
        place = frames.searchsorted(rows.frame)
        here = place < len(frames)
        here[here] = frames[place[here]] == rows.frame[here]
        place[~here] = len(frames)  # the frame before: measured, and left out
        values = self._combine(rows, place, len(frames) + 1)[:-1]
        self.values[frames] = values
        self._filled[frames] = np.nan_to_num(values)
        self._present[frames] = ~np.isnan(values)
        path = self._low.climb(frames)
        for pyramid in (self._low, self._high, self._total, self._count):
            pyramid.update(frames, path)

    def _combine(self, rows: Poses, place: NDArray[np.integer], n: int) -> NDArray[np.float32]:
        """Return the value of each of n places from the rows that lie in it."""
        values = self.kind.measure(rows)
        counted = ~np.isnan(values)
        if self.track is not None:
            counted &= rows.track == self.track
        place, values = place[counted], values[counted]
        total = np.bincount(place, values, minlength=n)
        if self.kind.combine == "mean":
            count = np.bincount(place, minlength=n)
            total = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        return total.astype(np.float32)


# ------------------------------------------------------------------------- internals
def _chunks(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]


def _mean_of_present(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean (N,) of what is not NaN in each row of (N, K); NaN where all is."""
    absent = np.isnan(values)
    count = values.shape[1] - np.count_nonzero(absent, axis=1)
    total = np.where(absent, np.float32(0), values).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1).astype(np.float32), np.float32(np.nan))


def _find_tracked(rows: Poses) -> NDArray[np.intp]:
    """Return the row of the same track in the frame before, -1 = none, (N,)."""
    before = np.full(len(rows), -1, np.intp)
    tracked = np.flatnonzero(rows.track >= 0)
    if not len(tracked):
        return before
    key = rows.frame[tracked].astype(np.int64) * len(rows.track_names) + rows.track[tracked]
    wanted = key - len(rows.track_names)
    if np.any(key[1:] < key[:-1]):
        order = np.argsort(key, kind="stable")
        key, by_key = key[order], tracked[order]
    else:
        by_key = tracked
    place = np.minimum(key.searchsorted(wanted), len(key) - 1)
    found = key[place] == wanted
    before[tracked[found]] = by_key[place[found]]
    return before


def _find_nearest(rows: Poses, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for some rows the nearest one of the frame before, -1 = none."""
    nearest = np.full(len(chosen), -1, np.intp)
    if not len(chosen):
        return nearest
    center = np.full((len(rows), 2), np.nan, np.float32)
    for part in _chunks(np.arange(len(rows))):
        for axis in (0, 1):
            center[part, axis] = _mean_of_present(rows.xy[part, :, axis])
    frame = rows.frame
    start = frame.searchsorted(frame[chosen] - 1)
    stop = frame.searchsorted(frame[chosen] - 1, side="right")
    best = np.full(len(chosen), np.inf, np.float32)
    for position in range(int((stop - start).max())):
        there = np.flatnonzero(start + position < stop)
        other = start[there] + position
        away = np.square(center[other] - center[chosen[there]]).sum(axis=1)
        nearer = away < best[there]  # never for NaN
        best[there[nearer]], nearest[there[nearer]] = away[nearer], other[nearer]
    return nearest
