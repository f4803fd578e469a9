"""The drawing of a skeleton in which nodes are joined with clicks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen
from qtpy.QtWidgets import QApplication, QSizePolicy, QWidget

from napari_animalpose._widgets._skeleton_drawing import Marks, SkeletonPainter
from napari_animalpose.data.skeleton import Skeleton

__all__ = ["SkeletonView"]

_REACH = 11.0  # px: a click this near to a node is on it
_EDGE_REACH = 6.0
_MARGIN_X, _MARGIN_Y = 58.0, 24.0  # px around the nodes, for their names
_WARNING = QColor(230, 120, 20)
_KEYS = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace, Qt.Key.Key_Escape)


class SkeletonView(QWidget):
    """A skeleton to look at and to change with the mouse.

    Click a node and then another: `edge_clicked`, or `pair_clicked` while `pairing` is on
    or with Ctrl (Cmd on a Mac). With Shift the second node is the first of the next edge.
    Drag a node to move it in the drawing. Delete removes the selected edge or node.

    Signals
    -------
    edge_clicked, pair_clicked : int, int
        Two nodes clicked one after the other.
    edge_deleted : int, int
        The edge (source, destination) that Delete was pressed on.
    node_deleted : int
    node_selected : int
        The node clicked last; -1 = none.
    node_moved : int
        A node was dragged to another place of the drawing (see `places`).
    hint_changed : str
        What the next click does.
    """

    edge_clicked = Signal(int, int)
    pair_clicked = Signal(int, int)
    edge_deleted = Signal(int, int)
    node_deleted = Signal(int)
    node_selected = Signal(int)
    node_moved = Signal(int)
    hint_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(160)
        self._skeleton = Skeleton(())
        self._places = np.zeros((0, 2))
        self._colors = np.zeros((0, 3), np.uint8)
        self._extent = (np.zeros(2), np.ones(2))
        self._pairing = False
        self._source: int | None = None
        self._selected: int | None = None
        self._edge: int | None = None
        self._hovered: int | None = None
        self._wrong: frozenset[int] = frozenset()
        self._pressed: tuple[QPointF, int | None] | None = None
        self._is_dragging = False
        self._cursor = QPointF()

    # ----------------------------------------------------------------------------- contents
    def set_skeleton(
        self, skeleton: Skeleton, places: ArrayLike, colors: NDArray[np.uint8]
    ) -> None:
        """Show a skeleton.

        Parameters
        ----------
        skeleton : Skeleton
            With K nodes.
        places : array_like of float, shape (K, 2)
            (x, y), y down, in any unit: the drawing is scaled to fit.
        colors : array of uint8, shape (K, 3)
        """
        had_nodes = self._skeleton.nodes
        self._skeleton, self._colors = skeleton, colors
        self._places = np.array(places, np.float64).reshape(-1, 2)
        if len(self._places):
            self._extent = (self._places.min(axis=0), self._places.max(axis=0))
        if skeleton.nodes != had_nodes:
            self._source = self._hovered = self._pressed = None
            self._is_dragging = False
            if self._selected is not None and self._selected >= len(skeleton):
                self._selected = None
        self._edge = None
        self._tell()

    @property
    def places(self) -> NDArray[np.float64]:
        """Where the nodes are, (K, 2), in the unit of `set_skeleton`; changed by dragging."""
        return self._places.copy()

    def set_wrong(self, nodes: frozenset[int]) -> None:
        """Mark nodes that something is wrong with."""
        self._wrong = nodes
        self.update()

    def select_node(self, node: int | None) -> None:
        """Mark a node as selected, without a signal."""
        self._selected = node
        self.update()

    @property
    def pairing(self) -> bool:
        """Whether two clicks make a symmetric pair instead of an edge."""
        return self._pairing

    @pairing.setter
    def pairing(self, on: bool) -> None:
        self._pairing = on
        self._source = self._edge = None
        self._tell()

    @property
    def hint(self) -> str:
        """What the next click does."""
        names = self._skeleton.nodes
        if self._edge is not None:
            a, b = self._skeleton.edges[self._edge]
            return f"Edge {names[a]} → {names[b]}: Delete removes it."
        if self._source is not None and self._pairing:
            return f"{names[self._source]} ↔ … Click its mirror image. Esc stops."
        if self._source is not None:
            return (
                f"{names[self._source]} → … Click the node it leads to, with Shift to go on "
                "from there. Esc stops."
            )
        if self._pairing:
            return "Click a node, then its mirror image; once more takes the pair apart."
        return "Click a node, then the node it leads to; once more removes the edge."

    def _tell(self) -> None:
        self.hint_changed.emit(self.hint)
        self.update()

    # ----------------------------------------------------------------------------- geometry
    def sizeHint(self) -> QSize:
        """Return a size at which thirteen names have room."""
        return QSize(320, 300)

    def _frame(self) -> tuple[float, NDArray[np.float64]]:
        """Return the scale from places to px and the px of place (0, 0)."""
        low, high = self._extent
        room = np.array([self.width() - 2 * _MARGIN_X, self.height() - 2 * _MARGIN_Y])
        room = np.maximum(room, 10.0)
        scale = float((room / np.maximum(high - low, 1e-9)).min())
        if len(self._places) < 2 or not np.isfinite(scale):
            scale = 1.0
        middle = np.array([self.width(), self.height()]) / 2
        return scale, middle - (low + high) / 2 * scale

    def _points(self) -> NDArray[np.float64]:
        scale, origin = self._frame()
        return self._places * scale + origin

    def position_of(self, node: int) -> QPoint:
        """Return where a node is, in px of this widget."""
        x, y = self._points()[node].tolist()
        return QPoint(round(x), round(y))

    def _node_at(self, position: QPointF) -> int | None:
        if not len(self._places):
            return None
        distance = np.hypot(*(self._points() - (position.x(), position.y())).T)
        nearest = int(distance.argmin())
        return nearest if distance[nearest] <= _REACH else None

    def _edge_at(self, position: QPointF) -> int | None:
        if not self._skeleton.edges:
            return None
        points = self._points()
        starts, stops = points[self._skeleton.edge_array.T]
        click = np.array([position.x(), position.y()])
        along = stops - starts
        length = np.maximum((along**2).sum(axis=1), 1e-9)
        share = np.clip(((click - starts) * along).sum(axis=1) / length, 0, 1)
        distance = np.hypot(*(starts + along * share[:, None] - click).T)
        nearest = int(distance.argmin())
        return nearest if distance[nearest] <= _EDGE_REACH else None

    # ------------------------------------------------------------------------------- mouse
    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin a click or a drag."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._cursor = event.position()
            self._pressed = (self._cursor, self._node_at(self._cursor))
            self._is_dragging = False

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Drag a node, or follow the cursor."""
        if event is None:
            return
        self._cursor = event.position()
        if self._pressed is not None and self._pressed[1] is not None:
            way = self._cursor - self._pressed[0]
            far = QApplication.startDragDistance()
            self._is_dragging |= abs(way.x()) + abs(way.y()) >= far
            if self._is_dragging:
                self._drag(self._pressed[1])
        hovered = self._node_at(self._cursor)
        if hovered != self._hovered:
            self._hovered = hovered
            self.setToolTip("" if hovered is None else self._skeleton.nodes[hovered])
        over = hovered is not None or self._edge_at(self._cursor) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)
        self.update()

    def _drag(self, node: int) -> None:
        scale, origin = self._frame()
        x = np.clip(self._cursor.x(), 8, max(8, self.width() - 8))
        y = np.clip(self._cursor.y(), 8, max(8, self.height() - 8))
        self._places[node] = (np.array([x, y]) - origin) / scale

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End a drag, or take the click."""
        if event is None or self._pressed is None or event.button() != Qt.MouseButton.LeftButton:
            return
        (_, node), self._pressed = self._pressed, None
        if self._is_dragging:
            self._is_dragging = False
            if node is not None:
                self.node_moved.emit(node)
        elif node is not None:
            self._click_node(node, event.modifiers())
        else:
            self._source = None
            self._edge = self._edge_at(event.position())
            self._select(None)
            self._tell()

    def leaveEvent(self, event: QEvent | None) -> None:
        """Forget what the cursor was over."""
        self._hovered = None
        self.update()
        super().leaveEvent(event)

    def _click_node(self, node: int, modifiers: Qt.KeyboardModifier) -> None:
        source, self._source = self._source, None
        self._edge = None
        self._select(node)
        if source is None:
            self._source = node
        elif source != node:
            go_on = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
            self._source = node if go_on else None
            pairs = self._pairing or bool(modifiers & Qt.KeyboardModifier.ControlModifier)
            (self.pair_clicked if pairs else self.edge_clicked).emit(source, node)
        self._tell()

    def _select(self, node: int | None) -> None:
        if node != self._selected:
            self._selected = node
            self.node_selected.emit(-1 if node is None else node)

    # ---------------------------------------------------------------------------- keyboard
    def event(self, event: QEvent | None) -> bool:
        """Keep our keys from being shortcuts of the window while the drawing has the focus."""
        if (
            event is not None
            and event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() in _KEYS
        ):
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Delete the selected edge or node; Esc stops what was begun."""
        if event is None or event.key() not in _KEYS:
            super().keyPressEvent(event)
        elif event.key() == Qt.Key.Key_Escape:
            self._source = self._edge = None
            self._select(None)
            self._tell()
        elif self._edge is not None:
            self.edge_deleted.emit(*self._skeleton.edges[self._edge])
        elif self._selected is not None:
            self.node_deleted.emit(self._selected)

    # ---------------------------------------------------------------------------- painting
    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the skeleton, and the edge that is being made."""
        text = self.palette().color(QPalette.ColorRole.WindowText)
        faint = QColor(text)
        faint.setAlpha(110)
        marks = Marks(self._selected, self._hovered, self._source, self._edge, self._wrong)
        drawing = SkeletonPainter(self._skeleton, self._points(), self._colors)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() * 0.85))
        painter.setFont(font)
        drawing.paint_pairs(painter, faint)
        drawing.paint_edges(painter, marks)
        if self._source is not None and self.underMouse():
            painter.setPen(QPen(text, 1.5, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(self.position_of(self._source)), self._cursor)
        drawing.paint_nodes(painter, marks, text, _WARNING)
        area = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        halo = self.palette().color(QPalette.ColorRole.Window)
        drawing.paint_names(painter, marks, area, text, halo)
        painter.end()
