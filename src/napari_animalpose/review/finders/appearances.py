"""Two tracks that meet and part with each other's looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.review.episodes import merge_episodes
from napari_animalpose.review.evidence import Evidence, Rows, pair_within_frames
from napari_animalpose.review.finders.leaps import measure_leaps
from napari_animalpose.review.finders.limbs import measure_log_lengths
from napari_animalpose.review.findings import Findings, rate_severity
from napari_animalpose.review.robust import estimate_tail, median_of_present

__all__ = ["describe_looks", "find_appearance_changes"]

_WEIGHT = 0.9
_APART_BODIES = 0.6  # body lengths between centres: nearer, animals may be taken for each other
_MIN_ROWS = 5  # on each side of a meeting
_INDEPENDENT = 5.0  # rows that say as much as one independent look
_BATCH = 100_000

Floats = NDArray[np.float64]


def find_appearance_changes(evidence: Evidence) -> Findings:
    """Return meetings after which two animals look as the other one did before.

    A meeting is a run of frames in which the centres of two animals are near each other,
    or one of them is missing. Looks (`describe_looks`) are compared as medians over up to
    `ReviewConfig.window_frames` rows before and after it, but not beyond a leap. Names are
    suspected where they fit better crossed than straight, by more than their spread
    explains.
    """
    looks = describe_looks(evidence)
    before, after = _find_meetings(evidence)
    if not looks.shape[1] or not len(before):
        return _report(evidence, before[:0], after[:0], np.zeros(0))
    saved = _compare(
        _take_medians(evidence, looks, before, -1),
        _take_medians(evidence, looks, after, 1),
        _measure_spread(evidence, looks),
    )
    excess = saved / evidence.config.threshold_sd
    chosen = excess >= 1
    return _report(evidence, before[chosen], after[chosen], excess[chosen])


def describe_looks(evidence: Evidence) -> Floats:
    """Return what every row looks like, in numbers, NaN = not known, shape (N, D).

    The mean logarithm of its limb lengths, each less its usual value: its size. Then the
    given appearance.
    """
    parts: list[Floats] = []
    if len(evidence.skeleton.edges) and len(evidence):
        length = measure_log_lengths(evidence)
        parts.append(median_of_present(length - median_of_present(length, axis=0), axis=1)[:, None])
    if evidence.appearance is not None:
        parts.append(evidence.appearance)
    return np.concatenate([np.zeros((len(evidence), 0)), *parts], axis=1)


def _measure_spread(evidence: Evidence, looks: Floats) -> Floats:
    """Return how much the looks of one animal vary around their median, (D,)."""
    off = np.full(looks.shape, np.nan)
    for chain in np.unique(evidence.chains[evidence.chains >= 0]).tolist():
        mine = evidence.chains == chain
        off[mine] = np.abs(looks[mine] - median_of_present(looks[mine], axis=0))
    return np.maximum(estimate_tail(off, axis=0), 1e-6)


def _find_meetings(evidence: Evidence) -> tuple[Rows, Rows]:
    """Return the last rows of two animals before each meeting and the first after it.

    Each as (M, 2): row of the one and of the other animal.
    """
    firsts, seconds = [], []
    for start in range(0, len(evidence), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(evidence)))
        first, second = pair_within_frames(evidence.keys, rows)
        ahead = evidence.chains[first] < evidence.chains[second]
        ahead &= evidence.chains[first] >= 0
        first, second = first[ahead], second[ahead]
        apart = np.hypot(*(evidence.center[first] - evidence.center[second]).T)
        clear = apart > _APART_BODIES * evidence.body_px
        firsts.append(first[clear])
        seconds.append(second[clear])
    first = np.concatenate([np.zeros(0, np.intp), *firsts])
    second = np.concatenate([np.zeros(0, np.intp), *seconds])
    frame = evidence.poses.frame[first]
    order = np.lexsort((frame, evidence.chains[second], evidence.chains[first]))
    first, second, frame = first[order], second[order], frame[order]
    same = (np.diff(evidence.chains[first]) == 0) & (np.diff(evidence.chains[second]) == 0)
    met = np.flatnonzero(same & (np.diff(frame) > evidence.stride))
    pairs = np.stack([first, second], axis=1)
    return pairs[met], pairs[met + 1]


def _take_medians(
    evidence: Evidence, looks: Floats, rows: Rows, direction: int
) -> tuple[Floats, NDArray[np.intp]]:
    """Return the median looks of animals over the rows from given ones on, and how many.

    Parameters
    ----------
    evidence : Evidence
    looks : array of float, shape (N, D)
    rows : array of int, shape (M, 2)
    direction : {-1, 1}
        Backwards or forwards in time.

    Returns
    -------
    medians : array of float64, shape (M, 2, D)
    counts : array of int, shape (M, 2)
    """
    order = evidence.order
    place = np.zeros(len(evidence), np.intp)
    place[order] = np.arange(len(order))
    stretch = _number_stretches(evidence)
    steps = direction * np.arange(evidence.config.window_frames)
    window = place[rows][..., None] + steps  # (M, 2, W)
    inside = (window >= 0) & (window < len(order))
    members = order[np.where(inside, window, 0)]
    inside &= stretch[members] == stretch[rows][..., None]
    values = np.where(inside[..., None], looks[members], np.nan)  # (M, 2, W, D)
    return median_of_present(values, axis=2), inside.sum(axis=2)


def _number_stretches(evidence: Evidence) -> Rows:
    """Number the stretches of animals from one leap to the next, -1 = no animal, (N,).

    Beyond a leap a track may show another animal, whose looks say nothing here.
    """
    order = evidence.order
    step, limit = measure_leaps(evidence)
    begins = np.diff(evidence.chains[order], prepend=-1) != 0
    stretch = np.full(len(evidence), -1, np.intp)
    stretch[order] = np.cumsum(begins | (step[order] >= limit[order]))
    return stretch


def _compare(
    before: tuple[Floats, NDArray[np.intp]], after: tuple[Floats, NDArray[np.intp]], spread: Floats
) -> Floats:
    """Return by how many standard errors crossed names fit better than straight ones, (M,).

    0 where too few rows lie before or after.
    """
    (old, n_old), (new, n_new) = before, after
    least = np.minimum(n_old, n_new).min(axis=1)
    error = spread / np.sqrt(np.maximum(least, 1) / _INDEPENDENT)[:, None]  # (M, D)

    def measure(animal: int, other: int) -> Floats:
        off = (new[:, animal] - old[:, other]) / error
        return np.asarray(np.sqrt(np.nansum(off**2, axis=1)))

    saved = measure(0, 0) + measure(1, 1) - measure(0, 1) - measure(1, 0)
    return np.where(least >= _MIN_ROWS, saved, 0.0)


def _report(evidence: Evidence, before: Rows, after: Rows, excess: Floats) -> Findings:
    """Return the episodes of meetings, given as rows (M, 2) before and after them."""
    poses = evidence.poses
    group = poses.track[after].astype(np.int64) @ np.array([1 << 24, 1], np.int64)
    group = (poses.video[after[:, 0]].astype(np.int64) << 50) + group
    frame = poses.frame[after[:, 0]]
    found = merge_episodes(group, frame, excess, evidence.config.window_frames * evidence.stride)
    one, other = after[found.peak].T
    texts = [
        f"The tracks {evidence.name_track(a)} and {evidence.name_track(b)} meet in frames "
        f"{start} to {stop}, and afterwards each looks as the other did before."
        for a, b, start, stop in zip(
            one.tolist(),
            other.tolist(),
            poses.frame[before[found.peak, 0]].tolist(),
            poses.frame[one].tolist(),
            strict=True,
        )
    ]
    return Findings.build(
        nodes=evidence.skeleton.nodes,
        track_names=evidence.track_names,
        video=poses.video[one],
        frame=poses.frame[one],
        first=poses.frame[before[found.peak, 0]],
        last=found.last,
        instance=evidence.position[one],
        track=poses.track[one],
        other_track=poses.track[other],
        kind=np.full(len(one), "appearance", object),
        severity=rate_severity(excess[found.peak], _WEIGHT),
        text=np.array(texts, object),
    )
