"""The top-down pipeline, with ideal maps in place of its two networks.

The frames are ramps: colour 0 holds x, colour 1 holds y and colour 2 the number of the
frame. So the stand-in for the second network reads off each window where in which frame
it lies, to a fraction of a pixel, and draws the maps of the animal that is nearest to the
middle: the whole way from frames to points is exact or it is not.
"""

from dataclasses import dataclass
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from napari_animalpose.config import (
    AugmentConfig,
    ModelConfig,
    PredictConfig,
    RunConfig,
    TrainConfig,
)
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.io.video import open_video
from napari_animalpose.nn.dataset import BatchSampler
from napari_animalpose.nn.geometry import affine_matrix, scale_points
from napari_animalpose.nn.heads import Pipeline
from napari_animalpose.nn.inference import poses_from_detections
from napari_animalpose.nn.models.detectors import topdown
from napari_animalpose.nn.models.detectors.topdown import (
    TopDownDetector,
    split_counts,
    suppress_duplicates,
)
from napari_animalpose.nn.models.device import cut_windows, warp_images
from napari_animalpose.nn.models.forward import Forward, crop_side
from napari_animalpose.nn.models.heads.centered_instance import CenteredInstanceHead
from napari_animalpose.nn.models.heads.centroid import (
    MAX_CENTROIDS,
    CentroidHead,
    locate_anchors,
)
from napari_animalpose.nn.models.preparation import prepare
from napari_animalpose.nn.targets import confidence_maps

HEIGHT, WIDTH = 112, 120
SLOPE = 2  # gray values a pixel: whole numbers after halving, too
SKELETON = Skeleton(("head", "middle", "tail"), ((0, 1), (1, 2)))
UNET = {"down_blocks": 2}


def ramp_frames(count):
    frames = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    frames[..., 0] = SLOPE * np.arange(WIDTH)
    frames[..., 1] = SLOPE * np.arange(HEIGHT)[:, None]
    frames[..., 2] = np.arange(count)[:, None, None]
    return frames


def animals(*places, seed=0):
    """One animal around each place: float64 (I, 3, 2) with fractions of pixels."""
    rng = np.random.default_rng(seed)
    middle = np.array(places, float).reshape(-1, 1, 2)
    shape = np.array([[-6.0, 2.0], [0.0, -1.0], [6.0, 1.5]])
    return middle + shape + rng.uniform(-1, 1, (len(places), 3, 2))


@dataclass
class Scene:
    """What there is to be found in the frames by their number, and how well it is."""

    truth: list
    offset: tuple = (0.0, 0.0)  # px by which the centroid network errs
    heights: tuple = ()  # of the peaks of the centroids; all 1 if empty


SCENE = Scene([])  # set by `detector`; the networks are traced once and look at it each time


def draw_centroids(model, x):
    """Ideal centroid maps of the frames whose number colour 2 holds."""
    size, maps = x.shape[1:3], []
    for number in np.rint(x[:, 0, 0, 2] * 255).astype(int):
        places = locate_anchors(SCENE.truth[number], None) + SCENE.offset
        points = scale_points(places, model.input_scale)[:, None]
        heights = SCENE.heights or [1.0] * len(points)
        empty = np.full((1, 1, 2), np.nan)
        drawn = confidence_maps(empty, *size, model.output_stride, model.sigma_px)
        for point, height in zip(points, heights, strict=True):
            bump = confidence_maps(point[None], *size, model.output_stride, model.sigma_px)
            drawn = np.maximum(drawn, height * bump)
        maps.append(drawn)
    return np.stack(maps).astype(np.float32)


def draw_centred(model, x):
    """Ideal maps of the animal nearest to the middle of each window, and of it alone."""
    scale, size, maps = model.input_scale, x.shape[1:3], []
    middle = size[0] // 2  # a pixel inside the frame, as a window's middle is
    for window in x * 255:
        colour = window[middle, middle]
        corner = scale_points(colour[:2] / SLOPE, scale) - middle
        points = scale_points(SCENE.truth[int(np.rint(colour[2]))], scale) - corner
        nearest = np.argmin(np.linalg.norm(locate_anchors(points, None) - middle, axis=-1))
        animal = points[nearest : nearest + 1]
        maps.append(confidence_maps(animal, *size, model.output_stride, model.sigma_px))
    return np.stack(maps).astype(np.float32)


