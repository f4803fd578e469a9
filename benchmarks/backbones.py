"""What the architectures cost: parameters, time of a training step and of a frame.

Networks have random weights, which cost what trained ones do. The times are the shortest
of some runs: other work on the machine only ever adds to them.

    python benchmarks/backbones.py --size 176 --batch 8
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from napari_animalpose.config import ModelConfig
from napari_animalpose.nn.backbones import BACKBONES, backbone_options, model_receptive_field
from napari_animalpose.nn.geometry import pad_to_multiple
from napari_animalpose.nn.models.losses import weighted_squared_error
from napari_animalpose.nn.models.network import build_network, resolve_precision

# Beside the defaults of every backbone: the variants that a user would ask about.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in BACKBONES),
    ("resnet50", {"atrous": True}),
    ("mobilenetv2", {"atrous": True}),
    ("mobilenetv2", {"width": 0.35}),
]


def shortest(function: Callable[[], Any], repeats: int) -> float:
    """Shortest of some times in seconds; the first run, which compiles, does not count."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        np.asarray(function())
        times.append(time.perf_counter() - began)
    return min(times[1:])


def measure(model: ModelConfig, options: argparse.Namespace, precision: str) -> dict[str, float]:
    """Time one network in inference and in training."""
    network = build_network(model, {"maps": options.nodes}, precision)
    height, width = pad_to_multiple((options.size,) * 2, backbone_options(model).max_stride)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(0, 1, (options.batch, height, width, 1)), tf.float32)
    stride = model.output_stride
    target = tf.zeros((options.batch, height // stride, width // stride, options.nodes))
    optimizer = keras.optimizers.AdamW(1e-3)
    optimizer.build(network.trainable_variables)

    def forward() -> Any:
        return network(images, training=False)["maps"]

    def step() -> Any:
        with tf.GradientTape() as tape:
            maps = network(images, training=True)["maps"]
            loss = weighted_squared_error(target, maps, 20.0)
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    compiled = tf.function(forward, autograph=False), tf.function(step, autograph=False)
    forward_s, step_s = (shortest(function, options.repeats) for function in compiled)
    return {
        "side_px": height,
        "parameters": network.count_params(),
        "receptive_field_px": model_receptive_field(model),
        "ms_per_step": 1000 * step_s,
        "ms_per_frame": 1000 * forward_s / options.batch,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=176, help="side of the windows in px")
    parser.add_argument("--batch", type=int, default=8, help="windows in a step")
    parser.add_argument("--stride", type=int, default=2, help="output stride in px")
    parser.add_argument("--nodes", type=int, default=13)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()

    precision = resolve_precision(options.precision)
    rows = []
    print(f"{precision}, {options.batch} windows of {options.size} px, output stride "
          f"{options.stride}")  # fmt: skip
    print(f"{'':32} {'million':>8} {'field':>6} {'ms a':>8} {'ms a':>8}")
    print(f"{'':32} {'params':>8} {'px':>6} {'step':>8} {'frame':>8}")
    for backbone, changes in VARIANTS:
        model = ModelConfig(
            backbone=backbone, backbone_options=changes, output_stride=options.stride
        )
        row = measure(model, options, precision)
        name = " ".join([backbone, *(f"{key}={value}" for key, value in changes.items())])
        rows.append({"backbone": name, **row})
        print(
            f"{name:32} {row['parameters'] / 1e6:8.2f} {row['receptive_field_px']:6d} "
            f"{row['ms_per_step']:8.0f} {row['ms_per_frame']:8.1f}"
        )
    print(json.dumps({"precision": precision, "rows": rows}))


if __name__ == "__main__":
    main()
