"""How noisy points are and how they are pushed: estimated from the recording itself.

Animals stand and run: one process noise for both would smear what is fast and leave the
noise in what is slow. So the process noise of a point is a function of how active it is
just then, and that function is estimated together with the measurement noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.tracking.rts import filter_step
from napari_animalpose.tracking.trajectories import Trajectories

__all__ = ["Noise", "estimate_noise", "measure_activity", "weigh_scores"]

Floats = NDArray[np.float64]

_WINDOW_STEPS = 24
_N_WINDOWS = 384
_REACH_STEPS = 6  # activity is a mean over so many steps on both sides
_LEVELS = (0.0, 0.3, 0.6, 0.8, 0.93, 1.0)  # quantiles of activity between which q is one
_MIN_INNOVATIONS = 40  # of one node; below, all nodes share one estimate
_UNKNOWN_VELOCITY = 1e8  # variance, in units of the measurement variance
_SMALLEST_VARIANCE_PX2 = 1e-6  # single precision says no more
_RATIOS = np.geomspace(1e-6, 1e4, 41)


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise of K nodes, at L levels of activity.

    Attributes
    ----------
    measurement : numpy.ndarray of float64, shape (K,)
        Variance of each coordinate of a point with the usual score in px^2.
    activity : numpy.ndarray of float64, shape (L, K)
        Ascending, in px^2; see `measure_activity`.
    process : numpy.ndarray of float64, shape (L, K)
        Spectral density of the acceleration at these levels in px^2 / step^3, ascending.
    """

    measurement: Floats
    activity: Floats
    process: Floats

    def process_at(self, activity: Floats) -> Floats:
        """Return the process noise (..., K) at activities (..., K).

        Interpolated on logarithmic scales; above the highest level it grows with the
        activity.
        """
        result = np.empty(activity.shape)
        for node in range(activity.shape[-1]):
            known, own = self.activity[:, node], activity[..., node]
            logs = np.interp(np.log(own), np.log(known), np.log(self.process[:, node]))
            result[..., node] = np.exp(logs) * np.maximum(own / known[-1], 1.0)
        return result


def weigh_scores(trajectories: Trajectories) -> Floats:
    """Return the precision of points relative to the usual one of their node, (M, K).

    The error of a peak's place goes with the noise over the height of the peak, so the
    variance with one over the score squared; a factor of 16 at most is believed. Points
    without a score have the weight 1, missing ones 0.
    """
    score = trajectories.point_score.astype(np.float64)
    score[np.isnan(trajectories.xy[..., 0])] = np.nan
    weight = np.ones(score.shape)
    for node in range(score.shape[1]):
        known = score[:, node][score[:, node] > 0]
        usual = np.median(known) if len(known) else 1.0
        weight[:, node] = np.clip((score[:, node] / usual) ** 2, 1 / 16, 16)
    weight[np.isnan(weight)] = 1.0
    weight[np.isnan(trajectories.xy[..., 0])] = 0.0
    return weight


def measure_activity(trajectories: Trajectories) -> Floats:
    """Return how fast the velocity of every point changes just then, (M, K) in px^2.

    The mean square of second differences ``x(t+1) - 2 x(t) + x(t-1)`` of a coordinate over
    6 steps on both sides, within the span. With process noise q and measurement variance r
    its expectation is ``2 q / 3 + 6 r``. Where points are missing it is interpolated; a
    span without three points in a row has the median of its node.
    """
    span, n_places = trajectories.span, len(trajectories)
    place = np.arange(n_places)
    first = np.searchsorted(span, span)
    last = np.searchsorted(span, span, side="right")
    low, high = np.maximum(place - _REACH_STEPS, first), np.minimum(place + _REACH_STEPS + 1, last)
    inner = np.zeros(n_places, np.bool_)
    inner[1:-1] = (span[2:] == span[1:-1]) & (span[:-2] == span[1:-1])
    activity = np.empty(trajectories.kind.shape)
    for node in range(trajectories.xy.shape[1]):
        xy = trajectories.xy[:, node].astype(np.float64)
        squares = np.full(n_places, np.nan)
        squares[1:-1] = ((xy[2:] - 2 * xy[1:-1] + xy[:-2]) ** 2).mean(axis=1)
        known = inner & ~np.isnan(squares)
        sums = np.concatenate([[0.0], np.cumsum(np.where(known, squares, 0.0))])
        counts = np.concatenate([[0], np.cumsum(known)])
        n_known = counts[high] - counts[low]
        mean = (sums[high] - sums[low]) / np.maximum(n_known, 1)
        seen = np.flatnonzero(n_known)
        usual = float(np.median(mean[seen])) if len(seen) else 1.0
        mean = np.interp(place, seen, mean[seen]) if len(seen) else np.full(n_places, usual)
        mean[counts[last] == counts[first]] = usual
        activity[:, node] = mean
    return np.maximum(activity, 1e-3 * _SMALLEST_VARIANCE_PX2)


