"""The Predict dock: with which model, on which frames, and what becomes of the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._form import ConfigForm, Section
from napari_animalpose._widgets._frames_row import FramesRow
from napari_animalpose._widgets._model_choice import ModelChoice
from napari_animalpose._widgets._predict_footer import PredictFooter
from napari_animalpose._widgets._predictions import Request, get_predictions
from napari_animalpose._widgets._runs import get_runs
from napari_animalpose._widgets._session import get_session
from napari_animalpose.config import IdentityConfig, PredictConfig
from napari_animalpose.errors import ConfigError
from napari_animalpose.pipeline.merging import MERGE_MODES
from napari_animalpose.pipeline.model_info import ModelInfo, explain_mismatch
from napari_animalpose.tracking.base import TRACKERS

if TYPE_CHECKING:
    import napari

__all__ = ["PredictDock"]

_TOP_OPTIONS = {
    "peak_threshold": "",
    "min_mean_confidence": "Least mean confidence",
    "min_instance_score": "Least score of an animal",
}
_HIDDEN_TRACKING = (
    "track.tracker", "track.max_animals", "stitch.max_animals", "smoothing", "smooth.*",
    "smooth.*.*",
)  # fmt: skip


class PredictDock(QWidget):
    """Predicts with a trained model and brings the results into the project.

    Runs and models can be dropped on it.
    """

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = get_session(napari_viewer)
        self.predictions = get_predictions(self.session)
        self.model = ModelChoice(self.session)
        self.frames = FramesRow(self.session)
        self.footer = PredictFooter(self.session)
        self.options = ConfigForm(
            PredictConfig(),
            top=_TOP_OPTIONS,
            hidden=("max_instances",),
        )
        self.tracking = ConfigForm(
            IdentityConfig(),
            hidden=_HIDDEN_TRACKING,
            titles={"track": "Frame by frame", "stitch": "Afterwards"},
        )
        self._build()
        self._connect()
        self.setAcceptDrops(True)
        self.refresh()

    # --------------------------------------------------------------------------- building
    def _build(self) -> None:
        self.tracker, self.animals, self.mode = QComboBox(), QSpinBox(), QComboBox()
        self.tracker.addItem("none", None)
        for name in TRACKERS:
            self.tracker.addItem(name, name)
            summary = getattr(TRACKERS.get(name), "summary", "")
            self.tracker.setItemData(self.tracker.count() - 1, summary, Qt.ItemDataRole.ToolTipRole)
        self.animals.setRange(0, 1000)
        self.animals.setSpecialValueText("any number")
        for name in MERGE_MODES:
            self.mode.addItem(MERGE_MODES.get(name).label, name)
        for combo in (self.tracker, self.mode):
            combo.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            combo.setMinimumContentsLength(8)
        self.mode_text = QLabel()
        self.mode_text.setWordWrap(True)
        self.mode_text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.more = Section("Detection options", lambda: self.options)
        self.more_tracking = Section("Identity options", lambda: self.tracking)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 4)
        column.setSpacing(4)
        column.addLayout(self._build_grid())
        column.addWidget(self.more)
        column.addWidget(self.more_tracking)
        column.addStretch(1)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inner)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(2)
        whole.addWidget(self.area, 1)
        whole.addWidget(self.footer)
        self.setMinimumWidth(300)

    def _build_grid(self) -> QGridLayout:
        earlier = QWidget()
        stack = QVBoxLayout(earlier)
        stack.setContentsMargins(0, 0, 0, 0)
        stack.setSpacing(2)
        stack.addWidget(self.mode)
        stack.addWidget(self.mode_text)
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        rows: Sequence[tuple[str, QWidget, QWidget, str]] = (
            ("Model", self.model, self.model.list, ""),
            ("Frames", self.frames, self.frames.choice, ""),
            ("Animals", self.animals, self.animals, "The most in a frame, the best ones; with "
             "identities, also the most identities"),
            ("Identities", self.tracker, self.tracker, "How animals are followed from frame to "
             "frame; only frames that follow one another say who is who"),
            ("Earlier", earlier, self.mode, "What becomes of earlier predictions; labels always "
             "stay"),
        )  # fmt: skip
        for row, (text, widget, control, tip) in enumerate(rows):
            caption = QLabel(text)
            caption.setBuddy(control)
            caption.setContentsMargins(0, 4, 0, 0)
            if tip:
                caption.setToolTip(f"<qt>{tip}</qt>")
                control.setToolTip(f"<qt>{tip}</qt>")
            grid.addWidget(caption, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(widget, row, 1)
        return grid

    def _connect(self) -> None:
        for signal in (
            self.model.changed, self.frames.changed, self.options.problemChanged,
            self.tracking.problemChanged, self.session.document_changed,
        ):  # fmt: skip
            signal.connect(self.refresh)
        self.session.edited.connect(self._on_edited)
        self.tracker.currentIndexChanged.connect(self.refresh)
        self.mode.currentIndexChanged.connect(self.refresh)
        self.footer.predict.clicked.connect(self.start)
        self.footer.suggested.clicked.connect(self.predict_on_suggestions)
        self.predictions.changed.connect(self.refresh)
        self.predictions.merged.connect(lambda outcome: self.frames.draw_others())
        get_runs(self.session).predict_requested.connect(self.use_model)

    # ----------------------------------------------------------------------------- asking
    @property
    def problem(self) -> str:
        """What is in the way of any prediction, with what to do; "" if nothing."""
        info, document = self.model.info, self.session.document
        if document is None:
            return "Open a video or labels first."
        if not document.videos:
            return "Add a video first: there are no frames to predict."
        if info is None:
            return "Choose a model: train one, or add a run or a SLEAP model."
        for sentence in (
            explain_mismatch(info.skeleton, document.skeleton),
            self.options.problem,
            self.tracking.problem if self.tracker.currentData() else "",
        ):
            if sentence:
                return sentence
        return ""

    def use_model(self, path: Path | str | Sequence[Path | str]) -> bool:
        """Choose a model by its path, or by the paths of SLEAP models that work together."""
        return self.model.use(path)

    def predict_on_suggestions(self) -> bool:
        """Predict on the suggested frames; return whether it has begun."""
        self.frames.choose("suggested")
        return self.start()

    def start(self) -> bool:
        """Predict as entered, or say what is in the way; return whether it has begun."""
        self.frames.count_frames()
        problem = self.problem or self.frames.problem
        if problem or self.predictions.running is not None:
            self.session.show_error(problem or "A prediction is at work: wait for it, or stop it.")
            return False
        self.predictions.start(self._make_request())
        return True

    def _make_request(self) -> Request:
        info, tracker = self.model.info, self.tracker.currentData()
        if info is None:
            raise ConfigError(self.problem)
        config = self.options.value().replace(max_instances=self.animals.value())
        if not info.is_sleap:
            config = config.replace(sleap_exact=False)
        tracking = None
        if tracker is not None:
            tracking = self.tracking.value().with_animals(self.animals.value(), tracker)
        return Request(info, self.frames.frames, config, tracking, self.mode.currentData())

    # ---------------------------------------------------------------------------- showing
    def showEvent(self, event: object) -> None:
        """Learn which window it is in, and which models there are by now."""
        self.session.watch_window(self)
        self.model.refresh()

    def refresh(self, *args: object) -> None:
        """Show what the choices mean and what is in the way."""
        info = self.model.info
        self.more_tracking.setVisible(self.tracker.currentData() is not None)
        self.mode_text.setText(MERGE_MODES.get(self.mode.currentData()).summary)
        if info is not None:
            self._show_options_of(info)
        document = self.session.document
        n_suggested = 0 if document is None else len(document.suggestions)
        self.footer.show_problem(self.problem, self.frames.problem, n_suggested)

    def _show_options_of(self, info: ModelInfo) -> None:
        """Leave out the options that mean nothing to a model."""
        hidden = ["max_instances"]
        if not info.joins_lines:
            hidden += ["min_line_score", "min_points"]
        if not info.identifies:
            hidden.append("min_class_probability")
        if not info.is_sleap:
            hidden.append("sleap_exact")
        if info.pipeline.startswith("topdown"):
            hidden.append("min_mean_confidence")
        elif not info.joins_lines:
            hidden.append("min_instance_score")
        if self.options.problem:
            return  # what a person types stays as it is
        self.options.set_layout(_TOP_OPTIONS, hidden, {})
        self.options.setValue(self.options.value())

    def _on_edited(self, change: object) -> None:
        if getattr(change, "skeleton", False) or getattr(change, "marks", False):
            self.refresh()

    # ----------------------------------------------------------------------------- dropping
    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take folders and files."""
        data = None if event is None else event.mimeData()
        if event is not None and data is not None and data.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Add the model that was dropped; several are models of SLEAP that work together."""
        data = None if event is None else event.mimeData()
        paths = [] if data is None else [Path(u.toLocalFile()) for u in data.urls()]
        if event is not None and paths:
            event.acceptProposedAction()
            self.use_model(paths)
