"""Stitching: exact small cases, truth broken on purpose, and what must never happen."""

from __future__ import annotations

import numpy as np
import pytest
from broken_tracks import break_tracks, share_rejoined
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose.config import StitchConfig
from napari_animalpose.data.columns import COLUMNS
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError
from napari_animalpose.sample import make_sample
from napari_animalpose.tracking.stitching import (
    join_single_breaks,
    refine_tracks,
    stitch_tracks,
)
from napari_animalpose.tracking.tracklets import find_tracklets

BODY = np.array([[-8, 0], [8, 0], [0, 5]], np.float32)
SKELETON = Skeleton(("tail", "head", "side"), ((0, 1), (1, 2)))


def walk(*pieces: tuple[int, int, int, tuple[float, float], tuple[float, float]], **columns):
    """Rigid bodies: (track, first frame, last frame, place in frame 0, px a frame)."""
    frame, track, xy = [], [], []
    for number, first, last, start, velocity in pieces:
        t = np.arange(first, last + 1)
        frame.append(t)
        track.append(np.full(len(t), number))
        xy.append(BODY + (np.array(start) + t[:, None] * np.array(velocity))[:, None])
    n_tracks = max(piece[0] for piece in pieces) + 1
    given_columns = {"origin": Origin.PREDICTED, "score": 1.0} | columns
    return Poses.from_arrays(
        SKELETON,
        frame=np.concatenate(frame),
        track=np.concatenate(track),
        xy=np.concatenate(xy),
        track_names=[f"t{i}" for i in range(n_tracks)],
        **given_columns,
    )


def pieces_of(poses: Poses) -> set[tuple[str, int, int]]:
    """Name, first and last frame of every track."""
    found = set()
    for number, name in enumerate(poses.track_names):
        frames = poses.frame[poses.track == number]
        if len(frames):
            found.add((name, int(frames.min()), int(frames.max())))
    return found


CROSSING = (  # two animals cross at frame 50; both are lost from 45 to 55
    (0, 0, 44, (0, 0), (4, 0)),
    (1, 0, 44, (200, -100), (0, 2)),
    (2, 56, 99, (0, 0), (4, 0)),
    (3, 56, 99, (200, -100), (0, 2)),
)


@pytest.mark.parametrize("max_animals", [0, 2])
def test_animals_that_cross_unseen_go_on_as_they_moved(max_animals):
    stitched, change = stitch_tracks(walk(*CROSSING), StitchConfig(max_animals=max_animals))
    assert pieces_of(stitched) == {("t0", 0, 99), ("t1", 0, 99)}
    assert stitched.track_names == ("t0", "t1")
    by_name = stitched.xy[stitched.track == 0]
    np.testing.assert_allclose(by_name[-1], BODY + np.array([99 * 4, 0]))
    assert len(change) == 88
    assert change.frames[:, 1].tolist() == list(range(56, 100))


def test_tracks_that_share_a_frame_stay_apart_even_side_by_side():
    together = walk((0, 0, 50, (0, 0), (1, 0)), (1, 50, 90, (1, 0), (1, 0)))
    for max_animals in (0, 2):
        stitched, change = stitch_tracks(together, StitchConfig(max_animals=max_animals))
        assert stitched == together
        assert not len(change)
    # One animal only: the longer track is it, the other has none.
    alone, _ = stitch_tracks(together, StitchConfig(max_animals=1))
    assert pieces_of(alone) == {("t0", 0, 50)}
    assert (alone.track < 0).sum() == 41


def test_a_gap_beyond_the_limit_is_bridged_only_where_the_number_is_known():
    apart = walk((0, 0, 50, (0, 0), (0.5, 0)), (1, 82, 120, (0, 0), (0.5, 0)))
    assert pieces_of(stitch_tracks(apart, StitchConfig(max_gap_frames=31))[0]) == {("t0", 0, 120)}
    assert len(pieces_of(stitch_tracks(apart, StitchConfig(max_gap_frames=30))[0])) == 2
    known = StitchConfig(max_gap_frames=5, max_animals=1)
    assert pieces_of(stitch_tracks(apart, known)[0]) == {("t0", 0, 120)}


def test_a_piece_inside_the_gap_of_a_track_takes_its_place():
    poses = walk(
        (0, 0, 30, (0, 0), (2, 0)), (1, 31, 60, (0, 0), (2, 0)), (0, 61, 99, (0, 0), (2, 0))
    )
    stitched, _ = stitch_tracks(poses)
    assert pieces_of(stitched) == {("t0", 0, 99)}


