"""How labelled frames are divided, and divided again when there are more of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.errors import DataError
from napari_animalpose.pipeline.selection import split_empty_frames, split_frames

KEYS = st.integers(0, 39).map(lambda n: (n % 2, n))
PARTS = ("train", "validation", "test")


@given(
    st.sets(KEYS, min_size=8), st.sets(KEYS), st.sets(KEYS),
    st.sampled_from([0.1, 0.25]), st.sampled_from([0.0, 0.2]), st.integers(0, 3),
)  # fmt: skip
def test_what_was_held_out_stays_held_out(first, added, removed, validation, test, seed):
    before = split_frames(sorted(first), validation, test, seed)
    keys = sorted((first | added) - removed)
    wanted = {name: max(1, round(len(keys) * share)) if share else 0
              for name, share in (("validation", validation), ("test", test))}  # fmt: skip
    if sum(wanted.values()) >= len(keys):
        with pytest.raises(DataError, match="Label more frames"):
            split_frames(keys, validation, test, seed, before)
        return
    held_out = {name: set(before[name]) & set(keys) for name in wanted}
    n_empty = sum(bool(wanted[name]) and not held_out[name] for name in wanted)
    if len(keys) - sum(map(len, held_out.values())) <= n_empty:
        with pytest.raises(DataError, match="of which the run before held out"):
            split_frames(keys, validation, test, seed, before)
        return
    after = split_frames(keys, validation, test, seed, before)
    assert sorted(key for part in PARTS for key in after[part]) == keys
    for name in ("validation", "test"):
        assert set(before[name]) & set(keys) <= set(after[name])
        assert bool(after[name]) == bool(wanted[name])
    assert after["train"]
    # What was learned from is held out only where nothing else could be.
    for name in ("validation", "test"):
        leaked = set(after[name]) & set(before["train"])
        assert not leaked or (len(leaked) == 1 and len(after[name]) == 1)
    assert after == split_frames(keys, validation, test, seed, before)


def test_what_was_held_out_is_not_learned_from_even_where_there_is_nothing_else():
    """The frames that were learned from are gone; each new one is learned from first."""
    before = {"train": [(0, 9)], "validation": [(0, 0), (0, 1), (0, 2)], "test": []}
    keys = [(0, 0), (0, 1), (0, 2)]
    said = "received 3, of which the run before held out 3"
    with pytest.raises(DataError, match=f"at least 4 labelled frames.*{said}"):
        split_frames(keys, 0.25, 0.0, 0, before)
    with pytest.raises(DataError, match="at least 5 labelled frames"):  # one to test with, too
        split_frames(keys, 0.25, 0.25, 0, before)
    after = split_frames([*keys, (0, 5)], 0.25, 0.0, 0, before)
    assert after == {"train": [(0, 5)], "validation": keys, "test": []}
    after = split_frames([*keys, (0, 5), (0, 6)], 0.25, 0.25, 0, before)
    assert sorted(after["train"] + after["test"]) == [(0, 5), (0, 6)]
    assert after["validation"] == keys


def test_new_frames_are_held_out_in_the_same_proportion():
    first = [(0, i) for i in range(20)]
    before = split_frames(first, 0.2, 0.0, 0)
    for n_new in (20, 40, 80):
        keys = [(0, i) for i in range(20 + n_new)]
        after = split_frames(keys, 0.2, 0.0, 0, before)
        assert len(after["validation"]) == 0.2 * len(keys)
        before = before if n_new == 80 else after
    same = split_frames([(0, i) for i in range(60)], 0.2, 0.0, 5, before)
    assert set(before["validation"]) & {(0, i) for i in range(60)} <= set(same["validation"])


def test_without_new_frames_nothing_changes():
    keys = [(0, i) for i in range(12)]
    before = split_frames(keys, 0.25, 0.1, 3)
    assert split_frames(keys, 0.25, 0.1, 99, before) == before


def test_no_more_than_every_second_new_frame_is_held_out():
    before = {"train": [(0, i) for i in range(30)], "validation": []}
    keys = [(0, i) for i in range(34)]
    after = split_frames(keys, 0.5, 0.0, 0, before)
    assert len(after["validation"]) == 2
    assert set(after["validation"]) <= {(0, i) for i in range(30, 34)}


def test_a_part_that_is_no_longer_wanted_goes_back_to_training():
    keys = [(0, i) for i in range(10)]
    before = split_frames(keys, 0.2, 0.2, 0)
    after = split_frames(keys, 0.2, 0.0, 0, before)
    assert after["test"] == []
    assert after["validation"] == before["validation"]


def test_empty_frames_keep_their_part_too():
    keys = [(0, i) for i in range(20)]
    before = split_empty_frames(keys[:10], 0.2, 0.1, 3)
    after = split_empty_frames(keys, 0.2, 0.1, 3, before)
    assert {name: len(part) for name, part in after.items()} == {
        "test": 2, "validation": 4, "train": 14,
    }  # fmt: skip
    for name in PARTS:
        assert set(before[name]) <= set(after[name])
    assert np.unique([f for part in after.values() for _, f in part]).size == 20
