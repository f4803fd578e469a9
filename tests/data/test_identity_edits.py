"""Edits of identities against a naive model, and where two tracks change places."""

from __future__ import annotations

import numpy as np
import pytest
from edit_machine import AB, FRAMES, EditsAgainstModel
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from strategies import pose_tables

from napari_animalpose.data import edits, identity_edits, selection
from napari_animalpose.data.edit_sequence import EditSequence, chain_edits
from napari_animalpose.data.history import History
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.selection import FrameRange
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError

A = Skeleton(("a",))


class IdentityEditsAgainstModel(EditsAgainstModel):
    """All edits of the base class, mixed with those of identities and of selections."""

    def draw_tracks(self, data):
        return data.draw(st.permutations(self.model.tracks))[:2]

    def has_two_tracks(self):
        return len(self.model.tracks) > 1

    def has_track(self):
        return bool(self.model.tracks)

    def range_of(self, data):
        if data.draw(st.booleans()):
            return None, FRAMES
        video, first, last = data.draw(st.tuples(*(st.integers(0, n) for n in (1, 5, 5))))
        first, last = sorted((first, last))
        keys = [key for key in FRAMES if key[0] == video and first <= key[1] <= last]
        return FrameRange(video, first, last), keys

    def exchange(self, keys, a, b):
        for row in (row for key in keys for row in self.model.rows[key]):
            row["track"] = {a: b, b: a}.get(row["track"], row["track"])

    def do(self, edit):
        self.history.do(edit)

    @precondition(has_two_tracks)
    @rule(data=st.data(), key=st.sampled_from(FRAMES), until_next=st.booleans())
    def swap_on(self, data, key, until_next):
        a, b = self.draw_tracks(data)
        video, frame = key
        stop = identity_edits.find_next_swap(self.poses, video, frame, a, b)
        build = identity_edits.swap_until_next if until_next else identity_edits.swap_from
        edit = build(self.poses, video, frame, a, b)
        if len(edit.touched):
            self.begin()
        last = 5 if stop is None or not until_next else stop - 1
        self.exchange([(video, number) for number in range(frame, last + 1)], a, b)
        self.do(edit)

    @precondition(has_track)
    @rule(data=st.data(), goal=st.sampled_from(["a", "b", "new"]))
    def assign(self, data, goal):
        source = data.draw(st.sampled_from(self.model.tracks))
        within, keys = self.range_of(data)
        counts = [sum(row["track"] == source for row in self.model.rows[key]) for key in keys]
        if source == goal or max(counts) > 1:
            with pytest.raises(DataError, match=r"two different|one instance a frame"):
                identity_edits.assign_track(self.poses, source, goal, within)
            return
        if max(counts):
            self.begin()
            if goal not in self.model.tracks:
                self.model.tracks.append(goal)
        for key in (key for key, count in zip(keys, counts, strict=True) if count):
            for row in self.model.rows[key]:
                if row["track"] == source:
                    row["track_score"] = "nan"
            self.exchange([key], source, goal)
        self.do(identity_edits.assign_track(self.poses, source, goal, within))

    @precondition(has_two_tracks)
    @rule(data=st.data(), on_conflict=st.sampled_from(["refuse", "unassign", "delete"]))
    def merge(self, data, on_conflict):
        source, target = self.draw_tracks(data)
        losers = {}
        for key, rows in self.model.rows.items():
            mine = [i for i, row in enumerate(rows) if row["track"] in (source, target)]
            mine.sort(key=lambda i, rows=rows: self.quality(rows[i], target), reverse=True)
            losers[key] = mine[1:]
        if any(losers.values()) and on_conflict == "refuse":
            with pytest.raises(DataError, match="never in one frame"):
                identity_edits.merge_tracks(self.poses, source, target)
            return
        self.begin()
        for key, rows in self.model.rows.items():
            for i in sorted(losers[key], reverse=True):
                if on_conflict == "delete":
                    del rows[i]
                else:
                    rows[i] |= {"track": None, "track_score": "nan"}
            for row in rows:
                row["track"] = target if row["track"] == source else row["track"]
        self.model.tracks.remove(source)
        self.do(identity_edits.merge_tracks(self.poses, source, target, on_conflict))

    def quality(self, row, target):
        score = -np.inf if row["score"] == "nan" else np.frombuffer(row["score"], np.float32)[0]
        n_points = sum(values[2] > 0 for values in row["points"].values())
        return (row["origin"] != Origin.PREDICTED, score, n_points, row["track"] == target)

    @precondition(has_track)
    @rule(data=st.data(), key=st.sampled_from(FRAMES))
    def split(self, data, key):
        name = data.draw(st.sampled_from(self.model.tracks))
        video, frame = key
        mine = [
            (key, row) for key, rows in self.model.rows.items() for row in rows
            if row["track"] == name
        ]  # fmt: skip
        later = [(key, row) for key, row in mine if key[0] == video and key[1] >= frame]
        twice = len({key for key, _ in later}) < len(later)
        if not 0 < len(later) < len(mine) or twice or "z" in self.model.tracks:
            with pytest.raises(DataError):
                identity_edits.split_track(self.poses, name, video, frame, "z")
            return
        self.begin()
        self.model.tracks.append("z")
        for _, row in later:
            row |= {"track": "z", "track_score": "nan"}
        self.do(identity_edits.split_track(self.poses, name, video, frame, "z"))

    @precondition(has_track)
    @rule(data=st.data())
    def delete_track(self, data):
        name = data.draw(st.sampled_from(self.model.tracks))
        self.begin()
        for key, rows in self.model.rows.items():
            self.model.rows[key] = [row for row in rows if row["track"] != name]
        self.model.tracks.remove(name)
        self.do(identity_edits.delete_track(self.poses, name))

    @rule()
    def remove_unused(self):
        self.begin()
        used = {row["track"] for rows in self.model.rows.values() for row in rows}
        self.model.tracks = [name for name in self.model.tracks if name in used]
        self.do(identity_edits.remove_unused_tracks(self.poses))

    @rule(
        data=st.data(),
        kind=st.sampled_from(["range", "score", "points", "count", "labelled", "area"]),
        accept=st.booleans(),
    )
    def delete_or_accept_selected(self, data, kind, accept):
        within, keys = self.range_of(data)
        poses = self.poses
        if kind == "range":
            chosen = selection.select_predictions(poses, within)
        elif kind == "score":
            chosen = selection.select_low_score(poses, 0.5, within)
        elif kind == "points":
            chosen = selection.select_few_points(poses, min(2, poses.n_nodes), within)
        elif kind == "count":
            chosen = selection.select_beyond_count(poses, 1, within)
        elif kind == "labelled":
            chosen = selection.select_on_labelled_frames(poses, within)
        else:
            chosen = selection.select_in_area(poses, [[0, 0], [1e5, 1e5]], within, points="any")
        addresses = [(tuple(address[:2]), address[2]) for address in chosen.tolist()]
        assert all(key in keys for key, _ in addresses)
        if addresses:
            self.begin()
        for key, position in reversed(addresses):
            row = self.model.rows[key][position]
            assert row["origin"] == Origin.PREDICTED
            if accept:
                self.correct(row)
            else:
                del self.model.rows[key][position]
        build = edits.accept_predictions if accept else edits.delete_instances
        self.do(build(poses, chosen))


