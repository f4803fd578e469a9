"""The Train dock: what is going to be trained, why, from what, and the rounds so far."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._augment_panel import AugmentPanel
from napari_animalpose._widgets._flow import make_row
from napari_animalpose._widgets._form import ConfigForm, Section
from napari_animalpose._widgets._geometry_overlay import (
    FIELD_COLOR,
    WINDOW_COLOR,
    GeometryOverlay,
)
from napari_animalpose._widgets._rounds_panel import RoundsPanel
from napari_animalpose._widgets._runs import get_runs
from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets._train_footer import TrainFooter
from napari_animalpose._widgets._training_form import form_layout
from napari_animalpose._widgets._training_setup import TrainingSetup
from napari_animalpose.config import RunConfig
from napari_animalpose.errors import ConfigError
from napari_animalpose.nn.autoconfig import PRESETS
from napari_animalpose.nn.heads import PIPELINES

if TYPE_CHECKING:
    import napari

__all__ = ["TrainDock"]

_CHOOSE = "choose"
_UNSEEN = (
    "The networks of a SLEAP model are read when training begins: what they see and what they are "
    "trained on is not shown here."
)


class TrainDock(QWidget):
    """Sets up a training, starts it, stops it, and shows what the rounds have brought."""

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = get_session(napari_viewer)
        self.runs = get_runs(self.session)
        self.setup = TrainingSetup(self.session, self)
        self.overlay = GeometryOverlay(self.session, self)
        self.rounds = RoundsPanel(self.session)
        self.footer = TrainFooter(self.setup)
        self.form: ConfigForm | None = None
        self._shown: RunConfig | None = None
        self._build()
        self._connect()
        self.refresh()

    # --------------------------------------------------------------------------- building
    def _build(self) -> None:
        inner = QWidget()
        self.column = QVBoxLayout(inner)
        self.column.setContentsMargins(6, 4, 6, 4)
        self.column.setSpacing(4)
        self.column.addLayout(self._build_choice())
        self.reasons = QLabel()
        self.reasons.setWordWrap(True)
        self.reasons.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.why = Section("Why", lambda: self.reasons)
        self.form_place = QVBoxLayout()
        self.augment = AugmentPanel()
        self.examples = Section("What training looks at", lambda: self.augment)
        self.history = Section("Rounds", lambda: self.rounds)
        self.history.open()
        self.column.addWidget(self.why)
        self.column.addWidget(self._build_overlay())
        self.unseen = QLabel(_UNSEEN)
        self.unseen.setWordWrap(True)
        self.column.addWidget(self.unseen)
        self.column.addLayout(self.form_place)
        self.column.addWidget(self.examples)
        self.column.addWidget(self.history)
        self.column.addStretch(1)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QScrollArea.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inner)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(2)
        whole.addWidget(self.area, 1)
        whole.addWidget(self.footer)
        self.setMinimumWidth(300)

    def _build_choice(self) -> QGridLayout:
        self.pipeline, self.preset, self.resume = _Combo(), _Combo(), _Combo()
        self.pipeline.addItem("automatic", "auto")
        for name in PIPELINES:
            self.pipeline.addItem(name, name)
            self.pipeline.setItemData(
                self.pipeline.count() - 1, PIPELINES.get(name).summary, Qt.ItemDataRole.ToolTipRole
            )
        for name, preset in PRESETS.items():
            self.preset.addItem(name, name)
            self.preset.setItemData(
                self.preset.count() - 1, preset.summary, Qt.ItemDataRole.ToolTipRole
            )
        self.preset.setCurrentIndex(self.preset.findData(self.setup.preset))
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        for row, (text, widget, tip) in enumerate((
            ("Continue from", self.resume, "Start anew, or go on from what an earlier round or a "
             "SLEAP model has learned: a fraction of the time"),
            ("Pipeline", self.pipeline, "The way from a frame to animals; automatic chooses it "
             "from the labels and says why"),
            ("Preset", self.preset, "How much the network may cost"),
        )):  # fmt: skip
            widget.setToolTip(f"<qt>{tip}</qt>")
            caption = QLabel(text)
            caption.setToolTip(f"<qt>{tip}</qt>")
            grid.addWidget(caption, row, 0)
            grid.addWidget(widget, row, 1)
        return grid

    def _build_overlay(self) -> QWidget:
        self.show_geometry = QCheckBox("Show on the image")
        self.show_geometry.setToolTip(
            "<qt>Draw around an animal what the network sees at one place and what it is trained "
            "on: the first should hold the animal</qt>"
        )
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.reset = QPushButton("Reset all")
        self.reset.setToolTip("Go back to what was chosen for these labels")
        return make_row((self.show_geometry, self.legend, self.reset))

    def _connect(self) -> None:
        self.setup.changed.connect(self.refresh)
        self.rounds.changed.connect(self._offer_rounds)
        self.rounds.changed.connect(self.refresh)
        self.rounds.chosen.connect(self._continue_from)
        self.overlay.removed.connect(lambda: self.show_geometry.setChecked(False))
        self.show_geometry.toggled.connect(self.overlay.set_shown)
        self.pipeline.activated.connect(
            lambda: self.setup.set_pipeline(self.pipeline.currentData())
        )
        self.preset.activated.connect(lambda: self.setup.set_preset(self.preset.currentData()))
        self.resume.activated.connect(self._on_resume)
        self.reset.clicked.connect(self.setup.forget_changes)
        self.footer.retrain.clicked.connect(self._retrain)
        self.footer.train.clicked.connect(lambda: self._try(self.setup.start))
        self._offer_rounds()

    # ----------------------------------------------------------------------------- showing
    def showEvent(self, event: object) -> None:
        """Follow the labels while the dock is seen."""
        self.session.watch_window(self)
        self.setup.set_active(True)
        self.rounds.set_active(True)
        self.footer.device.find()
        self.overlay.set_shown(self.show_geometry.isChecked())

    def hideEvent(self, event: object) -> None:
        """Take the squares off the image; a training goes on."""
        self.setup.set_active(False)
        self.rounds.set_active(False)
        self.overlay.close()

    def refresh(self) -> None:
        """Show choice, reasons, options and what is in the way."""
        setup = self.setup
        goes_on = setup.resume is not None
        self.pipeline.setEnabled(not goes_on)
        self.preset.setEnabled(not goes_on or setup.is_foreign)
        self._show_choice()
        self._show_form()
        self.reset.setVisible(setup.has_changes)
        self.why.setVisible(bool(setup.reasons))
        self.reasons.setText("".join(f"<p>{reason}</p>" for reason in setup.reasons))
        if setup.resume is None:
            self.resume.setCurrentIndex(0)
        self.footer.can_retrain = self.rounds.last is not None
        self.footer.refresh()

    def _show_choice(self) -> None:
        """Say beside *automatic* what it has chosen."""
        chosen = self.setup.chosen
        is_auto = self.setup.pipeline == "auto" and self.setup.resume is None
        named = f"automatic: {chosen.pipeline}" if chosen is not None and is_auto else "automatic"
        self.pipeline.setItemText(0, named)
        with QSignalBlocker(self.pipeline):
            if self.setup.resume is not None and chosen is not None:
                self.pipeline.setCurrentIndex(self.pipeline.findData(chosen.pipeline))
            else:
                self.pipeline.setCurrentIndex(self.pipeline.findData(self.setup.pipeline))

    def _show_form(self) -> None:
        config, chosen = self.setup.config, self.setup.chosen
        is_foreign = self.setup.is_foreign
        for widget in (self.show_geometry, self.legend, self.examples):
            widget.setVisible(config is not None and not is_foreign)
        self.unseen.setVisible(config is not None and is_foreign)
        if config is None or chosen is None:
            if self.form is not None:
                self.form.hide()
            self.overlay.set_config(None)
            self.augment.set_wanted(None, None)
            self._shown = None
            return
        if self.setup.form_problem:
            return  # what a person types stays as it is
        layout = form_layout(chosen, goes_on=self.setup.resume is not None)
        if self.form is None:
            self.form = ConfigForm(
                config, top=layout.top, hidden=layout.hidden, titles=layout.titles,
                default=chosen, choices=self._node_choices(),
            )  # fmt: skip
            self.form.valueChanged.connect(self.setup.set_config)
            self.form.problemChanged.connect(self.setup.set_form_problem)
            self.form_place.addWidget(self.form)
        else:
            self.form.set_layout(layout.top, layout.hidden, layout.titles)
            self.form.set_choices(self._node_choices())
            self.form.setValue(config, chosen)
        self.form.show()
        if config != self._shown or self.setup.learned is not None:
            trained = None if is_foreign else config
            self.overlay.set_config(trained)
            self._show_legend()
            self.augment.set_wanted(self.setup.learned, trained)
        self._shown = config

    def _node_choices(self) -> dict[str, tuple[str, ...]]:
        document = self.session.document
        nodes = () if document is None else document.skeleton.nodes
        return {"anchor": ("", *nodes)}

    def _show_legend(self) -> None:
        geometry = self.overlay.geometry
        if geometry is None:
            self.legend.setText("")
            return
        window = f"{geometry.window_px:.0f} px" if geometry.window_px else "whole frames"
        kind = "crop" if geometry.crop_px else "trained on"
        self.legend.setText(
            f"<span style='color:{FIELD_COLOR}'>■</span> sees "
            f"{geometry.receptive_field_px:.0f} px&nbsp; "
            f"<span style='color:{WINDOW_COLOR}'>■</span> {kind} {window}"
        )

    # ----------------------------------------------------------------------------- choosing
    def _offer_rounds(self) -> None:
        """Have the rounds to go on from, the newest first."""
        current = self.setup.resume
        with QSignalBlocker(self.resume):
            self.resume.clear()
            self.resume.addItem("start anew", None)
            for each in reversed(self.rounds.history.rounds):
                if each.problem:
                    continue
                error = each.figure("error_p50")
                text = f"round {each.number}, {each.path.name}"
                text += f" ({error:.1f} px)" if error == error else ""
                text += "" if each.is_finished else " (not finished)"
                self.resume.addItem(text, str(each.path))
            if current is not None and self.resume.findData(str(current)) < 0:
                self.resume.addItem(current.name, str(current))
            self.resume.addItem("choose a run or SLEAP model …", _CHOOSE)
            self.resume.setCurrentIndex(max(0, self.resume.findData(str(current))))

    def _on_resume(self) -> None:
        data = self.resume.currentData()
        if data == _CHOOSE:
            data = self.session.dialogs.ask_folder("Continue from a run folder or a SLEAP model")
            if data is None:
                data = self.setup.resume
        self._continue_from(None if data is None else Path(data))

    def _continue_from(self, path: Path | None) -> None:
        self.setup.set_resume(path)
        self._offer_rounds()

    def _retrain(self) -> None:
        """Go on from the last round, whatever else is entered."""
        last = self.rounds.last
        if last is not None:
            self._try(lambda: self.setup.retrain(last.path))
            self._offer_rounds()

    def _try(self, action: Callable[[], object]) -> None:
        """Start a training, or say what is in the way."""
        try:
            action()
        except ConfigError as error:
            self.session.show_error(str(error))
            return
        self.session.open_dock("monitor")


class _Combo(QComboBox):
    """As narrow as the dock asks for, and deaf to the wheel unless it has the focus."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: object) -> None:
        """Leave the wheel to the dock."""
        if self.hasFocus():
            super().wheelEvent(event)  # type: ignore[arg-type]
        elif event is not None:
            event.ignore()  # type: ignore[attr-defined]
