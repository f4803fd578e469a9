"""A validation frame as the network sees it: confidence maps, points, labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.colors import node_colors
from napari_animalpose.nn.validation import ValidationExample

__all__ = ["ValidationView", "color_map", "to_image"]

FAR = 0.2  # of the shorter side: an untrained network errs anywhere


class ValidationView(QWidget):
    """Paints one `nn.validation.ValidationExample`.

    Circles are labels, dots what the network found, lines between them its errors.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._example: ValidationExample | None = None
        self._stride = 1
        self._colors = np.zeros((0, 3), np.uint8)
        self._image = self._map = QImage()
        self.shows_maps = self.shows_labels = True
        self.empty_text = "Examples come with the first validation."
        self.setMinimumHeight(150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """As wide as a dock."""
        return QSize(320, 260)

    def show_example(
        self, example: ValidationExample | None, stride: int, skeleton: Skeleton
    ) -> None:
        """Show another example; `stride` as in `nn.validation.preview_arrays`."""
        self._example, self._stride = example, stride
        if example is not None:
            self._colors = node_colors(skeleton)
            self._image = to_image(example.frame)
            self._map = to_image(color_map(example, self._colors))
        self.update()

    def set_shown(self, maps: bool, labels: bool) -> None:
        """Choose what is drawn over the frame."""
        self.shows_maps, self.shows_labels = maps, labels
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw frame, maps, labels and points, as large as there is room."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if self._example is None:
            ink = self.palette().color(self.foregroundRole())
            ink.setAlphaF(0.6)
            painter.setPen(ink)
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(QRectF(self.rect()), flags, self.empty_text)
            painter.end()
            return
        height, width = self._example.frame.shape[:2]
        zoom = min(self.width() / width, self.height() / height)
        painter.translate(
            (self.width() - zoom * width) / 2 + zoom / 2,
            (self.height() - zoom * height) / 2 + zoom / 2,
        )  # the centre of pixel (0, 0) is the origin
        painter.scale(zoom, zoom)
        painter.drawImage(QRectF(-0.5, -0.5, width, height), self._image)
        painter.setClipRect(QRectF(-0.5, -0.5, width, height))
        if self.shows_maps:
            rows, columns = self._example.confidence.shape
            half, stride = self._stride / 2, self._stride
            painter.drawImage(QRectF(-half, -half, columns * stride, rows * stride), self._map)
        self._draw_points(painter, zoom)
        painter.end()

    def _draw_points(self, painter: QPainter, zoom: float) -> None:
        assert self._example is not None
        radius = 4.0 / zoom
        pairs = zip(self._example.truth, self._example.points, strict=True)
        for truth, found in pairs:
            for node, (label, point) in enumerate(zip(truth, found, strict=True)):
                color = QColor(*self._colors[node].tolist())
                if self.shows_labels and np.isfinite(label).all():
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    painter.setPen(QPen(QColor("white"), 1.4 / zoom))
                    painter.drawEllipse(QPointF(*label), radius, radius)
                    if np.isfinite(point).all():
                        self._draw_error(painter, label, point, zoom)
                if np.isfinite(point).all():
                    painter.setPen(QPen(QColor("black"), 0.8 / zoom))
                    painter.setBrush(color)
                    painter.drawEllipse(QPointF(*point), 0.6 * radius, 0.6 * radius)

    def _draw_error(
        self, painter: QPainter, label: NDArray[np.float32], point: NDArray[np.float32], zoom: float
    ) -> None:
        """Draw the way from a label to what was found; faintly where that is far off."""
        assert self._example is not None
        is_far = np.hypot(*(point - label)) > FAR * min(self._example.frame.shape[:2])
        color = QColor("white")
        color.setAlphaF(0.25 if is_far else 1.0)
        painter.setPen(QPen(color, (0.7 if is_far else 1.4) / zoom))
        painter.drawLine(QPointF(*label), QPointF(*point))


def color_map(example: ValidationExample, colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the confidence as RGBA (rows, columns, 4): colour of the node, alpha by height."""
    rgba = np.empty((*example.confidence.shape, 4), np.uint8)
    rgba[..., :3] = colors[example.node]
    rgba[..., 3] = np.rint(190 * example.confidence.astype(np.float32)).astype(np.uint8)
    return rgba


def to_image(pixels: NDArray[np.uint8]) -> QImage:
    """Return a picture (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) for Qt to paint, copied."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    pixels = np.ascontiguousarray(pixels, np.uint8)
    height, width = pixels.shape[:2]
    formats = QImage.Format
    kind = {1: formats.Format_Grayscale8, 3: formats.Format_RGB888, 4: formats.Format_RGBA8888}
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    image = QImage(pixels.tobytes(), width, height, width * channels, kind[channels])
    return image.copy()
