"""What all finders look at: the rows, who follows whom, and how large animals are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.config import ReviewConfig
from napari_animalpose.data.oks import compute_sides
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.store import pack
from napari_animalpose.errors import DataError
from napari_animalpose.review.robust import median_of_present, median_or

__all__ = ["Evidence", "infer_symmetries", "measure_distance", "pair_within_frames"]

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_COINCIDE = 0.25  # body lengths: a prediction nearer than this to a label shows its animal


class Evidence:
    """The N rows under review, with what the finders share.

    Predictions that a label in the same frame stands for are not among the rows: they are
    what a person has corrected already.

    Parameters
    ----------
    poses : Poses
    config : ReviewConfig
    variance : array_like of float, optional
        Posterior variance of every point of `poses` in px^2, shape (rows, K), or of x and
        y, (rows, K, 2); NaN = not known.
    appearance : array_like of float, optional
        What every instance of `poses` looks like, shape (rows, D), as from a network that
        tells individuals apart; NaN = not known.
    n_frames : sequence of int, optional
        Lengths of the videos: frames without any animal are then known to be empty.

    Raises
    ------
    DataError
        If variance or appearance have another number of rows or nodes.
    """

    def __init__(
        self,
        poses: Poses,
        config: ReviewConfig,
        *,
        variance: ArrayLike | None = None,
        appearance: ArrayLike | None = None,
        n_frames: Sequence[int] | None = None,
    ) -> None:
        self.config, self.n_frames = config, n_frames
        self.skeleton, self.track_names = poses.skeleton, poses.track_names
        variance = _check_variance(poses, variance)
        appearance = _check_appearance(poses, appearance)
        keys = pack(poses.video, poses.frame)
        position = (np.arange(len(poses)) - keys.searchsorted(keys)).astype(np.int32)
        shown = ~_find_superseded(poses)
        self.poses = poses if shown.all() else poses.select(shown)
        self.position = position[shown]  # of every row among all rows of its frame
        self.variance = None if variance is None else variance[shown]
        self.appearance = None if appearance is None else appearance[shown]

    def __len__(self) -> int:
        return len(self.poses)

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """One sortable number for the frame of every row, ascending, shape (N,)."""
        return pack(self.poses.video, self.poses.frame)

    @cached_property
    def body_px(self) -> float:
        """Diagonal in px of the box around a typical animal, or 1 for a single point."""
        return _measure_body(self.poses.xy)

    @cached_property
    def center(self) -> Floats:
        """Median of the points of every row, NaN without points, shape (N, 2)."""
        return median_of_present(self.poses.xy, axis=1)

    @cached_property
    def stride(self) -> int:
        """Frames from one frame with rows to the next, typically: 1 unless some were skipped."""
        keys = np.unique(self.keys)
        gaps = np.diff(keys)
        return int(max(median_or(gaps[gaps < 2**31].astype(np.float64), 1.0), 1.0))

    @cached_property
    def chains(self) -> NDArray[np.int64]:
        """Number of the animal of every row, -1 = not known, shape (N,).

        It is the video and the track. Rows without a track belong to one animal as well
        where no frame of the video has two rows: one animal needs no tracking.
        """
        track, video = self.poses.track.astype(np.int64), self.poses.video
        n_tracks = len(self.track_names) + 1
        chain = np.where(track < 0, -1, video * n_tracks + track)
        _, first, count = np.unique(self.keys, return_index=True, return_counts=True)
        crowded = np.unique(video[first[count > 1]])
        alone = (track < 0) & ~np.isin(video, crowded)
        return np.where(alone, video * n_tracks + n_tracks - 1, chain).astype(np.int64)

    @cached_property
    def order(self) -> Rows:
        """Rows of known animals, one animal after the other, each in order of time."""
        known = np.flatnonzero(self.chains >= 0)
        return known[np.lexsort((self.poses.frame[known], self.chains[known]))]

    @cached_property
    def previous(self) -> Rows:
        """The row before every row of the same animal, -1 = none, shape (N,)."""
        return self._link(self.order[1:], self.order[:-1])

    @cached_property
    def following(self) -> Rows:
        """The row after every row of the same animal, -1 = none, shape (N,)."""
        return self._link(self.order[:-1], self.order[1:])

    def _link(self, rows: Rows, others: Rows) -> Rows:
        linked = np.full(len(self), -1, np.intp)
        gap = np.abs(self.poses.frame[rows] - self.poses.frame[others])
        near = (gap >= 1) & (gap <= self.config.max_gap_frames * self.stride)
        near &= self.chains[rows] == self.chains[others]
        linked[rows[near]] = others[near]
        return linked

    def gap_to(self, others: Rows) -> Floats:
        """Return the frames between every row and another, NaN for -1, shape (N,)."""
        gap = np.abs(self.poses.frame[others] - self.poses.frame).astype(np.float64)
        return np.where(others >= 0, gap, np.nan)

    def steps(self, others: Rows) -> NDArray[np.float32]:
        """Return the way in px from another row to every row; NaN for -1, (N, K, 2)."""
        step = self.poses.xy - self.poses.xy[others]
        step[others < 0] = np.nan
        return step

    def name_track(self, row: int) -> str:
        """Return what a sentence calls the animal of a row."""
        track = int(self.poses.track[row])
        return f"{self.track_names[track]!r}" if track >= 0 else "the animal"


def measure_distance(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the mean distance in px of the nodes that two poses (..., K, 2) both have.

    NaN where they share none.
    """
    offset = np.asarray(a) - np.asarray(b)
    length = np.hypot(offset[..., 0], offset[..., 1])
    shared = ~np.isnan(length)
    count = shared.sum(axis=-1)
    total = np.where(shared, length, 0).sum(axis=-1, dtype=np.float64)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def pair_within_frames(keys: NDArray[np.int64], rows: Rows) -> tuple[Rows, Rows]:
    """Return each of some rows with every other row of its frame, as two arrays.

    Parameters
    ----------
    keys : array of int64, shape (N,)
        Of the frames of all rows, ascending.
    rows : array of int
    """
    starts = keys.searchsorted(keys[rows])
    counts = keys.searchsorted(keys[rows], side="right") - starts
    first = np.repeat(rows, counts)
    ahead = np.cumsum(counts) - counts
    second = np.arange(len(first)) + np.repeat(starts - ahead, counts)
    different = first != second
    return first[different], second[different]


