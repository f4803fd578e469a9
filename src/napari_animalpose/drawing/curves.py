"""Curves: errors, PCK and OKS of an evaluation, losses of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.canvas import (
    FONT,
    GRAY,
    INK,
    LABEL_PT,
    TICK_PT,
    add_text,
    finish,
    label_axes,
    new_figure,
    style_axes,
    to_mpl,
)
from napari_animalpose.drawing.colors import node_colors
from napari_animalpose.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "draw_error_histograms",
    "draw_oks_distribution",
    "draw_pck_curves",
    "draw_training_curves",
    "pck_curve",
]

_TRAIN, _VALIDATION = "#8c8c8c", "#0072b2"


def pck_curve(errors: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Return the share of points that lie within each distance of the truth.

    Parameters
    ----------
    errors : array_like of float
        Distances in px, any shape. NaN = there was no truth to compare with, not
        counted; inf = there was, but no prediction: never within any distance.
    thresholds : array_like of float, shape (T,)
        In px.

    Returns
    -------
    ndarray of float64, shape (T,)
        From 0 to 1; NaN where no point counts.
    """
    values = np.sort(np.asarray(errors, float).ravel())
    values = values[~np.isnan(values)]
    limits = np.asarray(thresholds, float)
    if not len(values):
        return np.full(limits.shape, np.nan)
    return np.searchsorted(values, limits, side="right") / len(values)


def _check_errors(errors: ArrayLike, skeleton: Skeleton) -> NDArray[np.float64]:
    values = np.asarray(errors, float)
    if values.ndim != 2 or values.shape[1] != len(skeleton):
        raise DataError(
            f"Expected errors of shape (N, {len(skeleton)}), one column a node; "
            f"received {values.shape}."
        )
    return values


def draw_pck_curves(
    errors: ArrayLike,
    skeleton: Skeleton,
    path: str | PathLike[str] | None = None,
    *,
    max_px: float = 10.0,
    title: str = "Points found within a distance of the truth",
) -> Figure:
    """Draw cumulative error curves (PCK) of every node and of all points together.

    Parameters
    ----------
    errors : array_like of float, shape (N, K)
        Distances in px; NaN and inf as in `pck_curve`.
    skeleton : Skeleton
    path : str or PathLike, optional
        Where to save the figure (png, svg, pdf).
    max_px : float
        Right end of the axis.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        Lines carry the node's name, or "all", as their gid.

    Raises
    ------
    DataError
        If the errors do not fit the skeleton.
    OutputError
        If the file cannot be written.
    """
    values = _check_errors(errors, skeleton)
    distances = np.linspace(0.0, max_px, 401)
    figure = new_figure(7.0, max(4.0, 1.2 + 0.19 * len(skeleton)))
    axes = figure.subplots()
    style_axes(axes, grid="both")
    curves = {name: pck_curve(values[:, k], distances) for k, name in enumerate(skeleton.nodes)}
    colors = dict(zip(skeleton.nodes, to_mpl(node_colors(skeleton)), strict=True))
    at_half = np.searchsorted(distances, max_px / 2)
    order = sorted(curves, key=lambda name: -np.nan_to_num(curves[name][at_half]))
    for name in order:
        text = _share_text(name, curves[name][at_half])
        axes.plot(distances, curves[name], color=colors[name], lw=1.4, label=text, gid=name)
    total = pck_curve(values, distances)
    text = _share_text("all points", total[at_half])
    axes.plot(distances, total, color=INK, linewidth=2.4, label=text, gid="all")
    axes.set_xlim(0, max_px)
    axes.set_ylim(0, 1.005)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
    label_axes(axes, "distance from the truth (px)", "share of points", title)
    axes.legend(
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        title=f"within {max_px / 2:g} px",
        title_fontproperties={"family": FONT, "size": TICK_PT},
        prop={"family": FONT, "size": TICK_PT},
        labelcolor=INK,
    )
    return finish(figure, path)


def _share_text(name: str, share: float) -> str:
    return f"{name}  {100 * share:.0f}%" if np.isfinite(share) else f"{name}  no truth"


