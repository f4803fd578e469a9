"""Interpolation: exact values, and the largest gap to the frame."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from napari_animalpose.config import SmoothConfig
from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.smoothed import PointKind
from napari_animalpose.tracking.smoothing import smooth_poses

SKELETON = Skeleton(("moves", "stays"))


def track(x: np.ndarray, frame: np.ndarray | None = None, **columns) -> Poses:
    """One track: the first node at (x, -2 x), NaN = missing; the second always at (5, 5)."""
    frame = np.arange(len(x)) if frame is None else frame
    xy = np.stack([np.stack([x, -2 * x], axis=-1), np.full((len(x), 2), 5.0)], axis=1)
    given_columns = {"origin": Origin.PREDICTED, "track": 0, "track_names": ["a"]} | columns
    return Poses.from_arrays(SKELETON, frame=frame, xy=xy, **given_columns)


def with_gaps(values: np.ndarray, *gaps: tuple[int, int]) -> np.ndarray:
    holey = np.asarray(values, float).copy()
    for first, last in gaps:
        holey[first : last + 1] = np.nan
    return holey


@pytest.mark.parametrize("method", ["linear", "pchip", "kalman"])
def test_gaps_in_steady_movement_are_filled_exactly(method):
    line = 3.0 + 0.5 * np.arange(40)
    raw = track(with_gaps(line, (0, 1), (10, 12), (20, 20), (38, 39)))
    filled = smooth_poses(raw, SmoothConfig(method, max_gap_frames=3))
    x = filled.poses.xy[:, 0]
    np.testing.assert_allclose(x[2:38, 0], line[2:38], rtol=1e-6)
    np.testing.assert_allclose(x[2:38, 1], -2 * line[2:38], rtol=1e-6)
    assert np.isnan(x[[0, 1, 38, 39]]).all()  # nothing is known beyond the ends
    is_filled = filled.kind[:, 0] == PointKind.FILLED
    assert np.flatnonzero(is_filled).tolist() == [10, 11, 12, 20]
    assert (filled.poses.visibility[:, 0] == Visibility.VISIBLE).tolist() == (
        [False] * 2 + [True] * 36 + [False] * 2
    )
    assert filled.n_filled == 4


@pytest.mark.parametrize("method", ["linear", "pchip", "kalman"])
@pytest.mark.parametrize("length", [1, 4, 7])
def test_the_largest_gap_is_honoured_to_the_frame(method, length):
    line = np.arange(30.0)
    raw = track(with_gaps(line, (10, 10 + length - 1)))
    long_enough = smooth_poses(raw, SmoothConfig(method, max_gap_frames=length))
    assert np.flatnonzero(long_enough.kind[:, 0] == PointKind.FILLED).tolist() == list(
        range(10, 10 + length)
    )
    too_short = smooth_poses(raw, SmoothConfig(method, max_gap_frames=length - 1))
    assert not too_short.n_filled
    assert np.isnan(too_short.poses.xy[10 : 10 + length, 0]).all()


@pytest.mark.parametrize("method", ["linear", "pchip", "kalman"])
def test_whole_instances_are_made_in_gaps(method):
    frame = np.array([0, 1, 2, 6, 7, 8, 20, 21])
    raw = track(2.0 * frame, frame, score=0.5, point_score=0.7)
    filled = smooth_poses(raw, SmoothConfig(method, max_gap_frames=3))
    poses = filled.poses
    assert poses.frame.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 20, 21]
    new = np.isin(poses.frame, [3, 4, 5])
    np.testing.assert_allclose(poses.xy[new, 0, 0], [6, 8, 10], rtol=1e-5)
    assert (poses.origin == Origin.PREDICTED).all()
    assert (poses.track == 0).all()
    assert np.isnan(poses.score).tolist() == new.tolist()
    assert np.isnan(poses.point_score).all(axis=1).tolist() == new.tolist()
    assert (filled.kind[new] == PointKind.FILLED).all()
    assert not (filled.kind[~new] == PointKind.FILLED).any()
    assert filled.steps[0]["instances_created"] == 3


def test_frames_on_a_stride_are_filled_on_the_stride():
    frame = np.array([0, 8, 16, 40, 48])
    filled = smooth_poses(track(frame / 8.0, frame), SmoothConfig("linear", max_gap_frames=2))
    assert filled.poses.frame.tolist() == [0, 8, 16, 24, 32, 40, 48]
    np.testing.assert_allclose(filled.poses.xy[:, 0, 0], np.arange(7))
    short = smooth_poses(track(frame / 8.0, frame), SmoothConfig("linear", max_gap_frames=1))
    assert short.poses == track(frame / 8.0, frame)


def test_a_frame_off_the_stride_changes_nothing_for_the_others():
    frame = np.array([0, 8, 16, 24, 32, 37, 40, 56, 64])
    filled = smooth_poses(track(frame / 8.0, frame), SmoothConfig("linear", max_gap_frames=7))
    assert filled.poses.frame.tolist() == [0, 8, 16, 24, 32, 37, 40, 48, 56, 64]
    np.testing.assert_allclose(filled.poses.xy[:, 0, 0], filled.poses.frame / 8.0)
    # From frame 37, which is none of the grid, nothing leads to frame 56 in steps of 8.
    apart = track(frame / 8.0, frame).select(frame != 40)
    assert smooth_poses(apart, SmoothConfig("linear", max_gap_frames=7)).poses == apart


def test_the_stride_is_that_of_all_animals():
    sparse = np.array([0, 2, 4, 7, 9])
    poses = Poses.concat([track(1.0 * sparse, sparse), track(np.arange(10.0), track_names=["b"])])
    filled = smooth_poses(poses, SmoothConfig("linear", max_gap_frames=2)).poses
    assert filled.frame[filled.track == 0].tolist() == list(range(10))


@given(
    values=st.lists(st.floats(-100, 100), min_size=2, max_size=12),
    present=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_pchip_is_that_of_scipy(values, present):
    x = np.array(values)
    knots = np.flatnonzero(np.array(present[: len(x)]))
    raw = track(np.where(np.isin(np.arange(len(x)), knots), x, np.nan))
    filled = smooth_poses(raw, SmoothConfig("pchip", max_gap_frames=99)).poses.xy[:, 0, 0]
    if len(knots) < 2:
        np.testing.assert_array_equal(filled, raw.xy[:, 0, 0])
        return
    inside = np.arange(knots[0], knots[-1] + 1)
    known = raw.xy[knots, 0, 0].astype(np.float64)
    expected = PchipInterpolator(knots, known)(inside)
    np.testing.assert_allclose(filled[inside], expected, rtol=1e-4, atol=1e-4)
    assert np.isnan(np.delete(filled, inside)).all()


@given(st.lists(st.one_of(st.none(), st.floats(-1e3, 1e3, width=32)), min_size=2, max_size=40))
def test_nothing_filled_leaves_the_box_of_its_neighbours(values):
    x = np.array([np.nan if value is None else value for value in values], np.float32)
    for method in ("linear", "pchip"):
        filled = smooth_poses(track(x), SmoothConfig(method, max_gap_frames=40)).poses.xy[:, 0, 0]
        known = np.flatnonzero(~np.isnan(x))
        for a, b in itertools.pairwise(known.tolist()):
            low, high = sorted((x[a], x[b]))
            margin = 1e-4 * max(abs(low), abs(high))
            between = filled[a : b + 1]
            assert (between >= low - margin).all()
            assert (between <= high + margin).all()


def test_what_is_there_stays_bit_for_bit():
    rng = np.random.default_rng(0)
    x = with_gaps(rng.normal(0, 50, 60), (10, 13), (30, 30))
    raw = track(x)
    for method in ("linear", "pchip"):
        filled = smooth_poses(raw, SmoothConfig(method))
        there = ~np.isnan(raw.xy)
        np.testing.assert_array_equal(filled.poses.xy[there], raw.xy[there])
        assert (filled.kind[there[..., 0]] == PointKind.RAW).all()
        assert np.isnan(filled.stddev_px).all()
