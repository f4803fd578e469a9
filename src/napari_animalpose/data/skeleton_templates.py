"""Skeletons to begin with: body plans that laboratories use, each with a drawing.

A template is one entry of `SKELETON_TEMPLATES`: names, edges, symmetric pairs and where the
nodes are drawn. The edges of every template are one tree, as grouping with part affinity
fields needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.registry import Registry

__all__ = ["SKELETON_TEMPLATES", "SkeletonTemplate", "find_template", "fit_unit_box"]

Place = tuple[float, float]


@dataclass(frozen=True, eq=False)
class SkeletonTemplate:
    """A body plan and how it is drawn.

    Parameters
    ----------
    title : str
        What a menu calls it.
    skeleton : Skeleton
        With K nodes.
    layout : array of float64, shape (K, 2)
        (x, y) of the nodes in a unit box: x to the right, y down, both 0 to 1, the longer
        side of the animal fills the box. Animals look up, seen from above, so that their
        left is on the left; the person faces the viewer. Read-only.
    origin : str
        Where the body plan comes from, for a tooltip.
    """

    title: str
    skeleton: Skeleton
    layout: NDArray[np.float64] = field(repr=False)
    origin: str = ""

    def __post_init__(self) -> None:
        layout = fit_unit_box(self.layout)
        if layout.shape != (len(self.skeleton), 2) or not np.isfinite(layout).all():
            raise ValueError(
                f"Expected a place for each of {len(self.skeleton)} nodes; received {layout.shape}."
            )
        layout.flags.writeable = False
        object.__setattr__(self, "layout", layout)


def fit_unit_box(xy: ArrayLike) -> NDArray[np.float64]:
    """Return points moved and scaled to fill a unit box, without distortion.

    Parameters
    ----------
    xy : array_like of float, shape (K, 2)
        NaN = missing; stays NaN.

    Returns
    -------
    ndarray of float64, shape (K, 2)
        The longer side spans 0 to 1, the shorter is centred. Points that are all in one
        place, or only one, are at (0.5, 0.5).
    """
    points = np.array(xy, np.float64).reshape(-1, 2)
    there = points[np.isfinite(points).all(axis=1)]
    if not len(there):
        return points
    low, high = there.min(axis=0), there.max(axis=0)
    side = float((high - low).max())
    centred = points - (low + high) / 2
    filled: NDArray[np.float64] = centred / (side if side > 0 else 1.0) + 0.5
    return filled


def find_template(skeleton: Skeleton) -> SkeletonTemplate | None:
    """Return the first template that has all the nodes of a skeleton, or None."""
    wanted = set(skeleton.nodes)
    templates = (SKELETON_TEMPLATES.get(name) for name in SKELETON_TEMPLATES)
    having = (template for template in templates if wanted <= set(template.skeleton.nodes))
    return next(having, None) if wanted else None


SKELETON_TEMPLATES: Registry[SkeletonTemplate] = Registry("skeleton template")


def _register(
    name: str,
    title: str,
    places: Mapping[str, Place],
    edges: Iterable[tuple[str, str]],
    symmetries: Iterable[tuple[str, str]] = (),
    origin: str = "",
) -> None:
    """Add a template whose nodes have the order of `places`."""
    skeleton = Skeleton.from_names(tuple(places), edges, symmetries, name)
    layout = np.array(list(places.values()))
    SKELETON_TEMPLATES.register(name, SkeletonTemplate(title, skeleton, layout, origin))


def _mirror(halves: Mapping[str, Place], sides: Sequence[str] = ("L", "R")) -> dict[str, Place]:
    """Return both sides of a body: ``"wing*"`` becomes ``"wingL"``, mirrored, and ``"wingR"``."""
    left, right = sides
    both: dict[str, Place] = {}
    for name, (x, y) in halves.items():
        both |= {name.replace("*", left): (-x, y), name.replace("*", right): (x, y)}
    return both


def _pairs(names: Iterable[str], sides: Sequence[str] = ("L", "R")) -> list[tuple[str, str]]:
    """Return (left, right) for names like ``"wing*"``."""
    return [(name.replace("*", sides[0]), name.replace("*", sides[1])) for name in names]


def _spread(source: str, names: Iterable[str]) -> list[tuple[str, str]]:
    """Return an edge from one node to each of several."""
    return [(source, name) for name in names]


def _chains(names: Iterable[str], joints: int) -> list[tuple[str, str]]:
    """Return the edges along limbs: ``"forelegL"`` becomes ``forelegL1`` to ``forelegL4``."""
    numbered = ([f"{name}{joint}" for joint in range(1, joints + 1)] for name in names)
    return [edge for limb in numbered for edge in pairwise(limb)]


# In the figures below the thorax of an insect is (0, 0) and its head is at distance 1.
_LEGS = ("foreleg", "midleg", "hindleg")


def _register_fly13() -> None:
    halves = {
        "wing*": (0.30, 1.34),
        "foreleg*4": (0.30, -1.25),
        "midleg*4": (0.94, -0.60),
        "hindleg*4": (0.74, 0.82),
        "eye*": (0.28, -0.76),
    }
    places = {"head": (0.0, -1.0), "thorax": (0.0, 0.0), "abdomen": (0.0, 0.88)}
    places |= _mirror(halves)
    limbs = [name for name in places if name[:4] in ("wing", "fore", "midl", "hind")]
    edges = [("thorax", "head"), *_spread("head", ("eyeL", "eyeR"))]
    edges += _spread("thorax", ("abdomen", *limbs))
    _register(
        "fly13",
        "Fly, 13 nodes",
        places,
        edges,
        _pairs(halves),
        "The tips of legs and wings and five nodes of the body, as in SLEAP's courting flies.",
    )


def _register_fly32() -> None:
    legs = {
        "foreleg*": ((0.24, -0.42), (0.48, -0.78), (0.46, -1.06), (0.58, -1.38)),
        "midleg*": ((0.30, -0.10), (0.72, -0.22), (0.98, -0.34), (1.26, -0.44)),
        "hindleg*": ((0.26, 0.20), (0.58, 0.44), (0.74, 0.72), (1.00, 1.04)),
    }
    places = {"head": (0.0, -1.0), **_mirror({"eye*": (0.26, -0.86)})}
    places |= {"neck": (0.0, -0.66), "thorax": (0.0, 0.0), "abdomen": (0.0, 0.88)}
    for side, sign in (("R", 1), ("L", -1)):
        for leg, joints in legs.items():
            for number, (x, y) in enumerate(joints, start=1):
                places[f"{leg.replace('*', side)}{number}"] = (sign * x, y)
    places |= _mirror({"wing*": (0.36, 1.42)})
    limbs = [f"{leg}{side}" for side in "RL" for leg in _LEGS]
    edges = [("thorax", "neck"), ("neck", "head"), *_spread("head", ("eyeL", "eyeR"))]
    edges += _spread("thorax", ("abdomen", "wingL", "wingR", *(f"{limb}1" for limb in limbs)))
    edges += _chains(limbs, 4)
    paired = ["eye*", "wing*", *(f"{leg}*{n}" for leg in _LEGS for n in range(1, 5))]
    _register(
        "fly32",
        "Fly, 32 nodes",
        places,
        edges,
        _pairs(paired),
        "Four joints of each leg: the nodes of LEAP (Pereira et al. 2019), joined to one tree.",
    )


def _register_mouse() -> None:
    places = {
        "nose": (0.0, -1.0),
        **_mirror({"ear*": (0.22, -0.66)}),
        "head": (0.0, -0.72),
        "trunk": (0.0, 0.0),
        "forepawL": (-0.30, -0.44),
        "hindpawL": (-0.38, 0.38),
        "forepawR": (0.30, -0.44),
        "hindpawR": (0.38, 0.38),
        "tail_base": (0.0, 0.56),
        "tail_mid": (0.10, 1.02),
        "tail_tip": (-0.06, 1.46),
    }
    edges = [*_spread("head", ("nose", "earL", "earR")), ("trunk", "head"), ("trunk", "tail_base")]
    edges += _spread("trunk", ("forepawL", "hindpawL", "forepawR", "hindpawR"))
    edges += [("tail_base", "tail_mid"), ("tail_mid", "tail_tip")]
    origin = "A mouse from above, as in the sample data of this plugin."
    pairs = _pairs(("ear*", "forepaw*", "hindpaw*"))
    _register("mouse", "Mouse, 12 nodes", places, edges, pairs, origin)


def _register_worm() -> None:
    names = ["head", *(f"midline{number}" for number in range(1, 10)), "tail"]
    along = np.linspace(0, 1, len(names))
    places = {
        name: (0.16 * float(np.sin(2.2 * np.pi * t)), float(t))
        for name, t in zip(names, along, strict=True)
    }
    origin = "Eleven nodes at equal distances along the midline."
    _register("worm", "Worm, 11 nodes", places, pairwise(names), origin=origin)


def _register_bee() -> None:
    halves = {
        "antenna*1": (0.26, -1.34),
        "antenna*2": (0.58, -1.74),
        "foreleg*1": (0.52, -0.50),
        "foreleg*2": (0.80, -1.00),
        "midleg*1": (0.72, -0.02),
        "midleg*2": (1.24, 0.02),
        "hindleg*1": (0.66, 0.42),
        "hindleg*2": (1.06, 1.10),
        "wing*": (0.62, 1.46),
    }
    places = {"thorax": (0.0, 0.0), "head": (0.0, -1.0), "abdomen": (0.0, 1.60)}
    places |= _mirror(halves)
    feelers = [f"antenna{side}" for side in "LR"]
    legs = [f"{leg}{side}" for leg in _LEGS for side in "LR"]
    edges = [("thorax", "head"), ("thorax", "abdomen"), *_spread("thorax", ("wingL", "wingR"))]
    edges += _spread("head", (f"{feeler}1" for feeler in feelers))
    edges += _spread("thorax", (f"{leg}1" for leg in legs))
    edges += _chains((*feelers, *legs), 2)
    origin = "Body, wings, and two joints of each antenna and leg, as in SLEAP's bees."
    _register("bee", "Bee, 21 nodes", places, edges, _pairs(halves), origin)


def _register_human17() -> None:
    sides = ("left", "right")
    halves = {
        "*_eye": (-0.07, 0.05),
        "*_ear": (-0.15, 0.08),
        "*_shoulder": (-0.26, 0.32),
        "*_elbow": (-0.40, 0.60),
        "*_wrist": (-0.46, 0.86),
        "*_hip": (-0.16, 0.90),
        "*_knee": (-0.19, 1.32),
        "*_ankle": (-0.21, 1.74),
    }
    places = {"nose": (0.0, 0.12), **_mirror(halves, sides)}
    edges = [("nose", f"{side}_{part}") for side in sides for part in ("eye", "shoulder")]
    for side in sides:
        for limb in (("eye", "ear"), ("shoulder", "elbow", "wrist")):
            edges += pairwise(f"{side}_{part}" for part in limb)
        edges += pairwise(f"{side}_{part}" for part in ("shoulder", "hip", "knee", "ankle"))
    origin = "The key points of COCO in their order; its 19 edges without those that close circles."
    pairs = _pairs(halves, sides)
    _register("human17", "Human, 17 nodes (COCO)", places, edges, pairs, origin)


_register_fly13()
_register_fly32()
_register_mouse()
_register_worm()
_register_bee()
_register_human17()