TestIdentityEditsAgainstModel = IdentityEditsAgainstModel.TestCase
TestIdentityEditsAgainstModel.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None
)


# ------------------------------------------------------------------- where tracks swap
def two_animals(n_frames: int, swaps: list[int], gap: range = range(0)) -> Poses:
    """One walks along y = 0, the other along y = 100; in `gap` the second is not seen.

    From each frame of `swaps` on, the names change places.
    """
    frame, track = np.divmod(np.arange(2 * n_frames), 2)
    xy = np.stack([frame * 1.0, np.where(track == 0, 0.0, 100.0)], axis=1)[:, None]
    seen = (track == 0) | ~np.isin(frame, gap)
    turned = np.searchsorted(swaps, frame, side="right") % 2
    return Poses.from_arrays(
        A, frame=frame[seen], xy=xy[seen], track=(track ^ turned)[seen], track_names=["p", "q"]
    )


@given(
    st.lists(st.integers(1, 59), unique=True, max_size=4).map(sorted),
    st.integers(0, 59),
)
def test_the_next_swap_is_found_from_every_frame(swaps, start):
    poses = two_animals(60, swaps)
    later = [frame for frame in swaps if frame > start]
    assert identity_edits.find_next_swap(poses, 0, start, "p", "q") == (later or [None])[0]


