"""Figures of a sweep: accuracy and cost of the pipelines against what was varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.drawing.canvas import (
    FONT,
    GRAY,
    INK,
    LABEL_PT,
    TICK_PT,
    TITLE_PT,
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

__all__ = ["ACCURACY_PANELS", "CROWD_PANELS", "Line", "Mark", "Panel", "Series", "draw_sweep"]

# Of Okabe and Ito (2008), those dark enough for lines, the farthest apart first; a marker
# for each, so that nothing hangs on colour alone.
_STYLES = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#222222", "v"),
)
_BAND_OPACITY, _DOT_OPACITY = 0.15, 0.55


@dataclass(frozen=True)
class Line:
    """One column of the figures, drawn for every series.

    `text` says what it is where a panel has several; all but the first are dashed.
    """

    key: str
    text: str = ""


@dataclass(frozen=True)
class Panel:
    """One plot of a sweep.

    Parameters
    ----------
    label : str
        Of its vertical axis, with unit.
    lines : tuple of Line
    logarithmic : bool
        The vertical axis.
    limits : (float, float), optional
        Of the vertical axis.
    """

    label: str
    lines: tuple[Line, ...]
    logarithmic: bool = False
    limits: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class Mark:
    """A place on the horizontal axis to compare with, and what is there."""

    x: float
    text: str


@dataclass(frozen=True)
class Series:
    """What was measured of one pipeline, one entry a training.

    Parameters
    ----------
    name : str
    x : float array, shape (N,)
    figures : mapping of str to float array, shape (N,)
        NaN = there is no such figure.
    """

    name: str
    x: NDArray[np.float64]
    figures: Mapping[str, NDArray[np.float64]]

    @classmethod
    def from_rows(cls, name: str, rows: Sequence[Mapping[str, Any]], x_name: str) -> Series:
        """Collect the columns of numbers; None becomes NaN."""
        columns = {
            key: np.array([row[key] for row in rows], np.float64)
            for key in rows[0]
            if all(row[key] is None or isinstance(row[key], int | float) for row in rows)
        }
        return cls(name, columns.pop(x_name), columns)


_MAP_LINES = (
    Line("mAP_with_false_positives", "counting false positives"),
    Line("mAP", "leaving them out"),
)
ACCURACY_PANELS = (
    Panel("median error (px)", (Line("error_p50"),), logarithmic=True),
    Panel("share of points within 5 px", (Line("pck5"),), limits=(0, 1)),
    Panel("mAP of instances", _MAP_LINES, limits=(0, 1)),
)
CROWD_PANELS = (
    Panel("median error (px)", (Line("error_p50"),), logarithmic=True),
    Panel("mAP of instances", _MAP_LINES, limits=(0, 1)),
    Panel(
        "time (s a frame)",
        (
            Line("seconds_per_frame", "in all"),
            Line("grouping_seconds_per_frame", "of it grouping"),
        ),
        limits=(0, None),
    ),
)


def draw_sweep(
    series: Sequence[Series],
    panels: Sequence[Panel],
    path: str | PathLike[str] | None = None,
    *,
    x_label: str,
    title: str,
    logarithmic: bool = True,
    notes: Sequence[str] = (),
    mark: Mark | None = None,
) -> Figure:
    """Draw figures of several pipelines against what was varied.

    A line goes through the mean of the trainings at each place; where there are several,
    each is a dot, and a band reaches from the lowest to the highest.

    Parameters
    ----------
    series : sequence of Series
        With `x` above 0.
    panels : sequence of Panel
        Side by side.
    path : str or PathLike, optional
        Where to save the figure (png, svg, pdf).
    x_label : str
        With unit.
    title : str
    logarithmic : bool
        The horizontal axis; otherwise it begins at 0.
    notes : sequence of str
        For the foot of the figure.
    mark : Mark, optional
        Drawn as a vertical line.

    Returns
    -------
    matplotlib.figure.Figure
        Mean lines carry ``SERIES KEY`` as their gid.

    Raises
    ------
    DataError
        If there is nothing to draw or more series than can be told apart.
    OutputError
        If the file cannot be written.
    """
    if not 1 <= len(series) <= len(_STYLES):
        raise DataError(f"Expected 1 to {len(_STYLES)} series to draw; received {len(series)}.")
    figure = new_figure(0.6 + 3.3 * len(panels), 4.3)
    figure.set_layout_engine("constrained", w_pad=0.1)
    plots = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(plots, panels, strict=True):
        style_axes(axes, grid="y")
        for own, style in zip(series, _STYLES, strict=False):
            for number, line in enumerate(panel.lines):
                _draw_line(axes, own, line, style, is_main=number == 0)
        _scale_x(axes, series, mark, logarithmic)
        _scale_y(axes, panel, series)
        label_axes(axes, x_label, panel.label)
        _explain_lines(axes, panel)
        if mark is not None:
            _draw_mark(axes, mark)
    _add_title(figure, title, series)
    _add_notes(figure, notes, series)
    return finish(figure, path)


def _draw_line(
    axes: Axes, series: Series, line: Line, style: tuple[str, str], *, is_main: bool
) -> None:
    color, marker = style
    x, mean, low, high = _summarize(series.x, series.figures[line.key])
    axes.plot(
        x, mean, color=color, marker=marker, gid=f"{series.name} {line.key}",
        linestyle="-" if is_main else (0, (4, 2)), linewidth=1.8 if is_main else 1.1,
        markersize=5.5 if is_main else 3.0, markeredgecolor="white", markeredgewidth=0.6,
        zorder=3 if is_main else 2.5,
    )  # fmt: skip
    if is_main and (high > low).any():
        axes.fill_between(x, low, high, color=color, alpha=_BAND_OPACITY, linewidth=0, zorder=1.5)
        axes.plot(
            series.x, series.figures[line.key], linestyle="", color=color, marker=marker,
            markersize=3.0, alpha=_DOT_OPACITY, markeredgewidth=0, zorder=2,
        )  # fmt: skip


def _summarize(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Places in ascending order, and mean, lowest and highest figure at each; NaN left out."""
    known = np.isfinite(y)
    places, index = np.unique(x[known], return_inverse=True)
    groups = [y[known][index == i] for i in range(len(places))]
    shape = len(places), 3
    table = np.array([(g.mean(), g.min(), g.max()) for g in groups], np.float64).reshape(shape)
    return places, *table.T


