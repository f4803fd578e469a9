"""From an `Inspection` to what napari draws of it: arrays, colours, nothing of Qt or napari."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_animalpose._layers import xy_to_yx
from napari_animalpose.drawing.colors import edge_colors, node_colors, qualitative_colors
from napari_animalpose.nn.inspection import (
    PLACE,
    CropVerdict,
    Grid,
    Inspection,
    MapStack,
    Verdict,
)
from napari_animalpose.nn.inspection_views import paf_vectors, project_maps

__all__ = [
    "ALL",
    "Choice",
    "Lines",
    "Marks",
    "Picture",
    "draw_connections",
    "draw_crops",
    "draw_fields",
    "draw_maps",
    "draw_peaks",
    "list_edges",
    "list_maps",
    "peaks_of_nodes",
]

ALL = ""  # every channel of a stack of maps at once, each in its colour
MOST_CROPS = 8  # whose maps are drawn: each is a layer of its own
MOST_ARROWS = 1500  # napari takes 40 ms for so many; more are thinned out
SHOWN_SCORE = 0.1  # of a connection that was not joined, to be drawn among all edges
ARROW = 1.6  # length of an arrow of strength 1 as a share of the squares
REJECTED = (0.72, 0.72, 0.72)  # of what did not become a part of an animal
LEFT_OUT = (1.0, 1.0, 1.0)  # of what was joined, to an animal that was left out
KIND_NAMES = {"confmaps": "nodes", "classmaps": "identities", "centroids": "places of animals"}

Colors = NDArray[np.float32]


@dataclass(frozen=True)
class Choice:
    """What of an inspection a person wants to see.

    Parameters
    ----------
    maps : (str, str)
        Name of a `MapStack` and one of its channels; `ALL` lays all over each other.
    edge : int, optional
        Only fields and connections of this edge, and peaks of its two nodes.
    crops : int, optional
        Only the maps of this crop; None are those of all that became animals, or else the
        best.
    threshold : float
        Weaker arrows are left out.
    stride_cells : int
        One arrow for each square of so many cells.
    only_rejected : bool
        Only the connections that were not joined.
    chosen_peaks : tuple of int
        Rows in `Peaks` to stand out.
    chosen_connection : int, optional
        Row in `Connections` to stand out from the others.
    chosen_crop : int, optional
        Row in `Crops` to stand out from the others.
    """

    maps: tuple[str, str] = ("confmaps", ALL)
    edge: int | None = None
    crops: int | None = None
    threshold: float = 0.2
    stride_cells: int = 2
    only_rejected: bool = False
    chosen_peaks: tuple[int, ...] = ()
    chosen_connection: int | None = None
    chosen_crop: int | None = None


class Picture(NamedTuple):
    """One map, or many laid over each other.

    values : uint8 (h, w, 3), colours; or float32 (h, w), confidences of one channel
    grid : Grid
    color : (3,) float, RGB 0..1 of the highest value; of no meaning for colours
    """

    values: NDArray[Any]
    grid: Grid
    color: NDArray[np.float32]

    @property
    def is_colored(self) -> bool:
        """Whether these are colours already."""
        return self.values.ndim == 3


class Lines(NamedTuple):
    """Lines or arrows: (V, 2, 2) float32 start and direction (y, x) in px; RGBA (V, 4)."""

    vectors: NDArray[np.float32]
    colors: Colors


class Marks(NamedTuple):
    """Points that stand for peaks, N rows.

    rows : (N,), of `Peaks`
    yx : (N, 2) float32, px
    symbol : (N,) str
    size : (N,) float32, as a share of the size of a labelled point
    face, border : (N, 4) float32; rings have no face
    features : dict of (N,) arrays
    """

    rows: NDArray[np.intp]
    yx: NDArray[np.float32]
    symbol: NDArray[np.str_]
    size: NDArray[np.float32]
    face: Colors
    border: Colors
    features: dict[str, NDArray[Any]]


# ----------------------------------------------------------------------------------- lists
def list_maps(inspection: Inspection) -> list[tuple[str, tuple[str, str]]]:
    """Return what can be chosen for `Choice.maps`, with words for it."""
    entries: list[tuple[str, tuple[str, str]]] = []
    channels: dict[str, tuple[str, ...]] = {}
    for stack in inspection.maps:
        channels.setdefault(stack.name, stack.channels)
    if "confmaps" not in channels and inspection.crops is not None:
        channels["confmaps"] = inspection.skeleton.nodes  # no crop just now
    for name in sorted(channels, key=lambda name: list(KIND_NAMES).index(name)):
        many = len(channels[name]) > 1
        title = KIND_NAMES[name]
        entries.append((f"all {title}" if many else title, (name, ALL)))
        if many:
            entries += [(channel, (name, channel)) for channel in channels[name]]
    return entries


def list_edges(inspection: Inspection) -> list[str]:
    """Return the edges in words, by number."""
    nodes = inspection.skeleton.nodes
    return [f"{nodes[a]} → {nodes[b]}" for a, b in inspection.skeleton.edge_array]


def peaks_of_nodes(inspection: Inspection, choice: Choice) -> NDArray[np.bool_]:
    """Say which peaks are of the nodes that are chosen, (N,)."""
    peaks, (kind, channel) = inspection.peaks, choice.maps
    if kind == "confmaps" and channel != ALL:
        return np.asarray(peaks.node == inspection.skeleton.index(channel))
    if kind == "centroids":
        return np.asarray(peaks.node == PLACE)
    if choice.edge is not None:
        return np.isin(peaks.node, inspection.skeleton.edge_array[choice.edge])
    return np.ones(len(peaks), bool)


# ------------------------------------------------------------------------------------ maps
def draw_maps(inspection: Inspection, choice: Choice) -> list[Picture]:
    """Return one picture for the whole frame, or one for each crop."""
    kind, channel = choice.maps
    stacks = [stack for stack in inspection.maps if stack.name == kind]
    if any(stack.crop >= 0 for stack in stacks):
        wanted = _choose_crops(inspection, choice)
        stacks = [stack for stack in stacks if stack.crop in wanted]
    return [_draw_map(inspection, stack, channel) for stack in stacks]


def _choose_crops(inspection: Inspection, choice: Choice) -> list[int]:
    crops = inspection.crops
    assert crops is not None
    if choice.crops is not None:
        return [choice.crops]
    kept = np.flatnonzero(crops.verdict == CropVerdict.KEPT)
    return [int(row) for row in (kept if len(kept) else np.arange(len(crops)))[:MOST_CROPS]]


def _draw_map(inspection: Inspection, stack: MapStack, channel: str) -> Picture:
    colors = _channel_colors(inspection, stack)
    if channel == ALL and len(stack.channels) > 1:
        mixed = project_maps(stack.values, colors)
        return Picture(np.rint(255 * mixed).astype(np.uint8), stack.grid, colors[0])
    number = 0 if channel == ALL else stack.channels.index(channel)
    values = stack.values[number].astype(np.float32)
    return Picture(values, stack.grid, colors[number])


def _channel_colors(inspection: Inspection, stack: MapStack) -> Colors:
    if stack.name == "confmaps":
        return (node_colors(inspection.skeleton) / 255).astype(np.float32)
    if stack.name == "classmaps":
        return (qualitative_colors(len(stack.channels)) / 255).astype(np.float32)
    return np.ones((len(stack.channels), 3), np.float32)


# ---------------------------------------------------------------------------------- arrows
def draw_fields(inspection: Inspection, choice: Choice) -> Lines:
    """Return the part affinity fields as arrows in the colours of their edges."""
    if inspection.fields is None:
        return _no_lines()
    fields, stride = inspection.fields, choice.stride_cells
    while True:
        length = ARROW * stride * fields.grid.scale
        found = paf_vectors(fields, choice.edge, choice.threshold, stride, length)
        if len(found.edge) <= MOST_ARROWS:
            break
        stride += 1
    colors = np.asarray(edge_colors(inspection.skeleton), np.float32)[found.edge] / 255
    return Lines(found.vectors, _with_alpha(colors, np.float32(1.0)))


def draw_connections(inspection: Inspection, choice: Choice) -> Lines:
    """Return lines between peaks: those that were joined in the colour of their animal.

    Those without any support by the field are only drawn where one edge is chosen or what
    was rejected is asked for: of many animals they would hide everything. Of pipelines
    that join nothing these are the edges of the animals.
    """
    pairs, peaks = inspection.connections, inspection.peaks
    if pairs is None:
        return _draw_instances(inspection, choice)
    rows = _choose_connections(inspection, choice)
    start = peaks.xy[pairs.source[rows]]
    lines = np.stack([start, peaks.xy[pairs.destination[rows]] - start], axis=1)
    colors = _instance_colors(inspection, pairs.instance[rows])
    joined = pairs.verdict[rows] == Verdict.JOINED
    colors[joined & (pairs.instance[rows] < 0)] = LEFT_OUT
    faint = 0.25 + 0.6 * np.clip(pairs.score[rows], 0, 1)
    alpha = np.where(joined, 1.0, np.where(pairs.score[rows] > 0, faint, 0.12))
    if choice.chosen_connection is not None:
        is_chosen = rows == choice.chosen_connection
        alpha = np.where(is_chosen, 1.0, 0.35 * alpha)
        colors[is_chosen] = 1.0
    return Lines(xy_to_yx(lines), _with_alpha(colors, alpha))


def _choose_connections(inspection: Inspection, choice: Choice) -> NDArray[np.intp]:
    """Rows to draw, so that the important ones come last: they lie on top."""
    pairs = inspection.connections
    assert pairs is not None
    wanted = np.ones(len(pairs), bool)
    if choice.edge is not None:
        wanted &= pairs.edge == choice.edge
    if choice.only_rejected:
        wanted &= pairs.verdict != Verdict.JOINED
    elif choice.edge is None:
        wanted &= (pairs.verdict == Verdict.JOINED) | (pairs.score >= SHOWN_SCORE)
    if choice.chosen_connection is not None:
        wanted[choice.chosen_connection] = True
    rows = np.flatnonzero(wanted)
    importance = pairs.score[rows] + 10.0 * (pairs.verdict[rows] == Verdict.JOINED)
    importance[rows == choice.chosen_connection] = np.inf
    return rows[np.argsort(importance, kind="stable")]


def _draw_instances(inspection: Inspection, choice: Choice) -> Lines:
    xy = inspection.instances.xy
    edges = inspection.skeleton.edge_array
    if choice.edge is not None:
        edges = edges[choice.edge : choice.edge + 1]
    start, stop = xy[:, edges[:, 0]], xy[:, edges[:, 1]]  # (I, E, 2)
    lines = np.stack([start, stop - start], axis=2)
    there = np.isfinite(lines).all(axis=(2, 3))
    colors = _instance_colors(inspection, np.nonzero(there)[0])
    return Lines(xy_to_yx(lines[there]), _with_alpha(colors, np.float32(1.0)))


def draw_crops(inspection: Inspection, choice: Choice) -> Lines:
    """Return the outlines of the crops, those of animals in the animals' colours."""
    crops = inspection.crops
    if crops is None:
        return _no_lines()
    rows = np.arange(len(crops)) if choice.crops is None else np.array([choice.crops])
    rows = rows[rows < len(crops)][::-1]  # the best on top
    left, top, right, bottom = crops.rectangle[rows].T
    corners = np.stack(
        [np.stack(pair, axis=-1) for pair in
         ((left, top), (right, top), (right, bottom), (left, bottom))], axis=1,
    )  # fmt: skip
    sides = np.stack([corners, np.roll(corners, -1, axis=1) - corners], axis=2)  # (N, 4, 2, 2)
    colors = _instance_colors(inspection, crops.instance[rows])
    alpha = np.where(crops.verdict[rows] == CropVerdict.KEPT, 0.9, 0.5)
    if choice.chosen_crop is not None:
        is_chosen = rows == choice.chosen_crop
        alpha, colors[is_chosen] = np.where(is_chosen, 1.0, 0.35 * alpha), 1.0
    return Lines(
        xy_to_yx(sides.reshape(-1, 2, 2)), np.repeat(_with_alpha(colors, alpha), 4, axis=0)
    )


