"""Edits: what they do, that undo brings back every bit, storage, history."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from edit_machine import AB, EditsAgainstModel
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_animalpose.data import edits, identity_edits, schema_edits
from napari_animalpose.data.edit_kinds import edit_from_dict, edit_kinds
from napari_animalpose.data.history import History
from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.errors import ConfigError, DataError

TestEditsAgainstModel = EditsAgainstModel.TestCase
TestEditsAgainstModel.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


# ------------------------------------------------------------------------------ storage
def example() -> Poses:
    """Two frames; the second shows a predicted `x`, and `y` with one occluded point."""
    return Poses.from_arrays(
        AB,
        frame=[1, 2, 2],
        xy=[[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 10], [np.nan, np.nan]]],
        visibility=[[2, 2], [2, 2], [1, 0]],
        origin=[Origin.USER, Origin.PREDICTED, Origin.PREDICTED],
        track=[0, 0, 1],
        point_score=0.5,
        score=0.25,
        track_score=0.75,
        track_names=["x", "y"],
    )


BUILDERS = {
    "move": lambda p: edits.move_points(p, [[0, 2, 1, 1]], [[1.5, -0.0]]),
    "hide": lambda p: edits.set_visibility(p, [[0, 1, 0, 0]], Visibility.MISSING),
    "delete": lambda p: edits.delete_instances(p, [[0, 2, 0]]),
    "new track": lambda p: edits.set_track(p, [[0, 1, 0]], "neu\x00é"),
    "add node": lambda p: schema_edits.add_node(p, "c", 1),
    "remove node": lambda p: schema_edits.remove_node(p, "a"),
    "rename node": lambda p: schema_edits.rename_node(p, "a", "c"),
    "symmetries": lambda p: schema_edits.set_symmetries(p, []),
    "rename track": lambda p: schema_edits.rename_track(p, "x", "z"),
    "remove track": lambda p: schema_edits.remove_track(p, "x"),
    "table": lambda p: edits.replace_table(p, Poses.empty(AB)),
    "merge": lambda p: identity_edits.merge_tracks(p, "x", "y", "delete"),
    "delete track": lambda p: identity_edits.delete_track(p, "x"),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_edits_are_replayed_from_a_file(build):
    poses = example()
    edit = build(poses)
    file = io.BytesIO()
    np.savez(file, **edit.to_dict())
    file.seek(0)
    with np.load(file) as values:
        stored = edit_from_dict(values)
    pickled = pickle.loads(pickle.dumps(edit))
    for again in (stored, pickled):
        assert again.label == edit.label
        assert again.nbytes == edit.nbytes
        replayed, expected = example(), example()
        again.apply(replayed)
        edit.apply(expected)
        assert replayed == expected
        assert replayed != example()
        again.inverse().apply(replayed)
        assert replayed == example()
    assert poses == example()  # building an edit changes nothing


def test_every_kind_of_edit_is_stored_above():
    kinds = {build(example()).kind for build in BUILDERS.values()}
    of_projects = {"marks", "videos"}  # stored in test_mark_edits.py and test_video_edits.py
    assert kinds | of_projects == set(edit_kinds.names())
    assert not kinds & of_projects


def test_a_file_of_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="known kind of edit"):
        edit_from_dict({"header": np.array('{"kind": "future", "label": ""}')})


# ------------------------------------------------------------------------ single edits
def test_a_moved_missing_point_appears_and_an_occluded_one_stays_occluded():
    poses = example()
    edits.move_points(poses, [[0, 2, 1, 1], [0, 2, 1, 0]], [[1, 1], [2, 2]]).apply(poses)
    assert poses.at(0, 2).visibility[1].tolist() == [Visibility.OCCLUDED, Visibility.VISIBLE]
    assert poses.origin.tolist() == [Origin.USER, Origin.PREDICTED, Origin.CORRECTED]
    assert np.isnan(poses.point_score[2]).all()
    assert poses.score.tolist() == [0.25] * 3


def test_a_track_in_use_changes_places():
    poses = example()
    edits.set_track(poses, [[0, 2, 0]], "y").apply(poses)
    assert poses.track.tolist() == [0, 1, 0]


def test_swap_is_its_own_inverse_and_keeps_to_its_frames():
    poses = example()
    edits.swap_tracks(poses, 0, 2, 9, "x", "y").apply(poses)
    assert poses.track.tolist() == [0, 1, 0]
    edits.swap_tracks(poses, 0, 2, 9, "x", "y").apply(poses)
    assert poses == example()


def test_pasted_instances_are_moved_by_the_offset_and_share_no_track():
    poses = example()
    block = poses.at(0, 2)
    edits.paste_instances(poses, block, 0, 1, offset=(10, -1)).apply(poses)
    assert poses.at(0, 1).track.tolist() == [0, -1, 1]
    assert poses.at(0, 1).xy[1].tolist() == [[15, 5], [17, 7]]
    assert np.isnan(poses.at(0, 1).xy[2, 1]).all()
    assert poses.at(0, 1).is_label.all()


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda p: edits.move_points(p, [[0, 1, 0, 0]], [[np.nan, 1]]), DataError, "finite"),
        (
            lambda p: edits.move_points(p, [[0, 1, 1, 0]], [[1, 1]]),
            IndexError,
            "below 1 in frame 1",
        ),
        (lambda p: edits.move_points(p, [[0, 1, 0, 2]], [[1, 1]]), IndexError, "nodes 0 to 1"),
        (lambda p: edits.delete_instances(p, [[0, 7, 0]]), IndexError, "below 0 in frame 7"),
        (lambda p: edits.delete_instances(p, [[0, 1, -1]]), IndexError, "received -1"),
        (lambda p: edits.set_track(p, [[0, 1, 0]], ""), DataError, "name for the track"),
        (
            lambda p: edits.set_track(p, [[0, 2, 0], [0, 2, 1]], "x"),
            DataError,
            "one instance a frame for the track 'x'",
        ),
        (lambda p: edits.swap_tracks(p, 0, 0, 9, "x", "q"), DataError, r"\(x, y\); received 'q'"),
        (lambda p: edits.replace_frames(p, [[0, 1]], p.at(0, 2)), DataError, "others too"),
        (lambda p: schema_edits.remove_node(p, "q"), DataError, "'q'"),
        (lambda p: schema_edits.reorder_nodes(p, ["a"]), DataError, "nodes a, b once"),
        (lambda p: schema_edits.rename_node(p, "a", "b"), DataError, "more than once"),
        (lambda p: schema_edits.rename_track(p, "x", "y"), DataError, "new name"),
        (lambda p: schema_edits.set_symmetries(p, [("a", "q")]), DataError, "'q'"),
    ],
)
def test_edits_that_make_no_sense_are_refused(build, error, message):
    poses = example()
    with pytest.raises(error, match=message):
        build(poses)
    assert poses == example()


# ------------------------------------------------------------------------------ history
def drag(history: History, x: float, key: object) -> None:
    history.do(edits.move_points(history.poses, [[0, 1, 0, 0]], [[x, 0]], merge_key=key))


def test_a_drag_is_one_step_of_undo():
    history = History(example())
    for x in range(5):
        drag(history, x, "first drag")
    drag(history, 99, "second drag")
    assert history.labels == ("Move point", "Move point")
    history.undo()
    assert history.poses.xy[0, 0].tolist() == [4, 0]
    history.undo()
    assert history.poses == example()
    history.redo()
    assert history.poses.xy[0, 0].tolist() == [4, 0]


def test_nothing_merges_without_a_key_nor_into_a_saved_or_undone_state():
    history = History(example())
    drag(history, 1, None)
    drag(history, 2, None)
    assert len(history.labels) == 2
    drag(history, 3, "drag")
    history.mark_clean()
    drag(history, 4, "drag")
    assert len(history.labels) == 4
    history.undo()
    assert history.is_clean
    drag(history, 5, "drag")
    assert len(history.labels) == 4
    history.undo()
    assert history.is_clean
    assert history.poses.xy[0, 0].tolist() == [3, 0]


def test_the_clean_state_is_found_again_or_lost_for_good():
    history = History(example())
    assert history.is_clean
    drag(history, 1, None)
    assert not history.is_clean
    history.mark_clean()
    history.undo()
    assert not history.is_clean
    history.redo()
    assert history.is_clean
    history.undo()
    drag(history, 2, None)  # the saved state can no longer be reached
    assert not history.is_clean
    history.undo()
    assert not history.is_clean


def test_listeners_hear_what_changed():
    history, heard = History(example()), []
    history.on_change.append(heard.append)
    drag(history, 1, None)
    history.undo()
    history.redo()
    history.do(edits.set_track(history.poses, [[0, 2, 1]], "z"))
    history.do(schema_edits.add_node(history.poses, "c"))
    assert [None if c.frames is None else c.frames.tolist() for c in heard] == [
        [[0, 1]],
        [[0, 1]],
        [[0, 1]],
        [[0, 2]],
        None,
    ]
    assert [(c.skeleton, c.tracks) for c in heard] == [(False, False)] * 3 + [
        (False, True),
        (True, False),
    ]


def test_an_edit_of_nothing_leaves_no_trace():
    history = History(example())
    history.do(edits.accept_predictions(history.poses, []))
    history.do(edits.swap_tracks(history.poses, 0, 50, 60, "x", "y"))
    assert not history.can_undo
    assert history.is_clean


def test_undo_and_redo_of_nothing_are_errors():
    history = History(example())
    with pytest.raises(IndexError, match="received none"):
        history.undo()
    with pytest.raises(IndexError, match="received none"):
        history.redo()


@given(st.integers(0, 3000))
def test_memory_is_bounded_by_forgetting_the_oldest(max_bytes):
    history = History(example(), max_bytes)
    for x in range(10):
        drag(history, x, None)
        assert history.nbytes <= max_bytes or len(history.labels) == 1
    kept = len(history.labels)
    assert kept >= 1
    for _ in range(kept):
        history.undo()
    expected = [1, 2] if kept == 10 else [9 - kept, 0]
    assert history.poses.xy[0, 0].tolist() == expected
    assert history.is_clean == (kept == 10)


def test_clear_forgets_edits_and_keeps_the_table():
    history = History(example())
    drag(history, 1, None)
    drag(history, 2, None)
    history.undo()
    history.clear()
    assert (history.can_undo, history.can_redo, history.nbytes) == (False, False, 0)
    assert history.poses.xy[0, 0].tolist() == [1, 0]
    assert not history.is_clean


def test_a_refused_edit_changes_neither_table_nor_history():
    history = History(example())
    edit = edits.delete_instances(history.poses, [[0, 1, 0]])
    history.do(schema_edits.add_node(history.poses, "c"))
    with pytest.raises(ValueError, match="Expected the nodes"):
        history.do(edit)  # made for another state of the table
    assert history.labels == ("Add node c",)
    history.undo()
    assert history.poses == example()
