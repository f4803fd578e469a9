"""Bring the labels of another file into a project, after a look at what differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.edit_kinds import Edit, TableEdit
from napari_animalpose.data.edit_sequence import EditSequence
from napari_animalpose.data.mark_edits import Marks, MarksEdit
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.data.project import Project, merge_projects
from napari_animalpose.data.store import pack
from napari_animalpose.data.video import Video
from napari_animalpose.errors import VideoError
from napari_animalpose.io.video_edits import VideosEdit
from napari_animalpose.pipeline.document import Document

__all__ = ["STRATEGIES", "LabelDifferences", "Strategy", "compare_labels", "merge_labels"]

Strategy = Literal["mine", "theirs", "both"]
STRATEGIES: dict[Strategy, str] = {
    "mine": "Keep mine where both have labels",
    "theirs": "Take theirs where both have labels",
    "both": "Keep mine, and add those of theirs that lie elsewhere",
}
"""What to do in frames that both have labelled, as a window says it."""

_SAME_PX = 0.05  # labels that differ less were saved with other precision
_COINCIDE = 0.25  # of the animal: mean distance within which two labels are of one animal


@dataclass(frozen=True)
class LabelDifferences:
    """What a merge would do.

    Parameters
    ----------
    new_videos : tuple of str
        Videos that only the other file has.
    new_nodes, absent_nodes : tuple of str
        Nodes that only the other file has, and that it lacks.
    only_theirs, only_mine, same, different : array of int64, shape (F, 2)
        (video, frame), numbered as after the merge, that have labels only there, only
        here, the same in both, or others.
    """

    new_videos: tuple[str, ...]
    new_nodes: tuple[str, ...]
    absent_nodes: tuple[str, ...]
    only_theirs: NDArray[np.int64]
    only_mine: NDArray[np.int64]
    same: NDArray[np.int64]
    different: NDArray[np.int64]
    _theirs: Project = field(repr=False)

    def describe(self) -> tuple[str, ...]:
        """Return one line of text for each thing that differs."""
        lines = []
        if self.new_videos:
            lines.append(f"{len(self.new_videos)} new videos: {', '.join(self.new_videos)}")
        if self.new_nodes:
            lines.append(f"Nodes that will be added: {', '.join(self.new_nodes)}")
        if self.absent_nodes:
            lines.append(f"Nodes missing in the other file: {', '.join(self.absent_nodes)}")
        lines.append(f"{len(self.only_theirs)} frames labelled only there: they will be added")
        lines.append(f"{len(self.same)} frames with the same labels")
        lines.append(f"{len(self.different)} frames with other labels: choose what to keep")
        return tuple(lines)


def compare_labels(document: Document, other: Project) -> LabelDifferences:
    """Compare an open project with another file.

    Videos are the same where their source is, or else where name, length and size of the
    picture are.
    """
    mine = document.project
    theirs = _with_my_videos(mine, other)
    merged = merge_projects([mine, theirs], nodes="union")
    known = {video.source for video in mine.videos}
    number = {video.source: index for index, video in enumerate(merged.videos)}
    here = _labels_in(mine, merged, number)
    there = _labels_in(theirs, merged, number)
    keys_here, keys_there = (_keys(rows) for rows in (here, there))
    both = np.intersect1d(keys_here, keys_there)
    is_same = np.array([_are_same(here, there, key) for key in both.tolist()], bool)
    return LabelDifferences(
        tuple(video.name for video in theirs.videos if video.source not in known),
        tuple(node for node in other.skeleton.nodes if node not in mine.skeleton.nodes),
        tuple(node for node in mine.skeleton.nodes if node not in other.skeleton.nodes),
        _pairs(np.setdiff1d(keys_there, keys_here)),
        _pairs(np.setdiff1d(keys_here, keys_there)),
        _pairs(both[is_same]),
        _pairs(both[~is_same]),
        theirs,
    )


def merge_labels(
    document: Document, differences: LabelDifferences, strategy: Strategy = "mine"
) -> Edit:
    """Return the edit that adds the other file's labels to the project.

    Predictions of the other file are left out. Suggestions and frames marked as empty
    are joined.

    Parameters
    ----------
    document : Document
        As it was when compared.
    differences : LabelDifferences
    strategy : {"mine", "theirs", "both"}
        See `STRATEGIES`.
    """
    mine, theirs = document.project, differences._theirs
    numbers = _numbers_after(mine, theirs)
    labels = theirs.poses.labels()
    renumbered = numbers[labels.video] if len(labels) else labels.video
    keys = pack(renumbered.astype(np.int64), labels.frame.astype(np.int64))
    same, different = (_pack(pairs) for pairs in (differences.same, differences.different))
    keep = ~np.isin(keys, same)
    dropped_here = np.zeros(len(mine.poses), bool)
    if strategy == "mine":
        keep &= ~np.isin(keys, different)
    elif strategy == "theirs":
        here = pack(mine.poses.video.astype(np.int64), mine.poses.frame.astype(np.int64))
        dropped_here = np.isin(here, different)
    else:
        keep &= ~_coincides(labels, keys, mine.poses)
    merged = merge_projects(
        [
            mine.with_poses(mine.poses.select(~dropped_here)),
            theirs.with_poses(labels.select(keep)),
        ],
        nodes="union",
    )
    before = Marks(mine.suggestions, mine.negative_frames)
    edits: list[Edit] = [
        VideosEdit("Add videos", document.videos, merged.videos),
        TableEdit("Merge", document.poses.copy(), merged.poses),
        MarksEdit("Merge", before, Marks(merged.suggestions, merged.negative_frames)),
    ]
    if len(merged.videos) == len(document.videos):
        edits.pop(0)
    return EditSequence(f"Merge {labels.select(keep).frame_keys().shape[0]} frames", tuple(edits))


# ------------------------------------------------------------------------------ internals
def _with_my_videos(mine: Project, other: Project) -> Project:
    """Return the other project with my videos in place of those that are the same."""
    by_source = {video.source: video for video in mine.videos}
    by_look: dict[object, Video] = {}
    for video in mine.videos:
        by_look.setdefault(_look(video), video)
    videos = [
        by_source.get(video.source) or by_look.get(_look(video)) or video for video in other.videos
    ]
    return other.with_videos(videos)


def _look(video: Video) -> object:
    try:
        return video.name, tuple(video.shape[:3])
    except VideoError:
        return video.source


def _numbers_after(mine: Project, theirs: Project) -> NDArray[np.int64]:
    """Return which number each of their videos has in the merged project."""
    number: dict[str, int] = {}
    for video in (*mine.videos, *theirs.videos):
        number.setdefault(video.source, len(number))
    return np.array([number[video.source] for video in theirs.videos], np.int64)


def _labels_in(project: Project, merged: Project, number: dict[str, int]) -> Poses:
    """Return a project's labels with the nodes and video numbers of the merged one."""
    labels = project.poses.labels()
    empty = merged.with_poses(Poses.empty(merged.skeleton))
    alone = merge_projects([empty, project.with_poses(labels)], nodes="union")
    return alone.poses


