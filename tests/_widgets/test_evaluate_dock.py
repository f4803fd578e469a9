"""The Evaluate dock: which runs, on what, what they show, the way to the worst animals."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from written_runs import write_finished_run

from napari_animalpose._widgets._circles_view import describe_node
from napari_animalpose._widgets._prediction_overlay import draw_skeleton
from napari_animalpose._widgets._runs import get_runs
from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets.evaluate_dock import EvaluateDock
from napari_animalpose.data.edits import move_points
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.run_zip import zip_run

pytestmark = pytest.mark.gui

CHILD_MS = 240_000  # for a child process, on a machine that has other things to do
LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def session(make_napari_viewer_proxy, monkeypatch):
    session = get_session(make_napari_viewer_proxy())
    session.errors = []
    monkeypatch.setattr(session, "show_error", session.errors.append)
    return session


@pytest.fixture
def labels(tiny_labels: Path, tmp_path: Path) -> Path:
    """Labels with two runs beside them, that both held out the frames 4 and 8."""
    for name in ("labels.slp", "video.mp4"):
        shutil.copy(tiny_labels.parent / name, tmp_path / name)
    project = read_labels(tmp_path / "labels.slp")
    models = tmp_path / "models"
    write_finished_run(models / "first", project, [0, 4, 8], shift_px=6, lost=(8,))
    write_finished_run(models / "second", project, [4, 8], shift_px=2)
    os.utime(models / "first" / "config.json", (1e9, 1e9))  # the older one
    return tmp_path / "labels.slp"


@pytest.fixture
def dock(qtbot, session):
    dock = EvaluateDock(session.viewer)
    qtbot.addWidget(dock)
    dock.resize(360, 800)
    dock.show()
    return dock


@pytest.fixture
def compared(session, dock, labels, qtbot):
    """The dock with the runs compared, by a child process of its own accord."""
    assert session.open(labels, ask=False)
    wait(dock, qtbot)
    return dock


def wait(dock, qtbot) -> None:
    qtbot.waitUntil(lambda: not dock.work.is_running and dock.report is not None, timeout=CHILD_MS)


def cells(table, row: int) -> list[str]:
    return [table.item(row, column).text() for column in range(table.columnCount())]


def click_row(table, row: int, column: int = 1) -> None:
    place = table.visualRect(table.model().index(row, column)).center()
    QTest.mouseClick(table.viewport(), LEFT, NO_KEYS, place)


def test_without_a_project_or_runs_it_says_what_to_do(session, dock, labels):
    assert dock.note.text().startswith("Open a project")
    shutil.rmtree(labels.parent / "models")
    assert session.open(labels, ask=False)
    assert dock.note.text() == "No runs yet: train a model, or add a run."
    assert not dock.table.isVisible()
    assert not dock.work.isEnabled()


def test_runs_stand_side_by_side_with_the_best_figures_bold(compared):
    table = compared.table
    assert [path.name for path in table.paths] == ["second", "first"]  # the newest first
    assert cells(table, 0)[:5] == ["second", "2", "2.00", "2.00", "1.00"]
    assert cells(table, 1)[:4] == ["first", "2", "6.00", "6.00"]
    assert [table.item(row, 2).font().bold() for row in (0, 1)] == [True, False]
    missed = [table.item(row, 8).text() for row in (0, 1)]
    assert missed == ["0", "1"]
    assert compared.note.text() == (
        "All 2 runs are measured on 2 labelled frames that none of them has learned from."
    )
    assert "tensorflow" not in sys.modules


def test_a_click_on_a_run_shows_its_circles_and_its_worst_animals(compared, session):
    assert [r.cells[:2] for r in compared.worst.records] == [("4", "2.0 px"), ("8", "2.0 px")]
    click_row(compared.table, 1)
    assert [r.cells[:2] for r in compared.worst.records] == [("8", "missed"), ("4", "6.0 px")]
    assert compared.worst_text.text().startswith("Among them 1 missed. ")
    view = compared.circles
    node = int(np.flatnonzero(np.isfinite(view._circles.xy[:, 0]))[0])
    x, y = view.spot_of(node)
    assert view.node_at(x + 1, y) == node or view.node_at(x, y) == node
    assert view.node_at(-500, -500) == -1
    text = describe_node(view._circles, node)
    assert text.startswith(session.document.skeleton.nodes[node])
    assert "50 % within 6.0 px" in text or "more than" in text
    QTest.mouseMove(view, QPoint(round(x), round(y)))
    picture = view.grab().toImage()
    click_row(compared.table, 0)
    assert view.grab().toImage() != picture


def test_a_click_on_an_animal_goes_there_and_selects_it(compared, session):
    click_row(compared.table, 1)
    click_row(compared.worst, 0)
    assert session.frame == 8
    assert session.selected_instances == [0]
    QTest.keyClick(compared.worst, Qt.Key.Key_Down)
    assert session.frame == 4
    assert session.selected_instances == [0]


def test_the_prediction_of_an_animal_is_drawn_until_another_frame_is_in_view(compared, session):
    overlay, layers = compared.overlay, session.viewer.layers
    click_row(compared.table, 1)
    click_row(compared.worst, 0)
    assert overlay.layer is None  # the animal in frame 8 was missed
    active = layers.selection.active
    click_row(compared.worst, 1)
    start = np.asarray(overlay.layer.data)[0, 0]
    node = session.document.skeleton.edges[0][0]
    x, y = session.rows.xy[0, node]
    assert start.tolist() == pytest.approx([y, x + 6])  # predictions are 6 px to the right
    assert layers.selection.active is active
    session.go_to(5)
    assert overlay.layer is None
    click_row(compared.worst, 0)
    click_row(compared.worst, 1)
    layers.remove(overlay.layer)  # by the person
    assert overlay.layer is None
    click_row(compared.table, 0)
    click_row(compared.worst, 0)
    assert overlay.layer in layers
    compared.hide()
    assert overlay.layer is None


def test_a_skeleton_is_drawn_as_edges_and_crosses():
    skeleton = Skeleton(("a", "b", "c"), ((0, 1), (1, 2)))
    xy = np.array([[0, 0], [10, 4], [np.nan, np.nan]], np.float32)
    vectors = draw_skeleton(xy, skeleton, np.sqrt(2))
    assert vectors.tolist() == [
        [[0, 0], [4, 10]],  # (y, x) from a to b; the edge to c, which is missing, is left out
        [[-1, -1], [2, 2]],
        [[-1, 1], [2, -2]],
        [[3, 9], [2, 2]],
        [[3, 11], [2, -2]],
    ]


def test_unticked_runs_are_not_compared(compared, session, qtbot):
    first = compared.table.item(1, 0)
    first.setCheckState(Qt.CheckState.Unchecked)
    assert "compare again" in compared.note.text()
    QTest.mouseClick(compared.work.button, LEFT)
    qtbot.waitUntil(lambda: not compared.work.is_running, timeout=CHILD_MS)
    assert [run.path.name for run in compared.report.runs] == ["second"]
    assert cells(compared.table, 1)[1:4] == ["", "", ""]
    assert compared.note.text().startswith("Measured on 2 labelled frames that it has not")


def test_edited_labels_make_the_figures_old_and_predictions_do_not(compared, session):
    session.do(session.document.replace_suggestions([(0, 5)]))
    assert "compare again" not in compared.note.text()
    session.do(move_points(session.document.poses, [[0, 4, 0, 0]], [[1.0, 1.0]]))
    assert "compare again" in compared.note.text()


def test_a_new_run_is_compared_when_its_training_is_done(compared, session, labels, qtbot):
    path = write_finished_run(
        labels.parent / "models" / "third", read_labels(labels), [4, 8], shift_px=1
    )
    get_runs(session).train_finished.emit(path)
    assert compared.work.is_running
    wait(compared, qtbot)
    assert [run.path.name for run in compared.report.runs] == ["third", "second", "first"]
    assert compared.table.current.name == "second"  # the line that was chosen stays


def test_a_zip_from_elsewhere_can_be_added_and_a_model_of_sleap_cannot(
    compared, session, labels, qtbot, tmp_path, monkeypatch
):
    run = write_finished_run(tmp_path / "elsewhere" / "other", read_labels(labels), [4, 8])
    packed = zip_run(run)
    monkeypatch.setattr(session.dialogs, "ask_file", lambda title, kinds: packed)
    compared._add_zip()
    wait(compared, qtbot)
    assert [path.name for path in compared.table.paths] == ["second", "first", "other.zip"]
    sleap = tmp_path / "sleap"
    sleap.mkdir()
    (sleap / "training_config.json").touch()
    assert not compared.add_run(sleap)
    assert "a model of SLEAP" in session.errors[0]


def test_cancel_keeps_the_report_before(compared, qtbot):
    before = compared.report
    QTest.mouseClick(compared.work.button, LEFT)
    QTest.mouseClick(compared.work.cancel_button, LEFT)
    assert not compared.work.is_running
    assert compared.report is before


def test_another_project_has_other_runs(compared, session, tiny_labels):
    assert session.open(tiny_labels, ask=False)
    assert compared.report is None
    assert compared.table.paths == []
    assert not compared.circles_section.isVisible()
