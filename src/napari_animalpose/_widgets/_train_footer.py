"""The lower end of the Train dock: where the model goes, what is in the way, the buttons."""

from __future__ import annotations

import math
from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._device import DeviceFinder
from napari_animalpose._widgets._flow import make_row
from napari_animalpose._widgets._form import ERROR_COLOR
from napari_animalpose._widgets._training_setup import TrainingSetup
from napari_animalpose._widgets._training_words import describe_state, say_duration

__all__ = ["TrainFooter"]

CLOCK_MS = 500


class TrainFooter(QWidget):
    """Always in view: folder, device, what is in the way, progress, *Train*, *Stop*, *Cancel*.

    The buttons `train` and `retrain` are connected by the dock, which also says, with
    `can_retrain`, whether there is a round to go on from.
    """

    def __init__(self, setup: TrainingSetup, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setup = setup
        self.session, self.runs = setup.session, setup.runs
        self.can_retrain = False
        self.device = DeviceFinder(self)
        self._build()
        self.device.changed.connect(self._show_device)
        self.runs.changed.connect(self._show_run)
        self.runs.ended.connect(self._show_run)
        self.out.editingFinished.connect(self._on_out)
        self.browse.clicked.connect(self._browse)
        self.stop.clicked.connect(self._stop)
        self.cancel.clicked.connect(self._cancel)
        self.monitor.clicked.connect(lambda: self.session.open_dock("monitor"))
        self._clock = QTimer(self)
        self._clock.timeout.connect(self._show_time)
        self._clock.start(CLOCK_MS)
        self._show_device()

    def _build(self) -> None:
        self.out, self.browse = QLineEdit(), QToolButton()
        self.out.setPlaceholderText("folder of the model")
        self.out.setToolTip("The run folder that the training writes; usually beside the project")
        self.browse.setText("…")
        self.browse.setToolTip("Choose a folder for the model")
        folder = QHBoxLayout()
        folder.setSpacing(3)
        folder.addWidget(QLabel("Model"))
        folder.addWidget(self.out, 1)
        folder.addWidget(self.browse)
        self.device_text, self.problem, self.note = QLabel(), QLabel(), QLabel()
        for text in (self.device_text, self.problem, self.note):
            text.setWordWrap(True)
            text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.device_text.setToolTip("What networks run on, and the precision chosen for it")
        self.train, self.monitor = QPushButton("Train"), QPushButton("Monitor")
        self.retrain = QPushButton("Retrain")
        self.retrain.setToolTip(
            "<qt>Go on from the last round with the same options, on the labels as they are "
            "now. The result is never worse on the held-out labels than what it started from."
            "</qt>"
        )
        self.stop, self.cancel = QPushButton("Stop early"), QPushButton("Cancel")
        self.train.setToolTip("Start the training in the background; go on labelling meanwhile")
        self.stop.setToolTip("Finish now and keep the best epoch so far")
        self.cancel.setToolTip("End the training and keep nothing of it")
        self.monitor.setToolTip("Open the training monitor: curves and examples")
        self.bar = QProgressBar()
        self.bar.setToolTip("How much of the training is done, by time")
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 2, 6, 6)
        column.setSpacing(3)
        column.addLayout(folder)
        for widget in (self.device_text, self.note, self.problem, self.bar):
            column.addWidget(widget)
        column.addWidget(make_row((self.train, self.retrain, self.stop, self.cancel, self.monitor)))

    def refresh(self) -> None:
        """Show where the model goes and what is in the way."""
        out = self.setup.out
        if not self.out.hasFocus():
            self.out.setText("" if out is None else self._shorten(out))
        problem = self.setup.problem
        waits = self.setup.is_measuring or self.runs.running is not None
        self.problem.setText(problem)
        self.problem.setStyleSheet("" if waits or not problem else f"color: {ERROR_COLOR}")
        self.problem.setVisible(bool(problem))
        self.note.setText(self.setup.note)
        self.note.setVisible(bool(self.setup.note))
        self.train.setEnabled(not problem)
        self.retrain.setEnabled(not self.setup.problem_of_labels)
        self._show_run()

    def _show_device(self) -> None:
        self.device_text.setText(self.device.text)

    def _show_run(self, *args: object) -> None:
        run = self.runs.running
        for widget in (self.stop, self.cancel, self.bar):
            widget.setVisible(run is not None)
        self.train.setVisible(run is None)
        self.retrain.setVisible(run is None and self.can_retrain)
        self.monitor.setVisible(self.runs.current is not None)
        if run is not None:
            self.stop.setEnabled(run.state == "running" and bool(run.history))
            self.cancel.setEnabled(run.state in ("running", "stopping"))
        self._show_time()

    def _show_time(self) -> None:
        run = self.runs.running
        if run is None or not self.isVisible():
            return
        left, elapsed = run.seconds_left, run.worker.elapsed_s
        is_known = math.isfinite(left)
        self.bar.setRange(0, 1000 if is_known else 0)
        self.bar.setFormat(f"{say_duration(left)} left" if is_known else "")
        if is_known:
            self.bar.setValue(round(1000 * elapsed / max(1e-9, elapsed + left)))
        self.problem.setText(f"{run.name}: {describe_state(run)}")
        self.problem.setVisible(True)

    # ------------------------------------------------------------------------------ folder
    @property
    def _home(self) -> Path | None:
        """The folder of the project file."""
        document = self.session.document
        if document is None or document.path is None:
            return None
        return Path(document.path).absolute().parent

    def _shorten(self, path: Path) -> str:
        """Return a path relative to the project where it lies beside it."""
        home = self._home
        is_beside = home is not None and path.is_relative_to(home)
        return str(path.relative_to(home)) if home is not None and is_beside else str(path)

    def _on_out(self) -> None:
        text, usual, home = self.out.text().strip(), self.setup.out, self._home
        if not text:
            self.setup.set_out(None)
        elif usual is None or text != self._shorten(usual):
            self.setup.set_out(Path(text).absolute() if home is None else home / text)

    def _browse(self) -> None:
        path = self.session.dialogs.ask_folder("Folder of the model")
        if path is not None:
            self.setup.set_out(path)

    # ---------------------------------------------------------------------------- stopping
    def _stop(self) -> None:
        if self.runs.running is not None:
            self.runs.running.stop_early()

    def _cancel(self) -> None:
        if self.runs.running is not None:
            self.runs.running.cancel()
