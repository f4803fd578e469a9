"""Hypothesis strategies for skeletons and pose tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton

__all__ = ["pose_arrays", "pose_tables", "skeletons", "track_names"]

_NODE_NAMES = [f"n{i}" for i in range(12)]


@st.composite
def skeletons(draw: st.DrawFn, min_nodes: int = 1, max_nodes: int = 5) -> Skeleton:
    """Draw a skeleton with any loop-free edges and disjoint symmetric pairs."""
    size = draw(st.integers(min_nodes, max_nodes))
    nodes = draw(st.permutations(_NODE_NAMES))[:size]
    pairs = [(a, b) for a in range(size) for b in range(size) if a != b]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    shuffled = draw(st.permutations(range(size)))
    n_pairs = draw(st.integers(0, size // 2))
    symmetries = [(shuffled[2 * i], shuffled[2 * i + 1]) for i in range(n_pairs)]
    return Skeleton(tuple(nodes), tuple(edges), tuple(symmetries))


@st.composite
def pose_arrays(
    draw: st.DrawFn,
    skeleton: Skeleton,
    n_tracks: int,
    max_rows: int = 8,
    max_frame: int = 5,
    max_video: int = 1,
) -> dict[str, Any]:
    """Draw arguments for `Poses.from_arrays` without skeleton and names, rows unsorted."""
    n_rows, n_nodes = draw(st.integers(0, max_rows)), len(skeleton)
    numbers = st.floats(-1e4, 1e4, width=32)

    def column(shape: tuple[int, ...], values: st.SearchStrategy[Any], dtype: type) -> Any:
        return draw(npst.arrays(dtype, shape, elements=values))

    rows, points = (n_rows,), (n_rows, n_nodes)
    visibility = column(points, st.integers(0, int(max(Visibility))), np.uint8)
    xy = column((*points, 2), numbers, np.float32)
    xy[visibility == Visibility.MISSING] = np.nan
    scores = st.one_of(st.just(np.nan), st.floats(0, 1, width=32))
    return {
        "video": column(rows, st.integers(0, max_video), np.int32),
        "frame": column(rows, st.integers(0, max_frame), np.int32),
        "track": column(rows, st.integers(-1, n_tracks - 1), np.int32),
        "origin": column(rows, st.integers(0, int(max(Origin))), np.uint8),
        "xy": xy,
        "visibility": visibility,
        "point_score": column(points, scores, np.float32),
        "score": column(rows, scores, np.float32),
        "track_score": column(rows, scores, np.float32),
    }


def track_names(max_tracks: int = 3) -> st.SearchStrategy[list[str]]:
    """Lists of distinct track names."""
    return st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, max_size=max_tracks)


@st.composite
def pose_tables(
    draw: st.DrawFn, skeleton: Skeleton | None = None, max_rows: int = 8, max_frame: int = 5
) -> Poses:
    """Draw a table, possibly empty, of the given skeleton or of any."""
    skeleton = draw(skeletons()) if skeleton is None else skeleton
    names = draw(track_names())
    arrays = draw(pose_arrays(skeleton, len(names), max_rows, max_frame))
    return Poses.from_arrays(skeleton, **arrays, track_names=names)
