"""The skeleton of the open document, to be changed: a drawing over a table of nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QButtonGroup, QLabel, QSplitter, QWidget

from napari_animalpose._widgets._skeleton_parts import (
    count_points,
    fill_column,
    make_button,
    make_row,
    tell_points,
)
from napari_animalpose._widgets._skeleton_table import NodeTable
from napari_animalpose._widgets._skeleton_view import SkeletonView
from napari_animalpose.data.edit_kinds import Edit
from napari_animalpose.data.edit_sequence import chain_edits
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.schema_edits import (
    add_node,
    remove_node,
    rename_node,
    reorder_nodes,
    replace_skeleton,
    set_edges,
    set_symmetries,
)
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.skeleton_advice import advise
from napari_animalpose.data.skeleton_layout import lay_out, pair_by_name, place_new_node
from napari_animalpose.errors import AnimalPoseError

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["SkeletonEditor"]

Names = tuple[str, str]


class SkeletonEditor(QWidget):
    """Shows and edits the skeleton of a session's document; all changes can be undone.

    Parameters
    ----------
    session : Session
    parent : QWidget, optional
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._skeleton = Skeleton(())
        self._places: dict[str, tuple[float, float]] = {}  # also of nodes that are gone
        self.view, self.table = SkeletonView(), NodeTable()
        self.hint, self.advice = QLabel(), QLabel()
        self.edges = make_button("Edges", "Clicks on two nodes join them with an edge")
        self.pairs = make_button(
            "Pairs", "Clicks on two nodes pair left with right (or Ctrl+click)"
        )
        self.by_name = make_button(
            "Pair by name", "Pair nodes whose names differ in the side alone"
        )
        self.arrange_button = make_button(
            "Arrange", "Draw the nodes where they are in the mean of the labels"
        )
        self.up = make_button("↑", "Move the node up in the order (Alt+Up)")
        self.down = make_button("↓", "Move the node down in the order (Alt+Down)")
        self.remove = make_button("Remove", "Remove the node; undo brings it back with its points")
        self._build()
        self._connect()

    def _build(self) -> None:
        for label in (self.hint, self.advice):
            label.setWordWrap(True)
        self.hint.setMinimumHeight(2 * self.fontMetrics().height())
        self.hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        modes = QButtonGroup(self)
        for button in (self.edges, self.pairs):
            button.setCheckable(True)
            modes.addButton(button)
        self.edges.setChecked(True)
        tools = make_row(self.edges, self.pairs, self.by_name, None, self.arrange_button)
        upper, lower = QWidget(), QWidget()
        fill_column(upper, tools, self.view, self.hint, self.advice, stretch=self.view)
        fill_column(
            lower, self.table, make_row(None, self.up, self.down, self.remove), stretch=self.table
        )
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(upper)
        splitter.addWidget(lower)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 2)
        fill_column(self, splitter, stretch=splitter)

    def _connect(self) -> None:
        view, table = self.view, self.table
        view.edge_clicked.connect(self.toggle_edge)
        view.pair_clicked.connect(self.toggle_pair)
        view.edge_deleted.connect(self.remove_edge)
        view.node_deleted.connect(self.remove_node)
        view.node_moved.connect(self._keep_places)
        view.hint_changed.connect(self.hint.setText)
        view.node_selected.connect(lambda n: table.select_node(n if n >= 0 else None))
        table.node_selected.connect(lambda n: view.select_node(n if n >= 0 else None))
        for part in (view, table):
            part.node_selected.connect(self._enable_buttons)
        table.renamed.connect(self.rename)
        table.partner_chosen.connect(self.choose_partner)
        table.moved.connect(self.move_node)
        table.node_deleted.connect(self.remove_node)
        self.pairs.toggled.connect(self._set_pairing)
        self.by_name.clicked.connect(self.pair_by_name)
        self.arrange_button.clicked.connect(self.arrange)
        self.up.clicked.connect(lambda: self._move_selected(-1))
        self.down.clicked.connect(lambda: self._move_selected(1))
        self.remove.clicked.connect(self._remove_selected)

    # ------------------------------------------------------------------------------ showing
    @property
    def poses(self) -> Poses | None:
        """The table of the open document, None if none is open."""
        return None if self._session.document is None else self._session.document.poses

    def reload(self) -> None:
        """Show another document: forget where nodes were drawn."""
        self._places.clear()
        self._skeleton = Skeleton(())
        self.view.select_node(None)
        self.show_skeleton()

    def show_skeleton(self) -> None:
        """Show the skeleton as it is now; nodes keep their places in the drawing."""
        poses = self.poses
        if poses is None:
            return
        before, self._skeleton = self._skeleton, poses.skeleton
        self._find_places(before, poses)
        skeleton, colors = self._skeleton, self._session.node_colors()
        selected = self.table.selected_node
        name = before.nodes[selected] if selected is not None and selected < len(before) else None
        self.table.set_skeleton(skeleton, colors)
        self.view.set_skeleton(skeleton, [self._places[n] for n in skeleton.nodes], colors)
        self._select(skeleton.nodes.index(name) if name in skeleton.nodes else None)
        self._show_advice()
        pairs = {tuple(sorted(map(skeleton.index, p))) for p in pair_by_name(skeleton.nodes)}
        self.by_name.setEnabled(bool(pairs - set(skeleton.symmetries)))

    def _find_places(self, before: Skeleton, poses: Poses) -> None:
        """Give every node a place in the drawing; a renamed node keeps its own."""
        old, new = before.nodes, poses.skeleton.nodes
        renamed = [(a, b) for a, b in zip(old, new, strict=False) if a != b]
        if len(old) == len(new) and len(renamed) == 1 and renamed[0][0] in self._places:
            a, b = renamed[0]
            self._places.setdefault(b, self._places[a])
        unknown = [name for name in new if name not in self._places]
        if len(unknown) == 1 and len(new) > 1:
            others = [self._places[name] for name in new if name in self._places]
            self._places[unknown[0]] = place_new_node(others)
        elif unknown:
            self._take_places(lay_out(poses).tolist())

    def _take_places(self, places: Iterable[list[float]]) -> None:
        for name, (x, y) in zip(self._skeleton.nodes, places, strict=True):
            self._places[name] = (x, y)

    def _keep_places(self) -> None:
        self._take_places(self.view.places.tolist())

    def arrange(self) -> None:
        """Draw the nodes where the labels have them on average, or a template, or a tree."""
        if self.poses is not None:
            self._take_places(lay_out(self.poses).tolist())
            self.show_skeleton()

    def _show_advice(self) -> None:
        found = advise(self._skeleton)
        self.advice.setText("\n".join(f"⚠ {a.text}" if a.is_error else a.text for a in found))
        self.advice.setVisible(bool(found))
        self.view.set_wrong(frozenset(node for advice in found for node in advice.nodes))

    def _select(self, node: int | None) -> None:
        self.table.select_node(node)
        self.view.select_node(node)
        self._enable_buttons()

    def _enable_buttons(self, *_: int) -> None:
        node, last = self.table.selected_node, len(self._skeleton) - 1
        self.remove.setEnabled(node is not None)
        self.up.setEnabled(node is not None and node > 0)
        self.down.setEnabled(node is not None and node < last)

    def _set_pairing(self, on: bool) -> None:
        self.view.pairing = on

    # ------------------------------------------------------------------------------ editing
    def _do(self, build: Callable[[Poses], Edit]) -> bool:
        """Build an edit for the table as it is and have the session carry it out."""
        poses = self.poses
        if poses is None:
            return False
        try:
            done = self._session.do(build(poses))
        except AnimalPoseError as error:
            self._session.show_error(str(error))
            done = False
        if not done:
            self.show_skeleton()  # what was typed or chosen is not so
        return bool(done)

    def add_nodes(self, names: list[str]) -> bool:
        """Add nodes at the end, as one step; return whether they are there."""
        if len(names) == 1:
            return self._do(lambda poses: add_node(poses, names[0]))
        builders = [lambda poses, name=name: add_node(poses, name) for name in names]
        return self._do(lambda poses: chain_edits(poses, f"Add {len(names)} nodes", builders))

    def rename(self, node: int, name: str) -> None:
        """Give a node another name."""
        old = self._skeleton.nodes[node]
        if name == old or not name:
            self.show_skeleton()
        else:
            self._do(lambda poses: rename_node(poses, old, name))

    def remove_node(self, node: int) -> None:
        """Remove a node; asks if it has points."""
        poses, name = self.poses, self._skeleton.nodes[node]
        if poses is None:
            return
        points = tell_points(*count_points(poses, node))
        if points and not self._session.dialogs.confirm(
            f"Remove {name}",
            f"{name} has {points}.",
            "They go with it, and so do its edges. Undo brings all of it back.",
            yes="Remove",
        ):
            return
        self._do(lambda poses: remove_node(poses, name))

    def _remove_selected(self) -> None:
        if self.table.selected_node is not None:
            self.remove_node(self.table.selected_node)

    def move_node(self, old: int, new: int) -> None:
        """Move a node to another number of the order."""
        names = list(self._skeleton.nodes)
        names.insert(new, names.pop(old))
        self._do(lambda poses: reorder_nodes(poses, names))

    def _move_selected(self, step: int) -> None:
        node = self.table.selected_node
        if node is not None and 0 <= node + step < len(self._skeleton):
            self.move_node(node, node + step)

    def _named(self, pairs: Iterable[tuple[int, int]]) -> list[Names]:
        return [(self._skeleton.nodes[a], self._skeleton.nodes[b]) for a, b in pairs]

    def toggle_edge(self, source: int, destination: int) -> None:
        """Add an edge, remove it if it is there, turn it round if it leads the other way."""
        edges, edge = list(self._skeleton.edges), (source, destination)
        if edge in edges:
            edges.remove(edge)
        elif edge[::-1] in edges:
            edges[edges.index(edge[::-1])] = edge
        else:
            edges.append(edge)
        self._do(lambda poses: set_edges(poses, self._named(edges)))

    def remove_edge(self, source: int, destination: int) -> None:
        """Remove an edge."""
        edges = [edge for edge in self._skeleton.edges if edge != (source, destination)]
        self._do(lambda poses: set_edges(poses, self._named(edges)))

    def toggle_pair(self, a: int, b: int) -> None:
        """Pair two nodes, or take the pair apart; other pairs of the two are dissolved."""
        is_pair = (min(a, b), max(a, b)) in self._skeleton.symmetries
        self.choose_partner(a, -1 if is_pair else b)

    def choose_partner(self, node: int, partner: int) -> None:
        """Make `partner` the mirror image of a node; -1 = none."""
        pairs = [p for p in self._skeleton.symmetries if not {node, partner} & set(p)]
        if partner >= 0:
            pairs.append((node, partner))
        if set(pairs) != set(self._skeleton.symmetries):
            self._do(lambda poses: set_symmetries(poses, self._named(pairs)))

    def pair_by_name(self) -> None:
        """Pair left with right by their names; pairs of other nodes stay."""
        found = pair_by_name(self._skeleton.nodes)
        taken = {name for pair in found for name in pair}
        kept = [p for p in self._named(self._skeleton.symmetries) if not taken & set(p)]
        self._do(lambda poses: set_symmetries(poses, [*kept, *found]))

    def replace(self, skeleton: Skeleton, title: str) -> bool:
        """Take another skeleton as one step; asks if points would be lost.

        Points of nodes with equal names stay. Return whether it was done.
        """
        poses = self.poses
        if poses is None:
            return False
        lost = {}
        for node, name in enumerate(poses.skeleton.nodes):
            points = tell_points(*count_points(poses, node))
            if name not in skeleton.nodes and points:
                lost[name] = points
        if lost and not self._session.dialogs.confirm(
            "Replace the skeleton",
            f"“{title}” does not have these nodes:\n"
            + "\n".join(f"• {name}: {points}" for name, points in lost.items()),
            "Their points go. Points of nodes with equal names stay. Undo brings all of it back.",
            yes="Replace",
        ):
            return False
        self._places.clear()
        return self._do(lambda poses: replace_skeleton(poses, skeleton, f"Take {title}"))
