"""Which instances are meant: predictions by frame, area, score, count and track.

Every function returns addresses (video, frame, position among the rows of the frame) as
an int64 array (M, 3), ready for `edits.delete_instances`, `edits.accept_predictions` and
`edits.set_track`. A label, which a person made or confirmed, is never among them unless
the function says so. Reading costs what lies in the range, not the length of the video.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.edits import find_track
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.data.store import MAX_FRAME, pack
from napari_animalpose.errors import DataError

__all__ = [
    "FrameRange",
    "rank_instances",
    "select_beyond_count",
    "select_few_points",
    "select_in_area",
    "select_low_score",
    "select_on_labelled_frames",
    "select_predictions",
    "select_track",
]

Addresses = NDArray[np.int64]
Mask = NDArray[np.bool_]


class FrameRange(NamedTuple):
    """The frames `first` to `last` of one video, both included; one frame if they agree."""

    video: int
    first: int = 0
    last: int = MAX_FRAME


def select_predictions(poses: Poses, within: FrameRange | None = None) -> Addresses:
    """Return all predictions of a range of frames; without one, of all videos.

    Raises
    ------
    DataError
        If the range ends before it begins.
    """
    rows = _read(poses, within)
    return _address(rows, ~rows.is_label)


def select_track(
    poses: Poses, name: str, within: FrameRange | None = None, *, labels_too: bool = False
) -> Addresses:
    """Return the predictions of one track, or all its instances.

    Parameters
    ----------
    poses : Poses
    name : str
    within : FrameRange, optional
        By default all videos.
    labels_too : bool
        Return also what a person made or confirmed.

    Raises
    ------
    DataError
        If there is no such track, or the range ends before it begins.
    """
    number = find_track(poses, name)
    rows = _read(poses, within)
    chosen = rows.track == number
    return _address(rows, chosen if labels_too else chosen & ~rows.is_label)


def select_in_area(
    poses: Poses,
    area: ArrayLike,
    within: FrameRange | None = None,
    *,
    points: Literal["center", "any", "all"] = "center",
) -> Addresses:
    """Return the predictions that lie in a rectangle or a polygon.

    Parameters
    ----------
    poses : Poses
    area : array_like of float, shape (2, 2) or (V, 2)
        Two opposite corners (x, y) of a rectangle, or at least three corners of a polygon
        in order, in px; a polygon that crosses itself follows the even-odd rule.
    within : FrameRange, optional
        By default all videos.
    points : {"center", "any", "all"}
        What has to lie inside: the mean of the points, one of them or all of them.
        Instances without points are never inside.

    Raises
    ------
    DataError
        If the area is neither, or not finite, or `points` is none of the three.
    """
    corners = _check_area(area)
    rows = _read(poses, within)
    present = rows.visibility != Visibility.MISSING
    n_points = present.sum(axis=1)
    if points == "center":
        total = np.where(present[..., None], rows.xy.astype(np.float64), 0).sum(axis=1)
        center = total / np.maximum(n_points, 1)[:, None]
        chosen = _is_inside(center, corners)
    elif points in ("any", "all"):
        inside = _is_inside(rows.xy.reshape(-1, 2), corners).reshape(present.shape) & present
        chosen = inside.any(axis=1) if points == "any" else inside.sum(axis=1) == n_points
    else:
        raise DataError(f"Expected points='center', 'any' or 'all'; received {points!r}.")
    return _address(rows, chosen & (n_points > 0) & ~rows.is_label)


def select_low_score(poses: Poses, below: float, within: FrameRange | None = None) -> Addresses:
    """Return the predictions whose confidence is lower than `below`.

    An instance without a score (NaN) says nothing about itself and is not returned.

    Raises
    ------
    DataError
        If `below` is NaN.
    """
    if np.isnan(below):
        raise DataError("Expected a score to compare with; received NaN.")
    rows = _read(poses, within)
    return _address(rows, (rows.score < below) & ~rows.is_label)


def select_few_points(poses: Poses, min_points: int, within: FrameRange | None = None) -> Addresses:
    """Return the predictions with fewer than `min_points` points.

    Raises
    ------
    DataError
        If `min_points` is more than the skeleton has nodes: that would be everything.
    """
    if min_points > poses.n_nodes:
        raise DataError(
            f"Expected at most the {poses.n_nodes} points of the skeleton; received {min_points}."
        )
    rows = _read(poses, within)
    n_points = (rows.visibility != Visibility.MISSING).sum(axis=1)
    return _address(rows, (n_points < min_points) & ~rows.is_label)


def select_beyond_count(
    poses: Poses, max_instances: int, within: FrameRange | None = None
) -> Addresses:
    """Return the predictions that a frame has beyond the best `max_instances`.

    Labels come first and take their places; then the higher score, then the larger number
    of points, then the order of rows.

    Raises
    ------
    DataError
        If `max_instances` is negative.
    """
    if max_instances < 0:
        raise DataError(f"Expected a number of animals from 0; received {max_instances}.")
    rows = _read(poses, within)
    return _address(rows, (rank_instances(rows) >= max_instances) & ~rows.is_label)


def select_on_labelled_frames(poses: Poses, within: FrameRange | None = None) -> Addresses:
    """Return the predictions in frames that have a label: leftovers of what was corrected.

    Raises
    ------
    DataError
        If the range ends before it begins.
    """
    rows = _read(poses, within)
    keys = pack(rows.video, rows.frame)
    return _address(rows, np.isin(keys, keys[rows.is_label]) & ~rows.is_label)


def rank_instances(rows: Poses, first: NDArray[Any] | None = None) -> NDArray[np.intp]:
    """Number the instances of every frame from the best, 0, to the worst.

    Labels come before predictions; then the higher score (none is lowest), the larger
    number of points, those that `first` (N,) marks, and the order of rows.

    Returns
    -------
    array of intp, shape (N,)
    """
    keys = pack(rows.video, rows.frame)
    score = np.where(np.isnan(rows.score), -np.inf, rows.score)
    n_points = (rows.visibility != Visibility.MISSING).sum(axis=1)
    marked = np.zeros(len(rows)) if first is None else first.astype(np.float64)
    order = np.lexsort((-marked, -n_points, -score, ~rows.is_label, keys))
    rank = np.empty(len(rows), np.intp)
    rank[order] = _count_up(keys)  # sorted by frame, so rows of a frame stay together
    return rank


# ---------------------------------------------------------------------------- internals
def _read(poses: Poses, within: FrameRange | None) -> Poses:
    if within is None:
        return poses
    if within.first > within.last:
        raise DataError(
            f"Expected a range that ends after it begins; received frames {within.first} to "
            f"{within.last}."
        )
    return poses.between(within.video, within.first, within.last)


def _count_up(keys: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the position of every row among the rows of equal key; keys are sorted."""
    return np.arange(len(keys)) - np.searchsorted(keys, keys)


