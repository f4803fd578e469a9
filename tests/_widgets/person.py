"""A person at the keyboard: mouse and key events that go through Qt to the window."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QCursor, QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QWidget

NO_KEYS = Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton


class Person:
    """Clicks, drags and types in the window of a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        With a dock in its window.
    window : QWidget
        That window.
    folder : Path, optional
        Where screenshots are left.
    """

    def __init__(self, viewer: Any, window: QWidget, folder: Path | None = None) -> None:
        self.viewer, self.window, self.folder = viewer, window, folder
        self.n_clicks = self.n_keys = self.n_drags = 0
        self._n_pictures = 0
        self.canvas = next(
            widget for widget in window.findChildren(QWidget)
            if type(widget).__name__.startswith("CanvasBackend")
        )  # fmt: skip

    # --------------------------------------------------------------------------- waiting
    def wait(self, seconds: float = 0.06) -> None:
        """Let the window work."""
        QApplication.processEvents()
        loop = QEventLoop()  # as napari itself waits: a loop of our own would keep a core busy
        QTimer.singleShot(int(1e3 * seconds), loop.quit)
        loop.exec()

    # ----------------------------------------------------------------------------- places
    def place(self, x: float, y: float) -> QPoint:
        """Return where on the canvas a point (x, y) of the picture is."""
        camera = self.viewer.scene.camera
        middle_y, middle_x = camera.center[-2:]
        left = (x - middle_x) * camera.zoom + self.canvas.width() / 2
        top = (y - middle_y) * camera.zoom + self.canvas.height() / 2
        return QPoint(round(left), round(top))

    def look_at(self, x: float, y: float, zoom: float) -> None:
        """Zoom in, as with the wheel and a drag."""
        self.viewer.scene.camera.center = (0, y, x)
        self.viewer.scene.camera.zoom = zoom
        self.wait()

    # ------------------------------------------------------------------------------ mouse
    def move(self, x: float, y: float, buttons: Any = Qt.MouseButton.NoButton, keys: Any = NO_KEYS):
        """Move the mouse to a point of the picture."""
        self._mouse(QEvent.Type.MouseMove, self.place(x, y), Qt.MouseButton.NoButton, buttons, keys)
        self.wait(0.03)

    def rest_at(self, x: float, y: float) -> None:
        """Move the pointer of the screen as well, for a picture with what follows it."""
        QCursor.setPos(self.canvas.mapToGlobal(self.place(x, y)))
        self.move(x, y)

    def click(self, x: float, y: float, keys: Any = NO_KEYS) -> None:
        """Click at a point of the picture."""
        self.n_clicks += 1
        self.move(x, y)
        spot = self.place(x, y)
        self._mouse(QEvent.Type.MouseButtonPress, spot, LEFT, LEFT, keys)
        self._mouse(QEvent.Type.MouseButtonRelease, spot, LEFT, Qt.MouseButton.NoButton, keys)
        self.wait()

    def double_click(self, x: float, y: float) -> None:
        """Double-click at a point of the picture."""
        self.click(x, y)
        self.n_clicks += 1
        spot = self.place(x, y)
        self._mouse(QEvent.Type.MouseButtonDblClick, spot, LEFT, LEFT, NO_KEYS)
        self._mouse(QEvent.Type.MouseButtonRelease, spot, LEFT, Qt.MouseButton.NoButton, NO_KEYS)
        self.wait()

    def drag(
        self, start: tuple[float, float], stop: tuple[float, float], keys: Any = NO_KEYS, steps=6
    ) -> None:
        """Press at one point of the picture, move to another and let go."""
        self.n_drags += 1
        self.move(*start)
        self._mouse(QEvent.Type.MouseButtonPress, self.place(*start), LEFT, LEFT, keys)
        for step in range(1, steps + 1):
            share = step / steps
            x, y = (a + share * (b - a) for a, b in zip(start, stop, strict=True))
            self._mouse(
                QEvent.Type.MouseMove, self.place(x, y), Qt.MouseButton.NoButton, LEFT, keys
            )
            self.wait(0.03)
        self._mouse(
            QEvent.Type.MouseButtonRelease, self.place(*stop), LEFT, Qt.MouseButton.NoButton, keys
        )
        self.wait()

    def wheel(self, x: float, y: float, steps: int, keys: Any = NO_KEYS) -> None:
        """Turn the wheel over a point of the picture."""
        self.move(x, y)
        spot = self.place(x, y)
        event = QWheelEvent(
            QPointF(spot), QPointF(self.canvas.mapToGlobal(spot)), QPoint(), QPoint(0, 120 * steps),
            Qt.MouseButton.NoButton, keys, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(self.canvas, event)
        self.wait()

    def _mouse(self, kind: Any, spot: QPoint, button: Any, buttons: Any, keys: Any) -> None:
        where = QPointF(self.canvas.mapToGlobal(spot))
        event = QMouseEvent(kind, QPointF(spot), where, button, buttons, keys)
        QApplication.sendEvent(self.canvas, event)
        QApplication.processEvents()

    # --------------------------------------------------------------------------- keyboard
    def key(self, key: Any, keys: Any = NO_KEYS, *, times: int = 1) -> None:
        """Press a key while the picture has the focus."""
        if not self.window.isActiveWindow():  # without it Qt has no shortcuts
            self.window.activateWindow()
            self.wait(0.1)
        self.canvas.setFocus()
        for _ in range(times):
            self.n_keys += 1
            QTest.keyClick(self.canvas, key, keys)
            self.wait()

    def press(self, name: str) -> None:
        """Press a button of a dock, by its object name."""
        (button,) = self._buttons(name)
        self.n_clicks += 1
        QTest.mouseClick(button, LEFT)
        self.wait()

    def _buttons(self, name: str) -> list[QAbstractButton]:
        found = self.window.findChildren(QAbstractButton, name)
        return [button for button in found if button.isVisible()]

    # ------------------------------------------------------------------------ screenshots
    def picture(self, name: str) -> None:
        """Leave a picture of the whole window in the folder."""
        if self.folder is None:
            return
        self.wait(0.3)
        self._n_pictures += 1
        path = self.folder / f"{self._n_pictures:02d}_{name}.png"
        self.viewer.screenshot(str(path), canvas_only=False)

    def click_all(self, points: Iterable[tuple[float, float]]) -> None:
        """Click at one point after the other."""
        for x, y in points:
            self.click(x, y)
