"""What happens to earlier predictions when new ones come.

Labels, which a person made or confirmed, are never touched. Where a frame has labels, a
new prediction of an animal that is labelled already is left out, so that no animal is
there twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.edit_kinds import FrameEdit
from napari_animalpose.data.oks import compute_sides
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.store import pack, unpack
from napari_animalpose.errors import DataError
from napari_animalpose.nn.metrics import reorder_nodes
from napari_animalpose.registry import Registry

__all__ = ["MERGE_MODES", "MergeMode", "find_labelled_twice", "merge_predictions"]

SAME_ANIMAL = 0.25  # of an animal's size: mean distance of the points of two that are one
UNKNOWN_SIZE_PX = 100.0  # of an animal of a skeleton of one point
_PAIRS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class MergeMode:
    """One answer to what happens to earlier predictions.

    Parameters
    ----------
    label : str
        For people, in a combo box.
    clears : {"everywhere", "looked at", "nowhere"}
        Which earlier predictions go away.
    summary : str
        One sentence for people.
    """

    label: str
    clears: str
    summary: str = ""


MERGE_MODES: Registry[MergeMode] = Registry("way to treat earlier predictions")
for _name, _mode in {
    "replace": MergeMode(
        "Replace those on the same frames",
        "looked at",
        "Earlier predictions go away in the frames that are predicted now; labels stay.",
    ),
    "clear": MergeMode(
        "Clear all, everywhere",
        "everywhere",
        "All earlier predictions of the project go away, also in other frames; labels stay.",
    ),
    "keep": MergeMode(
        "Keep them beside the new ones",
        "nowhere",
        "Nothing goes away: animals that were predicted before are there twice.",
    ),
}.items():
    MERGE_MODES.register(_name, _mode)


def merge_predictions(
    poses: Poses,
    predicted: Poses,
    looked_at: ArrayLike,
    mode: str = "replace",
    *,
    same_animal: float = SAME_ANIMAL,
    names_identify: bool = True,
) -> FrameEdit:
    """Return the edit that brings new predictions into a table.

    Parameters
    ----------
    poses : Poses
        The table as it is now; it is not changed.
    predicted : Poses
        New predictions, with the nodes of `poses` in any order and videos numbered alike.
        Labels in it are left out.
    looked_at : array_like of int, shape (F, 2)
        (video, frame) of all frames that the network has seen, those in which it found
        nothing included.
    mode : str
        Name in `MERGE_MODES`: ``replace`` takes away the earlier predictions of the frames
        that were looked at, ``clear`` those of all frames, ``keep`` none.
    same_animal : float
        A new prediction is left out where `find_labelled_twice` takes it for an animal
        that is labelled in its frame; 0 leaves none out.
    names_identify : bool
        Whether tracks of the same name are the same animal, as where the model itself tells
        which animal is which. A tracker only counts (``track_0``, ``track_1``), anew each
        time: with False, a new track whose name a row that stays has gets another one.

    Returns
    -------
    FrameEdit
        What stays keeps its order and comes before what is new. A new prediction whose
        identity the frame has already is left without one.

    Raises
    ------
    ConfigError
        If there is no such mode.
    DataError
        If the nodes differ, or a prediction lies in a frame that was not looked at.
    """
    clears = MERGE_MODES.get(mode).clears
    pairs = np.asarray(looked_at, np.int64).reshape(-1, 2)
    seen = np.unique(pack(pairs[:, 0], pairs[:, 1]))
    new = reorder_nodes(_select(predicted, ~predicted.is_label), poses)
    if not np.isin(_keys(new), seen).all():
        raise DataError(
            "Expected predictions of the frames that were looked at; received some of others."
        )
    if same_animal > 0:
        new = _select(new, ~find_labelled_twice(poses, new, same_animal))
    keys, is_prediction = _keys(poses), ~poses.is_label
    cleared = {
        "everywhere": is_prediction,
        "looked at": is_prediction & np.isin(keys, seen),
        "nowhere": np.zeros(len(poses), bool),
    }[clears]
    if not names_identify:
        stays = np.unique(poses.track[~cleared & (poses.track >= 0)])
        new = _rename_apart(new, {poses.track_names[track] for track in stays.tolist()})
    frames = unpack(np.union1d(keys[cleared], _keys(new)))
    before = poses.take_frames(frames)
    kept = before if clears == "nowhere" else _select(before, before.is_label)
    after = _append(before.select([]), kept, new)
    n_frames = len(new.frame_keys())
    label = f"Predict {n_frames} frames" if n_frames != 1 else "Predict frame"
    return FrameEdit(label, frames, before, after)


def find_labelled_twice(
    poses: Poses, predicted: Poses, same_animal: float = SAME_ANIMAL
) -> NDArray[np.bool_]:
    """Say which predictions show an animal that is labelled in their frame.

    The rule: the mean distance between the points that both have, as a share of the
    diagonal of the box around the label, is at most `same_animal`. Label and prediction
    are paired one to one, the closest first: a neighbour that is not labelled stays, even
    close by. A label of one point counts as large as the median instance.

    Parameters
    ----------
    poses : Poses
        With labels; its predictions do not matter.
    predicted : Poses
        With the same nodes in the same order.
    same_animal : float

    Returns
    -------
    array of bool, shape (len(predicted),)
    """
    rows = np.flatnonzero(poses.is_label & np.isin(_keys(poses), _keys(predicted)))
    twice = np.zeros(len(predicted), bool)
    if not len(rows):
        return twice
    true_xy = poses.xy[rows]
    size = _measure(true_xy)
    if not size.all():
        known = np.concatenate([size, _measure(predicted.xy)])
        known = known[known > 0]
        size[size == 0] = np.median(known) if len(known) else UNKNOWN_SIZE_PX
    labels, found = _pair_up(_keys(poses)[rows], _keys(predicted))
    distance = _mean_distances(true_xy, predicted.xy, labels, found) / size[labels]
    close = np.flatnonzero(distance <= same_animal)  # NaN is not
    taken = np.zeros(len(rows), bool)
    order = close[np.argsort(distance[close], kind="stable")]
    for label, row in zip(labels[order].tolist(), found[order].tolist(), strict=True):
        if not taken[label] and not twice[row]:
            taken[label] = twice[row] = True
    return twice


# ---------------------------------------------------------------------------- internals
def _select(poses: Poses, rows: NDArray[np.bool_]) -> Poses:
    """Return some rows; the table itself where these are all."""
    return poses if rows.all() else poses.select(rows)


def _keys(poses: Poses) -> NDArray[np.int64]:
    """One sortable number for the frame of each row, shape (N,)."""
    return pack(poses.video, poses.frame)


def _pair_up(
    a: NDArray[np.int64], b: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return all pairs of positions with equal keys in two ascending arrays."""
    starts, stops = b.searchsorted(a), b.searchsorted(a, side="right")
    counts = stops - starts
    first = np.repeat(np.arange(len(a)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, np.asarray(starts[first] + within, np.intp)


def _mean_distances(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Mean distance over the points that both have, for pairs of rows; NaN without any."""
    distances = np.full(len(first), np.nan)
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        difference = a[first[part]].astype(np.float64) - b[second[part]]
        distance = np.hypot(difference[..., 0], difference[..., 1])  # (P, K)
        known = np.isfinite(distance)
        total, count = np.where(known, distance, 0).sum(axis=1), known.sum(axis=1)
        distances[part] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return distances


def _measure(xy: NDArray[np.float32]) -> NDArray[np.float64]:
    """Diagonals in px of the boxes around the points of instances (N, K, 2)."""
    return np.asarray(np.hypot(*compute_sides(xy).T))


def _rename_apart(new: Poses, taken: set[str]) -> Poses:
    """Give the tracks whose names are taken other ones, counted on."""
    known, used = taken | set(new.track_names), set(np.unique(new.track).tolist())
    free = (name for number in count() if (name := f"track_{number}") not in known)
    names = [
        next(free) if name in taken and track in used else name
        for track, name in enumerate(new.track_names)
    ]
    return new.replace(track_names=names)


def _append(nobody: Poses, kept: Poses, new: Poses) -> Poses:
    """Join rows of the table with new ones; an identity that a frame has stays with its row.

    `nobody` is a table without rows that says how tracks are numbered.
    """
    joined = Poses.concat([nobody, kept, new])
    order = np.argsort(np.concatenate([_keys(kept), _keys(new)]), kind="stable")
    is_new = order >= len(kept)
    named = np.flatnonzero(joined.track >= 0)
    if not (is_new & (joined.track >= 0)).any():
        return joined
    frame = np.unique(_keys(joined), return_inverse=True)[1]
    who = frame[named] * len(joined.track_names) + joined.track[named]
    repeated = np.zeros(len(joined), bool)
    repeated[named] = True
    repeated[named[np.unique(who, return_index=True)[1]]] = False
    repeated &= is_new
    columns = dict(joined.columns)
    columns["track"] = np.where(repeated, -1, joined.track).astype(np.int32)
    columns["track_score"] = np.where(repeated, np.nan, joined.track_score).astype(np.float32)
    return Poses(joined.skeleton, columns, joined.track_names)
