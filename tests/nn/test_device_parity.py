"""The numpy code and the compiled graph of keras.ops give the same numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from napari_animalpose.nn import geometry
from napari_animalpose.nn.peaks import REFINEMENTS, global_peaks, local_peaks
from napari_animalpose.nn.targets import confidence_maps, part_affinity_fields

EDGES = ((0, 1), (1, 2), (3, 2))


def points(seed=0, shape=(2, 3, 4, 2)):
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 60, shape).astype(np.float32)
    xy[0, 1, 2] = np.nan
    xy[1, 2] = np.nan
    return xy


def compiled(function, *arrays, **options):
    """Run a function of tensors as one graph with an open batch axis."""
    signature = [tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in arrays]
    return tf.function(function, input_signature=signature, **options)(*map(tf.constant, arrays))


def test_targets_are_the_same_on_the_device():
    def draw(xy, xp=keras.ops):
        return (
            confidence_maps(xy, 61, 50, 2, 3.0, xp),
            part_affinity_fields(xy, EDGES, 61, 50, 4, 5.0, xp),
        )

    xy = points()
    for device, expected in zip(compiled(draw, xy), draw(xy, np), strict=True):
        np.testing.assert_allclose(device, expected, atol=1e-5)


@pytest.mark.parametrize("refinement", REFINEMENTS)
@pytest.mark.parametrize("levels", [50, 1e6])
def test_peaks_are_the_same_on_the_device(refinement, levels):
    """With maps rounded to few levels, so that there are plateaus, and to many."""
    maps = np.round(confidence_maps(points(), 61, 50, 2, 4.0) * levels) / np.float32(levels)

    def find(maps, xp=keras.ops):
        several = local_peaks(maps, 0.2, 5, refinement, xp=xp)
        return *global_peaks(maps, refinement, xp), *several

    for device, expected in zip(compiled(find, maps), find(maps, np), strict=True):
        assert device.dtype == tf.float32
        np.testing.assert_allclose(device, expected, atol=1e-4)


def test_peaks_of_open_map_sizes_and_bfloat16_come_back():
    xy = points()[:1, :1]
    xy[0, 0, 2] = 30.0
    maps = tf.constant(confidence_maps(xy, 64, 64, 2, 4.0))
    signature = [tf.TensorSpec((None, None, None, 4), tf.bfloat16)]
    find = tf.function(lambda maps: global_peaks(maps, xp=keras.ops), input_signature=signature)
    found, _ = find(tf.cast(maps, tf.bfloat16))
    np.testing.assert_allclose(geometry.from_map(found.numpy(), 2), xy[:, 0], atol=0.1)


def test_affine_maps_are_the_same_on_the_device():
    rng = np.random.default_rng(0)
    angle, scale, shift = (
        rng.normal(size=shape).astype(np.float32) for shape in ((5,), (5,), (5, 2))
    )
    flip, xy = rng.random(5) < 0.5, rng.uniform(0, 60, (5, 7, 2)).astype(np.float32)

    def move(angle, scale, shift, flip, xy, xp=keras.ops):
        matrix = geometry.affine_matrix(
            (20.0, 30.0),
            rotation_rad=angle,
            scale=xp.exp(scale),
            translation=shift,
            flip_x=flip,
            xp=xp,
        )
        both = geometry.compose(matrix, geometry.invert(matrix, xp), xp)
        return geometry.transform_points(matrix, xy, xp), geometry.transform_points(both, xy, xp)

    arrays = angle, scale, shift, flip, xy
    moved, back = compiled(move, *arrays)
    np.testing.assert_allclose(moved, move(*arrays, np)[0], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(back, xy, atol=1e-2)


def test_arithmetic_on_points_keeps_the_dtype_of_tensors():
    xy = points()
    for dtype in (tf.float32, tf.float16):
        tensor = tf.constant(xy, dtype)
        corner = geometry.crop_corner(tensor[:, :, :1], (9, 12))
        cells = geometry.to_map(geometry.crop_points(tensor, corner), 4)
        assert geometry.scale_points(cells, (0.5, 0.25)).dtype == dtype
    scaled = geometry.scale_points(tf.constant(xy), 0.3)
    np.testing.assert_allclose(scaled, geometry.scale_points(xy, 0.3), rtol=1e-5)
