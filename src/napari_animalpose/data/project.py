"""A project: videos, the poses in them, and everything else that their file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as dataclass_replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.video import Video
from napari_animalpose.errors import DataError

if TYPE_CHECKING:
    import sleap_io

__all__ = ["Project", "merge_projects"]


@dataclass(frozen=True, eq=False)
class Project:
    """Videos with poses; what a label file holds.

    Parameters
    ----------
    videos : sequence of Video
        The videos that `poses.video` counts from 0.
    poses : Poses
        The table of instances; it also holds the skeleton and the names of the tracks.
    suggestions : array_like of int, shape (S, 2)
        (video, frame) of frames proposed for labelling, in the order to go through them.
    negative_frames : array_like of int, shape (M, 2)
        (video, frame) of frames that a person marked as empty on purpose; kept sorted.
    provenance : mapping
        Where the labels come from, as the file says; values that JSON can hold.
    path : str, optional
        The file or folder that the project was read from.
    extras : object, optional
        What the reader of the file needs to write it again without loss (for instance
        coordinates in double precision and segmentation masks). Only `io` looks inside.

    Raises
    ------
    DataError
        If poses, suggestions or negative frames name a video that is not there.
    """

    videos: tuple[Video, ...]
    poses: Poses
    suggestions: NDArray[np.int32] = field(default_factory=lambda: _as_frames(()))
    negative_frames: NDArray[np.int32] = field(default_factory=lambda: _as_frames(()))
    provenance: Mapping[str, Any] = field(default_factory=dict)
    path: str | None = None
    extras: object = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "videos", tuple(self.videos))
        object.__setattr__(self, "suggestions", _as_frames(self.suggestions))
        negative = np.unique(_as_frames(self.negative_frames), axis=0)
        object.__setattr__(self, "negative_frames", _as_frames(negative))
        object.__setattr__(self, "provenance", dict(self.provenance))
        self._check_videos("poses", self.poses.video)
        self._check_videos("suggestions", self.suggestions[:, 0])
        self._check_videos("negative frames", self.negative_frames[:, 0])

    def _check_videos(self, what: str, numbers: NDArray[np.int32]) -> None:
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self.videos):
            raise DataError(
                f"Expected {what} in the {len(self.videos)} videos of the project, numbered "
                f"from 0; received video {numbers.max() if numbers.min() >= 0 else numbers.min()}."
            )

    @property
    def skeleton(self) -> Skeleton:
        """The body plan of the poses."""
        return self.poses.skeleton

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks that `poses.track` counts from 0."""
        return self.poses.track_names

    def __repr__(self) -> str:
        where = f" of {self.path!r}" if self.path else ""
        return (
            f"<Project{where}: {len(self.videos)} videos, {len(self.labeled_frames())} labelled "
            f"frames, {self.poses!r}>"
        )

    def labeled_frames(self) -> NDArray[np.int64]:
        """Return the (video, frame) of every frame with a label, sorted, shape (F, 2).

        A label is an instance that a person made or confirmed.
        """
        poses = self.poses
        frames = np.stack([poses.video, poses.frame], axis=1)[poses.is_label]
        return np.unique(frames.astype(np.int64), axis=0)

    def replace(self, **changes: Any) -> Project:
        """Return a copy with other fields, checked anew."""
        return dataclass_replace(self, **changes)

    def with_poses(self, poses: Poses) -> Project:
        """Return a copy with another table of poses of the same videos."""
        return self.replace(poses=poses)

    def with_videos(self, videos: Sequence[Video]) -> Project:
        """Return a copy with other videos.

        Parameters
        ----------
        videos : sequence of Video
            The videos that are there already keep their numbers; new ones come after.

        Raises
        ------
        DataError
            If there are fewer videos than before: the numbers in the poses and in
            annotations that the project keeps for other programs would lose their
            meaning.
        """
        if len(videos) < len(self.videos):
            raise DataError(
                f"Expected at least the {len(self.videos)} videos of the project; received "
                f"{len(videos)}. Replace a video in its place or add one at the end."
            )
        return self.replace(videos=tuple(videos))

    def relink(self, where: str | PathLike[str] | Mapping[int | str, str]) -> Project:
        """Return a copy whose videos are looked for elsewhere.

        Parameters
        ----------
        where : path or mapping
            A folder in which to find every video that is missing, or a mapping from a
            video (its number, its name or its source) to the path of its file.

        Raises
        ------
        DataError
            If the mapping names a video that is not in the project, or a folder holds
            none of the missing videos.
        VideoError
            If a file of the mapping does not exist.
        """
        # The one call from here up to the layer of files, so that users find it as a
        # method; with `to_sleap` it is the exception that the import contract names.
        from napari_animalpose.io.labels import relink_videos

        return relink_videos(self, where)

    def to_sleap(self) -> sleap_io.Labels:
        """Return the project as a `sleap_io.Labels`, with everything its file held."""
        from napari_animalpose.io.labels import to_sleap

        return to_sleap(self)


