"""Which animal is which, from what it looks like: classes of labels, assignment, grouping.

A network gives every animal, or every point, a probability of each identity (`classes`).
No animal is in a frame twice, so the animals of a frame are named together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_animalpose.data.poses import Poses

__all__ = [
    "NO_CLASS",
    "ClassInstances",
    "assign_classes",
    "class_numbers",
    "group_by_class",
    "named_tracks",
]

Floats = NDArray[np.floating[Any]]
NO_CLASS = -1
LEAST = 1e-9  # probabilities below are taken for this: their logarithm stays finite


def named_tracks(labels: Poses) -> tuple[str, ...]:
    """Return the names of the tracks that have rows, in the order of `Poses.track_names`."""
    used = np.unique(labels.track[labels.track >= 0])
    return tuple(labels.track_names[number] for number in used.tolist())


def class_numbers(labels: Poses, classes: Sequence[str]) -> NDArray[np.int32]:
    """Return the class of every row, shape (N,).

    Parameters
    ----------
    labels : Poses
        With N rows.
    classes : sequence of str
        Names of tracks.

    Returns
    -------
    int32 array, shape (N,)
        Index into `classes`; -1 for a row without track, or of a track that is not in it.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    lookup = [numbers.get(name, NO_CLASS) for name in labels.track_names]
    return np.array([*lookup, NO_CLASS], np.int32)[labels.track]


def assign_classes(
    probabilities: Floats, least: float, weights: Floats | None = None
) -> NDArray[np.int32]:
    """Give each animal of a frame at most one identity, and each identity to at most one.

    The naming that is likeliest as a whole is chosen: the product of the probabilities is
    as large as possible (Hungarian method on their logarithms), where an animal that is
    left without identity counts as `least`.

    SLEAP maximises the sum of the probabilities, gives out as many identities as it can,
    and then discards whatever did not get the identity that it resembles most. That
    throws away what one animal says about another: of two animals with 0.9 and 0.6 for
    the first identity, the second is far more likely the other one (0.9 * 0.4) than the
    first is (0.6 * 0.1). But one that resembles no free identity at all, such as an animal
    found twice, must not get a name because it is left over; that is what `least` is for.

    Parameters
    ----------
    probabilities : array of float, shape (N, C)
        Of each identity for each animal.
    least : float
        In 0..1. No animal gets an identity that has a lower probability. From 0.5 on that
        is never another than the likeliest one.
    weights : array of float, shape (N,), optional
        How certain it is that each of the animals (or points) is there at all: of two that
        claim one identity with equal right, the one that is more certain gets it.

    Returns
    -------
    int32 array, shape (N,)
        Index of the identity, -1 for none.
    """
    n_animals, n_classes = probabilities.shape
    assigned = np.full(n_animals, NO_CLASS, np.int32)
    if not probabilities.size:
        return assigned
    there = np.ones(n_animals) if weights is None else np.clip(weights, LEAST, 1.0)
    gain = np.log(np.clip(probabilities, LEAST, 1.0)) + np.log(there)[:, None]
    # The same for all, or the weight of an animal would count whether it is named or not.
    gain_unnamed = np.log(max(least, LEAST)) + np.log(there.min())
    forbidden = n_animals * (gain.min() + gain_unnamed) - 1.0  # worse than all else together
    gain = np.where(probabilities >= least, gain, forbidden)
    unnamed = np.where(np.eye(n_animals, dtype=bool), gain_unnamed, forbidden)
    rows, columns = linear_sum_assignment(np.hstack([gain, unnamed]), maximize=True)
    named = columns < n_classes
    assigned[rows[named]] = columns[named]
    return assigned


class ClassInstances(NamedTuple):
    """Animals in B frames, one slot for each of C identities; NaN where one is missing.

    points : float32 (B, C, K, 2), (x, y) as the peaks were given
    point_scores : float32 (B, C, K), heights of the peaks
    scores : float32 (B, C), sum of the heights of the peaks over the number of nodes
    classes : int32 (B, C), the number of the slot where there is an animal, else -1
    class_scores : float32 (B, C), mean probability of the identity at the peaks
    """

    points: NDArray[np.float32]
    point_scores: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]
    class_scores: NDArray[np.float32]


