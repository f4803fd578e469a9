"""Identities for whole tables: names, videos, what people said, and real recordings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose.config import StitchConfig, TrackConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import CancelledError, DataError
from napari_animalpose.jobs import StopRequest
from napari_animalpose.sample import make_sample
from napari_animalpose.tracking.metrics import evaluate_tracks
from napari_animalpose.tracking.stitching import refine_tracks
from napari_animalpose.tracking.track import track_poses

SKELETON = Skeleton(("a", "b", "c"), ((0, 1), (1, 2)))
BODY = np.array([[0.0, 0.0], [20.0, 0.0], [30.0, 15.0]])


def make_poses(frames, places, **columns):
    """Instances at some places (F, A, 2), one after another; NaN = nobody."""
    places = np.asarray(places, float)
    frame = np.repeat(frames, places.shape[1])
    xy = places.reshape(-1, 1, 2) + BODY
    there = ~np.isnan(xy[:, 0, 0])
    columns = {"origin": Origin.PREDICTED, "score": 0.9} | columns
    given = {n: v[there] if np.ndim(v) else v for n, v in columns.items() if n != "track_names"}
    return Poses.from_arrays(
        SKELETON,
        frame=frame[there],
        xy=xy[there],
        track_names=columns.get("track_names", ()),
        **given,
    )


def two_walkers(n_frames=20):
    """Two animals side by side, 4 px a frame: (F, 2, 2)."""
    time = np.arange(n_frames)[:, None]
    return np.stack([time * [4.0, 0.0] + [50, 50], time * [4.0, 0.0] + [50, 250]], axis=1)


def names(poses, row=None):
    found = ["" if t < 0 else poses.track_names[t] for t in poses.track]
    return found if row is None else found[row]


def test_a_table_is_tracked_and_nothing_else_in_it_changes():
    poses = make_poses(range(20), two_walkers())
    tracked = track_poses(poses)
    assert names(tracked) == ["track_0", "track_1"] * 20
    assert ((tracked.track_score > 0.9) & (tracked.track_score <= 1)).all()
    back = tracked.replace(track=-1, track_score=np.nan, track_names=())
    assert back == poses
    assert (poses.track == -1).all()


def test_animals_have_their_identity_from_their_first_frame():
    tracked = track_poses(make_poses(range(20), two_walkers()), TrackConfig(confirm_frames=10))
    assert (tracked.track >= 0).all()
    fleeting = track_poses(make_poses(range(4), two_walkers(4)), TrackConfig(confirm_frames=5))
    assert (fleeting.track == -1).all()
    assert fleeting.track_names == ()


def test_frames_are_counted_in_the_steps_that_were_looked_at():
    frames = np.arange(20) * 25 + 7
    config = TrackConfig(max_gap_frames=2)
    assert names(track_poses(make_poses(frames, two_walkers()), config)) == [
        "track_0", "track_1",
    ] * 20  # fmt: skip


@pytest.mark.parametrize("odd", [5, 157])
def test_one_frame_between_the_steps_changes_nothing(odd):
    frames = np.sort(np.append(np.arange(20) * 8, odd))
    config = TrackConfig(max_gap_frames=2)
    tracked = track_poses(make_poses(frames, two_walkers(21)), config)
    assert names(tracked) == ["track_0", "track_1"] * 21


def test_videos_are_tracked_by_themselves():
    poses = make_poses(range(10), two_walkers(10))
    both = Poses.concat([poses, poses.replace(video=3)])
    tracked = track_poses(both)
    assert names(tracked) == ["track_0", "track_1"] * 20


def test_an_empty_table():
    empty = Poses.empty(SKELETON)
    assert track_poses(empty) == empty


# ------------------------------------------------------------------------- what people said
def labelled(row_tracks, n_frames=20, **columns):
    """Two walkers of whom a person named some: {row: track}."""
    n_rows = 2 * n_frames
    track, origin = np.full(n_rows, -1), np.full(n_rows, Origin.PREDICTED)
    for row, number in row_tracks.items():
        track[row], origin[row] = number, Origin.USER
    columns = {"track_names": ("male", "female")} | columns
    return make_poses(range(n_frames), two_walkers(n_frames), track=track, origin=origin, **columns)


def test_labels_name_the_tracks_from_their_beginning():
    tracked = track_poses(labelled({20: 1}))
    assert names(tracked) == ["female", "track_0"] * 20
    both = track_poses(labelled({20: 1, 31: 0}), TrackConfig(max_animals=2))
    assert names(both) == ["female", "male"] * 20


def test_labels_that_contradict_are_kept_and_followed():
    tracked = track_poses(labelled({10: 0, 11: 1, 30: 1, 31: 0}))
    assert names(tracked) == ["male", "female"] * 15 + ["female", "male"] * 5


def test_labels_are_forgotten_only_where_that_is_asked_for():
    poses = labelled({10: 1, 11: 0, 20: 0})
    kept = track_poses(poses)
    assert (names(kept, 10), names(kept, 11), names(kept, 20)) == ("female", "male", "male")
    forgotten = track_poses(poses, TrackConfig(user_tracks="overwrite"))
    assert names(forgotten) == ["track_0", "track_1"] * 20


def test_a_name_that_is_taken_is_not_given_again():
    poses = labelled({1: 0}, track_names=("track_0",))
    assert names(track_poses(poses)) == ["track_1", "track_0"] * 20


def test_corrected_instances_are_labels_and_tracks_of_predictions_are_not():
    poses = labelled({})
    track = np.full(len(poses), -1)
    track[8:12] = 1, 0, 1, 0
    origin = poses.origin.copy()
    assert names(track_poses(poses.replace(track=track))) == ["track_0", "track_1"] * 20
    origin[8] = Origin.CORRECTED
    tracked = track_poses(poses.replace(track=track, origin=origin))
    assert names(tracked) == ["female", "track_0"] * 20


def test_a_prediction_of_a_labelled_animal_gets_no_identity():
    walkers = two_walkers()
    places = np.concatenate([walkers, walkers[:, :1] + 1.0], axis=1)
    places[np.arange(20) != 10, 2] = np.nan
    origin = np.full(60, Origin.PREDICTED)
    origin[30:32] = Origin.USER
    track = np.full(60, -1)
    track[30] = 0
    poses = make_poses(range(20), places, origin=origin, track=track, track_names=("male",))
    found = names(track_poses(poses, TrackConfig(max_animals=2, confirm_frames=1)))
    assert found == ["male", "track_0"] * 11 + [""] + ["male", "track_0"] * 9


def test_two_labels_of_one_track_in_a_frame_stay_as_they_are():
    tracked = track_poses(labelled({20: 0, 21: 0}))
    assert (names(tracked, 20), names(tracked, 21)) == ("male", "male")
    assert names(tracked)[22::2] == ["male"] * 9


def test_more_named_animals_than_there_are():
    with pytest.raises(DataError, match=r"at most 1 animals .* received 2 tracks"):
        track_poses(labelled({20: 0, 21: 1}), TrackConfig(max_animals=1))


# -------------------------------------------------------------------------- identity models
def test_identities_of_a_model_keep_animals_apart_that_jump():
    walkers = two_walkers()
    walkers[10:] = walkers[10:, ::-1]  # each where the other was
    track = np.tile([0, 1], 20)
    poses = make_poses(
        range(20), walkers, track=track, track_score=0.95, track_names=("red", "blue")
    )
    blind = track_poses(poses)
    assert names(blind) == ["track_0", "track_1"] * 10 + ["track_1", "track_0"] * 10
    config = TrackConfig(
        use_identities=True, costs={"oks": 0.1, "appearance": 5.0}, motion_fraction=0.5,
        gate_spreads=50.0,
    )  # fmt: skip
    assert names(track_poses(poses, config)) == ["red", "blue"] * 20


def test_identities_of_a_model_name_the_tracks_by_majority():
    track = np.tile([0, 1], 20)
    track[[6, 7, 12]] = 1, 0, -1
    poses = make_poses(
        range(20), two_walkers(), track=track, track_names=("red", "blue"), track_score=0.6
    )
    assert names(track_poses(poses, TrackConfig(use_identities=True))) == ["red", "blue"] * 20


# ------------------------------------------------------------------------------------ control
def test_progress_and_stopping():
    poses = make_poses(range(500), two_walkers(500))
    told = []
    track_poses(poses, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(200, 500), (400, 500), (500, 500)]
    early = track_poses(poses, should_stop=lambda: StopRequest.STOP_EARLY)
    assert (early.track[:400] >= 0).all()
    assert (early.track[400:] == -1).all()
    with pytest.raises(CancelledError):
        track_poses(poses, should_stop=lambda: StopRequest.CANCEL)


def test_flow_needs_the_video_of_every_table():
    poses = make_poses(range(5), two_walkers(5), video=1)
    for videos in (None, (), {0: None}):
        with pytest.raises(DataError, match="Expected video 1 for the tracker 'flow'"):
            track_poses(poses, TrackConfig(tracker="flow"), videos)


def list_keys(poses, rows):
    return list(zip(poses.video[rows], poses.frame[rows], poses.track[rows], strict=True))


@given(pose_tables(max_rows=20), st.integers(0, 3), st.sampled_from(["anchor", "overwrite"]))
def test_any_table_can_be_tracked(poses, max_animals, user_tracks):
    config = TrackConfig(
        body_length_px=1000.0, confirm_frames=1, user_tracks=user_tracks, min_points=1
    )
    anchored = poses.is_label & (poses.track >= 0) & (user_tracks == "anchor")
    if not anchored.any():
        config = config.replace(max_animals=max_animals)
    tracked = track_poses(poses, config)
    rows = np.flatnonzero(tracked.track >= 0)
    free = rows[~anchored[rows]]
    keys = list_keys(tracked, rows)
    labels = list_keys(tracked, anchored)
    assert len(set(keys)) - len(set(labels)) == len(free)
    assert [names(tracked, row) for row in np.flatnonzero(anchored)] == [
        names(poses, row) for row in np.flatnonzero(anchored)
    ]
    assert np.array_equal(tracked.xy, poses.xy, equal_nan=True)
    assert set(tracked.track.tolist()) - {-1} == set(range(len(tracked.track_names)))
    if config.max_animals:
        for video in np.unique(tracked.video):
            assert len(set(tracked.track[tracked.video == video]) - {-1}) <= config.max_animals


# --------------------------------------------------------------------------- true identities
@pytest.mark.parametrize("max_animals", [0, 6])
@pytest.mark.parametrize("name", ["window", "kalman"])
def test_exact_poses_of_animals_that_meet_are_never_confused(name, max_animals):
    truth = make_sample(n_frames=120, n_animals=6, seed=1).poses
    config = TrackConfig(tracker=name, max_animals=max_animals, user_tracks="overwrite")
    result = evaluate_tracks(track_poses(truth, config), truth)
    assert (result.n_switches, result.idf1, result.hota) == (0, 1.0, 1.0)


def test_flow_follows_the_animals_of_a_video():
    sample = make_sample(n_frames=25, n_animals=2, size=(128, 160), seed=1)
    config = TrackConfig(tracker="flow", max_animals=2, user_tracks="overwrite")
    tracked = track_poses(sample.poses, config, [sample.video])
    assert evaluate_tracks(tracked, sample.poses).hota == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("max_animals", [0, 2])
@pytest.mark.parametrize("name", ["window", "kalman"])
def test_courting_flies_are_never_confused(real_data, name, max_animals):
    from napari_animalpose.io.labels import read_labels

    truth = read_labels(real_data / "flies_clip" / "labels.slp").poses
    config = TrackConfig(tracker=name, max_animals=max_animals, user_tracks="overwrite")
    result = evaluate_tracks(track_poses(truth, config), truth)
    assert (result.n_frames, result.n_switches, result.idf1) == (1000, 0, 1.0)


@pytest.mark.parametrize("name", ["window", "kalman"])
def test_no_part_of_a_real_fly_is_taken_for_a_fly(real_data, name):
    from napari_animalpose.io.labels import read_labels

    poses = read_labels(real_data / "flies_centered" / "sleap_predictions.slp").poses
    tracked = track_poses(poses, TrackConfig(tracker=name, max_animals=2))
    refined, _ = refine_tracks(tracked, StitchConfig(max_animals=2))
    assert np.bincount(refined.track).tolist() == [1100, 1100]
    n_points = np.count_nonzero(~np.isnan(refined.xy[..., 0]), axis=1)
    # in the last frame one of them was found in pieces only
    assert n_points[refined.frame < 1099].min() > 8
