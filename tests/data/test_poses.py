"""The pose table against brute force: order, search, joining, sharing of memory."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_arrays, pose_tables, skeletons, track_names

from napari_animalpose.data.columns import COLUMNS
from napari_animalpose.data.poses import FrameKey, Origin, Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError

AB = Skeleton(("a", "b"))
POINT = [[[1.0, 2.0], [3.0, 4.0]]]


def rows_of(poses: Poses) -> list[tuple[bytes, ...]]:
    """Return every row as bytes, to be compared bit for bit."""
    return [tuple(poses.column(name)[i].tobytes() for name in COLUMNS) for i in range(len(poses))]


def keys_of(poses: Poses) -> list[tuple[int, int]]:
    return list(zip(poses.video.tolist(), poses.frame.tolist(), strict=True))


# ------------------------------------------------------------------------- construction
@given(st.data())
def test_rows_are_sorted_stably_and_typed(data):
    skeleton = data.draw(skeletons())
    names = data.draw(track_names())
    arrays = data.draw(pose_arrays(skeleton, len(names)))
    poses = Poses.from_arrays(skeleton, **arrays, track_names=names)
    order = sorted(
        range(len(arrays["frame"])), key=lambda i: (arrays["video"][i], arrays["frame"][i])
    )
    for name, (dtype, per_node) in COLUMNS.items():
        column = poses.column(name)
        expected_shape = (
            (len(order),) if per_node is None else (len(order), len(skeleton), *per_node)
        )
        assert column.dtype == dtype
        assert column.shape == expected_shape
        np.testing.assert_array_equal(column, arrays[name][order])
        assert not column.flags.writeable


@given(pose_tables())
def test_missing_and_nan_are_the_same(poses):
    np.testing.assert_array_equal(
        np.isnan(poses.xy).any(axis=-1), poses.visibility == Visibility.MISSING
    )
    np.testing.assert_array_equal(np.isnan(poses.xy).any(axis=-1), np.isnan(poses.xy).all(axis=-1))


def test_half_a_coordinate_is_missing_and_defaults_mean_a_users_label():
    poses = Poses.from_arrays(AB, frame=[7], xy=[[[1.0, np.nan], [3.0, 4.0]]])
    assert poses.visibility.tolist() == [[Visibility.MISSING, Visibility.VISIBLE]]
    assert np.isnan(poses.xy[0, 0]).all()
    assert poses.video.tolist() == [0]
    assert poses.track.tolist() == [-1]
    assert poses.is_label.all()
    assert np.isnan(poses.score).all()
    assert np.isnan(poses.point_score).all()


def test_arrays_are_copied():
    xy = np.array(POINT)
    frame = np.array([3], np.int32)
    poses = Poses.from_arrays(AB, frame=frame, xy=xy)
    xy[:], frame[:] = 0, 9
    assert poses.xy.tolist() == POINT
    assert poses.frame.tolist() == [3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"xy": [[[1.0, 2.0]]]}, r"xy of shape \(1, 2, 2\).*received \(1, 1, 2\)"),
        ({"frame": 3}, r"frame of shape \(N,\)"),
        ({"track": [0, 0]}, r"track of shape \(1,\)"),
        ({"frame": [-1]}, "frame numbers from 0; received -1"),
        ({"video": [-2]}, "video numbers from 0; received -2"),
        ({"frame": [1.5]}, "whole numbers"),
        ({"frame": [2.0**31]}, "whole numbers from -2147483648 to 2147483647"),
        ({"frame": [np.nan]}, "whole numbers"),
        ({"track": 0}, "one for each of the 0 track names"),
        ({"track": -2}, "tracks from -1"),
        ({"origin": 3}, "origin from 0 to 2; received 3"),
        ({"visibility": [[2, 5]]}, "visibility from 0 to 2; received 5"),
        ({"xy": [[[1.0, 2.0], [np.inf, 4.0]]]}, "inf for 'b' in frame 1"),
        ({"xy": [[[1.0, 2.0], [1e300, 4.0]]]}, "inf for 'b' in frame 1"),
        ({"xy": np.nan, "visibility": [[0, 1]]}, "NaN for 'b' in frame 1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(DataError, match=message):
        Poses.from_arrays(AB, **({"frame": [1], "xy": POINT} | arguments))


# ------------------------------------------------------------------------------- search
@given(pose_tables())
def test_search_against_brute_force(poses):
    rows, keys = rows_of(poses), keys_of(poses)
    for video in (-1, 0, 1, 2):
        for frame in (-1, *range(7), 2**31 - 1, 2**32):
            expected = [row for row, key in zip(rows, keys, strict=True) if key == (video, frame)]
            assert rows_of(poses.at(video, frame)) == expected
        for first, last in [(-5, 99), (1, 3), (3, 1), (2, 2), (0, 2**40), (-9, -1)]:
            expected = [
                row
                for row, (v, f) in zip(rows, keys, strict=True)
                if v == video and first <= f <= last
            ]
            assert rows_of(poses.between(video, first, last)) == expected
        assert poses.frames(video).tolist() == sorted({f for v, f in keys if v == video})
    assert poses.frame_keys().tolist() == [list(key) for key in sorted(set(keys))]


def test_the_largest_frame_number_is_found():
    largest = 2**31 - 1
    poses = Poses.from_arrays(AB, frame=[largest, 0], video=[0, 1], xy=POINT * 2)
    assert poses.frames(0).tolist() == [largest]
    assert poses.frame_keys().tolist() == [[0, largest], [1, 0]]
    assert len(poses.between(0, 0, largest)) == len(poses.at(0, largest)) == 1


@given(pose_tables())
def test_iteration_yields_every_frame_once(poses):
    seen = [(key, rows_of(rows)) for key, rows in poses]
    assert [key for key, _ in seen] == [FrameKey(*key) for key in poses.frame_keys().tolist()]
    assert [row for _, rows in seen for row in rows] == rows_of(poses)


@given(pose_tables(), st.data())
def test_select_by_mask_and_by_number(poses, data):
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(poses), max_size=len(poses))), bool
    )
    expected = [row for row, keep in zip(rows_of(poses), mask, strict=True) if keep]
    assert rows_of(poses.select(mask)) == expected
    numbers = data.draw(st.permutations(range(len(poses))))
    rows, keys = rows_of(poses), keys_of(poses)
    assert rows_of(poses.select(numbers)) == [
        rows[i] for i in sorted(numbers, key=lambda number: keys[number])
    ]
    assert rows_of(poses.labels()) == rows_of(poses.select(poses.origin != Origin.PREDICTED))


def test_a_mask_of_another_length_is_refused():
    poses = Poses.from_arrays(AB, frame=[1], xy=POINT)
    with pytest.raises(ValueError, match=r"mask of shape \(1,\)"):
        poses.select(np.array([True, False]))


# ------------------------------------------------------------------------------ joining
@given(st.data())
def test_concat_against_brute_force(data):
    skeleton = data.draw(skeletons(max_nodes=2))
    tables = data.draw(st.lists(pose_tables(skeleton), min_size=1, max_size=3))
    joined = Poses.concat(tables)
    names = list(dict.fromkeys(name for table in tables for name in table.track_names))
    assert joined.track_names == tuple(names)
    expected = []
    for table in tables:
        called = [*table.track_names, None]
        for i, key in enumerate(keys_of(table)):
            expected.append((key, called[table.track[i]], table.xy[i].tobytes()))
    expected.sort(key=lambda row: row[0])
    called = [*joined.track_names, None]
    assert [
        (key, called[joined.track[i]], joined.xy[i].tobytes())
        for i, key in enumerate(keys_of(joined))
    ] == expected


@given(pose_tables())
def test_concat_of_one_table_is_that_table(poses):
    assert Poses.concat([poses]) == poses
    assert poses.concat_same([]) == poses


def test_tracks_of_one_name_in_one_table_stay_apart():
    twice = Poses.from_arrays(AB, frame=[0, 0], xy=POINT * 2, track=[0, 1], track_names=["x", "x"])
    joined = Poses.concat([twice, twice])
    assert joined.track_names == ("x", "x")
    assert joined.track.tolist() == [0, 1, 0, 1]


def test_concat_refuses_nothing_and_other_nodes():
    with pytest.raises(DataError, match="received none"):
        Poses.concat([])
    with pytest.raises(DataError, match="nodes a, b in every table; received c"):
        Poses.concat([Poses.empty(AB), Poses.empty(Skeleton(("c",)))])


# ----------------------------------------------------------------------------- deriving
def test_replace_keeps_the_rest_and_follows_new_coordinates():
    poses = Poses.from_arrays(
        AB, frame=[1, 2], xy=[POINT[0], [[5.0, 6.0], [np.nan, np.nan]]], visibility=[[1, 2], [2, 0]]
    )
    moved = poses.replace(xy=np.where(np.isnan(poses.xy), 9.0, poses.xy + 1))
    assert moved.visibility.tolist() == [[1, 2], [2, 2]]
    assert moved.xy[1, 1].tolist() == [9.0, 9.0]
    gone = poses.replace(xy=np.nan)
    assert not gone.visibility.any()
    assert poses.replace(track_names=["x"]).track_names == ("x",)
    with pytest.raises(DataError, match="frame numbers"):
        poses.replace(frame=[-1, 0])


def test_equality_sees_every_part():
    poses = Poses.from_arrays(AB, frame=[1], xy=POINT, track_names=["x"])
    assert poses == poses.copy()
    assert poses != poses.replace(score=1.0)
    assert poses != poses.replace(track_names=["y"])
    assert poses != poses.replace(skeleton=Skeleton(("a", "c")))
    assert poses != Poses.empty(AB, ["x"])
    assert poses != "poses"


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_tables_and_views_can_be_edited(protocol):
    poses = Poses.from_arrays(AB, frame=[1, 2, 2], xy=POINT * 3)
    for table in (poses, poses.at(0, 2), poses.select([1])):
        again = pickle.loads(pickle.dumps(table, protocol))
        assert again == table
        again.replace_frames([[0, 2]], Poses.from_arrays(AB, frame=[2], xy=[[[0, 0], [0, 0]]]))
        assert not again.at(0, 2).xy.any()
        assert len(again.at(0, 2)) == 1
    assert poses.at(0, 2).xy.tolist() == POINT * 2


# ---------------------------------------------------------------------- sharing of memory
def zero_block(poses: Poses, frame: int, n_rows: int) -> Poses:
    xy = np.zeros((n_rows, poses.n_nodes, 2))
    return Poses.from_arrays(poses.skeleton, frame=np.full(n_rows, frame), xy=xy)


SHARERS = {
    "copy": Poses.copy,
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "copy of a view": lambda poses: poses.between(0, 0, 9).copy(),
    "restored": lambda poses: restored(poses),
    "restored from a view": lambda poses: restored(poses.between(0, 0, 9)),
    "taken": lambda poses: poses.take_frames([[0, 1], [0, 2]]),
    "selected": lambda poses: poses.select(np.ones(len(poses), bool)),
}


def restored(poses: Poses) -> Poses:
    table = Poses.empty(AB)
    table.restore(poses)
    return table


@pytest.mark.parametrize("n_rows", [1, 2], ids=["count changes", "count stays"])
@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("share", SHARERS.values(), ids=SHARERS)
def test_an_edit_of_one_never_shows_in_the_other(share, pending, n_rows):
    original = Poses.from_arrays(AB, frame=[1, 1, 2, 2], xy=POINT * 4)
    if pending:
        original.replace_frames([[0, 1]], original.at(0, 1).select([0]))
    for change_original in (True, False):
        twin = share(original)
        before = pickle.dumps(twin), pickle.dumps(original)
        changed, other = (original, twin) if change_original else (twin, original)
        block = zero_block(changed, 2, n_rows)
        old = changed.take_frames([[0, 2]])
        changed.replace_frames([[0, 2]], block)
        assert not changed.at(0, 2).xy.any()
        assert other == pickle.loads(before[0] if change_original else before[1])
        changed.replace_frames([[0, 2]], old)
        assert changed == other


def test_an_edit_of_a_view_never_shows_in_its_table():
    poses = Poses.from_arrays(AB, frame=[1, 2], xy=POINT * 2)
    poses.replace_frames([[0, 1]], Poses.concat([poses.at(0, 1), poses.at(0, 1)]))
    before = pickle.dumps(poses.copy())
    for frame in (1, 2):
        view = poses.at(0, frame)
        view.replace_frames([[0, frame]], zero_block(poses, frame, len(view)))
        assert not view.xy.any()
    assert poses == pickle.loads(before)


def test_a_wrapped_array_is_never_written():
    columns = {
        name: column.copy()
        for name, column in Poses.from_arrays(AB, frame=[1], xy=POINT).columns.items()
    }
    wrapped = Poses(AB, columns)
    wrapped.replace_frames([[0, 1]], zero_block(wrapped, 1, 1))
    assert columns["xy"].tolist() == POINT


def test_an_owned_table_is_changed_in_place():
    poses = Poses.from_arrays(AB, frame=[1, 2], xy=POINT * 2)
    address = poses.xy.__array_interface__["data"]
    poses.replace_frames([[0, 1]], zero_block(poses, 1, 1))
    assert poses.xy.__array_interface__["data"] == address


@pytest.mark.parametrize(
    ("frames", "block", "message"),
    [
        ([[0, 2], [0, 1]], Poses.empty(AB), "sorted"),
        ([[0, 1], [0, 1]], Poses.empty(AB), "without repeats"),
        ([[0, -1]], Poses.empty(AB), "from 0"),
        ([[0, 1]], Poses.from_arrays(AB, frame=[2], xy=POINT), "no other frame"),
        ([[0, 1]], Poses.empty(Skeleton(("a",))), "Expected the nodes"),
        (
            [[0, 1]],
            Poses.from_arrays(AB, frame=[1], xy=POINT, track=0, track_names=["x"]),
            "tracks below 0",
        ),
    ],
)
def test_replace_frames_refuses_what_does_not_fit(frames, block, message):
    poses = Poses.from_arrays(AB, frame=[1], xy=POINT)
    with pytest.raises(ValueError, match=message):
        poses.replace_frames(frames, block)
    assert poses == Poses.from_arrays(AB, frame=[1], xy=POINT)


def test_many_frames_that_change_their_count_at_once():
    frames = np.arange(3000)
    poses = Poses.from_arrays(AB, frame=np.repeat(frames, 2), xy=POINT * 6000)
    poses.replace_frames([[0, 5]], poses.at(0, 5).select([0]))
    odd = frames[1::2]
    block = Poses.from_arrays(AB, frame=odd, xy=np.zeros((len(odd), 2, 2)))
    poses.replace_frames(np.stack([np.zeros_like(odd), odd], axis=1), block)
    assert len(poses) == 3000 + 1500
    assert poses.frames().tolist() == frames.tolist()
    np.testing.assert_array_equal(poses.xy.any(axis=(1, 2)), poses.frame % 2 == 0)


def test_repr_counts():
    poses = Poses.from_arrays(AB, frame=[1, 1, 2], xy=POINT * 3, track_names=["x"])
    assert repr(poses) == "<Poses: 3 instances of 2 nodes in 2 frames, 1 tracks>"
