"""ResNet-50 and MobileNetV2: what they are made of, where their weights come from."""

import json
import warnings

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from receptive_fields import measure_receptive_field

from napari_animalpose.config import ModelConfig, PredictConfig, RunConfig, TrainConfig, override
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, ModelError
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.jobs import ignore_event, never_stop
from napari_animalpose.nn import pretrained
from napari_animalpose.nn.autoconfig import LabelMeasures, choose_config
from napari_animalpose.nn.backbones import BACKBONES, backbone_options, model_receptive_field
from napari_animalpose.nn.dataset import Batch, Example, FrameStore, frame_centre
from napari_animalpose.nn.filters import scale_filters
from napari_animalpose.nn.heads import PIPELINES
from napari_animalpose.nn.inference import load_run
from napari_animalpose.nn.models.encoder import load_encoder_weights
from napari_animalpose.nn.models.forward import crop_side
from napari_animalpose.nn.models.network import build_network
from napari_animalpose.nn.models.preparation import TrainingData
from napari_animalpose.nn.training import Trainer
from napari_animalpose.pipeline import train
from napari_animalpose.pipeline.training import check_config

ENCODERS = ("resnet50", "mobilenetv2")
NARROW = {"width": 0.1, "decoder_filters": 8, "decoder_rate": 1.0}
LAST = {"resnet50": "conv5_block3_out", "mobilenetv2": "block_16_project_BN"}
CONVERT = {
    "resnet50": keras.applications.resnet50.preprocess_input,
    "mobilenetv2": keras.applications.mobilenet_v2.preprocess_input,
}


def model(backbone, output_stride=2, channels=1, **options):
    return ModelConfig(
        backbone=backbone,
        output_stride=output_stride,
        channels=channels,
        backbone_options={**NARROW, **options},
    )


def images(channels=1, n=1, side=64):
    return np.random.default_rng(0).uniform(0, 1, (n, side, side, channels)).astype(np.float32)


def official(backbone, **arguments):
    """The encoder of keras.applications, its statistics those of some images.

    With the statistics that a new one has, almost nothing of an image would reach its end.
    """
    name, extra = backbone_options(ModelConfig(backbone=backbone)).reference
    made = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(None, None, 3), **{**extra, **arguments}
    )
    for layer in made.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    made(CONVERT[backbone](255 * images(channels=3, n=2, side=96)), training=True)
    return made


def write_weights(made, path):
    """Write weights as Keras 3 does or, where the name says so, as Keras 2 did.

    The older layout has names of its own for the layers: it is read by their order.
    """
    if path.name.endswith(".weights.h5"):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            made.save_weights(path)
        return
    layers = [layer for layer in made.layers if layer.weights]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [f"layer_{i}".encode() for i in range(len(layers))]
        for i, layer in enumerate(layers):
            group, names = file.create_group(f"layer_{i}"), []
            for j, value in enumerate(layer.get_weights()):
                names.append(f"layer_{i}/weight_{j}:0".encode())
                group[names[-1].decode()] = value
            group.attrs["weight_names"] = names


def features_of(network, layer, x):
    """Output of one layer for images in 0..1."""
    return keras.Model(network.input, network.get_layer(layer).output)(x).numpy()


def keep_all_units_on(network):
    """Set weights that keep every unit between its cut-offs, whatever the depth.

    Kernels are averages, and tenths of one at the end of a residual branch, so that sums
    of branches stay small; the statistics of batch normalization change nothing.
    """
    caffe = "conv1_conv" in {layer.name for layer in network.layers}
    for layer in network.layers:
        kind = type(layer).__name__
        if kind in ("Conv2D", "Conv2DTranspose", "DepthwiseConv2D"):
            kernel, *bias = layer.get_weights()
            axes = (0, 1) if kind == "DepthwiseConv2D" else (0, 1, 2)
            kernel = np.abs(kernel) + 0.01
            kernel /= kernel.sum(axis=axes, keepdims=True)
            ends_branch = layer.name.endswith(("_3_conv", "_project"))
            layer.set_weights([kernel * (0.1 if ends_branch else 1.0), *bias])
        elif kind == "BatchNormalization":
            first = layer.name in ("conv1_bn", "bn_Conv1")
            lift = (200.0 if caffe else 1.0) if first else 0.0
            one = np.ones(layer.gamma.shape)
            layer.set_weights([one, lift * one, 0 * one, one])


