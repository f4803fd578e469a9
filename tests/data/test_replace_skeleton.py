"""Another skeleton in one step: equal names keep their points, undo brings back the rest."""

from __future__ import annotations

import numpy as np
import pytest
from edit_machine import AB, assert_same_bits
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose.data.edit_kinds import edit_from_dict
from napari_animalpose.data.history import History
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.data.schema_edits import remove_node, replace_skeleton
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
    old = [before.skeleton.index(name) for name in kept]
    stays = (before.visibility[:, old] > 0).any(axis=1) | (before.visibility == 0).all(axis=1)
    for name in kept:
        xy = before.xy[:, before.skeleton.index(name)]
        np.testing.assert_array_equal(poses.xy[:, names.index(name)], xy[stays])
    np.testing.assert_array_equal(poses.frame, before.frame[stays])
    history.undo()
    assert_same_bits(poses, before)
    history.redo()
    assert len(poses) == stays.sum()


def example() -> Poses:
    """Two frames: `a` alone, then `a` and `b`, `b` alone, and no point at all."""
    nan = np.nan
    return Poses.from_arrays(
        AB,
        frame=[1, 2, 2, 2],
        xy=[[[1, 2], [nan, nan]], [[3, 4], [5, 6]], [[nan, nan], [7, 8]], [[nan, nan]] * 2],
        track=[0, 0, 1, -1],
        point_score=0.5,
        score=[0.1, 0.2, 0.3, 0.4],
        track_names=("x", "y"),
    )


@pytest.mark.parametrize(
    ("build", "label", "left"),
    [
        (lambda p: remove_node(p, "a"), "Remove node a", [(2, 0), (2, 1), (2, -1)]),
        (lambda p: remove_node(p, "b"), "Remove node b", [(1, 0), (2, 0), (2, -1)]),
        (
            lambda p: replace_skeleton(p, Skeleton(("c", "a")), "Take"),
            "Take",
            [(1, 0), (2, 0), (2, -1)],
        ),
        (lambda p: replace_skeleton(p, Skeleton(("c",))), "Replace skeleton", [(2, -1)]),
    ],
)
def test_an_instance_that_loses_its_last_point_goes_with_it(build, label, left):
    history = History(example())
    history.do(build(history.poses))
    rows = zip(history.poses.frame.tolist(), history.poses.track.tolist(), strict=True)
    assert list(rows) == left
    assert history.labels == (label,)
    assert history.undo() == label
    assert_same_bits(history.poses, example())


def test_without_such_an_instance_it_is_one_change_of_nodes():
    poses = example().select([1])
    assert remove_node(poses, "a").kind == "nodes"
    assert replace_skeleton(poses, Skeleton(("b",))).kind == "nodes"
