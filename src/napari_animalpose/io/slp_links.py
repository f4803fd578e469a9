"""Keeping what other annotations say about instances true after edits.

Masks, boxes, identities, 3D points and so on name instances, tracks and frames by their
position in the file. When positions change, every such number is translated here, and
what belonged to a deleted instance loses its link (annotations) or goes (memberships).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

__all__ = ["Renumbering", "renumber_links"]

_OWNER_INSTANCE = 0
_PARTICIPANT_TRACK = 1
# Annotations, as a structured table or as a group with one data set per column.
_ANNOTATIONS = ("rois", "masks", "label_image_objects", "bboxes", "centroids")


@dataclass(frozen=True, eq=False)
class Renumbering:
    """New positions of instances, tracks and frames by their old ones; -1 = deleted.

    `old_starts` and `new_starts` are the first instance of each old and new frame.
    """

    instances: NDArray[np.int64]
    tracks: NDArray[np.int64]
    frames: NDArray[np.int64]
    old_starts: NDArray[np.int64]
    new_starts: NDArray[np.int64]

    @property
    def is_identity(self) -> bool:
        """Whether nothing moved."""
        return all(
            np.array_equal(numbers, np.arange(len(numbers)))
            for numbers in (self.instances, self.tracks, self.frames)
        )

    def member(self, frame: NDArray[Any], place: NDArray[Any]) -> NDArray[np.int64]:
        """Translate (frame, place in the frame) pairs; returns (n, 2), -1 = deleted."""
        row = self.old_starts[np.asarray(frame, np.int64)] + np.asarray(place, np.int64)
        new_frame = self.frames[np.asarray(frame, np.int64)]
        new_row = self.instances[row]
        new_place = new_row - self.new_starts[new_frame] if len(self.new_starts) else new_row
        pairs = np.stack([new_frame, new_place], axis=-1)
        pairs[(new_row < 0) | (new_frame < 0)] = -1
        return pairs


def _translate(values: NDArray[Any], numbers: NDArray[np.int64]) -> NDArray[Any]:
    """Look up values >= 0; others (none) and unknown ones become -1."""
    values = np.asarray(values, np.int64)
    known = (values >= 0) & (values < len(numbers))
    result = np.full(values.shape, -1, np.int64)
    result[known] = numbers[values[known]]
    return result


def renumber_links(file: h5py.File, renumbering: Renumbering) -> None:
    """Translate all links in `file`, in place.

    Parameters
    ----------
    file : h5py.File
        Open for writing; holds the annotations of the old file.
    renumbering : Renumbering
    """
    if renumbering.is_identity:
        return
    for name in _ANNOTATIONS:
        if name in file:
            _renumber_columns(file[name], renumbering)
    for name in ("identity", "categories"):
        if name in file and "links" in file[name]:
            _renumber_owners(file[name], ("links",), renumbering)
    if "embeddings" in file:
        for prefix in ("", "category_"):
            if f"{prefix}owner_id" in file["embeddings"]:
                names = tuple(prefix + n for n in ("vectors", "owner_type", "owner_id"))
                _renumber_owners(file["embeddings"], names, renumbering)
    if "events" in file:
        _renumber_events(file["events"], renumbering)
    if "session_data" in file:
        _renumber_session_data(file["session_data"], renumbering)
    elif "sessions_json" in file:
        _renumber_session_rows(file, renumbering)


def _overwrite(parent: h5py.Group, name: str, data: NDArray[Any]) -> None:
    """Replace a data set by one of another length, with its attributes."""
    old = parent[name]
    attributes = dict(old.attrs)
    dtype = old.dtype
    del parent[name]
    new = parent.create_dataset(name, data=data, dtype=dtype)
    for key, value in attributes.items():
        new.attrs[key] = value


def _renumber_columns(item: h5py.Group | h5py.Dataset, renumbering: Renumbering) -> None:
    columns = {"instance": renumbering.instances, "track": renumbering.tracks}
    if isinstance(item, h5py.Group):
        for name, numbers in columns.items():
            if name in item:
                item[name][...] = _translate(item[name][()], numbers)
        return
    table = item[()]
    for name, numbers in columns.items():
        if name in (table.dtype.names or ()):
            table[name] = _translate(table[name], numbers)
    item[...] = table


def _renumber_owners(group: h5py.Group, names: tuple[str, ...], renumbering: Renumbering) -> None:
    """Translate the owners of links; those of deleted instances go.

    Links are one structured table, or parallel columns of which the last two are the
    type and the number of the owner.
    """
    loaded = [group[name][()] for name in names]
    in_table = len(names) == 1
    kind = loaded[0]["owner_type"] if in_table else loaded[1]
    owner = (loaded[0]["owner_id"] if in_table else loaded[2]).astype(np.int64)
    mine = kind == _OWNER_INSTANCE
    owner[mine] = _translate(owner[mine], renumbering.instances)
    keep = ~mine | (owner >= 0)
    loaded[-1]["owner_id" if in_table else ...] = owner
    for name, data in zip(names, loaded, strict=True):
        _overwrite(group, name, data[keep])


def _renumber_events(group: h5py.Group, renumbering: Renumbering) -> None:
    for role in ("subject", "target"):
        if f"{role}_kind" not in group:
            continue
        index = group[f"{role}_idx"][()]
        mine = group[f"{role}_kind"][()] == _PARTICIPANT_TRACK
        index[mine] = _translate(index[mine], renumbering.tracks)
        group[f"{role}_idx"][...] = index


def _renumber_session_data(group: h5py.Group, renumbering: Renumbering) -> None:
    """Translate the members of instance groups; groups without members go, too."""
    if "instance_group_members" not in group:
        return
    members = group["instance_group_members"][()]
    pairs = renumbering.member(members["lf"], members["inst"])
    keep = pairs[:, 0] >= 0
    members["lf"], members["inst"] = np.maximum(pairs, 0).T
    _overwrite(group, "instance_group_members", members[keep])
    before = np.concatenate([[0], np.cumsum(keep)])
    groups = group["instance_groups"][()]
    for name in ("member_start", "member_end"):
        groups[name] = before[groups[name].astype(np.int64)]
    kept = groups["member_end"] > groups["member_start"]
    _overwrite(group, "instance_groups", groups[kept])
    if "instance_group_meta" in group:
        _overwrite(group, "instance_group_meta", group["instance_group_meta"][()][kept])
    before = np.concatenate([[0], np.cumsum(kept)])
    frames = group["frame_groups"][()]
    for name in ("ig_start", "ig_end"):
        frames[name] = before[frames[name].astype(np.int64)]
    group["frame_groups"][...] = frames


def _renumber_session_rows(file: h5py.File, renumbering: Renumbering) -> None:
    """Translate the members in the JSON rows of formats before 2.8."""
    name = "camcorder_to_lf_and_inst_idx_map"

    def translate(members: dict[str, Any]) -> dict[str, Any]:
        result = {}
        for camera, (frame, place) in members.items():
            pair = renumbering.member(np.array([int(frame)]), np.array([int(place)]))[0]
            if pair[0] >= 0:
                result[camera] = pair.tolist()
        return result

    rows = [json.loads(row) for row in file["sessions_json"][()]]
    if not rows:
        return
    for row in rows:
        _visit(row, lambda item: item.update({name: translate(item[name])} if name in item else {}))
    texts = [json.dumps(row, separators=(",", ":")) for row in rows]
    del file["sessions_json"]
    file.create_dataset("sessions_json", data=texts, dtype=h5py.string_dtype())


def _visit(item: object, action: Callable[[dict[str, Any]], None]) -> None:
    """Call `action` on every dictionary inside a JSON value."""
    if isinstance(item, dict):
        action(item)
    children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    for child in children:
        _visit(child, action)
