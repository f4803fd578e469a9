"""Time in steps of the frames that were looked at: of every eighth frame, eight are one step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.store import pack

__all__ = ["count_steps", "count_times", "find_stretches", "find_stride", "find_strides"]

Numbers = NDArray[np.int64]


def find_stride(frames: Numbers) -> int:
    """Return the usual distance of frames (F,), which ascend.

    It is that of more than half of them, so that single frames between those of a grid
    change nothing. Where no distance is usual, it is the greatest common divisor.
    """
    distances, counts = np.unique(np.diff(frames), return_counts=True)
    if not len(distances):
        return 1
    if 2 * counts.max() > counts.sum():
        return int(distances[counts.argmax()])
    return int(np.gcd.reduce(distances))


def find_strides(keys: Numbers) -> Numbers:
    """Return for every frame the stride of its video, shape (F,).

    Parameters
    ----------
    keys : array of int64, shape (F,)
        Of `data.store.pack`, ascending, without repeats.
    """
    strides = np.ones(len(keys), np.int64)
    for part in _split_videos(keys):
        strides[part] = find_stride(keys[part])
    return strides


def count_steps(distance: Numbers, stride: Numbers | int) -> Numbers:
    """Return distances of frames in steps: the nearest whole number, and at least 1."""
    return np.asarray(np.maximum((distance + stride // 2) // stride, 1))


def count_times(keys: Numbers) -> Numbers:
    """Return the time of every frame in steps since the first of its video, shape (F,).

    Parameters
    ----------
    keys : array of int64, shape (F,)
        Of `data.store.pack`, ascending, without repeats.

    Returns
    -------
    array of int64, shape (F,)
        Different frames of a video have different times, also those between two of its grid.
    """
    times = np.zeros(len(keys), np.int64)
    for part in _split_videos(keys):
        frames = keys[part]
        times[part][1:] = np.cumsum(count_steps(np.diff(frames), find_stride(frames)))
    return times


def find_stretches(
    poses: Poses, min_frames: int, looked_at: Numbers | None = None
) -> NDArray[np.intp]:
    """Return the stretch of frames in which every row is, -1 where it is too short, (N,).

    In a stretch, each frame is at most `min_frames` steps after the one before: as a new
    animal waits for so long until it is seen again (`TrackConfig.confirm_frames`), and is
    to be seen in so many frames, it can get an identity in a stretch of as many, and
    nowhere else.

    Parameters
    ----------
    poses : Poses
    min_frames : int
        Of a stretch.
    looked_at : array of int64, shape (F, 2), optional
        (video, frame) of frames that count beside those with instances.
    """
    keys = pack(poses.video, poses.frame)
    frames = np.unique(keys if looked_at is None else np.append(keys, pack(*looked_at.T)))
    begins = np.ones(len(frames), np.bool_)
    begins[1:] = (np.diff(frames >> 32) > 0) | (np.diff(count_times(frames)) > min_frames)
    stretch = np.cumsum(begins) - 1
    long = np.bincount(stretch) >= min_frames
    return np.where(long[stretch], stretch, -1)[np.searchsorted(frames, keys)]


def _split_videos(keys: Numbers) -> Iterator[slice]:
    """Yield the places of each video."""
    bounds = np.flatnonzero(np.diff(keys >> 32, prepend=-1, append=-1))
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield slice(start, stop)
