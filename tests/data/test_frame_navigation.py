"""Next and previous frames, against a search through all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data.frame_navigation import find_frame, step_through
from napari_animalpose.data.overview import FrameKind, Overview
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton

N_FRAMES = 7
FLAGGED = FrameKind.FLAGGED


def make_overviews(marks: list[set[int]]) -> list[Overview]:
    overviews = [Overview(Poses.empty(Skeleton(("a",))), v, N_FRAMES) for v in range(len(marks))]
    for overview, frames in zip(overviews, marks, strict=True):
        overview.set_marks(FLAGGED, sorted(frames))
    return overviews


@given(
    st.lists(st.sets(st.integers(0, N_FRAMES - 1), max_size=3), min_size=1, max_size=3),
    st.data(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, -1]),
)
def test_the_nearest_frame_in_the_order_of_all_frames(marks, data, wrap, all_videos, step):
    video = data.draw(st.integers(0, len(marks) - 1))
    frame = data.draw(st.integers(0, N_FRAMES - 1))
    overviews = make_overviews(marks)
    found = find_frame(
        overviews.__getitem__, len(marks), FLAGGED, (video, frame), step,
        wrap=wrap, all_videos=all_videos,
    )  # fmt: skip
    everything = [(v, f) for v in range(len(marks)) for f in range(N_FRAMES)]
    if not all_videos:
        everything = [(video, f) for f in range(N_FRAMES)]
    here = everything.index((video, frame))
    ahead = everything[here + 1 :] if step == 1 else everything[:here][::-1]
    behind = everything[: here + 1] if step == 1 else everything[here:][::-1]
    order = [*ahead, *behind] if wrap else ahead
    hits = [(v, f) for v, f in order if f in marks[v]]
    assert found == (hits[0] if hits else None)


def test_frames_not_labelled_yet_are_found():
    overview = Overview(Poses.from_arrays(
        Skeleton(("a",)), frame=[0, 1, 3], xy=np.zeros((3, 1, 2))
    ), 0, 5)  # fmt: skip
    overview.set_marks(FrameKind.EMPTY, [2])
    found = find_frame(lambda _: overview, 1, FrameKind.UNLABELLED, (0, 0))
    assert found == (0, 4)
    assert found is not None
    assert found.frame == 4


@pytest.mark.parametrize(
    ("here", "step", "wrap", "expected"),
    [(4, 1, True, 9), (4, -1, True, 2), (9, 1, True, 2), (9, 1, False, None), (2, -1, True, 9),
     (2, -1, False, None), (100, -1, False, 9), (0, 1, False, 2)],
)  # fmt: skip
def test_stepping_through_a_list(here, step, wrap, expected):
    assert step_through([2, 4, 9], here, step, wrap=wrap) == expected


def test_nothing_to_step_through():
    assert step_through([], 3) is None
    with pytest.raises(ValueError, match="step of 1 or -1"):
        step_through([1], 3, 2)
    with pytest.raises(ValueError, match="step of 1 or -1"):
        find_frame(lambda _: make_overviews([set()])[0], 1, FLAGGED, (0, 0), 0)
