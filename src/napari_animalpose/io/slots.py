"""Columns for animals in formats that have one column per animal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses

__all__ = ["Slots", "assign_slots"]


class Slots(NamedTuple):
    """Which rows go where: `rows` and `slots` of shape (M,), and the name of each slot."""

    rows: NDArray[np.intp]
    slots: NDArray[np.intp]
    names: tuple[str, ...]


def assign_slots(poses: Poses) -> Slots:
    """Give every instance of one video a column in which its frame is free.

    Tracks come first, in their order, without those that no instance has; instances
    without a track follow in columns by their place in the frame. Of a label and a
    prediction on the same track in the same frame the label stays, as in SLEAP; this is
    the only case in which an instance is left out. Further instances that share frame
    and track go into the columns of those without a track.

    Parameters
    ----------
    poses : Poses
        Instances of one video.
    """
    predicted = ~poses.is_label
    # Labels first, so that the first of each (frame, track) is the one to keep.
    order = np.lexsort((predicted, poses.track, poses.frame))
    track, frame = poses.track[order], poses.frame[order]
    first = np.ones(len(order), bool)
    first[1:] = (track[1:] != track[:-1]) | (frame[1:] != frame[:-1])
    leader = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    shadowed = ~first & predicted[order] & ~predicted[order][leader] & (track >= 0)
    owner = first & (track >= 0)
    used = np.unique(track[owner])
    rest = np.sort(order[~owner & ~shadowed])
    frames = poses.frame[rest]
    begin = np.searchsorted(frames, frames)
    place = np.arange(len(rest)) - begin
    n_rest = int(place.max(initial=-1)) + 1
    names = [poses.track_names[number] for number in used]
    prefix = "untracked" if names else "track"
    names += [f"{prefix}_{number}" for number in range(n_rest)]
    return Slots(
        np.concatenate([order[owner], rest]).astype(np.intp),
        np.concatenate([np.searchsorted(used, track[owner]), len(used) + place]).astype(np.intp),
        tuple(names),
    )
