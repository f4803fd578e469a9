"""Removing what cannot be an animal: duplicates, instances beyond N, short fragments.

Every function takes a table and returns a new one together with the `Change`. What a
person made or confirmed stays as it is unless `change_labels` says otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.store import pack
from napari_animalpose.errors import ConfigError
from napari_animalpose.tracking.changes import Change, record_change, remove_rows

__all__ = [
    "cull_instances",
    "keep_one_identity",
    "remove_duplicates",
    "remove_short_tracks",
    "remove_untracked",
]

# Spread of the similarity of duplicates: two detections of one animal differ more than two
# placements of one point by people do (0.025 of COCO's best point); 0.1 is that of its hips.
DUPLICATE_STDDEV = 0.1
_PAIRS_AT_ONCE = 1 << 16


# ------------------------------------------------------------------------ rows of one frame
def keep_one_identity(poses: Poses, *, change_labels: bool = False) -> tuple[Poses, Change]:
    """Let each identity be in a frame once: the best instance keeps it, others have none.

    Labels come before predictions, then the higher score, then more points.

    Parameters
    ----------
    poses : Poses
    change_labels : bool
        Also take the identity from a label where another label has it.

    Returns
    -------
    poses : Poses
        Same rows; some have lost their track.
    change : Change
    """
    tracked = np.flatnonzero(poses.track >= 0)
    order = tracked[_best_first(poses, tracked, poses.track[tracked])]
    keys, track = pack(poses.video, poses.frame)[order], poses.track[order]
    again = np.zeros(len(order), np.bool_)
    again[1:] = (keys[1:] == keys[:-1]) & (track[1:] == track[:-1])
    lost = np.zeros(len(poses), np.bool_)
    lost[order[again]] = True
    if not change_labels:
        lost &= ~poses.is_label
    change = record_change("took away an identity that another instance has", poses, lost)
    return (_with_tracks(poses, np.where(lost, -1, poses.track)) if lost.any() else poses), change


def remove_duplicates(
    poses: Poses,
    *,
    min_oks: float = 0.8,
    stddev: float = DUPLICATE_STDDEV,
    change_labels: bool = False,
) -> tuple[Poses, Change]:
    """Remove instances whose points lie on those of a better instance of the frame.

    The similarity is OKS with the worse instance as truth and the larger of the two areas
    as size: a fragment of an animal on a whole one is a duplicate, too. As in non-maximum
    suppression, what is itself removed removes nothing.

    Parameters
    ----------
    poses : Poses
    min_oks : float
        Similarity in (0, 1] from which on two instances are one.
    stddev : float
        Spread of points as a share of the square root of the area.
    change_labels : bool
        Also remove labels.

    Returns
    -------
    poses : Poses
    change : Change
    """
    return remove_rows(
        "removed duplicates", poses, _find_duplicates(poses, min_oks, stddev, change_labels)
    )


def cull_instances(
    poses: Poses,
    max_animals: int,
    *,
    min_oks: float = 0.8,
    prefer_tracked: bool = False,
    change_labels: bool = False,
) -> tuple[Poses, Change]:
    """Leave at most `max_animals` instances in every frame.

    Duplicates of a better instance (see `remove_duplicates`) go first, then those with the
    lowest score. Where a table has no instance scores, the mean score of the points counts.

    Parameters
    ----------
    poses : Poses
    max_animals : int
        At least 1.
    min_oks : float
        See `remove_duplicates`.
    prefer_tracked : bool
        Before all these go those without a track: what a tracker followed is an animal,
        whatever the score of a false one beside it.
    change_labels : bool
        Also remove labels. Without, a frame with more labels than animals keeps them all
        (and nothing else).

    Returns
    -------
    poses : Poses
    change : Change

    Raises
    ------
    ConfigError
        If `max_animals` is below 1.
    """
    if max_animals < 1:
        raise ConfigError(
            f"Expected max_animals of at least 1; received {max_animals}. Leave it out "
            "if it is not known."
        )
    keys = pack(poses.video, poses.frame)
    _, frame_of, counts = np.unique(keys, return_inverse=True, return_counts=True)
    crowded = np.flatnonzero(counts[frame_of] > max_animals)
    part = poses.select(crowded)
    duplicate = _find_duplicates(part, min_oks, DUPLICATE_STDDEV, change_labels)
    # A label comes before all else, even where it lies on another one.
    last = np.where(part.is_label, 0, duplicate + 2 * (prefer_tracked & (part.track < 0)))
    order = _best_first(part, np.arange(len(part)), last.astype(np.int32))
    group = keys[crowded][order]
    place = np.arange(len(order)) - np.searchsorted(group, group)
    lost = np.zeros(len(poses), np.bool_)
    lost[crowded[order[place >= max_animals]]] = True
    if not change_labels:
        lost &= ~poses.is_label
    return remove_rows(f"removed instances beyond {max_animals} in a frame", poses, lost)


def _find_duplicates(
    poses: Poses, min_oks: float, stddev: float, change_labels: bool
) -> NDArray[np.bool_]:
    """Return which rows (N,) lie on a better row of their frame that stays."""
    better, worse = _similar_pairs(poses, min_oks, stddev)
    if not change_labels:
        settled = poses.is_label[worse]
        better, worse = better[~settled], worse[~settled]
    removed = np.zeros(len(poses), np.bool_)
    open_rows = np.zeros(len(poses), np.bool_)
    open_rows[worse] = True
    while len(worse):
        # A row that no undecided row beats stays for good, and removes what lies on it.
        decided = ~open_rows[better]
        removed[worse[decided & ~removed[better]]] = True
        pending = np.zeros(len(poses), np.bool_)
        pending[worse[~decided & ~removed[worse]]] = True
        open_rows &= pending
        waiting = open_rows[worse]
        better, worse = better[waiting], worse[waiting]
    return removed


def _similar_pairs(
    poses: Poses, min_oks: float, stddev: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the better and the worse row of all pairs of a frame that are that similar."""
    keys = pack(poses.video, poses.frame)
    rank = np.empty(len(poses), np.intp)
    rank[_best_first(poses, np.arange(len(poses)))] = np.arange(len(poses))
    low, high = _find_boxes(poses.xy)
    area = np.nan_to_num((high - low).prod(axis=1))
    largest = int(np.bincount(np.unique(keys, return_inverse=True)[1]).max(initial=0))
    found: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    for distance in range(1, largest):
        first = np.flatnonzero(keys[distance:] == keys[:-distance])
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            a = first[start : start + _PAIRS_AT_ONCE]
            b = a + distance
            spread = (2.0 * stddev) ** 2 * 2.0 * (np.maximum(area[a], area[b]) + np.spacing(1.0))
            # Points are at least as far apart as the boxes: most pairs need no closer look.
            apart = np.maximum(np.maximum(low[a] - high[b], low[b] - high[a]), 0)
            near = np.exp(-(apart**2).sum(axis=1) / spread) >= min_oks
            a, b, spread = a[near], b[near], spread[near]
            swap = rank[b] < rank[a]
            better, worse = np.where(swap, b, a), np.where(swap, a, b)
            similar = _compare_rows(poses, worse, better, spread) >= min_oks
            found.append((better[similar], worse[similar]))
    if not found:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def _find_boxes(xy: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners (N, 2) of the boxes around points; NaN without a point."""
    low = high = np.full((len(xy), 2), np.nan)
    for node in range(xy.shape[1]):
        low, high = np.fmin(low, xy[:, node]), np.fmax(high, xy[:, node])
    return low, high


def _compare_rows(
    poses: Poses,
    truth: NDArray[np.intp],
    predicted: NDArray[np.intp],
    spread: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the OKS of pairs of rows (P,): that of `data.oks`, one with one."""
    a, b = poses.xy[truth].astype(np.float64), poses.xy[predicted].astype(np.float64)
    distance2 = ((a - b) ** 2).sum(axis=-1)
    similarity = np.nansum(np.exp(-distance2 / spread[:, None]), axis=1)
    return np.asarray(similarity / np.maximum((~np.isnan(a[..., 0])).sum(axis=1), 1))


def _best_first(
    poses: Poses, rows: NDArray[np.intp], group: NDArray[np.bool_] | NDArray[np.int32] | None = None
) -> NDArray[np.intp]:
    """Return the order of `rows` by frame, then by `group`, in each the best one first."""
    score = poses.score[rows].astype(np.float64)
    unknown = np.isnan(score)
    if unknown.any():
        points = poses.point_score[rows[unknown]]
        n_scored = (~np.isnan(points)).sum(axis=1)
        score[unknown] = np.nansum(points, axis=1) / np.maximum(n_scored, 1)
    n_points = (poses.visibility[rows] > 0).sum(axis=1)
    keys = pack(poses.video, poses.frame)[rows]
    by = (-n_points, -score, ~poses.is_label[rows])
    return np.lexsort((*by, keys) if group is None else (*by, group, keys))


# ---------------------------------------------------------------------------- whole tracks
def remove_short_tracks(
    poses: Poses, min_frames: int, *, change_labels: bool = False
) -> tuple[Poses, Change]:
    """Remove the instances of tracks that a video has in fewer than `min_frames` frames.

    Instances without a track stay (see `remove_untracked`), and so do tracks with labels
    unless `change_labels` is set.

    Returns
    -------
    poses : Poses
        The names of the tracks stay as they are.
    change : Change
    """
    tracked = poses.track >= 0
    animal = pack(poses.video, np.maximum(poses.track, 0))
    _, number = np.unique(animal, return_inverse=True)
    count = np.bincount(number, weights=tracked)
    lost = tracked & (count[number] < min_frames)
    if not change_labels:
        labelled = np.bincount(number, weights=tracked & poses.is_label)
        lost &= labelled[number] == 0
    return remove_rows(f"removed tracks of fewer than {min_frames} frames", poses, lost)


def remove_untracked(
    poses: Poses, *, within: NDArray[np.bool_] | None = None, change_labels: bool = False
) -> tuple[Poses, Change]:
    """Remove the instances without an identity; labels only if `change_labels` is set.

    With `within`, a mask (N,), only those among its rows.
    """
    lost = poses.track < 0
    if within is not None:
        lost &= within
    if not change_labels:
        lost &= ~poses.is_label
    return remove_rows("removed instances without a track", poses, lost)


def _with_tracks(poses: Poses, track: NDArray[np.int32]) -> Poses:
    changed = poses.copy()
    changed.replace_tracks(poses.track_names, track)
    return changed
