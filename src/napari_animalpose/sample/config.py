"""What a sample is made of; frame i depends on nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_animalpose.errors import ConfigError

__all__ = ["SampleConfig"]


@dataclass(frozen=True)
class SampleConfig:
    """The recipe of an embedded recording.

    Parameters
    ----------
    n_frames : int
        Length of the video, at least 1. A longer sample begins with the shorter one.
    n_animals : int
        Number of animals, at least 1.
    size : (int, int)
        Height and width of a frame, in px, each at least 32.
    fps : float
        Frames a second, at least 5. Rhythms are capped at a quarter of it.
    species : str
        A name in `napari_animalpose.sample.SPECIES`.
    seed : int
        Everything random comes from it.
    body_length_px : float, optional
        Length of an average animal without tail and wings, at least 12 px. By default a
        share of the shorter side that shrinks as animals are added.
    individual_differences : float
        How much animals differ in size, tone and pattern: 0 = not at all, 1 = subtle,
        as siblings do; at most 3.
    noise_sd : float
        Standard deviation of the sensor noise at mid gray, in gray levels.
    floor : bool
        Draw the textured floor and the shadows; otherwise animals stand on flat gray.
    markings : bool
        Paint pale marks onto the animals, on each in other places, as experimenters do who
        want to know them apart. The first has none.

    Raises
    ------
    ConfigError
        For a value outside these ranges.
    """

    n_frames: int = 1500
    n_animals: int = 2
    size: tuple[int, int] = (384, 384)
    fps: float = 50.0
    species: str = "fly"
    seed: int = 0
    body_length_px: float | None = None
    individual_differences: float = 1.0
    noise_sd: float = 2.0
    floor: bool = True
    markings: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", (int(self.size[0]), int(self.size[1])))
        checks = {
            "n_frames": (self.n_frames, 1, math.inf),
            "n_animals": (self.n_animals, 1, math.inf),
            "height": (self.size[0], 32, 16384),
            "width": (self.size[1], 32, 16384),
            "fps": (self.fps, 5.0, 10000.0),
            "individual_differences": (self.individual_differences, 0.0, 3.0),
            "noise_sd": (self.noise_sd, 0.0, 60.0),
        }
        if self.body_length_px is not None:
            checks["body_length_px"] = (self.body_length_px, 12.0, math.inf)
        for name, (value, low, high) in checks.items():
            if not low <= value <= high:
                raise ConfigError(
                    f"Expected {name} from {low:g} to {high:g} for a sample; received {value}."
                )
