"""Neurodata Without Borders: poses over time, with the extension ndx-pose.

One processing module per video, in it one `PoseEstimation` per animal and in that one
series per node, with explicit times in seconds: times stay right for any frame rate and
for frames without poses. The description of a module names the video, for one without poses
too. Labels for training (`PoseTraining`) are read with `sleap_io`.
Layout: https://github.com/rly/ndx-pose.
"""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
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
from napari_animalpose.io.slots import assign_slots
from napari_animalpose.io.slp_videos import absolute_source, find_sources, read_fps
from napari_animalpose.io.video import LazyVideo

__all__ = ["read_nwb", "write_nwb"]

_MODULE = "SLEAP_VIDEO_{number:03d}_{stem}"  # the name by which readers find poses
_SAID = re.compile(r"([0-9.eE+-]+) frames a second(?:, read from (.+))?$", re.DOTALL)


def write_nwb(project: Project, path: Path) -> None:
    """Write the poses of all videos.

    Times are frame / frame rate, or the frame number where the rate is unknown. Animals
    without a track get a series by their place in the frame (see `assign_slots`); none is
    dropped. The format has no place for who made an instance, for occlusion and for
    scores of instances; points of labels have confidence NaN.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    import ndx_pose  # type: ignore[import-untyped]
    import pynwb  # type: ignore[import-untyped]

    file = pynwb.NWBFile(
        session_description=str(project.provenance.get("session", "Animal poses")),
        identifier=str(uuid.uuid4()),
        session_start_time=datetime.now(UTC),
    )
    skeleton = ndx_pose.Skeleton(
        name=project.skeleton.name.replace("/", "-"),
        nodes=list(project.skeleton.nodes),
        edges=project.skeleton.edge_array.astype(np.uint16),
    )
    behavior = file.create_processing_module("behavior", "Body plan of the animals")
    behavior.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    for number, video in enumerate(project.videos):
        known = read_fps(video)
        fps = known if known > 0 else 1.0
        source = absolute_source(video)
        stem = Path(source.partition("::")[0]).stem.replace("/", "-")
        module = file.create_processing_module(
            _MODULE.format(number=number, stem=stem),
            f"Poses in {video.name}, {fps!r} frames a second, read from {source}",
        )
        poses = project.poses.select(project.poses.video == number)
        rows, slots, names = assign_slots(poses)
        for slot, name in enumerate(names):
            order = np.sort(rows[slots == slot])
            with warnings.catch_warnings():
                # Readers look for the older of two ways to name the video.
                warnings.simplefilter("ignore", DeprecationWarning)
                module.add(_make_estimation(poses.select(order), name, source, fps, skeleton))
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about conventions, for programmers
        with pynwb.NWBHDF5IO(str(temporary), "w") as output:
            output.write(file)


def _make_estimation(poses: Poses, animal: str, source: str, fps: float, skeleton: Any) -> Any:
    """Return the poses of one animal in one video."""
    import ndx_pose

    names = [node.replace("/", "-") for node in poses.skeleton.nodes]
    series = [
        ndx_pose.PoseEstimationSeries(
            name=name,
            description=f"Place of {name}",
            data=poses.xy[:, number].astype(np.float64),
            unit="pixels",
            reference_frame="(x, y) from the centre of the top left pixel",
            timestamps=poses.frame / fps,
            confidence=poses.point_score[:, number].astype(np.float64),
            confidence_definition="Score of the point",
        )
        for number, name in enumerate(names)
    ]
    return ndx_pose.PoseEstimation(
        name=f"track={animal.replace('/', '-')}",
        pose_estimation_series=series,
        description="Poses of one animal",
        original_videos=[source],
        source_software="napari-animalpose",
        skeleton=skeleton,
    )


def read_nwb(path: Path, video_dirs: Sequence[str | PathLike[str]] = ()) -> Project:
    """Read poses, or labels for training if the file has them.

    Frames are times multiplied by the frame rate, which is taken from the file or, where
    it does not say, is one over the shortest step between times.

    Raises
    ------
    FileFormatError
        If the file is damaged or holds no poses.
    """
    try:
        with h5py.File(path, "r") as file:
            modules = file.get("processing", {})
            if "PoseTraining" not in modules.get("behavior", {}):
                return _read_estimations(modules, path, video_dirs)
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"Expected a NWB file with poses; received {str(path)!r} with an error "
            f"({error}). Export it again.",
            path,
        ) from error
    import sleap_io

    from napari_animalpose.io.sleapio import read_with

    return read_with(sleap_io.load_nwb, path, video_dirs, "NWB")


def _read_estimations(
    modules: h5py.Group, path: Path, video_dirs: Sequence[str | PathLike[str]]
) -> Project:
    found = [
        (module, list(_members(module, "PoseEstimation").values())) for module in modules.values()
    ]
    found = [(module, groups) for module, groups in found if groups or "VIDEO" in module.name]
    groups = [group for _, inside in found for group in inside]
    # Without poses the body plan is where all of them would refer to.
    skeletons = groups or list(_members(modules.get("behavior", {}), "Skeletons").values())
    if not found or not skeletons:
        raise FileFormatError(
            f"Expected poses in {str(path)!r}; received a NWB file without any. Choose another "
            "file.",
            path,
        )
    skeleton = _read_skeleton(skeletons[0])
    names: dict[str, int] = {}
    tables, sources = [], []
    for number, (module, inside) in enumerate(found):
        fps = _find_rate(module, inside)
        sources.append(_find_source(module, inside) or path.stem)
        for group in inside:
            name = group.name.rpartition("/")[2].removeprefix("track=")
            track = names.setdefault(name, len(names))
            tables.append((number, track, *_read_points(group, skeleton, fps)))
    videos = tuple(map(LazyVideo, find_sources(sources, path.parent, video_dirs)))
    if not tables:
        return Project(videos, Poses.empty(skeleton), path=str(path))
    poses = Poses.from_arrays(
        skeleton,
        video=np.concatenate([np.full(len(t[2]), t[0]) for t in tables]),
        track=np.concatenate([np.full(len(t[2]), t[1]) for t in tables]),
        frame=np.concatenate([t[2] for t in tables]),
        xy=np.concatenate([t[3] for t in tables]),
        point_score=np.concatenate([t[4] for t in tables]),
        origin=Origin.PREDICTED,
        track_names=tuple(names),
    )
    return Project(videos, poses, path=str(path))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _members(group: h5py.Group, kind: str) -> dict[str, h5py.Group]:
    """Return the parts of a group that are of one of the format's types, by name."""
    return {
        name: item
        for name, item in group.items()
        if _text(item.attrs.get("neurodata_type", "")) == kind
    }


