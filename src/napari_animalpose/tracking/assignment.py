"""Who gets whom: instances shared out to tracks at the least cost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_animalpose.registry import Registry

__all__ = ["ASSIGNMENTS", "Assignment", "assign_greedily", "assign_optimally"]

Numbers = NDArray[np.intp]
Assignment = Callable[[NDArray[np.float64], float], tuple[Numbers, Numbers]]
"""(cost (N, M), limit) -> rows and columns of the pairs; each row and column once at most."""

ASSIGNMENTS: Registry[Assignment] = Registry("assignment")


@ASSIGNMENTS.register("hungarian")
def assign_optimally(cost: NDArray[np.float64], limit: float) -> tuple[Numbers, Numbers]:
    """Pair rows and columns so that the sum of costs is least.

    Parameters
    ----------
    cost : array of float64, shape (N, M)
        inf for pairs that must not be.
    limit : float
        What it costs to leave a row and a column without partner; dearer pairs are not
        made. Without this a stray detection would shift all its neighbours along.

    Returns
    -------
    rows, columns : array of intp, shape (P,)
    """
    if not cost.size:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    rows, columns = linear_sum_assignment(np.minimum(cost, limit))
    made = cost[rows, columns] < limit
    return rows[made], columns[made]


@ASSIGNMENTS.register("greedy")
def assign_greedily(cost: NDArray[np.float64], limit: float) -> tuple[Numbers, Numbers]:
    """Make the cheapest pair, then the cheapest of the rest, and so on; as above otherwise."""
    order = np.argsort(cost, axis=None, kind="stable")
    order = order[cost.ravel()[order] < limit]
    rows, columns = np.unravel_index(order, cost.shape)
    free_rows, free_columns = np.ones(cost.shape[0], bool), np.ones(cost.shape[1], bool)
    pairs = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            pairs.append((row, column))
    made = np.array(pairs, np.intp).reshape(-1, 2)
    return made[:, 0], made[:, 1]
