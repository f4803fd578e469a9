"""What is offered for a suspected error, and what it does."""

from __future__ import annotations

import numpy as np
import pytest

from napari_animalpose.data.edits import delete_instances
from napari_animalpose.data.history import History
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.repairs import (
    Finding,
    exchange_nodes,
    find_instance,
    list_findings,
    offer_repairs,
)

NODES = Skeleton(("earL", "earR", "tail"), symmetries=((0, 1),))


def make_poses(n_frames: int = 6) -> Poses:
    """Two tracks, a at x = 0 and b at x = 100; nodes at y = 0, 1, 2."""
    xy = np.zeros((2 * n_frames, 3, 2), np.float32)
    xy[1::2, :, 0] = 100
    xy[..., 1] = [0, 1, 2]
    return Poses.from_arrays(
        NODES, frame=np.repeat(np.arange(n_frames), 2), xy=xy, origin=Origin.PREDICTED,
        track=np.tile([0, 1], n_frames), track_names=("a", "b"),
    )  # fmt: skip


def find(kind: str, **changes) -> Finding:
    given = {"video": 0, "frame": 2, "first": 2, "last": 3, "severity": 0.5, "text": "Hm.",
             "instance": 0, "track": "a", "n_instances": 2}  # fmt: skip
    return Finding(kind=kind, **{**given, **changes})


def labels(*args, **kwargs) -> list[str]:
    return [repair.label for repair in offer_repairs(*args, **kwargs)]


def apply(poses: Poses, finding: Finding, label: str, selected=None) -> Poses:
    """Carry out a repair; undo must bring everything back."""
    before, history = poses.copy(), History(poses)
    [repair] = [r for r in offer_repairs(finding, poses, selected) if r.label == label]
    history.do(repair.build(poses))
    after = poses.copy()
    history.undo()
    assert poses == before
    return after


def xs(poses: Poses, track: int) -> list[float]:
    rows = poses.track == track
    return poses.xy[rows, 0, 0].tolist()


def test_a_switch_can_be_swapped_back_in_three_ways():
    poses, switch = make_poses(), find("switch", other_track="b")
    assert labels(switch, poses) == ["Swap from here", "Swap until the next switch", "Swap in 2–3"]
    assert xs(apply(poses, switch, "Swap from here"), 0) == [0, 0, 100, 100, 100, 100]
    assert xs(apply(poses, switch, "Swap in 2–3"), 0) == [0, 0, 100, 100, 0, 0]
    assert xs(apply(poses, switch, "Swap in 0–4", (0, 4)), 1) == [0, 0, 0, 0, 0, 100]
    switched = apply(poses, switch, "Swap in 2–3")
    mended = apply(switched, switch, "Swap until the next switch")
    assert xs(mended, 0) == [0] * 6


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"other_track": None}, "switch"), ({"other_track": "a"}, "switch"),
     ({"other_track": "gone"}, "switch"), ({"track": None, "other_track": "b"}, "leap"),
     ({}, "jump")],
)  # fmt: skip
def test_without_two_tracks_there_is_nothing_to_swap(changes, kind):
    assert labels(find(kind, **changes), make_poses()) == []


def test_a_flip_can_be_exchanged():
    poses, flip = make_poses(), find("flip", node="earL")
    assert labels(flip, poses) == ["Exchange earL and earR"]
    after = apply(poses, flip, "Exchange earL and earR")
    mine = after.select((after.track == 0) & np.isin(after.frame, [2, 3]))
    assert mine.xy[:, :, 1].tolist() == [[1, 0, 2]] * 2
    assert (mine.origin == Origin.CORRECTED).all()
    rest = ~((after.track == 0) & np.isin(after.frame, [2, 3]))
    assert after.select(rest) == poses.select(rest)


