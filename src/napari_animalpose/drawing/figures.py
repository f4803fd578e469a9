"""Accuracy on the animal: how far predictions fall from the truth, as circles."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.canvas import (
    DPI,
    FONT,
    GRAY,
    TICK_PT,
    add_text,
    crop_limits,
    finish,
    new_figure,
    show_frame,
    to_mpl,
)
from napari_animalpose.drawing.colors import node_colors
from napari_animalpose.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_error_circles"]

_FIT_PX, _MAX_PX = 900.0, 2000.0  # longer side of the picture: usual, and at most
_READABLE_RADIUS_PX = 2.5  # on the screen, of the median smallest circle
_FILL_OPACITY = (0.42, 0.22, 0.12)  # from the innermost circle outwards
_LINE_WIDTH = (1.3, 0.9, 0.7)


def draw_error_circles(
    frame: NDArray[np.uint8],
    reference_pose: ArrayLike,
    skeleton: Skeleton,
    percentiles: ArrayLike,
    path: str | PathLike[str] | None = None,
    *,
    levels: Sequence[float] = (50, 75, 90),
    title: str = "Localisation error",
) -> Figure:
    """Draw how far predictions fall from the truth as circles on an animal.

    Around each node of a real animal, circles hold 50, 75 and 90 percent of the errors
    of that node (after Pereira et al. 2019, "Fast animal pose estimation using deep
    neural networks", Fig. 2). Radii are true to the scale of the image, beside which a
    table gives them in px.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W), (H, W, 1) or (H, W, 3)
    reference_pose : array_like of float, shape (K, 2)
        Where to put the circles, in px of the frame; NaN = this node has none.
    skeleton : Skeleton
        With K nodes.
    percentiles : array_like of float, shape (K, P)
        Radii in px; NaN = no figure for this node; inf = more points were missed than
        the percentile leaves out. Neither has a circle.
    path : str or PathLike, optional
        Where to save the figure (png, svg, pdf).
    levels : sequence of P floats
        Which percentiles these are, ascending.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        Circles are `matplotlib.patches.Circle` in px of the frame, with the gid
        ``"<node> <level>"``.

    Raises
    ------
    DataError
        If shapes do not fit together.
    OutputError
        If the file cannot be written.

    Notes
    -----
    The zoom makes the animal fill the picture, and is raised further where the median
    circle would be smaller than 2.5 screen px; it is stated below the picture.
    """
    pose, radii = np.asarray(reference_pose, float), np.asarray(percentiles, float)
    if pose.shape != (len(skeleton), 2) or radii.shape != (len(skeleton), len(levels)):
        raise DataError(
            f"Expected a pose of shape ({len(skeleton)}, 2) and percentiles of shape "
            f"({len(skeleton)}, {len(levels)}); received {pose.shape} and {radii.shape}."
        )
    limits = _limits_around(pose, radii, frame.shape)
    zoom = choose_zoom(radii, limits)
    figure, axes, side = _circle_layout(limits, zoom, len(skeleton))
    show_frame(axes, frame)
    axes.set_xlim(limits[0], limits[1])
    axes.set_ylim(limits[2], limits[3])
    _add_skeleton(axes, pose, skeleton)
    _add_circles(axes, pose, radii, skeleton, levels)
    _add_scale_bar(axes, limits)
    _add_error_table(side, radii, skeleton, levels, title, zoom)
    return finish(figure, path)


def _limits_around(
    pose: NDArray[np.float64], radii: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[float, float, float, float]:
    shown = pose[np.isfinite(pose).all(axis=1)]
    extent = float(np.ptp(shown, axis=0).max()) if len(shown) else 0.0
    largest = float(radii[np.isfinite(radii)].max()) if np.isfinite(radii).any() else 0.0
    return crop_limits([pose], shape, largest + max(0.08 * extent, 4.0))


def choose_zoom(radii: ArrayLike, limits: tuple[float, float, float, float]) -> float:
    """Return screen px for a px of the frame, rounded to a tenth, such that circles show.

    Parameters
    ----------
    radii : array_like of float, shape (K, P)
        px of the frame; NaN ignored.
    limits : tuple of float
        (left, right, bottom, top) of the part of the frame that is shown.
    """
    values = np.asarray(radii, float)
    longer = max(limits[1] - limits[0], limits[2] - limits[3])
    smallest = values[:, 0][np.isfinite(values[:, 0]) & (values[:, 0] > 0)]
    wanted = _READABLE_RADIUS_PX / float(np.median(smallest)) if len(smallest) else 0.0
    zoom = float(np.clip(wanted, _FIT_PX / longer, max(_MAX_PX, _FIT_PX) / longer))
    return max(round(zoom, 1), 0.1)


def _circle_layout(
    limits: tuple[float, float, float, float], zoom: float, n_nodes: int
) -> tuple[Figure, Axes, Axes]:
    """Return the figure, the axes of the picture (exactly at the zoom) and of the table."""
    width, height = (limits[1] - limits[0]) * zoom, (limits[2] - limits[3]) * zoom
    table_width, row_px, pad = 3.1 * DPI, 0.2 * DPI, 0.12 * DPI
    total_height = max(height, (n_nodes + 7.5) * row_px) + 2 * pad
    total_width = width + table_width + 3 * pad
    figure = new_figure(total_width / DPI, total_height / DPI, constrained=False)
    top = 1 - (pad + height) / total_height
    axes = figure.add_axes((pad / total_width, top, width / total_width, height / total_height))
    side = figure.add_axes(
        (
            (width + 2 * pad) / total_width,
            pad / total_height,
            table_width / total_width,
            1 - 2 * pad / total_height,
        )
    )
    side.set_axis_off()
    side.set_xlim(0, table_width / DPI)
    side.set_ylim((total_height - 2 * pad) / DPI, 0)
    return figure, axes, side


def _add_skeleton(axes: Axes, pose: NDArray[np.float64], skeleton: Skeleton) -> None:
    for source, destination in skeleton.edges:
        ends = pose[[source, destination]]
        axes.plot(ends[:, 0], ends[:, 1], color="white", linewidth=0.8, alpha=0.45, zorder=2)


def _add_circles(
    axes: Axes,
    pose: NDArray[np.float64],
    radii: NDArray[np.float64],
    skeleton: Skeleton,
    levels: Sequence[float],
) -> None:
    colors = to_mpl(node_colors(skeleton))
    for node, name in enumerate(skeleton.nodes):
        if not np.isfinite(pose[node]).all():
            continue
        for order in reversed(range(len(levels))):
            if np.isfinite(radii[node, order]):
                circle = _percentile_circle(pose[node], radii[node, order], colors[node], order)
                circle.set_gid(f"{name} {levels[order]:g}")
                axes.add_patch(circle)
        widest = radii[node][np.isfinite(radii[node])]
        offset = float(widest.max()) if len(widest) else 0.0
        _add_node_number(axes, pose[node], offset, node + 1)


def _percentile_circle(
    center: NDArray[np.float64], radius: float, color: NDArray[np.float64], order: int
) -> Any:
    from matplotlib.patches import Circle

    order = min(order, len(_FILL_OPACITY) - 1)
    return Circle(
        (float(center[0]), float(center[1])),
        float(radius),
        facecolor=(*color, _FILL_OPACITY[order]),
        edgecolor=(*color, 1.0),
        linewidth=_LINE_WIDTH[order],
        zorder=3,
    )


def _add_node_number(axes: Axes, center: NDArray[np.float64], radius: float, number: int) -> None:
    """Write the node's number to the upper right of its largest circle."""
    from matplotlib.patheffects import withStroke

    shift = 0.72 * radius
    axes.annotate(
        str(number),
        (float(center[0]) + shift, float(center[1]) - shift),
        xytext=(2, 2),
        textcoords="offset points",
        family=FONT,
        fontsize=TICK_PT - 1.5,
        color="white",
        path_effects=[withStroke(linewidth=1.8, foreground="#000000b0")],
        zorder=5,
    )


