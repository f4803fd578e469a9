import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.view import View, darken, follow_animal, letterbox, to_rgb
from napari_animalpose.errors import ConfigError, DataError


def gaussian_frame(x, y, height=64, width=80, sigma=4.0):
    rows, columns = np.mgrid[:height, :width]
    blob = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.rint(255 * blob).astype(np.uint8)[..., None]


def centroid(picture):
    w = picture[..., 0].astype(float)
    y, x = np.mgrid[: w.shape[0], : w.shape[1]]
    return np.array([(w * x).sum(), (w * y).sum()]) / w.sum()


def test_a_view_of_the_whole_frame_is_a_copy_in_rgb():
    frame = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    picture = View.whole(3, 4).cut(frame)
    np.testing.assert_array_equal(picture, np.repeat(frame, 3, axis=2))
    picture[:] = 0
    assert frame.any()


def test_the_mapping_keeps_pixel_centers():
    view = View.whole(10, 20, scale=2)
    np.testing.assert_allclose(view.to_picture([(0, 0), (3, 7)]), [(0.5, 0.5), (6.5, 14.5)])
    corner = View(4.25, 2, 8, 8, scale=4)
    np.testing.assert_allclose(corner.to_picture([(4.25, 2)]), [(1.5, 1.5)])
    assert np.isnan(view.to_picture([(np.nan, np.nan)])).all()


@settings(deadline=None, max_examples=40)
@given(st.floats(28, 50), st.floats(26, 38), st.floats(0.4, 4.0), st.floats(0, 9), st.floats(0, 9))
def test_what_lies_at_a_point_is_drawn_at_its_mapped_point(x, y, scale, left, top):
    view = View(left, top, 70, 54, scale)
    picture = view.cut(gaussian_frame(x, y))
    assert picture.shape == (*view.size[::-1], 3)
    error = centroid(picture) - view.to_picture([(x, y)])[0]
    assert np.abs(error).max() < 0.05 * max(scale, 1.0)


def test_a_picture_is_a_whole_number_of_pixels_and_the_mapping_knows():
    view = View.whole(11, 13, scale=1.5)
    assert view.size == (20, 16)
    # The outer edges of the frame are the outer edges of the picture.
    np.testing.assert_allclose(
        view.to_picture([(-0.5, -0.5), (12.5, 10.5)]), [(-0.5,) * 2, (19.5, 15.5)]
    )


@pytest.mark.parametrize("arguments", [(0, 0, 0, 5), (0, 0, 5, 5, 0), (0, 0, 5, 5, np.nan)])
def test_an_empty_view_is_refused(arguments):
    with pytest.raises(ConfigError, match="larger than 0"):
        View(*arguments)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("corner", [(-1, 0), (0, 2)])
def test_a_window_beyond_the_frame_is_refused(corner, scale):
    with pytest.raises(ConfigError, match="inside the frame of 8 x 6 px"):
        View(*corner, 5, 5, scale).cut(np.zeros((6, 8, 1), np.uint8))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_gray_and_rgb_frames_become_rgb(shape):
    frame = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    rgb = to_rgb(frame)
    assert rgb.shape == (5, 7, 3)
    np.testing.assert_array_equal(rgb[..., 2], frame if frame.ndim == 2 else frame[..., -1])


@pytest.mark.parametrize(
    "frame", [np.zeros((5, 7)), np.zeros((5, 7, 2), np.uint8), np.zeros(5, np.uint8)]
)
def test_other_arrays_are_not_frames(frame):
    with pytest.raises(DataError, match="uint8 frame"):
        to_rgb(frame)


def test_letterboxing_keeps_coordinates_and_fills_with_black():
    frame = np.full((3, 5, 1), 9, np.uint8)
    boxed = letterbox(frame, 4, 8)
    assert boxed.shape == (4, 8, 1)
    assert (boxed[:3, :5] == 9).all()
    assert boxed.sum() == frame.sum()
    assert letterbox(frame, 3, 5) is frame
    with pytest.raises(DataError, match="at most 4 x 3 px; received 5 x 3"):
        letterbox(frame, 3, 4)


def test_darkening_is_linear():
    image = np.array([0, 100, 200, 255], np.uint8)
    darken(image, 0.5)
    np.testing.assert_array_equal(image, [0, 50, 100, 128])


def poses_along(x, track=0):
    """One animal of two nodes, 4 px apart in x and centred on (x[i], 50) in frame i."""
    present = np.flatnonzero(np.isfinite(x))
    centers = np.stack([np.asarray(x)[present], np.full(len(present), 50.0)], axis=1)
    half = np.array([2.0, 0.0])
    xy = np.stack([centers - half, centers + half], axis=1)
    return Poses.from_arrays(
        Skeleton(("a", "b")), frame=present, xy=xy, track=track, track_names=["t", "u"]
    )


def test_a_window_follows_an_animal_at_constant_speed_exactly():
    x = 100.0 + 2.0 * np.arange(21)
    corners = follow_animal(poses_along(x), np.arange(21), (40, 20), (400, 100))
    # Away from the ends, the moving average of a straight line is the line.
    np.testing.assert_allclose(corners[4:-4, 0], x[4:-4] + 0.5 - 20)
    np.testing.assert_allclose(corners[:, 1], 50.5 - 10)


def test_a_window_moves_on_where_the_animal_is_missing():
    x = 100.0 + 2.0 * np.arange(21)
    x[8:12] = np.nan
    corners = follow_animal(poses_along(x), np.arange(21), (40, 20), (400, 100))
    np.testing.assert_allclose(np.diff(corners[4:-4, 0]), 2.0)


def test_a_window_stays_inside_the_frame():
    corners = follow_animal(poses_along([0.0, 99.0]), [0, 1], (60, 100), (100, 100))
    assert (corners >= 0).all()
    assert (corners[:, 0] <= 40).all()
    assert (corners[:, 1] == 0).all()


def test_an_animal_that_is_never_there_cannot_be_followed():
    with pytest.raises(DataError, match="track 'u'"):
        follow_animal(poses_along([5.0, 6.0]), [0, 1], (4, 4), (9, 9), track=1)
