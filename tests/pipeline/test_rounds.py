"""Rounds and runs side by side, from run folders that are written by hand."""

import json
import math
from datetime import UTC, datetime

import numpy as np
import pytest

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError, ModelError
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.runs import RunFolder, write_json
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.pipeline.comparing import FIGURES, compare_runs
from napari_animalpose.pipeline.evaluation import evaluate
from napari_animalpose.pipeline.held_out import common_held_out, read_split_of
from napari_animalpose.pipeline.looked_at import FRAMES_KEY
from napari_animalpose.pipeline.rounds import (
    compare_rounds,
    draw_rounds,
    models_folder,
    next_run_folder,
    read_rounds,
)
from napari_animalpose.pipeline.worst import rank_errors

SKELETON = Skeleton(("a", "b"))
ANIMAL = np.array([[10.0, 10.0], [30.0, 25.0]])


def video(name):
    return LazyVideo(f"/d/{name}", shape=(100, 48, 64, 1))


def project(frames, name="v.mp4", shift=0.0, origin=Origin.USER, **options):
    xy = np.repeat(ANIMAL[None] + np.array([shift, 0.0]), len(frames), axis=0)
    poses = Poses.from_arrays(
        SKELETON, frame=frames, xy=xy, origin=origin, score=0.9, point_score=0.9
    )
    return Project(videos=[video(name)], poses=poses, **options)


