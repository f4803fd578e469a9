"""Augmentation moves image and points together, exactly, through the very code of training."""

import numpy as np
import pytest
import tensorflow as tf

from napari_animalpose.config import AugmentConfig
from napari_animalpose.nn.augment import (
    sample_affine,
    sample_cutout,
    sample_intensity,
    warp_image,
    window_matrix,
)
from napari_animalpose.nn.dataset import BatchSampler, Example, FrameStore, frame_centre
from napari_animalpose.nn.geometry import invert, transform_points
from napari_animalpose.nn.models.device import warp_images

SIGMA = 2.0
BRIGHT = (250, 120)  # of the two dots of a frame, so that they can be told apart
SWAP = np.array([1, 0])  # the two nodes are symmetric
ALL = AugmentConfig(
    rotation_deg=180, scale_min=0.7, scale_max=1.4, translate_fraction=0.1, flip="both"
)


def dots(size, points):
    """Frame (H, W, 1) with a Gaussian dot at each of two points."""
    y, x = np.mgrid[: size[0], : size[1]]
    frame = sum(
        level * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * SIGMA**2))
        for (px, py), level in zip(points, BRIGHT, strict=True)
    )
    return np.round(frame).astype(np.uint8)[..., None]


def dataset(sizes, budget=10**9, seed=0, margin=12.0):
    """Store and examples: one frame of each size with two dots at random places."""
    rng = np.random.default_rng(seed)
    store, examples = FrameStore(budget), []
    for size in sizes:
        while True:
            xy = rng.uniform(margin, np.array(size)[::-1] - 1 - margin, (2, 2))
            if np.linalg.norm(xy[0] - xy[1]) > 8 * SIGMA:
                break
        number = store.append(dots(size, xy))
        examples.append(Example(number, tuple(xy.mean(axis=0)), xy[None]))
    return store, examples


def sampler(store, examples, window, augment, **options):
    return BatchSampler(store, examples, window, augment, SWAP, 8, 0, **options)


def windows_of(batch, window):
    return np.asarray(warp_images(tf.constant(batch.patches), tf.constant(batch.matrices), *window))


