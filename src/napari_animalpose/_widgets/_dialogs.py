"""What the window asks, in one place, so that tests can answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox, QWidget

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session
    from napari_animalpose.pipeline.document import Document

__all__ = ["Dialogs", "busy_cursor"]

Answer = Literal["save", "discard", "cancel"]
Overwrite = Literal["overwrite", "save as", "cancel"]
_LABELS = "Labels (*.slp *.h5 *.hdf5 *.csv *.json *.nwb *.yaml *.yml *.mat);;All files (*)"
_VIDEOS = "Videos (*.mp4 *.avi *.mov *.mkv *.m4v *.webm *.mpg *.mpeg *.tif *.tiff *.h5);;All (*)"


@contextmanager
def busy_cursor() -> Generator[None, None, None]:
    """Show that the window does not answer for a moment."""
    QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
    try:
        yield
    finally:
        QApplication.restoreOverrideCursor()


class Dialogs:
    """Modal questions over the window of a session; replace methods to answer in tests."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def parent(self) -> QWidget | None:
        """The window, so that dialogs have its theme."""
        return self._session.window

    def ask_to_save(self, document: Document) -> Answer:
        """Ask what to do with unsaved work."""
        box = QMessageBox(self.parent)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Unsaved work")
        box.setText(f"{document.name} has changes that are not saved.")
        box.setInformativeText("Save them before it is closed?")
        buttons = QMessageBox.StandardButton
        box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
        box.setDefaultButton(buttons.Save)
        answers: dict[int, Answer] = {
            int(buttons.Save.value): "save",
            int(buttons.Discard.value): "discard",
        }
        return answers.get(int(box.exec()), "cancel")

    def ask_about_other_changes(self, document: Document) -> Overwrite:
        """Ask what to do where the file is no longer what was opened."""
        assert document.path is not None
        box = QMessageBox(self.parent)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Changed on disk")
        box.setText(f"{document.path.name} was changed by another program.")
        box.setInformativeText(
            "To write over it loses what the other program wrote. Saved under another name, the "
            "two can be merged: Project > Merge labels."
        )
        over = box.addButton("Write over it", QMessageBox.ButtonRole.DestructiveRole)
        other = box.addButton("Save as …", QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(other)
        box.exec()
        if box.clickedButton() is over:
            return "overwrite"
        return "save as" if box.clickedButton() is other else "cancel"

    def confirm(self, title: str, text: str, detail: str = "", yes: str = "Continue") -> bool:
        """Ask a question with one way to go on."""
        box = QMessageBox(self.parent)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(title)
        box.setText(text)
        box.setInformativeText(detail)
        go_on = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.exec()
        return box.clickedButton() is go_on

    def ask_save_path(self, document: Document) -> Path | None:
        """Ask where to save labels."""
        start = str(document.path or _beside(document))
        chosen, _ = QFileDialog.getSaveFileName(
            self.parent, "Save labels as", start, "SLEAP labels (*.slp)"
        )
        if not chosen:
            return None
        path = Path(chosen)
        return path if path.suffix else path.with_suffix(".slp")

    def ask_open_path(self, title: str = "Open labels or a video") -> Path | None:
        """Ask for one file to open."""
        everything = f"{_LABELS.rsplit(';;', 1)[0]};;{_VIDEOS.rsplit(';;', 1)[0]};;All files (*)"
        chosen, _ = QFileDialog.getOpenFileName(self.parent, title, "", everything)
        return Path(chosen) if chosen else None

    def ask_videos(self, title: str = "Add videos") -> list[Path]:
        """Ask for any number of videos."""
        chosen, _ = QFileDialog.getOpenFileNames(self.parent, title, "", _VIDEOS)
        return [Path(name) for name in chosen]

    def ask_file(self, title: str, kinds: str = "All files (*)") -> Path | None:
        """Ask for one file of some kinds, as Qt writes them: "Zip files (*.zip)"."""
        chosen, _ = QFileDialog.getOpenFileName(self.parent, title, "", kinds)
        return Path(chosen) if chosen else None

    def ask_folder(self, title: str) -> Path | None:
        """Ask for a folder."""
        chosen = QFileDialog.getExistingDirectory(self.parent, title)
        return Path(chosen) if chosen else None


def _beside(document: Document) -> Path:
    """Propose a name beside the first video."""
    if document.videos:
        source = Path(document.videos[0].source.split("::")[0])
        return source.with_suffix(".slp")
    return Path("labels.slp")
