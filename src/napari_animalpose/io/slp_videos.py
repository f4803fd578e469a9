"""How SLEAP label files name videos, and the videos behind those names.

A row of `videos_json` holds the path that some computer used: absolute, relative, with
backslashes, or "." for images embedded in the label file itself.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.video import Video
from napari_animalpose.errors import DataError, VideoError
from napari_animalpose.io.video import LazyVideo, find_video

if TYPE_CHECKING:
    from napari_animalpose.io.slp import SlpContents

__all__ = [
    "choose_video_ids",
    "find_file",
    "find_images",
    "image_paths",
    "number_videos",
    "open_videos",
    "read_fps",
    "write_video_rows",
]

_EMBEDDED = re.compile(r"video(\d+)(/|$)")
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_HDF5_SUFFIXES = (".h5", ".hdf5", ".slp")


# -------------------------------------------------------------------------------- numbering
def number_videos(used: NDArray[Any], rows: Sequence[str]) -> NDArray[np.int64]:
    """Return the number by which `frames` calls each video, as SLEAP reads it.

    Usually the position in the list. In packages it may be that of the group with the
    images ("video15/video" is 15), unless the numbers used are exactly the positions.

    Parameters
    ----------
    used : array of int
        The column `video` of the frames.
    rows : sequence of str
        The JSON rows of the V videos.

    Returns
    -------
    numpy.ndarray of int64, shape (V,)
    """
    positions = np.arange(len(rows))
    if np.array_equal(np.unique(used), positions):
        return positions
    return _group_numbers(rows)


def _group_numbers(rows: Sequence[str]) -> NDArray[np.int64]:
    numbers = np.arange(len(rows))
    for position, row in enumerate(rows):
        dataset = json.loads(row)["backend"].get("dataset") or ""
        found = _EMBEDDED.match(dataset)
        if found and "/" in dataset:
            numbers[position] = int(found.group(1))
    return numbers


def choose_video_ids(
    used: NDArray[np.int64], rows: Sequence[str], old: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return a number for each video by which SLEAP will find it again.

    Parameters
    ----------
    used : array of int
        Positions of the videos that have frames.
    rows : sequence of str
        The JSON rows of the V videos to be written.
    old : array of int
        The numbers that the first of them had in the old file.

    Raises
    ------
    DataError
        If numbers of embedded videos collide with positions of added videos.
    """
    positions = np.arange(len(rows))
    kept = np.concatenate([old, positions[len(old) :]])
    here = np.unique(used)
    for numbers in (kept, positions, _group_numbers(rows)):
        back = number_videos(numbers[here], rows)
        if np.array_equal(back[here], numbers[here]) and len(np.unique(back)) == len(back):
            return numbers
    raise DataError(
        f"Expected different numbers for the {len(rows)} videos; received embedded videos whose "
        "numbers collide with those of added ones. Save the added videos in a file of their own."
    )


# ---------------------------------------------------------------------------------- reading
def open_videos(
    rows: Sequence[str], path: Path, video_dirs: Sequence[str | os.PathLike[str]]
) -> tuple[LazyVideo, ...]:
    """Return the videos of a label file, opened when a frame is needed.

    Parameters
    ----------
    rows : sequence of str
        JSON rows of `videos_json`.
    path : Path
        The label file.
    video_dirs : sequence of paths
        Folders in which to look for files that are not where the row says.
    """
    return tuple(_open_video(json.loads(row), path, video_dirs) for row in rows)


def _open_video(
    row: dict[str, Any], path: Path, video_dirs: Sequence[str | os.PathLike[str]]
) -> LazyVideo:
    backend = row["backend"]
    name = backend.get("filename", row.get("filename", ""))
    source: str | list[str]
    if backend.get("filenames"):
        source = find_images(backend["filenames"], path.parent, video_dirs)
    elif name == ".":
        source = str(path.absolute())
    else:
        source = find_file(name, path.parent, video_dirs)
    return LazyVideo(
        source,
        dataset=backend.get("dataset") or None,
        grayscale=_is_gray(backend),
        # Of embedded images the row counts those in the file, not the frames of the video.
        shape=None if name == "." else _shape_of(backend),
        fps=_fps_of(backend),
    )


