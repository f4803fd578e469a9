"""The curve of labelling in rounds: accuracy against labelled frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from napari_animalpose.drawing.canvas import (
    FONT,
    GRAY,
    INK,
    TICK_PT,
    add_text,
    finish,
    label_axes,
    new_figure,
    style_axes,
)
from napari_animalpose.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["RoundPoint", "draw_learning_curve"]

_COLOR = "#0072b2"


@dataclass(frozen=True)
class RoundPoint:
    """One round in the curve.

    Parameters
    ----------
    number : int
    n_frames : int
        Labelled frames.
    error_px : float
        Median error; NaN = unknown.
    precision : float
        The mAP, 0 to 1; NaN = unknown.
    minutes : float
        Of training; NaN = unknown.
    went_on : bool
        Whether it started from an earlier round.
    """

    number: int
    n_frames: int
    error_px: float
    precision: float
    minutes: float = math.nan
    went_on: bool = False


def draw_learning_curve(
    points: Sequence[RoundPoint], path: str | PathLike[str] | None = None, *, title: str = ""
) -> Figure:
    """Draw error and mAP of rounds against their labelled frames, and what they took.

    Filled points and bars were trained from the start, hollow ones went on from an earlier
    round; numbers are those of the rounds.

    Parameters
    ----------
    points : sequence of RoundPoint
        In the order of rounds; at least one.
    path : str or PathLike, optional
        Where to save the figure (png, svg, pdf).
    title : str

    Raises
    ------
    DataError
        If there is no round.
    OutputError
        If the file cannot be written.
    """
    if not points:
        raise DataError("Expected at least one finished round to draw; received none.")
    figure = new_figure(9.6, 3.1)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 0.7))
    _draw_panel(left, points, [point.error_px for point in points])
    label_axes(left, "labelled frames", "median error (px)", title)
    _draw_panel(middle, points, [point.precision for point in points])
    middle.set_ylim(0, 1.08)
    label_axes(middle, "labelled frames", "mAP")
    _draw_minutes(right, points)
    return finish(figure, path)


def _draw_minutes(axes: Axes, points: Sequence[RoundPoint]) -> None:
    from matplotlib.ticker import MaxNLocator

    style_axes(axes, grid="y")
    for point in points:
        if math.isfinite(point.minutes):
            face = "white" if point.went_on else _COLOR
            axes.bar(point.number, point.minutes, 0.6, color=face, edgecolor=_COLOR, linewidth=1.4)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    numbers = [point.number for point in points]
    axes.set_xlim(min(numbers) - 0.7, max(numbers) + 0.7)
    label_axes(axes, "round", "minutes of training")
    if len({point.went_on for point in points}) == 2:
        for word, face in (("from the start", _COLOR), ("went on", "white")):
            axes.plot([], [], "s", color=_COLOR, markerfacecolor=face, label=word)
        axes.legend(frameon=False, prop={"family": FONT, "size": TICK_PT}, labelcolor=INK)
        axes.set_ylim(top=1.45 * axes.get_ylim()[1])  # room for the words above the bars


def _draw_panel(axes: Axes, points: Sequence[RoundPoint], values: Sequence[float]) -> None:
    from matplotlib.ticker import MaxNLocator

    style_axes(axes, grid="y")
    x, y = np.array([point.n_frames for point in points], float), np.array(values, float)
    axes.plot(x, y, color=_COLOR, linewidth=1.4, zorder=2, gid="curve")
    for point, height in zip(points, values, strict=True):
        if not math.isfinite(height):
            continue
        face = "white" if point.went_on else _COLOR
        axes.plot(
            [point.n_frames], [height], "o", color=_COLOR, markerfacecolor=face, markersize=6,
            zorder=3,
        )  # fmt: skip
        axes.annotate(
            str(point.number), (point.n_frames, height), xytext=(0, 8),
            textcoords="offset points", ha="center", fontsize=8.5, color=INK,
        )  # fmt: skip
    if not np.isfinite(y).any():
        add_text(axes, 0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=GRAY)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    spread = max(1.0, float(np.ptp(x)))
    axes.set_xlim(x.min() - 0.12 * spread, x.max() + 0.12 * spread)
    top = float(np.nanmax(y)) if np.isfinite(y).any() else 1.0
    axes.set_ylim(0, 1.25 * top if top > 0 else 1.0)
