"""What all video backends share: indexing, locking, caching and checks of the file."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import CancelledError, VideoError
from napari_animalpose.io.video._cache import DEFAULT_CACHE_BYTES, FrameCache
from napari_animalpose.io.video._pixels import PixelRule, choose_rule, sample_indices

__all__ = [
    "HDF5_SUFFIXES",
    "BaseVideo",
    "RawVideo",
    "VideoOptions",
    "check_file",
    "missing_video",
]

HDF5_SUFFIXES = (".h5", ".hdf5", ".slp")  # files with data sets inside


@dataclass(frozen=True)
class VideoOptions:
    """What `open_video` was asked for beyond the source; see there for the meaning."""

    grayscale: bool | None = None
    dataset: str | None = None
    layout: str | None = None
    fps: float | None = None
    cache_bytes: int = DEFAULT_CACHE_BYTES


class BaseVideo(ABC):
    """A video with a bounded cache, readable from several threads.

    Frames are read-only arrays, because the cache hands the same one to everybody: copy
    a frame before drawing on it. One lock guards the decoder; frames in the cache are
    returned without waiting for it.

    Parameters
    ----------
    name : str
        Short name for people.
    source : str
        Where the frames come from.
    cache_bytes : int
        Bound of the frame cache.
    """

    def __init__(self, name: str, source: str, cache_bytes: int) -> None:
        self._name = name
        self._source = source
        self._lock = RLock()
        self._cache = FrameCache(cache_bytes)

    @property
    def name(self) -> str:
        """Short name for people: usually the file name."""
        return self._name

    @property
    def source(self) -> str:
        """Where the frames come from: a path, or ``path::data set``."""
        return self._source

    @property
    def cache(self) -> FrameCache:
        """The kept frames."""
        return self._cache

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int, int]:
        """Number of frames, height, width, channels: (N, H, W, C)."""

    @property
    @abstractmethod
    def fps(self) -> float:
        """Frames a second; NaN where the source does not say."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of frames N."""

    @abstractmethod
    def _load(self, index: int, keep: bool, check: Callable[[], None]) -> NDArray[np.uint8]:
        """Return frame `index` (0 .. N-1) as uint8 (H, W, C); called under the lock.

        `keep` allows to put neighbouring frames that come for free into the cache;
        `check` is to be called now and then and raises if nobody waits any more.
        """

    @abstractmethod
    def _release(self) -> None:
        """Close decoders and files; called under the lock."""

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return frame `index` as a read-only uint8 array (H, W, C).

        Raises
        ------
        IndexError
            Outside -N .. N-1.
        VideoError
            If the source is gone or damaged at this frame.
        """
        return self.read(index)

    def read(
        self,
        index: int,
        *,
        keep: bool = True,
        cancelled: Callable[[], bool] | None = None,
    ) -> NDArray[np.uint8]:
        """Return frame `index` like ``video[index]``, with a say about cache and waiting.

        Parameters
        ----------
        index : int
            -N .. N-1.
        keep : bool
            Whether to put what is decoded into the cache. A single pass over a long
            video leaves the cache alone.
        cancelled : callable, optional
            Asked between decoded frames; once it returns True the read is given up.

        Returns
        -------
        (H, W, C) uint8, read-only

        Raises
        ------
        IndexError
            Outside -N .. N-1.
        VideoError
            If the source is gone or damaged at this frame.
        CancelledError
            If `cancelled` returned True.
        """
        position = self._check_index(index)
        frame = self._cache.get(position)
        if frame is not None:
            return frame

        def check() -> None:
            if cancelled is not None and cancelled():
                raise CancelledError

        with self._lock:
            check()
            frame = self._cache.get(position)  # another thread may have been faster
            if frame is None:
                frame = self._load(position, keep, check)
                frame.flags.writeable = False
                if keep:
                    self._cache.put(position, frame)
        return frame

    def _check_index(self, index: int) -> int:
        """Return `index` as 0 .. N-1."""
        number = operator.index(index)
        n = len(self)
        position = number + n if number < 0 else number
        if not 0 <= position < n:
            raise IndexError(
                f"Expected a frame between 0 and {n - 1} of {self.name!r}; received {number}."
            )
        return position

    def close(self) -> None:
        """Release decoders, files and cached frames; the next access opens them again."""
        with self._lock:
            self._release()
            self._cache.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.source!r}>"


class RawVideo(BaseVideo):
    """A video of stored arrays of any dtype, made uint8 by one rule for all frames.

    The rule is chosen on first need from up to nine frames spread over the video: see
    `napari_animalpose.io.video.choose_rule`.
    """

    def __init__(self, name: str, source: str, options: VideoOptions) -> None:
        super().__init__(name, source, options.cache_bytes)
        self._fps = float("nan") if options.fps is None else float(options.fps)
        self._grayscale = options.grayscale
        self._rule: PixelRule | None = None

    @abstractmethod
    def _read_raw(self, index: int) -> NDArray[Any]:
        """Return stored frame `index` as (H, W) or (H, W, C); called under the lock."""

    @abstractmethod
    def _size(self) -> tuple[int, int]:
        """Return the largest height and width of all frames."""

    def _stored_indices(self) -> list[int]:
        """Return the frames from which the rule is chosen."""
        return sample_indices(len(self))

    @property
    def rule(self) -> PixelRule:
        """How stored values become uint8."""
        with self._lock:
            if self._rule is None:
                samples = (self._read_raw(i) for i in self._stored_indices())
                self._rule = choose_rule(samples, self._grayscale)
            return self._rule

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of frames, largest height, largest width, channels: (N, H, W, C)."""
        height, width = self._size()
        return len(self), height, width, self.rule.channels

    @property
    def fps(self) -> float:
        """Frames a second as given on opening; NaN otherwise."""
        return self._fps

    def _load(self, index: int, keep: bool, check: Callable[[], None]) -> NDArray[np.uint8]:
        frame = self.rule.apply(self._read_raw(index))
        # A view, so that making it read-only leaves the caller's own array as it is.
        return np.ascontiguousarray(frame).view()


def missing_video(path: str | Path) -> VideoError:
    """Return the error for a video file that is not where it should be."""
    return VideoError(
        f"Expected the video '{path}'; received no such file. Relink it with "
        "`--video-dir FOLDER` or `--video-file FILE` on the command line, or with "
        "`project.relink(...)` in Python.",
        path,
    )


def check_file(path: Path) -> None:
    """Raise `VideoError` if a file is missing, unreadable or empty."""
    if not path.is_file():
        if path.is_dir():
            raise VideoError(
                f"Expected a video file; received the folder '{path}'. Choose a file in it.", path
            )
        raise missing_video(path)
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except PermissionError as error:
        raise VideoError(
            f"Expected a readable video; received no permission to read '{path}'. "
            "Change its permissions or copy it to a folder of your own.",
            path,
        ) from error
    if empty:
        raise VideoError(
            f"Expected a video; received the empty file '{path}'. Copy or record it again.", path
        )
