"""Answers of the tree are those of the array itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data.pyramid import Pyramid

BITS = st.lists(st.integers(0, 7), min_size=1, max_size=70).map(lambda v: np.array(v, np.uint8))
NUMBERS = st.lists(
    st.one_of(st.just(np.nan), st.integers(-9, 9).map(float)), min_size=1, max_size=70
).map(lambda v: np.array(v, np.float32))
OPERATIONS = {
    "low": (np.fmin, np.nan),
    "high": (np.fmax, np.nan),
    "sum": (np.add, 0.0),
}


def stretches(data: st.DataObject, n: int) -> tuple[np.ndarray, np.ndarray]:
    ends = data.draw(st.lists(st.tuples(st.integers(0, n), st.integers(0, n)), max_size=9))
    pairs = np.sort(np.array(ends, np.int64).reshape(-1, 2), axis=1)
    return pairs[:, 0], pairs[:, 1]


@given(st.data(), NUMBERS, st.sampled_from(sorted(OPERATIONS)))
def test_stretches_are_combined_exactly(data, values, name):
    operation, identity = OPERATIONS[name]
    if name == "sum":
        values = np.nan_to_num(values)
    starts, stops = stretches(data, len(values))
    got = Pyramid(values, operation, identity).between(starts, stops)
    expected = [
        operation.reduce(values[a:b]) if b > a else identity
        for a, b in zip(starts.tolist(), stops.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(got, np.array(expected, np.float32))


@given(st.integers(1, 300), st.sampled_from([1, 2, 8, 64]))
def test_aligned_stretches_are_combined_exactly(n, cell):
    values = np.arange(n, dtype=np.int64) * 7 % 31
    edges = np.append(np.arange(0, n, cell), n) // cell * cell
    got = Pyramid(values, np.add, 0).between(edges[:-1], edges[1:])
    assert got.tolist() == [values[a:b].sum() for a, b in pairwise(edges)]


@given(st.data(), BITS)
def test_changed_values_are_seen(data, values):
    tree = Pyramid(values, np.bitwise_or, 0)
    many = data.draw(st.booleans())
    most = len(values) if many else 1
    changed = data.draw(
        st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=most, unique=True)
    )
    values[changed] = data.draw(
        st.lists(st.integers(0, 7), min_size=len(changed), max_size=len(changed))
    )
    tree.update(changed)
    for got, expected in zip(tree.levels, Pyramid(values, np.bitwise_or, 0).levels, strict=True):
        assert got.tolist() == expected.tolist()


@pytest.mark.parametrize("n", [1, 2, 7, 1000, 1025])
def test_one_change_in_a_long_array_is_seen_at_every_level(n):
    values = np.zeros(n, np.int64)
    tree = Pyramid(values, np.add, 0)
    for index in {0, n // 2, n - 1}:
        values[index] += 1
        tree.update([index])
    assert tree.total == len({0, n // 2, n - 1})
    assert [level.sum() for level in tree.levels] == [tree.total] * len(tree.levels)


@given(BITS, st.integers(-3, 75), st.integers(1, 7))
def test_bits_are_found_forwards_and_backwards(values, start, mask):
    tree = Pyramid(values, np.bitwise_or, 0)
    hits = np.flatnonzero(values & mask)
    after, before = hits[hits >= start], hits[hits <= start]
    assert tree.find_next(start, mask) == (after[0] if len(after) else None)
    assert tree.find_previous(start, mask) == (before[-1] if len(before) else None)


def test_an_empty_array_has_nothing_to_find():
    tree = Pyramid(np.zeros(0, np.uint8), np.bitwise_or, 0)
    assert tree.find_next(0, 255) is None
    assert tree.find_previous(0, 255) is None
    assert tree.total == 0
    assert tree.between([0], [0]).tolist() == [0]
