"""Tracks expected where a constant velocity takes them, pose and all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_animalpose.tracking.base import Tracker
from napari_animalpose.tracking.comparison import Candidates

__all__ = ["KalmanTracker"]

Floats = NDArray[np.float64]

# All variances are in units of that of one point about its place on the animal; how many px
# that is, the tracker learns (`MotionScale`), and the gains do not depend on it.
POINT_VARIANCE = 1.0
CENTRE_VARIANCE = 0.05  # of the mean over many points: they err together
VELOCITY_MEMORY = 0.9  # of the velocity after one frame: animals stop
LEAST_TRUST = 0.3
LONGEST = 256  # frames; beyond, the variance grows as for a random walk


def weigh_points(error: Floats, variance: Floats) -> Floats:
    """Return how far points are to be trusted, (R, K): 1 where expected, 0 where missing.

    ``1 / (1 + d^2 / (2 variance))``, the weight of a point under a distribution with heavy
    tails, but never so little that a lasting change of posture is not followed: where two
    animals are found as one, the points of the other must not bend this one's pose.
    """
    ratio = (error**2).sum(axis=-1) / (2.0 * variance[:, None])
    return np.where(np.isnan(ratio), 0.0, np.maximum(1.0 / (1.0 + ratio), LEAST_TRUST))


@lru_cache(maxsize=1)
def tabulate_prediction() -> tuple[Floats, Floats]:
    """Return transition (G, 2, 2) and process noise (G, 2, 2) over 0 to G - 1 frames.

    Of position and velocity along one axis, where velocity decays by `VELOCITY_MEMORY` a
    frame and is driven by white acceleration (the discrete model of Bar-Shalom et al.,
    "Estimation with Applications to Tracking and Navigation", 2001, section 6.3).
    """
    step = np.array([[1.0, 1.0], [0.0, VELOCITY_MEMORY]])
    noise = (1.0 - VELOCITY_MEMORY**2) * np.array([[0.25, 0.5], [0.5, 1.0]])
    transition, covariance = [np.eye(2)], [np.zeros((2, 2))]
    for _ in range(LONGEST):
        transition.append(step @ transition[-1])
        covariance.append(step @ covariance[-1] @ step.T + noise)
    return np.stack(transition), np.stack(covariance)


class KalmanTracker(Tracker):
    """A Kalman filter with constant velocity on the centroid, which carries the pose.

    The centroid has position and velocity with their covariance; the points keep their
    offsets from it, so that one that is missing is expected where it belongs on the body,
    and missing points do not shift the centroid. A velocity dies out while an animal is
    out of sight, and its spread grows by what the filter does not know.
    """

    summary: ClassVar[str] = "constant velocity (Kalman filter); for most recordings"
    _ahead: tuple[Floats, Floats, Floats]  # what `_predict` said of the present frame

    def columns(self) -> Mapping[str, tuple[DTypeLike, tuple[int, ...]]]:
        """Return motion ((position, velocity), (x, y)), its covariance and the offsets."""
        return {
            "motion": (np.float64, (2, 2)),
            "covariance": (np.float64, (2, 2)),
            "offset": (np.float64, (self.n_nodes, 2)),
        }

    def expect(self, frame: int, image: NDArray[np.uint8] | None) -> Candidates:
        """Return one pose for every track, moved to this frame."""
        self._ahead = motion, covariance, noise = self._predict(frame)
        variance = covariance[:, 0, 0] + self.motion.speed**2 * noise[:, 0, 0] + POINT_VARIANCE
        return Candidates(
            xy=motion[:, None, 0] + self.tracks["offset"],
            track=np.arange(len(self.tracks)),
            growth=np.sqrt(variance),
        )

    def start(self, rows: NDArray[np.intp], xy: Floats, frame: int) -> None:
        """Begin at rest with the velocity unknown."""
        centre = np.nanmean(xy, axis=1)
        self.tracks["motion"][rows] = np.stack([centre, np.zeros_like(centre)], axis=1)
        self.tracks["covariance"][rows] = np.diag([POINT_VARIANCE, self.motion.speed**2])
        self.tracks["offset"][rows] = xy - centre[:, None]

    def observe(self, rows: NDArray[np.intp], xy: Floats, frame: int) -> None:
        """Correct motion and pose with the points seen."""
        motion, covariance, noise = (ahead[rows] for ahead in self._ahead)
        covariance += self.motion.speed**2 * noise  # the speed as it is known by now
        offset = self.tracks["offset"][rows]
        error = xy - motion[:, None, 0] - offset  # (R, K, 2)
        variance = (covariance[:, 0, 0] + POINT_VARIANCE) * self.motion.spread_px**2
        trust = weigh_points(error, variance)  # (R, K)
        total = trust.sum(axis=1)
        shift = np.where(trust[..., None] > 0, trust[..., None] * error, 0.0).sum(axis=1)
        shift /= np.maximum(total, LEAST_TRUST)[:, None]
        apart = total == 0  # not one point seen before: the offsets of the new ones are unknown
        if apart.any():
            shift[apart] = np.nanmean(xy[apart], axis=1) - motion[apart, 0]
        noise = CENTRE_VARIANCE + POINT_VARIANCE / np.maximum(total, 1.0)
        gain = covariance[:, :, 0] / (covariance[:, 0, 0] + noise)[:, None]  # (R, 2)
        # what is left of the shift is noise of the centroid, not a change of shape
        seen = xy - motion[:, None, 0] - shift[:, None]
        motion += gain[:, :, None] * shift[:, None]
        covariance -= gain[:, :, None] * covariance[:, None, 0]
        mixed = offset + trust[..., None] * (seen - offset)
        offset = np.where(trust[..., None] > 0, mixed, np.where(np.isnan(offset), seen, offset))
        self.tracks["motion"][rows] = motion
        self.tracks["covariance"][rows] = covariance
        self.tracks["offset"][rows] = offset

    def _predict(self, frame: int) -> tuple[Floats, Floats, Floats]:
        """Motion, covariance and what to add for a speed of 1, (T, 2, 2), of all tracks."""
        transitions, noises = tabulate_prediction()
        gap = frame - self.tracks["last"]
        step = np.minimum(gap, LONGEST)
        transition = transitions[step]
        motion = transition @ self.tracks["motion"]
        covariance = transition @ self.tracks["covariance"] @ transition.swapaxes(1, 2)
        noise = noises[step]
        noise[:, 0, 0] += (gap - step) * (noises[-1] - noises[-2])[0, 0]
        return motion, covariance, noise
