import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.colors import (
    COLORINGS,
    UNTRACKED_COLOR,
    color_distance,
    color_points,
    edge_colors,
    node_colors,
    qualitative_colors,
)
from napari_animalpose.errors import ConfigError

FLY = Skeleton.from_names(
    ["head", "thorax", "abdomen", "wingL", "wingR", "legL1", "legR1", "legL2", "legR2"],
    edges=[("thorax", "head"), ("thorax", "abdomen"), ("thorax", "wingL"), ("thorax", "wingR")],
    symmetries=[("wingL", "wingR"), ("legL1", "legR1"), ("legL2", "legR2")],
)


def closest_pair(colors):
    distances = color_distance(colors[:, None], colors[None])
    return distances[~np.eye(len(colors), dtype=bool)].min()


def test_black_and_white_are_one_apart_and_a_color_is_zero_from_itself():
    assert color_distance((0, 0, 0), (255, 255, 255)) == pytest.approx(1.0, abs=1e-3)
    assert color_distance((10, 200, 30), (10, 200, 30)) == 0.0


def test_distance_falls_for_colors_that_red_green_blindness_confuses():
    # Red and green of like brightness against blue and yellow of the same OKLab distance.
    confused = color_distance((200, 60, 60), (110, 130, 50))
    clear = color_distance((60, 90, 200), (200, 180, 60))
    assert confused < clear / 2


@pytest.mark.parametrize(("n", "apart"), [(2, 0.25), (4, 0.15), (8, 0.10), (24, 0.079)])
def test_qualitative_colors_stay_apart_for_all_kinds_of_vision(n, apart):
    assert closest_pair(qualitative_colors(n)) >= apart


@given(st.integers(0, 60), st.integers(0, 60))
def test_qualitative_colors_begin_alike_whatever_their_number(a, b):
    first, second = qualitative_colors(a), qualitative_colors(b)
    shared = min(a, b)
    assert first.shape == (a, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first[:shared], second[:shared])


def test_more_colors_than_can_be_told_apart_repeat_in_order():
    colors = qualitative_colors(50)
    np.testing.assert_array_equal(colors[24:48], colors[:24])


def test_no_palette_color_is_the_gray_of_untracked_animals():
    palette = np.vstack([qualitative_colors(24), node_colors(FLY)])
    assert color_distance(palette, UNTRACKED_COLOR).min() > 0.04


def test_symmetric_nodes_share_a_hue_and_differ_in_lightness():
    colors = node_colors(FLY).astype(float)
    for left, right in FLY.symmetries:
        assert colors[left].sum() > colors[right].sum() + 100  # light and dark
        hues = [
            np.arctan2(np.sqrt(3) * (g - b), 2 * r - g - b) for r, g, b in colors[[left, right]]
        ]
        turn = np.angle(np.exp(1j * (hues[0] - hues[1])), deg=True)
        assert abs(turn) < 30


def test_node_colors_stay_apart():
    assert closest_pair(node_colors(FLY)) > 0.05


def test_nodes_without_symmetries_get_the_qualitative_palette():
    skeleton = Skeleton(tuple("abcde"))
    np.testing.assert_array_equal(node_colors(skeleton), qualitative_colors(5))


def test_node_colors_may_be_changed_without_changing_the_palette():
    before = node_colors(FLY)
    node_colors(FLY)[:] = 0
    np.testing.assert_array_equal(node_colors(FLY), before)


def test_edges_take_the_color_of_the_node_they_lead_to():
    np.testing.assert_array_equal(edge_colors(FLY), node_colors(FLY)[[0, 2, 3, 4]])
    assert edge_colors(Skeleton(("a",))).shape == (0, 3)


@pytest.fixture
def rows():
    """Frame 0 holds tracks 1, 0; frame 3 holds an untracked one and track 2."""
    return Poses.from_arrays(
        Skeleton(("a", "b")),
        frame=[0, 0, 3, 3],
        xy=np.zeros((4, 2, 2)),
        track=[1, 0, -1, 2],
        track_names=["x", "y", "z"],
    )


def test_color_by_node_is_the_same_in_all_animals(rows):
    colors = color_points(rows, "node")
    np.testing.assert_array_equal(colors, np.tile(node_colors(rows.skeleton), (4, 1, 1)))


def test_color_by_track_follows_the_identity(rows):
    palette = qualitative_colors(3)
    expected = [palette[1], palette[0], UNTRACKED_COLOR, palette[2]]
    for node in (0, 1):
        np.testing.assert_array_equal(color_points(rows, "track")[:, node], expected)


def test_color_by_instance_counts_within_each_frame(rows):
    palette = qualitative_colors(2)
    np.testing.assert_array_equal(color_points(rows, "instance")[:, 0], palette[[0, 1, 0, 1]])


@pytest.mark.parametrize("name", COLORINGS.names())
def test_every_coloring_gives_a_color_a_point(name, rows):
    for table, n in ((rows, 4), (rows.select([]), 0)):
        colors = color_points(table, name)
        assert colors.shape == (n, 2, 3)
        assert colors.dtype == np.uint8


def test_an_unknown_coloring_is_refused_with_the_known_ones(rows):
    with pytest.raises(ConfigError, match="node, track, instance"):
        color_points(rows, "rainbow")
