"""Editors for single values: what a row of a form holds.

Each has ``value()``, ``setValue()`` and ``valueChanged``, keeps exactly the value it was
given until a person changes it, and ignores the wheel unless it has the focus, so that
scrolling through a form changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QValidator, QWheelEvent
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QWidget,
)

from napari_animalpose._widgets._options import Option
from napari_animalpose.errors import ConfigError

__all__ = ["Choice", "Flag", "Number", "Optional", "Text", "Words", "make_editor"]

_NARROW = QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed


class Number(QAbstractSpinBox):
    """A whole or real number of any size; keeps what was typed, arrow keys change it.

    Parameters
    ----------
    kind : type
        int or float.
    """

    valueChanged = Signal()

    def __init__(self, kind: type, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind = kind
        self._line = QLineEdit(self)
        self.setLineEdit(self._line)
        self.setMinimumWidth(56)
        self.setSizePolicy(*_NARROW)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # napari's buttons take half of a narrow field; arrow keys and the wheel do the same.
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self._line.textEdited.connect(lambda: self.valueChanged.emit())

    def value(self) -> int | float:
        """Return the number.

        Raises
        ------
        ConfigError
            If what is written is none.
        """
        text = self.text().strip()
        try:
            number: int | float = self._kind(text)
        except ValueError:
            expected = "a whole number" if self._kind is int else "a number"
            raise ConfigError(f"Expected {expected}; received {text!r}.") from None
        if isinstance(number, float) and not math.isfinite(number):
            raise ConfigError(f"Expected a finite number; received {text!r}.")
        return number

    def setValue(self, value: float) -> None:
        """Show a number; does nothing if it is there already, however it is written."""
        try:
            is_there = self.value() == value
        except ConfigError:
            is_there = False
        if not is_there:
            self._line.setText(write_number(value))

    def stepBy(self, steps: int) -> None:
        """Move by whole numbers, or by about a tenth of a real one."""
        try:
            value = self.value()
        except ConfigError:
            return
        new = value + steps if self._kind is int else step_real(float(value), steps)
        self._line.setText(write_number(max(0, new) if value >= 0 else new))
        self.valueChanged.emit()

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        """Both ways, always."""
        flags = QAbstractSpinBox.StepEnabledFlag
        return flags.StepUpEnabled | flags.StepDownEnabled

    def validate(self, text: str | None, pos: int) -> tuple[QValidator.State, str, int]:
        """Accept any text: what is wrong with it is said beside the field."""
        return QValidator.State.Acceptable, text or "", pos

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the form unless the person works on this field."""
        _wheel(self, event, super().wheelEvent)


def write_number(value: float) -> str:
    """Return the shortest text that reads back as the number, without a needless ".0"."""
    text = repr(value)
    return text.removesuffix(".0")


def step_real(value: float, steps: int) -> float:
    """Return a real number moved in steps of its second digit: 0.002 -> 0.0021, 15 -> 16."""
    exponent = math.floor(math.log10(abs(value))) if value else -1
    digits = 1 - exponent
    return round(value + steps * 10.0**-digits, max(0, digits))


class Choice(QComboBox):
    """One of several texts or numbers."""

    valueChanged = Signal()

    def __init__(self, choices: Sequence[Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        for choice in choices:
            self.addItem(str(choice) or "(none)", choice)
        self.setMinimumWidth(64)
        self.setSizePolicy(*_NARROW)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.currentIndexChanged.connect(lambda: self.valueChanged.emit())

    def value(self) -> Any:
        """Return what is chosen."""
        return self.currentData()

    def setValue(self, value: Any) -> None:
        """Choose one; what is not there is added, to be refused by the form."""
        index = self.findData(value)
        if index < 0:
            self.addItem(str(value), value)
            index = self.count() - 1
        self.setCurrentIndex(index)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the form unless the person works on this field."""
        _wheel(self, event, super().wheelEvent)


class Flag(QCheckBox):
    """Yes or no."""

    valueChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.toggled.connect(lambda: self.valueChanged.emit())

    def value(self) -> bool:
        """Return whether it is checked."""
        return self.isChecked()

    def setValue(self, value: bool) -> None:
        """Check it or not."""
        self.setChecked(bool(value))


class Text(QLineEdit):
    """Any text."""

    valueChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(64)
        self.setSizePolicy(*_NARROW)
        self.textEdited.connect(lambda: self.valueChanged.emit())

    def value(self) -> Any:
        """Return what is written."""
        return self.text().strip()

    def setValue(self, value: str) -> None:
        """Write a text."""
        self.setText(value)


class Words(Text):
    """Several texts with commas between them, as a tuple."""

    def value(self) -> tuple[str, ...]:
        """Return the texts."""
        return tuple(word.strip() for word in self.text().split(",") if word.strip())

    def setValue(self, value: Sequence[str]) -> None:
        """Write texts."""
        if self.value() != tuple(value):
            self.setText(", ".join(value))


class Optional(QWidget):
    """A check box for whether there is a value at all, and an editor of it."""

    valueChanged = Signal()

    def __init__(self, editor: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.flag = Flag(self)
        self.editor = editor
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.flag)
        layout.addWidget(editor, 1)
        editor.setEnabled(False)
        self.flag.toggled.connect(editor.setEnabled)
        self.flag.valueChanged.connect(self.valueChanged)
        editor.valueChanged.connect(self.valueChanged)

    def value(self) -> Any:
        """Return the value of the editor, or None."""
        return self.editor.value() if self.flag.value() else None

    def setValue(self, value: Any) -> None:
        """Show a value, or that there is none."""
        self.flag.setValue(value is not None)
        if value is not None:
            self.editor.setValue(value)


def make_editor(option: Option, parent: QWidget | None = None) -> Any:
    """Return the editor for an option."""
    if option.is_optional:
        return Optional(_make_plain(option, None), parent)
    return _make_plain(option, parent)


def _make_plain(option: Option, parent: QWidget | None) -> Any:
    if option.choices:
        return Choice(option.choices, parent)
    if option.kind is bool:
        return Flag(parent)
    if option.kind in (int, float):
        return Number(option.kind, parent)
    return Words(parent) if option.kind is tuple else Text(parent)


def _wheel(widget: QWidget, event: QWheelEvent | None, handle: Any) -> None:
    if event is not None and not widget.hasFocus():
        event.ignore()
    else:
        handle(event)
