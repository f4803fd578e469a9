"""Object keypoint similarity: how alike two instances are, between 0 and 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["compute_areas", "compute_oks", "compute_sides"]

OKS_STDDEV = 0.025  # of COCO's best located keypoint; SLEAP uses it for every node


def compute_sides(xy: ArrayLike) -> NDArray[np.float64]:
    """Return (width, height) in px of the box around the points of each instance.

    Parameters
    ----------
    xy : array_like of float, shape (N, K, 2)
        (x, y) in px; NaN = missing.

    Returns
    -------
    array of float64, shape (N, 2)
        0 for an instance of one point or none.
    """
    xy = np.asarray(xy, np.float64)
    missing = np.isnan(xy).any(axis=-1, keepdims=True)
    low = np.where(missing, np.inf, xy).min(axis=1, initial=np.inf)
    high = np.where(missing, -np.inf, xy).max(axis=1, initial=-np.inf)
    return np.where(high >= low, high - low, 0.0)


def compute_areas(xy: ArrayLike) -> NDArray[np.float64]:
    """Return the area in px^2 of the box around the points of each instance.

    Parameters
    ----------
    xy : array_like of float, shape (N, K, 2)
        (x, y) in px; NaN = missing.

    Returns
    -------
    array of float64, shape (N,)
        0 for an instance of one point or none, and for points in one row or column.
    """
    return np.asarray(compute_sides(xy).prod(axis=-1))


def compute_oks(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    area_px2: ArrayLike | None = None,
    stddev: float = OKS_STDDEV,
) -> NDArray[np.float64]:
    """Return the object keypoint similarity of every true with every predicted instance.

    The mean over the points of the true instance of
    ``exp(-d^2 / ((2 * stddev)^2 * 2 * (area + eps)))``, where d is the distance in px
    between true and predicted point and a missing predicted point counts 0. This is
    SLEAP's form (Ronchi and Perona, "Benchmarking and error diagnosis in multi-instance
    pose estimation", ICCV 2017, with the spread of COCO). Points that the prediction has
    and the truth has not do not count.

    Parameters
    ----------
    truth : array_like of float, shape (N, K, 2)
        (x, y) in px; NaN = missing.
    predicted : array_like of float, shape (M, K, 2)
        (x, y) in px; NaN = missing.
    area_px2 : array_like of float, shape (N,), optional
        Size of every true instance; by default the box around its points. Where that is
        0 (one point, or points in one row or column) the similarity is 1 for points that
        are equal to the last bit and 0 otherwise: give an area for such instances.
    stddev : float
        Spread of labels as a share of the square root of the area.

    Returns
    -------
    array of float64, shape (N, M)
        0 for a true instance without points.
    """
    truth, predicted = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    area = compute_areas(truth) if area_px2 is None else np.asarray(area_px2, np.float64)
    spread = (2.0 * stddev) ** 2 * 2.0 * (area + np.spacing(1.0))  # (N,)
    distance2 = ((truth[:, None] - predicted[None]) ** 2).sum(axis=-1)  # (N, M, K)
    similarity = np.exp(-distance2 / spread[:, None, None])
    n_points = (~np.isnan(truth).any(axis=-1)).sum(axis=-1)  # (N,)
    return np.asarray(np.nansum(similarity, axis=-1) / np.maximum(n_points, 1)[:, None])
