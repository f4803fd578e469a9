"""Videos that are folders or lists of image files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import VideoError
from napari_animalpose.io.video._base import RawVideo, VideoOptions, check_file, missing_video

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageVideo",
    "decode_image",
    "list_images",
    "open_folder",
    "open_image",
    "open_images",
]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_TIFF_SUFFIXES = (".tif", ".tiff")
# Pillow modes that become arrays as they are; the others are converted to RGB or gray.
_PLAIN_MODES = frozenset({"L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F"})
_GRAY_MODES = frozenset({"1", "L", "LA", "I;16", "I;16B", "I;16L", "I", "F"})


class ImageVideo(RawVideo):
    """One frame for each image file, in the order given.

    Frames may differ in size and in gray or colour; C is 1 if all files are gray or look
    gray (judged on up to nine of them), else 3. Pixels are taken as stored: orientation
    tags of photographs are ignored, as the labelling programs do.

    Parameters
    ----------
    paths : sequence of path
        png, jpg, bmp or tif files.
    options : VideoOptions
    name : str, optional
        What to call it; the name of the first file's folder by default.

    Raises
    ------
    VideoError
        If the list is empty or a file is missing.
    """

    def __init__(
        self, paths: Sequence[str | Path], options: VideoOptions, *, name: str | None = None
    ) -> None:
        self.paths = tuple(Path(path) for path in paths)
        if not self.paths:
            raise VideoError("Expected at least one image file; received an empty list.", "")
        for path in self.paths:
            if not path.is_file():
                raise missing_video(path)
        folder = self.paths[0].parent
        super().__init__(name or folder.name, f"{folder} ({len(self.paths)} images)", options)
        self._largest: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def _size(self) -> tuple[int, int]:
        with self._lock:
            if self._largest is None:
                # Headers only; threads because the wait is for the disk.
                with ThreadPoolExecutor(max_workers=8) as pool:
                    sizes = list(pool.map(_read_size, self.paths))
                self._largest = max(h for h, _ in sizes), max(w for _, w in sizes)
            return self._largest

    def _read_raw(self, index: int) -> NDArray[Any]:
        return _read_image(self.paths[index])

    def _release(self) -> None:
        """Nothing stays open between frames."""


def list_images(folder: str | Path) -> list[Path]:
    """Return the image files of a folder in natural order (img2 before img10).

    Raises
    ------
    VideoError
        If the folder holds none.
    """
    found = [
        path
        for path in Path(folder).iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if not found:
        raise VideoError(
            f"Expected a folder with images ({', '.join(IMAGE_SUFFIXES)}); received '{folder}', "
            "which holds none. Choose the folder that holds the frames.",
            folder,
        )
    return sorted(found, key=lambda path: _natural_key(path.name))


def _natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key in which runs of digits compare as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p.lower()) for p in parts] + [(2, 0, name)]


def decode_image(data: bytes, origin: str, path: str | Path) -> NDArray[Any]:
    """Decode an encoded image (png, jpg, ...) held in memory.

    Parameters
    ----------
    data : bytes
        The file's content.
    origin : str
        What to call it in an error message.
    path : path
        The file it came from, for the error.

    Returns
    -------
    (H, W) or (H, W, C)
        uint8 or uint16; RGB order.

    Raises
    ------
    VideoError
        If the bytes are no image.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(data)) as image:
            return _to_array(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise VideoError(
            f"Expected an image in {origin}; received data that cannot be decoded ({error}). "
            "Copy or export it again.",
            path,
        ) from error


def _to_array(image: Image) -> NDArray[Any]:
    """Return a Pillow image as an array, with palettes and rare colour spaces resolved."""
    if image.mode not in _PLAIN_MODES:
        image = image.convert("L" if image.mode in _GRAY_MODES else "RGB")
    return np.asarray(image)


def _read_image(path: Path) -> NDArray[Any]:
    """Return the pixels of one image file."""
    if path.suffix.lower() in _TIFF_SUFFIXES:
        from napari_animalpose.io.video._tiff import read_first_page

        return read_first_page(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise missing_video(path) from None
    except PermissionError:
        check_file(path)
        raise
    return decode_image(data, f"'{path}'", path)


def _read_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image file from its header."""
    from PIL import Image, UnidentifiedImageError

    check_file(path)
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (UnidentifiedImageError, OSError, SyntaxError):
        # Pillow knows fewer kinds of TIFF than tifffile; a real failure is raised here.
        height, width = _read_image(path).shape[:2]
        return height, width


def open_folder(source: object, options: VideoOptions) -> ImageVideo:
    """Open a folder of images as a video, in natural order of the names."""
    folder = Path(str(source))
    return ImageVideo(list_images(folder), options, name=folder.name)


def open_images(source: object, options: VideoOptions) -> ImageVideo:
    """Open a sequence of image paths as a video, in the order given.

    Raises
    ------
    VideoError
        If a file has a suffix that is no image's.
    """
    if not isinstance(source, Iterable):
        raise TypeError(f"Expected a sequence of image paths; received {source!r}.")
    paths = [Path(item) for item in source]
    for path in paths:
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise VideoError(
                f"Expected image files ({', '.join(IMAGE_SUFFIXES)}) in a list; received "
                f"'{path}'. Open videos one by one.",
                path,
            )
    return ImageVideo(paths, options)


def open_image(source: object, options: VideoOptions) -> ImageVideo:
    """Open one image file as a video of one frame."""
    path = Path(str(source))
    check_file(path)
    return ImageVideo([path], options, name=path.name)