def _as_frames(frames: ArrayLike) -> NDArray[np.int32]:
    """Return (video, frame) pairs as a read-only int32 array of shape (F, 2)."""
    pairs = np.array(frames, np.int32).reshape(-1, 2)
    pairs.flags.writeable = False
    return pairs


def merge_projects(projects: Sequence[Project], nodes: str = "error") -> Project:
    """Join label files into one project; equal sources become one video.

    Parameters
    ----------
    projects : sequence of Project
        At least one. Tracks of equal name become one track.
    nodes : {"error", "union"}
        What to do where skeletons have other nodes: refuse, or give every instance all
        nodes of all skeletons, with those that it lacks missing. The order of nodes is
        that of the first project, then of the next.

    Returns
    -------
    Project
        Edges and symmetries are those of all projects. Annotations that only other
        programs use (`Project.extras`) cannot be joined: they stay in the files that
        hold them, and coordinates are those of the table, in single precision. A single
        project is returned as it is.

    Raises
    ------
    DataError
        If there is no project, or skeletons differ and `nodes` is "error".
    """
    if nodes not in ("error", "union"):
        raise DataError(f"Expected nodes='error' or 'union'; received {nodes!r}.")
    if not projects:
        raise DataError("Expected at least one project to merge; received none.")
    if len(projects) == 1:
        return projects[0]
    skeleton = _merge_skeletons([project.skeleton for project in projects], nodes)
    videos: list[Video] = []
    number_of: dict[str, int] = {}
    tables, suggestions, negatives = [], [], []
    provenance: dict[str, Any] = {}
    for project in projects:
        for video in project.videos:
            if video.source not in number_of:
                number_of[video.source] = len(videos)
                videos.append(video)
        number = np.array([number_of[video.source] for video in project.videos], np.int32)
        tables.append(_move_poses(project.poses, skeleton, number))
        suggestions.append(_move_frames(project.suggestions, number))
        negatives.append(_move_frames(project.negative_frames, number))
        provenance = {**project.provenance, **provenance}
    proposed = np.concatenate(suggestions)
    first = np.sort(np.unique(proposed, axis=0, return_index=True)[1])
    return Project(
        tuple(videos),
        Poses.concat(tables),
        suggestions=proposed[first],
        negative_frames=np.concatenate(negatives),
        provenance=provenance,
    )


def _merge_skeletons(skeletons: Sequence[Skeleton], nodes: str) -> Skeleton:
    first = skeletons[0]
    for other in skeletons[1:]:
        if nodes == "error" and other.nodes != first.nodes:
            raise DataError(
                f"Expected the nodes {', '.join(first.nodes)} in every project; received "
                f"{', '.join(other.nodes)}. Merge with nodes='union' to keep all of them."
            )
    names = list(dict.fromkeys(node for skeleton in skeletons for node in skeleton.nodes))
    edges: dict[tuple[str, str], None] = {}
    symmetries: dict[tuple[str, ...], None] = {}
    for skeleton in skeletons:
        for a, b in skeleton.edges:
            if (skeleton.nodes[b], skeleton.nodes[a]) not in edges:
                edges[skeleton.nodes[a], skeleton.nodes[b]] = None
        for a, b in skeleton.symmetries:
            symmetries[tuple(sorted((skeleton.nodes[a], skeleton.nodes[b])))] = None
    pairs = [(a, b) for a, b in symmetries]
    return Skeleton.from_names(names, edges, pairs, name=first.name)


def _move_poses(poses: Poses, skeleton: Skeleton, number: NDArray[np.int32]) -> Poses:
    """Return the table with the nodes of `skeleton` and the videos renumbered."""
    target = np.array([skeleton.index(node) for node in poses.skeleton.nodes], np.intp)
    columns: dict[str, Any] = dict(poses.columns)
    columns["video"] = number[poses.video] if len(poses) else poses.video
    for name, missing in (("xy", np.nan), ("visibility", 0), ("point_score", np.nan)):
        old = columns[name]
        wide = np.full((len(poses), len(skeleton), *old.shape[2:]), missing, old.dtype)
        wide[:, target] = old
        columns[name] = wide
    return Poses.from_arrays(skeleton, **columns, track_names=poses.track_names)


def _move_frames(frames: NDArray[np.int32], number: NDArray[np.int32]) -> NDArray[np.int32]:
    moved = frames.copy()
    if len(frames):
        moved[:, 0] = number[frames[:, 0]]
    return moved
