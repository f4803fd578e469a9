"""From peaks and part affinity fields to animals: line integrals, matching, assembly.

Every pair of a source and a destination peak of an edge is scored by the field along the
line between them, the best matching of each edge is kept, and the animals are read off
the skeleton (Cao et al., "Realtime multi-person 2D pose estimation using part affinity
fields", CVPR 2017). All of a batch goes through at once; `numpy` and `scipy` only.

In a forest every node has at most one parent, and a matching gives each peak at most one
partner for each edge. So what is joined never holds two peaks of one node, and each peak
simply inherits the animal of its parent, from the roots outwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError
from napari_animalpose.nn.fragments import merge_fragments
from napari_animalpose.nn.ghosts import find_ghosts

__all__ = [
    "Candidates",
    "Grouping",
    "Instances",
    "check_joinable",
    "group_peaks",
    "length_penalty",
    "match_edges",
    "score_edges",
]

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Grouping:
    """How peaks are joined; lengths in px of the network input.

    Parameters
    ----------
    stride : int
        Input px between two cells of the fields.
    n_samples : int
        Places along a line at which the field is read, midpoints of equal parts.
    min_line_score : float
        Pairs with a lower score are never joined.
    min_sample_score : float
        A sample supports a pair if the field along the line is above this.
    min_support : float
        Pairs with a smaller share of such samples are never joined: a line from one
        animal to the next can have a good mean with a gap in the middle.
    max_edge_px : float
        A pair further apart than this loses ``penalty_weight * (1 - max_edge_px / d)``
        of its score; 0 asks for no penalty.
    penalty_weight : float
    max_gap_px : float
        Parts of an animal that a missing node holds apart are joined if they are not
        further from each other; 0 leaves them apart.
    min_points : int
        Animals with fewer points are left out. Where it is 1, a single peak is an animal.
    min_mean_height : float
        Animals whose peaks have a lower mean height are left out.
    min_score : float
        Animals with a lower score (of `Instances`) are left out.
    ghost_px : float
        How far apart two peaks of one place can be. Faint animals that stand on the points
        of better ones are left out; 0 keeps them. See `ghosts.find_ghosts`.
    max_instances : int
        The most animals in a frame, those with the highest scores; 0 means all.
    """

    stride: int = 1
    n_samples: int = 10
    min_line_score: float = 0.25
    min_sample_score: float = 0.1
    min_support: float = 0.7
    max_edge_px: float = 0.0
    penalty_weight: float = 1.0
    max_gap_px: float = 0.0
    min_points: int = 2
    min_mean_height: float = 0.0
    min_score: float = 0.0
    ghost_px: float = 0.0
    max_instances: int = 0


class Candidates(NamedTuple):
    """Why points were joined: what is known of every pair of peaks.

    Axes are frame, edge, source peak and destination peak; (B, E, P, P) each.

    scores : float32, NaN where one of the two peaks is missing
    support : float32, share of samples that agree with the line, NaN as above
    joined : bool
    """

    scores: NDArray[np.float32]
    support: NDArray[np.float32]
    joined: NDArray[np.bool_]


class Instances(NamedTuple):
    """Animals in B frames, highest score first; NaN pads frames with fewer than I.

    points : float32 (B, I, K, 2), (x, y) in px of the network input
    point_scores : float32 (B, I, K), heights of the peaks
    scores : float32 (B, I), sum of the heights of the peaks and of the scores of the
        edges between them, over the number of nodes and edges of the skeleton
    peaks : int64 (B, I, K), number of the peak on the axis P, -1 where missing
    candidates : Candidates, where they were asked for
    """

    points: NDArray[np.float32]
    point_scores: NDArray[np.float32]
    scores: NDArray[np.float32]
    peaks: NDArray[np.int64]
    candidates: Candidates | None = None


def check_joinable(skeleton: Skeleton) -> None:
    """Raise unless points can be joined to animals along the edges of a skeleton.

    Raises
    ------
    DataError
        If there is no edge, a node with two parents or a cycle.
    """
    if not skeleton.edges:
        raise DataError(
            "Expected a skeleton with edges, along which points are joined to animals; "
            "received none. Add edges, or choose the pipeline topdown."
        )
    _ = skeleton.parents  # raises, and says which edge is one too many


def group_peaks(
    points: Floats,
    values: Floats,
    pafs: Floats,
    skeleton: Skeleton,
    how: Grouping,
    return_candidates: bool = False,
) -> Instances:
    """Join peaks to animals.

    Parameters
    ----------
    points : float array, shape (B, K, P, 2)
        Peaks of every node, (x, y) in px of the network input; NaN = empty slot.
    values : float array, shape (B, K, P)
        Their heights.
    pafs : float array, shape (B, h, w, E, 2)
        Part affinity fields, (x, y) components, for the edges in the skeleton's order.
    skeleton : Skeleton
        A forest with K nodes and E edges.
    how : Grouping
    return_candidates : bool
        Whether to keep what is known of every pair of peaks.

    Returns
    -------
    Instances

    Raises
    ------
    DataError
        If a node has two parents or the edges form a cycle.
    """
    order = _edge_order(skeleton)
    edges = skeleton.edge_array
    points = np.asarray(points, np.float32)
    used = _count_slots(points)
    points, values = points[:, :, :used], np.asarray(values, np.float32)[:, :, :used]
    scores, support = score_edges(points, pafs, edges, how, hopeless=return_candidates)
    first, second = (np.nan_to_num(values[:, edges[:, side]]) for side in (0, 1))
    weights = np.sqrt(np.maximum(first[..., None] * second[:, :, None], 0))  # (B, E, P, P)
    sources = match_edges(scores, support, weights, how)
    peaks, evidence = _assemble(points, values, scores, sources, edges, order)
    if how.max_gap_px > 0:
        merge_fragments(peaks, evidence, _take(points, peaks), skeleton, how.max_gap_px)
    n_parts = len(skeleton) + len(edges)
    heights = _take(values[..., None], peaks)[..., 0]
    peaks, evidence = _select(peaks, evidence, heights, n_parts, how)
    if how.ghost_px > 0:
        peaks, evidence = _drop_ghosts(peaks, evidence, _take(points, peaks), how.ghost_px)
    if how.max_instances:
        peaks, evidence = peaks[:, : how.max_instances], evidence[:, : how.max_instances]
    candidates = None
    if return_candidates:
        joined = sources[:, :, None, :] == np.arange(used)[:, None]
        candidates = Candidates(scores, support, joined)
    return Instances(
        _take(points, peaks),
        _take(values[..., None], peaks)[..., 0],
        (evidence / n_parts).astype(np.float32),
        peaks,
        candidates,
    )


# ------------------------------------------------------------------------ line integrals
def score_edges(
    points: Floats,
    pafs: Floats,
    edges: NDArray[np.integer[Any]],
    how: Grouping,
    *,
    hopeless: bool = True,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Score every pair of a source and a destination peak of every edge.

    The score is the mean, over samples on the line between two peaks, of the dot product
    of the field (bilinear between cells) with the unit vector from source to destination,
    less the penalty for length of `Grouping`. Peaks closer than a cell have no direction
    that a map could show: nearness counts there, 1 for peaks on top of each other.

    Parameters
    ----------
    points : float32 array, shape (B, K, P, 2)
        (x, y) in px of the network input; NaN = empty slot.
    pafs : float array, shape (B, h, w, E, 2)
    edges : int array, shape (E, 2)
    how : Grouping
    hopeless : bool
        Whether to score pairs, too, that a few samples show to be without enough support
        to be joined: most of those in a crowd.

    Returns
    -------
    scores, support : float32 arrays, shape (B, E, P, P)
        Scores, at most about 1, and the share of samples above `min_sample_score`; axes
        are frame, edge, source and destination, NaN where a peak is missing (or the pair
        is hopeless).
    """
    placed = np.isfinite(points[..., 0])
    pairs = placed[:, edges[:, 0], :, None] & placed[:, edges[:, 1], None, :]  # (B, E, P, P)
    frame, edge, i, j = np.nonzero(pairs)
    start = points[frame, edges[edge, 0], i]  # (N, 2)
    step = points[frame, edges[edge, 1], j] - start
    length = np.hypot(step[:, 0], step[:, 1])
    along = (np.arange(how.n_samples, dtype=np.float32) + 0.5) / how.n_samples
    if not hopeless:
        few = along[_choose_samples(how)]
        dots = _sample_field(pafs, frame, edge, start, step, length, few, how.stride)
        hope = (dots > how.min_sample_score).any(axis=1) | (length < how.stride)
        frame, edge, i, j = frame[hope], edge[hope], i[hope], j[hope]
        start, step, length = start[hope], step[hope], length[hope]
    dots = _sample_field(pafs, frame, edge, start, step, length, along, how.stride)
    score = np.maximum(dots.mean(axis=1), 1 - length / how.stride)
    near = length < how.stride
    score += length_penalty(length, how)
    scores = np.full(pairs.shape, np.nan, np.float32)
    support = np.full(pairs.shape, np.nan, np.float32)
    scores[frame, edge, i, j] = score
    support[frame, edge, i, j] = np.where(near, 1, (dots > how.min_sample_score).mean(axis=1))
    return scores, support


