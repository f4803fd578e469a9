"""Runs side by side: one line each, one column for each figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qtpy.QtCore import QSignalBlocker, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_animalpose.pipeline.comparing import FIGURES
from napari_animalpose.pipeline.evaluating import EvaluationReport, RunReport

__all__ = ["RunsTable"]

SHOWN_ROWS = 5  # without scrolling
NAME_PX = 110


class _Column(NamedTuple):
    """A figure: its heading, decimals, and whether more of it is better."""

    heading: str
    decimals: int
    more_is_better: bool


_COLUMNS = {
    "error_p50": _Column("Median", 2, False),
    "error_p90": _Column("90 %", 2, False),
    "pck5": _Column("PCK 5", 2, True),
    "mOKS": _Column("mOKS", 2, True),
    "mAP": _Column("mAP", 2, True),
    "mAR": _Column("mAR", 2, True),
    "n_missed": _Column("Missed", 0, False),
    "n_false_positives": _Column("Invented", 0, False),
}


class RunsTable(QTableWidget):
    """A line for each run, with a tick for whether it is compared.

    Attributes
    ----------
    chosen : Signal(object)
        The path of the run that a person has come to.
    ticked : Signal()
        A person has changed which runs are compared.
    """

    chosen = Signal(object)
    ticked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 2 + len(_COLUMNS), parent)
        self._paths: list[Path] = []
        headings = ["Run", "Frames", *(column.heading for column in _COLUMNS.values())]
        self.setHorizontalHeaderLabels(headings)
        tips = ["Ticked runs are compared", "Labelled frames that the figures are of"]
        tips += [FIGURES[key] for key in _COLUMNS]
        for number, tip in enumerate(tips):
            item = self.horizontalHeaderItem(number)
            if item is not None:
                item.setToolTip(tip)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # runs differ at their ends
        header, rows = self.horizontalHeader(), self.verticalHeader()
        if header is not None and rows is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
            header.setMinimumSectionSize(30)
            rows.hide()
            rows.setDefaultSectionSize(self.fontMetrics().height() + 8)
        self.setColumnWidth(0, NAME_PX)
        self.itemSelectionChanged.connect(self._on_selected)
        self.itemChanged.connect(self._on_changed)

    @property
    def paths(self) -> list[Path]:
        """Paths of all runs, ticked or not."""
        return list(self._paths)

    @property
    def compared(self) -> list[Path]:
        """Paths of the ticked runs."""
        return [path for row, path in enumerate(self._paths) if self._is_ticked(row)]

    @property
    def current(self) -> Path | None:
        """Path of the run of the current line."""
        row = self.currentRow()
        return self._paths[row] if 0 <= row < len(self._paths) else None

    def set_runs(self, paths: Sequence[Path]) -> None:
        """Show other runs; ticks of those that stay are kept, new ones are ticked."""
        unticked = set(self._paths) - set(self.compared)
        current = self.current
        with QSignalBlocker(self):
            self._paths = list(paths)
            self.setRowCount(len(self._paths))
            for row, path in enumerate(self._paths):
                item = QTableWidgetItem(path.stem if path.suffix == ".zip" else path.name)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                is_ticked = path not in unticked
                item.setCheckState(Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked)
                item.setToolTip(str(path))
                self.setItem(row, 0, item)
                for column in range(1, self.columnCount()):
                    self.setItem(row, column, _cell(""))
            if current in self._paths:
                self.setCurrentCell(self._paths.index(current), 0)
        self._fit()

    def show_report(self, report: EvaluationReport) -> None:
        """Fill in the figures; the best of each are bold where they can be compared."""
        by_path = {run.path: run for run in report.runs}
        usable = [run for run in report.runs if not run.problem]
        with QSignalBlocker(self):
            for row, path in enumerate(self._paths):
                run = by_path.get(path)
                self._fill(row, run, usable if report.n_common and len(usable) > 1 else [])

    def choose(self, path: Path) -> None:
        """Come to the line of a run."""
        if path in self._paths:
            self.selectRow(self._paths.index(path))

    def _fill(self, row: int, run: RunReport | None, rivals: Sequence[RunReport]) -> None:
        texts = [""] * (self.columnCount() - 1)
        best = [False] * len(texts)
        if run is not None and not run.problem:
            texts[0] = str(run.n_frames)
            for number, (key, column) in enumerate(_COLUMNS.items(), start=1):
                texts[number] = _write(run.figures.get(key), column.decimals)
                best[number] = _is_best(run, rivals, key, column.more_is_better)
        for number, (text, is_best) in enumerate(zip(texts, best, strict=True), start=1):
            item = self.item(row, number)
            if item is not None:
                item.setText(text)
                font = item.font()
                font.setBold(is_best)
                item.setFont(font)
                item.setToolTip("" if run is None else run.problem or run.pipeline)
        name = self.item(row, 0)
        if name is not None and run is not None:
            name.setToolTip(f"{run.path}\n{run.problem or run.pipeline}")

    def _is_ticked(self, row: int) -> bool:
        item = self.item(row, 0)
        return item is not None and item.checkState() == Qt.CheckState.Checked

    def _on_selected(self) -> None:
        if self.current is not None:
            self.chosen.emit(self.current)

    def _on_changed(self, item: QTableWidgetItem) -> None:
        if item.column() == 0:
            self.ticked.emit()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Measure the lines with the style that they have by now."""
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Be as high as the first lines, with room for the scroll bar below."""
        header, bar = self.horizontalHeader(), self.horizontalScrollBar()
        height = 2 * self.frameWidth() + (0 if header is None else header.sizeHint().height())
        height += 0 if bar is None else bar.sizeHint().height()
        height += sum(self.rowHeight(row) for row in range(min(SHOWN_ROWS, self.rowCount())))
        self.setFixedHeight(height)


def _cell(text: str) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
    return item


def _write(value: Any, decimals: int) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def _is_best(run: RunReport, rivals: Sequence[RunReport], key: str, more_is_better: bool) -> bool:
    """Whether no rival has a better figure, and at least one a worse one."""
    values = [float(v) for each in rivals if (v := each.figures.get(key)) is not None]
    mine = run.figures.get(key)
    if mine is None or len(values) < 2 or min(values) == max(values):
        return False
    return bool(mine == (max(values) if more_is_better else min(values)))
