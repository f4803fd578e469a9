"""Multi-page TIFF files, read page by page."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import VideoError
from napari_animalpose.io.video._base import RawVideo, VideoOptions, check_file

__all__ = ["TiffVideo", "open_tiff", "read_first_page"]


class TiffVideo(RawVideo):
    """One frame for each page of a TIFF file; pages are decoded when asked for.

    Stacks stored as one uncompressed block (as ImageJ writes them) are mapped into
    memory; others are read page by page. Three planes stored as pages of their own
    (axis C of length 3) make one RGB frame. Pages of differing sizes are allowed.

    Parameters
    ----------
    path : pathlib.Path
    options : VideoOptions

    Raises
    ------
    VideoError
        If the file is no TIFF, or its axes are no frames of 1 or 3 channels.
    """

    def __init__(self, path: Path, options: VideoOptions) -> None:
        check_file(path)
        super().__init__(path.name, str(path), options)
        self._path = path
        self._file: Any = None
        self._mapped: NDArray[Any] | None = None
        self._open()

    def _open(self) -> None:
        """Open the file and find out how frames lie in it."""
        import tifffile

        with self._errors("the file"):
            self._file = tifffile.TiffFile(self._path)
        try:
            with self._errors("the file"):
                self._plan_frames()
        except VideoError:
            self._release()
            raise

    def _plan_frames(self) -> None:
        """Set the number of frames, the pages of each and the largest size."""
        full = [series for series in self._file.series if len(series.shape) >= 2]
        self._series = full[0] if len(full) == 1 else None
        if self._series is None:
            pages = [page for page in self._file.pages if not page.is_reduced]
            self._pages_per_frame, self._n = 1, len(pages)
            self._largest = max(p.imagelength for p in pages), max(p.imagewidth for p in pages)
            return
        axes, shape = self._series.axes, self._series.shape
        page = self._file.pages[0]
        self._largest = int(page.imagelength), int(page.imagewidth)
        lengths = dict(zip(axes, shape, strict=True))
        leading = [axis for axis in axes if axis not in "YXS"]
        # Writers that know nothing of axes name a lone one C although it counts frames.
        planes = lengths.get("C", 1) if len(leading) > 1 else 1
        together = planes == 1 or leading[-1] == "C"
        if "Y" not in lengths or "X" not in lengths or planes not in (1, 3) or not together:
            raise self._wrong_axes(axes, shape)
        self._pages_per_frame = planes
        self._n = int(np.prod([lengths[axis] for axis in leading], dtype=int)) // planes
        if self._series.dataoffset is not None:
            mapped = self._series.asarray(out="memmap")
            self._mapped = self._frames_first(mapped, axes, planes)

    def _frames_first(self, array: NDArray[Any], axes: str, planes: int) -> NDArray[Any]:
        """Return a view (N, H, W) or (N, H, W, C) of the mapped stack."""
        if "S" in axes:
            array = np.moveaxis(array, axes.index("S"), -1)
        elif planes == 3:
            array = np.moveaxis(array, axes.index("C"), -1)
        tail = array.shape[-3:] if ("S" in axes or planes == 3) else array.shape[-2:]
        return array.reshape(self._n, *tail)

    def _wrong_axes(self, axes: str, shape: tuple[int, ...]) -> VideoError:
        return VideoError(
            f"Expected a TIFF stack of gray or RGB frames; received '{self._path}' with axes "
            f"{axes} of lengths {shape}. Export one or three channels.",
            self._path,
        )

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn the many errors of damaged TIFF files into one sentence."""
        with tiff_errors(self._path, what):
            yield

    def __len__(self) -> int:
        return self._n

    def _size(self) -> tuple[int, int]:
        return self._largest

    def _read_raw(self, index: int) -> NDArray[Any]:
        if self._file is None:
            check_file(self._path)
            self._open()
        with self._errors(f"frame {index}"):
            if self._mapped is not None:
                return np.asarray(self._mapped[index])
            first = index * self._pages_per_frame
            planes = [self._page(first + k) for k in range(self._pages_per_frame)]
            return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)

    def _page(self, number: int) -> NDArray[Any]:
        """Return the pixels of one page with channels last."""
        source = self._file if self._series is None else self._series
        return _page_pixels(source.pages[number])

    def _release(self) -> None:
        self._mapped = None
        if self._file is not None:
            self._file.close()
            self._file = None


def _page_pixels(page: Any) -> NDArray[Any]:
    """Return a page as (H, W) or (H, W, S); planar colour is moved to the end."""
    pixels: NDArray[Any] = page.asarray()
    return np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels


@contextmanager
def tiff_errors(path: Path, what: str) -> Iterator[None]:
    """Turn the many errors of damaged TIFF files into a `VideoError`."""
    import tifffile

    try:
        yield
    except VideoError:
        raise
    except (
        tifffile.TiffFileError,
        ValueError,
        OSError,
        EOFError,
        IndexError,
        KeyError,
        RuntimeError,
        struct.error,
    ) as error:
        raise VideoError(
            f"Expected a readable TIFF; received {what} of '{path}' damaged or truncated "
            f"({error}). Copy or export it again.",
            path,
        ) from error


def read_first_page(path: Path) -> NDArray[Any]:
    """Return the pixels of the first page of a TIFF file: (H, W) or (H, W, C).

    Raises
    ------
    VideoError
        If the file is missing or damaged.
    """
    import tifffile

    check_file(path)
    with tiff_errors(path, "the image"), tifffile.TiffFile(path) as file:
        return _page_pixels(file.pages[0])


def open_tiff(source: object, options: VideoOptions) -> TiffVideo:
    """Open a TIFF file as a video."""
    return TiffVideo(Path(str(source)), options)
