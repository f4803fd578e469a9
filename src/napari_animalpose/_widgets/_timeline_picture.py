"""The picture of a timeline: lanes of frame kinds, a curve and a ruler, without playhead.

Whatever is dense is drawn as an array of pixels, one answer of the overview for each
column, so that a million frames cost what a thousand do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QImage, QPainter, QPalette, QPen, QPixmap, QPolygonF

from napari_animalpose._widgets._overviews import KIND_TITLES
from napari_animalpose.data.frame_curves import Curve
from napari_animalpose.data.overview import FrameKind, Overview

__all__ = ["KIND_COLORS", "LANES", "Geometry", "draw_picture", "format_time"]

LANES = tuple(kind for kind in KIND_TITLES if kind is not FrameKind.UNLABELLED)
# Of Okabe and Ito's palette (drawing.colors), so that colour-blind eyes tell them apart; the
# last one, for a menu, is a gray.
KIND_COLORS = {
    FrameKind.LABELLED: (0, 158, 115),
    FrameKind.PREDICTED: (86, 180, 233),
    FrameKind.SUGGESTED: (230, 159, 0),
    FrameKind.FLAGGED: (213, 94, 0),
    FrameKind.EMPTY: (204, 121, 167),
    FrameKind.UNLABELLED: (150, 150, 150),
}
_RULER, _LANE, _GAP = 20, 9, 2  # px
_ZOOM_BAR = 3
_FONT_PX = 10
_DOT_FROM_PX = 5.0  # width of a frame from which its value on the curve gets a dot


@dataclass(frozen=True)
class Geometry:
    """Where the parts of a timeline lie, and which frame is where.

    Parameters
    ----------
    width, height : int
        Of the widget, in px.
    start, span : float
        The frames in view: frame f covers f to f + 1.
    n_frames : int
    gutter : int
        px on the left for the names of the lanes.
    """

    width: int
    height: int
    start: float
    span: float
    n_frames: int
    gutter: int = 76

    @property
    def strip(self) -> tuple[int, int]:
        """Left end and width of the part that shows frames, in px."""
        return self.gutter, max(1, self.width - self.gutter - 8)

    @property
    def lanes_top(self) -> int:
        """Upper end of the first lane."""
        return _RULER + _GAP

    @property
    def curve_rect(self) -> QRectF:
        """Where the curve is drawn."""
        top = self.lanes_top + len(LANES) * (_LANE + _GAP) + _GAP
        left, width = self.strip
        return QRectF(left, top, width, max(1, self.height - top - 4))

    def lane_rect(self, number: int) -> QRectF:
        """Where a lane is drawn."""
        left, width = self.strip
        return QRectF(left, self.lanes_top + number * (_LANE + _GAP), width, _LANE)

    def lane_at(self, y: float) -> FrameKind | None:
        """Return the kind whose lane is at a height."""
        number = int((y - self.lanes_top) // (_LANE + _GAP))
        return LANES[number] if 0 <= number < len(LANES) else None

    def is_ruler(self, y: float) -> bool:
        """Whether a height belongs to the ruler."""
        return y < self.lanes_top

    def x_of(self, frame: float) -> float:
        """Return the x at which a frame begins."""
        left, width = self.strip
        return left + (frame - self.start) / self.span * width

    def position_at(self, x: float) -> float:
        """Return the frame at x with its fraction, unbounded."""
        left, width = self.strip
        return self.start + (x - left) / width * self.span

    def frame_at(self, x: float) -> int:
        """Return the frame at x, the first or last one beyond the ends of the video."""
        return int(np.clip(np.floor(self.position_at(x)), 0, max(0, self.n_frames - 1)))

    def columns(self, ratio: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first frame and the one after the last of each column of pixels.

        Dense columns begin at multiples of a power of two, at most a sixteenth of a column
        off: the overview answers these faster.
        """
        n = max(1, round(self.strip[1] * ratio))
        per_column = self.span / n
        edges = self.start + np.arange(n + 1) * per_column
        cell = 2 ** max(0, int(np.floor(np.log2(per_column / 8)))) if per_column > 0 else 1
        whole = (np.rint(edges / cell) * cell if cell > 1 else np.floor(edges)).astype(np.int64)
        starts = np.clip(whole[:-1], 0, self.n_frames)
        stops = np.clip(np.maximum(whole[1:], whole[:-1] + 1), 0, self.n_frames)
        return starts, stops


