"""Culling, duplicates, one identity a frame, short tracks: what goes, and what never does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose.data.columns import COLUMNS
from napari_animalpose.data.oks import compute_oks
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError
from napari_animalpose.tracking.cleaning import (
    cull_instances,
    keep_one_identity,
    remove_duplicates,
    remove_short_tracks,
    remove_untracked,
)

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)
SKELETON = Skeleton(("a", "b", "c", "d"))


def table(*rows: tuple[int, int, float, float], origin: int = Origin.PREDICTED) -> Poses:
    """Squares: (frame, track, x of the corner, score)."""
    frame, track, x, score = np.array(rows).T
    return Poses.from_arrays(
        SKELETON,
        frame=frame,
        track=track,
        xy=SQUARE + np.stack([x, 0 * x], axis=-1)[:, None],
        score=score,
        origin=origin,
        track_names=["p", "q", "r"],
    )


def test_culling_removes_the_lowest_scores_and_says_where():
    poses = table((0, 0, 0, 0.9), (0, 1, 50, 0.5), (0, 2, 100, 0.7), (3, 0, 0, 0.1))
    culled, change = cull_instances(poses, 2)
    assert culled.score.tolist() == pytest.approx([0.9, 0.7, 0.1])
    assert change.rows.tolist() == [1]
    assert change.frames.tolist() == [[0, 0]]
    assert str(change) == "removed instances beyond 2 in a frame: 1 instances in 1 frames"


def test_culling_removes_duplicates_before_lower_scores():
    poses = table((0, 0, 0, 0.9), (0, 1, 0.2, 0.8), (0, 2, 100, 0.3))
    culled, change = cull_instances(poses, 2)
    assert culled.track.tolist() == [0, 2]
    assert change.rows.tolist() == [1]
    one, _ = cull_instances(poses, 1)
    assert one.track.tolist() == [0]


def test_culling_spares_what_was_followed_where_asked_to():
    poses = table((0, 0, 0, 0.1), (0, -1, 50, 0.9), (0, 1, 0.2, 0.05), (0, -1, 100, 0.8))
    followed, change = cull_instances(poses, 2, prefer_tracked=True)
    assert followed.track.tolist() == [0, 1]  # even where one lies upon the other
    assert change.rows.tolist() == [1, 3]
    assert cull_instances(poses, 2)[0].track.tolist() == [-1, -1]
    label = poses.replace(origin=[Origin.PREDICTED, Origin.USER, *[Origin.PREDICTED] * 2])
    assert cull_instances(label, 2, prefer_tracked=True)[0].track.tolist() == [0, -1]


def test_scores_of_points_decide_where_instances_have_none():
    poses = table((0, 0, 0, np.nan), (0, 1, 50, np.nan)).replace(
        point_score=[[0.2] * 4, [0.3, np.nan, 0.3, np.nan]]
    )
    assert cull_instances(poses, 1)[0].track.tolist() == [1]


def test_a_cull_to_no_animals_is_refused():
    with pytest.raises(ConfigError, match="max_animals of at least 1; received 0"):
        cull_instances(table((0, 0, 0, 1)), 0)


def test_duplicates_suppress_like_non_maximum_suppression():
    # b lies on a and c lies on b, not on a: b goes, and what is gone removes nothing.
    poses = table((0, 0, 0, 0.9), (0, 1, 1.2, 0.8), (0, 2, 2.4, 0.7))
    similar = compute_oks(poses.xy, poses.xy, stddev=0.1)
    threshold = (similar[0, 1] + similar[0, 2]) / 2
    kept, change = remove_duplicates(poses, min_oks=threshold)
    assert kept.track.tolist() == [0, 2]
    assert change.rows.tolist() == [1]


def test_the_threshold_of_duplicates_is_that_of_oks():
    poses = table((0, 0, 0, 0.9), (0, 1, 1.0, 0.8))
    oks = float(compute_oks(poses.xy[1:], poses.xy[:1], stddev=0.1)[0, 0])
    assert len(remove_duplicates(poses, min_oks=oks - 1e-9)[0]) == 1
    assert len(remove_duplicates(poses, min_oks=oks + 1e-9)[0]) == 2


def test_a_fragment_on_a_whole_animal_is_a_duplicate_and_its_better_half_is_not():
    xy = np.stack([SQUARE, SQUARE])
    xy[1, 2:] = np.nan
    poses = Poses.from_arrays(
        SKELETON, frame=[0, 0], xy=xy, score=[0.9, 0.1], origin=Origin.PREDICTED
    )
    assert remove_duplicates(poses)[0].score.tolist() == pytest.approx([0.9])


def test_equal_animals_in_other_frames_are_no_duplicates():
    assert len(remove_duplicates(table((0, 0, 0, 1), (1, 0, 0, 1)))[0]) == 2


def test_the_best_instance_keeps_an_identity():
    poses = table((0, 0, 0, 0.2), (0, 0, 50, 0.8), (0, -1, 70, 0.9), (1, 0, 0, 0.1))
    kept, change = keep_one_identity(poses)
    assert kept.track.tolist() == [-1, 0, -1, 0]
    assert change.rows.tolist() == [0]
    assert len(kept) == 4


def test_labels_keep_their_identity_before_better_predictions():
    poses = table((0, 0, 0, 0.2), (0, 0, 50, 0.8), (0, 0, 90, 0.1)).replace(
        origin=[Origin.USER, Origin.PREDICTED, Origin.CORRECTED]
    )
    assert keep_one_identity(poses)[0].track.tolist() == [0, -1, 0]
    assert keep_one_identity(poses, change_labels=True)[0].track.tolist() == [0, -1, -1]


def test_short_tracks_go_and_those_with_labels_stay():
    rows = [(f, 0, 0, 1) for f in range(5)] + [(f, 1, 50, 1) for f in range(2)] + [(3, -1, 90, 1)]
    poses = table(*rows)
    kept, change = remove_short_tracks(poses, 3)
    assert sorted(kept.track.tolist()) == [-1, 0, 0, 0, 0, 0]
    assert change.frames.tolist() == [[0, 0], [0, 1]]
    assert len(remove_short_tracks(poses, 2)[0]) == len(poses)
    origin = np.where(poses.track == 1, Origin.USER, Origin.PREDICTED)
    labelled = poses.replace(origin=origin)
    assert remove_short_tracks(labelled, 3)[0] == labelled
    assert len(remove_short_tracks(labelled, 3, change_labels=True)[0]) == 6


def test_instances_without_a_track_can_go():
    poses = table((0, 0, 0, 1), (0, -1, 50, 1), (1, -1, 50, 1)).replace(
        origin=[Origin.PREDICTED, Origin.PREDICTED, Origin.USER]
    )
    assert remove_untracked(poses)[0].track.tolist() == [0, -1]
    assert remove_untracked(poses, change_labels=True)[0].track.tolist() == [0]
    here = poses.frame == 1
    assert remove_untracked(poses, within=here)[0] == poses
    assert len(remove_untracked(poses, within=here, change_labels=True)[0]) == 2


STEPS = {
    "cull": lambda p: cull_instances(p, 2),
    "duplicates": remove_duplicates,
    "identity": keep_one_identity,
    "short": lambda p: remove_short_tracks(p, 3),
    "untracked": remove_untracked,
}


@pytest.mark.parametrize("step", STEPS)
@given(poses=pose_tables(max_rows=12))
def test_labels_stay_bit_for_bit_and_nothing_else_is_touched(step, poses):
    before = poses.copy()
    cleaned, change = STEPS[step](poses)
    assert poses == before
    assert cleaned.labels() == poses.labels()
    untouched = np.setdiff1d(np.arange(len(poses)), change.rows)
    rest = poses.select(untouched)
    stayed = cleaned if len(cleaned) < len(poses) else cleaned.select(untouched)
    for name in COLUMNS:
        np.testing.assert_array_equal(stayed.column(name), rest.column(name))


@given(poses=pose_tables(max_rows=20, max_frame=2), most=st.integers(1, 4))
def test_a_frame_never_has_more_than_n_unless_its_labels_do(poses, most):
    culled, _ = cull_instances(poses, most)
    for (video, frame), rows in culled:
        n_labels = int(poses.at(video, frame).is_label.sum())
        assert len(rows) == min(max(most, n_labels), len(poses.at(video, frame)))


@given(poses=pose_tables(max_rows=20, max_frame=2))
def test_one_identity_a_frame_is_enforced(poses):
    strict, _ = keep_one_identity(poses, change_labels=True)
    for _, rows in strict:
        tracks = rows.track[rows.track >= 0]
        assert len(np.unique(tracks)) == len(tracks)


@given(poses=pose_tables(max_rows=8, max_frame=1), min_oks=st.floats(0.05, 1))
def test_duplicates_agree_with_a_plain_double_loop(poses, min_oks):
    poses = poses.replace(origin=Origin.PREDICTED, score=np.arange(len(poses)) % 5)
    kept, change = remove_duplicates(poses, min_oks=min_oks)
    low, high = (
        np.nan_to_num(extreme.reduce(poses.xy.astype(float), axis=1))
        for extreme in (np.fmin, np.fmax)
    )
    area = (high - low).prod(axis=1)
    n_points = (poses.visibility > 0).sum(axis=1)
    removed, stays = [], []
    for i in sorted(range(len(poses)), key=lambda i: (-poses.score[i], -n_points[i], i)):
        alike = [
            compute_oks(poses.xy[[i]], poses.xy[[j]], area_px2=[max(area[i], area[j])], stddev=0.1)
            for j in stays
            if (poses.video[i], poses.frame[i]) == (poses.video[j], poses.frame[j])
        ]
        (removed if any(oks >= min_oks for oks in alike) else stays).append(i)
    assert change.rows.tolist() == sorted(removed)
    assert len(kept) == len(stays)
