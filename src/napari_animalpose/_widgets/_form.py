"""A form over a frozen configuration: ``value()``, ``setValue()``, ``valueChanged``.

Everything in it is read from the dataclass (`_options`): fields, types, units, what the
docstring says, choices. What a person enters is checked as a whole by the configuration
itself, and what it refuses is said, in its own words, below the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._editors import make_editor
from napari_animalpose._widgets._options import (
    Option,
    Path,
    check,
    default,
    label,
    list_options,
    read,
    write,
)
from napari_animalpose.config import Config
from napari_animalpose.errors import ConfigError

__all__ = ["ERROR_COLOR", "ConfigForm", "Section"]

ERROR_COLOR = "#e0605e"  # of words on napari's dark and light backgrounds


class ConfigForm(QWidget):
    """Rows for the options of a configuration, nested ones in sections that fold.

    Parameters
    ----------
    config : Config
    top : mapping of str to str, optional
        Dotted paths of the options to show first, with their labels ("" for the usual
        one); ``*`` stands for any name. The others follow in sections.
    hidden : sequence of str
        Dotted paths of options not to show, likewise.
    titles : mapping of str to str
        Dotted paths of sections with their titles.
    choices : mapping of str to sequence of str
        Names of options with what can be chosen, where that is known only here: nodes.
    default : Config, optional
        What *reset* goes back to; `config` if left out.
    also_check : callable, optional
        Raises ConfigError for what the configuration does not check itself.

    Attributes
    ----------
    valueChanged : Signal(object)
        A person has changed something, and the whole is valid.
    problemChanged : Signal(str)
        What is wrong now; "" where nothing is.
    """

    valueChanged = Signal(object)
    problemChanged = Signal(str)

    def __init__(
        self,
        config: Config,
        *,
        top: Mapping[str, str] | None = None,
        hidden: Sequence[str] = (),
        titles: Mapping[str, str] | None = None,
        choices: Mapping[str, Sequence[str]] | None = None,
        default: Config | None = None,
        also_check: Callable[[Any], None] = check,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._top, self._hidden, self._titles = dict(top or {}), tuple(hidden), dict(titles or {})
        self._choices = dict(choices or {})
        self._also_check = also_check
        self._config, self._default = config, config if default is None else default
        self._rows: dict[Path, _Row] = {}
        self._sections: dict[str, Section] = {}
        self._pending: dict[Path, Any] = {}  # entered, but not valid yet
        self._unreadable: dict[Path, str] = {}
        self._problem = ""
        self._is_loading = False
        self._structure: list[Option] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self._rebuild()

    # ------------------------------------------------------------------------------ values
    def value(self) -> Any:
        """Return the configuration that is entered.

        Raises
        ------
        ConfigError
            If something in it is not valid.
        """
        if self._problem:
            raise ConfigError(self._problem)
        return self._config

    def setValue(self, config: Config, default: Config | None = None) -> None:
        """Show another configuration, and what *reset* goes back to; nothing is emitted."""
        self._config = config
        if default is not None:
            self._default = default
        self._pending, self._unreadable = {}, {}
        self._follow()
        self._set_problem("", None)

    def set_layout(
        self, top: Mapping[str, str], hidden: Sequence[str], titles: Mapping[str, str]
    ) -> None:
        """Set what is on top, what is hidden and how sections are called; see the class."""
        new = dict(top), tuple(hidden), dict(titles)
        if new != (self._top, self._hidden, self._titles):
            self._top, self._hidden, self._titles = new
            self._structure = []  # built anew with the next value

    def set_choices(self, choices: Mapping[str, Sequence[str]]) -> None:
        """Set what can be chosen for some options; see the class."""
        if dict(choices) != self._choices:
            self._choices = dict(choices)
            self._rebuild()

    @property
    def problem(self) -> str:
        """What is wrong with what is entered; "" if nothing."""
        return self._problem

    def editor(self, path: str) -> Any:
        """Return the editor of an option by its dotted path; its section is opened."""
        key = tuple(path.split("."))
        if key not in self._rows:
            self._open_section_of(key)
        return self._rows[key].editor

    def _on_changed(self, path: Path) -> None:
        if self._is_loading:
            return
        self._unreadable.pop(path, None)
        try:
            self._pending[path] = self._rows[path].editor.value()
        except ConfigError as error:
            self._unreadable[path] = str(error)
        self._try_pending(path)

    def _try_pending(self, changed: Path) -> None:
        for path, sentence in self._unreadable.items():
            self._set_problem(sentence, path)
            return
        values = self._config.to_dict()
        try:
            for path, value in self._pending.items():
                write(values, path, value)
            config = type(self._config).from_dict(values)
            self._also_check(config)
        except ConfigError as error:
            self._set_problem(*self._place(str(error), changed))
            return
        self._pending = {}
        self._config = config
        self._follow()
        self._set_problem("", None)
        self.valueChanged.emit(config)

    def _place(self, message: str, changed: Path) -> tuple[str, Path]:
        """Return the sentence in the words of the form, and the row where it belongs."""
        found = [
            (option, f"{option.owner}.{name}")
            for option in self._structure
            for name in option.path
            if f"{option.owner}.{name}" in message
        ]
        for option, name in sorted(found, key=lambda pair: pair[0].path != changed):
            return message.replace(name, f"“{option.label}”"), option.path
        for option in self._structure:
            if option.path[-1].replace("_", " ") in message and option.path in self._pending:
                return message, option.path
        return message, changed

    def _set_problem(self, sentence: str, path: Path | None) -> None:
        if path is not None and path not in self._rows:
            self._open_section_of(path)
        for key, row in self._rows.items():
            row.show_error(sentence if key == path else "")
        if sentence != self._problem:
            self._problem = sentence
            self.problemChanged.emit(sentence)

    # ------------------------------------------------------------------------------- rows
    def _follow(self) -> None:
        """Show the configuration in the rows, built anew if there are other options now."""
        options = [self._adapt(option) for option in list_options(self._config)]
        if options != self._structure:
            self._rebuild()
            return
        self._is_loading = True
        for path, row in self._rows.items():
            if path not in self._pending:
                row.editor.setValue(read(self._config, path))
            row.show_reset(read(self._config, path), self._default_of(path))
        self._is_loading = False

    def _adapt(self, option: Option) -> Option:
        name = option.path[-1]
        if name in self._choices:
            option = replace(option, choices=tuple(self._choices[name]))
        given = next((self._top[k] for k in self._top if _matches(option.path, k)), "")
        return replace(option, label=given) if given else option

    def _rebuild(self) -> None:
        opened = {key for key, section in self._sections.items() if section.is_open}
        self.setUpdatesEnabled(False)
        while item := self._layout.takeAt(0):
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self._rows, self._sections = {}, {}
        self._structure = [self._adapt(option) for option in list_options(self._config)]
        shown = [o for o in self._structure if not any(_matches(o.path, h) for h in self._hidden)]
        first = [o for key in self._top for o in shown if _matches(o.path, key)]
        rest = [option for option in shown if option not in first]
        self._layout.addWidget(
            self._make_rows(first + [o for o in rest if len(_section_of(o.path)) == 0])
        )
        groups: dict[str, list[Option]] = {}
        for option in rest:
            if _section_of(option.path):
                groups.setdefault(".".join(_section_of(option.path)), []).append(option)
        for key, options in groups.items():
            title = self._titles.get(key, label(key.rpartition(".")[2]))
            section = Section(title, partial(self._make_rows, options))
            self._sections[key] = section
            self._layout.addWidget(section)
            if key in opened:
                section.open()
        self._layout.addStretch(1)
        self.setUpdatesEnabled(True)

    def _make_rows(self, options: Sequence[Option]) -> QWidget:
        widget = QWidget()
        grid = QGridLayout(widget)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        self._is_loading = True
        for option in options:
            row = _Row(option, grid)
            self._rows[option.path] = row
            row.editor.setValue(read(self._config, option.path))
            row.show_reset(read(self._config, option.path), self._default_of(option.path))
            row.editor.valueChanged.connect(lambda path=option.path: self._on_changed(path))
            row.reset.clicked.connect(lambda _=False, path=option.path: self._reset(path))
        self._is_loading = False
        return widget

    def _open_section_of(self, path: Path) -> None:
        section = self._sections.get(".".join(_section_of(path)))
        if section is None:
            raise KeyError(f"no option {'.'.join(path)} in this form")
        section.open()

    def _default_of(self, path: Path) -> Any:
        """Return what *reset* goes back to: for another backbone than the default's, its own."""
        try:
            if "backbone_options" in path:
                network = path[: path.index("backbone_options")]
                chosen = read(self._config, (*network, "backbone"))
                if chosen != read(self._default, (*network, "backbone")):
                    return default(self._config, path)
            return read(self._default, path)
        except AttributeError:  # networks of another pipeline
            return default(self._config, path)

    def _reset(self, path: Path) -> None:
        self._unreadable.pop(path, None)
        self._pending[path] = self._default_of(path)
        self._is_loading = True
        self._rows[path].editor.setValue(self._pending[path])
        self._is_loading = False
        self._try_pending(path)


