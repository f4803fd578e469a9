"""Choosing which tracklet follows which, all at once.

Two exact solvers. With any number of animals every tracklet has at most one successor and
one predecessor: an assignment problem. With a known number N, the tracklets of each animal
are a path through time, N paths that share nothing: a flow of least cost, found by
successive shortest paths (Zhang, Li and Nevatia, "Global data association for multi-object
tracking using network flows", CVPR 2008; Pirsiavash, Ramanan and Fowlkes, CVPR 2011).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra, min_weight_full_bipartite_matching

__all__ = ["Links", "assign_successors", "find_paths", "follow_successors"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Links:
    """P possible successions: `before` and `after` of shape (P,) and the cost of each."""

    before: Ints
    after: Ints
    cost: Floats

    def select(self, keep: NDArray[np.bool_]) -> Links:
        """Return the links of a mask (P,)."""
        return Links(self.before[keep], self.after[keep], self.cost[keep])


# ------------------------------------------------------------------- any number of animals
def assign_successors(n_tracklets: int, links: Links, max_cost: float) -> Ints:
    """Choose successors of least total cost, where none costs `max_cost`.

    Parameters
    ----------
    n_tracklets : int
        R.
    links : Links
        No pair twice.
    max_cost : float
        Cost of having no successor.

    Returns
    -------
    numpy.ndarray of intp, shape (R,)
        -1 = none; no tracklet follows two others.
    """
    successor = np.full(n_tracklets, -1, np.intp)
    links = links.select(links.cost < max_cost)
    if not len(links.cost):
        return successor
    befores, i = np.unique(links.before, return_inverse=True)
    afters, j = np.unique(links.after, return_inverse=True)
    n_before, n_after = len(befores), len(afters)
    # Column n_after + i is "no successor" for row i. Costs are shifted to be positive,
    # which changes nothing since every row takes exactly one: zeros would not count.
    shift = 1.0 - min(float(links.cost.min()) - max_cost, 0.0)
    alone = np.arange(n_before)
    data = np.concatenate([links.cost - max_cost + shift, np.full(n_before, shift)])
    row, column = np.concatenate([i, alone]), np.concatenate([j, n_after + alone])
    graph = csr_array((data, (row, column)), shape=(n_before, n_after + n_before))
    chosen_row, chosen = min_weight_full_bipartite_matching(graph)
    linked = chosen < n_after
    successor[befores[chosen_row[linked]]] = afters[chosen[linked]]
    return successor


def follow_successors(successor: Ints) -> Ints:
    """Return the number of the chain of every tracklet, shape (R,), from 0."""
    chain = np.full(len(successor), -1, np.intp)
    heads = np.setdiff1d(np.arange(len(successor)), successor[successor >= 0])
    current, number = heads, np.arange(len(heads))
    while len(current):
        chain[current] = number
        following = successor[current]
        current, number = following[following >= 0], number[following >= 0]
    return chain


# ---------------------------------------------------------------------------- N animals
@dataclass(eq=False)
class _Network:
    """A flow network whose edges carry one unit each, except those that carry any number.

    Nodes: 0 the source, 1 the sink, then for each of R tracklets its entry, its exit and
    its place in the line of those who wait ("the pool"): who is absent longer than links
    reach joins the line when it leaves and may return as any later tracklet.
    """

    tail: Ints
    head: Ints
    cost: Floats
    unlimited: NDArray[np.bool_]
    flow: Ints
    n_nodes: int

    def residual(self, potential: Floats) -> tuple[csr_array, Ints, Ints]:
        """Return the graph in which flow may change, and edge and direction by its keys."""
        forward = np.flatnonzero(self.unlimited | (self.flow == 0))
        backward = np.flatnonzero(self.flow > 0)
        edge = np.concatenate([forward, backward])
        sign = np.repeat([1, -1], [len(forward), len(backward)])
        start = np.where(sign > 0, self.tail[edge], self.head[edge])
        stop = np.where(sign > 0, self.head[edge], self.tail[edge])
        reduced = sign * self.cost[edge] + potential[start] - potential[stop]
        reduced = np.maximum(reduced, 0.0)  # below 0 only by rounding
        keys = start * self.n_nodes + stop
        order = np.argsort(keys)
        graph = csr_array(
            coo_array((reduced[order], (start[order], stop[order])), shape=(self.n_nodes,) * 2)
        )
        return graph, keys[order], (edge * sign + (sign - 1) // 2)[order]

    def push(self, path: Ints, keys: Ints, signed: Ints) -> None:
        """Send one unit along a path of nodes."""
        found = signed[np.searchsorted(keys, path[:-1] * self.n_nodes + path[1:])]
        self.flow[found[found >= 0]] += 1
        self.flow[-1 - found[found < 0]] -= 1


def find_paths(
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    gain: Floats,
    links: Links,
    absence_cost: float,
    n_paths: int,
    compare: Callable[[Ints, int], Floats],
) -> Ints:
    """Choose at most `n_paths` disjoint paths through time of least cost.

    Parameters
    ----------
    first, last : numpy.ndarray of int64, shape (R,)
        First and last frame of every tracklet.
    gain : numpy.ndarray of float64, shape (R,)
        What it is worth to have a tracklet on a path, above 0.
    links : Links
        Successions with a cost of their own; each starts after the other's last frame.
    absence_cost : float
        Of any other succession.
    n_paths : int
    compare : callable
        ``compare(befores, after)`` returns the costs (n,) of successions that are none of
        `links`, to tell apart animals that are away at the same time.

    Returns
    -------
    numpy.ndarray of intp, shape (R,)
        Path of every tracklet from 0, -1 where it is on none.
    """
    network, order = _build_network(first, last, gain, links, absence_cost)
    potential = _shortest_from_source(network, first, order)
    for _ in range(n_paths):
        graph, keys, signed = network.residual(potential)
        distances, previouses = dijkstra(graph, indices=[0], return_predecessors=True)
        distance, previous = distances[0], previouses[0]
        if not np.isfinite(distance[1]):
            break
        potential = potential + np.minimum(distance, distance[1])
        if potential[1] - potential[0] >= 0:
            break  # another path would cost more than it gains
        path = [1]
        while path[-1] != 0:
            path.append(int(previous[path[-1]]))
        network.push(np.array(path[::-1], np.intp), keys, signed)
    return _trace_paths(network, len(first), len(links.cost), links, order, compare)


def _build_network(
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    gain: Floats,
    links: Links,
    absence_cost: float,
) -> tuple[_Network, Ints]:
    """Return the network and the order of tracklets in the pool's line: by first frame.

    Edges in this order: source to entries, entries to exits, exits to the sink, links,
    exits into the pool, the pool out to entries, and along the pool.
    """
    n = len(first)
    entry, leave, pool = 2 + np.arange(n), 2 + n + np.arange(n), 2 + 2 * n + np.arange(n)
    order = np.argsort(first, kind="stable")
    place = np.searchsorted(first[order], last, side="right")
    leaving = np.flatnonzero(place < n)
    zeros = np.zeros(n)
    parts = [
        (np.zeros(n, np.intp), entry, zeros),
        (entry, leave, -gain),
        (leave, np.ones(n, np.intp), zeros),
        (leave[links.before], entry[links.after], links.cost),
        (leave[leaving], pool[place[leaving]], np.full(len(leaving), absence_cost)),
        (pool, entry[order], zeros),
        (pool[:-1], pool[1:], zeros[:-1]),
    ]
    tail, head, cost = (np.concatenate([part[i] for part in parts]) for i in range(3))
    unlimited = np.zeros(len(tail), np.bool_)
    unlimited[len(tail) - max(n - 1, 0) :] = True
    network = _Network(tail, head, cost, unlimited, np.zeros(len(tail), np.intp), 2 + 3 * n)
    return network, order


def _shortest_from_source(network: _Network, first: NDArray[np.int64], order: Ints) -> Floats:
    """Return the length of the shortest way from the source to every node.

    Costs are negative, but time has no cycles: one pass in the order of time is exact.
    Nodes that cannot be reached (the head of the pool's line) get 0; no flow ever will.
    """
    n = len(first)
    by_tail = np.argsort(network.tail, kind="stable")
    bounds = np.searchsorted(network.tail[by_tail], np.arange(network.n_nodes + 1))
    head, cost = network.head[by_tail], network.cost[by_tail]
    distance = np.full(network.n_nodes, np.inf)
    distance[0] = 0.0
    in_time = np.stack([2 + 2 * n + np.arange(n), 2 + order, 2 + n + order], axis=1).reshape(-1)
    for node in [0, *in_time.tolist()]:
        part = slice(bounds[node], bounds[node + 1])
        here = distance[node]
        if here < np.inf:
            target = head[part]
            distance[target] = np.minimum(distance[target], here + cost[part])
    return np.where(np.isfinite(distance), distance, 0.0)


def _trace_paths(
    network: _Network,
    n: int,
    n_links: int,
    links: Links,
    order: Ints,
    compare: Callable[[Ints, int], Floats],
) -> Ints:
    """Return the path of every tracklet from the flow.

    Those who wait in the pool are all the same to the flow: in the order of time, each
    return is that of the one who fits best.
    """
    used = network.flow > 0
    on_path = used[n : 2 * n]
    successor = np.full(n, -1, np.intp)
    linked = np.flatnonzero(used[3 * n : 3 * n + n_links])
    successor[links.before[linked]] = links.after[linked]
    base = 3 * n + n_links
    n_leaving = len(network.tail) - base - n - max(n - 1, 0)
    leaving = base + np.flatnonzero(used[base : base + n_leaving])
    joins: dict[int, list[int]] = {}
    for edge in leaving.tolist():
        place = int(network.head[edge]) - 2 - 2 * n
        joins.setdefault(place, []).append(int(network.tail[edge]) - 2 - n)
    returns = set(np.flatnonzero(used[base + n_leaving : base + n_leaving + n]).tolist())
    waiting: list[int] = []
    for place in sorted(joins.keys() | returns):
        waiting += joins.get(place, [])
        if place in returns:
            after = int(order[place])
            best = int(np.argmin(compare(np.array(waiting, np.intp), after)))
            successor[waiting.pop(best)] = after
    chain = follow_successors(successor)
    chain[~on_path] = -1
    kept = np.unique(chain[on_path])
    renumbered = np.full(n, -1, np.intp)
    renumbered[on_path] = np.searchsorted(kept, chain[on_path])
    return renumbered