def _choose_samples(how: Grouping) -> NDArray[np.intp]:
    """Return so many samples, in the middle, that without any of them support is too low."""
    left = np.arange(how.n_samples + 1)  # samples that agree
    allowed = how.n_samples - left[left / how.n_samples >= how.min_support - 1e-6].min()
    return np.linspace(0, how.n_samples - 1, allowed + 3)[1:-1].round().astype(np.intp)


def _sample_field(
    pafs: Floats,
    frame: NDArray[np.intp],
    edge: NDArray[np.intp],
    start: NDArray[np.float32],
    step: NDArray[np.float32],
    length: NDArray[np.float32],
    along: Floats,
    stride: int,
) -> NDArray[np.float32]:
    """Read fields along N lines at n parts of their length: components along them, (N, n)."""
    cells = (start[:, None] + along[:, None] * step[:, None]) / np.float32(stride)
    field = _interpolate(pafs, frame, edge, cells)  # (N, n) complex
    unit = (step[:, 0] + 1j * step[:, 1]) / np.maximum(length, np.float32(1e-6))
    return np.asarray((field * unit.conj()[:, None]).real)


def length_penalty(length: NDArray[np.float32], how: Grouping) -> NDArray[np.float32]:
    """Return what pairs lose for their length in px of the network input, at most 0."""
    if how.max_edge_px <= 0:
        return np.zeros_like(length)
    ratio = how.max_edge_px / np.maximum(length, np.float32(1e-6))
    return np.asarray(how.penalty_weight * np.minimum(ratio - 1, 0), np.float32)


