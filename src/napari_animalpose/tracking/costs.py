"""How unlike an instance is to what a track expects: one cost each, combined with weights.

Every cost is a negative logarithm of a likelihood, so that they add up, and none of them
runs into a wall: SLEAP's kernel ``exp(-d^2)`` is zero to the last bit for every animal
that moved by more than some pixels, and then nothing tells two of them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.registry import Registry

__all__ = ["COSTS", "Cost", "Pairs", "combine_costs", "find_centroids", "square_shifts"]

Floats = NDArray[np.float64]
LEAST_SHARE = 0.02  # of an overlap or of an agreement: what "none at all" counts as
# In nats: one point in seven of an animal is not found. Points where they are expected cost
# 0.6 on average.
MISSING_COST = 2.0


@dataclass(frozen=True)
class Pairs:
    """Pairs of an instance and a pose that a track expects.

    Parameters
    ----------
    seen, expected : array of float64, shape (P, K, 2)
        (x, y) in px; NaN = missing.
    spread_px : array of float64, shape (P,)
        Standard deviation along one axis of the distance of a point from where it is
        expected: grows with the size of the animal and the frames out of sight.
    seen_class, expected_class : array of float64, shape (P, A), optional
        Class probabilities or any other vectors that tell animals apart; NaN = unknown.
    known_shift2 : array of float64, shape (P,), optional
        `shift2`, where it has been worked out already (`square_shifts`).
    """

    seen: Floats
    expected: Floats
    spread_px: Floats
    seen_class: Floats | None = None
    expected_class: Floats | None = None
    known_shift2: Floats | None = None

    @cached_property
    def offset(self) -> Floats:
        """Distance (x, y) of every point from where it is expected, NaN = not shared."""
        return self.seen - self.expected

    @cached_property
    def shared(self) -> NDArray[np.bool_]:
        """Points that both have, shape (P, K)."""
        return ~np.isnan(self.offset[..., 0])

    @cached_property
    def n_shared(self) -> NDArray[np.intp]:
        """Number of points that both have, shape (P,)."""
        return np.asarray(self.shared.sum(axis=1), np.intp)

    @cached_property
    def distance2(self) -> Floats:
        """Squared distance of every shared point in px^2, otherwise 0; shape (P, K)."""
        offset = self.offset
        squared = offset[..., 0] ** 2 + offset[..., 1] ** 2
        return np.where(self.shared, squared, 0.0)

    @cached_property
    def shift2(self) -> Floats:
        """Squared length of the mean offset in px^2, shape (P,): see `square_shifts`."""
        if self.known_shift2 is not None:
            return self.known_shift2
        return square_shifts(self.seen[:, None], self.expected[:, None])[:, 0, 0]

    @cached_property
    def ratio(self) -> Floats:
        """``d^2 / (2 spread^2)`` of every shared point, otherwise 0; shape (P, K)."""
        return self.distance2 / (2.0 * self.spread_px[:, None] ** 2)

    @cached_property
    def surprise(self) -> Floats:
        """Mean over shared points of ``ratio / (1 + ratio)``, (P,): 0 to 1, NaN = none shared.

        Where it is 0.404 on average, errors are as large as the spread says
        (`motion.MotionScale`).
        """
        total = (self.ratio / (1.0 + self.ratio)).sum(axis=1)
        return divide_where(total, self.n_shared)


Cost = Callable[[Pairs], Floats]
"""Pairs -> cost of each, shape (P,), at least 0; NaN where this cost cannot tell."""

COSTS: Registry[Cost] = Registry("cost")


def find_centroids(xy: Floats) -> Floats:
    """Return the mean of the points of every instance (..., K, 2) in px; NaN = no point."""
    missing = np.isnan(xy)
    count = xy.shape[-2] - np.count_nonzero(missing, axis=-2)
    total = np.where(missing, 0.0, xy).sum(axis=-2)
    centroids: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return centroids


def square_shifts(seen: Floats, expected: Floats) -> Floats:
    """Return the squared length of the mean offset of all pairs of two sets of poses, in px^2.

    Over the points that both have, so that a missing one does not move the centroid; where
    they have none in common, between the centroids of what each has.

    Parameters
    ----------
    seen : array of float64, shape (..., I, K, 2)
        (x, y) in px; both NaN = missing.
    expected : array of float64, shape (..., C, K, 2)

    Returns
    -------
    array of float64, shape (..., I, C)
        NaN where one of the two has no point.

    Notes
    -----
    A mean over shared points is a quotient of products of matrices: coordinates with 0 for
    missing points, times the masks of the other side. That costs a fraction of the offsets of
    all pairs.
    """
    masks = [(~np.isnan(xy[..., 0])).astype(np.float64) for xy in (seen, expected)]
    mine, other = masks[0], masks[1].swapaxes(-1, -2)
    count = mine @ other
    square = np.zeros_like(count)
    for axis in range(2):
        here = np.where(mine > 0, seen[..., axis], 0.0)
        there = np.where(other > 0, expected[..., axis].swapaxes(-1, -2), 0.0)
        square += (here @ other - mine @ there) ** 2
    square /= np.maximum(count, 1.0) ** 2
    apart = count == 0
    if apart.any():
        offset = find_centroids(seen)[..., :, None, :] - find_centroids(expected)[..., None, :, :]
        square[apart] = (offset[apart] ** 2).sum(axis=-1)
    return square


def divide_where(total: Floats, count: NDArray[np.intp]) -> Floats:
    """Return total / count, NaN where the count is 0."""
    means: Floats = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return means


def combine_costs(pairs: Pairs, weights: Mapping[str, float]) -> Floats:
    """Return the weighted mean of several costs, shape (P,).

    Costs that cannot tell are left out of the mean; inf where none can.

    Parameters
    ----------
    pairs : Pairs
    weights : mapping of str to float
        By names in `COSTS`.
    """
    total, weight_sum = np.zeros(len(pairs.seen)), np.zeros(len(pairs.seen))
    for name, weight in weights.items():
        if weight > 0:
            values = COSTS.get(name)(pairs)
            known = ~np.isnan(values)
            total += np.where(known, weight * values, 0.0)
            weight_sum += weight * known
    return np.divide(total, weight_sum, out=np.full_like(total, np.inf), where=weight_sum > 0)


@COSTS.register("oks")
def cost_keypoints(pairs: Pairs) -> Floats:
    """Mean over expected points of ``log(1 + d^2 / (2 spread^2))``.

    What OKS is for a Gaussian this is for a Student distribution of one degree of freedom:
    the same near 0, where ``-log OKS = d^2 / (2 spread^2)``, but it grows without bound as
    a logarithm, so that one point far off does not outweigh all others. A point that is
    expected and missing costs `MISSING_COST`: otherwise a leg by itself, exactly in its
    place, would be a better animal than the whole one. NaN where no point is shared.
    """
    n_missing = (~np.isnan(pairs.expected[..., 0])).sum(axis=1) - pairs.n_shared
    total = np.log1p(pairs.ratio).sum(axis=1) + MISSING_COST * n_missing
    return divide_where(np.where(pairs.n_shared > 0, total, np.nan), pairs.n_shared + n_missing)


@COSTS.register("centroid")
def cost_centroid(pairs: Pairs) -> Floats:
    """Return the same of the centroids alone: where the animal is, not how it stands."""
    return np.log1p(pairs.shift2 / (2.0 * pairs.spread_px**2))


@COSTS.register("iou")
def cost_boxes(pairs: Pairs) -> Floats:
    """``-log`` of the intersection over union of the boxes around the points.

    Boxes are widened by the spread on all sides, so that animals of one point have one.
    """
    margin = pairs.spread_px[:, None]
    sides = []
    for xy in (pairs.seen, pairs.expected):
        missing = np.isnan(xy)
        low = np.where(missing, np.inf, xy).min(axis=1) - margin
        high = np.where(missing, -np.inf, xy).max(axis=1) + margin
        sides.append((low, high))
    (low_a, high_a), (low_b, high_b) = sides
    common = np.clip(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0, None).prod(axis=1)
    union = (high_a - low_a).prod(axis=1) + (high_b - low_b).prod(axis=1) - common
    return np.asarray(-np.log(np.maximum(common / union, LEAST_SHARE)))


@COSTS.register("appearance")
def cost_appearance(pairs: Pairs) -> Floats:
    """``-log`` of the cosine of the class vectors; NaN where one of them is not known."""
    if pairs.seen_class is None or pairs.expected_class is None:
        return np.full(len(pairs.seen), np.nan)
    dot = (pairs.seen_class * pairs.expected_class).sum(axis=1)
    norms = [np.sqrt((c * c).sum(axis=1)) for c in (pairs.seen_class, pairs.expected_class)]
    cosine = dot / np.maximum(norms[0] * norms[1], np.finfo(np.float64).tiny)
    return np.asarray(-np.log(np.clip(cosine, LEAST_SHARE, 1.0)))
