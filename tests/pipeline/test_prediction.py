"""From a run folder to poses."""

import logging
import os
import signal

import numpy as np
import prediction_functions
import pytest

from napari_animalpose import jobs
from napari_animalpose.config import IdentityConfig, PredictConfig, TrackConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import CancelledError, ConfigError, DataError, ModelError
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.io.video import open_video
from napari_animalpose.jobs import Failed, Log, Part, Progress, StopRequest
from napari_animalpose.pipeline import (
    load_predictor,
    predict,
    predicted_parts,
    prediction,
    read,
)
from napari_animalpose.pipeline.looked_at import looked_at_frames, predicted_frames
from napari_animalpose.pipeline.predicted_parts import join_parts
from napari_animalpose.pipeline.prediction import predict_and_track

ALL_POINTS = PredictConfig(
    peak_threshold=0.0, min_mean_confidence=0.0, precision="float32", batch_size=4
)


def test_a_video_gets_one_instance_a_frame(tiny_run, tiny_labels):
    events = []
    found = predict(
        tiny_labels.with_name("video.mp4"), tiny_run.path, config=ALL_POINTS,
        on_event=events.append,
    )  # fmt: skip
    assert found.poses.frame.tolist() == list(range(24))
    assert found.poses.skeleton == read_labels(tiny_labels).skeleton
    assert not found.poses.is_label.any()
    assert np.isfinite(found.poses.xy).all()
    low, high = found.poses.xy.min(axis=(0, 1)), found.poses.xy.max(axis=(0, 1))
    assert (low >= -0.5 - 1e-3).all()
    assert (high <= [127.5 + 1e-3, 95.5 + 1e-3]).all()
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == list(range(4, 25, 4))
    assert predicted_frames(found)[0].tolist() == list(range(24))


def test_which_frames_were_looked_at_survives_the_file(tiny_run, tiny_labels, tmp_path):
    found = predict(
        tiny_labels, tiny_run.path, frames="2-9:3,20", config=PredictConfig(peak_threshold=1.0)
    )
    assert len(found.poses) == 0  # nobody is that sure, and yet they count
    write_labels(found, tmp_path / "found.slp")
    again = read(tmp_path / "found.slp")
    assert predicted_frames(again)[0].tolist() == [2, 5, 8, 20]


def test_a_split_is_the_frames_of_the_run(tiny_run, tiny_labels):
    split = RunFolder(tiny_run.path).read_split()
    for part in ("train", "validation"):
        found = predict(tiny_labels, tiny_run.path, split=part, config=ALL_POINTS)
        frames = [frame for _, frame in split[part]]
        assert found.poses.frame.tolist() == frames
        assert predicted_frames(found)[0].tolist() == frames


def test_a_predictor_gives_what_predict_gives(tiny_run, tiny_labels):
    project = read(tiny_labels)
    predictor = load_predictor(tiny_run.path, ALL_POINTS)
    poses = predictor.predict(project.videos[0], range(5))
    expected = predict(project, [tiny_run.path], frames="0-4", config=ALL_POINTS).poses
    np.testing.assert_allclose(poses.xy, expected.xy, atol=1e-3)


def test_stopping_early_says_what_was_done_and_cancelling_raises(tiny_run, tiny_labels):
    project = read(tiny_labels)
    twice = Project(videos=(project.videos[0],) * 2, poses=project.poses)
    answers = iter([StopRequest.NONE] * 2 + [StopRequest.STOP_EARLY] * 99)
    found = predict(twice, tiny_run.path, config=ALL_POINTS, should_stop=lambda: next(answers))
    assert found.poses.frame.tolist() == list(range(8))
    looked_at = predicted_frames(found)
    assert {video: len(frames) for video, frames in looked_at.items()} == {0: 8}
    with pytest.raises(CancelledError):
        predict(project, tiny_run.path, should_stop=lambda: StopRequest.CANCEL)


