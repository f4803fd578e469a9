"""Filling gaps and smoothing movement; raw poses stay as they are.

A method takes `Trajectories` and a `SmoothConfig`, and returns new trajectories and what
it found out (values that JSON can hold). A new one is a function and a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import SmoothConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.smoothed import PointKind, Smoothed
from napari_animalpose.registry import Registry
from napari_animalpose.tracking.noise import estimate_noise, measure_activity, weigh_scores
from napari_animalpose.tracking.rts import (
    Measurements,
    initial_velocity_variance,
    smooth_blocks,
)
from napari_animalpose.tracking.trajectories import (
    Trajectories,
    close_trajectories,
    find_knots,
    open_trajectories,
)

__all__ = ["SMOOTHERS", "Smoother", "smooth_kalman", "smooth_poses"]

Smoother = Callable[[Trajectories, SmoothConfig], tuple[Trajectories, dict[str, Any]]]

_HERE = "napari_animalpose.tracking"
SMOOTHERS: Registry[Smoother] = Registry("smoothing method")
SMOOTHERS.register("linear", f"{_HERE}.filling:fill_linear")
SMOOTHERS.register("pchip", f"{_HERE}.filling:fill_pchip")
SMOOTHERS.register("median", f"{_HERE}.filters:filter_median")
SMOOTHERS.register("savgol", f"{_HERE}.filters:filter_savgol")


def smooth_poses(poses: Poses | Smoothed, config: SmoothConfig | None = None) -> Smoothed:
    """Fill gaps and take noise out of the movement of every track.

    Several methods one after the other: give the result of the first to the second.
    Instances without a track stay as they are.

    Parameters
    ----------
    poses : Poses or Smoothed
        Stays as it is.
    config : SmoothConfig, optional
        By default the Kalman smoother.

    Returns
    -------
    Smoothed
        Missing points at the ends of tracks, and in gaps that are too long, stay missing.

    Raises
    ------
    ConfigError
        If there is no method of that name.

    Examples
    --------
    >>> smoothed = smooth_poses(smooth_poses(poses, SmoothConfig("median")))
    >>> smoothed.poses.xy[smoothed.kind == PointKind.FILLED]
    """
    config = config or SmoothConfig()
    smooth = SMOOTHERS.get(config.method)
    before = poses if isinstance(poses, Smoothed) else Smoothed.raw(poses)
    opened = open_trajectories(before, config.max_gap_frames)
    smoothed, findings = smooth(opened, config) if len(opened) else (opened, {})
    step = {**config.to_dict(), **findings}
    return close_trajectories(before, smoothed, step, keep_labels=config.keep_labels)


# -------------------------------------------------------------------------- Kalman smoother
@SMOOTHERS.register("kalman")
def smooth_kalman(
    trajectories: Trajectories, config: SmoothConfig
) -> tuple[Trajectories, dict[str, Any]]:
    """Replace all points between the first and the last by their expectation, and say how sure.

    A constant-velocity model (`rts`) whose noises are those of the recording (`noise`),
    with more process noise where a point is more active. All
    nodes and all tracks are smoothed together, one step of time after the other. Points
    that another method filled count as missing.
    """
    measured = trajectories.with_points(
        np.where(
            (trajectories.kind == PointKind.FILLED)[..., None],
            np.float32(np.nan),
            trajectories.xy,
        )
    )
    weight = weigh_scores(measured)
    activity = measure_activity(measured)
    noise = estimate_noise(measured, weight, activity)
    begins, inside = _find_segments(measured, config.max_gap_frames)
    grid = _pack_spans(trajectories.span)
    n_nodes = weight.shape[1]
    n_lanes = grid.shape[1]
    precision = (weight / noise.measurement).astype(np.float32)
    process = noise.process_at(activity).astype(np.float32)
    xy = np.where(inside[..., None], np.float32(0), trajectories.xy)
    stddev = trajectories.stddev_px.copy()

    def read(steps: slice) -> Measurements:
        place = grid[steps]
        empty = (place < 0)[..., None]
        size = (len(place), n_lanes * n_nodes)
        z = np.nan_to_num(measured.xy[place].astype(np.float64))
        return Measurements(
            np.moveaxis(z.reshape(*size, 2), 2, 1).copy(),
            np.where(empty, 0.0, precision[place]).reshape(size).astype(np.float64),
            process[place].reshape(size).astype(np.float64),
            (begins[place] & ~empty).reshape(size),
        )

    def write(steps: slice, points: NDArray[np.float64], variance: NDArray[np.float64]) -> None:
        place = grid[steps]
        shape = (*place.shape, n_nodes)
        here = inside[place] & (place >= 0)[..., None]
        step, lane, node = np.nonzero(here)
        target = (place[step, lane], node)
        xy[target] = np.moveaxis(points, 1, 2).reshape(*shape, 2)[here]
        stddev[target] = np.sqrt(variance.reshape(shape)[here])

    first_variance = initial_velocity_variance(np.tile(noise.measurement, n_lanes))
    smooth_blocks(len(grid), first_variance, read, write)
    found = {
        "process_noise_px2_per_step3": noise.process.tolist(),
        "activity_px2": noise.activity.tolist(),
        "measurement_stddev_px": np.sqrt(noise.measurement).tolist(),
    }
    return trajectories.with_points(xy, stddev), found


def _find_segments(
    trajectories: Trajectories, max_gap_frames: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where points (M, K) begin a segment, and which lie within one, gaps included."""
    begins = np.zeros(trajectories.kind.shape, np.bool_)
    inside = np.zeros(trajectories.kind.shape, np.bool_)
    for node in range(trajectories.xy.shape[1]):
        present = ~np.isnan(trajectories.xy[:, node, 0])
        knots = find_knots(present, trajectories.span, max_gap_frames)
        begins[knots.place[knots.begins], node] = True
        change = np.zeros(len(begins) + 1, np.int64)
        change[knots.place[knots.begins]] += 1
        change[knots.place[knots.ends] + 1] -= 1
        inside[:, node] = np.cumsum(change[:-1]) > 0
    return begins, inside


def _pack_spans(span: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the places of all spans side by side, shape (T, lanes), -1 = empty.

    Spans have nothing to do with one another, so that short ones may follow each other in
    a lane: there are as many steps as the longest span has.
    """
    starts = np.flatnonzero(np.diff(span, prepend=-1))
    lengths = np.diff(starts, append=len(span))
    longest = int(lengths.max())
    lane, step, used = 0, 0, []
    for length in lengths.tolist():
        if step + length > longest:
            lane, step = lane + 1, 0
        used.append((lane, step))
        step += length
    grid = np.full((longest, lane + 1), -1, np.intp)
    lanes, steps = np.array(used, np.intp).T
    within = np.arange(len(span)) - np.repeat(starts, lengths)
    grid[np.repeat(steps, lengths) + within, np.repeat(lanes, lengths)] = np.arange(len(span))
    return grid
