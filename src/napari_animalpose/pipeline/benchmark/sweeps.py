"""What can vary in a sweep, by name, and what all sweeps can be asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

from napari_animalpose.config import RunConfig, override
from napari_animalpose.data.project import Project
from napari_animalpose.drawing.sweeps import Mark, Panel
from napari_animalpose.errors import ConfigError
from napari_animalpose.nn.autoconfig import PRESETS
from napari_animalpose.nn.heads import PIPELINES
from napari_animalpose.pipeline.benchmark.point import Point
from napari_animalpose.pipeline.benchmark.sources import (
    Division,
    SampleSource,
    Source,
    divide_frames,
)
from napari_animalpose.pipeline.benchmark.subsets import ORDERS
from napari_animalpose.pipeline.training import check_config, choose
from napari_animalpose.registry import Registry

__all__ = ["SWEEPS", "Plan", "PlannedPoint", "Setting", "Sweep", "SweepOptions"]


@dataclass(frozen=True)
class SweepOptions:
    """What a sweep is asked for.

    Parameters
    ----------
    source : Source, optional
        Labelled frames; by default the embedded sample.
    values : tuple of int
        What varies: numbers of frames, of halvings or of animals; none: as the sweep says.
    pipelines : tuple of str
        Names in `nn.heads.PIPELINES`.
    preset : str
    configs : tuple of RunConfig
        Instead of choosing one from the labels: at most one for each pipeline.
    overrides : tuple of str
        ``section.key=value`` changes to every configuration.
    minutes : float
        Of each training; 0 for no limit but the number of epochs.
    seeds : int
        Trainings of each point, with the seeds 0, 1, ...
    frames, test_frames : str, optional
        As in `divide_frames`.
    n_labeled : int
        Frames to learn from where their number does not vary; 0: as the source says.
    order : str
        Name in `subsets.ORDERS`: which frames are the first n.
    """

    source: Source | None = None
    values: tuple[int, ...] = ()
    pipelines: tuple[str, ...] = ("topdown", "bottomup")
    preset: str = "balanced"
    configs: tuple[RunConfig, ...] = ()
    overrides: tuple[str, ...] = ()
    minutes: float = 2.0
    seeds: int = 1
    frames: str | None = None
    test_frames: str | None = None
    n_labeled: int = 0
    order: str = "even"

    def __post_init__(self) -> None:
        for name in self.pipelines:
            PIPELINES.get(name)
        given = [config.pipeline for config in self.configs]
        checks = (
            (bool(self.pipelines), "at least one pipeline", self.pipelines),
            (len(set(self.pipelines)) == len(self.pipelines), "each pipeline once", self.pipelines),
            (self.preset in PRESETS, f"one of the presets {', '.join(PRESETS)}", self.preset),
            (self.order in ORDERS, f"one of the orders {', '.join(ORDERS)}", self.order),
            (self.minutes >= 0, "a number of minutes of at least 0", self.minutes),
            (self.seeds >= 1, "at least one seed", self.seeds),
            (self.n_labeled >= 0, "a number of labelled frames", self.n_labeled),
            (min(self.values, default=1) >= 1, "values of at least 1", self.values),
            (len(set(self.values)) == len(self.values), "each value once", self.values),
            (len(set(given)) == len(given), "one configuration for a pipeline", given),
            (
                set(given) <= set(self.pipelines),
                f"configurations for the pipelines {', '.join(self.pipelines)}",
                given,
            ),
        )
        for holds, expected, received in checks:
            if not holds:
                raise ConfigError(f"Expected {expected} for a sweep; received {received!r}.")


@dataclass(frozen=True)
class PlannedPoint:
    """A point and its place in the sweep.

    Parameters
    ----------
    x : float
        Where it is drawn.
    value : int
        Of what varies.
    pipeline : str
    seed : int
    point : Point
    """

    x: float
    value: int
    pipeline: str
    seed: int
    point: Point


@dataclass(frozen=True)
class Plan:
    """All points of a sweep and how they are drawn.

    Parameters
    ----------
    points : tuple of PlannedPoint
    x_label : str
        With unit.
    x_name : str
        Of the column of ``x`` in tables.
    title : str
    notes : tuple of str
        What is the same for all points.
    panels : tuple of Panel
    mark : Mark, optional
    value_name : str
        Of the column of ``value`` in tables, where that is not ``x``.
    logarithmic : bool
        The horizontal axis.
    """

    points: tuple[PlannedPoint, ...]
    x_label: str
    x_name: str
    title: str
    notes: tuple[str, ...]
    panels: tuple[Panel, ...]
    mark: Mark | None = None
    value_name: str = ""
    logarithmic: bool = True


class Sweep(NamedTuple):
    """One thing that can vary.

    planner : ``"module:function"`` from `SweepOptions` and the default values to a `Plan`
    option : what `SweepOptions.values` is called on the command line
    meaning : of a value
    defaults : values where none are asked for
    takes_labels : whether it works on any labels, or on the sample alone
    varies_labels : whether the values are numbers of labelled frames
    """

    summary: str
    planner: str
    option: str
    meaning: str
    defaults: tuple[int, ...]
    takes_labels: bool = True
    varies_labels: bool = False

    def plan(self, options: SweepOptions) -> Plan:
        """Return the points; nothing is written and no network is built.

        Raises
        ------
        AnimalPoseError
            For options and labels that cannot be used.
        """
        module, _, name = self.planner.partition(":")
        plan: Plan = getattr(import_module(module), name)(options, self.defaults)
        return plan


SWEEPS: Registry[Sweep] = Registry("sweep")
SWEEPS.register(
    "labels",
    Sweep(
        "accuracy against the number of labelled frames",
        "napari_animalpose.pipeline.benchmark.by_labels:plan_labels",
        "counts",
        "labelled frames, as far as there are so many",
        (5, 10, 20, 50, 100, 200, 500),
        varies_labels=True,
    ),
)
SWEEPS.register(
    "receptive-field",
    Sweep(
        "accuracy against the receptive field of the network",
        "napari_animalpose.pipeline.benchmark.by_receptive_field:plan_receptive_fields",
        "depths",
        "halvings of the network",
        (1, 2, 3, 4, 5),
    ),
)
SWEEPS.register(
    "animals",
    Sweep(
        "accuracy and time against the number of animals, on the sample video",
        "napari_animalpose.pipeline.benchmark.by_animals:plan_animals",
        "animals",
        "animals in the frame",
        (2, 5, 10, 20),
        takes_labels=False,
    ),
)


@dataclass(frozen=True)
class Setting:
    """Opened labels, divided, and the points that can be made of them.

    Parameters
    ----------
    options : SweepOptions
    source : Source
    project : Project
    division : Division
    """

    options: SweepOptions
    source: Source
    project: Project
    division: Division

    @classmethod
    def open(cls, options: SweepOptions, source: Source | None = None) -> Setting:
        """Open the source of the options, or another one."""
        source = source or options.source or SampleSource()
        project = source.open()
        frames, test_frames = options.frames, options.test_frames
        if frames is None and test_frames is None:
            frames, test_frames = source.default_frames
        return cls(options, source, project, divide_frames(project, frames, test_frames))

    def choose_configs(self) -> dict[str, RunConfig]:
        """Return the configuration of each pipeline, chosen from all frames to learn from."""
        options = self.options
        given = {config.pipeline: config for config in options.configs}
        learned = self.project.replace(poses=self.division.of(self.division.train), extras=None)
        configs = {}
        for name in options.pipelines:
            config = given.get(name)
            if config is None:
                config = choose(learned, pipeline=name, preset=options.preset).config
            changed = override(config, [*options.overrides, f"train.max_minutes={options.minutes}"])
            check_config(changed)
            configs[name] = changed
        return configs

    def order_frames(self, seed: int) -> list[tuple[int, int]]:
        """Return the frames to learn from in the order in which they are chosen."""
        return ORDERS[self.options.order](self.division.train, seed)

    def choose_frames(self, seed: int) -> list[tuple[int, int]]:
        """Return the frames that each training has where their number does not vary.

        Raises
        ------
        ConfigError
            If there are fewer than asked for.
        """
        available = len(self.division.train)
        wanted = self.options.n_labeled
        if wanted > available:
            raise ConfigError(
                f"Expected up to {available} labelled frames, which are there to learn from; "
                f"received {wanted}."
            )
        default = self.source.default_n_labeled or available
        return self.order_frames(seed)[: wanted or default]

    def make_point(self, config: RunConfig, train: Sequence[tuple[int, int]], seed: int) -> Point:
        """Return the point of some frames and a seed."""
        keys = tuple(sorted(train))
        return Point(
            source=self.source,
            content=self.source.describe(self.project, (*keys, *self.division.test)),
            train=keys,
            test=self.division.test,
            config=override(config, [f"train.seed={seed}"]),
        )

    def describe(self, configs: Mapping[str, RunConfig]) -> tuple[str, ...]:
        """Return what is the same for all points, for the foot of the figure."""
        height, width = self.project.videos[0].shape[1:3]
        minutes = self.options.minutes
        epochs = sorted({config.train.epochs for config in configs.values()})
        return (
            f"{self.source.title}, {width} × {height} px",
            f"tested on {len(self.division.test)} other frames",
            f"{minutes:g} min of training" if minutes else f"{epochs[-1]} epochs of training",
        )
