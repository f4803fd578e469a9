"""The embedded data set: a video that is drawn when asked for, and its exact truth."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, OutputError
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.sample.articulate import BodyState
from napari_animalpose.sample.config import SampleConfig
from napari_animalpose.sample.gait import place_feet
from napari_animalpose.sample.motion import Trajectory, simulate
from napari_animalpose.sample.plan import DISPLAY, SPECIES, WALK, Floats, Species
from napari_animalpose.sample.renderer import Renderer
from napari_animalpose.sample.truth import find_visibility

__all__ = ["Sample", "SampleVideo", "make_sample"]

_MARGIN_S = 1.0  # simulated beyond the end, so that the last footholds are known
_TRUTH_CHUNK = 20000  # animals times frames worked on at once
_SIZE_SPREAD, _TONE_SPREAD = 0.045, 0.11  # half ranges among animals, at difference 1


class SampleVideo:
    """Frames of a sample, each drawn when asked for (satisfies `data.video.Video`).

    Frame i depends on the recipe and on i alone. Keeps no frames.

    Attributes
    ----------
    renderer : Renderer
        Floor, noise and the painted coat of every animal.
    """

    def __init__(self, renderer: Renderer, state: BodyState, config: SampleConfig) -> None:
        self.renderer, self._state, self._config = renderer, state, config

    @property
    def name(self) -> str:
        """Species and seed."""
        return f"sample_{self._config.species}_{self._config.seed}"

    @property
    def source(self) -> str:
        """A description: there is no file."""
        height, width = self._config.size
        return (
            f"sample:{self._config.species}?seed={self._config.seed}"
            f"&n_animals={self._config.n_animals}&size={height}x{width}"
        )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of frames, height, width, channels: (N, H, W, 1)."""
        return (self._config.n_frames, *self._config.size, 1)

    @property
    def fps(self) -> float:
        """Frames a second."""
        return float(self._config.fps)

    def __len__(self) -> int:
        """Return the number of frames N."""
        return self._config.n_frames

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Draw frame `index`: uint8, shape (H, W, 1).

        Raises
        ------
        IndexError
            Outside -N .. N-1.
        """
        index = self._number(index)
        return self.renderer.draw(self._state.at(index), index)

    def clean(self, index: int) -> NDArray[np.float32]:
        """Draw frame `index` without noise and rounding: gray levels, shape (H, W)."""
        return self.renderer.draw_clean(self._state.at(self._number(index)))

    def part_mask(self, index: int, animal: int, part: str) -> NDArray[np.float32]:
        """Return how much of every pixel one part covers, shape (H, W), hidden or not.

        `part` is the name of a shape or bone in ``SPECIES.get(species)``.
        """
        return self.renderer.part_mask(self._state.at(self._number(index)), animal, part)

    def _number(self, index: int) -> int:
        n_frames = len(self)
        if not -n_frames <= index < n_frames:
            raise IndexError(f"Expected a frame from {-n_frames} to {n_frames - 1}; got {index}.")
        return int(index) % n_frames

    def close(self) -> None:
        """Do nothing: there is no file to release."""


class Sample:
    """An articulated-animal video with its exact ground truth; see `make_sample`.

    Attributes
    ----------
    config : SampleConfig
    species : Species
        Body plan, including names of parts for `SampleVideo.part_mask`.
    video : SampleVideo
    behavior : int8, shape (F, A)
        What every animal does, an index into `behavior_names`.
    stance : bool, shape (F, A, L)
        Which feet stand on the ground, in the order of `leg_names`.
    """

    def __init__(self, config: SampleConfig) -> None:
        self.config = config
        self.species: Species = SPECIES.get(config.species)
        _check_markings(config, self.species)
        self._individuals = self._draw_individuals()
        mean_length = body_length_px(config, self.species)
        scale = mean_length * self._individuals[:, 0]
        trajectory = simulate(
            self.species,
            config.n_frames + math.ceil(_MARGIN_S * config.fps),
            config.n_animals,
            config.size,
            config.fps,
            mean_length,
            config.seed,
        )
        feet, stance = place_feet(self.species, trajectory, scale)
        cut = slice(0, config.n_frames)
        self._state = _pose(self.species, trajectory, feet, scale, config.n_frames)
        self.behavior: NDArray[np.int8] = trajectory.behavior[cut].copy()
        self.stance: NDArray[np.bool_] = stance[cut].copy()
        renderer = Renderer(self.species, config, scale, self._individuals[:, 1])
        self.video = SampleVideo(renderer, self._state, config)

    def _draw_individuals(self) -> Floats:
        """Return relative size and tone of every animal, shape (A, 2).

        Tones are spread evenly and dealt at random, so that no two animals agree.
        """
        config = self.config
        generator = np.random.default_rng([config.seed, 4])
        spread = np.linspace(-1, 1, config.n_animals) if config.n_animals > 1 else np.zeros(1)
        size, tone = generator.permutation(spread), generator.permutation(spread)
        ranges = config.individual_differences * np.array([_SIZE_SPREAD, _TONE_SPREAD])
        return np.asarray(1 + np.stack([size, tone], axis=1) * ranges)

    def __repr__(self) -> str:
        height, width = self.config.size
        return (
            f"<Sample: {self.config.n_frames} frames of {width} x {height} px, "
            f"{self.config.n_animals} x {self.config.species}, seed {self.config.seed}>"
        )

    @property
    def skeleton(self) -> Skeleton:
        """Nodes, edges (a tree) and symmetries."""
        return self.species.skeleton

    @property
    def fps(self) -> float:
        """Frames a second."""
        return float(self.config.fps)

    @property
    def behavior_names(self) -> tuple[str, ...]:
        """Names that `behavior` counts."""
        return tuple(behavior.name for behavior in self.species.behaviors)

    @property
    def leg_names(self) -> tuple[str, ...]:
        """Names of the last axis of `stance`."""
        return tuple(leg.name for leg in self.species.legs)

    @property
    def track_names(self) -> tuple[str, ...]:
        """Names of the animals: "fly 1", "fly 2", ..."""
        return tuple(f"{self.species.name} {n + 1}" for n in range(self.config.n_animals))

    @property
    def body_length_px(self) -> Floats:
        """Length of every animal in px, shape (A,)."""
        return np.asarray(self._state.scale)

    @cached_property
    def _truth(self) -> tuple[Floats, NDArray[np.uint8]]:
        step = max(_TRUTH_CHUNK // self.config.n_animals, 1)
        parts = [
            find_visibility(self.species, self._state.at(slice(i, i + step)), self.config.size)
            for i in range(0, self.config.n_frames, step)
        ]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    @property
    def points(self) -> Floats:
        """Exact points (x, y) in px, also outside the frame: float64, (F, A, K, 2)."""
        return self._truth[0]

    @property
    def visibility(self) -> NDArray[np.uint8]:
        """`data.poses.Visibility` of every point, shape (F, A, K)."""
        return self._truth[1]

    @property
    def heading(self) -> NDArray[np.float32]:
        """Direction of every body in rad, 0 along +x, clockwise on screen, shape (F, A)."""
        return np.asarray(self._state.heading, np.float32)

    @cached_property
    def poses(self) -> Poses:
        """The truth as a table: one row for each animal and frame, tracks = identities.

        An animal with no point inside the frame has no row.
        """
        n_frames, n_animals, n_nodes = self.visibility.shape
        frame, track = np.divmod(np.arange(n_frames * n_animals), n_animals)
        visibility = self.visibility.reshape(-1, n_nodes)
        there = visibility.any(axis=1)
        return Poses.from_arrays(
            self.skeleton,
            frame=frame[there],
            xy=self.points.reshape(-1, n_nodes, 2)[there],
            track=track[there],
            origin=Origin.USER,
            visibility=visibility[there],
            track_names=self.track_names,
        )

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``video.mp4``, ``behavior.csv`` and ``truth.npz`` into a folder.

        The table of behaviours has the columns frame, animal and behavior; the archive
        holds `points`, `visibility`, `stance` and `behavior` (see there). Poses as
        `.slp` are written by the pipeline.

        Parameters
        ----------
        folder : path-like
            Made if it is not there.

        Returns
        -------
        Path
            The video.

        Raises
        ------
        OutputError
            If the folder cannot be made or written to.
        """
        folder = Path(folder)
        path = folder / "video.mp4"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._write_tables(folder)
        except OSError as error:
            raise OutputError(
                f"Expected a folder to write the sample to; received {folder} "
                f"({error.strerror}). Choose a folder that you may write to.",
                folder,
            ) from error
        from napari_animalpose.io.video_writer import VideoWriter

        with VideoWriter(path, fps=self.fps) as writer:
            for index in range(len(self.video)):
                writer.write(self.video[index])
        return path

    def _write_tables(self, folder: Path) -> None:
        names, tracks = self.behavior_names, self.track_names
        with (
            atomic_path(folder / "behavior.csv") as temporary,
            temporary.open("w", encoding="utf-8") as file,
        ):
            file.write("frame,animal,behavior\n")
            for frame, row in enumerate(self.behavior.tolist()):
                file.writelines(
                    f"{frame},{track},{names[label]}\n"
                    for track, label in zip(tracks, row, strict=True)
                )
        with atomic_path(folder / "truth.npz") as temporary:
            np.savez_compressed(
                temporary,
                points=self.points,
                visibility=self.visibility,
                stance=self.stance,
                behavior=self.behavior,
            )


