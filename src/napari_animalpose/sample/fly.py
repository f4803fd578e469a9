"""The fruit fly: proportions of Drosophila seen from above, its gait and its grooming."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.sample.motion import Trajectory
from napari_animalpose.sample.plan import (
    DISPLAY,
    GROOM_FRONT,
    GROOM_LEFT,
    GROOM_RIGHT,
    Anchor,
    Behavior,
    Bone,
    Floats,
    Joint,
    Leg,
    Locomotion,
    Shape,
    Species,
)

__all__ = ["FLY"]

_LEG_ALBEDO = 0.27
_WING_FOLDED = -0.05  # rad from straight back, at rest: the tips overlap
_WING_OPEN = 1.30  # rad, the singing wing
_WING_VIBRATION = 0.17  # rad, amplitude of the song as a camera samples it
_VEINS = (  # polylines in wing coordinates, u from hinge -1 to tip 1, v leading edge -1
    ((-0.95, -0.10), (-0.3, -0.62), (0.3, -0.86)),
    ((-0.95, -0.08), (-0.3, -0.36), (0.4, -0.52), (0.86, -0.40)),
    ((-0.95, -0.05), (-0.3, -0.12), (0.4, -0.14), (0.97, -0.06)),
    ((-0.95, 0.00), (-0.3, 0.16), (0.3, 0.30), (0.86, 0.42)),
    ((-0.95, 0.05), (-0.4, 0.34), (0.1, 0.66), (0.35, 0.84)),
    ((-0.12, -0.12), (-0.08, 0.22)),
    ((0.34, -0.14), (0.28, 0.30)),
)


def _speckle(shape: tuple[int, ...], generator: np.random.Generator, amount: float) -> Floats:
    return 1 + amount * generator.standard_normal(shape)


def _paint_abdomen(
    u: Floats, v: Floats, generator: np.random.Generator, difference: float
) -> tuple[Floats, Floats]:
    """Six tergites, each pale in front and dark behind, and a darker tip."""
    dark = 0.29 + 0.06 * difference * generator.uniform(-1, 1)
    band_share = 0.42 + 0.10 * difference * generator.uniform(-1, 1)
    tip = 0.60 + 0.25 * difference * generator.uniform(-1, 1)
    tergite = (1 - u) / 2 * 6 - 0.35 * v**2
    edge = np.abs(tergite % 1.0 - (1 - band_share / 2)) - band_share / 2
    band = np.clip(0.5 - edge * 9, 0, 1)
    albedo = 0.54 + (dark - 0.54) * band
    albedo *= 1 - tip * np.clip((-u - 0.55) / 0.3, 0, 1) * 0.6
    albedo *= 1 - 0.05 * np.exp(-((v / 0.12) ** 2))
    return albedo * _speckle(u.shape, generator, 0.05), np.ones_like(u)


def _paint_thorax(
    u: Floats, v: Floats, generator: np.random.Generator, difference: float
) -> tuple[Floats, Floats]:
    """Brown-gray with faint stripes along it and rows of bristle sockets."""
    depth = 0.14 + 0.10 * difference * generator.uniform(-1, 1)
    stripes = sum(np.exp(-(((np.abs(v) - c) / 0.09) ** 2)) for c in (0.16, 0.52))
    albedo = 0.46 * (1 - depth * stripes)
    for row in (-0.34, 0.34, -0.68, 0.68):
        for spot in np.linspace(-0.55, 0.6, 5):
            radius = ((u - spot - 0.05 * row) / 0.06) ** 2 + ((v - row) / 0.07) ** 2
            albedo = albedo * (1 - 0.20 * np.exp(-radius))
    return albedo * _speckle(u.shape, generator, 0.05), np.ones_like(u)


def _paint_head(
    u: Floats, v: Floats, generator: np.random.Generator, difference: float
) -> tuple[Floats, Floats]:
    """A pale frons with three ocelli."""
    albedo = 0.50 - 0.12 * np.clip(-u, 0, 1)
    for spot in ((-0.35, 0.0), (-0.62, -0.13), (-0.62, 0.13)):
        albedo = albedo - 0.3 * np.exp(
            -((((u - spot[0]) / 0.13) ** 2) + ((v - spot[1]) / 0.09) ** 2)
        )
    return albedo * _speckle(u.shape, generator, 0.04), np.ones_like(u)


def _paint_eye(
    u: Floats, v: Floats, generator: np.random.Generator, difference: float
) -> tuple[Floats, Floats]:
    """Dark red, which is dark gray to the camera, with a hint of facets."""
    facets = 0.03 * np.cos(14 * u + 7 * v) * np.cos(14 * v)
    return 0.20 + facets, np.ones_like(u)


def _paint_wing(
    u: Floats, v: Floats, generator: np.random.Generator, difference: float
) -> tuple[Floats, Floats]:
    """A clear membrane, brighter than the floor, with dark veins and a dark rim."""
    distance = np.full(u.shape, np.inf)
    for vein in _VEINS:
        for (u0, v0), (u1, v1) in pairwise(vein):
            du, dv = u1 - u0, (v1 - v0) * 0.38
            h = np.clip(((u - u0) * du + (v - v0) * 0.38 * dv) / (du**2 + dv**2), 0, 1)
            distance = np.minimum(distance, np.hypot(u - u0 - h * du, (v - v0) * 0.38 - h * dv))
    rim = np.clip((np.hypot(u, v) - 0.90) / 0.08, 0, 1)
    line = np.maximum(np.exp(-((distance / 0.016) ** 2)), 0.85 * rim)
    sheen = 0.07 * np.sin(3.1 * u + 2.0 * v + generator.uniform(0, 6))
    return (0.74 + sheen) * (1 - line) + 0.25 * line, 0.20 + 0.25 * line


def _legs() -> tuple[Leg, ...]:
    """Tripods: left front, right middle, left hind against the other three."""
    legs = []
    for side, sign in (("L", -1), ("R", 1)):
        phase = 0.0 if side == "L" else 0.5
        radii = (0.019, 0.016, 0.0115, 0.0085)
        legs += [
            Leg(f"foreleg{side}", (0.25, 0.065 * sign), (0.50, 0.22 * sign), 0.41, sign, phase,
                radii),
            Leg(f"midleg{side}", (0.13, 0.075 * sign), (0.03, 0.43 * sign), 0.48, -sign,
                (phase + 0.5) % 1, radii),
            Leg(f"hindleg{side}", (0.04, 0.065 * sign), (-0.31, 0.34 * sign), 0.62, -sign, phase,
                radii),
        ]  # fmt: skip
    return tuple(legs)


def _bones(legs: tuple[Leg, ...]) -> tuple[Bone, ...]:
    order = sorted(range(len(legs)), key=lambda k: legs[k].hip[0])
    heights = (0.06, 0.10, 0.02, 0.0)
    return tuple(
        Bone(
            f"{legs[k].name}_{part}",
            4 * k + n,
            4 * k + n + 1,
            (legs[k].radii[n], legs[k].radii[n + 1]),
            _LEG_ALBEDO + 0.05 * n,
            (heights[n], heights[n + 1]),
        )
        for k in order
        for n, part in enumerate(("femur", "tibia", "tarsus"))
    )


def _pose_joints(t: Trajectory) -> tuple[Floats, Floats, Floats]:
    angles = np.zeros((*t.heading.shape, len(_JOINTS)))
    front, left, right = (t.doing(role) for role in (GROOM_FRONT, GROOM_LEFT, GROOM_RIGHT))
    song = t.doing(DISPLAY)
    seconds = np.arange(len(t.heading))[:, None] / t.fps
    idle = np.sin(2 * np.pi * (0.9 * seconds + np.arange(t.heading.shape[1]) * 0.37))
    angles[..., 1] = np.clip(0.05 * t.turn, -0.25, 0.25) + front * 0.07 * np.sin(0.5 * t.rhythm)
    angles[..., 2] = np.clip(-0.03 * t.turn, -0.15, 0.15) + 0.012 * idle
    angles[..., 2] += (left - right) * (0.13 + 0.03 * np.sin(t.rhythm))
    for column, side, groomed in ((3, -1, left), (4, 1, right)):
        open_by = _WING_FOLDED + 0.008 * idle + 0.10 * groomed
        singing = song * (t.side == side)
        open_by += singing * (_WING_OPEN - _WING_FOLDED + _WING_VIBRATION * np.sin(t.rhythm))
        angles[..., column] = side * (np.pi - open_by)
    return angles, np.ones(t.heading.shape), np.zeros((*t.heading.shape, 0))


def _reach(t: Trajectory) -> tuple[Floats, Floats]:
    """Front legs rub before the head in antiphase; a hind leg strokes abdomen and wing."""
    weight = np.zeros((len(t.heading), len(_LEGS)))
    uv = np.zeros((len(t.heading), len(_LEGS), 2))
    sin, cos = np.sin(t.rhythm), np.cos(t.rhythm)
    # every fourth rub becomes a sweep back over the eyes
    sweep = 0.5 - 0.5 * np.cos(t.rhythm / 4)
    for sign, fore, hind, role in ((-1, 0, 2, GROOM_LEFT), (1, 3, 5, GROOM_RIGHT)):
        weight[:, fore] = t.doing(GROOM_FRONT)
        uv[:, fore, 0] = 0.585 - 0.05 * sweep - sign * 0.055 * sin
        uv[:, fore, 1] = sign * (0.035 + 0.03 * sweep + sign * 0.018 * cos)
        weight[:, hind] = t.doing(role)
        uv[:, hind, 0] = -0.36 + 0.12 * sin
        uv[:, hind, 1] = sign * (0.185 + 0.045 * cos)
    return weight, uv


def _anchors(legs: tuple[Leg, ...]) -> tuple[Anchor, ...]:
    body = (
        Anchor("head", "eyeR", "head", (0.105, 0.0)),
        Anchor("eyeL", "eyeL", "head", (0.080, -0.108)),
        Anchor("eyeR", "eyeR", "head", (0.080, 0.108)),
        Anchor("thorax", "thorax", "body", (0.13, 0.0)),
        Anchor("abdomen", "abdomen", "abdomen", (-0.475, 0.0)),
        Anchor("wingL", "wingL", "wingL", (0.80, 0.0)),
        Anchor("wingR", "wingR", "wingR", (0.80, 0.0)),
    )
    limbs = []
    for k, leg in enumerate(legs):
        limbs.append(Anchor(f"{leg.name}_knee", f"{leg.name}_tibia", vertex=4 * k + 1))
        limbs.append(Anchor(f"{leg.name}_tip", f"{leg.name}_tarsus", vertex=4 * k + 3))
    return body + tuple(limbs)


def _skeleton(anchors: tuple[Anchor, ...]) -> Skeleton:
    names = [anchor.node for anchor in anchors]
    edges = [("thorax", "head"), ("head", "eyeL"), ("head", "eyeR")]
    edges += [("thorax", name) for name in ("abdomen", "wingL", "wingR")]
    for knee in (name for name in names if name.endswith("_knee")):
        edges += [("thorax", knee), (knee, knee.replace("_knee", "_tip"))]
    pairs = [(n, n.replace("legL_", "legR_")) for n in names if "legL_" in n]
    return Skeleton.from_names(
        names, edges, [("eyeL", "eyeR"), ("wingL", "wingR"), *pairs], name="fly"
    )


_JOINTS = (
    Joint("body", (0.0, 0.0)),
    Joint("head", (0.28, 0.0)),
    Joint("abdomen", (-0.02, 0.0)),
    Joint("wingL", (0.09, -0.085)),
    Joint("wingR", (0.09, 0.085)),
)
_SHAPES = (
    Shape("abdomen", "abdomen", (-0.215, 0.0), (0.26, 0.145), taper=0.18, bulge=0.9, gloss=26.0,
          paint=_paint_abdomen),
    Shape("thorax", "body", (0.13, 0.0), (0.175, 0.142), taper=-0.06, gloss=40.0,
          paint=_paint_thorax),
    Shape("scutellum", "body", (-0.035, 0.0), (0.055, 0.07), albedo=0.42, bulge=0.8),
    Shape("antennaL", "head", (0.165, -0.035), (0.042, 0.016), angle=-0.45, albedo=0.42),
    Shape("antennaR", "head", (0.165, 0.035), (0.042, 0.016), angle=0.45, albedo=0.42),
    Shape("head", "head", (0.075, 0.0), (0.085, 0.115), paint=_paint_head),
    Shape("eyeL", "head", (0.080, -0.108), (0.070, 0.046), angle=0.28, gloss=70.0,
          paint=_paint_eye),
    Shape("eyeR", "head", (0.080, 0.108), (0.070, 0.046), angle=-0.28, gloss=70.0,
          paint=_paint_eye),
    Shape("wingL", "wingL", (0.40, 0.0), (0.40, 0.118), taper=0.25, bulge=0.0, opaque=False,
          paint=lambda u, v, g, d: _paint_wing(u, -v, g, d)),
    Shape("wingR", "wingR", (0.40, 0.0), (0.40, 0.118), taper=0.25, bulge=0.0, opaque=False,
          paint=_paint_wing),
)  # fmt: skip
_MARKS = (
    ("thorax", Shape("mark_thorax", "body", (0.15, 0.0), (0.075, 0.075), albedo=0.95, bulge=0.3)),
    ("abdomen", Shape("mark_tip", "abdomen", (-0.36, 0.0), (0.08, 0.09), albedo=0.95, bulge=0.3)),
    ("abdomen", Shape("mark_waist", "abdomen", (-0.15, 0.0), (0.06, 0.10), albedo=0.95,
                      bulge=0.3)),
)  # fmt: skip
_LEGS = _legs()
_ANCHORS = _anchors(_LEGS)

FLY = Species(
    name="fly",
    skeleton=_skeleton(_ANCHORS),
    joints=_JOINTS,
    shapes=_SHAPES,
    legs=_LEGS,
    tail=(),
    tail_root=("body", (0.0, 0.0)),
    bones=_bones(_LEGS),
    anchors=_ANCHORS,
    behaviors=(
        Behavior("rest", (1.0, 0.5, 2.0)),
        Behavior("walk", (1.3, 0.5, 2.2)),
        Behavior("groom_front", (1.4, 0.7, 2.2), (5.5, 7.5)),
        Behavior("groom_hind_left", (1.2, 0.7, 2.2), (4.2, 5.6)),
        Behavior("groom_hind_right", (1.2, 0.7, 2.2), (4.2, 5.6)),
        Behavior("wing_extension", (1.1, 0.6, 2.0), (10.0, 12.0)),
    ),
    locomotion=Locomotion(
        speed=(0.7, 2.8),
        stride_hz=(6.0, 12.0),
        stride_per_speed=1.7,
        swing_s=0.044,
        turn_max=5.0,
        turn_arm=0.35,
    ),
    relative_length=0.235,
    ankle=0.60,
    knee_bend=0.36,
    pose_joints=_pose_joints,
    reach=_reach,
    marks=_MARKS,
)
