"""Poses as the arrays that napari layers show: the only file that knows (t, y, x).

A layer shows the instances of one frame and no more: the truth is the table, so that a step
costs the same in a video of a thousand and of a million frames. Missing points are rows
that are absent here and present in the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.drawing.colors import COLORINGS, edge_colors

__all__ = ["FrameLayers", "Style", "trail", "xy_to_yx", "yx_to_xy"]

ORIGIN_NAMES = {Origin.USER: "label", Origin.PREDICTED: "prediction", Origin.CORRECTED: "corrected"}
VISIBILITY_NAMES = {
    Visibility.MISSING: "missing",
    Visibility.OCCLUDED: "occluded",
    Visibility.VISIBLE: "visible",
}
_ORIGINS = np.array([ORIGIN_NAMES[origin] for origin in sorted(ORIGIN_NAMES)])
_VISIBILITIES = np.array([VISIBILITY_NAMES[value] for value in sorted(VISIBILITY_NAMES)])


@dataclass(frozen=True)
class Style:
    """How points and edges look; sizes are in px of the screen or of the image.

    Parameters
    ----------
    color_by : str
        A name in `drawing.colors.COLORINGS`: what a point's colour tells.
    point_px : float
        Diameter of a labelled point, in image px.
    edge_opacity : float
        Of the edges of labels, 0 to 1; those of predictions are fainter.
    """

    color_by: str = "node"
    point_px: float = 8.0
    edge_opacity: float = 0.9


def xy_to_yx(xy: ArrayLike) -> NDArray[np.float32]:
    """Return points (..., 2) in napari's order (y, x) as float32; also the way back."""
    return np.ascontiguousarray(np.asarray(xy, np.float32)[..., ::-1])


yx_to_xy = xy_to_yx


