import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_animalpose.drawing.raster import draw_dots, draw_lines, draw_path, draw_text

WHITE = (255, 255, 255)


def blank(height=40, width=50):
    return np.zeros((height, width, 3), np.uint8)


def weights(image):
    return image[..., 0].astype(float) / 255.0


def centroid(image):
    w = weights(image)
    y, x = np.mgrid[: w.shape[0], : w.shape[1]]
    return np.array([(w * x).sum(), (w * y).sum()]) / w.sum()


position = st.floats(12, 27)


@settings(deadline=None)
@given(position, position, st.floats(0.75, 8))
def test_a_dot_has_its_centroid_where_it_was_put(x, y, radius):
    image = blank()
    draw_dots(image, [(x, y)], radius, WHITE)
    assert np.abs(centroid(image) - (x, y)).max() < 0.05


@settings(deadline=None)
@given(position, position, st.floats(1, 8))
def test_a_dot_covers_the_area_of_its_disk(x, y, radius):
    image = blank()
    draw_dots(image, [(x, y)], radius, WHITE)
    assert weights(image).sum() == pytest.approx(np.pi * radius**2, rel=0.03)


@settings(deadline=None)
@given(position, position)
def test_a_ring_has_its_centroid_where_it_was_put_and_a_hole(x, y):
    image = blank()
    draw_dots(image, [(x, y)], 6.0, WHITE, hollow=True)
    assert np.abs(centroid(image) - (x, y)).max() < 0.05
    assert image[round(y), round(x), 0] == 0
    assert weights(image).sum() == pytest.approx(np.pi * (6**2 - 4**2), rel=0.03)


def test_a_rim_lies_around_the_disk():
    image = blank()
    draw_dots(image, [(20, 20)], 4, (255, 0, 0), rim_width=2, rim_colors=(0, 0, 255))
    assert tuple(image[20, 20]) == (255, 0, 0)
    assert tuple(image[20, 23]) == (255, 0, 0)
    assert tuple(image[20, 25]) == (0, 0, 255)
    assert tuple(image[20, 27]) == (0, 0, 0)


def test_dots_have_their_own_colors_and_opacities():
    image = blank()
    draw_dots(image, [(10, 10), (30, 10)], 3, [(200, 0, 0), (0, 100, 0)], opacity=[1, 0.5])
    assert tuple(image[10, 10]) == (200, 0, 0)
    assert tuple(image[10, 30]) == (0, 50, 0)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (41, 27)])
@pytest.mark.parametrize(
    "xy", [(np.nan, 5), (5, np.nan), (-1e9, 5), (5, 3e38), (-30, -30), (90, 90)]
)
def test_missing_and_far_points_leave_the_image_alone(shape, xy):
    image = blank(*shape)
    draw_dots(image, [xy], 3, WHITE, rim_width=1)
    draw_path(image, [xy, xy], 2, WHITE)
    draw_lines(image, [xy], [xy], 2, WHITE)
    draw_text(image, "text", xy, 10)
    assert not image.any()


@settings(deadline=None)
@given(st.floats(-12, 40), st.floats(-12, 40), st.floats(-30, 60), st.floats(-30, 60))
def test_clipping_at_the_border_changes_no_pixel_inside(x, y, x2, y2):
    def draw(image, shift):
        start, end = np.array([x, y]) + shift, np.array([x2, y2]) + shift
        draw_lines(image, [start], [end], 3, (0, 200, 0))
        draw_dots(image, [start], 4, WHITE, rim_width=1.5, rim_colors=(90, 0, 0))
        draw_path(image, [end, start], 1.5, (0, 0, 250), opacity=0.5)

    small, large = np.full((29, 31, 3), 7, np.uint8), np.full((229, 231, 3), 7, np.uint8)
    draw(small, 0)
    draw(large, 100)
    # Rounding of positions a hundred pixels apart may move a coverage by 1/255.
    difference = small.astype(int) - large[100:129, 100:131]
    assert np.abs(difference).max() <= 1


