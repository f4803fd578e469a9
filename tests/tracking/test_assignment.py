"""Assignments against all permutations."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_animalpose.tracking.assignment import ASSIGNMENTS, assign_greedily, assign_optimally

costs = npst.arrays(
    float,
    npst.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=4),
    elements=st.one_of(st.just(np.inf), st.integers(0, 12).map(float)),
)


def total(cost, rows, columns, limit):
    """Cost of pairs where every row and column of a square without partner counts half."""
    return cost[rows, columns].sum() + limit * (min(cost.shape) - len(rows))


@given(costs, st.integers(1, 14))
def test_no_other_choice_is_cheaper(cost, limit):
    if cost.shape[0] > cost.shape[1]:
        cost = cost.T
    rows, columns = assign_optimally(cost, limit)
    capped = np.minimum(cost, limit)
    least = min((capped[range(len(cost)), chosen].sum() for chosen in choose(cost)), default=0.0)
    assert total(cost, rows, columns, limit) == pytest.approx(least)


def choose(cost):
    return [list(columns) for columns in permutations(range(cost.shape[1]), cost.shape[0])]


@given(costs, st.integers(1, 14))
def test_every_assignment_pairs_each_once_and_below_the_limit(cost, limit):
    for name in ASSIGNMENTS:
        rows, columns = ASSIGNMENTS.get(name)(cost, limit)
        assert len(set(rows.tolist())) == len(rows) == len(columns) == len(set(columns.tolist()))
        assert (cost[rows, columns] < limit).all()


@given(costs, st.integers(1, 14))
def test_greedy_leaves_no_pair_that_could_be_made(cost, limit):
    rows, columns = assign_greedily(cost, limit)
    rest = np.delete(np.delete(cost, rows, axis=0), columns, axis=1)
    assert not (rest < limit).any()


def test_greedy_takes_the_cheapest_and_optimal_the_cheapest_sum():
    cost = np.array([[1.0, 2.0], [2.0, 10.0]])
    pairs = {
        name: set(zip(*ASSIGNMENTS.get(name)(cost, 20.0), strict=True)) for name in ASSIGNMENTS
    }
    assert pairs == {"hungarian": {(0, 1), (1, 0)}, "greedy": {(0, 0), (1, 1)}}


def test_a_stray_instance_does_not_shift_its_neighbours():
    # instance 0 is where track 0 expects it; instance 1 is near track 0, far from track 1
    cost = np.array([[0.0, 2.0], [1.5, np.inf]])
    rows, columns = assign_optimally(cost, 3.0)
    assert (rows.tolist(), columns.tolist()) == ([0], [0])
