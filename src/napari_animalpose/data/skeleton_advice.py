"""What a skeleton lacks before animals can be told apart along its edges, in sentences."""

from __future__ import annotations

from dataclasses import dataclass

from napari_animalpose.data.skeleton import Skeleton

__all__ = ["Advice", "advise", "find_cycle", "find_parts"]

_MOST_NAMES = 4  # more would fill the window


@dataclass(frozen=True)
class Advice:
    """One sentence about a skeleton and what to do.

    Parameters
    ----------
    text : str
    nodes : tuple of int
        The nodes it is about, to be marked in a drawing.
    is_error : bool
        Whether bottom-up training refuses the skeleton as it is.
    """

    text: str
    nodes: tuple[int, ...] = ()
    is_error: bool = False


def advise(skeleton: Skeleton) -> tuple[Advice, ...]:
    """Return what to mend in the edges of a skeleton; none if they are one tree.

    A single node needs no edges. Bottom-up training (part affinity fields) needs edges that
    form trees; top-down and single-animal training take any skeleton.
    """
    if len(skeleton) < 2:
        return ()
    if not skeleton.edges:
        text = "No edges yet: click a node, then the node it leads to. Bottom-up training needs "
        return (Advice(text + "them; top-down training works without.", (), is_error=True),)
    crowded = _find_crowded(skeleton)
    if crowded is not None:
        return (crowded,)
    cycle = find_cycle(skeleton)
    if cycle:
        around = " → ".join(skeleton.nodes[node] for node in (*cycle, cycle[0]))
        text = f"The edges run in a circle: {around}. Remove one of them."
        return (Advice(text, cycle, is_error=True),)
    return _find_separate(skeleton)


def find_parts(skeleton: Skeleton) -> tuple[tuple[int, ...], ...]:
    """Return the nodes that edges join to each other, each part ascending, first nodes first."""
    label = list(range(len(skeleton)))
    for a, b in skeleton.edges:
        old, new = max(label[a], label[b]), min(label[a], label[b])
        label = [new if value == old else value for value in label]
    parts = {value: tuple(n for n, of in enumerate(label) if of == value) for value in label}
    return tuple(parts[value] for value in sorted(parts))


def find_cycle(skeleton: Skeleton) -> tuple[int, ...]:
    """Return the nodes of one directed circle in order of its edges; empty if there is none."""
    targets: dict[int, list[int]] = {}
    for source, destination in skeleton.edges:
        targets.setdefault(source, []).append(destination)
    finished: set[int] = set()
    for start in range(len(skeleton)):
        path, branches = [start], [iter(targets.get(start, ()))]
        while path and start not in finished:
            following = next(branches[-1], None)
            if following is None:
                finished.add(path.pop())
                branches.pop()
            elif following in path:
                return tuple(path[path.index(following) :])
            elif following not in finished:
                path.append(following)
                branches.append(iter(targets.get(following, ())))
    return ()


def _find_crowded(skeleton: Skeleton) -> Advice | None:
    """Return what to say of a node with two parents."""
    for node, name in enumerate(skeleton.nodes):
        parents = [source for source, destination in skeleton.edges if destination == node]
        if len(parents) > 1:
            sources = " and ".join(skeleton.nodes[parent] for parent in parents)
            text = f"Edges from {sources} both lead to {name}. Remove one of them."
            return Advice(text, (node, *parents), is_error=True)
    return None


def _find_separate(skeleton: Skeleton) -> tuple[Advice, ...]:
    """Return what to say of nodes and trees that no edge joins to the rest."""
    parts = find_parts(skeleton)
    alone = [part[0] for part in parts if len(part) == 1]
    trees = [part for part in parts if len(part) > 1]
    found = []
    if len(trees) > 1:
        targets = {destination for _, destination in skeleton.edges}
        roots = tuple(next(n for n in tree if n not in targets) for tree in trees)
        text = f"{len(trees)} separate parts, with the roots {_list(skeleton, roots)}. Join them "
        found.append(Advice(text + "with an edge, or they are taken for separate animals.", roots))
    if alone:
        verb = "is" if len(alone) == 1 else "are"
        text = f"{_list(skeleton, alone)} {verb} not joined to anything. Click a node, then "
        found.append(Advice(text + f"{skeleton.nodes[alone[0]]}, to add an edge.", tuple(alone)))
    return tuple(found)


def _list(skeleton: Skeleton, nodes: tuple[int, ...] | list[int]) -> str:
    names = [skeleton.nodes[node] for node in nodes]
    if len(names) > _MOST_NAMES:
        names[_MOST_NAMES - 1 :] = [f"{len(names) - _MOST_NAMES + 1} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
