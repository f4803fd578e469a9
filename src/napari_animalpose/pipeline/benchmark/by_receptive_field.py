"""Accuracy against the receptive field: how much of the animal a network has to see."""

from __future__ import annotations

import math
from collections.abc import Sequence

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.drawing.sweeps import ACCURACY_PANELS, Mark
from napari_animalpose.errors import ConfigError
from napari_animalpose.nn.backbones import backbone_options, filters_at, model_receptive_field
from napari_animalpose.nn.heads import CENTRED_HEADS, PIPELINES
from napari_animalpose.pipeline.benchmark.sweeps import Plan, PlannedPoint, Setting, SweepOptions
from napari_animalpose.pipeline.selection import measure_project

__all__ = ["plan_receptive_fields", "vary_depth"]


def plan_receptive_fields(options: SweepOptions, defaults: Sequence[int]) -> Plan:
    """Plan trainings that differ in the depth of the network that finds the points.

    Each halving about doubles the receptive field. All blocks of all depths have the same
    number of filters (see `vary_depth`), so that a deeper network is not a wider one: its
    parameters grow with the number of its blocks, and its cost hardly, because a block
    after another halving has a quarter of the cells. In a pipeline of two networks the
    one that finds the animals stays as it is.

    Parameters
    ----------
    options : SweepOptions
    defaults : sequence of int
        Numbers of halvings.

    Returns
    -------
    Plan
        One point for each depth, pipeline and seed.

    Raises
    ------
    ConfigError
        For a depth that a network cannot have, or a network without one.
    """
    setting = Setting.open(options)
    depths = sorted(options.values or defaults)
    train = [setting.choose_frames(seed) for seed in range(options.seeds)]
    configs = setting.choose_configs()
    points = []
    for name, config in configs.items():
        for depth, varied in zip(depths, vary_depth(config, depths), strict=True):
            model = varied.networks[PIPELINES.get(name).heads[-1]]
            field_px = model_receptive_field(model) / model.input_scale
            points += [
                PlannedPoint(field_px, depth, name, seed, setting.make_point(varied, frames, seed))
                for seed, frames in enumerate(train)
            ]
    points.sort(key=lambda planned: planned.value)  # all pipelines advance together
    size_px = measure_project(setting.project, setting.division.labels).size_px
    return Plan(
        tuple(points),
        x_label="receptive field (px of the frame)",
        x_name="receptive_field_px",
        title="Accuracy and the receptive field",
        notes=(*setting.describe(configs), f"{len(train[0])} labelled frames"),
        panels=ACCURACY_PANELS,
        mark=Mark(size_px, f"animal, {size_px:.0f} px"),
        value_name="down_blocks",
    )


def vary_depth(config: RunConfig, depths: Sequence[int]) -> list[RunConfig]:
    """Return a configuration for each depth of the network that finds the points.

    Parameters
    ----------
    config : RunConfig
    depths : sequence of int
        Numbers of halvings (`down_blocks`).

    Returns
    -------
    list of RunConfig
        Every block has as many filters as the second block of `config`. Windows of
        training, and crops, have the same size for all: the smallest that is not below that
        of `config` and that all depths can take.

    Raises
    ------
    ConfigError
        If the backbone has no such options, or its output stride is not reached.
    """
    name = PIPELINES.get(config.pipeline).heads[-1]
    model = config.networks[name]
    options = backbone_options(model)
    if not all(hasattr(options, knob) for knob in ("down_blocks", "filters", "filters_rate")):
        raise ConfigError(
            f"Expected a network whose depth can vary; received {model.backbone}. Choose another "
            "backbone, such as unet."
        )
    width = filters_at(options.filters, options.filters_rate, 1)
    models = [
        model.replace(
            backbone_options=options.replace(
                down_blocks=depth, filters=width, filters_rate=1.0
            ).to_dict()
        )
        for depth in depths
    ]
    multiple = math.lcm(*(backbone_options(each).max_stride for each in models))
    train = config.train.replace(window_px=_round_up(config.train.window_px, multiple))
    crop_px = _round_up(model.crop_px, multiple)
    return [
        _with_network(config, name, each.replace(crop_px=crop_px)).replace(
            train=config.train if name in CENTRED_HEADS else train
        )
        for each in models
    ]


def _with_network(config: RunConfig, name: str, model: ModelConfig) -> RunConfig:
    return config.replace(networks={**config.networks, name: model})


def _round_up(side_px: int, multiple: int) -> int:
    return math.ceil(side_px / multiple) * multiple
