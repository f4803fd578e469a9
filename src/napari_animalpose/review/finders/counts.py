"""Frames with too many or too few animals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.selection import rank_instances
from napari_animalpose.data.store import unpack
from napari_animalpose.review.episodes import merge_episodes
from napari_animalpose.review.evidence import Evidence, Rows
from napari_animalpose.review.findings import Findings, rate_severity

__all__ = ["count_animals", "find_wrong_counts"]

_WEIGHT = 0.7


def find_wrong_counts(evidence: Evidence) -> Findings:
    """Return runs of frames with more or fewer instances than there are animals.

    How many there are is configured, or what most frames show. Severity grows with the
    difference as a share of the animals and with the square root of the length. Where
    there are too many, the least sure instance of the frame is named.
    """
    keys, count = count_animals(evidence)
    most_often = int(np.bincount(count).argmax()) if len(count) else 0
    expected = evidence.config.expected_animals or most_often
    wrong = np.flatnonzero(count != expected)
    frames = unpack(keys[wrong]).astype(np.int32)
    difference = count[wrong] - expected
    group = frames[:, 0].astype(np.int64) * 2 + (difference > 0)
    size = np.abs(difference).astype(np.float64)
    gap = evidence.config.merge_gap_frames * evidence.stride
    found = merge_episodes(group, frames[:, 1], size, gap)
    share = size[found.peak] / max(expected, 1)
    surplus = _find_surplus(evidence, keys[wrong][found.peak], difference[found.peak])
    texts = [
        f"{_tell(n)} where {_tell(expected)} {'is' if expected == 1 else 'are'} expected, in "
        f"{n_frames} frame{'s' if n_frames > 1 else ''}."
        for n, n_frames in zip(count[wrong][found.peak].tolist(), found.size.tolist(), strict=True)
    ]
    return Findings.build(
        nodes=evidence.skeleton.nodes,
        track_names=evidence.track_names,
        video=frames[found.peak, 0],
        frame=frames[found.peak, 1],
        first=found.first,
        last=found.last,
        instance=np.where(surplus >= 0, evidence.position[surplus], -1),
        track=np.where(surplus >= 0, evidence.poses.track[surplus], -1),
        kind=np.full(len(texts), "count", object),
        severity=rate_severity(np.maximum(share * np.sqrt(found.size), 0.2), _WEIGHT),
        text=np.array(texts, object),
    )


def count_animals(evidence: Evidence) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return the keys of all frames that were looked at and how many instances each has.

    A frame without rows was looked at if its video has rows in more than half of the
    frames between the first and the last, or of all frames where their number is known.
    """
    keys, count = np.unique(evidence.keys, return_counts=True)
    added = []
    for video in np.unique(keys >> 32).tolist():
        frames = (keys[keys >> 32 == video] & 0xFFFFFFFF).astype(np.int64)
        first, last = int(frames[0]), int(frames[-1])
        if evidence.n_frames is not None:
            length = int(evidence.n_frames[video])
            if 2 * len(frames) > length:
                first, last = 0, max(last, length - 1)
        if 2 * len(frames) > last - first + 1:
            missing = np.setdiff1d(np.arange(first, last + 1), frames)
            added.append((np.int64(video) << 32) | missing)
    empty = np.concatenate([np.zeros(0, np.int64), *added])
    all_keys = np.concatenate([keys, empty])
    order = np.argsort(all_keys)
    return all_keys[order], np.concatenate([count, np.zeros(len(empty), np.intp)])[order]


def _find_surplus(
    evidence: Evidence, keys: NDArray[np.int64], difference: NDArray[np.signedinteger]
) -> Rows:
    """Return the last in the ranking of instances of some frames, -1 = none too many."""
    ranking = rank_instances(evidence.poses)
    last = np.lexsort((ranking, evidence.keys))[evidence.keys.searchsorted(keys, "right") - 1]
    return np.asarray(np.where(difference > 0, last, -1), np.intp)


def _tell(number: int) -> str:
    return f"{number or 'no'} animal{'' if number == 1 else 's'}"
