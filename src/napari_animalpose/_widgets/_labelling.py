"""Labelling: what clicks, keys and the wheel do to the instances of the frame in view.

Points are placed by clicking, in the order of the skeleton, while the Points layer is in
its own mode for adding. Everything here ends in an edit of the session, so that it can be
undone; nothing here is kept but which animal is being placed and what was copied.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_animalpose._layers import yx_to_xy
from napari_animalpose._widgets._canvas import PointsChange
from napari_animalpose._widgets._session import Session
from napari_animalpose.data.edit_kinds import Edit
from napari_animalpose.data.edit_sequence import chain_edits
from napari_animalpose.data.edits import (
    accept_predictions,
    delete_instances,
    move_points,
    paste_instances,
    set_track,
    set_visibility,
)
from napari_animalpose.data.identity_edits import swap_from
from napari_animalpose.data.instance_edits import (
    add_shape,
    exchange_sides,
    nearest_instance,
    transform_points,
)
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.data.skeleton_layout import arrange_nodes, mean_pose

__all__ = ["Labelling", "get_labelling"]

_LABELLING: weakref.WeakKeyDictionary[Session, Labelling] = weakref.WeakKeyDictionary()


def get_labelling(session: Session) -> Labelling:
    """Return what labels in a session, made on first use."""
    if session not in _LABELLING:
        _LABELLING[session] = Labelling(session)
    return _LABELLING[session]


class _Finished(NamedTuple):
    """The animal that was placed last, and its last point."""

    position: int
    node: int
    n_animals: int  # in the frame then
    skipped: frozenset[int]


class Labelling(QObject):
    """Places, changes and copies instances of the frame in view.

    Signals
    -------
    next_changed
        Another node is to be placed next, or placing began or ended.
    """

    next_changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._clipboard: Poses | None = None
        self._active: int | None = None  # position of the animal that is being placed
        self._n_animals = 0  # in the frame, for which that position holds
        self._skipped: set[int] = set()
        self._finished: _Finished | None = None
        canvas = session.canvas
        canvas.points_changed.connect(self._on_points)
        canvas.wheel_turned.connect(self._on_wheel)
        canvas.double_click_handlers.append(self._accept_at)
        session.frame_changed.connect(self._on_frame)
        session.document_changed.connect(self._on_document)
        session.edited.connect(self._on_edited)
        self._on_document()

    @property
    def session(self) -> Session:
        """The session whose frame is labelled."""
        return self._session

    # ------------------------------------------------------------------------------ placing
    @property
    def is_placing(self) -> bool:
        """Whether a click places a point."""
        points = self._session.canvas.points
        return points is not None and points.mode == "add"

    @property
    def next_node(self) -> int | None:
        """Node that the next click places; None if the skeleton has no nodes."""
        document = self._session.document
        if document is None or not len(document.skeleton):
            return None
        left = self._left_of(self._active)
        return left[0] if left else 0

    @property
    def active(self) -> int | None:
        """Position of the animal that is being placed; None = the next click begins one."""
        return self._active

    def place_points(self) -> None:
        """Begin or end placing points by clicks; goes on with the selected animal."""
        points = self._session.canvas.points
        if points is None:
            return
        if self.is_placing:
            points.mode = "select"
        else:
            self._choose_active()
            points.mode = "add"
        self.next_changed.emit()

    def new_animal(self) -> None:
        """Have the next click place the first node of another animal."""
        points = self._session.canvas.points
        if points is not None:
            self._begin_anew()
            self._session.select(())
            points.mode = "add"
            self.next_changed.emit()

    def skip_node(self) -> None:
        """Leave the next node missing and go on with the one after it."""
        node = self.next_node
        if node is None or not self.is_placing:
            return
        self._skipped.add(node)
        if not self._left_of(self._active):
            self._begin_anew()
        self.next_changed.emit()

    def _choose_active(self) -> None:
        """Go on with the selected animal if it lacks points, else with a new one."""
        self._begin_anew()
        chosen = self._session.selected_instances
        if len(chosen) == 1 and self._left_of(chosen[0]):
            self._active, self._n_animals = chosen[0], len(self._session.rows)

    def _left_of(self, position: int | None) -> list[int]:
        """Nodes of an animal that are missing and not skipped, in order."""
        session = self._session
        if session.document is None:
            return []
        nodes = range(len(session.document.skeleton))
        rows = session.rows
        if position is None or position >= len(rows):
            return [node for node in nodes if node not in self._skipped]
        missing = rows.visibility[position] == Visibility.MISSING
        return [node for node in nodes if missing[node] and node not in self._skipped]

    def _place(self, video: int, frame: int, xy: NDArray[np.float32]) -> None:
        session, node = self._session, self.next_node
        if session.document is None or (video, frame) != (session.video, session.frame):
            return
        if node is None:
            session.refresh()
            session.show_error(
                "Expected a skeleton before points are placed; received none. Choose or make "
                "one in the dock Skeleton."
            )
            session.open_dock("skeleton")
            return
        poses = session.document.poses
        active = self._active
        if active is None:
            active = len(session.rows)
            self._active, self._n_animals = active, active + 1
            shape = np.full((poses.n_nodes, 2), np.nan, np.float32)
            shape[node] = xy
            session.do(add_shape(poses, video, frame, shape))
        else:
            session.do(move_points(poses, [(video, frame, active, node)], [xy]))
        session.select([(active, node)])
        if not self._left_of(active):
            session.viewer.status = "The animal is complete: the next click begins another one."
            self._finished = _Finished(active, node, len(session.rows), frozenset(self._skipped))
            self._begin_anew()
        self.next_changed.emit()

    def _begin_anew(self) -> None:
        self._active, self._skipped = None, set()
        self.next_changed.emit()

    def _on_frame(self, video: int, frame: int) -> None:
        self._finished = None
        if self._active is not None or self._skipped:
            self._begin_anew()

    def _on_document(self) -> None:
        self._clipboard, self._finished = None, None
        if self.is_placing:
            self.place_points()
        self._begin_anew()

    def _on_edited(self, change: Any) -> None:
        session = self._session
        n_animals = 0 if session.document is None else len(session.rows)
        if self._active is not None and n_animals != self._n_animals:
            self._begin_anew()  # the position may be that of another animal now
        if self._active is None and self._is_reopened(n_animals):
            assert self._finished is not None
            self._active, self._n_animals = self._finished.position, n_animals
            self._skipped = set(self._finished.skipped)
        self.next_changed.emit()

    def _is_reopened(self, n_animals: int) -> bool:
        """Whether the last point of the animal placed last was undone: to be placed again."""
        last = self._finished
        if last is None or last.n_animals != n_animals:
            return False
        return bool(self._session.rows.visibility[last.position, last.node] == Visibility.MISSING)

    # ----------------------------------------------------------- what was done in the layer
    def _on_points(self, change: PointsChange) -> None:
        session = self._session
        if session.document is None:
            return
        xy = yx_to_xy(change.yx)
        if change.action == "added":
            for point in xy:
                self._place(change.video, change.frame, point)
        elif change.action == "moved":
            address = self._addresses(change.address, (change.video, change.frame))
            session.do(move_points(session.document.poses, address, xy))
        else:
            self._remove(change.address, (change.video, change.frame))

    def _remove(self, points: NDArray[np.intp], where: tuple[int, int]) -> None:
        """Make points missing; an animal that has lost all of them is deleted."""
        session = self._session
        assert session.document is not None
        poses = session.document.poses
        rows = poses.at(*where)
        present = rows.visibility != Visibility.MISSING
        for position, node in points:
            present[position, node] = False
        touched = sorted({int(position) for position, _ in points})
        empty = [position for position in touched if not present[position].any()]
        kept = [(p, n) for p, n in points.tolist() if p not in empty]
        builders = []
        if kept:
            address = self._addresses(kept, where)
            builders.append(lambda table: set_visibility(table, address, Visibility.MISSING))
        if empty:
            gone = [(*where, position) for position in empty]
            builders.append(lambda table: delete_instances(table, gone))
        if builders:
            label = "Delete animal" if empty and not kept else "Delete points"
            session.do(_one_or_chain(poses, label, builders))

    def _addresses(
        self, points: Sequence[tuple[int, int]] | NDArray[np.intp], where: tuple[int, int]
    ) -> NDArray[np.int64]:
        """Return (video, frame, position, node) of points given as (position, node)."""
        pairs = np.asarray(points, np.int64).reshape(-1, 2)
        return np.column_stack([np.broadcast_to(where, (len(pairs), 2)), pairs])

    # --------------------------------------------------------------------- whole instances
    @property
    def _here(self) -> tuple[int, int]:
        return self._session.video, self._session.frame

    def _chosen(self) -> list[int]:
        """Return the selected instances; without any, all of the frame."""
        return self._session.selected_instances or list(range(len(self._session.rows)))

    def _instances(self, positions: Sequence[int]) -> NDArray[np.int64]:
        return np.array([(*self._here, position) for position in positions], np.int64)

    def select_whole(self) -> None:
        """Select all points of the selected animals, or of the one under the cursor."""
        chosen = self._session.selected_instances
        if not chosen:
            near = nearest_instance(self._session.rows, self.cursor_xy)
            chosen = [] if near is None else [near]
        rows = self._session.rows
        there = np.argwhere(rows.visibility != Visibility.MISSING)
        self._session.select((p, n) for p, n in there.tolist() if p in chosen)

    @property
    def cursor_xy(self) -> NDArray[np.float64]:
        """(x, y) of the cursor in px of the picture."""
        position = np.asarray(self._session.viewer.cursor.position, np.float64)
        return position[-2:][::-1]

    def delete_animals(self) -> None:
        """Delete the selected animals."""
        chosen = self._session.selected_instances
        if chosen and self._session.document is not None:
            poses = self._session.document.poses
            self._session.do(delete_instances(poses, self._instances(chosen)))

    def transform(self, *, degrees: float = 0.0, scale: float = 1.0) -> None:
        """Turn or scale the selected animals, each about its own middle."""
        session = self._session
        if session.document is None:
            return
        points = session.selected_points
        for position in session.selected_instances:
            nodes = [node for p, node in points if p == position]
            if len(nodes) < 2:  # one point selected means its animal
                nodes = list(range(len(session.document.skeleton)))
            address = self._addresses([(position, node) for node in nodes], self._here)
            key = ("transform", self._here, position, tuple(nodes), degrees != 0)
            session.do(
                transform_points(
                    session.document.poses, address, degrees=degrees, scale=scale, merge_key=key
                )
            )

    def _on_wheel(self, steps: float, scales: bool) -> None:
        if scales:
            self.transform(scale=1.05**steps)
        else:
            self.transform(degrees=5.0 * steps)

    def nudge(self, dx: float, dy: float) -> None:
        """Move the selected points by so many steps of the preferred size."""
        session = self._session
        if session.document is None or not session.selected_points:
            return
        step = session.settings.nudge_px
        address = self._addresses(session.selected_points, self._here)
        key = ("nudge", self._here, tuple(session.selected_points))
        session.do(
            transform_points(
                session.document.poses, address, shift=(dx * step, dy * step), merge_key=key
            )
        )

    def exchange_sides(self) -> None:
        """Exchange left and right of the selected animals."""
        session = self._session
        if session.document is None:
            return
        if not session.document.skeleton.symmetries:
            session.show_error(
                "Expected a skeleton with symmetric pairs; received none. Make pairs in the dock "
                "Skeleton."
            )
            return
        for position in session.selected_instances:
            session.do(exchange_sides(session.document.poses, *self._here, position))

    def toggle_occluded(self) -> None:
        """Mark the selected points as labelled but not seen, or as seen again."""
        session = self._session
        points = session.selected_points
        if session.document is None or not points:
            return
        seen = [session.rows.visibility[p, n] == Visibility.VISIBLE for p, n in points]
        target = Visibility.OCCLUDED if any(seen) else Visibility.VISIBLE
        address = self._addresses(points, self._here)
        session.do(set_visibility(session.document.poses, address, target))

    def mark_missing(self) -> None:
        """Take the selected points away: they are not in the picture."""
        if self._session.document is not None and self._session.selected_points:
            self._remove(np.array(self._session.selected_points, np.intp), self._here)

    # -------------------------------------------------------------------------- predictions
    def accept(self) -> None:
        """Make labels of the selected predictions, or of all in the frame."""
        self._accept(self._chosen())

    def accept_all(self) -> None:
        """Make labels of all predictions in the frame."""
        self._accept(range(len(self._session.rows)))

    def _accept_at(self, position: int, node: int) -> bool:
        return self._accept([position])

    def _accept(self, positions: Sequence[int]) -> bool:
        session = self._session
        if session.document is None:
            return False
        predicted = [p for p in positions if not session.rows.is_label[p]]
        if not predicted:
            return False
        return session.do(accept_predictions(session.document.poses, self._instances(predicted)))

    def mark_empty(self) -> None:
        """Mark the frame as empty on purpose, or take the mark back."""
        session = self._session
        document = session.document
        if document is None:
            return
        marked = (document.negative_frames == self._here).all(axis=1).any()
        if not marked and session.rows.is_label.any():
            session.show_error(
                "Expected a frame without labels to mark as empty; received one with labels. "
                "Delete its animals first."
            )
            return
        session.do(document.mark_empty(np.array([self._here]), empty=not marked))

    # --------------------------------------------------------------------- copies, templates
    def copy(self) -> None:
        """Copy the selected animals, or all of the frame."""
        chosen = self._chosen()
        if chosen:
            self._clipboard = self._session.rows.select(chosen).copy()
            n = len(chosen)
            self._session.viewer.status = f"Copied {n} animal{'s' if n > 1 else ''}."

    def paste(self) -> None:
        """Add what was copied to this frame, beside its origin if that is here."""
        session, block = self._session, self._clipboard
        if session.document is None or block is None or not len(block):
            return
        poses = session.document.poses
        if block.skeleton.nodes != poses.skeleton.nodes:
            session.show_error(
                "Expected copied animals with the nodes of the skeleton; received others, because "
                "the skeleton has changed. Copy again."
            )
            return
        same = (int(block.video[0]), int(block.frame[0])) == self._here
        offset = (2 * session.canvas.style.point_px,) * 2 if same else (0.0, 0.0)
        first = len(session.rows)
        if session.do(paste_instances(poses, block, *self._here, offset=offset)):
            self._select_from(first)

    def copy_previous(self) -> None:
        """Copy all animals of the last frame before this one that has any."""
        session = self._session
        if session.document is None:
            return
        block = self._previous_rows()
        if block is None:
            session.show_error(
                "Expected an earlier frame with animals to copy; received none in this video."
            )
            return
        first = len(session.rows)
        edit = paste_instances(
            session.document.poses, block, *self._here, label="Copy previous frame"
        )
        if session.do(edit):
            self._select_from(first)

    def _select_from(self, first: int) -> None:
        """Select all points of the instances from a position on."""
        there = np.argwhere(self._session.rows.visibility != Visibility.MISSING)
        self._session.select((p, n) for p, n in there.tolist() if p >= first)

    def _previous_rows(self) -> Poses | None:
        session = self._session
        assert session.document is not None
        poses, reach = session.document.poses, 1
        while True:  # look back in growing steps, not at everything
            first = max(0, session.frame - reach)
            block = poses.between(session.video, first, session.frame - 1)
            if len(block):
                return poses.at(session.video, int(block.frame[-1])).copy()
            if not first:
                return None
            reach *= 4

    def animal_from_template(self) -> None:
        """Add a whole animal at the cursor, from the template of the preferences, to be dragged."""
        session = self._session
        document = session.document
        if document is None:
            return
        if not len(document.skeleton):
            self._place(*self._here, np.zeros(2, np.float32))  # says what is missing
            return
        kind, cursor = session.settings.template, self.cursor_xy
        if kind == "prediction" and self._accept_nearest(cursor):
            return
        shape = self._previous_shape(cursor) if kind == "previous frame" else None
        if shape is None:
            shape = self._mean_shape()
        first = len(session.rows)
        poses = document.poses
        placed = shape + (cursor - np.nanmean(shape, axis=0))
        if session.do(add_shape(poses, *self._here, placed)):
            self._select_from(first)
            if session.canvas.points is not None:
                session.canvas.points.mode = "select"

    def _accept_nearest(self, xy: NDArray[np.float64]) -> bool:
        rows = self._session.rows
        predicted = np.flatnonzero(~rows.is_label)
        near = nearest_instance(rows.select(predicted), xy)
        if near is None:
            return False
        position = int(predicted[near])
        done = self._accept([position])
        self._session.select_instance(position)
        return done

    def _previous_shape(self, xy: NDArray[np.float64]) -> NDArray[np.float64] | None:
        block = self._previous_rows()
        near = None if block is None else nearest_instance(block, xy)
        if block is None or near is None:
            return None
        return np.asarray(block.xy[near], np.float64)

    def _mean_shape(self) -> NDArray[np.float64]:
        """Return the mean shape of the labels, or a drawing of the skeleton, (K, 2) px."""
        session = self._session
        assert session.document is not None
        poses = session.document.poses
        shape = mean_pose(poses) if len(poses) else np.full((poses.n_nodes, 2), np.nan)
        drawn = arrange_nodes(poses.skeleton)
        size = session.animal_px
        drawn = (drawn - drawn.mean(axis=0)) * size
        return np.where(np.isfinite(shape).all(axis=1, keepdims=True), shape, drawn)

    # ---------------------------------------------------------------------------- identities
    def assign_track(self, name: str | None) -> None:
        """Give the selected animal a track, made if it is new; None takes it away."""
        session = self._session
        chosen = session.selected_instances
        if session.document is not None and chosen:
            session.do(set_track(session.document.poses, self._instances(chosen), name))

    def next_track(self) -> None:
        """Give the selected animal the track after its own; after the last, none."""
        session = self._session
        chosen = session.selected_instances
        if session.document is None or len(chosen) != 1:
            return
        names = session.document.poses.track_names
        number = int(session.rows.track[chosen[0]]) + 1
        self.assign_track(names[number] if number < len(names) else None)

    def new_track(self) -> None:
        """Give the selected animal a track of its own."""
        session = self._session
        if session.document is None or len(session.selected_instances) != 1:
            return
        taken, number = set(session.document.poses.track_names), 1
        while f"animal {number}" in taken:
            number += 1
        self.assign_track(f"animal {number}")

    def swap_tracks(self) -> None:
        """Swap the identities of two animals from this frame on: the selected, or the only two."""
        session = self._session
        if session.document is None:
            return
        rows = session.rows
        named = [p for p in range(len(rows)) if rows.track[p] >= 0]
        chosen = [p for p in session.selected_instances if p in named]
        pair = chosen if len(chosen) == 2 else named
        if len(pair) != 2:
            session.show_error(
                f"Expected two animals with tracks to swap; received {len(pair)}. Select a point "
                "of each."
            )
            return
        a, b = (rows.track_names[int(rows.track[position])] for position in pair)
        session.do(swap_from(session.document.poses, *self._here, a, b))


def _one_or_chain(poses: Poses, label: str, builders: Sequence[Any]) -> Edit:
    if len(builders) > 1:
        return chain_edits(poses, label, builders)
    edit: Edit = replace(builders[0](poses), label=label)
    return edit
