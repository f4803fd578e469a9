"""Reversible edits of the skeleton and of the list of tracks: of the table as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from napari_animalpose.data.edit_kinds import Edit, FrameEdit, NodesEdit, NodeValues, TracksEdit
from napari_animalpose.data.edit_sequence import EditSequence
from napari_animalpose.data.edits import find_track
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.store import pack, unpack
from napari_animalpose.errors import DataError

__all__ = [
    "add_node",
    "remove_node",
    "remove_track",
    "rename_node",
    "rename_track",
    "reorder_nodes",
    "replace_skeleton",
    "set_edges",
    "set_symmetries",
]


# --------------------------------------------------------------------------------- nodes
def add_node(poses: Poses, name: str, position: int | None = None) -> NodesEdit:
    """Add a node, missing in every instance, at a position of the K axis or at its end.

    Raises
    ------
    DataError
        If the name is empty or taken.
    """
    sources = list(range(poses.n_nodes))
    sources.insert(poses.n_nodes if position is None else position, -1)
    names = [poses.skeleton.nodes[source] if source >= 0 else name for source in sources]
    return NodesEdit(f"Add node {name}", *_rearrange(poses.skeleton, names, sources))


def remove_node(poses: Poses, name: str) -> Edit:
    """Remove a node with its points, edges and symmetry; undo brings all of it back.

    Instances that have no other point go too.

    Raises
    ------
    DataError
        If there is no such node.
    """
    gone = poses.skeleton.index(name)
    sources = [node for node in range(poses.n_nodes) if node != gone]
    names = [poses.skeleton.nodes[source] for source in sources]
    return _take_nodes(poses, f"Remove node {name}", *_rearrange(poses.skeleton, names, sources))


def rename_node(poses: Poses, old: str, new: str) -> NodesEdit:
    """Give a node another name.

    Raises
    ------
    DataError
        If there is no such node, or the new name is empty or taken.
    """
    node = poses.skeleton.index(old)
    names = [new if index == node else name for index, name in enumerate(poses.skeleton.nodes)]
    return NodesEdit(f"Rename {old}", *_rearrange(poses.skeleton, names, range(poses.n_nodes)))


def reorder_nodes(poses: Poses, names: Sequence[str]) -> NodesEdit:
    """Put the nodes in another order.

    Raises
    ------
    DataError
        If `names` are not exactly the present nodes.
    """
    if sorted(names) != sorted(poses.skeleton.nodes):
        raise DataError(
            f"Expected every one of the nodes {', '.join(poses.skeleton.nodes)} once; received "
            f"{', '.join(names)}."
        )
    sources = [poses.skeleton.index(name) for name in names]
    return NodesEdit("Reorder nodes", *_rearrange(poses.skeleton, names, sources))


def set_edges(poses: Poses, edges: Iterable[tuple[str, str]]) -> NodesEdit:
    """Set all directed edges, given as pairs of names (source, destination).

    Raises
    ------
    DataError
        For unknown nodes, loops and repeats.
    """
    old = poses.skeleton
    named = Skeleton.from_names(old.nodes, edges=edges)
    return _set_graph("Set edges", old, named.edges, old.symmetries)


def set_symmetries(poses: Poses, symmetries: Iterable[tuple[str, str]]) -> NodesEdit:
    """Set all pairs of nodes that change places in a mirror image, by name.

    Raises
    ------
    DataError
        For unknown nodes and for nodes in two pairs.
    """
    old = poses.skeleton
    named = Skeleton.from_names(old.nodes, symmetries=symmetries)
    return _set_graph("Set symmetries", old, old.edges, named.symmetries)


def replace_skeleton(poses: Poses, skeleton: Skeleton, label: str = "Replace skeleton") -> Edit:
    """Take another skeleton: points of nodes with equal names stay, others go or are missing.

    Instances that lose their last point go too. Undo brings all of it back.
    """
    old = poses.skeleton
    sources = tuple(old.nodes.index(n) if n in old.nodes else -1 for n in skeleton.nodes)
    return _take_nodes(poses, label, old, skeleton, sources)


# -------------------------------------------------------------------------------- tracks
def rename_track(poses: Poses, old: str, new: str) -> TracksEdit:
    """Give a track another name.

    Raises
    ------
    DataError
        If there is no such track, or the new name is empty or taken.
    """
    number = find_track(poses, old)
    if not new or (new != old and new in poses.track_names):
        raise DataError(f"Expected a new name for the track {old!r}; received {new!r}.")
    names = list(poses.track_names)
    names[number] = new
    return TracksEdit(f"Rename {old}", poses.track_names, tuple(names))


def remove_track(poses: Poses, name: str) -> TracksEdit:
    """Remove a track; its instances stay, without identity.

    Raises
    ------
    DataError
        If there is no such track.
    """
    number = find_track(poses, name)
    names = poses.track_names[:number] + poses.track_names[number + 1 :]
    before = poses.track.copy()
    after = np.where(before == number, -1, before - (before > number)).astype(np.int32)
    return TracksEdit(f"Remove track {name}", poses.track_names, names, before, after)


# ----------------------------------------------------------------------------- internals
def _take_nodes(
    poses: Poses, label: str, old: Skeleton, new: Skeleton, sources: tuple[int, ...]
) -> Edit:
    """Return the edit that keeps the nodes `sources`, without instances that it would empty."""
    gone = [node for node in range(len(old)) if node not in sources]
    if not gone:
        return NodesEdit(label, old, new, sources)
    placed = poses.visibility != Visibility.MISSING
    stays = np.delete(placed, gone, axis=1).any(axis=1) | ~placed.any(axis=1)
    removed: NodeValues = {
        column: poses.column(column)[:, gone][stays]
        for column in ("xy", "visibility", "point_score")
    }
    nodes = NodesEdit(label, old, new, sources, removed=removed)
    if stays.all():
        return nodes
    keys = pack(poses.video, poses.frame)
    emptied = np.unique(keys[~stays])
    rows = np.isin(keys, emptied)
    before, after = poses.select(rows), poses.select(rows & stays)
    return EditSequence(label, (FrameEdit(label, unpack(emptied), before, after), nodes))


def _rearrange(
    old: Skeleton, names: Sequence[str], sources: Iterable[int]
) -> tuple[Skeleton, Skeleton, tuple[int, ...]]:
    """Return the old skeleton, the one with nodes from `sources` (-1 = new), the sources."""
    sources = tuple(sources)
    where = {source: index for index, source in enumerate(sources) if source >= 0}

    def follow(pairs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        return tuple((where[a], where[b]) for a, b in pairs if a in where and b in where)

    new = Skeleton(tuple(names), follow(old.edges), follow(old.symmetries), old.name)
    return old, new, sources


def _set_graph(
    label: str,
    old: Skeleton,
    edges: tuple[tuple[int, int], ...],
    symmetries: tuple[tuple[int, int], ...],
) -> NodesEdit:
    new = Skeleton(old.nodes, edges, symmetries, old.name)
    return NodesEdit(label, old, new, tuple(range(len(old))))
