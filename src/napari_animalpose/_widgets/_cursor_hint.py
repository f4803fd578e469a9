"""The name of the next node beside the cursor while points are placed."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QPoint, Qt
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QApplication, QLabel, QWidget

from napari_animalpose._widgets._labelling import Labelling

__all__ = ["CursorHint"]

_OFFSET = QPoint(18, 14)


class CursorHint(QObject):
    """A label that follows the cursor over the picture and says what a click places.

    Parameters
    ----------
    labelling : Labelling
    window : QWidget
        The window over which the label lies.
    """

    def __init__(self, labelling: Labelling, window: QWidget) -> None:
        super().__init__(labelling)
        self._labelling = labelling
        self._label = QLabel(window)
        self._label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._label.hide()
        window.destroyed.connect(self._end)
        labelling.next_changed.connect(self.update)
        labelling.session.canvas.mode_changed.connect(self.update)
        application = QApplication.instance()
        assert application is not None
        application.installEventFilter(self)

    @property
    def text(self) -> str:
        """What the label says; empty while it is hidden."""
        return "" if self._label.isHidden() else self._label.text()

    def update(self) -> None:
        """Show what comes next, or nothing."""
        labelling, node = self._labelling, self._labelling.next_node
        document = labelling.session.document
        over = labelling.session.viewer.mouse_over_canvas
        if not labelling.is_placing or document is None or node is None or not over:
            self._label.hide()
            return
        name = document.skeleton.nodes[node]
        red, green, blue = labelling.session.node_colors()[node].tolist()
        first = "new animal: " if labelling.active is None else ""
        self._label.setText(f"{first}{name}")
        self._label.setStyleSheet(
            "background: rgba(20, 20, 20, 210); color: white; padding: 2px 6px;"
            f"border-left: 5px solid rgb({red}, {green}, {blue}); border-radius: 2px;"
        )
        self._label.adjustSize()
        self._follow()

    def _follow(self) -> None:
        window = self._label.parentWidget()
        assert window is not None
        place = window.mapFromGlobal(QCursor.pos()) + _OFFSET
        left = min(place.x(), window.width() - self._label.width())
        self._label.move(left, min(place.y(), window.height() - self._label.height()))
        self._label.show()
        self._label.raise_()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow every movement of the mouse."""
        if event is not None and event.type() in (QEvent.Type.MouseMove, QEvent.Type.Leave):
            if self._labelling.is_placing:
                self.update()
            elif not self._label.isHidden():
                self._label.hide()
        return False

    def _end(self) -> None:
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self)
        self.deleteLater()
