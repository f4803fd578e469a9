"""Choosing few of many labelled frames, so that a larger choice holds the smaller ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["ORDERS", "order_at_random", "order_evenly"]

Key = tuple[int, int]


def order_evenly(keys: Sequence[Key], seed: int) -> list[Key]:
    """Order frames so that every beginning of the list is spread over the videos.

    Farthest-first traversal (Gonzalez, "Clustering to minimize the maximum intercluster
    distance", 1985): each frame is the one farthest in time from all before it, so that
    the widest gap of any beginning is at most twice what is possible. Frames of different
    videos are farther apart than any of one video. The first frame is drawn at random.

    Parameters
    ----------
    keys : sequence of (int, int)
        (video, frame), each once.
    seed : int
        Of the first frame.

    Returns
    -------
    list of (int, int)
        All of `keys`.
    """
    video, frame = np.array(keys, np.int64).reshape(-1, 2).T
    another_video = int(np.ptp(frame)) + 1 if len(keys) else 0
    left = np.full(len(keys), np.iinfo(np.int64).max)  # distance to the nearest one chosen
    order: list[Key] = []
    chosen = int(np.random.default_rng(seed).integers(len(keys))) if keys else 0
    for _ in keys:
        order.append(keys[chosen])
        left = np.minimum(left, _distance(video, frame, chosen, another_video))
        left[chosen] = -1
        chosen = int(left.argmax())
    return order


def _distance(
    video: NDArray[np.int64], frame: NDArray[np.int64], chosen: int, another_video: int
) -> NDArray[np.int64]:
    within = np.abs(frame - frame[chosen])
    return np.where(video == video[chosen], within, another_video)


def order_at_random(keys: Sequence[Key], seed: int) -> list[Key]:
    """Order frames at random."""
    order = np.random.default_rng(seed).permutation(len(keys))
    return [keys[i] for i in order.tolist()]


ORDERS: dict[str, Callable[[Sequence[Key], int], list[Key]]] = {
    "even": order_evenly,
    "random": order_at_random,
}
"""Ways to choose: the first n of the order are the choice of n."""
