"""Where the nodes of a skeleton are drawn: from its labels, a template or its edges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.skeleton_templates import find_template, fit_unit_box

__all__ = ["arrange_nodes", "lay_out", "mean_pose", "pair_by_name", "place_new_node"]

Floats = NDArray[np.float64]

_FRONT = re.compile("nose|snout|head|rostrum|beak", re.IGNORECASE)


def mean_pose(poses: Poses, max_instances: int = 256) -> Floats:
    """Return the mean shape of a table's animals, each turned and moved onto the others.

    Generalised Procrustes analysis (Gower 1975, doi:10.1007/BF02291478) without scaling:
    the result has the size of the animals.

    Parameters
    ----------
    poses : Poses
        Labels are used where there are any, otherwise predictions.
    max_instances : int
        At most so many rows, spread evenly over the table, are looked at.

    Returns
    -------
    ndarray of float64, shape (K, 2)
        (x, y) in px, y down, the centre of the nodes that are there at (0, 0); NaN = a node
        without points. The front (a node named nose, snout or head, else the first node)
        is up.
    """
    candidates = np.flatnonzero(poses.is_label)
    if not len(candidates):
        candidates = np.arange(len(poses))
    if len(candidates) > max_instances:
        even = np.linspace(0, len(candidates) - 1, max_instances).round().astype(np.intp)
        candidates = candidates[even]
    xy = poses.xy[candidates].astype(np.float64)
    z = xy[..., 0] + 1j * xy[..., 1]  # (N, K), NaN where missing
    z = z[np.isfinite(z).any(axis=1)]
    if not len(z):
        return np.full((poses.n_nodes, 2), np.nan)
    mean = z[int(np.isfinite(z).sum(axis=1).argmax())]
    for _ in range(6):
        mean = _mean_of_columns(_align(z, mean), mean)
    return _face_up(np.stack([mean.real, mean.imag], axis=1), poses.skeleton)


def _align(z: NDArray[np.complex128], mean: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Turn and move every row of (N, K) onto (K,), by the points that both have."""
    both = np.isfinite(z) & np.isfinite(mean)
    count = np.maximum(both.sum(axis=1, keepdims=True), 1)
    centre = np.where(both, z, 0).sum(axis=1, keepdims=True) / count
    target = np.where(both, mean, 0).sum(axis=1, keepdims=True) / count
    product = (np.where(both, z - centre, 0).conj() * np.where(both, mean - target, 0)).sum(axis=1)
    size = np.abs(product)
    turn = np.where(size > 0, product / np.where(size > 0, size, 1), 1)
    aligned: NDArray[np.complex128] = (z - centre) * turn[:, None] + target
    aligned[both.sum(axis=1) < 2] = np.nan  # one point does not say how the animal lies
    return aligned


def _mean_of_columns(
    z: NDArray[np.complex128], otherwise: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    there = np.isfinite(z)
    total = np.where(there, z, 0).sum(axis=0)
    count = there.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), otherwise)


def _face_up(xy: Floats, skeleton: Skeleton) -> Floats:
    """Centre a shape and turn its front up."""
    there = np.flatnonzero(np.isfinite(xy).all(axis=1))
    xy = xy - xy[there].mean(axis=0)
    named = [node for node in there.tolist() if _FRONT.search(skeleton.nodes[node])]
    front = xy[(named or there.tolist())[0]]
    length = float(np.hypot(*front))
    if length < 1e-6:
        return xy
    cos, sin = -front[1] / length, front[0] / length  # turns `front` to (0, -length)
    return np.stack([xy[:, 0] * cos + xy[:, 1] * sin, xy[:, 1] * cos - xy[:, 0] * sin], axis=1)


# ------------------------------------------------------------------------------ without labels
def arrange_nodes(skeleton: Skeleton) -> Floats:
    """Return places for the nodes of a skeleton that has no labels.

    Returns
    -------
    ndarray of float64, shape (K, 2)
        In a unit box, y down. Those of the first template that has all the nodes, else a
        tree with the roots on top, else, without edges, a circle.
    """
    template = find_template(skeleton)
    if template is not None:
        return fit_unit_box(template.layout[[template.skeleton.index(n) for n in skeleton.nodes]])
    if not skeleton.edges:
        angles = 2 * np.pi * np.arange(len(skeleton)) / max(len(skeleton), 1)
        return fit_unit_box(np.stack([np.sin(angles), -np.cos(angles)], axis=1))
    places = np.zeros((len(skeleton), 2))
    next_x, seen = 0.0, set[int]()
    for root in (*_roots(skeleton), *range(len(skeleton))):
        if root not in seen:
            next_x = _place_tree(root, _neighbours(skeleton), places, seen, next_x)
    if np.ptp(places[:, 0]) > 0 and np.ptp(places[:, 1]) > 0:
        places /= np.ptp(places, axis=0)  # broad trees would be flat: use the whole box
    return fit_unit_box(places)


