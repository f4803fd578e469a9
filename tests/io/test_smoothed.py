"""Smoothed poses on disk: marks come back, other programs see poses, exports hold all."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import sleap_io

from napari_animalpose.config import SmoothConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.smoothed import PointKind, Smoothed
from napari_animalpose.errors import DataError, FileFormatError, OutputError
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.smoothed import has_marks, read_smoothed, write_smoothed
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.tracking.smoothing import smooth_poses

SKELETON = Skeleton(("head", "tail"), ((0, 1),))


@pytest.fixture
def raw(tmp_path):
    """A file with two tracks of which one misses frames 10 to 12, and its project."""
    rng = np.random.default_rng(0)
    frame = np.repeat(np.arange(30), 2)
    track = np.tile([0, 1], 30)
    xy = rng.normal(0, 1, (60, 2, 2)) + frame[:, None, None] + 100 * track[:, None, None]
    xy[track == 1, 1] = np.where(np.arange(30)[:, None] == 20, np.nan, xy[track == 1, 1])
    keep = (track == 0) | (frame < 10) | (frame > 12)
    poses = Poses.from_arrays(
        SKELETON,
        frame=frame[keep],
        xy=xy[keep],
        track=track[keep],
        origin=np.where(frame == 5, Origin.USER, Origin.PREDICTED)[keep],
        score=0.5,
        point_score=0.25,
        track_names=["a", "b"],
    )
    project = Project((LazyVideo("movie.mp4"),), poses)
    write_labels(project, tmp_path / "raw.slp")
    return read_labels(tmp_path / "raw.slp")


@pytest.mark.parametrize("method", ["kalman", "pchip", "savgol"])
def test_marks_come_back_bit_for_bit_and_the_raw_file_stays(raw, tmp_path, method):
    before = (tmp_path / "raw.slp").read_bytes()
    smoothed = smooth_poses(raw.poses, SmoothConfig(method))
    write_smoothed(smoothed, raw, tmp_path / "smooth.slp")
    assert (tmp_path / "raw.slp").read_bytes() == before
    project, back = read_smoothed(tmp_path / "smooth.slp")
    assert back.poses == smoothed.poses
    np.testing.assert_array_equal(back.kind, smoothed.kind)
    np.testing.assert_array_equal(back.stddev_px, smoothed.stddev_px)
    assert back.steps == smoothed.steps
    assert project.provenance["smoothing"]["raw"] == str(tmp_path / "raw.slp")
    assert project.provenance["smoothing"]["steps"][0]["method"] == method
    assert has_marks(tmp_path / "smooth.slp")
    assert not has_marks(tmp_path / "raw.slp")


def test_sleap_io_reads_the_smoothed_positions(raw, tmp_path):
    smoothed = smooth_poses(raw.poses)
    write_smoothed(smoothed, raw, tmp_path / "smooth.slp")
    labels = sleap_io.load_slp(str(tmp_path / "smooth.slp"))
    points = labels.numpy()  # (F, A, K, 2)
    assert points.shape == (30, 2, 2, 2)
    poses = smoothed.poses
    np.testing.assert_allclose(points[poses.frame, poses.track], poses.xy, rtol=1e-6)
    assert not np.isnan(points[10:13, 1]).any()


def test_other_formats_hold_what_was_filled(raw, tmp_path):
    smoothed = smooth_poses(raw.poses)
    made = smoothed.poses.select((smoothed.kind == PointKind.FILLED).all(axis=1))
    assert made.frame.tolist() == [10, 11, 12]
    for name in ("out.analysis.h5", "out.csv"):
        write_labels(raw.with_poses(smoothed.poses), tmp_path / name)
        back = read_labels(tmp_path / name).poses
        names = np.array(back.track_names)[back.track]
        for row in range(len(made)):
            found = back.xy[(back.frame == made.frame[row]) & (names == "b")]
            np.testing.assert_allclose(found, made.xy[row][None], rtol=1e-6)
        assert len(back) == len(smoothed.poses)


def test_smoothing_again_replaces_the_marks(raw, tmp_path):
    write_smoothed(smooth_poses(raw.poses), raw, tmp_path / "one.slp")
    project, once = read_smoothed(tmp_path / "one.slp")
    twice = smooth_poses(once, SmoothConfig("median"))
    write_smoothed(twice, project, tmp_path / "two.slp")
    _, back = read_smoothed(tmp_path / "two.slp")
    assert [step["method"] for step in back.steps] == ["kalman", "median"]
    np.testing.assert_array_equal(back.kind, twice.kind)


def test_frames_in_any_order_keep_their_marks(raw, tmp_path):
    # SLEAP keeps frames in the order of labelling, and may hold a frame twice.
    labels = sleap_io.load_slp(str(tmp_path / "raw.slp"))
    frames = labels.labeled_frames
    labels.labeled_frames = [*frames[15:], *frames[:15]]
    labels.save(str(tmp_path / "shuffled.slp"))
    project = read_labels(tmp_path / "shuffled.slp")
    smoothed = smooth_poses(project.poses)
    write_smoothed(smoothed, project, tmp_path / "smooth.slp")
    _, back = read_smoothed(tmp_path / "smooth.slp")
    assert back.poses == smoothed.poses
    np.testing.assert_array_equal(back.kind, smoothed.kind)


def test_the_raw_file_and_other_formats_are_refused_as_target(raw, tmp_path):
    smoothed = smooth_poses(raw.poses)
    with pytest.raises(OutputError, match="another file than that of the raw poses"):
        write_smoothed(smoothed, raw, tmp_path / "raw.slp")
    with pytest.raises(OutputError, match=r"ends with \.slp"):
        write_smoothed(smoothed, raw, tmp_path / "smooth.csv")


def test_marks_of_other_poses_are_refused(raw, tmp_path):
    with pytest.raises(FileFormatError, match="no point whether it was smoothed"):
        read_smoothed(tmp_path / "raw.slp")
    write_smoothed(smooth_poses(raw.poses), raw, tmp_path / "smooth.slp")
    with h5py.File(tmp_path / "smooth.slp", "a") as file:
        points = file["pred_points"][()]
        points["x"][3] += 1
        file["pred_points"][...] = points
    with pytest.raises(FileFormatError, match="were changed since"):
        read_smoothed(tmp_path / "smooth.slp")


def test_marks_that_do_not_fit_are_refused():
    poses = Poses.from_arrays(SKELETON, frame=[0], xy=np.zeros((1, 2, 2)))
    with pytest.raises(DataError, match=r"kind of shape \(1, 2\).*received shape \(1, 3\)"):
        Smoothed(poses, np.zeros((1, 3)), np.zeros((1, 2)))
    with pytest.raises(DataError, match="kinds from 0 to 2; received 7"):
        Smoothed(poses, np.full((1, 2), 7), np.zeros((1, 2)))
    assert repr(Smoothed.raw(poses)).startswith("<Smoothed: 0 points filled, 0 moved, <Poses: 1 ")
