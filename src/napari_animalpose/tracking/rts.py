"""Constant-velocity Kalman filter and smoother of many points at once.

The model of one coordinate: position and velocity, pushed by white acceleration noise of
spectral density q (px^2 / step^3), and a measured position with variance r (px^2):

    x(t+1) = F x(t) + w,  F = [[1, 1], [0, 1]],  cov w = q [[1/3, 1/2], [1/2, 1]]

x and y of a point share their covariances. The smoother is that of Rauch, Tung and
Striebel ("Maximum likelihood estimates of linear dynamic systems", AIAA Journal 3, 1965).
Nothing is known about the velocity in the beginning: its variance is very large, and all
formulas are written so that no digits are lost to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Measurements", "filter_step", "initial_velocity_variance", "smooth_blocks"]

Floats = NDArray[np.float64]

_CELLS_IN_BLOCK = 1 << 17  # steps times points that are worked on at once


@dataclass(frozen=True, eq=False)
class Measurements:
    """B steps of S points.

    Attributes
    ----------
    z : numpy.ndarray of float64, shape (B, 2, S)
        x and y in px; any number where the precision is 0, but not NaN.
    precision : numpy.ndarray of float64, shape (B, S)
        1 / variance of each coordinate in px^-2; 0 = not measured.
    process : numpy.ndarray of float64, shape (B, S)
        q of the movement from the step before to this one, above 0.
    begins : numpy.ndarray of bool, shape (B, S)
        Where a new, measured, series starts.
    """

    z: Floats
    precision: Floats
    process: Floats
    begins: NDArray[np.bool_]


def initial_velocity_variance(variance: Floats) -> Floats:
    """Return the variance of an unknown velocity beside measurements of this variance."""
    return np.asarray(np.maximum(1e8 * variance, 1e6))


def filter_step(
    covariance: Floats, q: Floats, precision: Floats, out: Floats
) -> tuple[Floats, Floats, Floats]:
    """Predict and update covariances by one step.

    Parameters
    ----------
    covariance : numpy.ndarray of float64, shape (3, S)
        Variance of position, covariance, variance of velocity.
    q : numpy.ndarray of float64, shape (S,)
    precision : numpy.ndarray of float64, shape (S,)
    out : numpy.ndarray of float64, shape (3, S)
        Takes the new covariances; may be `covariance` itself.

    Returns
    -------
    k1, k2 : numpy.ndarray, shape (S,)
        Gains of position and velocity.
    variance : numpy.ndarray, shape (S,)
        Of the predicted position.
    """
    p11, p12, p22 = covariance
    p22 = p22 + q
    mixed = p12 + p22  # p12 + p22 + q
    p11 = p11 + p12 + mixed - q * (2.0 / 3.0)  # p11 + 2 p12 + p22 + q / 3
    p12 = mixed - q * 0.5
    left = 1.0 / (1.0 + precision * p11)  # share of the variance that stays
    scaled = precision * left
    k2 = p12 * scaled
    np.multiply(p11, left, out=out[0])
    np.subtract(p22, p12 * k2, out=out[2])
    np.multiply(p12, left, out=out[1])
    return p11 * scaled, k2, p11


def smooth_blocks(
    n_steps: int,
    first_variance: Floats,
    read: Callable[[slice], Measurements],
    write: Callable[[slice, Floats, Floats], None],
) -> None:
    """Smooth S series of `n_steps` steps, block by block.

    Memory is that of one block and of the states between blocks: the filter runs twice,
    once forward to find those states and once in every block on the way back.

    Parameters
    ----------
    n_steps : int
    first_variance : numpy.ndarray of float64, shape (S,)
        Variance of the velocity where a series begins.
    read : callable
        Returns the `Measurements` of a slice of steps.
    write : callable
        Takes a slice of steps, the smoothed points (B, 2, S) and the variances of their
        coordinates (B, S). Before a series begins they have no meaning.
    """
    n_points = len(first_variance)
    size = max(_CELLS_IN_BLOCK // max(n_points, 1), 16)
    blocks = [slice(i, min(i + size, n_steps)) for i in range(0, n_steps, size)]
    state = _State(np.zeros((2, 2, n_points)), np.zeros((3, n_points)))
    before = []
    for block in blocks:
        before.append(state)
        filtered = _filter_block(read(block), state, first_variance)
        # Copies: a view would keep all of the block in memory.
        state = _State(filtered.mean[-1].copy(), filtered.covariance[-1].copy())
    later = state  # whatever: nothing comes after the last step
    begins_later, process_later = np.ones(n_points, np.bool_), np.ones(n_points)
    for block, state in zip(reversed(blocks), reversed(before), strict=True):
        measured = read(block)
        if block is not blocks[-1]:
            filtered = _filter_block(measured, state, first_variance)
        begins_after = np.concatenate([measured.begins[1:], begins_later[None]])
        q_after = np.concatenate([measured.process[1:], process_later[None]])
        mean, covariance = _smooth_block(filtered, later, q_after, begins_after)
        write(block, mean[:, 0], covariance[:, 0])
        later = _State(mean[0], covariance[0])
        begins_later, process_later = measured.begins[0], measured.process[0]


@dataclass(frozen=True, eq=False)
class _State:
    """Mean (..., 2, 2, S) as (position or velocity, x or y), covariance (..., 3, S)."""

    mean: Floats
    covariance: Floats


def _filter_block(measured: Measurements, state: _State, first_variance: Floats) -> _State:
    """Return the filtered states (B, ...) of a block that follows a state."""
    n_steps, n_points = measured.precision.shape
    mean = np.empty((n_steps, 2, 2, n_points))
    covariance = np.empty((n_steps, 3, n_points))
    last_mean, last_covariance = state.mean, state.covariance
    starts = {
        int(step): np.flatnonzero(measured.begins[step])
        for step in np.flatnonzero(measured.begins.any(axis=1))
    }
    for step in range(n_steps):
        now, spread = mean[step], covariance[step]
        precision = measured.precision[step]
        k1, k2, _ = filter_step(last_covariance, measured.process[step], precision, spread)
        position, velocity = last_mean
        predicted = position + velocity
        news = measured.z[step] - predicted
        np.multiply(k1, news, out=now[0])
        now[0] += predicted
        np.multiply(k2, news, out=now[1])
        now[1] += velocity
        new = starts.get(step)
        if new is not None:
            now[0, :, new] = measured.z[step][:, new].T
            now[1, :, new] = 0.0
            spread[0, new] = 1.0 / precision[new]
            spread[1, new] = 0.0
            spread[2, new] = first_variance[new]
        last_mean, last_covariance = now, spread
    return _State(mean, covariance)


def _smooth_block(
    filtered: _State, later: _State, q: Floats, begins_after: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return the smoothed means (B, 2, 2, S) and covariances (B, 3, S) of a block.

    The smoothed state is ``H x + G x'``, with x the filtered one, x' the smoothed one a
    step later, and ``H = 1 - G F``; its covariance ``H P H' + G Q G' + G P' G'``.
    """
    gain, own_mean, own_covariance = _prepare_smoothing(filtered, q, begins_after)
    g11, g12, g21, g22 = gain[:, 0, 0], gain[:, 0, 1], gain[:, 1, 0], gain[:, 1, 1]
    # The covariance a step later goes into this one by a 3 x 3 matrix.
    spread = np.empty((len(gain), 3, 3, gain.shape[-1]))
    spread[:, 0, 0], spread[:, 0, 1], spread[:, 0, 2] = g11**2, 2 * g11 * g12, g12**2
    spread[:, 1, 0], spread[:, 1, 2] = g11 * g21, g12 * g22
    spread[:, 1, 1] = g11 * g22 + g12 * g21
    spread[:, 2, 0], spread[:, 2, 1], spread[:, 2, 2] = g21**2, 2 * g21 * g22, g22**2
    mean_after, covariance_after = later.mean, later.covariance
    means, spreads = gain[:, :, :, None], np.empty(spread.shape[1:])
    moved = np.empty((2, *own_mean.shape[1:]))
    for step in range(len(gain) - 1, -1, -1):
        np.multiply(means[step], mean_after, out=moved)  # (2, 2, 2, S)
        own_mean[step] += moved[:, 0]
        own_mean[step] += moved[:, 1]
        np.multiply(spread[step], covariance_after, out=spreads)
        own_covariance[step] += np.add.reduce(spreads, axis=1)
        mean_after, covariance_after = own_mean[step], own_covariance[step]
    return own_mean, own_covariance


