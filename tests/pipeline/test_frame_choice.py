"""Every choice of frames against a project small enough to count them by hand."""

import numpy as np
import pytest

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, DataError, VideoError
from napari_animalpose.io.video import LazyVideo, open_video
from napari_animalpose.pipeline.frame_choice import FRAME_CHOICES, FrameContext, choose_frames

ALL = [(0, f) for f in range(5)] + [(1, f) for f in range(3)]


@pytest.fixture
def project():
    """Labels in (0, 1) and, corrected, (1, 2); predictions in (0, 1), (0, 3); (0, 4) empty."""
    rows = [
        (0, 1, Origin.USER), (0, 1, Origin.PREDICTED), (0, 3, Origin.PREDICTED),
        (1, 2, Origin.CORRECTED),
    ]  # fmt: skip
    video, frame, origin = zip(*rows, strict=True)
    poses = Poses.from_arrays(
        Skeleton(("a",)), video=video, frame=frame, origin=origin, xy=np.ones((4, 1, 2))
    )
    videos = [open_video(np.zeros((n, 8, 8), np.uint8)) for n in (5, 3)]
    return Project(
        videos, poses, suggestions=[(1, 1), (0, 2), (1, 1), (1, 0)], negative_frames=[(0, 4)]
    )


def chosen(project, name, **context):
    found = choose_frames(project, name, FrameContext(**context))
    assert found.dtype == np.int64
    assert found.shape == (len(found), 2)
    return [tuple(pair) for pair in found.tolist()]


def test_every_choice(project):
    assert chosen(project, "current", video=1, frame=2) == [(1, 2)]
    assert chosen(project, "range", video=1, selected_range=(0, 1)) == [(1, 0), (1, 1)]
    assert chosen(project, "range", selected_range=(3, 2)) == [(0, 2), (0, 3)]
    assert chosen(project, "video", video=1) == [(1, 0), (1, 1), (1, 2)]
    assert chosen(project, "all") == ALL
    assert chosen(project, "suggested") == [(0, 2), (1, 0), (1, 1)]
    assert chosen(project, "labelled") == [(0, 1), (0, 4), (1, 2)]
    assert chosen(project, "unlabelled") == [(0, 0), (0, 2), (0, 3), (1, 0), (1, 1)]
    assert chosen(project, "unpredicted") == [p for p in ALL if p not in [(0, 1), (0, 3)]]


def test_random_frames_are_unlabelled_and_those_of_their_seed(project):
    free = [(0, 0), (0, 2), (0, 3)]
    assert chosen(project, "random", count=3) == free
    assert chosen(project, "random", count=99) == free  # all there are
    assert chosen(project, "random", count=0) == []
    two = {tuple(chosen(project, "random-all", count=2, seed=seed)) for seed in range(40)}
    assert len(two) == 10  # every pair of five
    assert chosen(project, "random-all", count=2, seed=7) == chosen(
        project, "random-all", count=2, seed=7
    )


def test_choices_say_what_they_need_and_have_different_labels(project):
    choices = {name: FRAME_CHOICES.get(name) for name in FRAME_CHOICES}
    assert len({choice.label for choice in choices.values()}) == len(choices)
    assert [name for name, choice in choices.items() if choice.needs_range] == ["range"]
    assert [name for name, choice in choices.items() if choice.needs_count] == [
        "random", "random-all",
    ]  # fmt: skip
    context = FrameContext(selected_range=(0, 0), count=1)
    for name in choices:  # each works where there is nothing yet
        empty = project.replace(poses=project.poses.select([]), suggestions=(), negative_frames=())
        assert choose_frames(empty, name, context).shape[1] == 2
    nothing = Project((), project.poses.select([]))
    assert chosen(nothing, "all") == chosen(nothing, "random-all") == []


def test_what_is_not_there_is_refused(project, tmp_path):
    with pytest.raises(DataError, match="from 0 to 4"):
        chosen(project, "current", frame=5)
    with pytest.raises(DataError, match="video from 0 to 1"):
        chosen(project, "video", video=2)
    with pytest.raises(DataError, match="Select one first"):
        chosen(project, "range")
    with pytest.raises(DataError, match="0 to 2 of video 1"):
        chosen(project, "range", video=1, selected_range=(1, 3))
    with pytest.raises(ConfigError, match="current, range"):
        chosen(project, "bogus")
    gone = project.with_videos([project.videos[0], LazyVideo(str(tmp_path / "gone.mp4"))])
    assert chosen(gone, "video") == ALL[:5]
    with pytest.raises(VideoError, match="no such file"):
        chosen(gone, "all")
