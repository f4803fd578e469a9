"""The training monitor: what a training does, live, and how it ended."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QCheckBox,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._curves import CurvePlot, Series
from napari_animalpose._widgets._examples_panel import ExamplesPanel
from napari_animalpose._widgets._flow import make_row
from napari_animalpose._widgets._form import ERROR_COLOR, Section
from napari_animalpose._widgets._runs import TrainingRun, get_runs
from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets._tensorboard import TensorBoard, command
from napari_animalpose._widgets._training_words import (
    describe_end,
    describe_network,
    describe_state,
    name_network,
    say_duration,
)

if TYPE_CHECKING:
    import napari

__all__ = ["MonitorDock"]

CLOCK_MS = 500
REDRAW_MS = 250
_EMPTY = "No training yet. Start one in the Train dock: its curves and examples appear here."


class MonitorDock(QWidget):
    """Shows the training that is at work in a session, or the last one."""

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = get_session(napari_viewer)
        self.runs = get_runs(self.session)
        self.tensorboard = TensorBoard(self)
        self.run: TrainingRun | None = None
        self.examples = ExamplesPanel()
        self.examples.frame_requested.connect(self._go_to)
        self._n_log = 0
        self._is_stale = False
        self._build()
        self.runs.started.connect(self.watch)
        self.runs.changed.connect(self._on_changed)
        self.runs.ended.connect(self._on_changed)
        self.session.document_changed.connect(self._on_document)
        self.tensorboard.opened.connect(self._on_tensorboard)
        self.tensorboard.failed.connect(self._on_no_tensorboard)
        self._clock = QTimer(self)
        self._clock.timeout.connect(self._show_time)
        self._clock.start(CLOCK_MS)
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.timeout.connect(self.refresh)
        self.watch(self.runs.current)

    # --------------------------------------------------------------------------- building
    def _build(self) -> None:
        self.title, self.facts, self.best = QLabel(), QLabel(), QLabel()
        self.queue, self.message = QLabel(), QLabel()
        for text in (self.title, self.facts, self.best, self.queue, self.message):
            text.setWordWrap(True)
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.title.setStyleSheet("font-weight: 600;")
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setToolTip("How much of the whole training is done, by time")
        self.stop = _button("Stop early", "Finish now and keep the best epoch so far")
        self.cancel = _button("Cancel", "End the training and keep nothing of it")
        self.board = _button("TensorBoard", "Show all figures of this run in the browser")
        self.predict = _button("Predict with this", "Choose this model in the Predict dock")
        self.folder = _button("Open folder", "Show the run folder in the file manager")
        self.details = _button("Details", "What the program wrote before it failed")
        for button, action in (
            (self.stop, self._stop), (self.cancel, self._cancel), (self.board, self._open_board),
            (self.predict, self._predict), (self.folder, self._open_folder),
        ):  # fmt: skip
            button.clicked.connect(action)
        self.details.setCheckable(True)
        self.details.toggled.connect(self._show_details)
        self.trace = QPlainTextEdit()
        self.trace.setReadOnly(True)
        self.trace.setMinimumHeight(140)
        self.trace.hide()
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(4)
        for widget in (self.title, self.queue, self.bar, self.facts, self.best, self.message):
            column.addWidget(widget)
        column.addWidget(
            make_row((self.stop, self.cancel, self.predict, self.folder, self.details, self.board))
        )
        column.addWidget(self.trace)
        column.addWidget(self._build_plots(), 3)
        column.addWidget(self.examples, 2)
        column.addWidget(Section("Log", self._build_log))
        self.body = inner
        self.empty = QLabel(_EMPTY)
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        self.area = area
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.empty)
        whole.addWidget(area)
        self.setMinimumWidth(280)

    def _build_plots(self) -> QWidget:
        self.loss = CurvePlot("Loss", "epoch")
        self.error = CurvePlot("Validation error (px)", "epoch")
        self.rate = CurvePlot("Learning rate", "epoch")
        self.rate.setMinimumHeight(84)
        self.loss.setToolTip("Mean squared error of the maps, averaged over an epoch")
        self.error.setToolTip(
            "<qt>Distance from the labelled points of the validation frames to what the network "
            "finds nearest: mean (what the best epoch is chosen by; no error counts for more "
            "than a fifth of the animal), median and 90th percentile</qt>"
        )
        self.log_scale = QCheckBox("Log scale")
        self.log_scale.setToolTip("Show loss and error by their logarithms")
        self.log_scale.setChecked(True)
        self.log_scale.toggled.connect(self._set_log)
        widget = QWidget()
        column = QVBoxLayout(widget)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.log_scale)
        column.addWidget(self.loss, 3)
        column.addWidget(self.error, 3)
        column.addWidget(self.rate, 1)
        self._set_log(True)
        return widget

    def _build_log(self) -> QWidget:
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(2000)
        self.log.setMinimumHeight(120)
        self._n_log = 0
        self._write_log()
        return self.log

    # --------------------------------------------------------------------------- watching
    def watch(self, run: TrainingRun | None) -> None:
        """Show another training."""
        if self.run is not None and self.run is not run:
            self.run.previewed.disconnect(self._on_preview)
        if run is not None and run is not self.run:
            run.previewed.connect(self._on_preview)
        self.run = run
        self._n_log = 0
        self.details.setChecked(False)
        if hasattr(self, "log"):
            self.log.clear()
        self.examples.watch(run)
        self._on_document()
        self.refresh()

    def _on_document(self) -> None:
        """Lead to frames only where they are those of the training."""
        document = self.session.document
        self.examples.set_reachable(self.run is not None and self.run.belongs_to(document))

    def _on_changed(self) -> None:
        """Draw soon: what comes in a burst is drawn once, and what is hidden is not drawn."""
        if not self.isVisible():
            self._is_stale = True
        elif not self._redraw.isActive():
            self._redraw.start(REDRAW_MS)

    def showEvent(self, event: object) -> None:
        """Catch up with what came while nobody looked."""
        if self._is_stale:
            self.refresh()
            self.examples.refresh()

    def refresh(self) -> None:
        """Show everything that the training has said."""
        self._is_stale = False
        run = self.run
        self.empty.setVisible(run is None)
        self.area.setVisible(run is not None)
        if run is None:
            return
        state = run.state
        self.title.setText(f"{run.name}: {describe_state(run)}")
        self.title.setToolTip(str(run.out))
        self.queue.setText(_draw_queue(run))
        self.queue.setVisible(len(run.networks) > 1)
        self.facts.setText(describe_network(run))
        self.facts.setVisible(bool(self.facts.text()))
        self._show_best(run)
        self.message.setText(describe_end(run))
        self.message.setVisible(bool(self.message.text()))
        self.message.setStyleSheet(f"color: {ERROR_COLOR}" if state == "failed" else "")
        for button, shown in (
            (self.stop, run.is_running), (self.cancel, run.is_running),
            (self.predict, run.is_usable),
            (self.folder, state == "done"), (self.details, state == "failed"),
            (self.board, state in ("running", "stopping", "done")),
        ):  # fmt: skip
            button.setVisible(shown)
        self.stop.setEnabled(state == "running" and bool(run.history))
        self.cancel.setEnabled(state in ("running", "stopping"))
        self.board.setEnabled(run.plan is not None)
        self._draw_curves(run)
        self._write_log()
        self._show_time()

    def _show_best(self, run: TrainingRun) -> None:
        found = [(name, run.best(name)) for name in run.networks]
        parts = [
            f"{name_network(name) + ': ' if len(run.networks) > 1 else ''}"
            f"{best[1]:.2f} px at epoch {best[0]:.0f}"
            for name, best in found
            if best is not None
        ]
        words = "Best so far: " if run.is_running else "Best: "
        self.best.setText(words + "; ".join(parts) if parts else "")
        self.best.setToolTip("Mean distance to the labels of the validation frames")
        self.best.setVisible(bool(parts))

    def _draw_curves(self, run: TrainingRun) -> None:
        several = len(run.networks) > 1
        losses, rates = [], []
        for name in run.networks:
            epochs, values = run.column(name, "loss")
            losses.append(Series(name_network(name) if several else "loss", epochs, values))
            epochs, values = run.column(name, "learning_rate")
            rates.append(Series(name_network(name) if several else "rate", epochs, values))
        self.loss.set_series(losses)
        self.rate.set_series(rates)
        network = run.network or next(iter(run.networks), "")
        names = (("mean", "val_error_px"), ("median", "val_error_p50"), ("90 %", "val_error_p90"))
        self.error.set_series([
            Series(name, *run.column(network, column), unit="px", dots=True)
            for name, column in names
        ])  # fmt: skip
        best = run.best(network)
        for plot in (self.loss, self.error):
            plot.mark(None if best is None else best[0], "best")

    def _show_time(self) -> None:
        run = self.run
        if run is None or not self.isVisible():
            return
        elapsed, left = run.worker.elapsed_s, run.seconds_left
        if not run.is_running:
            self.bar.setRange(0, 1000)
            self.bar.setValue(1000 if run.state == "done" else 0)
            self.bar.setFormat(f"{say_duration(elapsed)}")
        elif math.isnan(left):
            self.bar.setRange(0, 0)
            self.bar.setFormat("")
        else:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * elapsed / max(1e-9, elapsed + left)))
            self.bar.setFormat(f"{say_duration(elapsed)}, {say_duration(left)} left")

    def _write_log(self) -> None:
        if self.run is None or not hasattr(self, "log"):
            return
        for level, message in self.run.log[self._n_log :]:
            mark = "" if level < logging.WARNING else "! "
            self.log.appendPlainText(mark + message)
        self._n_log = len(self.run.log)

    def _on_preview(self, name: str) -> None:
        if self.isVisible():
            self.examples.refresh()
        else:
            self._is_stale = True

    # ---------------------------------------------------------------------------- actions
    def _set_log(self, is_log: bool) -> None:
        self.loss.set_log(is_log)
        self.error.set_log(is_log)

    def _stop(self) -> None:
        if self.run is not None:
            self.run.stop_early()

    def _cancel(self) -> None:
        if self.run is not None:
            self.run.cancel()

    def _open_board(self) -> None:
        if self.run is not None:
            folder = self.run.out / "tensorboard"
            self.board.setText("Starting…")
            self.board.setToolTip("In a terminal: " + " ".join(command(folder)))
            self.tensorboard.open(folder)

    def _on_tensorboard(self, address: str) -> None:
        self.board.setText("TensorBoard")
        self.session.show_info(f"TensorBoard: {address}")

    def _on_no_tensorboard(self, sentence: str) -> None:
        self.board.setText("TensorBoard")
        self.session.show_error(sentence)

    def _predict(self) -> None:
        if self.run is not None:
            self.session.open_dock("predict")
            self.runs.predict_requested.emit(self.run.out)

    def _go_to(self, video: int, frame: int) -> None:
        self.session.go_to(frame, video)

    def _open_folder(self) -> None:
        if self.run is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(self.run.out).resolve())))

    def _show_details(self, is_shown: bool) -> None:
        failure = None if self.run is None else self.run.failure
        self.trace.setPlainText("" if failure is None else failure.traceback)
        self.trace.setVisible(is_shown and failure is not None)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button


def _draw_queue(run: TrainingRun) -> str:
    """Return the networks in order: done, at work, waiting."""
    parts = []
    for name in run.networks:
        is_current = name == run.network and run.is_running
        mark = "✓" if run.has_finished(name) else "●" if is_current else "○"
        parts.append(f"{mark} {name_network(name)}")
    return "   →   ".join(parts)
