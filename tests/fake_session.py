"""A session and a document without viewer and files, for docks that only read and edit them."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_animalpose.data.history import Change, History
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.drawing.colors import qualitative_colors


@dataclass
class FakeVideo:
    """A black video of any length."""

    n_frames: int
    fps: float = 25.0
    name: str = "video.mp4"
    source: str = "video.mp4"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.n_frames, 48, 64, 1

    def __len__(self) -> int:
        return self.n_frames

    def __getitem__(self, index: int) -> Any:
        return np.zeros((48, 64, 1), np.uint8)

    def close(self) -> None:
        pass


class MarkEdit(SimpleNamespace):
    """An edit of marks: which frames are suggested or empty."""


class FakeDocument:
    def __init__(self, poses: Poses, videos: tuple[Any, ...], suggestions=(), empty=()) -> None:
        self.poses, self.videos = poses, videos
        self.history = History(poses)
        self.suggestions = np.array(suggestions, np.int32).reshape(-1, 2)
        self.negative_frames = np.array(empty, np.int32).reshape(-1, 2)
        self.suggestion_reasons: tuple[str, ...] = ()

    @property
    def project(self) -> Project:
        return Project(self.videos, self.poses, self.suggestions, self.negative_frames)

    @property
    def skeleton(self):
        return self.poses.skeleton

    def replace_suggestions(self, frames, reasons=()) -> MarkEdit:
        return MarkEdit(frames=np.array(frames, np.int32).reshape(-1, 2), reasons=tuple(reasons))


class FakeSession(QObject):
    document_changed = Signal()
    edited = Signal(object)
    frame_changed = Signal(int, int)
    selection_changed = Signal()
    state_changed = Signal()
    marks_changed = Signal()

    def __init__(self, document: FakeDocument | None = None) -> None:
        super().__init__()
        self.document: FakeDocument | None = None
        self.video = self.frame = 0
        self.findings: list[Any] = []
        self.selected: list[tuple[int, int]] = []
        self.messages: list[str] = []
        self._range: tuple[int, int] | None = None
        self.open(document)

    def open(self, document: FakeDocument | None) -> None:
        self.document = document
        self.video = self.frame = 0
        if document is not None:
            document.history.on_change.append(self.edited.emit)
        self.document_changed.emit()

    @property
    def n_frames(self) -> int:
        return len(self.document.videos[self.video]) if self.document else 0

    def go_to(self, frame: int, video: int | None = None) -> None:
        self.video = self.video if video is None else video
        self.frame = min(max(frame, 0), self.n_frames - 1)
        self.frame_changed.emit(self.video, self.frame)

    def do(self, edit: Any) -> bool:
        assert self.document is not None
        if isinstance(edit, MarkEdit):
            self.document.suggestions = edit.frames
            self.document.suggestion_reasons = edit.reasons
            self.edited.emit(Change("Suggest", np.zeros((0, 2), np.int64), False, False))
            self.marks_changed.emit()
        else:
            self.document.history.do(edit)
        return True

    def undo(self) -> None:
        assert self.document is not None
        self.document.history.undo()

    @property
    def selected_range(self) -> tuple[int, int] | None:
        return self._range

    @selected_range.setter
    def selected_range(self, span: tuple[int, int] | None) -> None:
        self._range = span
        self.marks_changed.emit()

    def select_instance(self, position: int) -> None:
        self.selected = [(position, node) for node in range(len(self.document.skeleton))]

    def set_findings(self, findings) -> None:
        self.findings = list(findings)
        self.marks_changed.emit()

    def flagged_frames(self, video: int):
        return np.unique([f.frame for f in self.findings if f.video == video]).astype(np.int64)

    def track_colors(self):
        return qualitative_colors(len(self.document.poses.track_names))

    def show_info(self, message: str) -> None:
        self.messages.append(message)

    show_error = show_info
