"""Stepping through a video: requests, videos that stay open, a warm child."""

import os
import pickle

import numpy as np
import pytest

from napari_animalpose.config import PredictConfig
from napari_animalpose.errors import DataError, ModelError, VideoError
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.video import LazyVideo, open_video
from napari_animalpose.jobs import Failed, Result, Worker
from napari_animalpose.pipeline import inspection, load_predictor
from napari_animalpose.pipeline.inspection import (
    FrameInspector,
    InspectRequest,
    inspect,
    open_inspector,
    request_inspection,
)

ALL_POINTS = PredictConfig(peak_threshold=0.0, min_mean_confidence=0.0, precision="float32")


@pytest.fixture(scope="module")
def inspector(tiny_run):
    return open_inspector(tiny_run.path, ALL_POINTS)


def test_a_frame_of_a_file_is_what_is_predicted_there(inspector, tiny_run, tiny_labels):
    video = LazyVideo(str(tiny_labels.with_name("video.mp4")))
    expected = load_predictor(tiny_run.path, ALL_POINTS).predict(video, [5, 9], video_number=1)
    for number in (9, 5):
        seen = inspect(inspector, video, number, video_number=1)
        own = expected.at(1, number)
        assert (seen.video, seen.frame) == (1, number)
        np.testing.assert_allclose(seen.instances.xy, own.xy, atol=1e-3)
        assert seen.maps[0].channels == seen.skeleton.nodes == own.skeleton.nodes
        assert list(seen.seconds) == ["reading", "network", "packing"]


def test_a_request_for_a_file_is_small_and_has_no_decoder(tiny_labels):
    video = LazyVideo(str(tiny_labels.with_name("video.mp4")))
    _ = video[3]
    sent = pickle.dumps(request_inspection(video, 3))
    assert len(sent) < 2000
    request = pickle.loads(sent)
    assert request.source == video
    assert not request.source.is_open
    assert request.image is None


def test_of_other_videos_only_the_frame_is_sent(inspector):
    frames = np.random.default_rng(0).integers(0, 255, (50, 96, 128, 1)).astype(np.uint8)
    request = request_inspection(open_video(frames), 7)
    np.testing.assert_array_equal(request.image, frames[7])
    assert len(pickle.dumps(request)) < frames[7].nbytes + 2000
    assert inspector(request).size == (96, 128)


def test_only_the_labels_of_the_frame_are_sent(tiny_labels):
    labels = read_labels(tiny_labels)
    request = request_inspection(labels.videos[0], 4, poses=labels.poses)
    assert request.labels.frame.tolist() == [4]
    assert len(pickle.dumps(request)) < 10_000


def test_impossible_requests(inspector, tiny_labels, tmp_path):
    video = LazyVideo(str(tiny_labels.with_name("video.mp4")))
    for frame in (-1, 24):
        with pytest.raises(DataError, match=f"from 0 to 23; received {frame}"):
            request_inspection(video, frame)
    with pytest.raises(DataError, match="received neither"):
        inspector(InspectRequest(0))
    gone = LazyVideo(str(tmp_path / "gone.mp4"), shape=(9, 64, 64, 1))
    with pytest.raises(VideoError):
        inspect(inspector, gone, 0)
    with pytest.raises(ModelError):
        open_inspector(tmp_path / "no_run")


def test_videos_stay_open_but_not_too_many(tiny_run, tiny_labels, tmp_path):
    inspector = FrameInspector(load_predictor(tiny_run.path, ALL_POINTS))
    paths = [tmp_path / f"{number}.mp4" for number in range(inspection.OPEN_VIDEOS + 1)]
    for path in paths:
        path.symlink_to(tiny_labels.with_name("video.mp4"))
    inspect(inspector, LazyVideo(str(paths[0])), 0)
    (first,) = inspector._videos.values()
    inspect(inspector, LazyVideo(str(paths[0])), 1)
    assert list(inspector._videos.values()) == [first]
    for path in paths[1:]:
        inspect(inspector, LazyVideo(str(path)), 0)
    assert len(inspector._videos) == inspection.OPEN_VIDEOS
    assert not first.is_open
    inspector.close()
    assert not inspector._videos


@pytest.mark.slow
def test_a_warm_child_follows_the_frames(tiny_run, tiny_labels, tmp_path):
    video = LazyVideo(str(tiny_labels.with_name("video.mp4")))
    expected = load_predictor(tiny_run.path, ALL_POINTS).predict(video)
    with Worker(open_inspector, tiny_run.path, ALL_POINTS) as worker:
        for number in (0, 1, 17):
            seen = worker.result(worker.ask(request_inspection(video, number)), 120)
            np.testing.assert_allclose(seen.instances.xy, expected.at(0, number).xy, atol=1e-3)
        gone = LazyVideo(str(tmp_path / "gone.mp4"), shape=(9, 64, 64, 1))
        tickets = [worker.ask(request_inspection(gone, 0))]
        tickets += [worker.ask(request_inspection(video, number)) for number in range(5)]
        worker.result(tickets[-1], 60)
        assert isinstance(tickets[0].outcome, Failed)
        assert tickets[0].outcome.kind == "VideoError"
        assert [type(ticket.outcome) for ticket in tickets[1:-1]].count(Result) <= 1
        pid = worker.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.slow
def test_a_child_without_a_model_says_so(tmp_path):
    worker = Worker(open_inspector, tmp_path / "no_run")
    ticket = worker.ask(InspectRequest(0, image=np.zeros((8, 8, 1), np.uint8)))
    assert worker.join(120)
    assert ticket.outcome == worker.outcome
    assert worker.outcome.kind == "ModelError"