def test_where_one_pair_of_several_is_named_both_are_offered():
    nodes = Skeleton(("earL", "earR", "eyeL", "eyeR"), symmetries=((0, 1), (2, 3)))
    poses = Poses.from_arrays(nodes, frame=[2], xy=np.arange(8).reshape(1, 4, 2), track=-1)
    flip = find("flip", node="eyeR", track=None, n_instances=1)
    assert labels(flip, poses) == ["Exchange eyeL and eyeR", "Exchange left and right"]
    after = apply(poses, flip, "Exchange left and right")
    assert after.xy[0, :, 0].tolist() == [2, 0, 6, 4]
    after = apply(poses, flip, "Exchange eyeL and eyeR")
    assert after.xy[0, :, 0].tolist() == [0, 2, 6, 4]
    assert after.origin.tolist() == [Origin.USER]


def test_exchange_touches_only_frames_of_the_animal():
    poses = make_poses()
    history = History(poses)
    history.do(offer_repairs(find("duplicate", first=2, last=2), poses)[0].build(poses))
    edit = exchange_nodes(poses, find("flip", node="earL"), [(0, 1)], (1, 3))
    assert edit.frames.tolist() == [[0, 1], [0, 3]]
    with pytest.raises(DataError, match="Search for likely errors again"):
        exchange_nodes(poses, find("flip", node="earL"), [(0, 1)], (2, 2))


def test_a_duplicate_can_be_deleted_here_or_throughout():
    poses, double = make_poses(), find("duplicate", other_track="b")
    assert labels(double, poses) == ["Delete this instance", "Delete a in 2–3"]
    assert apply(poses, double, "Delete this instance").track.tolist().count(0) == 5
    assert apply(poses, double, "Delete a in 2–3").track.tolist().count(0) == 4
    assert labels(find("duplicate", track="gone"), poses) == []
    assert labels(find("count", instance=-1), poses) == []
    assert labels(find("count", track=None), poses) == ["Delete this instance"]


@pytest.mark.parametrize("deleted", [0, 1])
def test_after_a_deletion_in_its_frame_an_animal_is_found_by_its_track_alone(deleted):
    poses = make_poses()
    history = History(poses)
    tracked, nameless = find("count", instance=1, track="b"), find("count", instance=1, track=None)
    flip = find("flip", instance=1, track=None, first=2, last=2, node="earL")
    assert [find_instance(f, poses) for f in (tracked, nameless)] == [1, 1]
    [early] = [r for r in offer_repairs(nameless, poses) if r.label == "Delete this instance"]
    history.do(delete_instances(poses, [[0, 2, deleted]]))
    assert find_instance(tracked, poses) == (0 if deleted == 0 else None)
    assert find_instance(nameless, poses) is None
    assert labels(nameless, poses) == labels(flip, poses) == []
    for build in (early.build, lambda table: exchange_nodes(table, flip, [(0, 1)], (2, 2))):
        with pytest.raises(DataError, match="Search for likely errors again"):
            build(poses)
    if deleted == 0:
        after = apply(poses, tracked, "Delete this instance")
        assert len(after.at(0, 2)) == 0
        assert after.select(after.frame != 2) == poses.select(poses.frame != 2)
    else:
        assert labels(tracked, poses) == []
    history.undo()
    assert [find_instance(f, poses) for f in (tracked, nameless)] == [1, 1]


def test_of_several_rows_of_a_track_that_of_the_search_is_meant():
    poses = make_poses()
    twice = poses.replace(track=0)
    assert [find_instance(find("count", instance=n), twice) for n in (0, 1)] == [0, 1]
    assert find_instance(find("count", instance=2), twice) is None
    assert find_instance(find("count", instance=-1), poses) is None
    assert find_instance(find("count", instance=1, track=None, n_instances=-1), poses) is None


def test_findings_become_a_list_with_names():
    table = Findings.build(
        frame=[4, 9], video=1, kind=np.array(["switch", "flip"], object), track=[0, -1],
        other_track=[1, -1], node=[-1, 2], severity=[0.9, 0.1], instance=[1, -1], last=[5, 9],
        text=np.array(["One.", "Two."], object), nodes=NODES.nodes, track_names=("a", "b"),
        n_instances=[3, 2],
    )  # fmt: skip
    assert list_findings(table) == [
        Finding(1, 4, 4, 5, "switch", 0.9, "One.", 1, "a", "b", n_instances=3),
        Finding(1, 9, 9, 9, "flip", 0.1, "Two.", node="tail", n_instances=2),
    ]
