"""What is said of frames as a whole, and reversible edits of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.edit_kinds import Edit, Holder, read_header
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.store import pack
from napari_animalpose.errors import DataError

__all__ = ["Marks", "MarksEdit", "mark_empty", "suggest_frames"]


def _as_frames(frames: ArrayLike) -> NDArray[np.int32]:
    pairs = np.array(frames, np.int32).reshape(-1, 2)
    pairs.flags.writeable = False
    return pairs


@dataclass(frozen=True, eq=False)
class Marks:
    """Suggested frames, and frames that are empty on purpose; never changed in place.

    Parameters
    ----------
    suggestions : array_like of int, shape (S, 2)
        (video, frame), in the order to go through them.
    negative_frames : array_like of int, shape (M, 2)
        (video, frame); kept sorted and without repeats.
    reasons : sequence of str, length S or 0
        Why each frame is suggested, as a person reads it; a label file has no place for it.

    Raises
    ------
    DataError
        If there are reasons, but not one for each suggestion.
    """

    suggestions: NDArray[np.int32] = field(default_factory=lambda: _as_frames(()))
    negative_frames: NDArray[np.int32] = field(default_factory=lambda: _as_frames(()))
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "reasons", tuple(self.reasons))
        object.__setattr__(self, "suggestions", _as_frames(self.suggestions))
        negative = np.unique(_as_frames(self.negative_frames), axis=0)
        object.__setattr__(self, "negative_frames", _as_frames(negative))
        if self.reasons and len(self.reasons) != len(self.suggestions):
            raise DataError(
                f"Expected a reason for each of {len(self.suggestions)} suggested frames; received "
                f"{len(self.reasons)}."
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Marks):
            return NotImplemented
        return (
            np.array_equal(self.suggestions, other.suggestions)
            and np.array_equal(self.negative_frames, other.negative_frames)
            and self.reasons == other.reasons
        )

    __hash__ = None  # type: ignore[assignment]  # equal by value, and large

    def is_negative(self, frames: ArrayLike) -> NDArray[np.bool_]:
        """Return which of some frames, (F, 2), are marked as empty."""
        pairs = np.asarray(frames, np.int64).reshape(-1, 2)
        return np.isin(pack(pairs[:, 0], pairs[:, 1]), _pack(self.negative_frames))


@dataclass(frozen=True, eq=False)
class MarksEdit(Edit):
    """Other marks.

    Parameters
    ----------
    before, after : Marks
    """

    kind: ClassVar[str] = "marks"
    before: Marks
    after: Marks

    def apply(self, poses: Poses) -> None:
        """Refuse: marks are the project's, not the table's (see `apply_to`)."""
        raise DataError("Expected a project to mark frames of; received a table of poses alone.")

    def apply_to(self, holder: Holder) -> None:
        """Give the project the marks after."""
        holder.marks = self.after

    def inverse(self) -> MarksEdit:
        """Return the edit that brings the marks before back."""
        return replace(self, before=self.after, after=self.before)

    @property
    def touched(self) -> NDArray[np.int64]:
        """Frames that have another mark or another place among the suggestions, (F, 2)."""
        if self.before == self.after:
            return np.zeros((0, 2), np.int64)
        parts = [self.before.suggestions] if self.before.reasons != self.after.reasons else []
        for name in ("suggestions", "negative_frames"):
            old, new = getattr(self.before, name), getattr(self.after, name)
            if not np.array_equal(old, new):
                parts += [old, new]
        return np.unique(np.concatenate(parts).astype(np.int64), axis=0)

    @property
    def nbytes(self) -> int:
        """Memory of both in bytes."""
        return sum(
            marks.suggestions.nbytes
            + marks.negative_frames.nbytes
            + sum(len(reason) for reason in marks.reasons)
            for marks in (self.before, self.after)
        )

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Return both as arrays."""
        return {
            "header": self._header(
                before_reasons=self.before.reasons, after_reasons=self.after.reasons
            ),
            "before.suggestions": self.before.suggestions,
            "before.negative_frames": self.before.negative_frames,
            "after.suggestions": self.after.suggestions,
            "after.negative_frames": self.after.negative_frames,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, NDArray[Any]]) -> MarksEdit:
        """Build the edit that `to_dict` described."""
        header = read_header(values)
        before, after = (
            Marks(
                values[f"{side}.suggestions"],
                values[f"{side}.negative_frames"],
                header[f"{side}_reasons"],
            )
            for side in ("before", "after")
        )
        return cls(header["label"], before, after)


def suggest_frames(marks: Marks, frames: ArrayLike, reasons: Sequence[str] = ()) -> MarksEdit:
    """Suggest these frames, (S, 2) of (video, frame), in place of those before.

    Parameters
    ----------
    marks : Marks
    frames : array_like of int, shape (S, 2)
        (video, frame), in the order to go through them.
    reasons : sequence of str, length S or 0
    """
    after = Marks(_as_frames(frames), marks.negative_frames, tuple(reasons))
    return MarksEdit("Suggest frames", marks, after)


def mark_empty(marks: Marks, frames: ArrayLike, empty: bool = True) -> MarksEdit:
    """Mark frames, (F, 2) of (video, frame), as empty on purpose, or take the mark away."""
    pairs = _as_frames(frames)
    if empty:
        after = np.concatenate([marks.negative_frames, pairs])
        label = "Mark as empty"
    else:
        after = marks.negative_frames[~np.isin(_pack(marks.negative_frames), _pack(pairs))]
        label = "Take back the mark empty"
    return MarksEdit(label, marks, replace(marks, negative_frames=after))


def _pack(frames: NDArray[np.int32]) -> NDArray[np.int64]:
    return pack(frames[:, 0], frames[:, 1])
