"""What the dock Label shows while nothing is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_animalpose._widgets._session import Session
from napari_animalpose.io.journal import find_recoverable
from napari_animalpose.pipeline.document import Document
from napari_animalpose.pipeline.sample_files import LABELS, make_sample_files

__all__ = ["StartPage"]


class StartPage(QWidget):
    """Ways to begin: labels, videos, the sample, or work that a crash interrupted.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._layout = QVBoxLayout(self)
        self._layout.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setAcceptDrops(True)
        title = QLabel("<b>Begin</b>")
        self._layout.addWidget(title)
        for text, tip, action in (
            (
                "Open labels or a video…",
                "SLEAP, DeepLabCut and other labels; any video",
                self.open_file,
            ),
            (
                "New project from videos…",
                "Several videos in one project",
                self.open_videos,
            ),
            (
                "Open the sample",
                "A short video of two flies with known poses",
                self.open_sample,
            ),
        ):
            button = QPushButton(text)
            button.setToolTip(tip)
            button.clicked.connect(action)
            self._layout.addWidget(button)
        hint = QLabel("Or drop a file here, or on the picture.")
        hint.setWordWrap(True)
        self._layout.addWidget(hint)
        self._recoveries = QVBoxLayout()
        self._layout.addLayout(self._recoveries)

    # ------------------------------------------------------------------------------ opening
    def open_file(self) -> None:
        """Ask for labels or a video and open them."""
        path = self._session.dialogs.ask_open_path()
        if path is not None:
            self._session.open(path)

    def open_videos(self) -> None:
        """Ask for videos and begin a project with them."""
        paths = self._session.dialogs.ask_videos("Videos of the new project")
        if paths:
            self._session.open_new(paths)

    def open_sample(self) -> None:
        """Open the sample video with a few labels."""
        self._session.open(make_sample_files() / LABELS, as_example=True)

    def dragEnterEvent(self, event: Any) -> None:
        """Take files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:
        """Open what was dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if len(paths) == 1:
            self._session.open(paths[0])
        elif paths:
            self._session.open_new(paths)

    # ----------------------------------------------------------------------------- recovery
    def refresh(self) -> None:
        """Look for work that was not saved, and offer it."""
        while self._recoveries.count():
            item = self._recoveries.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        found = find_recoverable()
        if found:
            self._recoveries.addWidget(QLabel("<b>Unsaved work was found</b>"))
        for recovery in found:
            self._recoveries.addWidget(self._offer(recovery))

    def _offer(self, recovery: Any) -> QWidget:
        box = QWidget()
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 4, 0, 4)
        text = QLabel(recovery.describe())
        text.setWordWrap(True)
        layout.addWidget(text)
        row = QHBoxLayout()
        take = QPushButton("Recover")
        take.setToolTip("Open the project with every edit that was not saved")
        take.clicked.connect(lambda: self._recover(recovery))
        drop = QPushButton("Discard")
        drop.setToolTip("Forget these edits")
        drop.clicked.connect(lambda: self._discard(recovery))
        row.addWidget(take)
        row.addWidget(drop)
        layout.addLayout(row)
        return box

    def _recover(self, recovery: Any) -> None:
        document = self._session.attempt(lambda: Document.recover(recovery))
        if document is not None:
            self._session.set_document(document)
            if document.recovery_note:
                self._session.show_info(document.recovery_note)

    def _discard(self, recovery: Any) -> None:
        sure = self._session.dialogs.confirm(
            "Discard unsaved work", "Forget these edits for good?", recovery.describe(), "Discard"
        )
        if sure:
            recovery.discard()
            self.refresh()
