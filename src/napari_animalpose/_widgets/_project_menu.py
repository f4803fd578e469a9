"""What can be done to a project as a whole: open, save, videos, merge, export."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_animalpose._widgets._merge_dialog import MergeDialog
from napari_animalpose._widgets._session import Session
from napari_animalpose.pipeline.files import read, write

__all__ = ["ProjectMenu"]

_EXPORTS = (
    "Analysis HDF5 (*.analysis.h5);;CSV (*.csv);;NWB (*.nwb);;COCO (*.json);;"
    "Labels with images (*.pkg.slp);;SLEAP labels (*.slp)"
)


class ProjectMenu(QMenu):
    """The menu of the dock Label.

    Parameters
    ----------
    session : Session
    parent : QWidget, optional
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setToolTipsVisible(True)
        for text, tip, action in (
            ("Open…", "Open other labels or another video", self.open),
            ("New from videos…", "Begin another project", self.new),
            ("Close", "Close the project", self.close_project),
            ("", "", None),
            ("Save as…", "Save under another name", session.save_as),
            ("Export…", "Poses for other programs; the project stays as it is", self.export),
            ("", "", None),
            ("Add videos…", "Add videos to the project", self.add_videos),
            ("Find this video…", "Say where the file of the video in view is now", self.relink),
            ("Find all videos in a folder…", "Look for missing videos", self.relink_all),
            ("", "", None),
            ("Merge labels…", "Add the labels of another file, after a look at both", self.merge),
            ("Bring back layers", "Make layers anew that were deleted", session.restore_layers),
        ):
            if action is None:
                self.addSeparator()
                continue
            entry = self.addAction(text)
            assert entry is not None
            entry.setToolTip(tip)
            entry.triggered.connect(lambda checked=False, call=action: call())

    def open(self) -> None:
        """Ask for labels or a video and open them in place of the project."""
        path = self._session.dialogs.ask_open_path()
        if path is not None:
            self._session.open(path)

    def new(self) -> None:
        """Ask for videos and begin another project with them."""
        paths = self._session.dialogs.ask_videos("Videos of the new project")
        if paths:
            self._session.open_new(paths)

    def close_project(self) -> None:
        """Close the project, after asking about unsaved work."""
        if self._session.may_close():
            self._session.set_document(None)

    def add_videos(self) -> None:
        """Ask for videos and add them."""
        session, document = self._session, self._session.document
        paths = session.dialogs.ask_videos()
        if paths and document is not None:
            edit = session.attempt(lambda: document.add_videos(paths))
            if edit is not None and session.do(edit):
                session.go_to(0, len(document.videos) - len(paths))

    def relink(self) -> None:
        """Ask where the video in view is."""
        session, document = self._session, self._session.document
        paths = session.dialogs.ask_videos("Where is this video now?")[:1]
        if paths and document is not None:
            where: dict[int | str, str] = {session.video: str(paths[0])}
            edit = session.attempt(lambda: document.relink(where))
            if edit is not None:
                session.do(edit)

    def relink_all(self) -> None:
        """Ask for a folder in which to look for missing videos."""
        session, document = self._session, self._session.document
        folder = session.dialogs.ask_folder("Folder with the videos")
        if folder is not None and document is not None:
            edit = session.attempt(lambda: document.relink(folder))
            if edit is not None:
                session.do(edit)

    def merge(self) -> None:
        """Ask for another label file, show what differs, and merge it."""
        session = self._session
        path = session.dialogs.ask_open_path("Labels to merge")
        if path is None or session.document is None:
            return
        other = session.attempt(lambda: read(path))
        if other is not None:
            MergeDialog(session, other, parent=session.window).run()

    def export(self) -> None:
        """Ask for a file and write the poses for other programs."""
        session = self._session
        if session.document is None:
            return
        start = str(Path(session.document.name).with_suffix(".csv"))
        chosen, _ = QFileDialog.getSaveFileName(session.window, "Export poses", start, _EXPORTS)
        if not chosen:
            return
        project = session.document.project
        written = session.attempt(lambda: write(project, chosen))
        if written:
            session.show_info("Wrote " + ", ".join(str(path) for path in written))
