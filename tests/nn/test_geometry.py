"""The round trip of a point through crop, resize, padding and output stride is exact."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.nn.geometry import (
    FrameTransform,
    Layer,
    actual_scale,
    affine_matrix,
    compose,
    crop_corner,
    crop_points,
    from_map,
    invert,
    jump,
    map_size,
    pad_to_multiple,
    receptive_field,
    scale_points,
    scaled_size,
    to_map,
    transform_points,
    uncrop_points,
    unscale_points,
)

coordinates = st.floats(-50.0, 4000.0, allow_nan=False, width=32)
points = st.tuples(coordinates, coordinates).map(np.array)
scales = st.floats(0.05, 4.0)
sides = st.integers(8, 3000)
sizes = st.tuples(sides, sides)
strides = st.sampled_from([1, 2, 4, 8, 16, 32])


def test_resize_keeps_the_edges_of_the_image():
    edges = np.array([[-0.5, -0.5], [99.5, 49.5]])
    np.testing.assert_allclose(scale_points(edges, 0.5), [[-0.5, -0.5], [49.5, 24.5]])


def test_resize_moves_points_as_a_box_filter_moves_pixels():
    """Halving an image averages pairs: a pixel pair (2, 3) becomes pixel 1."""
    image = np.zeros(10)
    image[2:4] = 1.0
    halved = image.reshape(5, 2).mean(axis=1)
    moved = scale_points(np.array([2.5, 2.5]), 0.5)
    assert moved[0] == np.argmax(halved) == 1


def test_scales_of_the_axes_are_in_the_order_of_points():
    np.testing.assert_allclose(scale_points(np.zeros(2), (3.0, 1.0)), [1.0, 0.0])
    assert actual_scale((100, 200), (50, 50)) == (0.25, 0.5)
    assert scaled_size((100, 200), (0.25, 0.5)) == (50, 50)


@given(points, scales, scales)
def test_unscale_undoes_scale(xy, scale_x, scale_y):
    scale = (scale_x, scale_y)
    np.testing.assert_allclose(unscale_points(scale_points(xy, scale), scale), xy, atol=1e-9)


@given(sizes, scales)
def test_scaled_size_is_the_nearest_whole_number(size, scale):
    for side, new in zip(size, scaled_size(size, scale), strict=True):
        assert new >= 1
        assert new == 1 or abs(new - side * scale) <= 0.5 + 1e-9


@given(sizes, st.integers(1, 64))
def test_padding_is_the_least_that_reaches_a_multiple(size, multiple):
    for side, padded in zip(size, pad_to_multiple(size, multiple), strict=True):
        assert padded % multiple == 0
        assert 0 <= padded - side < multiple


@pytest.mark.parametrize(("side", "middle"), [(5, 2.0), (6, 2.5)])
def test_centre_of_a_crop_is_its_middle(side, middle):
    centre = np.array([100.25, 40.5])
    corner = crop_corner(centre, (side, side))
    np.testing.assert_allclose(crop_points(centre, corner), [middle, middle])
    np.testing.assert_allclose(uncrop_points(np.zeros(2), corner), corner)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_cells_of_a_map_stand_for_multiples_of_the_stride(stride):
    height, width = map_size((9, 16), stride)
    assert (height - 1) * stride <= 8 < height * stride
    assert (width - 1) * stride <= 15 < width * stride
    np.testing.assert_allclose(from_map(np.array([3.0, 2.0]), stride), [3 * stride, 2 * stride])


@given(points, sizes, scales, st.sampled_from([1, 16, 32]), strides)
def test_round_trip_of_a_frame_is_exact(xy, size, scale, multiple, stride):
    transform = FrameTransform.for_frame(size, scale, multiple)
    assert transform.input_size == pad_to_multiple(transform.scaled_size, multiple)
    cells = to_map(transform.forward(xy), stride)
    back = transform.inverse(from_map(cells, stride))
    np.testing.assert_allclose(back, xy, atol=1e-3)


@given(points, points, sizes, scales, strides)
def test_round_trip_of_a_crop_is_exact_in_float32_maps(xy, centre, size, scale, stride):
    """What the device returns is float32; the crop keeps numbers small enough for it."""
    near = centre + (xy - 2000.0) % 256.0
    transform = FrameTransform.for_crop(centre, size, scale)
    cells = to_map(transform.forward(near), stride).astype(np.float32)
    tolerance = 1e-3 + 1e-6 * max(size) / scale
    np.testing.assert_allclose(
        transform.inverse(from_map(cells.astype(np.float64), stride)), near, atol=tolerance
    )


@given(points, points, sizes, scales)
def test_matrix_of_a_transform_is_its_forward_map(xy, centre, size, scale):
    transform = FrameTransform.for_crop(centre, size, scale, multiple=32)
    moved = transform_points(transform.matrix, xy[None])[0]
    np.testing.assert_allclose(moved, transform.forward(xy), atol=1e-6)


def test_missing_points_stay_missing():
    transform = FrameTransform.for_frame((100, 100), 0.5)
    xy = np.array([[np.nan, np.nan], [1.0, 1.0]])
    assert np.isnan(transform.forward(xy)).tolist() == [[True, True], [False, False]]


def test_rotation_turns_x_towards_y():
    matrix = affine_matrix((10.0, 10.0), rotation_rad=math.pi / 2)
    moved = transform_points(matrix, np.array([[12.0, 10.0]]))
    np.testing.assert_allclose(moved, [[10.0, 12.0]], atol=1e-12)


def test_flip_mirrors_pixel_centres():
    """About the middle of an image of W pixels, x goes to W - 1 - x."""
    width, height = 8, 5
    centre = ((width - 1) / 2, (height - 1) / 2)
    xy = np.array([[0.0, 0.0], [2.0, 1.0]])
    mirrored = transform_points(affine_matrix(centre, flip_x=True), xy)
    np.testing.assert_allclose(mirrored, [[7.0, 0.0], [5.0, 1.0]])
    upside_down = transform_points(affine_matrix(centre, flip_y=True), xy)
    np.testing.assert_allclose(upside_down, [[0.0, 4.0], [2.0, 3.0]])


def test_order_is_flip_scale_rotate_shift():
    matrix = affine_matrix(
        (0.0, 0.0), rotation_rad=math.pi / 2, scale=2.0, translation=(5.0, 0.0), flip_x=True
    )
    # (1, 0) -flip-> (-1, 0) -scale-> (-2, 0) -turn-> (0, -2) -shift-> (5, -2)
    np.testing.assert_allclose(
        transform_points(matrix, np.array([[1.0, 0.0]])), [[5.0, -2.0]], atol=1e-12
    )


@given(st.integers(0, 2**32 - 1))
def test_a_batch_of_affine_maps_composes_and_inverts(seed):
    rng = np.random.default_rng(seed)

    def draw():
        return affine_matrix(
            rng.uniform(0, 100, (4, 2)),
            rotation_rad=rng.uniform(-4, 4, 4),
            scale=rng.uniform(0.3, 3, 4),
            translation=rng.normal(0, 20, (4, 2)),
            flip_x=rng.random(4) < 0.5,
        )

    first, second = draw(), draw()
    xy = rng.uniform(0, 500, (4, 6, 2))
    expected = transform_points(second, transform_points(first, xy))
    assert first.shape == (4, 2, 3)
    np.testing.assert_allclose(transform_points(compose(second, first), xy), expected, atol=1e-8)
    back = transform_points(invert(first), transform_points(first, xy))
    np.testing.assert_allclose(back, xy, atol=1e-8)


def test_a_point_with_one_missing_coordinate_is_missing_after_a_map():
    matrix = affine_matrix((0.0, 0.0), rotation_rad=0.3)
    assert np.isnan(transform_points(matrix, np.array([[np.nan, 1.0]]))).all()


def test_receptive_field_of_known_stacks():
    conv, pool = Layer(3), Layer(2, stride=2)
    assert receptive_field([]) == 1
    assert receptive_field([conv, conv]) == 5
    assert receptive_field([conv, conv, pool, conv]) == 10
    assert receptive_field([Layer(3, dilation=4)]) == 9
    assert jump([conv, pool, conv, pool]) == 4


@given(
    st.lists(st.builds(Layer, st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)), max_size=5)
)
def test_receptive_field_counts_the_inputs_that_one_output_reads(layers):
    reads = {0}  # which cells of the layer below one output cell reads, top down
    for layer in reversed(layers):
        reads = {
            cell * layer.stride + tap * layer.dilation
            for cell in reads
            for tap in range(layer.kernel)
        }
    assert receptive_field(layers) == max(reads) - min(reads) + 1
