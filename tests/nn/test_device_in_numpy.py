"""Pictures made by numpy show what the device makes of a frame."""

import numpy as np
import pytest
import tensorflow as tf

from napari_animalpose.config import AugmentConfig
from napari_animalpose.nn import device_in_numpy
from napari_animalpose.nn.augment import sample_affine, warp_image
from napari_animalpose.nn.geometry import invert
from napari_animalpose.nn.models import device


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("scale", [1.0, 0.75, 0.5, 0.4, 0.3333, 0.25, 0.1])
@pytest.mark.parametrize(("given", "wanted"), [(1, 1), (3, 3), (3, 1), (1, 3)])
def test_frames_are_shrunk_alike(scale, given, wanted):
    frame = noise(53, 71, given)
    expected = np.asarray(device.shrink_frames(tf.constant(frame[None]), wanted, scale)[0])
    found = device_in_numpy.shrink_frame(frame, wanted, scale)
    assert (found.shape, found.dtype) == (expected.shape, np.uint8)
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1  # what rounds to the other side
    assert (difference > 0).mean() < 0.05  # at 0.75 many values end in one half


def test_windows_are_cut_alike():
    """Bilinear values are cut to whole numbers on the device: that is what is learned from."""
    frame, size = noise(40, 60, 1), (32, 48)
    config = AugmentConfig(rotation_deg=180, flip="both")
    rng = np.random.default_rng(1)
    matrices, _ = sample_affine(rng, config, np.full((6, 2), [30.0, 20.0]), size)
    back = tf.constant(invert(matrices), tf.float32)
    frames = tf.repeat(tf.constant(frame[None]), 6, axis=0)
    expected = np.asarray(device.warp_images(frames, back, *size)).astype(int)
    found = np.stack([np.floor(warp_image(frame, matrix, size)) for matrix in matrices])
    difference = np.abs(found - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.02


def test_intensities_change_alike():
    images = noise(5, 20, 30, 3).astype(np.float32) / 255
    parameters = np.array(
        [[1, 0, 1, 0], [1.5, 0, 1, 0], [1, 0.2, 1, 0], [1, 0, 1.4, 0], [0.7, -0.3, 0.6, 0]],
        np.float32,
    )
    expected = np.asarray(device.adjust_intensity(images, parameters, tf.zeros(2, tf.int32)))
    rng = np.random.default_rng(0)
    for image, row, wanted in zip(images, parameters, expected, strict=True):
        found = device_in_numpy.adjust_intensity(image, row, rng)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_noise_has_its_standard_deviation():
    image = np.full((100, 100, 1), 0.5, np.float32)
    noisy = device_in_numpy.adjust_intensity(image, [1, 0, 1, 0.05], np.random.default_rng(0))
    assert noisy.std() == pytest.approx(0.05, rel=0.05)
    assert noisy.mean() == pytest.approx(0.5, abs=0.005)


def test_boxes_are_hidden_alike():
    images = noise(3, 20, 30, 1).astype(np.float32) / 255
    boxes = np.array([[3.2, 4.8, 11.5, 9], [-5, -5, 4, 40], [7, 7, 7, 7]], np.float32)
    expected = np.asarray(device.cut_out(images, boxes))
    for image, box, wanted in zip(images, boxes, expected, strict=True):
        np.testing.assert_allclose(device_in_numpy.cut_out(image, box), wanted, atol=1e-6)
    np.testing.assert_array_equal(device_in_numpy.cut_out(images[2], boxes[2]), images[2])
