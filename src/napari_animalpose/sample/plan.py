"""What a species is: its skeleton, its solid parts, its limbs and how it behaves.

Lengths are in body lengths (BL), angles in radians, times in seconds. The body frame
has `u` forward and `v` to the animal's right; with image y pointing down, a heading of
0 looks along +x and positive headings turn clockwise on the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.registry import Registry

if TYPE_CHECKING:
    from napari_animalpose.sample.articulate import BodyState
    from napari_animalpose.sample.motion import Trajectory

__all__ = [
    "SPECIES",
    "Anchor",
    "Behavior",
    "Bone",
    "Floats",
    "Joint",
    "Leg",
    "Locomotion",
    "Shape",
    "Species",
    "place",
]

Floats = NDArray[np.float64]
Paint = Callable[[Floats, Floats, np.random.Generator, float], tuple[Floats, Floats]]
"""(u, v, generator, difference) -> (albedo, opacity); u and v run over -1..1."""

REST, WALK, GROOM_FRONT, GROOM_LEFT, GROOM_RIGHT, DISPLAY = range(6)
"""Roles that every species fills in this order; each gives them its own names."""


@dataclass(frozen=True)
class Joint:
    """A hinge on the body: a frame of its own that turns about `pivot` (u, v) in BL."""

    name: str
    pivot: tuple[float, float]
    rest_angle: float = 0.0


@dataclass(frozen=True)
class Shape:
    """A solid part in the frame of one joint: an ellipse that may taper.

    `taper` t makes the half width b (1 + t u / a). `bulge` is how far the dome leans at
    its rim: 0 is flat, 1 a half ellipsoid. `gloss` is the brightness of its highlight in
    gray levels. Translucent shapes (`opaque=False`) never hide a point.
    """

    name: str
    joint: str
    center: tuple[float, float]
    semi: tuple[float, float]
    angle: float = 0.0
    taper: float = 0.0
    albedo: float = 0.5
    bulge: float = 1.0
    gloss: float = 0.0
    opaque: bool = True
    paint: Paint | None = None

    def to_unit(self, u: Floats, v: Floats) -> tuple[Floats, Floats]:
        """Map joint coordinates (BL) to the unit disc of this shape."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        du, dv = u - self.center[0], v - self.center[1]
        along = (du * cos + dv * sin) / self.semi[0]
        width = self.semi[1] * np.clip(1 + self.taper * along, 0.05, None)
        return along, (dv * cos - du * sin) / width

    def level(self, u: Floats, v: Floats) -> Floats:
        """Return the implicit function: below 1 inside, 1 on the rim, above outside."""
        along, across = self.to_unit(u, v)
        return np.hypot(along, across)


@dataclass(frozen=True)
class Leg:
    """A jointed leg from a hip on the body to a foot that stands in the world.

    `neutral` is where the foot stands under a body at rest (u, v). `bend` is the side to
    which the knee leaves the line from hip to foot: +1 or -1. `gait_phase` is when in
    the stride cycle (0..1) the foot touches down. `radii` are the thicknesses at hip,
    knee, ankle and tip.
    """

    name: str
    hip: tuple[float, float]
    neutral: tuple[float, float]
    length: float
    bend: int
    gait_phase: float
    radii: tuple[float, float, float, float]
    joint: str = "body"


@dataclass(frozen=True)
class Bone:
    """A tapered capsule between two vertices, drawn in the order of `Species.bones`."""

    name: str
    start: int
    stop: int
    radii: tuple[float, float]
    albedo: float
    lift: tuple[float, float] = (0.0, 0.0)  # height above ground, for its shadow, in BL


@dataclass(frozen=True)
class Anchor:
    """Where a node sits: at (u, v) of a joint, or on a vertex; and the part it is on."""

    node: str
    owner: str
    joint: str = "body"
    at: tuple[float, float] = (0.0, 0.0)
    vertex: int = -1


@dataclass(frozen=True)
class Behavior:
    """Name, bout duration (mean, shortest, longest; s) and rhythm range (Hz) of a role."""

    name: str
    duration_s: tuple[float, float, float]
    rhythm_hz: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Locomotion:
    """How a species walks.

    Stride frequency is ``stride_hz[0] + stride_per_speed * speed``, within `stride_hz`;
    the swing lasts `swing_s` whatever the speed, so stance shortens as speed grows
    (Drosophila: Mendes et al., eLife 2013), but never below half a stride.
    """

    speed: tuple[float, float]  # BL/s
    stride_hz: tuple[float, float]
    stride_per_speed: float  # Hz per BL/s
    swing_s: float
    turn_max: float  # rad/s
    turn_arm: float  # BL: a turn of w rad/s steps like a walk of w * turn_arm BL/s


