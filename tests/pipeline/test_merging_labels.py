"""Merging the labels of another file: what is compared, what each answer keeps, undo."""

from __future__ import annotations

import numpy as np
import pytest

from napari_animalpose.data.mark_edits import Marks
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.pipeline.document import Document
from napari_animalpose.pipeline.merging_labels import STRATEGIES, compare_labels, merge_labels

ABC = Skeleton(("a", "b", "c"), ((0, 1), (1, 2)))
SHAPE = np.array([[0, 0], [20, 0], [40, 0]], float)  # 40 px long


def make_video(path: str, n_frames: int = 50) -> LazyVideo:
    return LazyVideo(path, shape=(n_frames, 100, 100, 1))


def make_poses(places, skeleton=ABC, video=0, track=-1, names=(), origin=Origin.USER) -> Poses:
    """Animals at (frame, x, y)."""
    places = np.array(places, float).reshape(-1, 3)
    shape = np.tile(SHAPE[:1], (len(skeleton), 1)) + 20 * np.arange(len(skeleton))[:, None] * [1, 0]
    return Poses.from_arrays(
        skeleton,
        video=np.full(len(places), video),
        frame=places[:, 0].astype(int),
        xy=places[:, None, 1:] + shape,
        track=track,
        origin=origin,
        track_names=names,
    )


@pytest.fixture
def open_document(tmp_path):
    opened = []

    def make(poses, videos=None, **marks) -> Document:
        project = Project(videos or (make_video("/data/a.mp4"),), poses, **marks)
        opened.append(Document(project, journal_folder=tmp_path))
        return opened[-1]

    yield make
    for document in opened:
        document.close()


def their(poses, videos=None, **marks) -> Project:
    return Project(videos or (make_video("/data/a.mp4"),), poses, **marks)


# ----------------------------------------------------------------------------- comparing
def test_frames_are_sorted_into_four_kinds(open_document):
    document = open_document(make_poses([(0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0)]))
    theirs = make_poses([(1, 0, 0.01), (2, 3, 4), (3, 0, 0), (3, 60, 60), (9, 0, 0)])
    found = compare_labels(document, their(theirs))
    assert found.only_mine.tolist() == [[0, 0]]
    assert found.only_theirs.tolist() == [[0, 9]]
    assert found.same.tolist() == [[0, 1]]
    assert found.different.tolist() == [[0, 2], [0, 3]]
    # 5 px in frame 2; in frame 3 one is the same, the other 60 px * sqrt(2) away from mine.
    np.testing.assert_allclose(found.distances_px, [5, np.hypot(60, 60) / 2])
    assert found.describe() == (
        "1 frame labelled only there: will be added",
        "1 frame with the same labels",
        "2 frames with other labels (23.7 px apart on average): choose what to keep",
    )


def test_order_of_instances_and_nodes_is_no_difference(open_document):
    document = open_document(make_poses([(0, 0, 0), (0, 50, 50)]))
    mirrored = Skeleton(("c", "b", "a"), ((2, 1), (1, 0)))
    theirs = make_poses([(0, 50, 50), (0, 0, 0)])
    theirs = Poses.from_arrays(mirrored, frame=[0, 0], xy=theirs.xy[:, ::-1])
    found = compare_labels(document, their(theirs))
    assert found.same.tolist() == [[0, 0]]
    assert (found.new_nodes, found.absent_nodes) == ((), ())


def test_another_track_or_visibility_is_a_difference(open_document):
    document = open_document(make_poses([(0, 0, 0), (1, 0, 0)], track=0, names=["x"]))
    theirs = make_poses([(0, 0, 0)], track=0, names=["y"])
    hidden = make_poses([(1, 0, 0)]).replace(visibility=[[1, 2, 2]])
    found = compare_labels(document, their(Poses.concat([theirs, hidden])))
    assert found.different.tolist() == [[0, 0], [0, 1]]
    assert found.distances_px.tolist() == [0, 0]
    assert found.new_tracks == ("y",)


def test_videos_are_the_same_by_path_then_by_name_and_size(open_document):
    mine = [make_video("/data/a.mp4"), make_video("/data/b.mp4"), make_video("/data/c.mp4")]
    document = open_document(Poses.empty(ABC), mine)
    theirs = [
        make_video("/copy/b.mp4"),
        make_video("/data/../data/a.mp4"),
        make_video("/copy/c.mp4", n_frames=7),
        make_video("/copy/d.mp4"),
    ]
    found = compare_labels(document, their(Poses.empty(ABC), theirs))
    assert [(pair.theirs, pair.mine, pair.by) for pair in found.videos] == [
        ("b.mp4", "b.mp4", "name"),
        ("a.mp4", "a.mp4", "path"),
        ("c.mp4", None, ""),
        ("d.mp4", None, ""),
    ]
    assert found.new_videos == ("c.mp4", "d.mp4")
    assert "b.mp4 is taken to be b.mp4: same name and size" in found.describe()
    assert "Videos that will be added: c.mp4, d.mp4" in found.describe()


