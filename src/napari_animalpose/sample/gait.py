"""Feet: planted in the world during stance, swung to the next foothold between.

The foot of a stance stands where it is neutral for the body at mid-stance, so the body
passes over it symmetrically; the trajectory is known, so this is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.sample.motion import Trajectory
from napari_animalpose.sample.plan import Floats, Species

__all__ = ["HORIZON_S", "place_feet"]

HORIZON_S = 0.15  # a foothold is chosen for the body at most this long after touchdown


def place_feet(
    species: Species, trajectory: Trajectory, scale: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return where all feet are and which of them stand.

    Parameters
    ----------
    species : Species
        With L legs.
    trajectory : Trajectory
        F frames of A animals.
    scale : float64, shape (A,)
        px per body length.

    Returns
    -------
    feet : float64, shape (F, A, L, 2)
        px. Constant through every stance.
    stance : bool, shape (F, A, L)
    """
    n_frames, n_animals = trajectory.heading.shape
    feet = np.empty((n_frames, n_animals, len(species.legs), 2))
    stance = np.empty(feet.shape[:-1], np.bool_)
    for number in range(n_animals):
        one = trajectory.animal(number)
        for index, leg in enumerate(species.legs):
            standing = (one.gait_phase - leg.gait_phase) % 1.0 < one.duty
            stance[:, number, index] = standing
            neutral = np.array(leg.neutral) * scale[number]
            feet[:, number, index] = _plant(standing, one, neutral)
        lifted, away = species.reach(one)
        heading = one.heading[:, None]
        goal = np.stack(
            [
                away[..., 0] * np.cos(heading) - away[..., 1] * np.sin(heading),
                away[..., 0] * np.sin(heading) + away[..., 1] * np.cos(heading),
            ],
            axis=-1,
        )
        goal = one.xy[:, None] + goal * scale[number]
        feet[:, number] += lifted[..., None] * (goal - feet[:, number])
        stance[:, number] &= lifted == 0
    return feet, stance


def _plant(standing: NDArray[np.bool_], one: Trajectory, neutral: Floats) -> Floats:
    """Return the path of one foot, shape (F, 2), from its stance flags (F,)."""
    frames = np.arange(len(standing))
    edges = np.diff(standing.astype(np.int8), prepend=0, append=0)
    first, stop = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    middle = np.minimum((first + stop - 1) / 2, first + HORIZON_S * one.fps)
    heading = np.interp(middle, frames, one.heading)
    cos, sin = np.cos(heading), np.sin(heading)
    x = np.interp(middle, frames, one.xy[:, 0]) + neutral[0] * cos - neutral[1] * sin
    y = np.interp(middle, frames, one.xy[:, 1]) + neutral[0] * sin + neutral[1] * cos
    # knots: the first and the last frame of every stance; eased between, flat within
    knots = np.stack([first, stop - 1], axis=1).ravel()
    segment = np.clip(np.searchsorted(knots, frames, side="right") - 1, 0, max(len(knots) - 2, 0))
    begin, end = knots[segment], knots[np.minimum(segment + 1, len(knots) - 1)]
    s = np.clip((frames - begin) / np.maximum(end - begin, 1), 0, 1)
    s = s * s * (3 - 2 * s)
    here = segment // 2
    there = np.minimum((segment + 1) // 2, len(first) - 1)
    holds = np.stack([x, y], axis=-1)
    return np.asarray(holds[here] + s[:, None] * (holds[there] - holds[here]))
