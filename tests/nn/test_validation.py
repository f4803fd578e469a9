"""What a preview of a validation holds: which examples, which points, how much memory."""

import numpy as np
import pytest

from napari_animalpose.nn import validation
from napari_animalpose.nn.dataset import Example
from napari_animalpose.nn.validation import (
    choose_examples,
    closest_distances,
    make_example,
    preview_arrays,
)

NAN = np.nan


def examples(n, unlabelled=()):
    return [
        Example(i, (0.0, 0.0), np.full((0 if i in unlabelled else 1, 2, 2), 5.0)) for i in range(n)
    ]


def test_examples_are_evenly_spread_and_labelled():
    assert choose_examples(examples(9)) == [0, 4, 8]
    assert choose_examples(examples(9, unlabelled=(0, 4))) == [1, 5, 8]
    assert choose_examples(examples(2)) == [0, 1]
    assert choose_examples(examples(3, unlabelled=(0, 1, 2))) == []
    assert choose_examples([]) == []


def test_maps_are_their_maximum_and_whose_it_is():
    maps = np.zeros((2, 3, 2), np.float32)
    maps[0, 1] = 0.25, 0.5
    maps[1, 2] = 0.75, -1.0
    maps[1, 0] = 1.5, 0.0  # more than sure
    truth, found = np.array([[[1.0, 1], [2, NAN]]]), np.array([[[1.5, 1], [2, 2]]])
    example = make_example(np.zeros((4, 6, 1), np.uint8), truth, found, maps, (3, 7))
    assert example.confidence.tolist() == [[0, 0.5, 0], [1, 0, 0.75]]
    assert example.node.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert example.source == (3, 7)
    np.testing.assert_array_equal(example.points, [[[1.5, 1], [NAN, NAN]]])
    back = example.maps(2)
    assert back[0, 1].tolist() == [0, 0.5]
    assert back.max(axis=2).tolist() == example.confidence.tolist()


def test_a_preview_is_small_and_never_empty(monkeypatch):
    example = make_example(
        np.zeros((10, 10, 1), np.uint8), np.zeros((1, 1, 2)), np.zeros((1, 1, 2)),
        np.zeros((5, 5, 1), np.float32),
    )  # fmt: skip
    assert example.nbytes == 100 + 25 * 3
    for budget, count in ((0, 1), (175, 1), (350, 2), (10**6, 3)):
        monkeypatch.setattr(validation, "PREVIEW_BYTES", budget)
        arrays = preview_arrays([example] * 3, scale=0.5, stride=4, step=6, epoch=2)
        assert len(arrays.pop("examples")) == count
        assert arrays == {"scale": 0.5, "stride": 4, "step": 6, "epoch": 2}


def test_a_lost_point_counts_as_much_as_an_animal():
    truth = np.array([[[0.0, 0], [10, 0]], [[50, 50], [NAN, NAN]]])
    found = np.array([[[3.0, 4], [NAN, NAN]]])
    assert closest_distances(found, truth, 20.0).tolist() == pytest.approx([5, 20, 20])
    assert closest_distances(found[:0], truth, 20.0).tolist() == [20, 20, 20]
