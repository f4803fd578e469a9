"""What an edit is: a value that changes the pose table, can be undone, stored and replayed.

Four kinds change the table: `FrameEdit` replaces the rows of some frames, `NodesEdit`
changes the skeleton, `TracksEdit` the track names, `TableEdit` everything. Each holds what
was there before and what is there after, and nothing of the rest of the table.
`mark_edits.MarksEdit` and `io.video_edits.VideosEdit` change what a project holds around its
table, and `edit_sequence.EditSequence` is several edits as one step.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.columns import COLUMNS
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.video import Video
from napari_animalpose.registry import Registry

if TYPE_CHECKING:
    from napari_animalpose.data.mark_edits import Marks

__all__ = [
    "Edit",
    "FrameEdit",
    "Holder",
    "NodesEdit",
    "TableEdit",
    "TracksEdit",
    "edit_from_dict",
    "edit_kinds",
    "read_header",
]

NodeValues = Mapping[str, NDArray[Any]]  # "xy", "visibility", "point_score" of some nodes


class Holder(Protocol):
    """What edits change: a table and, around it, what is said of frames and videos."""

    poses: Poses
    marks: Marks
    videos: tuple[Video, ...]


@dataclass(frozen=True, eq=False)
class Edit(ABC):
    """A change of the pose table that can be undone.

    Parameters
    ----------
    label : str
        What a menu calls it: "Move point".
    """

    kind: ClassVar[str]
    label: str

    @abstractmethod
    def apply(self, poses: Poses) -> None:
        """Change the table, which must be in the state that this edit was made for."""

    def apply_to(self, holder: Holder) -> None:
        """Change a project, which must be in the state that this edit was made for."""
        self.apply(holder.poses)

    @abstractmethod
    def inverse(self) -> Edit:
        """Return the edit that undoes this one."""

    @property
    def touched(self) -> NDArray[np.int64] | None:
        """Frames this edit changes, (F, 2) of (video, frame) sorted; None = all of them."""
        return None

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Memory that the edit holds, in bytes."""

    @abstractmethod
    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Return the edit as arrays without objects, fit for `numpy.savez`.

        The array called "header" is a JSON text; `edit_from_dict` reads it all back. The
        merge key is not kept: what is read back is never merged.
        """

    @classmethod
    @abstractmethod
    def from_dict(cls, values: Mapping[str, NDArray[Any]]) -> Edit:
        """Build the edit that `to_dict` described."""

    def merged_with(self, later: Edit) -> Edit | None:
        """Return one edit that does this one and then `later`; None if they do not merge."""
        return None

    def _header(self, **entries: Any) -> NDArray[Any]:
        return np.array(json.dumps({"kind": self.kind, "label": self.label, **entries}))


edit_kinds: Registry[type[Edit]] = Registry("kind of edit")


def edit_from_dict(values: Mapping[str, NDArray[Any]]) -> Edit:
    """Build an edit from what `Edit.to_dict` returned, or from the npz file made of it.

    Raises
    ------
    ConfigError
        If the kind of edit is unknown, as in a file of a newer version.
    """
    return edit_kinds.get(read_header(values)["kind"]).from_dict(values)


@dataclass(frozen=True, eq=False)
class FrameEdit(Edit):
    """All rows of some frames replaced.

    Parameters
    ----------
    frames : array of int64, shape (F, 2)
        (video, frame), sorted, without repeats.
    before, after : Poses
        The rows of those frames; their track names are those of the table before and
        after. Nobody else may change them.
    merge_key : hashable, optional
        Consecutive edits of the same frames with an equal key become one step of undo.
    """

    kind: ClassVar[str] = "frames"
    frames: NDArray[np.int64]
    before: Poses
    after: Poses
    merge_key: Hashable | None = None

    def apply(self, poses: Poses) -> None:
        """Put the rows of `after` in place."""
        names = self.after.track_names
        if len(names) > len(poses.track_names):
            poses.replace_tracks(names)
        poses.replace_frames(self.frames, self.after)
        if names != poses.track_names:
            poses.replace_tracks(names)

    def inverse(self) -> FrameEdit:
        """Return the edit that puts `before` back."""
        return replace(self, before=self.after, after=self.before)

    @property
    def touched(self) -> NDArray[np.int64]:
        """The frames, (F, 2)."""
        return self.frames

    @property
    def nbytes(self) -> int:
        """Memory of both blocks in bytes."""
        return self.frames.nbytes + _count_bytes(self.before) + _count_bytes(self.after)

    def merged_with(self, later: Edit) -> FrameEdit | None:
        """Return one edit from this one's `before` to the later one's `after`."""
        if (
            not isinstance(later, FrameEdit)
            or self.merge_key is None
            or self.merge_key != later.merge_key
            or not np.array_equal(self.frames, later.frames)
        ):
            return None
        return replace(later, before=self.before)

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Return frames and both blocks as arrays."""
        return {
            "header": self._header(before=_describe(self.before), after=_describe(self.after)),
            "frames": self.frames,
            **_flatten("before", self.before.columns),
            **_flatten("after", self.after.columns),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, NDArray[Any]]) -> FrameEdit:
        """Build the edit that `to_dict` described."""
        before, after = _read_poses("before", values), _read_poses("after", values)
        return cls(read_header(values)["label"], np.asarray(values["frames"]), before, after)


