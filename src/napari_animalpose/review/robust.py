"""Statistics that a minority of wrong values does not move."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["estimate_tail", "median_of_present", "median_or"]

Floats = NDArray[np.float64]

# Median and 95th percentile, in standard deviations, of the size of a normal deviation in
# one dimension (half-normal) and in two (Rayleigh).
_QUANTILES = {1: (0.6744897501960817, 1.959963984540054), 2: (1.1774100225154747, 2.447746830681)}


def estimate_tail(sizes: ArrayLike, dimensions: int = 1, axis: int | None = None) -> Floats:
    """Return the standard deviation that explains the bulk of deviations and their tail.

    Movement is heavy-tailed: a leg stands most of the time and then swings, so that the
    median alone would call every step an error. The larger of two estimates is taken,
    from the median and from the 95th percentile; up to 5 % of wrong values do not move it
    far.

    Parameters
    ----------
    sizes : array_like of float
        Absolute deviations; NaN = not known.
    dimensions : {1, 2}
        Of the deviations: numbers, or lengths of vectors in the plane.
    axis : int, optional
        Along which to estimate; by default over all values.

    Returns
    -------
    array of float64
        0 where nothing is known.
    """
    sizes = np.asarray(sizes, np.float64)
    known = np.isfinite(sizes)
    if axis is None:
        sizes, known, axis = sizes.ravel(), known.ravel(), 0
    ordered = np.moveaxis(np.sort(np.where(known, sizes, np.inf), axis=axis), axis, 0)
    count = known.sum(axis=axis)
    estimates = [
        _pick_quantile(ordered, count, share) / in_sd
        for share, in_sd in zip((0.5, 0.95), _QUANTILES[dimensions], strict=True)
    ]
    return np.asarray(np.maximum(*estimates))


def _pick_quantile(ordered: Floats, count: NDArray[np.intp], share: float) -> Floats:
    """Return a quantile of the first `count` of values ascending along the first axis."""
    if not len(ordered):
        return np.zeros(ordered.shape[1:])
    place = np.maximum((np.maximum(count, 1) - 1) * share, 0)
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    at_low, at_high = (np.take_along_axis(ordered, index[None], axis=0)[0] for index in (low, high))
    at_low, at_high = np.where(count > 0, at_low, 0.0), np.where(count > 0, at_high, 0.0)
    return np.asarray(at_low + (place - low) * (at_high - at_low))


def median_of_present(values: ArrayLike, axis: int) -> Floats:
    """Return the median along an axis without the NaN; NaN where there is nothing else.

    Much faster than `numpy.nanmedian` along a short axis.
    """
    values = np.asarray(values)
    ordered = np.moveaxis(np.sort(values, axis=axis), axis, 0)  # NaN comes last
    count = np.sum(~np.isnan(ordered), axis=0)
    if not len(ordered):
        return np.full(ordered.shape[1:], np.nan)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, len(ordered) - 1)
    pair = [np.take_along_axis(ordered, index[None], axis=0)[0] for index in (low, high)]
    return np.asarray(np.where(count > 0, (pair[0] + pair[1]) / 2, np.nan), np.float64)


def median_or(values: ArrayLike, otherwise: float) -> float:
    """Return the median of all values that are not NaN, or a number where there is none."""
    values = np.asarray(values, np.float64)
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else otherwise
