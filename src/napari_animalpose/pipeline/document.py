"""An open project: its live table, its edits, what is on disk of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.edit_kinds import Edit, TableEdit
from napari_animalpose.data.edit_sequence import EditSequence
from napari_animalpose.data.edits import delete_instances
from napari_animalpose.data.history import Change, History
from napari_animalpose.data.mark_edits import Marks, MarksEdit, mark_empty, suggest_frames
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.video import Video
from napari_animalpose.errors import AnimalPoseError, DataError, OutputError
from napari_animalpose.io.journal import Journal, Recovery, fingerprint, has_changed
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_edits import VideosEdit, describe_video, video_from_description
from napari_animalpose.pipeline.false_marks import end_false_marks
from napari_animalpose.pipeline.files import read

__all__ = ["Document"]

FilePath = str | PathLike[str]
T = TypeVar("T")


class Document:
    """A project that is being worked on.

    Everything that changes goes through `do`: it is reversible, written to a journal that
    survives the process, and told to the listeners.

    Parameters
    ----------
    project : Project
        Its table becomes the live table: nobody else may change it.
    journal_folder : Path, optional
        Where the journal is kept; by default `io.journal.journal_folder`.

    Attributes
    ----------
    poses : Poses
        The live table.
    marks : Marks
        Suggested frames, and frames that are empty on purpose.
    videos : tuple of Video
    history : History
    path : Path or None
        The ``.slp`` file that `save` writes; None for a project of another format or
        without a file, which has to be named first.
    on_change : list of callables
        Each is called with a `Change` after every edit, undo and redo, in order.
    recovery_note : str
        After `recover` one sentence about what did not come back; else empty.
    """

    def __init__(
        self,
        project: Project,
        *,
        journal_folder: Path | None = None,
        video_dirs: Sequence[FilePath] = (),
    ) -> None:
        self._project = project
        self._video_dirs = [str(Path(folder).resolve()) for folder in video_dirs]
        self.poses: Poses = project.poses
        self.videos: tuple[Video, ...] = project.videos
        self.marks = Marks(project.suggestions, project.negative_frames)
        self.history = History(self.poses, holder=self)
        self.on_change: list[Callable[[Change], None]] = []
        self.history.on_change.append(self._tell)
        source = project.path
        self.path = Path(source) if source and _is_slp(source) else None
        self.recovery_note = ""
        self._recovered = False
        self._in_hand: tuple[Edit, bool] | None = None  # what changes now; whether backwards
        self._saved = fingerprint(project.path)
        is_bare = not (len(self.poses) or len(self.suggestions) or len(self.negative_frames))
        self._journal = Journal(
            self._describe(),
            self._snapshot,
            journal_folder,
            needs_snapshot=self._saved is None and not is_bare,
        )

    @classmethod
    def open(
        cls,
        path: FilePath,
        *,
        video_dirs: FilePath | Sequence[FilePath] = (),
        journal_folder: Path | None = None,
    ) -> Document:
        """Open labels of any known format, a video or a folder; see `pipeline.read`.

        Raises
        ------
        FileFormatError, VideoError
            As `pipeline.read` says.
        """
        folders = [video_dirs] if isinstance(video_dirs, str | PathLike) else list(video_dirs)
        project = read(path, video_dirs=folders)
        if project.path is not None or len(project.poses):
            project = project.replace(path=project.path or str(path))
        return cls(project, journal_folder=journal_folder, video_dirs=folders)

    @classmethod
    def from_videos(
        cls,
        paths: Sequence[FilePath],
        skeleton: Skeleton | None = None,
        *,
        journal_folder: Path | None = None,
    ) -> Document:
        """Begin a project with videos and no labels.

        Raises
        ------
        VideoError
            If one of them cannot be opened.
        DataError
            If there is none.
        """
        if not paths:
            raise DataError("Expected at least one video for a new project; received none.")
        project = Project(_open_videos(paths), Poses.empty(skeleton or Skeleton(())))
        return cls(project, journal_folder=journal_folder)

    @classmethod
    def recover(cls, recovery: Recovery, *, journal_folder: Path | None = None) -> Document:
        """Open a project with the edits of a journal, which goes on with this document.

        If the project's file has changed, edits from the first one on that no longer fits are
        left out: `recovery_note` says how many, and the journal stays where it is.

        Raises
        ------
        FileFormatError, VideoError
            If the project's file cannot be opened, or another window has the journal.
        """
        file = recovery.take()
        try:
            document = cls._open_recorded(recovery.header, journal_folder or recovery.path.parent)
            n_done = document._replay(recovery)
        except BaseException:
            file.close()
            raise
        document._recovered = True
        if n_done == recovery.n_edits:
            document._journal.adopt(file, recovery.path, n_done)
        else:
            file.close()
            document._journal.needs_snapshot = True
            document.recovery_note = (
                f"{n_done} of {recovery.n_edits} edits are back; the others do not fit the file, "
                "which has changed since. They stay on offer until you discard them."
            )
        return document

    @classmethod
    def _open_recorded(cls, header: Mapping[str, Any], folder: Path) -> Document:
        """Open the project that the header of a journal describes."""
        if header.get("source") is not None:
            return cls.open(
                header["source"], video_dirs=header["video_dirs"], journal_folder=folder
            )
        videos = tuple(video_from_description(entry) for entry in header["videos"])
        project = Project(videos, Poses.empty(Skeleton(**header["skeleton"])))
        return cls(project, journal_folder=folder)

    def _replay(self, recovery: Recovery) -> int:
        """Do the edits of a journal, which has them already, and return how many could be done."""
        n_done = 0
        try:
            for edit in recovery.replay(self):
                self.history.do(edit)
                n_done += 1
        except (AnimalPoseError, IndexError, KeyError, ValueError):
            if not recovery.has_changed:
                raise
        return n_done

    # ------------------------------------------------------------------------------ content
    @property
    def project(self) -> Project:
        """The project as it is now; its table is the live one."""
        return self._project.replace(
            videos=self.videos,
            suggestions=self.marks.suggestions,
            negative_frames=self.marks.negative_frames,
        )

    @property
    def skeleton(self) -> Skeleton:
        """The body plan."""
        return self.poses.skeleton

    @property
    def track_names(self) -> tuple[str, ...]:
        """Names of the tracks."""
        return self.poses.track_names

    @property
    def suggestions(self) -> NDArray[np.int32]:
        """Suggested frames, (S, 2) of (video, frame), in order."""
        return self.marks.suggestions

    @property
    def negative_frames(self) -> NDArray[np.int32]:
        """Frames that are empty on purpose, (M, 2) of (video, frame), sorted."""
        return self.marks.negative_frames

    @property
    def suggestion_reasons(self) -> tuple[str, ...]:
        """Why each frame is suggested; empty where nobody said."""
        return self.marks.reasons

    @property
    def name(self) -> str:
        """A short name for titles."""
        if self.path is not None:
            return self.path.name
        if self._project.path:
            return Path(self._project.path).name
        return f"{Path(self.videos[0].name).stem} (new)" if self.videos else "untitled"

    @property
    def is_dirty(self) -> bool:
        """Whether there is work that no file holds."""
        return self._recovered or not self.history.is_clean

    @property
    def has_changed_on_disk(self) -> bool:
        """Whether somebody else has written the file since it was opened or saved here."""
        return self._saved is not None and has_changed(self._project.path, self._saved)

    # ------------------------------------------------------------------------------ editing
    def do(self, edit: Edit) -> None:
        """Carry out an edit that was built from the project as it is now.

        A frame that gets a label loses its mark as empty, in the same step.

        Raises
        ------
        AnimalPoseError
            If the edit is refused; then nothing has changed.
        OutputError
            If the journal cannot be written; the edit is done all the same.
        """
        edit = end_false_marks(edit, self.marks, self.poses)
        self._change(edit, False, lambda: self.history.do(edit))

    def undo(self) -> str:
        """Undo the last edit and return its label.

        Raises
        ------
        IndexError
            If there is nothing to undo.
        """
        return self._change(self.history.next_undo, True, self.history.undo)

    def redo(self) -> str:
        """Do again what was undone last and return its label.

        Raises
        ------
        IndexError
            If there is nothing to redo.
        """
        return self._change(self.history.next_redo, False, self.history.redo)

    def _change(self, edit: Edit | None, backwards: bool, act: Callable[[], T]) -> T:
        """Let the history act; `_tell` then finds in hand what has to be written down."""
        self._in_hand = None if edit is None else (edit, backwards)
        try:
            return act()
        finally:
            self._in_hand = None

    def _tell(self, change: Change) -> None:
        """Write down what was done before anybody else, who may fail, hears of it."""
        in_hand, self._in_hand = self._in_hand, None
        try:
            if in_hand is not None:
                self._journal.append(*in_hand)
        finally:
            for listener in tuple(self.on_change):
                listener(change)

    # -------------------------------------------------------------- edits around the table
    def mark_empty(self, frames: ArrayLike, empty: bool = True) -> Edit:
        """Return the edit that marks frames, (F, 2) of (video, frame), as empty on purpose.

        Their predictions are deleted in the same step.

        Raises
        ------
        DataError
            If one of the frames has labels or there is no such video.
        """
        self._check_frames(frames)
        marks = mark_empty(self.marks, frames, empty)
        if not empty:
            return marks
        pairs = np.unique(np.asarray(frames, np.int64).reshape(-1, 2), axis=0)
        rows = self.poses.take_frames(pairs)
        if rows.is_label.any():
            frame = int(rows.frame[rows.is_label][0])
            raise DataError(
                f"Expected frames without labels to mark as empty; received frame {frame}, which "
                "has some. Delete them first."
            )
        if not len(rows):
            return marks
        gone = [
            (video, frame, position)
            for (video, frame), block in rows
            for position in range(len(block))
        ]
        return EditSequence(marks.label, (delete_instances(self.poses, gone), marks))

    def replace_suggestions(self, frames: ArrayLike, reasons: Sequence[str] = ()) -> MarksEdit:
        """Return the edit that suggests these frames, (S, 2), in place of those before.

        Parameters
        ----------
        frames : array_like of int, shape (S, 2)
            (video, frame), in the order to go through them.
        reasons : sequence of str, length S or 0
            Why each is worth labelling; see `suggestion_reasons`. A file does not keep them.

        Raises
        ------
        DataError
            If there is no such video, or reasons are not as many as frames.
        """
        self._check_frames(frames)
        return suggest_frames(self.marks, frames, reasons)

    def _check_frames(self, frames: ArrayLike) -> None:
        pairs = np.asarray(frames, np.int64).reshape(-1, 2)
        if len(pairs) and (pairs.min() < 0 or pairs[:, 0].max() >= len(self.videos)):
            raise DataError(
                f"Expected frames from 0 of videos 0 to {len(self.videos) - 1}; received "
                f"{pairs[(pairs.min(axis=1) < 0) | (pairs[:, 0] >= len(self.videos))][0].tolist()}."
            )

    def add_videos(self, paths: Sequence[FilePath]) -> VideosEdit:
        """Return the edit that adds videos after those that are there.

        Raises
        ------
        VideoError
            If one of them cannot be opened.
        """
        label = "Add video" if len(paths) == 1 else f"Add {len(paths)} videos"
        return VideosEdit(label, self.videos, (*self.videos, *_open_videos(paths)))

    def relink(self, where: FilePath | Mapping[int | str, str]) -> VideosEdit:
        """Return the edit that looks for videos elsewhere; see `Project.relink`."""
        return VideosEdit("Find video", self.videos, self.project.relink(where).videos)

    # -------------------------------------------------------------------------------- saving
    def save(self, path: FilePath | None = None) -> Path:
        """Write the project as a ``.slp`` file, whole or not at all, and return its path.

        Parameters
        ----------
        path : path, optional
            Where to save from now on; by default `path` of the document.

        Raises
        ------
        OutputError
            If it has no path, or the file cannot be written; then the old file, the journal
            and what can be undone are as they were.
        """
        target = Path(path) if path is not None else self.path
        if target is None:
            raise OutputError(
                "Expected a name for the file; received none, and the project has no .slp file "
                "yet. Save it under a name.",
                "",
            )
        if not _is_slp(target):
            raise OutputError(
                f"Expected a name that ends with .slp for a project; received {str(target)!r}. "
                "To write poses for another program, export them.",
                target,
            )
        write_labels(self.project, target)
        self.path = target
        self._project = self._project.replace(path=str(target))
        self._saved = fingerprint(target)
        self._recovered, self.recovery_note = False, ""
        self.history.mark_clean()
        self._journal.restart(self._describe())
        return target

    def close(self, *, keep_unsaved: bool = False) -> None:
        """Close the videos and the journal.

        Parameters
        ----------
        keep_unsaved : bool
            Leave the journal, so that what is not saved is offered at the next start;
            otherwise it is given up.
        """
        if keep_unsaved:
            self._journal.release()
        else:
            self._journal.discard()
        for video in self.videos:
            video.close()

    def _snapshot(self) -> Edit:
        """Return the edit that makes a project of any content what this one is now."""
        table = TableEdit("Open", self.poses, self.poses)  # written at once: no copies
        videos = VideosEdit("Open", self.videos, self.videos)
        return EditSequence("Open", (videos, table, MarksEdit("Open", self.marks, self.marks)))

    def _describe(self) -> dict[str, Any]:
        """Return what the journal says of the project, enough to open it again."""
        path = self._project.path if self._saved is not None else None
        source = None if path is None else str(Path(path).resolve())
        return {
            "name": self.name,
            "source": source,
            "fingerprint": self._saved,
            "video_dirs": self._video_dirs,
            "videos": [describe_video(video) for video in self.videos],
            "skeleton": asdict(self.skeleton),
        }


def _is_slp(path: FilePath) -> bool:
    return Path(path).suffix == ".slp" and not str(path).endswith(".pkg.slp")


def _open_videos(paths: Sequence[FilePath]) -> tuple[Video, ...]:
    videos = tuple(LazyVideo(str(path)) for path in paths)
    for video in videos:
        len(video)  # opens it: a damaged file is refused here and not frames later
    return videos