@dataclass(frozen=True, eq=False)
class NodesEdit(Edit):
    """Another skeleton: nodes added, removed, renamed, reordered; edges and symmetries set.

    Parameters
    ----------
    before, after : Skeleton
        With K and K' nodes.
    sources : tuple of int, length K'
        Which node of `before` each node of `after` is; -1 = a new one.
    removed, added : mapping of arrays, optional
        Values of the nodes that only `before` or only `after` has, over the N rows of the
        table: ``xy`` (N, M, 2), ``visibility`` and ``point_score`` (N, M). None = missing
        points.
    """

    kind: ClassVar[str] = "nodes"
    before: Skeleton
    after: Skeleton
    sources: tuple[int, ...]
    removed: NodeValues | None = None
    added: NodeValues | None = None

    def apply(self, poses: Poses) -> None:
        """Give the table the skeleton `after`."""
        poses.replace_nodes(self.after, self.sources, self.added)

    def inverse(self) -> NodesEdit:
        """Return the edit that brings `before` back, with the values of removed nodes."""
        where = {source: index for index, source in enumerate(self.sources) if source >= 0}
        sources = tuple(where.get(node, -1) for node in range(len(self.before)))
        return NodesEdit(
            self.label, self.after, self.before, sources, removed=self.added, added=self.removed
        )

    @property
    def nbytes(self) -> int:
        """Memory of the values of removed and added nodes in bytes."""
        held = [*(self.removed or {}).values(), *(self.added or {}).values()]
        return sum(values.nbytes for values in held)

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Return both skeletons and the values as arrays."""
        skeletons = {"before": asdict(self.before), "after": asdict(self.after)}
        return {
            "header": self._header(sources=self.sources, **skeletons),
            **_flatten("removed", self.removed or {}),
            **_flatten("added", self.added or {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, NDArray[Any]]) -> NodesEdit:
        """Build the edit that `to_dict` described."""
        header = read_header(values)
        return cls(
            header["label"],
            Skeleton(**header["before"]),
            Skeleton(**header["after"]),
            tuple(header["sources"]),
            _unflatten("removed", values) or None,
            _unflatten("added", values) or None,
        )


@dataclass(frozen=True, eq=False)
class TracksEdit(Edit):
    """Other track names, and identities of all rows if their numbers change.

    Parameters
    ----------
    names_before, names_after : tuple of str
    track_before, track_after : array of int32, shape (N,), optional
        Identities of all rows; both None if only names change.
    """

    kind: ClassVar[str] = "tracks"
    names_before: tuple[str, ...]
    names_after: tuple[str, ...]
    track_before: NDArray[np.int32] | None = None
    track_after: NDArray[np.int32] | None = None

    def apply(self, poses: Poses) -> None:
        """Give the table the names and identities after."""
        poses.replace_tracks(self.names_after, self.track_after)

    def inverse(self) -> TracksEdit:
        """Return the edit that brings the names and identities before back."""
        return TracksEdit(
            self.label, self.names_after, self.names_before, self.track_after, self.track_before
        )

    @property
    def nbytes(self) -> int:
        """Memory of the identities in bytes."""
        return sum(t.nbytes for t in (self.track_before, self.track_after) if t is not None)

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Return names and identities as arrays."""
        tracks = {"track_before": self.track_before, "track_after": self.track_after}
        return {
            "header": self._header(before=self.names_before, after=self.names_after),
            **{name: track for name, track in tracks.items() if track is not None},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, NDArray[Any]]) -> TracksEdit:
        """Build the edit that `to_dict` described."""
        header = read_header(values)
        tracks = (values.get(name) for name in ("track_before", "track_after"))
        return cls(header["label"], tuple(header["before"]), tuple(header["after"]), *tracks)


