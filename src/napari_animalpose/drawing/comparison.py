"""Labels and predictions side by side on frames, and what the network sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.canvas import (
    FONT,
    INK,
    TICK_PT,
    crop_limits,
    finish,
    label_axes,
    new_figure,
    show_frame,
    to_mpl,
)
from napari_animalpose.drawing.colors import edge_colors, node_colors
from napari_animalpose.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ErrorTile",
    "add_comparison",
    "draw_error_gallery",
    "draw_receptive_field",
    "draw_validation_preview",
    "overlay_maps",
]


@dataclass(frozen=True)
class ErrorTile:
    """One animal in one frame, as labelled and as predicted.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W), (H, W, 1) or (H, W, 3)
    truth, predicted : array_like of float, shape (K, 2)
        px of the frame; NaN = missing.
    label : str
        What to call it: usually the frame number.
    """

    frame: NDArray[np.uint8]
    truth: ArrayLike
    predicted: ArrayLike
    label: str = ""

    @property
    def error_px(self) -> float:
        """Mean distance over the points that both have, NaN if none."""
        delta = np.asarray(self.truth, float) - np.asarray(self.predicted, float)
        distance = np.hypot(delta[:, 0], delta[:, 1])
        known = distance[np.isfinite(distance)]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def verdict(self) -> str:
        """The error, or what there is no error for: a missed or an invented animal."""
        if np.isfinite(self.error_px):
            return f"{self.error_px:.1f} px"
        labelled, found = (
            np.isfinite(np.asarray(points, float)).all(axis=1).any()
            for points in (self.truth, self.predicted)
        )
        return "no point in both" if labelled and found else "missed" if labelled else "invented"


def draw_error_gallery(
    tiles: Sequence[ErrorTile],
    skeleton: Skeleton,
    path: str | PathLike[str] | None = None,
    *,
    columns: int = 4,
    title: str = "Worst frames",
) -> Figure:
    """Draw a grid of animals with truth (white rings), prediction (dots) and error.

    Parameters
    ----------
    tiles : sequence of ErrorTile
        In the order to show them, usually worst first; at least one.
    skeleton : Skeleton
    path : str or PathLike, optional
        Where to save the figure (png, svg, pdf).
    columns : int
        Tiles in a row.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If there is no tile.
    OutputError
        If the file cannot be written.
    """
    if not tiles:
        raise DataError("Expected at least one frame for the gallery; received none.")
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    figure = new_figure(2.3 * columns, 2.5 * rows + 0.5)
    figure.suptitle(
        f"{title}: white rings are labels, coloured dots predictions",
        fontsize=10.5,
        x=0.01,
        ha="left",
        family=FONT,
        color=INK,
    )
    grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes, tile in zip(grid, tiles, strict=False):
        _draw_tile(axes, tile, skeleton)
    for axes in grid[len(tiles) :]:
        axes.set_axis_off()
    return finish(figure, path)


def _draw_tile(axes: Axes, tile: ErrorTile, skeleton: Skeleton) -> None:
    truth, predicted = np.asarray(tile.truth, float), np.asarray(tile.predicted, float)
    shown = np.concatenate([truth, predicted])
    shown = shown[np.isfinite(shown).all(axis=1)]
    margin = max(0.12 * float(np.ptp(shown, axis=0).max()) if len(shown) else 0.0, 6.0)
    limits = crop_limits([truth, predicted], tile.frame.shape, margin, square=True)
    show_frame(axes, tile.frame)
    add_comparison(axes, truth, predicted, skeleton)
    axes.set_xlim(limits[0], limits[1])
    axes.set_ylim(limits[2], limits[3])
    axes.set_title(
        " · ".join(part for part in (tile.label, tile.verdict) if part),
        fontsize=TICK_PT,
        loc="left",
        pad=3,
        family=FONT,
        color=INK,
    )


def add_comparison(
    axes: Axes, truth: ArrayLike, predicted: ArrayLike, skeleton: Skeleton, size: float = 4.5
) -> None:
    """Draw a labelled pose as white rings and a predicted one as coloured dots.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        In px of the frame.
    truth, predicted : array_like of float, shape (K, 2)
        px; NaN = not drawn. A thin line joins the two where both are there.
    skeleton : Skeleton
    size : float
        Diameter of the dots in points.
    """
    from matplotlib.patheffects import withStroke

    a, b = np.asarray(truth, float), np.asarray(predicted, float)
    colors = to_mpl(node_colors(skeleton))
    for (source, destination), color in zip(
        skeleton.edges, to_mpl(edge_colors(skeleton)), strict=True
    ):
        ends = b[[source, destination]]
        axes.plot(ends[:, 0], ends[:, 1], color=color, linewidth=0.9, alpha=0.6, zorder=2)
    for node in range(len(skeleton)):
        pair = np.stack([a[node], b[node]])
        axes.plot(pair[:, 0], pair[:, 1], color="white", linewidth=0.8, zorder=3)
    axes.scatter(
        a[:, 0],
        a[:, 1],
        s=(1.5 * size) ** 2,
        facecolors="none",
        edgecolors="white",
        linewidths=1.0,
        path_effects=[withStroke(linewidth=2.0, foreground="#00000090")],
        zorder=4,
        gid="truth",
    )
    axes.scatter(
        b[:, 0],
        b[:, 1],
        s=size**2,
        c=colors,
        edgecolors="#202020",
        linewidths=0.4,
        zorder=5,
        gid="predicted",
    )


def overlay_maps(maps: ArrayLike, colors: ArrayLike) -> NDArray[np.float64]:
    """Return confidence maps as one transparent picture in the colours of the nodes.

    Parameters
    ----------
    maps : array_like of float, shape (h, w, K)
        Confidence from 0 to 1; values outside are clipped, NaN counts as 0.
    colors : array_like of uint8, shape (K, 3)

    Returns
    -------
    ndarray of float64, shape (h, w, 4)
        RGBA from 0 to 1. The opacity is the highest confidence of the cell, its colour
        the mean of the node colours weighted by confidence.
    """
    confidence = np.clip(np.nan_to_num(np.asarray(maps, np.float64)), 0.0, 1.0)
    total = confidence.sum(axis=2, keepdims=True)
    share = np.divide(confidence, total, out=np.zeros_like(confidence), where=total > 0)
    color = np.minimum(share @ to_mpl(colors), 1.0)
    return np.concatenate([color, confidence.max(axis=2, keepdims=True)], axis=2)


def draw_validation_preview(
    frame: NDArray[np.uint8],
    truth: ArrayLike,
    predicted: ArrayLike,
    maps: ArrayLike,
    stride: int,
    skeleton: Skeleton,
    path: str | PathLike[str] | None = None,
    *,
    title: str = "",
) -> Figure:
    """Draw a frame with labels and predictions beside the network's confidence maps.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W), (H, W, 1) or (H, W, 3)
        The input of the network.
    truth, predicted : array_like of float, shape (K, 2) or (N, K, 2)
        Of one or several animals, in px of this frame; NaN = missing.
    maps : array_like of float, shape (h, w, K)
        Confidence from 0 to 1; cell i lies at pixel ``i * stride``.
    stride : int
        Pixels of the frame for a cell of the maps.
    skeleton : Skeleton
    path : str or PathLike, optional
        Where to save the figure (png, svg, pdf).
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    height, width = frame.shape[:2]
    panel = 4.2
    figure = new_figure(2 * panel + 0.1, float(np.clip(panel * height / width, 1.5, 9)) + 0.4)
    left, right = figure.subplots(1, 2)
    show_frame(left, frame)
    shape = (-1, len(skeleton), 2)
    poses = [np.asarray(points, float).reshape(shape) for points in (truth, predicted)]
    nothing = np.full((1, len(skeleton), 2), np.nan)
    for row in range(max(len(poses[0]), len(poses[1]))):
        a, b = (points[row] if row < len(points) else nothing[0] for points in poses)
        add_comparison(left, a, b, skeleton, size=4.0)
    show_frame(right, frame, opacity=0.6)
    rows, columns = np.asarray(maps).shape[:2]
    edges = np.array([-0.5, columns - 0.5, rows - 0.5, -0.5]) * stride
    overlay = overlay_maps(maps, node_colors(skeleton))
    right.imshow(overlay, extent=tuple(edges.tolist()), interpolation="nearest")
    for axes in (left, right):
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_ylim(height - 0.5, -0.5)
    label_axes(left, title=" · ".join(p for p in (title, "rings: labels, dots: predicted") if p))
    label_axes(right, title=f"confidence maps, stride {stride} px")
    return finish(figure, path)


