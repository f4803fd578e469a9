"""Edits of videos: added, moved, undone, stored."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from edit_machine import AB

from napari_animalpose.data.edit_kinds import edit_from_dict
from napari_animalpose.data.mark_edits import Marks
from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import DataError
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_edits import VideosEdit, describe_video, video_from_description
from napari_animalpose.sample import make_sample

VIDEOS = [
    LazyVideo("a.mp4", shape=(5, 8, 6, 3), fps=12.5),
    LazyVideo(["i/0.png", "i/1.png"], grayscale=True),
    LazyVideo("b.h5", dataset="images", layout="nhwc", shape=(2, 4, 4, 1)),
]


@pytest.mark.parametrize("video", VIDEOS)
def test_a_description_makes_the_same_video(video):
    again = video_from_description(json.loads(json.dumps(describe_video(video))))
    assert again == video
    assert describe_video(again) == describe_video(video)
    assert not video.is_open


def test_of_a_video_in_memory_name_and_shape_are_kept():
    video = make_sample(n_frames=3, size=(40, 60)).video
    again = video_from_description(describe_video(video))
    assert again.shape == video.shape
    assert not again.exists


def make_holder(poses: Poses, marks: Marks | None = None) -> SimpleNamespace:
    return SimpleNamespace(poses=poses, marks=marks or Marks(), videos=tuple(VIDEOS[:2]))


def test_videos_are_added_and_taken_away_again():
    holder = make_holder(Poses.empty(AB))
    edit = VideosEdit("Add", holder.videos, tuple(VIDEOS))
    assert edit.touched is None
    edit.apply_to(holder)
    assert holder.videos == tuple(VIDEOS)
    edit.inverse().apply_to(holder)
    assert holder.videos == tuple(VIDEOS[:2])
    stored = edit_from_dict(edit.to_dict())
    assert (stored.before, stored.after) == (edit.before, edit.after)


@pytest.mark.parametrize(
    ("holder", "what"),
    [
        (
            make_holder(Poses.from_arrays(AB, video=1, frame=[0], xy=np.zeros((1, 2, 2)))),
            "poses of video 1",
        ),
        (make_holder(Poses.empty(AB), Marks([(1, 0)])), "suggestions of video 1"),
        (make_holder(Poses.empty(AB), Marks((), [(1, 0)])), "marked as empty of video 1"),
    ],
)
def test_a_video_in_use_stays(holder, what):
    with pytest.raises(DataError, match=what):
        VideosEdit("Remove", holder.videos, holder.videos[:1]).apply_to(holder)
    assert len(holder.videos) == 2


def test_a_table_alone_has_no_videos():
    with pytest.raises(DataError, match="Expected a project"):
        VideosEdit("Add", (), tuple(VIDEOS)).apply(Poses.empty(AB))