def stand_in(draw, model, output, channels):
    """A network that runs `draw` on arrays from inside a graph."""

    def network(x, training=False):
        maps = tf.py_function(lambda x: draw(model, x.numpy()), [x], tf.float32)
        maps.set_shape((None, None, None, channels))
        return {output: maps}

    return network


@cache
def forward_of_frames(scale):
    model = ModelConfig(backbone_options=UNET, channels=3, input_scale=scale, sigma_px=3.0)
    network = stand_in(draw_centroids, model, "centroids", 1)
    return Forward(network, CentroidHead(model, SKELETON), model, "gaussian")


@cache
def forward_of_windows(scale):
    model = ModelConfig(
        backbone_options=UNET, channels=3, input_scale=scale, sigma_px=3.0, crop_px=32
    )
    network = stand_in(draw_centred, model, "confmaps", len(SKELETON))
    return Forward(network, CenteredInstanceHead(model, SKELETON), model, "gaussian")


def detector(truth, *, scale=0.5, crop_scale=1.0, offset=(0.0, 0.0), heights=(), **predict):
    SCENE.truth, SCENE.offset, SCENE.heights = truth, offset, tuple(heights)
    forwards = {
        "centroid": forward_of_frames(scale), "centered_instance": forward_of_windows(crop_scale)
    }  # fmt: skip
    return TopDownDetector(forwards, PredictConfig(**predict))


def detect(truth, **options):
    found = detector(truth, **options)
    return found.finish(found.start(ramp_frames(len(truth))))


def assert_same_animals(points, truth, atol=1e-2):
    """Compare the instances of a frame in any order; NaN rows fill up."""
    points = points[np.isfinite(points).all(axis=(1, 2))]
    assert len(points) == len(truth)
    for animal in truth:
        assert np.abs(points - animal).max(axis=(1, 2)).min() < atol


PLACES = [(20.3, 30.7), (62.5, 40.1), (95.8, 88.2)]


@pytest.mark.parametrize(("scale", "crop_scale"), [(0.25, 1.0), (0.5, 0.5), (1.0, 1.0)])
def test_points_of_several_animals_in_several_frames_are_exact(scale, crop_scale):
    truth = [animals(*PLACES), animals(*PLACES[:2], seed=1), animals(PLACES[2], seed=2)]
    found = detect(truth, scale=scale, crop_scale=crop_scale)
    assert found.points.shape == (3, 3, 3, 2)
    for points, expected in zip(found.points, truth, strict=True):
        assert_same_animals(points, expected)
    assert np.nanmin(found.point_scores) > 0.6  # a peak between four cells of an ideal map


@pytest.mark.parametrize("crop_scale", [0.5, 1.0])
def test_animals_at_the_border_are_exact(crop_scale):
    corners = [(6.5, 2.2), (113.0, 1.4), (7.1, 109.6), (112.6, 109.3)]
    truth = [np.clip(animals(*corners), 0, (WIDTH - 1, HEIGHT - 1))]
    found = detect(truth, crop_scale=crop_scale)
    assert_same_animals(found.points[0], truth[0])


def test_error_of_the_centroid_does_not_move_the_points():
    truth = [animals(*PLACES)]
    exact, moved = detect(truth), detect(truth, offset=(1.37, -1.81))
    np.testing.assert_allclose(np.sort(moved.points, 1), np.sort(exact.points, 1), atol=1e-2)


def test_frames_together_give_what_each_gives_alone():
    truth = [animals(*PLACES, seed=seed) for seed in range(5)]
    whole = detect(truth)
    one = detector(truth)
    for number, frame in enumerate(ramp_frames(5)):
        alone = one.finish(one.start(frame[None]))
        np.testing.assert_allclose(alone.points[0], whole.points[number], atol=1e-4)


def test_many_windows_are_looked_at_in_several_steps():
    truth = [animals(*PLACES, seed=seed) for seed in range(3)]
    several = detector(truth)
    several.max_windows = 4
    found = several.finish(several.start(ramp_frames(3)))
    np.testing.assert_allclose(found.points, detect(truth).points, atol=1e-4)