def test_a_horizontal_line_covers_exactly_its_rows():
    image = blank()
    draw_lines(image, [(10, 20)], [(30, 20)], 3.0, WHITE)
    np.testing.assert_array_equal(image[18:23, 15, 0], [0, 255, 255, 255, 0])
    assert image[20, 30, 0] == 255  # the end point itself
    assert image[20, 33, 0] == 0  # half a width and half a pixel behind it
    assert image[20, 7, 0] == 0


@settings(deadline=None)
@given(position, position, position, position)
def test_a_line_has_its_centroid_in_the_middle_and_its_area(x, y, x2, y2):
    image = blank()
    draw_lines(image, [(x, y)], [(x2, y2)], 4.0, WHITE)
    assert np.abs(centroid(image) - ((x + x2) / 2, (y + y2) / 2)).max() < 0.06
    length = np.hypot(x2 - x, y2 - y)
    assert weights(image).sum() == pytest.approx(length * 4 + np.pi * 4, rel=0.05)


def test_a_line_is_the_same_in_both_directions():
    a, b = blank(), blank()
    draw_lines(a, [(5.3, 6.1)], [(31.7, 22.9)], 2.5, WHITE)
    draw_lines(b, [(31.7, 22.9)], [(5.3, 6.1)], 2.5, WHITE)
    assert np.abs(a.astype(int) - b).max() <= 1


def test_a_wedge_narrows_from_twice_the_width_to_a_point():
    image = blank()
    draw_lines(image, [(10, 20)], [(40, 20)], 4.0, WHITE, taper=True)
    thickness = weights(image)[:, [10, 25, 38]].sum(axis=0)
    np.testing.assert_allclose(thickness, [8, 4, 8 * 2 / 30], atol=0.3)


def test_a_line_through_the_image_from_far_outside_is_drawn():
    image = blank()
    draw_lines(image, [(-1e6, 20)], [(1e6, 20)], 1.0, WHITE)
    assert (image[20, :, 0] == 255).all()
    assert not image[[18, 22]].any()


def test_lines_with_a_missing_end_are_not_drawn():
    image = blank()
    draw_lines(image, [(10, 10), (np.nan, 3)], [(np.nan, np.nan), (20, 20)], 3, WHITE)
    assert not image.any()


def test_a_path_breaks_at_missing_points():
    image = blank()
    draw_path(image, [(5, 10), (15, 10), (np.nan, np.nan), (25, 10), (35, 10)], 1, WHITE)
    assert (image[10, 5:16, 0] == 255).all()
    assert not image[10, 17:24].any()
    assert (image[10, 25:36, 0] == 255).all()


def test_pieces_of_a_path_do_not_add_up_where_they_overlap():
    image = blank()
    draw_path(image, [(5, 10), (25, 10), (5, 10), (25, 10)], 3, (200, 200, 200), opacity=0.5)
    assert (image[10, 5:26] == 100).all()


def test_the_opacity_of_a_path_belongs_to_the_piece_before_each_point():
    image = blank()
    draw_path(image, [(5, 10), (20, 10), (35, 10)], 1, (200, 0, 0), opacity=[0, 0.25, 1])
    assert image[10, 12, 0] == 50
    assert image[10, 28, 0] == 200


@pytest.mark.parametrize(("anchor", "low", "high"), [("left", 60, 110), ("right", 10, 60)])
def test_text_lies_on_its_side_of_the_anchor(anchor, low, high):
    image = blank(40, 120)
    draw_text(image, "frame 7", (60, 20), 12, anchor=anchor, halo=0)
    columns = np.flatnonzero(image.any(axis=(0, 2)))
    assert low - 4 <= columns.min() < columns.max() <= high + 4


def test_centered_text_is_centered():
    image = blank(40, 120)
    draw_text(image, "HOH", (60, 20), 14, anchor="center", halo=0)
    assert centroid(image)[0] == pytest.approx(60, abs=1.0)


def test_the_halo_darkens_around_the_letters():
    image = np.full((40, 120, 3), 200, np.uint8)
    draw_text(image, "frame", (5, 20), 12)
    assert image.min() < 80
    assert image.max() == 255
