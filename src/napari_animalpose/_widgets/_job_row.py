"""A button that starts work in a child process, with its progress and a way to cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_animalpose._widgets._worker import QtJob
from napari_animalpose.jobs import Failed, Progress

__all__ = ["JobRow"]


class JobRow(QWidget):
    """One kind of work at a time.

    Parameters
    ----------
    text, tip : str
        Of the button.
    parent : QWidget, optional

    Signals
    -------
    requested
        The button was pressed; whoever listens calls `start`.
    result : object
        What the function returned.
    failed : str
        Why it did not.
    """

    requested = Signal()
    result = Signal(object)
    failed = Signal(str)

    def __init__(self, text: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = QPushButton(text, self)
        self.button.setToolTip(tip)
        self.cancel_button = QPushButton("Cancel", self)
        self.cancel_button.setToolTip("Stop and keep what was there before")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.stage = QLabel(self)
        self._job: QtJob | None = None
        top = QHBoxLayout()
        top.addWidget(self.button, 1)
        top.addWidget(self.cancel_button)
        bottom = QHBoxLayout()
        bottom.addWidget(self.bar, 1)
        bottom.addWidget(self.stage)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(top)
        column.addLayout(bottom)
        self.button.clicked.connect(self.requested)
        self.cancel_button.clicked.connect(self.cancel)
        self._show_state()

    @property
    def is_running(self) -> bool:
        """Whether work is in progress."""
        return self._job is not None

    def start(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run a pipeline function in a child process; what ran before is cancelled."""
        self.cancel()
        job = QtJob.start(function, *args, parent=self, nice=5, **kwargs)
        self._job = job
        job.progress.connect(self._on_progress)
        job.result.connect(self.result)
        job.failed.connect(self._on_failed)
        job.finished.connect(self._on_finished)
        self.stage.setText("Starting")
        self.bar.setRange(0, 0)
        self._show_state()

    def cancel(self) -> None:
        """Stop the work and forget it."""
        if self._job is not None:
            job, self._job = self._job, None
            for signal in (job.progress, job.result, job.failed, job.finished):
                signal.disconnect()
            job.finished.connect(job.deleteLater)
            job.cancel()
        self._show_state()

    def _on_progress(self, event: Progress) -> None:
        self.stage.setText(event.stage.capitalize())
        if event.total:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * event.done / event.total))
        else:
            self.bar.setRange(0, 0)

    def _on_failed(self, event: Failed) -> None:
        self.failed.emit(event.message)

    def _on_finished(self) -> None:
        if self._job is not None:
            self._job.deleteLater()
            self._job = None
        self._show_state()

    def _show_state(self) -> None:
        self.button.setEnabled(not self.is_running)
        for widget in (self.cancel_button, self.bar, self.stage):
            widget.setVisible(self.is_running)
