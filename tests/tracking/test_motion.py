"""Sizes and spreads that are learned, against those that were put in."""

import numpy as np
import pytest

from napari_animalpose.tracking.costs import Pairs
from napari_animalpose.tracking.motion import DRIFT_FRAMES, MotionScale

BODY = np.array([[0.0, 0.0], [60.0, 0.0], [0.0, 80.0]])  # a diagonal of 100 px


def feed(scale, sigma_px, n_frames=400, outliers=0.0, seed=0):
    rng = np.random.default_rng(seed)
    scale.measure(BODY[None])
    for _ in range(n_frames):
        offset = rng.normal(0, sigma_px, (20, 3, 2))
        offset[rng.random((20, 3)) < outliers] += 60.0
        spread = np.full(20, scale.spread_px)
        scale.learn(Pairs(BODY + offset, np.broadcast_to(BODY, (20, 3, 2)), spread).surprise)
    return scale


@pytest.mark.parametrize("sigma_px", [3.0, 8.0, 20.0])
def test_the_spread_becomes_that_of_the_errors(sigma_px):
    assert feed(MotionScale(), sigma_px).spread_px == pytest.approx(sigma_px, rel=0.07)


def test_outliers_hardly_widen_it():
    assert 5.0 < feed(MotionScale(), 5.0, outliers=0.1).spread_px < 6.5  # rms: 27 px


def test_it_has_a_floor_and_can_be_given():
    assert feed(MotionScale(), 0.0).spread_px == pytest.approx(2.5)  # 2.5 % of the body
    assert feed(MotionScale(body_length_px=10.0), 0.0).spread_px == 1.0
    assert feed(MotionScale(motion_fraction=0.2), 3.0).spread_px == pytest.approx(20.0)


def test_body_length_is_the_diagonal_of_the_typical_box():
    scale = MotionScale()
    assert scale.body_length_px == 0.0
    scale.measure(np.full((2, 3, 2), np.nan))
    assert scale.body_length_px == 0.0
    for _ in range(300):
        scale.measure(np.stack([BODY, BODY + 7.0, 3 * BODY]))
    assert scale.body_length_px == pytest.approx(100.0)
    for _ in range(400):
        scale.measure(2 * BODY[None])
    assert scale.body_length_px == pytest.approx(200.0, rel=0.01)
    assert MotionScale(body_length_px=42.0).body_length_px == 42.0


def test_speed_is_the_way_within_some_frames():
    scale = MotionScale()
    scale.measure(BODY[None])
    for _ in range(600):
        scale.learn_drift(BODY[None], BODY[None] + [14.0, 2.0])  # 10 px rms along an axis
    assert scale.speed * scale.spread_px * DRIFT_FRAMES == pytest.approx(10.0, rel=0.01)


def test_the_spread_grows_with_the_gap_from_one():
    scale = MotionScale(body_length_px=100.0, motion_fraction=0.05)
    growth = scale.growth(np.array([1, 2, 5, 50, 500]))
    assert growth[0] == 1.0
    assert np.all(np.diff(growth) > 0)
    way = (scale.speed * DRIFT_FRAMES) ** 2
    assert growth[2] ** 2 == pytest.approx(1.0 + way * (1.0 - 0.2**1.6))
    assert growth[4] / growth[3] == pytest.approx(10**0.8, rel=0.01)


def test_nothing_is_learned_from_nothing():
    scale = MotionScale()
    before = scale.spread_px
    scale.learn(np.array([np.nan]))
    scale.learn_drift(np.full((1, 3, 2), np.nan), BODY[None])
    assert scale.spread_px == before