@pytest.mark.parametrize("max_animals", [0, 1])
@pytest.mark.parametrize("labelled", [[10, 90], [10, 50, 90], [10, 72, 90]])
def test_what_lies_between_two_labels_of_a_track_stays_in_it(labelled, max_animals):
    # One detection is missing at frames 40, 60 and 80.
    ends = [(0, 39), (41, 59), (61, 79), (81, 99)]
    poses = walk(*[(0, first, last, (0, 0), (2, 0)) for first, last in ends])
    origin = np.where(np.isin(poses.frame, labelled), Origin.USER, Origin.PREDICTED)
    poses = poses.replace(origin=origin)
    config = StitchConfig(max_animals=max_animals)
    stitched, change = stitch_tracks(poses, config)
    assert stitched == poses
    assert not len(change)
    assert refine_tracks(poses, config)[0] == poses


def test_what_lies_beyond_the_labels_of_a_track_is_free():
    # Both are labelled before the gap, over which the tracker took each for the other.
    poses = walk(
        (0, 0, 40, (0, 0), (1, 0)),
        (1, 0, 40, (0, 300), (1, 0)),
        (1, 46, 90, (0, 0), (1, 0)),
        (0, 46, 90, (0, 300), (1, 0)),
    )
    poses = poses.replace(origin=np.where(poses.frame == 10, Origin.USER, Origin.PREDICTED))
    for max_animals in (0, 2):
        stitched, _ = stitch_tracks(poses, StitchConfig(max_animals=max_animals))
        assert (stitched.track == (stitched.xy[:, 0, 1] > 100)).all()


def test_a_track_that_changed_the_animal_over_a_gap_is_put_right():
    # The tracker took each for the other: tracks cross their animals at the gap.
    poses = walk(
        (0, 0, 40, (0, 0), (1, 0)),
        (1, 0, 40, (0, 300), (1, 0)),
        (1, 46, 90, (0, 0), (1, 0)),
        (0, 46, 90, (0, 300), (1, 0)),
    )
    stitched, change = stitch_tracks(poses)
    heights = [np.unique(stitched.xy[stitched.track == t, 0, 1]) for t in (0, 1)]
    assert [len(height) for height in heights] == [1, 1]
    assert len(change) == 82  # the longer parts, after the gap, keep their names


def test_appearance_decides_where_motion_cannot():
    rng = np.random.default_rng(0)
    poses = walk(*CROSSING[:2], (2, 400, 440, (900, 0), (0, 0)), (3, 400, 440, (0, 900), (0, 0)))
    flip = np.isin(poses.track, [1, 2])  # track 2 looks like 1, and 3 like 0
    looks = np.where(flip[:, None], [[0.1, 0.9]], [[0.9, 0.1]]) + rng.uniform(0, 1e-3, (1, 2))
    stitched, _ = stitch_tracks(poses, StitchConfig(max_animals=2), appearance=looks)
    for track in (0, 1):
        assert len(np.unique(flip[stitched.track == track])) == 1
    looks[:] = np.nan  # nothing is known
    stitch_tracks(poses, StitchConfig(max_animals=2), appearance=looks)
    with pytest.raises(DataError, match=r"shape \(172, number of classes\).*received shape \(3,"):
        stitch_tracks(poses, appearance=np.zeros((3, 2)))


def test_the_size_of_animals_decides_where_motion_cannot():
    poses = walk(*CROSSING[:2], (2, 400, 440, (900, 0), (0, 0)), (3, 400, 440, (0, 900), (0, 0)))
    rng = np.random.default_rng(0)
    large = np.isin(poses.track, [1, 2])
    centre = poses.xy.mean(axis=1, keepdims=True)
    size = np.where(large, 1.3, 1.0)[:, None, None] * rng.normal(1, 0.02, (len(poses), 1, 1))
    sized = poses.replace(xy=centre + (poses.xy - centre) * size)
    stitched, _ = stitch_tracks(sized, StitchConfig(max_animals=2))
    for track in (0, 1):
        assert len(np.unique(large[stitched.track == track])) == 1


def test_labels_keep_their_tracks_and_lead_the_others():
    poses = walk((0, 0, 30, (0, 0), (2, 0)), (1, 33, 60, (0, 0), (2, 0)))
    origin = np.where(poses.frame == 50, Origin.USER, Origin.PREDICTED)
    stitched, _ = stitch_tracks(poses.replace(origin=origin))
    assert pieces_of(stitched) == {("t1", 0, 60)}  # longer, but nobody said it was t0
    both = np.where(np.isin(poses.frame, [10, 50]), Origin.USER, Origin.PREDICTED)
    apart, change = stitch_tracks(poses.replace(origin=both))
    assert pieces_of(apart) == {("t0", 0, 30), ("t1", 33, 60)}
    assert not len(change)


