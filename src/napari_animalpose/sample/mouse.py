"""The mouse: seen from above, with a trotting gait, grooming, scratching and rearing."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

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

__all__ = ["MOUSE"]

_TAIL = (0.14, 0.14, 0.13, 0.13, 0.12, 0.12)  # BL, from the base
_TAIL_RADII = (0.036, 0.031, 0.026, 0.022, 0.018, 0.014, 0.010)
_SKIN = 0.52  # albedo of paws and tail
_HEIGHTS = (0.08, 0.05, 0.02, 0.0)  # BL above ground: hip, knee, ankle, tip
_REARING = 0.30  # share of its length that a rearing mouse loses, seen from above


def _fur(
    u: Floats, v: Floats, generator: np.random.Generator, tone: float, fade: float
) -> tuple[Floats, Floats]:
    """Hairs that run from nose to tail over broader mottling; a darker back."""
    hairs = ndimage.gaussian_filter(generator.standard_normal(u.shape), (0.6, 3.0))
    clumps = ndimage.gaussian_filter(generator.standard_normal(u.shape), (3.0, 7.0))
    albedo = tone * (1 + 0.17 * hairs / hairs.std() * 0.6 + 0.05 * clumps / clumps.std())
    albedo *= 1 - 0.16 * np.exp(-((v / 0.35) ** 2)) + 0.14 * v**2
    # behind, a part fades into the one that it grows out of
    edge = 0.12 + 0.75 * np.clip(-u, 0, 1) * fade
    rim = np.clip((1.03 - np.hypot(u, v) + 0.05 * hairs / hairs.std()) / edge, 0, 1)
    return albedo, rim


def _paint_body(
    u: Floats, v: Floats, generator: np.random.Generator, difference: float
) -> tuple[Floats, Floats]:
    """Brown-gray fur with a pale patch, each animal's in its own place."""
    albedo, rim = _fur(u, v, generator, 0.34, 0.0)
    at_u, at_v, radius = generator.uniform((-0.4, -0.5, 0.25), (0.4, 0.5, 0.42))
    patch = np.exp(-((np.hypot(u - at_u, v - at_v) / radius) ** 2))
    return albedo * (1 + 0.5 * difference * patch), rim


def _paint_chest(
    u: Floats, v: Floats, generator: np.random.Generator, difference: float
) -> tuple[Floats, Floats]:
    """Plain fur that grows out of the pelvis."""
    return _fur(u, v, generator, 0.34, 1.0)


def _paint_head(
    u: Floats, v: Floats, generator: np.random.Generator, difference: float
) -> tuple[Floats, Floats]:
    """Short fur, paler towards the muzzle."""
    albedo, rim = _fur(u, v, generator, 0.36, 0.7)
    return albedo * (1 + 0.35 * np.clip((u - 0.35) / 0.6, 0, 1)), rim


def _paint_ear(
    u: Floats, v: Floats, generator: np.random.Generator, difference: float
) -> tuple[Floats, Floats]:
    """Thin pale skin with a dark hollow."""
    hollow = np.exp(-(((u - 0.15) / 0.55) ** 2) - (v / 0.5) ** 2)
    return 0.58 - 0.20 * hollow, np.ones_like(u)


def _legs() -> tuple[Leg, ...]:
    """Diagonal pairs step together: left front with right hind."""
    legs = []
    for side, sign in (("L", -1), ("R", 1)):
        phase = 0.0 if side == "L" else 0.5
        legs += [
            Leg(f"forepaw{side}", (0.14, 0.07 * sign), (0.29, 0.125 * sign), 0.26, -sign, phase,
                (0.05, 0.042, 0.030, 0.024)),
            Leg(f"hindpaw{side}", (-0.20, 0.10 * sign), (-0.16, 0.205 * sign), 0.34, -sign,
                (phase + 0.5) % 1, (0.06, 0.050, 0.034, 0.026), "body"),
        ]  # fmt: skip
    return tuple(legs)


