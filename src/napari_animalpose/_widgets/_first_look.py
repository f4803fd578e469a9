"""What a document that was just opened looks like: where to begin, how large, what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import VideoError
from napari_animalpose.pipeline.document import Document

__all__ = ["UNKNOWN_PX", "explain_missing", "first_to_show", "guess_shape", "measure_animal"]

UNKNOWN_PX = 80.0  # an animal of which nothing is known


def measure_animal(poses: Poses, sample: int = 200) -> float:
    """Return the median diagonal of the boxes around some instances, in px."""
    if not len(poses) or not poses.n_nodes:
        return UNKNOWN_PX
    rows = poses.select(np.unique(np.linspace(0, len(poses) - 1, sample).astype(np.intp)))
    xy = rows.xy.astype(np.float64)
    xy = xy[np.isfinite(xy).all(axis=-1).sum(axis=1) > 1]
    if not len(xy):
        return UNKNOWN_PX
    box = np.nanmax(xy, axis=1) - np.nanmin(xy, axis=1)
    return float(np.median(np.hypot(*box.T)))


def first_to_show(document: Document) -> tuple[int, int]:
    """Return the video and frame to begin with: the first labelled, predicted or any one."""
    poses = document.poses
    if not len(poses):
        return 0, 0
    labels = np.flatnonzero(poses.is_label)
    row = int(labels[0]) if len(labels) else 0
    return int(poses.video[row]), int(poses.frame[row])


def explain_missing(video: Any, error: Exception) -> str:
    """Return what to do about a video that does not open."""
    if getattr(video, "exists", True):
        return f"{error} Until then the picture is black."
    return (
        f"Expected the video {video.source!r}; received no such file. Say where it is: Project > "
        "Find this video. Until then the picture is black."
    )


def guess_shape(document: Document, number: int) -> tuple[int, int, int, int]:
    """Return (N, H, W, 1) of a video that cannot be opened, from what is known of it."""
    video, poses = document.videos[number], document.poses
    rows = poses.select(np.flatnonzero(poses.video == number))
    last = int(rows.frame[-1]) + 1 if len(rows) else 1
    try:
        n, height, width, _ = video.shape
        return max(n, last), height, width, 1
    except VideoError:
        placed = rows.xy[np.isfinite(rows.xy).all(axis=-1)]
        width, height = placed.max(axis=0) + 1 if len(placed) else (640, 480)
        return last, int(np.ceil(height)), int(np.ceil(width)), 1
