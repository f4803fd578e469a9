"""The review dock: which frames to label next, and where something is probably wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from napari_animalpose._widgets._errors_tab import ErrorsTab
from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets._suggestions_tab import SuggestionsTab

if TYPE_CHECKING:
    import napari

__all__ = ["ReviewDock"]


class ReviewDock(QWidget):
    """Two lists to go through: suggested frames and likely errors."""

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = get_session(napari_viewer)
        self.suggestions = SuggestionsTab(self.session, self)
        self.errors = ErrorsTab(self.session, self)
        self.tabs = QTabWidget(self)
        self.tabs.addTab(self.suggestions, "Suggestions")
        self.tabs.addTab(self.errors, "Likely errors")
        self.tabs.setTabToolTip(0, "Frames worth labelling")
        self.tabs.setTabToolTip(1, "Frames in which something is probably wrong")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.tabs)