# --------------------------------------------------------------------------- geometry
GEOMETRIES = [
    ("resnet50", 32, {}),
    ("resnet50", 16, {"atrous": True}),
    ("resnet50", 4, {}),
    ("resnet50", 8, {"atrous": True, "skip": "add", "upsampling": "transposed"}),
    ("mobilenetv2", 32, {}),
    ("mobilenetv2", 16, {"atrous": True}),
    ("mobilenetv2", 1, {"atrous": True}),
    ("mobilenetv2", 8, {"skip": "none", "decoder_convs": 2}),
    ("mobilenetv2", 4, {"skip": "add", "upsampling": "transposed"}),
]


@pytest.mark.parametrize(("backbone", "stride", "options"), GEOMETRIES)
def test_the_receptive_field_is_the_one_of_the_built_network(backbone, stride, options):
    config = model(backbone, stride, **options)
    network = build_network(config, {"maps": 1})
    keep_all_units_on(network)
    assert measure_receptive_field(network, config, n_inputs=2) == model_receptive_field(config)


def test_the_receptive_field_of_resnet50_is_the_published_one():
    """Araujo, Norris and Sim (2019) give 483 px."""
    assert model_receptive_field(model("resnet50", 32)) == 483


@pytest.mark.parametrize(("backbone", "stride", "options"), GEOMETRIES[1::2])
def test_maps_have_the_size_of_the_input_over_the_output_stride(backbone, stride, options):
    config = model(backbone, stride, channels=3, **options)
    multiple = backbone_options(config).max_stride
    network = build_network(config, {"maps": 3})
    maps = network(tf.zeros((2, 3 * multiple, 2 * multiple, 3)))["maps"]
    assert maps.shape == (2, 3 * multiple // stride, 2 * multiple // stride, 3)


# ----------------------------------------------- the same network as in keras.applications
@pytest.fixture(scope="module", params=ENCODERS)
def published(request, tmp_path_factory):
    """Name, encoder of keras.applications and a file of its weights in each layout."""
    width = {"alpha": 0.1} if request.param == "mobilenetv2" else {}
    made = official(request.param, **width)
    folder = tmp_path_factory.mktemp("weights")
    files = [folder / "layers.weights.h5", folder / "legacy.h5"]
    for file in files:
        write_weights(made, file)
    return request.param, made, files


def started_from(file, backbone, **options):
    """A network of full width where its weights have no other, narrow where they have."""
    if backbone == "resnet50":
        options = {"width": 1.0, **options}
    config = model(backbone, 16, channels=3, weights=str(file), **options)
    network = build_network(config, {"maps": 1})
    return network, backbone_options(config)


def test_features_are_those_of_the_published_encoder(published):
    backbone, made, files = published
    x = images(channels=3)
    expected = keras.Model(made.input, made.get_layer(LAST[backbone]).output)(
        CONVERT[backbone](255 * x.copy())
    ).numpy()
    assert np.ptp(expected) > 0
    for file in files:
        network, options = started_from(file, backbone)
        assert not np.allclose(features_of(network, LAST[backbone], x), expected)
        count = load_encoder_weights(network, options, file)
        of_encoder = [w for w in network.weights if not w.path.startswith(("narrow", "up", "maps"))]
        assert count == len(of_encoder)
        found = features_of(network, LAST[backbone], x)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.ptp(expected))


@pytest.mark.slow
def test_an_atrous_encoder_finds_the_same_features_and_those_between_them(published):
    """Dilation in place of the last stride is exact: no weight means anything else."""
    backbone, _, files = published
    x = images(channels=3, side=96)
    found = {}
    for atrous in (False, True):
        network, options = started_from(files[0], backbone, atrous=atrous)
        load_encoder_weights(network, options, files[0])
        found[atrous] = features_of(network, LAST[backbone], x)
    coarse, fine = found[False], found[True]
    assert coarse.shape[1:3] == (3, 3)
    assert fine.shape[1:3] == (6, 6)
    first = 1 if backbone == "mobilenetv2" else 0  # whose padding is at the right only
    np.testing.assert_allclose(
        fine[:, first::2, first::2], coarse, rtol=1e-4, atol=1e-4 * np.ptp(coarse)
    )