def test_videos_of_one_name_in_two_folders_are_not_mixed_up(open_document):
    document = open_document(Poses.empty(ABC), [make_video("/day1/v.mp4")])
    theirs = [make_video("/copy/day1/v.mp4"), make_video("/copy/day2/v.mp4")]
    assert compare_labels(document, their(Poses.empty(ABC), theirs)).new_videos == ("v.mp4",) * 2


# ------------------------------------------------------------------------------- merging
@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("mine", [(0, 0), (1, 0), (9, 1)]),
        ("theirs", [(0, 0), (1, 3), (1, 70), (9, 1)]),
        ("both", [(0, 0), (1, 0), (1, 70), (9, 1)]),
    ],
)
def test_each_answer_keeps_what_it_says(open_document, strategy, expected):
    document = open_document(make_poses([(0, 0, 0), (1, 0, 0)]))
    other = their(make_poses([(0, 0, 0), (1, 3, 0), (1, 70, 70), (9, 1, 0)]))
    before = document.poses.copy()
    document.do(merge_labels(document, compare_labels(document, other), strategy))
    found = zip(document.poses.frame.tolist(), document.poses.xy[:, 0, 0].tolist(), strict=True)
    assert list(found) == expected
    assert document.poses.is_label.all()
    assert strategy in STRATEGIES
    document.undo()
    assert document.poses == before
    assert not document.history.can_undo


def test_predictions_make_way_for_labels_of_the_same_animal(open_document):
    predicted = make_poses([(4, 2, 0), (4, 60, 60), (5, 0, 0)], origin=Origin.PREDICTED)
    document = open_document(predicted)
    theirs = Poses.concat([make_poses([(4, 0, 0)]), predicted])
    document.do(merge_labels(document, compare_labels(document, their(theirs))))
    assert document.poses.frame.tolist() == [4, 4, 5]
    assert document.poses.xy[:, 0, 0].tolist() == [0, 60, 0]
    assert document.poses.is_label.tolist() == [True, False, False]


def test_a_frame_has_a_track_once(open_document):
    predicted = make_poses([(4, 60, 60)], track=0, names=["x"], origin=Origin.PREDICTED)
    document = open_document(predicted)
    theirs = make_poses([(4, 0, 0)], track=1, names=["unused", "x"])
    document.do(merge_labels(document, compare_labels(document, their(theirs))))
    assert document.track_names == ("x",)
    assert document.poses.track.tolist() == [0, -1]
    assert document.poses.is_label.tolist() == [True, False]


def test_new_nodes_videos_and_tracks_come_along_and_go_with_one_undo(open_document):
    document = open_document(make_poses([(0, 0, 0)], track=0, names=["x"]))
    other_skeleton = Skeleton(("b", "d", "a"), ((2, 0), (0, 1), (2, 1)))
    theirs = make_poses([(3, 0, 0)], other_skeleton, video=1, track=0, names=["y"])
    videos = [make_video("/data/a.mp4"), make_video("/data/new.mp4")]
    found = compare_labels(document, their(theirs, videos))
    assert (found.new_nodes, found.absent_nodes) == (("d",), ("c",))
    before, first = document.poses.copy(), document.videos
    document.do(merge_labels(document, found))
    assert document.skeleton.nodes == ("a", "b", "c", "d")
    # Mine, then those of the new node; (a, b) is there the way it was.
    assert document.skeleton.edges == ((0, 1), (1, 2), (1, 3), (0, 3))
    assert document.track_names == ("x", "y")
    assert [video.name for video in document.videos] == ["a.mp4", "new.mp4"]
    assert document.poses.at(1, 3).xy[0, [1, 3, 0], 0].tolist() == [0, 20, 40]
    assert np.isnan(document.poses.at(1, 3).xy[0, 2]).all()
    document.undo()
    assert document.poses == before
    assert document.videos == first


def test_marks_are_joined_and_no_frame_with_labels_is_empty(open_document):
    predicted = make_poses([(7, 0, 0)], origin=Origin.PREDICTED)
    mine = Poses.concat([make_poses([(0, 0, 0)]), predicted])
    document = open_document(mine, suggestions=[(0, 5), (0, 6)], negative_frames=[(0, 2), (0, 3)])
    document.do(document.replace_suggestions([(0, 5), (0, 6)], ["dark", "far"]))
    other = their(
        make_poses([(2, 0, 0)]),
        suggestions=[(0, 8), (0, 5)],
        negative_frames=[(0, 0), (0, 4), (0, 7)],
    )
    document.do(merge_labels(document, compare_labels(document, other)))
    assert document.marks == Marks(
        [(0, 5), (0, 6), (0, 8)], [(0, 3), (0, 4), (0, 7)], ["dark", "far", ""]
    )
    assert document.poses.frame.tolist() == [0, 2]  # an empty frame has no predictions


def test_merging_what_is_there_already_is_no_edit(open_document):
    document = open_document(make_poses([(0, 0, 0), (3, 1, 1)]))
    other = their(make_poses([(0, 0, 0)]))
    found = compare_labels(document, other)
    document.do(merge_labels(document, found))
    assert not document.history.can_undo
    assert not document.is_dirty
