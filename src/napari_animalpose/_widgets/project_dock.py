"""The dock Label: the project, its videos, the animals of the frame in view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._actions import ACTIONS, run_action
from napari_animalpose._widgets._cursor_hint import CursorHint
from napari_animalpose._widgets._instance_table import InstanceTable
from napari_animalpose._widgets._labelling import get_labelling
from napari_animalpose._widgets._overviews import get_overviews
from napari_animalpose._widgets._project_menu import ProjectMenu
from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets._start_page import StartPage
from napari_animalpose.data.history import Change
from napari_animalpose.data.overview import FrameKind
from napari_animalpose.drawing.colors import COLORINGS

__all__ = ["ProjectDock"]

_TEMPLATES = ("mean pose", "previous frame", "prediction")


class ProjectDock(QWidget):
    """Open and save a project, label its frames.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    parent : QWidget, optional
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = get_session(napari_viewer)
        self.labelling = get_labelling(self.session)
        self._hint: CursorHint | None = None
        self._pages = QStackedWidget()
        self._start = StartPage(self.session)
        self._work = _WorkPage(self)
        self._pages.addWidget(self._start)
        self._pages.addWidget(self._work)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self._pages)
        self.session.document_changed.connect(self._show_page)
        self._show_page()
        # The dock is not in its window yet: napari puts it there after this.
        soon = QTimer(self)
        soon.setSingleShot(True)
        soon.timeout.connect(self._join_window)
        soon.start(0)

    def _join_window(self) -> None:
        self.session.watch_window(self)
        window = self.session.window
        if window is not None and self._hint is None:
            self._hint = CursorHint(self.labelling, window)

    def _show_page(self) -> None:
        is_open = self.session.document is not None
        self._pages.setCurrentWidget(self._work if is_open else self._start)
        if not is_open:
            self._start.refresh()