def test_a_crowd_is_told_and_each_video_gives_the_frames_that_it_has(
    tiny_run, tiny_labels, monkeypatch
):
    class Crowded:
        skeleton, needs_anchors = read(tiny_labels).skeleton, False

        def run(self, video, frames, number, *, on_crowded, **callbacks):
            if number == 1:
                on_crowded([5, 6])
            return Poses.empty(self.skeleton), len(frames)

    monkeypatch.setattr(prediction, "load_predictor", lambda models, config: Crowded())
    frames = np.zeros((9, 16, 16, 1), np.uint8)
    videos = [open_video(frames[:n]) for n in (4, 9, 2)]
    events = []
    project = Project(videos=videos, poses=Poses.empty(Crowded.skeleton))
    found = predict(project, tiny_run.path, frames="3-20:2", on_event=events.append)
    assert {v: f.tolist() for v, f in predicted_frames(found).items()} == {0: [3], 1: [3, 5, 7]}
    (log,) = [event for event in events if isinstance(event, Log)]
    assert log.level == logging.WARNING
    assert "in 2 frames" in log.message
    assert "frame 5" in log.message
    with pytest.raises(ConfigError, match="from 0 to 8"):
        predict(project, tiny_run.path, frames="9-")


def test_frames_are_named_by_pairs(tiny_run, tiny_labels):
    project = read(tiny_labels)
    twice = project.with_videos([project.videos[0]] * 2)
    found = predict(twice, tiny_run.path, pairs=[(1, 7), (0, 9), (1, 2), (1, 7)], config=ALL_POINTS)
    assert looked_at_frames(found).tolist() == [[0, 9], [1, 2], [1, 7]]
    np.testing.assert_array_equal(found.poses.frame_keys(), looked_at_frames(found))
    nothing = predict(twice, tiny_run.path, pairs=np.zeros((0, 2), int), config=ALL_POINTS)
    assert looked_at_frames(nothing).shape == (0, 2)
    for pairs, message in [
        ([(2, 0)], "2 videos"), ([(0, 24)], "from 0 to 23"), ([(0, -1)], "received -1"),
    ]:  # fmt: skip
        with pytest.raises(DataError, match=message):
            predict(twice, tiny_run.path, pairs=pairs)
    with pytest.raises(ConfigError, match="received several"):
        predict(twice, tiny_run.path, pairs=[(0, 1)], frames="1")
    assert looked_at_frames(project).tolist() == project.poses.frame_keys().tolist()


def test_parts_together_are_the_whole(tiny_run, tiny_labels, monkeypatch):
    monkeypatch.setattr(predicted_parts, "PART_EVERY_S", 0.0)  # after every batch
    events = []
    found = predict(
        tiny_labels, tiny_run.path, config=ALL_POINTS, stream=True, on_event=events.append
    )
    parts = [event.value for event in events if isinstance(event, Part)]
    assert [len(part.frames) for part in parts] == [4] * 6
    whole = join_parts(parts)
    assert whole.poses == found.poses
    assert whole.frames.tolist() == looked_at_frames(found).tolist()
    with pytest.raises(DataError, match="received none"):
        join_parts([])


def test_a_short_prediction_is_one_part_and_none_is_sent_unasked(
    tiny_run, tiny_labels, monkeypatch
):
    monkeypatch.setattr(predicted_parts, "PART_EVERY_S", 1e9)
    for stream in (True, False):
        events = []
        predict(
            tiny_labels, tiny_run.path, frames="0-7", config=ALL_POINTS, stream=stream,
            on_event=events.append,
        )  # fmt: skip
        assert sum(isinstance(event, Part) for event in events) == stream


def test_predicting_and_tracking_in_one(tiny_run, tiny_labels):
    found = predict_and_track(
        tiny_labels, tiny_run.path, tracking=TrackConfig(max_animals=1), config=ALL_POINTS
    )
    assert found.poses.track.tolist() == [0] * 24
    assert len(looked_at_frames(found)) == 24
    plain = predict_and_track(tiny_labels, tiny_run.path, frames="0-3", config=ALL_POINTS)
    assert plain.poses.track.tolist() == [-1] * 4


