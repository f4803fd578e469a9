"""The Train dock: the choice and its reasons, what is in the way, what is started."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scripted_training import ScriptedJob
from sleap_models import write_model
from written_runs import write_finished_run

from napari_animalpose import jobs
from napari_animalpose._widgets import _training_setup
from napari_animalpose._widgets._geometry_overlay import outline
from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets._worker import QtJob
from napari_animalpose._widgets.monitor import MonitorDock
from napari_animalpose._widgets.train_dock import TrainDock
from napari_animalpose.config import ModelConfig, RunConfig, TrainConfig, override
from napari_animalpose.data.edits import add_instances, move_points
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import AnimalPoseError
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.nn.autoconfig import choose_config
from napari_animalpose.pipeline.background import Device, RoundHistory, find_device
from napari_animalpose.pipeline.document import Document
from napari_animalpose.pipeline.previews import Rectangle
from napari_animalpose.pipeline.rounds import Round

pytestmark = pytest.mark.gui

CHILD_MS = 60_000  # for a child process, on a machine that has other things to do


@pytest.fixture
def real_children() -> None:
    """Have child processes do what they do; asked for by tests that are about them."""


@pytest.fixture(autouse=True)
def children(request, monkeypatch) -> None:
    """Answer at once what a child process would answer a second later."""
    if "real_children" in request.fixturenames:
        return

    def start(function, *args, parent=None, nice=0, env=None, **kwargs):
        if function is find_device:  # loads TensorFlow, which has no place here
            return QtJob(ScriptedJob([jobs.Result(Device("cpu", "CPU", "float32"))]), parent)
        try:
            last = jobs.Result(function(*args, **kwargs))
        except AnimalPoseError as error:
            last = jobs.Failed(str(error), type(error).__name__)
        return QtJob(ScriptedJob([last]), parent)

    monkeypatch.setattr(QtJob, "start", start)


@pytest.fixture
def session(make_napari_viewer_proxy, monkeypatch):
    session = get_session(make_napari_viewer_proxy())
    monkeypatch.setattr(session, "open_dock", lambda name: None)
    return session


@pytest.fixture
def labels(tiny_labels: Path, tmp_path: Path) -> Path:
    for name in ("labels.slp", "video.mp4"):
        shutil.copy(tiny_labels.parent / name, tmp_path / name)
    return tmp_path / "labels.slp"


@pytest.fixture
def dock(qtbot, session):
    dock = TrainDock(session.viewer)
    qtbot.addWidget(dock)
    dock.resize(360, 900)
    dock.show()
    return dock


@pytest.fixture
def ready(qtbot, session, dock, labels):
    """The dock with labels that were measured."""
    assert session.open(labels, ask=False)
    qtbot.waitUntil(lambda: dock.setup.measures is not None, timeout=CHILD_MS)
    return dock


def open_project(session, project: Project) -> None:
    session.set_document(Document(project))


def enter(form, path: str, text: str) -> None:
    editor = form.editor(path)
    editor.lineEdit().setText(text)
    editor.lineEdit().textEdited.emit(text)


def choose(combo, data: str) -> None:
    """Choose as a person does."""
    combo.setCurrentIndex(combo.findData(data))
    combo.activated.emit(combo.currentIndex())


def enlarge(session) -> None:
    """Make all labelled animals twice as large."""
    poses = session.document.poses
    address = np.array([
        (0, frame, 0, node) for frame in poses.frame.tolist() for node in range(poses.n_nodes)
    ])  # fmt: skip
    there = np.isfinite(poses.xy).all(axis=-1).ravel()
    assert session.do(move_points(poses, address[there], 2 * poses.xy.reshape(-1, 2)[there]))


def capture_start(monkeypatch, dock) -> list[tuple[Project, Path, dict]]:
    """Have trainings noted instead of started."""
    started: list[tuple[Project, Path, dict]] = []

    def start(project, out, **options):
        started.append((project, out, options))

    monkeypatch.setattr(dock.setup.runs, "start", start)
    return started


# --------------------------------------------------------------------------- in the way
def test_without_a_document_it_says_what_to_do(dock):
    assert dock.footer.problem.text() == "Open a video or labels first."
    assert not dock.footer.train.isEnabled()


def test_without_a_skeleton_or_labels_it_says_what_to_do(session, dock, labels):
    videos = Document.open(labels).videos
    open_project(session, Project(videos, Poses.empty(Skeleton(()))))
    assert dock.footer.problem.text().startswith("Define a skeleton first")
    open_project(session, Project(videos, Poses.empty(Skeleton(("a", "b")))))
    assert dock.footer.problem.text().startswith("Label some frames first")
    assert not dock.footer.train.isEnabled()


def test_a_project_without_a_file_needs_a_folder(qtbot, session, dock, labels, tmp_path):
    project = Document.open(labels).project.replace(path=None)
    open_project(session, project)
    qtbot.waitUntil(lambda: dock.setup.measures is not None, timeout=CHILD_MS)
    assert dock.footer.problem.text().startswith("Save the project first")
    dock.footer.out.setText(str(tmp_path / "model"))
    dock.footer.out.editingFinished.emit()
    assert dock.footer.train.isEnabled()
    assert dock.setup.out == tmp_path / "model"


def test_a_folder_that_holds_files_is_refused(ready, labels):
    taken = labels.parent / "taken"
    taken.mkdir()
    (taken / "file").touch()
    ready.footer.out.setText("taken")
    ready.footer.out.editingFinished.emit()
    assert ready.setup.out == taken
    assert "holds files already" in ready.footer.problem.text()


def test_a_missing_video_is_named(qtbot, session, dock, labels):
    project = Document.open(labels).project
    gone = LazyVideo(str(labels.parent / "gone.mp4"))
    open_project(session, project.replace(videos=(gone,)))
    qtbot.waitUntil(lambda: "gone.mp4" in dock.footer.problem.text(), timeout=CHILD_MS)
    assert not dock.footer.train.isEnabled()


def test_too_few_frames_are_counted(qtbot, session, dock, labels):
    project = Document.open(labels).project
    one = project.poses.select(np.flatnonzero(project.poses.frame == 0))
    open_project(session, project.replace(poses=one))
    qtbot.waitUntil(lambda: dock.setup.measures is not None, timeout=CHILD_MS)
    assert dock.footer.problem.text().startswith("Label at least 2 frames")
    enter(dock.form, "train.validation_fraction", "0")
    assert dock.footer.problem.text() == ""


def test_predictions_alone_are_learned_from_with_a_warning(qtbot, session, dock, labels):
    project = Document.open(labels).project
    poses = project.poses.replace(origin=np.full(len(project.poses), Origin.PREDICTED, np.uint8))
    assert not poses.is_label.any()
    open_project(session, project.replace(poses=poses))
    qtbot.waitUntil(lambda: dock.setup.measures is not None, timeout=CHILD_MS)
    assert "There are no labels" in dock.footer.note.text()


def test_an_invalid_option_is_in_the_way(ready):
    enter(ready.form, "train.batch_size", "0")
    assert "Batch size" in ready.footer.problem.text()
    assert not ready.footer.train.isEnabled()
    enter(ready.form, "train.batch_size", "2")
    assert ready.footer.train.isEnabled()


# ---------------------------------------------------------------------------- choosing
def test_automatic_says_what_it_chose_and_why_without_tensorflow(real_children, ready):
    assert ready.pipeline.currentText() == "automatic: single"
    assert ready.setup.config.pipeline == "single"
    ready.why.open()
    assert "never more than one animal" in ready.reasons.text()
    assert ready.setup.config.train.max_minutes == 15
    assert ready.footer.problem.text() == ""
    assert not {"tensorflow", "keras"} & set(sys.modules)


def test_pipeline_and_preset_choose_anew_and_changes_stay(ready):
    enter(ready.form, "networks.single_instance.sigma_px", "4.5")
    enter(ready.form, "train.seed", "7")
    choose(ready.preset, "fast")
    assert ready.setup.config.networks["single_instance"].sigma_px == 4.5
    assert ready.setup.config.train.max_minutes == 5
    choose(ready.pipeline, "topdown")
    assert list(ready.setup.config.networks) == ["centroid", "centered_instance"]
    assert ready.setup.config.train.seed == 7
    assert ready.form.editor("networks.centered_instance.crop_px").value() > 0
    assert ready.form.editor("networks.centroid.sigma_px") is not None
    assert ready.reset.isVisible()
    ready.reset.click()
    assert ready.setup.config == ready.setup.chosen
    assert ready.form.value().train.seed == 0


def test_options_of_another_backbone_stay_with_another_preset(ready):
    ready.form.editor("networks.single_instance.backbone").setValue("leap")
    enter(ready.form, "networks.single_instance.backbone_options.filters", "12")
    choose(ready.preset, "fast")
    assert ready.setup.config.train.max_minutes == 5
    network = ready.setup.config.networks["single_instance"]
    assert network.backbone == "leap"
    assert network.backbone_options["filters"] == 12


def test_a_mistake_that_is_corrected_later_brings_nothing_old_back(ready, session, qtbot):
    enter(ready.form, "train.batch_size", "0")
    choose(ready.pipeline, "topdown")
    assert ready.footer.problem.text() == ""
    assert ready.form.value() == ready.setup.config
    enter(ready.form, "train.batch_size", "0")
    choose(ready.preset, "fast")
    assert ready.form.value() == ready.setup.config
    enter(ready.form, "train.batch_size", "3")
    assert ready.setup.config.pipeline == "topdown"
    assert ready.setup.config.train.batch_size == 3
    assert ready.setup.config.train.max_minutes == 5
    choose(ready.pipeline, "auto")
    assert ready.setup.config.pipeline == "single"
    enter(ready.form, "train.batch_size", "0")
    ready.reset.click()
    assert ready.footer.problem.text() == ""
    assert ready.form.value() == ready.setup.config == ready.setup.chosen


def test_a_mistake_does_not_keep_the_pipeline_of_labels_that_are_others_now(ready, session, qtbot):
    enter(ready.form, "train.batch_size", "0")
    poses = session.document.poses
    second = poses.select([0]).replace(track=-1, xy=poses.xy[:1] + 20)
    assert session.do(add_instances(poses, second))
    qtbot.waitUntil(lambda: ready.setup.chosen.pipeline != "single", timeout=CHILD_MS)
    assert ready.form.value() == ready.setup.config
    enter(ready.form, "train.batch_size", "3")
    assert ready.setup.config.pipeline == ready.setup.chosen.pipeline
    assert ready.setup.config.train.batch_size == 3


def test_edits_are_measured_again(qtbot, session, ready):
    before = ready.setup.measures.size_px
    enlarge(session)
    qtbot.waitUntil(lambda: ready.setup.measures.size_px > 1.5 * before, timeout=CHILD_MS)


# ------------------------------------------------------------------------------ squares
def test_squares_have_the_size_of_what_the_network_sees(session, ready):
    viewer = session.viewer
    ready.show_geometry.setChecked(True)
    layer = ready.overlay.layer
    assert layer in viewer.layers
    assert viewer.layers.selection.active is session.canvas.points
    side = ready.overlay.geometry.receptive_field_px
    xy = session.rows.xy[0]
    centre = (np.nanmin(xy, axis=0) + np.nanmax(xy, axis=0)) / 2
    np.testing.assert_allclose(np.ptp(layer.data[4:, 0], axis=0), side, rtol=1e-6)
    middle = layer.data[4:, 0].mean(axis=0)[::-1]
    np.testing.assert_allclose(middle, centre, atol=1e-3)
    assert f"sees {side:.0f} px" in ready.legend.text()
    enter(ready.form, "networks.single_instance.input_scale", "0.5")
    assert ready.overlay.geometry.receptive_field_px == pytest.approx(
        side * ready.setup.chosen.networks["single_instance"].input_scale / 0.5
    )


def test_squares_follow_the_frame_and_go_with_the_dock(session, ready):
    ready.show_geometry.setChecked(True)
    before = ready.overlay.layer.data.copy()
    session.go_to(12)
    assert not np.allclose(before, ready.overlay.layer.data)
    ready.hide()
    assert "network view" not in session.viewer.layers
    ready.show()
    assert "network view" in session.viewer.layers
    session.viewer.layers.remove("network view")
    assert not ready.show_geometry.isChecked()


def test_outlines_go_around():
    sides = outline(Rectangle(1, 2, 5, 9))
    np.testing.assert_allclose(sides[:, 1].sum(axis=0), 0)
    np.testing.assert_allclose(sides[:-1, 0] + sides[:-1, 1], sides[1:, 0])
    np.testing.assert_allclose(sides[0], [[2, 1], [0, 4]])


def test_windows_of_a_real_frame_are_shown(qtbot, ready):
    ready.examples.open()
    qtbot.waitUntil(lambda: bool(ready.augment.windows._images), timeout=CHILD_MS)
    assert len(ready.augment.windows._images) == 6
    assert "frame" in ready.augment.caption.text()
    first = ready.augment.windows._images[0].copy()
    ready.augment.again.click()
    qtbot.waitUntil(lambda: ready.augment.windows._images[0] != first, timeout=CHILD_MS)
    ready.examples.open(False)
    assert ready.augment._worker is None


# ------------------------------------------------------------------------------ starting
def test_what_is_started_includes_unsaved_edits(monkeypatch, session, ready, labels):
    started = capture_start(monkeypatch, ready)
    poses = session.document.poses
    session.do(move_points(poses, [(0, 0, 0, 0)], [[11.5, 12.5]]))
    enter(ready.form, "train.batch_size", "3")
    ready.footer.train.click()
    [(project, out, options)] = started
    assert out == labels.parent / "models" / "labels_round_01"
    np.testing.assert_allclose(project.poses.at(0, 0).xy[0, 0], [11.5, 12.5])
    assert options["config"].train.batch_size == 3
    assert session.document.is_dirty


def test_training_right_after_an_edit_suits_the_labels_as_they_are(monkeypatch, session, ready):
    started = capture_start(monkeypatch, ready)
    before, earlier = ready.setup.measures.size_px, ready.setup.config.networks
    enlarge(session)
    ready.footer.train.click()
    [(_, _, options)] = started
    assert ready.setup.measures.size_px > 1.5 * before
    suits = choose_config(ready.setup.measures, "balanced").config.networks
    assert options["config"].networks == suits != earlier


def test_nothing_is_trained_while_labels_are_measured_anew(monkeypatch, session, ready, qtbot):
    started = capture_start(monkeypatch, ready)
    monkeypatch.setattr(_training_setup, "MEASURED_HERE", 0)  # so in a child
    told = []
    monkeypatch.setattr(session, "show_error", told.append)
    enlarge(session)
    ready.footer.train.click()
    assert ready.setup.is_measuring
    assert started == []
    assert told == ["Looking at the labels and their frames …"]
    assert not ready.footer.train.isEnabled()
    qtbot.waitUntil(ready.footer.train.isEnabled, timeout=CHILD_MS)
    ready.footer.train.click()
    assert len(started) == 1


@pytest.fixture
def earlier(labels: Path) -> Path:
    """A run folder without weights, of a network for these labels."""
    folder = RunFolder(labels.parent / "models" / "labels_round_01")
    folder.path.mkdir(parents=True)
    folder.write_config(RunConfig(train=TrainConfig(max_minutes=8, learning_rate=4e-3)))
    folder.write_skeleton(Document.open(labels).skeleton)
    network = folder.path / "single_instance"
    network.mkdir()
    (network / "weights.npz").touch()
    return folder.path


def test_going_on_is_shorter_and_tells_only_what_was_changed(monkeypatch, session, earlier, ready):
    started = capture_start(monkeypatch, ready)
    ready._continue_from(earlier)
    assert not ready.pipeline.isEnabled()
    assert ready.setup.config.train.learning_rate == 4e-3
    assert ready.setup.config.train.max_minutes == 4
    with pytest.raises(KeyError):
        ready.form.editor("networks.single_instance.sigma_px")
    enter(ready.form, "augment.rotation_deg", "20")
    ready.footer.train.click()
    [(_, out, options)] = started
    assert options["resume"] == earlier
    assert options["overrides"] == ["augment.rotation_deg=20.0"]
    assert out.name == "labels_round_02"
    assert override(RunConfig(), options["overrides"]).augment.rotation_deg == 20


def test_labels_of_another_animal_cannot_go_on(earlier, ready):
    RunFolder(earlier).write_skeleton(Skeleton(("other",)))
    ready._continue_from(earlier)
    assert "Expected labels with the nodes other" in ready.footer.problem.text()
    ready._continue_from(None)
    assert ready.footer.problem.text() == ""


def test_a_model_of_sleap_is_shown_as_it_is_trained(monkeypatch, session, ready, tmp_path):
    started = capture_start(monkeypatch, ready)
    folder = write_model(tmp_path / "sleap", "centered_instance")
    usual = choose_config(ready.setup.measures, "balanced", "topdown").config.train.learning_rate
    ready.show_geometry.click()
    assert ready.overlay.layer is not None
    ready._continue_from(folder)
    assert ready.pipeline.currentData() == ready.setup.config.pipeline == "topdown"
    assert ready.form.editor("train.learning_rate").value() == usual / 4
    assert ready.form.editor("train.max_minutes").value() == 15
    assert ready.overlay.layer is None
    assert not ready.show_geometry.isVisible()
    assert not ready.examples.isVisible()
    assert "not shown" in ready.unseen.text()
    assert ready.unseen.isVisible()
    ready.footer.train.click()
    [(_, _, options)] = started
    assert options["resume"] == folder
    assert options["overrides"] == ["train.max_minutes=15.0"]
    assert not {"tensorflow", "keras"} & set(sys.modules)
    ready._continue_from(None)
    assert ready.overlay.layer is not None
    assert ready.examples.isVisible()
    assert not ready.unseen.isVisible()


def test_a_model_of_sleap_for_one_animal_does_not_go_on_with_two(session, ready, tmp_path, qtbot):
    poses = session.document.poses
    second = poses.select([0]).replace(track=-1, xy=poses.xy[:1] + 20)
    assert session.do(add_instances(poses, second))
    qtbot.waitUntil(lambda: ready.setup.measures.animals_per_frame == 2, timeout=CHILD_MS)
    ready._continue_from(write_model(tmp_path / "sleap", "single_instance"))
    assert "up to 2 animals" in ready.footer.problem.text()


def test_retrain_is_of_the_newest_round_also_with_the_rounds_folded(session, ready, labels, qtbot):
    models, project = labels.parent / "models", session.document.project
    ready.history.open(False)
    first = write_finished_run(models / "labels_round_01", project, [0, 4])
    ready.setup.runs.ended.emit(None)
    qtbot.waitUntil(ready.footer.retrain.isVisible, timeout=CHILD_MS)
    assert ready.rounds.last.path == first
    second = write_finished_run(models / "labels_round_02", project, [0, 4])
    ready.setup.runs.ended.emit(None)
    assert ready.rounds.last is None  # until it is known which
    assert not ready.footer.retrain.isVisible()
    qtbot.waitUntil(ready.footer.retrain.isVisible, timeout=CHILD_MS)
    assert ready.rounds.last.path == second


def test_rounds_that_come_while_nobody_looks_are_read_when_somebody_does(
    session, ready, labels, qtbot
):
    ready.history.open(False)
    ready.hide()
    write_finished_run(labels.parent / "models" / "labels_round_01", session.document.project, [4])
    ready.setup.runs.ended.emit(None)
    qtbot.wait(150)
    assert ready.rounds.last is None
    ready.show()
    qtbot.waitUntil(lambda: ready.rounds.last is not None, timeout=CHILD_MS)
    assert ready.footer.retrain.isVisible()


def test_rounds_are_a_curve_a_table_and_a_button(monkeypatch, session, earlier, ready, qtbot):
    qtbot.waitUntil(lambda: len(ready.rounds.history.rounds) == 1, timeout=CHILD_MS)
    started = capture_start(monkeypatch, ready)
    from datetime import UTC, datetime

    figures = ({"error_p50": 9.0, "mAP": 0.4}, {"error_p50": 4.0, "mAP": 0.8})
    rounds = tuple(
        Round(
            number, earlier, datetime(2026, 1, number, tzinfo=UTC), "single", 10 * number,
            20 * number, 1.5, figures[number - 1], "a" if number == 2 else "", True,
        )
        for number in (1, 2)
    )  # fmt: skip
    ready.rounds._set(RoundHistory(rounds, rounds, 3))
    [series] = ready.rounds.plot._series
    np.testing.assert_array_equal(series.points, [[10, 9.0], [20, 4.0]])
    cells = [ready.rounds.table.item(0, column).text() for column in range(5)]
    assert cells == ["2 →", "20", "4.00", "0.80", "1.5"]
    assert "same 3 frames" in ready.rounds.note.text()
    assert ready.resume.itemText(1).startswith("round 2")
    enter(ready.form, "train.seed", "5")
    ready.footer.retrain.click()
    assert started[0][2]["resume"] == earlier
    assert started[0][2]["overrides"] == []
    assert ready.setup.resume is None
    assert ready.setup.config.train.seed == 5  # of the training that is being set up
    ready.resume.setCurrentIndex(1)
    ready.resume.activated.emit(1)
    assert ready.setup.resume == earlier
    assert ready.resume.currentText().startswith("round 2")


def test_without_rounds_there_is_nothing_to_retrain(ready):
    assert not ready.footer.retrain.isVisible()
    assert "No rounds yet" in ready.rounds.note.text()


# ---------------------------------------------------------------- with a network, slowly
TINY = RunConfig(
    networks={
        "single_instance": ModelConfig(
            backbone_options={"filters": 8, "down_blocks": 2, "convs_per_block": 1},
            input_scale=0.5,
        )
    },
    train=TrainConfig(
        precision="float32", batch_size=2, steps_per_epoch=3, epochs=2, validation_fraction=0.25
    ),
)


@pytest.mark.slow
def test_a_training_beside_a_viewer_up_to_its_rounds(real_children, qtbot, session, ready, labels):
    monitor = MonitorDock(session.viewer)
    qtbot.addWidget(monitor)
    monitor.show()
    ready.setup.set_config(TINY)
    runs = ready.setup.runs
    ready.footer.train.click()
    run = runs.running
    assert run is not None
    assert ready.footer.problem.text().startswith(run.name)
    with qtbot.waitSignal(runs.train_finished, timeout=300_000):
        pass
    assert run.state == "done"
    assert RunFolder(run.out).untrained() == []
    assert monitor.examples.view._example is not None
    qtbot.waitUntil(lambda: ready.rounds.last is not None, timeout=CHILD_MS)
    assert ready.footer.retrain.isVisible()
    assert not {"tensorflow", "keras"} & set(sys.modules)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["cancel", "kill", "memory"])
def test_bad_ends_leave_the_project_as_it_was(real_children, qtbot, session, ready, labels, end):
    before = labels.read_bytes()
    ready.setup.set_config(TINY.replace(train=TINY.train.replace(epochs=10_000)))
    ready.footer.train.click()
    run = ready.setup.runs.running
    assert run is not None
    if end == "memory":  # less than TensorFlow needs, and more than Python has now
        limit = 900 << 20
        resource.prlimit(run.worker.pid, resource.RLIMIT_AS, (limit, limit))
    else:
        qtbot.waitUntil(lambda: bool(run.history), timeout=300_000)
    asked = time.monotonic()
    if end == "cancel":
        ready.footer.cancel.click()
    elif end == "kill":
        os.kill(run.worker.pid, signal.SIGKILL)
    with qtbot.waitSignal(run.ended, timeout=120_000):
        pass
    if end == "cancel":
        assert run.state == "cancelled"
        assert time.monotonic() - asked < 10  # two seconds on a machine that is not busy
        assert not run.out.exists()
    else:
        assert run.state == "failed"
        assert run.failure.message.startswith("Expected")
        assert "memory" in run.failure.message
        assert run.kept == run.out.exists() == (end == "kill")  # it was validated once
    assert labels.read_bytes() == before
    assert session.document is not None
    assert ready.footer.train.isVisible()
    assert Document.open(labels).poses.n_nodes == session.document.poses.n_nodes