class _Row:
    """Label, editor and reset button of one option, with room for a sentence below."""

    def __init__(self, option: Option, grid: QGridLayout) -> None:
        self.option = option
        self.label = QLabel(option.label)
        self.editor = make_editor(option)
        self.reset = QToolButton()
        self.reset.setText("↺")
        self.reset.setAutoRaise(True)
        self.reset.setFixedWidth(22)
        self.error = QLabel()
        self.error.setWordWrap(True)
        self.error.setStyleSheet(f"color: {ERROR_COLOR}")
        self.error.setTextFormat(Qt.TextFormat.PlainText)
        self.error.hide()
        policy = self.reset.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset.setSizePolicy(policy)
        for widget in (self.label, self.editor):
            widget.setToolTip(_wrap(option.tip))
        self.label.setBuddy(self.editor)
        row = grid.rowCount()
        grid.addWidget(self.label, row, 0)
        grid.addWidget(self.editor, row, 1)
        grid.addWidget(self.reset, row, 2)
        grid.addWidget(self.error, row + 1, 0, 1, 3)

    def show_reset(self, value: Any, default: Any) -> None:
        """Offer to go back where the value is another one."""
        self.reset.setVisible(value != default)
        self.reset.setToolTip(f"Back to {_say(default)}")

    def show_error(self, sentence: str) -> None:
        """Say what is wrong below the field, or nothing."""
        self.error.setText(sentence)
        self.error.setVisible(bool(sentence))


