"""napari's own ways in and out: drag and drop, File > Open, File > Save, samples."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from conftest import make_poses
from npe2 import PluginManager
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication

from napari_animalpose import _reader
from napari_animalpose._widgets import _session, _start_page
from napari_animalpose._writer import write_instances
from napari_animalpose.data import edits
from napari_animalpose.data.project import Project
from napari_animalpose.errors import DataError
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.pipeline import sample_files

pytestmark = pytest.mark.gui
PLUGIN = "napari-animalpose"
LEFT = Qt.MouseButton.LeftButton


def iter_compatible_readers(paths):
    return PluginManager.instance().iter_compatible_readers(paths)


def drop(widget, *paths) -> None:
    """Drop files on a widget, as a file manager does."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    details = Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(5, 5), *details)
    QApplication.sendEvent(widget, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(widget, QDropEvent(QPointF(5, 5), *details))
    QApplication.processEvents()


# ------------------------------------------------------------------------------------ reading
@pytest.mark.parametrize("name", ["a.slp", "a.pkg.slp", "a.mp4", "labels.v001.slp"])
def test_files_are_ours_by_their_name(opened, labels, videos, tmp_path, name):
    path = tmp_path / name
    shutil.copy(videos[0] if name.endswith(".mp4") else labels, path)
    assert _reader.get_reader(str(path)) is not None
    readers = iter_compatible_readers([str(path)])  # napari has one for some videos, too
    assert PLUGIN in [reader.plugin_name for reader in readers]


@pytest.mark.parametrize("name", ["table.csv", "picture.png", "stack.tif", "notes.txt", "data.h5"])
def test_what_may_be_somebody_else_s_is_left_to_them(opened, tmp_path, name):
    (tmp_path / name).write_text("a,b\n1,2\n")
    readers = iter_compatible_readers([str(tmp_path / name)])
    assert PLUGIN not in [reader.plugin_name for reader in readers]


def test_nothing_and_notes_are_not_ours(tmp_path):
    (tmp_path / "notes.txt").write_text("a")
    assert _reader.get_reader(str(tmp_path / "notes.txt")) is None
    assert _reader.get_reader([]) is None


def test_several_videos_are_one_new_project_and_labels_among_them_none(videos, labels):
    assert _reader.get_reader([str(video) for video in videos]) is not None
    assert _reader.get_reader([str(videos[0]), str(labels.with_name("b.txt"))]) is None


def test_opening_makes_our_layers_and_none_of_napari_s(empty, labels):
    layers = empty.viewer.open(str(labels), plugin=PLUGIN)
    assert layers == []
    assert empty.session.document.path == labels
    assert [layer.name for layer in empty.viewer.layers] == [
        "first.mp4", "tracks", "skeleton", "instances",
    ]  # fmt: skip


def test_opening_beside_unsaved_work_asks(project, videos):
    session = project.session
    session.do(edits.delete_instances(session.document.poses, [[0, 0, 0]]))
    project.answers.given["ask_to_save"] = "cancel"
    document = session.document
    project.viewer.open(str(videos[0]), plugin=PLUGIN)
    assert session.document is document
    project.answers.given["ask_to_save"] = "discard"
    project.viewer.open(str(videos[0]), plugin=PLUGIN)
    assert session.document is not document


def test_a_file_dropped_on_the_picture_is_opened(empty, labels):
    target = empty.person.canvas
    while type(target).__name__ != "QtViewer":  # a drop goes on to whoever takes it
        target = target.parentWidget()
    drop(target, labels)
    assert empty.session.document is not None
    assert empty.session.document.path == labels


def test_videos_that_are_opened_at_once_are_one_project_and_later_ones_another(
    empty, videos, monkeypatch
):
    monkeypatch.setattr(_session, "_TOGETHER_S", 60.0)
    paths = [str(video) for video in videos]
    empty.viewer.open(paths, plugin=PLUGIN)
    assert [video.name for video in empty.session.document.videos] == ["first.mp4", "second.mp4"]
    monkeypatch.setattr(_session, "_TOGETHER_S", 0.0)
    empty.viewer.open(paths[1], plugin=PLUGIN)
    assert [video.name for video in empty.session.document.videos] == ["second.mp4"]


@pytest.mark.parametrize("n_files", [1, 2])
def test_files_dropped_on_the_start_page_are_opened(empty, videos, n_files):
    page = empty.session.window.findChild(_start_page.StartPage)
    assert page.isVisible()
    drop(page, *videos[:n_files])
    assert len(empty.session.document.videos) == n_files


def test_the_docks_come_by_themselves_where_there_is_none(empty, labels, monkeypatch):
    shown = []
    monkeypatch.setattr(empty.session, "show_docks", lambda: shown.append(True))
    empty.viewer.open(str(labels), plugin=PLUGIN)
    assert shown == [True]


# ------------------------------------------------------------------------------------ writing
def test_saving_the_layer_saves_the_project(project, tmp_path):
    session = project.session
    session.do(edits.delete_instances(session.document.poses, [[0, 0, 0]]))
    written = session.canvas.points.save(str(tmp_path / "mine.slp"), plugin=PLUGIN)
    assert written == [str(tmp_path / "mine.slp")]
    assert read_labels(tmp_path / "mine.slp").poses == session.document.poses
    assert session.document.path == tmp_path / "mine.slp"
    assert not session.document.is_dirty
    assert project.viewer.title.startswith("mine.slp - ")


def test_another_points_layer_is_not_a_project(project, tmp_path):
    with pytest.raises(DataError, match="instances layer of an open project"):
        write_instances(str(tmp_path / "a.slp"), np.zeros((1, 2)), {"metadata": {}})
    assert not (tmp_path / "a.slp").exists()


# ------------------------------------------------------------------------------------ samples
@pytest.fixture
def short_sample(monkeypatch, tmp_path):
    """Make the sample short, in a folder of this test."""
    monkeypatch.setenv("ANIMALPOSE_CACHE", str(tmp_path))
    monkeypatch.setattr(sample_files, "_N_FRAMES", 12)
    monkeypatch.setattr(sample_files, "_SIZE", (96, 128))
    return tmp_path / "sample"


def test_samples_open_with_and_without_labels(empty, short_sample):
    empty.viewer.open_sample(PLUGIN, "flies_labelled")
    document = empty.session.document
    assert len(document.poses.frame_keys()) == 10
    assert empty.session.n_frames == 12
    assert empty.session.has_picture
    empty.viewer.open_sample(PLUGIN, "flies_video")
    assert len(empty.session.document.poses) == 0
    assert {path.name for path in short_sample.iterdir()} == {"flies.mp4", "labels.slp"}


def test_the_sample_stays_as_it_was(empty, short_sample, tmp_path):
    empty.viewer.open_sample(PLUGIN, "flies_labelled")
    before = (short_sample / "labels.slp").read_bytes()
    session = empty.session
    session.do(edits.delete_instances(session.document.poses, [[0, session.frame, 0]]))
    empty.answers.given["ask_save_path"] = tmp_path / "mine.slp"
    assert session.save()
    assert (short_sample / "labels.slp").read_bytes() == before
    assert len(read_labels(tmp_path / "mine.slp").poses) == len(session.document.poses)


def test_labels_of_one_video_file_show_their_points(window, videos, tmp_path):
    poses = make_poses([2])
    write_labels(Project((LazyVideo(str(videos[0])),), poses), tmp_path / "one.slp")
    window.viewer.open(str(tmp_path / "one.slp"), plugin=PLUGIN)
    assert len(window.session.canvas.points.data) == 10
