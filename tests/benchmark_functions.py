"""Stand-ins that `test_runner` has child processes measure, in no time."""

from __future__ import annotations

import os
import time

from napari_animalpose.errors import DataError
from napari_animalpose.jobs import Metric, Progress

ENVIRONMENT = {"device": "abacus", "napari-animalpose": "0"}


def describe(*, on_event, should_stop):
    return ENVIRONMENT


def measure(point, folder, *, on_event, should_stop):
    """Figures that follow from the number of labelled frames; 13 of them bring bad luck."""
    count = len(point.train)
    os.mkdir(folder)
    on_event(Progress("train", 1, 2))
    on_event(Metric(1, {"loss": 1.0}))
    if count == 13:
        raise DataError("Expected luck; received 13.")
    accuracy = dict.fromkeys(
        ("error_p75", "error_p90", "pck10", "mOKS", "mAR", "n_instances", "n_missed",
         "n_false_positives", "mAP_with_false_positives", "mAP"), 0.5,
    )  # fmt: skip
    return {
        "accuracy": {**accuracy, "error_p50": 10.0 / count, "pck5": 0.1},
        "seconds_per_frame": 0.03,
        "network_seconds_per_frame": 0.02,
        "grouping_seconds_per_frame": 0.01,
        "n_parameters": 1000,
        "steps": {"a": 3, "b": 4},
        "training_seconds": 1.0,
    }


def measure_for_ever(point, folder, *, on_event, should_stop):
    os.mkdir(folder)
    while not should_stop():
        on_event(Progress("train", 1, None))
        time.sleep(0.02)
    return {}