class Section(QWidget):
    """A title that folds what is below it; that is made when it is first opened.

    Parameters
    ----------
    title : str
    make : callable
        Returns the widget below.
    """

    toggled = Signal(bool)

    def __init__(
        self, title: str, make: Callable[[], QWidget], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._make: Callable[[], QWidget] | None = make
        self._title = title
        self._button = QPushButton(self)
        self._button.setCheckable(True)
        self._button.setStyleSheet(
            "QPushButton, QPushButton:checked, QPushButton:pressed { text-align: left;"
            " padding: 3px 4px; font-weight: 600; background: transparent; border: none; }"
        )
        self._button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self._layout.addWidget(self._button)
        self._body: QWidget | None = None
        self._button.toggled.connect(self._on_toggled)
        self._write()

    @property
    def is_open(self) -> bool:
        """Whether what is below is shown."""
        return self._button.isChecked()

    @property
    def body(self) -> QWidget | None:
        """What is below; None before it was first opened."""
        return self._body

    def open(self, is_open: bool = True) -> None:
        """Show what is below, or hide it."""
        self._button.setChecked(is_open)

    def set_title(self, title: str) -> None:
        """Show another title."""
        self._title = title
        self._write()

    def _on_toggled(self, is_open: bool) -> None:
        if is_open and self._make is not None:
            make, self._make = self._make, None
            self._body = make()
            self._body.setContentsMargins(12, 0, 0, 4)
            self._layout.addWidget(self._body)
        if self._body is not None:
            self._body.setVisible(is_open)
        self._write()
        self.toggled.emit(is_open)

    def _write(self) -> None:
        self._button.setText(f"{'▾' if self.is_open else '▸'}  {self._title}")


def _matches(path: Path, pattern: str) -> bool:
    parts = pattern.split(".")
    return len(parts) == len(path) and all(
        part in ("*", name) for part, name in zip(parts, path, strict=True)
    )


def _section_of(path: Path) -> Path:
    """Return the section of an option: options of a backbone belong to their network."""
    section = path[:-1]
    if section and section[-1] in ("backbone_options", "costs"):
        section = section[:-1]
    return section


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value}" if value not in ("", None) else "none"


def _wrap(text: str) -> str:
    """Return a tip that Qt breaks into lines."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>")
    return f"<qt>{escaped}</qt>"
