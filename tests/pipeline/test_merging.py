"""New predictions beside old ones and labels: three modes, nothing of a person's is lost."""

import numpy as np
import pytest
from edit_machine import AB, assert_same_bits
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose.data.history import History
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.pipeline.merging import (
    MERGE_MODES,
    find_labelled_twice,
    merge_predictions,
)

ANIMAL = np.array([[0.0, 0.0], [30.0, 40.0]])  # 50 px from end to end
U, P, C = Origin.USER, Origin.PREDICTED, Origin.CORRECTED


def table(rows, names=("a", "b")):
    """Rows are (frame, origin, shift in x, track), all in video 0."""
    frame, origin, shift, track = zip(*rows, strict=True)
    xy = ANIMAL[None] + np.array([[[s, 0.0]] for s in shift])
    return Poses.from_arrays(
        AB, frame=frame, origin=origin, xy=xy, track=track, track_names=names, score=0.5
    )


def summary(poses):
    """(frame, origin, shift, track name) of every row."""
    names = [*poses.track_names, None]
    return [
        (int(f), int(o), float(x), names[t])
        for f, o, x, t in zip(poses.frame, poses.origin, poses.xy[:, 0, 0], poses.track,
                              strict=True)
    ]  # fmt: skip


def merged(poses, predicted, looked_at, mode, **options):
    history = History(poses.copy())
    history.do(merge_predictions(history.poses, predicted, looked_at, mode, **options))
    return history.poses


def test_the_three_modes():
    poses = table([(0, P, 100, 0), (1, P, 100, 0), (1, U, 200, 1), (5, P, 100, -1)])
    predicted = table([(0, P, 300, -1), (1, P, 300, -1)])
    looked_at = [(0, 0), (0, 1), (0, 2)]
    assert summary(merged(poses, predicted, looked_at, "replace")) == [
        (0, P, 300, None), (1, U, 200, "b"), (1, P, 300, None), (5, P, 100, None),
    ]  # fmt: skip
    assert summary(merged(poses, predicted, looked_at, "clear")) == [
        (0, P, 300, None), (1, U, 200, "b"), (1, P, 300, None),
    ]  # fmt: skip
    assert summary(merged(poses, predicted, looked_at, "keep")) == [
        (0, P, 100, "a"), (0, P, 300, None),
        (1, P, 100, "a"), (1, U, 200, "b"), (1, P, 300, None), (5, P, 100, None),
    ]  # fmt: skip


def test_where_nothing_was_found_the_earlier_predictions_go():
    poses = table([(0, P, 0, -1), (1, P, 0, -1)])
    nothing = poses.select([])
    assert merged(poses, nothing, [(0, 1)], "replace").frame.tolist() == [0]
    assert merged(poses, nothing, [(0, 1)], "clear").frame.tolist() == []
    assert merged(poses, nothing, [(0, 1)], "keep").frame.tolist() == [0, 1]


def test_an_animal_that_is_labelled_is_not_there_twice():
    """The label is 50 px long: what lies up to 12.5 px off is the same animal."""
    poses = table([(0, U, 100, -1), (1, C, 100, -1)])
    predicted = table([(0, P, 112, -1), (0, P, 113.5, -1), (1, P, 113.5, -1), (2, P, 100, -1)])
    looked_at = [(0, 0), (0, 1), (0, 2)]
    kept = merged(poses, predicted, looked_at, "replace")
    assert kept.frame.tolist() == [0, 0, 1, 1, 2]
    assert kept.xy[:, 0, 0].tolist() == [100, 113.5, 100, 113.5, 100]
    every = merged(poses, predicted, looked_at, "replace", same_animal=0)
    assert len(every) == 6


def test_a_close_neighbour_without_a_label_stays():
    """Two predictions near one label: only the closer one is the labelled animal."""
    poses = table([(0, U, 100, -1)])
    predicted = table([(0, P, 108, -1), (0, P, 101, -1)])
    assert find_labelled_twice(poses, predicted).tolist() == [False, True]
    two = table([(0, U, 100, -1), (0, U, 109, -1)])
    assert find_labelled_twice(two, predicted).tolist() == [True, True]


def test_points_that_one_of_the_two_lacks_do_not_count():
    poses = table([(0, U, 0, -1)])
    half = table([(0, P, 2, -1)])
    xy = half.xy.copy()
    xy[0, 1] = np.nan
    assert find_labelled_twice(poses, half.replace(xy=xy)).tolist() == [True]
    xy[0, 0] = np.nan
    assert find_labelled_twice(poses, half.replace(xy=xy)).tolist() == [False]


def test_animals_of_one_point_are_as_large_as_the_others_or_a_hundred_px():
    one = Skeleton(("a",))
    label = Poses.from_arrays(one, frame=[0], xy=[[[0.0, 0.0]]])
    near, far = (Poses.from_arrays(one, frame=[0], xy=[[[x, 0.0]]], origin=P) for x in (24.0, 26.0))
    assert find_labelled_twice(label, near).tolist() == [True]
    assert find_labelled_twice(label, far).tolist() == [False]


