"""Medians and tails against numpy and known distributions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_animalpose.review.robust import estimate_tail, median_of_present, median_or

values = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))
tables = npst.arrays(np.float64, npst.array_shapes(min_dims=2, max_dims=3), elements=values)


@given(tables, st.integers(0, 1))
def test_the_median_is_that_of_numpy(table, axis):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of slices of NaN alone
        expected = np.nanmedian(table, axis=axis)
    np.testing.assert_allclose(median_of_present(table, axis), expected, rtol=1e-12)


def test_the_median_of_nothing_is_missing():
    assert np.isnan(median_of_present(np.zeros((3, 0)), axis=1)).all()
    assert median_or([np.nan], 7.0) == 7.0
    assert median_or([1, 3, np.nan], 7.0) == 2.0


@pytest.mark.parametrize("outliers", [0.0, 0.04])
def test_the_tail_of_normal_deviations_is_their_standard_deviation(outliers):
    rng = np.random.default_rng(0)
    xy = rng.normal(0, 3.0, (20_000, 2))
    xy[: int(outliers * len(xy))] = 1e6
    assert estimate_tail(np.abs(xy[:, 0])) == pytest.approx(3.0, rel=0.5 if outliers else 0.03)
    assert estimate_tail(np.hypot(*xy.T), 2) == pytest.approx(3.0, rel=0.5 if outliers else 0.03)


def test_a_heavy_tail_is_wider_than_its_middle():
    still, swinging = np.full(900, 0.1), np.full(100, 10.0)
    assert estimate_tail(np.concatenate([still, swinging])) == pytest.approx(10 / 1.96, rel=1e-3)


def test_tails_are_taken_column_by_column_and_without_missing_values():
    table = np.array([[1.0, np.nan], [1.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_allclose(estimate_tail(table, axis=0), [1 / 0.67449, 0], rtol=1e-4)
    assert estimate_tail(np.zeros((0, 2)), axis=0).tolist() == [0, 0]
    assert estimate_tail([]) == 0
