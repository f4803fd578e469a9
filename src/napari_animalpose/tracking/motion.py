"""How large animals are and how far they move: the yardsticks of every cost and gate."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.oks import compute_sides

__all__ = ["DRIFT_FRAMES", "MotionScale"]

Floats = NDArray[np.float64]
START_FRACTION = 0.08  # body lengths from one frame to the next, before any is seen
LEAST_FRACTION, MOST_FRACTION = 0.025, 0.5  # a resting group must not freeze the gate
LEAST_PX = 1.0  # no network is surer
RATE = 0.02  # what one frame counts in the running means, after the first 50
USUAL_SURPRISE = 0.4037  # 1 - e E1(1), the mean of r / (1 + r) for r exponential
SLOPE = 5.0  # of the logarithm of r over that mean
GAP_EXPONENT = 0.8  # between a random walk (1/2) and a straight line (1)
DRIFT_FRAMES = 5  # over which the speed of animals is measured
START_DRIFT = 0.2  # body lengths in that time, before any is seen
LEAST_DRIFT, MOST_DRIFT = 0.02, 1.0


class MotionScale:
    """Running estimates of body length and of how far points lie from where expected.

    Nothing has to be known about the frame rate or the magnification of a recording.

    Parameters
    ----------
    body_length_px : float
        Diagonal of the box around a typical animal; 0 measures it.
    motion_fraction : float
        Spread in body lengths; 0 learns it.
    """

    def __init__(self, body_length_px: float = 0.0, motion_fraction: float = 0.0) -> None:
        self._given_length, self._given_fraction = body_length_px, motion_fraction
        self._length = 0.0
        self._fraction = motion_fraction or START_FRACTION
        self._drift2 = START_DRIFT**2  # mean square along one axis, in body lengths
        self._n_sizes = self._n_errors = self._n_drifts = 0

    @property
    def body_length_px(self) -> float:
        """Diagonal of the box around a typical animal; 0 until one was seen."""
        return self._given_length or self._length

    @property
    def speed(self) -> float:
        """Typical speed along one axis in spreads a frame."""
        drift_px = max(math.sqrt(self._drift2), LEAST_DRIFT) * self.body_length_px
        return drift_px / (DRIFT_FRAMES * self.spread_px)

    def growth(self, gap_frames: NDArray[np.integer]) -> Floats:
        """Return how many times wider the spread is after a gap than after one frame.

        The errors of the points do not grow, the way that animals went does: as
        ``gap^0.8``, for they neither keep their direction nor forget it at once.
        """
        way = (np.maximum(gap_frames, 1) / DRIFT_FRAMES) ** GAP_EXPONENT
        least = (1.0 / DRIFT_FRAMES) ** GAP_EXPONENT
        drift2 = (self.speed * DRIFT_FRAMES) ** 2
        return np.asarray(np.sqrt(1.0 + drift2 * (way**2 - least**2)))

    @property
    def spread_px(self) -> float:
        """Standard deviation along one axis between seen and expected, after one frame."""
        fraction = self._given_fraction or self._fraction
        return max(fraction * self.body_length_px, LEAST_PX)

    def measure(self, xy: Floats) -> None:
        """Look at the sizes of the instances (I, K, 2) of one frame, in px."""
        sides = compute_sides(xy)
        sizes = np.hypot(sides[:, 0], sides[:, 1])
        sizes = sizes[sizes > 0]
        if sizes.size:
            self._n_sizes += 1
            rate = max(1.0 / self._n_sizes, RATE)
            sizes.sort()  # `numpy.median` takes five times as long for so few
            middle = (sizes[(sizes.size - 1) // 2] + sizes[sizes.size // 2]) / 2.0
            self._length += rate * (float(middle) - self._length)

    def learn(self, surprise: Floats) -> None:
        """Take in the surprises (P,) of the pairs of one frame: `costs.Pairs.surprise`.

        Where errors are Gaussian with the present spread, ``r / (1 + r)`` with
        ``r = d^2 / (2 spread^2)`` is 0.404 on average; the spread moves towards that. An
        outlier counts no more than 1 (this is the estimate of scale by maximum likelihood
        for a distribution with heavy tails): two animals found as one, or a wrong pair,
        must not widen the gate for what comes next.
        """
        surprise = surprise[~np.isnan(surprise)]
        if not surprise.size:
            return
        self._n_errors += 1
        rate = max(1.0 / (self._n_errors + 1), RATE)
        change = rate * SLOPE * (float(surprise.mean()) - USUAL_SURPRISE)
        fraction = self._fraction * np.exp(change / 2.0)
        self._fraction = min(max(fraction, LEAST_FRACTION), MOST_FRACTION)

    def learn_drift(self, before: Floats, after: Floats) -> None:
        """Look at poses (R, K, 2) of tracks `DRIFT_FRAMES` frames apart, in px."""
        if not len(before):
            return
        offset = after - before
        shared = ~np.isnan(offset[..., 0])
        count = np.count_nonzero(shared, axis=1)
        if not count.any() or not self.body_length_px:
            return
        square = np.where(shared, (offset**2).sum(axis=-1), 0.0).sum(axis=1)[count > 0]
        square /= 2.0 * count[count > 0] * self.body_length_px**2
        self._n_drifts += 1
        change = float(np.minimum(square, MOST_DRIFT**2).mean()) - self._drift2
        self._drift2 += max(1.0 / (self._n_drifts + 1), RATE) * change
