"""What all figures share: paper, type, colours of ink, and how they become files.

matplotlib is imported when the first figure is made, always with the Agg canvas and
never through pyplot: no window, no global state, and a figure goes when nobody holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.errors import OutputError
from napari_animalpose.io.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "DPI",
    "GRAY",
    "INK",
    "figure_to_rgb",
    "finish",
    "label_axes",
    "new_figure",
    "save_figure",
    "show_frame",
    "style_axes",
    "to_mpl",
]

DPI = 150
INK = "#222222"
GRAY = "#8c8c8c"
FAINT = "#dddddd"
FONT = "DejaVu Sans"  # comes with matplotlib: the same letters on every machine
TITLE_PT, LABEL_PT, TICK_PT = 11.0, 9.5, 8.5
_SUFFIXES = (".png", ".svg", ".pdf")


def new_figure(width_in: float, height_in: float, *, constrained: bool = True) -> Figure:
    """Return an empty white figure with an Agg canvas, not known to pyplot.

    Parameters
    ----------
    width_in, height_in : float
        Size in inches, of `DPI` px each.
    constrained : bool
        Let matplotlib make room for labels; otherwise axes stay where they are put.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout: Literal["constrained"] | None = "constrained" if constrained else None
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, *, grid: Literal["x", "y", "both"] | None = None) -> None:
    """Give a plot thin axes on the left and below, small ticks and a faint grid.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    grid : {"x", "y", "both"}, optional
        Direction of the grid lines; None draws none.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRAY)
    axes.tick_params(
        colors=INK, labelsize=TICK_PT, length=3, color=GRAY, labelfontfamily=FONT, which="both"
    )
    axes.set_axisbelow(True)
    if grid:
        axes.grid(True, axis=grid, color=FAINT, linewidth=0.6)


def label_axes(axes: Axes, x: str = "", y: str = "", title: str = "") -> None:
    """Write axis labels and a title that starts above the left edge of the plot."""
    text: dict[str, Any] = {"family": FONT, "color": INK}
    axes.set_xlabel(x, fontsize=LABEL_PT, **text)
    axes.set_ylabel(y, fontsize=LABEL_PT, **text)
    if title:
        axes.set_title(title, fontsize=TITLE_PT, loc="left", pad=8, **text)


def show_frame(axes: Axes, frame: NDArray[np.uint8], *, opacity: float = 1.0) -> None:
    """Show a frame in its own pixel coordinates, without axes.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Gets limits in px with y downwards; pixel (x, y) has its centre at (x, y).
    frame : ndarray of uint8, shape (H, W), (H, W, 1) or (H, W, 3)
    opacity : float
        Less than 1 darkens the frame.
    """
    image = np.asarray(frame)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    shown = np.rint(image * opacity).astype(np.uint8)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    axes.set_axis_off()


def to_mpl(colors: ArrayLike) -> NDArray[np.float64]:
    """Return uint8 colours (..., 3) as matplotlib wants them, from 0 to 1."""
    return np.asarray(colors, np.float64) / 255.0


def save_figure(figure: Figure, path: str | PathLike[str]) -> Path:
    """Write a figure whole or not at all; the suffix (png, svg, pdf) is the format.

    Raises
    ------
    OutputError
        For another suffix, or if the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _SUFFIXES:
        raise OutputError(
            f"Expected a picture that ends in {', '.join(_SUFFIXES)}; received {target.name!r}. "
            "Change the suffix.",
            path,
        )
    undated: dict[str, Any] = {} if suffix == ".png" else {_DATE_KEYS[suffix]: None}
    with atomic_path(target) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=figure.dpi, metadata=undated)
    return target


_DATE_KEYS = {".svg": "Date", ".pdf": "CreationDate"}  # left out: same figure, same file


def figure_to_rgb(figure: Figure) -> NDArray[np.uint8]:
    """Return a figure as pixels, uint8 (h, w, 3): for TensorBoard and for windows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def finish(figure: Figure, path: str | PathLike[str] | None) -> Figure:
    """Save a figure if a path is given, and return it."""
    if path is not None:
        save_figure(figure, path)
    return figure


def add_text(axes: Axes, x: float, y: float, text: str, **options: Any) -> None:
    """Write text in the house's type; options as in `matplotlib.axes.Axes.text`."""
    defaults: dict[str, Any] = {"family": FONT, "color": INK, "fontsize": TICK_PT}
    axes.text(x, y, text, **(defaults | options))


def crop_limits(
    points: Sequence[ArrayLike],
    frame_shape: tuple[int, ...],
    margin_px: float,
    *,
    square: bool = False,
) -> tuple[float, float, float, float]:
    """Return (left, right, bottom, top) axes limits around points, inside the frame.

    Parameters
    ----------
    points : sequence of array_like, each (..., 2)
        px; NaN ignored. Without any point the whole frame is shown.
    frame_shape : tuple
        (H, W, ...).
    margin_px : float
        Room around the points.
    square : bool
        Make both sides as long as the longer one, as far as the frame allows.

    Returns
    -------
    tuple of float
        Pixel edges: for ``set_xlim(left, right)``, ``set_ylim(bottom, top)``.
    """
    size = np.array(frame_shape[1::-1], float)
    flat = np.concatenate([np.asarray(p, float).reshape(-1, 2) for p in points])
    flat = flat[np.isfinite(flat).all(axis=1)]
    if not len(flat):
        return -0.5, size[0] - 0.5, size[1] - 0.5, -0.5
    low, high = flat.min(axis=0) - margin_px, flat.max(axis=0) + margin_px
    if square:
        half = (high - low).max() / 2
        middle = (low + high) / 2
        low, high = middle - half, middle + half
    extent = np.minimum(high - low, size)
    low = np.clip(low, -0.5, size - 0.5 - extent)
    return float(low[0]), float(low[0] + extent[0]), float(low[1] + extent[1]), float(low[1])