def _prepare_smoothing(
    filtered: _State, q: Floats, begins_after: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    """Return G (B, 2, 2, S), H x (B, 2, 2, S) and H P H' + G Q G' (B, 3, S).

    Both matrices have the determinant of the predicted covariance below them; written
    out, terms that cancel are gone.
    """
    p11, p12, p22 = np.moveaxis(filtered.covariance, 1, 0)
    whole = p11 * p22 - p12**2
    determinant = whole + q * (p11 + p12 + p22 / 3) + q**2 / 12
    gain = np.empty((len(p11), 2, 2, p11.shape[1]))
    gain[:, 0, 0] = whole + q * (p11 + p12 / 2)
    gain[:, 0, 1] = -whole - q * (p11 / 2 + p12 / 6)
    gain[:, 1, 0] = q * (p12 + p22 / 2)
    gain[:, 1, 1] = whole - q * (p12 / 2 + p22 / 6)
    left = np.empty_like(gain)
    left[:, 0, 0] = p12 / 2 + p22 / 3 + q / 12
    left[:, 0, 1] = -(p11 / 2 + p12 / 3)
    left[:, 1, 0] = -(p12 + p22 / 2)
    left[:, 1, 1] = p11 + p12 / 2 + q / 12
    with np.errstate(divide="ignore", invalid="ignore"):  # where no series has begun
        gain /= determinant[:, None, None]
        left *= (q / determinant)[:, None, None]
    cut = begins_after | ~np.isfinite(gain[:, 0, 0])
    for matrix, diagonal in ((gain, 0.0), (left, 1.0)):
        matrix.transpose(0, 3, 1, 2)[cut] = diagonal * np.eye(2)
    own_mean = np.einsum("bijs,bjcs->bics", left, filtered.mean)
    q_matrix = np.array([[1 / 3, 1 / 2], [1 / 2, 1]])
    p_matrix = np.stack([np.stack([p11, p12], axis=1), np.stack([p12, p22], axis=1)], axis=1)
    covariance = np.empty_like(filtered.covariance)
    for place, (i, j) in enumerate(((0, 0), (0, 1), (1, 1))):
        covariance[:, place] = sum(
            left[:, i, a] * p_matrix[:, a, b] * left[:, j, b]
            + q * q_matrix[a, b] * gain[:, i, a] * gain[:, j, b]
            for a in range(2)
            for b in range(2)
        )
    return gain, own_mean, covariance