def test_free_slots_of_the_centroid_network_stay_empty_on_the_way_to_the_frame():
    detector([animals(PLACES[0])])
    points, _ = forward_of_frames(0.5).points(ramp_frames(1))
    assert np.isfinite(points[0, 0]).all()
    assert np.isnan(points[0, 1:]).all()


def test_no_animal_gives_no_instance():
    nothing = np.zeros((0, 3, 2))
    found = detect([nothing, nothing])
    assert found.points.shape == (2, 0, 3, 2)
    found = detect([nothing, animals(PLACES[0])])
    assert np.isnan(found.points[0]).all()
    assert_same_animals(found.points[1], animals(PLACES[0]))


def test_fifty_centroids_are_limited_to_the_best():
    grid = [(x, y) for x in range(8, 112, 11) for y in range(14, 110, 20)]
    assert len(grid) == 50
    truth = [animals(*grid)]
    heights = [0.5] * 47 + [1.0] * 3
    assert detect(truth, scale=1.0, heights=heights).points.shape == (1, 50, 3, 2)
    found = detect(truth, scale=1.0, heights=heights, max_instances=3)
    assert found.points.shape == (1, 3, 3, 2)
    assert_same_animals(found.points[0], truth[0][-3:])
    assert (np.diff(found.scores[0]) <= 0).all()


def crowd():
    """A hundred animals, more than there are slots for at first."""
    grid = [(x, y) for x in range(7, 117, 11) for y in range(5, 110, 11)]
    assert len(grid) == 100 > MAX_CENTROIDS
    return animals(*grid)


def test_slots_for_animals_grow_with_the_crowd():
    truth = [crowd(), animals(*PLACES), np.zeros((0, 3, 2))]
    working = detector(truth, scale=1.0)
    for _ in range(2):  # the second time they are there from the start
        found = working.finish(working.start(ramp_frames(3)))
        assert_same_animals(found.points[0], truth[0])
        assert_same_animals(found.points[1], truth[1])
        assert np.isnan(found.points[2]).all()
        assert not found.crowded.any()


def test_a_crowd_beyond_all_slots_is_told(monkeypatch):
    monkeypatch.setattr(topdown, "MOST_PLACES", MAX_CENTROIDS)
    found = detect([crowd(), animals(*PLACES)], scale=1.0)
    assert found.crowded.tolist() == [True, False]
    assert found.points.shape[1] == MAX_CENTROIDS


def test_an_animal_half_outside_is_one_animal_without_the_points_that_are_not_there():
    truth = [animals((118.0, 50.0), (40.0, 60.0))]
    truth[0][0, 2] = np.nan  # its tail is outside of the frame
    found = detect(truth)
    poses = poses_from_detections(SKELETON, 0, [4], found, 0.2)
    assert len(poses) == 2
    order = np.argsort(-poses.xy[:, 0, 0])
    np.testing.assert_allclose(poses.xy[order], truth[0], atol=1e-3)


def test_frames_smaller_than_the_slots():
    SCENE.truth, SCENE.offset, SCENE.heights = [animals((20.0, 20.0))], (0.0, 0.0), ()
    points, scores = forward_of_frames(0.25).points(ramp_frames(1)[:, :40, :40])
    assert points.shape == (1, MAX_CENTROIDS, 1, 2)
    np.testing.assert_allclose(points[0, 0, 0], locate_anchors(SCENE.truth[0], None)[0], atol=1e-3)
    assert (np.asarray(scores)[0, 1:] == 0).all()


def test_centroids_below_the_threshold_are_not_looked_at():
    truth = [animals(*PLACES)]
    found = detect(truth, heights=[0.9, 0.3, 0.9], peak_threshold=0.5)
    assert_same_animals(found.points[0], truth[0][[0, 2]])


def test_an_animal_found_twice_counts_once():
    xy = animals((20, 20), (60, 60))
    again = np.stack([xy[0], xy[1], xy[0] + 0.8, xy[1] + [8.0, 0.0]])
    np.testing.assert_array_equal(suppress_duplicates(again), [True, True, False, True])


def test_a_part_of_an_animal_is_no_second_animal():
    xy = animals((20, 20))
    part = xy.copy()
    part[0, 2] = np.nan
    assert suppress_duplicates(np.concatenate([xy, part])).tolist() == [True, False]
    assert suppress_duplicates(np.concatenate([part, xy])).tolist() == [True, False]


