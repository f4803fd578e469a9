"""Who follows whom, which rows count, and which names are left and right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from strategies import pose_tables

from napari_animalpose.config import ReviewConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.store import pack
from napari_animalpose.errors import DataError
from napari_animalpose.review.episodes import merge_episodes
from napari_animalpose.review.evidence import (
    Evidence,
    infer_symmetries,
    measure_distance,
    pair_within_frames,
)

AB = Skeleton(("a", "b"))


def table(frame, track, xy=None, **columns) -> Poses:
    xy = np.zeros((len(frame), 2, 2)) + np.array([[0, 0], [3, 4]]) if xy is None else xy
    names = [str(number) for number in range(max(track, default=-1) + 1)]
    return Poses.from_arrays(AB, frame=frame, xy=xy, track=track, track_names=names, **columns)


def look_at(poses, **arguments) -> Evidence:
    return Evidence(poses, ReviewConfig(max_gap_frames=2), **arguments)


def test_rows_of_a_track_follow_one_another_over_short_gaps():
    evidence = look_at(table([0, 1, 1, 3, 4, 7, 8], [0, 0, 1, 0, 1, 0, 0]))
    assert evidence.previous.tolist() == [-1, 0, -1, 1, -1, -1, 5]
    assert evidence.following.tolist() == [1, 3, -1, -1, -1, 6, -1]
    assert evidence.body_px == 5.0
    assert evidence.gap_to(evidence.previous)[3] == 2
    assert np.isnan(evidence.steps(evidence.previous)[0]).all()


def test_one_animal_needs_no_track_and_two_do():
    assert look_at(table([0, 1], [-1, -1])).previous.tolist() == [-1, 0]
    assert look_at(table([0, 1, 1], [-1, -1, -1])).previous.tolist() == [-1, -1, -1]


def test_frames_that_were_skipped_everywhere_do_not_count_as_gaps():
    evidence = look_at(table([0, 8, 16, 40], [0, 0, 0, 0]))
    assert evidence.stride == 8
    assert evidence.previous.tolist() == [-1, 0, 1, -1]


def test_tracks_do_not_follow_from_one_video_into_the_next():
    poses = Poses.from_arrays(
        AB, video=[0, 1], frame=[0, 1], xy=np.zeros((2, 2, 2)), track=0, track_names=["x"]
    )
    assert look_at(poses).previous.tolist() == [-1, -1]


def test_predictions_under_a_label_are_left_out():
    xy = np.zeros((5, 2, 2)) + np.array([[0, 0], [30, 40]])
    xy[1] += 3  # on the label
    xy[2] += 500  # elsewhere, but of the label's track
    xy[3] += 500
    user, predicted = Origin.USER, Origin.PREDICTED
    evidence = look_at(
        table(
            [0, 0, 0, 0, 1],
            [0, 1, 0, 1, 0],
            xy,
            origin=[user, predicted, predicted, predicted, predicted],
            score=[0, 1, 2, 3, 4],
        ),
        variance=np.arange(10).reshape(5, 2),
    )
    assert evidence.poses.score.tolist() == [0, 3, 4]
    assert evidence.position.tolist() == [0, 3, 0]
    assert evidence.variance[:, 0].tolist() == [0, 6, 8]


@given(pose_tables())
def test_every_row_meets_every_other_of_its_frame(poses):
    keys = pack(poses.video, poses.frame)
    rows = np.arange(len(poses))[::2]
    first, second = pair_within_frames(keys, rows)
    expected = [(i, j) for i in rows for j in range(len(poses)) if i != j and keys[i] == keys[j]]
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == expected


def test_distances_are_those_of_common_nodes():
    nan = np.nan
    a, b = [[0, 0], [nan, nan], [1, 1]], [[3, 4], [1, 1], [1, 2]]
    assert measure_distance(a, b) == 3.0
    assert np.isnan(measure_distance(a, [[nan, nan], [0, 0], [nan, nan]]))


def test_names_tell_left_from_right_where_the_skeleton_does_not():
    nodes = ["head", "wingL", "wingR", "forelegL1", "forelegR1", "left_ear", "right_ear", "tail_l"]
    assert infer_symmetries(nodes, ()) == [(1, 2), (3, 4), (5, 6)]
    assert infer_symmetries(nodes, [(0, 1)]) == [(0, 1)]
    assert infer_symmetries(["L", "l", "R"], ()) == [(0, 2)]


@given(pose_tables())
def test_episodes_are_the_runs_that_a_loop_finds(poses):
    group, frame = poses.track.astype(np.int64), poses.frame
    value = (np.arange(len(poses)) * 7 % 5).astype(float)
    found = merge_episodes(group, frame, value, max_gap=1)
    expected = []
    for number in np.unique(group):
        run: list[int] = []
        for item in sorted(np.flatnonzero(group == number), key=lambda i: frame[i]):
            if run and frame[item] - frame[run[-1]] > 1:
                expected.append(run)
                run = []
            run.append(item)
        expected.append(run)
    assert found.size.tolist() == [len(run) for run in expected]
    assert found.first.tolist() == [frame[run[0]] for run in expected]
    assert found.last.tolist() == [frame[run[-1]] for run in expected]
    assert value[found.peak].tolist() == [max(value[run]) for run in expected]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variance": np.zeros((2, 3))}, r"shape \(2, 2\); received shape \(2, 3\)"),
        ({"appearance": np.zeros((3, 1))}, "each of 2 instances"),
        ({"appearance": np.zeros(2)}, r"\(N, D\); received shape \(2,\)"),
    ],
)
def test_arrays_of_another_shape_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        look_at(table([0, 1], [0, 0]), **arguments)
