"""What an animal does in a frame, in numbers: posture, direction, place and company."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.review.evidence import Evidence, Rows

__all__ = ["align_postures", "describe_company"]

Floats = NDArray[np.float64]

_N_ROUNDS = 3


def align_postures(xy: NDArray[np.float32], body_px: float) -> tuple[Floats, Floats]:
    """Return postures without place, direction and size, and the directions.

    Each pose is moved and turned onto the mean posture with least squares (Procrustes
    without scaling, after Gower, "Generalized Procrustes analysis", Psychometrika 1975).

    Parameters
    ----------
    xy : array of float, shape (N, K, 2)
        (x, y) in px; NaN = missing, which takes the place of the mean posture.
    body_px : float
        Unit of length.

    Returns
    -------
    postures : array of float64, shape (N, 2 K)
        In body lengths.
    angle : array of float64, shape (N,)
        Direction in rad relative to the mean posture; 0 for an instance without points.
    """
    points = (xy[..., 0].astype(np.float64) + 1j * xy[..., 1]) / body_px  # (N, K)
    present = ~np.isnan(points)
    points = np.where(present, points, 0)
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)
    points = np.where(present, points - points.sum(axis=1, keepdims=True) / count, 0)
    if not len(points):
        return np.zeros((0, 2 * points.shape[1])), np.zeros(0)
    mean = points[present.sum(axis=1).argmax()]
    for _ in range(_N_ROUNDS):
        shift = np.where(present, mean, 0).sum(axis=1, keepdims=True) / count
        turn = (points * np.conj(np.where(present, mean - shift, 0))).sum(axis=1, keepdims=True)
        turn = np.where(np.abs(turn) > 0, turn / np.maximum(np.abs(turn), 1e-12), 1)
        aligned = np.where(present, points * np.conj(turn) + shift, mean)
        mean = aligned.mean(axis=0)
    return np.concatenate([aligned.real, aligned.imag], axis=1), np.angle(turn[:, 0])


def describe_company(evidence: Evidence, rows: Rows) -> Floats:
    """Return where some instances are and with whom, (M, 4), in body lengths.

    The place (x, y) of the centre, how near the nearest other animal is (as the logarithm
    of one plus the distance, up to ten body lengths), and the number of animals in the
    frame. -1 = a frame without instances: all 0.
    """
    described = np.zeros((len(rows), 4))
    for place, row in enumerate(rows.tolist()):
        if row < 0:
            continue
        start, stop = evidence.keys.searchsorted(evidence.keys[row] + np.arange(2)).tolist()
        others = np.setdiff1d(np.arange(start, stop), [row])
        center = evidence.center[row] / evidence.body_px
        away = np.hypot(*(evidence.center[others] / evidence.body_px - center).T)
        nearest = np.nanmin(away, initial=10.0) if len(away) else 10.0
        described[place] = (*center, np.log1p(nearest), stop - start)
    return np.nan_to_num(described)
