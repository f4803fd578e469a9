"""What SLEAP 1.4 computes, against small cases worked out by hand."""

import numpy as np
import pytest

from napari_animalpose.nn.legacy.exact_grouping import (
    classify,
    group_by_fields,
    score_lines,
    sort_edges,
)
from napari_animalpose.nn.legacy.exact_peaks import Peaks, find_global_peaks, find_local_peaks


def maps_of(rows):
    return np.asarray(rows, np.float32)[None, :, :, None]


def test_a_strict_maximum_is_moved_to_the_centre_of_mass_of_25_cells():
    maps = np.zeros((1, 7, 9, 1), np.float32)
    maps[0, 3, 4, 0], maps[0, 3, 6, 0], maps[0, 2, 4, 0] = 1.0, 0.25, 0.5
    maps[0, 3, 7, 0] = 0.9  # three cells away: outside, and a peak of its own
    peaks = find_local_peaks(maps, None, 0.2)
    assert peaks.frame.tolist() == [0, 0]
    np.testing.assert_allclose(peaks.value, [1.0, 0.9])
    np.testing.assert_allclose(peaks.cell[0], [4 + 2 * 0.25 / 1.75, 3 - 0.5 / 1.75], rtol=1e-6)


def test_at_the_border_the_missing_cells_are_zero_and_negative_ones_count():
    maps = maps_of([[1.0, 0.5, -0.25], [0, 0, 0], [0, 0, 0]])
    cells, values = find_global_peaks(maps, None, 0.2)
    np.testing.assert_allclose(values, [[1.0]])
    np.testing.assert_allclose(cells, [[[(0.5 - 0.5) / 1.25, 0.0]]], atol=1e-7)
    np.testing.assert_allclose(find_local_peaks(maps, None, 0.2).cell, [[0, 0]], atol=1e-7)


def test_two_equal_neighbours_are_no_peak_and_one_highest_cell():
    maps = maps_of([[0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]])
    assert len(find_local_peaks(maps, None, 0.2).value) == 0
    cells, _ = find_global_peaks(maps, None, 0.2)
    np.testing.assert_allclose(cells, [[[2.5, 1.0]]])


def test_thresholds_are_strict_for_local_peaks_only():
    maps = maps_of([[0, 0, 0], [0, 0.5, 0], [0, 0, 0]])
    assert len(find_local_peaks(maps, None, 0.5).value) == 0
    assert np.isfinite(find_global_peaks(maps, None, 0.5)[0]).all()
    assert np.isnan(find_global_peaks(maps, None, 0.51)[0]).all()


def test_learned_offsets_take_the_place_of_the_centre_of_mass():
    maps = maps_of([[0, 0, 0], [0, 1, 0.9], [0, 0, 0]])
    offsets = np.zeros((1, 3, 3, 2), np.float32)
    offsets[0, 1, 1] = 0.3, -0.2
    expected = [1.3, 0.8]
    np.testing.assert_allclose(find_local_peaks(maps, offsets, 0.2).cell, [expected], rtol=1e-6)
    np.testing.assert_allclose(find_global_peaks(maps, offsets, 0.2)[0], [[expected]], rtol=1e-6)


def test_a_line_is_read_at_ten_nearest_cells_with_both_ends():
    field = np.zeros((4, 8, 2), np.float32)
    field[2, :, 0] = np.arange(8)
    source, destination = np.float32([[0, 8]]), np.float32([[28, 8], [0, 0]])
    scores = score_lines(source, destination, field, 4)
    columns = np.rint(np.linspace(0, 28, 10) / 4)
    np.testing.assert_allclose(scores, [[columns.mean(), 0.0]], rtol=1e-6)


def peaks_of(*nodes):
    nodes = np.array(nodes)
    return Peaks(np.zeros(len(nodes), int), nodes, None, np.arange(1, len(nodes) + 1) / 10)


def test_two_animals_are_joined_along_the_field_and_scored_by_their_edges():
    points = np.float32([[0, 0], [0, 20], [16, 0], [16, 20]])  # A, A, B, B
    pafs = np.zeros((8, 40, 2), np.float32)
    pafs[..., 0] = 1.0
    edges = np.array([[0, 1]])
    found = group_by_fields(peaks_of(0, 0, 1, 1), points, pafs, edges, 4, 2, 0.25)
    np.testing.assert_allclose(found.points, [points[[0, 2]], points[[1, 3]]])
    np.testing.assert_allclose(found.scores, [1.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(found.point_scores, [[0.1, 0.3], [0.2, 0.4]], rtol=1e-6)


def test_long_edges_lose_and_weak_ones_are_dropped():
    """The limit is a quarter of the largest side, 0.25 * 40 * 4 px."""
    pafs = np.zeros((8, 40, 2), np.float32)
    pafs[..., 0] = 1.0
    edges, peaks = np.array([[0, 1]]), peaks_of(0, 1)
    for length, score in ((40, 1.0), (80, 0.5), (150, 40 / 150)):
        points = np.float32([[0, 0], [length, 0]])
        found = group_by_fields(peaks, points, pafs, edges, 4, 2, 0.25)
        np.testing.assert_allclose(found.scores, [score], rtol=1e-5)
    assert len(group_by_fields(peaks, points, pafs, edges, 4, 2, 0.3).scores) == 0
    assert len(group_by_fields(peaks_of(0), points[:1], pafs, edges, 4, 2, 0.25).scores) == 0


def test_parts_that_meet_become_one_animal():
    """Edges c-d and a-b first, then b-c joins them."""
    pafs = np.ones((8, 40, 6), np.float32)
    pafs[..., 1::2] = 0
    points = np.float32([[0, 0], [10, 0], [20, 0], [30, 0]])
    edges = np.array([[2, 3], [0, 1], [1, 2]])
    found = group_by_fields(peaks_of(0, 1, 2, 3), points, pafs, edges, 4, 4, 0.25)
    np.testing.assert_allclose(found.points, [points])
    np.testing.assert_allclose(found.scores, [3.0], rtol=1e-6)


def test_edges_are_visited_from_the_roots_breadth_first():
    edges = np.array([[3, 4], [1, 2], [0, 1], [0, 3], [6, 5]])
    order = sort_edges(edges)
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert order.index(2) < order.index(1)
    assert order.index(3) < order.index(0)


@pytest.mark.parametrize(
    ("likely", "expected"),
    [
        ([[0.9, 0.1], [0.6, 0.4]], [0, -1]),  # the second one got its second choice
        ([[0.2, 0.8], [0.7, 0.3]], [1, 0]),
        ([[0.9, 0.1], [0.8, 0.2], [0.1, 0.6]], [0, -1, 1]),
    ],
)
def test_only_the_likeliest_class_is_kept(likely, expected):
    assert classify(np.float32(likely)).tolist() == expected
    assert classify(np.zeros((0, 2), np.float32)).tolist() == []
