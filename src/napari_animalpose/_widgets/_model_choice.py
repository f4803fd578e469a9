"""Which model: the runs beside the project, and those that a person added."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._predictions import get_predictions
from napari_animalpose._widgets._runs import get_runs
from napari_animalpose.pipeline.model_info import ModelInfo, describe_model, list_models
from napari_animalpose.pipeline.rounds import models_folder

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["ModelChoice"]

NONE = "No model yet: train one, or add one."
PARTNERS = {
    "centroid": (
        "Add centroid model …",
        "This SLEAP model looks at animals one by one. Without a centroid model, labels have to "
        "say where they are: only labelled frames can be predicted.",
    ),
    "centered_instance": (
        "Add model of centered animals …",
        "This SLEAP model finds where animals are, as one point each. Add the model of centered "
        "animals that it was trained with.",
    ),
}


class ModelChoice(QWidget):
    """A list of models, a menu to add others, and what the chosen one is.

    Attributes
    ----------
    changed : Signal()
        Another model is chosen.
    """

    changed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.predictions = get_predictions(session)
        self._home: Path | None = None
        self._build()
        self.list.activated.connect(self._on_chosen)
        session.document_changed.connect(self.refresh)
        session.state_changed.connect(self._on_state)
        get_runs(session).train_finished.connect(self.use)
        self.refresh()

    def _build(self) -> None:
        self.list = QComboBox()
        self.list.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.list.setMinimumContentsLength(8)
        self.list.setToolTip("The model to predict with; runs beside the project come first")
        self.add = QPushButton("Add")
        self.add.setToolTip("Add a run, a zip of one, or a model of SLEAP up to 1.4")
        menu = QMenu(self.add)
        self.add_folder = menu.addAction("Run folder or SLEAP model folder …", self._add_folder)
        self.add_zip = menu.addAction("Zip of a run or of SLEAP models …", self._add_zip)
        self.add.setMenu(menu)
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        self.facts.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.partner = QPushButton()
        self.partner.clicked.connect(self._add_partner)
        row = QHBoxLayout()
        row.setSpacing(3)
        row.addWidget(self.list, 1)
        row.addWidget(self.add)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(row)
        column.addWidget(self.facts)
        column.addWidget(self.partner)

    # ----------------------------------------------------------------------------- asking
    @property
    def info(self) -> ModelInfo | None:
        """The model that is chosen."""
        data = self.list.currentData()
        return data if isinstance(data, ModelInfo) else None

    def use(self, paths: Path | str | Sequence[Path | str]) -> bool:
        """Choose a model by its path or paths, added if it is not there; tell what is wrong.

        A run beside the project is there already, and is not offered in other projects.
        """
        info = self.session.attempt(lambda: describe_model(paths))
        if info is None:
            return False
        if _resolve(info.paths) not in {_resolve(each.paths) for each in self._list_beside()}:
            known = self.predictions.models
            self.predictions.models = [each for each in known if each.paths != info.paths] + [info]
        self.predictions.model = info.paths
        self.refresh()
        return True

    def refresh(self) -> None:
        """Read anew which models there are; the choice stays where it can."""
        document = self.session.document
        self._home = None if document is None else document.path
        beside = self._list_beside()
        there = {_resolve(info.paths) for info in beside}
        added = [each for each in self.predictions.models if _resolve(each.paths) not in there]
        wanted = self.predictions.model
        with QSignalBlocker(self.list):
            self.list.clear()
            for info in (*beside, *added):
                self.list.addItem(_title(info), info)
                tip = "\n".join(str(path) for path in info.paths)
                self.list.setItemData(self.list.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
                if wanted is not None and _resolve(info.paths) == _resolve(wanted):
                    self.list.setCurrentIndex(self.list.count() - 1)
            self.list.setEnabled(self.list.count() > 0)
        self._show()
        self.changed.emit()

    # --------------------------------------------------------------------------- internals
    def _list_beside(self) -> list[ModelInfo]:
        document = self.session.document
        path = None if document is None else document.path
        return [] if path is None else list_models(models_folder(path))

    def _show(self) -> None:
        info = self.info
        self.facts.setText(NONE if info is None else _describe(info))
        self.partner.setVisible(info is not None and bool(info.missing))
        if info is not None and info.missing:
            text, tip = PARTNERS[info.missing]
            self.partner.setText(text)
            self.partner.setToolTip(f"<qt>{tip}</qt>")

    def _on_chosen(self) -> None:
        self.predictions.model = None if self.info is None else self.info.paths
        self._show()
        self.changed.emit()

    def _on_state(self) -> None:
        document = self.session.document
        if (None if document is None else document.path) != self._home:
            self.refresh()

    def _add_folder(self) -> None:
        path = self.session.dialogs.ask_folder("Add a run folder or a SLEAP model")
        if path is not None:
            self.use(path)

    def _add_zip(self) -> None:
        path = self.session.dialogs.ask_file("Add a run or SLEAP models", "Zip files (*.zip)")
        if path is not None:
            self.use(path)

    def _add_partner(self) -> None:
        info = self.info
        if info is None:
            return
        path = self.session.dialogs.ask_folder(PARTNERS[info.missing][0].removesuffix(" …"))
        if path is not None:
            self.use([*info.paths, path])


def _resolve(paths: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(path.resolve() for path in paths)


def _title(info: ModelInfo) -> str:
    error = f" ({info.error_px:.1f} px)" if math.isfinite(info.error_px) else ""
    return f"{info.name}{error}"


def _describe(info: ModelInfo) -> str:
    maker = "SLEAP, " if info.is_sleap else ""
    n = len(info.skeleton)
    text = f"{maker}{info.pipeline}, {n} point{'s' if n != 1 else ''}"
    if math.isfinite(info.error_px):
        text += f"; median error on its held-out frames {info.error_px:.1f} px"
    if info.identifies:
        text += "; tells which animal is which"
    if info.needs_labels:
        text += ". Without a centroid model it needs labels that say where the animals are"
    return f"{text}."
