"""Keras layers for the graph of a SLEAP network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf

from napari_animalpose.errors import ConfigError, ModelError
from napari_animalpose.nn.models.blocks import Features
from napari_animalpose.nn.models.encoder import ImageNetInput
from napari_animalpose.nn.sleap_graph import INPUT, Graph, GraphLayer
from napari_animalpose.nn.sleap_layers import LAYERS
from napari_animalpose.nn.sleap_options import SleapOptions

__all__ = ["GrayToRgb", "Upsampling", "build_sleap", "connect_graph"]

MOMENTUM = 0.9  # of the statistics of batch normalization: runs here are short


class GrayToRgb(keras.layers.Layer):
    """Repeats the channel of gray images: (B, H, W, 1) -> (B, H, W, 3)."""

    def call(self, x: Any) -> Any:
        """Return three equal channels; images in colour stay as they are."""
        return tf.repeat(x, 3, axis=-1) if x.shape[-1] == 1 else x

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input shape with three channels."""
        return *input_shape[:-1], 3


class Upsampling(keras.layers.Layer):
    """Multiplies height and width: (B, h, w, C) -> (B, f h, f w, C), for sizes not yet known.

    Parameters
    ----------
    factor : (int, int)
        Along y and x.
    interpolation : {"bilinear", "nearest"}
    """

    def __init__(self, factor: Any, interpolation: str, **options: Any) -> None:
        super().__init__(**options)
        self.factor = int(factor[0]), int(factor[1])
        self.interpolation = interpolation

    def call(self, x: Any) -> Any:
        """Interpolate in float32 and return the dtype of the input."""
        size = tf.shape(x)
        new_size = [self.factor[0] * size[1], self.factor[1] * size[2]]
        return tf.cast(tf.image.resize(x, new_size, method=self.interpolation), x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input shape, height and width multiplied where they are known."""
        batch, height, width, channels = input_shape
        return batch, height and height * self.factor[0], width and width * self.factor[1], channels


# ----------------------------------------------------------------- one maker for each kind
def _make_like_keras(name: str) -> Callable[..., Any]:
    """Return a maker of the layer of Keras that has this name and these options."""

    def make(options: Mapping[str, Any], **common: Any) -> Any:
        plain = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in options.items()
        }
        return getattr(keras.layers, name)(**plain, **common)

    return make


def _make_normalization(options: Mapping[str, Any], **common: Any) -> Any:
    kept = {key: options[key] for key in ("epsilon", "center", "scale")}
    return keras.layers.BatchNormalization(momentum=MOMENTUM, **kept, **common)


def _make_padding(options: Mapping[str, Any], **common: Any) -> Any:
    border = tuple(tuple(side) for side in options["border"])
    return keras.layers.ZeroPadding2D(border, **common)


MAKERS: Mapping[str, Callable[..., Any]] = {
    "BatchNormalization": _make_normalization,
    "GrayToRgb": lambda options, **common: GrayToRgb(**common),
    "ImageNetInput": lambda options, **common: ImageNetInput("caffe", **common),
    "LeakyReLU": lambda options, **common: keras.layers.LeakyReLU(options["alpha"], **common),
    "UpSampling2D": lambda options, **common: Upsampling(
        options["size"], options["interpolation"], **common
    ),
    "ZeroPadding2D": _make_padding,
}


def _make_layer(layer: GraphLayer, policy: str) -> Any:
    make = MAKERS.get(layer.kind) or _make_like_keras(layer.kind)
    return make(layer.options, name=layer.name, dtype=policy)


def connect_graph(
    graph: Graph,
    image: Any,
    policy: str,
    weights: Mapping[str, Sequence[Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Build all layers of a graph on an image.

    Parameters
    ----------
    graph : Graph
    image : tensor, shape (B, H, W, C)
    policy : str
        Keras dtype policy of all layers.
    weights : mapping of str to sequence of array, optional
        What layers are going to have as weights; compared with what they need before they
        are built.

    Returns
    -------
    dict of str to tensor
        What comes out of each layer, by its name.

    Raises
    ------
    ModelError
        If weights have other shapes than a layer needs.
    """
    tensors = {INPUT: image}
    for layer in graph.layers:
        inputs = [tensors[name] for name in layer.inputs]
        if layer.name in weights:
            _check_weights(layer, inputs[0].shape[-1], weights[layer.name])
        tensors[layer.name] = _make_layer(layer, policy)(inputs if len(inputs) > 1 else inputs[0])
    return tensors


def _check_weights(layer: GraphLayer, width: int, arrays: Sequence[Any]) -> None:
    """Check the weights of a layer that is given `width` numbers a cell.

    How many these are behind flattened maps, a graph alone does not know.
    """
    wanted = LAYERS[layer.kind].weights(layer.options, width)
    for (name, shape), array in zip(wanted.items(), arrays, strict=True):
        if array.shape != shape:
            raise ModelError(
                f"Expected the weights {name!r} of the layer {layer.name!r} with the shape "
                f"{shape}; received {array.shape}. Copy the model again."
            )


def build_sleap(x: Any, options: SleapOptions, output_stride: int, policy: str) -> Features:
    """Connect the layers of a SLEAP network to an input.

    Parameters
    ----------
    x : tensor, shape (B, H, W, C)
    options : SleapOptions
    output_stride : int
        One that the decoder of the network passes through.
    policy : str
        Keras dtype policy of all layers.

    Raises
    ------
    ConfigError
        If the network is one for images of other channels, or of one size only.
    """
    graph = options.network
    if x.shape[-1] != graph.channels:
        raise ConfigError(
            f"Expected {graph.channels} channel(s) for this network of SLEAP; received "
            f"{x.shape[-1]}. Leave model.channels as it was."
        )
    feature, deepest = graph.last_at(output_stride), graph.deepest
    tensors = connect_graph(graph.upto([feature, deepest]), x, policy)
    return Features(tensors[feature], tensors[deepest])
