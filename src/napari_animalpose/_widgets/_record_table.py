"""A list of things to go through: one line each, ticked off where it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QFocusEvent, QMouseEvent, QPalette
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

__all__ = ["Record", "RecordTable"]

_NOWHERE = QModelIndex()


class Record(NamedTuple):
    """One line.

    Parameters
    ----------
    cells : tuple of str
        One for each column.
    tip : str
    is_done : bool
        Drawn faint, with a tick in the first column.
    """

    cells: tuple[str, ...]
    tip: str = ""
    is_done: bool = False


class _Model(QAbstractTableModel):
    def __init__(self, columns: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self._columns = ("", *columns)
        self._palette_of = parent
        self.records: list[Record] = []

    def rowCount(self, parent: QModelIndex = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self.records)

    def columnCount(self, parent: QModelIndex = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._columns)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._columns[section]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        record = self.records[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            if index.column() == 0:
                return "✓" if record.is_done else ""
            return record.cells[index.column() - 1]
        if role == Qt.ItemDataRole.ToolTipRole:
            return record.tip
        if role == Qt.ItemDataRole.ForegroundRole and record.is_done:
            faint = self._palette_of.palette().color(QPalette.ColorRole.Text)
            faint.setAlphaF(0.5)
            return faint
        return None


class RecordTable(QTableView):
    """Lines in columns; the last column takes the room that is left.

    Signals
    -------
    chosen : int
        A person clicked a line or came to it with the keyboard.
    """

    chosen = Signal(int)

    def __init__(self, columns: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_filling = False
        self._is_told = False  # of the press of the mouse that a click belongs to
        self._model = _Model(columns, self)
        self.setModel(self._model)
        behavior, mode = QAbstractItemView.SelectionBehavior, QAbstractItemView.SelectionMode
        self.setSelectionBehavior(behavior.SelectRows)
        self.setSelectionMode(mode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setTabKeyNavigation(False)
        self.setMinimumHeight(120)
        vertical, horizontal = self.verticalHeader(), self.horizontalHeader()
        assert vertical is not None
        assert horizontal is not None
        vertical.hide()
        vertical.setDefaultSectionSize(self.fontMetrics().height() + 8)
        horizontal.setStretchLastSection(True)
        horizontal.setHighlightSections(False)
        horizontal.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        horizontal.setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        horizontal.setMinimumSectionSize(18)
        self.setColumnWidth(0, 20)
        self.clicked.connect(self._on_clicked)

    @property
    def records(self) -> list[Record]:
        """The lines that are shown."""
        return self._model.records

    @property
    def current(self) -> int:
        """The chosen line, -1 = none."""
        index = self.currentIndex()
        return index.row() if index.isValid() else -1

    def set_records(self, records: list[Record], current: int | None = None) -> None:
        """Show other lines.

        Parameters
        ----------
        records : list of Record
        current : int, optional
            Which one is chosen then, -1 = none; by default the one that is, by its place.
        """
        keep = self.current if current is None else current
        if [record.cells for record in records] == [record.cells for record in self.records]:
            self._model.records = records
            if not records:
                return
            corner = self._model.index(len(records) - 1, 0)
            self._model.dataChanged.emit(self._model.index(0, 0), corner)
            if current is None or keep == self.current:
                return
        self._is_filling = True
        self._model.beginResetModel()
        self._model.records = records
        self._model.endResetModel()
        self.set_current(min(keep, len(records) - 1))
        self._is_filling = False
        self._fit()

    def set_current(self, row: int) -> None:
        """Mark a line without going there."""
        was, self._is_filling = self._is_filling, True
        self.setCurrentIndex(self._model.index(row, 1) if row >= 0 else QModelIndex())
        if row >= 0:
            self.scrollTo(self._model.index(row, 1))
        self._is_filling = was

    def go(self, step: int) -> None:
        """Choose the next (1) or previous (-1) line, from the other end beyond the last."""
        n = len(self.records)
        if n:
            row = self.current + step if self.current >= 0 else (0 if step > 0 else n - 1)
            self.set_current(row % n)
            self.chosen.emit(row % n)

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        """Tell where mouse or keyboard have come to."""
        super().currentChanged(current, previous)
        if not self._is_filling and current.isValid():
            self._is_told = True
            self.chosen.emit(current.row())

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin a click."""
        self._is_told = False
        super().mousePressEvent(event)

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """Take the keyboard; Qt then marks a line, which is no wish to go there."""
        was, self._is_filling = self._is_filling, True
        super().focusInEvent(event)
        self._is_filling = was

    def _on_clicked(self, index: QModelIndex) -> None:
        """Go again to the line that was chosen already."""
        if not self._is_told:
            self.chosen.emit(index.row())

    def _fit(self) -> None:
        """Give all columns but the last the width of what the first lines hold."""
        metrics = self.fontMetrics()
        for column in range(len(self._model._columns) - 2):
            texts = [record.cells[column] for record in self.records[:200]]
            width = max((metrics.horizontalAdvance(text) for text in texts), default=0)
            heading = metrics.horizontalAdvance(self._model._columns[column + 1])
            self.setColumnWidth(column + 1, max(width, heading) + 18)
