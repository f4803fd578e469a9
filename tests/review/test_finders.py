"""Every finder on one planted error of its kind, and all of them on many."""

from __future__ import annotations

import numpy as np
import pytest
from planted import make_predictions, plant, score_findings

from napari_animalpose.config import ReviewConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.review import find_errors

BODY = Skeleton(("nose", "ear1", "ear2", "tail"), ((0, 1), (0, 2), (0, 3)), ((1, 2),))
SHAPE = np.array([[40.0, 0], [30, -10], [30, 10], [0, 0]])
N = 120


def walk(n_animals: int = 2, apart: float = 300.0, jitter: float = 0.3, seed: int = 0):
    """Return the points (F, A, 4, 2) of animals that walk to the right side by side."""
    rng = np.random.default_rng(seed)
    xy = np.tile(SHAPE, (N, n_animals, 1, 1))
    xy[..., 0] += 0.5 * np.arange(N)[:, None, None]
    xy[..., 1] += apart * np.arange(n_animals)[None, :, None]
    return xy + rng.normal(0, jitter, xy.shape)


def tabulate(xy, keep=None, **columns) -> Poses:
    frame, track = np.divmod(np.arange(xy.shape[0] * xy.shape[1]), xy.shape[1])
    keep = np.ones(len(frame), bool) if keep is None else keep
    poses = Poses.from_arrays(
        BODY,
        frame=frame,
        xy=xy.reshape(-1, 4, 2),
        track=track,
        origin=Origin.PREDICTED,
        track_names=[chr(ord("a") + n) for n in range(xy.shape[1])],
        **columns,
    )
    return poses.select(keep)


def only(poses: Poses, kind: str, **arguments):
    """Return the one finding of a kind as a record."""
    found = find_errors(poses, kinds=[kind], **arguments).to_records()
    assert len(found) == 1, found
    return found[0]


def test_nothing_is_found_where_nothing_is_wrong():
    assert len(find_errors(tabulate(walk()))) == 0
    assert len(find_errors(Poses.empty(BODY))) == 0


def test_a_switch_is_found_in_its_frame_with_both_animals():
    xy = walk()
    xy[50:] = xy[50:, ::-1]
    record = only(tabulate(xy), "switch")
    assert (record["frame"], {record["track"], record["other_track"]}) == (50, {"a", "b"})
    assert record["severity"] > 0.8


def test_a_switch_while_one_is_out_of_sight_is_a_leap_into_its_place():
    xy = walk(apart=100)
    xy[50:] = xy[50:, ::-1]
    keep = np.ones(2 * N, bool)
    keep[2 * 48 + 1 : 2 * 51 : 2] = False  # the second is not seen in frames 48 to 50
    poses = tabulate(xy, keep)
    each = find_errors(poses, kinds=["switch", "leap"], one_entry_per_problem=False)
    assert list(zip(each.frame, each.track, each.other_track, strict=True)) == [
        (50, 0, 1),
        (51, 1, -1),
    ]
    joined = only(poses, "leap")
    assert (joined["frame"], joined["track"], joined["other_track"]) == (50, "a", "b")
    assert "where 'b' was last seen" in joined["text"]


