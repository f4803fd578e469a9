"""What a network saw in one frame: maps, fields, peaks, connections, and what became of them.

Everything is numpy, small enough to send to another process, and in px of the full frame:
a map comes with its `Grid`, which says where its cells lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.heads import Detections

__all__ = [
    "PLACE",
    "Connections",
    "CropVerdict",
    "Crops",
    "Fields",
    "Findings",
    "Grid",
    "Inspection",
    "Inspector",
    "MapStack",
    "Peaks",
    "Verdict",
]

Floats = NDArray[np.floating[Any]]
PLACE = -1  # in the column `node` of peaks: the place of a whole animal
NONE = -1  # no crop, no instance


class Grid(NamedTuple):
    """Where the cells of a map lie: cell (column, row) at ``scale * cell + (x, y)``.

    scale : float, px of the frame between two cells
    x, y : float, px of the frame where the centre of cell (0, 0) lies
    """

    scale: float
    x: float
    y: float

    def to_frame(self, cells: Any) -> NDArray[np.float64]:
        """Return (x, y) in px of the frame for (column, row) (..., 2), fractions welcome."""
        return np.asarray(cells, np.float64) * self.scale + (self.x, self.y)

    def to_cells(self, xy: Any) -> NDArray[np.float64]:
        """Return (column, row) for (x, y) in px of the frame (..., 2)."""
        return (np.asarray(xy, np.float64) - (self.x, self.y)) / self.scale

    def resized(self, factor: float) -> Grid:
        """Return where the cells lie if all points are multiplied by a factor."""
        return Grid(self.scale * factor, self.x * factor, self.y * factor)

    def layer_transform(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return ``scale`` and ``translate``, each (y, x), of an image layer of the map."""
        return (self.scale, self.scale), (self.y, self.x)


@dataclass(frozen=True, eq=False)
class MapStack:
    """Maps of one kind on one grid.

    Parameters
    ----------
    name : {"confmaps", "centroids", "classmaps"}
    channels : tuple of str
        What each map is of: K nodes, "centroid", or C identities.
    values : float16 array, shape (K, h, w)
        Confidences, near 0..1; of class maps the probabilities. Cells whose centres lie
        outside of the frame are left out, those of crops are not.
    grid : Grid
    crop : int
        Row in `Crops`; -1 for the whole frame.
    """

    name: str
    channels: tuple[str, ...]
    values: NDArray[np.float16]
    grid: Grid
    crop: int = NONE


@dataclass(frozen=True, eq=False)
class Fields:
    """Part affinity fields of E edges.

    Parameters
    ----------
    edges : int array, shape (E, 2)
        Numbers of the nodes at source and destination.
    values : float16 array, shape (E, h, w, 2)
        (x, y) components; near the line between two joined points a unit vector from
        source to destination, elsewhere 0.
    grid : Grid
    """

    edges: NDArray[np.int64]
    values: NDArray[np.float16]
    grid: Grid


@dataclass(frozen=True, eq=False)
class Peaks:
    """Everything that might be a point, N rows; also what is too faint to be one.

    Parameters
    ----------
    xy : float32 array, shape (N, 2)
        (x, y) in px of the frame.
    node : int32 array, shape (N,)
        `PLACE` for the place of a whole animal.
    score : float32 array, shape (N,)
        Height of the map.
    crop : int32 array, shape (N,)
        Row in `Crops` of the crop that it was found in; -1 for the whole frame.
    instance : int32 array, shape (N,)
        Row in `Inspection.instances` that it became a part of; -1 for none.
    likely : float32 array, shape (N, C)
        Probability of each identity; C is 0 for peaks that do not tell.
    """

    xy: NDArray[np.float32]
    node: NDArray[np.int32]
    score: NDArray[np.float32]
    crop: NDArray[np.int32]
    instance: NDArray[np.int32]
    likely: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.xy)


class Verdict(IntEnum):
    """What became of a candidate connection; 0 is joined."""

    JOINED = 0
    LOW_SCORE = 1
    LOW_SUPPORT = 2
    LOST = 3  # good enough, but one of its peaks has a better partner


@dataclass(frozen=True, eq=False)
class Connections:
    """Every pair of a source and a destination peak of an edge, M rows.

    Parameters
    ----------
    edge : int32 array, shape (M,)
        Number in `Skeleton.edges`.
    source, destination : int32 array, shape (M,)
        Rows in `Peaks`.
    score : float32 array, shape (M,)
        ``alignment + penalty``: what decides, times the heights of the peaks.
    alignment : float32 array, shape (M,)
        Mean of the field along the line; 1 where it is a unit vector all the way.
    penalty : float32 array, shape (M,)
        At most 0: what the pair loses for being further apart than an animal's edge.
    support : float32 array, shape (M,)
        Share of the places along the line where the field agrees.
    length_px : float32 array, shape (M,)
    verdict : int8 array, shape (M,)
        See `Verdict`.
    instance : int32 array, shape (M,)
        Row in `Inspection.instances` where it joins two points of it; -1 elsewhere, also
        for what was joined to an animal that was left out.
    """

    edge: NDArray[np.int32]
    source: NDArray[np.int32]
    destination: NDArray[np.int32]
    score: NDArray[np.float32]
    alignment: NDArray[np.float32]
    penalty: NDArray[np.float32]
    support: NDArray[np.float32]
    length_px: NDArray[np.float32]
    verdict: NDArray[np.int8]
    instance: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.edge)


