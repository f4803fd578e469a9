"""From the state of a body to its joint frames, limb vertices and nodes, all exact."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from napari_animalpose.sample.plan import Floats, Species, place

__all__ = ["BodyState", "articulate"]

_VERTICES_A_LEG = 4  # hip, knee, ankle, tip


@dataclass(frozen=True)
class BodyState:
    """What moves, for any leading axes (...): frames by animals, or animals of one frame.

    Attributes
    ----------
    xy : float, shape (..., 2)
        Origin of the body, px.
    heading : float, shape (...)
        rad, unwrapped.
    scale : float, broadcast to (...)
        px per body length.
    angles : float, shape (..., J)
        Angle of every joint relative to the body, rad.
    stretch : float, shape (...)
        Fore-and-aft scale, 1 at rest.
    tail : float, shape (..., T)
        Angle of every tail segment relative to the one before, rad.
    feet : float, shape (..., L, 2)
        Tips of the legs, px.
    """

    xy: Floats
    heading: Floats
    scale: Floats
    angles: Floats
    stretch: Floats
    tail: Floats
    feet: Floats

    def at(self, index: int | slice) -> BodyState:
        """Return the state of one frame or a range of frames, as float64."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        cut = {k: np.asarray(v[index], np.float64) for k, v in parts.items() if k != "scale"}
        return BodyState(scale=self.scale, **cut)


def articulate(species: Species, state: BodyState) -> tuple[Floats, Floats]:
    """Return joint frames and limb vertices.

    Returns
    -------
    frames : float64, shape (..., J, 4)
        Origin x, y (px) and forward axis times px per body length.
    vertices : float64, shape (..., V, 2)
        Hip, knee, ankle and tip of every leg, then the tail from its root, in px.
    """
    frames = _joint_frames(species, state)
    return frames, np.concatenate(
        [_leg_vertices(species, state, frames), _tail_vertices(species, state, frames)], axis=-2
    )


def _joint_frames(species: Species, state: BodyState) -> Floats:
    axis = np.stack([np.cos(state.heading), np.sin(state.heading)], -1)
    axis = axis * np.broadcast_to(state.scale, state.heading.shape)[..., None]
    body = np.concatenate([state.xy, axis], axis=-1)[..., None, :]
    pivots = np.array([joint.pivot for joint in species.joints])
    origins = place(body, pivots, state.stretch[..., None])
    cos, sin = np.cos(state.angles), np.sin(state.angles)
    ax, ay = axis[..., None, 0], axis[..., None, 1]
    turned = np.stack([ax * cos - ay * sin, ay * cos + ax * sin], axis=-1)
    return np.concatenate([origins, turned], axis=-1)


def _leg_vertices(species: Species, state: BodyState, frames: Floats) -> Floats:
    """Knees leave the line from hip to foot as a two-link leg seen from above does."""
    legs = species.legs
    joints = [species.joint_number[leg.joint] for leg in legs]
    hips = place(
        frames[..., joints, :], np.array([leg.hip for leg in legs]), state.stretch[..., None]
    )
    scale = np.broadcast_to(state.scale, state.heading.shape)[..., None]
    reach = state.feet - hips
    distance = np.hypot(reach[..., 0], reach[..., 1])
    spare = np.array([leg.length for leg in legs]) ** 2 - (distance / scale) ** 2
    side = np.array([leg.bend for leg in legs]) * species.knee_bend
    # softplus-like root: smooth where a leg is stretched to its full length
    bend = side * np.sqrt(0.5 * (spare + np.sqrt(spare**2 + 1e-4))) * scale
    normal = np.stack([-reach[..., 1], reach[..., 0]], -1) / np.maximum(distance, 1e-9)[..., None]
    knees = hips + 0.45 * reach + bend[..., None] * normal
    ankles = knees + species.ankle * (state.feet - knees) + 0.12 * bend[..., None] * normal
    stacked = np.stack([hips, knees, ankles, state.feet], axis=-2)
    return stacked.reshape(*stacked.shape[:-3], len(legs) * _VERTICES_A_LEG, 2)


def _tail_vertices(species: Species, state: BodyState, frames: Floats) -> Floats:
    if not species.tail:
        return np.empty((*state.heading.shape, 0, 2))
    joint, root = species.tail_root
    frame = frames[..., species.joint_number[joint], :]
    start = place(frame, np.array(root), state.stretch)
    backward = np.arctan2(-frame[..., 3], -frame[..., 2])
    angles = backward[..., None] + np.cumsum(state.tail, axis=-1)
    lengths = np.array(species.tail) * np.broadcast_to(state.scale, state.heading.shape)[..., None]
    steps = lengths[..., None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    return np.concatenate([start[..., None, :], start[..., None, :] + np.cumsum(steps, -2)], -2)