@pytest.mark.parametrize("max_animals", [0, 1])
def test_labels_whose_track_nobody_gave_are_joined_and_named_like_predictions(max_animals):
    poses = walk((0, 0, 30, (0, 0), (2, 0)), (1, 33, 60, (0, 0), (2, 0)))
    origin = np.where(np.isin(poses.frame, [10, 50]), Origin.USER, Origin.PREDICTED)
    poses, config = poses.replace(origin=origin), StitchConfig(max_animals=max_animals)
    nobody = np.zeros(len(poses), bool)
    for joined in (
        stitch_tracks(poses, config, anchored=nobody)[0],
        refine_tracks(poses, config, anchored=nobody)[0],
    ):
        assert pieces_of(joined) == {("t0", 0, 60)}
        assert joined.track_names == ("t0",)
        assert (joined.track == 0).all()
    # Where one of them has its track from a person, the other gets that.
    named = poses.frame == 50
    assert pieces_of(stitch_tracks(poses, config, anchored=named)[0]) == {("t1", 0, 60)}


def test_a_label_that_belongs_to_none_of_n_animals_is_left_without_a_track():
    poses = walk((0, 0, 50, (0, 0), (1, 0)), (1, 20, 40, (0, 90), (1, 0)))
    poses = poses.replace(origin=np.where(poses.frame == 30, Origin.USER, Origin.PREDICTED))
    nobody = np.zeros(len(poses), bool)
    refined, _ = refine_tracks(poses, StitchConfig(max_animals=1), anchored=nobody)
    assert refined.track_names == ("t0",)
    assert refined.select(refined.track < 0).is_label.all()
    assert refined.labels().track.tolist() == [0, -1]


def test_a_frame_between_the_steps_is_a_step():
    frame = np.append(np.arange(10) * 8, 77)
    poses = walk((0, 0, 10, (0, 0), (1, 0))).replace(frame=frame)
    tracklets = find_tracklets(poses)
    assert len(tracklets) == 1
    assert tracklets.frame.tolist() == list(range(11))


# --------------------------------------------------------------- instances without identity
def nameless(frames, n_animals=2, **columns) -> Poses:
    """So many animals in each frame, 300 px apart, none with a track; falling scores."""
    frames = np.asarray(frames)
    xy = BODY + 300.0 * np.arange(n_animals)[:, None, None] + np.zeros((len(frames), 1, 3, 2))
    return Poses.from_arrays(
        SKELETON,
        frame=np.repeat(frames, n_animals),
        xy=xy.reshape(-1, 3, 2),
        track=-1,
        origin=Origin.PREDICTED,
        score=np.tile(0.9 - 0.1 * np.arange(n_animals), len(frames)),
        **columns,
    )


def test_in_scattered_frames_as_many_stay_as_there_are_animals():
    poses = nameless([5, 9, 100], n_animals=3)
    refined, _ = refine_tracks(poses, StitchConfig(max_animals=2))
    assert refined == poses.select(poses.score > 0.75)


def test_what_nothing_followed_goes_where_it_could_have_been_followed():
    followed = walk((0, 0, 59, (0, 0), (1, 0)))
    again = Poses.concat([followed, nameless([20, 200, 201, 300], 1)])
    both = Poses.concat([again, again.select(again.frame > 60).replace(video=1)])
    refined, changes = refine_tracks(both, StitchConfig(max_animals=2))
    assert refined == both.select((both.frame != 20) | (both.track >= 0))
    assert changes[-1].frames.tolist() == [[0, 20]]
    # Where two frames make an identity, two in a row will do: if anybody has one in them.
    assert refine_tracks(both, StitchConfig(max_animals=2), confirm_frames=2)[0] == refined
    named = both.replace(track=np.where(both.frame == 200, 0, both.track))
    _, changes = refine_tracks(named, StitchConfig(max_animals=2), confirm_frames=2)
    assert changes[-1].frames.tolist() == [[0, 20], [0, 201], [1, 201]]


