"""The skeleton dock, worked with the mouse and the keyboard."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractItemView, QApplication, QLineEdit
from skeleton_session import FakeSession, labelled

from napari_animalpose._widgets import skeleton_dock
from napari_animalpose._widgets._skeleton_parts import count_points
from napari_animalpose._widgets._skeleton_table import NAME
from napari_animalpose._widgets._skeleton_view import SkeletonView
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.skeleton_templates import SKELETON_TEMPLATES
from napari_animalpose.io.skeletons import read_skeletons, write_skeleton

pytestmark = pytest.mark.gui

LEFT = Qt.MouseButton.LeftButton
KEYS = Qt.Key
FLY = SKELETON_TEMPLATES.get("fly13")
MOUSE = Skeleton.from_names(("nose", "neck", "earL", "earR"), [("nose", "neck")], name="m")


@pytest.fixture
def open_dock(qtbot, monkeypatch):
    """Return a function that shows a dock for a table of poses, and its session."""

    def show(poses: Poses | None):
        session = FakeSession(poses)
        monkeypatch.setattr(skeleton_dock, "get_session", lambda viewer: session)
        dock = skeleton_dock.SkeletonDock(None)
        qtbot.addWidget(dock)
        dock.resize(360, 760)
        with qtbot.waitExposed(dock):
            dock.show()
        return dock, session

    return show


def click(qtbot, view: SkeletonView, node: int, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    qtbot.mouseClick(view, LEFT, modifier, view.position_of(node))


def drag(qtbot, widget, start: QPoint, stop: QPoint) -> None:
    qtbot.mousePress(widget, LEFT, pos=start)
    for share in (0.2, 0.5, 0.8, 1.0):
        qtbot.mouseMove(widget, start + (stop - start) * share)
    qtbot.mouseRelease(widget, LEFT, pos=stop)


def skeleton_of(session) -> Skeleton:
    return session.document.poses.skeleton


def rows(dock) -> list[str]:
    table = dock.editor.table
    return [table.item(row, NAME).text() for row in range(table.rowCount())]


# ------------------------------------------------------------------------------ empty states
def test_without_a_document_a_sentence_and_then_the_document(open_dock):
    dock, session = open_dock(None)
    assert not dock.editor.isVisible()
    assert not dock.entry.isVisible()
    session.open(Poses.empty(MOUSE))
    assert dock.editor.isVisible()
    assert rows(dock) == list(MOUSE.nodes)
    session.open(None)
    assert not dock.editor.isVisible()


@pytest.mark.parametrize("name", list(SKELETON_TEMPLATES))
def test_an_empty_skeleton_offers_templates(open_dock, qtbot, name):
    dock, session = open_dock(Poses.empty(Skeleton(())))
    assert dock.chooser.isVisible()
    assert not dock.save.isEnabled()
    qtbot.mouseClick(dock.chooser.buttons[name], LEFT)
    assert skeleton_of(session) == SKELETON_TEMPLATES.get(name).skeleton
    assert dock.editor.isVisible()
    assert session.questions == []
    session.undo()
    assert dock.chooser.isVisible()
    assert len(skeleton_of(session)) == 0


# ---------------------------------------------------------------------------------- typing
def test_names_are_typed_one_after_the_other(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(Skeleton(())))
    dock.entry.setFocus()
    for name in ("nose", "neck", "tail"):
        qtbot.keyClicks(dock.entry, name)
        qtbot.keyClick(dock.entry, KEYS.Key_Return)
    assert skeleton_of(session).nodes == ("nose", "neck", "tail")
    assert rows(dock) == ["nose", "neck", "tail"]
    assert dock.entry.text() == ""
    places = dock.editor.view.places
    gaps = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    assert gaps[~np.eye(3, dtype=bool)].min() > 0.2
    session.undo()
    assert rows(dock) == ["nose", "neck"]


def test_commas_add_several_nodes_as_one_step(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(Skeleton(())))
    qtbot.keyClicks(dock.entry, "nose, earL,earR ,")
    qtbot.keyClick(dock.entry, KEYS.Key_Enter)
    assert skeleton_of(session).nodes == ("nose", "earL", "earR")
    session.undo()
    assert skeleton_of(session).nodes == ()


def test_a_taken_name_is_told_and_stays_to_be_changed(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    qtbot.keyClicks(dock.entry, "nose")
    qtbot.keyClick(dock.entry, KEYS.Key_Return)
    assert skeleton_of(session) == MOUSE
    assert "nose more than once" in session.errors[0]
    assert dock.entry.text() == "nose"


def test_enter_without_a_name_does_nothing(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    qtbot.keyClick(dock.entry, KEYS.Key_Return)
    assert skeleton_of(session) == MOUSE
    assert session.errors == []


# ------------------------------------------------------------------------------------ edges
def test_two_clicks_make_an_edge_and_two_more_remove_it(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    view = dock.editor.view
    click(qtbot, view, 1)
    assert dock.editor.hint.text().startswith("neck → …")
    click(qtbot, view, 2)
    assert skeleton_of(session).edges == ((0, 1), (1, 2))
    assert dock.editor.hint.text().startswith("Click a node")
    click(qtbot, view, 1)
    click(qtbot, view, 2)
    assert skeleton_of(session).edges == ((0, 1),)
    session.undo()
    assert skeleton_of(session).edges == ((0, 1), (1, 2))


def test_the_other_way_round_turns_the_edge(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    click(qtbot, dock.editor.view, 1)
    click(qtbot, dock.editor.view, 0)
    assert skeleton_of(session).edges == ((1, 0),)


def test_shift_goes_on_along_a_chain(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    for node in (1, 2, 3):
        click(qtbot, dock.editor.view, node, Qt.KeyboardModifier.ShiftModifier)
    assert skeleton_of(session).edges == ((0, 1), (1, 2), (2, 3))


@pytest.mark.parametrize("how", ["escape", "itself", "nothing"])
def test_an_edge_that_was_begun_can_be_left(open_dock, qtbot, how):
    dock, session = open_dock(Poses.empty(MOUSE))
    view = dock.editor.view
    click(qtbot, view, 2)
    if how == "escape":
        qtbot.keyClick(view, KEYS.Key_Escape)
    elif how == "itself":
        click(qtbot, view, 2)
    else:
        qtbot.mouseClick(view, LEFT, pos=QPoint(view.width() // 2, 3))
    click(qtbot, view, 3)
    assert skeleton_of(session).edges == MOUSE.edges


def test_an_edge_is_selected_and_deleted(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    view = dock.editor.view
    middle = (view.position_of(0) + view.position_of(1)) / 2
    qtbot.mouseClick(view, LEFT, pos=middle)
    assert dock.editor.hint.text() == "Edge nose → neck: Delete removes it."
    qtbot.keyClick(view, KEYS.Key_Delete)
    assert skeleton_of(session).edges == ()
    assert "No edges yet" in dock.editor.advice.text()


def test_dragging_moves_a_node_in_the_drawing_alone(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    view = dock.editor.view
    target = QPoint(view.width() // 2, view.height() // 2 + 20)
    drag(qtbot, view, view.position_of(3), target)
    assert (view.position_of(3) - target).manhattanLength() <= 2
    assert skeleton_of(session) == MOUSE
    assert not session.document.history.can_undo
    moved = view.places[3]
    click(qtbot, view, 1)
    click(qtbot, view, 3)  # an edit does not bring it back
    np.testing.assert_allclose(view.places[3], moved)
    qtbot.mouseClick(dock.editor.arrange_button, LEFT)
    assert not np.allclose(view.places[3], moved)


def test_circles_are_told_and_marked(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    for a, b in ((1, 2), (2, 0)):
        click(qtbot, dock.editor.view, a)
        click(qtbot, dock.editor.view, b)
    text = dock.editor.advice.text()
    assert text == "⚠ The edges run in a circle: nose → neck → earL → nose. Remove one of them."
    session.undo()
    assert "earR is not joined" in dock.editor.advice.text()


# ------------------------------------------------------------------------------------ pairs
def test_pairs_by_mode_by_modifier_and_by_name(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    view = dock.editor.view
    qtbot.mouseClick(dock.editor.pairs, LEFT)
    assert "mirror image" in dock.editor.hint.text()
    click(qtbot, view, 3)
    click(qtbot, view, 2)
    assert skeleton_of(session).symmetries == ((2, 3),)
    click(qtbot, view, 2)
    click(qtbot, view, 3)
    assert skeleton_of(session).symmetries == ()
    qtbot.mouseClick(dock.editor.edges, LEFT)
    click(qtbot, view, 2)
    click(qtbot, view, 3, Qt.KeyboardModifier.ControlModifier)
    assert skeleton_of(session).symmetries == ((2, 3),)
    assert skeleton_of(session).edges == MOUSE.edges
    assert not dock.editor.by_name.isEnabled()
    session.undo()
    qtbot.mouseClick(dock.editor.by_name, LEFT)
    assert skeleton_of(session).symmetries == ((2, 3),)


def test_the_partner_is_chosen_in_the_table(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    table = dock.editor.table
    box = table.partner_box(2)
    box.setFocus()
    qtbot.keyClicks(box, "earR")
    qtbot.keyClick(box, KEYS.Key_Return)
    assert skeleton_of(session).symmetries == ((2, 3),)
    assert table.partner_box(3).currentText() == "earL"
    qtbot.keyClicks(table.partner_box(3), "nose")  # takes earR from earL
    assert skeleton_of(session).symmetries == ((0, 3),)
    assert table.partner_box(2).currentText() == "–"
    qtbot.keyClick(table.partner_box(3), KEYS.Key_Home)
    assert skeleton_of(session).symmetries == ()


# ---------------------------------------------------------------------------- table of nodes
def _rename(qtbot, dock, row: int, name: str) -> None:
    table = dock.editor.table
    where = table.visualItemRect(table.item(row, NAME)).center()
    qtbot.mouseClick(table.viewport(), LEFT, pos=where)
    qtbot.mouseDClick(table.viewport(), LEFT, pos=where)
    assert table.state() == QAbstractItemView.State.EditingState
    editor = table.viewport().findChild(QLineEdit)
    qtbot.keyClicks(editor, name)
    qtbot.keyClick(editor, KEYS.Key_Return)
    qtbot.waitUntil(lambda: table.state() == QAbstractItemView.State.NoState)  # Qt queues it


def test_renaming_in_place_keeps_labels_and_the_drawing(open_dock, qtbot):
    poses = labelled(FLY.skeleton, FLY.layout)
    before = poses.xy.copy()
    dock, session = open_dock(poses)
    places = dock.editor.view.places
    _rename(qtbot, dock, 1, "body")
    assert skeleton_of(session).nodes[1] == "body"
    assert skeleton_of(session).edges == FLY.skeleton.edges
    np.testing.assert_array_equal(poses.xy, before)
    np.testing.assert_allclose(dock.editor.view.places, places)
    session.undo()
    assert rows(dock)[1] == "thorax"


@pytest.mark.parametrize(("name", "n_errors"), [("head", 1), (" ", 0)])
def test_a_name_that_cannot_be_is_taken_back(open_dock, qtbot, name, n_errors):
    dock, session = open_dock(Poses.empty(FLY.skeleton))
    _rename(qtbot, dock, 1, name)
    assert rows(dock)[1] == "thorax"
    assert skeleton_of(session) == FLY.skeleton
    assert len(session.errors) == n_errors


def test_the_number_is_dragged_to_reorder_and_labels_follow(open_dock, qtbot):
    poses = labelled(FLY.skeleton, FLY.layout)
    head = poses.xy[:, 0].copy()
    dock, session = open_dock(poses)
    header = dock.editor.table.verticalHeader()

    def middle(row: int) -> QPoint:
        return QPoint(10, header.sectionViewportPosition(row) + header.sectionSize(row) // 2)

    drag(qtbot, header.viewport(), middle(0), middle(2) + QPoint(0, 4))
    assert skeleton_of(session).nodes[:3] == ("thorax", "abdomen", "head")
    assert rows(dock)[:3] == ["thorax", "abdomen", "head"]
    assert [header.visualIndex(row) for row in range(3)] == [0, 1, 2]
    np.testing.assert_array_equal(poses.xy[:, 2], head)
    session.undo()
    assert rows(dock) == list(FLY.skeleton.nodes)


def test_buttons_and_keys_move_the_selected_node(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    table = dock.editor.table
    assert not dock.editor.up.isEnabled()
    where = table.visualItemRect(table.item(0, NAME)).center()
    qtbot.mouseClick(table.viewport(), LEFT, pos=where)
    assert not dock.editor.up.isEnabled()
    qtbot.mouseClick(dock.editor.down, LEFT)
    assert skeleton_of(session).nodes == ("neck", "nose", "earL", "earR")
    assert table.selected_node == 1  # the selection stays with the node
    qtbot.keyClick(table, KEYS.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert skeleton_of(session).nodes == ("neck", "earL", "nose", "earR")
    qtbot.mouseClick(dock.editor.up, LEFT)
    qtbot.mouseClick(dock.editor.up, LEFT)
    assert skeleton_of(session).nodes == MOUSE.nodes
    assert not dock.editor.up.isEnabled()


def test_selection_is_one_in_table_and_drawing(open_dock, qtbot):
    dock, _ = open_dock(Poses.empty(MOUSE))
    click(qtbot, dock.editor.view, 2)
    assert dock.editor.table.selected_node == 2
    qtbot.keyClick(dock.editor.view, KEYS.Key_Escape)
    assert dock.editor.table.selected_node is None


# --------------------------------------------------------------------------------- removing
@pytest.mark.parametrize("how", ["button", "table", "drawing"])
def test_a_node_without_points_goes_without_a_question(open_dock, qtbot, how):
    dock, session = open_dock(Poses.empty(MOUSE))
    click(qtbot, dock.editor.view, 2)
    if how == "button":
        qtbot.mouseClick(dock.editor.remove, LEFT)
    else:
        part = dock.editor.table if how == "table" else dock.editor.view
        qtbot.keyClick(part, KEYS.Key_Delete)
    assert skeleton_of(session).nodes == ("nose", "neck", "earR")
    assert session.questions == []
    assert not dock.editor.remove.isEnabled()


def test_a_node_with_points_asks_with_their_number(open_dock, qtbot):
    poses = labelled(FLY.skeleton, FLY.layout)
    before = poses.copy()
    dock, session = open_dock(poses)
    place = dock.editor.view.places[3]
    click(qtbot, dock.editor.view, 3)
    session.answer = False
    qtbot.mouseClick(dock.editor.remove, LEFT)
    assert "wingL has 5 labelled points and 2 predicted points." in session.questions[0]
    assert poses == before
    session.answer = True
    qtbot.mouseClick(dock.editor.remove, LEFT)
    assert "wingL" not in rows(dock)
    session.undo()
    assert poses == before
    np.testing.assert_allclose(dock.editor.view.places[3], place)


# ---------------------------------------------------------------- templates and files
def _choose(dock, title: str) -> None:
    (action,) = [a for a in dock.templates.menu().actions() if a.text() == title]
    action.trigger()


def test_a_template_keeps_points_of_equal_names_and_names_the_others(open_dock):
    poses = labelled(FLY.skeleton, FLY.layout)
    before = poses.copy()
    dock, session = open_dock(poses)
    session.answer = False
    _choose(dock, "Mouse, 12 nodes")
    assert poses == before
    assert "• thorax: 5 labelled points and 2 predicted points" in session.questions[0]
    assert "• head:" not in session.questions[0]
    session.answer = True
    _choose(dock, "Mouse, 12 nodes")
    head = skeleton_of(session).index("head")
    np.testing.assert_array_equal(poses.xy[:, head], before.xy[:, 0])
    assert count_points(poses, skeleton_of(session).index("nose")) == (0, 0)
    session.undo()
    assert poses == before


def test_a_template_that_has_all_nodes_asks_nothing(open_dock):
    few = FLY.skeleton.nodes[:5]
    poses = labelled(Skeleton(few), FLY.layout[:5])
    dock, session = open_dock(poses)
    _choose(dock, "Fly, 13 nodes")
    assert skeleton_of(session) == FLY.skeleton
    assert session.questions == []


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_skeleton_is_saved_and_loaded(open_dock, qtbot, tmp_path, suffix):
    dock, session = open_dock(Poses.empty(FLY.skeleton))
    path = tmp_path / f"fly{suffix}"
    dock.files.ask_save = lambda name: path
    qtbot.mouseClick(dock.save, LEFT)
    assert read_skeletons(path) == (FLY.skeleton,)
    assert session.infos == [f"Saved the skeleton as {path.name}."]
    session.open(Poses.empty(Skeleton(())))
    dock.files.ask_open = lambda: path
    qtbot.mouseClick(dock.load, LEFT)
    assert skeleton_of(session) == FLY.skeleton


def test_of_several_skeletons_one_is_chosen(open_dock, qtbot, tmp_path):
    path = tmp_path / "two.yaml"
    write_skeleton(FLY.skeleton, path)
    first = path.read_text(encoding="utf-8")
    write_skeleton(MOUSE, path)
    path.write_text(first + path.read_text(encoding="utf-8"), encoding="utf-8")
    dock, session = open_dock(Poses.empty(Skeleton(())))
    dock.files.ask_open = lambda: path
    dock.files.ask_which = lambda skeletons: skeletons[1]
    qtbot.mouseClick(dock.load, LEFT)
    assert skeleton_of(session) == MOUSE


def test_files_that_cannot_be_read_or_written_are_told(open_dock, qtbot, tmp_path):
    dock, session = open_dock(Poses.empty(MOUSE))
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    dock.files.ask_open = lambda: tmp_path / "bad.json"
    dock.files.ask_save = lambda name: tmp_path / "missing" / "m.json"
    qtbot.mouseClick(dock.load, LEFT)
    qtbot.mouseClick(dock.save, LEFT)
    assert "damaged" in session.errors[0]
    assert "no such folder" in session.errors[1]
    assert skeleton_of(session) == MOUSE


def test_a_question_that_is_cancelled_changes_nothing(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(MOUSE))
    dock.files.ask_open = lambda: None
    dock.files.ask_save = lambda name: None
    qtbot.mouseClick(dock.load, LEFT)
    qtbot.mouseClick(dock.save, LEFT)
    assert (session.errors, session.infos) == ([], [])


# ---------------------------------------------------------------------------------- drawing
def test_labels_are_drawn_as_they_are_on_average(open_dock):
    dock, _ = open_dock(labelled(FLY.skeleton, FLY.layout))
    np.testing.assert_allclose(dock.editor.view.places, FLY.layout, atol=0.01)


def test_edits_of_points_leave_the_drawing_alone(open_dock, monkeypatch):
    from napari_animalpose.data.edits import move_points

    dock, session = open_dock(labelled(FLY.skeleton, FLY.layout))
    called = []
    monkeypatch.setattr(dock.editor, "show_skeleton", lambda: called.append(1))
    session.do(move_points(session.document.poses, [(0, 0, 0, 0)], [(1, 2)]))
    assert called == []


@pytest.mark.parametrize("name", list(SKELETON_TEMPLATES))
def test_every_template_is_drawn_with_all_its_nodes_within_the_view(open_dock, name):
    template = SKELETON_TEMPLATES.get(name)
    dock, _ = open_dock(Poses.empty(template.skeleton))
    view = dock.editor.view
    pixels = view.grab().toImage()
    for node, color in enumerate(view._colors.tolist()):
        where = view.position_of(node)
        assert view.rect().contains(where)
        seen = pixels.pixelColor(where)
        assert [seen.red(), seen.green(), seen.blue()] == color


def test_the_dock_outlives_what_it_showed(open_dock, qtbot):
    dock, session = open_dock(Poses.empty(FLY.skeleton))
    click(qtbot, dock.editor.view, 12)
    session.open(Poses.empty(Skeleton(("only",))))
    QApplication.processEvents()
    dock.grab()
    assert rows(dock) == ["only"]
    qtbot.mouseClick(dock.editor.view, LEFT, pos=dock.editor.view.position_of(0))
    qtbot.keyClick(dock.editor.view, KEYS.Key_Delete)
    assert dock.chooser.isVisible()


# -------------------------------------------------------------------------------- in napari
def test_in_napari_labels_survive_and_the_file_has_the_new_skeleton(
    make_napari_viewer_proxy, qtbot, tmp_path
):
    from napari_animalpose._widgets._session import get_session
    from napari_animalpose.data.project import Project
    from napari_animalpose.io.labels import read_labels, write_labels
    from napari_animalpose.io.video import ArrayVideo

    viewer = make_napari_viewer_proxy()
    poses = labelled(FLY.skeleton, FLY.layout)
    video = ArrayVideo(np.zeros((9, 300, 400), np.uint8))
    write_labels(Project(videos=(video,), poses=poses), tmp_path / "flies.slp")
    session = get_session(viewer)
    assert session.open(tmp_path / "flies.slp")
    dock = skeleton_dock.SkeletonDock(viewer)
    viewer.window.add_dock_widget(dock, name="Skeleton")
    view = dock.editor.view
    qtbot.waitUntil(lambda: view.height() > 100)
    assert dock.geometry().bottom() - dock.entry.mapTo(dock, QPoint()).y() < 80  # no empty space
    session.dialogs.confirm = lambda *texts, yes: True
    _rename(qtbot, dock, 1, "body")
    click(qtbot, view, 3)
    qtbot.keyClick(view, KEYS.Key_Delete)
    qtbot.keyClicks(dock.entry, "antennaL")
    qtbot.keyClick(dock.entry, KEYS.Key_Return)
    click(qtbot, view, 0)
    click(qtbot, view, 12)
    assert session.save()
    found = read_labels(tmp_path / "flies.slp").poses
    nodes = ["body" if n == "thorax" else n for n in FLY.skeleton.nodes if n != "wingL"]
    assert found.skeleton.nodes == (*nodes, "antennaL")
    assert (0, 12) in found.skeleton.edges
    kept = [n for n in range(13) if n != 3]
    np.testing.assert_allclose(found.xy[:, :12], poses.xy[:, kept], atol=1e-4)
    assert np.isnan(found.xy[:, 12]).all()
    for _ in range(4):
        session.undo()
    assert session.document.skeleton == poses.skeleton
    np.testing.assert_allclose(session.document.poses.xy, poses.xy, atol=1e-4)
