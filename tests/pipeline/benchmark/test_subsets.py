"""The first n of an order are the choice of n: nested by construction, and spread."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.pipeline.benchmark.subsets import ORDERS, order_at_random, order_evenly

frame_keys = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 500)), min_size=1, max_size=40, unique=True
)


def widest_gap(chosen, frames):
    """Largest distance from any frame to the nearest chosen one."""
    return np.abs(np.subtract.outer(frames, chosen)).min(axis=1).max()


@pytest.mark.parametrize("order", ORDERS)
@given(keys=frame_keys, seed=st.integers(0, 5))
def test_an_order_holds_every_frame_once_and_is_that_of_its_seed(order, keys, seed):
    ordered = ORDERS[order](keys, seed)
    assert sorted(ordered) == sorted(keys)
    assert ordered == ORDERS[order](keys, seed)


@given(
    frames=st.lists(st.integers(0, 300), min_size=2, max_size=30, unique=True),
    seed=st.integers(0, 5),
)
def test_every_beginning_is_spread_at_most_twice_as_wide_as_possible(frames, seed):
    ordered = [frame for _, frame in order_evenly([(0, frame) for frame in frames], seed)]
    span = max(frames) - min(frames)
    for n in range(1, len(frames) + 1):
        # n intervals of length 2 r cover the span only if 2 r n >= span, up to the frames
        # that exist: the best choice of n among all of them is found by trying.
        best = best_gap(sorted(frames), n)
        assert widest_gap(ordered[:n], frames) <= 2 * best
    assert span >= 0


def best_gap(frames, n):
    """Smallest radius within which n of the frames reach all of them (ascending frames)."""
    radii = sorted({abs(a - b) for a in frames for b in frames})
    return next(radius for radius in radii if count_needed(frames, radius) <= n)


def count_needed(frames, radius):
    """How many frames reach all others within a radius: greedy, from the left."""
    count, i = 0, 0
    while i < len(frames):
        centre = max(frame for frame in frames if frame <= frames[i] + radius)
        count += 1
        while i < len(frames) and frames[i] <= centre + radius:
            i += 1
    return count


def test_all_videos_come_before_any_comes_again():
    keys = [(video, frame) for video in range(4) for frame in range(0, 100, 10)]
    first = order_evenly(keys, 0)[:4]
    assert sorted(video for video, _ in first) == [0, 1, 2, 3]


def test_seeds_choose_differently():
    keys = [(0, frame) for frame in range(100)]
    for order in (order_evenly, order_at_random):
        assert len({tuple(order(keys, seed)[:5]) for seed in range(6)}) > 3
    assert order_evenly([], 0) == []
