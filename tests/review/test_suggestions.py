"""Suggested frames: the rules that all obey, and what each method is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import make_predictions, plant
from scipy.spatial.distance import pdist

from napari_animalpose.config import ReviewConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.store import pack
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.io.video import ArrayVideo
from napari_animalpose.review import find_errors
from napari_animalpose.review.suggestions import SUGGESTERS, suggest_frames
from napari_animalpose.review.suggestions.base import Request, share_out
from napari_animalpose.review.suggestions.diverse import (
    measure_situations,
    order_farthest_first,
    rate_uncertainty,
)
from napari_animalpose.review.suggestions.features import (
    cut_box,
    describe_hog,
    describe_pixels,
    read_features,
)
from napari_animalpose.review.suggestions.postures import align_postures
from napari_animalpose.sample import make_sample

A = Skeleton(("a",))
N = 200


def gray_video(levels, size=(24, 32)) -> ArrayVideo:
    frames = np.broadcast_to(np.asarray(levels, np.uint8)[:, None, None], (len(levels), *size))
    return ArrayVideo(np.ascontiguousarray(frames))


@pytest.fixture(scope="module")
def project() -> Project:
    """Two videos of two flies with planted errors; some frames are labelled or empty."""
    videos, tables = [], []
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (N, 24, 32), np.uint8)
        videos.append(ArrayVideo(pixels, name=f"video {number}"))
        poses, _ = plant(make_predictions(N, 2, number), {"jump": 2, "count": 1}, number, 15)
        rng = np.random.default_rng(number)
        poses = poses.replace(
            video=number,
            xy=poses.xy / 16,
            origin=np.where(poses.frame % 50 == 0, Origin.USER, Origin.PREDICTED),
            point_score=np.clip(rng.normal(0.9, 0.05, poses.visibility.shape), 0, 1)
            * np.where(poses.frame % 37 == 5, 0.6, 1)[:, None],
        )
        tables.append(poses)
    return Project(tuple(videos), Poses.concat(tables), negative_frames=[[0, 60], [1, 61]])


@pytest.mark.parametrize("method", SUGGESTERS.names())
def test_every_method_obeys_the_rules(project, method):
    exclude = [[0, 75], [1, 120]]
    chosen = suggest_frames(project, 8, method, seed=3, min_spacing_frames=6, exclude=exclude)
    assert 0 < len(chosen) <= 8
    assert len(chosen.reasons) == len(chosen)
    assert all(reason.endswith(".") for reason in chosen.reasons)
    taken = np.concatenate([project.labeled_frames(), project.negative_frames, exclude])
    for video in range(2):
        mine = chosen.frames[chosen.frames[:, 0] == video, 1]
        others = taken[taken[:, 0] == video, 1]
        assert np.abs(mine[:, None] - others).min() >= 6
        assert (np.diff(np.sort(mine)) >= 6).all()
        assert ((mine >= 0) & (mine < N)).all()
    again = suggest_frames(project, 8, method, seed=3, min_spacing_frames=6, exclude=exclude)
    np.testing.assert_array_equal(chosen.frames, again.frames)
    assert chosen.reasons == again.reasons
    project.replace(suggestions=chosen.frames)  # is what a project takes
    assert [record["rank"] for record in chosen.to_records()] == list(range(1, len(chosen) + 1))


@pytest.mark.parametrize("method", SUGGESTERS.names())
def test_every_method_keeps_to_the_videos_asked_for(project, method):
    chosen = suggest_frames(project, 5, method, videos=[1])
    assert set(chosen.frames[:, 0]) == {1}


@pytest.mark.parametrize("method", ["even", "random", "image"])
def test_videos_without_poses_will_do(method):
    empty = Project((gray_video(np.arange(40)),), Poses.empty(A))
    chosen = suggest_frames(empty, 4, method, min_spacing_frames=2)
    assert len(chosen) == 4


@pytest.mark.parametrize("method", ["diverse", "findings", "score", "velocity"])
def test_methods_that_need_poses_say_so(method):
    empty = Project((gray_video(np.arange(40)),), Poses.empty(A))
    with pytest.raises(DataError, match="method 'image', 'even' or 'random'"):
        suggest_frames(empty, 4, method)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"count": 0}, ConfigError, "received 0"),
        ({"method": "no"}, ConfigError, "way to suggest frames"),
        ({"min_spacing_frames": -1}, ConfigError, "received -1"),
        ({"method": "random", "seed": -1}, ConfigError, "seed from 0 to .* received -1"),
        ({"method": "image", "seed": -1}, ConfigError, "seed from 0 to .* received -1"),
        ({"method": "image", "seed": 2**32}, ConfigError, "received 4294967296"),
        ({"videos": [2]}, DataError, "0 to 1"),
        ({"videos": []}, DataError, "received"),
        ({"method": "image", "image_feature": "no"}, ConfigError, "image feature"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(project, arguments, error, message):
    with pytest.raises(error, match=message):
        suggest_frames(project, **{"count": 3, **arguments})


def test_fewer_come_back_where_there_is_no_more_room(project):
    chosen = suggest_frames(project, 50, "random", min_spacing_frames=100)
    assert len(chosen) < 5
    full = Project(
        (gray_video([0, 0]),),
        Poses.from_arrays(A, frame=[0, 1], xy=np.zeros((2, 1, 2))),
    )
    for method in ("even", "random", "image", "findings", "velocity", "diverse"):
        assert len(suggest_frames(full, 3, method, min_spacing_frames=0)) == 0


# --------------------------------------------------------------------------- each method
def test_even_frames_are_evenly_spaced_and_shared_by_length():
    videos = (gray_video(np.zeros(300)), gray_video(np.zeros(100)))
    chosen = suggest_frames(Project(videos, Poses.empty(A)), 8, "even")
    assert chosen.frames.tolist() == [
        [0, 25], [0, 75], [0, 125], [0, 175], [0, 225], [0, 275], [1, 25], [1, 75],
    ]  # fmt: skip


def test_random_frames_depend_on_the_seed(project):
    draws = [suggest_frames(project, 5, "random", seed=seed).frames.tolist() for seed in range(3)]
    assert draws[0] != draws[1] != draws[2]


def test_every_kind_of_picture_is_represented():
    levels = np.repeat([10, 90, 170, 250], [70, 50, 20, 10])
    chosen = suggest_frames(
        Project((gray_video(levels),), Poses.empty(A)), 4, "image", min_spacing_frames=1
    )
    assert sorted(levels[chosen.frames[:, 1]]) == [10, 90, 170, 250]
    assert chosen.reasons[0] == "Typical of 70 similar frames of 150 looked at."


def test_the_least_sure_and_the_fastest_frames_come_first():
    frame = np.arange(100)
    score = np.full(100, 0.9, np.float32)
    score[[20, 60]] = 0.1, 0.2
    x = np.cumsum(np.where(frame == 40, 30.0, 1.0))
    poses = Poses.from_arrays(
        A,
        frame=frame,
        xy=np.stack([x, x * 0], axis=1)[:, None],
        origin=Origin.PREDICTED,
        score=score,
    )
    one = Project((gray_video(frame),), poses)
    assert suggest_frames(one, 2, "score").frames[:, 1].tolist() == [20, 60]
    assert suggest_frames(one, 1, "velocity").frames[:, 1].tolist() == [40]
    found = find_errors(poses)
    first = suggest_frames(one, 1, "findings", findings=found)
    assert first.frames[0, 1] == found.frame[0]
    assert first.reasons[0] == found.text[0]


def test_diverse_suggestions_are_farther_apart_than_the_least_sure_ones():
    sample = make_sample(n_frames=600, size=(128, 128), seed=5)
    poses = sample.poses
    rng = np.random.default_rng(0)
    # two long moments of doubt, in each of which all frames look the same
    doubtful = ((poses.frame > 100) & (poses.frame < 160)) | (poses.frame > 550)
    score = rng.uniform(0.85, 0.95, poses.visibility.shape) - 0.3 * doubtful[:, None]
    score -= 0.25 * (rng.random(len(poses)) < 0.05)[:, None]
    project = Project((sample.video,), poses.replace(origin=Origin.PREDICTED, point_score=score))
    request = Request(
        project.videos,
        project.poses,
        10,
        np.zeros(0, np.int64),
        np.array([0]),
        5,
        0,
        ReviewConfig(),
    )
    keys, _, rows, _ = rate_uncertainty(request)
    chosen = [suggest_frames(project, 10, m, min_spacing_frames=5) for m in ("diverse", "score")]
    both = np.concatenate([pack(s.frames[:, 0], s.frames[:, 1]) for s in chosen])
    situations = measure_situations(request, both, rows[keys.searchsorted(both)])
    diverse, least_sure = (pdist(part).min() for part in (situations[:10], situations[10:]))
    assert diverse > 1.5 * least_sure


def test_farthest_first_visits_every_cluster_before_any_twice():
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(6), 20)
    points = cluster[:, None] * 10.0 + rng.normal(0, 0.3, (120, 2))
    order = order_farthest_first(points, 120, 6)
    assert order[0] == 0
    assert sorted(cluster[order]) == list(range(6))
    known = np.concatenate([points, points[cluster == 3]])
    avoiding = order_farthest_first(known, 120, 5)
    assert 3 not in cluster[avoiding]


# ------------------------------------------------------------------------------ features
@given(st.floats(-np.pi, np.pi), st.floats(-100, 100), st.floats(-100, 100))
@settings(max_examples=25)
def test_postures_know_neither_place_nor_direction(angle, x, y):
    shape = np.array([[0, 0], [10, 0], [12, 5], [3, -4.0]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = shape @ turn.T + (x, y)
    bent = shape + np.array([[0, 0], [0, 0], [0, 0], [6, 6.0]])
    postures, angles = align_postures(np.stack([shape, moved, bent]).astype(np.float32), 10.0)
    assert np.linalg.norm(postures[0] - postures[1]) < 1e-3
    assert np.linalg.norm(postures[0] - postures[2]) > 0.3
    difference = (angles[1] - angles[0] - angle + np.pi) % (2 * np.pi) - np.pi
    assert abs(difference) < 1e-3


def test_postures_of_missing_points_are_finite():
    xy = np.full((3, 4, 2), np.nan, np.float32)
    xy[0], xy[1, :2] = np.arange(8).reshape(4, 2), [[0, 0], [1, 5]]
    postures, angles = align_postures(xy, 10.0)
    assert np.isfinite(postures).all()
    assert angles[2] == 0


def test_hog_sees_edges_and_their_direction_but_not_brightness():
    rows, columns = np.mgrid[:64, :64]
    upright = (columns // 8 % 2 * 100).astype(np.uint8)
    lying = (rows // 8 % 2 * 100).astype(np.uint8)
    features = [describe_hog(image) for image in (upright, upright + 50, lying)]
    np.testing.assert_allclose(features[0], features[1], atol=1e-9)
    assert features[0].shape == (1764,)
    directions = [f.reshape(-1, 9).sum(axis=0) for f in features]
    assert set(np.argsort(directions[0])[-2:]) == {0, 8}  # gradients along x: 0 and 180 degrees
    assert np.argmax(directions[2]) == 4  # along y: 90 degrees
    assert describe_hog(np.zeros((64, 64), np.uint8)).max() == 0


def test_pixels_are_gray_levels_of_the_small_frame():
    assert describe_pixels(np.full((100, 50), 51, np.uint8)) == pytest.approx(np.full(576, 0.2))


def test_boxes_beyond_the_border_are_black():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4, 1) + 1
    part = cut_box(image, np.array([-1.0, 1, 2, 4]))
    assert part[..., 0].tolist() == [[0, 5, 6], [0, 9, 10], [0, 0, 0]]
    assert cut_box(image, np.full(4, np.nan)) is image
    assert cut_box(image, np.array([10.0, 10, 12, 12])).max() == 0


@pytest.mark.parametrize("feature", ["pixels", "hog"])
def test_distances_of_features_are_those_of_the_pictures(feature):
    """Twenty components hold all of the differences of a few frames."""
    video = make_sample(n_frames=12, size=(64, 64), seed=2).video
    keys = np.array([9, 2, 5, 2, 11])
    request = Request(
        (video,), Poses.empty(A), 3, np.zeros(0, np.int64), np.array([0]), 1, 0, ReviewConfig(),
        image_feature=feature,
    )  # fmt: skip
    describe = {"pixels": describe_pixels, "hog": describe_hog}[feature]
    expected = pdist([describe(video[int(key)][..., 0]) for key in keys])
    np.testing.assert_allclose(pdist(read_features(request, keys)), expected, atol=1e-6)


@given(st.integers(0, 40), st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_shares_add_up_and_stay_in_proportion(count, sizes):
    shares = share_out(count, sizes)
    assert sum(shares) == min(count, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    if count >= len(sizes):
        assert all(share > 0 for share, size in zip(shares, sizes, strict=True) if size)
