"""Networks that tell animals apart: targets, losses, ideal maps, a small training of each."""

import math
from types import SimpleNamespace

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
from napari_animalpose.errors import ConfigError
from napari_animalpose.io.video import open_video
from napari_animalpose.jobs import Metric, StopRequest, ignore_event, never_stop
from napari_animalpose.nn import training
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.class_targets import class_maps
from napari_animalpose.nn.dataset import BatchSampler
from napari_animalpose.nn.geometry import pad_to_multiple, scale_points
from napari_animalpose.nn.heads import CENTRED_HEADS, HEADS, PIPELINES
from napari_animalpose.nn.inference import Predictor, poses_from_detections
from napari_animalpose.nn.models.blocks import FocusedPooling
from napari_animalpose.nn.models.detectors.bottomup_id import BottomUpIdDetector
from napari_animalpose.nn.models.detectors.topdown import TopDownDetector
from napari_animalpose.nn.models.forward import Forward
from napari_animalpose.nn.models.heads.centered_instance_id import CenteredInstanceIdHead
from napari_animalpose.nn.models.heads.multi_instance_id import MultiInstanceIdHead
from napari_animalpose.nn.models.losses import class_cross_entropy
from napari_animalpose.nn.models.network import build_head_network, build_network
from napari_animalpose.nn.models.preparation import prepare
from napari_animalpose.nn.targets import confidence_maps
from napari_animalpose.nn.training import Trainer
from napari_animalpose.nn.windows import examples_around_animals

SKELETON = Skeleton(("head", "body", "tail"), ((1, 0), (1, 2)))
BODY = np.array([[14, 0], [0, 0], [-15, 4]], float)
CLASSES = ("ann", "bob", "eve")
SMALL = {"filters": 8, "down_blocks": 2, "convs_per_block": 1}


def animals(*places):
    """Animals (I, 3, 2) at (x, y)."""
    return np.array(places, float)[:, None] + BODY


# ------------------------------------------------------------------------------- targets
def test_class_maps_say_whose_point_is_near_and_count_only_there():
    xy = animals((30, 30), (90, 50))
    shares, weights = class_maps(xy, np.array([1, 0]), 3, 80, 120, 2, 3.0)
    maps = confidence_maps(xy, 80, 120, 2, 3.0)
    np.testing.assert_allclose(weights, maps.max(axis=-1), atol=1e-7)
    for animal, number in zip(xy, (1, 0), strict=True):
        for x, y in np.rint(animal / 2).astype(int):
            np.testing.assert_allclose(shares[y, x], np.eye(3)[number], atol=1e-6)
    near = weights > 1e-6
    np.testing.assert_allclose(shares[near].sum(axis=-1), 1.0, atol=1e-6)


def test_where_two_animals_meet_each_has_its_share():
    xy = np.array([[[20.0, 20.0]], [[26.0, 20.0]]])
    shares, weights = class_maps(xy, np.array([0, 1]), 2, 40, 48, 1, 4.0)
    np.testing.assert_allclose(shares[20, 23], [0.5, 0.5], atol=1e-6)
    bumps = np.exp(-0.5 * np.array([2.0, 4.0]) ** 2 / 16)
    np.testing.assert_allclose(shares[20, 22], bumps / bumps.sum(), rtol=1e-6)
    assert weights[20, 22] == pytest.approx(bumps[0])


def test_an_animal_without_a_name_counts_nowhere():
    xy = animals((30, 30), (90, 50))
    shares, weights = class_maps(xy, np.array([-1, 2]), 3, 80, 120, 2, 3.0)
    _, alone = class_maps(xy[1:], np.array([2]), 3, 80, 120, 2, 3.0)
    np.testing.assert_allclose(weights, alone, atol=1e-4)
    x, y = np.rint(xy[0, 1] / 2).astype(int)
    assert weights[y, x] < 1e-6
    beside = np.array([[[50.0, 40.0]], [[50.0, 40.0]]])
    assert class_maps(beside, np.array([-1, 0]), 2, 80, 100, 2, 3.0)[1].max() < 0.3
    assert np.isfinite(shares).all()