def draw_receptive_field(
    frame: NDArray[np.uint8],
    points: ArrayLike,
    receptive_field_px: float,
    path: str | PathLike[str] | None = None,
    *,
    title: str = "What one output cell sees",
) -> Figure:
    """Draw the receptive field of a network around an animal, to see whether it fits.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W), (H, W, 1) or (H, W, 3)
    points : array_like of float, shape (K, 2)
        One animal in px of the frame; NaN ignored.
    receptive_field_px : float
        Side of the square, in px of this frame (not of a network's scaled input).
    path : str or PathLike, optional
        Where to save the figure (png, svg, pdf).
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        The square and the bounding box are `matplotlib.patches.Rectangle` in px of the
        frame with the gids "receptive field" and "animal".

    Raises
    ------
    DataError
        If the animal has no point.
    OutputError
        If the file cannot be written.
    """
    xy = np.asarray(points, float)
    xy = xy[np.isfinite(xy).all(axis=1)]
    if not len(xy):
        raise DataError("Expected an animal with at least one point; received none.")
    low, high = xy.min(axis=0), xy.max(axis=0)
    middle, field = (low + high) / 2, np.full(2, float(receptive_field_px))
    height, width = frame.shape[:2]
    figure = new_figure(6.0, float(np.clip(6.0 * height / width, 2, 9)) + 0.4)
    axes = figure.subplots()
    show_frame(axes, frame)
    size = high - low
    _add_box(axes, low, size, "#56b4e9", "animal", f"animal {size[0]:.0f} x {size[1]:.0f} px")
    text = f"receptive field {receptive_field_px:.0f} px"
    _add_box(axes, middle - field / 2, field, "#e69f00", "receptive field", text)
    axes.set_xlim(min(-0.5, middle[0] - field[0] / 2), max(width - 0.5, middle[0] + field[0] / 2))
    axes.set_ylim(max(height - 0.5, middle[1] + field[1] / 2), min(-0.5, middle[1] - field[1] / 2))
    label_axes(axes, title=title)
    return finish(figure, path)


def _add_box(
    axes: Axes,
    corner: NDArray[np.float64],
    size: NDArray[np.float64],
    color: str,
    gid: str,
    text: str,
) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    x, y = (float(value) for value in corner)
    axes.add_patch(
        Rectangle(
            (x, y),
            float(size[0]),
            float(size[1]),
            fill=False,
            edgecolor=color,
            linewidth=1.8,
            gid=gid,
        )
    )
    axes.annotate(
        text,
        (x, y),
        xytext=(0, 4),
        textcoords="offset points",
        color=color,
        family=FONT,
        fontsize=TICK_PT,
        path_effects=[withStroke(linewidth=2.0, foreground="#000000b0")],
    )
