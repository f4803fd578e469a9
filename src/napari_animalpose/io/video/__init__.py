"""Read videos of every kind with one protocol: `napari_animalpose.data.video.Video`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import VideoError
from napari_animalpose.io.video._array import ArrayVideo
from napari_animalpose.io.video._base import (
    HDF5_SUFFIXES,
    BaseVideo,
    VideoOptions,
    missing_video,
)
from napari_animalpose.io.video._cache import DEFAULT_CACHE_BYTES, FrameCache
from napari_animalpose.io.video._lazy import LazyVideo, find_video
from napari_animalpose.io.video._pixels import PixelRule, choose_rule, to_luma
from napari_animalpose.io.video._readahead import ReadAhead, iterate_frames
from napari_animalpose.registry import Registry

__all__ = [
    "BACKENDS",
    "DEFAULT_CACHE_BYTES",
    "HDF5_SUFFIXES",
    "ArrayVideo",
    "BaseVideo",
    "FrameCache",
    "LazyVideo",
    "PixelRule",
    "ReadAhead",
    "VideoSource",
    "choose_rule",
    "find_video",
    "is_video_path",
    "iterate_frames",
    "open_video",
    "to_luma",
]

VideoSource = str | PathLike[str] | Sequence[str | PathLike[str]] | NDArray[Any]
Opener = Callable[[object, VideoOptions], BaseVideo]

# What opens a source: by lower-case suffix, or by kind where there is none.
BACKENDS: Registry[Opener] = Registry("kind of video")
_HERE = "napari_animalpose.io.video"
_MEDIA_SUFFIXES = (
    ".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ts",
    ".mts", ".gif", ".ogv", ".3gp",
)  # fmt: skip

BACKENDS.register("array", f"{_HERE}._array:open_array")
BACKENDS.register("images", f"{_HERE}._images:open_images")
BACKENDS.register("folder", f"{_HERE}._images:open_folder")
for _suffix in _MEDIA_SUFFIXES:
    BACKENDS.register(_suffix, f"{_HERE}._ffmpeg:open_media")
for _suffix in (".tif", ".tiff"):
    BACKENDS.register(_suffix, f"{_HERE}._tiff:open_tiff")
for _suffix in HDF5_SUFFIXES:
    BACKENDS.register(_suffix, f"{_HERE}._hdf5:open_hdf5")
for _suffix in (".png", ".jpg", ".jpeg", ".bmp"):
    BACKENDS.register(_suffix, f"{_HERE}._images:open_image")


def open_video(
    source: VideoSource,
    *,
    grayscale: bool | None = None,
    dataset: str | None = None,
    layout: str | None = None,
    fps: float | None = None,
    cache_bytes: int = DEFAULT_CACHE_BYTES,
) -> BaseVideo:
    """Open a video.

    Parameters
    ----------
    source : path, sequence of paths, or array
        A video file; a multi-page TIFF; an HDF5 file or SLEAP package; one image, a
        folder of images or a list of images (frames may differ in size); or an array
        (N, H, W) or (N, H, W, C), which is not copied.
    grayscale : bool, optional
        True delivers C = 1, False C = 3. By default a video is gray if its file is, or if
        a few sampled frames have R = G = B within 2 levels of 255.
    dataset : str, optional
        Data set or group inside an HDF5 file or SLEAP package ("video0"). By default the
        first that holds frames.
    layout : str, optional
        Axes of an HDF5 data set, a permutation of "NHWC" or "NHW". By default guessed
        from its shape.
    fps : float, optional
        Frames a second, for sources that do not say, or say it wrong.
    cache_bytes : int
        Upper bound of the memory for decoded frames.

    Returns
    -------
    BaseVideo
        A `napari_animalpose.data.video.Video`: frames are uint8 (H, W, C), gray or RGB.
        Values of other types are scaled by one rule for the whole video, see
        `choose_rule`.

    Raises
    ------
    VideoError
        If the source is missing, unreadable, damaged, empty or of an unknown kind.
    DataError
        If an array has the wrong number of axes.

    Examples
    --------
    >>> import numpy as np
    >>> video = open_video(np.zeros((10, 32, 48), dtype=np.uint8))
    >>> video.shape
    (10, 32, 48, 1)
    """
    options = VideoOptions(grayscale, dataset, layout, fps, cache_bytes)
    return BACKENDS.get(_kind_of(source))(source, options)


def is_video_path(path: str | PathLike[str]) -> bool:
    """Say whether the suffix of a path is one that `open_video` knows."""
    return Path(path).suffix.lower() in BACKENDS


def _kind_of(source: VideoSource) -> str:
    """Return the name in `BACKENDS` for a source."""
    if isinstance(source, np.ndarray):
        return "array"
    if not isinstance(source, str | PathLike):
        return "images"
    path = Path(source)
    if path.is_dir():
        return "folder"
    suffix = path.suffix.lower()
    if suffix in BACKENDS:
        return suffix
    if not path.exists():
        raise missing_video(path)
    known = ", ".join(name for name in BACKENDS if name.startswith("."))
    raise VideoError(
        f"Expected a video ({known}, or a folder of images); received '{path}'. "
        "Convert it to one of these.",
        path,
    )