def _interpolate(
    pafs: Floats,
    frame: NDArray[np.intp],
    edge: NDArray[np.intp],
    cells: Floats,
) -> NDArray[np.complex64]:
    """Read fields at cells (N, n, 2), bilinear, as x + iy; beyond the map as at its border."""
    _, height, width, n_edges, _ = pafs.shape
    flat = np.ascontiguousarray(pafs, np.float32).view(np.complex64).reshape(-1)
    corner = np.array([width - 1, height - 1], np.float32)
    cells = np.clip(cells, 0, corner)
    low = np.minimum(cells.astype(np.int64), np.maximum(corner.astype(np.int64) - 1, 0))
    part = cells - low
    right = n_edges if width > 1 else 0
    below = n_edges * width if height > 1 else 0
    index = ((frame[:, None] * height + low[..., 1]) * width + low[..., 0]) * n_edges
    index += edge[:, None]  # (N, n)
    top = flat[index]
    top += part[..., 0] * (flat[index + right] - top)
    index += below
    bottom = flat[index]
    bottom += part[..., 0] * (flat[index + right] - bottom)
    return np.asarray(top + part[..., 1] * (bottom - top))


# ------------------------------------------------------------------------------ matching
def match_edges(
    scores: NDArray[np.float32],
    support: NDArray[np.float32],
    weights: NDArray[np.float32],
    how: Grouping,
) -> NDArray[np.int64]:
    """Match sources with destinations, each at most once, for the highest weighted sum.

    Parameters
    ----------
    scores, support : float32 arrays, shape (B, E, P, P)
        As `score_edges` gives them.
    weights : float32 array, shape (B, E, P, P)
        Of the scores. `group_peaks` takes the geometric mean of the heights of both peaks,
        so that a faint peak on the way does not take the place of a high one.
    how : Grouping

    Returns
    -------
    int64 array, shape (B, E, P)
        Source peak of each destination peak, -1 where there is none.

    Notes
    -----
    Where no two destinations want the same source, the best source of each is the
    optimum; only the other edges go through the Hungarian method.
    """
    n_peaks = scores.shape[-1]
    if not n_peaks:
        return np.full(scores.shape[:-1], -1, np.int64)
    with np.errstate(invalid="ignore"):
        allowed = (scores >= how.min_line_score) & (support >= how.min_support)
    gain = np.where(allowed & (scores > 0), scores * weights, 0)
    best = gain.argmax(axis=2)  # (B, E, P)
    sources = np.where(gain.max(axis=2) > 0, best, -1)
    wanted = (sources[..., None] == np.arange(n_peaks)).sum(axis=2)  # (B, E, P) by source
    for frame, edge in np.argwhere((wanted > 1).any(axis=-1)):
        rows, columns = linear_sum_assignment(gain[frame, edge], maximize=True)
        joined = gain[frame, edge, rows, columns] > 0
        sources[frame, edge] = -1
        sources[frame, edge, columns[joined]] = rows[joined]
    return np.asarray(sources, np.int64)


# ------------------------------------------------------------------------------ assembly
@lru_cache(maxsize=16)
def _edge_order(skeleton: Skeleton) -> tuple[int, ...]:
    """Numbers of the edges from the roots outwards."""
    depth = []
    for node in range(len(skeleton)):
        steps, parent = 0, skeleton.parents[node]
        while parent >= 0:
            steps, parent = steps + 1, skeleton.parents[parent]
        depth.append(steps)
    return tuple(sorted(range(len(skeleton.edges)), key=lambda e: depth[skeleton.edges[e][1]]))