def _add_scale_bar(axes: Axes, limits: tuple[float, float, float, float]) -> None:
    """Put a bar of a round number of px into the lower left corner."""
    from matplotlib.patheffects import withStroke

    width, height = limits[1] - limits[0], limits[2] - limits[3]
    length = round_length(0.2 * width)
    x, y = limits[0] + 0.035 * width, limits[2] - 0.045 * height
    stroke = [withStroke(linewidth=4.5, foreground="#000000b0")]
    axes.plot(
        [x, x + length],
        [y, y],
        color="white",
        linewidth=2.5,
        solid_capstyle="butt",
        path_effects=stroke,
        gid="scale bar",
        zorder=6,
    )
    axes.annotate(
        f"{length:g} px",
        (x + length / 2, y),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        color="white",
        family=FONT,
        fontsize=TICK_PT,
        path_effects=[withStroke(linewidth=2, foreground="#000000b0")],
        zorder=6,
    )


def round_length(length: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, ... that is not longer than `length`."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step * power for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)))


def _add_error_table(
    axes: Axes,
    radii: NDArray[np.float64],
    skeleton: Skeleton,
    levels: Sequence[float],
    title: str,
    zoom: float,
) -> None:
    """Fill the side: title, one row of radii a node, how to read the circles."""
    row, right = 0.2, axes.get_xlim()[1]
    columns = right - 0.1 - 0.48 * np.arange(len(levels))[::-1]
    add_text(axes, 0, 0.14, title, fontsize=11, weight="bold")
    add_text(axes, 0, 0.14 + row * 1.3, "px, share of points", color=GRAY)
    for x, level in zip(columns, levels, strict=True):
        add_text(axes, x, 0.14 + row * 1.3, f"{level:g}%", ha="right", color=GRAY)
    for node, (name, color) in enumerate(
        zip(skeleton.nodes, to_mpl(node_colors(skeleton)), strict=True)
    ):
        y = 0.14 + row * (2.5 + node)
        axes.plot([0.06], [y - 0.045], "o", color=color, markersize=6, clip_on=False)
        add_text(axes, 0.36, y, str(node + 1), ha="right", color=GRAY)
        add_text(axes, 0.44, y, _shorten(name, 16))
        for x, value in zip(columns, radii[node], strict=True):
            add_text(axes, x, y, _format_radius(value), ha="right")
    y = 0.14 + row * (3.7 + len(skeleton))
    _add_circle_key(axes, 0.32, y + 0.1, levels)
    add_text(axes, 1.15, y, "of the errors lie", color=GRAY)
    add_text(axes, 1.15, y + row, "inside each circle", color=GRAY)
    note = f"Zoom {zoom:g}: circles and scale bar are true."
    add_text(axes, 0, y + 3 * row, note, color=GRAY)


def _add_circle_key(axes: Axes, x: float, y: float, levels: Sequence[float]) -> None:
    """Draw nested gray circles with the percentile of each beside it."""
    color = to_mpl((90, 90, 90))
    for order in reversed(range(len(levels))):
        radius = 0.3 * (order + 1) / len(levels)
        axes.add_patch(_percentile_circle(np.array([x, y]), radius, color, order))
        height = y + 0.2 * (len(levels) / 2 - 0.5 - order) + 0.04
        add_text(axes, x + 0.42, height, f"{levels[order]:g}%", color=GRAY)


def _format_radius(radius: float) -> str:
    if np.isnan(radius):
        return "–"
    return f"{radius:.2f}" if np.isfinite(radius) else "∞"


def _shorten(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
