"""The timeline dock: the whole video in one strip, and steps from frame to frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._overviews import KIND_TITLES, get_overviews
from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets._timeline_picture import KIND_COLORS
from napari_animalpose._widgets._timeline_view import TimelineView, describe_frame
from napari_animalpose.data.frame_curves import CURVES, Curve
from napari_animalpose.data.overview import FrameKind
from napari_animalpose.errors import VideoError

if TYPE_CHECKING:
    import napari

__all__ = ["TimelineDock"]

_HINT = "Open a video or labels: the timeline shows every frame of it in one strip."


class TimelineDock(QWidget):
    """The timeline with its controls; it fits along the lower side of the window."""

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = get_session(napari_viewer)
        self.overviews = get_overviews(self.session)
        self.view = TimelineView(self)
        self.kind = QComboBox(self)
        self.curve = QComboBox(self)
        self.track = QComboBox(self)
        self.status = QLabel(self)
        self.buttons: dict[str, QToolButton] = {}
        self._shown_curve: Curve | None = None
        self._build()
        self._connect()
        self._read_document()

    # ------------------------------------------------------------------------ building
    def _build(self) -> None:
        for kind, title in KIND_TITLES.items():
            self.kind.addItem(_make_swatch(KIND_COLORS[kind]), title, kind)
        self.kind.setIconSize(QSize(10, 10))
        self.kind.setToolTip("Which frames the arrows step through")
        for name in CURVES.names():
            self.curve.addItem(CURVES.get(name).title, name)
        self.curve.addItem("No curve", None)
        self.curve.setToolTip("What is drawn over the frames")
        self.track.setToolTip("Whose curve is drawn")
        self.status.setToolTip("The frame in view")
        self.status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout()
        row.setContentsMargins(6, 2, 6, 0)
        row.setSpacing(4)
        for name, text, tip in _BUTTONS:
            if name == "next":
                row.addWidget(self.kind)
            row.addWidget(self._make_button(name, text, tip))
        row.addSpacing(8)
        row.addWidget(self.status, 1)
        row.addWidget(self.curve)
        row.addWidget(self.track)
        row.addWidget(self._make_button("all", "Show all", "Show the whole video (double click)"))
        page = QWidget(self)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.view, 1)
        hint = QLabel(_HINT, self)
        hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        hint.setWordWrap(True)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(hint)
        self._pages.addWidget(page)
        self.setMinimumHeight(140)
        self.setMaximumHeight(280)

    def _make_button(self, name: str, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.buttons[name] = button
        return button

    def _connect(self) -> None:
        self.buttons["first"].clicked.connect(lambda: self._go_to_end(-1))
        self.buttons["previous"].clicked.connect(lambda: self._step(-1))
        self.buttons["next"].clicked.connect(lambda: self._step(1))
        self.buttons["last"].clicked.connect(lambda: self._go_to_end(1))
        self.buttons["all"].clicked.connect(self.view.show_all)
        self.view.frame_requested.connect(self.session.go_to)
        self.view.range_requested.connect(self._select_range)
        self.view.kind_clicked.connect(self._choose_kind)
        self.curve.currentIndexChanged.connect(self._read_curve)
        self.track.currentIndexChanged.connect(self._read_curve)
        self.session.document_changed.connect(self._read_document)
        self.session.frame_changed.connect(self._on_frame)
        self.session.marks_changed.connect(self._read_range)
        self.overviews.changed.connect(self._read_overview)

    # ------------------------------------------------------------------------- reading
    def _read_document(self) -> None:
        self._read_overview()
        self._read_range()

    def _read_overview(self) -> None:
        overview = self.overviews.shown
        self._pages.setCurrentIndex(0 if overview is None else 1)
        self._read_tracks()
        self.view.set_overview(overview, self._fps)
        self._read_curve()
        self.view.set_frame(self.session.frame)

    def _read_tracks(self) -> None:
        document = self.session.document
        names = () if document is None else document.poses.track_names
        if names != tuple(self.track.itemText(i) for i in range(1, self.track.count())):
            chosen = self.track.currentText()
            with QSignalBlocker(self.track):
                self.track.clear()
                self.track.addItem("All animals", None)
                for number, name in enumerate(names):
                    self.track.addItem(name, number)
                self.track.setCurrentIndex(max(0, self.track.findText(chosen)))
        self.track.setVisible(bool(names))

    def _read_curve(self) -> None:
        overview, name = self.overviews.shown, self.curve.currentData()
        track = self.track.currentData()
        self._shown_curve, color = None, None
        if overview is not None and name is not None:
            self._shown_curve = overview.curve(name, track)
            if track is not None:
                red, green, blue = self.session.track_colors()[track].tolist()
                color = red, green, blue
        self.track.setEnabled(name is not None)
        self.view.set_curve(self._shown_curve, color)
        self._write_status()

    def _read_range(self) -> None:
        self.view.set_range(self.session.selected_range)

    def _on_frame(self, video: int, frame: int) -> None:
        if self.overviews.shown is not self.view.overview:
            self._read_overview()
        self.view.set_frame(frame)
        self._write_status()

    def _write_status(self) -> None:
        overview = self.overviews.shown
        text = ""
        if overview is not None:
            text = describe_frame(overview, self.session.frame, self._fps, self._shown_curve)
        self.status.setText(text)

    @property
    def _fps(self) -> float:
        document = self.session.document
        if document is None or not document.videos:
            return float("nan")
        try:
            return float(document.videos[self.session.video].fps)
        except VideoError:
            return float("nan")

    # -------------------------------------------------------------------------- acting
    def _step(self, step: int) -> None:
        self.overviews.go(self.kind.currentData(), step)

    def _go_to_end(self, step: int) -> None:
        self.overviews.go_to_end(self.kind.currentData(), step)

    def _select_range(self, span: tuple[int, int] | None) -> None:
        self.session.selected_range = span

    def _choose_kind(self, kind: FrameKind) -> None:
        self.kind.setCurrentIndex(list(KIND_TITLES).index(kind))


_BUTTONS = (
    ("first", "|◀", "First frame of this kind in the video"),
    ("previous", "◀", "Previous frame of this kind"),
    ("next", "▶", "Next frame of this kind"),
    ("last", "▶|", "Last frame of this kind in the video"),
)


def _make_swatch(color: tuple[int, int, int]) -> QIcon:
    pixmap = QPixmap(10, 10)
    pixmap.fill(QColor(*color))
    return QIcon(pixmap)
