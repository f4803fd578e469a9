"""Colours for nodes, tracks and instances that stay apart for colour-blind eyes too.

Distances are Euclidean in OKLab (Ottosson 2020, "A perceptual color space for image
processing"), taken as the smallest over normal vision and simulated protanopia and
deuteranopia (Machado et al. 2009, "A physiologically-based model for simulation of color
vision deficiency", severity 1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.registry import Registry

__all__ = [
    "COLORINGS",
    "UNTRACKED_COLOR",
    "Coloring",
    "color_by_instance",
    "color_by_node",
    "color_by_track",
    "color_distance",
    "color_points",
    "edge_colors",
    "node_colors",
    "qualitative_colors",
]

UNTRACKED_COLOR = (176, 176, 176)
"""Gray (R, G, B) of instances without a track; no palette contains a gray."""

# The chromatic colours of Okabe and Ito (2008, "Color Universal Design"), reordered so
# that the first ones, which two or three animals get, are the farthest apart.
_FIRST_COLORS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (213, 94, 0),
    (204, 121, 167),
    (240, 228, 66),
    (0, 114, 178),
)
_MAX_COLORS = 24  # new colours after that would be closer than 0.08 to an old one
_CVD_WEIGHT = 1.4  # a collapsed colour space cannot keep the distances of a whole one

_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LMS_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)
_DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)


def _to_linear(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _from_linear(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    positive = np.maximum(rgb, 0.0)
    return np.where(positive <= 0.0031308, positive * 12.92, 1.055 * positive ** (1 / 2.4) - 0.055)


def _linear_to_oklab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.cbrt(linear @ _RGB_TO_LMS.T) @ _LMS_TO_LAB.T)


def _oklab_to_linear(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    lms = (lab @ np.linalg.inv(_LMS_TO_LAB).T) ** 3
    return np.asarray(lms @ np.linalg.inv(_RGB_TO_LMS).T)


def _seen_by_all(rgb: ArrayLike) -> NDArray[np.float64]:
    """OKLab of colours (..., 3) uint8 for three kinds of vision, shape (..., 3 kinds, 3)."""
    linear = _to_linear(np.asarray(rgb, np.float64) / 255.0)
    views = [linear, linear @ _PROTANOPIA.T, linear @ _DEUTERANOPIA.T]
    return np.stack([_linear_to_oklab(np.clip(view, 0.0, 1.0)) for view in views], axis=-2)


def color_distance(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return how far apart colours look to the eye that tells them apart worst.

    Parameters
    ----------
    a, b : array_like of uint8, shape (..., 3)
        sRGB colours; broadcast against each other.

    Returns
    -------
    ndarray of float64, shape (...)
        OKLab distance, black to white = 1. The distances that protanopes and
        deuteranopes see count `1.4` times, so that the palette serves everyone and is
        not decided by them alone.
    """
    distance = np.linalg.norm(_seen_by_all(a) - _seen_by_all(b), axis=-1)
    distance[..., 1:] *= _CVD_WEIGHT
    return np.asarray(distance.min(axis=-1))