@dataclass(frozen=True, eq=False)
class TableEdit(Edit):
    """The whole table replaced, as by an import or by the result of a tracker.

    Parameters
    ----------
    before, after : Poses
        Copies of the table; they share memory with it until it changes.
    """

    kind: ClassVar[str] = "table"
    before: Poses
    after: Poses

    def apply(self, poses: Poses) -> None:
        """Make the table a copy of `after`."""
        poses.restore(self.after)

    def inverse(self) -> TableEdit:
        """Return the edit that brings the whole table back."""
        return TableEdit(self.label, self.after, self.before)

    @property
    def nbytes(self) -> int:
        """Memory of both tables in bytes, whether shared or not."""
        return _count_bytes(self.before) + _count_bytes(self.after)

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Return both tables as arrays."""
        return {
            "header": self._header(before=_describe(self.before), after=_describe(self.after)),
            **_flatten("before", self.before.columns),
            **_flatten("after", self.after.columns),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, NDArray[Any]]) -> TableEdit:
        """Build the edit that `to_dict` described."""
        before, after = _read_poses("before", values), _read_poses("after", values)
        return cls(read_header(values)["label"], before, after)


for _kind in (FrameEdit, NodesEdit, TracksEdit, TableEdit):
    edit_kinds.register(_kind.kind, _kind)
edit_kinds.register("sequence", "napari_animalpose.data.edit_sequence:EditSequence")
edit_kinds.register("marks", "napari_animalpose.data.mark_edits:MarksEdit")
edit_kinds.register("videos", "napari_animalpose.io.video_edits:VideosEdit")


def _count_bytes(poses: Poses) -> int:
    return sum(column.nbytes for column in poses.columns.values())


def read_header(values: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return what `Edit.to_dict` stored as JSON: the kind, the label and what is no array."""
    header: dict[str, Any] = json.loads(str(np.asarray(values["header"])[()]))
    return header


def _describe(poses: Poses) -> dict[str, Any]:
    """Return what is not an array: skeleton and track names."""
    return {"skeleton": asdict(poses.skeleton), "track_names": poses.track_names}


def _flatten(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def _unflatten(prefix: str, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    start = f"{prefix}."
    return {key.removeprefix(start): values[key] for key in values if key.startswith(start)}


def _read_poses(prefix: str, values: Mapping[str, NDArray[Any]]) -> Poses:
    described = read_header(values)[prefix]
    stored = _unflatten(prefix, values)
    columns = {name: stored[name] for name in COLUMNS}
    return Poses(Skeleton(**described["skeleton"]), columns, described["track_names"])
