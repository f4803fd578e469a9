"""Parts of one animal that a missing node holds apart, joined by the gap between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.skeleton import Skeleton

__all__ = ["merge_fragments"]

FAR = 10**6  # edges between nodes of different trees


def merge_fragments(
    peaks: NDArray[np.int64],
    evidence: NDArray[np.float64],
    places: NDArray[np.float32],
    skeleton: Skeleton,
    max_gap_px: float,
) -> None:
    """Join, in place, fragments of one animal that a missing node holds apart.

    Two fragments belong together if they share no node, nothing speaks against it (the
    way between them on the skeleton leads over nodes that both lack, or they are on
    different trees) and the gap is small; the smallest gaps are closed first. At least
    one of the two must have two points: two lone peaks are noise.

    Parameters
    ----------
    peaks : int64 array, shape (B, F, K)
        Peak of each node of each fragment, those with most points first; -1 = none.
    evidence : float64 array, shape (B, F)
        What speaks for each, summed where two are joined.
    places : float32 array, shape (B, F, K, 2)
        (x, y) of the peaks in px of the network input.
    skeleton : Skeleton
        A forest with K nodes.
    max_gap_px : float
    """
    for frame in range(len(peaks)):
        present = peaks[frame] >= 0  # (F, K)
        first, second = _near_fragments(places[frame], present, max_gap_px)
        if not first.size:
            continue
        gaps, a, b = _measure_gaps(places[frame], present, first, second, _hops(skeleton))
        order = np.argsort(gaps, kind="stable")
        order = order[: np.searchsorted(gaps[order], max_gap_px, side="right")]
        pairs = zip(*(part[order].tolist() for part in (first, second, a, b)), strict=True)
        for one, other in _choose_merges(pairs, present, _between(skeleton)):
            taken = peaks[frame, other] >= 0
            peaks[frame, one, taken] = peaks[frame, other, taken]
            evidence[frame, one] += evidence[frame, other]
            peaks[frame, other], evidence[frame, other] = -1, 0


# ---------------------------------------------------------------- ways on the skeleton
@lru_cache(maxsize=16)
def _hops(skeleton: Skeleton) -> NDArray[np.int64]:
    """Edges on the way from node to node, (K, K); `FAR` between different trees."""
    hops = np.full((len(skeleton), len(skeleton)), FAR)
    np.fill_diagonal(hops, 0)
    for a, b in skeleton.edges:
        hops[a, b] = hops[b, a] = 1
    for middle in range(len(skeleton)):  # Floyd and Warshall
        hops = np.minimum(hops, hops[:, middle, None] + hops[None, middle])
    return np.asarray(np.minimum(hops, FAR), np.int64)


@lru_cache(maxsize=16)
def _between(skeleton: Skeleton) -> list[list[int]]:
    """Nodes on the way from node to node, without the two, as bits; 0 between trees."""
    hops = _hops(skeleton)
    on_the_way = (hops[:, None, :] + hops[None, :, :]) == hops[:, :, None]  # (K, K, K)
    on_the_way &= hops[:, :, None] < FAR
    k = np.arange(len(hops))
    on_the_way[k, :, k] = on_the_way[:, k, k] = False
    return [[_to_bits(np.flatnonzero(way)) for way in ways] for ways in on_the_way]


def _to_bits(nodes: NDArray[np.intp]) -> int:
    return sum(1 << node for node in nodes.tolist())


# --------------------------------------------------------------- gaps between fragments
def _near_fragments(
    places: NDArray[np.float32], present: NDArray[np.bool_], max_gap_px: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of fragments without a common node that may be near enough to be one animal.

    Boxes around the points of each tell it without looking at all points of all pairs,
    which the thousand false peaks of a network in its first minutes make very many.

    Parameters
    ----------
    places : float32 (F, K, 2)
        Those with most points first.
    present : bool (F, K)
    max_gap_px : float

    Returns
    -------
    first, second : intp (N,)
        The first of a pair has at least two points and as many as the second.
    """
    large = int((present.sum(axis=1) >= 2).sum())
    low = np.where(present[..., None], places, np.inf).min(axis=1)  # (F, 2)
    high = np.where(present[..., None], places, -np.inf).max(axis=1)
    apart = np.maximum(low[:large, None] - high, low - high[:large, None])
    apart = np.maximum(apart, 0)  # (L, F, 2)
    as_float = present.astype(np.float32)
    possible = (as_float[:large] @ as_float.T == 0) & (
        np.hypot(apart[..., 0], apart[..., 1]) <= max_gap_px
    )
    first, second = np.nonzero(np.triu(possible, 1))
    return first, second


def _measure_gaps(
    places: NDArray[np.float32],
    present: NDArray[np.bool_],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    hops: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """How far pairs of fragments are apart, where they are closest on the skeleton.

    On different trees the closest points in the image count. Neighbours on the skeleton
    that were not joined have an infinite gap: the field said no.

    Returns
    -------
    gaps : float32 (N,), px
    a, b : intp (N,)
        The nodes of the first and the second fragment between which the gap is.
    """
    owner, node = np.nonzero(present)  # points, fragment by fragment
    xy = places[owner, node]
    size = present.sum(axis=1)
    start = np.cumsum(size) - size
    # All points of the first with all points of the second, pair after pair.
    width = size[second]
    combined = size[first] * width
    begin = np.cumsum(combined) - combined
    pair = np.repeat(np.arange(len(first)), combined)
    place = np.arange(len(pair)) - begin[pair]
    p = start[first][pair] + place // width[pair]
    q = start[second][pair] + place % width[pair]
    step = xy[p] - xy[q]
    distance = np.hypot(step[:, 0], step[:, 1])
    # The skeleton decides, distance between equals; a hop weighs more than any distance.
    cost = hops[node[p], node[q]] * 1e6 + distance
    best = np.flatnonzero(cost == np.minimum.reduceat(cost, begin)[pair])
    best = best[np.unique(pair[best], return_index=True)[1]]
    a, b = node[p[best]], node[q[best]]
    return np.where(hops[a, b] >= 2, distance[best], np.inf).astype(np.float32), a, b


def _choose_merges(
    pairs: Iterable[tuple[int, int, int, int]],
    present: NDArray[np.bool_],
    between: list[list[int]],
) -> Iterator[tuple[int, int]]:
    """Go through pairs in order; which fragment goes up in which.

    Parameters
    ----------
    pairs : iterable of (int, int, int, int)
        Two fragments, and the nodes of the one and the other between which the gap is.
    present : bool (F, K)
    between : list of list of int
        As `_between` gives it.

    Yields
    ------
    one, other : int
        The points of `other` now belong to `one`.
    """
    nodes = [_to_bits(np.flatnonzero(row)) for row in present]
    root = list(range(len(nodes)))
    members = [[n] for n in root]
    for first, second, a, b in pairs:
        one, other = root[first], root[second]
        if one == other or nodes[one] & nodes[other]:
            continue
        if (nodes[one] | nodes[other]) & between[a][b]:
            continue
        nodes[one] |= nodes[other]
        members[one] += members[other]
        for member in members[other]:
            root[member] = one
        yield one, other
