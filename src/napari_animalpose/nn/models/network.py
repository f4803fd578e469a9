"""From a configuration to a Keras model, and which precision suits the device."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import keras
import tensorflow as tf

from napari_animalpose.config import ModelConfig
from napari_animalpose.errors import ConfigError
from napari_animalpose.nn.backbones import BACKBONES, backbone_options

__all__ = ["build_network", "describe_device", "dtype_policy", "resolve_precision"]


def describe_device() -> tuple[str, str]:
    """Return the kind ("gpu" or "cpu") and the name of the device that TensorFlow will use."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "cpu", "CPU"
    details = tf.config.experimental.get_device_details(gpus[0])
    return "gpu", str(details.get("device_name", gpus[0].name))


def resolve_precision(precision: str) -> str:
    """Return the precision of the layers: "auto" becomes the fastest safe one here.

    CPUs with bfloat16 units (avx512_bf16, amx_bf16) run convolutions about twice as
    fast as in float32 and CPUs without them far slower; GPUs since Ampere have
    bfloat16, older ones with tensor cores float16, which needs loss scaling.
    """
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        capability = details.get("compute_capability", (0, 0))
        return (
            "bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else "float32"
        )
    return "bfloat16" if _cpu_has_bfloat16() else "float32"


def _cpu_has_bfloat16() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except FileNotFoundError:  # macOS and Windows do not say: stay with what always works
        return False
    return any(flag in flags.split() for flag in ("avx512_bf16", "amx_bf16", "bf16"))


def dtype_policy(precision: str) -> str:
    """Return the Keras dtype policy: weights stay float32, layers compute in `precision`."""
    return precision if precision == "float32" else f"mixed_{precision}"


def build_network(
    config: ModelConfig, n_outputs: dict[str, int], precision: str = "float32"
) -> Any:
    """Build the network of a configuration with new random weights.

    Parameters
    ----------
    config : ModelConfig
    n_outputs : dict of str to int
        Channels of each head by name, all at the output stride of the configuration.
    precision : {"float32", "bfloat16", "float16"}
        Of the layers. Weights and outputs are float32 whatever it is.

    Returns
    -------
    keras.Model
        Takes float images (B, H, W, C) in 0..1, H and W multiples of the maximum
        stride; gives a dict of float32 maps (B, H / output_stride, W / output_stride, F).

    Raises
    ------
    ConfigError
        If the output stride is not reached by this backbone.
    """
    options = backbone_options(config)
    lowest = getattr(options, "stem_stride", 1)
    if not lowest <= config.output_stride <= options.max_stride:
        raise ConfigError(
            f"Expected an output stride from {lowest} to {options.max_stride} for this "
            f"{config.backbone}; received {config.output_stride}."
        )
    module, _, name = BACKBONES.get(config.backbone).builder.partition(":")
    build = getattr(import_module(module), name)
    policy = dtype_policy(precision)
    image = keras.Input((None, None, config.channels), name="image")
    features = build(image, options, config.output_stride, policy)
    outputs = {}
    for head, channels in n_outputs.items():
        x = keras.layers.Conv2D(
            channels,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype=policy,
            name=head,
        )(features)
        outputs[head] = keras.layers.Activation("linear", dtype="float32", name=f"{head}_out")(x)
    return keras.Model(image, outputs, name=config.backbone)
