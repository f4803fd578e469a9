"""The skeleton: what it refuses, and what it derives from edges and symmetries."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from strategies import skeletons

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": ("a", "")}, "non-empty name"),
        ({"nodes": ("a", "b", "a")}, "received a more than once"),
        ({"nodes": "abc"}, "sequence of node names"),
        ({"nodes": ("a", "b"), "edges": ((0, 2),)}, r"numbered 0 to 1; received \(0, 2\)"),
        ({"nodes": ("a", "b"), "edges": ((-1, 0),)}, r"received \(-1, 0\)"),
        ({"nodes": ("a", "b"), "edges": ((1, 1),)}, "two different nodes"),
        ({"nodes": ("a", "b"), "edges": ((0, 1), (0, 1))}, "without repeats"),
        ({"nodes": ("a", "b"), "symmetries": ((0, 1), (1, 0))}, "without repeats"),
        ({"nodes": ("a", "b", "c"), "symmetries": ((0, 1), (1, 2))}, "at most one"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(DataError, match=message):
        Skeleton(**arguments)


def test_names_and_numbers_build_the_same():
    by_name = Skeleton.from_names("abc", edges=[("a", "b"), ("a", "c")], symmetries=[("c", "b")])
    assert by_name == Skeleton(("a", "b", "c"), ((0, 1), (0, 2)), ((1, 2),))
    assert by_name.index("c") == 2


def test_unknown_names_are_named():
    with pytest.raises(DataError, match="'x'"):
        Skeleton.from_names("ab", edges=[("a", "x")])
    with pytest.raises(DataError, match="'x'"):
        Skeleton(("a", "b")).index("x")


def test_parents_of_a_tree_in_any_node_order():
    tree = Skeleton(tuple("abcde"), ((3, 0), (3, 1), (1, 4)))
    assert tree.parents == (3, 3, -1, -1, 1)
    assert tree.is_forest


@pytest.mark.parametrize(
    ("edges", "message"),
    [(((0, 2), (1, 2)), "two edges into 'c'"), (((0, 1), (1, 2), (2, 0)), "cycle")],
)
def test_graphs_that_are_no_forest(edges, message):
    graph = Skeleton(("a", "b", "c"), edges)
    assert not graph.is_forest
    with pytest.raises(DataError, match=message):
        _ = graph.parents


@given(skeletons(max_nodes=8))
def test_flip_is_its_own_inverse_and_moves_only_pairs(skeleton):
    order = skeleton.flip_order
    np.testing.assert_array_equal(order[order], np.arange(len(skeleton)))
    moved = {node for node, other in enumerate(order) if node != other}
    assert moved == {node for pair in skeleton.symmetries for node in pair}


@given(skeletons())
def test_derived_arrays_are_typed_and_read_only(skeleton):
    assert skeleton.edge_array.dtype == np.int32
    assert skeleton.edge_array.shape == (len(skeleton.edges), 2)
    assert skeleton.edge_array.tolist() == [list(edge) for edge in skeleton.edges]
    assert not skeleton.edge_array.flags.writeable
    assert not skeleton.flip_order.flags.writeable


@given(skeletons())
def test_pickle_and_hash(skeleton):
    _ = skeleton.flip_order
    again = pickle.loads(pickle.dumps(skeleton))
    assert again == skeleton
    assert hash(again) == hash(skeleton)
