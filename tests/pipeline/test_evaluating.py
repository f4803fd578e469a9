"""Runs side by side for a window, and what models are, without any network."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from written_runs import write_finished_run

from napari_animalpose import jobs
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import CancelledError, ConfigError, ModelError
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.run_zip import open_run, zip_run
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.pipeline.evaluating import evaluate_runs
from napari_animalpose.pipeline.held_out import read_split_of
from napari_animalpose.pipeline.model_info import describe_model, explain_mismatch, list_models
from napari_animalpose.pipeline.start import open_start


@pytest.fixture
def labels(tiny_labels: Path) -> Project:
    return read_labels(tiny_labels)


# -------------------------------------------------------------------------- side by side
def test_runs_are_measured_on_the_frames_that_all_held_out(labels, tmp_path):
    near = write_finished_run(tmp_path / "near", labels, [0, 4, 8], shift_px=2)
    far = write_finished_run(tmp_path / "far", labels, [4, 8, 12], shift_px=6, lost=(8,))
    events = []
    report = evaluate_runs([far, near], labels, on_event=events.append)
    assert report.n_common == 2
    assert [run.path for run in report.runs] == [far, near]
    assert [run.figures["error_p50"] for run in report.runs] == [6, 2]
    assert [run.n_frames for run in report.runs] == [2, 2]
    assert [(e.kind, e.frame) for e in report.runs[0].errors] == [("missed", 8), ("wrong", 4)]
    assert events[-1] == jobs.Progress("compare", 2, 2)


def test_zips_of_runs_are_compared_like_the_folders(labels, tmp_path):
    near = write_finished_run(tmp_path / "near", labels, [0, 4, 8], shift_px=2)
    far = write_finished_run(tmp_path / "far", labels, [4, 8, 12], shift_px=6, lost=(8,))
    report = evaluate_runs([zip_run(far), zip_run(near)], labels)
    assert report.n_common == 2
    assert [run.path.name for run in report.runs] == ["far.zip", "near.zip"]
    assert [run.figures["error_p50"] for run in report.runs] == [6, 2]
    assert [(e.kind, e.frame) for e in report.runs[0].errors] == [("missed", 8), ("wrong", 4)]


def test_a_zip_says_what_its_run_held_out_and_its_images_stay_packed(labels, tmp_path):
    run = write_finished_run(tmp_path / "run", labels, [4, 8])
    (run / "labels.pkg.slp").write_bytes(b"images")
    packed = zip_run(run)
    unpacked = open_run(packed)
    assert not (unpacked.path / "labels.pkg.slp").exists()
    split = read_split_of(RunFolder(run), labels)
    assert split["validation"] == [(0, 4), (0, 8)]
    assert read_split_of(unpacked, labels) == split
    assert open_start(packed).read_split(labels) == split


def test_a_run_that_does_not_say_what_it_held_out_stands_beside_the_others(labels, tmp_path):
    near = write_finished_run(tmp_path / "near", labels, [0, 4, 8], shift_px=2)
    lost = write_finished_run(tmp_path / "lost", labels, [4])
    far = write_finished_run(tmp_path / "far", labels, [4, 8, 12], shift_px=6)
    (lost / "split.json").unlink()
    report = evaluate_runs([near, lost, far], labels)
    assert [run.path for run in report.runs] == [near, lost, far]
    assert "run folder with split.json" in report.runs[1].problem
    assert (report.runs[1].figures, report.runs[1].circles) == ({}, None)
    assert [run.n_frames for run in report.runs] == [2, 0, 2]
    assert report.n_common == 2
    assert evaluate_runs([lost]).runs[0].problem == ""  # its own figures it has all the same


def test_circles_count_missed_points(labels, tmp_path):
    """One animal of four is missed: 75 % of the points lie within 3 px, and no more."""
    run = write_finished_run(tmp_path / "run", labels, [0, 4, 8, 12], shift_px=3, lost=(8,))
    [report] = evaluate_runs([run], labels).runs
    radii = report.circles.radii[np.isfinite(report.circles.xy[:, 0])]
    np.testing.assert_allclose(radii, [[3, 3, np.inf]] * len(radii), atol=1e-4)


def test_circles_have_the_radii_of_the_errors_and_the_animal_in_place(labels, tmp_path):
    run = write_finished_run(tmp_path / "run", labels, [4], shift_px=3)
    [report] = evaluate_runs([run], labels).runs
    circles = report.circles
    known = np.isfinite(circles.xy[:, 0])
    np.testing.assert_allclose(circles.radii[known], 3, atol=1e-4)
    frame = np.asarray(labels.videos[0][4])
    offset = labels.poses.at(0, 4).xy[0] - circles.xy
    left, top = np.unique(offset[known].round(3), axis=0)[0].astype(int)
    height, width = circles.image.shape[:2]
    part = frame[top : top + height, left : left + width]  # one channel, shown as grey
    np.testing.assert_array_equal(circles.image, np.repeat(part, 3, axis=2))


def test_without_common_frames_each_run_has_its_own(labels, tmp_path):
    one = write_finished_run(tmp_path / "one", labels, [0, 4])
    two = write_finished_run(tmp_path / "two", labels, [8], shift_px=5)
    report = evaluate_runs([one, two], labels)
    assert report.n_common == 0
    assert [(run.n_frames, run.figures["error_p50"]) for run in report.runs] == [(2, 3), (1, 5)]
    assert all(run.errors for run in report.runs)
    alone = evaluate_runs([one, two])
    assert [(run.n_frames, run.errors) for run in alone.runs] == [(2, ()), (1, ())]


def test_what_is_no_finished_run_stands_in_the_report(labels, tmp_path):
    good = write_finished_run(tmp_path / "good", labels, [4])
    (tmp_path / "empty").mkdir()
    report = evaluate_runs([tmp_path / "empty", good], labels)
    assert report.runs[0].problem
    assert report.runs[1].problem == ""
    assert report.n_common == 1


def test_a_missing_video_leaves_a_black_picture_and_nothing_found_no_circles(labels, tmp_path):
    gone = labels.with_videos([LazyVideo("/nowhere/video.mp4", shape=(24, 96, 128, 1))])
    run = write_finished_run(tmp_path / "run", gone, [4])
    nothing = write_finished_run(tmp_path / "nothing", gone, [4], lost=(4,))
    report = evaluate_runs([run, nothing], gone)
    assert report.runs[0].circles.image.max() == 0
    assert report.runs[1].circles is None
    assert report.runs[1].errors[0].kind == "missed"


def test_a_comparison_can_be_cancelled(labels, tmp_path):
    run = write_finished_run(tmp_path / "run", labels, [4])
    with pytest.raises(CancelledError):
        evaluate_runs([run], labels, should_stop=lambda: jobs.StopRequest.CANCEL)


# --------------------------------------------------------------------------- what they are
def test_a_run_and_its_zip_are_described_alike(labels, tmp_path):
    run = write_finished_run(tmp_path / "run", labels, [4], shift_px=2.5)
    packed = zip_run(run)
    for path in (run, packed):
        info = describe_model(path)
        assert (info.name, info.pipeline, info.error_px) == ("run", "single", 2.5)
        assert info.skeleton == labels.skeleton
        assert not info.is_sleap
        assert not info.identifies


def test_models_of_a_folder_are_listed_without_what_is_none(labels, tmp_path):
    models = tmp_path / "models"
    assert list_models(models) == []
    done = write_finished_run(models / "done", labels, [4])
    untrained = RunFolder(models / "untrained")
    untrained.path.mkdir()
    untrained.write_config(RunFolder(done).read_config())
    untrained.write_skeleton(labels.skeleton)
    (models / "other").mkdir()
    assert [info.name for info in list_models(models)] == ["done"]
    with pytest.raises(ModelError, match="not trained"):
        describe_model(untrained.path)


def test_what_is_no_model_is_refused(labels, tmp_path):
    run = write_finished_run(tmp_path / "run", labels, [4])
    with pytest.raises(ModelError, match="does not exist"):
        describe_model(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="received none"):
        describe_model([])
    with pytest.raises(ConfigError, match="alone"):
        describe_model([run, run])


@pytest.mark.parametrize(
    ("names", "pipeline", "missing", "nodes"),
    [
        (["bottomup"], "bottomup", "", ("A", "B")),
        (["centroid"], "topdown", "centered_instance", ("centroid",)),
        (["centered_instance"], "topdown", "centroid", ("A", "B")),
        (["centroid", "centered_instance"], "topdown", "", ("A", "B")),
        (["centered_instance", "centroid"], "topdown", "", ("A", "B")),
    ],
)
def test_models_of_sleap_say_what_they_lack(real_data, names, pipeline, missing, nodes):
    paths = [real_data / "sleap_models" / f"minimal_instance.UNet.{name}" for name in names]
    info = describe_model(paths)
    assert (info.pipeline, info.missing, info.skeleton.nodes) == (pipeline, missing, nodes)
    assert info.is_sleap
    assert info.needs_labels == (missing == "centroid")
    assert math.isnan(info.error_px)


def test_models_of_sleap_that_do_not_go_together_are_refused(real_data):
    folder = real_data / "sleap_models"
    with pytest.raises(ModelError, match="one of each kind"):
        describe_model([folder / f"minimal_instance.UNet.{n}" for n in ("bottomup", "centroid")])


def test_a_mismatch_of_points_is_one_sentence_and_order_is_none():
    project = Skeleton(("a", "b", "c"), ((0, 1),))
    assert explain_mismatch(Skeleton(("c", "b", "a")), project) == ""
    assert explain_mismatch(Skeleton(("x",)), Poses.empty(Skeleton(())).skeleton) == ""
    many = Skeleton(("a", "b", *(f"n{i}" for i in range(6))))
    assert "it lacks c and also has n0, n1, n2, n3 and 2 more." in explain_mismatch(many, project)
