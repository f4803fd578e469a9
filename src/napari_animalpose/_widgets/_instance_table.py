"""The animals of the frame in view, one a row."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, Qt, QTimer
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QComboBox, QHeaderView, QTableWidget, QTableWidgetItem

from napari_animalpose._layers import ORIGIN_NAMES
from napari_animalpose._widgets._labelling import get_labelling
from napari_animalpose._widgets._session import Session
from napari_animalpose.data.poses import Origin, Visibility
from napari_animalpose.drawing.colors import color_points

__all__ = ["InstanceTable"]

_NO_TRACK, _NEW_TRACK = "no identity", "new identity"


class InstanceTable(QTableWidget):
    """Identity, origin, points and score of each animal; a row selects its animal.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__(0, 4)
        self._session = session
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(30)  # nobody reads a table while frames rush by
        self._later.timeout.connect(self.refresh)
        self.setHorizontalHeaderLabels(["Identity", "Origin", "Points", "Score"])
        left, top = self.verticalHeader(), self.horizontalHeader()
        assert left is not None
        assert top is not None
        left.hide()
        top.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        top.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setMinimumHeight(110)
        self.setToolTip("Animals of this frame: a row selects its points; choose its identity")
        self.itemSelectionChanged.connect(self._on_rows)
        session.frame_changed.connect(lambda *where: self._later.start())
        session.edited.connect(self.refresh)
        session.document_changed.connect(self.refresh)
        session.settings_changed.connect(self.refresh)
        session.selection_changed.connect(self._show_selected)
        self.refresh()

    def refresh(self, *args: object) -> None:
        """Show the animals of the frame in view."""
        if self._session.document is None:
            self.setRowCount(0)
            return
        rows = self._session.rows
        blocked = self.blockSignals(True)
        if self.rowCount() != len(rows):
            self.setRowCount(len(rows))
        colors = color_points(rows, self._session.settings.color_by)
        present = (rows.visibility != Visibility.MISSING).sum(axis=1)
        for position in range(len(rows)):
            by_track = self._session.settings.color_by != "node" and rows.n_nodes
            self._fill_track(position, colors[position, 0] if by_track else None)
            score = float(rows.score[position])
            texts = (
                ORIGIN_NAMES[Origin(int(rows.origin[position]))],
                f"{present[position]}/{rows.n_nodes}",
                "" if np.isnan(score) else f"{score:.2f}",
            )
            for column, text in enumerate(texts, start=1):
                item = self.item(position, column)
                if item is None:
                    item = QTableWidgetItem()
                    item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                    self.setItem(position, column, item)
                item.setText(text)
        self.blockSignals(blocked)
        self._show_selected()

    def _fill_track(self, position: int, color: np.ndarray | None) -> None:
        rows = self._session.rows
        choice = self.cellWidget(position, 0)
        if not isinstance(choice, QComboBox):
            choice = QComboBox()
            choice.activated.connect(lambda number, row=position: self._on_track(row, number))
            self.setCellWidget(position, 0, choice)
        names = [*rows.track_names, _NO_TRACK, _NEW_TRACK]
        if [choice.itemText(i) for i in range(choice.count())] != names:
            choice.clear()
            choice.addItems(names)
            for number, rgb in enumerate(self._session.track_colors().tolist()):
                choice.setItemIcon(number, _swatch(*rgb))
        track = int(rows.track[position])
        choice.setCurrentIndex(track if track >= 0 else len(rows.track_names))

    def _on_track(self, position: int, number: int) -> None:
        labelling, names = get_labelling(self._session), self._session.rows.track_names
        self._session.select_instance(position)
        if number < len(names):
            labelling.assign_track(names[number])
        elif number == len(names):
            labelling.assign_track(None)
        else:
            labelling.new_track()

    def _on_rows(self) -> None:
        positions = {index.row() for index in self.selectedIndexes()}
        if positions == set(self._session.selected_instances):
            return  # some points of an animal may be selected, not all
        rows = self._session.rows
        there = np.argwhere(rows.visibility != Visibility.MISSING)
        self._session.select((p, n) for p, n in there.tolist() if p in positions)

    def _show_selected(self) -> None:
        chosen = set(self._session.selected_instances)
        if {index.row() for index in self.selectedIndexes()} == chosen:
            return
        model, last = self.selectionModel(), self.columnCount() - 1
        assert model is not None
        rows = QItemSelection()
        for position in chosen & set(range(self.rowCount())):
            rows.select(self._index(position, 0), self._index(position, last))
        blocked = self.blockSignals(True)
        model.select(rows, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self.blockSignals(blocked)

    def _index(self, row: int, column: int) -> QModelIndex:
        model = self.model()
        assert model is not None
        return model.index(row, column)


def _swatch(red: int, green: int, blue: int) -> QIcon:
    pixmap = QPixmap(10, 10)
    pixmap.fill(QColor(red, green, blue))
    return QIcon(pixmap)
