"""The table of a skeleton's nodes: order, colour, name and mirror image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QPixmap, QWheelEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_animalpose.data.skeleton import Skeleton

__all__ = ["NodeTable"]

NAME, PARTNER = 0, 1
_NO_PARTNER = "–"


class _PartnerBox(QComboBox):
    """The mirror image of a node; scrolling the table does not change it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.setToolTip("The node it changes places with in a mirror image")

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the table."""
        if event is not None:
            event.ignore()


class NodeTable(QTableWidget):
    """Nodes from top to bottom in the order of the skeleton.

    Double-click or F2 to rename; drag the number to reorder; Delete removes.

    Signals
    -------
    renamed : int, str
        Node and the new name that was typed.
    partner_chosen : int, int
        Node and its new mirror image; -1 = none.
    moved : int, int
        A node was dragged from one number to another.
    node_selected : int
        -1 = none.
    node_deleted : int
    """

    renamed = Signal(int, str)
    partner_chosen = Signal(int, int)
    moved = Signal(int, int)
    node_selected = Signal(int)
    node_deleted = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 2, parent)
        self.setHorizontalHeaderLabels(["Node", "Mirror image"])
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setIconSize(QSize(12, 12))
        self.setMinimumHeight(120)
        self._is_filling = False
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.setSectionsMovable(True)
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(26)
        rows.setCursor(Qt.CursorShape.SizeVerCursor)
        rows.setToolTip("Drag a number to put the node in another place of the order")
        rows.sectionMoved.connect(self._on_moved)
        columns.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        columns.setSectionResizeMode(PARTNER, QHeaderView.ResizeMode.Stretch)
        columns.setHighlightSections(False)
        columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.itemChanged.connect(self._on_item_changed)
        self.itemSelectionChanged.connect(self._on_selection)

    # ----------------------------------------------------------------------------- contents
    def set_skeleton(self, skeleton: Skeleton, colors: NDArray[np.uint8]) -> None:
        """Show a skeleton whose nodes have these colours, uint8 (K, 3)."""
        self._is_filling = True
        try:
            self.setRowCount(len(skeleton))
            partner = dict(skeleton.symmetries) | {b: a for a, b in skeleton.symmetries}
            for node, name in enumerate(skeleton.nodes):
                self._show_node(node, name, QColor(*colors[node].tolist()))
                self._show_partner(node, skeleton, partner.get(node))
        finally:
            self._is_filling = False

    def _show_node(self, node: int, name: str, color: QColor) -> None:
        item = self.item(node, NAME)
        if item is None:
            item = QTableWidgetItem()
            item.setToolTip("Double-click to rename")
            self.setItem(node, NAME, item)
        item.setText(name)
        head = self.verticalHeaderItem(node)
        if head is None:
            head = QTableWidgetItem()
            self.setVerticalHeaderItem(node, head)
        head.setText(str(node + 1))
        swatch = QPixmap(12, 12)
        swatch.fill(color)
        head.setIcon(QIcon(swatch))

    def _show_partner(self, node: int, skeleton: Skeleton, partner: int | None) -> None:
        box = self.cellWidget(node, PARTNER)
        if not isinstance(box, _PartnerBox):
            box = _PartnerBox(self)
            box.activated.connect(lambda _, box=box: self._on_partner(box))
            self.setCellWidget(node, PARTNER, box)
        names = [(_NO_PARTNER, -1)]
        names += [(name, other) for other, name in enumerate(skeleton.nodes) if other != node]
        if [(box.itemText(i), box.itemData(i)) for i in range(box.count())] != names:
            box.clear()
            for name, number in names:
                box.addItem(name, number)
        box.setCurrentIndex(box.findData(-1 if partner is None else partner))

    # --------------------------------------------------------------------------- what is done
    def select_node(self, node: int | None) -> None:
        """Select a row, without a signal."""
        self._is_filling = True
        try:
            if node is None:
                self.clearSelection()
            else:
                self.setCurrentCell(node, NAME)
        finally:
            self._is_filling = False

    @property
    def selected_node(self) -> int | None:
        """The selected row, None if there is none."""
        rows = {index.row() for index in self.selectedIndexes()}
        return min(rows) if rows else None

    def partner_box(self, node: int) -> QComboBox:
        """Return where the mirror image of a node is chosen."""
        box = self.cellWidget(node, PARTNER)
        assert isinstance(box, QComboBox)
        return box

    def _on_item_changed(self, item: QTableWidgetItem | None) -> None:
        if item is not None and not self._is_filling and item.column() == NAME:
            self.renamed.emit(item.row(), item.text().strip())

    def _on_partner(self, box: QComboBox) -> None:
        for node in range(self.rowCount()):
            if self.cellWidget(node, PARTNER) is box:
                self.partner_chosen.emit(node, int(box.currentData()))

    def _on_selection(self) -> None:
        if not self._is_filling:
            self.node_selected.emit(-1 if self.selected_node is None else self.selected_node)

    def _on_moved(self, _logical: int, old: int, new: int) -> None:
        header = self.verticalHeader()
        if self._is_filling or header is None:
            return
        self._is_filling = True
        try:
            header.moveSection(new, old)  # rows stay: the edit that follows moves what they show
        finally:
            self._is_filling = False
        self.moved.emit(old, new)

    def event(self, event: QEvent | None) -> bool:
        """Keep Delete from being a shortcut of the window while the table has the focus."""
        if (
            event is not None
            and event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Delete
        ):
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Delete removes the selected node; Alt with an arrow moves it."""
        node = self.selected_node
        if event is None or node is None:
            super().keyPressEvent(event)
            return
        steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
        if event.key() == Qt.Key.Key_Delete:
            self.node_deleted.emit(node)
        elif event.key() in steps and event.modifiers() & Qt.KeyboardModifier.AltModifier:
            target = node + steps[Qt.Key(event.key())]
            if 0 <= target < self.rowCount():
                self.moved.emit(node, target)
        else:
            super().keyPressEvent(event)