def test_without_animals_there_is_nothing_to_learn():
    shares, weights = class_maps(np.full((1, 3, 2), np.nan), np.array([-1]), 2, 32, 32, 2, 3.0)
    assert not shares.any()
    assert not weights.any()


def test_targets_on_the_device_are_those_of_numpy():
    xy = np.stack([animals((30, 30), (50, 50)), animals((20, 40), (90, 50))]).astype(np.float32)
    xy[1, 1] = np.nan
    classes = np.array([[2, 0], [1, -1]], np.int32)
    model = ModelConfig(classes=CLASSES, sigma_px=3.0, output_stride=2)
    found = MultiInstanceIdHead(model, SKELETON).targets(tf.constant(xy), 80, 120, classes)
    shares, weights = class_maps(xy, classes, 3, 80, 120, 2, 3.0)
    np.testing.assert_allclose(found["classmaps"], shares, atol=1e-5)
    np.testing.assert_allclose(found["class_weights"], weights, atol=1e-5)


# -------------------------------------------------------------------------------- losses
def test_cross_entropy_is_the_closed_form_and_does_not_overflow():
    target = np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 0.0]], np.float32)
    logits = np.array([[2.0, 0.0], [0.0, 0.0], [500.0, -500.0]], np.float32)
    expected = (math.log(1 + math.exp(-2)) + 3 * math.log(2)) / 4
    weight = np.array([1.0, 3.0, 0.0], np.float32)
    assert float(class_cross_entropy(target, logits, weight)) == pytest.approx(expected, rel=1e-5)
    assert float(class_cross_entropy(target, logits, 0 * weight)) == 0.0
    surely_wrong = class_cross_entropy(target[:1], -500 * target[:1], weight[:1])
    assert float(surely_wrong) == pytest.approx(500, rel=1e-4)


@pytest.mark.parametrize("name", ["centered_instance_id", "multi_instance_id"])
def test_an_animal_of_unknown_identity_does_not_move_the_classes(name):
    model = ModelConfig(classes=CLASSES, crop_px=64, sigma_px=3.0, output_stride=2)
    head = HEADS.get(name)(model, SKELETON)
    xy = tf.constant(np.stack([animals((30, 30)), animals((32, 30))]), tf.float32)
    gradients = {}
    for classes in ([[1], [-1]], [[-1], [-1]]):
        targets = head.targets(xy, 64, 64, tf.constant(classes, tf.int32))
        shapes = {"confmaps": (2, 32, 32, 3), "classes": (2, 3), "classmaps": (2, 32, 32, 3)}
        output = (set(head.n_outputs) | set(head.n_vectors)) - {"confmaps"}
        outputs = {key: tf.zeros(shapes[key]) for key in ("confmaps", *output)}
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            loss = head.loss(targets, outputs, 20.0)
        (gradient,) = (tape.gradient(loss, outputs)[key] for key in output)
        gradients[classes[0][0]] = np.abs(gradient).reshape(2, -1).sum(axis=1)
    assert gradients[1][0] > 1e-3
    assert gradients[1][1] == 0.0
    assert (gradients[-1] == 0.0).all()


def test_no_known_classes_are_the_same_as_all_unknown():
    xy = tf.constant(animals((30, 30))[None], tf.float32)
    for name in ("centered_instance_id", "multi_instance_id"):
        head = HEADS.get(name)(ModelConfig(classes=CLASSES, crop_px=64), SKELETON)
        unknown = head.targets(xy, 64, 64, tf.constant([[-1]]))
        for key, values in head.targets(xy, 64, 64).items():
            np.testing.assert_array_equal(values, unknown[key])


# ------------------------------------------------------------------------------ networks
def test_pooling_looks_where_the_maps_are_high():
    features = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    maps = np.full((2, 12, 16, 6), -3.0, np.float32)
    maps[0, 4:8, 8:12, 2] = 1.0  # all of cell (1, 2) of the features
    pooled = FocusedPooling()([features, maps])
    assert pooled.shape == (2, 5)
    np.testing.assert_allclose(pooled[0], features[0, 1, 2], atol=0.05)
    np.testing.assert_allclose(pooled[1], features[1].mean(axis=(0, 1)), atol=1e-5)
    weights = np.full((3, 4), FocusedPooling.EVENLY)
    weights[1, 2] += 1.0
    expected = (features[0] * weights[..., None]).sum(axis=(0, 1)) / weights.sum()
    np.testing.assert_allclose(pooled[0], expected, atol=1e-5)