def _series_in(group: h5py.Group) -> dict[str, h5py.Group]:
    return _members(group, "PoseEstimationSeries")


def _read_skeleton(group: h5py.Group) -> Skeleton:
    found = list(_members(group, "Skeleton").items())
    if not found:
        return Skeleton(tuple(_series_in(group)))
    name, stored = found[0]
    nodes = tuple(_text(node) for node in stored["nodes"][()])
    edges = stored["edges"][()].tolist() if "edges" in stored else []
    return Skeleton(nodes, tuple((a, b) for a, b in edges), name=name)


def _times_of(series: h5py.Group) -> NDArray[np.float64]:
    if "timestamps" in series:
        return np.asarray(series["timestamps"][()], np.float64)
    start = series["starting_time"]
    return np.arange(len(series["data"])) / float(start.attrs["rate"]) + float(start[()])


def _find_rate(module: h5py.Group, groups: Sequence[h5py.Group]) -> float:
    """Return the frames a second of the video of a module."""
    said = _SAID.search(_text(module.attrs.get("description", "")))
    if said:
        return float(said.group(1))
    times = [_times_of(series) for group in groups for series in _series_in(group).values()]
    steps = np.diff(np.unique(np.concatenate([*times, np.zeros(0)])))
    steps = steps[steps > 1e-6]
    return 1.0 / float(steps.min()) if len(steps) else 1.0


def _find_source(module: h5py.Group, groups: Sequence[h5py.Group]) -> str:
    """Return the path of the video of a module, empty if the file does not say."""
    if groups:
        return _text(groups[0]["original_videos"][0])
    said = _SAID.search(_text(module.attrs.get("description", "")))
    return (said.group(2) or "") if said else ""


def _read_points(
    group: h5py.Group, skeleton: Skeleton, fps: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return frames (n,), points (n, K, 2) and scores (n, K) of one animal."""
    series = _series_in(group)
    placed = {
        name: np.rint(_times_of(item) * fps).astype(np.int64) for name, item in series.items()
    }
    frames = np.unique(np.concatenate([*placed.values(), np.zeros(0, np.int64)]))
    xy = np.full((len(frames), len(skeleton), 2), np.nan)
    score = np.full((len(frames), len(skeleton)), np.nan)
    for number, node in enumerate(skeleton.nodes):
        item = series[node.replace("/", "-")]
        rows = np.searchsorted(frames, placed[node.replace("/", "-")])
        xy[rows, number] = item["data"][:, :2]
        if "confidence" in item:
            score[rows, number] = item["confidence"][()]
    there = np.isfinite(xy).all(axis=-1).any(axis=-1)
    return frames[there], xy[there], score[there]
