"""The body plan: named nodes, directed edges between them and left-right symmetries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import DataError

__all__ = ["Skeleton"]


@dataclass(frozen=True)
class Skeleton:
    """An ordered set of nodes with directed edges and symmetric pairs.

    Parameters
    ----------
    nodes : sequence of str
        Names of the K body parts, in the order of the K axis of every pose array.
    edges : sequence of (int, int)
        Directed edges (source, destination) as indices into `nodes`. Any graph without
        loops and doubles is a skeleton; grouping with part affinity fields also needs a
        forest (see `is_forest`).
    symmetries : sequence of (int, int)
        Pairs of nodes that change places when an image is mirrored. Each node is in at
        most one pair; the order within a pair has no meaning and is stored ascending.
    name : str
        A name for people.

    Raises
    ------
    DataError
        For empty or repeated names, edges or symmetries that point nowhere, loops,
        repeated edges, and nodes in two symmetric pairs.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    symmetries: tuple[tuple[int, int], ...] = ()
    name: str = "skeleton"

    def __post_init__(self) -> None:
        if isinstance(self.nodes, str):
            raise DataError(f"Expected a sequence of node names; received the text {self.nodes!r}.")
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "edges", tuple((int(a), int(b)) for a, b in self.edges))
        pairs = (sorted((int(a), int(b))) for a, b in self.symmetries)
        object.__setattr__(self, "symmetries", tuple((a, b) for a, b in pairs))
        self._check_nodes()
        self._check_pairs("edges", self.edges)
        self._check_pairs("symmetries", self.symmetries)
        paired = [node for pair in self.symmetries for node in pair]
        if len(set(paired)) < len(paired):
            raise DataError(
                "Expected every node in at most one symmetric pair; received "
                f"{self.symmetries}. Remove the extra pair."
            )

    def _check_nodes(self) -> None:
        if not all(isinstance(node, str) and node for node in self.nodes):
            raise DataError(f"Expected a non-empty name for every node; received {self.nodes}.")
        if len(set(self.nodes)) < len(self.nodes):
            twice = sorted({node for node in self.nodes if self.nodes.count(node) > 1})
            raise DataError(
                f"Expected every node name once; received {', '.join(twice)} more than once. "
                "Rename one of them."
            )

    def _check_pairs(self, what: str, pairs: Iterable[tuple[int, int]]) -> None:
        seen: set[tuple[int, int]] = set()
        for a, b in pairs:
            if not (0 <= a < len(self.nodes) and 0 <= b < len(self.nodes)) or a == b:
                raise DataError(
                    f"Expected {what} between two different nodes numbered 0 to "
                    f"{len(self.nodes) - 1}; received ({a}, {b})."
                )
            if (a, b) in seen:
                raise DataError(f"Expected {what} without repeats; received ({a}, {b}) twice.")
            seen.add((a, b))

    @classmethod
    def from_names(
        cls,
        nodes: Sequence[str],
        edges: Iterable[tuple[str, str]] = (),
        symmetries: Iterable[tuple[str, str]] = (),
        name: str = "skeleton",
    ) -> Skeleton:
        """Build a skeleton from pairs of names.

        Raises
        ------
        DataError
            If an edge or a symmetry names an unknown node.
        """
        number = {node: index for index, node in enumerate(nodes)}
        try:
            by_index = [[(number[a], number[b]) for a, b in pairs] for pairs in (edges, symmetries)]
        except KeyError as error:
            raise DataError(
                f"Expected edges and symmetries between the nodes {', '.join(nodes)}; "
                f"received {error.args[0]!r}."
            ) from None
        return cls(tuple(nodes), tuple(by_index[0]), tuple(by_index[1]), name)

    def __len__(self) -> int:
        return len(self.nodes)

    def index(self, node: str) -> int:
        """Return the position of a node on the K axis.

        Raises
        ------
        DataError
            If there is no such node.
        """
        try:
            return self.nodes.index(node)
        except ValueError:
            raise DataError(
                f"Expected one of the nodes {', '.join(self.nodes)}; received {node!r}."
            ) from None

    @cached_property
    def edge_array(self) -> NDArray[np.int32]:
        """Edges as a read-only int32 array of shape (E, 2): source, destination."""
        edges = np.asarray(self.edges, np.int32).reshape(-1, 2)
        edges.flags.writeable = False
        return edges

    @cached_property
    def flip_order(self) -> NDArray[np.intp]:
        """Permutation of the K nodes that a mirrored image calls for, shape (K,), read-only."""
        order = np.arange(len(self.nodes))
        for a, b in self.symmetries:
            order[[a, b]] = order[[b, a]]
        order.flags.writeable = False
        return order

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """Source of the edge into each node, -1 for roots; only defined for a forest.

        Raises
        ------
        DataError
            If a node has two parents or the edges form a cycle.
        """
        parents = [-1] * len(self.nodes)
        for source, destination in self.edges:
            if parents[destination] >= 0:
                raise DataError(
                    f"Expected a tree or forest; received two edges into "
                    f"{self.nodes[destination]!r}. Remove one of them."
                )
            parents[destination] = source
        for start in range(len(self.nodes)):
            node, steps = start, 0
            while parents[node] >= 0:
                node, steps = parents[node], steps + 1
                if steps > len(self.nodes):
                    raise DataError(
                        f"Expected a tree or forest; received a cycle through "
                        f"{self.nodes[start]!r}. Remove one edge of it."
                    )
        return tuple(parents)

    @property
    def is_forest(self) -> bool:
        """Whether the edges form directed trees, as grouping with PAFs needs."""
        try:
            _ = self.parents
        except DataError:
            return False
        return True
