"""The window around a viewer: what is asked before it closes, and its key for help."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QKeySequence, QShortcut  # type: ignore[attr-defined]
from qtpy.QtWidgets import QWidget

__all__ = ["WindowWatch"]


class WindowWatch(QObject):
    """Learns which window a viewer has, and watches it.

    The window holds the viewer: held strongly from here, neither would ever go.

    Signals
    -------
    closed
        The window is closing for good, or is gone.
    stayed
        It was about to close and did not: napari asks a question of its own after ours.
    help_wanted
        Someone pressed the question mark.
    """

    closed = Signal()
    stayed = Signal()
    help_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._window: weakref.ref[QWidget] | None = None
        self._checks: list[Callable[[], bool]] = []
        self._is_closing = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._stay)

    @property
    def window(self) -> QWidget | None:
        """The window, once it is known."""
        return None if self._window is None else self._window()

    def add_check(self, check: Callable[[], bool]) -> None:
        """Have a function asked before the window closes, in order; False keeps it open."""
        self._checks.append(check)

    def watch(self, widget: QWidget) -> None:
        """Learn the window from a widget in it; one that is in none yet tells nothing."""
        window = widget.window()
        if window is None or window is self.window or window is widget:
            return
        self._window = weakref.ref(window)
        window.installEventFilter(self)
        window.destroyed.connect(self._forget)
        # napari's keys have no question mark, which is on another key in each country.
        self._help = QShortcut(window)
        self._help.setKeys([QKeySequence("?"), QKeySequence("Shift+?")])
        self._help.activated.connect(self.help_wanted)

    def stop(self) -> None:
        """Let the window be."""
        window = self.window
        if window is not None:
            window.removeEventFilter(self)
            self._help.setEnabled(False)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ask the checks when the window is about to close."""
        if event is None or watched is not self.window:
            return False
        if event.type() == QEvent.Type.Close:
            if not all(check() for check in self._checks):
                event.ignore()
                return True
            # napari may ask a question of its own now, and keep the window after all.
            self._is_closing = True
            self._soon.start(0)
        elif event.type() == QEvent.Type.Hide and self._is_closing:
            self.closed.emit()
        return False

    def _stay(self) -> None:
        self._is_closing = False
        self.stayed.emit()

    def _forget(self) -> None:
        self._window = None
        self.closed.emit()
