"""Opening what a user names, and saying which frames are meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, FileFormatError
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.io.labels import choose_format, read_labels, sniff_format, write_labels
from napari_animalpose.io.video import LazyVideo, is_video_path

__all__ = ["check_output", "format_frames", "parse_frames", "read", "select_frames", "write"]

FilePath = str | PathLike[str]


def read(
    path: FilePath,
    *,
    video_dirs: FilePath | Sequence[FilePath] = (),
    videos: Sequence[FilePath] = (),
) -> Project:
    """Open labels of any known format, or a video as a project without labels.

    Parameters
    ----------
    path : path
        A label file, a DeepLabCut project folder, a video file or a folder of images.
    video_dirs : path or sequence of paths
        Folders in which to look for videos that are not where the label file says.
    videos : sequence of paths
        Files to take instead of the first, the second, ... video of the label file,
        whatever their names.

    Raises
    ------
    FileFormatError
        If the path does not exist or is neither labels nor a video.
    VideoError
        If it is a video that cannot be opened.
    """
    path = Path(path)
    if not path.exists():
        raise FileFormatError(
            f"Expected labels or a video; received {str(path)!r}, which does not exist. "
            "Check the path.",
            path,
        )
    try:
        sniff_format(path)
    except FileFormatError:
        if not (path.is_dir() or is_video_path(path)):
            raise
    else:
        project = read_labels(path, video_dirs=video_dirs)
        return project.relink({i: fspath(video) for i, video in enumerate(videos)})
    video = LazyVideo(str(path))
    len(video)  # opens it: a damaged file is refused here and not frames later
    return Project(videos=(video,), poses=Poses.empty(Skeleton(())))


def write(project: Project, path: FilePath, *, format: str | None = None) -> tuple[Path, ...]:  # noqa: A002
    """Write a project, each file whole or not at all; see `io.labels.write_labels`."""
    return write_labels(project, path, format=format)


class _ProbedError(Exception):
    """Leaves `atomic_path` without writing anything."""


def check_output(path: FilePath) -> None:
    """Refuse a label file that could not be written, before the work that it is for.

    Raises
    ------
    OutputError
        If no format is told by the suffix, or the folder is missing or not writable.
    """
    choose_format(Path(path))
    with suppress(_ProbedError), atomic_path(path):
        raise _ProbedError


_RANGE = re.compile(r"\s*(\d+)\s*(?:-\s*(\d*)\s*)?(?::\s*(\d+)\s*)?")


def parse_frames(text: str, n_frames: int) -> NDArray[np.int64]:
    """Return the frames that a text like ``0-799:8,900,950-`` names, ascending.

    Parameters
    ----------
    text : str
        Comma-separated frames ``a``, ranges ``a-b`` (both included) or ``a-`` (to the
        end), each with an optional step ``:s``.
    n_frames : int
        Length of the video: where an open range ends.

    Raises
    ------
    ConfigError
        If the text means nothing, or a frame lies outside the video.
    """
    chosen: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        if match is None or (match[3] and int(match[3]) == 0):
            raise ConfigError(f"Expected frames like 0-799:8,900,950-; received {text!r}.")
        first = int(match[1])
        last = first if match[2] is None else int(match[2] or n_frames - 1)
        if last >= n_frames or first > last:
            raise ConfigError(f"Expected frames from 0 to {n_frames - 1}; received {part!r}.")
        chosen.update(range(first, last + 1, int(match[3] or 1)))
    return np.array(sorted(chosen), np.int64)


def format_frames(frames: Iterable[int]) -> str:
    """Return ascending frames as the shortest text that `parse_frames` reads back."""
    parts: list[list[int]] = []
    for frame in frames:
        if parts and frame == parts[-1][1] + 1:
            parts[-1][1] = frame
        else:
            parts.append([frame, frame])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def select_frames(poses: Poses, pairs: Iterable[Sequence[int]]) -> Poses:
    """Return the rows of some (video, frame) pairs."""
    wanted = {(int(video), int(frame)) for video, frame in pairs}
    rows = zip(poses.video.tolist(), poses.frame.tolist(), strict=True)
    return poses.select(np.array([row in wanted for row in rows], bool))
