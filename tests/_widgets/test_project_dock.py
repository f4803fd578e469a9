"""The dock Label: beginning, the project, the animals in view, buttons, menus, recovery."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from conftest import FLY, give_up, make_poses
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QDialog,
    QLabel,
    QPushButton,
    QRadioButton,
    QSlider,
)

from napari_animalpose._widgets import _project_menu
from napari_animalpose._widgets._actions import ACTIONS
from napari_animalpose._widgets._instance_table import InstanceTable
from napari_animalpose._widgets._merge_dialog import MergeDialog
from napari_animalpose._widgets._project_menu import ProjectMenu
from napari_animalpose._widgets.project_dock import ProjectDock
from napari_animalpose.data import edits
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.journal import find_recoverable
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.pipeline.document import Document

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


def dock_of(window) -> ProjectDock:
    return window.session.window.findChild(ProjectDock)


def texts(widget) -> str:
    return " ".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def click(widget, text: str) -> None:
    (button,) = [
        one for one in widget.findChildren(QPushButton) if one.text() == text and one.isVisible()
    ]
    QTest.mouseClick(button, LEFT)


def choose(window, text: str) -> None:
    """Choose an entry of the menu Project."""
    menu = dock_of(window).findChild(ProjectMenu)
    (entry,) = [action for action in menu.actions() if action.text() == text]
    assert isinstance(entry, QAction)
    entry.trigger()
    window.person.wait()


@pytest.fixture
def table(project) -> InstanceTable:
    table = dock_of(project).findChild(InstanceTable)
    project.person.wait(0.1)
    return table


# ----------------------------------------------------------------------------------- beginning
def test_the_start_page_opens_what_is_asked_for(empty, labels, videos):
    dock = dock_of(empty)
    assert "drop a file" in texts(dock)
    empty.answers.given["ask_open_path"] = None
    click(dock, "Open labels or a video…")
    assert empty.session.document is None
    empty.answers.given["ask_open_path"] = labels
    click(dock, "Open labels or a video…")
    assert empty.session.document.path == labels
    assert "labels.slp" in texts(dock)
    empty.session.set_document(None)
    empty.answers.given["ask_videos"] = list(videos)
    click(dock, "New project from videos…")
    assert len(empty.session.document.videos) == 2


def leave_work(labels) -> None:
    """Leave an edit as a process does that dies: the journal stays."""
    document = Document.open(labels)
    document.do(edits.delete_instances(document.poses, [[0, 0, 1]]))
    document.close(keep_unsaved=True)


def test_work_that_was_not_saved_is_offered_and_recovered(empty, labels):
    leave_work(labels)
    dock = dock_of(empty)
    dock._start.refresh()
    empty.person.wait(0.1)
    assert "Unsaved work was found" in texts(dock)
    assert "labels.slp: 1 unsaved edit" in texts(dock)
    click(dock, "Recover")
    assert len(empty.session.document.poses.at(0, 0)) == 1
    assert empty.session.document.is_dirty
    assert empty.viewer.title.startswith("labels.slp* - ")
    empty.session.set_document(None)  # nobody said that the edit is not wanted
    empty.person.wait(0.1)
    click(dock, "Recover")
    assert len(empty.session.document.poses.at(0, 0)) == 1
    give_up(empty)
    empty.person.wait(0.1)
    assert "Unsaved work" not in texts(dock)
    assert find_recoverable() == []


def test_what_does_not_fit_a_changed_file_is_told(empty, labels, videos):
    leave_work(labels)
    other = Poses.from_arrays(Skeleton(("nose",)), frame=[0], xy=[[[1, 2]]])
    write_labels(Project((LazyVideo(str(videos[0])),), other), labels)
    dock = dock_of(empty)
    dock._start.refresh()
    empty.person.wait(0.1)
    assert "has changed since" in texts(dock)
    click(dock, "Recover")
    assert empty.session.document is not None
    assert len(empty.messages) == 1
    assert "0 of 1 edits are back" in empty.messages[0]
    give_up(empty)
    (left,) = find_recoverable()
    left.discard()


def test_unsaved_work_is_discarded_after_a_question(empty, labels):
    leave_work(labels)
    dock = dock_of(empty)
    dock._start.refresh()
    empty.person.wait(0.1)
    empty.answers.given["confirm"] = False
    click(dock, "Discard")
    assert len(find_recoverable()) == 1
    empty.answers.given["confirm"] = True
    click(dock, "Discard")
    assert find_recoverable() == []
    empty.person.wait(0.1)
    assert "Unsaved work" not in texts(dock)


# --------------------------------------------------------------------------------- the project
def test_the_dock_says_what_is_open_and_what_can_be_undone(project):
    dock, session = dock_of(project), project.session
    work = dock._work
    assert not work._undo.isEnabled()
    assert not work._save.isEnabled()
    session.select([(0, 0)])
    project.person.press("delete_animals")
    assert "(unsaved)" in work._name.text()
    assert work._undo.toolTip().startswith("Undo: Delete instance")
    project.person.press("undo")
    assert "(unsaved)" not in work._name.text()
    assert work._redo.isEnabled()
    project.person.press("redo")
    project.person.press("save")
    assert "(unsaved)" not in work._name.text()
    assert len(read_labels(session.document.path).poses.at(0, 0)) == 1


def test_the_list_of_videos_switches_and_follows(project):
    video = dock_of(project)._work._video
    assert [video.itemText(i) for i in range(2)] == ["1. first.mp4", "2. second.mp4"]
    project.session.go_to(3, 1)
    assert video.currentIndex() == 1
    video.activated.emit(0)
    assert (project.session.video, project.session.frame) == (0, 0)


def test_the_list_of_videos_names_the_one_that_is_opened_first(window, videos, tmp_path):
    combo = dock_of(window)._work._video
    poses = make_poses([3], video=1)
    write_labels(Project(tuple(LazyVideo(str(path)) for path in videos), poses), tmp_path / "x.slp")
    assert window.session.open(tmp_path / "x.slp")
    assert window.session.video == 1
    assert combo.currentIndex() == 1


def test_kinds_of_frames_are_counted(project):
    project.session.do(project.session.document.mark_empty([(0, 3), (0, 4)]))
    project.person.wait(0.4)
    counts = dock_of(project)._work._counts.text()
    assert counts == "3 labelled frames in this video, 9 predicted, 2 marked as empty"


def test_the_next_point_is_said(project):
    dock, person = dock_of(project), project.person
    project.session.go_to(5)
    person.press("place_points")
    assert project.session.canvas.points.mode == "add"
    assert dock._work._place.isChecked()
    assert "head" in dock._work._next.text()
    assert "a new animal" in dock._work._next.text()
    person.click(30, 30)
    assert "thorax" in dock._work._next.text()
    assert "this animal" in dock._work._next.text()
    person.press("skip_node")
    assert "abdomen" in dock._work._next.text()
    person.press("place_points")
    assert not dock._work._place.isChecked()


def test_the_name_of_the_next_point_is_at_the_cursor(project):
    dock, person = dock_of(project), project.person
    assert dock._hint is not None
    project.session.go_to(5)
    person.move(40, 40)
    assert dock._hint.text == ""
    person.key(Qt.Key.Key_Q)
    person.move(50, 50)
    assert dock._hint.text == "new animal: head"
    person.click(50, 50)
    assert dock._hint.text == "thorax"
    person.key(Qt.Key.Key_Q)
    assert dock._hint.text == ""


def test_buttons_say_their_keys(project):
    dock = dock_of(project)
    for name in ("place_points", "accept_all", "show_keys"):
        button = dock.findChild(QAbstractButton, name)
        assert all(key in button.toolTip() for key in ACTIONS[name].keys)


# ---------------------------------------------------------------------------------- the look
def test_colour_and_size_are_chosen_and_kept(project):
    from napari_animalpose._widgets._settings import Settings

    work, session = dock_of(project)._work, project.session
    before = np.asarray(session.canvas.points.face_color)
    work._color_by.setCurrentText("track")
    work._color_by.textActivated.emit("track")
    assert not np.allclose(np.asarray(session.canvas.points.face_color), before)
    assert Settings.load().color_by == "track"
    size = float(session.canvas.points.size[0])
    slider = dock_of(project).findChild(QSlider)
    slider.setValue(20)
    assert float(session.canvas.points.size[0]) == pytest.approx(2 * size)
    assert Settings.load().point_size == 2.0


# ------------------------------------------------------------------------- animals of the frame
def test_the_table_shows_the_animals_in_view(project, table):
    assert table.rowCount() == 2
    assert [table.item(0, column).text() for column in (1, 2, 3)] == ["label", "5/5", ""]
    project.session.go_to(11)
    project.person.wait(0.2)
    assert [table.item(1, column).text() for column in (1, 2, 3)] == ["prediction", "5/5", "0.90"]
    project.session.go_to(5)
    project.person.wait(0.2)
    assert table.rowCount() == 0


def test_a_row_selects_its_animal_and_the_animal_its_row(project, table):
    place = table.visualRect(table.model().index(1, 1)).center()
    QTest.mouseClick(table.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, place)
    assert project.session.selected_points == [(1, node) for node in range(5)]
    project.session.select([(0, 2)])
    assert {index.row() for index in table.selectedIndexes()} == {0}
    assert project.session.selected_points == [(0, 2)]  # not the whole animal by that
    project.session.select(())
    assert table.selectedIndexes() == []


def test_identities_are_chosen_in_the_table(project, table):
    session = project.session
    choice = table.cellWidget(1, 0)
    assert isinstance(choice, QComboBox)
    names = [choice.itemText(i) for i in range(choice.count())]
    assert names == ["female", "male", "no identity", "new identity"]
    assert choice.currentText() == "male"
    choice.activated.emit(2)
    assert session.rows.track.tolist() == [0, -1]
    choice.activated.emit(1)
    assert session.rows.track.tolist() == [0, 1]
    choice.activated.emit(3)
    assert session.document.track_names == ("female", "male", "animal 1")
    assert table.cellWidget(1, 0).currentText() == "animal 1"


@pytest.mark.parametrize(
    ("button", "frame", "check"),
    [
        ("accept_all", 11, lambda rows: rows.is_label.all()),
        ("copy_previous", 25, lambda rows: len(rows) == 2),
        ("mark_empty", 25, lambda rows: len(rows) == 0),
    ],
)
def test_buttons_do_what_keys_do(project, button, frame, check):
    project.session.go_to(frame)
    project.person.press(button)
    assert check(project.session.rows)
    assert len(project.session.document.history.undo_labels) == 1


def test_an_empty_frame_is_marked_by_a_button_and_counted(project):
    project.session.go_to(25)
    project.person.press("mark_empty")
    assert project.session.document.negative_frames.tolist() == [[0, 25]]


# ------------------------------------------------------------------------------------ the menu
def test_videos_are_added_and_found_elsewhere(project, videos, tmp_path):
    session = project.session
    project.answers.given["ask_videos"] = [videos[1]]
    choose(project, "Add videos…")
    assert len(session.document.videos) == 3
    assert session.video == 2
    moved = tmp_path / "moved.mp4"
    shutil.copy(videos[0], moved)
    project.answers.given["ask_videos"] = [moved]
    session.go_to(0, 0)
    choose(project, "Find this video…")
    assert session.document.videos[0].source == str(moved)
    assert dock_of(project)._work._video.itemText(0) == "1. moved.mp4"
    session.undo()
    assert session.document.videos[0].source == str(videos[0])
    assert dock_of(project)._work._video.itemText(0) == "1. first.mp4"


def test_missing_videos_are_looked_for_in_a_folder(window, videos, tmp_path):
    gone = LazyVideo(str(tmp_path / "gone" / "first.mp4"), shape=(40, 120, 160, 3))
    write_labels(Project((gone,), make_poses([4])), tmp_path / "a.slp")
    window.session.open(tmp_path / "a.slp")
    assert not window.session.has_picture
    window.answers.given["ask_folder"] = videos[0].parent
    choose(window, "Find all videos in a folder…")
    assert window.session.has_picture
    assert window.session.frame == 4


def test_the_project_is_saved_under_another_name_exported_and_closed(
    project, tmp_path, monkeypatch
):
    project.answers.given["ask_save_path"] = tmp_path / "other.slp"
    choose(project, "Save as…")
    assert project.session.document.path == tmp_path / "other.slp"
    target = tmp_path / "poses.csv"
    monkeypatch.setattr(
        _project_menu.QFileDialog, "getSaveFileName", lambda *a, **k: (str(target), "")
    )
    choose(project, "Export…")
    assert target.exists()
    assert project.session.document.path == tmp_path / "other.slp"
    assert len(project.messages) == 1
    choose(project, "Close")
    assert project.session.document is None
    assert len(project.viewer.layers) == 0


def test_layers_come_back_by_the_menu(project):
    project.viewer.layers.remove(project.session.canvas.points)
    choose(project, "Bring back layers")
    assert len(project.session.canvas.points.data) == 10


@pytest.mark.parametrize("strategy", [0, 1])
def test_other_labels_are_merged_after_a_look(project, videos, tmp_path, monkeypatch, strategy):
    session = project.session
    theirs = make_poses([0, 20]).replace(origin=Origin.USER)
    theirs = theirs.replace(xy=theirs.xy + 3)
    write_labels(Project((LazyVideo(str(videos[0])),), theirs), tmp_path / "theirs.slp")
    looked = []

    def look(dialog: MergeDialog) -> int:
        dialog.findChildren(QRadioButton)[strategy].setChecked(True)
        looked.append(" ".join(label.text() for label in dialog.findChildren(QLabel)))
        return QDialog.DialogCode.Accepted

    monkeypatch.setattr(MergeDialog, "exec", look)
    project.answers.given["ask_open_path"] = tmp_path / "theirs.slp"
    choose(project, "Merge labels…")
    assert "1 frame labelled only there" in looked[0]
    assert "1 frame with other labels" in looked[0]
    poses = session.document.poses
    np.testing.assert_allclose(poses.at(0, 20).xy, make_poses([20]).xy + 3)
    np.testing.assert_allclose(poses.at(0, 0).xy, make_poses([0]).xy + 3 * strategy)
    session.undo()
    assert not session.document.is_dirty


def test_a_skeleton_without_nodes_sends_to_its_dock(window, videos):
    window.session.open_new(videos[:1])
    assert "No skeleton yet" in dock_of(window)._work._next.text()
    assert window.session.document.skeleton.nodes == ()
    assert FLY.nodes