def test_gray_images_are_three_equal_channels():
    gray = images(channels=1)
    for backbone in ENCODERS:
        networks = [build_network(model(backbone, 8, channels=c), {"maps": 1}) for c in (1, 3)]
        networks[1].set_weights(networks[0].get_weights())
        maps = [
            network(x)["maps"].numpy()
            for network, x in zip(networks, (gray, np.repeat(gray, 3, axis=-1)), strict=True)
        ]
        np.testing.assert_allclose(maps[0], maps[1], atol=1e-6)


def test_colours_are_in_the_order_of_the_published_encoder(published):
    """Swapping red and blue is seen: a network that ignored the order would pass all else."""
    backbone, _, files = published
    network, options = started_from(files[0], backbone)
    load_encoder_weights(network, options, files[0])
    x = images(channels=3)
    assert not np.allclose(
        features_of(network, LAST[backbone], x),
        features_of(network, LAST[backbone], x[..., ::-1]),
        rtol=1e-3,
    )


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("backbone", ENCODERS)
def test_half_precision_is_for_layers_only(backbone, precision):
    network = build_network(model(backbone, 8), {"maps": 2}, precision)
    maps = network(images(), training=True)["maps"]
    assert maps.dtype == tf.float32
    assert np.isfinite(maps).all()
    assert {weight.dtype for weight in network.weights} == {"float32"}


# ------------------------------------------------------------------------ files refused
def mobilenet(alpha):
    return keras.applications.MobileNetV2(
        include_top=False, weights=None, alpha=alpha, input_shape=(None, None, 3)
    )


def other_encoder(path):
    write_weights(mobilenet(0.2), path)


def other_network(path):
    image = keras.Input((8, 8, 3))
    write_weights(keras.Model(image, keras.layers.Conv2D(4, 3)(image)), path)


def not_a_number(path):
    made = mobilenet(0.1)
    made.weights[0].assign(np.full(made.weights[0].shape, np.nan))
    write_weights(made, path)


def no_hdf5(path):
    path.write_bytes(b"not a file of weights")


@pytest.mark.parametrize("layout", ["w.h5", "w.weights.h5"])
@pytest.mark.parametrize("write", [other_encoder, other_network, not_a_number, no_hdf5])
def test_a_file_of_another_network_is_refused_and_changes_nothing(write, layout, tmp_path):
    write(tmp_path / layout)
    network, options = started_from(tmp_path / layout, "mobilenetv2")
    before = network.get_weights()
    with pytest.raises(ModelError, match=r"^Expected the weights of .*MobileNetV2\(.*; received "):
        load_encoder_weights(network, options, tmp_path / layout)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("resnet50", {"width": 0.5, "weights": "imagenet"}),
        ("mobilenetv2", {"width": 0.9, "weights": "imagenet"}),
        ("resnet50", {"width": 0.0}),
        ("resnet50", {"filters": 64}),
        ("mobilenetv2", {"decoder_convs": 0}),
        ("mobilenetv2", {"decoder_rate": 0.5}),
        ("mobilenetv2", {"skip": "sometimes"}),
        ("mobilenetv2", {"weights": None}),
    ],
)
def test_options_that_do_not_exist_are_refused(backbone, options):
    with pytest.raises(ConfigError, match=r"^Expected .*; received"):
        backbone_options(ModelConfig(backbone=backbone, backbone_options=options))


def test_output_strides_beyond_the_deepest_layer_are_refused():
    for stride, atrous in ((64, False), (32, True)):
        with pytest.raises(ConfigError, match=rf"received {stride}\."):
            backbone_options(model("resnet50", stride, atrous=atrous))


