"""Labelled frames of a sweep: what is learned from, what is tested on, and what names them."""

import shutil

import numpy as np
import pytest

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.video import ArrayVideo
from napari_animalpose.pipeline.benchmark.sources import LabelSource, SampleSource, divide_frames
from napari_animalpose.sample import SampleConfig, make_sample


def project(labelled=((0, range(0, 50, 5)), (1, range(10, 14)))):
    """Two videos of 60 frames with one labelled animal in some."""
    video = [number for number, frames in labelled for _ in frames]
    frame = [frame for _, frames in labelled for frame in frames]
    xy = np.random.default_rng(0).uniform(0, 20, (len(frame), 2, 2))
    poses = Poses.from_arrays(Skeleton(("a", "b")), video=video, frame=frame, xy=xy, origin=1)
    videos = [ArrayVideo(np.zeros((60, 24, 32), np.uint8), name=f"{i}") for i in range(2)]
    return Project(videos=tuple(videos), poses=poses)


def test_by_default_the_last_fifth_of_each_video_is_tested_on():
    division = divide_frames(project())
    assert division.test == ((0, 40), (0, 45), (1, 13))
    assert division.train == (*((0, frame) for frame in range(0, 40, 5)), (1, 10), (1, 11), (1, 12))
    assert len(division.of(division.test)) == 3


@pytest.mark.parametrize(
    ("frames", "test_frames"), [("0-24", None), (None, "25-"), ("0-24", "25-")]
)
def test_what_is_not_asked_for_is_all_the_rest(frames, test_frames):
    division = divide_frames(project(), frames, test_frames)
    assert {frame for _, frame in division.train} == {0, 5, 10, 11, 12, 13, 15, 20}
    assert {frame for _, frame in division.test} == {25, 30, 35, 40, 45}


def test_frames_that_are_asked_for_neither_way_are_left_out():
    division = divide_frames(project(), "0-9", "40-")
    assert division.train == ((0, 0), (0, 5))
    assert division.test == ((0, 40), (0, 45))


@pytest.mark.parametrize(
    ("frames", "test_frames", "says"),
    [
        ("0-30", "30-", "both, such as frame 30"),
        ("1-4", None, "to learn from; received none in the frames 1-4"),
        (None, "1-4", "to test on; received none in the frames 1-4"),
        ("0-", None, "to test on"),
    ],
)
def test_parts_that_are_empty_or_share_frames_are_refused(frames, test_frames, says):
    with pytest.raises(DataError, match=says):
        divide_frames(project(), frames, test_frames)


def test_one_labelled_frame_cannot_be_divided():
    with pytest.raises(DataError, match="to test on"):
        divide_frames(project(((0, [3]),)))


def test_labels_are_known_by_their_content_wherever_they_lie(tiny_labels, tmp_path):
    moved = tmp_path / "elsewhere.slp"
    shutil.copy(tiny_labels, moved)
    shutil.copy(tiny_labels.parent / "video.mp4", tmp_path)
    keys = [(0, 0), (0, 4)]

    def describe(path, keys=keys):
        source = LabelSource(str(path), (str(tmp_path),))
        return source.describe(source.open(), keys)

    same = describe(tiny_labels)
    assert describe(moved) == same
    assert describe(moved, [(0, 0), (0, 6)]) != same
    labels = read_labels(tiny_labels)
    xy = labels.poses.xy.copy()
    xy[labels.poses.frame == 4, 0] += 0.25
    write_labels(labels.with_poses(labels.poses.replace(xy=xy)), moved)
    assert describe(moved) != same
    assert describe(moved, [(0, 0)]) == describe(tiny_labels, [(0, 0)])


def test_the_sample_is_what_its_recipe_says_and_its_parts_lie_apart():
    config = SampleConfig(n_frames=24, n_animals=1, size=(48, 64))
    source = SampleSource(config)
    project = source.open([(0, 3)])
    sample = make_sample(config)
    np.testing.assert_array_equal(project.videos[0][3], sample.video[3])
    assert project.videos[0][3] is project.videos[0][3]  # drawn once
    assert project.videos[0].shape == sample.video.shape
    assert source.describe(project, [])["sample"]["n_frames"] == 24
    division = divide_frames(project, *source.default_frames)
    assert division.train == tuple((0, frame) for frame in range(0, 16, 4))
    assert division.test == ((0, 18),)