def _address(rows: Poses, chosen: Mask) -> Addresses:
    """Return the addresses of the rows that a mask chooses; rows hold whole frames."""
    position = _count_up(pack(rows.video, rows.frame))
    return np.stack([rows.video, rows.frame, position], axis=1)[chosen].astype(np.int64)


def _check_area(area: ArrayLike) -> NDArray[np.float64]:
    """Return the corners of a polygon (V, 2)."""
    corners = np.asarray(area, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 2:
        raise DataError(
            "Expected two corners of a rectangle or at least three of a polygon, (x, y) each; "
            f"received shape {corners.shape}."
        )
    if not np.isfinite(corners).all():
        raise DataError("Expected finite corners of the area; received NaN or inf.")
    if len(corners) == 2:
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return corners


def _is_inside(xy: NDArray[Any], corners: NDArray[np.float64]) -> Mask:
    """Say of points (N, 2) whether a polygon holds them; NaN is outside.

    A ray to the right crosses the outline an odd number of times (Shimrat, "Position of
    point relative to polygon", CACM 1962). Left and upper borders belong to a rectangle,
    right and lower ones do not.
    """
    x, y = xy[:, 0].astype(np.float64), xy[:, 1].astype(np.float64)
    inside = np.zeros(len(xy), bool)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        spans = (y1 > y) != (y2 > y)
        if y1 != y2:
            inside ^= spans & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return inside & ~np.isnan(x + y)