def _keys(rows: Poses) -> NDArray[np.int64]:
    return _pack(rows.frame_keys())


def _pack(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(pack(pairs[:, 0], pairs[:, 1]))


def _pairs(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)


def _are_same(here: Poses, there: Poses, key: int) -> bool:
    """Whether two tables have the same labels in a frame, in any order."""
    a, b = (rows.at(key >> 32, key & 0xFFFFFFFF) for rows in (here, there))
    if len(a) != len(b):
        return False
    gap = np.linalg.norm(a.xy[:, None] - b.xy[None], axis=-1)  # (I, J, K)
    placed_a = (a.visibility != Visibility.MISSING)[:, None]
    placed_b = (b.visibility != Visibility.MISSING)[None]
    equal = ((placed_a == placed_b) & (~placed_a | (gap < _SAME_PX))).all(axis=-1)
    return bool(equal.any(axis=0).all() and equal.any(axis=1).all())


def _coincides(labels: Poses, keys: NDArray[np.int64], mine: Poses) -> NDArray[np.bool_]:
    """Whether each of their labels lies where one of mine does, shape (N,).

    Nodes are compared by name; two labels without a common node do not coincide.
    """
    shared = [node for node in labels.skeleton.nodes if node in mine.skeleton.nodes]
    theirs_k = [labels.skeleton.index(node) for node in shared]
    mine_k = [mine.skeleton.index(node) for node in shared]
    coincides = np.zeros(len(labels), bool)
    for row, key in enumerate(keys.tolist()):
        rows = mine.at(key >> 32, key & 0xFFFFFFFF)
        rows = rows.select(rows.is_label)
        if not len(rows) or not shared:
            continue
        xy = labels.xy[row, theirs_k]
        if not np.isfinite(xy).any():
            continue
        gap = np.linalg.norm(rows.xy[:, mine_k] - xy, axis=-1)  # (I, K)
        size = float(np.linalg.norm(np.nanmax(xy, axis=0) - np.nanmin(xy, axis=0)))
        common = np.isfinite(gap).sum(axis=1)
        mean = np.where(common > 0, np.nansum(gap, axis=1) / np.maximum(common, 1), np.inf)
        coincides[row] = bool((mean <= max(_COINCIDE * size, 1.0)).any())
    return coincides