def _scale_x(axes: Axes, series: Sequence[Series], mark: Mark | None, logarithmic: bool) -> None:
    """Plain numbers; ticks where points are, if these are few and the same for all series."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    places = [np.unique(own.x) for own in series]
    reach = np.concatenate([*places, [mark.x] if mark else []])
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(reach.min() / 1.2, reach.max() * 1.2)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(0, reach.max() * 1.05)
    if len(places[0]) <= 8 and all(np.array_equal(places[0], each) for each in places[1:]):
        axes.xaxis.set_major_locator(FixedLocator(places[0].tolist()))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _scale_y(axes: Axes, panel: Panel, series: Sequence[Series]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if not _has_figures(panel, series):
        axes.text(0.5, 0.5, "no figures", transform=axes.transAxes, ha="center", color=GRAY)
        axes.set_yticks([])
    elif panel.logarithmic:
        axes.set_yscale("log")
        _widen(axes)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    low, high = panel.limits
    axes.set_ylim(low, None if high is None else high * 1.02)


def _has_figures(panel: Panel, series: Sequence[Series]) -> bool:
    return any(np.isfinite(own.figures[line.key]).any() for own in series for line in panel.lines)


def _widen(axes: Axes) -> None:
    """Show at least a factor of three: less would blow up differences that mean nothing."""
    low, high = axes.get_ylim()
    factor = max(1.0, np.sqrt(3.0 / (high / low)))
    axes.set_ylim(low / factor, high * factor)


def _explain_lines(axes: Axes, panel: Panel) -> None:
    """Say what the solid and the dashed lines are, where there are both."""
    if len(panel.lines) < 2:
        return
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=GRAY, linestyle="-" if i == 0 else (0, (4, 2)), linewidth=1.4)
        for i in range(len(panel.lines))
    ]
    axes.legend(
        handles, [line.text for line in panel.lines], frameon=False, loc="best",
        prop={"family": FONT, "size": TICK_PT}, labelcolor=INK,
    )  # fmt: skip


def _draw_mark(axes: Axes, mark: Mark) -> None:
    axes.axvline(mark.x, color=GRAY, linewidth=1.0, linestyle=":", zorder=1, gid="mark")
    add_text(
        axes, mark.x, 1.01, mark.text, color=GRAY, ha="center", va="bottom",
        transform=axes.get_xaxis_transform(),
    )  # fmt: skip


def _add_title(figure: Figure, title: str, series: Sequence[Series]) -> None:
    """Write the title, and under it which colour is which series."""
    from matplotlib.lines import Line2D

    figure.suptitle(title, x=0.01, ha="left", fontsize=TITLE_PT, family=FONT, color=INK)
    handles = [
        Line2D([], [], color=color, marker=marker, linewidth=1.8, markeredgecolor="white")
        for (color, marker), _ in zip(_STYLES, series, strict=False)
    ]
    figure.legend(
        handles, [own.name for own in series], frameon=False, loc="outside upper right",
        ncols=len(series), prop={"family": FONT, "size": LABEL_PT}, labelcolor=INK,
    )  # fmt: skip


def _add_notes(figure: Figure, notes: Sequence[str], series: Sequence[Series]) -> None:
    repeats = max(int(np.unique(own.x, return_counts=True)[1].max()) for own in series)
    drawn = (
        f"lines: mean of {repeats} trainings; dots: each of them; bands: lowest to highest"
        if repeats > 1
        else "one training for each point"
    )
    figure.supxlabel(
        "; ".join(notes) + f"\n{drawn}",
        x=0.01,
        ha="left",
        fontsize=TICK_PT,
        family=FONT,
        color=GRAY,
    )
