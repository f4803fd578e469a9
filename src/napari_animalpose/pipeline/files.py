"""Opening what a user names, and saying which frames are meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
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

__all__ = [
    "check_output",
    "format_frames",
    "parse_frames",
    "parse_frames_of_videos",
    "read",
    "select_frames",
    "write",
]

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
    for part, first, last, step in _read_ranges(text):
        end = n_frames - 1 if last is None else last
        if end >= n_frames or first > end:
            raise ConfigError(f"Expected frames from 0 to {n_frames - 1}; received {part!r}.")
        chosen.update(range(first, end + 1, step))
    return np.array(sorted(chosen), np.int64)


def parse_frames_of_videos(text: str, lengths: Sequence[int]) -> list[NDArray[np.int64]]:
    """Return the frames that a text names in each of several videos, ascending.

    Videos need not have the same length: each gives the frames that it has. Of a single
    video every frame has to exist, as in `parse_frames`: there, one that does not is a
    mistake.

    Parameters
    ----------
    text : str
        As in `parse_frames`.
    lengths : sequence of int
        Frames of each video.

    Returns
    -------
    list of int64 array
        One for each video; empty where it has none of the frames.

    Raises
    ------
    ConfigError
        If the text means nothing, or no video has any of the frames.
    """
    if len(lengths) == 1:
        return [parse_frames(text, lengths[0])]
    ranges = list(_read_ranges(text))
    chosen = [
        {
            frame
            for _, first, last, step in ranges
            for frame in range(first, n_frames if last is None else min(last + 1, n_frames), step)
        }
        for n_frames in lengths
    ]
    if not any(chosen):
        raise ConfigError(
            f"Expected frames from 0 to {max(lengths, default=0) - 1}, the last one of the "
            f"longest video; received {text!r}."
        )
    return [np.array(sorted(frames), np.int64) for frames in chosen]


def _read_ranges(text: str) -> Iterator[tuple[str, int, int | None, int]]:
    """Yield each part of a text with its first frame, its last (None: the end) and its step."""
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        backwards = match is not None and match[2] and int(match[2]) < int(match[1])
        if match is None or backwards or (match[3] and int(match[3]) == 0):
            raise ConfigError(f"Expected frames like 0-799:8,900,950-; received {text!r}.")
        first = int(match[1])
        last = first if match[2] is None else int(match[2]) if match[2] else None
        yield part, first, last, int(match[3] or 1)


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
