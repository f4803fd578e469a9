"""Exact ground truth: points and what hides them, for many frames at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Visibility
from napari_animalpose.sample.articulate import BodyState, articulate
from napari_animalpose.sample.plan import Floats, Shape, Species

__all__ = ["find_visibility"]

_REACH_BL = 1.25  # no part of an animal is farther than this from its origin


def find_visibility(
    species: Species, state: BodyState, size: tuple[int, int]
) -> tuple[Floats, NDArray[np.uint8]]:
    """Return nodes and what a camera above sees of them.

    A node is occluded where an opaque part that is drawn after the part it sits on
    covers it: a later part of the same animal, or any part of an animal on top (animals
    lie in the order of their numbers). Wings are translucent and hide nothing. It is
    missing outside the frame, beyond the outer edges of its border pixels.

    Parameters
    ----------
    species : Species
    state : BodyState
        Leading axes (F, A).
    size : (int, int)
        Height and width of the frame, px.

    Returns
    -------
    points : float64, shape (F, A, K, 2)
        px; not NaN where missing.
    visibility : uint8, shape (F, A, K)
    """
    frames, vertices = articulate(species, state)
    points = species.nodes(state, frames, vertices)
    scale = np.broadcast_to(state.scale, state.heading.shape)
    hidden = np.zeros(points.shape[:-1], np.bool_)
    owners = np.array([species.draw_order[anchor.owner] for anchor in species.anchors])
    n_animals = points.shape[1]
    for below in range(n_animals):
        for above in range(below, n_animals):
            gap = np.hypot(*np.moveaxis(state.xy[:, above] - state.xy[:, below], -1, 0))
            rows = np.flatnonzero(gap < _REACH_BL * (scale[:, above] + scale[:, below]))
            if not len(rows):
                continue
            ranks = owners if above == below else np.full(len(owners), -1)
            hidden[rows, below] |= _covered(
                species,
                points[rows, below],
                ranks,
                (frames[rows, above], vertices[rows, above]),
                (state.stretch[rows, above], scale[rows, above]),
            )
    seen = np.where(hidden, Visibility.OCCLUDED, Visibility.VISIBLE).astype(np.uint8)
    limit = np.array([size[1], size[0]]) - 0.5
    inside = ((points >= -0.5) & (points <= limit)).all(axis=-1)
    return points, np.where(inside, seen, np.uint8(Visibility.MISSING)).astype(np.uint8)


def _covered(
    species: Species,
    points: Floats,
    ranks: NDArray[np.intp],
    body: tuple[Floats, Floats],
    extent: tuple[Floats, Floats],
) -> NDArray[np.bool_]:
    """Return which points (R, K, 2) the parts of one animal above their ranks cover."""
    frames, vertices = body
    stretch, scale = extent
    hidden = np.zeros(points.shape[:-1], np.bool_)
    for bone in species.bones:
        nodes = np.flatnonzero(ranks < species.draw_order[bone.name])
        start, stop = vertices[:, None, bone.start], vertices[:, None, bone.stop]
        hidden[:, nodes] |= _in_capsule(points[:, nodes], start, stop, bone.radii, scale)
    for shape in species.shapes:
        nodes = np.flatnonzero(ranks < species.draw_order[shape.name])
        if shape.opaque and len(nodes):
            frame = frames[:, None, species.joint_number[shape.joint]]
            hidden[:, nodes] |= _in_shape(shape, points[:, nodes], frame, stretch[:, None])
    return hidden


def _in_capsule(
    points: Floats, start: Floats, stop: Floats, radii: tuple[float, float], scale: Floats
) -> NDArray[np.bool_]:
    axis = stop - start
    away = points - start
    squared = np.maximum((axis**2).sum(-1), 1e-12)
    along = np.clip((away * axis).sum(-1) / squared, 0, 1)
    distance = np.hypot(*np.moveaxis(away - along[..., None] * axis, -1, 0))
    radius = radii[0] + (radii[1] - radii[0]) * along
    return np.asarray(distance < radius * scale[:, None])


def _in_shape(shape: Shape, points: Floats, frame: Floats, stretch: Floats) -> NDArray[np.bool_]:
    dx, dy = points[..., 0] - frame[..., 0], points[..., 1] - frame[..., 1]
    ax, ay = frame[..., 2], frame[..., 3]
    squared = ax**2 + ay**2
    u = (dx * ax + dy * ay) / squared / stretch
    v = (dy * ax - dx * ay) / squared
    return np.asarray(shape.level(u, v) < 1)
