"""Labelling with mouse and keys: each action does what it says, in one step of undo."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import FLY, PLACES, SHAPE, make_poses
from qtpy.QtCore import Qt

from napari_animalpose._widgets._actions import ACTIONS, run_action
from napari_animalpose._widgets._labelling import get_labelling
from napari_animalpose.data import schema_edits
from napari_animalpose.data.edit_sequence import chain_edits
from napari_animalpose.data.edits import delete_instances, paste_instances, set_visibility
from napari_animalpose.data.poses import Origin, Visibility
from napari_animalpose.data.skeleton import Skeleton

pytestmark = pytest.mark.gui

Key = Qt.Key
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
ALT, NONE = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.NoModifier
EMPTY_FRAME = 5


@pytest.fixture
def labelling(project):
    return get_labelling(project.session)


@pytest.fixture
def blank(project):
    """Return the window in a frame without animals."""
    project.session.go_to(EMPTY_FRAME)
    return project


def steps(window) -> tuple[str, ...]:
    return window.session.document.history.undo_labels


def assert_undone(window, frame: int) -> None:
    """Undo all that was done, and find the frame as it was."""
    session = window.session
    while session.document.history.can_undo:
        session.undo()
    rows = session.document.poses.at(0, frame)
    expected = make_poses([frame]).xy if frame in (0, 10, 30) else np.zeros((0, 5, 2))
    np.testing.assert_allclose(rows.xy, expected)
    assert not session.document.is_dirty


# ------------------------------------------------------------------------------------ placing
def test_clicks_place_the_points_in_the_order_of_the_skeleton(blank):
    session, person = blank.session, blank.person
    places = np.concatenate([PLACES[0] + SHAPE, PLACES[1] + SHAPE])
    person.key(Key.Key_Q)
    person.click_all(places.tolist())
    person.key(Key.Key_Q)
    assert session.canvas.points.mode == "select"
    np.testing.assert_allclose(session.rows.xy.reshape(-1, 2), places, atol=0.5)
    assert session.rows.origin.tolist() == [Origin.USER] * 2
    assert len(steps(blank)) == 10
    assert_undone(blank, EMPTY_FRAME)


def test_the_next_node_is_named_at_the_cursor_and_in_the_dock(blank):
    session, person, labelling = blank.session, blank.person, get_labelling(blank.session)
    person.key(Key.Key_Q)
    assert labelling.active is None
    for node, name in enumerate(FLY.nodes):
        assert FLY.nodes[labelling.next_node] == name
        person.click(20 + 5 * node, 30)
    assert labelling.active is None  # complete: the next click begins another
    assert labelling.next_node == 0
    assert len(session.rows) == 1
    assert (session.rows.visibility[0] == Visibility.VISIBLE).all()


def test_a_point_that_is_skipped_stays_missing(blank):
    person = blank.person
    person.key(Key.Key_Q)
    person.click(20, 20)
    person.key(Key.Key_X)
    person.click(30, 30)
    rows = blank.session.rows
    assert rows.visibility[0].tolist() == [2, 0, 2, 0, 0]
    person.key(Key.Key_X, times=2)  # the last two: the animal is done
    assert get_labelling(blank.session).active is None
    person.click(50, 50)
    assert len(blank.session.rows) == 2
    assert blank.session.rows.visibility[1].tolist() == [2, 0, 0, 0, 0]


def test_another_animal_is_begun_before_the_first_is_whole(blank):
    person = blank.person
    person.key(Key.Key_N)
    person.click(20, 20)
    person.key(Key.Key_N)
    person.click(60, 60)
    np.testing.assert_allclose(blank.session.rows.xy[:, 0], [[20, 20], [60, 60]], atol=0.5)


def test_placing_goes_on_with_the_selected_animal(blank):
    session, person = blank.session, blank.person
    person.key(Key.Key_Q)
    person.click(20, 20)
    person.key(Key.Key_Q)
    person.click(20, 20)
    assert session.selected_points == [(0, 0)]
    person.key(Key.Key_Q)
    person.click(40, 40)
    assert len(session.rows) == 1
    np.testing.assert_allclose(session.rows.xy[0, 1], [40, 40], atol=0.5)


def test_a_placed_point_is_undone_and_placed_again(blank):
    session, person = blank.session, blank.person
    person.key(Key.Key_Q)
    person.click_all([(20, 20), (30, 30), (40, 40)])
    person.key(Key.Key_Z, CTRL)
    assert get_labelling(session).next_node == 2
    person.click(44, 44)
    np.testing.assert_allclose(session.rows.xy[0, 2], [44, 44], atol=0.5)
    person.key(Key.Key_Z, CTRL, times=3)
    assert len(session.rows) == 0
    person.click(50, 50)
    assert len(session.rows) == 1
    np.testing.assert_allclose(session.rows.xy[0, 0], [50, 50], atol=0.5)


def test_the_last_point_of_an_animal_is_undone_and_placed_again(blank):
    session, person = blank.session, blank.person
    places = (PLACES[0] + SHAPE).tolist()
    person.key(Key.Key_Q)
    person.click_all([*places[:4], (90, 90)])
    person.key(Key.Key_Z, CTRL)
    assert get_labelling(session).active == 0
    person.click(*places[4])
    np.testing.assert_allclose(session.rows.xy, [places], atol=0.5)
    person.click(100, 60)  # complete again: this one begins another
    assert len(session.rows) == 2
    person.key(Key.Key_Z, CTRL, times=2)
    person.click(*places[4])
    np.testing.assert_allclose(session.rows.xy, [places], atol=0.5)


def test_placing_does_not_go_on_with_another_animal(project):
    """Where one before it is deleted, the position of the animal is that of the next."""
    session, person = project.session, project.person
    head = (1, 0)
    session.do(set_visibility(session.document.poses, [(0, 0, *head)], Visibility.MISSING))
    session.select([(1, 1)])
    person.key(Key.Key_Q)
    assert get_labelling(session).active == 1
    whole = session.rows.xy[0].copy()
    session.do(delete_instances(session.document.poses, [[0, 0, 0]]))
    session.undo()
    assert get_labelling(session).active is None
    person.click(20, 100)
    assert len(session.rows) == 3
    np.testing.assert_allclose(session.rows.xy[0], whole)
    assert np.isnan(session.rows.xy[head]).all()
    np.testing.assert_allclose(session.rows.xy[2, 0], [20, 100], atol=0.5)


def test_placing_begins_anew_in_another_frame(blank):
    session, person = blank.session, blank.person
    person.key(Key.Key_Q)
    person.click_all([(20, 20), (30, 30)])
    session.go_to(EMPTY_FRAME + 1)
    assert session.canvas.points.mode == "add"
    person.click(25, 25)
    assert len(session.document.poses.at(0, EMPTY_FRAME + 1)) == 1
    np.testing.assert_allclose(session.rows.xy[0, 0], [25, 25], atol=0.5)
    session.go_to(EMPTY_FRAME)
    assert session.rows.visibility[0].tolist() == [2, 2, 0, 0, 0]


def test_without_a_skeleton_a_click_says_what_is_missing(window, videos):
    window.session.open_new(videos[:1])
    window.person.look_at(80, 60, 4)
    opened = []
    window.session.open_dock, kept = opened.append, window.session.open_dock
    try:
        window.person.key(Key.Key_Q)
        window.person.click(30, 30)
    finally:
        window.session.open_dock = kept
    assert len(window.messages) == 1
    assert "skeleton" in window.messages[0]
    assert opened == ["skeleton"]
    assert len(window.session.canvas.points.data) == 0
    assert not window.session.document.is_dirty


def test_a_labelled_empty_frame_loses_its_mark_in_the_same_step(blank):
    session, person = blank.session, blank.person
    person.key(Key.Key_B)
    assert session.document.negative_frames.tolist() == [[0, EMPTY_FRAME]]
    person.key(Key.Key_Q)
    person.click(30, 30)
    assert session.document.negative_frames.tolist() == []
    person.key(Key.Key_Z, CTRL)
    assert session.document.negative_frames.tolist() == [[0, EMPTY_FRAME]]
    assert len(session.rows) == 0


# ----------------------------------------------------------------------- whole animals placed
@pytest.mark.parametrize("template", ["mean pose", "previous frame", "prediction"])
def test_a_whole_animal_is_placed_at_the_cursor(project, template):
    session, person = project.session, project.person
    session.change_setting("template", template)
    session.go_to(25)  # empty; predictions before, labels of another shape nowhere
    person.move(80, 60)
    person.key(Key.Key_N, SHIFT)
    assert len(session.rows) == 1
    np.testing.assert_allclose(session.rows.xy[0].mean(axis=0), [80, 60], atol=0.6)
    np.testing.assert_allclose(
        session.rows.xy[0] - session.rows.xy[0].mean(axis=0), SHAPE - SHAPE.mean(axis=0), atol=1.0
    )
    assert session.rows.origin.tolist() == [Origin.USER]
    assert session.selected_points == [(0, node) for node in range(5)]
    assert session.canvas.points.mode == "select"
    assert_undone(project, 25)


def test_a_whole_animal_from_the_nearest_prediction_is_that_prediction(project):
    session, person = project.session, project.person
    session.change_setting("template", "prediction")
    session.go_to(12)
    person.move(*(session.rows.xy[1, 2] + [3, 3]).tolist())
    person.key(Key.Key_N, SHIFT)
    assert session.rows.is_label.tolist() == [False, True]
    assert session.selected_instances == [1]


def test_before_the_first_label_a_whole_animal_has_the_form_of_the_skeleton(window, videos):
    session = window.session
    session.open_new(videos[:1])
    window.person.look_at(80, 60, 4)
    session.do(schema_edits.replace_skeleton(session.document.poses, FLY))
    window.person.move(80, 60)
    window.person.key(Key.Key_N, SHIFT)
    assert np.isfinite(session.rows.xy).all()
    assert np.ptp(session.rows.xy[0], axis=0).max() > 10


# -------------------------------------------------------------------------- changing points
def test_points_are_marked_as_occluded_and_seen_again(project):
    session, person = project.session, project.person
    session.select([(0, 1), (0, 2)])
    person.key(Key.Key_O)
    assert session.rows.visibility[0].tolist() == [2, 1, 1, 2, 2]
    assert session.selected_points == [(0, 1), (0, 2)]
    session.select([(0, 1)])
    person.key(Key.Key_O)
    assert session.rows.visibility[0].tolist() == [2, 2, 1, 2, 2]
    assert len(steps(project)) == 2
    assert_undone(project, 0)


def test_points_are_taken_away(project):
    project.session.select([(1, 0), (1, 4)])
    project.person.key(Key.Key_M)
    assert project.session.rows.visibility[1].tolist() == [0, 2, 2, 2, 0]
    assert_undone(project, 0)


@pytest.mark.parametrize(
    ("key", "shift"),
    [
        (Key.Key_Left, (-1, 0)), (Key.Key_Right, (1, 0)), (Key.Key_Up, (0, -1)),
        (Key.Key_Down, (0, 1)),
    ],
)  # fmt: skip
def test_arrows_with_shift_nudge_and_stay_one_step(project, key, shift):
    session = project.session
    session.change_setting("nudge_px", 0.5)
    session.select([(0, 0), (1, 1)])
    project.person.key(key, SHIFT, times=4)
    assert session.frame == 0
    expected = make_poses([0]).xy.copy()
    expected[0, 0] += np.multiply(shift, 2)
    expected[1, 1] += np.multiply(shift, 2)
    np.testing.assert_allclose(session.rows.xy, expected, atol=1e-4)
    assert len(steps(project)) == 1
    assert_undone(project, 0)


# ----------------------------------------------------------------------------- whole animals
def test_the_whole_animal_is_selected(project):
    session = project.session
    session.select([(1, 3)])
    project.person.key(Key.Key_G)
    assert session.selected_points == [(1, node) for node in range(5)]
    session.select(())
    project.person.move(*(PLACES[0] + [4, 4]).tolist())
    project.person.key(Key.Key_G)
    assert session.selected_points == [(0, node) for node in range(5)]


def relative(rows, position: int) -> np.ndarray:
    return rows.xy[position] - rows.xy[position].mean(axis=0)


def turned(degrees: float) -> np.ndarray:
    """Return the shape, turned clockwise in the picture about its middle."""
    angle = np.deg2rad(degrees)
    x, y = (SHAPE - SHAPE.mean(axis=0)).T
    return np.column_stack(
        [x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)]
    )


@pytest.mark.parametrize(("key", "degrees"), [(Key.Key_BracketLeft, -5), (Key.Key_BracketRight, 5)])
def test_brackets_turn_the_selected_animal(project, key, degrees):
    session = project.session
    session.select([(0, 1)])
    project.person.key(key, times=6)
    np.testing.assert_allclose(relative(session.rows, 0), turned(6 * degrees), atol=1e-3)
    np.testing.assert_allclose(session.rows.xy[1], PLACES[1] + SHAPE)
    assert len(steps(project)) == 1
    assert_undone(project, 0)


@pytest.mark.parametrize(("key", "scale"), [(Key.Key_Minus, 1 / 1.05), (Key.Key_Equal, 1.05)])
def test_minus_and_equal_scale_the_selected_animal(project, key, scale):
    session = project.session
    session.select([(1, 1)])
    project.person.key(key, times=2)
    np.testing.assert_allclose(relative(session.rows, 1), scale**2 * turned(0), atol=1e-3)
    assert_undone(project, 0)


def test_the_wheel_with_alt_turns_and_with_shift_scales(project):
    session, person = project.session, project.person
    zoom = project.viewer.scene.camera.zoom
    session.select_instance(0)
    person.wheel(*PLACES[0].tolist(), 2, keys=ALT)
    np.testing.assert_allclose(relative(session.rows, 0), turned(10), atol=1e-3)
    person.wheel(*PLACES[0].tolist(), 1, keys=ALT | SHIFT)
    np.testing.assert_allclose(relative(session.rows, 0), 1.05 * turned(10), atol=1e-3)
    assert project.viewer.scene.camera.zoom == zoom
    assert_undone(project, 0)


def test_left_and_right_are_exchanged(project):
    project.session.select([(0, 0)])
    project.person.key(Key.Key_F)
    expected = (PLACES[0] + SHAPE)[[0, 1, 2, 4, 3]]
    np.testing.assert_allclose(project.session.rows.xy[0], expected)
    assert_undone(project, 0)


def test_animals_are_copied_to_another_frame(project):
    session, person = project.session, project.person
    session.select([(1, 0)])
    person.key(Key.Key_C)
    session.go_to(EMPTY_FRAME)
    person.key(Key.Key_C, SHIFT)
    np.testing.assert_allclose(session.rows.xy, (PLACES[1] + SHAPE)[None])
    assert session.rows.origin.tolist() == [Origin.USER]
    assert session.selected_instances == [0]
    assert_undone(project, EMPTY_FRAME)


def test_napari_keys_of_copy_and_paste_copy_animals_here(project):
    session, person = project.session, project.person
    person.key(Key.Key_C, CTRL)  # nothing selected: all of the frame
    session.go_to(EMPTY_FRAME)
    person.key(Key.Key_V, CTRL)
    np.testing.assert_allclose(session.rows.xy, make_poses([0]).xy)
    assert len(steps(project)) == 1


def test_a_copy_in_the_same_frame_lies_beside(project):
    session, person = project.session, project.person
    session.select([(0, 0)])
    person.key(Key.Key_C, CTRL)
    person.key(Key.Key_V, CTRL)
    assert len(session.rows) == 3
    offset = session.rows.xy[2] - (PLACES[0] + SHAPE)
    np.testing.assert_allclose(offset, np.tile(offset[0], (5, 1)), atol=1e-4)
    assert (offset[0] > 2).all()
    assert session.rows.track[2] == -1  # nobody is twice in a frame


def test_what_was_copied_with_other_nodes_is_refused_in_words(project):
    session, person = project.session, project.person
    person.key(Key.Key_C)
    session.do(schema_edits.add_node(session.document.poses, "tail"))
    person.key(Key.Key_C, SHIFT)
    assert len(session.rows) == 2
    assert len(project.messages) == 1
    assert "Copy again" in project.messages[0]


def test_a_selection_ends_with_what_is_no_longer_there(project):
    session, person = project.session, project.person
    session.go_to(EMPTY_FRAME)
    session.go_to(0)
    person.key(Key.Key_C)
    person.key(Key.Key_C, SHIFT)
    assert session.selected_instances == [2, 3]
    person.key(Key.Key_Z, CTRL)
    assert session.selected_points == []
    person.key(Key.Key_C)  # the two that are left, and no error
    session.select([(0, 0), (0, 1)])
    person.key(Key.Key_M)
    assert session.selected_points == []


def test_a_selection_ends_with_its_project(project, labels):
    project.session.select([(1, 4)])
    project.session.open(labels)
    assert project.session.selected_points == []


def test_nothing_copied_is_nothing_pasted(project):
    project.person.key(Key.Key_C, SHIFT)
    assert not project.session.document.is_dirty
    assert project.messages == []


def test_the_previous_frame_is_copied(project):
    session, person = project.session, project.person
    session.go_to(28)  # the last frame with animals is 19, predicted
    person.key(Key.Key_D)
    np.testing.assert_allclose(session.rows.xy, make_poses([19]).xy)
    assert session.rows.origin.tolist() == [Origin.USER] * 2
    assert len(session.selected_points) == 10
    assert_undone(project, 28)


@pytest.mark.parametrize("frame", range(1, 10))
def test_the_previous_frame_is_found_however_far_back(project, frame):
    session = project.session
    session.go_to(frame)
    run_action("copy_previous", session)
    np.testing.assert_allclose(session.rows.xy, make_poses([0]).xy)


def test_the_previous_frame_is_found_over_a_long_gap(window, videos):
    session = window.session
    assert session.open_new([videos[0]], ask=False)
    session.do(schema_edits.replace_skeleton(session.document.poses, FLY))
    session.do(paste_instances(session.document.poses, make_poses([2]), 0, 2))
    for frame in (19, 34, 39):
        session.go_to(frame)
        run_action("copy_previous", session)
        assert len(session.rows) == 2, frame
        session.undo()


def test_before_the_first_frame_there_is_none_to_copy(project):
    project.person.key(Key.Key_D)
    assert len(project.messages) == 1
    assert "earlier frame" in project.messages[0]


def test_animals_are_deleted(project):
    project.session.select([(0, 3)])
    project.person.key(Key.Key_X, SHIFT)
    np.testing.assert_allclose(project.session.rows.xy, (PLACES[1] + SHAPE)[None])
    project.person.key(Key.Key_X, SHIFT)  # nothing is selected: the other one stays
    assert len(project.session.rows) == 1
    assert_undone(project, 0)


def test_a_frame_is_marked_as_empty_and_the_mark_taken_back(blank):
    session = blank.session
    blank.person.key(Key.Key_B)
    assert session.document.negative_frames.tolist() == [[0, EMPTY_FRAME]]
    blank.person.key(Key.Key_B)
    assert session.document.negative_frames.tolist() == []
    assert len(steps(blank)) == 2


def test_a_frame_with_labels_is_not_empty(project):
    project.person.key(Key.Key_B)
    assert len(project.messages) == 1
    assert project.session.document.negative_frames.tolist() == []


# ------------------------------------------------------------------------------- predictions
def test_a_double_click_accepts_a_prediction(project):
    session = project.session
    session.go_to(11)
    project.person.double_click(*session.rows.xy[1, 2].tolist())
    assert session.rows.is_label.tolist() == [False, True]
    assert len(steps(project)) == 1


def test_a_double_click_on_a_label_changes_nothing(project):
    zoom = project.viewer.scene.camera.zoom
    project.person.double_click(*(PLACES[0] + SHAPE[0]).tolist())
    assert not project.session.document.is_dirty
    assert project.viewer.scene.camera.zoom >= zoom


def test_predictions_are_accepted_those_selected_or_all(project):
    session, person = project.session, project.person
    session.go_to(11)
    session.select([(0, 0)])
    person.key(Key.Key_E)
    assert session.rows.is_label.tolist() == [True, False]
    session.select(())
    session.go_to(12)
    person.key(Key.Key_E)
    assert session.rows.is_label.tolist() == [True, True]
    session.go_to(13)
    session.select([(0, 0)])
    person.key(Key.Key_E, SHIFT)
    assert session.rows.is_label.tolist() == [True, True]
    assert len(steps(project)) == 3
    assert {str(symbol) for symbol in session.canvas.points.symbol} == {"disc"}


# -------------------------------------------------------------------------------- identities
def test_identities_go_round(project):
    session, person = project.session, project.person
    session.select([(1, 0)])
    person.key(Key.Key_T)  # after the last one comes none
    assert session.rows.track.tolist() == [0, -1]
    person.key(Key.Key_T)
    assert session.rows.track.tolist() == [-1, 0]  # it takes the name from the other
    assert_undone(project, 0)
    assert session.rows.track.tolist() == [0, 1]


def test_an_animal_gets_a_new_identity(project):
    session = project.session
    session.select([(1, 0)])
    project.person.key(Key.Key_T, SHIFT)
    assert session.document.track_names[-1] == "animal 1"
    assert session.rows.track.tolist() == [0, 2]
    session.select([(0, 0)])
    project.person.key(Key.Key_T, SHIFT)
    assert session.document.track_names[-1] == "animal 2"


def test_identities_are_swapped_from_here_on(project):
    session = project.session
    session.go_to(10)
    project.person.key(Key.Key_W)
    tracks = session.document.poses.track.reshape(-1, 2).tolist()
    assert tracks == [[0, 1]] + [[1, 0]] * 11
    assert_undone(project, 10)


def test_a_swap_of_one_animal_is_refused_in_words(project):
    project.session.select([(0, 0)])
    project.person.key(Key.Key_X, SHIFT)
    project.person.key(Key.Key_W)
    assert len(project.messages) == 1
    assert "two animals" in project.messages[0]


# --------------------------------------------------------------------------------- the project
def test_undo_and_redo_by_keys(project):
    session, person = project.session, project.person
    session.select([(0, 0)])
    person.key(Key.Key_M)
    person.key(Key.Key_Z, CTRL)
    assert session.rows.visibility[0, 0] == Visibility.VISIBLE
    person.key(Key.Key_Z, CTRL | SHIFT)
    assert session.rows.visibility[0, 0] == Visibility.MISSING
    person.key(Key.Key_S, CTRL | SHIFT)
    assert not session.document.is_dirty


def test_keys_go_around(project):
    session, person = project.session, project.person
    session.do(session.document.replace_suggestions([(0, 7), (0, 3)]))

    def after(key, keys=NONE):
        person.key(key, keys)
        return session.frame

    assert [after(Key.Key_Period), after(Key.Key_Period), after(Key.Key_Comma)] == [10, 30, 10]
    assert [after(Key.Key_L), after(Key.Key_L), after(Key.Key_H)] == [11, 12, 11]
    session.go_to(0)
    assert [after(Key.Key_K), after(Key.Key_K), after(Key.Key_J)] == [3, 7, 3]


def test_no_action_fails_with_nothing_open_or_nothing_selected(empty, labels):
    """From the palette any action may come at any time."""
    answers = {
        "ask_save_path": None, "ask_to_save": "cancel", "ask_open_path": None, "ask_videos": [],
    }  # fmt: skip
    empty.answers.given.update(answers)
    names = [name for name in ACTIONS if not name.startswith("show_")]
    for name in names:
        run_action(name, empty.session)
    assert empty.session.document is None
    empty.session.open(labels)
    empty.session.go_to(EMPTY_FRAME)
    for name in names:
        run_action(name, empty.session)
        empty.session.go_to(EMPTY_FRAME)
    assert set(empty.session.document.track_names) == {"female", "male"}


def test_actions_leave_the_skeleton_alone_where_it_has_no_nodes(window, videos):
    window.session.open_new(videos[:1])
    window.session.open_dock, kept = (lambda name: None), window.session.open_dock
    try:
        for action in ACTIONS.values():
            if action.on_points:
                action.run(window.session)
    finally:
        window.session.open_dock = kept
    assert window.session.document.skeleton == Skeleton(())
    assert len(window.session.document.poses) == 0


def test_a_chain_of_edits_is_one_step_in_the_window(project):
    poses = project.session.document.poses
    steps_ = [lambda p, name=name: schema_edits.add_node(p, name) for name in ("x", "y")]
    project.session.do(chain_edits(poses, "Two nodes", steps_))
    assert steps(project) == ("Two nodes",)
    assert len(project.session.canvas.points.data) == 10
    project.session.undo()
    assert project.session.document.skeleton == FLY
