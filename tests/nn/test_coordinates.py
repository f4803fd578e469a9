"""DESIGN, section 5: with ideal maps in place of the network, points come back exactly."""

import keras
import numpy as np
import pytest

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.geometry import pad_to_multiple, scale_points
from napari_animalpose.nn.heads import HEADS
from napari_animalpose.nn.models.forward import Forward
from napari_animalpose.nn.targets import confidence_maps

SKELETON = Skeleton(("a", "b", "c"))
FRAMES = [(120, 160), (133, 171)]  # height, width; the second is a multiple of nothing
CASES = [
    (FRAMES[(i + j) % 2], scale, stride)
    for i, scale in enumerate([1.0, 0.75, 0.5, 0.25])
    for j, stride in enumerate([1, 2, 4, 8])
    if (i + j) % 4 < 2 or stride == 8
]
WHOLE_TURN_PX = 1e-3  # of the frame, whatever the scale and the stride; usual are 2e-5


class IdealNetwork:
    """Answers with the confidence maps of known points in px of the network input."""

    def __init__(self, xy, size, stride, sigma):
        self.xy, self.size, self.stride, self.sigma = xy, size, stride, sigma
        self.seen = None

    def __call__(self, x, training):
        assert not training
        self.seen = x
        xy = keras.ops.convert_to_tensor(self.xy, "float32")
        maps = confidence_maps(xy, *self.size, self.stride, self.sigma, xp=keras.ops)
        return {"confmaps": maps}


def draw_points(size, rng, margin, count=4):
    """Points (count, 1, 3, 2) in px of the frame, so far from its outermost pixels."""
    return rng.uniform(margin, np.array(size)[::-1] - 1 - margin, (count, 1, 3, 2))


def build(size, scale, stride, xy):
    """Forward with the ideal network for points in px of frames of a size."""
    model = ModelConfig(
        backbone_options={"down_blocks": 4},
        input_scale=scale,
        output_stride=stride,
        sigma_px=1.5 * stride,
    )
    scaled = [int(np.ceil(side * scale - 1e-6)) for side in size]
    padded = pad_to_multiple(scaled, 16)
    network = IdealNetwork(scale_points(xy, scale), padded, stride, model.sigma_px)
    head = HEADS.get("single_instance")(model, SKELETON)
    return Forward(network, head, model, "gaussian"), network, padded


@pytest.mark.parametrize(("size", "scale", "stride"), CASES)
def test_points_come_back_from_ideal_maps(size, scale, stride):
    xy = draw_points(size, np.random.default_rng(0), margin=-0.4)
    forward, network, padded = build(size, scale, stride, xy)
    found, scores = forward.points(np.zeros((4, *size, 1), np.uint8))
    assert network.seen.shape[-1] == 1
    assert found.shape == (4, 1, 3, 2)
    np.testing.assert_allclose(found, xy, atol=WHOLE_TURN_PX)
    assert (np.asarray(scores) > 0.85).all()  # a cell is at most half a diagonal away
    inputs = forward.prepare(np.zeros((4, *size, 1), np.uint8))
    assert pad_to_multiple(inputs.shape[1:3], 16) == padded


def test_points_of_prepared_frames_are_those_of_the_frames():
    xy = draw_points(FRAMES[1], np.random.default_rng(0), margin=10)
    forward, _, _ = build(FRAMES[1], 0.5, 2, xy)
    frames = np.zeros((4, *FRAMES[1], 1), np.uint8)
    found = forward.points_of_inputs(forward.prepare(frames))[0]
    np.testing.assert_allclose(found, forward.points(frames)[0], atol=1e-5)


@pytest.mark.parametrize(("size", "scale", "stride"), CASES[1::2])
def test_the_mapping_itself_is_exact(size, scale, stride):
    """Points on cells of the map need no fit: what remains is the arithmetic."""
    rng = np.random.default_rng(0)
    low, high = np.array([1, 1]), np.floor(np.array(size)[::-1] * scale / stride) - 1
    cells = np.floor(rng.uniform(low, np.maximum(high, low + 1), (4, 1, 3, 2)))
    xy = scale_points(cells * stride, 1 / scale)
    forward, _, _ = build(size, scale, stride, xy)
    found, scores = forward.points(np.zeros((4, *size, 1), np.uint8))
    np.testing.assert_allclose(found, xy, atol=1e-3)
    np.testing.assert_allclose(scores, 1, atol=1e-5)


def test_targets_and_frames_agree():
    """What the network learns at a place is drawn where the pixels of that place are."""
    rng = np.random.default_rng(0)
    size, scale, stride = (133, 171), 0.5, 2
    xy = draw_points(size, rng, margin=20, count=1)
    forward, network, _ = build(size, scale, stride, xy)
    y, x = np.mgrid[: size[0], : size[1]]
    for node in range(3):
        px, py = xy[0, 0, node]
        dot = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 6.0**2))
        frame = np.round(255 * dot).astype(np.uint8)[None, ..., None]
        picture = forward.prepare(frame)[0, ..., 0].astype(float)
        target = np.asarray(network(None, training=False)["confmaps"])[0, ..., node]
        for image, spacing in ((picture, 1), (target, stride)):
            rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] * float(spacing)
            centre = [(image * columns).sum() / image.sum(), (image * rows).sum() / image.sum()]
            np.testing.assert_allclose(centre, scale_points(xy[0, 0, node], scale), atol=0.05)


def test_peaks_in_the_padding_come_back_at_the_border_of_the_frame():
    size = (120, 150)
    xy = np.full((1, 1, 3, 2), 158.0)
    xy[..., 1] = 60.0
    forward, _, padded = build(size, 1.0, 2, xy)
    assert padded == (128, 160)
    found, _ = forward.points(np.zeros((1, *size, 1), np.uint8))
    np.testing.assert_allclose(found, np.broadcast_to([149.5, 60.0], xy.shape), atol=1e-4)


def test_frames_of_another_size_or_with_colours_after_the_first_ones():
    size = (120, 160)
    xy = draw_points(size, np.random.default_rng(0), margin=10)
    forward, _, _ = build(size, 0.5, 2, xy)
    for channels in (1, 3, 1, 3):
        found, _ = forward.points(np.zeros((4, *size, channels), np.uint8))
        np.testing.assert_allclose(found, xy, atol=WHOLE_TURN_PX)
    for shape in ((1, 40, 50, 3), (2, 60, 50, 1), (3, 60, 70, 3)):
        assert forward.prepare(np.zeros(shape, np.uint8)).shape == (
            shape[0], shape[1] // 2, shape[2] // 2, 1,
        )  # fmt: skip