@dataclass(frozen=True)
class Species:
    """Everything that the generator needs to know about one kind of animal.

    `marks` may be painted onto individuals: the name of a shape, and what is put on it.
    `pose_joints` turns a trajectory (F, A) into joint angles (F, A, J), fore-and-aft
    stretch (F, A) and tail angles (F, A, T). `reach` tells for one animal (F,) how far
    each leg has left the ground, weights (F, L), and where to, (u, v) (F, L, 2) in BL.
    """

    name: str
    skeleton: Skeleton
    joints: tuple[Joint, ...]
    shapes: tuple[Shape, ...]
    legs: tuple[Leg, ...]
    tail: tuple[float, ...]  # segment lengths, BL
    tail_root: tuple[str, tuple[float, float]]
    bones: tuple[Bone, ...]
    anchors: tuple[Anchor, ...]
    behaviors: tuple[Behavior, ...]
    locomotion: Locomotion
    relative_length: float  # BL as a share of the frame's shorter side, two animals
    ankle: float  # where along knee to tip the ankle sits
    knee_bend: float
    pose_joints: Callable[[Trajectory], tuple[Floats, Floats, Floats]]
    reach: Callable[[Trajectory], tuple[Floats, Floats]]
    marks: tuple[tuple[str, Shape], ...] = ()

    def coat_shapes(self, individual: int, markings: bool) -> tuple[Shape, ...]:
        """Return the shapes of one animal in the order of drawing, with its marks if wanted.

        Each animal has a set of marks that no other has: those whose bits are set in its
        number.
        """
        shapes: list[Shape] = []
        for shape in self.shapes:
            shapes.append(shape)
            shapes += [
                mark
                for bit, (carrier, mark) in enumerate(self.marks)
                if markings and carrier == shape.name and individual >> bit & 1
            ]
        return tuple(shapes)

    @cached_property
    def joint_number(self) -> dict[str, int]:
        """Column of every joint in the arrays of `BodyState`."""
        return {joint.name: number for number, joint in enumerate(self.joints)}

    @cached_property
    def draw_order(self) -> dict[str, int]:
        """Rank of every bone and shape in the order of drawing, from the ground up."""
        names = [bone.name for bone in self.bones] + [shape.name for shape in self.shapes]
        return {name: rank for rank, name in enumerate(names)}

    def nodes(self, state: BodyState, frames: Floats, vertices: Floats) -> Floats:
        """Return the exact points of all nodes, shape (..., K, 2), in px."""
        from_joint = [anchor for anchor in self.anchors if anchor.vertex < 0]
        points = np.empty((*state.heading.shape, len(self.anchors), 2))
        rows = [k for k, anchor in enumerate(self.anchors) if anchor.vertex < 0]
        joints = [self.joint_number[anchor.joint] for anchor in from_joint]
        at = np.array([anchor.at for anchor in from_joint])
        points[..., rows, :] = place(frames[..., joints, :], at, state.stretch[..., None])
        rows = [k for k, anchor in enumerate(self.anchors) if anchor.vertex >= 0]
        points[..., rows, :] = vertices[..., [self.anchors[k].vertex for k in rows], :]
        return points


def place(frames: Floats, at: Floats, stretch: Floats) -> Floats:
    """Map points of joint frames to the image.

    Parameters
    ----------
    frames : float64, shape (..., 4)
        Origin x, y in px and the forward axis (x, y) times px per BL.
    at : float64, shape (..., 2)
        (u, v) in BL.
    stretch : float64, broadcast to (...)
        Fore-and-aft scale.

    Returns
    -------
    float64, shape (..., 2)
        (x, y) in px.
    """
    u, v = at[..., 0] * stretch, at[..., 1]
    x = frames[..., 0] + u * frames[..., 2] - v * frames[..., 3]
    y = frames[..., 1] + u * frames[..., 3] + v * frames[..., 2]
    return np.stack([x, y], axis=-1)


SPECIES: Registry[Species] = Registry("species")
SPECIES.register("fly", "napari_animalpose.sample.fly:FLY")
SPECIES.register("mouse", "napari_animalpose.sample.mouse:MOUSE")
