"""The overviews of the videos that are open, shared by docks and actions of one session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_animalpose.data.frame_navigation import find_frame
from napari_animalpose.data.history import Change
from napari_animalpose.data.overview import FrameKind, Overview
from napari_animalpose.data.poses import FrameKey
from napari_animalpose.errors import VideoError

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["KIND_TITLES", "Overviews", "get_overviews"]

KIND_TITLES = {
    FrameKind.LABELLED: "Labelled",
    FrameKind.PREDICTED: "Predicted",
    FrameKind.SUGGESTED: "Suggested",
    FrameKind.FLAGGED: "Flagged",
    FrameKind.EMPTY: "Empty",
    FrameKind.UNLABELLED: "Not labelled",
}
"""What the window calls the kinds of frames, in the order in which it shows them."""


def get_overviews(session: Session) -> Overviews:
    """Return the overviews of a session, made on first use and kept up to date since."""
    found = session.findChild(Overviews)
    return found if isinstance(found, Overviews) else Overviews(session)


class Overviews(QObject):
    """An overview of each video that somebody asked for; it follows every edit.

    Signals
    -------
    changed
        Something that an overview says has changed, or another document is open.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._made: dict[int, Overview] = {}
        session.document_changed.connect(self._forget)
        session.edited.connect(self._follow)
        session.marks_changed.connect(self._read_marks)

    # ------------------------------------------------------------------------- asking
    @property
    def shown(self) -> Overview | None:
        """The overview of the video in view; None where nothing is open."""
        document = self._session.document
        if document is None or not document.videos:
            return None
        return self.of(self._session.video)

    def of(self, video: int) -> Overview:
        """Return the overview of a video of the open document."""
        if video not in self._made:
            document = self._session.document
            assert document is not None, "there is no video without a document"
            self._made[video] = Overview(document.poses, video, self._count_frames(video))
            self._mark(self._made[video])
        return self._made[video]

    def find(self, kind: FrameKind, step: int = 1, *, wrap: bool = True) -> FrameKey | None:
        """Return the next or previous frame of a kind in all videos; None if there is none."""
        document = self._session.document
        if document is None or not document.videos:
            return None
        here = self._session.video, self._session.frame
        return find_frame(self.of, len(document.videos), kind, here, step, wrap=wrap)

    # ------------------------------------------------------------------------- going
    def go(self, kind: FrameKind, step: int = 1) -> bool:
        """Go to the next or previous frame of a kind; say so if there is no other."""
        found = self.find(kind, step)
        here = self._session.video, self._session.frame
        if found is None or found == here:
            what = KIND_TITLES[kind].lower()
            self._session.show_info(
                f"No other {what} frame." if found else f"There is no {what} frame."
            )
            return False
        self._session.go_to(found.frame, found.video)
        return True

    def go_to_end(self, kind: FrameKind, step: int) -> bool:
        """Go to the first (-1) or last (1) frame of a kind in the video in view."""
        shown = self.shown
        if shown is None:
            return False
        if step < 0:
            found = shown.find_next(0, kind)
        else:
            found = shown.find_previous(shown.n_frames - 1, kind)
        if found is None:
            what = KIND_TITLES[kind].lower()
            self._session.show_info(f"There is no {what} frame in this video.")
            return False
        self._session.go_to(found)
        return True

    # ------------------------------------------------------------------------- internals
    def _count_frames(self, video: int) -> int:
        document = self._session.document
        assert document is not None
        if video == self._session.video:
            return int(self._session.n_frames)
        try:
            return len(document.videos[video])
        except VideoError:
            return 0  # the overview is as long as its poses need

    def _forget(self) -> None:
        self._made.clear()
        self.changed.emit()

    def _follow(self, change: Change) -> None:
        document = self._session.document
        if document is None or change.videos:
            self._forget()
            return
        updated = [o.update(document.poses, change.frames) for o in self._made.values()]
        if any(updated) or change.tracks:
            self.changed.emit()

    def _read_marks(self) -> None:
        if self._session.document is None:
            return
        new = [self._mark(overview) for overview in self._made.values()]  # all of them, always
        if any(new):
            self.changed.emit()

    def _mark(self, overview: Overview) -> bool:
        document = self._session.document
        assert document is not None
        flagged = self._session.flagged_frames(overview.video)
        new = [
            overview.set_marks(FrameKind.SUGGESTED, _of(document.suggestions, overview.video)),
            overview.set_marks(FrameKind.EMPTY, _of(document.negative_frames, overview.video)),
            overview.set_marks(FrameKind.FLAGGED, flagged),
        ]
        return any(new)


def _of(frames: NDArray[np.int32], video: int) -> NDArray[np.int32]:
    """Return the frames of one video among (F, 2)."""
    return np.asarray(frames[frames[:, 0] == video, 1], np.int32)
