"""Ghosts are told from animals that stand beside, across or half behind others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.nn.ghosts import RATIO, SHARE, find_ghosts

RADIUS = 4.5
BODY = np.array([[0, 0], [22, 0], [-22, 0], [6, 20], [6, -20], [-44, 0], [-6, 15], [-6, -15]])


def place(x, y, degrees=0.0):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return BODY @ np.array([[c, s], [-s, c]]) + (x, y)


def ghosts(animals, evidence):
    return find_ghosts(np.array(animals, np.float32), np.array(evidence), RADIUS).tolist()


def test_what_stands_on_points_of_other_nodes_is_a_ghost():
    real = place(100, 100)
    swapped = real[[0, 1, 2, 4, 3, 5, 7, 6]] + 2  # left for right
    assert ghosts([real, swapped], [8.0, 2.0]) == [False, True]
    assert ghosts([real, swapped], [8.0, 8.0 * RATIO + 0.1]) == [False, False]


def test_what_is_left_of_two_animals_is_a_ghost_of_both():
    first, second = place(100, 100), place(160, 100)
    mixed = np.concatenate([first[:4], second[4:]]) + 1
    assert ghosts([first, second, mixed], [8.0, 7.0, 2.0]) == [False, False, True]


def test_half_of_the_points_are_enough_and_less_is_not():
    real = place(100, 100)
    for explained, is_ghost in ((4, True), (3, False)):
        other = real + 1
        other[explained:] += 30
        assert ghosts([real, other], [8.0, 2.0]) == [False, is_ghost], explained


def test_points_that_are_missing_do_not_count():
    real = place(100, 100)
    part = np.full_like(real, np.nan)
    part[3:6] = real[:3]
    assert ghosts([real, part], [8.0, 0.5]) == [False, True]
    part[3:6] += 20
    assert ghosts([real, part], [8.0, 0.5]) == [False, False]


@pytest.mark.parametrize("degrees", [30, 60, 90, 120, 180])
def test_a_faint_animal_across_another_is_none(degrees):
    assert ghosts([place(100, 100), place(108, 106, degrees)], [8.0, 2.0]) == [False, False]


def test_a_ghost_explains_nothing():
    """The third animal stands on the second alone, which is none."""
    real = place(100, 100)
    ghost = real[::-1].copy()
    ghost[5:] = [[300, 300], [310, 320], [330, 300]]
    third = np.full_like(real, np.nan)
    third[:3] = ghost[5:]
    assert ghosts([real, ghost, third], [8.0, 2.0, 0.5]) == [False, True, False]


def test_animals_that_are_not_there():
    nothing = np.full((3, 8, 2), np.nan)
    assert not find_ghosts(nothing, np.full(3, np.nan), RADIUS).any()
    assert find_ghosts(np.zeros((0, 8, 2)), np.zeros(0), RADIUS).shape == (0,)


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_best_animal_is_never_a_ghost_and_others_have_a_reason(count, seed):
    rng = np.random.default_rng(seed)
    animals = rng.uniform(0, 60, (count, 8, 2))
    animals[rng.random((count, 8)) < 0.3] = np.nan
    evidence = np.sort(rng.uniform(0.1, 8, count))[::-1]
    found = find_ghosts(animals, evidence, RADIUS)
    assert not found[0]
    real = []
    for number in range(count):  # the definition, one by one
        own = animals[number][np.isfinite(animals[number, :, 0])]
        near = [
            (other, i)
            for other in real
            for i, point in enumerate(own)
            if (np.linalg.norm(animals[other] - point, axis=1) <= RADIUS).any()
        ]
        explained = len({i for _, i in near})
        best = max((evidence[other] for other, _ in near), default=0)
        is_ghost = bool(len(own)) and explained >= SHARE * len(own)
        is_ghost = is_ghost and evidence[number] <= RATIO * best
        assert found[number] == is_ghost
        if not is_ghost:
            real.append(number)