def test_an_animal_that_is_hidden_in_part_has_its_own_points():
    """Its nose on that of the better one, or one point of three near one of that."""
    whole = animals((20, 20))
    touching = whole.copy()
    touching[0, 1:] = np.nan
    beside = whole + np.array([7.0, 0.0])  # more than half an animal off
    beside[0, 2] = np.nan
    near = whole + np.array([[0.5, 0.0], [-8.0, 6.0], [-14.0, 9.0]])
    for other in (touching, beside, near):
        for pair in ([whole, other], [other, whole]):
            assert suppress_duplicates(np.concatenate(pair)).tolist() == [True, True]


def test_single_points_of_one_place_are_one_animal():
    single = np.array([[[20.0, 20.0]], [[20.1, 20.0]], [[40.0, 20.0]]])  # a skeleton of one node
    assert suppress_duplicates(single).tolist() == [True, False, True]
    lone = np.full((2, 3, 2), np.nan)
    lone[:, 1] = [[20.0, 20.0], [20.1, 20.0]]
    assert suppress_duplicates(lone).tolist() == [True, False]
    lone[0, 1], lone[0, 2] = np.nan, [20.0, 20.0]  # another point of the animal
    assert suppress_duplicates(lone).tolist() == [True, True]
    assert suppress_duplicates(np.full((2, 3, 2), np.nan)).tolist() == [True, True]


@pytest.mark.parametrize("limit", [1, 5, 24])
def test_steps_hold_all_windows_in_few_sizes(limit):
    for total in range(70):
        steps = list(split_counts(total, limit))
        assert sum(count for count, _ in steps) == total
        for count, size in steps:
            assert count <= size <= limit
            assert size < 1.5 * count
            assert size in (1, 2, 3, 4, 6, 8, 12, 16, 24)


def test_time_that_is_left_is_divided_among_the_heads_to_come():
    pipeline = Pipeline(("a", "b", "c"), "", "", (0.5, 0.2, 0.3))
    assert [pipeline.share_of_rest(head) for head in "abc"] == pytest.approx([0.5, 0.4, 1.0])
    equal = Pipeline(("a", "b"), "", "")
    assert [equal.share_of_rest(head) for head in "ab"] == [0.5, 1.0]


# --------------------------------------------------------------------------- the parts
@pytest.mark.parametrize("xp", [np, keras.ops])
def test_anchor_is_the_node_or_the_middle_of_the_box(xp):
    xy = np.array([[[0, 0], [4, 10], [2, 2]], [[np.nan, np.nan], [4, 10], [2, 2]]], np.float32)
    nothing = np.full((1, 3, 2), np.nan, np.float32)
    xy = np.concatenate([xy, nothing])
    middles, anchors = locate_anchors(xy, None, xp), locate_anchors(xy, 0, xp)
    np.testing.assert_array_equal(middles, [[2, 5], [3, 6], [np.nan, np.nan]])
    np.testing.assert_array_equal(anchors, [[0, 0], [3, 6], [np.nan, np.nan]])


def test_windows_are_those_of_a_warp_of_the_whole_frame():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, 30, 40, 1)).astype(np.uint8)
    numbers = np.array([0, 1, 1, 0], np.int32)
    corners = np.array([[3.25, 4.5], [-5.75, 20.5], [35.1, -3.2], [90.0, 3.0]], np.float32)
    windows = cut_windows(tf.constant(images), tf.constant(numbers), tf.constant(corners), 12)
    shift = affine_matrix(np.zeros((4, 2)), translation=corners).astype(np.float32)
    whole = warp_images(tf.constant(images[numbers].astype(np.float32)), shift, 12, 12)
    np.testing.assert_allclose(windows, whole, atol=1e-3)


def test_centroid_targets_and_decoder_agree():
    model = ModelConfig(backbone_options=UNET, sigma_px=3.0)
    head = CentroidHead(model, SKELETON)
    xy = np.stack([animals(*PLACES), animals(*PLACES, seed=1)]).astype(np.float32)
    xy[1, 2] = np.nan
    points, scores = head.decode(head.targets(tf.constant(xy), HEIGHT, WIDTH), "gaussian")
    for found, value, truth in zip(np.asarray(points), np.asarray(scores), xy, strict=True):
        places = locate_anchors(truth, None)
        places = places[np.isfinite(places[:, 0])]
        assert (value[: len(places)] > 0.5).all()
        assert (value[len(places) :] == 0).all()
        for place in places:
            assert np.linalg.norm(found[: len(places), 0] - place, axis=-1).min() < 1e-3


