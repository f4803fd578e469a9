"""Skeletons, trails and captions drawn on single frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.colors import COLORINGS, color_points
from napari_animalpose.drawing.raster import draw_dots, draw_lines, draw_path, draw_text
from napari_animalpose.drawing.view import View, darken
from napari_animalpose.errors import ConfigError

__all__ = ["DrawStyle", "draw_caption", "draw_frame", "draw_poses", "draw_trails", "trail_node"]

_USER_RIM = (255, 255, 255)
_PREDICTED_RIM = (20, 20, 20)
_PREDICTED_EDGE_OPACITY = 0.7


@dataclass(frozen=True)
class DrawStyle:
    """How skeletons look. Sizes are px of the picture, after scaling.

    Parameters
    ----------
    color_by : str
        A name in `colors.COLORINGS`: "node", "track" or "instance".
    node_radius_px, edge_width_px, font_size_px : float, float, int, optional
        None = fitted to the animals by `fitted_to`.
    taper_edges : bool
        Wedges that point from source to destination in place of lines.
    show_nodes, show_edges : bool
    node_labels, track_labels : bool
        Write the names of nodes and of tracks beside them.
    frame_numbers, scores : bool
        Write the frame number in the upper left corner, and instance scores beside the
        track names.
    darken : float
        Darkens the frame under the drawing, 0 to 1.
    min_point_score : float
        Points with a lower score are not drawn; points without a score always are.

    Raises
    ------
    ConfigError
        For an unknown colouring or sizes and shares out of range.

    Notes
    -----
    Points of a person's instances have a white rim and solid edges, predicted ones a
    dark rim and fainter edges; occluded points are hollow.
    """

    color_by: str = "node"
    node_radius_px: float | None = None
    edge_width_px: float | None = None
    font_size_px: int | None = None
    taper_edges: bool = False
    show_nodes: bool = True
    show_edges: bool = True
    node_labels: bool = False
    track_labels: bool = False
    frame_numbers: bool = False
    scores: bool = False
    darken: float = 0.0
    min_point_score: float = 0.0

    def __post_init__(self) -> None:
        COLORINGS.get(self.color_by)
        for name in ("node_radius_px", "edge_width_px", "font_size_px"):
            size = getattr(self, name)
            if size is not None and not 0 < size < 1000:
                raise ConfigError(f"Expected {name} between 0 and 1000; received {size}.")
        for name in ("darken", "min_point_score"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"Expected {name} from 0 to 1; received {getattr(self, name)}.")

    def fitted_to(self, poses: Poses, scale: float = 1.0) -> DrawStyle:
        """Return a style whose missing sizes suit the animals of a table.

        The node radius is 2.5% of the median diagonal of the animals' bounding boxes
        in the picture, between 1.5 and 7 px; the rest follows from it.

        Parameters
        ----------
        poses : Poses
        scale : float
            Pixels of the picture for a pixel of the frame.
        """
        step = max(len(poses) // 1000, 1)
        diagonal = _median_diagonal(poses.xy[::step]) * scale
        radius = self.node_radius_px or float(np.clip(0.025 * diagonal, 1.5, 7.0))
        return replace(
            self,
            node_radius_px=radius,
            edge_width_px=self.edge_width_px or max(0.6 * radius, 1.0),
            font_size_px=self.font_size_px or round(float(np.clip(3.4 * radius, 10, 24))),
        )


def _median_diagonal(xy: NDArray[np.float32]) -> float:
    """Median diagonal of the bounding boxes of instances (N, K, 2) in px, 100 if none."""
    xy = xy[np.isfinite(xy).all(axis=2).sum(axis=1) > 1]
    if not len(xy):
        return 100.0
    extent = np.nanmax(xy, axis=1) - np.nanmin(xy, axis=1)
    return float(np.median(np.hypot(extent[:, 0], extent[:, 1])))


def draw_poses(
    image: NDArray[np.uint8], rows: Poses, style: DrawStyle | None = None, view: View | None = None
) -> None:
    """Draw the instances of one frame in place.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        The picture: what `view.cut` returned.
    rows : Poses
        The instances, in px of the frame. Missing points are not drawn.
    style : DrawStyle, optional
    view : View, optional
        From frame to picture; by default they are the same.
    """
    if not len(rows):
        return
    view = view or View.whole(*image.shape[:2])
    style = (style or DrawStyle()).fitted_to(rows, view.scales[0])
    xy = view.to_picture(rows.xy)
    xy[rows.point_score < style.min_point_score] = np.nan
    colors = color_points(rows, style.color_by)
    is_user = rows.origin != Origin.PREDICTED
    if style.show_edges:
        _draw_edges(image, xy, rows.skeleton, colors, is_user, style)
    if style.show_nodes:
        draw_dots(
            image,
            xy,
            style.node_radius_px or 1.0,
            colors.reshape(-1, 3),
            rim_colors=np.repeat(
                np.where(is_user[:, None], _USER_RIM, _PREDICTED_RIM), rows.n_nodes, axis=0
            ),
            rim_width=max(0.35 * (style.node_radius_px or 1.0), 0.8),
            hollow=(rows.visibility == Visibility.OCCLUDED).ravel(),
        )
    _draw_names(image, xy, rows, colors, style)


def _draw_edges(
    image: NDArray[np.uint8],
    xy: NDArray[np.float64],
    skeleton: Skeleton,
    colors: NDArray[np.uint8],
    is_user: NDArray[np.bool_],
    style: DrawStyle,
) -> None:
    source, destination = skeleton.edge_array.T
    draw_lines(
        image,
        xy[:, source],
        xy[:, destination],
        style.edge_width_px or 1.0,
        colors[:, destination].reshape(-1, 3),
        taper=style.taper_edges,
        opacity=np.repeat(np.where(is_user, 1.0, _PREDICTED_EDGE_OPACITY), len(source)),
    )


def _draw_names(
    image: NDArray[np.uint8],
    xy: NDArray[np.float64],
    rows: Poses,
    colors: NDArray[np.uint8],
    style: DrawStyle,
) -> None:
    """Write node names to the right of nodes, track names and scores above animals."""
    size, radius = style.font_size_px or 10, style.node_radius_px or 1.0
    if style.node_labels:
        for points, palette in zip(xy, colors, strict=True):
            _draw_node_names(image, points, rows.skeleton, palette, size, 2 * radius)
    for row, text in enumerate(_instance_texts(rows, style)):
        points = xy[row][np.isfinite(xy[row]).all(axis=1)]
        if text and len(points):
            x = (points[:, 0].min() + points[:, 0].max()) / 2
            y = points[:, 1].min() - 2 * radius - size / 2
            color = colors[row, 0] if style.color_by != "node" else (255, 255, 255)
            draw_text(image, text, (x, max(y, size * 0.7)), size, color, anchor="center")


def _draw_node_names(
    image: NDArray[np.uint8],
    points: NDArray[np.float64],
    skeleton: Skeleton,
    palette: NDArray[np.uint8],
    size: int,
    gap: float,
) -> None:
    """Write names on the outer side of each node, in a pale tone of its colour."""
    present = np.isfinite(points).all(axis=1)
    if not present.any():
        return
    middle = points[present, 0].mean()
    pale = (palette.astype(np.float32) + 255.0) / 2.0
    for name, (x, y), color in zip(skeleton.nodes, points, pale, strict=True):
        if x < middle:
            draw_text(image, name, (x - gap, y), size, color, anchor="right")
        else:
            draw_text(image, name, (x + gap, y), size, color)


def _instance_texts(rows: Poses, style: DrawStyle) -> list[str]:
    texts = []
    for track, score in zip(rows.track.tolist(), rows.score.tolist(), strict=True):
        name = rows.track_names[track] if style.track_labels and track >= 0 else ""
        number = f"{score:.2f}" if style.scores and np.isfinite(score) else ""
        texts.append(" ".join(part for part in (name, number) if part))
    return texts


def trail_node(skeleton: Skeleton) -> int:
    """Return the node whose trail stands for the animal: the one with most edges."""
    degree = np.bincount(skeleton.edge_array.ravel(), minlength=len(skeleton))
    return int(np.argmax(degree))


def draw_trails(
    image: NDArray[np.uint8],
    past: Poses,
    *,
    node: int,
    frames: NDArray[np.int64],
    style: DrawStyle | None = None,
    view: View | None = None,
) -> None:
    """Draw where one node of every track was, older positions fainter, in place.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
    past : Poses
        The instances of the last frames. Those without a track leave dots, since it is
        not known which of them belong together.
    node : int
        The node that leaves the trail.
    frames : ndarray of int, shape (T,)
        The frames of the trail, ascending; a track that is missing in one of them
        leaves a gap there.
    style, view : DrawStyle, View, optional
    """
    if not len(past) or not len(frames):
        return
    view = view or View.whole(*image.shape[:2])
    style = (style or DrawStyle()).fitted_to(past, view.scales[0])
    width = style.edge_width_px or 1.0
    colors = color_points(past, style.color_by)[:, node]
    xy = view.to_picture(past.xy[:, node])
    fade = np.linspace(0.0, 0.9, len(frames) + 1)[1:]
    place = np.searchsorted(frames, past.frame)
    for track in np.unique(past.track[past.track >= 0]).tolist():
        (rows,) = np.nonzero(past.track == track)
        path = np.full((len(frames), 2), np.nan)
        path[place[rows]] = xy[rows]
        draw_path(image, path, width, colors[rows[-1]], fade)
    (loose,) = np.nonzero(past.track < 0)
    if len(loose):
        draw_dots(image, xy[loose], width / 2, colors[loose], opacity=fade[place[loose]])


def draw_caption(image: NDArray[np.uint8], text: str, size: int = 14) -> None:
    """Write one line of white text into the upper left corner, in place."""
    draw_text(image, text, (0.4 * size, 0.9 * size), size)


def draw_frame(
    frame: NDArray[np.uint8],
    rows: Poses,
    style: DrawStyle | None = None,
    view: View | None = None,
) -> NDArray[np.uint8]:
    """Return a picture of a frame with its instances drawn on it.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W), (H, W, 1) or (H, W, 3)
    rows : Poses
        The instances of this frame; see `draw_poses`.
    style : DrawStyle, optional
    view : View, optional
        The part of the frame to show and its scale; by default all of it at scale 1.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
    """
    view = view or View.whole(*frame.shape[:2])
    style = style or DrawStyle()
    image = view.cut(frame)
    darken(image, style.darken)
    draw_poses(image, rows, style, view)
    return image
