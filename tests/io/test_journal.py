"""Journals: what survives a cut, a damaged byte, a full disk, and windows side by side."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from edit_machine import AB

from napari_animalpose.data import edits, schema_edits
from napari_animalpose.data.edit_kinds import FrameEdit, TableEdit
from napari_animalpose.data.edit_sequence import EditSequence, chain_edits
from napari_animalpose.data.mark_edits import Marks
from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.errors import FileFormatError, OutputError
from napari_animalpose.io import journal as module
from napari_animalpose.io import journal_lock
from napari_animalpose.io.journal import (
    Journal,
    find_recoverable,
    fingerprint,
    has_changed,
    is_same_file,
    journal_folder,
)
from napari_animalpose.io.journal_records import write_record

HEADER = {"name": "flies.slp", "source": None, "fingerprint": None}


def make_poses(n_frames: int = 3) -> Poses:
    return Poses.from_arrays(
        AB,
        frame=np.repeat(np.arange(n_frames), 2),
        xy=np.arange(n_frames * 8).reshape(-1, 2, 2),
        track=np.tile([0, 1], n_frames),
        origin=Origin.PREDICTED,
        track_names=["x", "y"],
    )


class Holder(SimpleNamespace):
    """A project with a journal, without a history."""

    def __init__(self, folder: Path, n_frames: int = 3) -> None:
        super().__init__(poses=make_poses(n_frames), marks=Marks(), videos=())
        self.journal = Journal(HEADER, self.snapshot, folder)

    def snapshot(self) -> TableEdit:
        return TableEdit("Open", self.poses, self.poses)

    def do(self, edit) -> None:
        edit.apply_to(self)
        self.journal.append(edit)

    def undo(self, edit) -> None:
        edit.inverse().apply_to(self)
        self.journal.append(edit, backwards=True)

    def move(self, frame: int, x: float) -> FrameEdit:
        return edits.move_points(self.poses, [(0, frame, 0, 0)], [(x, 0)])


def replay(folder: Path, n_frames: int = 3) -> Poses:
    [recovery] = find_recoverable(folder)
    holder = SimpleNamespace(poses=make_poses(n_frames), marks=Marks(), videos=())
    for edit in recovery.replay(holder):
        edit.apply_to(holder)
    return holder.poses


def test_looking_at_a_project_leaves_no_file(tmp_path):
    holder = Holder(tmp_path / "journals")
    holder.journal.discard()
    holder.journal.restart(HEADER)
    assert not (tmp_path / "journals").exists()
    assert find_recoverable(tmp_path / "journals") == []


def test_the_folder_is_named_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ANIMALPOSE_JOURNALS", str(tmp_path))
    assert journal_folder() == tmp_path
    monkeypatch.delenv("ANIMALPOSE_JOURNALS")
    assert journal_folder().name == "journals"


def test_a_journal_in_use_is_nobody_elses(tmp_path):
    holder = Holder(tmp_path)
    holder.do(holder.move(1, 9))
    assert find_recoverable(tmp_path) == []
    holder.journal.release()
    [recovery] = find_recoverable(tmp_path)
    assert recovery.n_edits == 1
    file = recovery.take()
    with pytest.raises(FileFormatError, match="opened or discarded meanwhile"):
        recovery.take()
    recovery.discard()  # another window has it
    assert recovery.path.exists()
    file.close()
    recovery.discard()
    recovery.discard()
    with pytest.raises(FileFormatError, match="opened or discarded meanwhile"):
        recovery.take()
    assert find_recoverable(tmp_path) == []


def test_a_cut_or_damaged_journal_gives_the_edits_before(tmp_path):
    holder = Holder(tmp_path)
    states, ends = [holder.poses.copy()], []
    for build in (
        lambda: holder.move(0, 5),
        lambda: schema_edits.add_node(holder.poses, "c", 1),
        lambda: edits.delete_instances(holder.poses, [(0, 1, 1)]),
    ):
        holder.do(build())
        states.append(holder.poses.copy())
        ends.append(holder.journal.path.stat().st_size)
    holder.journal.release()
    [path] = tmp_path.iterdir()
    content = path.read_bytes()
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        found = find_recoverable(tmp_path)
        n_whole = sum(end <= cut for end in ends)
        assert [recovery.n_edits for recovery in found] == ([n_whole] if n_whole else [])
        if cut in ends or cut + 1 in ends:
            assert not found or replay(tmp_path) == states[n_whole]
    rng = np.random.default_rng(0)
    for place in rng.integers(ends[0], len(content), 40).tolist():
        damaged = bytearray(content)
        damaged[place] ^= 0x40
        path.write_bytes(damaged)
        n_whole = sum(end <= place for end in ends)
        assert replay(tmp_path) == states[n_whole]


def test_what_is_cut_off_is_overwritten_by_whoever_goes_on(tmp_path):
    holder = Holder(tmp_path)
    holder.do(holder.move(0, 5))
    holder.journal.release()
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + b"half a record")
    [recovery] = find_recoverable(tmp_path)
    holder.journal.adopt(recovery.take(), recovery.path, recovery.n_edits)
    holder.do(holder.move(2, 7))
    holder.journal.release()
    assert replay(tmp_path) == holder.poses


def test_files_that_are_no_journals_are_left_alone(tmp_path):
    for name, content in {
        "newer.journal": b"animalpose journal 3\nwhatever",
        "mine.journal": b"Dear diary",
        "notes.txt": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "empty.journal").write_bytes(b"")
    (tmp_path / "folder.journal").mkdir()
    assert find_recoverable(tmp_path) == []
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"newer.journal", "mine.journal", "notes.txt", "folder.journal"}


def test_objects_are_refused(tmp_path):
    holder = Holder(tmp_path)
    holder.do(holder.move(0, 5))
    file = holder.journal._file
    start = file.tell()
    write_record(file, {"texts": {"header": '{"kind": "frames", "label": ""}'}}, {"x": np.ones(1)})
    content = holder.journal.path.read_bytes()[start:]
    file.truncate(start)
    file.seek(start)
    payload = content[12:].replace(b'"<f8"', b'"|O8"')
    assert payload != content[12:]
    file.write(struct.pack("<QI", len(payload), zlib.crc32(payload)) + payload)
    holder.journal.release()
    with pytest.raises(FileFormatError, match="numbers in a journal"):
        replay(tmp_path)


# ---------------------------------------------------------------------------- large edits
def test_a_large_edit_is_written_once_however_often_it_is_undone(tmp_path):
    n_frames = 4000
    holder = Holder(tmp_path, n_frames)
    after = make_poses(n_frames).replace(xy=make_poses(n_frames).xy + 1)
    table = edits.replace_table(holder.poses, after)
    frames = chain_edits(
        after,
        "Both",
        [
            lambda p: edits.replace_frames(p, p.frame_keys(), p.replace(origin=Origin.USER)),
            lambda p: edits.replace_table(p, after.select(np.arange(len(after)) % 3 > 0)),
        ],
    )
    one_table = sum(column.nbytes for column in after.columns.values())
    for edit, n_tables in ((table, 1.01), (frames, 1.9)):
        size = holder.journal.path.stat().st_size if holder.journal.path else 0
        holder.do(edit)
        for _ in range(3):
            holder.undo(edit)
            holder.do(edit)
        assert holder.journal.path.stat().st_size - size < one_table * n_tables
    holder.undo(frames)
    holder.journal.release()
    assert replay(tmp_path, n_frames) == holder.poses


def test_an_edit_done_before_the_journal_began_is_undone_and_redone(tmp_path):
    holder = Holder(tmp_path, 4000)
    edit = edits.replace_table(holder.poses, make_poses(4000).replace(score=np.ones(8000)))
    edit.apply_to(holder)
    first = holder.poses.copy()
    holder.undo(edit)
    holder.do(edit)
    holder.undo(edit)
    holder.journal.release()
    [recovery] = find_recoverable(tmp_path)
    replayed = SimpleNamespace(poses=first, marks=Marks(), videos=())
    for step in recovery.replay(replayed):
        step.apply_to(replayed)
    assert replayed.poses == holder.poses


def test_undo_of_what_was_recovered_brings_back_what_the_project_had(tmp_path):
    holder = Holder(tmp_path)
    sequence = chain_edits(
        holder.poses,
        "All",
        [
            lambda p: edits.move_points(p, [(0, 0, 0, 0)], [(7, 7)]),
            lambda p: edits.delete_instances(p, [(0, 0, 1)]),
            lambda p: edits.replace_table(p, make_poses(1)),
        ],
    )
    holder.do(EditSequence("Outer", (sequence,)))
    holder.journal.release()
    [recovery] = find_recoverable(tmp_path)
    replayed = SimpleNamespace(poses=make_poses(), marks=Marks(), videos=())
    [edit] = recovery.replay(replayed)
    edit.apply_to(replayed)
    assert replayed.poses == holder.poses
    edit.inverse().apply_to(replayed)
    assert replayed.poses == make_poses()


def test_instances_that_go_with_their_last_node_are_replayed(tmp_path):
    holder = Holder(tmp_path)
    holder.do(edits.set_visibility(holder.poses, [(0, 1, 0, 1)], Visibility.MISSING))
    before = holder.poses.copy()
    edit = schema_edits.remove_node(holder.poses, "a")
    holder.do(edit)
    holder.undo(edit)
    assert holder.poses == before
    holder.do(edit)
    assert holder.poses.frame.tolist() == [0, 0, 1, 2, 2]
    holder.journal.release()
    assert replay(tmp_path) == holder.poses


# ------------------------------------------------------------------------------- trouble
def test_after_a_full_disk_the_next_edit_brings_what_is_missing(tmp_path, monkeypatch):
    holder = Holder(tmp_path)
    holder.do(holder.move(0, 1))
    old = holder.journal.path
    monkeypatch.setattr(module, "write_edit", fail)
    with pytest.raises(OutputError, match="received a full disk"):
        holder.do(holder.move(0, 2))
    holder.do(holder.move(0, 3))  # said once, not at every edit
    monkeypatch.setattr(module.time, "monotonic", lambda: 1e9)
    with pytest.raises(OutputError, match="full disk"):
        holder.do(holder.move(0, 4))
    assert old.exists()
    monkeypatch.undo()
    monkeypatch.setattr(module.time, "monotonic", lambda: 2e9)
    holder.do(holder.move(1, 5))
    assert not old.exists()
    holder.do(holder.move(1, 6))
    holder.journal.release()
    assert [path.suffix for path in tmp_path.iterdir()] == [".journal"]
    assert replay(tmp_path) == holder.poses


def fail(*_):
    raise OSError(28, os.strerror(28))


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    holder = Holder(tmp_path / "file" / "journals")
    with pytest.raises(OutputError, match="a file where a folder is needed"):
        holder.do(holder.move(0, 1))


def test_edits_reach_the_disk_later_without_keeping_the_journal(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(module, "SYNC_S", 0.01)
    monkeypatch.setattr(module.os, "fsync", synced.append)
    holder = Holder(tmp_path)
    holder.do(holder.move(0, 1))
    holder.journal._sync._timer.join()
    assert len(synced) == 1
    holder.do(holder.move(0, 2))
    holder.journal.discard()
    holder.journal._sync._timer.join()  # the file is gone: nothing to do
    assert len(synced) == 1


# ----------------------------------------------------------------------------- who has it
def test_without_locks_the_process_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "lock", lambda file: None)
    holder = Holder(tmp_path)
    holder.do(holder.move(0, 1))
    assert find_recoverable(tmp_path) == []  # this process is alive
    holder.journal.release()
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    dead = {**journal_lock.describe_process(), "pid": int(process.stdout)}
    monkeypatch.setattr(module, "describe_process", lambda: dead)
    again = Holder(tmp_path)
    again.do(again.move(1, 1))
    again.journal.release()
    assert [recovery.header["process"] for recovery in find_recoverable(tmp_path)] == [dead]


def test_a_process_number_used_again_is_another_process():
    this = journal_lock.describe_process()
    assert journal_lock.is_alive(this)
    assert journal_lock.is_alive({**this, "host": "elsewhere"})
    if this["started"] is not None:
        assert not journal_lock.is_alive({**this, "started": "1"})


def test_a_file_is_known_by_its_content_and_not_by_its_time(tmp_path):
    path = tmp_path / "a.slp"
    path.write_bytes(bytes(range(256)) * 4096)
    first = fingerprint(path)
    os.utime(path, (1, 1))
    assert is_same_file(fingerprint(path), first)
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    assert not is_same_file(fingerprint(path), first)
    assert fingerprint(tmp_path / "none") is None
    assert is_same_file(None, None)
    assert not is_same_file(first, None)
    assert is_same_file(fingerprint(tmp_path), fingerprint(tmp_path))


@pytest.fixture
def changed(tmp_path):
    """Return a file of which a byte between all samples was changed, and how it was before."""
    path = tmp_path / "a.slp"
    path.write_bytes(bytes(2**20))
    os.utime(path, (1, 1))
    known = fingerprint(path)
    path.write_bytes(bytes(10_000) + b"\x01" + bytes(2**20 - 10_001))
    assert fingerprint(path, whole=False)["digest"] == known["digest"]
    return path, known


def test_a_change_of_any_byte_is_noticed_and_a_mere_touch_is_none(changed):
    path, known = changed
    assert has_changed(path, known)
    assert not is_same_file(fingerprint(path), known)
    path.write_bytes(bytes(2**20))
    assert path.stat().st_mtime_ns != known["mtime_ns"]
    assert not has_changed(path, known)
    path.unlink()
    assert has_changed(path, known)
    assert not has_changed(None, None)


def test_a_file_too_large_to_be_hashed_is_known_by_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_HASHED_BYTES", 999)
    path = tmp_path / "a.slp"
    path.write_bytes(bytes(1000))
    known = fingerprint(path)
    assert not has_changed(path, known)
    os.utime(path, (1, 1))
    assert has_changed(path, known)


def test_an_older_journal_knows_the_samples_alone(changed):
    path, known = changed
    del known["content"]
    assert not has_changed(path, known)
    path.write_bytes(bytes(2**20 - 1) + b"\x01")
    assert has_changed(path, known)


def test_a_file_that_was_not_touched_is_not_read_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.slp"
    path.write_bytes(bytes(100))
    known = fingerprint(path)
    monkeypatch.setattr(module, "_hash_all", lambda _: pytest.fail("The whole file was read."))
    assert not has_changed(path, known)