def test_animals_that_cross_at_speed_have_not_changed_places():
    xy = walk(apart=0)
    way = 20.0 * (np.arange(N) - N // 2) + 10  # the nearest frames are 20 px apart, each side
    xy[:, 0, :, 0] += way[:, None]
    xy[:, 1, :, 0] -= way[:, None]
    assert len(find_errors(tabulate(xy), kinds=["switch", "leap"])) == 0


def test_a_leap_is_found():
    xy = walk(1)
    xy[70:] += (0, 90)
    record = only(tabulate(xy), "leap")
    assert (record["frame"], record["track"]) == (70, "a")


def test_a_dart_of_several_frames_is_no_leap_in_a_fast_animal():
    xy = walk(1) + np.cumsum(np.where(np.arange(N) % 10 == 0, 25.0, 0))[:, None, None, None]
    assert len(find_errors(tabulate(xy), kinds=["leap"])) == 0


def test_a_jump_of_one_point_is_found_and_a_dart_of_the_body_is_not():
    xy = walk()
    xy[60, 1, 3] += (15, 0)
    xy[30, 0] += 30
    record = only(tabulate(xy), "jump")
    assert (record["frame"], record["track"], record["node"]) == (60, "b", "tail")


def test_a_short_flip_is_found_in_its_frames():
    xy = walk()
    xy[40:44, 0] = xy[40:44, 0][:, [0, 2, 1, 3]]
    record = only(tabulate(xy), "flip")
    assert (record["first"], record["last"], record["track"]) == (40, 43, "a")
    assert record["node"] == "ear1"


def test_a_flip_is_found_in_time_where_the_body_has_no_axis():
    pair = Skeleton(("l", "r"), (), ((0, 1),))
    xy = walk(1)[:, 0, 1:3]
    xy[40:44] = xy[40:44, ::-1]
    poses = Poses.from_arrays(pair, frame=np.arange(N), xy=xy)
    record = only(poses, "flip")
    assert (record["first"], record["last"]) == (40, 43)


def test_a_lasting_flip_is_found_in_the_lesser_part():
    xy = walk(1)
    xy[90:, 0] = xy[90:, 0][:, [0, 2, 1, 3]]
    record = only(tabulate(xy), "flip")
    assert (record["first"], record["last"]) == (90, N - 1)


def test_a_long_limb_is_found_and_the_right_end_blamed():
    xy = walk()
    xy[20:26, 0, 0] += (60, 0)  # the nose: three limbs
    record = only(tabulate(xy), "limb")
    assert (record["first"], record["last"], record["node"]) == (20, 25, "nose")


def test_each_animal_has_its_own_limb_lengths():
    xy = walk()
    xy[:, 1] = (xy[:, 1] - xy[:, 1, 3:]) * 2 + xy[:, 1, 3:]
    assert len(find_errors(tabulate(xy), kinds=["limb"])) == 0


def test_a_track_of_the_same_name_in_another_video_is_another_animal():
    small, large = walk(1), walk(1)
    large = (large - large[:, :, 3:]) * 2 + large[:, :, 3:]
    large[20:26, 0, 0] += (60, 0)
    record = only(Poses.concat([tabulate(small), tabulate(large).replace(video=1)]), "limb")
    assert [record[key] for key in ("video", "first", "last", "node")] == [1, 20, 25, "nose"]


def test_missing_and_surplus_animals_are_counted():
    keep = np.ones(2 * N, bool)
    keep[[2 * 30, 2 * 31, 2 * 33]] = False
    record = only(tabulate(walk(), keep), "count")
    assert (record["first"], record["last"], record["instance"]) == (30, 33, None)
    assert record["text"] == "1 animal where 2 animals are expected, in 3 frames."
    score = np.where(np.arange(2 * N) == 1, 0.1, 0.9)  # the second animal of frame 0
    poses = tabulate(walk(), score=score)
    one_too_many = only(poses, "count", config=ReviewConfig(expected_animals=1))
    assert (one_too_many["first"], one_too_many["last"]) == (0, N - 1)
    assert (one_too_many["instance"], one_too_many["track"]) == (1, "b")


def test_frames_without_any_animal_are_counted_where_the_rest_has_some():
    keep = np.repeat(~np.isin(np.arange(N), [50, 51, N - 1]), 2)
    poses = tabulate(walk(), keep)
    found = find_errors(poses, kinds=["count"])
    assert found.first.tolist() == [50]
    assert found.text[0].startswith("no animals")
    at_the_end = find_errors(poses, kinds=["count"], n_frames=[N])
    assert sorted(at_the_end.first.tolist()) == [50, N - 1]
    sparse = poses.select(poses.frame % 8 == 0)
    assert len(find_errors(sparse, kinds=["count"], n_frames=[N])) == 0


def test_low_scores_are_found_and_missing_points_count_as_none():
    rng = np.random.default_rng(1)
    point_score = rng.uniform(0.85, 0.95, (2 * N, 4))
    point_score[2 * 70] = 0.3
    xy = walk()
    xy[20, 1, :3] = np.nan
    poses = tabulate(xy, point_score=point_score)
    found = find_errors(poses, kinds=["score"]).to_records()
    assert {(r["frame"], r["track"]) for r in found} == {(70, "a"), (20, "b")}
    labels = poses.replace(origin=Origin.USER)
    assert len(find_errors(labels, kinds=["score"])) == 0


def test_instance_scores_are_used_where_points_have_none():
    score = np.full(2 * N, 5.0) + np.arange(2 * N) % 3 * 0.1
    score[101] = 0.5
    record = only(tabulate(walk(), score=score), "score")
    assert (record["frame"], record["track"], record["node"]) == (50, "b", None)


def test_high_variance_is_found_from_the_argument():
    variance = np.random.default_rng(2).uniform(0.5, 1.5, (2 * N, 4, 2))
    variance[2 * 80, 2] = 50
    record = only(tabulate(walk()), "variance", variance=variance)
    assert (record["frame"], record["track"], record["node"]) == (80, "a", "ear2")
    assert "10.0 px" in record["text"]


def test_two_instances_on_one_animal_are_found():
    xy = walk()
    xy[40:45, 1] = xy[40:45, 0] + 0.5
    record = only(tabulate(xy), "duplicate")
    assert (record["first"], record["last"]) == (40, 44)
    assert {record["track"], record["other_track"]} == {"a", "b"}


@pytest.mark.parametrize("swapped", [False, True])
def test_animals_of_other_size_are_told_apart_after_a_meeting(swapped):
    xy = walk(apart=0)
    xy[:, 1] = (xy[:, 1] - xy[:, 1, 3:]) * 1.15 + xy[:, 1, 3:]  # the second is larger
    xy[:, 1, :, 1] += np.abs(np.arange(N) - N // 2)[:, None]  # they meet in the middle
    if swapped:
        xy[N // 2 :] = xy[N // 2 :, ::-1]
    found = find_errors(tabulate(xy), kinds=["appearance"])
    assert len(found) == swapped
    if swapped:
        assert found.first[0] < N // 2 < found.last[0]


def test_given_appearance_tells_animals_of_equal_shape_apart():
    xy = walk(apart=0)
    xy[:, 1, :, 1] += np.abs(np.arange(N) - N // 2)[:, None]
    identity = np.tile([[1.0, 0.0], [0.0, 1.0]], (N, 1))
    identity += np.random.default_rng(3).normal(0, 0.1, identity.shape)
    assert len(find_errors(tabulate(xy), kinds=["appearance"], appearance=identity)) == 0
    identity[N:] = identity[N:, ::-1]
    assert len(find_errors(tabulate(xy), kinds=["appearance"], appearance=identity)) == 1


# ------------------------------------------------------------------- many errors at once
COUNTS = {"switch": 6, "jump": 8, "flip": 6, "count": 5, "limb": 5}


@pytest.mark.parametrize(("n_animals", "seed"), [(2, 1), (2, 2), (4, 3)])
def test_planted_errors_are_found_and_lead_the_ranking(n_animals, seed):
    clean = make_predictions(1000, n_animals, seed)
    assert len(find_errors(clean)) <= 2
    poses, planted = plant(clean, COUNTS, seed)
    each = find_errors(poses, one_entry_per_problem=False)
    for kind in COUNTS:
        precision, recall = score_findings(each, planted, kind)
        assert recall >= 0.99, kind
        assert precision >= 0.9, kind
    ranked = find_errors(poses)
    precision, recall = score_findings(ranked, planted)
    assert precision >= 0.9
    assert recall >= 0.99
    assert set(ranked.kind[: COUNTS["switch"]]) == {"switch"}
    assert len(ranked) <= 1.4 * len(planted)


def test_switches_planted_into_real_labels_lead_the_ranking(real_data):
    from napari_animalpose.io.labels import read_labels

    poses = read_labels(real_data / "flies_clip" / "labels.slp").poses
    assert not np.isin(find_errors(poses).kind.astype(str), ["switch", "leap", "flip"]).any()
    switched, planted = plant(poses, {"switch": 10}, seed=0, spacing=20)
    found = find_errors(switched)
    assert score_findings(found, planted, "switch") == (1.0, 1.0)
    assert found.kind[:10].tolist() == ["switch"] * 10
