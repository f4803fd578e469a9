"""Another skeleton in one step: equal names keep their points, undo brings back the rest."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose.data.edit_kinds import edit_from_dict
from napari_animalpose.data.history import History
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.data.schema_edits import replace_skeleton
from napari_animalpose.data.skeleton import Skeleton


def test_points_of_equal_names_stay():
    old = Skeleton(("head", "tail", "paw"), ((0, 1),))
    xy = np.array([[[1, 2], [3, 4], [5, 6.0]]])
    poses = Poses.from_arrays(old, frame=[7], xy=xy)
    new = Skeleton(("paw", "ear", "head"), ((0, 2),), name="other")
    edit = replace_skeleton(poses, new)
    edit.apply(poses)
    assert poses.skeleton == new
    np.testing.assert_array_equal(poses.xy[0], [[5, 6], [np.nan, np.nan], [1, 2]])
    assert poses.visibility[0].tolist() == [Visibility.VISIBLE, 0, Visibility.VISIBLE]
    edit.inverse().apply(poses)
    assert poses == Poses.from_arrays(old, frame=[7], xy=xy)


def test_from_no_nodes_to_many_and_back():
    poses = Poses.empty(Skeleton(()))
    edit = replace_skeleton(poses, Skeleton(("a", "b"), ((0, 1),)))
    edit.apply(poses)
    assert poses.xy.shape == (0, 2, 2)
    edit.inverse().apply(poses)
    assert poses == Poses.empty(Skeleton(()))


@given(pose_tables(), st.permutations(["a", "b", "new 1", "new 2"]), st.data())
def test_undo_and_a_journal_bring_everything_back(poses, fresh, data):
    before = poses.copy()
    kept = data.draw(st.lists(st.sampled_from(poses.skeleton.nodes), unique=True))
    names = tuple(dict.fromkeys([*kept, *fresh]))
    edit = edit_from_dict(replace_skeleton(poses, Skeleton(names)).to_dict())
    history = History(poses)
    history.do(edit)
    for name in kept:
        old, new = before.skeleton.index(name), names.index(name)
        np.testing.assert_array_equal(poses.xy[:, new], before.xy[:, old])
    history.undo()
    assert poses == before