@pytest.mark.parametrize("width", [0.1, 0.278, 0.35, 0.3708, 1.0])
def test_any_width_has_the_filters_of_the_published_encoder(width):
    made = mobilenet(width)
    network = build_network(model("mobilenetv2", 16, width=width), {"maps": 1})
    shapes = {w.path: w.shape for w in made.weights if not w.path.startswith("Conv_1")}
    own = {w.path: w.shape for w in network.weights if not w.path.startswith(("narrow", "up"))}
    assert {path: shape for path, shape in own.items() if path in shapes} == shapes
    assert set(own) - set(shapes) == {"maps/kernel", "maps/bias"}


def test_scaled_filters_are_multiples_of_eight_and_not_much_fewer():
    exact = np.linspace(8, 2000, 999)
    scaled = np.array([scale_filters(value) for value in exact])
    assert (scaled % 8 == 0).all()
    assert (scaled >= 0.9 * exact).all()
    assert (scaled <= 1.1 * exact + 8).all()


def test_both_are_registered():
    assert set(ENCODERS) <= set(BACKBONES)


# ------------------------------------------------------------------- learning and freezing
@pytest.fixture(scope="module")
def narrow_file(tmp_path_factory):
    """Weights of the narrowest MobileNetV2."""
    path = tmp_path_factory.mktemp("narrow") / "narrow.weights.h5"
    write_weights(official("mobilenetv2", alpha=0.1), path)
    return path


SIDE = 64


def make_trainer(**options):
    """A trainer of a narrow MobileNetV2 on frames of noise with one bright dot."""
    rng = np.random.default_rng(0)
    store, examples = FrameStore(10**9), []
    y, x = np.mgrid[:SIDE, :SIDE]
    for _ in range(16):
        xy = rng.uniform(8, SIDE - 9, (1, 1, 2))
        frame = rng.normal(30, 5, (SIDE, SIDE))
        frame += 200 * np.exp(-((x - xy[0, 0, 0]) ** 2 + (y - xy[0, 0, 1]) ** 2) / 32)
        number = store.append(np.clip(frame, 0, 255).astype(np.uint8)[..., None])
        examples.append(Example(number, frame_centre((SIDE, SIDE)), xy))
    data = TrainingData(store, examples[:12], examples[12:], (SIDE, SIDE), animal_size_px=40.0)
    config = RunConfig(
        networks={"single_instance": model("mobilenetv2", 4, **options)},
        train=TrainConfig(precision="float32", batch_size=8),
    )
    return Trainer(
        config, Skeleton(("dot",)), "single_instance", data,
        started=0.0, on_event=ignore_event, should_stop=never_stop, on_best=lambda best: None,
    )  # fmt: skip


def take_steps(trainer, count, rate):
    for _ in range(count):
        momentum = tf.constant(trainer._momentum(), tf.float32)
        batch = Batch(*map(tf.constant, trainer.sampler.draw()))
        trainer._take_step(batch, tf.constant(rate, tf.float32), momentum)
        trainer.step += 1


def statistics(network):
    """Moving mean and variance of every batch normalization, by path."""
    return {w.path: w.numpy().copy() for w in network.weights if "moving" in w.path}


@pytest.mark.slow
def test_the_averaged_network_has_the_statistics_of_what_it_sees():
    """With a rate of zero nothing but the statistics changes, and these must fit the data.

    Looked at where they do not depend on statistics before them: deeper ones differ by
    nature between the batches that a network learns from and all of its data.
    """
    trainer = make_trainer()
    take_steps(trainer, 120, 0.0)  # until the zeros and ones at the start are forgotten
    drawn = [Batch(*map(tf.constant, trainer.sampler.draw())) for _ in range(16)]
    x = tf.concat([trainer._inputs(batch) for batch in drawn], axis=0)
    layer = trainer.averaged.get_layer("bn_Conv1")
    before = keras.Model(trainer.averaged.input, layer.input)(x, training=False).numpy()
    spread = before.std(axis=(0, 1, 2))
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    assert (np.abs(mean - before.mean(axis=(0, 1, 2))) < 0.25 * spread).all()
    assert (np.abs(np.log(variance / spread**2)) < 0.4).all()


