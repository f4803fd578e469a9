"""Joining tracklets to tracks: over gaps by global optimisation, and at single breaks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.config import StitchConfig, TrackConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import DataError
from napari_animalpose.tracking.chains import (
    Links,
    assign_successors,
    find_paths,
    follow_successors,
)
from napari_animalpose.tracking.changes import Change, record_change
from napari_animalpose.tracking.cleaning import (
    cull_instances,
    keep_one_identity,
    remove_short_tracks,
    remove_untracked,
)
from napari_animalpose.tracking.continuity import (
    compare_appearance,
    compare_motion,
    compare_shape,
    find_ends,
    learn_motion,
    learn_shape,
)
from napari_animalpose.tracking.naming import forget_emptied, name_chains
from napari_animalpose.tracking.steps import find_stretches
from napari_animalpose.tracking.tracklets import Tracklets, average_over, find_tracklets

__all__ = ["join_single_breaks", "refine_tracks", "stitch_tracks"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MIN_CANDIDATES = 32  # successors that are weighed for each tracklet: the next to begin
_INSTANCE_GAIN = 3.0  # nats: an instance with the usual score is an animal in 95 % of cases
_LABEL_GAIN = 1e6  # a tracklet with a label is on a path if there is any way


def refine_tracks(
    poses: Poses,
    config: StitchConfig | None = None,
    *,
    appearance: ArrayLike | None = None,
    anchored: Mask | None = None,
    looked_at: NDArray[np.int64] | None = None,
    confirm_frames: int = TrackConfig.confirm_frames,
) -> tuple[Poses, tuple[Change, ...]]:
    """Do all that follows a first pass of tracking.

    One identity a frame; with a known number of animals no more instances than that in a
    frame, those with an identity first; tracklets stitched; what then has no identity
    where it could have had one, or one for a few frames only, removed.

    Parameters
    ----------
    poses : Poses
        With the tracks of the first pass.
    config : StitchConfig, optional
    appearance, anchored : array_like, optional
        See `stitch_tracks`.
    looked_at : array of int64, shape (F, 2), optional
        (video, frame) of frames that were looked at, also where nothing was found.
    confirm_frames : int
        That of the first pass: instances without an identity stay where fewer frames in a
        row were looked at (see `steps.find_stretches`), and where nobody got one.

    Returns
    -------
    poses : Poses
    changes : tuple of Change
        One for each step. Rows count the table before that step.
    """
    config = config or StitchConfig()
    looks = _check_appearance(appearance, poses)
    anchored = poses.is_label if anchored is None else anchored
    poses, change = keep_one_identity(poses)
    changes = [change]
    if config.max_animals:
        culled, change = cull_instances(
            poses, config.max_animals, min_oks=config.duplicate_oks, prefer_tracked=True
        )
        looks = None if looks is None else np.delete(looks, change.rows, axis=0)
        anchored = np.delete(anchored, change.rows)
        poses = forget_emptied(poses, culled)
        changes.append(change)
    poses, change = stitch_tracks(poses, config, appearance=looks, anchored=anchored)
    changes.append(change)
    if config.max_animals:
        stretch = find_stretches(poses, confirm_frames, looked_at)
        poses, change = remove_untracked(poses, within=_find_followed(poses, stretch))
        changes.append(change)
    if config.min_track_frames > 1:
        longer, change = remove_short_tracks(poses, config.min_track_frames)
        poses = forget_emptied(poses, longer)
        changes.append(change)
    return poses, tuple(changes)


def _find_followed(poses: Poses, stretch: Ints) -> Mask:
    """Return which rows (N,) are in a stretch in which an animal has an identity."""
    followed = np.unique(stretch[poses.track >= 0])
    return np.asarray((stretch >= 0) & np.isin(stretch, followed))


def stitch_tracks(
    poses: Poses,
    config: StitchConfig | None = None,
    *,
    appearance: ArrayLike | None = None,
    anchored: Mask | None = None,
) -> tuple[Poses, Change]:
    """Join tracklets over gaps, all of a video at once, at the least total cost.

    Tracks are cut at every gap first: across a gap, a track continues itself only if
    nothing else continues it better. Two tracklets that share a frame are never joined.
    `continuity` says what a succession costs, `chains` how the best set is found.

    Parameters
    ----------
    poses : Poses
        Instances without a track are left alone.
    config : StitchConfig, optional
        With `max_animals`, a video has at most so many tracks afterwards; instances that
        belong to none of them are left without a track. Without, every tracklet is kept
        and a succession is made where it is more likely than a new animal.
    appearance : array_like of float, shape (N, C), optional
        For every instance the probability of each class that it may look like, as an
        identity network gives it; NaN = unknown.
    anchored : array of bool, shape (N,), optional
        Rows whose track a person gave; by default all labels.

    Returns
    -------
    poses : Poses
        Same rows, other tracks. Those of anchored rows stay, see `naming.name_chains`.
    change : Change
        The instances whose track has another name than before.

    Raises
    ------
    DataError
        If `appearance` does not fit the table.
    """
    config = config or StitchConfig()
    looks = _check_appearance(appearance, poses)
    unique, _ = keep_one_identity(poses)
    tracklets = find_tracklets(unique, anchored=anchored)
    chain = np.full(len(tracklets), -1, np.intp)
    for video in np.unique(tracklets.video).tolist():
        here = np.flatnonzero(tracklets.video == video)
        part = _chain_tracklets(unique, tracklets.take(here), config, looks)
        chain[here] = np.where(part >= 0, part + chain.max(initial=-1) + 1, -1)
    stitched = name_chains(unique, tracklets, chain, anchored)
    return stitched, _record_renamed("stitched into other tracks", poses, stitched)


def _check_appearance(appearance: ArrayLike | None, poses: Poses) -> Floats | None:
    if appearance is None:
        return None
    looks = np.asarray(appearance, np.float64)
    if looks.ndim != 2 or len(looks) != len(poses):
        raise DataError(
            f"Expected class probabilities of shape ({len(poses)}, number of classes), one row "
            f"for each instance; received shape {looks.shape}."
        )
    return looks


def _record_renamed(action: str, before: Poses, after: Poses) -> Change:
    """Return the rows whose track has another name."""
    # Names may repeat: they are told apart by how often they came before, as in `concat`.
    numbers: dict[tuple[str, int], int] = {}
    columns = []
    for table in (before, after):
        seen: dict[str, int] = {}
        mapped = []
        for name in table.track_names:
            mapped.append(numbers.setdefault((name, seen.get(name, 0)), len(numbers)))
            seen[name] = seen.get(name, 0) + 1
        columns.append(np.array([*mapped, -1])[table.track])
    return record_change(action, before, columns[0] != columns[1])


# ----------------------------------------------------------------------------- one video
def _chain_tracklets(
    poses: Poses, tracklets: Tracklets, config: StitchConfig, looks: Floats | None
) -> Ints:
    """Return the chain of every tracklet of one video, -1 = dropped."""
    weigh = _make_scale(poses, tracklets, config, looks)
    before, after = _list_candidates(tracklets, config)
    links = Links(before, after, weigh(before, after))
    if not config.max_animals:
        return follow_successors(assign_successors(len(tracklets), links, config.new_track_cost))
    gain = _weigh_tracklets(poses, tracklets)
    absence = config.gap_weight * float(np.log1p(config.max_gap_frames))
    return find_paths(
        tracklets.first,
        tracklets.last,
        gain,
        links,
        absence + 1e-6,
        config.max_animals,
        lambda befores, j: weigh(befores, np.full(len(befores), j)),
    )


def _list_candidates(tracklets: Tracklets, config: StitchConfig) -> tuple[Ints, Ints]:
    """Return pairs of tracklets of which the second begins after the end of the first.

    For each those that begin next, twice as many as there are animals at once, and
    the next one of its own track.
    """
    order = np.argsort(tracklets.first, kind="stable")
    begin = tracklets.first[order]
    place = np.searchsorted(begin, tracklets.last, side="right")
    alive = np.arange(1, len(begin) + 1) - np.searchsorted(np.sort(tracklets.last), begin)
    n_candidates = max(_MIN_CANDIDATES, 2 * int(alive.max(initial=0)))
    stop = np.minimum(place + n_candidates, len(begin))
    if not config.max_animals:
        limit = tracklets.last + config.max_gap_frames + 1
        stop = np.minimum(stop, np.searchsorted(begin, limit, side="right"))
    count = np.maximum(stop - place, 0)
    before = np.repeat(np.arange(len(tracklets)), count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    after = order[place[before] + offset]
    # Whatever lies between: a track may always go on as itself. By track they are in order.
    own = np.flatnonzero(tracklets.track[1:] == tracklets.track[:-1])
    pairs = np.append(before, own) * len(tracklets) + np.append(after, own + 1)
    before, after = np.divmod(np.unique(pairs), max(len(tracklets), 1))
    agree = ~(tracklets.anchored[before] & tracklets.anchored[after])
    agree |= tracklets.track[before] == tracklets.track[after]
    return before[agree], after[agree]


def _make_scale(
    poses: Poses, tracklets: Tracklets, config: StitchConfig, looks: Floats | None
) -> Callable[[Ints, Ints], Floats]:
    """Return the function that gives the cost in nats (P,) of successions."""
    model = learn_motion(poses, tracklets, config.max_gap_frames)
    last, first = find_ends(poses, tracklets, "last"), find_ends(poses, tracklets, "first")
    shape = learn_shape(poses, tracklets)
    mean_looks = None if looks is None else average_over(tracklets, looks[tracklets.rows])[0]
    goes_on = _find_anchored_links(tracklets)

    def weigh(before: Ints, after: Ints) -> Floats:
        gap = tracklets.first[after] - tracklets.last[before]
        cost = config.gap_weight * np.log(gap)
        near = gap <= config.max_gap_frames + 1  # after a longer gap motion says nothing
        cost[near] += config.motion_weight * compare_motion(
            model, last, first, before[near], after[near], gap[near]
        )
        cost += config.shape_weight * compare_shape(shape, before, after)
        if mean_looks is not None:
            cost += config.appearance_weight * compare_appearance(mean_looks, before, after)
        same = tracklets.track[before] == tracklets.track[after]
        # What the tracker joined stays joined unless another succession is better.
        cost[same] = np.minimum(cost[same], config.new_track_cost) - config.same_track_bonus
        cost[goes_on[before] & (after == before + 1)] -= _LABEL_GAIN
        return np.asarray(cost)

    return weigh


def _find_anchored_links(tracklets: Tracklets) -> Mask:
    """Return which tracklets (R,) of one video go on in the next one of their track.

    Those do from the first in which a person named the animal until the last: what the
    tracker followed between the two is the same animal.
    """
    _, track = np.unique(tracklets.track, return_inverse=True)
    number = np.arange(len(tracklets))
    first = np.full(track.max(initial=-1) + 1, len(tracklets))
    last = np.full(len(first), -1)
    np.minimum.at(first, track[tracklets.anchored], number[tracklets.anchored])
    np.maximum.at(last, track[tracklets.anchored], number[tracklets.anchored])
    return np.asarray((first[track] <= number) & (number < last[track]))


def _weigh_tracklets(poses: Poses, tracklets: Tracklets) -> Floats:
    """Return what every tracklet is worth (R,) in nats, by its instances and their scores."""
    score = poses.score[tracklets.rows].astype(np.float64)
    usual = float(np.median(score[~np.isnan(score)])) if (~np.isnan(score)).any() else 1.0
    quality = np.clip(score / usual, 0.01, 1.0) if usual > 0 else np.ones(len(score))
    quality = np.where(np.isnan(score), 1.0, quality)
    gain = np.bincount(tracklets.number, weights=quality, minlength=len(tracklets))
    return np.asarray(_INSTANCE_GAIN * gain + _LABEL_GAIN * tracklets.labelled)


# ------------------------------------------------------------------------- single breaks
def join_single_breaks(
    poses: Poses, n_animals: int | None = None, *, max_gap_frames: int = 0
) -> tuple[Poses, Change]:
    """Join a track that ends to the one that begins where nothing else changes.

    Between the last frame of the one and the first frame of the other there are at most
    `max_gap_frames` frames, in which no other track ends or begins: whoever came is who
    left. No motion is looked at.

    Parameters
    ----------
    poses : Poses
    n_animals : int, optional
        Join only where all the other animals are there: before and after the break there
        are exactly so many tracks.
    max_gap_frames : int

    Returns
    -------
    poses : Poses
        Same rows, other tracks; those of labels stay.
    change : Change
    """
    unique, _ = keep_one_identity(poses)
    tracklets = find_tracklets(unique, None)
    successor = np.full(len(tracklets), -1, np.intp)
    for video in np.unique(tracklets.video).tolist():
        here = np.flatnonzero(tracklets.video == video)
        first, last = tracklets.first[here], tracklets.last[here]
        ends, begins = np.sort(last), np.sort(first)
        by_end = np.argsort(last, kind="stable")
        # The only end in the frames before a beginning, and no other beginning up to it.
        low = np.searchsorted(ends, first - max_gap_frames - 1)
        high = np.searchsorted(ends, first)
        after = np.flatnonzero(high - low == 1)
        before = by_end[low[after]]
        n_begun = np.searchsorted(begins, first[after], side="right") - np.searchsorted(
            begins, last[before], side="right"
        )
        n_ended = np.searchsorted(ends, first[after]) - np.searchsorted(ends, last[before])
        single = (n_begun == 1) & (n_ended == 1)
        if n_animals is not None:
            for frame in (last[before], first[after]):
                alive = np.searchsorted(begins, frame, side="right") - np.searchsorted(ends, frame)
                single &= alive == n_animals
        before, after = here[before[single]], here[after[single]]
        agree = ~(tracklets.anchored[before] & tracklets.anchored[after])
        successor[before[agree]] = after[agree]
    joined = name_chains(unique, tracklets, follow_successors(successor))
    return joined, _record_renamed("joined at single breaks", poses, joined)
