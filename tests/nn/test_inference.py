"""From detections to poses, and a network that answers from the frame it is given."""

import numpy as np
import pytest
import tensorflow as tf

from napari_animalpose.config import ModelConfig, PredictConfig, RunConfig
from napari_animalpose.data.poses import Origin
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import CancelledError
from napari_animalpose.io.video import open_video
from napari_animalpose.jobs import StopRequest
from napari_animalpose.nn.heads import Detections
from napari_animalpose.nn.inference import (
    Predictor,
    batch_frames,
    choose_batch_size,
    poses_from_detections,
)

SKELETON = Skeleton(("a", "b"))


def detections(points, scores, own=None):
    own = None if own is None else np.asarray(own, np.float32)
    return Detections(np.asarray(points, np.float32), np.asarray(scores, np.float32), own)


def test_points_below_the_threshold_are_missing_and_instances_without_points_left_out():
    points = np.arange(3 * 2 * 2 * 2).reshape(3, 2, 2, 2)
    scores = [[[0.9, 0.1], [0.2, 0.6]], [[0.1, 0.1], [0.5, 0.19]], [[0.0, 0.1], [0.1, 0.0]]]
    poses = poses_from_detections(SKELETON, 4, [7, 9, 11], detections(points, scores), 0.2)
    assert poses.frame.tolist() == [7, 7, 9]
    assert set(poses.video.tolist()) == {4}
    np.testing.assert_array_equal(
        np.isfinite(poses.xy[..., 0]), [[True, False], [True, True], [True, False]]
    )
    np.testing.assert_array_equal(poses.xy[1], points[0, 1])
    np.testing.assert_allclose(poses.score, [0.9, 0.4, 0.5])
    np.testing.assert_allclose(poses.point_score[2], [0.5, np.nan])
    assert set(poses.origin.tolist()) == {Origin.PREDICTED}


def test_padding_with_nan_is_no_instance_and_own_scores_are_kept():
    points = np.full((1, 3, 2, 2), np.nan)
    points[0, 1] = 5.0
    found = detections(points, np.full((1, 3, 2), 0.9), [[np.nan, 0.7, np.nan]])
    poses = poses_from_detections(SKELETON, 0, [3], found, 0.2)
    assert len(poses) == 1
    np.testing.assert_allclose(poses.score, [0.7])


def test_confidences_are_shown_between_0_and_1():
    found = detections(np.ones((1, 1, 2, 2)), [[[1.3, -0.2]]])
    poses = poses_from_detections(SKELETON, 0, [0], found, 0.0)
    np.testing.assert_array_equal(poses.point_score, [[1.0, 0.0]])


def test_nothing_detected_is_an_empty_table():
    found = detections(np.full((2, 3, 2, 2), np.nan), np.full((2, 3, 2), np.nan))
    assert len(poses_from_detections(SKELETON, 0, [0, 1], found, 0.2)) == 0


def test_consecutive_frames_of_one_size_make_a_batch():
    sizes = [(4, 5)] * 5 + [(6, 5)] * 2 + [(4, 5)]
    frames = [(10 + i, np.full((*size, 1), i, np.uint8)) for i, size in enumerate(sizes)]
    batches = list(batch_frames(iter(frames), 2))
    assert [numbers for numbers, _ in batches] == [[10, 11], [12, 13], [14], [15, 16], [17]]
    for numbers, images in batches:
        assert images[:, 0, 0, 0].tolist() == [number - 10 for number in numbers]
    assert list(batch_frames(iter(()), 2)) == []


def test_batches_are_as_asked_or_about_a_million_pixels():
    model = ModelConfig(input_scale=0.5)
    assert choose_batch_size(PredictConfig(batch_size=3), model, 10, 10) == 3
    if not tf.config.list_physical_devices("GPU"):
        assert choose_batch_size(PredictConfig(), model, 1000, 1000) == 4
        assert choose_batch_size(PredictConfig(), model, 10000, 10000) == 1
        assert choose_batch_size(PredictConfig(), model, 10, 10) == 64


class DotNetwork:
    """Maps that are high where the frame is bright: one dot for each of two nodes."""

    def __call__(self, x, training):
        gray = x[..., :1]
        return {"confmaps": tf.concat([gray, gray * 0.5], axis=-1)}


@pytest.fixture(scope="module")
def video():
    """30 frames, each with one Gaussian dot at a place of its own."""
    y, x = np.mgrid[:40, :50]
    places = np.random.default_rng(0).uniform(8, 30, (30, 2))
    dots = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8) for px, py in places]
    return open_video(np.round(255 * np.array(dots)).astype(np.uint8)), places


def make_predictor(batch_size=0):
    run = RunConfig(
        networks={
            "single_instance": ModelConfig(output_stride=1, backbone_options={"down_blocks": 1})
        }
    )
    return Predictor(
        run, SKELETON, {"single_instance": DotNetwork()}, PredictConfig(batch_size=batch_size)
    )


def test_predictions_lie_on_the_dots_whatever_the_batch_size(video):
    frames, places = video
    for batch_size in (0, 1, 7):
        poses = make_predictor(batch_size).predict(frames)
        assert poses.frame.tolist() == list(range(30))
        np.testing.assert_allclose(poses.xy, np.stack([places, places], axis=1), atol=0.02)


def test_frames_may_come_in_any_order_and_twice(video):
    frames, places = video
    said = []
    chosen = [20, 3, 3, 11, np.int64(4)]
    poses = make_predictor(2).predict(frames, chosen, video_number=5, progress=said.append)
    assert poses.frame.tolist() == [3, 4, 11, 20]
    assert set(poses.video.tolist()) == {5}
    np.testing.assert_allclose(poses.xy[:, 0], places[[3, 4, 11, 20]], atol=0.02)
    assert [text.partition(" frames")[0] for text in said] == ["2 of 4", "4 of 4"]


def test_no_frames_are_an_empty_table(video):
    poses = make_predictor().predict(video[0], [])
    assert len(poses) == 0
    assert poses.skeleton == SKELETON


def test_stopping_early_returns_what_is_done_and_cancelling_raises(video):
    answers = iter([StopRequest.NONE] * 2 + [StopRequest.STOP_EARLY] * 9)
    poses, done = make_predictor(4).run(video[0], range(30), 0, should_stop=lambda: next(answers))
    assert done == 8
    assert poses.frame.tolist() == list(range(8))
    with pytest.raises(CancelledError):
        make_predictor(4).run(video[0], range(30), 0, should_stop=lambda: StopRequest.CANCEL)
