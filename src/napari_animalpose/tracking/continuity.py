"""How well one tracklet continues another: motion, shape, appearance and the gap.

All costs are log-likelihood ratios in nats: the chance that the same animal looks like this
after the gap against the chance that another one does. Negative means "the same". So costs
add up, and none of them has a scale that a user must find: the spread of motion and shape
is measured in the unbroken stretches of the very recording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.oks import compute_areas, compute_sides
from napari_animalpose.data.poses import Poses
from napari_animalpose.tracking.tracklets import Tracklets, average_over

__all__ = [
    "Ends",
    "MotionModel",
    "ShapeModel",
    "compare_appearance",
    "compare_motion",
    "compare_shape",
    "find_ends",
    "learn_motion",
    "learn_shape",
    "measure_limbs",
]

Floats = NDArray[np.float64]

# Degrees of freedom of Student's t. Animals stand and jump, and tracks break when they do
# what they rarely do: with 2, a jump of ten spreads costs 8 nats, a normal distribution 50.
_DEGREES = 2.0
_MEDIAN = _DEGREES * (2.0 ** (2.0 / _DEGREES) - 1.0)  # of the squared distance / spread^2
_VELOCITY_FRAMES = 4  # frames before an end over which its velocity is taken
_LOOK_BACK_FRAMES = 5  # a node that the last frame misses is taken from one of these
_SAMPLES = 2000  # pairs of instances for every length of gap
_LIMB_MEMORY_FRAMES = 25  # limb lengths of frames nearer than this are not independent
_LIMB_SAMPLES = 200_000  # instances that are measured
_LARGEST_LIKELIHOOD = 5.0  # nats that shape or appearance may say at most
_PAIRS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class MotionModel:
    """How far animals get in a number of frames, learned from unbroken stretches.

    After `lags` frames an animal is where its velocity takes it in `reach_frames` (animals
    do not keep their velocity: this grows more slowly than the lag), give or take
    `spread_px` in each direction.

    Attributes
    ----------
    lags : numpy.ndarray of float64, shape (G,)
        Ascending from 1.
    reach_frames, spread_px : numpy.ndarray of float64, shape (G,)
    body_px : float
        Square root of the median area of the box around an animal.
    arena_px2 : float
        Area in which another animal may be.
    """

    lags: Floats
    reach_frames: Floats
    spread_px: Floats
    body_px: float
    arena_px2: float

    def reach(self, gap: NDArray[np.int64]) -> Floats:
        """Return for how many frames a velocity counts after gaps (P,)."""
        return np.asarray(np.interp(gap, self.lags, self.reach_frames))

    def spread(self, gap: NDArray[np.int64]) -> Floats:
        """Return the spread in px after gaps (P,); beyond the longest lag as the root of it."""
        known = np.interp(np.log(gap), np.log(self.lags), self.spread_px)
        grown = known * np.sqrt(np.maximum(gap / self.lags[-1], 1.0))
        return np.asarray(np.minimum(grown, np.sqrt(self.arena_px2 / (2 * np.pi))))


@dataclass(frozen=True, eq=False)
class Ends:
    """One end of every tracklet: pose (R, K, 2) in px and velocity (R, 2) in px/frame.

    Velocities run forward in time at both ends; NaN for a tracklet of one frame.
    """

    pose: Floats
    velocity: Floats


# ------------------------------------------------------------------------------- motion
def find_ends(poses: Poses, tracklets: Tracklets, side: str) -> Ends:
    """Return the "first" or the "last" end of every tracklet."""
    step = 1 if side == "first" else -1
    anchor = tracklets.starts if side == "first" else tracklets.stops - 1
    available = tracklets.counts - 1
    pose = poses.xy[tracklets.rows[anchor]].astype(np.float64)
    for back in range(1, _LOOK_BACK_FRAMES):
        other = poses.xy[tracklets.rows[anchor + step * np.minimum(back, available)]]
        pose = np.where(np.isnan(pose), other, pose)
    distance = np.minimum(_VELOCITY_FRAMES, available)
    return Ends(pose, _velocity(poses, tracklets, anchor, anchor + step * distance))


def _velocity(
    poses: Poses, tracklets: Tracklets, a: NDArray[np.intp], b: NDArray[np.intp]
) -> Floats:
    """Return the mean velocity (P, 2) of nodes between two places in `tracklets.rows`."""
    moved = _mean_shift(poses.xy[tracklets.rows[a]], poses.xy[tracklets.rows[b]])
    frames = (tracklets.frame[b] - tracklets.frame[a]).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(frames[:, None] == 0, np.nan, moved / frames[:, None]))


def _mean_shift(a: NDArray[np.floating], b: NDArray[np.floating]) -> Floats:
    """Return the mean of b - a (P, K, 2) over the nodes that both have, NaN for none."""
    shift = b.astype(np.float64) - a
    known = ~np.isnan(shift[..., 0])
    total = np.where(known[..., None], shift, 0.0).sum(axis=1)
    count = known.sum(axis=1)[:, None]
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _mean_velocity(before: Floats, after: Floats) -> Floats:
    """Return the mean of two velocities (P, 2), or the one that is known, or 0."""
    one = np.where(np.isnan(before), after, before)
    other = np.where(np.isnan(after), before, after)
    return np.asarray(np.nan_to_num((one + other) / 2))


def _pose_distance2(
    before: NDArray[np.floating], after: NDArray[np.floating], shift: Floats
) -> Floats:
    """Return the mean squared distance (P,) of common nodes after a shift (P, 2).

    Poses without a common node are compared by the means of their nodes.
    """
    away = after.astype(np.float64) - before - shift[:, None]
    squared = (away**2).sum(axis=-1)
    known = ~np.isnan(squared)
    count = known.sum(axis=1)
    mean = np.where(known, squared, 0.0).sum(axis=1) / np.maximum(count, 1)
    strangers = np.flatnonzero(count == 0)
    if len(strangers):
        centres = [_centre(pose[strangers]) for pose in (before, after)]
        mean[strangers] = ((centres[1] - centres[0] - shift[strangers]) ** 2).sum(axis=-1)
    return np.asarray(mean)


def _centre(pose: NDArray[np.floating]) -> Floats:
    return _mean_shift(np.zeros_like(pose), pose)


def learn_motion(poses: Poses, tracklets: Tracklets, max_gap_frames: int) -> MotionModel:
    """Measure motion at lags up to `max_gap_frames` in stretches that are not broken.

    Parameters
    ----------
    poses : Poses
    tracklets : Tracklets
        Cut at every gap, so that a place further is a frame later.
    max_gap_frames : int

    Notes
    -----
    The reach at a lag is the least-squares slope of the displacement over the mean of the
    velocities before and after. The spread is that of a bivariate Student t with 2 degrees
    of freedom, whose median squared distance is that of the sample.
    """
    body, arena = _measure_arena(poses)
    lags = np.unique(np.geomspace(1, max(max_gap_frames, 1) + 1, 24).round().astype(np.int64))
    ends = tracklets.stops[tracklets.number]
    begins = tracklets.starts[tracklets.number]
    place = np.arange(len(tracklets.rows))
    found: list[tuple[float, float, float]] = []
    for lag in lags.tolist():
        whole = np.flatnonzero(place + lag < ends)
        if len(whole) < 20:
            break
        even = np.linspace(0, len(whole) - 1, min(len(whole), _SAMPLES)).astype(np.intp)
        a = whole[even]
        b = a + lag
        before = _velocity(poses, tracklets, a, np.maximum(a - _VELOCITY_FRAMES, begins[a]))
        after = _velocity(poses, tracklets, b, np.minimum(b + _VELOCITY_FRAMES, ends[b] - 1))
        velocity = _mean_velocity(before, after)
        pose_a, pose_b = poses.xy[tracklets.rows[a]], poses.xy[tracklets.rows[b]]
        moved = np.nan_to_num(_mean_shift(pose_a, pose_b))
        energy = (velocity**2).sum()
        reach = float(np.clip((velocity * moved).sum() / energy, 0, lag)) if energy > 0 else 0.0
        squared = _pose_distance2(pose_a, pose_b, velocity * reach)
        found.append((lag, reach, float(np.nanmedian(squared)) / _MEDIAN))
    if not found:  # nothing to learn from: a tenth of a body a frame
        found = [(1, 0.0, (0.1 * body) ** 2)]
    table = np.maximum.accumulate(np.array(found), axis=0)
    spread = np.sqrt(np.maximum(table[:, 2], (0.01 * body) ** 2))
    return MotionModel(table[:, 0], table[:, 1], spread, body, arena)


def _measure_arena(poses: Poses) -> tuple[float, float]:
    """Return the size of an animal in px and the area that all of them use in px^2."""
    xy = poses.xy[:: max(len(poses) // 20_000, 1)]
    sizes = np.sqrt(compute_areas(xy))
    sizes = sizes[sizes > 0]
    body = float(np.median(sizes)) if len(sizes) else 1.0
    sides = compute_sides(xy.reshape(1, -1, 2))[0]
    return body, float(np.maximum(sides, 4 * body).prod())


def compare_motion(
    model: MotionModel,
    last: Ends,
    first: Ends,
    before: NDArray[np.intp],
    after: NDArray[np.intp],
    gap: NDArray[np.int64],
) -> Floats:
    """Return the cost (P,) in nats of pairs of tracklets for how they move.

    Parameters
    ----------
    model : MotionModel
    last, first : Ends
        Of all tracklets.
    before, after : numpy.ndarray of intp, shape (P,)
        Pairs of tracklets.
    gap : numpy.ndarray of int64, shape (P,)
        Frames from the last of `before` to the first of `after`, at least 1.

    Returns
    -------
    numpy.ndarray of float64, shape (P,)
        Minus the log of Student's t density over that of being anywhere in the arena.
    """
    cost = np.empty(len(before))
    for start in range(0, len(before), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        i, j = before[part], after[part]
        velocity = _mean_velocity(last.velocity[i], first.velocity[j])
        shift = velocity * model.reach(gap[part])[:, None]
        variance = model.spread(gap[part]) ** 2
        distance2 = _pose_distance2(last.pose[i], first.pose[j], shift)
        tail = (_DEGREES + 2) / 2 * np.log1p(distance2 / (_DEGREES * variance))
        cost[part] = tail + np.log(2 * np.pi * variance / model.arena_px2)
    return np.nan_to_num(cost, nan=0.0)


# ------------------------------------------------------------------- shape and appearance
def measure_limbs(poses: Poses, rows: NDArray[np.intp]) -> Floats:
    """Return the log of the length of every edge, shape (M, E), NaN where a point is missing.

    A skeleton without edges has one such number: the log of the size of the box.
    """
    edges = poses.skeleton.edge_array
    xy = poses.xy[rows]
    with np.errstate(divide="ignore"):
        if not len(edges):
            lengths = np.log(np.sqrt(compute_areas(xy)))[:, None]
        else:
            away = xy[:, edges[:, 1]].astype(np.float64) - xy[:, edges[:, 0]]
            lengths = np.log(np.hypot(away[..., 0], away[..., 1]))
    return np.where(np.isfinite(lengths), lengths, np.nan)


@dataclass(frozen=True, eq=False)
class ShapeModel:
    """Limb lengths of R tracklets: log means and their variances, and that of two animals.

    `mean` and `variance` have the shape (R, E); `between` (E,) is what the squared
    difference of the means of two animals has on top of their variances.
    """

    mean: Floats
    variance: Floats
    between: Floats


def learn_shape(poses: Poses, tracklets: Tracklets) -> ShapeModel:
    """Measure the limbs of tracklets and how much animals differ in them.

    Lengths of one animal vary as they do within tracklets. How much two animals differ is
    seen in pairs of tracklets that share frames; where there are none, nothing is known.
    """
    stride = max(len(tracklets.rows) // _LIMB_SAMPLES, 1)
    sample = tracklets.thin(stride)
    limbs = measure_limbs(poses, sample.rows)
    mean, count = average_over(sample, limbs)
    within = _variance_within(sample, limbs, mean)  # (E,)
    independent = np.clip(count * stride / _LIMB_MEMORY_FRAMES, 1, 10)
    variance = within / independent + 1e-6  # of a mean
    order = np.argsort(tracklets.first, kind="stable")
    i, j = order[:-1], order[1:]
    shared = np.minimum(tracklets.last[i], tracklets.last[j]) - tracklets.first[j] + 1
    weight = np.where(np.isnan(mean[i] - mean[j]), 0, np.maximum(shared, 0)[:, None])
    excess = (mean[i] - mean[j]) ** 2 - variance[i] - variance[j]
    total = np.where(weight > 0, excess * weight, 0).sum(axis=0)
    between = total / np.maximum(weight.sum(axis=0), 1)
    return ShapeModel(mean, variance, np.maximum(between, 0))


def compare_shape(model: ShapeModel, before: NDArray[np.intp], after: NDArray[np.intp]) -> Floats:
    """Return the cost (P,) in nats of pairs of tracklets for their limb lengths.

    The mean over the edges: those of an animal are not independent. 0 where nothing is
    known about how animals differ.
    """
    same = model.variance[before] + model.variance[after]
    other = same + model.between
    squared = (model.mean[before] - model.mean[after]) ** 2
    cost = 0.5 * (squared * (1 / same - 1 / other) + np.log(same / other))
    known = ~np.isnan(cost)
    total = np.where(known, cost, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.asarray(np.clip(total, -_LARGEST_LIKELIHOOD, _LARGEST_LIKELIHOOD))


def _variance_within(tracklets: Tracklets, limbs: Floats, mean: Floats) -> Floats:
    """Return the variance (E,) of limbs within tracklets, 1 where no tracklet can say."""
    squares = (limbs - mean[tracklets.number]) ** 2
    known = ~np.isnan(squares)
    degrees = known.sum(axis=0) - (~np.isnan(mean)).sum(axis=0)
    pooled = np.where(known, squares, 0).sum(axis=0) / np.maximum(degrees, 1)
    return np.asarray(np.where(degrees > 0, pooled, 1.0))


def compare_appearance(looks: Floats, before: NDArray[np.intp], after: NDArray[np.intp]) -> Floats:
    """Return the cost (P,) in nats of pairs of tracklets for what class they look like.

    Parameters
    ----------
    looks : numpy.ndarray of float64, shape (R, C)
        Mean probability of every class over each tracklet; NaN = unknown.
    before, after : numpy.ndarray of intp, shape (P,)
        Pairs of tracklets.

    Notes
    -----
    With mean probabilities p and q of the two and class frequencies f, one animal is seen
    as this and as that ``sum(p * q / f)`` times as often as two animals are.
    """
    total = np.nansum(looks, axis=0)
    frequency = np.maximum(total / max(float(total.sum()), 1e-12), 1e-6)
    agreement = (looks[before] * looks[after] / frequency).sum(axis=1)
    cost = -np.log(np.maximum(agreement, np.exp(-_LARGEST_LIKELIHOOD)))
    return np.asarray(np.clip(np.nan_to_num(cost, nan=0.0), -_LARGEST_LIKELIHOOD, None))
