"""The parts of the time of a frame, with a detector and a clock that are made for it."""

import numpy as np
import pytest
import tensorflow as tf

from napari_animalpose.nn.models import stopwatch


class Clock:
    """Stands still but when told to go on."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class SlowDetector:
    """Takes 2 s a frame on the device and 3 s a batch for grouping; tenfold the first time."""

    def __init__(self, clock):
        self.clock = clock
        self.sizes = []

    def start(self, frames):
        first = len(frames) not in self.sizes
        self.sizes.append(len(frames))
        self.clock.now += 2.0 * len(frames) * (10 if first else 1)
        return frames.shape[1:3], [tf.constant([1.0]), None]

    def finish(self, pending):
        size, (array, nothing) = pending
        assert isinstance(array, np.ndarray)  # the device was waited for
        assert (size, nothing) == ((8, 9), None)
        self.clock.now += 3.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", clock)
    return clock


def test_stages_are_timed_apart_and_the_first_pass_does_not_count(clock):
    detector = SlowDetector(clock)
    frames = [np.zeros((8, 9, 1), np.uint8)] * 5
    times = stopwatch.time_batches(detector, [np.stack(frames[:4]), np.stack(frames[4:])], 3)
    assert times == pytest.approx((2.0, 6.0 / 5))
    assert detector.sizes == [4, 1] * 4


def test_a_trained_run_is_timed(tiny_run, tiny_labels):
    from napari_animalpose.pipeline import load_predictor, read

    video = read(tiny_labels).videos[0]
    times = stopwatch.time_stages(load_predictor(tiny_run.path), [video[0], video[5]], 1)
    assert min(times) > 0
