"""Frames as steps of time: grids, frames between those of a grid, scattered frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.store import pack
from napari_animalpose.tracking.steps import (
    count_times,
    find_stretches,
    find_stride,
    find_strides,
)

GRID = np.arange(0, 800, 8)


@pytest.mark.parametrize(
    ("frames", "stride"),
    [
        ([], 1),
        ([7], 1),
        ([7, 12], 5),
        (GRID, 8),
        ([*GRID, 805], 8),
        ([0, 5, *GRID[1:]], 8),
        ([0, 8, 32, 40], 8),
        ([5, 9, 100], 1),  # scattered: no distance is usual
        ([0, 6, 16, 20], 2),
    ],
)
def test_the_stride_is_the_usual_distance(frames, stride):
    assert find_stride(np.array(frames, np.int64)) == stride


@pytest.mark.parametrize(
    ("frames", "times"),
    [
        ([], []),
        ([7], [0]),
        ([*GRID, 805], [*range(100), 101]),  # 13 of 8: two steps
        ([0, 5, *GRID[1:]], range(101)),
        ([0, 8, 32, 40, 48], [0, 1, 4, 5, 6]),
        ([8, 16, 24, 32, 43, 56], [0, 1, 2, 3, 4, 6]),  # 11 and 13 of 8: one step and two
        ([5, 9, 100], [0, 4, 95]),
    ],
)
def test_times_count_steps(frames, times):
    assert count_times(np.array(frames, np.int64)).tolist() == list(times)


def test_videos_have_times_and_strides_of_their_own():
    keys = np.concatenate([pack(0, [3, 4, 6]), pack(2, [8, 16, 24]), pack(3, [5])])
    assert count_times(keys).tolist() == [0, 1, 3, 0, 1, 2, 0]
    assert find_strides(keys).tolist() == [1, 1, 1, 8, 8, 8, 1]


@given(st.sets(st.integers(0, 60)), st.integers(1, 9), st.sets(st.integers(0, 600), max_size=3))
def test_times_ascend_and_those_of_a_grid_are_exact(places, stride, others):
    grid = np.array(sorted(places), np.int64) * stride
    mixed = np.union1d(grid, np.array(sorted(others), np.int64))
    assert (np.diff(count_times(mixed)) >= 1).all()
    if len(grid):
        step = find_stride(grid)
        if (np.diff(grid) % step == 0).all():
            assert count_times(grid).tolist() == ((grid - grid[0]) // step).tolist()


def rows(*frames: tuple[int, int]) -> Poses:
    """One instance in each (video, frame)."""
    video, frame = np.array(frames).T
    return Poses.from_arrays(
        Skeleton(("a",)), video=video, frame=frame, xy=np.zeros((len(frames), 1, 2)), track=-1
    )


def test_a_stretch_has_frames_enough_with_gaps_that_are_small_enough():
    # Seen three times, each at most three steps after the time before.
    poses = rows((0, 0), (0, 1), (0, 4), (0, 8), (0, 9), (1, 10), (1, 11), (1, 12))
    assert find_stretches(poses, 3).tolist() == [0, 0, 0, -1, -1, 2, 2, 2]
    assert find_stretches(poses, 1).tolist() == [0, 0, 1, 2, 2, 3, 3, 3]
    assert find_stretches(poses.select([]), 3).tolist() == []


def test_frames_without_instances_belong_to_a_stretch_where_they_were_looked_at():
    poses = rows((0, 0), (0, 50), (1, 0))
    assert find_stretches(poses, 3).tolist() == [-1, -1, -1]
    looked_at = np.array([(0, frame) for frame in (0, 1, 2, 3, 48, 49, 51)])
    assert find_stretches(poses, 3, looked_at).tolist() == [0, 1, -1]