def test_empty_frames_that_were_looked_at_count():
    poses = Poses.concat([walk((0, 0, 59, (0, 0), (1, 0))), nameless([80], 1)])
    config = StitchConfig(max_animals=1)
    assert refine_tracks(poses, config)[0] == poses
    looked_at = np.stack([np.zeros(100, np.int64), np.arange(100)], axis=1)
    assert refine_tracks(poses, config, looked_at=looked_at)[0] == poses.select(poses.frame < 60)


def test_nothing_goes_where_nobody_could_be_followed():
    poses = nameless(np.arange(20) * 500)
    assert refine_tracks(poses, StitchConfig(max_animals=2))[0] == poses


def test_frames_that_were_not_looked_at_are_no_gaps():
    poses = walk(*CROSSING)
    sparse = poses.replace(frame=poses.frame * 8)
    assert len(find_tracklets(sparse)) == 4
    stitched, _ = stitch_tracks(sparse)
    assert pieces_of(stitched) == {("t0", 0, 792), ("t1", 0, 792)}


def test_videos_are_stitched_apart():
    one = walk(*CROSSING)
    two = one.replace(video=1)
    stitched, _ = stitch_tracks(Poses.concat([one, two]), StitchConfig(max_animals=2))
    for video in (0, 1):
        assert pieces_of(stitched.select(stitched.video == video)) == {
            ("t0", 0, 99),
            ("t1", 0, 99),
        }


@pytest.mark.parametrize("max_animals", [0, 2])
@pytest.mark.parametrize("poses", [Poses.empty(SKELETON), walk((0, 4, 4, (0, 0), (0, 0)))])
def test_nothing_and_next_to_nothing_can_be_stitched(poses, max_animals):
    config = StitchConfig(max_animals=max_animals)
    assert stitch_tracks(poses, config)[0] == poses
    assert refine_tracks(poses, config)[0] == poses
    assert join_single_breaks(poses, max_animals or None)[0] == poses


# -------------------------------------------------------------------------- single breaks
def test_who_came_is_who_left_where_nothing_else_changes():
    poses = walk(
        (0, 0, 99, (0, 0), (0, 0)), (1, 0, 40, (100, 0), (0, 0)), (2, 41, 99, (500, 0), (0, 0))
    )
    joined, change = join_single_breaks(poses, 2)
    assert pieces_of(joined) == {("t0", 0, 99), ("t2", 0, 99)}  # the longer part has the name
    assert change.frames[:, 1].tolist() == list(range(41))


def test_a_break_is_not_single_where_two_leave_or_the_number_is_wrong():
    poses = walk(
        (0, 0, 40, (0, 0), (0, 0)), (1, 0, 40, (100, 0), (0, 0)), (2, 41, 99, (500, 0), (0, 0))
    )
    assert join_single_breaks(poses)[0] == poses
    alone = walk((0, 0, 40, (0, 0), (0, 0)), (1, 41, 99, (500, 0), (0, 0)))
    assert join_single_breaks(alone, 2)[0] == alone
    assert len(pieces_of(join_single_breaks(alone, 1)[0])) == 1


@pytest.mark.parametrize("missing", [0, 3])
def test_single_breaks_have_a_largest_gap(missing):
    poses = walk((0, 0, 40, (0, 0), (0, 0)), (1, 41 + missing, 99, (5, 0), (0, 0)))
    assert len(pieces_of(join_single_breaks(poses, max_gap_frames=missing)[0])) == 1
    if missing:
        assert join_single_breaks(poses, max_gap_frames=missing - 1)[0] == poses


def test_a_track_that_goes_on_is_not_taken_from_its_animal():
    # t1 is away in frame 41 only, and comes back: t2 is a new animal, however close.
    poses = walk(
        (1, 0, 40, (100, 0), (0, 0)), (2, 41, 60, (101, 0), (0, 0)), (1, 42, 99, (100, 0), (0, 0))
    )
    assert join_single_breaks(poses)[0] == poses


# ---------------------------------------------------------------------------- properties
def names_of(poses: Poses) -> list[str | None]:
    return [poses.track_names[t] if t >= 0 else None for t in poses.track.tolist()]


def check_identities(before: Poses, after: Poses) -> None:
    """No identity twice in a frame (but for labels that were), labels as they were."""
    assert [n for n, own in zip(names_of(before), before.is_label, strict=True) if own] == [
        n for n, own in zip(names_of(after), after.is_label, strict=True) if own
    ]
    for _, rows in after:
        tracks = rows.track[rows.track >= 0]
        for track in np.unique(tracks[np.bincount(tracks)[tracks] > 1]) if len(tracks) else ():
            assert rows.is_label[rows.track == track].all()


