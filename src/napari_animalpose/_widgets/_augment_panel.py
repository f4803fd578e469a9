"""Training windows of a real frame, changed at random as training changes them."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_animalpose import jobs
from napari_animalpose._widgets._flow import make_row
from napari_animalpose._widgets._validation_view import to_image
from napari_animalpose._widgets._worker import call_when_destroyed
from napari_animalpose.config import RunConfig
from napari_animalpose.data.project import Project
from napari_animalpose.drawing.colors import node_colors
from napari_animalpose.nn.heads import CENTRED_HEADS
from napari_animalpose.pipeline.background import open_augmenter
from napari_animalpose.pipeline.previews import AugmentationPreview

__all__ = ["AugmentPanel"]

COUNT = 6
PAUSE_MS, POLL_MS = 250, 50


class _Windows(QWidget):
    """Paints the windows of a preview in a grid."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._images: list[QImage] = []
        self._points: list[Any] = []
        self._colors = np.zeros((0, 3), np.uint8)
        self.text = "Drawing …"
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumHeight(60)

    def set_preview(self, preview: AugmentationPreview, colors: Any) -> None:
        """Show other windows."""
        self._images = [to_image(window.image) for window in preview.windows]
        self._points = [window.xy for window in preview.windows]
        self._colors = colors
        self.updateGeometry()
        self.update()

    def set_text(self, text: str) -> None:
        """Say something in the place of windows."""
        self.text, self._images = text, []
        self.updateGeometry()
        self.update()

    @property
    def _columns(self) -> int:
        return 3 if self.width() < 600 else COUNT

    def sizeHint(self) -> QSize:
        """As high as the rows need."""
        if not self._images:
            return QSize(300, 60)
        side = self.width() / self._columns
        ratio = self._images[0].height() / max(1, self._images[0].width())
        rows = math.ceil(len(self._images) / self._columns)
        return QSize(300, min(900, math.ceil(rows * side * ratio)))

    def resizeEvent(self, event: object) -> None:
        """Follow the width."""
        self.updateGeometry()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the windows and their points."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if not self._images:
            ink = self.palette().color(self.foregroundRole())
            ink.setAlphaF(0.7)
            painter.setPen(ink)
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(QRectF(self.rect()), flags, self.text)
        columns = self._columns
        side = self.width() / columns
        for number, (image, points) in enumerate(zip(self._images, self._points, strict=True)):
            height = side * image.height() / max(1, image.width())
            place = QRectF(number % columns * side, number // columns * height, side, height)
            self._draw(painter, image, points, place.adjusted(1, 1, -1, -1))
        painter.end()

    def _draw(self, painter: QPainter, image: QImage, points: Any, place: QRectF) -> None:
        painter.save()
        painter.setClipRect(place)
        painter.drawImage(place, image)
        zoom = place.width() / image.width()
        painter.setPen(QPen(QColor("black"), 0.6))
        for animal in points:
            for node, (x, y) in enumerate(animal):
                if np.isfinite([x, y]).all():
                    painter.setBrush(QColor(*self._colors[node].tolist()))
                    at = QPointF(place.left() + (x + 0.5) * zoom, place.top() + (y + 0.5) * zoom)
                    painter.drawEllipse(at, 2.4, 2.4)
        painter.restore()


class AugmentPanel(QWidget):
    """Windows as training sees them, drawn in a child process while the panel is shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._worker: jobs.Worker | None = None
        # A panel that is destroyed while it is shown gets no hide event.
        opened = self._open = list[jobs.Worker]()
        call_when_destroyed(self, partial(_close_all, opened))
        self._wanted: tuple[Project, RunConfig] | None = None
        self._seed = 0
        self._ticket = -1
        self.windows = _Windows()
        self.caption = QLabel()
        self.caption.setWordWrap(True)
        self.again = QPushButton("Other examples")
        self.again.setToolTip("Draw other windows, changed in other ways")
        self.again.clicked.connect(self._draw_others)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.windows)
        column.addWidget(make_row((self.again, self.caption)))
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._ask)
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._poll.timeout.connect(self._read)

    def set_wanted(self, project: Project | None, config: RunConfig | None) -> None:
        """Draw for other labels or another configuration, soon."""
        self._wanted = None if project is None or config is None else (project, config)
        if self.isVisible():
            self._pause.start()

    def showEvent(self, event: object) -> None:
        """Draw what is wanted now."""
        self._pause.start()

    def hideEvent(self, event: object) -> None:
        """End the child: nobody looks."""
        self.close_worker()

    def close_worker(self) -> None:
        """End the child process."""
        self._pause.stop()
        self._poll.stop()
        if self._worker is not None:
            self._worker.close()
            self._worker = None
            self._open.clear()

    def _draw_others(self) -> None:
        self._seed += 1
        self._ask()

    def _ask(self) -> None:
        if self._wanted is None:
            self.windows.set_text("Needs labels and a configuration without mistakes.")
            self.caption.setText("")
            return
        if self._worker is None or self._worker.outcome is not None:
            self._worker = jobs.Worker(open_augmenter, nice=3)
            self._open[:] = [self._worker]
        project, config = self._wanted
        options = {"count": COUNT, "seed": self._seed}
        self._ticket = self._worker.ask((project, config, options)).number
        self._poll.start()

    def _read(self) -> None:
        if self._worker is None:
            return
        for ticket in self._worker.poll():
            if isinstance(ticket.outcome, jobs.Result) and self._wanted is not None:
                self._show(ticket.outcome.value)
            elif isinstance(ticket.outcome, jobs.Failed):
                self.windows.set_text(ticket.outcome.message)
                self.caption.setText("")
            if ticket.number == self._ticket:
                self._poll.stop()

    def _show(self, preview: AugmentationPreview) -> None:
        assert self._wanted is not None
        self.windows.set_preview(preview, node_colors(self._wanted[0].skeleton))
        video = f"video {preview.video + 1}, " if preview.video else ""
        kind = "crops" if preview.network in CENTRED_HEADS else "windows"
        self.caption.setText(f"{kind} of {video}frame {preview.frame}")


def _close_all(workers: list[jobs.Worker]) -> None:
    for worker in workers:
        worker.close()
