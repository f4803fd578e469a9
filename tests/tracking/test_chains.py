"""Both solvers against the enumeration of all solutions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.tracking.chains import (
    Links,
    assign_successors,
    find_paths,
    follow_successors,
)

Interval = tuple[int, int]


@st.composite
def problems(draw: st.DrawFn, max_tracklets: int = 6) -> tuple[list[Interval], dict]:
    """Intervals in time and costs of some successions."""
    n = draw(st.integers(1, max_tracklets))
    intervals = []
    for _ in range(n):
        first = draw(st.integers(0, 12))
        intervals.append((first, first + draw(st.integers(0, 5))))
    costs = {}
    for i, j in itertools.permutations(range(n), 2):
        if intervals[j][0] > intervals[i][1] and draw(st.booleans()):
            costs[i, j] = draw(st.integers(-50, 50)) / 8
    return intervals, costs


def as_links(costs: dict) -> Links:
    pairs = np.array(list(costs), np.intp).reshape(-1, 2)
    return Links(pairs[:, 0], pairs[:, 1], np.array(list(costs.values()), float))


@given(problem=problems(), max_cost=st.integers(-2, 5))
def test_successors_are_the_best_of_all(problem, max_cost):
    intervals, costs = problem
    n = len(intervals)
    successor = assign_successors(n, as_links(costs), max_cost)
    taken = successor[successor >= 0]
    assert len(set(taken.tolist())) == len(taken)
    total = sum(costs[i, j] if j >= 0 else max_cost for i, j in enumerate(successor.tolist()))
    best = np.inf
    for choice in itertools.product(range(-1, n), repeat=n):
        used = [j for j in choice if j >= 0]
        if len(set(used)) == len(used) and all(
            j < 0 or (i, j) in costs for i, j in enumerate(choice)
        ):
            best = min(best, sum(costs[i, j] if j >= 0 else max_cost for i, j in enumerate(choice)))
    assert total == pytest.approx(best)


def path_cost(path: list[int], intervals, costs, gain, absence) -> float:
    """Cost of one animal that goes through the tracklets in this order; inf if it cannot."""
    total = -sum(gain[i] for i in path)
    for i, j in itertools.pairwise(path):
        if intervals[j][0] <= intervals[i][1]:
            return np.inf
        total += min(costs.get((i, j), np.inf), absence)
    return total


def enumerate_paths(n: int, n_paths: int):
    """All ways to give each tracklet one of the paths or none."""
    yield from itertools.product(range(-1, n_paths), repeat=n)


@given(
    problem=problems(max_tracklets=5),
    n_paths=st.integers(1, 3),
    gains=st.lists(st.integers(1, 24), min_size=5, max_size=5),
    absence=st.integers(0, 6),
)
def test_paths_are_the_best_of_all(problem, n_paths, gains, absence):
    intervals, costs = problem
    n = len(intervals)
    first, last = np.array(intervals).T
    gain = np.array(gains[:n]) / 4
    chain = find_paths(
        first,
        last,
        gain,
        as_links(costs),
        float(absence),
        n_paths,
        lambda befores, after: np.zeros(len(befores)),
    )

    def total(choice) -> float:
        value = 0.0
        for number in set(choice) - {-1}:
            path = [i for i in range(n) if choice[i] == number]
            path.sort(key=lambda i: intervals[i])
            value += path_cost(path, intervals, costs, gain, absence)
        return value

    assert chain.max() < n_paths
    best = min(total(choice) for choice in enumerate_paths(n, n_paths))
    assert total(chain.tolist()) == pytest.approx(best)


def test_animals_that_are_away_together_return_as_who_fits_best():
    # Two leave, two return later than links reach: 0 fits 3, and 1 fits 2.
    first, last = np.array([0, 0, 50, 52]), np.array([10, 12, 60, 60])

    def compare(befores, after):
        return np.array([0.0 if (i, after) in {(0, 3), (1, 2)} else 9.0 for i in befores])

    links = Links(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))
    chain = find_paths(first, last, np.ones(4), links, 0.5, 2, compare)
    assert chain[0] == chain[3]
    assert chain[1] == chain[2]
    assert chain[0] != chain[1]


def test_chains_follow_successors_to_their_end():
    assert follow_successors(np.array([2, -1, 3, -1, 1])).tolist() == [0, 1, 0, 0, 1]
    assert follow_successors(np.zeros(0, np.intp)).tolist() == []