def test_centred_head_needs_a_crop_and_a_known_anchor():
    with pytest.raises(ConfigError, match="crop_px"):
        CenteredInstanceHead(ModelConfig(), SKELETON)
    with pytest.raises(DataError, match="thorax"):
        CentroidHead(ModelConfig(anchor="thorax"), SKELETON)


def test_crop_is_rounded_up_to_the_backbone():
    assert crop_side(ModelConfig(crop_px=33, backbone_options=UNET)) == 36


# ------------------------------------------------------------------ what is learned from
def training_data(name, model, xy, **train):
    video = open_video(ramp_frames(len(xy)))
    frame = np.repeat(np.arange(len(xy)), [len(animals) for animals in xy])
    labels = Poses.from_arrays(SKELETON, video=0, frame=frame, xy=np.concatenate(xy))
    split = {"train": [(0, 0)], "validation": [(0, i) for i in range(1, len(xy))]}
    config = RunConfig(
        pipeline="topdown", networks={name: model}, train=TrainConfig(batch_size=2, **train)
    )
    return prepare([video], labels, split, config, name, 12.0, lambda e: None, lambda: 0)


def test_centred_network_learns_one_animal_in_each_window():
    xy = [animals(*PLACES), animals(*PLACES, seed=1)]
    model = ModelConfig(
        backbone_options=UNET, channels=3, input_scale=0.5, crop_px=24, anchor="tail"
    )
    data = training_data("centered_instance", model, xy)
    assert data.window == (24, 24)
    assert data.background_fraction == 0
    assert data.jitter_px < 1
    for example, animal in zip(data.train, xy[0], strict=True):
        np.testing.assert_allclose(example.xy[0], scale_points(animal, 0.5), atol=1e-4)
        np.testing.assert_allclose(example.centre, example.xy[0, 2])
    plain = BatchSampler(
        data.store, data.train, data.window, AugmentConfig(), np.arange(3), 3, 0
    ).identity_batch([0, 1, 2])
    assert plain.xy.shape == (3, 1, 3, 2)
    np.testing.assert_allclose(plain.xy[:, 0, 2], 11.5, atol=1e-4)


def test_centred_network_is_validated_on_windows_around_the_truth():
    xy = [animals(*PLACES), animals(*PLACES, seed=1)]
    model = ModelConfig(backbone_options=UNET, channels=3, crop_px=24)
    data = training_data("centered_instance", model, xy)
    assert len(data.validation) == 3
    for example, animal in zip(data.validation, xy[1], strict=True):
        window = data.store[example.frame].astype(float)
        assert window.shape == (24, 24, 3)
        corner = window[12, 12, :2] / SLOPE - 12  # to a rounded gray value
        np.testing.assert_allclose(example.xy[0] + corner, animal, atol=0.3)
        np.testing.assert_allclose(locate_anchors(example.xy, None)[0], 11.5, atol=1e-4)


def test_centroid_network_learns_all_animals_and_is_validated_on_their_places():
    xy = [animals(*PLACES), animals(*PLACES[:2], seed=1)]
    model = ModelConfig(backbone_options=UNET, channels=3, input_scale=0.5, crop_px=24)
    data = training_data("centroid", model, xy)
    assert data.window == (24, 24)
    assert data.background_fraction > 0
    assert [example.xy.shape for example in data.train] == [(3, 3, 2)] * 3
    (example,) = data.validation
    expected = scale_points(locate_anchors(xy[1], None), 0.5)[:, None]
    np.testing.assert_allclose(example.xy, expected, atol=1e-4)
    assert data.store.shape(example.frame) == (HEIGHT // 2, WIDTH // 2, 3)


def test_networks_of_a_run_have_one_anchor():
    model = ModelConfig()
    with pytest.raises(ConfigError, match="anchor"):
        RunConfig(networks={"centroid": model, "centered_instance": model.replace(anchor="head")})
