"""The loop so far: rounds of labelling and training, and what each has brought."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose import jobs
from napari_animalpose._widgets._curves import CurvePlot, Series
from napari_animalpose._widgets._runs import get_runs
from napari_animalpose._widgets._worker import QtJob
from napari_animalpose.pipeline.background import RoundHistory, list_rounds
from napari_animalpose.pipeline.rounds import Round, models_folder

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["RoundsPanel"]

SHOWN_ROWS = 6  # without scrolling
_COLUMNS = ("Round", "Frames", "Error", "mAP", "Minutes")
_TIPS = (
    "In the order of time; → goes on from an earlier one",
    "Labelled frames, held-out ones included",
    "Median distance to the held-out labels, px",
    "Mean average precision by OKS: 1 is perfect",
    "From the start of the training to its end",
)
_NONE = "No rounds yet: every training whose model lies beside the project is one."


class RoundsPanel(QWidget):
    """The curve of accuracy against labelled frames, and a table.

    Attributes
    ----------
    chosen : Signal(object)
        The path of a round that was clicked twice.
    changed : Signal()
        The rounds were read anew, or have to be.
    """

    chosen = Signal(object)
    changed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.history = RoundHistory((), (), 0)
        self._job: QtJob | None = None
        self._is_active, self._is_stale = False, True
        self._build()
        session.document_changed.connect(self._on_document)
        session.state_changed.connect(self._on_state)
        get_runs(session).ended.connect(self._reread)
        self._path = None if session.document is None else session.document.path
        self._show()

    def _build(self) -> None:
        self.plot = CurvePlot("Median error (px) of held-out labels", "labelled frames")
        self.plot.set_from_zero(True)
        self.plot.setMinimumHeight(140)
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        for column, tip in enumerate(_TIPS):
            item = self.table.horizontalHeaderItem(column)
            if item is not None:
                item.setToolTip(tip)
        header = self.table.horizontalHeader()
        if header is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        rows = self.table.verticalHeader()
        if rows is not None:
            rows.hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.cellDoubleClicked.connect(self._choose)
        self.note = QLabel()
        self.note.setWordWrap(True)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(3)
        for widget in (self.plot, self.table, self.note):
            whole.addWidget(widget)

    # ---------------------------------------------------------------------------- reading
    @property
    def last(self) -> Round | None:
        """The last round that can be gone on from; None while that has to be read."""
        if self._is_stale or self._job is not None:
            return None
        usable = [each for each in self.history.rounds if each.is_finished]
        return usable[-1] if usable else None

    def refresh(self) -> None:
        """Read the rounds anew, in a child process."""
        self._is_stale = False
        if self._job is not None:
            self._job.cancel()
            self._job = None
        document = self.session.document
        folder = None if document is None or document.path is None else models_folder(document.path)
        if document is None or folder is None or not folder.is_dir():
            self._set(RoundHistory((), (), 0))
            return
        project = document.project
        labels = project.replace(poses=project.poses.labels(), suggestions=(), extras=None)
        job = self._job = QtJob.start(list_rounds, folder, labels, parent=self, nice=3)
        job.result.connect(lambda found: self._on_read(job, found))
        job.failed.connect(lambda failed: self._on_failed(job, failed))

    def set_active(self, is_active: bool) -> None:
        """Read what changes only while the dock is seen, be this section of it open or not."""
        self._is_active = is_active
        if is_active and self._is_stale:
            self.refresh()

    def _on_document(self) -> None:
        self._path = None if self.session.document is None else self.session.document.path
        self._set(RoundHistory((), (), 0))
        self._reread()

    def _on_state(self) -> None:
        path = None if self.session.document is None else self.session.document.path
        if path != self._path:
            self._path = path
            self._reread()

    def _reread(self, *args: object) -> None:
        self._is_stale = True
        self.changed.emit()
        if self._is_active:
            self.refresh()

    def _on_read(self, job: QtJob, history: RoundHistory) -> None:
        if job is self._job:
            self._job = None
            self._set(history)
        job.deleteLater()

    def _on_failed(self, job: QtJob, failed: jobs.Failed) -> None:
        if job is self._job:
            self._job, self._is_stale = None, True
            self.note.setText(failed.message)
            self.changed.emit()
        job.deleteLater()

    # ---------------------------------------------------------------------------- showing
    def _set(self, history: RoundHistory) -> None:
        self.history = history
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        rounds, compared = self.history.rounds, self.history.compared
        for widget in (self.plot, self.table):
            widget.setVisible(bool(rounds))
        self.note.setText(self._describe() if rounds else _NONE)
        self.plot.set_series(_curves(compared))
        self.plot.set_empty_text("The curve begins with the first finished round.")
        self._fill_table({each.path: each for each in compared})

    def _fill_table(self, compared: dict[Path, Round]) -> None:
        self.table.setRowCount(0)
        for each in reversed(self.history.rounds):
            row = self.table.rowCount()
            self.table.insertRow(row)
            shown = compared.get(each.path, each)
            mark = " →" if each.started_from else ""
            texts = (
                f"{each.number}{mark}", str(each.n_frames), _write(shown.figure("error_p50"), 2),
                _write(shown.figure("mAP"), 2), _write(each.minutes, 1),
            )  # fmt: skip
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(_describe_round(each))
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                self.table.setItem(row, column, item)
        header = self.table.horizontalHeader()
        height = 2 * self.table.frameWidth() + (0 if header is None else header.sizeHint().height())
        for row in range(min(SHOWN_ROWS, self.table.rowCount())):
            height += self.table.rowHeight(row)
        self.table.setFixedHeight(height)

    def _describe(self) -> str:
        if len(self.history.compared) < 2:
            return ""
        if self.history.n_common:
            return (
                f"All rounds are measured on the same {self.history.n_common} frames, which none "
                "of them has learned from."
            )
        return "Each round is measured on its own held-out frames: they are not the same ones."

    def _choose(self, row: int, column: int) -> None:
        self.chosen.emit(list(reversed(self.history.rounds))[row].path)


def _curves(rounds: Sequence[Round]) -> list[Series]:
    """Return the learning curve: one point for each number of labelled frames, the newest."""
    points = {each.n_frames: each.figure("error_p50") for each in rounds}
    found = sorted((n, error) for n, error in points.items() if math.isfinite(error))
    if not found:
        return []
    frames, errors = zip(*found, strict=True)
    return [Series("median error", frames, errors, unit="px", dots=True)]


def _write(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _describe_round(each: Round) -> str:
    lines = [each.path.name, each.date.astimezone().strftime("%Y-%m-%d %H:%M"), each.pipeline]
    if each.started_from:
        lines.append(f"went on from {Path(each.started_from).name}")
    lines.append(each.problem or ("" if each.is_finished else "not finished"))
    return "\n".join(line for line in lines if line)