@dataclass(frozen=True, eq=False)
class FrameLayers:
    """One frame's instances as layers show them: P points that are there, V edges.

    Parameters
    ----------
    rows : Poses
        The instances of one frame; their order is the `position` of every address.
    style : Style
    """

    rows: Poses
    style: Style

    @cached_property
    def address(self) -> NDArray[np.intp]:
        """(position, node) of every point that is there, shape (P, 2)."""
        return np.argwhere(self.rows.visibility != Visibility.MISSING)

    @cached_property
    def yx(self) -> NDArray[np.float32]:
        """Points, shape (P, 2), px."""
        return xy_to_yx(self.rows.xy[tuple(self.address.T)])

    @cached_property
    def row_of(self) -> NDArray[np.intp]:
        """Row of a point in `yx` by (position, node), shape (I, K); -1 = missing."""
        rows = np.full((len(self.rows), self.rows.n_nodes), -1, np.intp)
        rows[tuple(self.address.T)] = np.arange(len(self.address))
        return rows

    @cached_property
    def is_label(self) -> NDArray[np.bool_]:
        """Whether a point is of an instance that a person made or confirmed, shape (P,)."""
        return np.asarray(self.rows.is_label[self.address[:, 0]])

    @cached_property
    def is_occluded(self) -> NDArray[np.bool_]:
        """Whether a point is labelled and not seen, shape (P,)."""
        return np.asarray(
            self.rows.visibility[tuple(self.address.T)] == Visibility.OCCLUDED, np.bool_
        )

    @cached_property
    def colors(self) -> NDArray[np.float32]:
        """RGB of every point, 0 to 1, shape (P, 3)."""
        return np.asarray(self.all_colors[tuple(self.address.T)])

    @cached_property
    def all_colors(self) -> NDArray[np.float32]:
        """RGB by (position, node), 0 to 1, shape (I, K, 3)."""
        colors = COLORINGS.get(self.style.color_by)(self.rows)
        return np.asarray(colors, np.float32)[..., :3] / 255.0

    @cached_property
    def face(self) -> NDArray[np.float32]:
        """RGBA of the inside of every point, shape (P, 4); that of occluded ones is empty."""
        alpha = np.where(self.is_occluded, 0.0, 1.0).astype(np.float32)
        return np.concatenate([self.colors, alpha[:, None]], axis=1)

    @cached_property
    def border(self) -> NDArray[np.float32]:
        """RGBA of the rim of every point, shape (P, 4).

        A label has a dark rim that parts it from a bright animal, a prediction none to
        speak of; occluded points have nothing but their rim, in their own colour.
        """
        rim = np.where(self.is_label[:, None], np.float32(0.08), self.colors)
        rim = np.where(self.is_occluded[:, None], self.colors, rim)
        return np.concatenate([rim, np.ones((len(rim), 1), np.float32)], axis=1)

    @cached_property
    def symbol(self) -> NDArray[np.str_]:
        """Name of the symbol of every point, shape (P,): discs are labels, crosses are not.

        Occluded predictions do not exist: nobody said that they are.
        """
        return np.where(self.is_label | self.is_occluded, "disc", "x")

    @cached_property
    def size(self) -> NDArray[np.float32]:
        """Diameter of every point in image px, shape (P,)."""
        scale = np.where(self.is_label, 1.0, 0.75)
        return np.asarray(scale * self.style.point_px, np.float32)

    @cached_property
    def features(self) -> dict[str, NDArray[Any]]:
        """Columns `node`, `instance`, `track`, `origin`, `visibility`, `score`, each (P,)."""
        rows, (position, node) = self.rows, self.address.T
        names = np.array([*rows.track_names, ""], object)
        return {
            "node": np.array(rows.skeleton.nodes, object)[node],
            "instance": position,
            "track": names[rows.track[position]],
            "origin": _ORIGINS[rows.origin[position]],
            "visibility": _VISIBILITIES[rows.visibility[position, node]],
            "score": rows.point_score[position, node],
        }

    # ------------------------------------------------------------------------------- edges
    @cached_property
    def edges(self) -> NDArray[np.intp]:
        """(position, edge) of every edge whose two ends are there, shape (V, 2)."""
        ends = self.rows.skeleton.edge_array
        there = (self.row_of[:, ends] >= 0).all(axis=-1)  # (I, E)
        return np.argwhere(there)

    def vectors(self, yx: NDArray[np.floating[Any]] | None = None) -> NDArray[np.float32]:
        """Edges as napari vectors (start, direction), shape (V, 2, 2), (y, x) px.

        Parameters
        ----------
        yx : (P, 2), optional
            Where the points are just now, as while one is dragged; by default `yx`.
        """
        points = self.yx if yx is None else np.asarray(yx, np.float32)
        position, edge = self.edges.T
        ends = self.rows.skeleton.edge_array[edge]  # (V, 2)
        start, stop = (points[self.row_of[position, ends[:, side]]] for side in (0, 1))
        return np.stack([start, stop - start], axis=1)

    @cached_property
    def edge_rgba(self) -> NDArray[np.float32]:
        """RGBA of every edge, shape (V, 4)."""
        position, edge = self.edges.T
        if self.style.color_by == "node":
            rgb = np.asarray(edge_colors(self.rows.skeleton), np.float32)[edge] / 255.0
        else:
            rgb = self.all_colors[position, self.rows.skeleton.edge_array[edge, 0]]
        faint = np.where(self.rows.is_label[position], 1.0, 0.55)
        alpha = (self.style.edge_opacity * faint).astype(np.float32)
        return np.concatenate([rgb, alpha[:, None]], axis=1)

    # --------------------------------------------------------------------------- addressing
    def has(self, position: int, node: int) -> bool:
        """Whether there is such a point."""
        n_instances, n_nodes = self.row_of.shape
        return position < n_instances and node < n_nodes and bool(self.row_of[position, node] >= 0)

    def find_rows(self, points: ArrayLike) -> NDArray[np.intp]:
        """Return the rows in `yx` of points (position, node), (M, 2), that are there."""
        wanted = np.asarray(points, np.intp).reshape(-1, 2)
        inside = (wanted[:, 0] < len(self.rows)) & (wanted[:, 1] < self.rows.n_nodes)
        rows = self.row_of[tuple(wanted[inside].T)]
        return np.asarray(rows[rows >= 0])


def trail(
    poses: Poses, video: int, first: int, last: int, anchor: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the way of one node of every track as rows of a napari Tracks layer.

    Parameters
    ----------
    poses : Poses
    video, first, last : int
        Frames `first` to `last`, both included.
    anchor : int
        Node whose way is drawn; where it is missing, the mean of the points that are there.

    Returns
    -------
    rows : (M, 4) float64
        (track, t, y, x), sorted by track and then by frame; a track that appears twice in
        a frame keeps its first instance.
    tracks : (M,) intp
        Index into `Poses.track_names`, the first column again.
    """
    rows = poses.between(video, first, last)
    rows = rows.select(rows.track >= 0)
    present = rows.visibility != Visibility.MISSING
    rows = rows.select(present.any(axis=1))
    if not len(rows):
        return np.zeros((0, 4)), np.zeros(0, np.intp)
    present = rows.visibility != Visibility.MISSING
    xy = np.where(present[..., None], rows.xy.astype(np.float64), 0.0)
    place = xy.sum(axis=1) / present.sum(axis=1)[:, None]
    if rows.n_nodes:
        place = np.where(present[:, [anchor]], xy[:, anchor], place)
    keys = rows.track.astype(np.int64) << 32 | rows.frame
    _, keep = np.unique(keys, return_index=True)  # sorted by track, then by frame
    track = rows.track[keep].astype(np.intp)
    return np.column_stack([track, rows.frame[keep], place[keep, ::-1]]), track
