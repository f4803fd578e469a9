"""From a configuration to a Keras model, and which precision suits the device."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from napari_animalpose.config import ModelConfig
from napari_animalpose.nn.backbones import BACKBONES, backbone_options
from napari_animalpose.nn.heads import Head
from napari_animalpose.nn.models.blocks import FocusedPooling

__all__ = [
    "build_head_network",
    "build_network",
    "describe_device",
    "dtype_policy",
    "resolve_precision",
]


def describe_device() -> tuple[str, str]:
    """Return the kind ("gpu" or "cpu") and the name of the device that TensorFlow will use."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "cpu", "CPU"
    details = tf.config.experimental.get_device_details(gpus[0])
    return "gpu", str(details.get("device_name", gpus[0].name))


def resolve_precision(precision: str) -> str:
    """Return the precision of the layers: "auto" becomes the fastest safe one here.

    GPUs since Ampere have bfloat16, older ones with tensor cores float16, which needs
    loss scaling. A CPU is asked by a measurement, because its flags do not tell: among
    CPUs with the same bfloat16 instructions, convolutions were seen to run 1.9 times
    faster than in float32 on one and 1.8 times slower on another.
    """
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        capability = details.get("compute_capability", (0, 0))
        if capability >= (8, 0):
            return "bfloat16"
        return "float16" if capability >= (7, 0) else "float32"
    return "bfloat16" if _compare_convolutions() < 0.85 else "float32"


@cache
def _compare_convolutions() -> float:
    """Time of a convolution as the networks have them in bfloat16, over that in float32.

    Shortest of many runs in turn: other work on the machine must not tip the balance.
    """
    shortest: dict[str, float] = {}
    for _ in range(25):
        for precision in ("float32", "bfloat16"):
            image = tf.zeros((4, 64, 64, 32), precision)
            kernel = tf.zeros((3, 3, 32, 32), precision)
            began = time.perf_counter()
            np.asarray(tf.nn.conv2d(image, kernel, 1, "SAME"))
            passed = time.perf_counter() - began
            shortest[precision] = min(passed, shortest.get(precision, passed))
    return shortest["bfloat16"] / shortest["float32"]


def dtype_policy(precision: str) -> str:
    """Return the Keras dtype policy: weights stay float32, layers compute in `precision`."""
    return precision if precision == "float32" else f"mixed_{precision}"


def build_head_network(head: Head, config: ModelConfig, precision: str = "float32") -> Any:
    """Build the network that a head needs; see `build_network`."""
    return build_network(config, head.n_outputs, precision, head.n_vectors)


def build_network(
    config: ModelConfig,
    n_outputs: Mapping[str, int],
    precision: str = "float32",
    n_vectors: Mapping[str, int] = MappingProxyType({}),
) -> Any:
    """Build the network of a configuration with new random weights.

    Parameters
    ----------
    config : ModelConfig
    n_outputs : mapping of str to int
        Channels of each map by name, all at the output stride of the configuration.
    precision : {"float32", "bfloat16", "float16"}
        Of the layers. Weights and outputs are float32 whatever it is.
    n_vectors : mapping of str to int
        Lengths of the outputs that say something about a whole window, by name. They are
        read from the deepest features where the first of the maps is high, through a
        dense layer of `ModelConfig.class_units`.

    Returns
    -------
    keras.Model
        Takes float images (B, H, W, C) in 0..1, H and W multiples of the maximum
        stride; gives a dict of float32 maps (B, H / output_stride, W / output_stride, F)
        and vectors (B, F).

    Raises
    ------
    ConfigError
        If the output stride is not reached by this backbone.
    """
    options = backbone_options(config)
    module, _, name = BACKBONES.get(config.backbone).builder.partition(":")
    build = getattr(import_module(module), name)
    policy = dtype_policy(precision)
    image = keras.Input((None, None, config.channels), name="image")
    features = build(image, options, config.output_stride, policy)
    outputs = {
        name: _read_map(features.decoded, channels, name, policy)
        for name, channels in n_outputs.items()
    }
    if n_vectors:
        maps = next(iter(outputs.values()))
        pooled = FocusedPooling(dtype="float32", name="focus")([features.deepest, maps])
        for name, length in n_vectors.items():
            outputs[name] = _read_vector(pooled, length, name, config.class_units)
    return keras.Model(image, outputs, name=config.backbone)


def _read_map(x: Any, channels: int, name: str, policy: str) -> Any:
    """Linear maps (B, h, w, channels) of features (B, h, w, F)."""
    x = keras.layers.Conv2D(
        channels,
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype=policy,
        name=name,
    )(x)
    return keras.layers.Activation("linear", dtype="float32", name=f"{name}_out")(x)


def _read_vector(x: Any, length: int, name: str, units: int) -> Any:
    """Vectors (B, length) of pooled features (B, G); float32, as they are so few."""
    x = keras.layers.Dense(
        units, "relu", kernel_initializer="he_normal", dtype="float32", name=f"{name}_dense"
    )(x)
    return keras.layers.Dense(length, dtype="float32", name=f"{name}_out")(x)