class _WorkPage(QWidget):
    """What the dock shows while a project is open."""

    def __init__(self, dock: ProjectDock) -> None:
        super().__init__()
        self.session, self.labelling = dock.session, dock.labelling
        self._name = QLabel()
        self._name.setWordWrap(True)
        self._video = QComboBox()
        self._video.setToolTip("Video in view; the list holds all videos of the project")
        self._next = QLabel()
        self._counts = QLabel()
        self._counts.setWordWrap(True)
        self._place = _button(self.session, "place_points", "Place points", checkable=True)
        self.table = InstanceTable(self.session)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(self._project_row())
        layout.addWidget(self._video)
        layout.addLayout(self._placing_grid())
        layout.addWidget(self._next)
        layout.addWidget(_heading("Animals in this frame"))
        layout.addWidget(self.table, 1)
        layout.addLayout(self._instance_grid())
        layout.addWidget(_heading("Look"))
        layout.addLayout(self._look_row())
        layout.addWidget(self._counts)
        self._video.activated.connect(lambda number: self.session.go_to(0, number))
        self.session.document_changed.connect(self._on_document)
        self.session.state_changed.connect(self._show_state)
        self.session.edited.connect(self._on_edited)
        self.session.frame_changed.connect(self._on_frame)
        self.session.settings_changed.connect(self._show_settings)
        self.labelling.next_changed.connect(self._show_next)
        self.session.canvas.mode_changed.connect(self._show_next)
        # Counting is cheap, but nobody reads it while stepping or dragging.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(150)
        self._later.timeout.connect(self._show_counts)
        get_overviews(self.session).changed.connect(self._later.start)
        self._on_document()

    # ------------------------------------------------------------------------------- making
    def _project_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self._name, 1)
        self._undo = _tool(self.session, "undo", "↶")
        self._redo = _tool(self.session, "redo", "↷")
        self._save = _tool(self.session, "save", "Save")
        menu_button = QToolButton()
        menu_button.setText("Project")
        menu_button.setToolTip("Open, save as, add videos, relink, merge, export")
        menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu_button.setMenu(ProjectMenu(self.session, self))
        keys = _tool(self.session, "show_keys", "?")
        for widget in (self._undo, self._redo, self._save, menu_button, keys):
            row.addWidget(widget)
        return row

    def _placing_grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(4)
        grid.addWidget(self._place, 0, 0)
        grid.addWidget(_button(self.session, "new_animal", "Another animal"), 0, 1)
        grid.addWidget(_button(self.session, "skip_node", "Skip point"), 0, 2)
        grid.addWidget(_button(self.session, "animal_from_template", "Whole animal"), 1, 0)
        self._template = QComboBox()
        self._template.addItems([f"from the {name}" for name in _TEMPLATES])
        self._template.setToolTip("Where the points of a whole animal are put at first")
        self._template.activated.connect(
            lambda number: self.session.change_setting("template", _TEMPLATES[number])
        )
        grid.addWidget(self._template, 1, 1, 1, 2)
        return grid

    def _instance_grid(self) -> QGridLayout:
        names = (
            ("accept_all", "Accept all"), ("copy", "Copy"), ("paste", "Paste"),
            ("copy_previous", "Previous frame"), ("delete_animals", "Delete"),
            ("mark_empty", "Frame is empty"),
        )  # fmt: skip
        grid = QGridLayout()
        grid.setSpacing(4)
        for number, (name, text) in enumerate(names):
            grid.addWidget(_button(self.session, name, text), number // 3, number % 3)
        return grid

    def _look_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(QLabel("Colour by"))
        self._color_by = QComboBox()
        self._color_by.addItems(list(COLORINGS.names()))
        self._color_by.setToolTip("What the colours of points and edges tell")
        self._color_by.textActivated.connect(
            lambda name: self.session.change_setting("color_by", name)
        )
        row.addWidget(self._color_by, 1)
        row.addWidget(QLabel("Size"))
        self._size = QSlider()
        self._size.setOrientation(self._size.orientation().Horizontal)
        self._size.setRange(2, 30)
        self._size.setToolTip("Size of the points, relative to what suits the animal")
        self._size.valueChanged.connect(self._on_size)
        row.addWidget(self._size, 1)
        return row

    # ------------------------------------------------------------------------------ showing
    def _on_document(self) -> None:
        document = self.session.document
        self._video.clear()
        if document is not None:
            for number, video in enumerate(document.videos):
                self._video.addItem(f"{number + 1}. {video.name}")
                self._video.setItemData(number, video.source, 3)  # Qt.ToolTipRole
            self._on_frame(self.session.video, self.session.frame)
        self._show_state()
        self._show_settings()
        self._show_next()
        self._show_counts()

    def _on_edited(self, change: Change) -> None:
        if change.videos:
            self._on_document()

    def _on_frame(self, video: int, frame: int) -> None:
        if self._video.currentIndex() != video:
            self._video.setCurrentIndex(video)

    def _show_state(self) -> None:
        document = self.session.document
        if document is None:
            return
        mark = " (unsaved)" if document.is_dirty else ""
        self._name.setText(f"<b>{document.name}</b>{mark}")
        self._name.setToolTip(str(document.path or "Not saved yet"))
        history = document.history
        for button, labels, what in (
            (self._undo, history.undo_labels, "Undo"),
            (self._redo, history.redo_labels, "Redo"),
        ):
            button.setEnabled(bool(labels))
            keys = ", ".join(ACTIONS[what.lower()].keys)
            button.setToolTip(f"{what}: {labels[0]} ({keys})" if labels else f"Nothing to {what}")
        self._save.setEnabled(document.is_dirty or document.path is None)

    def _show_settings(self) -> None:
        settings = self.session.settings
        self._color_by.setCurrentText(settings.color_by)
        self._template.setCurrentIndex(_TEMPLATES.index(settings.template))
        blocked = self._size.blockSignals(True)
        self._size.setValue(round(10 * settings.point_size))
        self._size.blockSignals(blocked)

    def _on_size(self, value: int) -> None:
        self.session.change_setting("point_size", value / 10)

    def _show_next(self) -> None:
        document, node = self.session.document, self.labelling.next_node
        placing = self.labelling.is_placing
        self._place.setChecked(placing)
        if document is None:
            return
        if not len(document.skeleton):
            self._next.setText("No skeleton yet: make one in the dock <i>Skeleton</i>.")
        elif not placing or node is None:
            self._next.setText("Drag points to move them; Q places points by clicking.")
        else:
            red, green, blue = self.session.node_colors()[node].tolist()
            whose = "a new animal" if self.labelling.active is None else "this animal"
            self._next.setText(
                f"Next click: <b style='color: rgb({red},{green},{blue})'>"
                f"{document.skeleton.nodes[node]}</b> of {whose}"
            )

    def _show_counts(self) -> None:
        document = self.session.document
        shown = get_overviews(self.session).shown if document is not None else None
        if shown is None:
            self._counts.setText("")
            return
        n_labelled = shown.count(FrameKind.LABELLED)
        parts = [f"{n_labelled} labelled frame{'' if n_labelled == 1 else 's'} in this video"]
        for kind, word in (
            (FrameKind.PREDICTED, "predicted"),
            (FrameKind.SUGGESTED, "suggested"),
            (FrameKind.EMPTY, "marked as empty"),
        ):
            if shown.count(kind):
                parts.append(f"{shown.count(kind)} {word}")
        self._counts.setText(", ".join(parts))


def _heading(text: str) -> QLabel:
    label = QLabel(f"<b>{text}</b>")
    label.setContentsMargins(0, 6, 0, 0)
    return label


def _tooltip(name: str) -> str:
    action = ACTIONS[name]
    return f"{action.title} ({', '.join(action.keys)})" if action.keys else action.title


def _run(session: Any, name: str) -> Callable[[], None]:
    return lambda: run_action(name, session)


def _button(session: Any, name: str, text: str, *, checkable: bool = False) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(_tooltip(name))
    button.setCheckable(checkable)
    button.clicked.connect(_run(session, name))
    return button


def _tool(session: Any, name: str, text: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName(name)
    button.setText(text)
    button.setToolTip(_tooltip(name))
    button.clicked.connect(_run(session, name))
    return button
