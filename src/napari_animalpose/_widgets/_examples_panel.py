"""Validation examples of a training: one of them large, the others one click away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QComboBox, QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_animalpose._widgets._flow import make_row
from napari_animalpose._widgets._runs import TrainingRun
from napari_animalpose._widgets._training_words import name_network
from napari_animalpose._widgets._validation_view import ValidationView
from napari_animalpose.nn.heads import LANDMARKS

__all__ = ["ExamplesPanel"]


class ExamplesPanel(QWidget):
    """Shows the newest examples of the networks of a training.

    Attributes
    ----------
    frame_requested : Signal(int, int)
        (video, frame) that a person wants to see in the viewer.
    """

    frame_requested = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run: TrainingRun | None = None
        self._number = 0
        self._is_reachable = True
        self.view = ValidationView()
        self.network = QComboBox()
        self.network.setToolTip("Whose examples are shown")
        self.network.currentIndexChanged.connect(self.refresh)
        self.maps, self.labels = QCheckBox("Maps"), QCheckBox("Labels")
        self.maps.setToolTip("Confidence maps in the colours of the nodes")
        self.labels.setToolTip("White circles: where you labelled; lines: the errors")
        for box in (self.maps, self.labels):
            box.setChecked(True)
            box.toggled.connect(self._choose_shown)
        self.previous, self.next = QToolButton(), QToolButton()
        for button, text, tip, by in (
            (self.previous, "◂", "The example before", -1), (self.next, "▸", "The next example", 1),
        ):  # fmt: skip
            button.setText(text)
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, by=by: self._turn(by))
        self.source = QPushButton()
        self.source.clicked.connect(self._request_frame)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(2)
        column.addWidget(make_row((self.network, self.maps, self.labels)))
        column.addWidget(self.view, 1)
        column.addWidget(make_row((self.previous, self.next, self.source)))

    def watch(self, run: TrainingRun | None) -> None:
        """Show another training."""
        self._run, self._number = run, 0
        self.network.blockSignals(True)
        self.network.clear()
        self.network.blockSignals(False)
        self.refresh()

    def set_reachable(self, is_reachable: bool) -> None:
        """Say whether the frames of the training are those of the open project."""
        self._is_reachable = is_reachable
        self.refresh()

    def refresh(self) -> None:
        """Show what has come meanwhile."""
        run = self._run
        names = [] if run is None else [name for name in run.networks if self._arrays(name)]
        self._offer(names)
        for widget in (self.previous, self.next, self.source, self.maps, self.labels):
            widget.setVisible(bool(names))
        if run is None or not names:
            self.view.show_example(None, 1, LANDMARKS["centroid"])
            return
        name = self.network.currentData()
        arrays = self._arrays(name)
        examples = arrays["examples"]
        self._number %= len(examples)
        example = examples[self._number]
        self.view.show_example(example, arrays["stride"], LANDMARKS.get(name, run.skeleton))
        for button in (self.previous, self.next):
            button.setVisible(len(examples) > 1)
        self.source.setText(f"{_name_source(example.source)}epoch {arrays['epoch']:.0f}")
        self.source.setEnabled(example.source is not None and self._is_reachable)
        self.source.setToolTip(
            "Go to this frame" if self._is_reachable else "This frame is of another project"
        )

    def _offer(self, names: list[str]) -> None:
        """Have the networks to choose from that there are examples of, the newest chosen."""
        if names != [self.network.itemData(i) for i in range(self.network.count())]:
            self.network.blockSignals(True)
            self.network.clear()
            for name in names:
                self.network.addItem(name_network(name), name)
            self.network.setCurrentIndex(len(names) - 1)
            self.network.blockSignals(False)
        self.network.setVisible(len(names) > 1)

    def _arrays(self, network: str) -> Mapping[str, Any]:
        """Return the newest preview of a network; empty before the first."""
        return {} if self._run is None else self._run.previews.get(f"validation {network}", {})

    def _choose_shown(self) -> None:
        self.view.set_shown(self.maps.isChecked(), self.labels.isChecked())

    def _turn(self, by: int) -> None:
        self._number += by
        self.refresh()

    def _request_frame(self) -> None:
        examples = self._arrays(self.network.currentData()).get("examples", ())
        if examples and examples[self._number].source is not None:
            self.frame_requested.emit(*examples[self._number].source)


def _name_source(source: tuple[int, int] | None) -> str:
    if source is None:
        return ""
    video = f"video {source[0] + 1}, " if source[0] else ""
    return f"{video}frame {source[1]}, "