@given(poses=pose_tables(max_rows=20, max_frame=12), max_animals=st.integers(0, 3))
def test_stitching_never_gives_an_identity_twice_and_changes_only_tracks(poses, max_animals):
    before = poses.copy()
    stitched, change = stitch_tracks(poses, StitchConfig(max_animals=max_animals))
    assert poses == before
    for name in COLUMNS:
        if name != "track":
            np.testing.assert_array_equal(stitched.column(name), poses.column(name))
    check_identities(poses, stitched)
    changed = [a != b for a, b in zip(names_of(poses), names_of(stitched), strict=True)]
    assert change.rows.tolist() == np.flatnonzero(changed).tolist()


@given(poses=pose_tables(max_rows=20, max_frame=12), max_animals=st.integers(1, 3))
def test_a_video_never_has_more_tracks_than_animals_unless_its_labels_do(poses, max_animals):
    config, nobody = StitchConfig(max_animals=max_animals), np.zeros(len(poses), bool)
    stitched, _ = stitch_tracks(poses, config)
    free, _ = stitch_tracks(poses, config, anchored=nobody)
    for video in np.unique(poses.video):
        assert len(np.unique(free.track[(free.video == video) & (free.track >= 0)])) <= max_animals
        here = stitched.video == video
        predicted = here & ~stitched.is_label & (stitched.track >= 0)
        labelled = np.unique(stitched.track[here & stitched.is_label & (stitched.track >= 0)])
        if not len(labelled):
            assert len(np.unique(stitched.track[predicted])) <= max_animals


@given(poses=pose_tables(max_rows=20, max_frame=12), n_animals=st.integers(0, 3))
def test_single_breaks_never_give_an_identity_twice(poses, n_animals):
    joined, _ = join_single_breaks(poses, n_animals or None, max_gap_frames=2)
    check_identities(poses, joined)


@given(poses=pose_tables(max_rows=20, max_frame=6), max_animals=st.integers(1, 3))
def test_refining_leaves_n_identities_in_a_frame_and_all_labels(poses, max_animals):
    config = StitchConfig(max_animals=max_animals, min_track_frames=2)
    refined, changes = refine_tracks(poses, config)
    assert [change.action.split()[0] for change in changes] == [
        "took",
        "removed",
        "stitched",
        "removed",
        "removed",
    ]
    assert names_of(refined.labels()) == names_of(poses.labels())
    np.testing.assert_array_equal(refined.labels().xy, poses.labels().xy)
    for (video, frame), rows in refined:
        n_labels = int(poses.at(video, frame).is_label.sum())
        assert len(rows) <= max(max_animals, n_labels)


# ---------------------------------------------------------------------------------- truth
@pytest.mark.parametrize("species", ["fly", "mouse"])
@pytest.mark.parametrize("known", [True, False])
def test_broken_tracks_of_sample_animals_are_rejoined(species, known):
    sample = make_sample(n_frames=800, n_animals=5, species=species, seed=5)
    broken = break_tracks(sample.poses, seed=2, longest_gap=50, mean_length=60, noise_px=1.0)
    assert len(broken.successions) > 30
    config = StitchConfig(max_animals=5 if known else 0)
    stitched, _ = stitch_tracks(broken.poses, config)
    assert share_rejoined(broken, stitched) > 0.9
    if known:
        assert len(np.unique(stitched.track)) == 5


def test_short_gaps_are_rejoined_without_a_mistake():
    sample = make_sample(n_frames=600, n_animals=4, seed=8)
    broken = break_tracks(sample.poses, seed=3, longest_gap=5, mean_length=50, noise_px=1.0)
    for max_animals in (0, 4):
        stitched, _ = stitch_tracks(broken.poses, StitchConfig(max_animals=max_animals))
        assert share_rejoined(broken, stitched) == 1.0


def test_real_predictions_become_two_flies(real_data):
    from napari_animalpose.io.labels import read_labels

    poses = read_labels(real_data / "flies_centered" / "sleap_predictions.slp").poses
    refined, _ = refine_tracks(poses, StitchConfig(max_animals=2))
    assert refined.track_names == ("1", "2")
    assert np.bincount(refined.track).tolist() == [1100, 1100]
    assert np.bincount(refined.frame).tolist() == [2] * 1100
    broken = break_tracks(refined, seed=0, longest_gap=20, mean_length=60)
    stitched, _ = stitch_tracks(broken.poses, StitchConfig(max_animals=2))
    assert share_rejoined(broken, stitched) > 0.95
