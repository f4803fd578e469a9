"""All keys on one sheet over the window."""

from __future__ import annotations

from html import escape
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_animalpose._widgets._actions import ACTIONS, LAYER_KEYS
from napari_animalpose._widgets._session import Session
from napari_animalpose._widgets._settings import PLUGIN

__all__ = ["CheatSheet", "toggle_cheat_sheet"]

MOUSE = (
    ("Click while placing", "Place the next point"),
    ("Drag a point", "Move it"),
    ("Alt + drag a point", "Move the whole animal"),
    ("Alt + wheel", "Turn the selected animal"),
    ("Alt + Shift + wheel", "Scale the selected animal"),
    ("Double click a prediction", "Make it a label"),
    ("Drag a box", "Select points"),
)
NATIVE = (
    ("Left, Right", "Previous, next frame"),
    ("1, Delete", "Delete selected points"),
    ("3", "Select and move points"),
    ("4", "Move the camera"),
    ("A", "Select all points"),
)


def toggle_cheat_sheet(session: Session) -> CheatSheet | None:
    """Show the sheet over the session's window, or take it away."""
    window = session.window
    if window is None:
        session.show_error("Expected a dock of Animal Pose in the window; open the dock Label.")
        return None
    shown = window.findChild(CheatSheet)
    if shown is not None:
        shown.close()
        shown.setParent(None)
        shown.deleteLater()
        return None
    return CheatSheet(window)


class CheatSheet(QWidget):
    """Keys by what they are for; a click or a key takes it away."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("animalposeCheatSheet")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(
            "#animalposeCheatSheet { background: rgba(16, 18, 24, 235); border-radius: 8px; }"
            "QLabel { color: #f0f0f0; background: transparent; }"
        )
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 18, 24, 18)
        title = QLabel("<b style='font-size: 15pt'>Animal Pose: keys and mouse</b>")
        layout.addWidget(title)
        grid = QGridLayout()
        grid.setHorizontalSpacing(36)
        grid.setVerticalSpacing(14)
        layout.addLayout(grid)
        hint = QLabel(
            "Keys of the instances layer work while it is selected. Change them in "
            "<i>Preferences &gt; Shortcuts</i>. A click takes this away."
        )
        layout.addWidget(hint)
        for number, (heading, lines) in enumerate(_sections()):
            block = QLabel(_to_html(heading, lines))
            block.setTextFormat(Qt.TextFormat.RichText)
            grid.addWidget(block, number // 3, number % 3, Qt.AlignmentFlag.AlignTop)
        window.installEventFilter(self)
        self._place()
        self.show()
        self.raise_()
        self.setFocus()

    def _place(self) -> None:
        window = self.parentWidget()
        assert window is not None
        self.adjustSize()
        self.move((window.width() - self.width()) // 2, (window.height() - self.height()) // 2)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Stay in the middle of the window."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def mousePressEvent(self, event: Any) -> None:
        """Go away."""
        self._dismiss()

    def keyPressEvent(self, event: Any) -> None:
        """Go away."""
        self._dismiss()

    def _dismiss(self) -> None:
        self.hide()
        self.setParent(None)
        self.deleteLater()


def _sections() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return (heading, lines of (keys, what they do)), with the keys as they are now."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for name, action in ACTIONS.items():
        keys = _keys_of(name)
        if keys:
            sections.setdefault(action.group, []).append((keys, action.title))
    return [
        *sections.items(),
        ("Mouse", list(MOUSE)),
        ("napari's own", list(NATIVE)),
    ]


def _keys_of(name: str) -> str:
    """Return the keys of an action as napari shows them, the person's own if there are any."""
    bound = ["?"] if name == "show_keys" else []  # `WindowWatch` sees to it
    bound += _shortcuts(name)
    bound += [key for key, target in LAYER_KEYS.items() if target == name]
    return ", ".join(_readable(key) for key in dict.fromkeys(bound))


def _shortcuts(name: str) -> list[str]:
    from napari.settings import get_settings

    stored = get_settings().shortcuts.shortcuts.get(f"{PLUGIN}:{name}")
    return list(ACTIONS[name].keys) if stored is None else [str(key) for key in stored]


def _readable(key: str) -> str:
    names = {"Control": "Ctrl"}
    parts = key.replace("+", "-").split("-") if len(key) > 1 else [key]
    if key.endswith("-") and len(key) > 1:
        parts = [*key[:-1].strip("-").split("-"), "-"]
    return " + ".join(names.get(part, part) for part in parts)


def _to_html(heading: str, lines: list[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><td style='padding-right: 12px'><b>{escape(keys)}</b></td>"
        f"<td>{escape(what)}</td></tr>"
        for keys, what in lines
    )
    return f"<p style='color: #8ab4ff'><b>{escape(heading)}</b></p><table>{rows}</table>"