def body_length_px(config: SampleConfig, species: Species) -> float:
    """Return px per body length of an average animal.

    By default a share of the frame's shorter side that falls with the number of animals
    as ``n ** -0.4`` from two on, so that twenty still find room.
    """
    if config.body_length_px is not None:
        return float(config.body_length_px)
    crowd = max(config.n_animals, 2) / 2
    return float(max(species.relative_length * min(config.size) * crowd**-0.4, 12.0))


def _pose(species: Species, t: Trajectory, feet: Floats, scale: Floats, n_frames: int) -> BodyState:
    """Assemble the state of all frames, float32 where that is exact to 1e-4 px."""
    angles, stretch, tail = species.pose_joints(t)
    xy, heading = _sway(t, scale)
    cut = slice(0, n_frames)
    return BodyState(
        xy=xy[cut].astype(np.float32),
        heading=heading[cut],
        scale=scale,
        angles=angles[cut].astype(np.float32),
        stretch=stretch[cut].astype(np.float32),
        tail=tail[cut].astype(np.float32),
        feet=feet[cut].astype(np.float32),
    )


def _sway(t: Trajectory, scale: Floats) -> tuple[Floats, Floats]:
    """Add what a body does over standing feet: breathing, rocking, rolling with the gait.

    Amplitudes are 0.4 % (breathing), 0.8 % (grooming) and 1 % (walking) of a body length.
    """
    seconds = np.arange(len(t.heading))[:, None] / t.fps
    own = np.arange(t.heading.shape[1])
    grooming = np.where((t.behavior != WALK) & (t.behavior != DISPLAY), t.weight, 0)
    rock = 0.008 * grooming * np.sin(t.rhythm) * (t.rhythm > 0)
    breath = 0.004 * np.sin(2 * np.pi * (0.8 + 0.07 * own) * seconds + own)
    pace = np.clip(t.speed, 0, 1)
    roll = 0.010 * pace * np.sin(2 * np.pi * t.gait_phase)
    forward, sideways = (rock + breath) * scale, roll * scale
    cos, sin = np.cos(t.heading), np.sin(t.heading)
    shift = np.stack([forward * cos - sideways * sin, forward * sin + sideways * cos], -1)
    return t.xy + shift, t.heading + 0.02 * pace * np.sin(2 * np.pi * t.gait_phase)


