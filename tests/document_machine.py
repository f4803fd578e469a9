"""Random edits of a document, whose journal is then cut anywhere and replayed."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
from edit_machine import AB, FRAMES, EditsAgainstModel, assert_same_bits
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from strategies import pose_tables

from napari_animalpose.data import edits
from napari_animalpose.data.edit_sequence import chain_edits
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import DataError
from napari_animalpose.io import journal
from napari_animalpose.io.journal import find_recoverable
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_edits import VideosEdit
from napari_animalpose.pipeline.document import Document

__all__ = ["DocumentMachine", "State"]


def make_video(name: str) -> LazyVideo:
    return LazyVideo(name, shape=(6, 32, 32, 1), fps=25.0)


class State:
    """All that a document holds, at one moment."""

    def __init__(self, document: Document) -> None:
        self.poses = Poses(
            document.skeleton,
            {name: column.copy() for name, column in document.poses.columns.items()},
            document.track_names,
        )
        self.marks, self.videos = document.marks, document.videos

    def assert_equals(self, document: Document) -> None:
        assert_same_bits(document.poses, self.poses)
        assert document.marks == self.marks
        assert document.videos == self.videos


class History:
    """A document as the machine for tables takes it."""

    def __init__(self, document: Document) -> None:
        self.do, self.undo, self.redo = document.do, document.undo, document.redo
        self._history = document.history

    @property
    def can_undo(self) -> bool:
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        return self._history.can_redo


class DocumentMachine(EditsAgainstModel):
    """Edits of the table, and of marks and videos; after them the journal is put to the test."""

    @initialize(poses=pose_tables(AB, max_rows=10))
    def start(self, poses):
        super().start(poses)
        self.patch = patch.object(journal, "_LARGE", 2000)  # so that small tables are large, too
        self.patch.start()
        self.folder = Path(tempfile.mkdtemp())
        videos = (make_video("a.mp4"), make_video("b.mp4"))
        self.document = Document(Project(videos, poses), journal_folder=self.folder)
        self.history = History(self.document)
        self.states = [State(self.document)]
        self.document.on_change.append(lambda _: self.states.append(State(self.document)))

    def is_empty(self, frame):
        return any(tuple(pair) == frame for pair in self.document.negative_frames.tolist())

    def labels_of(self, frame):
        return [row for row in self.model.rows[frame] if row["origin"] != 1]

    @rule(frame=st.sampled_from(FRAMES))
    def mark_empty(self, frame):
        if self.labels_of(frame):
            try:
                self.document.mark_empty([frame])
            except DataError:
                return
            raise AssertionError("A frame with labels was marked as empty.")
        edit = self.document.mark_empty([frame])
        if len(edit.touched):
            self.begin()
            self.model.rows[frame] = []
            self.document.do(edit)
        assert self.is_empty(frame)
        assert not self.labels_of(frame)

    @precondition(lambda self: len(self.document.negative_frames))
    @rule(data=st.data())
    def take_back_empty(self, data):
        frame = tuple(data.draw(st.sampled_from(self.document.negative_frames.tolist())))
        self.begin()
        self.document.do(self.document.mark_empty([frame], empty=False))
        assert not self.is_empty(frame)

    @rule(frames=st.lists(st.sampled_from(FRAMES), unique=True, max_size=3), why=st.booleans())
    def suggest(self, frames, why):
        reasons = [f"because of {frame}" for frame in frames] if why else []
        edit = self.document.replace_suggestions(frames, reasons)
        if len(edit.touched):
            self.begin()
            self.document.do(edit)
        assert self.document.suggestions.tolist() == [list(frame) for frame in frames]
        assert self.document.suggestion_reasons == tuple(reasons)

    @rule(data=st.data())
    def change_videos(self, data):
        videos = list(self.document.videos)
        if data.draw(st.booleans()):
            videos.append(make_video(f"more{len(videos)}.mp4"))
        else:
            videos[-1] = make_video(f"elsewhere/{videos[-1].name}")
        self.begin()
        self.document.do(VideosEdit("Change videos", self.document.videos, tuple(videos)))
        assert self.document.project.videos == tuple(videos)

    @rule(data=st.data())
    def replace_table_within_a_sequence(self, data):
        after = data.draw(pose_tables(AB))
        more = data.draw(pose_tables(AB, max_rows=2))
        steps = [lambda p: edits.replace_table(p, after), lambda p: edits.add_instances(p, more)]
        edit = chain_edits(self.document.poses, "Both", steps)
        self.begin()
        result = self.document.poses.copy()
        edit.apply(result)
        self.model = type(self.model)(result)
        self.document.do(edit)

    def teardown(self):
        if not hasattr(self, "document"):
            return
        try:
            super().teardown()
            for frame in self.document.negative_frames.tolist():
                assert not self.document.poses.at(*frame).is_label.any()
            self.cut_and_recover()
        finally:
            self.patch.stop()
            self.document.close()
            shutil.rmtree(self.folder)

    def cut_and_recover(self):
        """Cut copies of the journal at some bytes; what is whole before the cut comes back."""
        path = self.document._journal.path
        if path is None:
            assert len(self.states) == 1
            return
        content = path.read_bytes()
        cuts = np.random.default_rng(len(content)).integers(0, len(content), 4)
        for cut in [len(content), *cuts.tolist()]:
            folder = self.folder / str(cut)
            folder.mkdir(exist_ok=True)
            copy = folder / path.name
            copy.write_bytes(content[:cut])
            for recovery in find_recoverable(folder):
                document = Document.recover(recovery)
                assert 0 < recovery.n_edits < len(self.states)
                assert (recovery.n_edits == len(self.states) - 1) == (cut == len(content))
                self.states[recovery.n_edits].assert_equals(document)
                assert document.is_dirty
                document.close()
            assert not list(folder.iterdir())
