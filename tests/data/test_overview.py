"""What an overview says of every frame, before and after edits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data import edits, schema_edits
from napari_animalpose.data.frame_curves import CURVES, measure_speed
from napari_animalpose.data.history import History
from napari_animalpose.data.overview import FrameKind, Overview
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError

NODES = Skeleton(("head", "tail"))
LABELLED, PREDICTED = FrameKind.LABELLED, FrameKind.PREDICTED
UNLABELLED = FrameKind.UNLABELLED


def make_poses(frames, origins=Origin.PREDICTED, tracks=-1, xs=0.0, scores=np.nan, video=0):
    frames = np.asarray(frames)
    xy = np.zeros((len(frames), 2, 2), np.float32)
    xy[..., 0] = np.broadcast_to(np.asarray(xs, np.float32), frames.shape)[:, None]
    return Poses.from_arrays(
        NODES, frame=frames, xy=xy, video=video, origin=origins, track=tracks, score=scores,
        track_names=("a", "b"),
    )  # fmt: skip


def test_every_frame_has_its_kinds():
    poses = make_poses([1, 2, 2, 3], [Origin.USER, Origin.PREDICTED, Origin.CORRECTED, 1])
    overview = Overview(poses, 0, 6)
    overview.set_marks(FrameKind.SUGGESTED, [3, 5])
    overview.set_marks(FrameKind.EMPTY, [4])
    assert [overview.kinds_at(frame) for frame in range(-1, 7)] == [
        FrameKind(0),
        UNLABELLED,
        LABELLED,
        LABELLED | PREDICTED,
        PREDICTED | FrameKind.SUGGESTED | UNLABELLED,
        FrameKind.EMPTY,
        FrameKind.SUGGESTED | UNLABELLED,
        FrameKind(0),
    ]
    assert overview.frames(LABELLED).tolist() == [1, 2]
    assert overview.frames(LABELLED | FrameKind.EMPTY).tolist() == [1, 2, 4]
    assert {kind: overview.count(kind) for kind in (LABELLED, PREDICTED, UNLABELLED)} == {
        LABELLED: 2, PREDICTED: 2, UNLABELLED: 3,
    }  # fmt: skip


def test_marks_replace_one_another_and_say_whether_they_are_new():
    overview = Overview(make_poses([]), 0, 10)
    assert overview.set_marks(FrameKind.FLAGGED, [7, 2, 2])
    assert not overview.set_marks(FrameKind.FLAGGED, [2, 7])
    assert overview.set_marks(FrameKind.FLAGGED, [3])
    assert overview.frames(FrameKind.FLAGGED).tolist() == [3]
    assert overview.count(FrameKind.FLAGGED) == 1
    with pytest.raises(ValueError, match="Expected one of"):
        overview.set_marks(FrameKind.LABELLED, [1])


def test_the_overview_is_as_long_as_the_video_or_what_lies_beyond():
    overview = Overview(make_poses([3]), 0, 2)
    assert overview.n_frames == 4
    overview.set_marks(FrameKind.SUGGESTED, [8])
    assert overview.n_frames == 9
    assert Overview(make_poses([]), 0).n_frames == 0
    assert Overview(make_poses([5], video=1), 0, 2).n_frames == 2


def test_other_videos_do_not_count():
    poses = make_poses([0, 1], video=[0, 1])
    overview = Overview(poses, 1, 3)
    assert overview.frames(PREDICTED).tolist() == [1]
    history = History(poses)
    changes = []
    history.on_change.append(changes.append)
    history.do(edits.accept_predictions(poses, [[0, 0, 0]]))
    assert not overview.update(poses, changes[-1].frames)
    history.do(edits.accept_predictions(poses, [[1, 1, 0]]))
    assert overview.update(poses, changes[-1].frames)
    assert overview.frames(LABELLED).tolist() == [1]


def assert_like_new(overview: Overview, poses: Poses, curves) -> None:
    fresh = Overview(poses, overview.video, overview.n_frames)
    assert overview.status.tolist() == fresh.status.tolist()
    edges = np.arange(0, overview.n_frames + 1, 3)
    np.testing.assert_array_equal(
        overview.between(edges[:-1], edges[1:]), fresh.between(edges[:-1], edges[1:])
    )
    assert [overview.count(kind) for kind in FrameKind] == [fresh.count(k) for k in FrameKind]
    for name, track in curves:
        kept, new = overview.curve(name, track), fresh.curve(name, track)
        np.testing.assert_allclose(kept.values, new.values, rtol=1e-6)
        for a, b in zip(kept.between(edges[:-1], edges[1:]), new.between(edges[:-1], edges[1:]),
                        strict=True):  # fmt: skip
            np.testing.assert_allclose(a, b, rtol=1e-5)


@given(st.data())
def test_after_any_edits_it_is_as_if_built_anew(data):
    rows = data.draw(st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 2), st.integers(-1, 1), st.integers(0, 50)),
        max_size=25,
    ))  # fmt: skip
    frames, origins, tracks, xs = np.array(rows, np.int64).reshape(-1, 4).T
    poses = make_poses(frames, origins, tracks, xs, scores=xs / 50)
    overview = Overview(poses, 0, 15)
    curves = [("velocity", None), (data.draw(st.sampled_from(["score", "count"])), 1)]
    for name, track in curves:
        overview.curve(name, track)
    history = History(poses)
    history.on_change.append(lambda change: overview.update(poses, change.frames))
    for _ in range(data.draw(st.integers(1, 5))):
        change_something(data, poses, history)
        assert_like_new(overview, poses, curves)


def change_something(data: st.DataObject, poses: Poses, history: History) -> None:
    choice = data.draw(st.sampled_from(["add", "delete", "accept", "move", "track", "undo"]))
    row = data.draw(st.integers(0, len(poses) - 1)) if len(poses) else None
    if choice == "undo" and history.can_undo:
        history.undo()
    elif choice == "add" or row is None:
        frame = data.draw(st.integers(0, 17))
        block = make_poses([0], xs=float(frame))
        history.do(edits.paste_instances(poses, block, 0, frame))
    else:
        frame = int(poses.frame[row])
        address = [0, frame, row - int(poses.frame.searchsorted(frame))]
        if choice == "delete":
            history.do(edits.delete_instances(poses, [address]))
        elif choice == "accept":
            history.do(edits.accept_predictions(poses, [address]))
        elif choice == "move":
            history.do(edits.move_points(poses, [[*address, 0]], [[9.0, 1.0]]))
        else:
            history.do(edits.set_track(poses, [address], "b"))


def test_edits_of_the_whole_table_are_followed():
    poses = make_poses([0, 1], tracks=[0, 1], xs=[0, 5])
    overview = Overview(poses, 0, 3)
    assert np.nansum(overview.curve("count", 1).values) == 1
    history = History(poses)
    history.on_change.append(lambda change: overview.update(poses, change.frames))
    history.do(schema_edits.remove_track(poses, "a"))
    assert_like_new(overview, poses, [("count", 0)])
    other = make_poses([2], Origin.USER)
    assert overview.update(other, np.zeros((0, 2)))
    assert overview.frames(LABELLED).tolist() == [2]


# ------------------------------------------------------------------------------- curves
def test_score_is_the_mean_of_instances_and_of_points_where_those_have_none():
    poses = make_poses([0, 0, 1, 2], scores=[0.2, 0.6, np.nan, np.nan])
    point_score = np.full((4, 2), np.nan, np.float32)
    point_score[2] = [0.5, np.nan]
    poses = poses.replace(point_score=point_score)
    np.testing.assert_allclose(
        Overview(poses, 0, 4).curve("score").values, [0.4, 0.5, np.nan, np.nan], rtol=1e-6
    )


def test_labels_have_no_score():
    """One that was a prediction of another program may have been scored up to 40."""
    poses = make_poses(
        [0, 0, 1], [Origin.USER, Origin.PREDICTED, Origin.CORRECTED], scores=[9, 1, 9]
    )
    np.testing.assert_array_equal(Overview(poses, 0, 2).curve("score").values, [1, np.nan])


def test_count_is_that_of_instances():
    poses = make_poses([1, 1, 3], tracks=[0, 1, 0])
    overview = Overview(poses, 0, 4)
    assert overview.curve("count").values.tolist() == [0, 2, 0, 1]
    assert overview.curve("count", 0).values.tolist() == [0, 1, 0, 1]


def test_speed_follows_the_track():
    poses = make_poses([0, 0, 1, 1, 3], tracks=[0, 1, 1, 0, 0], xs=[0, 100, 90, 4, 9])
    overview = Overview(poses, 0, 5)
    np.testing.assert_array_equal(overview.curve("velocity", 0).values, [np.nan, 4] + 3 * [np.nan])
    np.testing.assert_array_equal(overview.curve("velocity", 1).values, [np.nan, 10] + 3 * [np.nan])
    np.testing.assert_array_equal(overview.curve("velocity").values, [np.nan, 7] + 3 * [np.nan])


def test_without_tracks_the_nearest_pose_before_is_the_same_animal():
    poses = make_poses([0, 0, 1, 1], xs=[0, 100, 97, 2])
    assert measure_speed(poses)[2:].tolist() == [3, 2]


def test_speed_is_the_mean_over_nodes_that_both_poses_have():
    xy = np.array([[[0, 0], [10, 0]], [[3, 4], [np.nan, np.nan]], [[np.nan, np.nan], [1, 1]]])
    poses = Poses.from_arrays(NODES, frame=[0, 1, 2], xy=xy, track=0, origin=1, track_names=("a",))
    np.testing.assert_array_equal(measure_speed(poses), [np.nan, 5, np.nan])


def test_a_curve_knows_its_extremes_over_stretches():
    curve = Overview(make_poses([0, 1, 2], scores=[0.5, 0.25, 0.75]), 0, 4).curve("score")
    low, high, mean = curve.between(np.array([0, 1, 3]), np.array([3, 4, 4]))
    np.testing.assert_allclose(low, [0.25, 0.25, np.nan])
    np.testing.assert_allclose(high, [0.75, 0.75, np.nan])
    np.testing.assert_allclose(mean, [0.5, 0.5, np.nan])
    assert curve.highest == 0.75


@pytest.mark.parametrize("name", CURVES.names())
def test_every_curve_bears_an_empty_video_and_missing_points(name):
    assert len(Overview(make_poses([]), 0, 0).curve(name).values) == 0
    poses = Poses.from_arrays(NODES, frame=[0, 1], xy=np.full((2, 2, 2), np.nan))
    assert len(Overview(poses, 0, 3).curve(name).values) == 3


def test_an_unknown_curve_is_refused():
    with pytest.raises(ConfigError, match="velocity"):
        Overview(make_poses([]), 0, 1).curve("smell")


def test_few_curves_are_kept():
    overview = Overview(make_poses([0]), 0, 1)
    first = overview.curve("score")
    assert overview.curve("score") is first
    for track in (0, 1, None):
        overview.curve("count", track)
    assert overview.curve("score") is not first
