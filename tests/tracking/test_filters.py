"""Median and Savitzky-Golay: exact values, and nothing across a gap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from napari_animalpose.config import SmoothConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.smoothed import PointKind
from napari_animalpose.tracking.smoothing import smooth_poses

POINT = Skeleton(("p",))
runs = st.lists(st.one_of(st.none(), st.floats(-1e3, 1e3, width=32)), min_size=1, max_size=40).map(
    lambda values: np.array([np.nan if v is None else v for v in values], np.float32)
)


def filtered(x: np.ndarray, config: SmoothConfig) -> np.ndarray:
    """x after the filter, where y is minus x and must come out so."""
    xy = np.stack([x, -x], axis=-1)[:, None]
    poses = Poses.from_arrays(
        POINT,
        frame=np.arange(len(x)),
        xy=xy,
        track=0,
        origin=Origin.PREDICTED,
        track_names=["a"],
    )
    result = smooth_poses(poses, config)
    moved = (result.poses.xy != poses.xy).any(axis=-1) & ~np.isnan(poses.xy[..., 0])
    assert ((result.kind == PointKind.SMOOTHED) == moved).all()
    np.testing.assert_array_equal(np.isnan(result.poses.xy), np.isnan(poses.xy))
    np.testing.assert_allclose(
        result.poses.xy[..., 1], -result.poses.xy[..., 0], rtol=1e-5, atol=1e-3
    )
    return result.poses.xy[:, 0, 0]


def split_runs(x: np.ndarray) -> list[slice]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ~np.isnan(x), [0]])))
    return [slice(a, b) for a, b in edges.reshape(-1, 2)]


@given(x=runs, half=st.integers(0, 4))
def test_medians_are_those_of_the_window(x, half):
    result = filtered(x, SmoothConfig("median", window_frames=2 * half + 1, polynomial_order=0))
    for run in split_runs(x):
        values = x[run].astype(np.float64)
        for i in range(len(values)):
            reach = min(half, i, len(values) - 1 - i)
            expected = np.median(values[i - reach : i + reach + 1])
            assert result[run][i] == np.float32(expected)


def test_a_spike_goes_and_steady_movement_stays():
    line = np.arange(20.0)
    spiky = line.copy()
    spiky[7] = 500
    config = SmoothConfig("median", window_frames=3)
    np.testing.assert_array_equal(filtered(line, config), line)
    np.testing.assert_array_equal(filtered(spiky, config)[[0, 5, 7, 9, 19]], [0, 5, 8, 9, 19])


@given(x=runs, half=st.integers(1, 3), order=st.integers(0, 2))
def test_savgol_is_that_of_scipy_on_every_run(x, half, order):
    width = 2 * half + 1
    result = filtered(x, SmoothConfig("savgol", window_frames=width, polynomial_order=order))
    for run in split_runs(x):
        values = x[run].astype(np.float64)
        if len(values) >= width:
            expected = savgol_filter(values, width, order, mode="interp")
        elif len(values) > order:  # one polynomial for all of them
            places = np.arange(len(values))
            expected = np.polyval(np.polyfit(places, values, order), places)
        else:
            expected = values
        scale = np.abs(values).max()
        np.testing.assert_allclose(result[run], expected, rtol=1e-4, atol=1e-4 * (scale + 1))


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_savgol_reproduces_polynomials_to_the_last_frame_before_a_gap(order):
    t = np.arange(40.0)
    x = np.polyval([0.01, -0.3, 2.0, 5.0][3 - order :], t)
    x[[11, 12, 30]] = np.nan
    result = filtered(x, SmoothConfig("savgol", window_frames=7, polynomial_order=order))
    np.testing.assert_allclose(result, x, rtol=1e-5, atol=1e-4)


def test_tracks_and_videos_do_not_mix():
    config = SmoothConfig("median", window_frames=5)
    n = 9
    poses = Poses.from_arrays(
        POINT,
        frame=np.tile(np.arange(n), 3),
        video=np.repeat([0, 0, 1], n),
        track=np.repeat([0, 1, 0], n),
        xy=np.repeat([0.0, 100.0, 200.0], n)[:, None, None] * np.ones((1, 1, 2)),
        origin=Origin.PREDICTED,
        track_names=["a", "b"],
    )
    assert smooth_poses(poses, config).poses == poses
    assert smooth_poses(poses, SmoothConfig("savgol")).n_smoothed in range(3 * n)
    np.testing.assert_allclose(
        smooth_poses(poses, SmoothConfig("savgol")).poses.xy, poses.xy, rtol=1e-6, atol=1e-6
    )
