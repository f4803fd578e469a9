"""From a run folder to poses."""

import logging

import numpy as np
import pytest

from napari_animalpose.config import PredictConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import CancelledError, ConfigError, DataError, ModelError
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.io.video import open_video
from napari_animalpose.jobs import Log, Progress, StopRequest
from napari_animalpose.pipeline import load_predictor, predict, prediction, read
from napari_animalpose.pipeline.prediction import predicted_frames

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

        def run(self, video, frames, number, *, on_progress, on_crowded, should_stop):
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


def test_what_cannot_be_asked_for(tiny_run, tiny_labels, tmp_path):
    with pytest.raises(ConfigError, match="received both"):
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