def _bones(legs: tuple[Leg, ...]) -> tuple[Bone, ...]:
    root = 4 * len(legs)
    tail = [
        Bone(
            f"tail{n}",
            root + n,
            root + n + 1,
            (_TAIL_RADII[n], _TAIL_RADII[n + 1]),
            _SKIN - 0.04,
            (0.01, 0.01),
        )
        for n in reversed(range(len(_TAIL)))
    ]
    limbs = [
        Bone(
            f"{leg.name}_{part}",
            4 * k + n,
            4 * k + n + 1,
            (leg.radii[n], leg.radii[n + 1]),
            (0.40, 0.44, _SKIN)[n],
            (_HEIGHTS[n], _HEIGHTS[n + 1]),
        )
        for k, leg in enumerate(legs)
        for n, part in enumerate(("upper", "lower", "foot"))
    ]
    return (*tail, *limbs)


def _pose_joints(t: Trajectory) -> tuple[Floats, Floats, Floats]:
    """The head leads a turn, the pelvis trails it, the tail follows in a wave."""
    n_animals = t.heading.shape[1]
    angles = np.zeros((*t.heading.shape, len(_JOINTS)))
    front, left, right = (t.doing(role) for role in (GROOM_FRONT, GROOM_LEFT, GROOM_RIGHT))
    rearing = t.doing(DISPLAY)
    seconds = np.arange(len(t.heading))[:, None] / t.fps
    slow = np.sin(2 * np.pi * (0.31 * seconds + 0.41 * np.arange(n_animals)))
    gait = np.sin(2 * np.pi * t.gait_phase) * np.clip(t.speed, 0, 1)
    bend = np.clip(0.10 * t.turn, -0.42, 0.42)
    angles[..., 1] = bend + 0.05 * slow + 0.04 * gait + 0.08 * front * np.sin(t.rhythm / 2)
    angles[..., 1] += (right - left) * 0.42 + 0.3 * rearing * np.sin(2 * np.pi * 0.8 * seconds)
    angles[..., 2] = -0.8 * bend - 0.03 * gait + 0.10 * (left - right)
    stretch = 1 - _REARING * rearing - 0.10 * front - 0.06 * np.maximum(left, right)
    wave = 2 * np.pi * 0.45 * seconds[..., None] + np.arange(n_animals)[:, None] * 1.7
    wave = wave - 0.75 * np.arange(len(_TAIL))
    tail = 0.13 * np.sin(wave) + 0.05 * gait[..., None] - 0.35 * bend[..., None]
    tail[..., 0] += -0.5 * bend
    return angles, stretch, tail


def _reach(t: Trajectory) -> tuple[Floats, Floats]:
    """Paws wipe the muzzle together; a hind paw scratches behind the ear; rearing lifts both."""
    weight = np.zeros((len(t.heading), len(_LEGS)))
    uv = np.zeros((len(t.heading), len(_LEGS), 2))
    sin, cos = np.sin(t.rhythm), np.cos(t.rhythm)
    washing, rearing = t.doing(GROOM_FRONT), t.doing(DISPLAY)
    for sign, fore, hind, role in ((-1, 0, 1, GROOM_LEFT), (1, 2, 3, GROOM_RIGHT)):
        lifted = np.maximum(washing, rearing)
        share = np.divide(washing, lifted, out=np.zeros_like(lifted), where=lifted > 0)
        weight[:, fore] = lifted
        uv[:, fore, 0] = share * (0.41 + 0.045 * sin) + (1 - share) * 0.30
        uv[:, fore, 1] = sign * (share * (0.075 + 0.030 * cos) + (1 - share) * 0.10)
        weight[:, hind] = t.doing(role)
        uv[:, hind, 0] = 0.10 + 0.055 * sin
        uv[:, hind, 1] = sign * (0.215 + 0.020 * cos)
    return weight, uv


def _anchors() -> tuple[Anchor, ...]:
    root = 4 * len(_LEGS)
    tail_joint, tail_at = _TAIL_ROOT
    paws = (Anchor(leg.name, f"{leg.name}_foot", vertex=4 * k + 3) for k, leg in enumerate(_LEGS))
    return (
        Anchor("nose", "nose", "head", (0.298, 0.0)),
        Anchor("earL", "earL", "head", (0.050, -0.105)),
        Anchor("earR", "earR", "head", (0.050, 0.105)),
        Anchor("head", "earR", "head", (0.11, 0.0)),
        Anchor("trunk", "chest", "body", (-0.04, 0.0)),
        *paws,
        Anchor("tail_base", "pelvis", tail_joint, tail_at),
        Anchor("tail_mid", "tail2", vertex=root + 3),
        Anchor("tail_tip", f"tail{len(_TAIL) - 1}", vertex=root + len(_TAIL)),
    )


