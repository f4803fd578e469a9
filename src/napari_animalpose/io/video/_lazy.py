"""What a project knows about a video before anyone looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path, PureWindowsPath
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import VideoError
from napari_animalpose.io.video._base import HDF5_SUFFIXES, missing_video
from napari_animalpose.io.video._cache import DEFAULT_CACHE_BYTES

if TYPE_CHECKING:
    from napari_animalpose.io.video._base import BaseVideo

__all__ = ["LazyVideo", "find_video"]


class LazyVideo:
    """The description of a video, which opens it on first access.

    Follows the `Video` protocol. Shape and frame rate are answered from the description
    where it has them, so that labels can be shown although the file is elsewhere. Two
    are equal if they describe the same source. Pickles without its open decoder.

    Parameters
    ----------
    filename : path or sequence of paths
        As it was stored, possibly by another machine; a sequence is a list of images.
    dataset, grayscale, layout, cache_bytes
        See `open_video`.
    shape : (int, int, int, int), optional
        Known (N, H, W, C).
    fps : float, optional
        Known frames a second; overrides what the file says.
    """

    def __init__(
        self,
        filename: str | PathLike[str] | Sequence[str | PathLike[str]],
        *,
        dataset: str | None = None,
        grayscale: bool | None = None,
        layout: str | None = None,
        shape: tuple[int, int, int, int] | None = None,
        fps: float | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self._filename: str | tuple[str, ...] = (
            fspath(filename)
            if isinstance(filename, str | PathLike)
            else tuple(fspath(item) for item in filename)
        )
        self._dataset = dataset
        self._grayscale = grayscale
        self._layout = layout
        self._shape = shape
        self._known_fps = fps
        self._cache_bytes = cache_bytes
        self._video: BaseVideo | None = None
        self._lock = RLock()

    @property
    def filename(self) -> str | tuple[str, ...]:
        """The path, or the paths of a list of images, as given."""
        return self._filename

    @property
    def dataset(self) -> str | None:
        """The data set inside an HDF5 file or SLEAP package."""
        return self._dataset

    @property
    def grayscale(self) -> bool | None:
        """Whether gray (True) or colour (False) is asked for; None follows the file."""
        return self._grayscale

    @property
    def layout(self) -> str | None:
        """The axes of an HDF5 data set where they are known."""
        return self._layout

    @property
    def name(self) -> str:
        """Short name for people: the file name, for image lists that of their folder."""
        first = self._filename if isinstance(self._filename, str) else self._filename[0]
        parts = _split_path(first)
        if not isinstance(self._filename, str):
            return parts[-2] if len(parts) > 1 else parts[-1]
        return f"{parts[-1]}::{self._dataset}" if self._dataset else parts[-1]

    @property
    def source(self) -> str:
        """Where the frames come from: a path, ``path::data set``, or the first of a list."""
        if not isinstance(self._filename, str):
            return f"{self._filename[0]} and {len(self._filename) - 1} more images"
        return f"{self._filename}::{self._dataset}" if self._dataset else self._filename

    @property
    def exists(self) -> bool:
        """Whether the file, folder or all images of the list are where they should be."""
        if isinstance(self._filename, str):
            return Path(self._filename).exists()
        return bool(self._filename) and all(Path(item).is_file() for item in self._filename)

    @property
    def is_open(self) -> bool:
        """Whether the video has been opened."""
        return self._video is not None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C), from the open file or else from the description.

        Raises
        ------
        VideoError
            If neither is there.
        """
        if self._video is None and self._shape is not None:
            return self._shape
        return self.open().shape

    @property
    def fps(self) -> float:
        """Frames a second; NaN where neither description nor file say."""
        if self._known_fps is not None:
            return self._known_fps
        return self.open().fps

    def open(self) -> BaseVideo:
        """Return the opened video, the same one each time until `close`.

        Raises
        ------
        VideoError
            If it is missing, with how to relink it, or cannot be read.
        """
        # The registry of backends is in the package, which imports this module.
        from napari_animalpose.io.video import open_video

        with self._lock:
            if self._video is None:
                if not self.exists:
                    raise missing_video(self._first_missing())
                self._video = open_video(
                    self._filename,
                    grayscale=self._grayscale,
                    dataset=self._dataset,
                    layout=self._layout,
                    fps=self._known_fps,
                    cache_bytes=self._cache_bytes,
                )
            return self._video

    def _first_missing(self) -> str:
        if isinstance(self._filename, str):
            return self._filename
        return next((item for item in self._filename if not Path(item).is_file()), "")

    def read(
        self, index: int, *, keep: bool = True, cancelled: Callable[[], bool] | None = None
    ) -> NDArray[np.uint8]:
        """Return frame `index`; see `BaseVideo.read`."""
        return self.open().read(index, keep=keep, cancelled=cancelled)

    def relink(self, target: str | PathLike[str] | Sequence[str | PathLike[str]]) -> LazyVideo:
        """Return the description of the same video at another place.

        Parameters
        ----------
        target : path or sequence of paths
            The new file or list of images. For a list of images also the folder that
            holds them: each is looked for by its name. Only of an HDF5 file or SLEAP
            package is the data set the same: a movie in its place has none.

        Raises
        ------
        VideoError
            If a list of images is given another number of files.
        """
        new: str | tuple[str, ...]
        if isinstance(target, str | PathLike):
            new = fspath(target)
            if not isinstance(self._filename, str):
                new = tuple(str(Path(new) / _split_path(item)[-1]) for item in self._filename)
        else:
            new = tuple(fspath(item) for item in target)
            if not isinstance(self._filename, str) and len(new) != len(self._filename):
                raise VideoError(
                    f"Expected {len(self._filename)} images to relink '{self.source}'; received "
                    f"{len(new)}. Give one for each frame, in the same order.",
                    self._filename[0],
                )
        has_datasets = isinstance(new, str) and new.lower().endswith(HDF5_SUFFIXES)
        return LazyVideo(
            new,
            dataset=self._dataset if has_datasets else None,
            grayscale=self._grayscale,
            layout=self._layout if has_datasets else None,
            shape=self._shape,
            fps=self._known_fps,
            cache_bytes=self._cache_bytes,
        )

    def describe(self) -> dict[str, Any]:
        """Return the arguments that make this video again, as values that JSON can hold.

        Shape and frame rate are those known without opening the file, else None.
        """
        shape = self._shape if self._video is None else self._video.shape
        return {
            "filename": self._filename if isinstance(self._filename, str) else [*self._filename],
            "dataset": self._dataset,
            "grayscale": self._grayscale,
            "layout": self._layout,
            "shape": None if shape is None else [int(side) for side in shape],
            "fps": None if self._known_fps is None else float(self._known_fps),
        }

    def close(self) -> None:
        """Release decoders and files; the next access opens them again."""
        with self._lock:
            if self._video is not None:
                self._video.close()
                self._video = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return frame `index` as a read-only uint8 array (H, W, C)."""
        return self.open()[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LazyVideo):
            return NotImplemented
        return (self._filename, self._dataset) == (other._filename, other._dataset)

    def __hash__(self) -> int:
        return hash((self._filename, self._dataset))

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_video"] = None
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = RLock()

    def __repr__(self) -> str:
        return f"<LazyVideo {self.source!r}>"


def _split_path(filename: str) -> tuple[str, ...]:
    """Return the parts of a path of any operating system, without drive and root."""
    # A Windows path accepts both separators, so it reads the paths of all systems.
    path = PureWindowsPath(filename)
    return path.parts[1:] if path.anchor else path.parts


def find_video(
    filename: str | PathLike[str], search_dirs: Iterable[str | PathLike[str]]
) -> Path | None:
    r"""Find a file or folder that another machine has named.

    An absolute path that exists is itself. Otherwise the longest tail of the path that
    exists in one of the folders wins: of ``D:\lab\day1\fly.mp4`` first
    ``lab/day1/fly.mp4`` is tried in each folder, then ``day1/fly.mp4``, then ``fly.mp4``.
    Folders count in the order given. Other suffixes or similar names are not guessed.

    Parameters
    ----------
    filename : path
        Of any operating system.
    search_dirs : iterable of path

    Returns
    -------
    pathlib.Path or None
        Absolute; None if it is in none of the folders.
    """
    name = fspath(filename)
    direct = Path(name)
    if direct.is_absolute() and direct.exists():
        return direct
    folders = [Path(folder).absolute() for folder in search_dirs]
    candidates = [folder / name for folder in folders if not direct.is_absolute()]
    parts = _split_path(name)
    for first in range(len(parts)):
        candidates += [folder.joinpath(*parts[first:]) for folder in folders]
    return next((path for path in candidates if path.exists()), None)
