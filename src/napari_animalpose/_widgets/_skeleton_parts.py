"""Small parts of the skeleton dock: rows of widgets, the line for new names, counted points."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_animalpose.data.poses import Poses, Visibility

__all__ = ["NodeEntry", "count_points", "fill_column", "make_button", "make_row", "tell_points"]


def count_points(poses: Poses, node: int) -> tuple[int, int]:
    """Return how many points of a node are labelled, and how many predicted."""
    there = poses.visibility[:, node] != Visibility.MISSING
    labelled = int(np.count_nonzero(there & poses.is_label))
    return labelled, int(np.count_nonzero(there)) - labelled


def tell_points(labelled: int, predicted: int) -> str:
    """Return a count in words: "24 labelled points and 1 predicted point"."""
    kinds = ((labelled, "labelled"), (predicted, "predicted"))
    words = [f"{n:,} {kind} point{'s' if n != 1 else ''}" for n, kind in kinds if n]
    return " and ".join(words)


class NodeEntry(QLineEdit):
    """Where names of new nodes are typed, one after the other, each with Enter."""

    names_entered = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText("New node: type its name, Enter")
        self.setToolTip("Type a name and press Enter, again and again. Commas separate several.")
        self.returnPressed.connect(self.enter)

    def enter(self) -> None:
        """Announce what is typed."""
        names = [name.strip() for name in self.text().split(",")]
        names = [name for name in names if name]
        if names:
            self.names_entered.emit(names)
        self.setFocus()


def make_button(text: str, tooltip: str) -> QPushButton:
    """Return a button that Enter elsewhere does not press."""
    button = QPushButton(text)
    button.setToolTip(tooltip)
    button.setAutoDefault(False)
    return button


def make_row(*parts: QWidget | None) -> QHBoxLayout:
    """Return widgets side by side; None is a space that grows."""
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        if part is None:
            row.addStretch()
        else:
            row.addWidget(part)
    return row


def fill_column(parent: QWidget, *parts: QWidget | QHBoxLayout, stretch: QWidget) -> None:
    """Put widgets and rows one below the other in `parent`."""
    column = QVBoxLayout(parent)
    column.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        if isinstance(part, QWidget):
            column.addWidget(part, 1 if part is stretch else 0)
        else:
            column.addLayout(part)
