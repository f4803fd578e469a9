"""Documents: open, edit, save, fail to save, die and come back."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import killed_document
import numpy as np
import pytest

from napari_animalpose.data.edits import (
    delete_instances,
    move_points,
    replace_frames,
    replace_table,
)
from napari_animalpose.data.instance_edits import add_shape
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.schema_edits import add_node
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError, FileFormatError, OutputError
from napari_animalpose.io import atomic
from napari_animalpose.io.journal import find_recoverable
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.pipeline.document import Document


@pytest.fixture
def journals(tmp_path) -> Path:
    return tmp_path / "journals"


@pytest.fixture
def labels(tiny_labels, tmp_path) -> Path:
    """Return a label file that may be written to, with its video beside it."""
    for name in ("labels.slp", "video.mp4"):
        shutil.copy(tiny_labels.parent / name, tmp_path / name)
    return tmp_path / "labels.slp"


@pytest.fixture
def document(labels, journals):
    opened = Document.open(labels, journal_folder=journals)
    yield opened
    opened.close()


def move(document: Document, x: float, frame: int = 0) -> None:
    document.do(move_points(document.poses, [(0, frame, 0, 0)], [(x, x)]))


def recover(journals: Path) -> Document:
    [recovery] = find_recoverable(journals)
    return Document.recover(recovery)


# ------------------------------------------------------------------------------- opening
def test_an_open_project_is_clean_and_knows_its_file(document, labels):
    assert (document.name, document.path, document.is_dirty) == ("labels.slp", labels, False)
    assert document.project.poses is document.poses
    assert document.project.videos == document.videos
    assert not document.history.can_undo
    with pytest.raises(IndexError):
        document.undo()
    with pytest.raises(IndexError):
        document.redo()


def test_a_project_of_another_format_is_never_overwritten(labels, tmp_path, journals):
    project = read_labels(labels)
    write_labels(project, tmp_path / "poses.csv")
    before = (tmp_path / "poses.csv").read_bytes()
    document = Document.open(tmp_path / "poses.csv", journal_folder=journals)
    assert (document.path, document.name) == (None, "poses.csv")
    move(document, 1)
    with pytest.raises(OutputError, match="Save it under a name"):
        document.save()
    with pytest.raises(OutputError, match=r"ends with \.slp"):
        document.save(tmp_path / "poses.csv")
    assert document.is_dirty
    assert document.save(tmp_path / "new.slp") == document.path
    assert (tmp_path / "poses.csv").read_bytes() == before
    assert read_labels(tmp_path / "new.slp").poses == document.poses
    document.close()


def test_a_package_is_saved_as_a_project_beside_it(labels, tmp_path, journals):
    write_labels(read_labels(labels), tmp_path / "some.pkg.slp")
    document = Document.open(tmp_path / "some.pkg.slp", journal_folder=journals)
    assert document.path is None
    move(document, 1)
    document.save(tmp_path / "whole.slp")
    assert read_labels(tmp_path / "whole.slp").videos[0][0].shape == document.videos[0][0].shape
    document.close()


def test_videos_begin_a_project(labels, tmp_path, journals):
    document = Document.from_videos([tmp_path / "video.mp4"], journal_folder=journals)
    assert (document.name, document.path, document.is_dirty) == ("video (new)", None, False)
    assert document.skeleton == Skeleton(())
    with pytest.raises(DataError, match="at least one video"):
        Document.from_videos([])
    document.close()


# ------------------------------------------------------------------------------- editing
def test_listeners_hear_of_every_change_in_order(document):
    heard = []
    document.on_change.append(lambda change: heard.append((change.label, change.marks)))
    move(document, 1)
    document.do(document.replace_suggestions([(0, 3)], ["dark"]))
    document.undo()
    document.redo()
    assert heard == [
        ("Move point", False),
        ("Suggest frames", True),
        ("Suggest frames", True),
        ("Suggest frames", True),
    ]
    assert document.suggestion_reasons == ("dark",)


def test_an_edit_is_written_down_although_a_listener_fails(document, journals):
    document.on_change.append(lambda change: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        move(document, 1)
    expected = document.poses.copy()
    document.close(keep_unsaved=True)
    assert recover_and_close(journals).poses == expected


def recover_and_close(journals: Path) -> Document:
    document = recover(journals)
    document.close()
    return document


def test_a_frame_is_marked_empty_in_one_step_with_its_predictions(document):
    shape = document.poses.take_frames([(0, 0)]).replace(frame=[1], origin=Origin.PREDICTED)
    document.do(replace_frames(document.poses, [(0, 1)], shape))
    before = document.poses.copy()
    document.do(document.mark_empty([(0, 1), (0, 3)]))
    assert document.negative_frames.tolist() == [[0, 1], [0, 3]]
    assert not len(document.poses.at(0, 1))
    assert document.undo() == "Mark as empty"
    assert document.poses == before
    assert not len(document.negative_frames)


@pytest.mark.parametrize(
    ("frames", "message"),
    [([(0, 0)], "received frame 0, which has some"), ([(1, 3)], r"\[1, 3\]"), ([(0, -1)], "-1")],
)
def test_what_cannot_be_empty_is_refused(document, frames, message):
    with pytest.raises(DataError, match=message):
        document.mark_empty(frames)


def test_a_label_ends_the_mark_as_empty_in_the_same_step(document):
    document.do(document.mark_empty([(0, 1), (0, 3)]))
    k = document.poses.n_nodes
    block = Poses.from_arrays(document.skeleton, frame=[1, 2], xy=np.ones((2, k, 2)))
    document.do(replace_frames(document.poses, [(0, 1), (0, 2)], block))
    assert document.negative_frames.tolist() == [[0, 3]]
    document.undo()
    assert document.negative_frames.tolist() == [[0, 1], [0, 3]]
    predicted = block.replace(frame=[1, 3], origin=Origin.PREDICTED)
    document.do(replace_frames(document.poses, [(0, 1), (0, 3)], predicted))
    assert document.negative_frames.tolist() == [[0, 1], [0, 3]]
    document.do(replace_table(document.poses, block))
    assert document.negative_frames.tolist() == [[0, 3]]


def test_videos_are_added_and_found_again_as_edits(document, tmp_path):
    shutil.copy(tmp_path / "video.mp4", tmp_path / "second.mp4")
    document.do(document.add_videos([tmp_path / "second.mp4"]))
    assert [video.name for video in document.videos] == ["video.mp4", "second.mp4"]
    document.do(document.mark_empty([(1, 0)]))
    document.do(document.relink({1: str(tmp_path / "video.mp4")}))
    assert document.videos[1].name == "video.mp4"
    for _ in range(3):
        document.undo()
    assert [video.name for video in document.videos] == ["video.mp4"]
    assert not document.is_dirty


# -------------------------------------------------------------------------------- saving
def test_saving_is_clean_and_undo_goes_on(document, labels, journals):
    move(document, 1)
    assert document.is_dirty
    assert len(list(journals.iterdir())) == 1
    assert document.save() == labels
    assert not document.is_dirty
    assert not list(journals.iterdir())
    assert read_labels(labels).poses == document.poses
    document.undo()
    assert document.is_dirty
    expected = document.poses.copy()
    document.close(keep_unsaved=True)
    assert recover_and_close(journals).poses == expected


def test_marks_and_videos_are_saved(document, labels, tmp_path):
    shutil.copy(tmp_path / "video.mp4", tmp_path / "second.mp4")
    document.do(document.add_videos([tmp_path / "second.mp4"]))
    document.do(document.mark_empty([(1, 2)]))
    document.do(document.replace_suggestions([(1, 5), (0, 7)]))
    document.save(tmp_path / "other.slp")
    saved = read_labels(tmp_path / "other.slp")
    assert saved.negative_frames.tolist() == [[1, 2]]
    assert saved.suggestions.tolist() == [[1, 5], [0, 7]]
    assert [video.name for video in saved.videos] == ["video.mp4", "second.mp4"]
    assert document.path == tmp_path / "other.slp"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_save_that_fails_changes_nothing(document, labels, journals, monkeypatch, number):
    move(document, 1)
    before, expected = labels.read_bytes(), document.poses.copy()

    def fail(*_):
        raise OSError(number, os.strerror(number), str(labels))

    monkeypatch.setattr(atomic.os, "replace", fail)
    with pytest.raises(OutputError, match=r"received (a full disk|no permission)"):
        document.save()
    monkeypatch.undo()
    assert labels.read_bytes() == before
    assert document.is_dirty
    assert not [path for path in labels.parent.iterdir() if path.name.startswith(".")]
    document.undo()
    document.redo()
    document.close(keep_unsaved=True)
    assert recover_and_close(journals).poses == expected


def test_somebody_else_who_writes_the_file_is_noticed(document, labels):
    assert not document.has_changed_on_disk
    os.utime(labels, (1, 1))
    assert not document.has_changed_on_disk
    project = read_labels(labels)
    write_labels(project.with_poses(project.poses.select([0])), labels)
    assert document.has_changed_on_disk
    document.save()
    assert not document.has_changed_on_disk


def test_somebody_else_who_changes_one_number_is_noticed(labels, journals):
    frames = np.arange(20_000)
    poses = Poses.from_arrays(Skeleton(("a",)), frame=frames, xy=np.ones((len(frames), 1, 2)))
    write_labels(Project(read_labels(labels).videos, poses), labels)
    document = Document.open(labels, journal_folder=journals)
    move(document, 5)
    document.close(keep_unsaved=True)
    size = labels.stat().st_size
    with h5py.File(labels, "a") as file:
        at = next(place for place in range(1000, 20_000) if not is_sampled(file, place, size))
        file["points"][at] = (7, 7, True, True)
    assert labels.stat().st_size == size
    assert document.has_changed_on_disk
    [recovery] = find_recoverable(journals)
    assert recovery.has_changed


def is_sampled(file: h5py.File, row: int, size: int) -> bool:
    """Whether the samples that `fingerprint` reads touch a row of the table of points."""
    points = file["points"]
    first = points.id.get_offset() + row * points.dtype.itemsize
    starts = [(size - 4096) * number // 15 for number in range(16)]
    return any(start - points.dtype.itemsize < first < start + 4096 for start in starts)


# ------------------------------------------------------------------------------ recovery
def test_giving_up_leaves_nothing(labels, journals):
    document = Document.open(labels, journal_folder=journals)
    move(document, 1)
    document.close()
    assert find_recoverable(journals) == []


def test_recovered_work_is_dirty_until_it_is_saved(document, labels, journals):
    move(document, 4)
    document.close(keep_unsaved=True)
    [recovery] = find_recoverable(journals)
    assert recovery.describe().startswith("labels.slp: 1 unsaved edit, the last on ")
    again = Document.recover(recovery)
    assert again.is_dirty
    assert (again.path, again.recovery_note) == (labels, "")
    assert find_recoverable(journals) == []
    move(again, 5)
    expected = again.poses.copy()
    again.close(keep_unsaved=True)
    third = recover(journals)
    assert third.poses == expected
    third.save()
    assert not third.is_dirty
    assert find_recoverable(journals) == []
    assert read_labels(labels).poses == expected
    third.close()


def test_a_new_project_is_recovered_from_its_videos(labels, tmp_path, journals):
    skeleton = Skeleton(("a", "b"), ((0, 1),))
    videos = [tmp_path / "video.mp4"]
    document = Document.from_videos(videos, skeleton, journal_folder=journals)
    document.do(add_shape(document.poses, 0, 3, [(1, 2), (3, 4)]))
    document.do(add_node(document.poses, "c"))
    document.close(keep_unsaved=True)
    again = recover(journals)
    assert again.poses == document.poses
    assert again.videos == document.videos
    assert again.videos[0][0].shape == (96, 128, 1)
    again.close()


def test_labels_that_no_file_holds_are_recovered_too(labels, journals):
    project = read_labels(labels).replace(path=None, negative_frames=[(0, 23)])
    document = Document(project, journal_folder=journals)
    document.do(delete_instances(document.poses, [(0, 0, 0)]))
    document.undo()
    document.close(keep_unsaved=True)
    again = recover(journals)
    assert again.poses == document.poses
    assert again.negative_frames.tolist() == [[0, 23]]
    again.close()


def test_videos_found_in_folders_are_found_again(labels, tmp_path, journals):
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "video.mp4", tmp_path / "elsewhere" / "video.mp4")
    folder = tmp_path / "elsewhere"
    document = Document.open(labels, video_dirs=folder, journal_folder=journals)
    assert document.videos[0].exists
    move(document, 1)
    document.close(keep_unsaved=True)
    again = recover(journals)
    assert again.videos[0].exists
    again.close()


def test_a_file_that_has_changed_gets_what_still_fits(document, labels, journals):
    move(document, 1, frame=2)
    document.do(add_node(document.poses, "extra"))
    document.do(add_shape(document.poses, 0, 1, np.ones((document.poses.n_nodes, 2))))
    document.close(keep_unsaved=True)
    project = read_labels(labels)
    other = Project(project.videos, project.poses.select(project.poses.frame < 10))
    edit = add_node(other.poses, "extra")  # what the second edit would add
    edit.apply(other.poses)
    write_labels(other, labels)
    [recovery] = find_recoverable(journals)
    assert recovery.describe().endswith("what still fits can be recovered.")
    again = Document.recover(recovery)
    n_fit = int(again.recovery_note.split()[0])
    assert n_fit < 3
    assert again.is_dirty
    assert len(find_recoverable(journals)) == 1  # on offer until it is discarded
    move(again, 8, frame=4)
    expected = again.poses.copy()
    again.close(keep_unsaved=True)
    newest = find_recoverable(journals)[0]
    assert newest.path != recovery.path
    third = Document.recover(newest)
    assert third.poses == expected
    third.close()


def test_a_file_that_is_gone_is_said(document, labels, journals):
    move(document, 1)
    document.close(keep_unsaved=True)
    labels.unlink()
    [recovery] = find_recoverable(journals)
    assert "is gone; put it back" in recovery.describe()
    with pytest.raises(FileFormatError, match="does not exist"):
        Document.recover(recovery)
    assert find_recoverable(journals) == [recovery]


@pytest.mark.parametrize("source", ["labels.slp", "video.mp4"])
def test_a_killed_process_loses_nothing(labels, journals, tmp_path, source):
    path = str(labels.parent / source)
    command = [sys.executable, killed_document.__file__, path, str(journals)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(14)]
        assert find_recoverable(journals) == []
        process.kill()  # SIGKILL: nothing of it runs any more
        said += process.stdout.readlines()
    known = [line.split() for line in said if line.endswith("\n")]
    recovered = recover(journals)
    found = killed_document.summarize(recovered)
    recovered.close()
    # The same edits here: what was said last is there, or what was written down after it.
    twin = killed_document.begin(path, tmp_path / "twin")
    for number, summary in known:
        killed_document.edit_once(twin, int(number))
        assert killed_document.summarize(twin) == summary
    possible = {summary}
    twin.on_change.append(lambda _: possible.add(killed_document.summarize(twin)))
    killed_document.edit_once(twin, int(number) + 1)
    twin.close()
    assert found in possible