_JOINTS = (
    Joint("body", (0.0, 0.0)),
    Joint("head", (0.19, 0.0)),
    Joint("pelvis", (-0.04, 0.0)),
)
_TAIL_ROOT = ("pelvis", (-0.435, 0.0))
_SHAPES = (
    Shape("pelvis", "pelvis", (-0.175, 0.0), (0.265, 0.185), taper=-0.10, bulge=0.9,
          paint=_paint_body),
    Shape("chest", "body", (0.06, 0.0), (0.24, 0.145), taper=-0.20, bulge=0.85,
          paint=_paint_chest),
    Shape("nose", "head", (0.298, 0.0), (0.020, 0.020), albedo=0.62, bulge=0.8),
    Shape("head", "head", (0.13, 0.0), (0.175, 0.100), taper=-0.42, bulge=0.9,
          paint=_paint_head),
    Shape("eyeL", "head", (0.175, -0.066), (0.020, 0.015), albedo=0.06, gloss=90.0),
    Shape("eyeR", "head", (0.175, 0.066), (0.020, 0.015), albedo=0.06, gloss=90.0),
    Shape("earL", "head", (0.050, -0.105), (0.052, 0.046), angle=0.5, bulge=0.5,
          paint=_paint_ear),
    Shape("earR", "head", (0.050, 0.105), (0.052, 0.046), angle=-0.5, bulge=0.5,
          paint=_paint_ear),
)  # fmt: skip
_MARKS = (
    ("pelvis", Shape("mark_rump", "pelvis", (-0.30, 0.0), (0.07, 0.09), albedo=0.9, bulge=0.4)),
    ("pelvis", Shape("mark_back", "pelvis", (-0.08, 0.0), (0.07, 0.11), albedo=0.9, bulge=0.4)),
    ("head", Shape("mark_head", "head", (0.08, 0.0), (0.055, 0.05), albedo=0.9, bulge=0.4)),
)  # fmt: skip
_LEGS = _legs()
_ANCHORS = _anchors()

MOUSE = Species(
    name="mouse",
    skeleton=Skeleton.from_names(
        [anchor.node for anchor in _ANCHORS],
        [
            *(("head", name) for name in ("nose", "earL", "earR")),
            *(("trunk", name) for name in ("head", "tail_base")),
            *(("trunk", leg.name) for leg in _LEGS),
            *(("tail_base", "tail_mid"), ("tail_mid", "tail_tip")),
        ],
        [("earL", "earR"), ("forepawL", "forepawR"), ("hindpawL", "hindpawR")],
        name="mouse",
    ),
    joints=_JOINTS,
    shapes=_SHAPES,
    legs=_LEGS,
    tail=_TAIL,
    tail_root=_TAIL_ROOT,
    bones=_bones(_LEGS),
    anchors=_ANCHORS,
    behaviors=(
        Behavior("rest", (1.0, 0.5, 2.0)),
        Behavior("walk", (1.3, 0.5, 2.2)),
        Behavior("groom_front", (1.5, 0.7, 2.2), (5.0, 7.0)),
        Behavior("scratch_left", (1.2, 0.7, 2.2), (8.5, 11.0)),
        Behavior("scratch_right", (1.2, 0.7, 2.2), (8.5, 11.0)),
        Behavior("rear", (1.3, 0.7, 2.2)),
    ),
    locomotion=Locomotion(
        speed=(0.7, 2.4),
        stride_hz=(3.0, 6.0),
        stride_per_speed=1.2,
        swing_s=0.085,
        turn_max=4.0,
        turn_arm=0.35,
    ),
    relative_length=0.235,
    ankle=0.55,
    knee_bend=0.30,
    pose_joints=_pose_joints,
    reach=_reach,
    marks=_MARKS,
)
