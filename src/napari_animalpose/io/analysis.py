"""SLEAP's analysis files: HDF5 with one column per track, and CSV with one row each.

Both hold one video. What they cannot hold is left out: who made an instance, occlusion
and, in CSV, edges. Layout: `Labels.export` of SLEAP 1.4, which `sleap_io`, `movement`
and MATLAB scripts read.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import FileFormatError
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.io.numbers import parse_numbers
from napari_animalpose.io.slots import assign_slots
from napari_animalpose.io.slp_videos import absolute_source, find_file
from napari_animalpose.io.video import LazyVideo

__all__ = ["read_analysis", "read_csv", "write_analysis", "write_csv"]

_CANONICAL = ("frame", "track", "node", "xy")
# Axes on disk where the file does not name them: MATLAB's order, as SLEAP writes.
_MATLAB = {
    "tracks": ("track", "xy", "node", "frame"),
    "point_scores": ("track", "node", "frame"),
    "instance_scores": ("track", "frame"),
    "tracking_scores": ("track", "frame"),
}


# ----------------------------------------------------------------------------- analysis HDF5
def write_analysis(project: Project, path: Path, video: int = 0) -> None:
    """Write the instances of one video as a SLEAP analysis file.

    Frames run from 0 to the last one with an instance. Instances without a track get
    columns of their own (see `assign_slots`); nothing is dropped. If no instance has a
    track and no frame has two instances, there is one column without a name.

    Parameters
    ----------
    project : Project
    path : Path
    video : int
        Which video.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    poses = project.poses.select(project.poses.video == video)
    rows, slots, names = assign_slots(poses)
    n_frames = int(poses.frame.max(initial=-1)) + 1
    n_slots, n_nodes = len(names), poses.n_nodes
    occupied = np.zeros((n_frames, n_slots), np.uint8)
    occupied[poses.frame[rows], slots] = 1
    shapes = {
        "tracks": (2, n_nodes, n_frames),
        "point_scores": (n_nodes, n_frames),
        "instance_scores": (n_frames,),
        "tracking_scores": (n_frames,),
    }
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for name, shape in shapes.items():
            # One chunk a track, written one by one: memory stays that of one track.
            file.create_dataset(
                name,
                shape=(n_slots, *shape),
                dtype=np.float64,
                chunks=(1, *shape) if n_slots and n_frames and n_nodes else None,
                compression="gzip" if n_slots and n_frames and n_nodes else None,
                fillvalue=np.nan,
            ).attrs["dims"] = json.dumps(_MATLAB[name])
        for slot in range(n_slots):
            _write_slot(file, poses, rows[slots == slot], slot, n_frames)
        occupancy = file.create_dataset("track_occupancy", data=occupied)
        occupancy.attrs["dims"] = json.dumps(("frame", "track"))
        nameless = not len(np.flatnonzero(poses.track >= 0)) and n_slots <= 1
        _write_names(file, project.skeleton, () if nameless else names)
        _write_origin(file, project, video)


def _write_slot(
    file: h5py.File, poses: Poses, rows: NDArray[np.intp], slot: int, n_frames: int
) -> None:
    frames = poses.frame[rows]
    values = {
        "tracks": poses.xy[rows],
        "point_scores": poses.point_score[rows],
        "instance_scores": poses.score[rows],
        "tracking_scores": poses.track_score[rows],
    }
    for name, value in values.items():
        filled = np.full((n_frames, *value.shape[1:]), np.nan)
        filled[frames] = value
        if filled.size:
            file[name][slot] = filled.T


def _write_names(file: h5py.File, skeleton: Skeleton, tracks: Sequence[str]) -> None:
    def encode(names: Sequence[str]) -> NDArray[Any]:
        return np.array([name.encode() for name in names])

    file["track_names"] = encode(tracks)
    file["node_names"] = encode(skeleton.nodes)
    pairs = [[skeleton.nodes[a], skeleton.nodes[b]] for a, b in skeleton.edges]
    file["edge_names"] = np.array([encode(pair) for pair in pairs]) if pairs else np.zeros((0, 2))
    file["edge_inds"] = skeleton.edge_array
    file.attrs["preset"], file.attrs["format"] = "matlab", "analysis"
    file.attrs["skeleton_name"] = skeleton.name
    file.attrs["skeleton_symmetries"] = json.dumps(
        [(skeleton.nodes[a], skeleton.nodes[b]) for a, b in skeleton.symmetries]
    )


def _write_origin(file: h5py.File, project: Project, video: int) -> None:
    file["labels_path"] = project.path or ""
    file["video_path"] = absolute_source(project.videos[video]) if project.videos else ""
    file["video_ind"] = video
    file["provenance"] = json.dumps(dict(project.provenance), default=str)