def estimate_noise(trajectories: Trajectories, weight: Floats, activity: Floats) -> Noise:
    """Estimate both noises of every node by maximum likelihood.

    Parameters
    ----------
    trajectories : Trajectories
    weight : numpy.ndarray of float64, shape (M, K)
        Relative precision of the points, 0 = missing.
    activity : numpy.ndarray of float64, shape (M, K)
        From `measure_activity`.

    Notes
    -----
    The likelihood is that of the innovations of the Kalman filter (Schweppe, "Evaluation of
    likelihood functions for Gaussian signals", IEEE Trans. Inf. Theory 11, 1965), in up to
    384 windows of 24 steps spread evenly over the recording; innovations before the
    velocity is known do not count. A node has one measurement noise, and a process noise
    for the windows of each of five ranges of activity. Up to a factor, innovations depend
    on the ratio of the two only, so that one run over a grid of ratios serves all.
    """
    z, weights, levels = _cut_windows(trajectories, weight, activity)
    n_nodes = z.shape[2]
    profile = _profile(z, weights)
    if not profile[2].any():  # any finite noise leaves single points in place
        return Noise(np.ones(n_nodes), np.ones((1, n_nodes)), np.ones((1, n_nodes)))
    edges = np.quantile(levels, _LEVELS[1:-1], axis=0)
    level = (levels[None] > edges[:, None]).sum(axis=0)  # (W, K)
    measurement, process = _fit(_tabulate(profile, level))
    known = _average_levels(levels, level)
    # Where windows are few or alike, some levels are empty: they repeat the one below.
    return Noise(measurement, *(np.maximum.accumulate(part, axis=0) for part in (known, process)))


def _tabulate(profile: Floats, level: NDArray[np.intp]) -> Floats:
    """Return the sums (3, G, L, K) of the windows of each level, of all nodes where few."""
    tables = np.stack(
        [(profile * (level == number)).sum(axis=2) for number in range(len(_LEVELS) - 1)],
        axis=2,
    )
    few = tables[2, 0].sum(axis=0) < _MIN_INNOVATIONS
    return np.where(few, tables.sum(axis=3, keepdims=True), tables)


def _average_levels(levels: Floats, level: NDArray[np.intp]) -> Floats:
    """Return the geometric means (L, K) of activities (W, K), 0 for levels without windows."""
    result = np.zeros((len(_LEVELS) - 1, levels.shape[1]))
    for number, known in enumerate(result):
        here = level == number
        count = here.sum(axis=0)
        total = np.where(here, np.log(levels), 0.0).sum(axis=0)
        known[count > 0] = np.exp(total[count > 0] / count[count > 0])
    return result