def test_identities_are_matched_by_name_and_a_frame_has_each_once():
    poses = table([(0, U, 100, 1), (1, P, 0, 0)])
    predicted = table(
        [(0, P, 300, 0), (0, P, 500, 1), (1, P, 300, 1), (1, P, 500, 1)], names=("b", "new")
    )
    kept = merged(poses, predicted, [(0, 0), (0, 1)], "keep")
    assert summary(kept) == [
        (0, U, 100, "b"), (0, P, 300, None), (0, P, 500, "new"),
        (1, P, 0, "a"), (1, P, 300, "new"), (1, P, 500, None),
    ]  # fmt: skip
    assert kept.track_names == ("a", "b", "new")


def test_tracks_that_were_only_counted_do_not_become_those_that_stay():
    names = ("track_0", "track_1", "female")
    poses = table([(f, P, 100 * t, t) for f in (0, 5) for t in (0, 1)] + [(9, U, 0, 2)], names)
    predicted = table([(5, P, 300, 0), (5, P, 500, 1)], names[:2])
    apart = merged(poses, predicted, [(0, 5)], "replace", names_identify=False)
    assert summary(apart) == [
        (0, P, 0, "track_0"), (0, P, 100, "track_1"),
        (5, P, 300, "track_2"), (5, P, 500, "track_3"), (9, U, 0, "female"),
    ]  # fmt: skip
    beside = merged(poses, predicted, [(0, 5)], "keep", names_identify=False)
    assert [name for _, _, _, name in summary(beside)][4:6] == ["track_2", "track_3"]


def test_what_is_counted_begins_with_the_first_name_that_no_row_has_any_more():
    names = ("track_0", "track_1")
    poses = table([(0, P, 0, 0), (0, P, 100, 1), (5, P, 0, 0), (5, C, 100, 1)], names)
    predicted = table([(0, P, 300, 0), (5, P, 300, 0), (5, P, 500, 1)], names)
    for mode, looked_at in (("replace", [(0, 0), (0, 5)]), ("clear", [(0, 0), (0, 5), (0, 7)])):
        kept = merged(poses, predicted, looked_at, mode, names_identify=False)
        assert summary(kept) == [
            (0, P, 300, "track_0"), (5, C, 100, "track_1"),
            (5, P, 300, "track_0"), (5, P, 500, "track_2"),
        ]  # fmt: skip


def test_what_cannot_be_merged():
    poses = table([(0, P, 0, -1)])
    with pytest.raises(DataError, match="looked at"):
        merge_predictions(poses, poses, [(0, 1)])
    with pytest.raises(ConfigError, match="replace, clear, keep"):
        merge_predictions(poses, poses, [(0, 0)], "bogus")
    other = Poses.from_arrays(Skeleton(("a", "c")), frame=[0], xy=ANIMAL[None], origin=P)
    with pytest.raises(DataError, match="nodes a, b"):
        merge_predictions(poses, other, [(0, 0)])


def test_nodes_in_another_order_are_put_in_ours():
    poses = table([(0, P, 0, -1)])
    turned = Poses.from_arrays(Skeleton(("b", "a")), frame=[0], xy=ANIMAL[None, ::-1] + 1, origin=P)
    np.testing.assert_array_equal(merged(poses, turned, [(0, 0)], "replace").xy[0], ANIMAL + 1)


def test_labels_among_the_predictions_are_left_out():
    poses = table([(0, U, 0, -1)])
    assert summary(merged(poses, poses, [(0, 0)], "keep")) == summary(poses)


def row_texts(poses, rows):
    """Everything about some rows as text, tracks by name."""
    names = [*poses.track_names, None]
    texts = []
    for i in np.flatnonzero(rows).tolist():
        columns = {n: c[i].tobytes() for n, c in poses.columns.items() if n != "track"}
        texts.append((names[poses.track[i]], columns))
    return texts


@given(pose_tables(AB), pose_tables(AB), st.sampled_from(MERGE_MODES.names()), st.booleans())
def test_labels_are_untouched_and_undo_restores_every_bit(poses, predicted, mode, skips):
    looked_at = np.unique(np.concatenate([predicted.frame_keys(), [(0, 3), (1, 0)]]), axis=0)
    original = poses.copy()
    history = History(poses)
    edit = merge_predictions(poses, predicted, looked_at, mode, same_animal=0.25 * skips)
    assert_same_bits(poses, original)
    history.do(edit)
    assert row_texts(poses, poses.is_label) == row_texts(original, original.is_label)
    new = ~predicted.is_label
    if skips:
        new[new] = ~find_labelled_twice(original, predicted.select(new))
    # Which earlier predictions are left, counted one by one.
    seen = {tuple(pair) for pair in looked_at.tolist()}
    old = [(v, f) for v, f in zip(original.video.tolist(), original.frame.tolist(), strict=True)]
    stays = {"keep": lambda p: True, "clear": lambda p: False,
             "replace": lambda p: p not in seen}[mode]  # fmt: skip
    is_label = original.is_label
    n_left = sum(stays(pair) for i, pair in enumerate(old) if not is_label[i])
    assert len(poses) == is_label.sum() + n_left + new.sum()
    if history.can_undo:
        history.undo()
        assert_same_bits(poses, original)
        history.redo()
    assert len(poses) == is_label.sum() + n_left + new.sum()