def test_no_gradient_reaches_the_maps_through_the_classes():
    maps, features = tf.random.normal((1, 8, 8, 2)), tf.random.normal((1, 2, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch([maps, features])
        total = tf.reduce_sum(FocusedPooling()([features, maps]))
    of_maps, of_features = tape.gradient(total, [maps, features])
    assert of_maps is None
    assert np.abs(of_features).sum() > 0


@pytest.mark.parametrize("backbone", ["unet", "leap"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vectors_come_beside_the_maps(backbone, precision):
    model = ModelConfig(
        backbone=backbone, backbone_options=SMALL, classes=CLASSES, crop_px=32, class_units=16
    )
    network = build_head_network(CenteredInstanceIdHead(model, SKELETON), model, precision)
    outputs = network(np.zeros((2, 32, 48, 1), np.float32), training=False)
    assert {name: tuple(values.shape) for name, values in outputs.items()} == {
        "confmaps": (2, 16, 24, 3), "classes": (2, 3),
    }  # fmt: skip
    assert all(values.dtype == "float32" for values in outputs.values())


def test_classes_add_to_the_weights_of_a_network_and_change_none():
    """In order and shape: run folders of networks without classes still load."""
    model = ModelConfig(backbone_options=SMALL, classes=CLASSES, crop_px=32, class_units=16)
    plain = build_network(model, {"confmaps": 3})
    identified = build_head_network(CenteredInstanceIdHead(model, SKELETON), model)
    shapes = [[tuple(weight.shape) for weight in n.weights] for n in (plain, identified)]
    deepest = round(8 * 1.5**2 / 8) * 8
    added = [(deepest, 16), (16,), (16, 3), (3,)]
    assert sorted(shapes[1]) == sorted(shapes[0] + added)
    assert [shape for shape in shapes[1] if shape not in added] == [
        shape for shape in shapes[0] if shape not in added
    ]


@pytest.mark.parametrize("name", ["centered_instance_id", "multi_instance_id"])
@pytest.mark.parametrize("classes", [(), ("ann",)])
def test_fewer_than_two_classes_are_refused(name, classes):
    with pytest.raises(ConfigError, match=f"Expected at least two classes.*networks.{name}"):
        HEADS.get(name)(ModelConfig(classes=classes, crop_px=32), SKELETON)


def test_a_centred_network_with_classes_needs_a_crop_size():
    with pytest.raises(ConfigError, match=r"networks\.centered_instance_id\.crop_px"):
        CenteredInstanceIdHead(ModelConfig(classes=CLASSES), SKELETON)


# ---------------------------------------------------------------- ideal maps, bottom-up
class IdealNetwork:
    """Gives the maps of known animals, whatever the image."""

    def __init__(self, head, xy, classes, size):
        targets = head.targets(tf.constant(xy, tf.float32), *size, tf.constant(classes, tf.int32))
        logits = tf.math.log(targets["classmaps"] + 1e-3)
        self.maps = {
            name: tf.Variable(m, shape=(None, None, None, m.shape[-1]))
            for name, m in (("confmaps", targets["confmaps"]), ("classmaps", logits))
        }

    def __call__(self, images, training):
        assert not training
        return {name: variable.value() for name, variable in self.maps.items()}


def find_bottomup(truth, classes, size, scale=1.0, stride=2, **options):
    """What the detector finds of animals (B, I, K, 2) in frames of a size, with their maps."""
    config = PredictConfig(**options)
    model = ModelConfig(
        input_scale=scale, output_stride=stride, sigma_px=1.5 * stride, classes=CLASSES
    )
    head = MultiInstanceIdHead(model, SKELETON)
    shrunk = [math.ceil(side * scale - 1e-6) for side in size]
    padded = pad_to_multiple(shrunk, backbone_options(model).max_stride)
    network = IdealNetwork(head, scale_points(truth, scale), classes, padded)
    forward = Forward(network, head, model, config.refinement)
    detector = BottomUpIdDetector({"multi_instance_id": forward}, config)
    return detector.finish(detector.start(np.zeros((len(truth), *size, 1), np.uint8)))


@pytest.mark.parametrize(("scale", "stride"), [(1.0, 1), (1.0, 2), (1.0, 4), (0.5, 2)])
def test_bottomup_animals_come_back_with_their_names(scale, stride):
    truth = np.stack([animals((40, 35), (90, 60), (150, 40)), animals((60, 70), (95, 20), (0, 0))])
    truth[1, 2] = np.nan
    classes = [[2, 0, 1], [1, 2, -1]]
    found = find_bottomup(truth, classes, (101, 187), scale, stride)
    for frame, numbers in enumerate(classes):
        for animal, number in zip(truth[frame], numbers, strict=True):
            if number >= 0:
                np.testing.assert_allclose(found.points[frame, number], animal, atol=0.1)
                assert found.classes[frame, number] == number
                assert found.class_scores[frame, number] > 0.99
    assert found.classes.tolist() == [[0, 1, 2], [-1, 1, 2]]


def test_bottomup_points_far_apart_need_no_edges_between_them():
    truth = animals((40, 35), (90, 60))[None]
    truth[0, 0, 1] = np.nan  # the middle, to which head and tail are joined
    found = find_bottomup(truth, [[0, 1]], (100, 140))
    np.testing.assert_allclose(found.points[0, 0], truth[0, 0], atol=0.1)
    np.testing.assert_allclose(found.points[0, 1], truth[0, 1], atol=0.1)


def test_bottomup_keeps_the_most_complete_animals():
    truth = animals((40, 35), (90, 60))[None]
    truth[0, 1, 1:] = np.nan
    found = find_bottomup(truth, [[0, 1]], (100, 140), min_points=1, max_instances=1)
    assert found.classes.tolist() == [[0, -1, -1]]
    assert np.isnan(found.points[0, 1]).all()


# ------------------------------------------------------------------ ideal maps, top-down
GRAYS = (60, 120, 180)


def top_down(places, grays, likely=None, **options):
    """Detect squares whose gray says which animal they are, with ideal maps.

    `likely` (C, C) are the probabilities that the network gives for each of `GRAYS`.
    """
    likely = np.eye(3) if likely is None else np.asarray(likely)
    frame = np.zeros((1, 128, 160, 1), np.uint8)
    for (x, y), gray in zip(places, grays, strict=True):
        frame[0, y - 5 : y + 6, x - 5 : x + 6] = gray
    one = Skeleton(("body",))
    wide = ModelConfig(backbone_options=SMALL, sigma_px=3.0)
    close = wide.replace(crop_px=32, classes=CLASSES)
    head = CenteredInstanceIdHead(close, one)

    def see_frame(images, training):
        points = np.array(places, float)[None, :, None]
        maps = confidence_maps(points, *images.shape[1:3], 2, 3.0).astype(np.float32)
        return {"centroids": tf.constant(maps)}

    def see_windows(images, training):
        def draw(x):
            middle = x.shape[1] // 2
            numbers = [
                int(np.argmin(np.abs(window[middle, middle, 0] * 255 - np.array(GRAYS))))
                for window in x.numpy()
            ]
            points = np.full((len(x), 1, 1, 2), middle - 0.5)
            maps = confidence_maps(points, *x.shape[1:3], 2, 3.0)
            logits = np.log(likely[numbers] + 1e-6)
            return maps.astype(np.float32), logits.astype(np.float32)

        maps, logits = tf.py_function(draw, [images], (tf.float32, tf.float32))
        maps.set_shape((None, None, None, 1))
        logits.set_shape((None, 3))
        return {"confmaps": maps, "classes": logits}

    keep = PredictConfig(**options)
    forwards = {
        "centroid": Forward(
            see_frame, HEADS.get("centroid")(wide, one), wide, keep.refinement
        ),
        "centered_instance_id": Forward(see_windows, head, close, keep.refinement),
    }  # fmt: skip
    detector = TopDownDetector(forwards, keep)
    found = detector.finish(detector.start(frame))
    return {
        tuple(np.rint(found.points[0, i, 0]).astype(int).tolist()): (
            int(found.classes[0, i]), float(found.class_scores[0, i])
        )
        for i in range(found.points.shape[1])
    }  # fmt: skip


PLACES = [(40, 40), (100, 40), (70, 90)]


def test_topdown_animals_get_their_names():
    found = top_down(PLACES, (180, 60, 120))
    assert {place: number for place, (number, _) in found.items()} == dict(
        zip(PLACES, (2, 0, 1), strict=True)
    )
    assert min(score for _, score in found.values()) > 0.999


def test_topdown_names_are_given_once_and_the_rest_stay_without():
    likely = [[0.9, 0.07, 0.03], [0.8, 0.15, 0.05], [0, 0, 1]]
    found = top_down(PLACES, (60, 120, 180), likely)
    assert found[PLACES[0]][0] == 0
    assert found[PLACES[1]][0] == -1
    assert math.isnan(found[PLACES[1]][1])
    assert found[PLACES[2]][0] == 2
    found = top_down(PLACES, (60, 120, 180), likely, min_class_probability=0.1)
    assert found[PLACES[1]] == (1, pytest.approx(0.15, abs=1e-4))


# ---------------------------------------------------------------------------- from labels
def test_detections_become_tracks():
    points = np.zeros((2, 2, 3, 2), np.float32)
    points[1, 1] = np.nan
    found = SimpleNamespace(
        points=points, point_scores=np.ones((2, 2, 3), np.float32), scores=np.ones((2, 2)),
        classes=np.array([[2, -1], [0, -1]], np.int32),
        class_scores=np.array([[0.7, np.nan], [0.9, np.nan]], np.float32),
    )  # fmt: skip
    poses = poses_from_detections(SKELETON, 0, [3, 8], found, 0.2, CLASSES)
    assert poses.track_names == CLASSES
    assert poses.track.tolist() == [2, -1, 0]
    np.testing.assert_allclose(poses.track_score, [0.7, np.nan, 0.9], rtol=1e-6)


def test_examples_and_batches_carry_the_classes():
    xy = animals((20, 20), (0, 0), (60, 40))
    xy[1] = np.nan
    examples = examples_around_animals(0, xy, (5.0, 5.0), np.array([2, 1, -1], np.int32))
    assert [example.classes for example in examples] == [(2, -1), (-1, 2)]


def two_dots(n_frames, seed=0):
    """A video of a bright and a dim animal among noise, and its labels with tracks."""
    rng = np.random.default_rng(seed)
    one = Skeleton(("a", "b"), ((0, 1),))
    y, x = np.mgrid[:64, :64]
    frames, points = [], []
    for _ in range(n_frames):
        middle = np.array([[17.0, 32.0], [46.0, 32.0]]) + rng.uniform(-6, 6, (2, 2))
        middle = middle[rng.permutation(2)]
        angle = rng.uniform(0, 2 * np.pi, 2)
        arm = 5 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        xy = np.stack([middle - arm, middle + arm], axis=1)  # (2, 2, 2)
        frame = rng.normal(30, 4, (64, 64))
        for animal, level in zip(xy, (200, 90), strict=True):
            for (px, py), sigma in zip(animal, (3.0, 1.8), strict=True):
                frame += level * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
        frames.append(np.clip(frame, 0, 255).astype(np.uint8)[..., None])
        points.append(xy)
    labels = Poses.from_arrays(
        one, frame=np.repeat(np.arange(n_frames), 2), xy=np.concatenate(points),
        track=np.tile([0, 1], n_frames), track_names=("bright", "dim"),
    )  # fmt: skip
    return open_video(np.stack(frames)), labels


def config_for(name, **train):
    model = ModelConfig(
        backbone_options=SMALL, sigma_px=2.5, output_stride=2, classes=("dim", "bright"),
        crop_px=32 if name in CENTRED_HEADS else 0, class_loss_weight=0.05,
    )  # fmt: skip
    pipeline = next(p for p in PIPELINES if name in PIPELINES.get(p).heads)
    return RunConfig(
        pipeline=pipeline,
        networks={head: model.replace(crop_px=32) for head in PIPELINES.get(pipeline).heads}
        | {name: model},
        augment=AugmentConfig(rotation_deg=180, flip="horizontal", contrast=0.1, brightness=0.02),
        train=TrainConfig(**{
            "epochs": 4, "steps_per_epoch": 30, "learning_rate": 1e-2, "warmup_steps": 10,
            "ema_momentum": 0.9, "precision": "float32", "batch_size": 4, **train,
        }),
    )  # fmt: skip


def data_for(name, config, labels, video):
    frames = sorted(set(labels.frame.tolist()))
    split = {
        "train": [(0, f) for f in frames[: len(frames) * 3 // 4]],
        "validation": [(0, f) for f in frames[len(frames) * 3 // 4 :]],
    }
    return prepare([video], labels, split, config, name, 20.0, ignore_event, never_stop)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["centered_instance_id", "multi_instance_id"])
def test_a_small_network_learns_points_and_names(name):
    video, labels = two_dots(40)
    config = config_for(name)
    data = data_for(name, config, labels, video)
    events = []
    trainer = Trainer(
        config, labels.skeleton, name, data, started=training.time.monotonic(),
        on_event=events.append, should_stop=lambda: StopRequest.NONE, on_best=lambda _: None,
    )  # fmt: skip
    trainer.run()
    last = [e.values for e in events if isinstance(e, Metric) and "val_error_p50" in e.values][-1]
    assert last["val_class_accuracy"] >= 0.95
    assert last["val_error_p50"] < 1.5


def test_the_best_epoch_has_the_right_names_too():
    video, labels = two_dots(8)
    config = config_for("multi_instance_id")
    data = data_for("multi_instance_id", config, labels, video)
    trainer = Trainer(
        config, labels.skeleton, "multi_instance_id", data, started=0.0,
        on_event=ignore_event, should_stop=never_stop, on_best=lambda _: None,
    )  # fmt: skip
    right = {"val_error_px": 2.0, "val_class_accuracy": 1.0}
    wrong = {"val_error_px": 1.0, "val_class_accuracy": 0.5}
    unknown = {"val_error_px": 1.0, "val_class_accuracy": math.nan}
    assert trainer._rate(right) == 2.0
    assert trainer._rate(wrong) == 1.0 + 0.5 * 0.2 * 20.0
    assert trainer._rate(unknown) == 1.0


@pytest.mark.parametrize("name", ["centered_instance_id", "multi_instance_id"])
def test_prepared_examples_have_the_classes_of_their_tracks(name):
    video, labels = two_dots(8)
    config = config_for(name)
    data = data_for(name, config, labels, video)
    bright = labels.xy[0] if labels.track[0] == 0 else labels.xy[1]
    for example in [*data.train, *data.validation]:
        assert len(example.classes) == len(example.xy)
    found = [
        number
        for example in data.train
        for animal, number in zip(example.xy, example.classes, strict=True)
        if np.allclose(animal, bright, atol=1e-3)
    ]
    assert found
    assert set(found) == {1}  # "bright" is the second of the classes
    batch = BatchSampler(
        data.store, data.train, data.window, config.augment, labels.skeleton.flip_order, 4, 0
    ).draw()
    assert batch.classes.shape == batch.xy.shape[:2]
    assert set(np.unique(batch.classes)) <= {0, 1}


def test_names_come_out_of_the_predictor():
    """The whole way with networks that know nothing: whatever is named has a known name."""
    video, labels = two_dots(4)
    for pipeline in ("topdown-id", "bottomup-id"):
        name = PIPELINES.get(pipeline).heads[-1]
        config = config_for(name)
        heads = {n: HEADS.get(n)(m, labels.skeleton) for n, m in config.networks.items()}
        networks = {n: build_head_network(h, config.networks[n]) for n, h in heads.items()}
        keras.utils.set_random_seed(0)
        low = PredictConfig(peak_threshold=0.0, min_mean_confidence=0.0, min_points=1)
        poses = Predictor(config, labels.skeleton, networks, low).predict(video)
        assert poses.track_names == ("dim", "bright")
        assert poses.track.max(initial=-1) <= 1
