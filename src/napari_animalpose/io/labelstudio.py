"""Annotations of Label Studio (`.json`): tasks with rectangles, key points and relations.

Coordinates are in per cent of the image; a rectangle is an animal, and relations
in either direction tie its key points to it. Key points without a rectangle are one more animal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import FileFormatError
from napari_animalpose.io.slp_videos import find_sources
from napari_animalpose.io.video import LazyVideo

__all__ = ["read_labelstudio"]


def read_labelstudio(path: Path, video_dirs: Sequence[str | PathLike[str]] = ()) -> Project:
    """Read annotations of Label Studio.

    Parameters
    ----------
    path : Path
    video_dirs : sequence of paths
        Folders in which to look for videos and images.

    Returns
    -------
    Project
        With the videos that the tasks name in ``meta.video``. Of several annotations of
        a task the first counts.

    Raises
    ------
    FileFormatError
        If the file is damaged or tasks name no video.
    """
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
        return _read(tasks, path, video_dirs)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"Expected tasks of Label Studio with meta.video and annotations; received "
            f"{str(path)!r} with an error ({type(error).__name__}: {error}). Export it again.",
            path,
        ) from error


def _read(
    tasks: list[dict[str, Any]], path: Path, video_dirs: Sequence[str | PathLike[str]]
) -> Project:
    numbers: dict[str, int] = {}
    videos: list[dict[str, Any]] = []
    rows: list[tuple[int, int, dict[str, tuple[float, float]]]] = []
    for task in tasks:
        described = task["meta"]["video"]
        key = json.dumps(described["filename"])
        if key not in numbers:
            numbers[key] = len(videos)
            videos.append(described)
        number, frame = numbers[key], int(described["frame_idx"])
        rows += [(number, frame, points) for points in _animals_of(task)]
    nodes = tuple(dict.fromkeys(node for *_, points in rows for node in points))
    xy = np.full((len(rows), len(nodes), 2), np.nan)
    for row, (*_, points) in enumerate(rows):
        for node, place in points.items():
            xy[row, nodes.index(node)] = place
    poses = Poses.from_arrays(
        Skeleton(nodes),
        video=np.array([video for video, *_ in rows], np.int64),
        frame=np.array([frame for _, frame, _ in rows], np.int64),
        xy=xy,
    )
    names = [described["filename"] for described in videos]
    sources = find_sources(names, path.absolute().parent, video_dirs)
    opened = tuple(_open_video(*pair) for pair in zip(sources, videos, strict=True))
    return Project(opened, poses, path=str(path))


def _open_video(source: str | list[str], described: dict[str, Any]) -> LazyVideo:
    shape = described.get("shape")
    if not shape or len(shape) != 4:
        return LazyVideo(source)
    n, height, width, channels = (int(size) for size in shape)
    return LazyVideo(source, shape=(n, height, width, channels))


def _animals_of(task: dict[str, Any]) -> Iterator[dict[str, tuple[float, float]]]:
    """Yield the placed key points of every animal of a task."""
    items = task["annotations"][0]["result"]
    points = {item["id"]: item for item in items if item.get("type") == "keypointlabels"}
    animals = [item["id"] for item in items if item.get("type") == "rectanglelabels"]
    members: dict[str, list[str]] = {animal: [] for animal in animals}
    for item in items:
        if item.get("type") == "relation":
            for one, other in (("from_id", "to_id"), ("to_id", "from_id")):
                if item[one] in members:
                    members[item[one]].append(item[other])
    for animal in animals:
        placed = dict(_place(points.pop(point)) for point in members[animal] if point in points)
        yield from _with_points(placed)
    yield from _with_points(dict(_place(point) for point in points.values()))


def _place(item: dict[str, Any]) -> tuple[str, tuple[float, float]]:
    """Return the name of a key point and its (x, y) in px."""
    value = item["value"]
    x = value["x"] * item["original_width"] / 100
    y = value["y"] * item["original_height"] / 100
    return str(value["keypointlabels"][0]), (x, y)


def _with_points(
    placed: dict[str, tuple[float, float]],
) -> Iterator[dict[str, tuple[float, float]]]:
    """Yield an animal without its points that are not placed, unless none is."""
    kept = {node: xy for node, xy in placed.items() if not any(math.isnan(v) for v in xy)}
    if kept:
        yield kept
