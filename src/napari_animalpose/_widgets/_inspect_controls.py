"""What of an inspection is drawn: maps of which nodes, which edge, how many arrows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSlider,
    QSpinBox,
    QToolButton,
    QWidget,
)

from napari_animalpose._widgets._inspect_arrays import ALL, Choice, list_edges, list_maps
from napari_animalpose.nn.inspection import Inspection

__all__ = ["InspectControls"]


class InspectControls(QWidget):
    """A check box for each kind of layer, and what it shows.

    Attributes
    ----------
    changed : Signal()
        `choice` is another.
    shown_changed : Signal(str, bool)
        A kind of layer (`_inspect_layers.KINDS`) is to be shown or hidden.
    opacity_changed : Signal(float)
        Of the maps.
    """

    changed = Signal()
    shown_changed = Signal(str, bool)
    opacity_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.choice = Choice()
        self._known: Any = None  # what the combo boxes were filled for
        self._build()
        self._connect()

    def _build(self) -> None:
        self.boxes = {
            "maps": _check("Maps", "How sure the network is of each point at each place", True),
            "fields": _check("Fields", "Where limbs are, and which way from point to point"),
            "connections": _check("Connections", "Pairs of peaks: edges or not", True),
            "peaks": _check("Peaks", "Rings are points of animals, crosses are not", True),
            "crops": _check("Crops", "The windows that were looked at closely", True),
        }
        self.maps = _Combo("Maps of all nodes at once, each in its colour, or of one node")
        self.previous, self.next = _step("◀", "The map before"), _step("▶", "The next map")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(5, 100)
        self.opacity.setValue(80)
        self.opacity.setToolTip("Opacity of the maps")
        self.edge = _Combo("Fields, lines and peaks of all edges, or of one")
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(0.0, 1.0)
        self.threshold.setSingleStep(0.05)
        self.threshold.setValue(self.choice.threshold)
        self.threshold.setToolTip("Arrows of a strength below this are left out")
        self.stride = QSpinBox()
        self.stride.setRange(1, 16)
        self.stride.setValue(self.choice.stride_cells)
        self.stride.setPrefix("by ")
        self.stride.setToolTip(
            "<qt>One arrow for each square of so many cells of the map: the strongest. Where "
            "that makes too many, there are fewer</qt>"
        )
        self.only_rejected = _check(
            "Only rejected", "List and draw only what became no part of an animal"
        )
        self.threshold.setMinimumWidth(94)
        self.stride.setMinimumWidth(74)
        self.crops = _Combo("Maps of the crops that became animals, or of one crop")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        self.field_row = _row(self.threshold, self.stride)
        for line, (kind, widget) in enumerate((
            ("maps", _row(self.maps, self.previous, self.next)),
            ("", self.opacity),
            ("fields", self.field_row),
            ("connections", self.edge),
            ("crops", self.crops),
        )):  # fmt: skip
            grid.addWidget(self.boxes[kind] if kind else QLabel("Opacity"), line, 0)
            grid.addWidget(widget, line, 1)
        grid.addWidget(self.boxes["peaks"], 5, 0)
        grid.addWidget(self.only_rejected, 5, 1)

    def _connect(self) -> None:
        for kind, box in self.boxes.items():
            box.toggled.connect(lambda on, kind=kind: self.shown_changed.emit(kind, on))
        for combo in (self.maps, self.edge, self.crops):
            combo.currentIndexChanged.connect(self._read)
        self.previous.clicked.connect(lambda: self._step_maps(-1))
        self.next.clicked.connect(lambda: self._step_maps(1))
        self.only_rejected.toggled.connect(self._read)
        self.threshold.valueChanged.connect(self._read)
        self.stride.valueChanged.connect(self._read)
        self.opacity.valueChanged.connect(lambda value: self.opacity_changed.emit(value / 100))

    @property
    def is_filled(self) -> bool:
        """Whether there was an inspection to offer something from."""
        return self._known is not None

    # --------------------------------------------------------------------------- following
    def follow(self, inspection: Inspection) -> None:
        """Offer what an inspection has; what is chosen stays where it is there again."""
        maps = list_maps(inspection)
        edges = list_edges(inspection)
        n_crops = None if inspection.crops is None else len(inspection.crops)
        has_fields, has_lines = inspection.fields is not None, bool(edges)
        known = (maps, edges, n_crops, has_fields)
        if known == self._known:
            return
        self._known = known
        self.maps.fill(maps)
        self.edge.fill([("all edges", None), *((text, i) for i, text in enumerate(edges))])
        crops = range(n_crops or 0)
        self.crops.fill([("of animals", None), *((f"crop {i + 1}", i) for i in crops)])
        for widget, is_there in (
            (self.boxes["fields"], has_fields), (self.field_row, has_fields),
            (self.boxes["connections"], has_lines), (self.edge, has_lines),
            (self.boxes["crops"], n_crops is not None), (self.crops, n_crops is not None),
            (self.previous, len(maps) > 1), (self.next, len(maps) > 1),
        ):  # fmt: skip
            widget.setVisible(is_there)
        self.choice = self._chosen()

    def set_shown(self, kind: str, is_shown: bool) -> None:
        """Follow what was done to the layer in napari's list."""
        with QSignalBlocker(self.boxes[kind]):
            self.boxes[kind].setChecked(is_shown)

    def choose(
        self, peaks: tuple[int, ...] = (), connection: int | None = None, crop: int | None = None
    ) -> None:
        """Have something stand out, by its row; nothing is told."""
        self.choice = replace(
            self.choice, chosen_peaks=peaks, chosen_connection=connection, chosen_crop=crop
        )

    def _chosen(self) -> Choice:
        return replace(
            self.choice,
            maps=self.maps.currentData() or ("confmaps", ALL),
            edge=self.edge.currentData(),
            crops=self.crops.currentData(),
            threshold=self.threshold.value(),
            stride_cells=self.stride.value(),
            only_rejected=self.only_rejected.isChecked(),
        )

    def _read(self) -> None:
        choice = self._chosen()
        if choice != self.choice:
            self.choice = choice
            self.changed.emit()

    def _step_maps(self, step: int) -> None:
        if self.maps.count():
            self.maps.setCurrentIndex((self.maps.currentIndex() + step) % self.maps.count())


class _Combo(QComboBox):
    """A list of texts with values, as narrow as the dock asks for."""

    def __init__(self, tip: str) -> None:
        super().__init__()
        self.setToolTip(tip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(5)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def fill(self, entries: list[tuple[str, Any]]) -> None:
        """Offer other entries; the same value stays chosen, or else the first one is."""
        value = self.currentData()
        with QSignalBlocker(self):
            self.clear()
            for text, data in entries:
                self.addItem(text, data)
            values = [data for _, data in entries]
            self.setCurrentIndex(values.index(value) if value in values else 0)

    def wheelEvent(self, event: Any) -> None:
        """Leave the wheel to the dock unless this has the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


def _check(text: str, tip: str, is_on: bool = False) -> QCheckBox:
    box = QCheckBox(text)
    box.setToolTip(tip)
    box.setChecked(is_on)
    return box


def _step(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    return button


def _row(*widgets: QWidget) -> QWidget:
    whole = QWidget()
    line = QHBoxLayout(whole)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(3)
    for widget in widgets:
        line.addWidget(widget, 0 if isinstance(widget, QToolButton) else 1)
    return whole