def draw_picture(
    geometry: Geometry,
    ratio: float,
    palette: QPalette,
    font: QFont,
    overview: Overview,
    curve: Curve | None,
    *,
    fps: float = float("nan"),
    curve_color: tuple[int, int, int] | None = None,
) -> QPixmap:
    """Return the timeline as a pixmap with `ratio` device pixels for each px."""
    pixmap = QPixmap(round(geometry.width * ratio), round(geometry.height * ratio))
    pixmap.setDevicePixelRatio(ratio)
    background = palette.color(QPalette.ColorRole.Window)
    ink = palette.color(QPalette.ColorRole.WindowText)
    pixmap.fill(background)
    painter = QPainter(pixmap)
    small = QFont(font)
    small.setPixelSize(_FONT_PX)
    painter.setFont(small)
    columns = geometry.columns(ratio)
    _draw_lanes(painter, geometry, overview, columns, background, ink)
    _draw_ruler(painter, geometry, ink, fps)
    if curve is not None:
        color = QColor(*curve_color) if curve_color else ink
        _draw_curve(painter, geometry, curve, columns, color, ink, ratio)
    painter.end()
    return pixmap


# ------------------------------------------------------------------------------- the lanes
def _draw_lanes(
    painter: QPainter,
    geometry: Geometry,
    overview: Overview,
    columns: tuple[NDArray[np.int64], NDArray[np.int64]],
    background: QColor,
    ink: QColor,
) -> None:
    starts, stops = columns
    there = stops > starts
    status = overview.between(starts, stops)
    bare = np.array(_blend(background, ink, 0.08).getRgb()[:3], np.uint8)
    outside = np.array(background.getRgb()[:3], np.uint8)
    per_column = geometry.span / len(starts)
    for number, kind in enumerate(LANES):
        hit = status & np.uint8(kind) > 0
        if per_column > 1:  # a single frame among many must not be a hair's breadth
            hit[1:] |= hit[:-1].copy()
        pixels = np.where(hit[:, None], np.array(KIND_COLORS[kind], np.uint8), bare)
        pixels[~there] = outside
        rect = geometry.lane_rect(number)
        painter.drawImage(rect, _to_image(pixels[None]))
        painter.setPen(ink if overview.count(kind) else _blend(background, ink, 0.5))
        place = QRectF(6, rect.top() - 2, geometry.gutter - 12, rect.height() + 4)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, KIND_TITLES[kind])


def _to_image(pixels: NDArray[np.uint8]) -> QImage:
    """Return an image that owns its pixels (H, W, 3)."""
    rgb = np.ascontiguousarray(pixels)
    height, width = rgb.shape[:2]
    image = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return image.copy()


def _blend(a: QColor, b: QColor, share: float) -> QColor:
    """Return a colour between two."""
    mixed = [
        round(x + (y - x) * share) for x, y in zip(a.getRgb()[:3], b.getRgb()[:3], strict=True)
    ]
    return QColor(*mixed)


# ------------------------------------------------------------------------------- the ruler
def _draw_ruler(painter: QPainter, geometry: Geometry, ink: QColor, fps: float) -> None:
    left, width = geometry.strip
    faint = QColor(ink)
    faint.setAlphaF(0.6)
    last = max(0, geometry.n_frames - 1)
    longest = _label(last, fps)
    needed = painter.fontMetrics().horizontalAdvance(longest) + 28
    step = _choose_step(needed * geometry.span / width)
    first = int(np.ceil(geometry.start / step)) * step
    for frame in range(first, int(min(geometry.start + geometry.span, geometry.n_frames)), step):
        x = geometry.x_of(frame)
        painter.setPen(faint)
        painter.drawLine(QPointF(x, 4), QPointF(x, _RULER))
        number = f"{frame:,}"
        painter.setPen(ink)
        painter.drawText(QPointF(x + 4, 14), number)
        if np.isfinite(fps):
            painter.setPen(faint)
            offset = painter.fontMetrics().horizontalAdvance(number) + 10
            painter.drawText(QPointF(x + offset, 14), format_time(frame, fps))
    if geometry.span < geometry.n_frames:
        painter.fillRect(QRectF(left, 0, width, _ZOOM_BAR), _with_alpha(ink, 0.15))
        begin = geometry.start / geometry.n_frames * width
        length = max(6.0, geometry.span / geometry.n_frames * width)
        painter.fillRect(QRectF(left + begin, 0, length, _ZOOM_BAR), _with_alpha(ink, 0.7))


def _label(frame: int, fps: float) -> str:
    return f"{frame:,}  {format_time(frame, fps)}" if np.isfinite(fps) else f"{frame:,}"


def _choose_step(at_least: float) -> int:
    """Return the smallest 1, 2 or 5 times a power of ten that is large enough."""
    power = 10 ** int(np.floor(np.log10(max(at_least, 1.0))))
    for factor in (1, 2, 5, 10):
        if factor * power >= at_least:
            return int(factor * power)
    raise AssertionError("ten times its power of ten is larger than any number")


