"""Accuracy against the number of labelled frames: how many are enough."""

from __future__ import annotations

from collections.abc import Sequence

from napari_animalpose.drawing.sweeps import ACCURACY_PANELS
from napari_animalpose.errors import ConfigError
from napari_animalpose.pipeline.benchmark.sweeps import Plan, PlannedPoint, Setting, SweepOptions

__all__ = ["plan_labels"]

FEWEST = 2  # one to learn from, and one to choose the best epoch with


def plan_labels(options: SweepOptions, defaults: Sequence[int]) -> Plan:
    """Plan trainings that differ in the number of labelled frames and in nothing else.

    The network is chosen once, from all frames to learn from. The frames of a smaller
    number are among those of a larger one; which they are depends on the seed. Training
    holds out some of them for validation, as it does with a user's.

    Parameters
    ----------
    options : SweepOptions
    defaults : sequence of int
        Of these numbers, the ones for which there are enough frames.

    Returns
    -------
    Plan
        One point for each number, pipeline and seed.

    Raises
    ------
    ConfigError
        For a number of frames that cannot be learned from.
    """
    setting = Setting.open(options)
    available = len(setting.division.train)
    counts = options.values or tuple(count for count in defaults if count <= available)
    if not counts or min(counts) < FEWEST or max(counts) > available:
        raise ConfigError(
            f"Expected from {FEWEST} to {available} labelled frames, which are there to learn "
            f"from; received {', '.join(map(str, counts)) or available}. Choose others with "
            "--counts."
        )
    configs = setting.choose_configs()
    orders = [setting.order_frames(seed) for seed in range(options.seeds)]
    points = tuple(
        PlannedPoint(count, count, name, seed, setting.make_point(config, order[:count], seed))
        for count in sorted(counts)
        for name, config in configs.items()
        for seed, order in enumerate(orders)
    )
    return Plan(
        points,
        x_label="labelled frames",
        x_name="labelled_frames",
        title="Accuracy and the number of labelled frames",
        notes=setting.describe(configs),
        panels=ACCURACY_PANELS,
    )