def draw_error_histograms(
    errors: ArrayLike,
    skeleton: Skeleton,
    path: str | PathLike[str] | None = None,
    *,
    max_px: float = 10.0,
    title: str = "Localisation error by node",
) -> Figure:
    """Draw one histogram of errors a node, with median and 90th percentile.

    The percentiles are those of the points that were found, as in `Evaluation`; how many
    were not is said beside them.

    Parameters
    ----------
    errors : array_like of float, shape (N, K)
        Distances in px; NaN = no truth, not counted; inf = missed, counted apart.
    skeleton : Skeleton
    path : str or PathLike, optional
        Where to save the figure (png, svg, pdf).
    max_px : float
        Right end of the axis; larger errors are piled up in the last bin.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If the errors do not fit the skeleton.
    OutputError
        If the file cannot be written.
    """
    values = _check_errors(errors, skeleton)
    figure = new_figure(7.0, 1.1 + 0.34 * len(skeleton))
    axes = figure.subplots()
    style_axes(axes, grid="x")
    axes.spines["left"].set_visible(False)
    edges = np.linspace(0.0, max_px, 51)
    palette = to_mpl(node_colors(skeleton))
    for node, color in enumerate(palette):
        _draw_ridge(axes, values[:, node], edges, len(skeleton) - 1 - node, color)
    axes.set_yticks(np.arange(len(skeleton))[::-1] + 0.35, skeleton.nodes)
    axes.tick_params(axis="y", length=0, labelsize=LABEL_PT)
    axes.set_xlim(0, max_px)
    axes.set_ylim(-0.15, len(skeleton) + 0.1)
    label_axes(axes, f"error (px); more than {max_px:g} px in the last bin", "", title)
    x = 1.02 * max_px
    add_text(axes, x, len(skeleton) - 0.05, "50% / 90%", color=GRAY, va="center")
    return finish(figure, path)


def _draw_ridge(
    axes: Axes,
    errors: NDArray[np.float64],
    edges: NDArray[np.float64],
    base: float,
    color: NDArray[np.float64],
) -> None:
    """Draw the histogram of one node on its own base line, its figures to the right."""
    counted = errors[~np.isnan(errors)]
    found = counted[np.isfinite(counted)]
    text = "no truth"
    if len(counted):
        counts, _ = np.histogram(np.minimum(found, edges[-1]), edges)
        height = 0.82 * counts / max(counts.max(), 1)
        axes.stairs(base + height, edges, baseline=base, fill=True, color=color, alpha=0.75)
        axes.plot(edges[[0, -1]], [base, base], color=GRAY, linewidth=0.5)
        shown = np.percentile(found, [50, 90]) if len(found) else np.full(2, np.nan)
        for value, width in zip(shown.tolist(), (2.0, 1.0), strict=True):
            if value <= edges[-1]:
                axes.plot([value, value], [base, base + 0.82], color=INK, linewidth=width)
        missed = 1.0 - len(found) / len(counted)
        text = " / ".join("–" if np.isnan(value) else f"{value:.1f}" for value in shown)
        text += f", {100 * missed:.0f}% missed" if missed > 0 else ""
    add_text(axes, 1.02 * float(edges[-1]), base + 0.35, text, va="center")


def draw_oks_distribution(
    oks: ArrayLike,
    path: str | PathLike[str] | None = None,
    *,
    n_missed: int = 0,
    title: str = "Object keypoint similarity",
) -> Figure:
    """Draw the distribution of the OKS of matched instances.

    Parameters
    ----------
    oks : array_like of float, shape (M,)
        From 0 to 1; NaN not counted.
    path : str or PathLike, optional
        Where to save the figure (png, svg, pdf).
    n_missed : int
        Labelled animals that were not found: they stand at 0, in gray, and count in the
        shares, but not in the mean.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If there is no animal.
    OutputError
        If the file cannot be written.
    """
    from matplotlib.ticker import MaxNLocator

    values = np.asarray(oks, float).ravel()
    values = values[np.isfinite(values)]
    total = len(values) + n_missed
    if not total:
        raise DataError("Expected the OKS of at least one animal; received none.")
    figure = new_figure(5.5, 3.4)
    axes = figure.subplots()
    style_axes(axes, grid="y")
    bins = np.linspace(0, 1, 41).tolist()
    parts, colors = [values, np.zeros(n_missed)], [_VALIDATION, _TRAIN]
    axes.hist(parts, bins=bins, color=colors, alpha=0.85, stacked=True)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    top = axes.get_ylim()[1]
    axes.set_ylim(0, 1.3 * top)  # room for the words above the highest bar
    for level in (0.5, 0.75):
        share = 100.0 * float((values >= level).sum()) / total
        axes.plot([level, level], [0, 1.1 * top], color=GRAY, lw=0.8, linestyle=(0, (4, 3)))
        _write_beside_line(axes, level, 1.06 * top, f"{share:.0f}% ≥ {level:g}", GRAY)
    if len(values):
        mean = float(values.mean())
        axes.plot([mean, mean], [0, 1.28 * top], color=INK, linewidth=1.6, gid="mean")
        _write_beside_line(axes, mean, 1.22 * top, f"mean {mean:.3f}", INK)
    if n_missed:
        height = n_missed + int((values < bins[1]).sum())  # of the bar that they stand on
        add_text(axes, 0.008, height + 0.03 * top, f"{n_missed} missed", color=GRAY)
    axes.set_xlim(0, 1)
    label_axes(axes, "OKS", f"animals (of {total})", title)
    return finish(figure, path)