def _shape_of(backend: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """Return (N, H, W, C) if the row holds it whole."""
    shape = backend.get("shape")
    if not shape or len(shape) != 4 or any(size is None for size in shape):
        return None
    n, height, width, channels = (int(size) for size in shape)
    return n, height, width, channels


def _is_gray(backend: dict[str, Any]) -> bool | None:
    gray = backend.get("grayscale")
    return None if gray is None else bool(gray)


def _fps_of(backend: dict[str, Any]) -> float | None:
    fps = backend.get("fps")
    return None if fps is None else float(fps)


def find_file(name: str, folder: Path, video_dirs: Sequence[str | os.PathLike[str]] = ()) -> str:
    """Return where a file that a label file names is now, or the name if nowhere.

    Looked for as named, then relative to `folder` and to `video_dirs`, see `find_video`.
    """
    found = find_video(name, [folder, *video_dirs])
    return name if found is None else str(found)


def find_images(
    names: Sequence[str], folder: Path, video_dirs: Sequence[str | os.PathLike[str]] = ()
) -> list[str]:
    """Return where the images of a list are now; those that are not found keep their name.

    Lists are long: a folder in which the first image of some folder was found is tried
    first for the others.
    """
    moved: dict[str, str] = {}
    found = []
    for name in names:
        text = name.replace("\\", "/")
        parent, _, file = text.rpartition("/")
        guess = os.path.join(moved[parent], file) if parent in moved else None
        if guess is None or not os.path.isfile(guess):
            guess = find_file(text, folder, video_dirs)
            if os.path.isfile(guess):
                moved[parent] = os.path.dirname(guess)
        found.append(guess)
    return found


# ---------------------------------------------------------------------------------- writing
def write_video_rows(
    file: h5py.File,
    videos: Sequence[Video],
    contents: SlpContents,
    target: Path,
    *,
    embed: bool = True,
) -> tuple[str, ...]:
    """Write `videos_json`; return its rows.

    A video that is still the one that was read keeps its row, with two exceptions: a
    relative path that leads nowhere from the new folder becomes absolute, and without
    `embed` embedded images are named in the file that holds them.
    """
    rows = []
    for number, video in enumerate(videos):
        known = number < len(contents.video_rows)
        if known and contents.video_sources[number] == video.source:
            rows.append(_keep_row(contents.video_rows[number], contents, target, embed))
        else:
            rows.append(json.dumps(describe_video(video), separators=(",", ":")))
    if tuple(rows) != contents.video_rows:
        if "videos_json" in file:
            del file["videos_json"]
        file.create_dataset("videos_json", data=rows, shape=(len(rows),), dtype=h5py.string_dtype())
    return tuple(rows)


def _keep_row(text: str, contents: SlpContents, target: Path, embed: bool) -> str:
    row = json.loads(text)
    before = json.dumps(row)
    old_folder, new_folder = Path(contents.source).parent, target.absolute().parent
    backend = row["backend"]
    if backend.get("filename", row.get("filename")) == ".":
        if not embed:
            row["filename"] = backend["filename"] = Path(contents.source).as_posix()
    elif old_folder != new_folder:
        for part in (row, backend):
            if isinstance(part.get("filename"), str):
                part["filename"] = _move_path(part["filename"], old_folder, new_folder)
        if backend.get("filenames"):
            names = backend["filenames"]
            backend["filenames"] = [_move_path(name, old_folder, new_folder) for name in names]
    return text if json.dumps(row) == before else json.dumps(row, separators=(",", ":"))


def _move_path(text: str, old_folder: Path, new_folder: Path) -> str:
    """Return a path as it has to be written in another folder."""
    if (new_folder / text).exists() or not (old_folder / text).exists():
        return text
    return (old_folder / text).resolve().as_posix()


def describe_video(video: Video) -> dict[str, Any]:
    """Return the row that SLEAP writes for a video.

    A video that cannot be opened is described without its shape.
    """
    try:
        shape: list[int] | None = [int(size) for size in video.shape]
    except VideoError:
        shape = None
    fps = read_fps(video)
    paths = [path.as_posix() for path in image_paths(video)]
    source, _, dataset = video.source.partition("::")
    name = paths[0] if paths else Path(source).as_posix()
    backend: dict[str, Any] = {"type": _backend_of(name, bool(paths), bool(dataset))}
    backend |= {"filename": name, "shape": shape, "dataset": dataset, "input_format": ""}
    backend["grayscale"] = None if shape is None else shape[3] == 1
    backend["fps"] = None if math.isnan(fps) else fps
    if paths:
        backend["filenames"] = paths
    if backend["type"] == "MediaVideo":
        backend["bgr"] = True
    if backend["type"] == "HDF5Video":
        backend |= {"input_format": "channels_last", "convert_range": False}
        backend["has_embedded_images"] = bool(_EMBEDDED.match(dataset))
    return {"filename": name, "backend": backend}


def image_paths(video: Video) -> tuple[Path, ...]:
    """Return the files of a list of images, nothing for other videos."""
    names = getattr(video, "filename", getattr(video, "paths", ""))
    return () if isinstance(names, str) else tuple(Path(name) for name in names)


def read_fps(video: Video) -> float:
    """Return the frames a second, NaN also for a video that cannot be opened."""
    try:
        return float(video.fps)
    except VideoError:
        return math.nan


def _backend_of(name: str, is_list: bool, has_dataset: bool) -> str:
    """Return SLEAP's name for the kind of reader that a file needs."""
    suffix = Path(name).suffix.lower()
    if is_list or (suffix in _IMAGE_SUFFIXES and suffix not in (".tif", ".tiff")):
        return "ImageVideo"
    if has_dataset or suffix in _HDF5_SUFFIXES:
        return "HDF5Video"
    return "TiffVideo" if suffix in (".tif", ".tiff") else "MediaVideo"
