"""Marks of frames: values, edits of them, storage."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from edit_machine import AB
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data.edit_kinds import edit_from_dict
from napari_animalpose.data.history import History
from napari_animalpose.data.mark_edits import Marks, mark_empty, suggest_frames
from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import DataError

frames = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=6)
marks = st.builds(Marks, frames, frames)


def make_holder(marked: Marks) -> SimpleNamespace:
    return SimpleNamespace(poses=Poses.empty(AB), marks=marked, videos=())


def test_empty_frames_are_sorted_and_once_and_suggestions_keep_their_order():
    marked = Marks([(1, 5), (0, 9), (0, 2)], [(1, 5), (0, 9), (1, 5)])
    assert marked.suggestions.tolist() == [[1, 5], [0, 9], [0, 2]]
    assert marked.negative_frames.tolist() == [[0, 9], [1, 5]]
    assert marked.is_negative([(0, 9), (0, 2)]).tolist() == [True, False]
    assert not marked.negative_frames.flags.writeable


def test_each_suggestion_has_a_reason_or_none_has():
    assert Marks([(0, 1)], (), ["blurred"]).reasons == ("blurred",)
    with pytest.raises(DataError, match="reason for each of 2 suggested frames; received 1"):
        Marks([(0, 1), (0, 2)], (), ["blurred"])


@given(marks, frames, st.booleans())
def test_marking_is_undone_and_stored(before, chosen, empty):
    edit = mark_empty(before, chosen, empty)
    stored = edit_from_dict(edit.to_dict())
    assert (stored.before, stored.after, stored.label) == (edit.before, edit.after, edit.label)
    holder = make_holder(before)
    history = History(holder.poses, holder=holder)
    history.do(stored)
    assert (holder.marks.is_negative(chosen) == empty).all()
    others = [pair for pair in before.negative_frames.tolist() if tuple(pair) not in chosen]
    assert holder.marks.is_negative(others).all()
    assert holder.marks.suggestions.tolist() == before.suggestions.tolist()
    if history.can_undo:
        history.undo()
    assert holder.marks == before


@given(marks, frames)
def test_suggesting_says_which_frames_changed_and_keeps_reasons(before, chosen):
    reasons = [f"frame {frame}" for _, frame in chosen]
    edit = suggest_frames(before, chosen, reasons)
    assert edit.after.reasons == tuple(reasons)
    stored = edit_from_dict(edit.to_dict())
    assert stored.after == edit.after
    expected = {tuple(pair) for pair in before.suggestions.tolist()} | set(chosen)
    if edit.before == edit.after:
        expected = set()
    assert {tuple(pair) for pair in edit.touched.tolist()} == expected


def test_other_reasons_alone_are_a_change():
    before = Marks([(0, 3)], (), ["old"])
    edit = suggest_frames(before, [(0, 3)], ["new"])
    assert edit.touched.tolist() == [[0, 3]]
    assert suggest_frames(before, [(0, 3)], ["old"]).touched.tolist() == []


def test_a_history_says_that_marks_changed_and_nothing_else():
    holder = make_holder(Marks())
    history, changes = History(holder.poses, holder=holder), []
    history.on_change.append(changes.append)
    history.do(mark_empty(holder.marks, [(0, 4)]))
    history.undo()
    assert [(change.marks, change.videos, change.skeleton) for change in changes] == [
        (True, False, False)
    ] * 2
    assert changes[0].frames.tolist() == [[0, 4]]


def test_a_table_alone_has_no_marks():
    with pytest.raises(DataError, match="Expected a project"):
        mark_empty(Marks(), np.array([[0, 1]])).apply(Poses.empty(AB))
