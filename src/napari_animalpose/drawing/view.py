"""Which part of a frame is shown and how large: the one mapping from frame to picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import ConfigError, DataError

__all__ = ["View", "darken", "follow_animal", "letterbox", "to_rgb"]


@dataclass(frozen=True)
class View:
    """A window of a frame, enlarged or reduced.

    Parameters
    ----------
    left, top : float
        Edge of the window in px of the frame, where 0 is the outer edge of the first
        pixel (its centre is at 0.5); fractions are kept.
    width, height : float
        Size of the window in px of the frame.
    scale : float
        Pixels of the picture for a pixel of the frame. The picture is a whole number of
        pixels, so that the scale in effect may differ a little: see `scales`.

    Raises
    ------
    ConfigError
        For an empty window or a scale that is not positive.
    """

    left: float
    top: float
    width: float
    height: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0 and 0 < self.scale < np.inf):
            raise ConfigError(
                "Expected a window and a scale larger than 0; received "
                f"{self.width:g} x {self.height:g} px at scale {self.scale:g}."
            )

    @classmethod
    def whole(cls, height: int, width: int, scale: float = 1.0) -> View:
        """Return the view of a whole frame."""
        return cls(0.0, 0.0, width, height, scale)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in px, at least 1."""
        return max(round(self.width * self.scale), 1), max(round(self.height * self.scale), 1)

    @property
    def scales(self) -> tuple[float, float]:
        """Scale along x and y that makes the picture a whole number of pixels."""
        return self.size[0] / self.width, self.size[1] / self.height

    def to_picture(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Map points of the frame to the picture: ``(x - left + 0.5) * scale - 0.5``.

        Parameters
        ----------
        xy : array_like of float, shape (..., 2)
            px of the frame, pixel centres at integers; NaN stays NaN.

        Returns
        -------
        ndarray of float64, shape (..., 2)
            px of the picture, pixel centres at integers.
        """
        corner = np.array([self.left, self.top])
        return np.asarray((np.asarray(xy, np.float64) - corner + 0.5) * self.scales - 0.5)

    def cut(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture of a frame, always a fresh RGB array.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W), (H, W, 1) or (H, W, 3)
            The window must lie inside it.

        Returns
        -------
        ndarray of uint8, shape (h, w, 3)
            Enlarged bicubically, reduced with anti-aliasing.

        Raises
        ------
        ConfigError
            If the window reaches beyond the frame.
        """
        right, bottom = self.left + self.width, self.top + self.height
        frame_height, frame_width = frame.shape[:2]
        if min(self.left, self.top) < 0 or right > frame_width or bottom > frame_height:
            raise ConfigError(
                f"Expected a window inside the frame of {frame_width} x {frame_height} px; "
                f"received x {self.left:g} to {right:g}, y {self.top:g} to {bottom:g}."
            )
        whole_pixels = (self.left, self.top, self.width, self.height)
        if self.scales == (1.0, 1.0) and all(float(v).is_integer() for v in whole_pixels):
            left, top, width, height = (int(v) for v in whole_pixels)
            return to_rgb(frame[top : top + height, left : left + width])
        from PIL import Image

        image = Image.fromarray(frame[..., 0] if frame.shape[2:] == (1,) else frame)
        box = (self.left, self.top, right, bottom)
        picture = image.resize(self.size, Image.Resampling.BICUBIC, box=box)
        # The copy that makes the array writable is made for gray pictures by to_rgb.
        return np.array(picture) if picture.mode == "RGB" else to_rgb(np.asarray(picture))


def to_rgb(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a fresh contiguous RGB copy of a gray or RGB frame, uint8 (H, W, 3).

    Raises
    ------
    DataError
        For another dtype or number of channels.
    """
    frame = np.asarray(frame)
    is_image = frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] in (1, 3))
    if frame.dtype != np.uint8 or not is_image:
        raise DataError(
            "Expected a uint8 frame of shape (H, W), (H, W, 1) or (H, W, 3); received "
            f"{frame.dtype} of shape {frame.shape}. Scale it to 0..255 first."
        )
    if frame.ndim == 2:
        frame = frame[..., None]
    if frame.shape[2] == 3:
        return frame.copy(order="C")
    rgb = np.empty((*frame.shape[:2], 3), np.uint8)
    for channel in range(3):  # four times as fast as one broadcast over the last axis
        rgb[..., channel] = frame[..., 0]
    return rgb


def letterbox(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return a frame on a black canvas, its first pixel where it was.

    The frame keeps its place in the upper left corner, so that coordinates stay valid.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W, C)
    height, width : int
        Size of the canvas; a frame of that size is returned as it is.

    Raises
    ------
    DataError
        If the frame is larger than the canvas.
    """
    if frame.shape[:2] == (height, width):
        return frame
    if frame.shape[0] > height or frame.shape[1] > width:
        raise DataError(
            f"Expected a frame of at most {width} x {height} px; received "
            f"{frame.shape[1]} x {frame.shape[0]} px."
        )
    canvas = np.zeros((height, width, *frame.shape[2:]), np.uint8)
    canvas[: frame.shape[0], : frame.shape[1]] = frame
    return canvas


def darken(image: NDArray[np.uint8], amount: float) -> None:
    """Darken an image in place: 0 leaves it, 1 makes it black."""
    if amount > 0:
        table = np.rint(np.arange(256) * (1.0 - amount)).astype(np.uint8)
        image[...] = table[image]


def follow_animal(
    poses: Poses,
    frames: ArrayLike,
    size: tuple[float, float],
    frame_size: tuple[int, int],
    *,
    video: int = 0,
    track: int | None = None,
    smoothing_frames: int = 9,
) -> NDArray[np.float64]:
    """Return the corner of a window that follows one animal smoothly.

    The window is centred on the middle of the animal's bounding box, interpolated where
    the animal is missing, averaged over a few frames and kept inside the frame.

    Parameters
    ----------
    poses : Poses
    frames : array_like of int, shape (F,)
        Ascending.
    size, frame_size : (width, height)
        Of the window and of the frame, in px.
    video : int
    track : int, optional
        Index of the track; None takes the first instance of every frame.
    smoothing_frames : int
        Length of the moving average.

    Returns
    -------
    ndarray of float64, shape (F, 2)
        (left, top) of the window in every frame, in px from the outer edge.

    Raises
    ------
    DataError
        If the animal is in none of the frames.
    """
    numbers = np.asarray(frames)
    centers = np.full((len(numbers), 2), np.nan)
    for position, frame in enumerate(numbers.tolist()):
        rows = poses.at(video, frame)
        points = rows.xy if track is None else rows.xy[rows.track == track]
        shown = points[np.isfinite(points).all(axis=2).sum(axis=1) > 0]
        if len(shown):
            centers[position] = (np.nanmin(shown[0], axis=0) + np.nanmax(shown[0], axis=0)) / 2
    known = np.isfinite(centers[:, 0])
    if not known.any():
        whom = "an instance" if track is None else f"the track {poses.track_names[track]!r}"
        raise DataError(f"Expected {whom} in one of the frames to follow; received none.")
    time = np.arange(len(numbers))
    corners = np.empty_like(centers)
    for axis in (0, 1):
        path = np.interp(time, time[known], centers[known, axis])
        corner = _moving_average(path, smoothing_frames) + 0.5 - size[axis] / 2
        corners[:, axis] = np.clip(corner, 0.0, max(frame_size[axis] - size[axis], 0.0))
    return corners


def _moving_average(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Centred moving average whose window shrinks at the ends."""
    half = min(length, len(values)) // 2
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return np.asarray((total[high] - total[low]) / (high - low))