def test_what_was_predicted_before_stopping_gets_identities(tiny_run, tiny_labels):
    answers = iter([StopRequest.NONE] * 2 + [StopRequest.STOP_EARLY] * 999)
    found = predict_and_track(
        tiny_labels, tiny_run.path, tracking=IdentityConfig(track=TrackConfig(max_animals=1)),
        config=ALL_POINTS, should_stop=lambda: next(answers),
    )  # fmt: skip
    assert found.poses.frame.tolist() == list(range(8))
    assert found.poses.track.tolist() == [0] * 8


def test_tracking_hears_of_every_request_but_the_one_that_was_obeyed(monkeypatch):
    heard = []

    def hear(found, *, config, on_event, should_stop):
        heard.append(should_stop())
        return found

    monkeypatch.setattr(prediction, "track", hear)
    stub = prediction_functions.SlowPredictor()
    monkeypatch.setattr(prediction, "load_predictor", lambda models, config: stub)
    video = open_video(np.zeros((8, 4, 4), np.uint8))
    project = Project(videos=(video,), poses=Poses.empty(stub.skeleton))
    none, early, cancel = StopRequest
    for while_predicting, while_tracking, expected in [
        (none, none, none), (none, early, early), (none, cancel, cancel),
        (early, early, none), (early, cancel, cancel),
    ]:  # fmt: skip
        answers = iter([none, while_predicting, while_tracking])
        predict_and_track(
            project, "run", tracking=TrackConfig(), should_stop=lambda a=answers: next(a)
        )
        assert heard.pop() is expected


# ---------------------------------------------------------------- in a child process
def test_a_job_that_is_stopped_returns_what_is_done():
    job = jobs.run(prediction_functions.predict_slowly, 10_000)
    for event in job.events(60):
        if isinstance(event, Part):
            job.stop()
            break
    poses, frames = job.result(60)
    assert 0 < len(frames) < 10_000
    assert frames[:, 1].tolist() == list(range(len(frames)))
    assert poses.frame.tolist() == list(range(len(frames)))


def test_a_job_that_is_killed_loses_at_most_the_last_second():
    job = jobs.run(prediction_functions.predict_slowly, 10_000)
    parts, done = [], 0
    for event in job.events(60):
        if isinstance(event, Part):
            parts.append(event.value)
        elif isinstance(event, Progress):
            done = int(event.done)
        if len(parts) == 2:
            os.kill(job.pid, signal.SIGKILL)
            break
    parts += [event.value for event in job.events(60) if isinstance(event, Part)]
    assert isinstance(job.outcome, Failed)
    kept = join_parts(parts)
    assert kept.frames[:, 1].tolist() == list(range(len(kept.frames)))
    assert kept.poses.frame.tolist() == list(range(len(kept.frames)))
    # A batch takes at least 10 ms, so a second and a batch are at most 101 of them.
    assert done - len(kept.frames) <= 4 * 101


def test_what_cannot_be_asked_for(tiny_run, tiny_labels, tmp_path):
    with pytest.raises(ConfigError, match="received several"):
        predict(tiny_labels, tiny_run.path, frames="1", split="train")
    with pytest.raises(ConfigError, match="one of the splits"):
        predict(tiny_labels, tiny_run.path, split="bogus")
    with pytest.raises(DataError, match="frames in the split 'test'"):
        predict(tiny_labels, tiny_run.path, split="test")
    with pytest.raises(ConfigError, match="from 0 to 23"):
        predict(tiny_labels, tiny_run.path, frames="20-24")
    with pytest.raises(ModelError, match="run folder"):
        predict(tiny_labels, tmp_path)
    with pytest.raises(ConfigError, match="one run folder"):
        load_predictor([])
    project = read(tiny_labels)
    with pytest.raises(DataError, match="0 videos"):
        predict(Project(videos=(), poses=project.poses.select([])), tiny_run.path, split="train")


def test_a_file_that_does_not_say_which_frames_were_looked_at(tiny_labels):
    assert predicted_frames(read(tiny_labels)) is None
