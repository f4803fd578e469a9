"""A frame with a label is not empty: edits that label one end its mark in the same step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.edit_kinds import Edit, FrameEdit, TableEdit
from napari_animalpose.data.edit_sequence import EditSequence
from napari_animalpose.data.mark_edits import Marks, MarksEdit, mark_empty
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.store import pack

__all__ = ["end_false_marks"]


def end_false_marks(edit: Edit, marks: Marks, poses: Poses) -> Edit:
    """Return the edit together with the end of every mark as empty that it makes false.

    Parameters
    ----------
    edit : Edit
        Of a project with these marks and this table, not done yet.
    marks : Marks
    poses : Poses
    """
    parts = _flatten(edit)
    for part in parts:
        marks = part.after if isinstance(part, MarksEdit) else marks
    if not len(marks.negative_frames):
        return edit
    wrong = marks.negative_frames[_have_labels(marks.negative_frames, parts, poses)]
    if not len(wrong):
        return edit
    return EditSequence(edit.label, (edit, mark_empty(marks, wrong, empty=False)))


def _flatten(edit: Edit) -> list[Edit]:
    """Return the edits that are done one after the other."""
    if not isinstance(edit, EditSequence):
        return [edit]
    return [part for inner in edit.edits for part in _flatten(inner)]


def _have_labels(
    frames: NDArray[np.int32], parts: Sequence[Edit], poses: Poses
) -> NDArray[np.bool_]:
    """Return which of some frames, (F, 2) sorted, will have labels after some edits, (F,)."""
    keys = pack(frames[:, 0], frames[:, 1])
    labelled = np.zeros(len(frames), bool)
    if any(isinstance(part, MarksEdit) for part in parts):  # else the marks are true now
        labelled = np.isin(keys, _label_keys(poses.take_frames(frames)))
    for part in parts:
        if isinstance(part, FrameEdit):
            changed = np.isin(keys, pack(part.frames[:, 0], part.frames[:, 1]))
            labelled[changed] = np.isin(keys[changed], _label_keys(part.after))
        elif isinstance(part, TableEdit):
            labelled = np.isin(keys, _label_keys(part.after))
    return labelled


def _label_keys(poses: Poses) -> NDArray[np.int64]:
    labels = poses.is_label
    return pack(poses.video[labels], poses.frame[labels])
