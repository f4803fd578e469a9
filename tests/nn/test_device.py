"""What happens to frames before the network: exact positions, exact values at borders."""

import numpy as np
import pytest
import tensorflow as tf

from napari_animalpose.nn.geometry import scale_points
from napari_animalpose.nn.models.device import (
    adjust_intensity,
    cut_out,
    pad_to,
    resize_frames,
    to_channels,
    warp_images,
)

SCALES = [1.0, 0.75, 0.6, 0.51, 0.5, 0.45, 1 / 3, 0.3, 0.25, 1 / 6, 0.125]
SIZES = [(64, 96), (63, 97), (50, 41)]


def centroid(image):
    """(x, y) of the mass of an image (H, W)."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(image * x).sum(), (image * y).sum()]) / image.sum()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", SIZES)
def test_a_resized_ramp_is_the_ramp_at_the_mapped_places(scale, size):
    """Averaging and interpolating keep a ramp as it is, so values tell places exactly."""
    y, x = np.mgrid[: size[0], : size[1]]
    frame = np.stack([x, y], axis=-1)[None].astype(np.uint8)
    resized = np.asarray(resize_frames(tf.constant(frame), scale))[0]
    height, width = (int(np.ceil(side * scale - 1e-6)) for side in size)
    assert resized.shape == (height, width, 2)
    cells = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    border = int(np.ceil(2 / scale))
    found = scale_points(resized.astype(np.float64), scale)
    inside = (resized > border).all(axis=-1) & (resized < np.array(size)[::-1] - border).all(-1)
    assert inside.sum() > 0.3 * inside.size or scale < 0.2
    np.testing.assert_allclose(found[inside], cells[inside], atol=2e-4)


@pytest.mark.parametrize("scale", [1.0, 0.75, 0.5, 1 / 3, 0.25, 0.125])
@pytest.mark.parametrize("size", [(96, 128), (95, 129)])
def test_a_dot_moves_where_its_point_moves(scale, size):
    point = np.array([61.3, 44.8])
    y, x = np.mgrid[: size[0], : size[1]]
    sigma = 1.5 / scale
    dot = np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * sigma**2))
    frame = np.round(250 * dot).astype(np.uint8)[None, ..., None]
    resized = np.asarray(resize_frames(tf.constant(frame), scale))[0, ..., 0]
    np.testing.assert_allclose(centroid(resized), scale_points(point, scale), atol=0.01)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [*SIZES, (32, 33), (17, 18), (9, 10)])
def test_a_constant_image_stays_constant_up_to_its_borders(scale, size):
    resized = resize_frames(tf.fill((2, *size, 3), tf.constant(200, tf.uint8)), scale)
    np.testing.assert_allclose(resized, 200.0, atol=1e-3)


def test_gray_is_luma_and_colour_of_gray_is_gray():
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 10, 10], [255, 255, 255]])
    images = tf.constant(colours.reshape(1, 1, 5, 3), tf.uint8)
    gray = to_channels(images, 1)
    assert gray.dtype == tf.uint8
    assert gray.numpy().ravel().tolist() == [76, 150, 29, 10, 255]  # ITU-R BT.601, rounded
    colour = to_channels(gray, 3)
    assert colour.shape == (1, 1, 5, 3)
    assert (colour.numpy() == gray.numpy()).all()
    for channels, given in ((1, gray), (3, images)):
        assert to_channels(given, channels) is given
    floats = to_channels(tf.cast(images, tf.float32) / 255.0, 1)
    np.testing.assert_allclose(floats.numpy().ravel()[:3], [0.299, 0.587, 0.114], rtol=1e-5)


@pytest.mark.parametrize("size", [(8, 16), (9, 15), (1, 1), (16, 17)])
def test_padding_adds_zeros_at_the_bottom_and_on_the_right_only(size):
    image = tf.ones((2, *size, 3))
    padded = np.asarray(pad_to(image, 8))
    assert padded.shape == (2, -(-size[0] // 8) * 8, -(-size[1] // 8) * 8, 3)
    assert (padded[:, : size[0], : size[1]] == 1).all()
    assert padded.sum() == 2 * size[0] * size[1] * 3


def test_warping_through_the_identity_changes_nothing_and_a_shift_shifts():
    image = np.random.default_rng(0).integers(0, 256, (1, 7, 9, 2)).astype(np.uint8)
    identity = tf.constant([[[1, 0, 0], [0, 1, 0]]], tf.float32)
    np.testing.assert_array_equal(warp_images(tf.constant(image), identity, 7, 9), image)
    shift = tf.constant([[[1, 0, 2], [0, 1, -1]]], tf.float32)  # window px to image px
    moved = warp_images(tf.constant(image), shift, 7, 9).numpy()
    np.testing.assert_array_equal(moved[:, 1:, :-2], image[:, :-1, 2:])
    assert (moved[:, 0] == 0).all()
    assert (moved[:, :, -2:] == 0).all()


def adjust(images, contrast=1.0, brightness=0.0, gamma=1.0, noise=0.0, seed=(1, 2)):
    parameters = tf.constant([[contrast, brightness, gamma, noise]] * len(images), tf.float32)
    return np.asarray(adjust_intensity(tf.constant(images), parameters, tf.constant(seed)))


def test_intensity_changes_follow_their_formulas_and_stay_in_range():
    images = np.random.default_rng(0).uniform(0.3, 0.6, (2, 8, 8, 1)).astype(np.float32)
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(adjust(images), images, atol=1e-6)
    np.testing.assert_allclose(adjust(images, brightness=0.1), images + 0.1, atol=1e-6)
    expected = (images - mean) * 1.5 + mean
    np.testing.assert_allclose(adjust(images, contrast=1.5), expected, atol=1e-6)
    np.testing.assert_allclose(adjust(images, gamma=2.0), images**2, atol=1e-6)
    extreme = adjust(images, contrast=50.0, brightness=1.0, gamma=0.2, noise=1.0)
    assert 0 <= extreme.min() <= extreme.max() <= 1


def test_noise_has_the_asked_standard_deviation_and_follows_its_seed():
    images = np.full((1, 64, 64, 1), 0.5, np.float32)
    noise = adjust(images, noise=0.05) - images
    assert noise.std() == pytest.approx(0.05, rel=0.05)
    np.testing.assert_array_equal(adjust(images, noise=0.05), adjust(images, noise=0.05))
    assert (adjust(images, noise=0.05) != adjust(images, noise=0.05, seed=(3, 4))).any()


def test_cutting_out_fills_a_box_with_the_mean_and_an_empty_box_does_nothing():
    images = np.random.default_rng(0).uniform(0, 1, (2, 10, 12, 1)).astype(np.float32)
    boxes = tf.constant([[2, 3, 5, 9], [4, 4, 4, 4]], tf.float32)
    changed = np.asarray(cut_out(tf.constant(images), boxes))
    expected = images.copy()
    expected[0, 3:9, 2:5] = images[0].mean()
    np.testing.assert_allclose(changed, expected, atol=1e-6)