def infer_symmetries(
    nodes: Sequence[str], symmetries: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return the symmetric pairs of a skeleton; where it names none, those that names tell.

    Two names make a pair if one becomes the other by writing R for L or right for left.
    """
    if symmetries:
        return list(symmetries)
    number = {node: index for index, node in enumerate(nodes)}
    pairs = []
    for node, index in number.items():
        for left, right in (("L", "R"), ("left", "right"), ("Left", "Right"), ("_l", "_r")):
            starts = [i for i in range(len(node)) if node.startswith(left, i)]
            mirrored = [node[:i] + right + node[i + len(left) :] for i in starts]
            pairs += [(index, number[name]) for name in mirrored if name in number]
    taken: set[int] = set()
    unique = []
    for a, b in dict.fromkeys(pairs):
        if not taken & {a, b}:
            unique.append((a, b))
            taken |= {a, b}
    return unique


# ---------------------------------------------------------------------------- internals
def _measure_body(xy: NDArray[np.float32]) -> float:
    """Return the median diagonal of the boxes around rows with at least half the points."""
    present = ~np.isnan(xy).any(axis=-1)
    n_points = present.sum(axis=1)
    whole = (n_points >= 2) & (2 * n_points >= n_points.max(initial=0))
    return median_or(np.hypot(*compute_sides(xy[whole]).T), 0.0) or 1.0


def _find_superseded(poses: Poses) -> NDArray[np.bool_]:
    """Say which predictions show an animal that a label in the same frame shows."""
    superseded = np.zeros(len(poses), bool)
    if not poses.is_label.any() or poses.is_label.all():
        return superseded
    keys = pack(poses.video, poses.frame)
    label, other = pair_within_frames(keys, np.flatnonzero(poses.is_label))
    predicted = ~poses.is_label[other]
    label, other = label[predicted], other[predicted]
    distance = measure_distance(poses.xy[label], poses.xy[other])
    same = distance < _COINCIDE * _measure_body(poses.xy)
    same |= (poses.track[label] == poses.track[other]) & (poses.track[label] >= 0)
    superseded[other[same]] = True
    return superseded


def _check_variance(poses: Poses, variance: ArrayLike | None) -> Floats | None:
    """Return the variance of every point as a sum over x and y, shape (N, K)."""
    if variance is None:
        return None
    values = np.asarray(variance, np.float64)
    shape = (len(poses), poses.n_nodes)
    if values.shape == (*shape, 2):
        values = values.sum(axis=-1)
    if values.shape != shape:
        raise DataError(
            f"Expected a variance for every point, shape {shape}; received shape {values.shape}."
        )
    return values


def _check_appearance(poses: Poses, appearance: ArrayLike | None) -> Floats | None:
    if appearance is None:
        return None
    values = np.asarray(appearance, np.float64)
    if values.ndim != 2 or len(values) != len(poses):
        raise DataError(
            f"Expected an appearance for each of {len(poses)} instances, shape (N, D); received "
            f"shape {values.shape}."
        )
    return values
