"""Measuring the receptive field of a built network by its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_animalpose.config import ModelConfig
from napari_animalpose.nn.backbones import backbone_options, model_receptive_field


def measure_receptive_field(network: Any, config: ModelConfig, n_inputs: int = 6) -> int:
    """Largest width over which any cell of the output "maps" depends on the input.

    The gradient of one cell of every phase of the grid in `n_inputs` random images each;
    their union, because max pooling passes the gradient to one cell of four. The network
    must have weights with which no unit is off.
    """
    import tensorflow as tf

    multiple = backbone_options(config).max_stride
    side = model_receptive_field(config) + 5 * multiple
    side += -side % multiple
    n_phases = multiple // config.output_stride
    middle = side // 2 // multiple * n_phases
    cells = np.repeat(np.arange(middle, middle + n_phases), n_inputs)
    shape = (len(cells), 2 * multiple, side, 1)
    images = tf.constant(np.random.default_rng(0).uniform(0.1, 1, shape), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        maps = network(images)["maps"]
        row = maps.shape[1] // 2
        total = tf.reduce_sum(tf.gather(maps[:, row, :, 0], cells, batch_dims=1))
    used = np.any(tape.gradient(total, images).numpy() != 0, axis=(1, 3))  # (B, W)
    used = used.reshape(n_phases, n_inputs, side).any(axis=1)
    assert not used[:, [0, -1]].any()  # the image is large enough to see all of it
    widths = [np.ptp(np.flatnonzero(line)) + 1 for line in used]
    return int(max(widths))
