"""Networks of SLEAP as plain data, and the Keras networks that are built of them."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from receptive_fields import measure_receptive_field

from napari_animalpose.config import ModelConfig
from napari_animalpose.errors import ConfigError, ModelError
from napari_animalpose.nn.backbones import backbone_options, model_receptive_field
from napari_animalpose.nn.models.network import build_network
from napari_animalpose.nn.models.sleap import connect_graph
from napari_animalpose.nn.sleap_graph import INPUT, Graph, unet_graph
from napari_animalpose.nn.sleap_layers import LAYERS
from napari_animalpose.nn.sleap_options import SleapOptions


def graph_of(*layers, channels=1):
    return Graph.from_dict({"channels": channels, "layers": list(layers)})


def config_of(graph, stride=2, **changes):
    return ModelConfig(
        backbone="sleap", backbone_options={"graph": graph.to_dict()}, output_stride=stride,
        channels=graph.channels, **changes,
    )  # fmt: skip


SAME = {"kernel_size": [3, 3], "padding": "same"}
RESIDUAL = graph_of(
    ["a", "Conv2D", {"filters": 4, "strides": [2, 2], **SAME}, [INPUT]],
    ["b", "Conv2D", {"filters": 4, "use_bias": False, **SAME}, ["a"]],
    ["n", "BatchNormalization", {"epsilon": 1e-5}, ["b"]],
    ["s", "Add", {}, ["a", "n"]],
    ["p", "AveragePooling2D", {"strides": [2, 2], "padding": "same"}, ["s"]],
    ["d", "DepthwiseConv2D", {**SAME, "dilation_rate": [2, 2]}, ["p"]],
    ["t", "Conv2DTranspose", {"filters": 4, "strides": [2, 2], **SAME}, ["d"]],
    ["c", "Concatenate", {}, ["s", "t"]],
    ["r", "ReLU", {"max_value": 6.0}, ["c"]],
)


@pytest.mark.parametrize(
    ("graph", "stride"),
    [
        (unet_graph(8, 1.0, 2, 1), 1),
        (unet_graph(8, 1.0, 2, 2), 2),
        (unet_graph(4, 1.0, 3, 4), 4),
        (RESIDUAL, 2),
    ],
)
def test_the_receptive_field_is_the_one_of_the_built_network(graph, stride):
    config = config_of(graph, stride)
    network = build_network(config, {"maps": 1})
    # Positive and small: no unit is off, and none at the 6 where RESIDUAL ends.
    network.set_weights([np.full_like(weight, 0.05) for weight in network.get_weights()])
    assert measure_receptive_field(network, config) == model_receptive_field(config)


def test_shapes_are_those_of_the_built_layers():
    for graph in (RESIDUAL, unet_graph()):
        tensors = connect_graph(graph, keras.Input((64, 64, 1)), "float32")
        for name, tensor in tensors.items():
            shape = graph.shapes[name]
            assert tuple(tensor.shape[1:]) == (64 / shape.stride, 64 / shape.stride, shape.channels)
        network = keras.Model(tensors[INPUT], list(tensors.values())[-1])
        for layer in graph.layers:
            built = [tuple(w.shape) for w in network.get_layer(layer.name).weights]
            assert built == list(graph.weights(layer.name).values())


def test_squeezed_channels_and_vectors():
    graph = graph_of(
        ["a", "Conv2D", {"filters": 4, **SAME}, [INPUT]],
        ["g", "GlobalAveragePooling2D", {}, ["a"]],
        ["r", "Reshape", {"target_shape": [1, 1, 4]}, ["g"]],
        ["e", "Conv2D", {"filters": 4, "kernel_size": [1, 1], "activation": "sigmoid"}, ["r"]],
        ["m", "Multiply", {}, ["a", "e"]],
        ["x", "GlobalMaxPooling2D", {}, ["m"]],
        ["f", "Flatten", {}, ["x"]],
        ["v", "Dense", {"units": 3, "activation": "softmax"}, ["f"]],
    )
    assert graph.shapes["m"] == (4, 1)
    assert graph.shapes["v"] == (3, None)
    tensors = connect_graph(graph, keras.Input((None, None, 1)), "float32")
    network = keras.Model(tensors[INPUT], tensors["v"])
    np.testing.assert_allclose(np.asarray(network(tf.ones((2, 9, 7, 1)))).sum(axis=1), 1, rtol=1e-5)
    assert graph.max_stride == 1


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_upsampling_is_that_of_keras_where_the_size_is_not_known(method):
    graph = graph_of(["u", "UpSampling2D", {"size": [4, 4], "interpolation": method}, [INPUT]])
    tensors = connect_graph(graph, keras.Input((None, None, 1)), "float32")
    image = tf.constant(np.random.default_rng(0).uniform(0, 1, (1, 3, 5, 1)), tf.float32)
    ours = np.asarray(keras.Model(tensors[INPUT], tensors["u"])(image))
    theirs = np.asarray(keras.layers.UpSampling2D(4, interpolation=method)(image))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_what_stands_in_front_of_imagenet_encoders():
    graph = graph_of(["rgb", "GrayToRgb", {}, [INPUT]], ["caffe", "ImageNetInput", {}, ["rgb"]])
    tensors = connect_graph(graph, keras.Input((None, None, 1)), "float32")
    value = np.asarray(keras.Model(tensors[INPUT], tensors["caffe"])(tf.ones((1, 1, 1, 1))))
    np.testing.assert_allclose(value[0, 0, 0], [151.061, 138.221, 131.32], rtol=1e-5)


# ----------------------------------------------------------------------------- as data
def test_a_graph_survives_json():
    for graph in (RESIDUAL, unet_graph()):
        again = Graph.from_dict(json.loads(json.dumps(graph.to_dict())))
        assert again.to_dict() == graph.to_dict()
        assert again.shapes == graph.shapes


def test_a_part_of_a_graph_is_what_a_layer_is_made_from():
    graph = unet_graph(8, 1.0, 2, 1)
    part = graph.upto([graph.last_at(2)])
    assert part.layers == tuple(layer for layer in graph.layers if layer.name in part.by_name)
    assert list(part.shapes)[-1] == graph.last_at(2)
    assert part.deepest == graph.deepest


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ([["a", "Lambda", {}, [INPUT]]], "received 'Lambda'"),
        ([["a", "ReLU", {}, ["b"]]], "layers before it"),
        ([["a", "ReLU", {}, []]], "layers before it"),
        ([["a", "ReLU", {}, [INPUT, INPUT]]], "layers before it"),
        ([["a", "ReLU", {}, [INPUT]], ["a", "ReLU", {}, [INPUT]]], "one name twice"),
        ([["a", "Dropout", {}, [INPUT]]], "rate=nothing"),
        ([["a", "ReLU", {"max_value": "os"}, [INPUT]]], "max_value='os'"),
        ([["a", "ReLU", {"bogus": 1}, [INPUT]]], "bogus=1"),
        ([["a", "ReLU"]], "damaged data"),
        ([3], "damaged data"),
    ],
)
def test_damaged_graphs_are_refused(layers, says):
    with pytest.raises(ModelError, match=says):
        graph_of(*layers)
    with pytest.raises(ConfigError, match=says):
        SleapOptions({"channels": 1, "layers": layers})


def test_every_kind_of_layer_has_a_form_for_each_of_its_options():
    from napari_animalpose.nn.sleap_layers import FORMS

    assert {name for kind in LAYERS.values() for name in kind.options} == set(FORMS)


# ------------------------------------------------------------------------- as backbone
def test_without_a_graph_the_backbone_is_the_u_net_of_sleap():
    options = SleapOptions()
    assert (options.max_stride, options.stem_stride) == (16, 2)
    widths = [w["kernel"][-1] for w in map(options.network.weights, options.network.by_name) if w]
    assert widths == [16, 16, 32, 32, 64, 64, 128, 128, 256, 256, 128, 128, 64, 64, 32, 32]


def test_output_strides_are_those_of_the_decoder():
    for stride in (2, 4, 8, 16):
        config = ModelConfig(backbone="sleap", output_stride=stride)
        maps = build_network(config, {"maps": 3})(tf.zeros((1, 32, 64, 1)))["maps"]
        assert maps.shape == (1, 32 // stride, 64 // stride, 3)
    for stride in (1, 32):
        with pytest.raises(ConfigError, match="Expected an output stride from 2 to 16"):
            backbone_options(ModelConfig(backbone="sleap", output_stride=stride))
    with pytest.raises(ConfigError, match=r"Leave model\.channels"):
        build_network(ModelConfig(backbone="sleap", channels=3), {"maps": 1})
