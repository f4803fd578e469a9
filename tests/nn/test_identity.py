"""Naming animals: the likeliest naming of a frame, peaks grouped by it, classes of labels."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.identity import (
    assign_classes,
    class_numbers,
    group_by_class,
    named_tracks,
)
from napari_animalpose.nn.metrics import measure_naming

SKELETON = Skeleton(("head", "tail"), ((0, 1),))


# ---------------------------------------------------------------------------- assignment
def likelihood(probabilities, weights, naming, least):
    """Logarithm of what `assign_classes` makes as large as possible."""
    unnamed = np.log(least * weights.min())
    rows = zip(probabilities, weights, naming, strict=True)
    return sum(unnamed if c < 0 else np.log(p[c] * w) for p, w, c in rows)


def all_namings(probabilities, least):
    """Every way to name animals at most once, with no probability below the least."""
    n_animals, n_classes = probabilities.shape
    for naming in product(range(-1, n_classes), repeat=n_animals):
        given_names = [c for c in naming if c >= 0]
        likely = all(probabilities[i, c] >= least for i, c in enumerate(naming) if c >= 0)
        if likely and len(given_names) == len(set(given_names)):
            yield naming


tables = st.tuples(st.integers(1, 4), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float64, shape, elements=st.floats(0.01, 1)),
        arrays(np.float64, shape[0], elements=st.floats(0.1, 1)),
    )
)


@given(tables, st.floats(0.05, 0.9))
def test_no_other_naming_is_likelier(table, least):
    scores, weights = table
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    naming = assign_classes(probabilities, least, weights)
    namings = list(all_namings(probabilities, least))
    assert tuple(naming) in namings  # at most once each, and never below the least
    best = max(likelihood(probabilities, weights, n, least) for n in namings)
    found = likelihood(probabilities, weights, naming, least)
    assert found == pytest.approx(best, abs=1e-9)


@given(tables)
def test_from_one_half_on_a_name_is_the_likeliest_one(table):
    probabilities = table[0] / table[0].sum(axis=1, keepdims=True)
    naming = assign_classes(probabilities, 0.5)
    named = naming >= 0
    assert (probabilities[named, naming[named]] == probabilities[named].max(axis=1)).all()


@given(tables)
def test_without_a_least_as_many_are_named_as_there_are_names(table):
    probabilities = table[0] / table[0].sum(axis=1, keepdims=True)
    assert (assign_classes(probabilities, 0.0) >= 0).sum() == min(probabilities.shape)


def test_one_animal_says_something_about_the_other():
    two = np.array([[0.9, 0.1], [0.6, 0.4]])
    assert assign_classes(two, 0.2).tolist() == [0, 1]
    assert assign_classes(two, 0.5).tolist() == [0, -1]


def test_what_resembles_no_free_identity_gets_none():
    found_twice = np.array([[0.95, 0.05], [0.9, 0.1]])
    assert assign_classes(found_twice, 0.2).tolist() == [0, -1]
    assert assign_classes(found_twice[::-1], 0.2).tolist() == [-1, 0]


def test_of_two_with_the_same_right_the_more_certain_one_gets_the_name():
    faint_and_clear = np.array([[0.99, 0.01], [0.9, 0.1]])
    assert assign_classes(faint_and_clear, 0.2).tolist() == [0, -1]
    assert assign_classes(faint_and_clear, 0.2, np.array([0.3, 0.9])).tolist() == [-1, 0]


@pytest.mark.parametrize("shape", [(0, 2), (3, 0), (0, 0)])
def test_nothing_to_name(shape):
    assert assign_classes(np.zeros(shape), 0.2).tolist() == [-1] * shape[0]


# ------------------------------------------------------------------------------ grouping
def peaks_of(truth, order, n_slots):
    """Peaks (1, K, P, 2) of animals (C, K, 2) in any order of their own for each node."""
    n_classes, n_nodes, _ = truth.shape
    points = np.full((1, n_nodes, n_slots, 2), np.nan, np.float32)
    heights = np.zeros((1, n_nodes, n_slots), np.float32)
    probabilities = np.full((1, n_nodes, n_slots, n_classes), np.nan, np.float32)
    for node, places in enumerate(order):
        for identity, slot in enumerate(places):
            if np.isfinite(truth[identity, node]).all():
                points[0, node, slot] = truth[identity, node]
                heights[0, node, slot] = 0.9
                probabilities[0, node, slot] = 0.2 / (n_classes - 1)
                probabilities[0, node, slot, identity] = 0.8
    return points, heights, probabilities


@given(st.data())
def test_peaks_in_any_order_become_the_animals_that_they_look_like(data):
    n_classes, n_nodes, n_slots = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 3)), 5
    truth = np.arange(n_classes * n_nodes * 2, dtype=np.float32).reshape(n_classes, n_nodes, 2)
    missing = data.draw(arrays(bool, (n_classes, n_nodes)))
    truth[missing] = np.nan
    order = [data.draw(st.permutations(range(n_slots)))[:n_classes] for _ in range(n_nodes)]
    found = group_by_class(*peaks_of(truth, order, n_slots), least=0.5)
    np.testing.assert_array_equal(found.points[0], truth)
    there = ~missing.all(axis=1)
    assert (found.classes[0] == np.where(there, np.arange(n_classes), -1)).all()
    np.testing.assert_allclose(found.class_scores[0, there], 0.8, rtol=1e-6)
    complete = (~missing).mean(axis=1)[there]
    np.testing.assert_allclose(found.scores[0, there], 0.9 * complete, rtol=1e-6)
    assert np.isnan(found.scores[0, ~there]).all()


def test_a_faint_second_peak_does_not_take_the_place_of_the_first():
    points = np.array([[[[5, 5], [9, 9]], [[1, 1], [np.nan, np.nan]]]], np.float32)
    heights = np.array([[[0.9, 0.25], [0.8, 0.0]]], np.float32)
    likely = np.array([[[[0.9, 0.1], [0.99, 0.01]], [[0.7, 0.3], [0.5, 0.5]]]], np.float32)
    found = group_by_class(points, heights, likely, least=0.2)
    np.testing.assert_array_equal(found.points[0, 0], [[5, 5], [1, 1]])
    assert found.classes.tolist() == [[0, -1]]
    np.testing.assert_allclose(found.class_scores[0, 0], 0.8)


def test_a_high_peak_far_from_the_rest_of_the_animal_is_not_its_own():
    truth = np.array([[[50, 50], [55, 50], [60, 52]], [[80, 50], [85, 50], [90, 52]]], np.float32)
    points, heights, likely = peaks_of(truth, [(0, 1)] * 3, 3)
    points[0, 0, 2], heights[0, 0, 2] = (400, 400), 1.0  # in the background, and clearer
    likely[0, 0, 2] = (0.99, 0.01)
    anywhere = group_by_class(points, heights, likely, least=0.2)
    np.testing.assert_array_equal(anywhere.points[0, 0, 0], (400, 400))
    near = group_by_class(points, heights, likely, least=0.2, reach=20)
    np.testing.assert_array_equal(near.points[0], truth)
    np.testing.assert_allclose(near.class_scores, 0.8, rtol=1e-6)


def test_animals_of_too_few_or_too_faint_points_are_left_out():
    truth = np.zeros((3, 2, 2), np.float32)
    truth[1, 1] = np.nan
    points, heights, likely = peaks_of(truth, [(0, 1, 2)] * 2, 3)
    heights[0, :, 2] = 0.3
    assert group_by_class(points, heights, likely, least=0.2).classes.tolist() == [[0, 1, 2]]
    kept = group_by_class(points, heights, likely, least=0.2, min_points=2)
    assert kept.classes.tolist() == [[0, -1, 2]]
    kept = group_by_class(points, heights, likely, least=0.2, min_mean_height=0.4)
    assert kept.classes.tolist() == [[0, 1, -1]]
    kept = group_by_class(points, heights, likely, least=0.2, max_instances=2)
    assert kept.classes.tolist() == [[0, 1, -1]]
    assert np.isnan(kept.points[0, 2]).all()


def test_frames_without_peaks_have_no_animals():
    nothing = np.full((2, 3, 4, 2), np.nan), np.zeros((2, 3, 4)), np.full((2, 3, 4, 2), np.nan)
    found = group_by_class(*nothing, least=0.2)
    assert found.points.shape == (2, 2, 3, 2)
    assert (found.classes == -1).all()


# ------------------------------------------------------------------- classes of labels
def labels(tracks, names=("a", "unused", "b"), frame=None):
    frame = np.arange(len(tracks)) if frame is None else frame
    xy = np.ones((len(tracks), 2, 2)) * 10 * np.arange(1, len(tracks) + 1)[:, None, None]
    xy[:, 1] += 5
    return Poses.from_arrays(SKELETON, frame=frame, xy=xy, track=tracks, track_names=names)


def test_tracks_with_rows_are_classes_by_their_names():
    table = labels([2, -1, 0, 2])
    assert named_tracks(table) == ("a", "b")
    assert class_numbers(table, ("b", "a")).tolist() == [0, -1, 1, 0]
    assert class_numbers(table, ("b", "c")).tolist() == [0, -1, -1, 0]
    assert class_numbers(table, ()).tolist() == [-1] * 4
    assert named_tracks(labels([-1])) == ()


def test_names_are_compared_with_those_of_the_animals_that_match():
    truth = labels([0, 2, 2, -1], frame=[4, 4, 5, 5])
    found = labels([1, 0, -1, 0], names=("b", "a"), frame=[4, 4, 5, 5])
    naming = measure_naming(found, truth)
    assert (naming.n_named_truth, naming.n_right, naming.n_wrong) == (3, 2, 0)
    assert naming.n_without_name == 1
    assert (naming.accuracy, naming.precision) == (2 / 3, 1.0)
    swapped = measure_naming(labels([0, 1, -1, 0], names=("b", "a"), frame=[4, 4, 5, 5]), truth)
    assert (swapped.n_right, swapped.n_wrong, swapped.precision) == (0, 2, 0.0)


def test_nothing_named_has_no_share_of_right_names():
    naming = measure_naming(labels([-1]), labels([-1]))
    assert naming.to_dict()["class_accuracy"] is None
    assert naming.to_dict()["class_precision"] is None
