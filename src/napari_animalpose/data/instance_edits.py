"""Reversible edits of an animal as a whole: moved, turned, scaled, mirrored, made from a shape."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.edit_kinds import FrameEdit
from napari_animalpose.data.edits import add_instances, move_points
from napari_animalpose.data.poses import Origin, Poses, Visibility

__all__ = ["add_shape", "exchange_sides", "nearest_instance", "transform_points"]


def transform_points(
    poses: Poses,
    points: ArrayLike,
    *,
    degrees: float = 0.0,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    merge_key: Hashable | None = None,
) -> FrameEdit:
    """Turn, scale and move points of one frame together, about their mean.

    Parameters
    ----------
    poses : Poses
    points : array_like of int, shape (M, 4)
        (video, frame, instance, node), of one frame; missing points are left out.
    degrees : float
        Clockwise as seen in the picture, where y points down.
    scale : float
        Above 0.
    shift : (float, float)
        (x, y) in px, after the rest.
    merge_key : hashable, optional
        See `move_points`.

    Raises
    ------
    DataError
        If the result is not finite.
    IndexError
        If there is no such point, or none of them is there.
    """
    address = np.asarray(points, np.int64).reshape(-1, 4)
    rows = poses.at(*address[0, :2].tolist())
    there = rows.visibility[address[:, 2], address[:, 3]] != Visibility.MISSING
    address = address[there]
    if not len(address):
        raise IndexError("Expected points that are there to move; received missing ones.")
    xy = rows.xy[address[:, 2], address[:, 3]].astype(np.float64)
    centre = xy.mean(axis=0)
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turned = (xy - centre) @ np.array([[cos, sin], [-sin, cos]])
    return move_points(poses, address, centre + scale * turned + shift, merge_key=merge_key)


def exchange_sides(poses: Poses, video: int, frame: int, position: int) -> FrameEdit:
    """Exchange the left and right points of an instance, as after a mirrored guess.

    A predicted instance becomes a corrected one.

    Raises
    ------
    IndexError
        If there is no such instance.
    """
    frames = np.array([[video, frame]], np.int64)
    before = poses.take_frames(frames)
    if not 0 <= position < len(before):
        raise IndexError(
            f"Expected an instance below {len(before)} in frame {frame} of video {video}; "
            f"received {position}."
        )
    order = poses.skeleton.flip_order
    changed = {name: before.column(name).copy() for name in ("xy", "visibility", "point_score")}
    for column in changed.values():
        column[position] = column[position][order]
    origin = before.origin.copy()
    if origin[position] == Origin.PREDICTED:
        origin[position] = Origin.CORRECTED
    columns = {**before.columns, **changed, "origin": origin}
    after = Poses(poses.skeleton, columns, poses.track_names)
    return FrameEdit("Exchange left and right", frames, before, after)


def add_shape(
    poses: Poses, video: int, frame: int, xy: ArrayLike, label: str = "Add animal"
) -> FrameEdit:
    """Add a label whose points lie at (x, y), shape (K, 2) px; NaN = missing."""
    block = Poses.from_arrays(
        poses.skeleton, video=video, frame=[frame], xy=np.asarray(xy, np.float32)[None]
    )
    return add_instances(poses, block, label)


def nearest_instance(rows: Poses, xy: ArrayLike) -> int | None:
    """Return the instance of a frame with a point nearest to (x, y) px; None if there is none."""
    if not len(rows) or not rows.n_nodes:
        return None
    gap = np.linalg.norm(rows.xy - np.asarray(xy, np.float32), axis=-1)  # (I, K)
    distance: NDArray[np.float32] = np.where(np.isfinite(gap), gap, np.inf).min(axis=1)
    best = int(distance.argmin())
    return best if np.isfinite(distance[best]) else None
