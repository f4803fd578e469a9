"""Animals moved, turned, scaled, mirrored, placed: closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data.history import History
from napari_animalpose.data.instance_edits import (
    add_shape,
    exchange_sides,
    nearest_instance,
    transform_points,
)
from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton

NAN = np.nan
BODY = Skeleton(("nose", "left", "right"), ((0, 1), (0, 2)), ((1, 2),))
TRIANGLE = np.array([[10, 20], [14, 20], [12, 26]], np.float32)


@pytest.fixture
def poses() -> Poses:
    """Return two predictions in frame 3: a triangle, and one whose right side is missing."""
    return Poses.from_arrays(
        BODY,
        frame=[3, 3],
        origin=Origin.PREDICTED,
        xy=[TRIANGLE, [[50, 50], [60, 50], [NAN, NAN]]],
        visibility=[[2, 2, 1], [2, 2, 0]],
        point_score=[[0.1, 0.2, 0.3], [0.4, 0.5, NAN]],
        score=[0.9, 0.8],
    )


def points_of(position: int) -> list[list[int]]:
    return [[0, 3, position, node] for node in range(3)]


def do(poses: Poses, edit: object) -> Poses:
    """Do an edit and return the rows of frame 3."""
    edit.apply(poses)  # type: ignore[attr-defined]
    return poses.at(0, 3)


def test_a_shift_moves_all_points(poses: Poses) -> None:
    rows = do(poses, transform_points(poses, points_of(0), shift=(1.5, -2)))
    np.testing.assert_array_equal(rows.xy[0], TRIANGLE + np.array([1.5, -2], np.float32))
    assert rows.origin.tolist() == [Origin.CORRECTED, Origin.PREDICTED]
    assert rows.visibility[0].tolist() == [2, 2, 1]


def test_a_quarter_turn_is_clockwise_in_the_picture_about_the_mean(poses: Poses) -> None:
    rows = do(poses, transform_points(poses, points_of(0), degrees=90))
    x, y = (TRIANGLE - [12, 22]).T  # (x, y) -> (-y, x) where y points down
    np.testing.assert_allclose(rows.xy[0], np.column_stack([-y, x]) + np.array([12, 22]), atol=1e-5)


def test_scaling_is_about_the_mean_and_spares_missing_points(poses: Poses) -> None:
    rows = do(poses, transform_points(poses, points_of(1), scale=2))
    np.testing.assert_array_equal(rows.xy[1], [[45, 50], [65, 50], [NAN, NAN]])
    assert rows.visibility[1].tolist() == [2, 2, 0]


def test_some_points_turn_about_their_own_mean(poses: Poses) -> None:
    rows = do(poses, transform_points(poses, points_of(0)[:2], degrees=180))
    np.testing.assert_allclose(rows.xy[0], TRIANGLE[[1, 0, 2]], atol=1e-5)


def test_points_of_two_animals_turn_together(poses: Poses) -> None:
    rows = do(poses, transform_points(poses, [[0, 3, 0, 0], [0, 3, 1, 0]], degrees=180))
    np.testing.assert_allclose(rows.xy[:, 0], [[50, 50], [10, 20]], atol=1e-4)


def test_steps_with_one_key_are_one_step_of_undo(poses: Poses) -> None:
    before, history = poses.copy(), History(poses)
    for _ in range(5):
        history.do(transform_points(poses, points_of(0), shift=(1, 0), merge_key="drag"))
    assert len(history.undo_labels) == 1
    np.testing.assert_allclose(poses.at(0, 3).xy[0], TRIANGLE + np.array([5, 0]))
    history.undo()
    assert poses == before


@given(
    degrees=st.floats(-360, 360),
    scale=st.floats(0.1, 10),
    x=st.floats(-100, 100),
    y=st.floats(-100, 100),
)
def test_a_transformation_and_its_opposite(
    degrees: float, scale: float, x: float, y: float
) -> None:
    poses = Poses.from_arrays(BODY, frame=[3], xy=[TRIANGLE])
    do(poses, transform_points(poses, points_of(0), degrees=degrees, scale=scale, shift=(x, y)))
    lengths = np.linalg.norm(np.diff(poses.xy[0], axis=0), axis=1)
    expected = scale * np.linalg.norm(np.diff(TRIANGLE, axis=0), axis=1)
    np.testing.assert_allclose(lengths, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(poses.xy[0].mean(axis=0), [12 + x, 22 + y], atol=1e-3)
    do(poses, transform_points(poses, points_of(0), shift=(-x, -y)))
    do(poses, transform_points(poses, points_of(0), degrees=-degrees, scale=1 / scale))
    np.testing.assert_allclose(poses.xy[0], TRIANGLE, atol=5e-3)


def test_points_that_are_missing_cannot_be_moved_together(poses: Poses) -> None:
    with pytest.raises(IndexError):
        transform_points(poses, [[0, 3, 1, 2]], degrees=5)
    with pytest.raises(IndexError):
        transform_points(poses, [[0, 3, 2, 0]], degrees=5)


def test_sides_are_exchanged_with_all_that_belongs_to_them(poses: Poses) -> None:
    rows = do(poses, exchange_sides(poses, 0, 3, 0))
    np.testing.assert_array_equal(rows.xy[0], TRIANGLE[[0, 2, 1]])
    assert rows.visibility[0].tolist() == [2, 1, 2]
    np.testing.assert_allclose(rows.point_score[0], [0.1, 0.3, 0.2])
    assert rows.origin.tolist() == [Origin.CORRECTED, Origin.PREDICTED]
    np.testing.assert_allclose(rows.score, [0.9, 0.8])


def test_exchanging_sides_twice_is_nothing_but_a_correction(poses: Poses) -> None:
    before = poses.copy()
    do(poses, exchange_sides(poses, 0, 3, 1))
    assert poses.at(0, 3).visibility[1].tolist() == [2, 0, 2]
    do(poses, exchange_sides(poses, 0, 3, 1))
    np.testing.assert_array_equal(poses.xy, before.xy)
    np.testing.assert_array_equal(poses.visibility, before.visibility)


@pytest.mark.parametrize("position", [-1, 2])
def test_there_must_be_such_an_instance(poses: Poses, position: int) -> None:
    with pytest.raises(IndexError, match=f"below 2 in frame 3 of video 0; received {position}"):
        exchange_sides(poses, 0, 3, position)


def test_a_shape_becomes_a_label_after_the_others(poses: Poses) -> None:
    rows = do(poses, add_shape(poses, 0, 3, [[1, 2], [NAN, NAN], [5, 6]]))
    assert len(rows) == 3
    np.testing.assert_array_equal(rows.xy[2], [[1, 2], [NAN, NAN], [5, 6]])
    assert rows.visibility[2].tolist() == [Visibility.VISIBLE, 0, Visibility.VISIBLE]
    assert rows.origin[2] == Origin.USER
    assert rows.track[2] == -1


@pytest.mark.parametrize(
    ("xy", "found"), [((11, 20), 0), ((58, 51), 1), ((30, 34), 0), ((1e4, 1e4), 1)]
)
def test_the_nearest_instance_has_the_nearest_point(
    poses: Poses, xy: tuple[float, float], found: int
) -> None:
    assert nearest_instance(poses.at(0, 3), xy) == found


def test_without_points_there_is_no_nearest_instance() -> None:
    nothing = np.full((2, 3, 2), NAN, np.float32)
    assert nearest_instance(Poses.empty(BODY), (0, 0)) is None
    assert nearest_instance(Poses.from_arrays(BODY, frame=[0, 0], xy=nothing), (0, 0)) is None
    assert nearest_instance(Poses.empty(Skeleton(())), (0, 0)) is None
