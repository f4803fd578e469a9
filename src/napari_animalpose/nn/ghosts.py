"""Ghosts: animals that are joined from what is left over of others.

A network that is not sure of a leg marks the other legs too, only fainter. These second
peaks lie where other points of the same animals are, the fields there are theirs as well,
and so they are joined to animals of their own, which stand on top of the real ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["find_ghosts"]

SHARE = 0.5  # of its points that are explained by other animals
RATIO = 0.6  # of the evidence for the best of these that a ghost has at most


def find_ghosts(
    places: NDArray[np.floating], evidence: NDArray[np.floating], radius_px: float
) -> NDArray[np.bool_]:
    """Tell which animals of a frame are ghosts of better ones.

    A point is explained where any point, of whichever node, of a better animal that is no
    ghost is within the radius. A ghost has `SHARE` of its points explained and at most
    `RATIO` of the evidence for the best animal that explains them: of two animals on top
    of each other, both of which are seen well, none is a ghost.

    Parameters
    ----------
    places : float array, shape (I, K, 2)
        (x, y) in px, the best animal first; NaN = missing.
    evidence : float array, shape (I,)
        Descending; NaN for animals that are not there.
    radius_px : float
        How far apart two peaks of one place can be.

    Returns
    -------
    bool array, shape (I,)
    """
    animal, node = np.nonzero(np.isfinite(places).all(axis=-1))
    ghost = np.zeros(len(places), bool)
    if not len(animal):
        return ghost
    pairs = cKDTree(places[animal, node]).query_pairs(radius_px, output_type="ndarray")
    pairs = pairs[animal[pairs[:, 0]] != animal[pairs[:, 1]]]
    # Points come animal by animal, so that the second of a pair is of the worse animal.
    pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
    better, worse = animal[pairs[:, 0]], animal[pairs[:, 1]]
    count = np.bincount(animal, minlength=len(places))
    for number in np.unique(worse):
        first, last = np.searchsorted(worse, [number, number + 1])
        real = np.arange(first, last)[~ghost[better[first:last]]]
        explained = len(np.unique(pairs[real, 1]))
        if explained >= SHARE * count[number]:
            best = evidence[better[real]].max()
            ghost[number] = evidence[number] <= RATIO * best
    return ghost
