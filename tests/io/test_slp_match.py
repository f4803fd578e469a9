"""Rows of an edited table that continue rows of the file: the short way equals the long one."""

from __future__ import annotations

import numpy as np
from edit_machine import AB
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose.data.poses import Poses
from napari_animalpose.io import slp_match


@given(data=st.data())
def test_frames_without_changes_are_paired_as_the_rules_pair_them(data):
    old = data.draw(pose_tables(AB, max_rows=10, max_frame=3))
    added = data.draw(pose_tables(AB, max_rows=3, max_frame=3))
    keep = data.draw(st.lists(st.booleans(), min_size=len(old), max_size=len(old)))
    kept = old.select(np.array(keep, bool))
    new = Poses.concat([kept, added]) if data.draw(st.booleans()) else kept
    aligned = Poses(AB, old.columns, new.track_names) if len(new.track_names) else old
    assert np.array_equal(slp_match.match_rows(aligned, new), slp_match._match_rest(aligned, new))


def test_of_two_frames_the_unchanged_one_keeps_its_rows():
    old = Poses.from_arrays(AB, frame=[0, 0, 4, 4], xy=np.arange(16).reshape(4, 2, 2))
    xy = old.xy.copy()
    xy[2] += 1
    xy[[2, 3]] = xy[[3, 2]]
    new = Poses.from_arrays(AB, frame=[0, 0, 4, 4], xy=xy)
    assert slp_match.match_rows(old, new).tolist() == [0, 1, 3, 2]
    assert slp_match.match_rows(old, old).tolist() == [0, 1, 2, 3]
    assert slp_match.match_rows(old, old.select([])).tolist() == []
    assert slp_match.match_rows(old.select([]), old).tolist() == [-1] * 4