def _count_slots(points: Floats) -> int:
    """Slots of (B, K, P, 2) up to the last one that is used in any frame."""
    used = np.flatnonzero(np.isfinite(points[..., 0]).any(axis=(0, 1)))
    return int(used[-1]) + 1 if used.size else 0


def _assemble(
    points: Floats,
    values: Floats,
    scores: NDArray[np.float32],
    sources: NDArray[np.int64],
    edges: NDArray[np.integer[Any]],
    order: tuple[int, ...],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Follow the matched edges from the roots outwards.

    Returns
    -------
    peaks : int64, shape (B, F, K)
        Peak of each node in each connected fragment, -1 = none.
    evidence : float64, shape (B, F)
        Heights of its peaks and scores of its edges, summed.
    """
    n_frames, n_nodes, n_peaks, _ = points.shape
    placed = np.isfinite(points[..., 0])
    owner = np.broadcast_to(
        np.arange(n_nodes * n_peaks).reshape(n_nodes, n_peaks), placed.shape
    ).copy()
    weight = np.where(placed, values, 0).astype(np.float64)
    for edge in order:
        source, destination = edges[edge]
        found = sources[:, edge]  # (B, P)
        known, partner = found >= 0, np.maximum(found, 0)
        inherited = np.take_along_axis(owner[:, source], partner, axis=1)
        owner[:, destination] = np.where(known, inherited, owner[:, destination])
        score = np.take_along_axis(scores[:, edge], partner[:, None], axis=1)[:, 0]
        weight[:, destination] += np.where(known, score, 0)
    peaks = np.full((n_frames, n_nodes * n_peaks, n_nodes), -1, np.int64)
    evidence = np.zeros(peaks.shape[:2])
    frame, node, peak = np.nonzero(placed)
    peaks[frame, owner[frame, node, peak], node] = peak
    np.add.at(evidence, (frame, owner[frame, node, peak]), weight[frame, node, peak])
    return _keep_first(peaks, evidence, (peaks >= 0).sum(axis=-1))


def _keep_first(
    peaks: NDArray[np.int64], evidence: NDArray[np.float64], rank: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Sort (B, F, ...) by descending rank and drop those whose rank is 0 everywhere."""
    width = int((rank > 0).sum(axis=1).max(initial=0))
    order = np.argsort(-rank, axis=1, kind="stable")[:, :width]
    return (
        np.take_along_axis(peaks, order[..., None], axis=1),
        np.take_along_axis(evidence, order, axis=1),
    )


def _select(
    peaks: NDArray[np.int64],
    evidence: NDArray[np.float64],
    heights: NDArray[np.float32],
    n_parts: int,
    how: Grouping,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Animals with enough points by descending evidence: -1 and NaN pad shorter lists."""
    count = (peaks >= 0).sum(axis=-1)
    enough = (count >= max(1, how.min_points)) & (
        np.nansum(heights, axis=-1) >= how.min_mean_height * count
    )
    enough &= evidence >= how.min_score * n_parts
    return _keep(peaks, evidence, enough)


def _drop_ghosts(
    peaks: NDArray[np.int64],
    evidence: NDArray[np.float64],
    places: NDArray[np.float32],
    radius_px: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Leave out animals that stand on the points of better ones; see `find_ghosts`."""
    real = np.isfinite(evidence)
    for frame in range(len(peaks)):
        real[frame] &= ~find_ghosts(places[frame], evidence[frame], radius_px)
    return _keep(peaks, evidence, real)


def _keep(
    peaks: NDArray[np.int64], evidence: NDArray[np.float64], which: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Keep some animals, by descending evidence: -1 and NaN pad shorter lists."""
    return _keep_first(
        np.where(which[..., None], peaks, -1),
        np.where(which, evidence, np.nan),
        np.where(which, np.maximum(evidence, 1e-9), 0),
    )


def _take(values: Floats, peaks: NDArray[np.int64]) -> NDArray[np.float32]:
    """Values (B, K, P, D) of the peaks (B, I, K) of animals: (B, I, K, D), NaN for -1."""
    if not values.shape[2]:
        return np.zeros((*peaks.shape, values.shape[-1]), np.float32)  # I is 0
    index = np.maximum(peaks, 0).transpose(0, 2, 1)[..., None]  # (B, K, I, 1)
    taken = np.take_along_axis(values, index, axis=2).transpose(0, 2, 1, 3)
    return np.where(peaks[..., None] >= 0, taken, np.nan).astype(np.float32)