def _polar_colors(
    lightness: ArrayLike, chroma: ArrayLike, hue_degrees: ArrayLike
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Colours (..., 3) uint8 from OKLab cylinder coordinates, and which of them exist."""
    hue = np.deg2rad(np.asarray(hue_degrees, np.float64))
    a, b = np.asarray(chroma) * np.cos(hue), np.asarray(chroma) * np.sin(hue)
    lab = np.stack(np.broadcast_arrays(np.asarray(lightness, np.float64), a, b), axis=-1)
    linear = _oklab_to_linear(lab)
    exists = np.asarray(((linear > -1e-3) & (linear < 1.001)).all(axis=-1))
    rgb = np.rint(np.clip(_from_linear(linear), 0.0, 1.0) * 255.0)
    return rgb.astype(np.uint8), exists


@lru_cache(maxsize=1)
def _candidates() -> NDArray[np.uint8]:
    """All chromatic colours that show on dark and on bright images, shape (C, 3)."""
    lightness, chroma, hue = np.meshgrid(
        np.arange(0.46, 0.93, 0.045), np.arange(0.08, 0.25, 0.035), np.arange(0, 360, 10.0)
    )
    colors, exists = _polar_colors(lightness, chroma, hue)
    return colors[exists]


@lru_cache(maxsize=1)
def _qualitative_palette() -> NDArray[np.uint8]:
    """The fixed list, then always the candidate farthest from all colours before it."""
    chosen = [np.array(color, np.uint8) for color in _FIRST_COLORS]
    nearest = np.min([color_distance(_candidates(), color) for color in chosen], axis=0)
    while len(chosen) < _MAX_COLORS:
        chosen.append(_candidates()[int(np.argmax(nearest))])
        nearest = np.minimum(nearest, color_distance(_candidates(), chosen[-1]))
    palette = np.stack(chosen)
    palette.flags.writeable = False
    return palette


def qualitative_colors(n: int) -> NDArray[np.uint8]:
    """Return n colours for things without an order: tracks, instances, classes.

    The list always begins the same way: track 3 keeps its colour when track 9 appears.
    The first 24 differ from each other; later ones repeat them in order, since a 25th
    would be mistaken for one of them anyway.

    Returns
    -------
    ndarray of uint8, shape (n, 3)
        sRGB.
    """
    return _qualitative_palette()[np.arange(n) % _MAX_COLORS]


def node_colors(skeleton: Skeleton) -> NDArray[np.uint8]:
    """Return one colour for each node, where left and right share a hue.

    Of a symmetric pair, the node that comes first in the skeleton is light and the other
    dark; each pair and each single node is as far as possible from the nodes before it.
    A skeleton without symmetries gets `qualitative_colors`.

    Returns
    -------
    ndarray of uint8, shape (K, 3)
        sRGB.
    """
    if not skeleton.symmetries:
        return qualitative_colors(len(skeleton))
    return _symmetric_colors(len(skeleton), skeleton.symmetries).copy()


@lru_cache(maxsize=64)
def _symmetric_colors(n_nodes: int, symmetries: tuple[tuple[int, int], ...]) -> NDArray[np.uint8]:
    hue, chroma = (grid.ravel() for grid in np.meshgrid(np.arange(30, 390, 7.5), [0.15, 0.11]))
    pairs = np.stack([_polar_colors(tone, chroma, hue)[0] for tone in (0.84, 0.54)], axis=1)
    tones, exist = _polar_colors(*np.meshgrid([0.68], [0.18, 0.14], np.arange(0, 360, 7.5)))
    singles = tones[exist][:, None]
    partner, colors = dict(symmetries), np.zeros((n_nodes, 3), np.uint8)
    done: list[int] = []
    for node in range(n_nodes):
        if node in partner.values():
            continue  # coloured with its partner, which has the lower number
        members = [node, partner[node]] if node in partner else [node]
        choices = pairs if node in partner else singles  # (choices, members, 3)
        if done:
            gaps = color_distance(choices[:, :, None], colors[done]).min(axis=(1, 2))
            colors[members] = choices[int(np.argmax(gaps))]
        else:
            colors[members] = choices[0] if node in partner else _FIRST_COLORS[0]
        done += members
    return colors


def edge_colors(skeleton: Skeleton) -> NDArray[np.uint8]:
    """Return one colour for each edge, that of the node it leads to, uint8 (E, 3)."""
    return node_colors(skeleton)[skeleton.edge_array[:, 1]]


Coloring = Callable[[Poses], NDArray[np.uint8]]
"""Takes the rows of a frame, returns the colour of every point, uint8 (N, K, 3)."""

COLORINGS: Registry[Coloring] = Registry("colouring")


@COLORINGS.register("node")
def color_by_node(rows: Poses) -> NDArray[np.uint8]:
    """Give every node its colour, the same in all animals, uint8 (N, K, 3)."""
    return np.broadcast_to(node_colors(rows.skeleton), (len(rows), rows.n_nodes, 3))


@COLORINGS.register("track")
def color_by_track(rows: Poses) -> NDArray[np.uint8]:
    """Give every track its colour, gray to instances without one, uint8 (N, K, 3)."""
    table = np.vstack([qualitative_colors(len(rows.track_names)), [UNTRACKED_COLOR]])
    return _repeat_for_nodes(table[rows.track].astype(np.uint8), rows.n_nodes)


@COLORINGS.register("instance")
def color_by_instance(rows: Poses) -> NDArray[np.uint8]:
    """Give the first, second, ... row of each frame its colour, uint8 (N, K, 3)."""
    keys = np.stack([rows.video, rows.frame], axis=1)
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    starts = np.flatnonzero(is_first)
    order = np.arange(len(rows)) - starts[np.cumsum(is_first) - 1]
    return _repeat_for_nodes(_qualitative_palette()[order % _MAX_COLORS], rows.n_nodes)


def _repeat_for_nodes(colors: NDArray[np.uint8], n_nodes: int) -> NDArray[np.uint8]:
    return np.broadcast_to(colors[:, None], (len(colors), n_nodes, 3))


def color_points(rows: Poses, color_by: str = "node") -> NDArray[np.uint8]:
    """Return the colour of every point of a table.

    Parameters
    ----------
    rows : Poses
        N instances of K nodes.
    color_by : str
        A name in `COLORINGS`: "node", "track" or "instance".

    Returns
    -------
    ndarray of uint8, shape (N, K, 3)
        sRGB; may be a read-only view.

    Raises
    ------
    ConfigError
        For an unknown name.
    """
    return COLORINGS.get(color_by)(rows)