def _write_beside_line(axes: Axes, x: float, y: float, text: str, color: str) -> None:
    """Write on the left of an upright line, on the right of one in the left half."""
    left = x >= 0.45
    background = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    add_text(
        axes, x - 0.012 if left else x + 0.012, y, text, ha="right" if left else "left",
        va="center", color=color, bbox=background, zorder=5,
    )  # fmt: skip


def draw_training_curves(
    history: Mapping[str, ArrayLike],
    path: str | PathLike[str] | None = None,
    *,
    accuracy: str = "val_error_px",
    title: str = "Training",
) -> Figure:
    """Draw loss, validation accuracy and learning rate over the epochs of a run.

    Parameters
    ----------
    history : mapping from str to array_like of float, shape (E,)
        Columns of the log: "loss"; where there are, "val_loss", the column named by
        `accuracy`, "learning_rate", and "epoch" (else epochs count from 1). NaN = not
        measured in this epoch.
    path : str or PathLike, optional
        Where to save the figure (png, svg, pdf).
    accuracy : str
        The column with the validation error in px; its best epoch is marked.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        One plot for each kind of column there is.

    Raises
    ------
    DataError
        If there is no loss, or columns differ in length.
    OutputError
        If the file cannot be written.
    """
    columns = {name: np.asarray(values, float) for name, values in history.items()}
    if not columns.get("loss", np.zeros(0)).size:
        raise DataError("Expected a training log with a loss for every epoch; received none.")
    epochs = columns.get("epoch", np.arange(1.0, columns["loss"].size + 1))
    plots = [name for name in ("loss", accuracy, "learning_rate") if name in columns]
    needed = {*plots, *({"val_loss"} & columns.keys())}
    if any(columns[name].shape != epochs.shape for name in needed):
        lengths = ", ".join(f"{name} {columns[name].size}" for name in sorted(needed))
        raise DataError(f"Expected {epochs.size} values in every column; received {lengths}.")
    figure = new_figure(3.6 * len(plots), 3.1)
    for axes, name in zip(figure.subplots(1, len(plots), squeeze=False)[0], plots, strict=True):
        style_axes(axes, grid="y")
        if name == "loss":
            _draw_losses(axes, epochs, columns, title)
        elif name == "learning_rate":
            axes.step(epochs, columns[name], color=INK, linewidth=1.4, where="post")
            _use_log_scale(axes)
            label_axes(axes, "epoch", "", "learning rate")
        else:
            _draw_accuracy(axes, epochs, columns[name])
    return finish(figure, path)


def _draw_losses(
    axes: Axes, epochs: NDArray[np.float64], columns: Mapping[str, NDArray[np.float64]], title: str
) -> None:
    axes.plot(epochs, columns["loss"], color=_TRAIN, linewidth=1.4, label="training")
    if "val_loss" in columns:
        values = columns["val_loss"]
        axes.plot(epochs, values, color=_VALIDATION, linewidth=1.8, label="validation")
    _use_log_scale(axes)
    axes.legend(frameon=False, prop={"family": FONT, "size": TICK_PT}, labelcolor=INK)
    label_axes(axes, "epoch", "", f"{title}: loss")


def _use_log_scale(axes: Axes) -> None:
    """Scale y by its logarithm, with ticks at 1, 2, 5, 10, ... written as plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_accuracy(axes: Axes, epochs: NDArray[np.float64], error: NDArray[np.float64]) -> None:
    """Draw the validation error with its best epoch marked."""
    axes.plot(epochs, error, color=_VALIDATION, linewidth=1.8)
    axes.set_ylim(bottom=0)
    label_axes(axes, "epoch", "", "validation error (px)")
    if np.isfinite(error).any():
        best = int(np.nanargmin(error))
        axes.plot([epochs[best]], [error[best]], "o", color=INK, markersize=5, gid="best")
        axes.annotate(
            f"{error[best]:.2f} px",
            (epochs[best], error[best]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            family=FONT,
            fontsize=TICK_PT,
            color=INK,
        )
