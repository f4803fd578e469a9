"""An open project: its live table, its edits, what is on disk of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.edit_kinds import Edit, FrameEdit, TableEdit
from napari_animalpose.data.edit_sequence import EditSequence
from napari_animalpose.data.edits import delete_instances
from napari_animalpose.data.history import Change, History
from napari_animalpose.data.mark_edits import Marks, MarksEdit, mark_empty, suggest_frames
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.video import Video
from napari_animalpose.errors import AnimalPoseError, DataError, OutputError
from napari_animalpose.io.journal import Journal, Recovery, fingerprint
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_edits import VideosEdit, describe_video, video_from_description
from napari_animalpose.pipeline.files import read

__all__ = ["Document"]

FilePath = str | PathLike[str]


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
    """

    def __init__(self, project: Project, *, journal_folder: Path | None = None) -> None:
        self._project = project
        self.poses: Poses = project.poses
        self.videos: tuple[Video, ...] = project.videos
        self.marks = Marks(project.suggestions, project.negative_frames)
        self.history = History(self.poses, holder=self)
        self.on_change: list[Callable[[Change], None]] = []
        self.history.on_change.append(self._tell)
        source = project.path
        self.path = Path(source) if source and _is_slp(source) else None
        self._recovered = False
        self._journal = Journal(self._describe(), journal_folder)

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
        project = read(path, video_dirs=video_dirs)
        if project.path is None and not len(project.poses):
            return cls(project, journal_folder=journal_folder)
        return cls(project.replace(path=project.path or str(path)), journal_folder=journal_folder)

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

        Edits from the first one on that no longer fits, because the file has changed, are
        lost; those before it are there.

        Raises
        ------
        FileFormatError, VideoError
            If the project's file cannot be opened, or another window has the journal.
        """
        header = recovery.header
        source = header.get("source")
        if source is not None:
            document = cls.open(source, journal_folder=journal_folder)
        else:
            videos = tuple(video_from_description(entry) for entry in header["videos"])
            skeleton = Skeleton(**header["skeleton"])
            document = cls(Project(videos, Poses.empty(skeleton)), journal_folder=journal_folder)
        file = recovery.take()
        try:
            for edit in recovery.replay(document):
                document.history.do(edit)
        except (AnimalPoseError, IndexError, KeyError, ValueError):
            if not recovery.has_changed:
                file.close()
                raise
        document._journal.adopt(file, recovery.path)
        document._recovered = True
        return document

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
        edit = self._without_contradiction(edit)
        if edit.touched is not None and not len(edit.touched):
            return
        self.history.do(edit)
        self._journal.append(edit)

    def undo(self) -> str:
        """Undo the last edit and return its label.

        Raises
        ------
        IndexError
            If there is nothing to undo.
        """
        edit = self.history.next_undo
        label = self.history.undo()
        assert edit is not None
        self._journal.append(edit.inverse())
        return label

    def redo(self) -> str:
        """Do again what was undone last and return its label.

        Raises
        ------
        IndexError
            If there is nothing to redo.
        """
        edit = self.history.next_redo
        label = self.history.redo()
        assert edit is not None
        self._journal.append(edit)
        return label

    def _tell(self, change: Change) -> None:
        for listener in tuple(self.on_change):
            listener(change)

    def _without_contradiction(self, edit: Edit) -> Edit:
        """Return the edit together with the end of every mark as empty that it makes false."""
        marked = self.marks.negative_frames
        after = _rows_after(edit)
        if not len(marked) or after is None:
            return edit
        labelled = after.select(after.is_label).frame_keys()
        wrong = labelled[self.marks.is_negative(labelled)]
        if not len(wrong):
            return edit
        return EditSequence(edit.label, (edit, mark_empty(self.marks, wrong, empty=False)))

    # -------------------------------------------------------------- edits around the table
    def mark_empty(self, frames: ArrayLike, empty: bool = True) -> Edit:
        """Return the edit that marks frames, (F, 2) of (video, frame), as empty on purpose.

        Their predictions are deleted in the same step.

        Raises
        ------
        DataError
            If one of the frames has labels.
        """
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
        """Return the edit that suggests these frames, (S, 2), in place of those before."""
        return suggest_frames(self.marks, frames)

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
        self._recovered = False
        self.history.mark_clean()
        self._journal.restart(self._describe())
        return target

    def close(self) -> None:
        """Close the videos and forget the journal: what is not saved is given up."""
        self._journal.discard()
        for video in self.videos:
            video.close()

    def _describe(self) -> dict[str, Any]:
        """Return what the journal says of the project, enough to open it again."""
        source = str(Path(self._project.path).resolve()) if self._project.path else None
        return {
            "name": self.name,
            "source": source,
            "fingerprint": fingerprint(source),
            "videos": [describe_video(v) for v in self.videos if isinstance(v, LazyVideo)],
            "skeleton": {
                "nodes": self.skeleton.nodes,
                "edges": self.skeleton.edges,
                "symmetries": self.skeleton.symmetries,
                "name": self.skeleton.name,
            },
        }


def _is_slp(path: FilePath) -> bool:
    return Path(path).suffix == ".slp" and not str(path).endswith(".pkg.slp")


def _open_videos(paths: Sequence[FilePath]) -> tuple[Video, ...]:
    videos = tuple(LazyVideo(str(path)) for path in paths)
    for video in videos:
        len(video)  # opens it: a damaged file is refused here and not frames later
    return videos


def _rows_after(edit: Edit) -> Poses | None:
    """Return the rows that an edit leaves in the frames that it touches, if it holds them."""
    if isinstance(edit, FrameEdit | TableEdit):
        return edit.after
    if isinstance(edit, EditSequence):
        for part in reversed(edit.edits):
            if (rows := _rows_after(part)) is not None:
                return rows
    return None
