"""Costs against their closed forms, and what SLEAP's similarity gets wrong."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_animalpose.errors import ConfigError
from napari_animalpose.tracking.costs import (
    COSTS,
    MISSING_COST,
    Pairs,
    combine_costs,
    find_centroids,
    square_shifts,
)

SQUARE = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def move(pose, x, y):
    return pose + np.array([x, y])


def pair(seen, expected, spread=2.0, **classes):
    arrays = {name: np.array(values, float)[None] for name, values in classes.items()}
    seen, expected = np.array(seen, float)[None], np.array(expected, float)[None]
    return Pairs(seen=seen, expected=expected, spread_px=np.array([spread]), **arrays)


def cost(name, *arguments, **classes):
    return COSTS.get(name)(pair(*arguments, **classes))[0]


@pytest.mark.parametrize("name", ["oks", "centroid", "iou"])
def test_the_same_pose_costs_nothing(name):
    assert cost(name, SQUARE, SQUARE) == 0.0


@pytest.mark.parametrize("name", ["oks", "centroid"])
def test_a_shift_costs_the_logarithm_of_a_student_distribution(name):
    assert cost(name, move(SQUARE, 2.0, 0.0), SQUARE) == pytest.approx(np.log(1.5))
    assert cost(name, move(SQUARE, 0.0, -6.0), SQUARE, 3.0) == pytest.approx(np.log(3.0))


def test_costs_tell_animals_apart_however_far_they_moved():
    # sum(exp(-d^2)), SLEAP's similarity, is 0 to the last bit from 28 px on
    shifts = [move(SQUARE, distance, 0.0) for distance in (30.0, 31.0, 300.0, 1e5)]
    for name in ("oks", "centroid"):
        costs = [cost(name, shifted, SQUARE) for shifted in shifts]
        assert np.all(np.diff(costs) > 0)
        assert np.isfinite(costs).all()
    assert np.exp(-(30.0**2)) == 0.0


def test_missing_points_do_not_move_the_centroid_and_cost_what_they_cost():
    seen = move(SQUARE, 2.0, 0.0)
    seen[3] = np.nan
    assert cost("centroid", seen, SQUARE) == pytest.approx(np.log(1.5))
    assert cost("oks", seen, SQUARE) == pytest.approx((3 * np.log(1.5) + MISSING_COST) / 4)
    # what nobody expected is not missed
    assert cost("oks", SQUARE, seen) == pytest.approx(np.log(1.5))


def test_a_part_in_its_place_is_less_like_an_animal_than_the_whole_of_it():
    part = np.full_like(SQUARE, np.nan)
    part[0] = SQUARE[0]
    whole = move(SQUARE, 2.0, 2.0)
    assert cost("oks", part, SQUARE) > cost("oks", whole, SQUARE)
    assert np.isfinite(cost("oks", part, SQUARE))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6), st.floats(0.0, 1.0))
def test_shifts_of_all_pairs_are_those_of_each(seed, n_seen, n_expected, missing):
    rng = np.random.default_rng(seed)
    seen, expected = (rng.normal(500, 200, (n, 4, 2)) for n in (n_seen, n_expected))
    for xy in (seen, expected):
        xy[rng.random(xy.shape[:2]) < missing] = np.nan
    shifts = square_shifts(seen, expected)
    for i, j in np.ndindex(shifts.shape):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing
            offset = np.nanmean(seen[i] - expected[j], axis=0)
            if np.isnan(offset).any():  # no point in common
                offset = np.nanmean(seen[i], axis=0) - np.nanmean(expected[j], axis=0)
        np.testing.assert_allclose(shifts[i, j], (offset**2).sum(), rtol=1e-9, atol=1e-6)


def test_without_a_shared_point_only_the_centroids_can_tell():
    seen, expected = SQUARE.copy(), SQUARE.copy()
    seen[2:], expected[:2] = np.nan, np.nan  # centroids (5, 0) and (5, 10)
    assert np.isnan(cost("oks", seen, expected))
    assert cost("centroid", seen, expected, 10.0) == pytest.approx(np.log(1.5))


def test_one_point_far_off_does_not_outweigh_the_others():
    seen = SQUARE.copy()
    seen[0] += 1000.0
    assert cost("oks", seen, SQUARE) < cost("oks", SQUARE + 12.0, SQUARE)


def test_boxes():
    tiny = 1e-9  # the margin
    assert cost("iou", move(SQUARE, 5.0, 0.0), SQUARE, tiny) == pytest.approx(np.log(3.0))
    assert cost("iou", move(SQUARE, 50.0, 0.0), SQUARE, tiny) == pytest.approx(np.log(50.0))
    point = np.array([[3.0, 3.0], [np.nan] * 2, [np.nan] * 2, [np.nan] * 2])
    # squares of side 4 shifted by 2: 8 in common of 24
    assert cost("iou", move(point, 2.0, 0.0), point, 2.0) == pytest.approx(np.log(3.0))


def test_appearance():
    def compare(seen, expected):
        return cost("appearance", SQUARE, SQUARE, seen_class=seen, expected_class=expected)

    assert compare([1, 0], [1, 0]) == pytest.approx(0.0)
    assert compare([1, 0], [3, 3]) == pytest.approx(np.log(2.0) / 2)
    assert compare([1, 0], [0, 1]) == pytest.approx(np.log(50.0))
    assert np.isnan(compare([1, np.nan], [0, 1]))
    assert np.isnan(cost("appearance", SQUARE, SQUARE))


def test_the_mean_leaves_out_costs_that_cannot_tell():
    shifted = pair(move(SQUARE, 2.0, 0.0), SQUARE)
    both = combine_costs(shifted, {"oks": 1.0, "appearance": 5.0})
    assert both == pytest.approx([np.log(1.5)])
    weighed = combine_costs(shifted, {"oks": 1.0, "iou": 3.0})
    iou = COSTS.get("iou")(shifted)[0]
    assert weighed == pytest.approx([(np.log(1.5) + 3 * iou) / 4])
    assert combine_costs(shifted, {"appearance": 1.0}) == [np.inf]


def test_an_unknown_cost_is_named():
    with pytest.raises(ConfigError, match=r"known cost .*received 'bogus'"):
        combine_costs(pair(SQUARE, SQUARE), {"bogus": 1.0})


def test_centroids_of_what_is_there():
    xy = np.stack([SQUARE, np.full((4, 2), np.nan)])
    xy[0, 3] = np.nan
    centroids = find_centroids(xy)
    assert centroids[0] == pytest.approx([10 / 3, 10 / 3])
    assert np.isnan(centroids[1]).all()