def write_run(path, split, shift, *, date, resume=None, name="v.mp4", labels="/d/fly.slp",
              finished=True, minutes=2.0):  # fmt: skip
    """A run whose predictions are off by `shift` px, as training would leave it."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    folder.write_config(RunConfig(networks={"single_instance": ModelConfig()}))
    folder.write_skeleton(SKELETON)
    folder.write_split({part: [(0, f) for f in frames] for part, frames in split.items()})
    write_json(path / "initial_config.json", {"date": date, "resume": resume, "labels": labels})
    learned = project(sorted(f for frames in split.values() for f in frames), name)
    write_labels(learned, path / "labels.slp")
    if not finished:
        return path
    folder.write_weights("single_instance", [np.zeros(1)])
    metrics = {"seconds": 60 * minutes}
    for part in ("validation", "test"):
        frames = split.get(part, ())
        if frames:
            text = ",".join(map(str, frames))
            found = project(
                frames, name, shift, Origin.PREDICTED, provenance={FRAMES_KEY: {"0": text}}
            )
            write_labels(found, path / f"predictions.{part}.slp")
            metrics[part] = evaluate(found, learned).evaluation.to_dict()
    write_json(path / "metrics.json", metrics)
    return path


@pytest.fixture
def models(tmp_path):
    """Three rounds, each with more labels and better; a fourth goes on, a fifth is broken."""
    folder = tmp_path / "models"
    first = write_run(
        folder / "z", {"train": [0, 1, 2], "validation": [3], "test": []}, 4.0,
        date="2026-01-01T10:00:00+00:00",
    )  # fmt: skip
    write_run(
        folder / "b", {"train": [0, 1, 2, 4, 5], "validation": [3, 6]}, 2.0,
        date="2026-01-01T11:00:00+00:00", resume=str(first), minutes=0.5,
    )  # fmt: skip
    write_run(
        folder / "a", {"train": [0, 1, 2, 4, 5, 7], "validation": [6, 8], "test": [3]}, 1.0,
        date="2026-01-01T11:00:00+00:00", resume=[str(first), "other"],
    )  # fmt: skip
    write_run(folder / "c", {"train": [0], "validation": [3]}, 1.0,
              date="2026-01-02T00:00:00+00:00", finished=False)  # fmt: skip
    write_run(folder / "d", {"train": [0], "validation": [3]}, 1.0,
              date="2026-01-03T00:00:00+00:00")  # fmt: skip
    (folder / "d" / "labels.slp").write_bytes(b"no labels")
    (folder / "notes").mkdir()
    (folder / "file.txt").write_text("no run")
    return folder


def test_rounds_are_in_the_order_of_time(models):
    rounds = read_rounds(models)
    assert [each.number for each in rounds] == [1, 2, 3, 4, 5]
    assert [each.path.name for each in rounds] == ["z", "a", "b", "c", "d"]
    assert rounds[0].date == datetime(2026, 1, 1, 10, tzinfo=UTC)
    first, third, second, unfinished, broken = rounds
    assert (first.n_frames, first.n_instances, first.minutes) == (4, 4, 2.0)
    assert (second.n_frames, third.n_frames) == (7, 9)
    assert (first.started_from, second.started_from) == ("", str(models / "z"))
    assert third.started_from == f"{models / 'z'}, other"
    assert first.figure("error_p50") == pytest.approx(4)
    assert first.pipeline == "single"
    assert math.isnan(first.figure("no such figure"))
    assert first.is_finished
    assert not unfinished.is_finished
    assert math.isnan(unfinished.minutes)
    assert unfinished.figures == {}
    assert (unfinished.problem, unfinished.n_frames) == ("", 2)
    assert broken.problem.startswith("Expected")
    assert not broken.is_finished


def test_a_folder_that_is_not_there_has_no_rounds(tmp_path):
    assert read_rounds(tmp_path / "models") == []


def test_rounds_of_one_label_file_among_others(models):
    write_run(models / "other", {"train": [0], "validation": [1]}, 1.0,
              date="2026-01-01T00:00:00+00:00", labels="C:\\lab\\mouse.slp")  # fmt: skip
    write_run(models / "unknown", {"train": [0], "validation": [1]}, 1.0,
              date="2026-01-01T00:00:00+00:00", labels=None)  # fmt: skip
    names = [each.path.name for each in read_rounds(models, labels="/elsewhere/fly.slp")]
    assert names == ["unknown", "z", "a", "b", "c", "d"]
    names = [each.path.name for each in read_rounds(models, labels="mouse.slp")]
    assert names == ["other", "unknown"]


def test_an_older_run_without_a_date_has_that_of_its_configuration(models):
    (models / "z" / "initial_config.json").unlink()
    date = datetime.fromtimestamp((models / "z" / "config.json").stat().st_mtime, UTC)
    assert {each.path.name: each.date for each in read_rounds(models)}["z"] == date


def test_the_next_run_has_the_next_number(tmp_path):
    path = tmp_path / "fly.pkg.slp"
    assert models_folder(path) == tmp_path / "models"
    assert next_run_folder(path) == tmp_path / "models" / "fly_round_01"
    for name in ("fly_round_01", "fly_round_09", "fly_round_x", "mouse_round_30"):
        (tmp_path / "models" / name).mkdir(parents=True)
    assert next_run_folder(path).name == "fly_round_10"


# ------------------------------------------------------------------------ the fair curve
def test_frames_that_all_rounds_held_out(models):
    labels = project(range(9))
    folders = [RunFolder(models / name) for name in ("z", "a", "b")]
    assert common_held_out(folders, labels) == [(0, 3)]
    assert common_held_out(folders[1:], labels) == [(0, 3), (0, 6)]
    assert common_held_out([], labels) == []


def test_the_split_of_a_run_in_the_numbers_of_a_project(models):
    labels = project(range(9))
    turned = labels.with_videos([video("other.mp4"), video("v.mp4")])
    assert read_split_of(RunFolder(models / "z"), turned)["validation"] == [(1, 3)]
    strange = turned.with_videos([video("other.mp4"), video("another.mp4")])
    assert read_split_of(RunFolder(models / "z"), strange) == {
        "train": [], "validation": [], "test": [],
    }  # fmt: skip


def test_rounds_are_compared_on_the_same_labels_as_they_are_now(models):
    """The label in frame 3 was corrected by 1 px since: errors are to what it is now."""
    labels = project(range(9))
    xy = labels.poses.xy.copy()
    xy[3] += [1.0, 0.0]
    labels = labels.with_poses(labels.poses.replace(xy=xy))
    rounds, comparison = compare_rounds(read_rounds(models), labels)
    assert [each.path.name for each in rounds] == ["z", "a", "b"]
    assert comparison.frames.tolist() == [[0, 3]]
    assert [each.figure("error_p50") for each in rounds] == pytest.approx([3, 0, 1], abs=1e-4)
    assert {each.figures["n_frames"] for each in rounds} == {1}
    own = compare_runs([each.path for each in rounds])
    assert own.frames is None
    assert [row.n_frames for row in own.rows] == [1, 2, 2]
    assert [row.figures["error_p50"] for row in own.rows] == pytest.approx([4, 1, 2], abs=1e-4)
    assert set(FIGURES) <= set(own.rows[0].figures)


def test_without_common_frames_each_round_keeps_its_own_figures(models):
    labels = project([0, 1])
    rounds, comparison = compare_rounds(read_rounds(models), labels)
    assert comparison is None
    assert rounds[0].figure("error_p50") == pytest.approx(4)
    with pytest.raises(DataError, match="all 3 runs held out"):
        compare_runs([each.path for each in rounds], labels)
    assert compare_rounds([], labels) == ([], None)


def test_a_run_that_does_not_say_what_it_held_out_is_not_compared(models):
    """It may have learned from any frame: its figures would be too good."""
    (models / "a" / "split.json").write_text("{")
    rounds = read_rounds(models)
    assert [each.path.name for each in rounds if each.is_finished] == ["z", "b"]
    assert rounds[1].problem.startswith("Expected JSON")
    labels = project(range(9))
    finished, comparison = compare_rounds(rounds, labels)
    assert [each.path.name for each in finished] == ["z", "b"]
    assert comparison.frames.tolist() == [[0, 3]]
    with pytest.raises(ModelError, match="damaged file"):
        compare_runs([models / "z", models / "a"], labels)
    with pytest.raises(ModelError, match="damaged file"):
        common_held_out([RunFolder(models / "z"), RunFolder(models / "a")], labels)


def test_runs_that_are_not_finished_cannot_be_compared(models):
    with pytest.raises(ModelError, match=r"metrics\.json"):
        compare_runs([models / "c"])
    with pytest.raises(ModelError, match="finished run"):
        compare_runs([models / "c"], project(range(9)))


# ----------------------------------------------------------------------------- pictures
def test_the_curve_has_a_point_for_every_finished_round(models, tmp_path):
    rounds, _ = compare_rounds(read_rounds(models), project(range(9)))
    figure = draw_rounds(rounds, tmp_path / "rounds.png", title="Flies")
    (curve,) = [line for line in figure.axes[0].lines if line.get_gid() == "curve"]
    assert curve.get_xdata().tolist() == [4, 9, 7]
    assert curve.get_ydata().tolist() == pytest.approx([4, 1, 2], abs=1e-4)
    faces = [line.get_markerfacecolor() for line in figure.axes[0].lines[1:]]
    assert [face == "white" for face in faces] == [False, True, True]
    assert {text.get_text() for text in figure.axes[0].texts} == {"1", "2", "3"}
    bars = [(bar.get_x() + 0.3, bar.get_height()) for bar in figure.axes[2].patches]
    np.testing.assert_allclose(bars, [(1, 2.0), (2, 2.0), (3, 0.5)])
    assert (tmp_path / "rounds.png").stat().st_size > 1000
    with pytest.raises(DataError, match="finished round"):
        draw_rounds(read_rounds(models)[3:])


def test_figures_that_are_unknown_leave_the_panel_empty(models):
    rounds = read_rounds(models)[:1]
    metrics = json.loads((rounds[0].path / "metrics.json").read_text())
    metrics["validation"] |= {"mAP": None}
    write_json(rounds[0].path / "metrics.json", metrics)
    figure = draw_rounds(read_rounds(models)[:1])
    assert "not measured" in {text.get_text() for text in figure.axes[1].texts}


# ----------------------------------------------------------------------- worst instances
def test_errors_are_ranked_with_the_place_of_their_label():
    """Frame 1 has a prediction before its label; frame 5 is missed, frame 7 invented."""
    labels = Poses.concat([project([1], shift=9.0, origin=Origin.PREDICTED).poses,
                           project([1, 2, 5]).poses])  # fmt: skip
    table = Project(videos=[video("v.mp4")], poses=labels, negative_frames=[(0, 7)])
    found = Poses.concat([
        project([1], shift=1.0, origin=Origin.PREDICTED).poses,
        project([2], shift=3.0, origin=Origin.PREDICTED).poses,
        project([7], origin=Origin.PREDICTED).poses,
    ])  # fmt: skip
    xy = found.xy.copy()
    xy[1, 1, 0] += 2.0  # frame 2: 3 px and 5 px
    comparison = evaluate(table.with_poses(found.replace(xy=xy)), table)
    ranked = rank_errors(comparison)
    assert [(e.frame, e.kind, e.instance) for e in ranked] == [
        (5, "missed", 0), (2, "wrong", 0), (1, "wrong", 1), (7, "invented", -1),
    ]  # fmt: skip
    missed, worst, better, invented = ranked
    assert (worst.error_px, worst.node, worst.node_error_px) == pytest.approx((4, 1, 5))
    assert better.error_px == pytest.approx(1)
    assert math.isnan(missed.error_px)
    assert comparison.truth.frame[missed.truth_row] == 5
    assert comparison.predicted.frame[invented.predicted_row] == 7
    assert (missed.predicted_row, invented.truth_row) == (-1, -1)
    assert missed.predicted_xy is None
    for error in (worst, better, invented):
        found = comparison.predicted.xy[error.predicted_row]
        np.testing.assert_array_equal(error.predicted_xy, found)
    assert [e.frame for e in rank_errors(comparison, 2)] == [5, 2]


def test_given_pairs_alone_are_evaluated():
    truth = project([1, 2, 5])
    found = project([1, 2, 5], shift=2.0, origin=Origin.PREDICTED)
    assert evaluate(found, truth, pairs=[(0, 2), (0, 5), (0, 8)]).evaluation.n_frames == 2
    with pytest.raises(DataError, match="none in common"):
        evaluate(found, truth, pairs=[(0, 8), (1, 1)])
