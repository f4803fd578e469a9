"""From decoded pictures to uint8 arrays, gray or RGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.io.video._pixels import to_luma

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["FrameConverter", "picture_size", "to_rgb"]

# Formats whose first plane is 8-bit luma with the chroma elsewhere.
_LUMA_PLANE = frozenset(
    {
        "gray", "nv12", "nv21", "yuv410p", "yuv411p", "yuv420p", "yuv422p", "yuv440p",
        "yuv444p", "yuvj411p", "yuvj420p", "yuvj422p", "yuvj440p", "yuvj444p",
    }
)  # fmt: skip


class FrameConverter:
    """Converts pictures of one video to (H, W, C) uint8 arrays.

    Gray is the luma of the stream (BT.601 or BT.709, as it was encoded). Most files store
    luma as 16 .. 235; it is expanded through a table taken from the library's own
    conversion to RGB, so that on gray content gray equals R, G and B to the last bit.
    Formats without a luma plane are converted to RGB and then to BT.601 luma.

    Parameters
    ----------
    gray : bool
        Deliver C = 1 instead of 3.
    size : (int, int)
        Height and width, upright; pictures of another size are scaled to it.
    """

    def __init__(self, gray: bool, size: tuple[int, int]) -> None:
        from av.video.reformatter import VideoReformatter

        self._gray = gray
        self._size = size
        # One for the video: each keeps a set-up conversion, which is slow to make anew.
        self._reformatter = VideoReformatter()
        self._tables: dict[tuple[str, int, int], bytes] = {}

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self._gray else 3

    def convert(self, picture: VideoFrame) -> NDArray[np.uint8]:
        """Return a picture as a contiguous array (H, W, C)."""
        if picture_size(picture) != self._size:
            picture = self._scale(picture)
        if not self._gray:
            pixels = self._to_rgb(picture)
        elif picture.format.name in _LUMA_PLANE:
            pixels = self._to_gray(picture)
        else:
            pixels = to_luma(self._to_rgb(picture))
        return _turn_upright(pixels, picture)

    def _to_rgb(self, picture: VideoFrame) -> NDArray[np.uint8]:
        rgb = self._reformatter.reformat(picture, format="rgb24")
        return np.asarray(rgb.to_ndarray(), dtype=np.uint8)

    def _to_gray(self, picture: VideoFrame) -> NDArray[np.uint8]:
        key = picture.format.name, int(picture.color_range), int(picture.colorspace)
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = _luma_table(picture)
        plane = picture.planes[0]
        rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
        # bytes.translate is several times faster than indexing a table with an array.
        luma = rows[: picture.height, : picture.width].tobytes().translate(table)
        shape = picture.height, picture.width, 1
        return np.frombuffer(luma, dtype=np.uint8).reshape(shape)

    def _scale(self, picture: VideoFrame) -> VideoFrame:
        height, width = self._size
        if picture.rotation % 180:
            height, width = width, height
        return self._reformatter.reformat(picture, width=width, height=height)


def picture_size(picture: VideoFrame) -> tuple[int, int]:
    """Return height and width of a picture as shown upright."""
    size = picture.height, picture.width
    return size[::-1] if picture.rotation % 180 else size


def to_rgb(picture: VideoFrame) -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3), not turned."""
    return np.asarray(picture.to_ndarray(format="rgb24"), dtype=np.uint8)


def _turn_upright(pixels: NDArray[np.uint8], picture: VideoFrame) -> NDArray[np.uint8]:
    """Apply the rotation that the file stores, in quarter turns counter-clockwise."""
    turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _luma_table(like: VideoFrame) -> bytes:
    """Return what the conversion to RGB makes of the 256 luma values without colour."""
    from av import VideoFrame

    ramp = VideoFrame(256, 16, like.format.name)
    ramp.color_range, ramp.colorspace = like.color_range, like.colorspace
    for number, plane in enumerate(ramp.planes):
        rows = np.full((plane.buffer_size // plane.line_size, plane.line_size), 128, np.uint8)
        if number == 0:
            rows[:, :256] = np.arange(256, dtype=np.uint8)
        plane.update(rows.tobytes())
    return to_rgb(ramp)[0, :, 0].tobytes()
