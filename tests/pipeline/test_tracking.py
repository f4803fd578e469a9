"""From poses on disk to individuals, with identities that are known."""

import numpy as np
import pytest

import napari_animalpose as ap
from napari_animalpose.config import IdentityConfig, StitchConfig, TrackConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import CancelledError, DataError
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.jobs import Progress, StopRequest
from napari_animalpose.pipeline import evaluate
from napari_animalpose.pipeline.looked_at import FRAMES_KEY
from napari_animalpose.pipeline.tracking import track_in_detail
from napari_animalpose.sample import make_sample

FLY = Skeleton(("head", "tail", "left", "right"), ((0, 1), (1, 2), (1, 3)))
BODY = np.array([[20.0, 0.0], [-20.0, 0.0], [-5.0, -8.0], [-5.0, 8.0]])


def walk_apart(n_frames=60, gap=()):
    """Two animals on parallel lines, predicted, without identities; the second has gaps."""
    frame, xy = [], []
    for t in range(n_frames):
        for animal in range(2):
            if animal and t in gap:
                continue
            frame.append(t)
            xy.append(BODY + np.array([50 + 2.0 * t, 60 + 120 * animal]))
    return Poses.from_arrays(FLY, frame=frame, xy=xy, origin=Origin.PREDICTED, score=0.9)


def test_two_animals_are_two_tracks_whatever_is_missing():
    poses = ap.track(walk_apart(gap=range(20, 35)), max_animals=2)
    assert len(poses.track_names) == 2
    lane = poses.xy[:, 0, 1] > 120
    assert len(set(poses.track[lane])) == len(set(poses.track[~lane])) == 1
    assert poses.track.min() >= 0


def test_a_project_comes_back_as_a_project_and_its_poses_stay_as_they_were():
    before = walk_apart()
    project = Project(videos=(make_sample(n_frames=60, n_animals=1).video,), poses=before)
    after = ap.track(project, max_animals=2)
    assert isinstance(after, Project)
    assert (before.track == -1).all()
    assert (after.poses.track >= 0).all()
    np.testing.assert_array_equal(after.poses.xy, before.xy)


def test_smoothing_is_another_table():
    poses = walk_apart(gap=range(20, 25))
    config = IdentityConfig(smoothing=True).with_animals(2, "window")
    assert config.track.tracker == "window"
    assert config.track.max_animals == config.stitch.max_animals == 2
    done = track_in_detail(poses, config)
    assert done.smoothed is not None
    assert len(done.poses) == len(poses)
    assert len(done.smoothed.poses) == len(poses) + 5  # the five that were not there
    filled = done.smoothed.poses.select(done.smoothed.kind.min(axis=1) == 1)
    truth = np.stack([BODY + np.array([50 + 2.0 * t, 180]) for t in range(20, 25)])
    np.testing.assert_allclose(filled.xy, truth, atol=0.05)


def test_cancel_keeps_nothing_and_stopping_early_removes_nothing():
    poses = walk_apart(400)
    with pytest.raises(CancelledError):
        ap.track(poses, max_animals=2, should_stop=lambda: StopRequest.CANCEL)
    half = ap.track(poses, max_animals=2, should_stop=lambda: StopRequest.STOP_EARLY)
    assert len(half) == len(poses)
    assert (half.track >= 0).any()
    assert (half.track == -1).any()


@pytest.mark.parametrize("max_animals", [0, 1])
@pytest.mark.parametrize("tracks", [(-1, -1), (0, 1)])
def test_labels_whose_tracks_do_not_count_name_nobody(tracks, max_animals):
    """One animal that the first pass loses for ten frames, labelled before and after."""
    poses = walk_apart()
    poses = poses.select((poses.xy[:, 0, 1] < 120) & ~np.isin(poses.frame, range(20, 30)))
    track = np.full(len(poses), -1)
    track[np.isin(poses.frame, (10, 50))] = tracks
    origin = np.where(np.isin(poses.frame, (10, 50)), Origin.USER, Origin.PREDICTED)
    poses = poses.replace(track=track, origin=origin, track_names=("one", "two"))
    first_pass = TrackConfig(max_gap_frames=2, user_tracks="overwrite", max_animals=max_animals)
    if tracks == (-1, -1):
        first_pass = first_pass.replace(user_tracks="anchor")
    done = track_in_detail(poses, IdentityConfig(track=first_pass).with_animals(max_animals))
    assert len(done.poses.track_names) == 1
    assert (done.poses.track == 0).all()