def group_by_class(
    points: Floats, heights: Floats, probabilities: Floats, *, least: float, reach: float = 0.0,
    min_points: int = 1, min_mean_height: float = 0.0, max_instances: int = 0,
) -> ClassInstances:  # fmt: skip
    """Make one animal of each identity of the peaks that look like it.

    The peaks of each node are assigned to the identities by `assign_classes`; no peak is
    used twice, and no animal has two peaks of a node. With a `reach` this is done again
    without the peaks that are too far from the middle of the animal, the median of what it
    was given at first.

    Parameters
    ----------
    points : array of float, shape (B, K, P, 2)
        Peaks of each node; NaN in empty slots.
    heights : array of float, shape (B, K, P)
        Confidences.
    probabilities : array of float, shape (B, K, P, C)
        Of each identity at each peak; in empty slots of any value.
    least : float
        See `assign_classes`.
    reach : float
        In the unit of `points`; 0 asks for no limit.
    min_points : int
        Animals with fewer points are left out.
    min_mean_height : float
        Animals whose peaks have a lower mean height are left out.
    max_instances : int
        The most animals in a frame, those with the highest scores; 0 means all.

    Notes
    -----
    Grouping by class maps is that of SLEAP's bottom-up identity models (Pereira et al.,
    Nature Methods 2022), which knows no distances: a false peak somewhere in the background
    looks like one of the identities, too, and where it is higher than the true one it is
    taken. The heights as weights, so that faint peaks do not win, and the reach are new.
    """
    chosen = _assign_peaks(points, heights, probabilities, least)
    if reach:
        middle = _find_middles(points, chosen)  # (B, C, 2)
        away = np.linalg.norm(points[..., None, :] - middle[:, None, None], axis=-1)
        near = away <= reach  # false where there is no peak or no animal
        chosen = _assign_peaks(points, heights, np.where(near, probabilities, -1.0), least)
    xy, confidence, certainty = (
        _take_peaks(values, chosen) for values in (points, heights, probabilities)
    )
    certainty = np.einsum("bckc->bck", certainty)  # of each animal's own identity
    n_nodes, n_classes = chosen.shape[1:]
    scores = np.nansum(confidence, axis=-1) / np.float32(n_nodes)
    enough = np.isfinite(confidence).sum(axis=-1) >= max(1, min_points)
    # A comparison with NaN, the mean of no peaks, is false.
    kept = enough & (_mean_of_known(confidence) >= min_mean_height)
    if max_instances:
        rank = np.argsort(np.argsort(-np.where(kept, scores, -np.inf), axis=1), axis=1)
        kept &= rank < max_instances
    return ClassInstances(
        np.where(kept[..., None, None], xy, np.float32(np.nan)),
        np.where(kept[..., None], confidence, np.float32(np.nan)),
        np.where(kept, scores, np.float32(np.nan)),
        np.where(kept, np.arange(n_classes, dtype=np.int32), np.int32(NO_CLASS)),
        np.where(kept, _mean_of_known(certainty), np.float32(np.nan)),
    )


def _assign_peaks(
    points: Floats, heights: Floats, probabilities: Floats, least: float
) -> NDArray[np.intp]:
    """Number of the peak of each node and identity, (B, K, C); -1 without one."""
    n_frames, n_nodes, _, n_classes = probabilities.shape
    chosen = np.full((n_frames, n_nodes, n_classes), -1, np.intp)
    there = np.asarray(np.isfinite(points).all(axis=-1))  # (B, K, P)
    for frame, node in zip(*np.nonzero(there.any(axis=-1)), strict=True):
        peaks = np.flatnonzero(there[frame, node])
        likely, weights = probabilities[frame, node, peaks], heights[frame, node, peaks]
        assigned = assign_classes(likely, least, weights)
        named = assigned >= 0
        chosen[frame, node, assigned[named]] = peaks[named]
    return chosen


def _take_peaks(values: Floats, chosen: NDArray[np.intp]) -> NDArray[np.float32]:
    """Values (B, K, P, ...) of the chosen peaks (B, K, C) as (B, C, K, ...); NaN without one."""
    n_frames, n_nodes, _ = chosen.shape
    rows = np.arange(n_frames)[:, None, None], np.arange(n_nodes)[:, None]
    taken = values[(*rows, chosen)].astype(np.float32)  # (B, K, C, ...); -1 takes any
    taken[chosen < 0] = np.nan
    return np.swapaxes(taken, 1, 2)


def _find_middles(points: Floats, chosen: NDArray[np.intp]) -> NDArray[np.float32]:
    """Median (B, C, 2) of the peaks that each identity has; NaN where it has none."""
    xy = _take_peaks(points, chosen)  # (B, C, K, 2)
    middle = np.full((*xy.shape[:2], 2), np.nan, np.float32)
    there = np.isfinite(xy[..., 0]).any(axis=-1)
    middle[there] = np.nanmedian(xy[there], axis=1)
    return middle


def _mean_of_known(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over the last axis of what is not NaN; NaN where nothing is known."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