@given(st.lists(st.integers(1, 59), unique=True, min_size=1, max_size=5).map(sorted))
def test_swapping_each_wrong_stretch_until_the_next_swap_repairs_all(swaps):
    poses = two_animals(60, swaps)
    for start in swaps[::2]:
        identity_edits.swap_until_next(poses, 0, start, "p", "q").apply(poses)
    assert poses == two_animals(60, [])


def test_a_swap_hidden_in_a_gap_is_found_where_both_are_back():
    poses = two_animals(60, [25], gap=range(20, 30))
    # the first animal carries the second one's name from 25 on, alone: seen at once
    assert identity_edits.find_next_swap(poses, 0, 0, "p", "q") == 25


def test_a_track_that_ends_is_no_swap():
    poses = two_animals(60, [], gap=range(20, 60))
    assert identity_edits.find_next_swap(poses, 0, 0, "p", "q") is None
    edit = identity_edits.swap_until_next(poses, 0, 10, "p", "q")
    assert edit.touched[:, 1].tolist() == list(range(10, 60))


def test_a_swap_beyond_the_first_window_is_found():
    poses = two_animals(9000, [8500])
    assert identity_edits.find_next_swap(poses, 0, 0, "p", "q") == 8500
    assert identity_edits.find_next_swap(poses, 0, 8500, "p", "q") is None


def test_a_swap_is_found_where_poses_share_no_node():
    skeleton = Skeleton(("a", "b"))
    nan = np.nan
    xy = np.full((4, 2, 2, 2), nan)  # frame, animal, node, (x, y)
    xy[:, 0, 0], xy[:, 1, 0] = (0, 0), (50, 0)
    xy[2:, 0, 0], xy[2:, 1, 0] = nan, nan
    xy[2:, 1, 1], xy[2:, 0, 1] = (1, 0), (51, 0)  # exchanged, and seen by another node
    poses = Poses.from_arrays(
        skeleton,
        frame=np.repeat(range(4), 2),
        xy=xy.reshape(8, 2, 2),
        track=[0, 1] * 4,
        track_names=["p", "q"],
    )
    assert identity_edits.find_next_swap(poses, 0, 0, "p", "q") == 2


# ------------------------------------------------------------------------ single edits
def example() -> Poses:
    """Frames 0 to 3 of `p`; `q` is in frames 2 and 3, in frame 2 as a label."""
    return Poses.from_arrays(
        AB,
        frame=[0, 1, 2, 2, 3, 3],
        xy=np.arange(24).reshape(6, 2, 2),
        track=[0, 0, 0, 1, 0, 1],
        origin=[1, 1, 1, 0, 1, 1],
        score=[0.1, 0.2, 0.9, np.nan, 0.9, 0.3],
        track_names=["p", "q", "r"],
    )


def test_merge_keeps_labels_and_the_better_of_two_predictions():
    poses = example()
    identity_edits.merge_tracks(poses, "q", "p", "delete").apply(poses)
    assert poses.frame.tolist() == [0, 1, 2, 3]
    assert poses.origin.tolist() == [1, 1, 0, 1]
    assert poses.score[3] == np.float32(0.9)
    assert poses.track_names == ("p", "r")
    assert poses.track.tolist() == [0] * 4