@pytest.mark.parametrize("config", [
    IdentityConfig().with_animals(2),
    IdentityConfig(stitch=StitchConfig(max_animals=2)),
])  # fmt: skip
def test_scattered_frames_keep_their_animals(config):
    poses = walk_apart(101)
    few = poses.select(np.isin(poses.frame, (5, 9, 100)))
    assert track_in_detail(few, config).poses == few


def test_frames_that_the_file_says_were_looked_at_count():
    poses = walk_apart()
    alone = poses.select(poses.frame == 0).select([0])
    false = alone.replace(frame=[90], xy=alone.xy + 5000.0)
    project = Project(
        videos=(make_sample(n_frames=100, n_animals=1).video,), poses=Poses.concat([poses, false])
    )
    assert len(ap.track(project, max_animals=2).poses) == 121
    provenance = {FRAMES_KEY: {"0": "0-99"}}
    looked_at = ap.track(project.replace(provenance=provenance), max_animals=2)
    assert len(looked_at.poses) == 120
    assert (looked_at.poses.track >= 0).all()


def test_progress_is_told():
    seen = []
    ap.track(walk_apart(), max_animals=2, on_event=seen.append)
    stages = [event.stage for event in seen if isinstance(event, Progress)]
    assert stages[0] == "track"
    assert stages[-1] == "stitch"


def test_a_tracker_that_looks_needs_videos():
    with pytest.raises(DataError, match="Expected video 0 for the tracker 'flow'"):
        ap.track(walk_apart(), tracker="flow")


@pytest.fixture(scope="module")
def sample_files(tmp_path_factory):
    """Truth and predictions of three animals on disk; predictions have no identities."""
    folder = tmp_path_factory.mktemp("tracks")
    sample = make_sample(n_frames=40, n_animals=3, size=(256, 256), seed=4)
    project = Project(videos=(LazyVideo(str(sample.save(folder))),), poses=sample.poses)
    truth = project.poses
    values = {"track": np.full(len(truth), -1), "track_names": (), "origin": Origin.PREDICTED}
    guess = Poses.from_arrays(
        truth.skeleton, video=truth.video, frame=truth.frame, xy=truth.xy, score=0.9,
        **{key: values[key] for key in ("track", "track_names", "origin")},
    )  # fmt: skip
    write_labels(project.with_poses(guess), folder / "guess.slp")
    write_labels(project, folder / "truth.slp")
    return folder


def test_identities_are_measured_where_both_sides_have_them(sample_files):
    guess, truth = ap.read(sample_files / "guess.slp"), ap.read(sample_files / "truth.slp")
    assert evaluate(guess, truth).tracking is None
    comparison = evaluate(ap.track(guess, max_animals=3), truth)
    assert comparison.tracking is not None
    assert comparison.tracking.n_switches == 0
    assert comparison.tracking.idf1 == pytest.approx(1.0)
    assert comparison.tracking.hota == pytest.approx(1.0)
    everything = truth.poses.track.astype(np.int64)
    swapped = truth.poses.replace(
        origin=np.full(len(everything), Origin.PREDICTED),
        track=np.where(truth.poses.frame < 20, everything, (everything + 1) % 3),
    )
    spoiled = evaluate(truth.with_poses(swapped), truth).tracking
    assert spoiled is not None
    assert spoiled.n_switches == 3
    assert [switch.frame for switch in spoiled.switches] == [20, 20, 20]


def test_trackers_are_chosen_by_name():
    for name in ("window", "kalman"):
        poses = ap.track(walk_apart(), config=IdentityConfig(track=TrackConfig(tracker=name)))
        assert len(poses.track_names) == 2