def _roots(skeleton: Skeleton) -> Iterator[int]:
    targets = {destination for _, destination in skeleton.edges}
    return (source for source, _ in skeleton.edges if source not in targets)


def _neighbours(skeleton: Skeleton) -> list[list[int]]:
    lists: list[list[int]] = [[] for _ in skeleton.nodes]
    for a, b in skeleton.edges:
        lists[a].append(b)
        lists[b].append(a)
    return lists


def _place_tree(
    root: int, neighbours: list[list[int]], places: Floats, seen: set[int], x: float
) -> float:
    """Place all that is joined to `root`, leaves from `x` on; return the next free x."""
    seen.add(root)
    order, children = [root], dict[int, list[int]]()
    for node in order:  # grows: breadth first, so that a circle is opened at its far end
        children[node] = [n for n in neighbours[node] if n not in seen]
        children[node] = list(dict.fromkeys(children[node]))
        seen.update(children[node])
        for child in children[node]:
            places[child, 1] = places[node, 1] + 1
        order += children[node]
    stack = [root]
    while stack:  # leaves from left to right
        node = stack.pop()
        stack += reversed(children[node])
        if not children[node]:
            places[node, 0], x = x, x + 1
    for node in reversed(order):
        if children[node]:
            places[node, 0] = places[children[node], 0].mean()
    return x


def lay_out(poses: Poses) -> Floats:
    """Return where to draw the nodes of a table's skeleton.

    Returns
    -------
    ndarray of float64, shape (K, 2)
        In a unit box, y down: the mean pose where there are points, and nodes without
        points where `arrange_nodes` has them in relation to the others.
    """
    arranged = arrange_nodes(poses.skeleton)
    found = mean_pose(poses)
    known = np.asarray(np.isfinite(found).all(axis=1))
    if known.sum() < 2 or np.ptp(found[known], axis=0).max() < 1e-6:
        return arranged
    if not known.all():
        source, target = arranged[known], found[known]
        scale = np.ptp(target, axis=0).max() / max(np.ptp(source, axis=0).max(), 1e-6)
        moved = (arranged - source.mean(axis=0)) * scale + target.mean(axis=0)
        found = np.where(known[:, None], found, moved)
    return fit_unit_box(found)


def place_new_node(places: ArrayLike) -> tuple[float, float]:
    """Return the point of a unit box that is farthest from all places, shape (K, 2)."""
    taken = np.asarray(places, np.float64).reshape(-1, 2)
    if not len(taken):
        return 0.5, 0.5
    steps = np.linspace(0.1, 0.9, 9)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    distance = np.linalg.norm(grid[:, None] - taken, axis=-1).min(axis=1)
    x, y = grid[int(distance.argmax())].tolist()
    return x, y


# ------------------------------------------------------------------------------------- names
def pair_by_name(nodes: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the pairs (left, right) of nodes whose names differ in the side alone.

    Sides are ``left`` and ``right`` in any case, a capital ``L`` and ``R`` anywhere, and a
    small ``l`` and ``r`` that stand alone: ``left_ear``, ``wingL``, ``forelegL4``, ``paw_l``.
    """
    known, taken, pairs = set(nodes), set[str](), []
    for name in nodes:
        right = next((n for n in _other_sides(name) if n in known - taken - {name}), None)
        if right is not None and name not in taken:
            pairs.append((name, right))
            taken |= {name, right}
    return tuple(pairs)


def _other_sides(name: str) -> Iterator[str]:
    """Yield the names of what could be on the right of a node on the left."""
    for match in re.finditer("(?i:left)|L|(?<![A-Za-z])l(?![A-Za-z])", name):
        text = match.group()
        right = "right" if text.lower() == "left" else "r"
        right = right.upper() if text.isupper() else right
        right = right.capitalize() if text.istitle() else right
        yield name[: match.start()] + right + name[match.end() :]
