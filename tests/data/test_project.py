"""`Project` and `merge_projects`."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.project import Project, merge_projects
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.video import Video
from napari_animalpose.errors import DataError


class Blank:
    """A video of black frames, known by its source."""

    def __init__(self, source: str) -> None:
        self.source = self.name = source
        self.shape = (10, 4, 6, 1)
        self.fps = 25.0

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.zeros(self.shape[1:], np.uint8)

    def close(self) -> None:
        pass


def make(
    nodes: tuple[str, ...] = ("a", "b"), source: str = "one.mp4", **columns: object
) -> Project:
    given = {"frame": [3, 1, 1], "xy": np.arange(6 * len(nodes)).reshape(3, len(nodes), 2)}
    skeleton = Skeleton(nodes, tuple((0, i) for i in range(1, len(nodes))))
    return Project((Blank(source),), Poses.from_arrays(skeleton, **(given | columns)))


def test_fields_and_shortcuts() -> None:
    project = make(track=[0, 1, 0], track_names=("x", "y"))
    assert isinstance(project.videos[0], Video)
    assert project.skeleton is project.poses.skeleton
    assert project.tracks == ("x", "y")
    assert project.suggestions.shape == project.negative_frames.shape == (0, 2)
    assert project.provenance == {}
    assert project.path is project.extras is None
    with pytest.raises(FrozenInstanceError):
        project.path = "x"  # type: ignore[misc]


def test_labeled_frames_are_those_with_a_label() -> None:
    origins = [Origin.PREDICTED, Origin.USER, Origin.CORRECTED]
    project = make(frame=[3, 1, 2], origin=origins)
    np.testing.assert_array_equal(project.labeled_frames(), [[0, 1], [0, 2]])
    assert make(origin=Origin.PREDICTED).labeled_frames().shape == (0, 2)


def test_frames_are_kept_as_read_only_pairs() -> None:
    project = make().replace(suggestions=[(0, 5), (0, 2)], negative_frames=[(0, 7), (0, 4), (0, 7)])
    np.testing.assert_array_equal(project.suggestions, [[0, 5], [0, 2]])
    np.testing.assert_array_equal(project.negative_frames, [[0, 4], [0, 7]])
    with pytest.raises(ValueError, match="read-only"):
        project.suggestions[0] = 1


@pytest.mark.parametrize(
    "changes", [{"suggestions": [(1, 0)]}, {"negative_frames": [(-1, 0)]}, {"videos": ()}]
)
def test_frames_of_unknown_videos_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(DataError, match="numbered from 0; received video"):
        make().replace(**changes)


def test_with_poses_keeps_the_rest() -> None:
    project = make().replace(provenance={"a": 1}, path="p", extras=object())
    changed = project.with_poses(Poses.empty(project.skeleton))
    assert len(changed.poses) == 0
    for name in ("videos", "provenance", "path", "extras"):
        assert getattr(changed, name) == getattr(project, name)


def test_with_videos_refuses_to_lose_one() -> None:
    project = make()
    assert len(project.with_videos([Blank("a"), Blank("b")]).videos) == 2
    with pytest.raises(DataError, match="at least the 1 videos"):
        project.with_videos([])


def test_merging_joins_videos_and_tracks() -> None:
    one = make(track=[0, 1, -1], track_names=("x", "y"))
    two = make(source="two.mp4", track=[0, 1, -1], track_names=("y", "z"))
    two = two.replace(suggestions=[(0, 9)], negative_frames=[(0, 8)], provenance={"a": 2, "b": 3})
    one = one.replace(suggestions=[(0, 9), (0, 1)], provenance={"a": 1})
    merged = merge_projects([one, two, one])
    assert [video.source for video in merged.videos] == ["one.mp4", "two.mp4"]
    assert merged.tracks == ("x", "y", "z")
    np.testing.assert_array_equal(merged.poses.video, [0] * 6 + [1] * 3)
    np.testing.assert_array_equal(merged.poses.at(1, 1).track, [2, -1])
    np.testing.assert_array_equal(merged.suggestions, [[0, 9], [0, 1], [1, 9]])
    np.testing.assert_array_equal(merged.negative_frames, [[1, 8]])
    assert merged.provenance == {"a": 1, "b": 3}


def test_merging_one_project_changes_nothing() -> None:
    project = make()
    assert merge_projects([project]) is project


def test_merging_other_nodes_is_an_error_or_a_union() -> None:
    one, two = make(("a", "b")), make(("b", "c"), "two.mp4")
    with pytest.raises(DataError, match="Expected the nodes a, b in every project; received b, c"):
        merge_projects([one, two])
    merged = merge_projects([one, two], nodes="union")
    assert merged.skeleton.nodes == ("a", "b", "c")
    assert merged.skeleton.edges == ((0, 1), (1, 2))
    np.testing.assert_array_equal(merged.poses.at(0, 3).xy, [[[0, 1], [2, 3], [np.nan, np.nan]]])
    np.testing.assert_array_equal(merged.poses.at(1, 3).xy, [[[np.nan, np.nan], [0, 1], [2, 3]]])
    missing = merged.poses.at(1, 3).visibility[0, 0]
    assert missing == Visibility.MISSING


def test_merging_nothing_or_in_an_unknown_way() -> None:
    with pytest.raises(DataError, match="at least one project"):
        merge_projects([])
    with pytest.raises(DataError, match="nodes='error' or 'union'"):
        merge_projects([make()], nodes="any")
