"""How a skeleton is painted: edges with arrows, nodes, names that do not cover each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import (
    QColor,
    QFontMetricsF,
    QIcon,
    QPainter,
    QPainterPath,
    QPen,
    QPixmap,
    QPolygonF,
)

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.skeleton_templates import SkeletonTemplate
from napari_animalpose.drawing.colors import edge_colors, node_colors

__all__ = ["Marks", "SkeletonPainter", "template_icon"]

RADIUS = 5.5  # of a node, in px of the screen
_ARROW = 5.0
_GAP = 3.0  # between a node and its name
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Marks:
    """What stands out in a drawing, by number of the node or of the edge."""

    selected: int | None = None
    hovered: int | None = None
    source: int | None = None
    edge: int | None = None
    wrong: frozenset[int] = field(default_factory=frozenset)


class SkeletonPainter:
    """Paints one skeleton at given points.

    Parameters
    ----------
    skeleton : Skeleton
        K nodes, E edges.
    points : array of float64, shape (K, 2)
        (x, y) in px of the painted device.
    colors : array of uint8, shape (K, 3)
    radius : float
        Of the nodes, px.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        points: Floats,
        colors: NDArray[np.uint8],
        radius: float = RADIUS,
    ) -> None:
        self.skeleton, self.points, self.radius = skeleton, points, radius
        self.colors = [QColor(*color) for color in colors.tolist()]

    def paint_pairs(self, painter: QPainter, color: QColor) -> None:
        """Draw a dotted line between the two of each symmetric pair."""
        pen = QPen(color, 1.2, Qt.PenStyle.DotLine)
        painter.setPen(pen)
        for a, b in self.skeleton.symmetries:
            painter.drawLine(QPointF(*self.points[a]), QPointF(*self.points[b]))

    def paint_edges(self, painter: QPainter, marks: Marks, width: float = 2.0) -> None:
        """Draw the edges in the colour of the node they lead to, an arrow on each."""
        for number, (a, b) in enumerate(self.skeleton.edges):
            strong = number == marks.edge
            self._paint_arrow(
                painter,
                self.points[a],
                self.points[b],
                self.colors[b],
                width * (2.2 if strong else 1.0),
            )

    def _paint_arrow(
        self, painter: QPainter, start: Floats, stop: Floats, color: QColor, width: float
    ) -> None:
        length = float(np.hypot(*(stop - start)))
        painter.setPen(QPen(color, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(QPointF(*start), QPointF(*stop))
        if length < 2.5 * self.radius + _ARROW:
            return
        along = (stop - start) / length
        across = np.array([-along[1], along[0]])
        tip = stop - along * (self.radius + max(1.0, 0.22 * (length - 2 * self.radius)))
        size = _ARROW * self.radius / RADIUS + width / 2
        foot = tip - along * 1.6 * size
        corners = (tip, foot + across * size * 0.8, foot - across * size * 0.8)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def paint_nodes(self, painter: QPainter, marks: Marks, outline: QColor, warn: QColor) -> None:
        """Draw the nodes: a ring around roots, a thick outline around what is marked."""
        roots = self.roots()
        for node, point in enumerate(self.points):
            center = QPointF(*point)
            strong = node in (marks.selected, marks.hovered, marks.source)
            painter.setBrush(self.colors[node])
            painter.setPen(QPen(outline, 2.0 if strong else 1.0))
            radius = self.radius + (1.5 if strong else 0.0)
            painter.drawEllipse(center, radius, radius)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            if node in marks.wrong or node in roots:
                painter.setPen(QPen(warn if node in marks.wrong else outline, 1.4))
                painter.drawEllipse(center, self.radius + 4.0, self.radius + 4.0)

    def roots(self) -> frozenset[int]:
        """Nodes from which edges start and to which none leads."""
        targets = {destination for _, destination in self.skeleton.edges}
        return frozenset(source for source, _ in self.skeleton.edges) - targets

    def paint_names(
        self, painter: QPainter, marks: Marks, area: QRectF, text: QColor, halo: QColor
    ) -> None:
        """Write the names beside the nodes; those without room only when pointed at."""
        painter.setBrush(Qt.BrushStyle.NoBrush)
        metrics = QFontMetricsF(painter.font())
        for node, box in place_names(metrics, self, marks, area).items():
            path = QPainterPath()
            baseline = box.center().y() + (metrics.ascent() - metrics.descent()) / 2
            path.addText(QPointF(box.x() + 2, baseline), painter.font(), self.skeleton.nodes[node])
            painter.strokePath(path, QPen(halo, 3.5))  # edges below the name do not cross it out
            painter.fillPath(path, text)


def place_names(
    metrics: QFontMetricsF, drawing: SkeletonPainter, marks: Marks, area: QRectF
) -> dict[int, QRectF]:
    """Return where names go: none covers a node or another name, or leaves the area.

    Of the places that are left, the one is taken that covers least of the edges.

    Parameters
    ----------
    metrics : QFontMetricsF
    drawing : SkeletonPainter
    marks : Marks
        Nodes that stand out come first.
    area : QRectF
    """
    radius = drawing.radius
    taken = [
        QRectF(x - radius, y - radius, 2 * radius, 2 * radius) for x, y in drawing.points.tolist()
    ]
    first = [n for n in (marks.source, marks.selected, marks.hovered) if n is not None]
    order = dict.fromkeys([*first, *range(len(drawing.points))])
    centre = drawing.points.mean(axis=0) if len(drawing.points) else np.zeros(2)
    on_edges = _sample_edges(drawing)
    boxes: dict[int, QRectF] = {}
    for node in order:
        name = drawing.skeleton.nodes[node]
        size = QSize(int(metrics.horizontalAdvance(name)) + 4, int(metrics.height()))
        candidates = list(_candidates(drawing.points[node], centre, size, radius))
        free = [b for b in candidates if area.contains(b) and not _covers(b, taken)]
        crossed = [_count_inside(b, on_edges) for b in free]
        box = free[int(np.argmin(crossed))] if free else None
        if box is None and node in first:
            box = candidates[0]
        if box is not None:
            boxes[node] = box
            taken.append(box)
    return boxes


def _candidates(point: Floats, centre: Floats, size: QSize, radius: float) -> Iterable[QRectF]:
    """Yield boxes around a node: outwards first, so that names stay clear of the edges."""
    x, y = point.tolist()
    width, height, gap = size.width(), size.height(), radius + _GAP
    outwards = point - centre
    right = QRectF(x + gap, y - height / 2, width, height)
    left = QRectF(x - gap - width, y - height / 2, width, height)
    above = QRectF(x - width / 2, y - gap - height, width, height)
    below = QRectF(x - width / 2, y + gap, width, height)
    sides = [right, left] if outwards[0] >= -1 else [left, right]
    ends = [below, above] if outwards[1] >= 0 else [above, below]
    upright = abs(outwards[1]) > 2.5 * abs(outwards[0]) and abs(outwards[1]) > 3 * radius
    yield from [*ends, *sides] if upright else [*sides, *ends]
    for side in sides:
        for shift in (-0.6, 0.6, -1.0, 1.0):
            yield side.translated(0, shift * height)


def _sample_edges(drawing: SkeletonPainter) -> Floats:
    """Return points along all edges, close enough to tell which names they cross, (n, 2)."""
    edges = drawing.skeleton.edge_array
    share = np.linspace(0, 1, 33)[:, None, None]
    start, stop = drawing.points[edges[:, 0]], drawing.points[edges[:, 1]]
    samples: Floats = (start + (stop - start) * share).reshape(-1, 2)
    return samples


def _count_inside(box: QRectF, points: Floats) -> int:
    low, high = (box.left(), box.top()), (box.right(), box.bottom())
    return int(np.count_nonzero(((points >= low) & (points <= high)).all(axis=1)))


def _covers(box: QRectF, others: Sequence[QRectF]) -> bool:
    return any(box.intersects(other) for other in others)


def template_icon(template: SkeletonTemplate, side: int, ratio: float = 1.0) -> QIcon:
    """Return a picture of a template, `side` px wide and high on a screen of this ratio."""
    pixmap = QPixmap(round(side * ratio), round(side * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    skeleton, margin = template.skeleton, 0.09 * side
    points = template.layout * (side - 2 * margin) + margin
    drawing = SkeletonPainter(skeleton, points, node_colors(skeleton), radius=max(2.0, side / 40))
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for (a, b), color in zip(skeleton.edges, edge_colors(skeleton).tolist(), strict=True):
        painter.setPen(QPen(QColor(*color), max(1.2, side / 60)))
        painter.drawLine(QPointF(*points[a]), QPointF(*points[b]))
    painter.setPen(Qt.PenStyle.NoPen)
    for point, color in zip(points, drawing.colors, strict=True):
        painter.setBrush(color)
        painter.drawEllipse(QPointF(*point), drawing.radius, drawing.radius)
    painter.end()
    return QIcon(pixmap)
