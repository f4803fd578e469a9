"""The layers as a view of the table: filled anew, dragged, selected, hidden."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from conftest import PLACES, SHAPE, make_poses
from qtpy.QtCore import Qt

from napari_animalpose.data import edits
from napari_animalpose.data.poses import Origin, Visibility

pytestmark = pytest.mark.gui

ALT, SHIFT = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.ShiftModifier


def point(position: int, node: int) -> tuple[float, float]:
    """Return where a point of frame 0 is, (x, y)."""
    x, y = (PLACES[position] + SHAPE[node]).tolist()
    return x, y


def edge_ends(canvas) -> np.ndarray:
    """Return start and stop of all edges as (V, 2, (x, y))."""
    vectors = np.asarray(canvas.skeleton.data)[..., ::-1]
    return np.stack([vectors[:, 0], vectors.sum(axis=1)], axis=1)


def expected_ends(session) -> np.ndarray:
    """Return the same from the table."""
    rows = session.rows
    ends = [
        rows.xy[position, list(edge)]
        for position in range(len(rows))
        for edge in rows.skeleton.edges
        if (rows.visibility[position, list(edge)] != Visibility.MISSING).all()
    ]
    return np.array(ends).reshape(-1, 2, 2)


def assert_layers_show_the_table(session) -> None:
    session.canvas.finish()  # what waits until nobody steps
    rows, points = session.rows, session.canvas.points
    there = rows.visibility != Visibility.MISSING
    np.testing.assert_allclose(np.asarray(points.data)[:, ::-1], rows.xy[there], atol=1e-3)
    np.testing.assert_allclose(edge_ends(session.canvas), expected_ends(session), atol=1e-3)
    n = int(there.sum())
    for name in ("size", "symbol", "face_color", "border_color", "features"):
        assert len(getattr(points, name)) == n, name
    assert list(points.features["node"]) == [
        rows.skeleton.nodes[node] for node in np.argwhere(there)[:, 1]
    ]


# ---------------------------------------------------------------------------------- filling
@pytest.mark.parametrize("order", [(0, 5, 12, 0), (5, 12, 5, 30)])
def test_layers_follow_frames_with_more_fewer_and_no_points(project, order):
    for frame in order:
        project.session.go_to(frame)
        assert_layers_show_the_table(project.session)


def test_labels_and_predictions_are_told_apart(project):
    points = project.session.canvas.points
    project.session.go_to(10)
    project.person.wait(0.3)
    assert {str(symbol) for symbol in points.symbol} == {"disc"}
    large = float(points.size[0])
    assert set(points.features["origin"]) == {"label"}
    project.session.go_to(11)
    project.person.wait(0.3)
    assert {str(symbol) for symbol in points.symbol} == {"x"}
    assert float(points.size[0]) < large
    assert set(points.features["origin"]) == {"prediction"}
    np.testing.assert_allclose(points.features["score"], 0.8, rtol=1e-6)


def test_points_taken_away_leave_the_others_their_looks(project):
    session = project.session
    session.do(edits.set_visibility(session.document.poses, [[0, 0, 0, 1]], Visibility.MISSING))
    session.do(edits.set_visibility(session.document.poses, [[0, 0, 1, 2]], Visibility.OCCLUDED))
    assert_layers_show_the_table(session)
    points = session.canvas.points
    hollow = np.asarray(points.face_color)[:, 3] == 0
    assert np.flatnonzero(hollow).tolist() == [6]
    assert points.features["visibility"][6] == "occluded"
    assert len(session.canvas.skeleton.data) == 4  # the first has lost its thorax
    session.undo()
    session.undo()
    assert len(session.canvas.skeleton.data) == 8
    assert_layers_show_the_table(session)


def test_features_and_thumbnails_wait_until_nobody_steps(project):
    session, points = project.session, project.session.canvas.points
    project.person.wait(0.3)
    thumbnails = []
    points.events.thumbnail.connect(lambda event: thumbnails.append(session.frame))
    for frame in range(11, 20):
        session.go_to(frame)
        assert len(points.features) == len(points.data) == 10
    project.person.wait(0.4)
    assert thumbnails == [19]
    assert set(points.features["origin"]) == {"prediction"}


@pytest.mark.parametrize("role", ["points", "skeleton"])
def test_a_hidden_layer_is_filled_when_it_is_seen_again(project, role):
    session = project.session
    layer = getattr(session.canvas, role)
    layer.visible = False
    session.go_to(5)
    session.go_to(12)
    session.do(edits.delete_instances(session.document.poses, [[0, 12, 0]]))
    layer.visible = True
    project.person.wait()
    assert_layers_show_the_table(session)


def test_points_of_a_hidden_layer_are_selected_all_the_same(project):
    session, canvas = project.session, project.session.canvas
    session.go_to(5)  # no animals
    canvas.points.visible = False
    session.go_to(10)
    session.select([(1, 2)])
    assert session.selected_points == [(1, 2)]
    canvas.points.visible = True
    assert [tuple(canvas.shown.address[row]) for row in canvas.points.selected_data] == [(1, 2)]


@pytest.mark.parametrize("role", ["skeleton", "tracks", "image"])
def test_without_another_layer_the_points_are_still_edited(project, role):
    session, canvas = project.session, project.session.canvas
    project.viewer.layers.remove(getattr(canvas, role))
    project.viewer.layers.selection.active = canvas.points
    start, stop = point(0, 0), (point(0, 0)[0] + 6, point(0, 0)[1] + 4)
    project.person.drag(start, stop)
    np.testing.assert_allclose(session.rows.xy[0, 0], stop, atol=0.5)
    assert session.selected_points == [(0, 0)]
    session.undo()
    session.restore_layers()
    assert_layers_show_the_table(session)


def test_a_selection_does_not_pass_to_another_animal(project):
    session = project.session
    session.select([(0, 1), (0, 2)])
    session.do(edits.delete_instances(session.document.poses, [[0, 0, 0]]))
    assert session.selected_points == []
    session.select([(0, 1)])  # the one that is left
    session.undo()
    assert session.selected_points == []


def test_the_points_stay_active_when_the_kind_of_picture_changes(project, tmp_path):
    """napari makes every added layer active, and the keys are those of the points."""
    session = project.session
    assert not session.canvas.image.rgb
    colourful = np.zeros((5, 60, 80, 3), np.uint8)
    colourful[..., 0] = 200
    tifffile.imwrite(tmp_path / "colour.tif", colourful, photometric="rgb")
    session.do(session.document.add_videos([tmp_path / "colour.tif"]))
    image = session.canvas.image
    session.go_to(0, 2)
    assert session.canvas.image.rgb
    assert session.canvas.image is not image
    assert project.viewer.layers.selection.active is session.canvas.points


def test_hidden_tracks_are_not_worked_out(project):
    canvas = project.session.canvas
    canvas.tracks.visible = False
    before = np.asarray(canvas.tracks.data).copy()
    project.session.do(edits.delete_instances(project.session.document.poses, [[0, 12, 0]]))
    project.session.go_to(12)
    np.testing.assert_array_equal(canvas.tracks.data, before)
    canvas.tracks.visible = True
    project.session.go_to(13)
    assert len(canvas.tracks.data) == len(before) - 1


def test_tracks_have_the_names_and_colours_of_the_points(project):
    session = project.session
    session.change_setting("color_by", "track")
    tracks = session.canvas.tracks
    names = np.asarray(tracks.features["name"])
    assert set(names) == {"female", "male"}
    colors = dict(zip(tracks.data[:, 0].astype(int), tracks.track_colors[:, :3], strict=True))
    for track, color in colors.items():
        np.testing.assert_allclose(color, session.track_colors()[track] / 255, atol=0.01)
    first = session.canvas.points.features["track"].tolist().index("male")
    np.testing.assert_allclose(
        np.asarray(session.canvas.points.face_color)[first, :3], colors[1], atol=0.01
    )


def test_without_tracks_nothing_of_them_is_seen(window, videos):
    window.session.open_new(videos[:1])
    assert window.session.canvas.tracks.opacity == 0


# ------------------------------------------------------------------------------------ dragging
def test_a_drag_moves_point_and_edges_at_once_and_is_one_step(project):
    session, person = project.session, project.person
    before = session.document.poses.copy()
    goal = point(0, 1)[0] + 12, point(0, 1)[1] + 9
    seen = []
    session.canvas.skeleton.events.set_data.connect(
        lambda event: seen.append(edge_ends(session.canvas)[0, 1])
    )
    person.drag(point(0, 1), goal)
    np.testing.assert_allclose(session.rows.xy[0, 1], goal, atol=0.5)
    assert_layers_show_the_table(session)
    assert len({tuple(np.round(place)) for place in seen}) >= 4  # along the way, not at its end
    assert session.document.history.undo_labels == ("Move point",)
    session.undo()
    assert session.document.poses == before
    assert_layers_show_the_table(session)


def test_a_drag_of_several_selected_points_moves_them_all(project):
    session = project.session
    session.select([(0, 0), (0, 2)])
    project.person.drag(point(0, 0), (point(0, 0)[0] + 10, point(0, 0)[1]))
    np.testing.assert_allclose(session.rows.xy[0, [0, 2], 0], PLACES[0, 0] + 10, atol=0.5)
    np.testing.assert_allclose(session.rows.xy[0, 1], point(0, 1))
    assert session.document.history.undo_labels == ("Move 2 points",)
    assert session.selected_points == [(0, 0), (0, 2)]


def test_alt_drags_the_whole_animal(project):
    session = project.session
    project.person.drag(point(1, 3), (point(1, 3)[0] - 8, point(1, 3)[1] + 6), keys=ALT)
    np.testing.assert_allclose(session.rows.xy[1], PLACES[1] + SHAPE + [-8, 6], atol=0.5)
    np.testing.assert_allclose(session.rows.xy[0], PLACES[0] + SHAPE)


def test_a_dragged_prediction_becomes_a_corrected_one(project):
    session = project.session
    session.go_to(11)
    x, y = session.rows.xy[0, 0].tolist()
    project.person.drag((x, y), (x + 5, y))
    assert session.rows.origin.tolist() == [Origin.CORRECTED, Origin.PREDICTED]


def test_a_click_that_drags_nothing_is_no_edit(project):
    project.person.click(*point(0, 0))
    assert not project.session.document.is_dirty
    assert project.session.selected_points == [(0, 0)]


# ----------------------------------------------------------------------------------- deleting
def test_delete_takes_points_away_and_undo_brings_them_back(project):
    session = project.session
    before = session.document.poses.copy()
    project.person.click(*point(0, 2))
    project.person.key(Qt.Key.Key_Delete)
    assert session.rows.visibility[0].tolist() == [2, 2, 0, 2, 2]
    assert_layers_show_the_table(session)
    session.undo()
    assert session.document.poses == before
    assert_layers_show_the_table(session)


def test_an_animal_that_has_lost_all_its_points_is_gone(project):
    session = project.session
    session.select_instance(0)
    project.person.key(Qt.Key.Key_Delete)
    assert len(session.rows) == 1
    assert session.document.history.undo_labels == ("Delete animal",)
    np.testing.assert_allclose(session.rows.xy[0], PLACES[1] + SHAPE)
    session.undo()
    assert len(session.rows) == 2


def test_points_of_one_animal_and_the_whole_other_are_one_step(project):
    session = project.session
    session.select([(0, 0), *((1, node) for node in range(5))])
    project.person.key(Qt.Key.Key_Delete)
    assert len(session.rows) == 1
    assert session.rows.visibility[0].tolist() == [0, 2, 2, 2, 2]
    assert len(session.document.history.undo_labels) == 1
    session.undo()
    assert len(session.rows) == 2


# ---------------------------------------------------------------------------------- selecting
def test_clicks_select_and_shift_adds(project):
    session = project.session
    project.person.click(*point(0, 0))
    project.person.click(*point(1, 4), keys=SHIFT)
    assert session.selected_points == [(0, 0), (1, 4)]
    assert session.selected_instances == [0, 1]
    project.person.click(5, 5)
    assert session.selected_points == []


def test_a_box_selects(project):
    x, y = PLACES[1]
    project.person.drag((x - 20, y - 22), (x + 20, y + 8))
    assert project.session.selected_points == [(1, 0), (1, 1), (1, 3), (1, 4)]


def test_a_selection_survives_edits_of_its_frame_and_ends_with_the_frame(project):
    session = project.session
    session.select([(1, 0), (0, 3), (0, 3), (7, 7)])
    assert session.canvas.points.selected_data == {3, 5}
    session.do(edits.move_points(session.document.poses, [[0, 0, 0, 0]], [[20, 20]]))
    assert {(0, 3), (1, 0)} <= set(session.selected_points)
    assert session.canvas.points.selected_data == {3, 5}
    session.go_to(10)
    assert session.selected_points == []
    assert session.canvas.points.selected_data == set()


def test_everything_in_a_frame_is_selected_by_napari_itself(project):
    project.person.key(Qt.Key.Key_A)
    assert len(project.session.selected_points) == 10


# --------------------------------------------------------------------- what nobody should do
def test_data_set_by_a_script_is_a_move(project):
    """The layer is open to everybody; what comes in through it is an edit like any other."""
    session, points = project.session, project.session.canvas.points
    points.data = points.data + np.array([0, 2])
    project.person.wait()
    np.testing.assert_allclose(session.rows.xy[1], PLACES[1] + SHAPE + [2, 0], atol=1e-3)
    session.undo()
    assert not session.document.is_dirty


def test_a_step_during_a_drag_loses_neither_frame(project):
    """A key moves the slider while the button is held: the drag ends where it was."""
    session = project.session
    other = make_poses([10])
    start = point(0, 0)
    person = project.person
    person.move(*start)
    session.viewer.layers.selection.active = session.canvas.points
    press = person.place(*start)
    from qtpy.QtCore import QEvent

    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    keys = Qt.KeyboardModifier.NoModifier
    person._mouse(QEvent.Type.MouseButtonPress, press, left, left, keys)
    person._mouse(QEvent.Type.MouseMove, person.place(start[0] + 4, start[1]), none, left, keys)
    session.go_to(10)
    person._mouse(QEvent.Type.MouseMove, person.place(start[0] + 9, start[1]), none, left, keys)
    person._mouse(
        QEvent.Type.MouseButtonRelease, person.place(start[0] + 9, start[1]), left, none, keys
    )
    person.wait()
    assert session.frame == 10
    np.testing.assert_allclose(
        session.document.poses.at(0, 10).xy[1], other.xy[1], err_msg="another animal moved"
    )
    assert_layers_show_the_table(session)
