"""Architectures: what their options say about geometry is what the built network does."""

import numpy as np
import pytest
import tensorflow as tf
from receptive_fields import measure_receptive_field

from napari_animalpose.config import ModelConfig
from napari_animalpose.errors import ConfigError
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.nn.backbones import (
    BACKBONES,
    LeapOptions,
    UNetOptions,
    backbone_options,
    filters_at,
    model_receptive_field,
)
from napari_animalpose.nn.models.network import build_network

SMALL = {"filters": 8, "filters_rate": 1.0}
TEMPLATES = [
    ("unet", {"down_blocks": 1, "convs_per_block": 1}),
    ("unet", {"down_blocks": 2, "convs_per_block": 2}),
    ("unet", {"down_blocks": 3, "convs_per_block": 1}),
    ("unet", {"down_blocks": 3, "convs_per_block": 1, "upsampling": "transposed"}),
    ("unet", {"down_blocks": 2, "convs_per_block": 1, "stem_stride": 2, "skip": "add"}),
    ("unet", {"down_blocks": 1, "convs_per_block": 2, "stem_stride": 4, "skip": "none"}),
    ("leap", {"down_blocks": 1, "convs_per_block": 3}),
    ("leap", {"down_blocks": 3, "convs_per_block": 1}),
]


def model(backbone, output_stride, options, **changes):
    return ModelConfig(
        backbone=backbone,
        output_stride=output_stride,
        backbone_options={**SMALL, **options},
        **changes,
    )


def all_strides(backbone, options):
    """Models of one template at every output stride that it has."""
    lowest = options.get("stem_stride", 1)
    highest = BACKBONES.get(backbone).options.from_dict(options).max_stride
    strides = [2**i for i in range(8) if lowest <= 2**i <= highest]
    return [model(backbone, stride, options) for stride in strides]


MODELS = [config for template in TEMPLATES for config in all_strides(*template)]
NAMES = [f"{m.backbone}-{m.backbone_options}-stride{m.output_stride}" for m in MODELS]


def probe_receptive_field(config):
    """Measure the receptive field of a network whose weights are positive: no unit is off."""
    network = build_network(config, {"maps": 1})
    network.set_weights([np.abs(weight) + 0.01 for weight in network.get_weights()])
    return measure_receptive_field(network, config)


@pytest.mark.parametrize("config", MODELS, ids=NAMES)
def test_the_receptive_field_is_the_one_of_the_built_network(config):
    assert probe_receptive_field(config) == model_receptive_field(config)


@pytest.mark.parametrize("config", MODELS[::3], ids=NAMES[::3])
def test_maps_have_the_size_of_the_input_over_the_output_stride(config):
    multiple = backbone_options(config).max_stride
    network = build_network(config, {"confmaps": 3, "pafs": 4})
    outputs = network(tf.zeros((2, 3 * multiple, 2 * multiple, 1)))
    size = (3 * multiple // config.output_stride, 2 * multiple // config.output_stride)
    assert outputs["confmaps"].shape == (2, *size, 3)
    assert outputs["pafs"].shape == (2, *size, 4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("options", [{}, {"normalization": "batch"}, {"upsampling": "transposed"}])
def test_weights_and_maps_are_float32_in_every_precision(precision, options):
    config = model("unet", 2, {"down_blocks": 2, **options}, channels=3)
    network = build_network(config, {"maps": 2}, precision)
    image = tf.constant(np.random.default_rng(0).uniform(0, 1, (1, 16, 16, 3)), tf.float32)
    output = network(image)["maps"]
    assert output.dtype == tf.float32
    assert np.isfinite(output).all()
    assert {weight.dtype for weight in network.weights} == {"float32"}
    name = "float32" if precision == "float32" else precision
    assert network.get_layer("down0_0_conv").compute_dtype == name


def test_a_new_network_says_nothing_anywhere():
    """Its last layer starts near zero: the first steps do not have to unlearn noise."""
    network = build_network(model("unet", 2, {"down_blocks": 2}), {"maps": 2})
    image = tf.constant(np.random.default_rng(0).uniform(0, 1, (1, 32, 32, 1)), tf.float32)
    assert np.abs(network(image)["maps"]).max() < 0.5


@pytest.mark.parametrize("template", TEMPLATES[-3:])
def test_weights_come_back_from_a_run_folder(template, tmp_path):
    config = all_strides(*template)[0]
    first, second = (build_network(config, {"maps": 2}) for _ in range(2))
    image = tf.constant(np.random.default_rng(0).uniform(0, 1, (1, 32, 32, 1)), tf.float32)
    assert not np.array_equal(first(image)["maps"], second(image)["maps"])
    folder = RunFolder(tmp_path)
    folder.write_weights("single_instance", first.get_weights())
    shapes = [weight.shape for weight in second.weights]
    second.set_weights(folder.read_weights("single_instance", shapes))
    np.testing.assert_array_equal(first(image)["maps"], second(image)["maps"])


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("bogus", {}),
        ("unet", {"bogus": 1}),
        ("leap", {"stem_stride": 2}),
        ("unet", {"filters": 0}),
        ("unet", {"down_blocks": 0}),
        ("unet", {"down_blocks": 1.5}),
        ("unet", {"stem_stride": 3}),
        ("unet", {"filters_rate": 0.5}),
        ("unet", {"skip": "sometimes"}),
        ("leap", {"convs_per_block": 0}),
    ],
)
def test_unknown_backbones_and_options_are_refused(backbone, options):
    with pytest.raises(ConfigError, match=r"^Expected .*; received"):
        backbone_options(ModelConfig(backbone=backbone, backbone_options=options))


@pytest.mark.parametrize(
    ("backbone", "stride", "options"),
    [
        ("unet", 1, {"stem_stride": 2}),
        ("unet", 2, {"stem_stride": 4}),
        ("unet", 16, {"down_blocks": 3}),
        ("leap", 8, {"down_blocks": 2}),
    ],
)
def test_output_strides_that_a_backbone_does_not_reach_are_refused(backbone, stride, options):
    config = model(backbone, stride, options)
    for use in (backbone_options, model_receptive_field, lambda c: build_network(c, {"maps": 1})):
        with pytest.raises(ConfigError, match=rf"Expected an output stride .* received {stride}\."):
            use(config)


def test_filters_are_multiples_of_eight():
    assert [filters_at(16, 1.5, depth) for depth in range(4)] == [
        16,
        24,
        32,
        56,
    ]  # 36 lies half-way
    assert filters_at(1, 1.0, 0) == 8


def test_every_registered_backbone_has_defaults_a_summary_and_layers():
    assert {"unet", "leap", "resnet50", "mobilenetv2"} <= set(BACKBONES)
    for name in BACKBONES:
        entry = BACKBONES.get(name)
        options = entry.options()
        assert entry.summary
        assert options.layers(options.max_stride)
    assert UNetOptions(stem_stride=4, down_blocks=3).max_stride == 32
    assert LeapOptions(down_blocks=3).max_stride == 8
