"""Smoothing of tables: noise is found, truth comes closer, what is sure is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose.config import SmoothConfig
from napari_animalpose.data.columns import COLUMNS
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.smoothed import PointKind, Smoothed
from napari_animalpose.errors import ConfigError
from napari_animalpose.sample import make_sample
from napari_animalpose.tracking.noise import estimate_noise, measure_activity, weigh_scores
from napari_animalpose.tracking.smoothing import SMOOTHERS, smooth_poses
from napari_animalpose.tracking.trajectories import Trajectories, open_trajectories

METHODS = SMOOTHERS.names()


def model_track(q: float, r: float, n: int, seed: int = 0) -> tuple[np.ndarray, Poses]:
    """The very process of the smoother: true points (n, 1, 2) and a noisy track of them."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(q * np.array([[1 / 3, 1 / 2], [1 / 2, 1]]))
    push = rng.normal(size=(n, 2, 2)) @ root.T  # axis, (position, velocity)
    velocity = np.cumsum(push[..., 1], axis=0)
    before = np.concatenate([np.zeros((1, 2)), velocity[:-1]])
    truth = np.cumsum(before + push[..., 0], axis=0)[:, None]
    xy = truth + rng.normal(0, np.sqrt(r), truth.shape)
    poses = Poses.from_arrays(
        Skeleton(("p",)),
        frame=np.arange(n),
        xy=xy,
        track=0,
        origin=Origin.PREDICTED,
        track_names=["a"],
    )
    return truth, poses


def opened(poses: Poses) -> Trajectories:
    return open_trajectories(Smoothed.raw(poses), 10)


@pytest.mark.parametrize(("q", "r"), [(0.01, 1.0), (0.05, 0.2)])
def test_the_noise_of_a_known_process_is_found(q, r):
    _, poses = model_track(q, r, 8000)
    places = opened(poses)
    activity = measure_activity(places)
    assert activity.mean() == pytest.approx(2 * q / 3 + 6 * r, rel=0.05)
    noise = estimate_noise(places, weigh_scores(places), activity)
    assert noise.measurement[0] == pytest.approx(r, rel=0.15)
    typical = noise.process_at(activity)
    assert np.exp(np.log(typical).mean()) == pytest.approx(q, rel=0.7)


def test_the_uncertainty_of_a_known_process_is_right_and_the_error_falls():
    truth, poses = model_track(0.1, 1.0, 6000, seed=4)
    missing = np.zeros(6000, bool)
    for start in range(50, 5900, 60):
        missing[start : start + 8] = True
    smoothed = smooth_poses(poses.select(~missing))
    assert smoothed.poses.frame.tolist() == list(range(6000))
    error = np.abs(smoothed.poses.xy - truth)[:, 0]
    raw = np.abs(poses.xy - truth)[:, 0]
    assert np.sqrt((error[~missing] ** 2).mean()) < 0.7 * np.sqrt((raw[~missing] ** 2).mean())
    for kind in (PointKind.SMOOTHED, PointKind.FILLED):
        here = smoothed.kind[:, 0] == kind
        within = error[here] / smoothed.stddev_px[here]
        assert (within < 1).mean() == pytest.approx(0.68, abs=0.06)
        assert (within < 1.96).mean() == pytest.approx(0.95, abs=0.04)
    # The farther from what was seen, the less is known.
    gap = smoothed.stddev_px[50:58, 0]
    assert gap[3:5].min() > gap[[0, 7]].max()


@pytest.mark.parametrize("species", ["fly", "mouse"])
def test_the_movement_of_sample_animals_comes_closer_to_the_truth(species):
    sample = make_sample(n_frames=800, n_animals=2, species=species, seed=3)
    n_frames, n_animals, n_nodes, _ = sample.points.shape
    rng = np.random.default_rng(0)
    noisy = sample.points + rng.normal(0, 1.0, sample.points.shape)
    noisy[rng.random(noisy.shape[:3]) < 0.05] = np.nan
    poses = Poses.from_arrays(
        sample.skeleton,
        frame=np.repeat(np.arange(n_frames), n_animals),
        track=np.tile(np.arange(n_animals), n_frames),
        xy=noisy.reshape(-1, n_nodes, 2),
        origin=Origin.PREDICTED,
        track_names=sample.track_names,
    )
    smoothed = smooth_poses(poses)
    truth = sample.points[smoothed.poses.frame, smoothed.poses.track]
    error = np.abs(smoothed.poses.xy - truth)
    seen = smoothed.kind == PointKind.SMOOTHED
    assert np.sqrt((error[seen] ** 2).mean()) < 0.8  # of 1.0
    within = error[seen] / smoothed.stddev_px[seen][:, None]
    assert 0.6 < (within < 1).mean() < 0.76
    assert 0.88 < (within < 1.96).mean() < 0.98


def test_points_with_a_low_score_are_believed_less():
    _, poses = model_track(0.5, 1.0, 600)
    score = np.where(np.arange(600) % 2, 0.9, 0.45)[:, None]
    places = opened(poses.replace(point_score=score))
    weight = weigh_scores(places)[:, 0]
    assert weight[1] / weight[0] == pytest.approx(4)
    smoothed = smooth_poses(poses.replace(point_score=score))
    moved = np.hypot(*np.moveaxis(smoothed.poses.xy - poses.xy, -1, 0))[:, 0]
    assert moved[::2].mean() > 1.3 * moved[1::2].mean()