# ----------------------------------------------------------------------------------- peaks
def draw_peaks(inspection: Inspection, choice: Choice) -> Marks:
    """Return the peaks: rings are points of animals, crosses are not, faint ones are small."""
    peaks = inspection.peaks
    wanted = peaks_of_nodes(inspection, choice)
    wanted[list(choice.chosen_peaks)] = True
    rows = np.flatnonzero(wanted)
    node, score, used = peaks.node[rows], peaks.score[rows], peaks.instance[rows] >= 0
    # The last colour is what -1, the place of an animal, stands for.
    shades = np.vstack([node_colors(inspection.skeleton), [[255, 255, 255]]]) / 255
    level = np.clip(score, 0, 1)
    color = _with_alpha(shades[node], np.where(used, 1.0, 0.15 + 0.85 * level))
    size = np.where(used, 1.0, 0.3 + 0.5 * level)
    size[node == PLACE] *= 1.5
    chosen = np.isin(rows, choice.chosen_peaks)
    size[chosen] = 1.7
    is_ring = used | chosen
    face = color.copy()
    face[is_ring, 3] = 0.0  # the map below stays visible
    color[chosen] = 1.0
    names = np.array([*inspection.skeleton.nodes, "place of an animal"], object)
    animal = peaks.instance[rows] + 1
    return Marks(
        rows,
        xy_to_yx(peaks.xy[rows]),
        np.where(is_ring, "disc", "x"),
        size.astype(np.float32),
        face,
        color,
        {
            "peak": names[node],
            "score": np.round(score.astype(np.float64), 3),
            "used": np.where(used, np.array([f"animal {i}" for i in animal], object), "no"),
        },
    )


# --------------------------------------------------------------------------------- colours
def _instance_colors(inspection: Inspection, instance: NDArray[Any]) -> Colors:
    """RGB of animals by their rows; of -1, the colour of what was rejected."""
    palette = qualitative_colors(max(1, len(inspection.instances)))
    shades = np.vstack([np.asarray(palette, np.float32) / 255, [REJECTED]])
    return np.asarray(shades[np.asarray(instance, np.intp)], np.float32)


def _with_alpha(rgb: NDArray[Any], alpha: Any) -> Colors:
    column = np.broadcast_to(np.asarray(alpha, np.float32), len(rgb))
    return np.concatenate([np.asarray(rgb, np.float32), column[:, None]], axis=1)


def _no_lines() -> Lines:
    return Lines(np.zeros((0, 2, 2), np.float32), np.zeros((0, 4), np.float32))
