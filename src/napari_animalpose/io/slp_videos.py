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
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.video import Video
from napari_animalpose.errors import DataError, VideoError
from napari_animalpose.io.video import HDF5_SUFFIXES, LazyVideo, find_video

if TYPE_CHECKING:
    from napari_animalpose.io.slp import SlpContents

__all__ = [
    "absolute_name",
    "absolute_source",
    "choose_video_ids",
    "find_doubtful",
    "find_file",
    "find_images",
    "find_sources",
    "image_paths",
    "number_videos",
    "open_videos",
    "read_fps",
    "write_video_rows",
]

_EMBEDDED = re.compile(r"video(\d+)(/|$)")
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


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
        Folders in which to look for files that are not where the row says, see
        `find_sources`.
    """
    described = [json.loads(row) for row in rows]
    names = [_name_of(row) for row in described]
    sources = find_sources(names, path.parent, video_dirs)
    return tuple(
        _open_video(row["backend"], path.absolute() if name == "." else source, name == ".")
        for row, name, source in zip(described, names, sources, strict=True)
    )


def _name_of(row: dict[str, Any]) -> str | list[str]:
    """Return the path in a row or, of a list of images, all paths."""
    backend = row["backend"]
    names: str | list[str] = backend.get("filenames") or backend.get(
        "filename", row.get("filename", "")
    )
    return names


def _open_video(
    backend: dict[str, Any], source: Path | str | list[str], is_embedded: bool
) -> LazyVideo:
    return LazyVideo(
        source,
        dataset=backend.get("dataset") or None,
        grayscale=_is_gray(backend),
        # Of embedded images the row counts those in the file, not the frames of the video.
        shape=None if is_embedded else _shape_of(backend),
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


def find_sources(
    names: Sequence[str | Sequence[str]],
    folder: Path,
    video_dirs: Sequence[str | os.PathLike[str]] = (),
) -> list[str | list[str]]:
    """Return where the videos of a label file are now, or their names if nowhere.

    As `find_file`, and for lists of images `find_images`; but a file that would be taken for
    another video too keeps its name, see `find_doubtful`.
    """
    found: list[str | list[str]] = [
        find_file(name, folder, video_dirs)
        if isinstance(name, str)
        else find_images(name, folder, video_dirs)
        for name in names
    ]
    for number in find_doubtful(names, found):
        name = names[number]
        found[number] = name if isinstance(name, str) else list(name)
    return found


def find_doubtful(
    names: Sequence[str | Sequence[str]], found: Sequence[str | Sequence[str]]
) -> set[int]:
    """Return which videos were found in a file that is another video's.

    Every camera may have its "video.mp4": if only one of these files is there, it is not all
    of them. It belongs to the video whose path agrees with it in more parts from the end;
    where several agree as much, nobody can tell, and all of them are returned. A path that
    agrees as a whole is no guess.

    Parameters
    ----------
    names : sequence
        The path by which each video is known; of a list of images, all paths.
    found : sequence
        Where it was found.
    """
    here: dict[str, list[int]] = {}
    for number, source in enumerate(found):
        if os.path.exists(_first(source)):
            here.setdefault(os.path.realpath(_first(source)), []).append(number)
    doubtful: set[int] = set()
    for numbers in here.values():
        known = {number: _first(names[number]).replace("\\", "/") for number in numbers}
        agreed = {
            name: _count_agreeing(name, _first(found[number])) for number, name in known.items()
        }
        best = max(agreed.values())
        owners = {name for name, count in agreed.items() if count == best}
        if len(owners) > 1 and best < math.inf:
            owners = set()
        doubtful |= {number for number, name in known.items() if name not in owners}
    return doubtful


def _first(source: str | Sequence[str]) -> str:
    """Return a path or the first of several, "" where there is none."""
    return source if isinstance(source, str) else next(iter(source), "")


def _count_agreeing(name: str, file: str) -> float:
    """Return how many parts of two paths are equal from the end; infinite if all of a name."""
    parts, others = PureWindowsPath(name).parts[::-1], PureWindowsPath(file).parts[::-1]
    pairs = zip(parts, others, strict=False)
    count = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(parts), len(others)))
    return math.inf if count == len(parts) else count


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

    A video that cannot be opened is described without its shape. Readers look for a relative
    path beside the label file, so that the path is absolute unless it leads nowhere.
    """
    try:
        shape: list[int] | None = [int(size) for size in video.shape]
    except VideoError:
        shape = None
    fps = read_fps(video)
    paths = [absolute_name(path) for path in image_paths(video)]
    source, _, dataset = absolute_source(video).partition("::")
    name = paths[0] if paths else source
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


def absolute_name(path: str | os.PathLike[str]) -> str:
    """Return the text by which a file is found from any folder, with forward slashes.

    A relative path that leads nowhere from here stays as it is.
    """
    path = Path(path)
    if not path.is_absolute() and path.exists():
        path = path.resolve() if ".." in path.parts else path.absolute()
    return path.as_posix()


def absolute_source(video: Video) -> str:
    """Return the source of a video, its path absolute, see `absolute_name`."""
    path, mark, dataset = video.source.partition("::")
    return absolute_name(path) + mark + dataset


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
    if has_dataset or suffix in HDF5_SUFFIXES:
        return "HDF5Video"
    return "TiffVideo" if suffix in (".tif", ".tiff") else "MediaVideo"
