"""Which frames: a choice, what it needs, and how many that are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from napari_animalpose.errors import AnimalPoseError
from napari_animalpose.pipeline.frame_choice import FRAME_CHOICES, FrameContext, choose_frames

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["FramesRow"]

PAUSE_MS = 120  # after an edit, before frames are counted again


class FramesRow(QWidget):
    """A choice of `FRAME_CHOICES` and how many frames it means now.

    Attributes
    ----------
    changed : Signal()
        The frames or what is in the way are others.
    problem : str
        Why there are no frames; "" if there are.
    frames : array of int64, shape (F, 2)
        (video, frame) as counted last.
    """

    changed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.problem = ""
        self.frames: NDArray[np.int64] = np.zeros((0, 2), np.int64)
        self._seed = self._video = 0
        self._build()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.count_frames)
        self.choice.currentIndexChanged.connect(self.count_frames)
        self.count.valueChanged.connect(self.count_frames)
        session.document_changed.connect(self.count_frames)
        session.marks_changed.connect(self._pause.start)
        session.edited.connect(self._on_edited)
        session.frame_changed.connect(self._on_frame)
        self.count_frames()

    def _build(self) -> None:
        self.choice = QComboBox()
        for name in FRAME_CHOICES:
            self.choice.addItem(FRAME_CHOICES.get(name).label, name)
        self.choice.setCurrentIndex(self.choice.findData("video"))
        self.choice.setToolTip("The frames to look at")
        self.choice.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.choice.setMinimumContentsLength(8)
        self.count = QSpinBox()
        self.count.setRange(1, 1_000_000)
        self.count.setValue(20)
        self.count.setMaximumWidth(92)
        self.count.setToolTip("How many frames to draw; frames with labels are left out")
        self.text = QLabel()
        self.text.setWordWrap(True)
        row = QHBoxLayout()
        row.setSpacing(3)
        row.addWidget(self.choice, 1)
        row.addWidget(self.count)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.text)

    @property
    def name(self) -> str:
        """Name of the choice in `FRAME_CHOICES`."""
        return str(self.choice.currentData())

    def choose(self, name: str) -> None:
        """Choose by name."""
        self.choice.setCurrentIndex(self.choice.findData(name))

    def draw_others(self) -> None:
        """Have other random frames the next time."""
        self._seed += 1
        if FRAME_CHOICES.get(self.name).needs_count:
            self.count_frames()

    def count_frames(self, *args: Any) -> None:
        """Find the frames anew, and say how many there are or what is missing."""
        self._pause.stop()
        session, document = self.session, self.session.document
        self._video = session.video
        choice = FRAME_CHOICES.get(self.name)
        self.count.setVisible(choice.needs_count)
        self.frames, self.problem, text = np.zeros((0, 2), np.int64), "", ""
        if document is not None:
            context = FrameContext(
                session.video, session.frame, session.selected_range, self.count.value(), self._seed
            )
            try:
                self.frames = choose_frames(document.project, self.name, context)
            except AnimalPoseError as error:
                self.problem = str(error)
            if choice.needs_range and session.selected_range is None:
                self.problem = "Select a range first: drag along the timeline with Shift held down."
            elif not self.problem and not len(self.frames):
                self.problem = _explain_none(self.name)
            text = "" if self.problem else _describe(self.frames, choice.needs_range, session)
        self.text.setText(text)
        self.text.setVisible(bool(text))
        self.changed.emit()

    def _on_edited(self, change: Any) -> None:
        self._pause.start()

    def _on_frame(self, video: int, frame: int) -> None:
        if self.name == "current":
            self.count_frames()
        elif video != self._video:
            self._pause.start()


def _explain_none(name: str) -> str:
    known = {
        "suggested": "No frames are suggested: have some chosen in the Review dock.",
        "labelled": "There are no labelled frames yet.",
        "unlabelled": "Every frame has labels.",
        "unpredicted": "Every frame has predictions.",
    }
    return known.get(name, "There are no such frames.")


def _describe(frames: NDArray[np.int64], is_range: bool, session: Session) -> str:
    n = len(frames)
    if is_range and session.selected_range is not None:
        first, last = session.selected_range
        return f"Frames {first:,} to {last:,}: {n:,}"
    n_videos = len(np.unique(frames[:, 0]))
    where = f" of {n_videos} videos" if n_videos > 1 else ""
    return f"{n:,} frame{'s' if n != 1 else ''}{where}"
