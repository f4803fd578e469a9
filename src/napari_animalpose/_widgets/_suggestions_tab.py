"""Frames worth labelling: have them chosen, go through them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._job_row import JobRow
from napari_animalpose._widgets._overviews import get_overviews
from napari_animalpose._widgets._record_table import Record, RecordTable
from napari_animalpose.data.overview import FrameKind
from napari_animalpose.pipeline.review import propose_frames
from napari_animalpose.review.suggestions.base import SUGGESTERS, Suggestions

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["SuggestionsTab"]

_DONE = FrameKind.LABELLED | FrameKind.EMPTY
_EMPTY = "No frame is suggested yet. Choose a method above."


class SuggestionsTab(QWidget):
    """The suggested frames of the project, with the reason for each where it is known."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.overviews = get_overviews(session)
        self.method = QComboBox(self)
        self.count = QSpinBox(self)
        self.spacing = QSpinBox(self)
        self.only_here = QCheckBox("This video only", self)
        self.keep = QCheckBox("Add to those there are", self)
        self.work = JobRow("Suggest frames", "Choose frames, in a process of its own", self)
        self.table = RecordTable(("Frame", "Why"), self)
        self.why = QLabel(_EMPTY, self)
        self.progress = QLabel(self)
        self.previous, self.next = QPushButton("◀ Previous", self), QPushButton("Next ▶", self)
        self.remove, self.clear = QPushButton("Remove", self), QPushButton("Remove all", self)
        self._reasons: dict[tuple[int, int], str] = {}
        self._frames: list[tuple[int, int]] = []
        self._build()
        self._connect()
        self._read()

    # ------------------------------------------------------------------------ building
    def _build(self) -> None:
        for name in SUGGESTERS.names():
            self.method.addItem(name.capitalize(), name)
            place = self.method.count() - 1
            self.method.setItemData(place, _explain(name), Qt.ItemDataRole.ToolTipRole)
        self.count.setRange(1, 10_000)
        self.count.setValue(20)
        self.count.setToolTip("How many frames to suggest")
        self.spacing.setRange(0, 1_000_000)
        self.spacing.setValue(10)
        self.spacing.setToolTip("Least distance to any other suggested or labelled frame")
        self.only_here.setToolTip("Choose from the video in view")
        self.keep.setChecked(True)
        self.keep.setToolTip("Otherwise the new suggestions replace the old ones")
        self.previous.setToolTip("Go to the suggestion before this one")
        self.next.setToolTip("Go to the suggestion after this one")
        self.remove.setToolTip("Take this frame off the list")
        self.clear.setToolTip("Take all frames off the list; undo brings them back")
        self.why.setWordWrap(True)
        form = QFormLayout()
        form.addRow("Method", self.method)
        numbers = QHBoxLayout()
        numbers.addWidget(self.count)
        numbers.addWidget(QLabel("at least", self))
        numbers.addWidget(self.spacing)
        numbers.addWidget(QLabel("apart", self))
        form.addRow("Frames", numbers)
        options = QHBoxLayout()
        options.addWidget(self.only_here)
        options.addWidget(self.keep)
        steps = QHBoxLayout()
        for button in (self.previous, self.next, self.remove, self.clear):
            steps.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addLayout(form)
        column.addLayout(options)
        column.addWidget(self.work)
        column.addWidget(self.progress)
        column.addWidget(self.table, 1)
        column.addWidget(self.why)
        column.addLayout(steps)

    def _connect(self) -> None:
        self.method.currentIndexChanged.connect(self._show_method)
        self.work.requested.connect(self._suggest)
        self.work.result.connect(self._take)
        self.work.failed.connect(self.session.show_error)
        self.table.chosen.connect(self._go)
        self.previous.clicked.connect(lambda: self.table.go(-1))
        self.next.clicked.connect(lambda: self.table.go(1))
        self.remove.clicked.connect(self._remove)
        self.clear.clicked.connect(lambda: self._replace([], {}))
        self.session.document_changed.connect(self._forget)
        self.session.marks_changed.connect(self._read)
        self.session.frame_changed.connect(self._follow)
        self.overviews.changed.connect(self._read)
        self._show_method()

    def _show_method(self) -> None:
        self.method.setToolTip(_explain(self.method.currentData()))

    # -------------------------------------------------------------------------- acting
    def _suggest(self) -> None:
        document = self.session.document
        if document is None:
            return
        project = document.project.replace(extras=None)
        if not self.keep.isChecked():
            project = project.replace(suggestions=())
        self.work.start(
            propose_frames,
            project,
            self.count.value(),
            self.method.currentData(),
            min_spacing_frames=self.spacing.value(),
            videos=[self.session.video] if self.only_here.isChecked() else None,
            exclude=project.suggestions,
        )

    def _take(self, found: Suggestions) -> None:
        if not len(found):
            self.session.show_info("There is no other frame so far apart from the rest.")
            return
        new = [(video, frame) for video, frame in found.frames.tolist()]
        reasons = self._reasons | dict(zip(new, found.reasons, strict=True))
        kept = self._frames if self.keep.isChecked() else []
        self._replace(kept + [frame for frame in new if frame not in set(kept)], reasons)

    def _replace(
        self, frames: list[tuple[int, int]], reasons: Mapping[tuple[int, int], str]
    ) -> None:
        document = self.session.document
        if document is None:
            return
        told = [reasons.get(frame, "") for frame in frames]
        self.session.do(
            document.replace_suggestions(np.array(frames, np.int32).reshape(-1, 2), told)
        )

    def _remove(self) -> None:
        row = self.table.current
        if 0 <= row < len(self._frames):
            self._replace(self._frames[:row] + self._frames[row + 1 :], self._reasons)

    def _go(self, row: int) -> None:
        video, frame = self._frames[row]
        self.session.go_to(frame, video)
        self._tell(row)

    # ------------------------------------------------------------------------- reading
    def _forget(self) -> None:
        self.work.cancel()
        self._read()

    def _read(self) -> None:
        document = self.session.document
        pairs = [] if document is None else document.suggestions.tolist()
        self._frames = [(video, frame) for video, frame in pairs]
        reasons = () if document is None else document.suggestion_reasons  # or none at all
        self._reasons = dict(zip(self._frames, reasons, strict=False))
        many = document is not None and len(document.videos) > 1
        records = [self._describe(video, frame, many) for video, frame in self._frames]
        self.table.set_records(records)
        n_done = sum(record.is_done for record in records)
        self.progress.setText(f"{n_done} of {len(records)} labelled" if records else "")
        for widget in (self.previous, self.next, self.remove, self.clear):
            widget.setEnabled(bool(records))
        self.work.setEnabled(document is not None)
        self._tell(self.table.current)

    def _describe(self, video: int, frame: int, many: bool) -> Record:
        reason = self._reasons.get((video, frame), "")
        kinds = self.overviews.of(video).kinds_at(frame)
        where = f"{video + 1}: {frame:,}" if many else f"{frame:,}"
        return Record((where, reason), reason, bool(kinds & _DONE))

    def _tell(self, row: int) -> None:
        if not self._frames:
            self.why.setText(_EMPTY)
        elif row < 0:
            self.why.setText("Choose a frame to go there.")
        else:
            self.why.setText(self.table.records[row].tip or "Suggested before this session.")

    def _follow(self, video: int, frame: int) -> None:
        """Mark the suggestion that is in view."""
        if (video, frame) in self._frames:
            row = self._frames.index((video, frame))
            if row != self.table.current:
                self.table.set_current(row)
                self._tell(row)


def _explain(name: str) -> str:
    """Return the first sentence that is said about a method."""
    text = inspect.getdoc(SUGGESTERS.get(name)) or name
    sentence = text.split("\n\n")[0].replace("\n", " ")
    return re.sub(r" \(`\w+`\)", "", sentence)