@pytest.mark.slow
def test_statistics_are_averaged_like_weights():
    trainer = make_trainer()
    take_steps(trainer, 5, 1e-3)
    before = statistics(trainer.averaged)
    momentum = trainer._momentum()
    take_steps(trainer, 1, 1e-3)
    learned, averaged = statistics(trainer.network), statistics(trainer.averaged)
    assert len(before) == 2 * 51  # batch normalizations of MobileNetV2 without its top
    for path, old in before.items():
        expected = momentum * old + (1 - momentum) * learned[path]
        np.testing.assert_allclose(averaged[path], expected, rtol=1e-4, atol=1e-6)
        assert not np.array_equal(averaged[path], old)


@pytest.mark.slow
def test_statistics_of_a_learning_encoder_move_and_those_of_a_frozen_one_stay(narrow_file):
    for trainable in (True, False):
        trainer = make_trainer(weights=str(narrow_file), trainable=trainable)
        trainer.start_anew()
        before = {w.path: w.numpy().copy() for w in trainer.network.weights}
        for old, new in zip(trainer.averaged.weights, trainer.network.weights, strict=True):
            np.testing.assert_array_equal(old, new)
        take_steps(trainer, 3, 1e-3)
        for network in (trainer.network, trainer.averaged):
            changed = {
                w.path.split("/")[0]
                for w in network.weights
                if not np.array_equal(w.numpy(), before[w.path])
            }
            decoder = {name for name in changed if name.startswith(("narrow", "up", "confmaps"))}
            assert {"narrow_conv", "up4_0_conv", "confmaps"} <= decoder
            encoder = changed - decoder
            expected = {layer.name for layer in network.layers if layer.weights} - decoder
            assert encoder == (expected if trainable else set())


def test_freezing_leaves_the_order_of_the_weights(narrow_file):
    paths = [
        [w.path for w in build_network(model("mobilenetv2", **options), {"maps": 1}).weights]
        for options in ({}, {"weights": str(narrow_file), "trainable": False})
    ]
    assert paths[0] == paths[1]


def test_a_network_without_weights_starts_at_random(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("nobody asked for a download")

    monkeypatch.setattr(pretrained, "urlopen", refuse)
    trainer = make_trainer()
    before = trainer.network.get_weights()
    trainer.start_anew()
    for old, new in zip(before, trainer.network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_a_run_needs_the_file_of_weights_only_at_its_start(
    tiny_labels, tiny_overrides, narrow_file, tmp_path
):
    file = tmp_path / "encoder.weights.h5"
    file.write_bytes(narrow_file.read_bytes())
    chosen = {"width": 0.1, "decoder_filters": 8, "weights": str(file)}
    overrides = [
        *tiny_overrides,
        "model.backbone=mobilenetv2",
        f"model.backbone_options={json.dumps(chosen)}",
    ]
    train(tiny_labels, tmp_path / "run", overrides=overrides, seed=0)
    file.unlink()
    folder = RunFolder(tmp_path / "run")
    predicted = [load_run(folder, PredictConfig(precision="float32")) for _ in range(2)]
    x = images(side=64)
    maps = [p.forwards["single_instance"].network(x)["confmaps"] for p in predicted]
    np.testing.assert_array_equal(*maps)
    train(tiny_labels, tmp_path / "more", resume=tmp_path / "run", overrides=["train.epochs=1"])
    with pytest.raises(ModelError, match="Expected a file of weights"):
        train(tiny_labels, tmp_path / "again", overrides=overrides)
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("backbone", ENCODERS)
@pytest.mark.parametrize("pipeline", list(PIPELINES))
def test_every_pipeline_can_be_given_these_backbones(backbone, pipeline, measures):
    choice = choose_config(measures, pipeline=pipeline)
    config = override(choice.config, [f"model.backbone={backbone}"])
    check_config(config)
    for changed in config.networks.values():
        assert changed.backbone_options == {}
        assert model_receptive_field(changed) > 400
        if changed.crop_px:
            assert crop_side(changed) % 32 == 0


@pytest.fixture
def measures():
    return LabelMeasures(
        n_frames=50, n_instances=150, n_nodes=8, animals_per_frame=3, frame_height=768,
        frame_width=1024, channels=1, size_px=150.0, large_size_px=180.0, spacing_px=20.0,
        orientation_spread_deg=100.0, points_labelled=1.0, longest_edge_px=40.0,
    )  # fmt: skip
