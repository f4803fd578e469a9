"""Which predictions a person means, on small tables with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose.data import selection
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.selection import FrameRange
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError

AB = Skeleton(("a", "b"))
NAN = np.nan


def example() -> Poses:
    """Three predictions and a label in frame 1, a prediction in frame 4 of video 1."""
    return Poses.from_arrays(
        AB,
        video=[0, 0, 0, 0, 1],
        frame=[1, 1, 1, 1, 4],
        xy=[
            [[0, 0], [10, 0]],
            [[20, 0], [40, 0]],
            [[NAN, NAN], [90, 90]],
            [[5, 5], [6, 6]],
            [[NAN, NAN], [NAN, NAN]],
        ],
        track=[0, 1, -1, 2, 0],
        origin=[1, 1, 1, 0, 1],
        score=[0.2, 0.8, NAN, NAN, 0.1],
        track_names=["x", "y", "z"],
    )


def test_predictions_of_all_videos_and_of_a_range():
    assert selection.select_predictions(example()).tolist() == [
        [0, 1, 0], [0, 1, 1], [0, 1, 2], [1, 4, 0],
    ]  # fmt: skip
    assert selection.select_predictions(example(), FrameRange(1, 4, 4)).tolist() == [[1, 4, 0]]
    assert len(selection.select_predictions(example(), FrameRange(0, 2))) == 0


def test_a_rectangle_takes_what_is_inside_by_centre_by_any_and_by_all_points():
    poses, area = example(), [[30, 10], [-1, -1]]
    assert selection.select_in_area(poses, area)[:, 2].tolist() == [0]
    assert selection.select_in_area(poses, area, points="any")[:, 2].tolist() == [0, 1]
    assert selection.select_in_area(poses, area, points="all")[:, 2].tolist() == [0]
    one_point = selection.select_in_area(poses, [[80, 80], [100, 100]], points="all")
    assert one_point[:, 2].tolist() == [2]


def test_a_polygon_may_be_concave():
    notch = [[-5, -5], [50, -5], [50, 5], [32, 5], [32, -3], [18, -3], [18, 5], [-5, 5]]
    chosen = selection.select_in_area(example(), notch, points="any")
    assert chosen[:, 2].tolist() == [0, 1]  # (20, 0) is in the notch, (40, 0) is not
    assert selection.select_in_area(example(), notch)[:, 2].tolist() == [0]


@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 2), min_size=1, max_size=20))
def test_a_convex_polygon_agrees_with_its_half_planes(points):
    corners = np.array([[-20.0, -30], [35, -10], [25, 30], [-30, 15]])
    xy = np.array(points)
    edges = np.roll(corners, -1, axis=0) - corners
    offset = xy[:, None] - corners
    side = edges[:, 0] * offset[..., 1] - edges[:, 1] * offset[..., 0]
    clear = np.abs(side).min(axis=1) > 1e-6
    poses = Poses.from_arrays(Skeleton(("a",)), frame=np.arange(len(xy)), xy=xy[:, None], origin=1)
    # the table holds float32: points that rounding may carry over an edge are left out
    clear &= np.abs(side).min(axis=1) > 1e-2
    inside = np.zeros(len(xy), bool)
    inside[selection.select_in_area(poses, corners)[:, 1]] = True
    np.testing.assert_array_equal(inside[clear], (side > 0).all(axis=1)[clear])


def test_scores_points_counts_tracks_and_labelled_frames():
    poses = example()
    assert selection.select_low_score(poses, 0.5).tolist() == [[0, 1, 0], [1, 4, 0]]
    assert selection.select_few_points(poses, 2).tolist() == [[0, 1, 2], [1, 4, 0]]
    assert selection.select_few_points(poses, 1).tolist() == [[1, 4, 0]]
    assert selection.select_beyond_count(poses, 2).tolist() == [[0, 1, 0], [0, 1, 2]]
    assert selection.select_beyond_count(poses, 1)[:, 2].tolist() == [0, 1, 2]
    assert selection.select_on_labelled_frames(poses)[:, 2].tolist() == [0, 1, 2]
    assert selection.select_track(poses, "x").tolist() == [[0, 1, 0], [1, 4, 0]]
    assert selection.select_track(poses, "z").tolist() == []
    assert selection.select_track(poses, "z", labels_too=True).tolist() == [[0, 1, 3]]


@given(pose_tables(AB, max_rows=12), st.integers(0, 4))
def test_no_frame_keeps_predictions_beyond_the_count(poses, count):
    chosen = selection.select_beyond_count(poses, count)
    gone = {tuple(address) for address in chosen.tolist()}
    for key, rows in poses:
        left = [i for i in range(len(rows)) if (*key, i) not in gone]
        labels = int(rows.is_label.sum())
        assert len(left) == min(len(rows), max(count, labels))
        score = np.nan_to_num(rows.score, nan=-1)
        kept = [score[i] for i in left if not rows.is_label[i]]
        lost = [score[i] for i in range(len(rows)) if i not in left]
        assert not lost or not kept or max(lost) <= min(kept)


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda p: selection.select_predictions(p, FrameRange(0, 5, 4)), "frames 5 to 4"),
        (lambda p: selection.select_track(p, "no"), r"\(x, y, z\); received 'no'"),
        (lambda p: selection.select_in_area(p, [[0, 0]]), r"shape \(1, 2\)"),
        (lambda p: selection.select_in_area(p, [[0, 0], [NAN, 1]]), "finite corners"),
        (lambda p: selection.select_in_area(p, [[0, 0], [1, 1]], points="no"), "'center', 'any'"),
        (lambda p: selection.select_low_score(p, NAN), "received NaN"),
        (lambda p: selection.select_few_points(p, 3), "2 points of the skeleton; received 3"),
        (lambda p: selection.select_beyond_count(p, -1), "received -1"),
    ],
)
def test_selections_that_make_no_sense_are_refused(choose, message):
    with pytest.raises(DataError, match=message):
        choose(example())
