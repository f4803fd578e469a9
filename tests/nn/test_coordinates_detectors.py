"""DESIGN, section 5, through whole pipelines: ideal maps in place of every network.

The frames are ramps: colour 0 holds x, colour 1 holds y and colour 2 the number of the
frame. The stand-in for a network that looks at windows reads off each window where it lies
(between pixels, too) and draws the maps of the animal of that frame, so that crop, resize,
padding, strides and the way back are all passed through by pixels and by points.

Bound: 1e-3 px of the frame. Where a point lies outside of the frame it comes back on the
frame's outer edge, at -0.5 or W - 0.5: the error is its distance from the frame, exactly.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from napari_animalpose.config import ModelConfig, PredictConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.geometry import scale_points
from napari_animalpose.nn.heads import HEADS, PIPELINES
from napari_animalpose.nn.models.forward import Forward
from napari_animalpose.nn.models.heads.centroid import locate_anchors
from napari_animalpose.nn.targets import confidence_maps

SKELETON = Skeleton(("head", "middle", "tail"), ((0, 1), (1, 2)))
SIZES = ((112, 120), (101, 117))  # height, width; the second is a multiple of nothing
SLOPE = 2  # gray values a pixel: whole numbers after averaging 2 or 4 pixels, too
BOUND_PX = 1e-3
SCALES, STRIDES = (1.0, 0.5, 0.25), (1, 2, 4, 8)
FAST = {(1.0, 4), (0.5, 2), (0.25, 1), (0.25, 8)}
COMBINATIONS = [
    pytest.param(*pair, marks=() if pair in FAST else pytest.mark.slow)
    for pair in itertools.product(SCALES, STRIDES)
]


def ramp_frames(count, size):
    frames = np.zeros((count, *size, 3), np.uint8)
    frames[..., 0] = SLOPE * np.arange(size[1])
    frames[..., 1] = SLOPE * np.arange(size[0])[:, None]
    frames[..., 2] = 8 * np.arange(count)[:, None, None]
    return frames


def draw_animals(size, seed=0):
    """One animal a frame, (B, 1, 3, 2): anywhere, and with points on the border."""
    rng = np.random.default_rng(seed)
    height, width = size
    shape = np.array([[-31.0, 6.0], [0.0, -5.0], [33.0, 8.0]])
    places = np.array([[52.3, 47.9], [36.7, 60.2], [70.1, 33.4], [61.8, 66.6]])
    xy = places[:, None] + shape * rng.choice([-1, 1], (4, 1, 2)) + rng.uniform(-1, 1, (4, 3, 2))
    at_the_border = np.array([[-0.4, 0.2], [width / 2 + 0.3, -0.45], [width - 0.6, height - 0.7]])
    return np.concatenate([xy, at_the_border[None]])[:, None]


class Stage:
    """The animals (B, I, K, 2) of the frames of the moment, for networks traced before."""

    def __init__(self):
        self.truth = np.zeros((0, 1, 3, 2))


def stand_in(stage, draw, channels):
    """A network that runs `draw(stage, images)` on arrays from inside a graph."""

    def network(x, training):
        assert not training
        names = list(channels)
        drawn = tf.py_function(
            lambda x: draw(stage.truth, x.numpy()), [x], [tf.float32] * len(names)
        )
        for maps, name in zip(drawn, names, strict=True):
            maps.set_shape((None, None, None, channels[name]))
        return dict(zip(names, drawn, strict=True))

    return network


def draw_frames(head, model):
    """Ideal maps of whole frames, by the head's own targets."""

    def draw(truth, x):
        numbers = np.rint(x[:, 0, 0, 2] * 255 / 8).astype(int)
        xy = scale_points(truth[numbers], model.input_scale).astype(np.float32)
        targets = head.targets(tf.constant(xy), *x.shape[1:3])
        return [targets[name] for name in head.n_outputs]

    return draw


def find_corner(window, scale):
    """Where pixel (0, 0) of a window of a ramp lies, (x, y) in px of the scaled frame."""
    # The last pixels of a frame continue it where its sides do not come out even.
    middle = np.array([112.0, 104.0])
    away = np.abs(window[..., :2] - middle).max(axis=-1)
    y, x = np.unravel_index(away.argmin(), away.shape)
    return scale_points(window[y, x, :2] / SLOPE, scale) - [x, y], window[y, x, 2]


def draw_windows(model):
    """Ideal maps of windows, which lie where their pixels say."""

    def draw(truth, x):
        maps = []
        for window in x.astype(np.float64) * 255:
            corner, number = find_corner(window, model.input_scale)
            xy = scale_points(truth[int(np.rint(number / 8))], model.input_scale) - corner
            maps.append(confidence_maps(xy, *x.shape[1:3], model.output_stride, model.sigma_px))
        return [np.stack(maps).astype(np.float32)]

    return draw


