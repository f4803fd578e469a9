"""A naive model of the pose table, and random edits that are compared with it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from strategies import pose_tables

from napari_animalpose.data import edits, schema_edits
from napari_animalpose.data.columns import COLUMNS
from napari_animalpose.data.history import History
from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError

__all__ = ["AB", "FRAMES", "EditsAgainstModel", "Model", "assert_same_bits"]

AB = Skeleton(("a", "b"), ((0, 1),), ((0, 1),))
FRAMES = [(video, frame) for video in range(2) for frame in range(6)]
coordinates = st.floats(-1e4, 1e4, width=32)


def same(value: float) -> object:
    """Return something equal for equal bits, NaN included."""
    return np.float32(value).tobytes() if value == value else "nan"


class Model:
    """The same table as lists of dicts, where a node and a track is its name."""

    def __init__(self, poses: Poses) -> None:
        self.nodes = list(poses.skeleton.nodes)
        self.edges = [(self.nodes[a], self.nodes[b]) for a, b in poses.skeleton.edges]
        self.tracks = list(poses.track_names)
        self.rows: dict[tuple[int, int], list[dict]] = {key: [] for key in FRAMES}
        for i in range(len(poses)):
            self.rows[int(poses.video[i]), int(poses.frame[i])].append(self.read_row(poses, i))

    def read_row(self, poses: Poses, i: int) -> dict:
        track = int(poses.track[i])
        return {
            "track": None if track < 0 else poses.track_names[track],
            "origin": int(poses.origin[i]),
            "score": same(poses.score[i]),
            "track_score": same(poses.track_score[i]),
            "points": {
                node: (
                    same(poses.xy[i, k, 0]),
                    same(poses.xy[i, k, 1]),
                    int(poses.visibility[i, k]),
                    same(poses.point_score[i, k]),
                )
                for k, node in enumerate(poses.skeleton.nodes)
            },
        }

    def assert_equals(self, poses: Poses) -> None:
        assert list(poses.skeleton.nodes) == self.nodes
        assert [(self.nodes[a], self.nodes[b]) for a, b in poses.skeleton.edges] == self.edges
        assert list(poses.track_names) == self.tracks
        assert len(poses) == sum(map(len, self.rows.values()))
        for key, expected in self.rows.items():
            rows = poses.at(*key)
            assert [self.read_row(rows, i) for i in range(len(rows))] == expected
        filled = [list(key) for key, rows in sorted(self.rows.items()) if rows]
        assert poses.frame_keys().tolist() == filled


class EditsAgainstModel(RuleBasedStateMachine):
    """Random edits, undos and redos; searches are compared before columns are merged."""

    @initialize(poses=pose_tables(AB, max_rows=10))
    def start(self, poses):
        self.poses, self.history, self.model = poses, History(poses), Model(poses)
        self.past, self.future = [], []
        self.first = copy.deepcopy(poses)

    def begin(self) -> None:
        self.past.append(copy.deepcopy(self.model))
        self.future.clear()

    def draw_instance(self, data):
        filled = [key for key in FRAMES if self.model.rows[key]]
        key = data.draw(st.sampled_from(filled))
        return key, data.draw(st.integers(0, len(self.model.rows[key]) - 1))

    def has_rows(self):
        return any(self.model.rows.values())

    def has_points(self):
        return self.has_rows() and bool(self.model.nodes)

    def correct(self, row):
        row["origin"] = row["origin"] and Origin.CORRECTED

    @precondition(has_points)
    @rule(data=st.data(), x=coordinates, y=coordinates)
    def move(self, data, x, y):
        key, position = self.draw_instance(data)
        node = data.draw(st.integers(0, len(self.model.nodes) - 1))
        self.begin()
        row = self.model.rows[key][position]
        old = row["points"][self.model.nodes[node]]
        row["points"][self.model.nodes[node]] = (same(x), same(y), old[2] or 2, "nan")
        self.correct(row)
        self.history.do(edits.move_points(self.poses, [[*key, position, node]], [[x, y]]))

    @precondition(has_points)
    @rule(data=st.data(), visibility=st.sampled_from(Visibility))
    def see(self, data, visibility):
        key, position = self.draw_instance(data)
        node = data.draw(st.integers(0, len(self.model.nodes) - 1))
        row = self.model.rows[key][position]
        x, y, old, score = row["points"][self.model.nodes[node]]
        address = [[*key, position, node]]
        if visibility and not old:
            with pytest.raises(DataError, match="Place it first"):
                edits.set_visibility(self.poses, address, visibility)
            return
        self.begin()
        new = (x, y, int(visibility), score) if visibility else ("nan", "nan", 0, "nan")
        row["points"][self.model.nodes[node]] = new
        self.correct(row)
        self.history.do(edits.set_visibility(self.poses, address, visibility))

    @rule(data=st.data())
    def add(self, data):
        block = data.draw(pose_tables(self.poses.skeleton, max_rows=3))
        if not len(block):
            return
        self.begin()
        added = Model(block)
        self.model.tracks += [name for name in block.track_names if name not in self.model.tracks]
        for key in FRAMES:
            self.model.rows[key] += added.rows[key]
        self.history.do(edits.add_instances(self.poses, block))

    @precondition(has_rows)
    @rule(data=st.data())
    def delete(self, data):
        chosen = {self.draw_instance(data) for _ in range(data.draw(st.integers(1, 3)))}
        self.begin()
        for key, position in sorted(chosen, reverse=True):
            del self.model.rows[key][position]
        addresses = [[*key, position] for key, position in chosen]
        self.history.do(edits.delete_instances(self.poses, addresses))

    @precondition(has_rows)
    @rule(data=st.data(), goal=st.sampled_from(FRAMES))
    def duplicate(self, data, goal):
        key, position = self.draw_instance(data)
        row = copy.deepcopy(self.model.rows[key][position])
        self.begin()
        if row["track"] in {other["track"] for other in self.model.rows[goal]}:
            row["track"] = None
        row |= {"origin": Origin.USER, "score": "nan", "track_score": "nan"}
        row["points"] = {node: (*values[:3], "nan") for node, values in row["points"].items()}
        self.model.rows[goal].append(row)
        self.history.do(edits.duplicate_instances(self.poses, [[*key, position]], goal))

    @precondition(has_rows)
    @rule(data=st.data(), name=st.sampled_from([None, "a", "b", "new"]))
    def track(self, data, name):
        key, position = self.draw_instance(data)
        self.begin()
        rows = self.model.rows[key]
        if name is not None:
            if name not in self.model.tracks:
                self.model.tracks.append(name)
            old = rows[position]["track"]
            for row in rows:
                row["track"] = old if row["track"] == name else row["track"]
        rows[position] |= {"track": name, "track_score": "nan"}
        self.history.do(edits.set_track(self.poses, [[*key, position]], name))

    @precondition(lambda self: len(self.model.tracks) > 1)
    @rule(data=st.data(), video=st.integers(0, 1), first=st.integers(0, 5), last=st.integers(0, 5))
    def swap(self, data, video, first, last):
        a, b = data.draw(st.permutations(self.model.tracks))[:2]
        edit = edits.swap_tracks(self.poses, video, first, last, a, b)
        if len(edit.touched):
            self.begin()
        for frame in range(first, last + 1):
            for row in self.model.rows[video, frame]:
                row["track"] = {a: b, b: a}.get(row["track"], row["track"])
        self.history.do(edit)

    @precondition(has_rows)
    @rule(data=st.data())
    def accept(self, data):
        key, position = self.draw_instance(data)
        self.begin()
        self.correct(self.model.rows[key][position])
        self.history.do(edits.accept_predictions(self.poses, [[*key, position]]))

    @rule(data=st.data(), frames=st.sets(st.sampled_from(FRAMES), min_size=1))
    def replace(self, data, frames):
        drawn = data.draw(pose_tables(self.poses.skeleton, max_rows=4))
        inside = [(int(v), int(f)) in frames for v, f in zip(drawn.video, drawn.frame, strict=True)]
        block = drawn.select(np.array(inside, bool))
        self.begin()
        self.model.tracks += [name for name in block.track_names if name not in self.model.tracks]
        new = Model(block)
        for key in frames:
            self.model.rows[key] = new.rows[key]
        self.history.do(edits.replace_frames(self.poses, list(frames), block))

    @precondition(lambda self: len(self.model.nodes) < 4)
    @rule(data=st.data(), name=st.sampled_from("abcdefg"))
    def add_node(self, data, name):
        position = data.draw(st.integers(0, len(self.model.nodes)))
        if name in self.model.nodes:
            with pytest.raises(DataError, match="more than once"):
                schema_edits.add_node(self.poses, name, position)
            return
        self.begin()
        self.model.nodes.insert(position, name)
        for row in (row for rows in self.model.rows.values() for row in rows):
            row["points"][name] = ("nan", "nan", 0, "nan")
        self.history.do(schema_edits.add_node(self.poses, name, position))

    @precondition(lambda self: self.model.nodes)
    @rule(data=st.data())
    def remove_node(self, data):
        name = data.draw(st.sampled_from(self.model.nodes))
        self.begin()
        self.model.nodes.remove(name)
        self.model.edges = [edge for edge in self.model.edges if name not in edge]
        for key, rows in self.model.rows.items():
            had = [[node for node, point in row["points"].items() if point[2]] for row in rows]
            self.model.rows[key] = [
                row for row, nodes in zip(rows, had, strict=True) if nodes != [name]
            ]
        for row in (row for rows in self.model.rows.values() for row in rows):
            del row["points"][name]
        self.history.do(schema_edits.remove_node(self.poses, name))

    @rule(data=st.data())
    def reorder_nodes(self, data):
        names = data.draw(st.permutations(self.model.nodes))
        self.begin()
        self.model.nodes = list(names)
        self.history.do(schema_edits.reorder_nodes(self.poses, names))

    @precondition(lambda self: len(self.model.nodes) > 1)
    @rule(data=st.data())
    def set_edges(self, data):
        pairs = st.permutations(self.model.nodes).map(lambda nodes: (nodes[0], nodes[1]))
        edges = data.draw(st.lists(pairs, unique=True, max_size=3))
        self.begin()
        self.model.edges = edges
        self.history.do(schema_edits.set_edges(self.poses, edges))

    @precondition(lambda self: self.model.tracks)
    @rule(data=st.data())
    def remove_track(self, data):
        name = data.draw(st.sampled_from(self.model.tracks))
        self.begin()
        self.model.tracks.remove(name)
        for row in (row for rows in self.model.rows.values() for row in rows):
            row["track"] = None if row["track"] == name else row["track"]
        self.history.do(schema_edits.remove_track(self.poses, name))

    @rule(data=st.data())
    def replace_table(self, data):
        after = data.draw(pose_tables(AB))
        self.begin()
        self.model = Model(after)
        self.history.do(edits.replace_table(self.poses, after))

    @precondition(lambda self: self.past)
    @rule()
    def undo(self):
        self.future.append(copy.deepcopy(self.model))
        self.model = self.past.pop()
        self.history.undo()

    @precondition(lambda self: self.future)
    @rule()
    def redo(self):
        self.past.append(copy.deepcopy(self.model))
        self.model = self.future.pop()
        self.history.redo()

    @rule()
    def merge_columns(self):
        """Ask for a whole column, so that later edits meet merged and unmerged tables."""
        assert len(self.poses.xy) == len(self.poses)

    @rule(first=st.integers(0, 5), last=st.integers(0, 5), video=st.integers(0, 1))
    def search(self, first, last, video):
        expected = [row for f in range(first, last + 1) for row in self.model.rows[video, f]]
        found = self.poses.between(video, first, last)
        assert [self.model.read_row(found, i) for i in range(len(found))] == expected

    @invariant()
    def equals_model(self):
        if hasattr(self, "model"):
            self.model.assert_equals(self.poses)
            assert self.history.can_undo == bool(self.past)
            assert self.history.can_redo == bool(self.future)

    def teardown(self):
        if not hasattr(self, "model"):
            return
        while self.history.can_redo:
            self.history.redo()
        last = copy.deepcopy(self.poses)
        while self.history.can_undo:
            self.history.undo()
        assert_same_bits(self.poses, self.first)
        while self.history.can_redo:
            self.history.redo()
        assert_same_bits(self.poses, last)


def assert_same_bits(a: Poses, b: Poses) -> None:
    assert a == b
    for name in COLUMNS:
        column, other = a.column(name), b.column(name)
        if column.dtype.kind == "f":  # signed zero differs, one NaN is like another
            np.testing.assert_array_equal(
                np.signbit(column) & ~np.isnan(column), np.signbit(other) & ~np.isnan(other)
            )