class CropVerdict(IntEnum):
    """What became of a crop; 0 is an instance."""

    KEPT = 0
    NO_POINTS = 1
    DUPLICATE = 2  # the same animal as in a better crop
    SURPLUS = 3  # more than `PredictConfig.max_instances`
    FAINT = 4  # its score is below `PredictConfig.min_instance_score`


@dataclass(frozen=True, eq=False)
class Crops:
    """The windows that a network looked at closely, N rows, highest confidence first.

    Parameters
    ----------
    rectangle : float32 array, shape (N, 4)
        (x0, y0, x1, y1) of the outer edges in px of the frame, which may lie outside.
    centre : float32 array, shape (N, 2)
        (x, y) in px of the frame.
    score : float32 array, shape (N,)
        Confidence that an animal is there.
    verdict : int8 array, shape (N,)
        See `CropVerdict`.
    instance : int32 array, shape (N,)
        Row in `Inspection.instances`; -1 for none.
    """

    rectangle: NDArray[np.float32]
    centre: NDArray[np.float32]
    score: NDArray[np.float32]
    verdict: NDArray[np.int8]
    instance: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.centre)


@dataclass(frozen=True, eq=False)
class Findings:
    """What a detector says about one frame; its columns `instance` count `detections`.

    Parameters
    ----------
    detections : Detections
        Of one frame.
    maps, peaks, fields, crops, connections, limits, seconds
        As in `Inspection`.
    """

    detections: Detections
    maps: tuple[MapStack, ...]
    peaks: Peaks
    fields: Fields | None = None
    crops: Crops | None = None
    connections: Connections | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def resized(self, factor: float) -> Findings:
        """Return the same for a frame whose points are multiplied by a factor."""
        if factor == 1.0:
            return self
        by = np.float32(factor)
        fields, crops, pairs = self.fields, self.crops, self.connections
        return replace(
            self,
            detections=self.detections._replace(points=self.detections.points * by),
            maps=tuple(replace(stack, grid=stack.grid.resized(factor)) for stack in self.maps),
            peaks=replace(self.peaks, xy=self.peaks.xy * by),
            fields=fields and replace(fields, grid=fields.grid.resized(factor)),
            crops=crops
            and replace(crops, rectangle=crops.rectangle * by, centre=crops.centre * by),
            connections=pairs and replace(pairs, length_px=pairs.length_px * by),
        )

    def trimmed(self, size: tuple[int, int]) -> Findings:
        """Return the same without the cells beyond a frame of (height, width): the padding."""
        fields = self.fields
        return replace(
            self,
            maps=tuple(
                replace(stack, values=stack.values[(slice(None), *_inside(stack.grid, size))])
                if stack.crop == NONE
                else stack
                for stack in self.maps
            ),
            fields=fields
            and replace(fields, values=fields.values[(slice(None), *_inside(fields.grid, size))]),
        )


def _inside(grid: Grid, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a map whose centres lie in a frame of (height, width)."""
    last = np.floor(grid.to_cells([size[1] - 0.5, size[0] - 0.5])).astype(int)
    return slice(0, int(last[1]) + 1), slice(0, int(last[0]) + 1)


class Inspector(Protocol):
    """Looks into the networks of a pipeline."""

    def __call__(self, frames: NDArray[np.uint8]) -> Findings:
        """Return what is found in one frame, given as (1, H, W, C), and why."""
        ...


@dataclass(frozen=True, eq=False)
class Inspection:
    """Everything that a predictor saw in one frame, and what it made of it.

    Parameters
    ----------
    pipeline : str
    skeleton : Skeleton
        Of the instances.
    classes : tuple of str
        Identities that the networks tell apart.
    video, frame : int
    size : (int, int)
        (height, width) of the frame in px.
    instances : Poses
        What `Predictor.predict` returns for this frame.
    maps : tuple of MapStack
        Of the whole frame first, then of the best crops.
    peaks : Peaks
    fields : Fields or None
        For pipelines that join points along edges.
    crops : Crops or None
        For pipelines that look at each animal closely.
    connections : Connections or None
        For pipelines that join points along edges.
    limits : mapping of str to float
        What decided, by name in `PredictConfig`; also ``min_support``.
    seconds : mapping of str to float
        Time by stage, in the order of the stages.
    """

    pipeline: str
    skeleton: Skeleton
    classes: tuple[str, ...]
    video: int
    frame: int
    size: tuple[int, int]
    instances: Poses
    maps: tuple[MapStack, ...]
    peaks: Peaks
    fields: Fields | None = None
    crops: Crops | None = None
    connections: Connections | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def full_maps(self) -> tuple[MapStack, ...]:
        """The maps of the whole frame."""
        return tuple(stack for stack in self.maps if stack.crop == NONE)

    def crop_maps(self, crop: int) -> tuple[MapStack, ...]:
        """Return the maps of a crop; none for crops beyond the best, which are not kept."""
        return tuple(stack for stack in self.maps if stack.crop == crop)
