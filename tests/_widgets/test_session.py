"""One session for each viewer: what is open, where one is, layers that come and go, closing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import FLY, N_FRAMES, make_poses
from napari.layers import Points

from napari_animalpose._widgets._session import find_session, get_session
from napari_animalpose.data import edits
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.io.journal import find_recoverable
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.pipeline.document import Document

pytestmark = pytest.mark.gui


def pixel(window, y=5, x=5):
    """Return the brightness of the frame that the Image layer shows."""
    return int(np.asarray(window.session.canvas.image.data[window.session.frame])[y, x].max())


def shown_xy(session):
    """Return the points of the layer by (position, node), in order of x, y."""
    shown = session.canvas.shown
    points = np.asarray(session.canvas.points.data)[:, ::-1]
    return {tuple(a): tuple(p) for a, p in zip(shown.address.tolist(), points, strict=True)}


def move(session, frame=0, x=60.0):
    return session.do(edits.move_points(session.document.poses, [[0, frame, 0, 0]], [[x, 40.0]]))


# ------------------------------------------------------------------------------- one for each
def test_a_viewer_and_its_proxy_have_one_session(window):
    from napari.utils._proxies import PublicOnlyProxy

    assert get_session(window.viewer) is window.session
    assert get_session(PublicOnlyProxy(window.viewer)) is window.session


def test_a_layer_belongs_to_a_session_or_to_somebody_else(project):
    other = project.viewer.add_points(np.zeros((1, 2)))
    assert find_session(project.session.canvas.points) is project.session
    assert find_session(other) is None


# -------------------------------------------------------------------------------- what is open
def test_labels_open_at_the_first_labelled_frame_with_four_layers(project):
    session = project.session
    assert (session.video, session.frame, session.n_frames) == (0, 0, N_FRAMES)
    assert [type(layer).__name__ for layer in project.viewer.layers] == [
        "Image", "Tracks", "Vectors", "Points",
    ]  # fmt: skip
    assert project.viewer.layers.selection.active is session.canvas.points
    assert project.viewer.title.startswith("labels.slp - ")
    expected = make_poses([0]).xy
    for (position, node), point in shown_xy(session).items():
        np.testing.assert_allclose(point, expected[position, node])


def test_labels_that_begin_late_open_there(window, videos, tmp_path):
    poses = make_poses([7, 9], video=1)
    write_labels(Project(tuple(LazyVideo(str(p)) for p in videos), poses), tmp_path / "a.slp")
    assert window.session.open(tmp_path / "a.slp")
    assert (window.session.video, window.session.frame) == (1, 7)
    assert window.session.n_frames == 25


def test_a_file_that_cannot_be_opened_leaves_what_is_open(project, tmp_path):
    before = project.session.document
    assert not project.session.open(tmp_path / "nowhere.slp")
    assert project.session.document is before
    assert len(project.messages) == 1
    assert "nowhere.slp" in project.messages[0]


def test_the_video_may_be_missing(window, tmp_path):
    video = LazyVideo(str(tmp_path / "gone.mp4"), shape=(50, 90, 120, 3))
    write_labels(Project((video,), make_poses([4])), tmp_path / "a.slp")
    assert window.session.open(tmp_path / "a.slp")
    assert len(window.messages) == 1
    assert "gone.mp4" in window.messages[0]
    assert not window.session.has_picture
    assert window.session.n_frames == 50
    assert window.session.frame == 4
    assert len(window.session.canvas.points.data) == 10


def test_videos_begin_a_new_project(window, videos):
    assert window.session.open_new(videos)
    document = window.session.document
    assert document.path is None
    assert not document.is_dirty
    assert len(document.videos) == 2
    assert window.viewer.title.startswith("first (new) - ")


def test_another_video_keeps_the_place_and_the_contrast_of_its_layer(project):
    image = project.session.canvas.image
    image.contrast_limits = (10, 90)
    project.session.go_to(0, 1)
    assert project.session.canvas.image is image
    assert image.name == "second.mp4"
    assert list(image.contrast_limits) == [10, 90]


@pytest.mark.parametrize("number", [2, 99, -1])
def test_a_video_that_is_not_there_is_not_gone_to(project, number):
    session = project.session
    session.go_to(7)
    session.go_to(3, number)
    assert (session.video, session.frame, session.n_frames) == (0, 7, 40)
    session.go_to(3, 1)
    assert (session.video, session.frame, session.n_frames) == (1, 3, 25)


def test_closing_a_project_removes_our_layers_and_no_other(project):
    other = project.viewer.add_points(np.zeros((1, 2)))
    project.session.set_document(None)
    assert list(project.viewer.layers) == [other]
    assert project.session.n_frames == 0


# ------------------------------------------------------------------------------- going around
def test_the_slider_moves_the_session_and_the_session_the_slider(project):
    session, came = project.session, []
    session.frame_changed.connect(lambda video, frame: came.append((video, frame)))
    project.viewer.dims.set_current_step(0, 10)
    assert session.frame == 10
    session.go_to(30)
    assert project.viewer.dims.current_step[0] == 30
    session.go_to(30)
    assert came == [(0, 10), (0, 30)]
    np.testing.assert_allclose(shown_xy(session)[0, 1], make_poses([30]).xy[0, 1])


@pytest.mark.parametrize(("asked", "arrived"), [(-5, 0), (N_FRAMES + 100, N_FRAMES - 1)])
def test_frames_outside_the_video_are_its_ends(project, asked, arrived):
    project.session.go_to(5)
    project.session.go_to(asked)
    assert project.session.frame == arrived


def test_another_video_is_another_picture_with_its_own_poses(project):
    session = project.session
    session.go_to(12)
    first = pixel(project)
    session.go_to(12, 1)
    assert (session.video, session.frame, session.n_frames) == (1, 12, 25)
    assert len(session.canvas.points.data) == 0
    assert project.viewer.layers[0] is session.canvas.image
    assert abs(pixel(project) - first) < 6
    session.go_to(30, 0)
    assert (session.video, session.frame, session.n_frames) == (0, 30, N_FRAMES)
    assert len(session.canvas.points.data) == 10
    assert abs(pixel(project) - (40 + 4 * 30)) < 6


def test_another_video_at_the_same_frame_is_still_another_place(project):
    session, came = project.session, []
    session.go_to(10)
    session.frame_changed.connect(lambda video, frame: came.append((video, frame)))
    session.go_to(10, 1)
    assert came == [(1, 10)]


def test_a_longer_video_than_the_frame_is_reached(project):
    project.session.go_to(24, 1)
    project.session.go_to(39, 0)
    assert project.session.frame == 39
    assert project.viewer.dims.current_step[0] == 39


def test_the_selected_range_is_of_the_video_in_view(project):
    session = project.session
    session.selected_range = (30, 5)
    assert session.selected_range == (5, 30)
    session.selected_range = (30, 500)
    assert session.selected_range == (30, N_FRAMES - 1)
    session.go_to(0, 1)
    assert session.selected_range is None


def test_findings_name_the_flagged_frames_of_a_video(project):
    found = [SimpleNamespace(video=v, frame=f) for v, f in ((0, 9), (1, 3), (0, 2), (0, 9))]
    project.session.set_findings(found)
    assert project.session.flagged_frames(0).tolist() == [2, 9]


# ------------------------------------------------------------------------------------ editing
def test_an_edit_shows_at_once_and_is_undone_and_redone(project):
    session = project.session
    assert move(session)
    assert shown_xy(session)[0, 0] == (60, 40)
    assert project.viewer.title.startswith("labels.slp* - ")
    session.undo()
    np.testing.assert_allclose(shown_xy(session)[0, 0], make_poses([0]).xy[0, 0])
    assert project.viewer.title.startswith("labels.slp - ")
    session.redo()
    assert shown_xy(session)[0, 0] == (60, 40)


def test_an_edit_elsewhere_leaves_the_layers_alone(project):
    before = project.session.canvas.shown
    move(project.session, frame=30)
    assert project.session.canvas.shown is before


def test_an_edit_that_is_refused_is_one_message_and_changes_nothing(project):
    session = project.session
    poses = session.document.poses.copy()
    edit = edits.delete_instances(session.document.poses, [[0, 0, 0]])
    session.do(edit)
    session.undo()
    assert not session.attempt(lambda: session.document.mark_empty([(0, 0)]))
    assert len(project.messages) == 1
    assert session.document.poses == poses


def test_without_a_document_edits_are_refused_in_words(empty):
    window = empty
    assert not window.session.do(None)
    assert window.messages == ["Expected an open project; received none. Open a video or labels."]
    window.session.undo()
    window.session.redo()
    window.session.restore_layers()
    assert not window.session.save()
    assert len(window.messages) == 1


def test_added_videos_can_be_undone_while_one_is_in_view(project, videos):
    session = project.session
    assert session.do(session.document.add_videos([videos[1]]))
    session.go_to(3, 2)
    assert session.n_frames == 25
    session.undo()
    assert session.video == 1
    assert session.n_frames == 25
    assert len(session.document.videos) == 2
    session.go_to(0, 0)
    assert session.n_frames == N_FRAMES


# ------------------------------------------------------------------------ layers come and go
def test_renamed_layers_stay_ours(project):
    for number, layer in enumerate(project.viewer.layers):
        layer.name = f"mine {number}"
    project.session.go_to(10)
    move(project.session, frame=10, x=61)
    assert shown_xy(project.session)[0, 0] == (61, 40)
    assert [layer.name for layer in project.viewer.layers] == [f"mine {i}" for i in range(4)]


def test_a_duplicate_is_nobodys(project):
    session = project.session
    copy = Points(np.asarray(session.canvas.points.data).copy(), ndim=2, name="copy")
    copy.metadata = session.canvas.points.metadata
    project.viewer.add_layer(copy)
    copy.data = copy.data + 3.0
    project.person.wait()
    assert not session.document.is_dirty
    session.go_to(10)
    assert len(session.canvas.points.data) == 10
    project.viewer.layers.remove(copy)
    assert session.canvas.points in project.viewer.layers


@pytest.mark.parametrize("role", ["image", "points", "skeleton", "tracks"])
def test_a_deleted_layer_loses_nothing_and_comes_back(project, role):
    session = project.session
    poses = session.document.poses.copy()
    project.viewer.layers.remove(getattr(session.canvas, role))
    assert getattr(session.canvas, role) is None
    session.go_to(10)
    assert move(session, frame=10)
    session.undo()
    assert session.document.poses == poses
    session.restore_layers()
    assert getattr(session.canvas, role) in project.viewer.layers
    assert type(project.viewer.layers[0]).__name__ == "Image"
    assert len(session.canvas.points.data) == 10
    assert len(session.canvas.skeleton.data) == 8
    assert move(session, frame=10)


def test_all_layers_deleted_at_once_come_back_in_the_frame_in_view(project):
    project.session.go_to(30)
    project.viewer.layers.clear()
    project.session.restore_layers()
    assert len(project.viewer.layers) == 4
    assert project.session.frame == 30
    assert project.viewer.dims.current_step[0] == 30
    np.testing.assert_allclose(shown_xy(project.session)[1, 2], make_poses([30]).xy[1, 2])


# --------------------------------------------------------------------------------- preferences
def test_preferences_change_the_layers(project):
    session = project.session
    size = float(session.canvas.points.size[0])
    session.change_setting("point_size", 2.0)
    np.testing.assert_allclose(session.canvas.points.size, 2 * size)
    session.change_setting("edge_opacity", 0.5)
    np.testing.assert_allclose(session.canvas.skeleton.edge_color[:, 3], 0.5)
    session.change_setting("trail_frames", 17)
    assert session.canvas.tracks.tail_length == 17
    session.change_setting("color_by", "track")
    colors = np.asarray(session.canvas.points.face_color)[:, :3]
    np.testing.assert_allclose(colors[:5], np.tile(session.track_colors()[0] / 255, (5, 1)))
    np.testing.assert_allclose(colors[5:], np.tile(session.track_colors()[1] / 255, (5, 1)))


def test_preferences_of_napari_and_ours_are_the_same_ones(project):
    from napari.settings import get_plugin_settings

    stored = get_plugin_settings("napari-animalpose")
    stored.appearance.color_by = "instance"
    assert project.session.settings.color_by == "instance"
    project.session.change_setting("point_size", 0.5)
    assert stored.appearance.point_size == 0.5


def test_what_is_open_is_saved_by_itself_if_wished(project, labels):
    session = project.session
    move(session)
    session.change_setting("autosave_minutes", 0.001)
    project.person.wait(0.3)
    assert not session.document.is_dirty
    session.change_setting("autosave_minutes", 0.0)
    assert read_labels(labels).poses.at(0, 0).xy[0, 0].tolist() == [60, 40]


# -------------------------------------------------------------------------------------- saving
def test_saving_asks_for_a_name_once(window, videos, tmp_path):
    window.session.open_new(videos[:1])
    window.answers.given["ask_save_path"] = None
    assert not window.session.save()
    window.answers.given["ask_save_path"] = tmp_path / "new.slp"
    assert window.session.save()
    assert window.viewer.title.startswith("new.slp - ")
    assert window.session.save()
    assert window.answers.asked == ["ask_save_path", "ask_save_path"]


def change_elsewhere(path):
    """Write the file as another program would: one point of it is elsewhere."""
    other = read_labels(path)
    xy = other.poses.xy.copy()
    xy[0, 1] = 7.0
    write_labels(other.replace(poses=other.poses.replace(xy=xy)), path)


def test_what_another_program_wrote_is_not_written_over_unasked(project, labels, tmp_path):
    session = project.session
    move(session)
    change_elsewhere(labels)
    project.answers.given["ask_about_other_changes"] = "cancel"
    assert not session.save()
    session.change_setting("autosave_minutes", 0.001)
    project.person.wait(0.3)
    session.change_setting("autosave_minutes", 0.0)
    assert session.document.is_dirty
    assert read_labels(labels).poses.at(0, 0).xy[0, 1].tolist() == [7, 7]
    assert project.answers.asked == ["ask_about_other_changes"]  # saving by itself does not ask
    project.answers.given |= {
        "ask_about_other_changes": "save as", "ask_save_path": tmp_path / "mine.slp",
    }  # fmt: skip
    assert session.save()
    assert read_labels(tmp_path / "mine.slp").poses.at(0, 0).xy[0, 0].tolist() == [60, 40]
    assert read_labels(labels).poses.at(0, 0).xy[0, 1].tolist() == [7, 7]
    assert session.save()  # the file that is open now is as it was written
    assert project.answers.asked.count("ask_about_other_changes") == 2


def test_what_another_program_wrote_is_written_over_if_wished(project, labels):
    move(project.session)
    change_elsewhere(labels)
    project.answers.given["ask_about_other_changes"] = "overwrite"
    assert project.session.save()
    assert read_labels(labels).poses.at(0, 0).xy[0, 0].tolist() == [60, 40]
    assert read_labels(labels).poses.at(0, 0).xy[0, 1].tolist() != [7, 7]


def test_another_file_is_opened_after_a_question_about_unsaved_work(project, videos):
    session = project.session
    move(session)
    project.answers.given["ask_to_save"] = "cancel"
    document = session.document
    assert not session.open(videos[0])
    assert session.document is document
    assert document.is_dirty
    project.answers.given["ask_to_save"] = "discard"
    assert session.open(videos[0])
    assert session.document is not document
    assert find_recoverable() == []


def test_a_document_without_videos_can_be_looked_at(empty):
    window = empty
    window.session.set_document(Document(Project((), Poses.empty(FLY))))
    window.session.go_to(3)
    assert (window.session.n_frames, window.session.frame) == (0, 0)
    assert window.session.document.skeleton == FLY