def model_for(name, scale, stride):
    """A model whose bumps are 1.5 cells wide; crops hold a whole animal at every scale."""
    return ModelConfig(
        backbone_options={"down_blocks": 3},
        channels=3,
        input_scale=scale,
        output_stride=stride,
        sigma_px=1.5 * stride,
        crop_px=int(128 * scale) if name == "centered_instance" else 0,
        paf_half_width_px=max(6.0 * scale, float(stride)),
        max_edge_px=60.0 * scale,
    )


def build_detector(pipeline, stage, scales, strides):
    forwards = {}
    for name, scale, stride in zip(PIPELINES.get(pipeline).heads, scales, strides, strict=True):
        model = model_for(name, scale, stride)
        head = HEADS.get(name)(model, SKELETON)
        closer = name == "centered_instance"
        draw = draw_windows(model) if closer else draw_frames(head, model)
        network = stand_in(stage, draw, head.n_outputs)
        forwards[name] = Forward(network, head, model, "gaussian")
    return PIPELINES.get(pipeline).load_detector()(forwards, PredictConfig())


def find_points(detector, stage, truth, size):
    """The one instance that is found in each frame, (B, K, 2)."""
    stage.truth = truth
    frames = ramp_frames(len(truth), size)
    found = detector.finish(detector.start(frames))
    assert found.points.shape[:2] == truth.shape[:2]
    return found.points[:, 0]


@pytest.mark.parametrize(("scale", "stride"), COMBINATIONS)
@pytest.mark.parametrize("pipeline", ["single", "bottomup"])
def test_one_network_on_whole_frames(pipeline, scale, stride):
    stage = Stage()
    detector = build_detector(pipeline, stage, [scale], [stride])
    for size in SIZES:
        truth = draw_animals(size)
        found = find_points(detector, stage, truth, size)
        np.testing.assert_allclose(found, truth[:, 0], atol=BOUND_PX)


@pytest.mark.parametrize(("scale", "stride"), COMBINATIONS)
def test_windows_around_fractional_centres(scale, stride):
    """The centroid network looks at half the scale and with another stride."""
    stage = Stage()
    strides = [STRIDES[(STRIDES.index(stride) + 1) % 4], stride]
    detector = build_detector("topdown", stage, [max(scale / 2, 0.25), scale], strides)
    for size in SIZES:
        truth = draw_animals(size)
        found = find_points(detector, stage, truth, size)
        np.testing.assert_allclose(found, truth[:, 0], atol=BOUND_PX)
        centres = detector.find_places(ramp_frames(len(truth), size)).centre
        np.testing.assert_allclose(centres, locate_anchors(truth[:, 0], None), atol=BOUND_PX)


@pytest.mark.parametrize("pipeline", ["single", "topdown", "bottomup"])
def test_points_outside_of_the_frame_come_back_on_its_edge(pipeline):
    """Beyond the padding, in it, and beyond the frame but still in its last scaled pixel."""
    stage, (height, width) = Stage(), SIZES[1]
    n_heads = len(PIPELINES.get(pipeline).heads)
    detector = build_detector(pipeline, stage, [0.25] * n_heads, [1] * n_heads)
    truth = np.array(
        [
            [[80.0, 60.0], [100.0, 70.0], [width + 0.9, 80.0]],
            [[80.0, 60.0], [70.0, 80.0], [60.0, height + 1.7]],
            [[40.0, 60.0], [20.0, 50.0], [-1.5, 40.0]],
        ]
    )[:, None]
    expected = np.clip(truth[:, 0], -0.5, [width - 0.5, height - 0.5])
    found = find_points(detector, stage, truth, SIZES[1])
    np.testing.assert_allclose(found, expected, atol=BOUND_PX)
    shift = np.abs(found - truth[:, 0]).max(axis=(1, 2))
    np.testing.assert_allclose(shift, [1.4, 2.2, 1.0], atol=BOUND_PX)


@pytest.mark.parametrize("pipeline", ["single", "topdown", "bottomup"])
def test_integral_refinement_is_within_the_window_that_it_averages(pipeline):
    """Not exact, by construction: at most half a cell off, and never outside of the frame."""
    stage, size = Stage(), SIZES[1]
    n_heads = len(PIPELINES.get(pipeline).heads)
    detector = build_detector(pipeline, stage, [0.5] * n_heads, [2] * n_heads)
    for part in vars(detector).values():
        if isinstance(part, Forward):
            part.refinement = "integral"  # before anything is traced
    truth = draw_animals(size)[:4]
    found = find_points(detector, stage, truth, size)
    off = np.abs(found - truth[:, 0]).max()
    assert BOUND_PX < off < 2.0  # half a cell of 2 px at scale 0.5
