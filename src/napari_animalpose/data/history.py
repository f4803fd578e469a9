"""Undo and redo over one pose table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.edit_kinds import Edit, Holder
from napari_animalpose.data.poses import Poses

__all__ = ["Change", "History"]


@dataclass(frozen=True, eq=False)
class Change:
    """What an edit, its undo or its redo has just changed.

    Parameters
    ----------
    label : str
        Label of the edit.
    frames : array of int64, shape (F, 2), or None
        (video, frame), sorted; None = any frame may have changed.
    skeleton, tracks : bool
        Whether the skeleton or the track names changed.
    videos, marks : bool
        Whether the videos changed; the suggested frames or those marked as empty.
    """

    label: str
    frames: NDArray[np.int64] | None
    skeleton: bool
    tracks: bool
    videos: bool = False
    marks: bool = False


class History:
    """The edits of one table: carries them out, undoes and redoes them, and says so.

    Parameters
    ----------
    poses : Poses
        The table. From now on it changes through this history alone.
    max_bytes : int
        Memory that edits may hold; the oldest are forgotten first, the newest never.
    holder : Holder, optional
        The project around the table, for edits of more than the table.

    Attributes
    ----------
    on_change : list of callables
        Each is called with a `Change` after every change, in order.
    """

    def __init__(
        self, poses: Poses, max_bytes: int = 256 * 2**20, holder: Holder | None = None
    ) -> None:
        self.poses = poses
        self.holder = holder
        self.max_bytes = max_bytes
        self.on_change: list[Callable[[Change], None]] = []
        self._done: list[Edit] = []
        self._undone: list[Edit] = []
        self._nbytes = 0
        self._clean: int | None = 0  # length of _done when last saved; None = out of reach
        self._may_merge = False

    # ------------------------------------------------------------------------- changing
    def do(self, edit: Edit) -> None:
        """Carry out an edit that was built from the table as it is now.

        An edit that touches no frame is left out. What was undone can no longer be redone.
        """
        if edit.touched is not None and not len(edit.touched):
            return
        change = self._apply(edit)
        if self._clean is not None and self._clean > len(self._done):
            self._clean = None
        self._forget(self._undone)
        merged = self._done[-1].merged_with(edit) if self._may_merge and self._done else None
        if merged is not None:
            self._nbytes -= self._done.pop().nbytes
        self._done.append(merged or edit)
        self._nbytes += self._done[-1].nbytes
        self._may_merge = True
        self._drop_oldest()
        self._announce(change)

    def undo(self) -> str:
        """Undo the last edit and return its label.

        Raises
        ------
        IndexError
            If there is nothing to undo (see `can_undo`).
        """
        return self._step(self._done, self._undone, backwards=True)

    def redo(self) -> str:
        """Do again what was undone last and return its label.

        Raises
        ------
        IndexError
            If there is nothing to redo (see `can_redo`).
        """
        return self._step(self._undone, self._done, backwards=False)

    def clear(self) -> None:
        """Forget all edits; the table stays as it is, clean if it was."""
        was_clean = self.is_clean
        self._forget(self._done)
        self._forget(self._undone)
        self._clean = 0 if was_clean else None
        self._may_merge = False

    # --------------------------------------------------------------------------- asking
    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone edit to do again."""
        return bool(self._undone)

    @property
    def undo_labels(self) -> tuple[str, ...]:
        """Labels of the edits that can be undone, the next one first."""
        return tuple(edit.label for edit in reversed(self._done))

    @property
    def redo_labels(self) -> tuple[str, ...]:
        """Labels of the edits that can be redone, the next one first."""
        return tuple(edit.label for edit in reversed(self._undone))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of all edits held, oldest first, undone ones last."""
        return self.undo_labels[::-1] + self.redo_labels

    @property
    def next_undo(self) -> Edit | None:
        """The edit that `undo` would undo."""
        return self._done[-1] if self._done else None

    @property
    def next_redo(self) -> Edit | None:
        """The edit that `redo` would do again."""
        return self._undone[-1] if self._undone else None

    @property
    def nbytes(self) -> int:
        """Memory that the edits hold, in bytes."""
        return self._nbytes

    # ----------------------------------------------------------------------- saved state
    @property
    def is_clean(self) -> bool:
        """Whether the table is as it was at the last `mark_clean`, or at the beginning."""
        return self._clean == len(self._done)

    def mark_clean(self) -> None:
        """Remember the present state as the saved one; later edits do not merge into it."""
        self._clean = len(self._done)
        self._may_merge = False

    # ------------------------------------------------------------------------- internals
    def _step(self, source: list[Edit], target: list[Edit], backwards: bool) -> str:
        if not source:
            raise IndexError("Expected an edit to undo or redo; received none.")
        edit = source[-1]
        change = self._apply(edit.inverse() if backwards else edit)
        target.append(source.pop())
        self._may_merge = False
        self._announce(change)
        return edit.label

    def _apply(self, edit: Edit) -> Change:
        skeleton, names, holder = self.poses.skeleton, self.poses.track_names, self.holder
        around = None if holder is None else (holder.videos, holder.marks)
        if holder is None:
            edit.apply(self.poses)
        else:
            edit.apply_to(holder)
        return Change(
            edit.label,
            edit.touched,
            skeleton=self.poses.skeleton != skeleton,
            tracks=self.poses.track_names != names,
            videos=holder is not None and around is not None and holder.videos is not around[0],
            marks=holder is not None and around is not None and holder.marks is not around[1],
        )

    def _announce(self, change: Change) -> None:
        for listener in tuple(self.on_change):
            listener(change)

    def _forget(self, edits: list[Edit]) -> None:
        self._nbytes -= sum(edit.nbytes for edit in edits)
        edits.clear()

    def _drop_oldest(self) -> None:
        while self._nbytes > self.max_bytes and len(self._done) > 1:
            self._nbytes -= self._done.pop(0).nbytes
            if self._clean is not None:
                self._clean = self._clean - 1 if self._clean > 0 else None
