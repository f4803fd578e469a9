"""Poses as arrays of layers: exact answers, order of axes, addresses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose._layers import FrameLayers, Style, trail, xy_to_yx, yx_to_xy
from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.colors import (
    COLORINGS,
    edge_colors,
    node_colors,
    qualitative_colors,
)

ABC = Skeleton(("a", "b", "c"), ((0, 1), (1, 2)), ())
NAN = np.nan


@pytest.fixture
def rows() -> Poses:
    """Return a label with b occluded, and a prediction without c."""
    return Poses.from_arrays(
        ABC,
        frame=[4, 4],
        track=[1, -1],
        origin=[Origin.USER, Origin.PREDICTED],
        xy=[[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [NAN, NAN]]],
        visibility=[[2, 1, 2], [2, 2, 0]],
        point_score=[[NAN] * 3, [0.5, 0.25, NAN]],
        score=[NAN, 0.75],
        track_names=["left", "right"],
    )


@pytest.fixture
def shown(rows: Poses) -> FrameLayers:
    return FrameLayers(rows, Style(point_px=8.0, edge_opacity=0.8))


# ------------------------------------------------------------------------------------ points
def test_points_that_are_there_in_the_order_of_napari(shown: FrameLayers) -> None:
    assert shown.address.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]]
    assert shown.yx.tolist() == [[2, 1], [4, 3], [6, 5], [8, 7], [10, 9]]
    assert shown.yx.dtype == np.float32
    assert shown.row_of.tolist() == [[0, 1, 2], [3, 4, -1]]


def test_features_tell_what_a_point_is(shown: FrameLayers) -> None:
    features = {name: column.tolist() for name, column in shown.features.items()}
    score = features.pop("score")
    np.testing.assert_array_equal(score, [NAN, NAN, NAN, 0.5, 0.25])
    assert features == {
        "node": ["a", "b", "c", "a", "b"],
        "instance": [0, 0, 0, 1, 1],
        "track": ["right", "right", "right", "", ""],
        "origin": ["label"] * 3 + ["prediction"] * 2,
        "visibility": ["visible", "occluded", "visible", "visible", "visible"],
    }


def test_a_corrected_prediction_is_called_so_and_looks_like_a_label(rows: Poses) -> None:
    shown = FrameLayers(rows.replace(origin=Origin.CORRECTED), Style())
    assert set(shown.features["origin"]) == {"corrected"}
    assert set(shown.symbol) == {"disc"}


def test_labels_and_predictions_look_different_and_occluded_points_are_hollow(
    shown: FrameLayers,
) -> None:
    assert shown.symbol.tolist() == ["disc", "disc", "disc", "x", "x"]
    assert shown.size.tolist() == [8, 8, 8, 6, 6]
    assert shown.face[:, 3].tolist() == [1, 0, 1, 1, 1]
    own = node_colors(ABC)[[0, 1, 2, 0, 1]] / np.float32(255)
    np.testing.assert_allclose(shown.face[:, :3], own)
    np.testing.assert_allclose(shown.border[[1, 3, 4], :3], own[[1, 3, 4]])
    np.testing.assert_allclose(shown.border[[0, 2], :3], 0.08)
    assert (shown.border[:, 3] == 1).all()


def test_colours_tell_nodes_tracks_or_instances(rows: Poses) -> None:
    by_track = FrameLayers(rows, Style(color_by="track")).colors * 255
    np.testing.assert_allclose(by_track[:3], np.tile(qualitative_colors(2)[1], (3, 1)))
    assert np.ptp(by_track[3]) == 0  # gray: no track
    by_instance = FrameLayers(rows, Style(color_by="instance")).colors
    assert not np.allclose(by_instance[0], by_instance[3])
    np.testing.assert_allclose(by_instance[0], by_instance[2])


# ------------------------------------------------------------------------------------- edges
def test_edges_whose_ends_are_there(shown: FrameLayers) -> None:
    assert shown.edges.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert shown.vectors().tolist() == [
        [[2, 1], [2, 2]],
        [[4, 3], [2, 2]],
        [[8, 7], [2, 2]],
    ]
    colors = edge_colors(ABC)[[0, 1, 0]] / np.float32(255)
    np.testing.assert_allclose(shown.edge_rgba[:, :3], colors)
    np.testing.assert_allclose(shown.edge_rgba[:, 3], [0.8, 0.8, 0.8 * 0.55], rtol=1e-6)


def test_edges_follow_points_that_are_being_dragged(shown: FrameLayers) -> None:
    dragged = shown.yx.copy()
    dragged[1] += [10, 20]
    assert shown.vectors(dragged).tolist() == [
        [[2, 1], [12, 22]],
        [[14, 23], [-8, -18]],
        [[8, 7], [2, 2]],
    ]


def test_edges_have_the_colour_of_their_animal_where_points_have(rows: Poses) -> None:
    shown = FrameLayers(rows, Style(color_by="track"))
    np.testing.assert_allclose(shown.edge_rgba[:, :3], shown.all_colors[[0, 0, 1], 0])


# -------------------------------------------------------------------------------- addressing
@pytest.mark.parametrize(
    ("points", "found"),
    [
        ([], []),
        ([(0, 1), (1, 0)], [1, 3]),
        ([(1, 2)], []),  # missing
        ([(2, 0), (0, 3), (0, 2)], [2]),  # no such instance, no such node
    ],
)
def test_rows_of_points(shown: FrameLayers, points: list, found: list) -> None:
    assert shown.find_rows(points).tolist() == found
    assert [point for point in points if shown.has(*point)] == [
        tuple(address) for address in shown.address[found].tolist()
    ]


@pytest.mark.parametrize("skeleton", [Skeleton(()), Skeleton(("a",)), ABC])
@pytest.mark.parametrize("color_by", COLORINGS.names())
def test_an_empty_frame_is_empty_arrays(skeleton: Skeleton, color_by: str) -> None:
    shown = FrameLayers(Poses.empty(skeleton), Style(color_by=color_by))
    assert shown.yx.shape == shown.address.shape == (0, 2)
    assert shown.vectors().shape == (0, 2, 2)
    assert shown.face.shape == shown.border.shape == shown.edge_rgba.shape == (0, 4)
    assert {len(column) for column in shown.features.values()} == {0}


@given(poses=pose_tables(max_rows=6, max_frame=0), color_by=st.sampled_from(COLORINGS.names()))
def test_all_arrays_speak_of_the_same_points(poses: Poses, color_by: str) -> None:
    rows = poses.at(0, 0)
    shown = FrameLayers(rows, Style(color_by=color_by))
    n = int((rows.visibility != Visibility.MISSING).sum())
    for array in (shown.yx, shown.face, shown.border, shown.symbol, shown.size, shown.is_label):
        assert len(array) == n
    assert np.isfinite(shown.yx).all()
    np.testing.assert_array_equal(yx_to_xy(shown.yx), rows.xy[tuple(shown.address.T)])
    assert shown.find_rows(shown.address).tolist() == list(range(n))
    start, direction = shown.vectors().swapaxes(0, 1)
    position, edge = shown.edges.T
    ends = rows.skeleton.edge_array[edge]
    np.testing.assert_array_equal(yx_to_xy(start), rows.xy[position, ends[:, 0]])
    np.testing.assert_allclose(
        yx_to_xy(start + direction), rows.xy[position, ends[:, 1]], atol=2e-3
    )


def test_the_order_of_axes_is_its_own_way_back() -> None:
    xy = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    assert xy_to_yx(xy)[0, 0].tolist() == [1, 0]
    np.testing.assert_array_equal(yx_to_xy(xy_to_yx(xy)), xy)
    assert xy_to_yx(xy).flags.c_contiguous


# -------------------------------------------------------------------------------------- trail
def make_walk() -> Poses:
    """Return two tracks over frames 0 to 4; in frame 2 the first has no anchor."""
    frame = np.repeat(np.arange(5), 2)
    xy = np.zeros((10, 3, 2), np.float32)
    xy[:, :, 0] = frame[:, None] * 10 + np.arange(3)
    xy[:, :, 1] = np.tile([0, 100], 5)[:, None]
    xy[4, 1] = np.nan
    return Poses.from_arrays(
        ABC, frame=frame, track=np.tile([0, 1], 5), xy=xy, track_names=["a", "b"]
    )


def test_the_way_of_each_track_sorted_by_track_and_frame() -> None:
    rows, track = trail(make_walk(), 0, 1, 3, anchor=1)
    assert rows.tolist() == [
        [0, 1, 0, 11],
        [0, 2, 0, 21],  # the mean of nodes a and c
        [0, 3, 0, 31],
        [1, 1, 100, 11],
        [1, 2, 100, 21],
        [1, 3, 100, 31],
    ]
    assert track.tolist() == [0, 0, 0, 1, 1, 1]


def test_what_has_no_track_or_no_point_has_no_way() -> None:
    poses = make_walk()
    xy = poses.xy.copy()
    xy[0] = np.nan
    changed = Poses.from_arrays(
        ABC, frame=poses.frame, track=np.where(poses.track == 1, -1, 0), xy=xy,
        track_names=["a", "b"],
    )  # fmt: skip
    rows, _ = trail(changed, 0, 0, 4, anchor=0)
    assert rows[:, :2].tolist() == [[0, 1], [0, 2], [0, 3], [0, 4]]


def test_a_track_twice_in_a_frame_keeps_its_first_instance() -> None:
    poses = make_walk()
    both = Poses.from_arrays(
        ABC, frame=poses.frame, track=np.zeros(10, int), xy=poses.xy, track_names=["a", "b"]
    )
    rows, _ = trail(both, 0, 0, 4, anchor=0)
    assert rows[:, 1].tolist() == [0, 1, 2, 3, 4]
    assert (rows[:, 2] == 0).all()


@pytest.mark.parametrize("video", [0, 7])
def test_no_tracks_are_no_rows(video: int) -> None:
    rows, track = trail(Poses.empty(ABC), video, 0, 100, anchor=2)
    assert rows.shape == (0, 4)
    assert track.shape == (0,)
