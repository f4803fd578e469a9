"""Whether animals are found where they are, whatever becomes of their points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_animalpose.data.poses import Poses

__all__ = ["CENTROID_SHARE", "UNKNOWN_DISTANCE_PX", "CentroidMatches", "match_centroids"]

CENTROID_SHARE = 0.25  # of the length of an animal: how far off a centroid may be
UNKNOWN_DISTANCE_PX = 50.0  # what sleap-nn allows; here only where animals have no size


@dataclass(frozen=True)
class CentroidMatches:
    """True and predicted animals by their places alone.

    Parameters
    ----------
    n_truth, n_predicted : int
        Instances.
    errors_px : array of float64, shape (M,)
        Distance between the places of each pair.
    max_distance_px : float
        A pair is not further apart.
    """

    n_truth: int
    n_predicted: int
    errors_px: NDArray[np.float64]
    max_distance_px: float

    @property
    def precision(self) -> float:
        """Share of the predicted animals that are in a pair; NaN of none."""
        return len(self.errors_px) / self.n_predicted if self.n_predicted else math.nan

    @property
    def recall(self) -> float:
        """Share of the true animals that are in a pair; NaN of none."""
        return len(self.errors_px) / self.n_truth if self.n_truth else math.nan


def match_centroids(predicted: Poses, truth: Poses, max_distance_px: float) -> CentroidMatches:
    """Pair true and predicted animals of each frame by the middles of their boxes.

    As many pairs as possible, and of these the ones with the smallest sum of distances
    (Hungarian method).

    Parameters
    ----------
    predicted, truth : Poses
        Instances with at least one point; video and frame numbers mean the same.
    max_distance_px : float
        sleap-nn takes 50 px for every animal. `evaluate` takes `CENTROID_SHARE` of the
        typical length of an animal, so that the figure means the same for a fly and for
        a mouse: nearer than the next animal can be, further than a missing leg moves the
        middle of a box.
    """
    places, found = _box_centres(truth), _box_centres(predicted)
    errors = [np.zeros(0)]
    true_keys, predicted_keys = _keys(truth), _keys(predicted)
    for key in np.intersect1d(true_keys, predicted_keys).tolist():
        here, there = (
            slice(*np.searchsorted(keys, [key, key + 1])) for keys in (true_keys, predicted_keys)
        )
        difference = places[here, None] - found[None, there]
        distance = np.hypot(difference[..., 0], difference[..., 1])
        near = distance <= max_distance_px
        # More than all distances of a frame together: no pair is given up for nearer ones.
        out_of_reach = (min(distance.shape) + 1) * (max_distance_px + 1.0)
        rows, columns = linear_sum_assignment(np.where(near, distance, out_of_reach))
        errors.append(distance[rows, columns][near[rows, columns]])
    return CentroidMatches(len(truth), len(predicted), np.concatenate(errors), max_distance_px)


def _box_centres(poses: Poses) -> NDArray[np.float64]:
    """Middle (x, y) in px of the box around the points of each instance, (N, 2)."""
    xy = poses.xy.astype(np.float64)
    missing = np.isnan(xy)
    low = np.where(missing, np.inf, xy).min(axis=1, initial=np.inf)
    high = np.where(missing, -np.inf, xy).max(axis=1, initial=-np.inf)
    return np.asarray((low + high) / 2)


def _keys(poses: Poses) -> NDArray[np.int64]:
    """One ascending int64 for each row, equal for rows of one frame."""
    return (poses.video.astype(np.int64) << 32) | poses.frame
