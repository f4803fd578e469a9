"""A small plot of live curves, painted by Qt: no figure to redraw, no package to load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

__all__ = ["COLORS", "CurvePlot", "Series", "ticks"]

COLORS = ("#4c9be8", "#e8833a", "#3fb68b", "#c678dd", "#d9a520", "#e05a7a")
"""Of the curves in their order; told apart on napari's dark and light backgrounds."""
LEFT, RIGHT, BOTTOM = 46, 10, 30  # px around the axes
MARKED_UP_TO = 40  # points of a curve that are drawn as dots as well


@dataclass
class Series:
    """One curve.

    Parameters
    ----------
    name : str
        For the legend.
    x, y : array_like of float, shape (N,)
        Ascending in x; NaN in y leaves a point out, and the line goes on to the next.
    unit : str
        Written after values.
    color : str
        "" for the next of `COLORS`.
    dots : bool
        Always draw the points.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    unit: str = ""
    color: str = ""
    dots: bool = False
    _points: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        points = np.stack([np.asarray(self.x, np.float64), np.asarray(self.y, np.float64)], 1)
        self._points = points[np.isfinite(points).all(axis=1)]

    @property
    def points(self) -> NDArray[np.float64]:
        """The points (M, 2) that there are."""
        return self._points


class CurvePlot(QWidget):
    """Curves over one axis, with a legend, values under the mouse and one marked place.

    Parameters
    ----------
    title : str
        What is plotted.
    x_label : str

    Attributes
    ----------
    clicked : Signal(float)
        The x that was clicked at.
    """

    clicked = Signal(float)

    def __init__(self, title: str = "", x_label: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._x_label = title, x_label
        self._series: list[Series] = []
        self._is_log = False
        self._marked: float | None = None
        self._mark_text = ""
        self._empty_text = "No values yet."
        self._from_zero = False
        self._hover: QPointF | None = None
        self.setMouseTracking(True)
        self.setMinimumHeight(110)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Wide rather than high."""
        return QSize(320, 160)

    # ------------------------------------------------------------------------------- data
    def set_series(self, series: Sequence[Series]) -> None:
        """Show other curves."""
        self._series = list(series)
        for number, one in enumerate(self._series):
            one.color = one.color or COLORS[number % len(COLORS)]
        self.update()

    def set_log(self, is_log: bool) -> None:
        """Scale y by its logarithm; values that have none are left out."""
        self._is_log = is_log
        self.update()

    def set_from_zero(self, from_zero: bool) -> None:
        """Have the linear y axis begin at zero."""
        self._from_zero = from_zero
        self.update()

    def mark(self, x: float | None, text: str = "") -> None:
        """Mark one place along x, or none."""
        self._marked, self._mark_text = x, text
        self.update()

    def set_empty_text(self, text: str) -> None:
        """Say something else where there are no curves."""
        self._empty_text = text
        self.update()

    @property
    def x_range(self) -> tuple[float, float]:
        """First and last x that are shown."""
        found = [p[[0, -1], 0] for p in self._shown() if len(p)]
        if not found:
            return 0.0, 1.0
        low, high = float(np.min(found)), float(np.max(found))
        if self._marked is not None:
            low, high = min(low, self._marked), max(high, self._marked)
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    @property
    def y_range(self) -> tuple[float, float]:
        """Lowest and highest y that are shown; logarithms base 10 on a log scale."""
        found = [p[:, 1] for p in self._shown() if len(p)]
        if not found:
            return 0.0, 1.0
        values = np.concatenate(found)
        low, high = float(values.min()), float(values.max())
        if self._from_zero and not self._is_log:
            low = min(0.0, low)
        margin = 0.06 * (high - low) or max(0.05 * abs(high), 0.05 if self._is_log else 1e-9)
        bottom = low if self._from_zero and not self._is_log and low == 0 else low - margin
        return bottom, high + margin

    def values_at(self, x: float) -> list[tuple[str, float, float]]:
        """Return (name, x, y) of the point of each curve that is nearest to an x."""
        found = []
        for one in self._series:
            if len(one.points):
                near = one.points[np.abs(one.points[:, 0] - x).argmin()]
                found.append((one.name, float(near[0]), float(near[1])))
        return found

    def _shown(self) -> list[NDArray[np.float64]]:
        """Return the points of each curve in the scale of the axes."""
        if not self._is_log:
            return [one.points for one in self._series]
        shown = []
        for one in self._series:
            points = one.points[one.points[:, 1] > 0].copy()
            points[:, 1] = np.log10(points[:, 1])
            shown.append(points)
        return shown

    # ------------------------------------------------------------------------------ mouse
    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Show the values under the mouse."""
        if event is not None:
            self._hover = event.position()
            self.update()

    def leaveEvent(self, event: QEvent | None) -> None:
        """Hide them again."""
        self._hover = None
        self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Tell where was clicked."""
        if event is not None and self._series:
            self.clicked.emit(self._x_at(event.position().x()))

    def _x_at(self, pixel: float) -> float:
        area, (low, high) = self._area(), self.x_range
        return low + (pixel - area.left()) / max(1.0, area.width()) * (high - low)

    # --------------------------------------------------------------------------- painting
    def _area(self) -> QRectF:
        metrics = QFontMetrics(self._small_font())
        top = self._legend_start(metrics)[1] + metrics.descent() + 6
        return QRectF(LEFT, top, self.width() - LEFT - RIGHT, self.height() - top - BOTTOM)

    def _small_font(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(max(6.5, 0.85 * font.pointSizeF()))
        return font

    def _to_pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        area, (x0, x1), (y0, y1) = self._area(), self.x_range, self.y_range
        return np.stack([
            area.left() + (points[:, 0] - x0) / (x1 - x0) * area.width(),
            area.bottom() - (points[:, 1] - y0) / (y1 - y0) * area.height(),
        ], axis=1)  # fmt: skip

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw everything; a few hundred points take well below a millisecond."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(self.foregroundRole())
        painter.setFont(self._small_font())
        self._draw_legend(painter, ink)
        shown = self._shown()
        if not any(len(points) for points in shown):
            painter.setPen(_faded(ink, 0.6))
            painter.drawText(
                self._area(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap,
                self._empty_text,
            )  # fmt: skip
            painter.end()
            return
        self._draw_axes(painter, ink)
        if self._marked is not None:
            self._draw_mark(painter, ink)
        for one, points in zip(self._series, shown, strict=True):
            self._draw_curve(painter, one, self._to_pixels(points))
        if self._hover is not None and self._area().contains(self._hover):
            self._draw_hover(painter, ink, self._hover.x())
        painter.end()

    def _draw_legend(self, painter: QPainter, ink: QColor) -> None:
        """Write the title, and what the colours mean beside it or below."""
        metrics = painter.fontMetrics()
        y, x = metrics.ascent() + 3.0, 4.0
        painter.setPen(ink)
        painter.drawText(QPointF(x, y), self._title)
        x, y = self._legend_start(metrics)
        for one in self._series if len(self._series) > 1 else []:
            painter.setPen(QPen(QColor(one.color), 2.5))
            painter.drawLine(QPointF(x, y - 4), QPointF(x + 12, y - 4))
            painter.setPen(_faded(ink, 0.85))
            painter.drawText(QPointF(x + 16, y), one.name)
            x += 28 + metrics.horizontalAdvance(one.name)

    def _legend_start(self, metrics: QFontMetrics) -> tuple[float, float]:
        """Return where the legend begins: beside the title, or below where it is too wide."""
        x = 4.0 + (metrics.horizontalAdvance(self._title) + 14 if self._title else 0)
        needed = sum(28 + metrics.horizontalAdvance(one.name) for one in self._series)
        first = metrics.ascent() + 3.0
        if len(self._series) > 1 and x + needed > self.width() and self._title:
            return 4.0, first + metrics.height()
        return x, first

    def _draw_axes(self, painter: QPainter, ink: QColor) -> None:
        area, metrics = self._area(), painter.fontMetrics()
        x_range, y_range = self.x_range, self.y_range
        across = max(2, int(area.width() // 60))
        for x in ticks(*x_range, across):
            pixel = self._to_pixels(np.array([[x, y_range[0]]]))[0, 0]
            self._draw_grid_line(painter, ink, pixel, area.top(), pixel, area.bottom())
            text = write_value(x)
            at = QPointF(
                min(pixel - metrics.horizontalAdvance(text) / 2,
                    self.width() - metrics.horizontalAdvance(text) - 1.0),
                area.bottom() + metrics.ascent() + 2,
            )  # fmt: skip
            painter.setPen(_faded(ink, 0.7))
            painter.drawText(at, text)
        for y in self._y_ticks():
            pixel = self._to_pixels(np.array([[x_range[0], y]]))[0, 1]
            self._draw_grid_line(painter, ink, area.left(), pixel, area.right(), pixel)
            text = write_value(10**y if self._is_log else y)
            at = QPointF(area.left() - metrics.horizontalAdvance(text) - 4, pixel + 4)
            painter.setPen(_faded(ink, 0.7))
            painter.drawText(at, text)
        painter.setPen(_faded(ink, 0.7))
        box = QRectF(area.left(), self.height() - metrics.height() - 1, area.width(), 20)
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, self._x_label)

    def _y_ticks(self) -> list[float]:
        low, high = self.y_range
        count = max(2, int(self._area().height() // 32))
        if not self._is_log:
            return ticks(low, high, count)
        found = [
            math.log10(digit * 10.0**power)
            for power in range(math.floor(low), math.ceil(high) + 1)
            for digit in (1, 2, 5)
        ]
        found = [y for y in found if low <= y <= high]
        whole = [y for y in found if y == round(y)]
        return whole if len(found) > count and len(whole) > 1 else found

    @staticmethod
    def _draw_grid_line(
        painter: QPainter, ink: QColor, x0: float, y0: float, x1: float, y1: float
    ) -> None:
        painter.setPen(QPen(_faded(ink, 0.14), 1))
        painter.drawLine(QPointF(x0, y0), QPointF(x1, y1))

    def _draw_mark(self, painter: QPainter, ink: QColor) -> None:
        assert self._marked is not None
        area = self._area()
        x = self._to_pixels(np.array([[self._marked, 0.0]]))[0, 0]
        painter.setPen(QPen(_faded(ink, 0.6), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        width = painter.fontMetrics().horizontalAdvance(self._mark_text)
        left = x - width - 4 if x + width + 4 > area.right() else x + 4
        painter.setPen(_faded(ink, 0.85))
        painter.drawText(
            QPointF(left, area.top() + painter.fontMetrics().ascent()), self._mark_text
        )

    def _draw_curve(self, painter: QPainter, one: Series, pixels: NDArray[np.float64]) -> None:
        painter.save()
        painter.setClipRect(self._area().adjusted(-4, -4, 4, 4))
        color = QColor(one.color)
        painter.setPen(QPen(color, 1.8))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        line = thin_out(pixels)
        if len(line) > 1:
            path = QPainterPath(QPointF(*line[0]))
            for x, y in line[1:]:
                path.lineTo(x, y)
            painter.drawPath(path)
        if one.dots or len(pixels) <= MARKED_UP_TO:
            painter.setBrush(color)
            painter.setPen(Qt.PenStyle.NoPen)
            for x, y in line:
                painter.drawEllipse(QPointF(x, y), 2.6, 2.6)
        painter.restore()

    def _draw_hover(self, painter: QPainter, ink: QColor, pixel: float) -> None:
        area = self._area()
        found = self.values_at(self._x_at(pixel))
        x = self._to_pixels(np.array([[found[0][1], 0.0]]))[0, 0]
        painter.setPen(QPen(_faded(ink, 0.5), 1))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        head = f"{self._x_label} {write_value(found[0][1])}".strip()
        lines = [head] + [
            f"{name}: {y:.4g} {one.unit}".rstrip()
            for (name, _, y), one in zip(
                found, [s for s in self._series if len(s.points)], strict=True
            )
        ]
        metrics = painter.fontMetrics()
        width = max(metrics.horizontalAdvance(text) for text in lines) + 12
        height = metrics.height() * len(lines) + 8
        left = x + 8 if x + 8 + width < self.width() else x - 8 - width
        box = QRectF(left, area.top() + 4, width, height)
        background = self.palette().color(self.backgroundRole())
        background.setAlphaF(0.88)
        painter.setPen(QPen(_faded(ink, 0.4), 1))
        painter.setBrush(background)
        painter.drawRoundedRect(box, 3, 3)
        painter.setPen(ink)
        for number, text in enumerate(lines):
            y = box.top() + 4 + metrics.ascent() + number * metrics.height()
            painter.drawText(QPointF(box.left() + 6, y), text)


def _faded(color: QColor, alpha: float) -> QColor:
    faded = QColor(color)
    faded.setAlphaF(alpha)
    return faded


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers within a range: multiples of 1, 2 or 5 x 10^n."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def write_value(value: float) -> str:
    """Return a short text for a tick: 1500 -> "1500", 250000 -> "250k", 1e-05."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1e6:g}M" if abs(value) >= 1e6 else f"{value / 1e3:g}k"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def thin_out(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return at most four points a column of px: first, lowest, highest and last.

    What is drawn looks the same.
    """
    if len(pixels) < 4:
        return pixels
    column = np.floor(pixels[:, 0]).astype(np.int64)
    if len(np.unique(column)) * 4 >= len(pixels):
        return pixels
    starts = np.flatnonzero(np.diff(column, prepend=column[0] - 1))
    ends = np.append(starts[1:], len(pixels)) - 1
    order = np.lexsort((pixels[:, 1], column))
    keep = np.unique(np.concatenate([starts, ends, order[starts], order[ends]]))
    return np.asarray(pixels[keep])