@pytest.mark.parametrize("keep_labels", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_labels_guide_and_stay(method, keep_labels):
    _, poses = model_track(0.02, 1.0, 60)
    xy = poses.xy.copy()
    xy[[20, 21, 40]] = np.nan
    origin = np.where(np.isin(poses.frame, [10, 20, 50]), Origin.USER, Origin.PREDICTED)
    raw = poses.replace(xy=xy, origin=origin)
    before = raw.copy()
    result = smooth_poses(raw, SmoothConfig(method, keep_labels=keep_labels))
    assert raw == before
    if keep_labels:
        assert result.poses.labels() == raw.labels()
        assert (result.kind[raw.is_label] == PointKind.RAW).all()
        assert np.isnan(result.stddev_px[raw.is_label]).all()
    else:
        changed = (result.kind != PointKind.RAW).any(axis=1)
        assert (result.poses.origin[changed] == Origin.PREDICTED).all()
        assert (result.poses.origin[~changed] == raw.origin[~changed]).all()
        assert changed[20] or method in ("median", "savgol")


def test_methods_follow_each_other_and_marks_add_up():
    truth, poses = model_track(0.02, 1.0, 300)
    xy = poses.xy.copy()
    xy[50:54] = np.nan
    xy[100] += 300  # a point on another animal
    raw = poses.replace(xy=xy)
    cleaned = smooth_poses(raw, SmoothConfig("median"))
    assert cleaned.kind[100, 0] == PointKind.SMOOTHED
    assert np.isnan(cleaned.poses.xy[50:54]).all()
    both = smooth_poses(cleaned, SmoothConfig("kalman"))
    assert [step["method"] for step in both.steps] == ["median", "kalman"]
    assert (both.kind[50:54] == PointKind.FILLED).all()
    assert np.abs(both.poses.xy[100] - truth[100]).max() < 5
    # What was interpolated is no measurement: the smoother fills it anew, unsure as before.
    filled = smooth_poses(smooth_poses(cleaned, SmoothConfig("linear")))
    assert (filled.kind[50:54] == PointKind.FILLED).all()
    np.testing.assert_allclose(filled.stddev_px, both.stddev_px, rtol=1e-5)
    np.testing.assert_allclose(filled.poses.xy, both.poses.xy, rtol=1e-5)


def test_an_unknown_method_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"known smoothing method.*received 'magic'"):
        smooth_poses(model_track(1, 1, 5)[1], SmoothConfig("magic"))


@pytest.mark.parametrize("method", METHODS)
@given(poses=pose_tables(max_rows=14, max_frame=12), max_gap=st.integers(0, 4))
def test_any_table_keeps_its_rows_and_raw_values_are_never_touched(method, poses, max_gap):
    before = poses.copy()
    smoothed = smooth_poses(poses, SmoothConfig(method, max_gap_frames=max_gap))
    assert poses == before
    table = smoothed.poses
    created = len(table) - len(poses)
    assert created == smoothed.steps[0]["instances_created"]
    if method in ("median", "savgol"):
        assert created == 0
    # Rows of a frame keep their order; those that were created come after them.
    rank = np.concatenate([np.arange(len(rows)) for _, rows in table]) if len(table) else []
    old = np.array(
        [
            place < len(poses.at(int(video), int(frame)))
            for place, video, frame in zip(rank, table.video, table.frame, strict=True)
        ],
        bool,
    )
    assert old.sum() == len(poses)
    kept = table.select(old)
    for name in COLUMNS:
        if name not in ("xy", "visibility"):
            np.testing.assert_array_equal(kept.column(name), poses.column(name))
    raw = smoothed.kind[old] == PointKind.RAW
    np.testing.assert_array_equal(kept.xy[raw], poses.xy[raw])
    np.testing.assert_array_equal(kept.visibility[raw], poses.visibility[raw])
    assert (smoothed.kind[~old] != PointKind.SMOOTHED).all()
    assert kept.labels() == poses.labels()
    untracked = poses.track < 0
    assert (smoothed.kind[old][untracked] == PointKind.RAW).all()
    filled = smoothed.kind == PointKind.FILLED
    assert not np.isnan(table.xy[filled]).any()
    if method == "kalman":
        assert (smoothed.stddev_px[filled] > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_table_stays_empty(method):
    empty = Poses.empty(Skeleton(("p",)), ["a"])
    assert smooth_poses(empty, SmoothConfig(method)).poses == empty


@pytest.mark.parametrize("method", METHODS)
def test_many_short_tracks_are_smoothed_as_each_alone(method):
    _, poses = model_track(0.02, 1.0, 400)
    config = SmoothConfig(method)
    names = [f"t{i}" for i in range(8)]
    parts = poses.replace(track=poses.frame // 50, track_names=names)
    together = smooth_poses(parts, config)
    if method == "kalman":  # its noise is that of all tracks: only the ends can be compared
        assert not np.isnan(together.stddev_px).any()
        assert together.stddev_px[49] > 1.2 * together.stddev_px[25]
        return
    alone = [smooth_poses(parts.select(parts.track == t), config).poses.xy for t in range(8)]
    np.testing.assert_array_equal(together.poses.xy, np.concatenate(alone))