def _check_markings(config: SampleConfig, species: Species) -> None:
    most = 2 ** len(species.marks)
    if config.markings and config.n_animals > most:
        raise ConfigError(
            f"Expected at most {most} animals with marks for the species {species.name}; received "
            f"{config.n_animals}. Leave out the markings."
        )


def make_sample(config: SampleConfig | None = None, **changes: Any) -> Sample:
    """Make the embedded data set: animals that walk, meet, groom and display.

    Parameters
    ----------
    config : SampleConfig, optional
        By default 1,500 frames of two flies, 384 x 384 px at 50 frames a second.
    **changes
        Fields of `SampleConfig` to set: ``n_frames``, ``n_animals``, ``size`` (height,
        width), ``fps``, ``species``, ``seed``, ``body_length_px``,
        ``individual_differences``, ``noise_sd``, ``floor``, ``markings``.

    Returns
    -------
    Sample
        The same for the same recipe. Frames are drawn when asked for, in any order.

    Raises
    ------
    ConfigError
        For a value out of range, an unknown species, and more marked animals than the
        species has sets of marks.

    Examples
    --------
    >>> sample = make_sample(n_frames=100, n_animals=1, seed=7)
    >>> sample.video[42].shape
    (384, 384, 1)
    >>> sample.poses.at(0, 42).xy.shape
    (1, 19, 2)
    """
    return Sample(replace(config or SampleConfig(), **changes))
