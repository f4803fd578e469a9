"""Points joined to animals as SLEAP 1.4 does it (Pereira et al., Nature Methods 2022)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_animalpose.nn.legacy.exact_peaks import Peaks

__all__ = ["Joined", "classify", "group_by_fields", "sort_edges"]

N_SAMPLES = 10
MAX_EDGE_RATIO = 0.25  # of the largest side of the fields, channels included
PENALTY_WEIGHT = 1.0
Floats = NDArray[np.float32]


class Joined(NamedTuple):
    """Animals of one frame.

    points : float32 (I, K, 2), as the peaks were given; NaN = missing
    point_scores : float32 (I, K)
    scores : float32 (I,)
    """

    points: Floats
    point_scores: Floats
    scores: Floats


def sort_edges(edges: NDArray[np.integer]) -> list[int]:
    """Return the numbers of edges (E, 2) breadth first from the roots of their trees."""
    children: dict[int, list[tuple[int, int]]] = {}
    for number, (source, destination) in enumerate(edges.tolist()):
        children.setdefault(source, []).append((number, destination))
    targets = set(edges[:, 1].tolist())
    waiting = [node for node in children if node not in targets]
    order: list[int] = []
    while waiting:
        node = waiting.pop(0)
        for number, child in children.get(node, ()):
            order.append(number)
            waiting.append(child)
    return order


def score_lines(source: Floats, destination: Floats, field: Floats, stride: int) -> Floats:
    """Score all pairs of sources (S, 2) and destinations (D, 2) of one edge, (S, D).

    The mean over ten samples, ends included, of the nearest cell's field (h, w, 2) along
    the line, less a penalty for lines longer than a quarter of the frame.
    """
    steps = destination[None] - source[:, None]  # (S, D, 2)
    length = np.linalg.norm(steps, axis=-1)
    along = np.linspace(0, 1, N_SAMPLES, dtype=np.float32)[:, None]
    places = source[:, None, None] + steps[:, :, None] * along  # (S, D, n, 2)
    cells = np.rint(places / stride).astype(int)
    column = np.clip(cells[..., 0], 0, field.shape[1] - 1)
    row = np.clip(cells[..., 1], 0, field.shape[0] - 1)
    safe = np.where(length > 0, length, 1)
    unit = steps / safe[..., None]
    return np.asarray((field[row, column] * unit[:, :, None]).sum(axis=-1).mean(axis=-1))


def group_by_fields(
    peaks: Peaks, points: Floats, pafs: Floats, edges: NDArray[np.integer], stride: int,
    n_nodes: int, min_score: float,
) -> Joined:  # fmt: skip
    """Join the peaks of one frame.

    Parameters
    ----------
    peaks : Peaks
        Of one frame.
    points : float32 array, shape (N, 2)
        Where they are, in px of the network input.
    pafs : float32 array, shape (h, w, 2 E)
    edges : int array, shape (E, 2)
    stride : int
        Of the fields.
    n_nodes : int
    min_score : float
        Matches with a lower score are dropped; they have taken part in the matching.
    """
    longest = MAX_EDGE_RATIO * max(pafs.shape) * stride
    owner: dict[tuple[int, int], int] = {}  # (node, number of the peak) -> animal
    by_node = [np.flatnonzero(peaks.node == node) for node in range(n_nodes)]
    matched: list[tuple[int, float]] = []  # (peak, score of an edge that starts there)
    for edge in sort_edges(edges):
        source, destination = edges[edge].tolist()
        first, second = by_node[source], by_node[destination]
        if not len(first) or not len(second):
            continue
        field = pafs[..., 2 * edge : 2 * edge + 2]
        scores = score_lines(points[first], points[second], field, stride)
        length = np.linalg.norm(points[second][None] - points[first][:, None], axis=-1)
        with np.errstate(divide="ignore"):
            scores = scores + PENALTY_WEIGHT * np.minimum(longest / length - 1, 0)
        for i, j in zip(*linear_sum_assignment(-scores), strict=True):
            if scores[i, j] >= min_score:
                _connect(owner, (source, int(first[i])), (destination, int(second[j])))
                matched.append((int(first[i]), float(scores[i, j])))
    return _collect(owner, matched, peaks, points, n_nodes)


def _connect(
    owner: dict[tuple[int, int], int], source: tuple[int, int], destination: tuple[int, int]
) -> None:
    """Give two peaks that belong together the same animal."""
    if source not in owner and destination not in owner:
        owner[source] = owner[destination] = max(owner.values(), default=-1) + 1
    elif source in owner and destination not in owner:
        owner[destination] = owner[source]
    elif source in owner:
        kept, old = owner[source], owner[destination]
        owner[destination] = kept
        nodes = [{node for (node, _), animal in owner.items() if animal == a} for a in (kept, old)]
        if not nodes[0] & nodes[1]:
            for peak, animal in owner.items():
                if animal == old:
                    owner[peak] = kept


def _collect(
    owner: dict[tuple[int, int], int],
    matched: list[tuple[int, float]],
    peaks: Peaks,
    points: Floats,
    n_nodes: int,
) -> Joined:
    animals = {animal: row for row, animal in enumerate(sorted(set(owner.values())))}
    found = Joined(
        np.full((len(animals), n_nodes, 2), np.nan, np.float32),
        np.full((len(animals), n_nodes), np.nan, np.float32),
        np.zeros(len(animals), np.float32),
    )
    of_peak = {peak: animals[animal] for (_, peak), animal in owner.items()}
    for (node, peak), animal in owner.items():
        found.points[animals[animal], node] = points[peak]
        found.point_scores[animals[animal], node] = peaks.value[peak]
    for peak, score in matched:
        if peak in of_peak:
            found.scores[of_peak[peak]] += score
    return found


def classify(probabilities: Floats) -> NDArray[np.int64]:
    """Give each of N peaks, probabilities (N, C), one of the classes or -1.

    The sum of the probabilities is the largest possible, and whoever did not get the
    likeliest of its classes gets none.
    """
    classes = np.full(len(probabilities), -1, np.int64)
    if probabilities.size:
        rows, columns = linear_sum_assignment(-probabilities)
        best = probabilities[rows, columns] == probabilities[rows].max(axis=1)
        classes[rows[best]] = columns[best]
    return classes