def centroid_near(image, point, reach):
    """(x, y) of the mass within `reach` px of a point of an image (H, W)."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    mass = image * ((x - point[0]) ** 2 + (y - point[1]) ** 2 < reach**2)
    return np.array([(mass * x).sum(), (mass * y).sum()]) / mass.sum()


def check_dots(batch, window):
    """Check that dots lie under their points; yield which frames look mirrored."""
    images = windows_of(batch, window)[..., 0].astype(float)
    scales = np.abs(np.linalg.det(batch.matrices[:, :, :2])) ** -0.5
    n_seen = 0
    for image, xy, scale in zip(images, batch.xy[:, 0], scales, strict=True):
        reach = 4 * SIGMA * scale
        limit = np.array(window)[::-1] - 1 - reach
        levels = []
        for point in xy:
            if (point < reach).any() or (point > limit).any():
                break
            np.testing.assert_allclose(centroid_near(image, point, reach), point, atol=0.1)
            levels.append(image[tuple(np.round(point).astype(int)[::-1])])
            n_seen += 1
        if len(levels) == 2:
            yield levels[0] < levels[1]
    assert n_seen


CHANGES = {
    "nothing": {},
    "rotation": {"rotation_deg": 180},
    "small rotation": {"rotation_deg": 20},
    "scale": {"scale_min": 0.6, "scale_max": 1.5},
    "translation": {"translate_fraction": 0.15},
    "everything": ALL.to_dict(),
}
PLAIN = {"rotation_deg": 0.0, "scale_min": 1.0, "scale_max": 1.0, "translate_fraction": 0.0}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("window", [(96, 128), (64, 64)], ids=["frames", "windows"])
def test_a_dot_stays_under_its_point(name, window):
    augment = AugmentConfig(**{**PLAIN, **CHANGES[name]})
    store, examples = dataset([(96, 128), (80, 100), (96, 70)] * 3)
    drawn = sampler(store, examples, window, augment, jitter_px=5.0)
    for _ in range(3):
        mirrored = list(check_dots(drawn.draw(), window))
        assert augment.flip != "none" or not any(mirrored)


@pytest.mark.parametrize("flip", ["horizontal", "vertical"])
def test_a_mirrored_animal_has_left_and_right_exchanged(flip):
    """The bright dot is the left one of the animal; mirrored it looks like a right one."""
    augment = AugmentConfig(**{**PLAIN, "flip": flip})
    store, examples = dataset([(96, 96)] * 8)
    drawn = sampler(store, examples, (96, 96), augment)
    mirrored = [m for _ in range(4) for m in check_dots(drawn.draw(), (96, 96))]
    assert 0.2 < np.mean(mirrored) < 0.8


def test_mirrored_along_both_axes_is_turned_and_keeps_left_and_right():
    rng = np.random.default_rng(0)
    augment = AugmentConfig(**{**PLAIN, "flip": "both"})
    matrices, mirrored = sample_affine(rng, augment, np.full((200, 2), 31.5), (64, 64))
    np.testing.assert_array_equal(np.linalg.det(matrices[:, :, :2]) < 0, mirrored)
    assert 0.35 < mirrored.mean() < 0.65


def test_windows_that_reach_out_of_their_frame_show_black_there():
    """Every place of the frame once, by background windows as large as the frame."""
    store, examples = dataset([(60, 90)] * 8)
    window = (60, 90)
    augment = AugmentConfig(**PLAIN)
    batch = sampler(store, examples, window, augment, background_fraction=1.0).draw()
    images = windows_of(batch, window)
    for image, matrix in zip(images, batch.matrices, strict=True):
        y, x = np.mgrid[: window[0], : window[1]]
        grid = np.stack([x, y], axis=-1).reshape(1, -1, 2).astype(float)
        source = transform_points(matrix.astype(float), grid)[0]  # in px of the patch = frame
        outside = (source < -1).any(axis=-1) | (source > [90, 60]).any(axis=-1)
        assert outside.any()
        assert (image.reshape(-1)[outside] == 0).all()


@pytest.mark.parametrize("angle", [0, 30, 180])
def test_a_patch_holds_all_that_its_window_sees(angle):
    """The window from the patch is the window from the whole frame, px for px."""
    augment = AugmentConfig(
        rotation_deg=angle, scale_min=0.8, scale_max=1.2, translate_fraction=0.2, flip="both"
    )
    noise = np.random.default_rng(0).integers(0, 256, (3, 150, 170, 1)).astype(np.uint8)
    store = FrameStore(10**9)
    places = [(5.0, 5.0), (85.0, 75.0), (168.0, 148.0)]  # at the borders, too
    examples = [
        Example(store.append(frame), place, np.array([[place, place]]))
        for frame, place in zip(noise, places, strict=True)
    ]
    drawn = BatchSampler(store, examples, (40, 56), augment, SWAP, 3, seed=1)
    assert drawn._patch[0] < 150
    for _ in range(4):
        batch = drawn.draw()
        images = windows_of(batch, (40, 56))
        for patch, matrix, image in zip(batch.patches, batch.matrices, images, strict=True):
            frame, (x0, y0) = find_patch(noise, patch)
            to_frame = matrix.astype(float)
            to_frame[:, 2] += x0, y0
            whole = warp_image(frame, invert(to_frame), (40, 56))
            np.testing.assert_allclose(image, whole, atol=1.01)  # uint8 against float


def find_patch(frames, patch):
    """Return the frame of noise that holds a patch, and the corner (x, y) of it in there."""
    rows, columns = patch.shape[:2]
    for frame in frames:
        found = np.lib.stride_tricks.sliding_window_view(frame[..., 0], (1, columns))[:, :, 0]
        y, x = np.nonzero((found == patch[0, :, 0]).all(axis=-1))
        if len(x):
            np.testing.assert_array_equal(frame[y[0] : y[0] + rows, x[0] : x[0] + columns], patch)
            return frame, (x[0], y[0])
    raise AssertionError("the patch is in no frame")


def test_frames_in_the_file_give_the_same_batches_as_frames_in_memory():
    sizes = [(96, 128), (80, 100), (60, 70)] * 2
    kept = [dataset(sizes, budget) for budget in (10**9, 0, 3 * 96 * 128)]
    drawn = [sampler(*each, (64, 64), ALL, jitter_px=9.0, background_fraction=0.3) for each in kept]
    for _ in range(3):
        batches = [each.draw() for each in drawn]
        for batch in batches[1:]:
            for a, b in zip(batches[0], batch, strict=True):
                np.testing.assert_array_equal(a, b)
    for store, _ in kept:
        store.close()


def test_the_device_and_numpy_resample_alike():
    store, examples = dataset([(96, 128), (80, 100)] * 4)
    batch = sampler(store, examples, (64, 72), ALL).draw()
    images = windows_of(batch, (64, 72))
    for patch, matrix, image in zip(batch.patches, batch.matrices, images, strict=True):
        expected = warp_image(patch, invert(matrix.astype(float)), (64, 72))
        np.testing.assert_allclose(image, expected, atol=1.01)
    floats = warp_images(
        tf.constant(batch.patches, tf.float32), tf.constant(batch.matrices), 64, 72
    )
    for patch, matrix, image in zip(batch.patches, batch.matrices, floats, strict=True):
        expected = warp_image(patch, invert(matrix.astype(float)), (64, 72))
        np.testing.assert_allclose(image, expected, atol=0.05)


def test_seeds_reproduce_and_differ():
    store, examples = dataset([(96, 128)] * 8)

    def draw(seed):
        drawn = BatchSampler(store, examples, (64, 64), ALL, SWAP, 4, seed, 9.0, 0.3)
        return [drawn.draw() for _ in range(3)]

    for a, b in zip(draw(5), draw(5), strict=True):
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(draw(5)[0].matrices, draw(6)[0].matrices)


def test_a_window_without_change_is_a_plain_crop_around_its_centre():
    matrix = window_matrix(np.array([[50.0, 30.0]]), (21, 11))
    np.testing.assert_allclose(
        transform_points(matrix, np.array([[[50.0, 30.0], [45.0, 20.0]]])), [[[5, 10], [0, 0]]]
    )


def test_missing_points_stay_missing():
    store = FrameStore(10**9)
    xy = np.array([[[20.0, 20.0], [np.nan, np.nan]]])
    number = store.append(np.zeros((40, 40, 1), np.uint8))
    batch = sampler(store, [Example(number, frame_centre((40, 40)), xy)], (40, 40), ALL).draw()
    np.testing.assert_array_equal(np.isnan(batch.xy).sum(axis=(1, 2, 3)), 2)


def test_drawn_numbers_stay_in_their_ranges():
    rng = np.random.default_rng(0)
    config = AugmentConfig(contrast=0.5, brightness=0.2, gamma=1.0, noise=0.1)
    contrast, brightness, gamma, noise = sample_intensity(rng, config, 2000).T
    for values, low, high in [
        (contrast, 1 / 1.5, 1.5),
        (brightness, -0.2, 0.2),
        (gamma, 0.5, 2.0),
        (noise, 0.0, 0.1),
    ]:
        assert low - 1e-6 <= values.min() <= values.max() <= high + 1e-6
        assert np.ptp(values) > 0.9 * (high - low)
    assert np.median(contrast) == pytest.approx(1, abs=0.05)
    matrices, _ = sample_affine(rng, ALL, np.zeros((2000, 2)), (64, 64))
    scales = np.sqrt(np.abs(np.linalg.det(matrices[:, :, :2])))
    assert 0.7 - 1e-6 <= scales.min() < 0.75
    assert 1.35 < scales.max() <= 1.4 + 1e-6


def test_cutout_hides_a_share_of_the_windows_behind_boxes_of_known_size():
    rng = np.random.default_rng(0)
    boxes = sample_cutout(rng, AugmentConfig(cutout_probability=0.25), 2000, (50, 100))
    sides = boxes[:, 2:] - boxes[:, :2]
    hidden = sides.any(axis=1)
    assert hidden.mean() == pytest.approx(0.25, abs=0.05)
    share = sides[hidden] / [100, 50]
    assert 0.05 - 1e-4 <= share.min() <= share.max() <= 0.2 + 1e-4
    never = sample_cutout(rng, AugmentConfig(cutout_probability=0), 100, (50, 100))
    np.testing.assert_array_equal(never[:, 2:], never[:, :2])