def format_time(frame: int, fps: float) -> str:
    """Return the time of a frame as minutes and seconds, with hours where there are any."""
    hundredths = round(frame / fps * 100)
    seconds, hundredths = divmod(hundredths, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{text}.{hundredths:02d}" if hundredths else text


# ------------------------------------------------------------------------------- the curve
def _draw_curve(
    painter: QPainter,
    geometry: Geometry,
    curve: Curve,
    columns: tuple[NDArray[np.int64], NDArray[np.int64]],
    color: QColor,
    ink: QColor,
    ratio: float,
) -> None:
    rect = geometry.curve_rect
    starts, stops = columns
    line: NDArray[np.floating]
    low = high = None
    if geometry.span > len(starts):
        low, high, line = curve.between(starts, stops)
        top = _choose_top(curve, line)
    else:
        frames = np.arange(int(starts[0]), int(stops[-1]))
        values = curve.values[frames]
        top = _choose_top(curve, values)
        centers = geometry.start + (np.arange(len(starts)) + 0.5) * geometry.span / len(starts)
        line = np.interp(centers, frames + 0.5, values)  # NaN beside a frame without a value
        _draw_dots(painter, geometry, frames, values / top, color)
    height = max(1, round(rect.height() * ratio))
    opacity = 0.9 * _stroke(height, line / top, 0.6 * ratio)
    if low is not None and high is not None:
        opacity = np.maximum(opacity, 0.3 * _fill(height, low / top, high / top))
    painter.drawImage(rect, _to_tinted_image(opacity, color))
    painter.setPen(_with_alpha(ink, 0.3))
    painter.drawLine(rect.bottomLeft(), rect.bottomRight())
    painter.setPen(ink)
    name = QRectF(6, rect.top(), geometry.gutter - 12, rect.height())
    painter.drawText(name, Qt.AlignmentFlag.AlignVCenter, curve.kind.title)
    painter.setPen(_with_alpha(ink, 0.7))
    painter.drawText(name, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignRight, f"{top:.3g}")
    painter.drawText(name, Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignRight, "0")


def _choose_top(curve: Curve, shown: NDArray[np.float32]) -> float:
    """Return the upper end of the axis: the ceiling of the curve, or the highest in view."""
    finite = shown[np.isfinite(shown)]
    highest = float(finite.max()) if len(finite) else 0.0
    ceiling = curve.kind.ceiling
    if ceiling is not None and highest <= ceiling:
        return ceiling
    if highest <= 0:
        return 1.0
    return highest if curve.kind.combine == "sum" else highest * 1.1


def _fill(
    height: int, low: NDArray[np.floating], high: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return how much of each pixel lies between two curves of heights 0 to 1, (H, W)."""
    return _cover(height, (1.0 - high) * height, (1.0 - low) * height)


def _stroke(height: int, level: NDArray[np.floating], half_width: float) -> NDArray[np.float32]:
    """Return how much of each pixel a line through heights 0 to 1 covers, (H, W).

    In its column the line goes from half way to its left neighbour to half way to its
    right one; it is broken where it is NaN. Qt's own lines take 20 times as long where a
    curve is noisy.
    """
    y = np.clip(1.0 - level, 0.0, 1.0) * height
    beside = np.append(y[:1], y[:-1]), np.append(y[1:], y[-1:])
    ends = [y, *(np.where(np.isfinite(other), (y + other) / 2, y) for other in beside)]
    return _cover(height, np.min(ends, axis=0) - half_width, np.max(ends, axis=0) + half_width)


def _cover(
    height: int, top: NDArray[np.floating], bottom: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return how much of each pixel of each column lies between two heights, (H, W)."""
    row = np.arange(height, dtype=np.float32)[:, None]
    low = np.nan_to_num(bottom, nan=-1.0).astype(np.float32)
    high = np.nan_to_num(top, nan=height + 1.0).astype(np.float32)
    covered = np.minimum(low, row + 1) - np.maximum(high, row)
    return np.asarray(np.clip(covered, 0, 1), np.float32)


def _to_tinted_image(alpha: NDArray[np.floating], color: QColor) -> QImage:
    """Return an image of one colour from opacities (H, W)."""
    argb = np.empty((*alpha.shape, 4), np.uint8)
    argb[..., :3] = color.getRgb()[2::-1]  # blue, green, red
    argb[..., 3] = np.rint(255 * alpha)
    height, width = alpha.shape
    image = QImage(argb.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32)
    return image.copy()


def _draw_dots(
    painter: QPainter,
    geometry: Geometry,
    frames: NDArray[np.int64],
    level: NDArray[np.floating],
    color: QColor,
) -> None:
    """Draw the values of single frames: those without neighbours, or all if there is room."""
    rect = geometry.curve_rect
    there = np.isfinite(level)
    if rect.width() / geometry.span < _DOT_FROM_PX:
        beside = np.concatenate([[False], there, [False]])
        there = there & ~beside[:-2] & ~beside[2:]
    x = [geometry.x_of(frame + 0.5) for frame in frames[there].tolist()]
    y = rect.bottom() - np.clip(level[there], 0.0, 1.0) * rect.height()
    painter.setClipRect(rect.adjusted(0, -3, 0, 3))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(color, 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    painter.drawPoints(QPolygonF([QPointF(a, b) for a, b in zip(x, y.tolist(), strict=True)]))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setClipping(False)


def _with_alpha(color: QColor, alpha: float) -> QColor:
    other = QColor(color)
    other.setAlphaF(alpha)
    return other