def test_split_names_the_second_part_with_the_first_free_number():
    poses = example()
    identity_edits.split_track(poses, "p", 0, 2).apply(poses)
    assert poses.track_names == ("p", "q", "r", "p 2")
    assert poses.track.tolist() == [0, 0, 3, 1, 3, 1]
    identity_edits.split_track(poses, "p", 0, 1).apply(poses)
    assert poses.track_names[-1] == "p 3"


def test_a_whole_track_is_accepted():
    poses = example()
    edits.accept_predictions(poses, selection.select_track(poses, "p")).apply(poses)
    assert poses.origin.tolist() == [2, 2, 2, 0, 2, 1]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda p: identity_edits.swap_from(p, 0, 0, "p", "p"), "two different tracks"),
        (lambda p: identity_edits.swap_until_next(p, 0, 0, "p", "no"), r"\(p, q, r\)"),
        (lambda p: identity_edits.find_next_swap(p, 0, 0, "q", "q"), "two different tracks"),
        (lambda p: identity_edits.assign_track(p, "no", "p"), "'no'"),
        (lambda p: identity_edits.merge_tracks(p, "p", "p"), "two different tracks"),
        (lambda p: identity_edits.merge_tracks(p, "p", "q"), "both in 2 frames, first in frame 2"),
        (lambda p: identity_edits.merge_tracks(p, "p", "q", "no"), "on_conflict="),
        (lambda p: identity_edits.split_track(p, "p", 0, 0), "4 of its 4 instances"),
        (lambda p: identity_edits.split_track(p, "p", 0, 9), "0 of its 4 instances"),
        (lambda p: identity_edits.split_track(p, "p", 0, 2, "q"), "which is taken"),
        (lambda p: identity_edits.split_track(p, "p", 0, 2, ""), "name for the track"),
        (lambda p: identity_edits.delete_track(p, "no"), "'no'"),
    ],
)
def test_edits_that_make_no_sense_are_refused(build, message):
    poses = example()
    with pytest.raises(DataError, match=message):
        build(poses)
    assert poses == example()


def test_names_without_instances_are_removed():
    poses = example()
    identity_edits.remove_unused_tracks(poses).apply(poses)
    assert poses.track_names == ("p", "q")
    assert poses.track.tolist() == example().track.tolist()


# ---------------------------------------------------------------------------- sequences
def test_a_sequence_of_which_one_edit_is_refused_does_nothing():
    poses = example()
    first = edits.delete_instances(poses, [[0, 0, 0]])
    stale = edits.set_track(poses, [[0, 1, 0]], "r")
    broken = edits.replace_frames(Poses.empty(A), [[0, 1]], Poses.empty(A))
    history = History(poses)
    with pytest.raises(ValueError, match="nodes"):
        history.do(EditSequence("Both", (first, stale, broken)))
    assert poses == example()
    assert not history.can_undo


def test_a_sequence_knows_what_it_touches():
    poses = example()
    both = chain_edits(
        poses,
        "Both",
        (
            lambda table: edits.delete_instances(table, [[0, 3, 0]]),
            lambda table: edits.set_track(table, [[0, 3, 0], [0, 1, 0]], "r"),
        ),
    )
    assert both.touched.tolist() == [[0, 1], [0, 3]]
    assert chain_edits(poses, "None", ()).touched.shape == (0, 2)
    assert poses == example()
    both.apply(poses)
    assert poses.track.tolist() == [0, 2, 0, 1, 2]


@given(pose_tables(AB, max_rows=12))
def test_merging_leaves_one_instance_of_the_track_a_frame(poses):
    if len(poses.track_names) < 2:
        return
    a, b = poses.track_names[:2]
    for on_conflict in ("unassign", "delete"):
        merged = poses.copy()
        identity_edits.merge_tracks(poses, a, b, on_conflict).apply(merged)
        mine = merged.track == merged.track_names.index(b)
        frames = np.stack([merged.video, merged.frame], axis=1)[mine]
        assert len(np.unique(frames, axis=0)) == len(frames)
