"""One session for each viewer: the open document, the frame in view, and what is selected.

Docks are views of it. It holds the viewer weakly and uses its public interface only.
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from napari.utils.notifications import show_error, show_info
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QWidget

from napari_animalpose._layers import Style
from napari_animalpose._widgets import _settings
from napari_animalpose._widgets._canvas import Canvas
from napari_animalpose._widgets._dialogs import Dialogs, busy_cursor
from napari_animalpose._widgets._docks import show_dock
from napari_animalpose._widgets._first_look import (
    UNKNOWN_PX,
    explain_missing,
    first_to_show,
    guess_shape,
    measure_animal,
)
from napari_animalpose._widgets._settings import PLUGIN, Settings
from napari_animalpose._widgets._video_array import VideoArray
from napari_animalpose._widgets._window_watch import WindowWatch
from napari_animalpose.data.edit_kinds import Edit
from napari_animalpose.data.history import Change
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.drawing.colors import edge_colors, node_colors, qualitative_colors
from napari_animalpose.errors import AnimalPoseError, VideoError
from napari_animalpose.io.labels import is_label_file
from napari_animalpose.pipeline.document import Document

if TYPE_CHECKING:
    import napari

__all__ = ["NOTHING_OPEN", "Session", "find_session", "get_session"]

NOTHING_OPEN = "Expected an open project; received none. Open a video or labels."

_TOGETHER_S = 2.0  # between two videos that a person has dropped together

Result = TypeVar("Result")

_SESSIONS: dict[int, Session] = {}


def get_session(viewer: Any) -> Session:
    """Return the session of a viewer, made on first use.

    Parameters
    ----------
    viewer : napari.Viewer
        Or the proxy of one that plugins are given.
    """
    raw = getattr(viewer, "__wrapped__", viewer)
    session = _SESSIONS.get(id(raw))
    if session is None or session.is_closed:
        # What a session is equipped with is made of sessions, so it can only be found now.
        from napari_animalpose._widgets._actions import equip

        session = _SESSIONS[id(raw)] = Session(raw)
        weakref.finalize(raw, _SESSIONS.pop, id(raw), None)
        equip(session)
    return session


def find_session(layer: Any) -> Session | None:
    """Return the session to which a layer belongs; None for a layer of somebody else."""
    raw = getattr(layer, "__wrapped__", layer)
    for session in _SESSIONS.values():
        if any(raw is owned for owned in session.canvas.layers):
            return session
    return None


class Session(QObject):
    """What is open in one viewer.

    Signals
    -------
    document_changed
        Another document is open, or none.
    edited : Change
        After every edit, undo and redo.
    frame_changed : int, int
        (video, frame) now shown; sent at every step.
    selection_changed, state_changed, marks_changed
        Selected points; path, saved state and what can be undone; likely errors,
        suggestions, the selected range.
    settings_changed
        The person has other preferences.
    """

    document_changed = Signal()
    edited = Signal(object)
    frame_changed = Signal(int, int)
    selection_changed = Signal()
    state_changed = Signal()
    marks_changed = Signal()
    settings_changed = Signal()

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self.document: Document | None = None
        self.settings = Settings.load()
        self.dialogs = Dialogs(self)
        self.canvas = Canvas(viewer, self)
        self.is_closed = False
        self.video = self.frame = 0
        self.anchor = 0  # node whose way the tracks layer draws
        self.findings: list[Any] = []
        self._document_checks: list[Callable[[], bool]] = []
        self._given_up: weakref.ref[Document] | None = None  # its edits are not wanted
        self._range: tuple[int, int] | None = None
        self._array: VideoArray | None = None
        self.animal_px = UNKNOWN_PX
        self._autosave = QTimer(self)
        self._autosave.timeout.connect(self._save_quietly)
        self._watch = WindowWatch()
        self._watch.add_check(self.may_close)
        self._watch.closed.connect(self.close)
        self._watch.stayed.connect(self._stay_open)
        self._watch.help_wanted.connect(self._show_keys)
        self._dropped: tuple[list[str | Path], float] = [], -math.inf  # videos, when
        viewer.dims.events.current_step.connect(self._on_step)
        self.canvas.selection_changed.connect(self.selection_changed)
        _settings.watch(self._on_settings)

    # ------------------------------------------------------------------------- what is open
    @property
    def viewer(self) -> napari.Viewer:
        """The viewer; use its public interface only."""
        viewer = self._viewer()
        assert viewer is not None, "the session ends with its viewer"
        return viewer

    @property
    def window(self) -> QWidget | None:
        """The window of the viewer, once a dock of ours has been in it: parent of dialogs."""
        return self._watch.window

    def open(self, path: str | Path, *, ask: bool = True, as_example: bool = False) -> bool:
        """Open labels, a video or a folder in place of what is open; return whether it is.

        Saving an example asks for a name, so that the next one finds it as it was.
        """
        if ask and not self.may_close():
            return False
        with busy_cursor():
            document = self.attempt(lambda: Document.open(path))
        if document is not None:
            if as_example:
                document.path = None
            self.set_document(document)
        return document is not None

    def open_new(self, videos: Sequence[str | Path], *, ask: bool = True) -> bool:
        """Begin a project with some videos; return whether it is open."""
        if ask and not self.may_close():
            return False
        document = self.attempt(lambda: Document.from_videos(videos))
        if document is not None:
            self.set_document(document)
        return document is not None

    def open_dropped(self, paths: Sequence[str | Path], *, as_example: bool = False) -> bool:
        """Open what napari was given; return whether it is open.

        napari hands over several files one by one: videos that come at once are one project.
        """
        if any(is_label_file(path) for path in paths):
            return self.open(paths[0], as_example=as_example)
        before, opened_at = self._dropped
        together = list(paths)
        if time.monotonic() - opened_at < _TOGETHER_S:
            together = [*before, *paths]
        opened = self.open_new(together) if len(together) > 1 else self.open(together[0])
        if opened:
            self._dropped = together, time.monotonic()
        return opened

    def attempt(self, action: Callable[[], Result]) -> Result | None:
        """Return what a function returns; what the user did wrong is told, and then None."""
        try:
            return action()
        except (AnimalPoseError, OSError) as error:
            self.show_error(str(error))
            return None

    def set_document(self, document: Document | None) -> None:
        """Show another document; the one before is closed without a question."""
        old, self.document = self.document, document
        if old is not None:
            self._close_document(old)
        self._range, self.findings = None, []
        self._dropped = [], -math.inf
        if document is None:
            self._drop_array()
            self.canvas.close()
        else:
            document.on_change.append(self._on_change)
            self.animal_px = measure_animal(document.poses)
            self._show_document(document)
        self._restart_autosave()
        self._update_title()
        self.document_changed.emit()
        self.state_changed.emit()
        self.marks_changed.emit()

    def _show_document(self, document: Document) -> None:
        self.canvas.begin_anew()
        self.canvas.style = self._style()
        self.video = self.frame = 0
        video, frame = first_to_show(document)
        self._show_video(video)
        self.canvas.ensure_layers()
        self._apply_trail_length()
        self.go_to(frame)
        self.refresh()
        self.viewer.reset_view()

    def restore_layers(self) -> None:
        """Bring back the layers that a person deleted."""
        if self.document is None:
            return
        if self.canvas.image is None:
            self._show_video(self.video)
        self.canvas.ensure_layers()
        self.canvas.style = self._style()
        self._apply_trail_length()
        self.go_to(self.frame)
        self.refresh()

    def _show_video(self, number: int) -> None:
        document = self.document
        assert document is not None
        self._drop_array()
        self.video = number
        if not document.videos:
            return
        video = document.videos[number]
        try:
            len(video), video[0]
            self._array = VideoArray(video)
        except (VideoError, IndexError) as error:
            self._array = VideoArray(video, guess_shape(document, number))
            self.show_error(explain_missing(video, error))
        self.canvas.show_video(self._array, video.name)

    def _drop_array(self) -> None:
        if self._array is not None:
            self._array.close()
            self._array = None

    # ----------------------------------------------------------------------------- moving on
    @property
    def n_frames(self) -> int:
        """Frames of the video in view."""
        return 0 if self._array is None else len(self._array)

    @property
    def has_picture(self) -> bool:
        """Whether the video in view could be opened."""
        return self._array is not None and not self._array.is_missing

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of the video in view, px."""
        return (0, 0) if self._array is None else self._array.shape[1:3]

    def read_frame(self) -> NDArray[np.uint8]:
        """Return the picture in view, (H, W) or (H, W, 3)."""
        assert self._array is not None
        return self._array[self.frame]

    def go_to(self, frame: int, video: int | None = None) -> None:
        """Show a frame, of another video if one is named."""
        if self.document is None or not self.n_frames:
            return
        if video is not None and not 0 <= video < len(self.document.videos):
            return  # it was of another project, or is not in this one any more
        other = video is not None and video != self.video
        if other:
            assert video is not None
            self._range = None
            self._show_video(video)
        frame = int(np.clip(frame, 0, self.n_frames - 1))
        dims = self.viewer.dims
        if self._time_axis is not None and dims.point[self._time_axis] != frame:
            dims.set_point(self._time_axis, frame)
        if other or frame != self.frame:
            self._arrive(frame)
        if other:
            self.marks_changed.emit()

    @property
    def _time_axis(self) -> int | None:
        """The axis of dims that counts frames; None in a video of one frame."""
        n_axes = self.viewer.dims.ndim
        return n_axes - 3 if n_axes >= 3 else None

    def _on_step(self, event: Any = None) -> None:
        if self.canvas.is_working:
            return  # napari's slider goes anywhere while layers come and go
        if self.document is None or self._array is None or self._time_axis is None:
            return
        frame = int(np.clip(round(self.viewer.dims.point[self._time_axis]), 0, self.n_frames - 1))
        if frame != self.frame:
            self._arrive(frame)

    def _arrive(self, frame: int) -> None:
        self.frame = frame
        self.refresh()
        self.frame_changed.emit(self.video, frame)

    def refresh(self) -> None:
        """Fill the layers with the frame in view."""
        if self.document is None:
            return
        poses = self.document.poses
        self.canvas.show_frame(poses.at(self.video, self.frame), self.video, self.frame)
        anchor = min(self.anchor, max(0, poses.n_nodes - 1))
        self.canvas.show_trail(poses, self.video, self.frame, anchor)

    @property
    def rows(self) -> Poses:
        """The instances of the frame in view; valid until the next edit."""
        assert self.document is not None
        return self.document.poses.at(self.video, self.frame)

    # ------------------------------------------------------------------------------- editing
    def do(self, edit: Edit) -> bool:
        """Carry out an edit; what is wrong with it becomes a notification."""
        return self._attempt(lambda document: document.do(edit))

    def undo(self) -> None:
        """Undo the last edit, if there is one."""
        if self.document is not None and self.document.history.can_undo:
            self._attempt(lambda document: document.undo())

    def redo(self) -> None:
        """Do again what was undone last, if anything was."""
        if self.document is not None and self.document.history.can_redo:
            self._attempt(lambda document: document.redo())

    def _attempt(self, action: Any) -> bool:
        if self.document is None:
            self.show_error(NOTHING_OPEN)
            return False
        try:
            action(self.document)
        except (AnimalPoseError, IndexError) as error:
            self.show_error(str(error))
            self.refresh()
            return False
        return True

    def _on_change(self, change: Change) -> None:
        if change.skeleton or change.tracks:
            self.canvas.forget_trail()
        if change.videos:
            self._show_other_videos()
        if change.frames is None:
            self.canvas.forget_trail()
            self.refresh()
        elif len(change.frames):
            here = (change.frames == (self.video, self.frame)).all(axis=1).any()
            self.canvas.forget_trail()
            if here or change.skeleton or change.tracks:
                self.refresh()
        elif change.skeleton or change.tracks:
            self.refresh()
        self._update_title()
        self.edited.emit(change)
        self.state_changed.emit()
        if change.marks or change.videos:
            self.marks_changed.emit()

    def _show_other_videos(self) -> None:
        """Follow an edit that added, removed or replaced videos."""
        assert self.document is not None
        frame = self.frame
        self._show_video(min(self.video, max(0, len(self.document.videos) - 1)))
        self.frame = -1
        self.go_to(frame)

    # ----------------------------------------------------------------------------- selection
    @property
    def selected_points(self) -> list[tuple[int, int]]:
        """(position, node) of the selected points of the frame in view."""
        return self.canvas.selected

    @property
    def selected_instances(self) -> list[int]:
        """Positions of the instances that have a selected point."""
        return sorted({position for position, _ in self.canvas.selected})

    def select(self, points: Iterable[tuple[int, int]]) -> None:
        """Select points by (position, node)."""
        self.canvas.select(points)

    def select_instance(self, position: int) -> None:
        """Select all points of an instance."""
        there = np.flatnonzero(self.rows.visibility[position] != Visibility.MISSING)
        self.select((position, int(node)) for node in there)

    @property
    def selected_range(self) -> tuple[int, int] | None:
        """First and last frame of the selected range, both included."""
        return self._range

    @selected_range.setter
    def selected_range(self, span: tuple[int, int] | None) -> None:
        if span is not None:
            first, last = (int(np.clip(end, 0, max(0, self.n_frames - 1))) for end in sorted(span))
            span = (first, last)
        if span != self._range:
            self._range = span
            self.marks_changed.emit()

    def set_findings(self, findings: Sequence[Any]) -> None:
        """Keep a list of likely errors, the worst first."""
        self.findings = list(findings)
        self.marks_changed.emit()

    def flagged_frames(self, video: int) -> NDArray[np.int64]:
        """Frames of a video that a likely error names, sorted."""
        frames = {int(f.frame) for f in self.findings if int(f.video) == video}
        return np.array(sorted(frames), np.int64)

    # -------------------------------------------------------------------------------- saving
    def save(self, path: Path | None = None) -> bool:
        """Save; asks where if the project has no file yet. Return whether it is saved."""
        document = self.document
        if document is None:
            return False
        if path is None and _was_changed_elsewhere(document):
            answer = self.dialogs.ask_about_other_changes(document)
            if answer == "cancel":
                return False
            if answer == "save as":
                return self.save_as()
        if path is None and document.path is None:
            path = self.dialogs.ask_save_path(document)
            if path is None:
                return False
        with busy_cursor():
            written = self.attempt(lambda: document.save(path))
        if written is not None:
            self.tell_saved(written)
        return written is not None

    def tell_saved(self, path: Path) -> None:
        """Say that the document was saved to a file."""
        self._update_title()
        self.state_changed.emit()
        self.viewer.status = f"Saved {path}"

    def save_as(self) -> bool:
        """Ask where to save, and save there from now on."""
        if self.document is None:
            return False
        path = self.dialogs.ask_save_path(self.document)
        return path is not None and self.save(path)

    def may_close(self) -> bool:
        """Ask about unsaved and unfinished work; return whether the document may be closed."""
        if not self._may_lose_edits():
            return False
        if all(check() for check in self._document_checks):
            return True
        self._given_up = None
        return False

    def _may_lose_edits(self) -> bool:
        if self.document is None or not self.document.is_dirty:
            return True
        answer = self.dialogs.ask_to_save(self.document)
        if answer == "save":
            return self.save()
        if answer == "discard":
            self._given_up = weakref.ref(self.document)
        return answer == "discard"

    def _save_quietly(self) -> None:
        """Save without a question; where that needs one, the journal has the edits anyway."""
        document = self.document
        if document is None or not document.is_dirty or document.path is None:
            return
        if _was_changed_elsewhere(document):
            self.viewer.status = f"Not saved: {document.path.name} was changed by another program"
        else:
            self.save()

    def _close_document(self, document: Document) -> None:
        """Close a document; unsaved edits that nobody gave up are offered at the next start."""
        document.on_change.remove(self._on_change)
        is_given_up = self._given_up is not None and self._given_up() is document
        document.close(keep_unsaved=document.is_dirty and not is_given_up)

    def _restart_autosave(self) -> None:
        minutes = self.settings.autosave_minutes
        self._autosave.stop()
        if minutes > 0 and self.document is not None:
            self._autosave.start(int(60_000 * minutes))

    def _update_title(self) -> None:
        if self.document is None:
            self.viewer.title = "napari"
        else:
            mark = "*" if self.document.is_dirty else ""
            self.viewer.title = f"{self.document.name}{mark} - napari"

    # ------------------------------------------------------------------------------ the look
    def _style(self) -> Style:
        size = float(np.clip(0.075 * self.animal_px, 2.0, 16.0)) * self.settings.point_size
        return Style(self.settings.color_by, size, self.settings.edge_opacity)

    def _on_settings(self, event: Any = None) -> None:
        before, self.settings = self.settings, Settings.load()
        if before == self.settings:
            return
        self.canvas.style = self._style()
        self._apply_trail_length()
        self._restart_autosave()
        self.refresh()
        self.settings_changed.emit()

    def change_setting(self, name: str, value: Any) -> None:
        """Set one preference, now and for the next time."""
        setattr(self.settings, name, value)
        self.canvas.style = self._style()
        self._apply_trail_length()
        self._restart_autosave()
        self.refresh()
        self.settings_changed.emit()
        _settings.store(name, value)

    def _apply_trail_length(self) -> None:
        if self.canvas.tracks is not None:
            self.canvas.tracks.tail_length = max(1, self.settings.trail_frames)
            self.canvas.forget_trail()

    def node_colors(self) -> NDArray[np.uint8]:
        """RGB of every node, (K, 3)."""
        return node_colors(self._poses.skeleton)

    def edge_colors(self) -> NDArray[np.uint8]:
        """RGB of every edge, (E, 3)."""
        return edge_colors(self._poses.skeleton)

    def track_colors(self) -> NDArray[np.uint8]:
        """RGB of every track, (T, 3)."""
        return qualitative_colors(len(self._poses.track_names))

    @property
    def _poses(self) -> Poses:
        assert self.document is not None
        return self.document.poses

    # ------------------------------------------------------------------------------ talking
    def show_error(self, message: str) -> None:
        """Tell what went wrong, in napari's own notification."""
        show_error(message)

    def show_info(self, message: str) -> None:
        """Tell something worth knowing, in napari's own notification."""
        show_info(message)

    # ------------------------------------------------------------------------ docks, closing
    def show_docks(self) -> None:
        """Show what labelling needs, where none of our docks is there yet."""
        if not any(title.endswith(f"({PLUGIN})") for title in self.viewer.window.dock_widgets):
            self.open_dock("timeline")
            self.open_dock("skeleton")
            self.open_dock("project")

    def open_dock(self, name: str) -> QWidget:
        """Show one of our docks, made if it is not there; return its widget."""
        widget = show_dock(self.viewer, name)
        self.watch_window(widget)
        return widget

    def watch_window(self, widget: QWidget) -> None:
        """Learn which window the viewer has from a widget in it, to ask before it closes."""
        self._watch.watch(widget)

    def add_close_check(self, check: Callable[[], bool]) -> None:
        """Have a function asked before the window closes; False keeps it open."""
        self._watch.add_check(check)

    def add_document_check(self, check: Callable[[], bool]) -> None:
        """Have a function asked before the document goes, with the window or for another one.

        False keeps it open.
        """
        self._document_checks.append(check)

    def _show_keys(self) -> None:
        from napari_animalpose._widgets._actions import run_action

        run_action("show_keys", self)

    def _stay_open(self) -> None:
        self._given_up = None

    def close(self) -> None:
        """End the session without a question; unsaved edits stay in their journal."""
        if self.is_closed:
            return
        self.is_closed = True
        self._autosave.stop()
        if self.document is not None:
            self._close_document(self.document)
            self.document = None
        self._drop_array()
        self._watch.stop()
        for key in [key for key, session in _SESSIONS.items() if session is self]:
            del _SESSIONS[key]


def _was_changed_elsewhere(document: Document) -> bool:
    """Whether to save would write over what another program wrote."""
    path = document.path
    return path is not None and path.exists() and document.has_changed_on_disk
