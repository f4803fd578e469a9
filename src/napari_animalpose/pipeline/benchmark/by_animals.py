"""Accuracy and time against the number of animals: what a crowd costs."""

from __future__ import annotations

from collections.abc import Sequence

from napari_animalpose.drawing.sweeps import CROWD_PANELS
from napari_animalpose.pipeline.benchmark.sources import SAMPLE_FRAMES, SampleSource
from napari_animalpose.pipeline.benchmark.sweeps import Plan, PlannedPoint, Setting, SweepOptions
from napari_animalpose.sample import SampleConfig

__all__ = ["plan_animals"]

FRAME_PX = 512
BODY_PX = 48.0  # twenty of these still find room to walk


def plan_animals(options: SweepOptions, defaults: Sequence[int]) -> Plan:
    """Plan trainings on sample videos that differ in the number of animals.

    Frames and animals have the same size whatever the number, so that time tells what one
    more animal costs and accuracy what it hides; the price is that a crowd is also
    denser. Every training has the same number of labelled frames, and so a crowd more
    labelled animals.

    Parameters
    ----------
    options : SweepOptions
    defaults : sequence of int
        Numbers of animals.

    Returns
    -------
    Plan
        One point for each number, pipeline and seed.
    """
    points = []
    for count in sorted(options.values or defaults):
        config = SampleConfig(
            n_frames=SAMPLE_FRAMES, n_animals=count, size=(FRAME_PX, FRAME_PX),
            body_length_px=BODY_PX,
        )  # fmt: skip
        setting = Setting.open(options, SampleSource(config))
        configs = setting.choose_configs()
        train = [setting.choose_frames(seed) for seed in range(options.seeds)]
        points += [
            PlannedPoint(count, count, name, seed, setting.make_point(chosen, frames, seed))
            for name, chosen in configs.items()
            for seed, frames in enumerate(train)
        ]
    return Plan(
        tuple(points),
        x_label="animals in the frame",
        x_name="animals",
        title="Accuracy and time by the number of animals",
        notes=(
            f"sample video, {FRAME_PX} × {FRAME_PX} px, animals of {BODY_PX:.0f} px",
            f"{len(train[0])} labelled frames",
            *setting.describe(configs)[1:],
        ),
        panels=CROWD_PANELS,
        logarithmic=False,  # time that grows by the animal has to look like it
    )
