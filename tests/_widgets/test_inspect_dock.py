"""The Inspect dock: follows the frame, shows nothing stale, says why, survives its child."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_session import FakeVideo
from made_inspections import (
    ANIMALS,
    SKELETON,
    MadeWorker,
    make_topdown,
)
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_animalpose import jobs
from napari_animalpose._widgets import _inspect_process
from napari_animalpose._widgets._inspect_layers import KINDS
from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets.inspect_dock import InspectDock
from napari_animalpose.config import PredictConfig, RunConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.pipeline.document import Document

pytestmark = pytest.mark.gui

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
LAYERS = [name for kind, name in KINDS.items() if kind not in ("crops", "fields")]


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy(show=True)


def make_document(skeleton: Skeleton = SKELETON) -> Document:
    xy = np.zeros((2, len(skeleton), 2)) + ANIMALS[:, :1]
    poses = Poses.from_arrays(skeleton, frame=[0, 0], xy=xy, origin=Origin.PREDICTED, score=0.5)
    return Document(Project((FakeVideo(30),), poses))


@pytest.fixture
def session(viewer):
    session = get_session(viewer)
    session.set_document(make_document())
    yield session
    session.close()


@pytest.fixture
def workers(monkeypatch):
    monkeypatch.setattr(_inspect_process, "start_worker", MadeWorker)
    MadeWorker.started.clear()
    return MadeWorker.started


def make_run(folder: Path, pipeline: str = "bottomup", skeleton: Skeleton = SKELETON) -> Path:
    """Return a run folder that holds no weights."""
    run = RunFolder(folder)
    folder.mkdir(parents=True)
    config = RunConfig(pipeline=pipeline)
    run.write_config(config)
    run.write_skeleton(skeleton)
    for name in config.networks:
        (folder / name).mkdir()
        (folder / name / "weights.npz").touch()
    return folder


@pytest.fixture
def dock(qtbot, viewer, session, workers, tmp_path):
    dock = InspectDock(viewer)
    viewer.window.add_dock_widget(dock, area="right", name="Inspect")
    dock.model.use(make_run(tmp_path / "run"))
    yield dock
    dock.process.stop()


@pytest.fixture
def looking(qtbot, dock):
    """The dock, switched on, with the answer for the first frame."""
    QTest.mouseClick(dock.on, LEFT)
    qtbot.waitUntil(lambda: dock.inspection is not None)
    return dock


def names(session) -> list[str]:
    return [layer.name for layer in session.viewer.layers]


# ------------------------------------------------------------------------------ on and off
def test_nothing_is_started_before_it_is_switched_on(dock, session, workers):
    assert workers == []
    assert names(session) == ["video.mp4", "tracks", "skeleton", "instances"]
    assert "trained network" in dock.hint.text()
    assert not dock.controls.isVisible()


def test_without_a_model_or_a_document_it_says_what_to_do(viewer, workers):
    session = get_session(viewer)
    dock = InspectDock(viewer)
    viewer.window.add_dock_widget(dock)
    assert dock.hint.text() == "Open a video or labels first."
    assert not dock.on.isEnabled()
    session.set_document(make_document())
    assert not dock.on.isEnabled()
    assert dock.model.facts.text().startswith("No model yet")


def test_one_model_is_loaded_and_layers_appear(looking, session, workers, tmp_path):
    [worker] = workers
    assert worker.models == (tmp_path / "run",)
    assert set(LAYERS) <= set(names(session))
    assert looking.status.text().startswith("Frame 0")
    assert looking.found.text() == "Found 2 animals, score 0.90, 0.90."
    assert not {"tensorflow", "keras"} & set(sys.modules)


def test_the_child_and_the_layers_go_with_the_dock_and_come_back(qtbot, looking, session, workers):
    before = session.viewer.layers.selection.active
    looking.hide()
    assert workers[0].is_closed
    assert names(session) == ["video.mp4", "tracks", "skeleton", "instances"]
    assert session.viewer.layers.selection.active is before
    looking.show()
    qtbot.waitUntil(lambda: looking.inspection is not None)
    assert len(workers) == 2
    assert set(LAYERS) <= set(names(session))
    QTest.mouseClick(looking.on, LEFT)
    assert workers[1].is_closed
    assert "peaks" not in names(session)


def test_the_child_ends_with_the_session(looking, session, workers):
    session.set_document(None)
    assert workers[0].is_closed
    assert session.viewer.layers == []


def test_another_model_is_another_child(qtbot, looking, workers, tmp_path):
    looking.model.use(make_run(tmp_path / "other"))
    assert workers[0].is_closed
    assert looking.layers.inspection is None
    qtbot.waitUntil(lambda: looking.inspection is not None)
    assert workers[1].models == (tmp_path / "other",)


# -------------------------------------------------------------------------------- stepping
def test_a_step_shows_nothing_until_its_answer_is_there(qtbot, looking, session, workers):
    workers[0].holds = True
    session.go_to(3)
    assert looking.status.text() == "Computing frame 3 …"
    assert len(session.viewer.layers["peaks"].data) == 0
    assert not session.viewer.layers["confidence maps"].data.any()
    assert looking.tables.tables["connections"].records == []
    assert not looking.take.isEnabled()
    workers[0].release()
    qtbot.waitUntil(lambda: looking.inspection is not None)
    assert looking.inspection.frame == 3
    assert len(session.viewer.layers["peaks"].data) == 7


def test_only_the_newest_frame_is_shown(qtbot, looking, session, workers):
    [worker] = workers
    worker.holds = True
    shown = []
    show = looking.layers.show
    looking.layers.show = lambda seen, choice: (shown.append(seen.frame), show(seen, choice))
    for frame in (4, 5, 6, 7):
        session.go_to(frame)
    assert [request.frame for request in worker.requests] == [0, 4, 5, 6, 7]
    worker.release(1)  # that of frame 4, which nobody looks at any more
    qtbot.wait(60)
    assert shown == []
    worker.release()
    qtbot.waitUntil(lambda: looking.inspection is not None)
    assert shown == [7]


def test_a_step_back_needs_no_computing(qtbot, looking, session, workers):
    session.go_to(3)
    qtbot.waitUntil(lambda: looking.inspection is not None)
    n_asked = len(workers[0].requests)
    session.go_to(0)
    assert looking.inspection.frame == 0
    assert len(workers[0].requests) == n_asked
    assert looking.status.text() == "Frame 0: remembered"


def test_other_thresholds_are_asked_for_without_loading_again(qtbot, looking, workers):
    looking.options.open()
    editor = looking.thresholds.editor("peak_threshold")
    editor.setValue(0.4)
    editor.valueChanged.emit()
    qtbot.waitUntil(lambda: looking.inspection is not None)
    assert len(workers) == 1
    assert workers[0].requests[-1].config == PredictConfig(peak_threshold=0.4)


# ---------------------------------------------------------------------------------- choosing
def test_a_line_of_the_list_stands_out_and_is_centred(looking, session):
    seen, table = looking.inspection, looking.tables.tables["connections"]
    assert looking.tables.tabs.tabText(0) == "Connections (8)"
    assert [record.cells[:3] for record in table.records[:3]] == [
        ("middle → head", "0.95", "animal 1"),
        ("middle → head", "0.95", "animal 2"),
        ("middle → head", "0.40", "better partner"),
    ]
    table.set_current(-1)
    table.go(1)
    table.go(1)
    table.go(1)
    row = looking.controls.choice.chosen_connection
    assert seen.connections.verdict[row] == 3
    assert ": its middle is joined to another" in looking.tables.text.text()
    np.testing.assert_allclose(session.viewer.layers["connections"].edge_color[-1], 1.0)
    ends = seen.peaks.xy[[seen.connections.source[row], seen.connections.destination[row]]]
    np.testing.assert_allclose(
        session.viewer.scene.camera.center[-2:], ends.mean(axis=0)[::-1], rtol=1e-5
    )


def test_peaks_say_why_they_are_not_used(looking):
    looking.tables.tabs.setCurrentIndex(1)
    looking.controls.only_rejected.setChecked(True)
    table = looking.tables.tables["peaks"]
    assert [record.cells for record in table.records] == [("head", "0.10", "too faint", "30, 100")]
    table.go(1)
    assert looking.tables.text.text() == "Not used: confidence 0.10 is below 0.20."


def test_one_edge_and_one_node_at_a_time(looking, session):
    looking.controls.boxes["fields"].setChecked(True)
    fields = session.viewer.layers["part affinity fields"]
    n_all = len(fields.data)
    looking.controls.edge.setCurrentIndex(2)
    assert 0 < len(fields.data) < n_all
    assert {record.cells[0] for record in looking.tables.tables["connections"].records} == {
        "middle → tail"
    }
    assert session.viewer.layers["confidence maps"].rgb
    QTest.mouseClick(looking.controls.next, LEFT)
    assert looking.controls.maps.currentText() == "head"
    assert not session.viewer.layers["confidence maps"].rgb
    looking.controls.opacity.setValue(30)
    assert session.viewer.layers["confidence maps"].opacity == pytest.approx(0.3)
    looking.controls.threshold.setValue(1.0)
    assert len(fields.data) < n_all / 4


def test_check_boxes_follow_the_list_of_layers(looking, session):
    session.viewer.layers["peaks"].visible = False
    assert not looking.controls.boxes["peaks"].isChecked()
    looking.controls.boxes["peaks"].setChecked(True)
    assert session.viewer.layers["peaks"].visible
    session.viewer.layers.remove("connections")
    assert not looking.controls.boxes["connections"].isChecked()
    looking.controls.boxes["connections"].setChecked(True)
    assert len(session.viewer.layers["connections"].data) == 6


def test_what_a_person_chose_stays_from_frame_to_frame(qtbot, looking, session):
    looking.controls.maps.setCurrentIndex(2)
    looking.controls.edge.setCurrentIndex(1)
    session.go_to(9)
    qtbot.waitUntil(lambda: looking.inspection is not None)
    assert looking.controls.choice.maps == ("confmaps", "middle")
    assert looking.controls.choice.edge == 0
    assert looking.controls.choice.chosen_connection is None


def test_crops_have_their_list_and_choice(qtbot, looking, session, workers):
    workers[0].make = lambda request: jobs.Result(make_topdown(request.frame))
    session.go_to(2)
    qtbot.waitUntil(lambda: looking.inspection is not None)
    assert not looking.tables.tabs.isTabVisible(0)
    assert looking.tables.tabs.tabText(2) == "Crops (3)"
    assert not looking.controls.boxes["fields"].isVisible()
    assert names(session).count("crops") == 1
    looking.tables.tabs.setCurrentIndex(2)  # a list is written when it comes to the front
    looking.tables.tabs.setCurrentIndex(2)
    table = looking.tables.tables["crops"]
    assert [record.cells[2] for record in table.records] == ["animal 1", "animal 2", "no points"]
    table.set_current(-1)
    table.go(-1)
    assert looking.tables.text.text() == "Left out: no point in it reaches 0.20."
    looking.controls.crops.setCurrentIndex(2)
    assert len(session.viewer.layers["crops"].data) == 4


# ------------------------------------------------------------------------------- taking over
def test_what_was_found_becomes_predictions_that_can_be_undone(looking, session):
    before = session.document.poses.at(0, 0).xy.copy()
    QTest.mouseClick(looking.take, LEFT)
    rows = session.document.poses.at(0, 0)
    np.testing.assert_allclose(rows.xy, ANIMALS, rtol=1e-6)
    assert not rows.is_label.any()
    session.undo()
    np.testing.assert_array_equal(session.document.poses.at(0, 0).xy, before)


def test_a_model_of_another_animal_is_shown_and_not_taken_over(qtbot, looking, session):
    session.set_document(make_document(Skeleton(("nose", "head"), ((0, 1),))))
    qtbot.waitUntil(lambda: looking.inspection is not None)
    assert "peaks" in names(session)
    assert not looking.take.isEnabled()
    assert "lacks nose" in looking.take.toolTip()


# ------------------------------------------------------------------------------- bad endings
def test_a_failed_frame_is_told_and_the_next_one_goes_well(qtbot, looking, session, workers):
    [worker] = workers
    make, worker.make = (
        worker.make,
        lambda _: jobs.Failed("Expected a frame; received none.", "", ""),
    )
    session.go_to(1)
    qtbot.waitUntil(lambda: bool(looking.problem.text()))
    assert looking.problem.text() == "Expected a frame; received none."
    assert not looking.again.isVisible()
    worker.make = make
    session.go_to(2)
    qtbot.waitUntil(lambda: looking.inspection is not None)
    assert looking.problem.text() == ""


def test_a_dead_child_is_told_once_and_can_be_started_again(qtbot, looking, session, workers):
    workers[0].holds = True
    session.go_to(1)
    workers[0].die("The process was killed.")
    qtbot.waitUntil(lambda: looking.again.isVisible())
    assert looking.problem.text() == "The process was killed."
    assert looking.inspection is None
    session.go_to(2)
    assert len(workers) == 1
    assert looking.problem.text() == "The process was killed."
    QTest.mouseClick(looking.again, LEFT)
    qtbot.waitUntil(lambda: looking.inspection is not None)
    assert looking.inspection.frame == 2
    assert looking.problem.text() == ""
    assert not looking.again.isVisible()


# -------------------------------------------------------------------- with a network, slowly
@pytest.mark.slow
def test_a_real_model_beside_a_viewer(qtbot, viewer, tiny_labels, tmp_path):
    labels = tmp_path / "labels.slp"
    for name in ("labels.slp", "video.mp4"):
        shutil.copy(tiny_labels.parent / name, tmp_path / name)
    train = (
        "import sys; from napari_animalpose.pipeline import train;"
        "train(sys.argv[1], sys.argv[2], pipeline='bottomup', seed=0, overrides=("
        "'train.steps_per_epoch=2', 'train.epochs=1', 'train.precision=float32',"
        "'networks.multi_instance.backbone_options.filters=8'))"
    )  # in another process: TensorFlow has no place in this one
    subprocess.run([sys.executable, "-c", train, labels, tmp_path / "run"], check=True)
    session = get_session(viewer)
    assert session.open(labels, ask=False)
    dock = InspectDock(viewer)
    viewer.window.add_dock_widget(dock)
    assert dock.model.use(tmp_path / "run")
    dock.on.click()
    qtbot.waitUntil(lambda: dock.inspection is not None, timeout=240_000)
    pid = dock.process._worker.pid
    seen = dock.inspection
    assert seen.pipeline == "bottomup"
    assert seen.fields.values.shape[0] == len(session.document.skeleton.edges)
    assert viewer.layers["confidence maps"].rgb
    n_joined = len(seen.connections)
    config = PredictConfig(peak_threshold=0.0, min_line_score=0.0, min_mean_confidence=0.0)
    dock.thresholds.setValue(config)
    dock.look()
    qtbot.waitUntil(lambda: dock.inspection is not None, timeout=120_000)
    assert dock.inspection.limits["min_line_score"] == 0.0
    assert len(dock.inspection.connections) >= n_joined
    assert dock.process._worker.pid == pid
    session.go_to(3)
    qtbot.waitUntil(lambda: dock.inspection is not None, timeout=120_000)
    assert dock.inspection.frame == 3
    os.kill(pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: dock.again.isVisible(), timeout=20_000)
    assert dock.problem.text()
    assert not {"tensorflow", "keras"} & set(sys.modules)
    session.close()
