"""The Kalman smoother against closed forms and against plain matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_are

from napari_animalpose.tracking import rts
from napari_animalpose.tracking.rts import Measurements, initial_velocity_variance, smooth_blocks

F = np.array([[1.0, 1.0], [0.0, 1.0]])
Q = np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])


def smooth(z, precision, process, begins=None, first_variance=None):
    """Smooth one coordinate (T, S), mirrored as the other; returns points and variances."""
    z, precision = np.asarray(z, float), np.asarray(precision, float)
    if begins is None:
        begins = np.zeros(z.shape, bool)
        begins[np.argmax(precision > 0, axis=0), np.arange(z.shape[1])] = True
    if first_variance is None:
        known = np.where(precision > 0, 1 / np.where(precision > 0, precision, 1), 0).max(axis=0)
        first_variance = initial_velocity_variance(known)
    process = np.broadcast_to(process, z.shape)
    points, variances = np.empty((len(z), 2, z.shape[1])), np.empty(z.shape)

    def read(steps):
        both = np.stack([z[steps], -z[steps]], axis=1)
        return Measurements(both, precision[steps], process[steps], begins[steps])

    def write(steps, xy, variance):
        points[steps], variances[steps] = xy, variance

    smooth_blocks(len(z), first_variance, read, write)
    np.testing.assert_allclose(points[:, 1], -points[:, 0], rtol=1e-9, atol=1e-9)
    return points[:, 0], variances


def solve_densely(z, precision, process, velocity_variance):
    """Mean and variance of positions by one Gaussian conditioning over all steps."""
    n = len(z)
    information, right = np.zeros((2 * n, 2 * n)), np.zeros(2 * n)
    information[1, 1] += 1 / velocity_variance
    for t in range(n):
        information[2 * t, 2 * t] += precision[t]
        right[2 * t] += precision[t] * z[t]
        if t:
            # The move from t - 1 to t: (x(t) - F x(t-1)) has the covariance q Q.
            a = np.zeros((2, 2 * n))
            a[:, 2 * t : 2 * t + 2], a[:, 2 * t - 2 : 2 * t] = np.eye(2), -F
            information += a.T @ np.linalg.inv(process[t] * Q) @ a
    covariance = np.linalg.inv(information)
    return (covariance @ right)[::2], np.diag(covariance)[::2]


@given(
    seed=st.integers(0, 10_000),
    n_steps=st.integers(1, 25),
    log_q=st.floats(-3, 2),
    share_missing=st.floats(0, 0.7),
)
def test_any_series_is_smoothed_as_by_dense_algebra(seed, n_steps, log_q, share_missing):
    rng = np.random.default_rng(seed)
    z = np.cumsum(rng.normal(0, 3, n_steps))
    precision = np.where(rng.random(n_steps) < share_missing, 0, rng.uniform(0.2, 5, n_steps))
    precision[0] = 1.0  # a series begins with a measurement
    process = 10**log_q * rng.uniform(0.3, 3, n_steps)
    z[precision == 0] = 0
    mean, variance = smooth(
        z[:, None], precision[:, None], process[:, None], first_variance=np.array([100.0])
    )
    expected = solve_densely(z, precision, process, 100.0)
    np.testing.assert_allclose(mean[:, 0], expected[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(variance[:, 0], expected[1], rtol=1e-5)


@pytest.mark.parametrize("q", [1e-6, 1.0, 1e4])
def test_constant_velocity_is_reproduced_over_gaps(q):
    t = np.arange(200.0)
    z = (7.0 - 3.25 * t)[:, None]
    precision = np.ones((200, 1))
    precision[50:90] = 0
    mean, _ = smooth(np.where(precision > 0, z, 0), precision, q)
    np.testing.assert_allclose(mean, z, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(("q", "r"), [(0.1, 1.0), (1.0, 0.25), (1e-3, 4.0)])
def test_the_variance_settles_at_that_of_the_riccati_equation(q, r):
    n = 800
    rng = np.random.default_rng(0)
    _, variance = smooth(rng.normal(0, 1, (n, 1)), np.full((n, 1), 1 / r), q)
    h = np.array([[1.0], [0.0]])
    predicted = solve_discrete_are(F.T, h, q * Q, np.array([[r]]))
    gain = predicted @ h / (predicted[0, 0] + r)
    filtered = predicted - gain @ h.T @ predicted
    assert variance[-1, 0] == pytest.approx(filtered[0, 0], rel=1e-6)
    # In the middle: the fixed point of the backward recursion.
    back = filtered @ F.T @ np.linalg.inv(predicted)
    settled = filtered
    for _ in range(2000):
        settled = filtered + back @ (settled - predicted) @ back.T
    assert variance[n // 2, 0] == pytest.approx(settled[0, 0], rel=1e-6)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    z = np.cumsum(rng.normal(0, 1, (130, 3)), axis=0)
    precision = np.where(rng.random(z.shape) < 0.3, 0.0, 2.0)
    precision[0] = 2.0
    whole = smooth(z, precision, 0.3)
    monkeypatch.setattr(rts, "_CELLS_IN_BLOCK", 1)  # the least: 16 steps
    for one, other in zip(smooth(z, precision, 0.3), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_series_in_one_lane_know_nothing_of_each_other():
    rng = np.random.default_rng(2)
    first, second = rng.normal(0, 1, (40, 1)), rng.normal(500, 1, (30, 1))
    begins = np.zeros((70, 1), bool)
    begins[[0, 40]] = True
    variance = np.array([1e8])
    joined = smooth(np.vstack([first, second]), np.ones((70, 1)), 0.1, begins, variance)
    alone = [smooth(z, np.ones(z.shape), 0.1, first_variance=variance) for z in (first, second)]
    for part in range(2):
        both = np.vstack([alone[0][part], alone[1][part]])
        np.testing.assert_allclose(joined[part], both, rtol=1e-9)


def test_a_worse_measurement_counts_less():
    rng = np.random.default_rng(3)
    z = rng.normal(0, 1, (21, 1))
    z[10] = 10.0
    precision = np.ones((21, 1))
    believed, sure = smooth(z, precision, 0.05)
    precision[10] = 1 / 16
    doubted, unsure = smooth(z, precision, 0.05)
    assert doubted[10, 0] < believed[10, 0]
    assert unsure[10, 0] > sure[10, 0]