def _cut_windows(
    trajectories: Trajectories, weight: Floats, activity: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return points (T, W, K, 2), 0 where missing, weights (T, W, K), activities (W, K)."""
    n_places = len(trajectories)
    n_windows = min(_N_WINDOWS, max(n_places // _WINDOW_STEPS, 1))
    edges = np.linspace(0, max(n_places - _WINDOW_STEPS, 0), n_windows).astype(np.intp)
    places = edges[None] + np.arange(_WINDOW_STEPS)[:, None]
    inside = places < n_places
    places = np.minimum(places, n_places - 1)
    inside &= trajectories.span[places] == trajectories.span[places[0]]
    weights = np.where(inside[..., None], weight[places], 0.0)
    z = np.where(weights[..., None] > 0, trajectories.xy[places], 0.0)
    logs = np.where(inside[..., None], np.log(activity[places]), 0.0).sum(axis=0)
    return z.astype(np.float64), weights, np.exp(logs / inside.sum(axis=0)[:, None])


def _profile(z: Floats, weights: Floats) -> Floats:
    """Run the filter over the windows with all ratios of process to measurement noise.

    Returns
    -------
    numpy.ndarray, shape (3, G, W, K)
        Sums over the innovations of a window: of the logarithms of their variances in
        units of the measurement variance, of their squares over those, and their number.
    """
    n_steps, n_windows, n_nodes = weights.shape
    shape = (len(_RATIOS), n_windows, n_nodes)
    q = np.broadcast_to(_RATIOS[:, None, None], shape).reshape(-1)
    covariance = np.zeros((3, q.size))
    position, velocity = np.zeros((2, 2, *shape))
    seen = np.zeros((n_windows, n_nodes), np.int64)
    sums = np.zeros((3, *shape))
    for step in range(n_steps):
        measured = weights[step] > 0
        precision = np.broadcast_to(weights[step], shape).reshape(-1)
        k1, k2, variance = filter_step(covariance, q, precision, covariance)
        point = np.moveaxis(z[step], -1, 0)[:, None]  # (2, 1, W, K)
        predicted = position + velocity
        news = point - predicted
        counted = measured & (seen >= 2)
        noise = np.where(counted, 1 / np.maximum(weights[step], 1e-12), 1.0)
        total = np.where(counted, variance.reshape(shape) + noise, 1.0)
        sums[0] += 2 * np.log(total)
        sums[1] += np.where(counted, (news**2).sum(axis=0) / total, 0.0)
        sums[2] += 2 * counted
        position = predicted + k1.reshape(shape) * news
        velocity = velocity + k2.reshape(shape) * news
        begins = measured & (seen == 0)
        if begins.any():
            position = np.where(begins, point, position)
            velocity = np.where(begins, 0.0, velocity)
            _begin(covariance.reshape(3, *shape), begins, weights[step])
        seen += measured
    return sums


def _begin(covariance: Floats, begins: NDArray[np.bool_], weight: Floats) -> None:
    """Set the covariances (3, G, W, K) of the series that begin (W, K), in place."""
    covariance[0][:, begins] = 1 / weight[begins]
    covariance[1][:, begins] = 0.0
    covariance[2][:, begins] = _UNKNOWN_VELOCITY


def _fit(tables: Floats) -> tuple[Floats, Floats]:
    """Return the most likely measurement (K,) and process noises (L, K).

    Minus twice the log likelihood of a level is ``logs + count * log r + squares / r``; it
    is minimized over the ratio at each level for every r of a grid, and the sum of the
    minima over r.
    """
    logs, squares, count = tables  # (G, L, K)
    mean = squares.sum(axis=1) / np.maximum(count.sum(axis=1), 1)  # (G, K)
    highest = np.maximum(mean.max(axis=0), _SMALLEST_VARIANCE_PX2)
    fractions = np.geomspace(1.0, 1e-8, 161)
    variances = np.maximum(highest * fractions[:, None], _SMALLEST_VARIANCE_PX2)  # (V, K)
    least = np.empty(variances.shape)
    for number, variance in enumerate(variances):
        loss = logs + count * np.log(variance) + squares / variance
        least[number] = loss.min(axis=0).sum(axis=0)
    nodes = np.arange(variances.shape[1])
    measurement = variances[np.argmin(least, axis=0), nodes]
    loss = logs + count * np.log(measurement) + squares / measurement
    ratio = _RATIOS[np.argmin(loss, axis=0)]
    ratio[count[0] == 0] = np.nan  # a level without windows: as the next one
    for level in range(len(ratio) - 2, -1, -1):
        ratio[level] = np.where(np.isnan(ratio[level]), ratio[level + 1], ratio[level])
    return measurement, np.nan_to_num(ratio) * measurement
