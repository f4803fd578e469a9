"""Giving chains of tracklets the names of tracks, so that what people named keeps its name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.tracking.cleaning import keep_one_identity
from napari_animalpose.tracking.tracklets import Tracklets

__all__ = ["forget_emptied", "name_chains"]

Ints = NDArray[np.intp]


def name_chains(
    poses: Poses, tracklets: Tracklets, chain: Ints, anchored: NDArray[np.bool_] | None = None
) -> Poses:
    """Write chains of tracklets into a table as tracks.

    A chain takes the track that most of its instances had, where no larger chain of the
    video has it, and a new name where none is left. Anchored instances decide before all
    others and keep their tracks in any case: a chain that joins those of several tracks is
    cut before the first that differs, and another instance in a frame where one has its
    track is left without.

    Parameters
    ----------
    poses : Poses
    tracklets : Tracklets
        All those of `poses`.
    chain : numpy.ndarray of intp, shape (R,)
        Chain of every tracklet from 0, within one video each; -1 leaves its instances
        without a track.
    anchored : array of bool, shape (N,), optional
        Rows whose track a person gave, those of `tracklets`; by default all labels.

    Returns
    -------
    Poses
        Names that have lost all their instances are gone.
    """
    if not len(tracklets):
        return poses
    anchored = poses.is_label if anchored is None else anchored
    chain = _cut_at_anchors(tracklets, chain)
    name_of, names = _choose_names(poses, tracklets, chain)
    track = poses.track.copy()
    new = np.where(chain >= 0, name_of[chain], -1).astype(np.int32)
    rows = tracklets.rows
    free = ~anchored[rows]
    track[rows[free]] = new[tracklets.number][free]
    named = poses.copy()
    named.replace_tracks(names, track)
    named, _ = keep_one_identity(named)
    return forget_emptied(poses, named)


def _cut_at_anchors(tracklets: Tracklets, chain: Ints) -> Ints:
    """Return chains (R,) in which all anchored instances have one track."""
    chain = chain.copy()
    following = int(chain.max()) + 1
    identity: dict[int, int] = {}  # track of what is anchored in a chain
    replaced: dict[int, int] = {}  # where the rest of a chain that was cut goes on
    for number in np.argsort(tracklets.first, kind="stable").tolist():
        at = int(chain[number])
        if at < 0:
            continue
        at = replaced.get(at, at)
        if tracklets.anchored[number]:
            track = int(tracklets.track[number])
            if identity.setdefault(at, track) != track:
                replaced[int(chain[number])] = at = following
                identity[at] = track
                following += 1
        chain[number] = at
    return chain


def _choose_names(poses: Poses, tracklets: Tracklets, chain: Ints) -> tuple[Ints, list[str]]:
    """Return the track of every chain and the names of all tracks."""
    names = list(poses.track_names)
    name_of = np.full(int(chain.max(initial=-1)) + 1, -1, np.intp)
    used = np.flatnonzero(chain >= 0)
    video = np.zeros(len(name_of), np.int64)
    video[chain[used]] = tracklets.video[used]
    weight = tracklets.counts + len(poses) * tracklets.anchored.astype(np.int64)
    keys = np.stack([chain[used], tracklets.track[used]], axis=1)
    pairs, number = np.unique(keys, axis=0, return_inverse=True)
    votes = np.bincount(number.reshape(-1), weights=weight[used], minlength=len(pairs))
    taken: set[tuple[int, int]] = set()
    for place in np.argsort(-votes, kind="stable").tolist():
        owner, track = (int(value) for value in pairs[place])
        if name_of[owner] < 0 and (int(video[owner]), track) not in taken:
            name_of[owner] = track
            taken.add((int(video[owner]), track))
    for owner in np.unique(chain[used])[name_of[np.unique(chain[used])] < 0].tolist():
        name_of[owner] = len(names)
        names.append(_new_name(names))
    return name_of, names


def _new_name(names: list[str]) -> str:
    number = len(names) + 1
    while f"track {number}" in names:
        number += 1
    return f"track {number}"


def forget_emptied(before: Poses, after: Poses) -> Poses:
    """Return `after` without the tracks that had instances in `before` and have none now.

    Tracks count the same in both tables, but for those that `after` has on top.
    """
    had, has = (np.unique(table.track[table.track >= 0]) for table in (before, after))
    gone = np.setdiff1d(had, has)
    if not len(gone):
        return after
    kept = np.setdiff1d(np.arange(len(after.track_names)), gone)
    renumbered = np.full(len(after.track_names) + 1, -1, np.int32)
    renumbered[kept] = np.arange(len(kept))
    after = after.copy()
    after.replace_tracks([after.track_names[i] for i in kept], renumbered[after.track])
    return after
