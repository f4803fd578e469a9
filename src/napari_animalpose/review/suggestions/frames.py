"""From values of instances to values of frames, and to the frames with the largest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.review.suggestions.base import Candidates, Keys, Request, choose_spaced

__all__ = ["order_frames", "take_worst"]


def take_worst(
    request: Request, value: NDArray[np.float64]
) -> tuple[Keys, NDArray[np.float64], NDArray[np.intp]]:
    """Return all frames with the largest value of their instances, NaN = none, left out.

    Parameters
    ----------
    request : Request
    value : array of float64, shape (N,)
        Of the rows of ``request.evidence``.

    Returns
    -------
    keys : array of int64, shape (F,), ascending
    value : array of float64, shape (F,)
    row : array of int, shape (F,)
        The instance that has it.
    """
    known = np.flatnonzero(np.isfinite(value))
    keys = request.evidence.keys[known]
    order = np.lexsort((-value[known], keys))
    first = np.flatnonzero(np.diff(keys[order], prepend=-1))
    rows = known[order[first]]
    return request.evidence.keys[rows], value[rows], rows


def order_frames(
    request: Request, value: NDArray[np.float64], tell: Callable[[int], str]
) -> Candidates:
    """Return the admitted frames by falling value of their worst instance.

    `tell` takes the row of that instance and returns the reason. Frames too near to better
    ones are left out, so that no more reasons are told than can be needed.
    """
    keys, worst, rows = take_worst(request, value)
    order = np.argsort(-worst, kind="stable")
    order = order[choose_spaced(request, keys[order])]
    return Candidates(keys[order], [tell(row) for row in rows[order].tolist()])
