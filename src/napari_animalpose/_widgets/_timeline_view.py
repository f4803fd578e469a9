"""A whole video in one strip: seek, scrub, select a range, zoom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from qtpy.QtWidgets import QMenu, QToolTip, QWidget

from napari_animalpose._widgets._overviews import KIND_TITLES
from napari_animalpose._widgets._timeline_picture import Geometry, draw_picture, format_time
from napari_animalpose.data.frame_curves import Curve
from napari_animalpose.data.overview import FrameKind, Overview

__all__ = ["TimelineView", "describe_frame"]

_MIN_SPAN = 12.0  # frames in view at most zoom
_HANDLE = 5  # px around the end of a range where the mouse takes hold of it
_FOLLOW = 0.1  # share of the view that lies ahead or behind after it followed the playhead


class TimelineView(QWidget):
    """The strip. It shows what it is given and says what the person wants.

    Press or drag to seek; with Shift, drag to select a range, whose ends are dragged in
    the ruler; the wheel zooms around the mouse, sideways or with Shift it pans, as does the
    middle button; a double click shows the whole video again. Reached with Tab: arrows,
    Page, Home and End seek, plus and minus zoom, Escape gives up the range.

    Signals
    -------
    frame_requested : int
    range_requested : (int, int) or None
        First and last frame, both included.
    kind_clicked : FrameKind
        The name of a lane was clicked.
    """

    frame_requested = Signal(int)
    range_requested = Signal(object)
    kind_clicked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._overview: Overview | None = None
        self._curve: Curve | None = None
        self._curve_color: tuple[int, int, int] | None = None
        self._fps = float("nan")
        self._frame = 0
        self._range: tuple[int, int] | None = None
        self._view = Geometry(1, 1, 0.0, 1.0, 0)
        self._picture: QPixmap | None = None
        self._drag: str | None = None  # "seek", "range", "pan"
        self._anchor = 0.0  # where a drag began: a frame, for "pan" with its fraction
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the canvas
        self.setMinimumHeight(108)
        self.setAccessibleName("Timeline of the video")

    # ------------------------------------------------------------------- what is shown
    def set_overview(self, overview: Overview | None, fps: float = float("nan")) -> None:
        """Show another overview, or the same one after it changed."""
        fresh = overview is not self._overview
        n_frames = 0 if overview is None else overview.n_frames
        if fresh or n_frames != self._view.n_frames:
            whole = self._view.span >= self._view.n_frames
            self._view = replace(self._view, n_frames=n_frames)
            if fresh or whole:
                self._look_at(0.0, float(n_frames))
        self._overview, self._fps = overview, fps
        self.redraw()

    def set_curve(self, curve: Curve | None, color: tuple[int, int, int] | None = None) -> None:
        """Draw another curve, in the colour of the text by default."""
        self._curve, self._curve_color = curve, color
        self.redraw()

    def set_frame(self, frame: int) -> None:
        """Move the playhead; the view follows it."""
        if frame == self._frame:
            return
        self._frame = frame
        start, span = self._view.start, self._view.span
        if not start <= frame < start + span:
            ahead = 0.0 if self._drag else _FOLLOW * span
            self._look_at(
                frame - span + 1 + ahead if frame >= start + span else frame - ahead, span
            )
        self.update()

    def set_range(self, span: tuple[int, int] | None) -> None:
        """Shade the selected range."""
        if span != self._range:
            self._range = span
            self.update()

    def redraw(self) -> None:
        """Draw everything anew at the next chance."""
        self._picture = None
        self.update()

    # ------------------------------------------------------------------------- zooming
    @property
    def overview(self) -> Overview | None:
        """What is shown."""
        return self._overview

    @property
    def visible_frames(self) -> tuple[float, float]:
        """The frames in view, from and to."""
        return self._view.start, self._view.start + self._view.span

    @property
    def view(self) -> Geometry:
        """Where which frame is drawn."""
        return self._view

    def zoom(self, factor: float, around: float) -> None:
        """Show `factor` times as many frames, with the frame `around` staying in place."""
        span = float(np.clip(self._view.span * factor, *self._span_limits()))
        share = (around - self._view.start) / self._view.span
        self._look_at(around - share * span, span)

    def show_all(self) -> None:
        """Show the whole video."""
        self._look_at(0.0, float(self._view.n_frames))

    def show_frames(self, first: int, last: int) -> None:
        """Show a range of frames with a little around it."""
        length = last - first + 1
        span = float(np.clip(1.1 * length, *self._span_limits()))
        self._look_at((first + last + 1 - span) / 2, span)

    def _span_limits(self) -> tuple[float, float]:
        n_frames = max(1.0, float(self._view.n_frames))
        return min(_MIN_SPAN, n_frames), n_frames

    def _look_at(self, start: float, span: float) -> None:
        span = max(1.0, span)
        start = float(np.clip(start, 0.0, max(0.0, self._view.n_frames - span)))
        if (start, span) != (self._view.start, self._view.span):
            self._view = replace(self._view, start=start, span=span)
            self.redraw()

    # ------------------------------------------------------------------------ painting
    def sizeHint(self) -> QSize:
        """Wide and low."""
        return QSize(640, 122)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Draw for the new size."""
        self._view = replace(self._view, width=self.width(), height=self.height())
        self.redraw()

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw in the colours of another theme."""
        super().changeEvent(event)
        kinds = QEvent.Type
        if event is not None and event.type() in (
            kinds.PaletteChange, kinds.StyleChange, kinds.FontChange, kinds.EnabledChange,
        ):  # fmt: skip
            self.redraw()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the kept picture, and over it the range and the playhead."""
        painter = QPainter(self)
        if self._overview is None or not self._overview.n_frames:
            painter.end()
            return
        ratio = self.devicePixelRatioF()
        if self._picture is None or self._picture.devicePixelRatio() != ratio:
            self._picture = draw_picture(
                self._view, ratio, self.palette(), self.font(), self._overview, self._curve,
                fps=self._fps, curve_color=self._curve_color,
            )  # fmt: skip
        painter.drawPixmap(0, 0, self._picture)
        left, width = self._view.strip
        painter.setClipRect(QRectF(left - 6, 0, width + 12, self.height()))
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        if self._range is not None:
            self._paint_range(painter, ink)
        self._paint_playhead(painter, ink)
        painter.end()

    def _paint_range(self, painter: QPainter, ink: QColor) -> None:
        assert self._range is not None
        x0, x1 = self._view.x_of(self._range[0]), self._view.x_of(self._range[1] + 1)
        shade = QColor(ink)
        shade.setAlphaF(0.16)
        top = float(self._view.lanes_top - 6)
        left, width = self._view.strip
        shaded = QRectF(x0, top, max(1.0, x1 - x0), self.height() - top)
        painter.fillRect(shaded & QRectF(left, 0, width, self.height()), shade)
        painter.setPen(QPen(ink, 1))
        for x, side in ((x0, 1), (x1, -1)):
            painter.drawLine(QPointF(x, top), QPointF(x, self.height()))
            painter.fillRect(QRectF(x if side > 0 else x - 5, top, 5, 6), ink)

    def _paint_playhead(self, painter: QPainter, ink: QColor) -> None:
        x0, x1 = self._view.x_of(self._frame), self._view.x_of(self._frame + 1)
        x = (x0 + x1) / 2
        if x1 - x0 > 3:
            wash = QColor(ink)
            wash.setAlphaF(0.22)
            painter.fillRect(QRectF(x0, self._view.lanes_top, x1 - x0, self.height()), wash)
        background = self.palette().color(QPalette.ColorRole.Window)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(background, 3))  # a rim, so that it shows over any colour
        painter.drawLine(QPointF(x, 8), QPointF(x, self.height()))
        painter.setPen(QPen(ink, 1.4))
        painter.drawLine(QPointF(x, 8), QPointF(x, self.height()))
        painter.setBrush(ink)
        painter.setPen(QPen(background, 1))
        head = [(-5, 4), (5, 4), (5, 9), (0, 15), (-5, 9)]
        painter.drawPolygon(QPolygonF([QPointF(x + dx, y) for dx, y in head]))

    # --------------------------------------------------------------------------- mouse
    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Seek, begin a range, take hold of the end of one, or pan."""
        if event is None or self._overview is None or not self._view.n_frames:
            return
        x, y = event.position().x(), event.position().y()
        frame = self._view.frame_at(x)
        if event.button() == Qt.MouseButton.MiddleButton:
            self._drag, self._anchor = "pan", self._view.position_at(x)
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif event.button() != Qt.MouseButton.LeftButton:
            return
        elif x < self._view.strip[0] - _HANDLE:
            kind = self._view.lane_at(y)
            if kind is not None:
                self.kind_clicked.emit(kind)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            # A hand that shakes has not begun to drag out a range of its own.
            self._drag, self._anchor = "shift", frame
            self.range_requested.emit(tuple(sorted((self._frame, frame))))
        elif (end := self._range_end_at(x, y)) is not None and self._range is not None:
            self._drag, self._anchor = "range", self._range[1 - end]
        else:
            self._drag = "seek"
            self._request(frame)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Go on with the drag; show what a press here would take hold of."""
        if event is None:
            return
        x, y = event.position().x(), event.position().y()
        frame = self._view.frame_at(x)
        if self._drag == "shift" and frame != self._anchor:
            self._drag = "range"
        if self._drag == "seek":
            self._request(frame)
        elif self._drag == "shift":
            return
        elif self._drag == "range":
            self.range_requested.emit(tuple(sorted((int(self._anchor), frame))))
        elif self._drag == "pan":
            self._look_at(
                self._view.start + self._anchor - self._view.position_at(x), self._view.span
            )
        elif self._range_end_at(x, y) is not None:
            self.setCursor(Qt.CursorShape.SizeHorCursor)
        else:
            self.unsetCursor()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End the drag."""
        self._drag = None
        self.unsetCursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Show the whole video again."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.show_all()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom around the mouse, or pan sideways."""
        if event is None or not self._view.n_frames:
            return
        dx, dy = event.angleDelta().x(), event.angleDelta().y()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            dx, dy = dx + dy, 0
        if abs(dx) > abs(dy):
            self._look_at(self._view.start - dx / 1200 * self._view.span, self._view.span)
        else:
            self.zoom(2.0 ** (-dy / 240), self._view.position_at(event.position().x()))
        event.accept()

    def contextMenuEvent(self, event: Any) -> None:
        """Offer what else can be done with the range and the view."""
        if self._overview is None:
            return
        menu = self.make_menu()
        menu.exec(event.globalPos())
        menu.deleteLater()

    def make_menu(self) -> QMenu:
        """Return the context menu."""
        menu = QMenu(self)
        menu.addAction("Show the whole video", self.show_all)
        zoom = menu.addAction("Zoom to the selected range", self._zoom_to_range)
        menu.addSeparator()
        last = max(0, self._view.n_frames - 1)
        menu.addAction("Select the whole video", lambda: self.range_requested.emit((0, last)))
        clear = menu.addAction("Clear the selected range", lambda: self.range_requested.emit(None))
        for action in (zoom, clear):
            if action is not None:
                action.setEnabled(self._range is not None)
        return menu

    def _zoom_to_range(self) -> None:
        if self._range is not None:
            self.show_frames(*self._range)

    def _range_end_at(self, x: float, y: float) -> int | None:
        """Return which end of the range (0, 1) has its handle here."""
        if self._range is None or not self._view.is_ruler(y):
            return None
        ends = self._view.x_of(self._range[0]), self._view.x_of(self._range[1] + 1)
        near = [abs(x - end) for end in ends]
        nearest = int(near[1] <= near[0])
        return nearest if near[nearest] <= _HANDLE else None

    def _request(self, frame: int) -> None:
        if frame != self._frame:
            self.frame_requested.emit(frame)

    # ------------------------------------------------------------------- keys and tips
    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Seek, zoom and clear with keys, when reached with Tab."""
        if event is None or not self._view.n_frames:
            return
        last, page = self._view.n_frames - 1, max(1, int(self._view.span / 10))
        keys = Qt.Key
        targets = {
            keys.Key_Left: self._frame - 1, keys.Key_Right: self._frame + 1,
            keys.Key_PageUp: self._frame - page, keys.Key_PageDown: self._frame + page,
            keys.Key_Home: 0, keys.Key_End: last,
        }  # fmt: skip
        factors = {keys.Key_Plus: 0.5, keys.Key_Equal: 0.5, keys.Key_Minus: 2.0}
        key = event.key()
        if key in targets:
            self._request(int(np.clip(targets[keys(key)], 0, last)))
        elif key in factors:
            self.zoom(factors[keys(key)], self._frame + 0.5)
        elif key == keys.Key_Escape and self._range is not None:
            self.range_requested.emit(None)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Show what the frame under the mouse is."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.tip_at(event.pos().x(), event.pos().y())
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def tip_at(self, x: float, y: float) -> str:
        """Return what is said about a place of the timeline."""
        overview = self._overview
        if overview is None or not overview.n_frames:
            return ""
        if x < self._view.strip[0]:
            kind = self._view.lane_at(y)
            if kind is None:
                return ""
            count = overview.count(kind)
            title = KIND_TITLES[kind].lower()
            return (
                f"{count:,} {title} frame{'' if count == 1 else 's'}. Click to step through them."
            )
        return describe_frame(overview, self._view.frame_at(x), self._fps, self._curve)


def describe_frame(
    overview: Overview, frame: int, fps: float = float("nan"), curve: Curve | None = None
) -> str:
    """Return one line about a frame: its number, time, kinds and value on a curve."""
    parts = [f"Frame {frame:,} / {overview.n_frames - 1:,}"]
    if np.isfinite(fps) and fps > 0:
        parts.append(format_time(frame, fps))
    kinds = overview.kinds_at(frame)
    named = [title.lower() for kind, title in KIND_TITLES.items() if kind & kinds]
    if kinds & FrameKind.PREDICTED and kinds & FrameKind.UNLABELLED:
        named.remove(KIND_TITLES[FrameKind.UNLABELLED].lower())  # "predicted" says it
    if named:
        parts.append(", ".join(named))
    if curve is not None and frame < len(curve.values) and np.isfinite(curve.values[frame]):
        value = f"{curve.kind.title.lower()} {curve.values[frame]:.3g} {curve.kind.unit}"
        parts.append(value.strip())
    return "  ·  ".join(parts)
