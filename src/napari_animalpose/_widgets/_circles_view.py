"""Error circles on a real animal, painted by Qt: sharp at any size, values under the mouse."""

from __future__ import annotations

import math

import numpy as np
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_animalpose.drawing.colors import node_colors
from napari_animalpose.pipeline.evaluating import LEVELS, ErrorCircles

__all__ = ["CirclesView", "describe_node"]

REACH_PX = 24.0  # of the mouse, in px of the screen
WIDTHS = (2.0, 1.4, 1.0)  # of the circles of the three levels, px of the screen


class CirclesView(QWidget):
    """The animal as large as there is room, with three circles around each node."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._circles: ErrorCircles | None = None
        self._image = QImage()
        self.setMouseTracking(True)
        self.setMinimumHeight(160)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """As high as wide, about."""
        return QSize(320, 240)

    def set_circles(self, circles: ErrorCircles | None) -> None:
        """Show other circles, or none."""
        self._circles = circles
        self._image = QImage()
        if circles is not None:
            height, width = circles.image.shape[:2]
            pixels = circles.image.tobytes()
            kind = QImage.Format.Format_RGB888
            self._image = QImage(pixels, width, height, 3 * width, kind).copy()
        self.update()

    def node_at(self, x: float, y: float) -> int:
        """Return the node near a place of the widget, -1 if there is none."""
        if self._circles is None:
            return -1
        scale, left, top = self._place()
        spots = (self._circles.xy + 0.5) * scale + (left, top)
        distance = np.hypot(spots[:, 0] - x, spots[:, 1] - y)
        distance[~np.isfinite(distance)] = np.inf
        nearest = int(np.argmin(distance)) if len(distance) else -1
        return nearest if nearest >= 0 and distance[nearest] <= REACH_PX else -1

    def spot_of(self, node: int) -> tuple[float, float]:
        """Return where in the widget a node is."""
        assert self._circles is not None
        scale, left, top = self._place()
        x, y = (self._circles.xy[node] + 0.5) * scale + (left, top)
        return float(x), float(y)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint picture, skeleton and circles."""
        circles = self._circles
        if circles is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        scale, left, top = self._place()
        size = QRectF(left, top, self._image.width() * scale, self._image.height() * scale)
        painter.drawImage(size, self._image)
        painter.setClipRect(size)
        spots = [QPointF(*((xy + 0.5) * scale + (left, top))) for xy in circles.xy]
        known = np.isfinite(circles.xy[:, 0])
        painter.setPen(QPen(QColor(255, 255, 255, 110), 1.0))
        for a, b in circles.skeleton.edges:
            if known[a] and known[b]:
                painter.drawLine(spots[a], spots[b])
        for node, color in enumerate(node_colors(circles.skeleton).tolist()):
            if known[node]:
                self._paint_node(painter, spots[node], circles.radii[node] * scale, QColor(*color))

    def _paint_node(
        self, painter: QPainter, spot: QPointF, radii: np.ndarray, color: QColor
    ) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for radius, width in zip(radii.tolist(), WIDTHS, strict=True):
            if math.isfinite(radius):
                painter.setPen(QPen(color, width))
                painter.drawEllipse(spot, radius, radius)
        if not np.isfinite(radii).any():  # without figures, a cross says where the node is
            painter.setPen(QPen(color, 1.4))
            for dx, dy in ((3, 3), (3, -3)):
                painter.drawLine(spot - QPointF(dx, dy), spot + QPointF(dx, dy))

    def _place(self) -> tuple[float, float, float]:
        """Return px of the widget per px of the image, and where its corner is."""
        width, height = max(1, self._image.width()), max(1, self._image.height())
        scale = min(self.width() / width, self.height() / height)
        return scale, (self.width() - width * scale) / 2, (self.height() - height * scale) / 2

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Tell the figures of the node under the mouse."""
        if event is None:
            return
        node = self.node_at(event.position().x(), event.position().y())
        if node >= 0 and self._circles is not None:
            text = describe_node(self._circles, node)
            QToolTip.showText(event.globalPosition().toPoint(), text, self)
        else:
            QToolTip.hideText()

    def leaveEvent(self, event: QEvent | None) -> None:
        """Take the figures away."""
        QToolTip.hideText()


def describe_node(circles: ErrorCircles, node: int) -> str:
    """Return the figures of a node in words."""
    lines = [circles.skeleton.nodes[node]]
    for level, radius in zip(LEVELS, circles.radii[node].tolist(), strict=True):
        if math.isfinite(radius):
            lines.append(f"{level} % within {radius:.1f} px")
        elif math.isinf(radius):
            lines.append(f"{level} %: more than {100 - level} % were missed")
        else:
            lines.append(f"{level} %: no figure")
    return "\n".join(lines)