def read_analysis(path: Path, video_dirs: Sequence[str | PathLike[str]] = ()) -> Project:
    """Read a SLEAP analysis file; every instance counts as predicted.

    Parameters
    ----------
    path : Path
    video_dirs : sequence of paths
        Folders in which to look for the video.

    Raises
    ------
    FileFormatError
        If the file is damaged or of another format.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read_analysis(file, path, video_dirs)
    except (OSError, KeyError, RuntimeError, IndexError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"Expected a whole SLEAP analysis file; received {str(path)!r}, which is damaged or of "
            f"another format ({error}). Export it again.",
            path,
        ) from error


def _read_analysis(
    file: h5py.File, path: Path, video_dirs: Sequence[str | PathLike[str]]
) -> Project:
    arrays = {name: _in_order(file[name], _MATLAB[name]) for name in _MATLAB}
    locations = arrays["tracks"]
    nodes = _decode(file["node_names"])
    index = {node: number for number, node in enumerate(nodes)}
    edges = [
        (index[a], index[b]) for a, b in (_decode(pair) for pair in file.get("edge_names", ()))
    ]
    symmetries = json.loads(file.attrs.get("skeleton_symmetries", "[]"))
    name = file.attrs.get("skeleton_name", "") or "skeleton"
    pairs = [(index[a], index[b]) for a, b in symmetries]
    skeleton = Skeleton(nodes, tuple(edges), tuple(pairs), name)
    tracks = _decode(file["track_names"])
    frames, slots = np.nonzero(np.isfinite(locations).all(axis=-1).any(axis=-1))
    poses = Poses.from_arrays(
        skeleton,
        frame=frames,
        xy=locations[frames, slots],
        track=slots if tracks else np.full(len(slots), -1),
        origin=Origin.PREDICTED,
        point_score=arrays["point_scores"][frames, slots],
        score=arrays["instance_scores"][frames, slots],
        track_score=arrays["tracking_scores"][frames, slots],
        track_names=tracks,
    )
    named = _as_text(file["video_path"][()]) if "video_path" in file else ""
    provenance = json.loads(_as_text(file["provenance"][()])) if "provenance" in file else {}
    video = LazyVideo(find_file(named, path.parent, video_dirs) if named else path.stem)
    return Project((video,), poses, provenance=provenance, path=str(path))


def _in_order(dataset: h5py.Dataset, default: tuple[str, ...]) -> NDArray[Any]:
    """Load a data set with its axes in canonical order."""
    stored = json.loads(dataset.attrs["dims"]) if "dims" in dataset.attrs else default
    wanted = [axis for axis in _CANONICAL if axis in stored]
    return np.asarray(dataset[()]).transpose([list(stored).index(axis) for axis in wanted])


def _as_text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _decode(names: Any) -> tuple[str, ...]:
    return tuple(_as_text(name) for name in names)


# --------------------------------------------------------------------------------------- CSV
def write_csv(project: Project, path: Path, video: int = 0) -> None:
    """Write the instances of one video as SLEAP's analysis CSV: a row for each of them.

    Columns: ``track``, ``frame_idx``, ``instance.score`` and for every node ``.x``,
    ``.y``, ``.score``, in the order of the skeleton. Empty cells mean none. Coordinates
    have the digits that single precision needs to come back exactly.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    import pandas as pd

    poses = project.poses.select(project.poses.video == video)
    names = np.array([*poses.track_names, ""], object)
    columns: dict[str, NDArray[Any]] = {
        "track": names[poses.track],
        "frame_idx": poses.frame,
        "instance.score": poses.score,
    }
    for number, node in enumerate(poses.skeleton.nodes):
        columns[f"{node}.x"] = poses.xy[:, number, 0]
        columns[f"{node}.y"] = poses.xy[:, number, 1]
        columns[f"{node}.score"] = poses.point_score[:, number]
    with atomic_path(path) as temporary:
        pd.DataFrame(columns).to_csv(temporary, index=False, na_rep="")


def read_csv(path: Path, video_dirs: Sequence[str | PathLike[str]] = ()) -> Project:
    """Read SLEAP's analysis CSV.

    Instances with a score count as predicted, others as labels. The file does not name
    its video: one with the name of the file is looked for.

    Raises
    ------
    FileFormatError
        If columns are missing or hold no numbers.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        nodes = tuple(name[:-2] for name in header if name.endswith(".x"))
        needed = ["frame_idx", *(f"{node}.{axis}" for node in nodes for axis in ("x", "y"))]
        lacking = [name for name in needed if name not in header]
        if lacking or not nodes:
            raise FileFormatError(
                f"Expected columns frame_idx and NODE.x, NODE.y for every node; received "
                f"{str(path)!r} with columns {', '.join(header) or 'none'}. Export it from SLEAP "
                "again.",
                path,
            )
        texts = [header.index("track")] if "track" in header else []
        names_of, table = parse_numbers(rows, len(header), texts, path)
    column = {name: table[:, number] for number, name in enumerate(header)}
    none = np.full(len(table), np.nan)
    track = [cells[0] if texts else "" for cells in names_of]
    names = tuple(name for name in dict.fromkeys(track) if name)
    number = {name: index for index, name in enumerate(names)} | {"": -1}
    score = column.get("instance.score", none)
    x, y = ([column[f"{node}.{axis}"] for node in nodes] for axis in ("x", "y"))
    point_score = np.stack([column.get(f"{node}.score", none) for node in nodes], axis=-1)
    poses = Poses.from_arrays(
        Skeleton(nodes),
        frame=column["frame_idx"],
        xy=np.stack([np.stack(x, axis=-1), np.stack(y, axis=-1)], axis=-1),
        track=np.array([number[name] for name in track], np.int64),
        origin=np.where(np.isnan(score), Origin.USER, Origin.PREDICTED),
        point_score=point_score,
        score=score,
        track_names=names,
    )
    video = LazyVideo(find_file(f"{path.stem}.mp4", path.parent, video_dirs))
    return Project((video,), poses, path=str(path))
