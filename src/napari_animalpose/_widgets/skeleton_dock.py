"""The dock *Skeleton*: nodes, edges and symmetric pairs of the open project."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QMenu,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets._skeleton_drawing import template_icon
from napari_animalpose._widgets._skeleton_editor import SkeletonEditor
from napari_animalpose._widgets._skeleton_parts import NodeEntry
from napari_animalpose.data.history import Change
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.skeleton_templates import SKELETON_TEMPLATES
from napari_animalpose.errors import AnimalPoseError
from napari_animalpose.io.skeletons import read_skeletons, write_skeleton

__all__ = ["SkeletonDock", "SkeletonFiles", "TemplateChooser"]

_OPEN = (
    "Skeletons and labels (*.json *.yaml *.yml *.slp *.h5 *.hdf5 *.csv *.nwb *.mat);;All files (*)"
)
_SAVE = {"SLEAP skeleton (*.json)": ".json", "YAML (*.yaml)": ".yaml"}
_ICON = 104  # px
_CHOICE = """
QToolButton { border: 1px solid rgba(128, 128, 128, 100); border-radius: 6px; padding: 4px; }
QToolButton:hover, QToolButton:focus { border-color: rgba(128, 128, 128, 255); }
"""  # napari draws tool buttons flat: these are to be seen as choices


class SkeletonFiles:
    """What the dock asks about files; replace methods to answer in tests."""

    def __init__(self, parent: QWidget) -> None:
        self._parent = parent

    def ask_open(self) -> Path | None:
        """Ask for a file that holds a skeleton."""
        chosen, _ = QFileDialog.getOpenFileName(self._parent, "Load a skeleton", "", _OPEN)
        return Path(chosen) if chosen else None

    def ask_save(self, name: str) -> Path | None:
        """Ask where to save a skeleton."""
        start = f"{name}.json"
        title, kinds = "Save the skeleton as", ";;".join(_SAVE)
        chosen, kind = QFileDialog.getSaveFileName(self._parent, title, start, kinds)
        if not chosen:
            return None
        path = Path(chosen)
        return path if path.suffix else path.with_suffix(_SAVE.get(kind, ".json"))

    def ask_which(self, skeletons: tuple[Skeleton, ...]) -> Skeleton | None:
        """Ask which of several skeletons of a file to take."""
        texts = [f"{s.name}: {len(s)} nodes ({', '.join(s.nodes[:4])} …)" for s in skeletons]
        question = "The file holds several skeletons:"
        chosen, ok = QInputDialog.getItem(
            self._parent, "Load a skeleton", question, texts, 0, editable=False
        )
        return skeletons[texts.index(chosen)] if ok else None


class TemplateChooser(QWidget):
    """What an empty skeleton looks like: what to do, and the templates as pictures."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        hint = QLabel(
            "The skeleton has no nodes yet. Type names of body parts below, or begin with a "
            "template and change it."
        )
        hint.setWordWrap(True)
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setContentsMargins(0, 0, 0, 0)
        self.buttons: dict[str, QToolButton] = {}
        for number, name in enumerate(SKELETON_TEMPLATES):
            template = SKELETON_TEMPLATES.get(name)
            button = QToolButton()
            button.setText(template.title)
            button.setIcon(template_icon(template, _ICON, self.devicePixelRatioF()))
            button.setIconSize(QSize(_ICON, _ICON))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setStyleSheet(_CHOICE)
            button.setToolTip(f"{template.origin}\nUndo takes it away again.")
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
            grid.addWidget(button, number // 2, number % 2)
            self.buttons[name] = button
        grid.setRowStretch(grid.rowCount(), 1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(inside)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(hint)
        column.addWidget(scroll, 1)


class SkeletonDock(QWidget):
    """Edits the skeleton of the document that is open in a viewer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    parent : QWidget, optional
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = get_session(napari_viewer)
        self.files = SkeletonFiles(self)
        self.editor = SkeletonEditor(self._session)
        self.chooser = TemplateChooser()
        self.entry = NodeEntry()
        self.templates = QPushButton("From template…")
        self.load = QPushButton("Load…")
        self.save = QPushButton("Save as…")
        self._body, self._pages = QStackedWidget(), QStackedWidget()
        self._build()
        self._session.document_changed.connect(self._on_document)
        self._session.edited.connect(self._on_edit)
        self._on_document()

    def _build(self) -> None:
        self.setMinimumWidth(280)
        # else napari fills a dock with empty space from below
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.templates.setMenu(self._make_menu())
        self.templates.setToolTip("Take the skeleton of an animal that laboratories label often")
        self.load.setToolTip("Take the skeleton of a SLEAP or YAML file, or of any label file")
        self.save.setToolTip("Save the skeleton alone, as SLEAP JSON or YAML")
        self.load.clicked.connect(self.load_file)
        self.save.clicked.connect(self.save_file)
        self.entry.names_entered.connect(self._add)
        for name, button in self.chooser.buttons.items():
            button.clicked.connect(partial(self.take_template, name))
        nothing = QLabel("Open a video or a label file to see and change its skeleton.")
        nothing.setWordWrap(True)
        nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._body.addWidget(self.chooser)
        self._body.addWidget(self.editor)
        page = QWidget()
        files = QHBoxLayout()
        for part in (self.templates, self.load, self.save):
            files.addWidget(part)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(files)
        column.addWidget(self._body, 1)
        column.addWidget(self.entry)
        self._pages.addWidget(nothing)
        self._pages.addWidget(page)
        outer = QVBoxLayout(self)
        outer.addWidget(self._pages)

    def _make_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for name in SKELETON_TEMPLATES:
            template = SKELETON_TEMPLATES.get(name)
            action = menu.addAction(template_icon(template, 24), template.title)
            assert action is not None
            action.setToolTip(template.origin)
            action.triggered.connect(partial(self.take_template, name))
        return menu

    def showEvent(self, event: QShowEvent | None) -> None:
        """Tell the session which window this is, the parent of its questions."""
        super().showEvent(event)
        self._session.watch_window(self)

    # ------------------------------------------------------------------------------ showing
    def _on_document(self) -> None:
        self._pages.setCurrentIndex(0 if self._session.document is None else 1)
        self.editor.reload()
        self._show_page()

    def _on_edit(self, change: Change) -> None:
        if change.skeleton:
            self.editor.show_skeleton()
            self._show_page()

    def _show_page(self) -> None:
        poses = self.editor.poses
        has_nodes = poses is not None and bool(len(poses.skeleton))
        self._body.setCurrentWidget(self.editor if has_nodes else self.chooser)
        self.save.setEnabled(has_nodes)

    # ------------------------------------------------------------------------------ actions
    def _add(self, names: list[str]) -> None:
        if self.editor.add_nodes(names):
            self.entry.clear()

    def take_template(self, name: str, *_: bool) -> None:
        """Replace the skeleton by a template; points of nodes with equal names stay."""
        template = SKELETON_TEMPLATES.get(name)
        self.editor.replace(template.skeleton, template.title)

    def load_file(self) -> None:
        """Ask for a file and take the skeleton in it."""
        path = self.files.ask_open()
        if path is None:
            return
        try:
            skeletons = read_skeletons(path)
        except AnimalPoseError as error:
            self._session.show_error(str(error))
            return
        chosen = skeletons[0] if len(skeletons) == 1 else self.files.ask_which(skeletons)
        if chosen is not None:
            self.editor.replace(chosen, path.name)

    def save_file(self) -> None:
        """Ask for a name and save the skeleton alone."""
        poses = self.editor.poses
        if poses is None:
            return
        path = self.files.ask_save(poses.skeleton.name)
        if path is None:
            return
        try:
            write_skeleton(poses.skeleton, path)
        except AnimalPoseError as error:
            self._session.show_error(str(error))
        else:
            self._session.show_info(f"Saved the skeleton as {path.name}.")
