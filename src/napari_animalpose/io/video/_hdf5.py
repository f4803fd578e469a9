"""Videos in HDF5 files: arrays of frames, and the encoded frames of SLEAP packages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import VideoError
from napari_animalpose.io.video._base import RawVideo, VideoOptions, check_file
from napari_animalpose.io.video._images import decode_image
from napari_animalpose.io.video._pixels import sample_indices

__all__ = ["EmbeddedVideo", "Hdf5Video", "open_hdf5"]

# Layouts in which frames are stored, most common first. MATLAB writes its arrays
# (H, W, C, N) with all axes reversed, which is what LEAP's "box" is: N, C, W, H.
_LAYOUTS_4D = ("NHWC", "NCWH", "HWCN")
_MIN_SIDE = 8
# Before this version of the package format, frames were encoded with red and blue
# swapped unless the file says otherwise.
_FIRST_RGB_FORMAT = 1.4


class _Hdf5Base(RawVideo):
    """What both kinds share: a file that is opened on demand, and one data set in it."""

    def __init__(self, path: Path, dataset: str, options: VideoOptions) -> None:
        super().__init__(f"{path.name}::{dataset}", f"{path}::{dataset}", options)
        self._path = path
        self._dataset_name = dataset
        self._file: Any = None

    def _dataset(self) -> Any:
        """Return the data set, opening the file if need be."""
        if self._file is None:
            self._file = _open_file(self._path)
        return self._file[self._dataset_name]

    @contextmanager
    def _errors(self, index: int) -> Iterator[None]:
        """Turn read errors of HDF5 into one sentence."""
        try:
            yield
        except (OSError, KeyError, RuntimeError) as error:
            raise VideoError(
                f"Expected frame {index} of '{self.source}'; received a damaged or truncated "
                f"file ({error}). Copy or export it again.",
                self._path,
            ) from error

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Hdf5Video(_Hdf5Base):
    """Frames stored as a 3-D or 4-D array.

    Parameters
    ----------
    path : pathlib.Path
    dataset : str
        Name of the data set in the file.
    options : VideoOptions
        `layout` names the stored axes, for example "NHWC", "NCWH" (as MATLAB and LEAP
        write) or "HWCN"; None means by shape, see `guess_layout`.

    Raises
    ------
    VideoError
        If the layout does not fit the shape.
    """

    def __init__(self, path: Path, dataset: str, options: VideoOptions) -> None:
        super().__init__(path, dataset, options)
        stored = self._dataset()
        layout = options.layout or guess_layout(stored.shape, stored.chunks)
        if layout is None or not _fits(layout, stored.shape):
            raise VideoError(
                f"Expected frames in the data set '{dataset}' of '{path}'; received shape "
                f"{stored.shape}"
                + (f" for the layout {layout!r}." if layout else ".")
                + " Name another data set or its axes, for example layout='NHWC'.",
                path,
            )
        self._layout = layout
        sizes = dict(zip(layout, stored.shape, strict=True))
        self._n, self._largest = int(sizes["N"]), (int(sizes["H"]), int(sizes["W"]))
        if self._n == 0:
            raise _no_frames(path, dataset)

    def __len__(self) -> int:
        return self._n

    def _size(self) -> tuple[int, int]:
        return self._largest

    def _read_raw(self, index: int) -> NDArray[Any]:
        axis = self._layout.index("N")
        where = (slice(None),) * axis + (index,)
        with self._errors(index):
            frame = np.asarray(self._dataset()[where])
        axes = self._layout.replace("N", "")
        wanted = "HWC" if "C" in axes else "HW"
        return frame.transpose([axes.index(letter) for letter in wanted])


class EmbeddedVideo(_Hdf5Base):
    """Encoded frames inside a SLEAP package (``.pkg.slp``), by their original numbers.

    A package holds the labelled frames of a video, each as a png or jpg. Frame `i` here
    is frame `i` of the original video; frames that are not in the package raise
    `VideoError`. N is the original number of frames where the package says so, otherwise
    the last embedded frame plus one. A video of which a package holds no frame has the
    length and size that the package tells.

    Parameters
    ----------
    path : pathlib.Path
    dataset : str
        The data set with the encoded frames, for example "video0/video".
    options : VideoOptions
    """

    def __init__(self, path: Path, dataset: str, options: VideoOptions) -> None:
        super().__init__(path, dataset, options)
        stored = self._dataset()
        group = stored.parent
        n = len(stored)
        announced = int(stored.attrs.get("frames", 0))
        if n == 0 and announced == 0:
            raise _no_frames(path, dataset)
        if n == 0 and options.grayscale is None:
            self._grayscale = int(stored.attrs.get("channels", 3)) == 1
        self.frame_numbers: NDArray[np.int64] = (
            np.asarray(group["frame_numbers"][:], dtype=np.int64)
            if "frame_numbers" in group
            else np.arange(n, dtype=np.int64)
        )
        self._row_of = {int(number): row for row, number in enumerate(self.frame_numbers)}
        self._format = str(stored.attrs.get("format", "png"))
        self._swapped = _channel_order(stored) == "BGR"
        metadata = _read_source(group).get("backend", {})
        self.original_filename: str | None = metadata.get("filename")
        original = metadata.get("shape") or [0]
        self._n = max(int(original[0]), announced, int(self.frame_numbers.max(initial=-1)) + 1)
        self._largest: tuple[int, int] | None = None
        if options.fps is None:
            self._fps = float(stored.attrs.get("fps", group.attrs.get("fps", np.nan)))

    def __len__(self) -> int:
        return self._n

    def _size(self) -> tuple[int, int]:
        if self._largest is None:
            with self._lock:
                attributes = self._dataset().attrs
                if "height" in attributes and "width" in attributes:
                    self._largest = int(attributes["height"]), int(attributes["width"])
                else:
                    height, width = self._read_raw(int(self.frame_numbers[0])).shape[:2]
                    self._largest = height, width
        return self._largest

    def _stored_indices(self) -> list[int]:
        return [int(self.frame_numbers[row]) for row in sample_indices(len(self.frame_numbers))]

    @property
    def encoding(self) -> tuple[str, str]:
        """Name of the image format, "hdf5" for plain arrays, and "RGB" or "BGR"."""
        return self._format, "BGR" if self._swapped else "RGB"

    def read_encoded(self, index: int) -> NDArray[np.int8]:
        """Return frame `index` as it is stored: an encoded image of B bytes, int8 (B,).

        Raises
        ------
        VideoError
            If the frame is not in the package.
        """
        with self._lock:
            return self._read_stored(index).astype(np.int8, copy=False)

    def read_source(self) -> dict[str, Any]:
        """Return what the package says about the original video, {} if nothing.

        The layout is that of a row of videos in a label file: ``filename``, ``backend``.
        """
        with self._lock:
            return _read_source(self._dataset().parent)

    def _read_stored(self, index: int) -> NDArray[Any]:
        row = self._row_of.get(index)
        if row is None:
            raise VideoError(
                f"Expected one of the {len(self._row_of)} frames embedded in '{self.source}'; "
                f"received frame {index}. Link the original video "
                f"({self.original_filename or 'its name is not stored'}) to see all frames.",
                self._path,
            )
        with self._errors(index):
            return np.asarray(self._dataset()[row])

    def _read_raw(self, index: int) -> NDArray[Any]:
        stored = self._read_stored(index)
        if self._format == "hdf5":
            return stored
        origin = f"frame {index} of '{self.source}'"
        frame = decode_image(stored.astype(np.int8, copy=False).tobytes(), origin, self._path)
        coloured = frame.ndim == 3 and frame.shape[2] >= 3
        return frame[..., 2::-1] if self._swapped and coloured else frame


def guess_layout(shape: tuple[int, ...], chunks: tuple[int, ...] | None = None) -> str | None:
    """Return the axes of an array of frames, or None if it does not look like one.

    Parameters
    ----------
    shape : tuple of int
        A 4-D array needs an axis of 1 or 3 channels: last is "NHWC", second is "NCWH"
        (MATLAB, LEAP), third is "HWCN". A 3-D array is "NHW", unless it is stored in
        chunks of whole frames along the last axis: "HWN".
    chunks : tuple of int, optional
        The chunk shape of the data set.
    """
    if len(shape) == 4:
        return next((layout for layout in _LAYOUTS_4D if _looks_right(layout, shape)), None)
    if len(shape) == 3:
        last = chunks is not None and chunks[2] == 1 and chunks[:2] == shape[:2] and shape[2] > 1
        layout = "HWN" if last else "NHW"
        return layout if _looks_right(layout, shape) else None
    return None


def _looks_right(layout: str, shape: tuple[int, ...]) -> bool:
    """Say whether a shape read as `layout` has 1 or 3 channels and sides of an image."""
    sizes = dict(zip(layout, shape, strict=True))
    return sizes.get("C", 1) in (1, 3) and min(sizes["H"], sizes["W"]) >= _MIN_SIDE


def _fits(layout: str, shape: tuple[int, ...]) -> bool:
    """Say whether a layout names each axis once, with 1 to 4 channels."""
    if len(layout) != len(shape) or set(layout) not in ({*"NHWC"}, {*"NHW"}):
        return False
    return 1 <= dict(zip(layout, shape, strict=True)).get("C", 1) <= 4


def _is_encoded(dataset: Any) -> bool:
    """Say whether a data set holds encoded images: rows of bytes and a format."""
    return "format" in dataset.attrs and (
        dataset.ndim < 3 or str(dataset.attrs["format"]) == "hdf5"
    )


def _channel_order(dataset: Any) -> str:
    """Return "RGB" or "BGR": what a plain decoder makes of the stored frames."""
    if "channel_order" in dataset.attrs:
        return str(dataset.attrs["channel_order"])
    metadata = dataset.file.get("metadata")
    version = None if metadata is None else metadata.attrs.get("format_id")
    return "BGR" if version is not None and float(version) < _FIRST_RGB_FORMAT else "RGB"


def _read_source(group: Any) -> dict[str, Any]:
    """Return the row that describes the original video of a package, {} without one."""
    if "source_video" not in group:
        return {}
    source = group["source_video"]
    text = source["json"][()] if "json" in source else source.attrs.get("json", "{}")
    row = json.loads(text)
    return row if isinstance(row, dict) and isinstance(row.get("backend", {}), dict) else {}


def _find_dataset(file: Any, path: Path) -> str:
    """Return the name of the first data set that holds frames: encoded, 4-D, then 3-D."""
    import h5py

    found: dict[str, Any] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    file.visititems(collect)

    def holds_frames(item: Any, ndim: int) -> bool:
        numeric = item.dtype.kind in "ufb" or item.dtype == np.int16
        return item.ndim == ndim and numeric and guess_layout(item.shape, item.chunks) is not None

    tests: tuple[Callable[[Any], bool], ...] = (
        _is_encoded,
        lambda item: holds_frames(item, 4),
        lambda item: holds_frames(item, 3),
    )
    for test in tests:
        for name, item in found.items():
            if test(item):
                return name
    held = ", ".join(f"{name} {item.shape}" for name, item in found.items()) or "nothing"
    raise VideoError(
        f"Expected a data set with frames in '{path}'; received {held}. Name one with dataset=...",
        path,
    )


def _open_file(path: Path) -> Any:
    """Open an HDF5 file for reading."""
    import h5py

    check_file(path)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise VideoError(
            f"Expected an HDF5 file; received '{path}', which is damaged, truncated or of "
            f"another format ({error}). Copy or export it again.",
            path,
        ) from error


def _no_frames(path: Path, dataset: str) -> VideoError:
    return VideoError(
        f"Expected at least one frame in the data set '{dataset}' of '{path}'; received none. "
        "Name another data set or export the video again.",
        path,
    )


def open_hdf5(source: object, options: VideoOptions) -> _Hdf5Base:
    """Open frames in an HDF5 file or SLEAP package; `dataset` may name a group of it.

    Raises
    ------
    VideoError
        If there is no such data set, or none that holds frames.
    """
    import h5py

    path = Path(str(source))
    with _open_file(path) as file:
        name = options.dataset or _find_dataset(file, path)
        if name not in file:
            raise VideoError(
                f"Expected the data set '{name}' in '{path}'; received no such name among "
                f"{', '.join(file)}. Name another one.",
                path,
            )
        if isinstance(file[name], h5py.Group):
            name = f"{name}/video"
            if name not in file:
                raise VideoError(
                    f"Expected the data set '{name}' in '{path}'; received a group without it. "
                    "Name a data set.",
                    path,
                )
        kind = EmbeddedVideo if _is_encoded(file[name]) else Hdf5Video
    return kind(path, name, options)
