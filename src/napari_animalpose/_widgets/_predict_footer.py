"""The lower end of the Predict dock: what is in the way, progress, results, the buttons."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_animalpose._widgets._flow import make_row
from napari_animalpose._widgets._form import ERROR_COLOR
from napari_animalpose._widgets._predictions import Outcome, Prediction, get_predictions
from napari_animalpose._widgets._training_words import say_duration

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["PredictFooter", "describe_outcome", "describe_progress"]

STAGES = {"track": "Finding identities", "stitch": "Joining identities over gaps"}


class PredictFooter(QWidget):
    """Always in view; `predict` and `suggested` are connected by the dock."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.predictions = get_predictions(session)
        self._problem = self._frames_problem = ""
        self._n_suggested = 0
        self._build()
        self.stop.clicked.connect(lambda: self._tell("stop"))
        self.cancel.clicked.connect(lambda: self._tell("cancel"))
        self.keep.clicked.connect(self.predictions.keep)
        self.discard.clicked.connect(self.predictions.discard)
        self.first.clicked.connect(self._go_to_first)
        self.predictions.changed.connect(self.refresh)
        self.refresh()

    def _build(self) -> None:
        self.problem, self.text = QLabel(), QLabel()
        for label in (self.problem, self.text):
            label.setWordWrap(True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.predict = _button("Predict", "Predict in the background; go on working meanwhile")
        self.suggested = _button("Predict on suggestions", "")
        self.stop = _button("Stop and keep", "End now and keep the frames that are done")
        self.cancel = _button("Cancel", "End now and keep nothing")
        self.keep = _button("Keep them", "Bring the frames that had arrived into the project")
        self.discard = _button("Discard", "Forget the frames that had arrived")
        self.first = _button("Show first", "Go to the first frame with a new prediction")
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 2, 6, 6)
        column.setSpacing(4)
        for widget in (self.text, self.problem, self.bar):
            column.addWidget(widget)
        column.addWidget(make_row((self.keep, self.discard, self.first)))
        column.addWidget(make_row((self.predict, self.suggested, self.stop, self.cancel)))

    def show_problem(self, problem: str, frames_problem: str, n_suggested: int) -> None:
        """Say what is in the way: of anything, of the chosen frames; offer suggestions."""
        self._problem, self._frames_problem = problem, frames_problem
        self._n_suggested = n_suggested
        self.refresh()

    def refresh(self) -> None:
        """Show the state of the prediction, and what can be done now."""
        running, waits = self.predictions.running, self.predictions.is_waiting
        for widget in (self.stop, self.cancel, self.bar):
            widget.setVisible(running is not None)
        for widget in (self.keep, self.discard):
            widget.setVisible(waits)
        outcome = self.predictions.outcome
        self.first.setVisible(running is None and outcome is not None and outcome.first is not None)
        for widget in (self.predict, self.suggested):
            widget.setVisible(running is None)
        self.predict.setEnabled(not self._problem and not self._frames_problem and not waits)
        self.suggested.setEnabled(not self._problem and self._n_suggested > 0 and not waits)
        self.suggested.setToolTip(
            f"Predict on the {self._n_suggested} suggested frames, whatever is chosen above"
            if self._n_suggested
            else "No frames are suggested: have some chosen in the Review dock"
        )
        if running is not None:
            self.stop.setEnabled(running.state == "running" and running.progress is not None)
            self.cancel.setEnabled(running.state != "cancelling")
            self._show_bar(running)
        self._show_words(running)

    def _show_words(self, running: Prediction | None) -> None:
        failure = self.predictions.problem
        problem = "" if running is not None else self._problem or self._frames_problem
        current, outcome = self.predictions.current, self.predictions.outcome
        if running is not None:
            text = describe_progress(running)
        elif failure:
            n = 0 if current is None else current.n_arrived
            text = failure
            if self.predictions.is_waiting and n:
                n_all = 0 if current is None else len(current.request.frames)
                text += f" {n:,} of {n_all:,} frames had arrived."
        elif current is not None and outcome is not None:
            text = describe_outcome(outcome, current)
        elif current is not None and current.state == "cancelled":
            text = "Cancelled; nothing was kept."
        else:
            text = ""
        self.text.setText(text)
        self.text.setStyleSheet(f"color: {ERROR_COLOR}" if failure and running is None else "")
        self.text.setVisible(bool(text))
        self.problem.setText(problem)
        is_hint = self.session.document is None or not self._problem
        self.problem.setStyleSheet("" if is_hint else f"color: {ERROR_COLOR}")
        self.problem.setVisible(bool(problem))

    def _show_bar(self, running: Prediction) -> None:
        progress = running.progress
        if progress is None or not progress.total:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * progress.done / progress.total))

    def _tell(self, order: str) -> None:
        running = self.predictions.running
        if running is not None:
            getattr(running, order)()

    def _go_to_first(self) -> None:
        outcome = self.predictions.outcome
        if outcome is not None and outcome.first is not None:
            video, frame = outcome.first
            self.session.go_to(frame, video)


def describe_progress(prediction: Prediction) -> str:
    """Return what a prediction does now, how fast, and how long it still takes."""
    progress = prediction.progress
    if prediction.state == "cancelling":
        return "Cancelling …"
    if prediction.state == "stopping":
        return f"Stopping; {prediction.n_arrived:,} frames are kept …"
    if progress is None:
        return "Loading the model …"
    if progress.stage in STAGES:
        return f"{STAGES[progress.stage]} …"
    text = f"{progress.done:,.0f} of {progress.total or 0:,.0f} frames"
    if progress.rate:
        text += f", {progress.rate:.3g} frames/s"
    if progress.eta_s is not None and math.isfinite(progress.eta_s):
        text += f", {say_duration(progress.eta_s)} left"
    return text


def describe_outcome(outcome: Outcome, prediction: Prediction) -> str:
    """Return what a prediction has brought, in sentences."""
    n_all, took = len(prediction.request.frames), say_duration(prediction.worker.elapsed_s)
    n = outcome.n_frames
    which = f"{n:,} of {n_all:,} frames" if n < n_all else _count(n, "frame")
    if prediction.failure is not None:
        sentences = [f"Kept what had arrived of {which}."]
    elif n < n_all and not prediction.is_stopping:
        sentences = [f"Looked at {which} in {took}: the others have no labels."]
    else:
        sentences = [f"Looked at {which} in {took}."]
    n_found = outcome.n_animals + outcome.n_labelled
    if n_found:
        sentences.append(f"{_count(outcome.n_animals, 'prediction')}, mean score "
                         f"{outcome.score:.2f}.")  # fmt: skip
    else:
        sentences.append(
            "Nothing was found: lower the peak threshold or the least mean confidence, or train "
            "longer."
        )
    if outcome.n_labelled:
        sentences.append(
            f"{_count(outcome.n_labelled, 'animal')} had a label already and "
            f"{'was' if outcome.n_labelled == 1 else 'were'} left out."
        )
    if n_found and outcome.n_empty:
        sentences.append(f"{_count(outcome.n_empty, 'frame')} without animals.")
    return " ".join([*sentences, *prediction.warnings])


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' if n != 1 else ''}"


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
