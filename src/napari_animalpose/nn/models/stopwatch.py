"""How long prediction takes, and which part of it the networks have."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.nn.heads import PIPELINES, Detector
from napari_animalpose.nn.inference import Predictor, batch_frames, choose_batch_size

__all__ = ["StageTimes", "time_batches", "time_stages"]


class StageTimes(NamedTuple):
    """Seconds for each frame.

    network_s : from frames in memory to what the device hands back
    grouping_s : from there to instances, on the processor
    """

    network_s: float
    grouping_s: float


def time_stages(
    predictor: Predictor, frames: Sequence[NDArray[np.uint8]], repeats: int = 3
) -> StageTimes:
    """Measure how long a frame takes, in batches as prediction makes them.

    Parameters
    ----------
    predictor : Predictor
    frames : sequence of uint8 arrays, each (H, W, C)
        In memory: reading and decoding does not count.
    repeats : int
        Passes over all frames, after one more that compiles. The shortest pass of each
        stage counts: other work on the machine only ever makes them longer.

    Returns
    -------
    StageTimes
        Measured one after the other. Prediction overlaps the stages with reading, and so
        may be faster than their sum.
    """
    run = predictor.run_config
    detector = PIPELINES.get(run.pipeline).load_detector()(predictor.forwards, predictor.config)
    model = next(iter(run.networks.values()))
    size = choose_batch_size(predictor.config, model, *frames[0].shape[:2])
    return time_batches(detector, [b for _, b in batch_frames(enumerate(frames), size)], repeats)


def time_batches(
    detector: Detector, batches: Sequence[NDArray[np.uint8]], repeats: int
) -> StageTimes:
    """Measure a detector on batches (B, H, W, C) as `time_stages` says."""
    passes = [_time_pass(detector, batches) for _ in range(repeats + 1)][1:]
    n_frames = sum(len(batch) for batch in batches)
    return StageTimes(*(min(times) / n_frames for times in zip(*passes, strict=True)))


def _time_pass(detector: Detector, batches: Sequence[NDArray[np.uint8]]) -> StageTimes:
    """Seconds of each stage for all batches together."""
    network_s = grouping_s = 0.0
    for batch in batches:
        began = time.perf_counter()
        pending = tf.nest.map_structure(_wait_for, detector.start(batch))
        ready = time.perf_counter()
        detector.finish(pending)
        network_s += ready - began
        grouping_s += time.perf_counter() - ready
    return StageTimes(network_s, grouping_s)


def _wait_for(part: Any) -> Any:
    """Return a tensor as an array, and anything else as it is."""
    return np.asarray(part) if tf.is_tensor(part) else part
