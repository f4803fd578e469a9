"""Bring the labels of another file into a project, after a look at what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.edit_kinds import Edit, FrameEdit
from napari_animalpose.data.edit_sequence import EditSequence
from napari_animalpose.data.mark_edits import Marks, MarksEdit
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project, merge_projects
from napari_animalpose.data.schema_edits import replace_skeleton
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.store import pack, unpack
from napari_animalpose.data.video import Video
from napari_animalpose.errors import VideoError
from napari_animalpose.io.video_edits import VideosEdit
from napari_animalpose.pipeline.document import Document
from napari_animalpose.pipeline.merging import find_labelled_twice

__all__ = [
    "STRATEGIES",
    "LabelDifferences",
    "Strategy",
    "VideoPair",
    "compare_labels",
    "merge_labels",
]

Strategy = Literal["mine", "theirs", "both"]
STRATEGIES: dict[Strategy, str] = {
    "mine": "Keep mine where both have labels",
    "theirs": "Take theirs where both have labels",
    "both": "Keep mine, and add those of theirs that lie elsewhere",
}
"""What to do in frames that both have labelled, as a window says it."""

_SAME_PX = 0.05  # labels that differ less were saved with other precision


@dataclass(frozen=True)
class VideoPair:
    """A video of the other file and what it is here.

    Parameters
    ----------
    theirs : str
        Its name there.
    mine : str or None
        Name of the video here that it is taken to be; None = it will be added.
    by : {"path", "name", ""}
        How it was found: the same path, or the same name, length and size of the picture.
    """

    theirs: str
    mine: str | None
    by: str


@dataclass(frozen=True, eq=False)
class LabelDifferences:
    """What a merge would do.

    Parameters
    ----------
    videos : tuple of VideoPair
        One for each video of the other file.
    new_nodes, absent_nodes : tuple of str
        Nodes that only the other file has, and that it lacks.
    new_tracks : tuple of str
        Tracks that only labels of the other file have.
    only_theirs, only_mine, same, different : array of int64, shape (F, 2)
        (video, frame), numbered as after the merge, that have labels only there, only
        here, the same in both, or others.
    distances_px : array of float64, shape (F,)
        For each of the frames `different` how far points of the closest labels are apart on
        average; NaN where there are none to compare.
    """

    videos: tuple[VideoPair, ...]
    new_nodes: tuple[str, ...]
    absent_nodes: tuple[str, ...]
    new_tracks: tuple[str, ...]
    only_theirs: NDArray[np.int64]
    only_mine: NDArray[np.int64]
    same: NDArray[np.int64]
    different: NDArray[np.int64]
    distances_px: NDArray[np.float64]
    _theirs: Project = field(repr=False)

    @property
    def new_videos(self) -> tuple[str, ...]:
        """Names of the videos that only the other file has."""
        return tuple(pair.theirs for pair in self.videos if pair.mine is None)

    def describe(self) -> tuple[str, ...]:
        """Return one line of text for each thing that differs."""
        lines = [
            f"{pair.theirs} is taken to be {pair.mine}: same name and size"
            for pair in self.videos
            if pair.by == "name"
        ]
        for what, names in {
            "Videos that will be added": self.new_videos,
            "Nodes that will be added": self.new_nodes,
            "Nodes missing in the other file": self.absent_nodes,
            "Tracks that will be added": self.new_tracks,
        }.items():
            if names:
                lines.append(f"{what}: {', '.join(names)}")
        lines.append(f"{_count(self.only_theirs)} labelled only there: will be added")
        lines.append(f"{_count(self.same)} with the same labels")
        apart = self.distances_px[np.isfinite(self.distances_px)]
        far = f" ({np.median(apart):.1f} px apart on average)" if len(apart) else ""
        choose = ": choose what to keep" if len(self.different) else ""
        lines.append(f"{_count(self.different)} with other labels{far}{choose}")
        return tuple(lines)


def _count(frames: NDArray[np.int64]) -> str:
    return f"{len(frames)} frame{'s' if len(frames) != 1 else ''}"


def compare_labels(document: Document, other: Project) -> LabelDifferences:
    """Compare an open project with another file.

    Videos are the same where their path is, or else where name, length and size of the
    picture are and no other video has them.
    """
    mine = _labels_of(document.project)
    pairs, videos = _match_videos(mine.videos, other.videos)
    theirs = _labels_of(other).with_videos(videos)
    here, there = _align(mine, theirs)
    keys_here, keys_there = _keys(here), _keys(there)
    both = np.intersect1d(keys_here, keys_there)
    is_same, distance = np.zeros(len(both), bool), np.full(len(both), np.nan)
    for number, (video, frame) in enumerate(unpack(both).tolist()):
        is_same[number], distance[number] = _compare(here.at(video, frame), there.at(video, frame))
    used = np.unique(there.track[there.track >= 0])
    names = [there.track_names[track] for track in used.tolist()]
    return LabelDifferences(
        pairs,
        tuple(node for node in other.skeleton.nodes if node not in mine.skeleton.nodes),
        tuple(node for node in mine.skeleton.nodes if node not in other.skeleton.nodes),
        tuple(name for name in names if name not in mine.tracks),
        unpack(np.setdiff1d(keys_there, keys_here)),
        unpack(np.setdiff1d(keys_here, keys_there)),
        unpack(both[is_same]),
        unpack(both[~is_same]),
        distance[~is_same],
        theirs,
    )


def merge_labels(
    document: Document, differences: LabelDifferences, strategy: Strategy = "mine"
) -> Edit:
    """Return the edit that adds the other file's labels to the project.

    Predictions of the other file are left out, and predictions here of an animal that gets a
    label go. Of two instances of one track in a frame, labels come before predictions and
    mine before theirs; the second is left without a track. Suggestions and frames marked as
    empty are joined, and no frame with labels stays marked.

    Parameters
    ----------
    document : Document
        As it was when compared.
    differences : LabelDifferences
    strategy : {"mine", "theirs", "both"}
        See `STRATEGIES`.
    """
    mine, theirs = _labels_of(document.project), differences._theirs
    merged = merge_projects([mine, theirs], nodes="union")
    marks = _join_marks(document, merged, differences)
    edits: list[Edit] = []
    poses = document.poses
    if differences.new_nodes:
        edits.append(replace_skeleton(poses, _join(poses.skeleton, merged.skeleton), "Merge"))
        poses = poses.copy()
        edits[-1].apply(poses)
    here, there = _align(mine, theirs)
    added = _with_used_tracks(there.select(_choose(here, there, differences, strategy)))
    edits.append(_add_labels(poses, added, differences, strategy, marks.negative_frames))
    edits.append(MarksEdit("Merge", document.marks, marks))
    if len(merged.videos) > len(document.videos):
        edits.insert(0, VideosEdit("Merge", document.videos, merged.videos))
    return EditSequence(f"Merge {len(added.frame_keys())} frames", tuple(edits))


# -------------------------------------------------------------------------------- videos
def _match_videos(
    mine: Sequence[Video], theirs: Sequence[Video]
) -> tuple[tuple[VideoPair, ...], list[Video]]:
    """Return what each of their videos is, and their videos with mine in place of the same."""
    by_path = {_resolve(video.source): video for video in mine}
    found = [by_path.get(_resolve(video.source)) for video in theirs]
    rest = [video for video in mine if all(video is not other for other in found)]
    pairs, videos = [], []
    for video, same in zip(theirs, found, strict=True):
        by = "path" if same is not None else ""
        if same is None:
            alike = [other for other in rest if _look_alike(other, video)]
            rivals = [v for v, f in zip(theirs, found, strict=True) if f is None]
            rivals = [other for other in rivals if _look_alike(other, video)]
            if len(alike) == len(rivals) == 1:
                same, by = alike[0], "name"
        pairs.append(VideoPair(video.name, None if same is None else same.name, by))
        videos.append(video if same is None else same)
    return tuple(pairs), videos


def _resolve(source: str) -> str:
    path, mark, dataset = source.partition("::")
    return str(Path(path).resolve()) + mark + dataset


def _look_alike(a: Video, b: Video) -> bool:
    """Whether names are equal, and sizes and lengths as far as they are known."""
    if a.name != b.name:
        return False
    try:
        return tuple(a.shape[:3]) == tuple(b.shape[:3])
    except VideoError:
        return True


# -------------------------------------------------------------------------------- labels
def _labels_of(project: Project) -> Project:
    return project.with_poses(project.poses.labels())


def _align(mine: Project, theirs: Project) -> tuple[Poses, Poses]:
    """Return the labels of both with the nodes, tracks and video numbers of the merged."""
    nothing = [
        project.replace(poses=Poses.empty(project.skeleton, project.tracks), extras=None)
        for project in (mine, theirs)
    ]
    here = merge_projects([mine, nothing[1]], nodes="union").poses
    there = merge_projects([nothing[0], theirs], nodes="union").poses
    return here, there


def _keys(rows: Poses) -> NDArray[np.int64]:
    """Return the packed keys of all frames with rows, sorted."""
    frames = rows.frame_keys()
    return pack(frames[:, 0], frames[:, 1])


def _compare(a: Poses, b: Poses) -> tuple[bool, float]:
    """Return whether two tables of one frame have the same labels, and how far they are apart."""
    gap = np.linalg.norm(a.xy[:, None] - b.xy[None], axis=-1)  # (I, J, K)
    here, there = np.isfinite(a.xy[:, None, :, 0]), np.isfinite(b.xy[None, :, :, 0])
    seen = a.visibility[:, None] == b.visibility[None]
    equal = (seen & (here == there) & (~here | (gap < _SAME_PX))).all(axis=-1)  # (I, J)
    tracks = [poses.track_names[t] if t >= 0 else "" for poses in (a, b) for t in poses.track]
    names = np.array(tracks, object)
    equal &= names[: len(a), None] == names[None, len(a) :]
    is_same = len(a) == len(b) and bool(equal.any(axis=0).all() and equal.any(axis=1).all())
    common = here & there
    mean = np.where(common, gap, 0).sum(axis=-1) / np.maximum(common.sum(axis=-1), 1)
    mean[~common.any(axis=-1)] = np.inf
    nearest = mean.min(axis=0)
    nearest = nearest[np.isfinite(nearest)]
    return is_same, float(nearest.mean()) if len(nearest) else float("nan")


def _choose(
    here: Poses, there: Poses, differences: LabelDifferences, strategy: Strategy
) -> NDArray[np.bool_]:
    """Return which of their labels come in."""
    keys = pack(there.video, there.frame)
    chosen = np.isin(keys, _pack(differences.only_theirs))
    disputed = np.isin(keys, _pack(differences.different))
    if strategy == "theirs":
        chosen |= disputed
    elif strategy == "both":
        chosen |= disputed & ~find_labelled_twice(here, there)
    return chosen


def _join(mine: Skeleton, merged: Skeleton) -> Skeleton:
    """Return my skeleton with the new nodes and what edges and pairs they have."""
    n_mine = len(mine)

    def choose(
        pairs: tuple[tuple[int, int], ...], more: tuple[tuple[int, int], ...]
    ) -> tuple[tuple[int, int], ...]:
        return (*pairs, *(pair for pair in more if max(pair) >= n_mine))

    return replace(
        mine,
        nodes=merged.nodes,
        edges=choose(mine.edges, merged.edges),
        symmetries=choose(mine.symmetries, merged.symmetries),
    )


def _with_used_tracks(poses: Poses) -> Poses:
    """Return the rows with names only of tracks that they have."""
    used = np.unique(poses.track[poses.track >= 0])
    track = np.where(poses.track < 0, -1, used.searchsorted(poses.track)).astype(np.int32)
    names = [poses.track_names[number] for number in used.tolist()]
    return Poses(poses.skeleton, {**poses.columns, "track": track}, names)


def _add_labels(
    poses: Poses,
    added: Poses,
    differences: LabelDifferences,
    strategy: Strategy,
    empty: NDArray[np.int32],
) -> FrameEdit:
    """Return the edit of the table, which has all nodes already."""
    replaced = differences.different if strategy == "theirs" else differences.different[:0]
    keys = np.unique(np.concatenate([_keys(added), _pack(replaced), _pack(empty)]))
    before = poses.take_frames(unpack(keys))
    row_keys = pack(before.video, before.frame)
    labels = before.select(before.is_label & ~np.isin(row_keys, _pack(replaced)))
    predictions = before.select(~before.is_label & ~np.isin(row_keys, _pack(empty)))
    predictions = predictions.select(~find_labelled_twice(added, predictions))
    after = Poses.concat([before.select([]), labels, added, predictions])
    return FrameEdit("Merge", unpack(keys), before, _without_repeated_tracks(after))


def _without_repeated_tracks(poses: Poses) -> Poses:
    """Return the table where of several rows of a track in a frame the first one keeps it."""
    named = np.flatnonzero(poses.track >= 0)
    who = np.stack([poses.video, poses.frame, poses.track], axis=1)[named]
    first = np.unique(who, axis=0, return_index=True)[1]
    track = np.full(len(poses), -1, np.int32)
    track[named[first]] = poses.track[named[first]]
    return Poses(poses.skeleton, {**poses.columns, "track": track}, poses.track_names)


# --------------------------------------------------------------------------------- marks
def _join_marks(document: Document, merged: Project, differences: LabelDifferences) -> Marks:
    """Return the marks of both; a frame that has labels then is not empty."""
    mine = document.marks
    labelled = np.concatenate(
        [differences.only_mine, differences.only_theirs, differences.same, differences.different]
    )
    negative = merged.negative_frames
    negative = negative[~np.isin(_pack(negative), _pack(labelled))]
    new = merged.suggestions[~np.isin(_pack(merged.suggestions), _pack(mine.suggestions))]
    reasons = (*mine.reasons, *[""] * len(new)) if mine.reasons else ()
    return Marks(np.concatenate([mine.suggestions, new]), negative, reasons)


def _pack(pairs: NDArray[np.integer]) -> NDArray[np.int64]:
    return np.asarray(pack(pairs[:, 0], pairs[:, 1]))
