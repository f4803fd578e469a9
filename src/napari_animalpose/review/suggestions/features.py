"""What frames look like, in numbers: small pictures and histograms of gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from napari_animalpose.io.video import iterate_frames, to_luma
from napari_animalpose.registry import Registry
from napari_animalpose.review.suggestions.base import Keys, Request

__all__ = [
    "IMAGE_FEATURES",
    "cut_box",
    "describe_hog",
    "describe_pixels",
    "read_features",
    "to_gray",
]

Floats = NDArray[np.float64]

_SMALL_PX = 24  # side of the pictures that are compared pixel by pixel
_HOG_PX, _CELL_PX, _N_DIRECTIONS = 64, 8, 9
_N_COMPONENTS = 20

IMAGE_FEATURES: Registry[Callable[[NDArray[np.uint8]], Floats]] = Registry("image feature")


def describe_pixels(gray: NDArray[np.uint8]) -> Floats:
    """Return the gray levels of the frame reduced to 24 x 24 px, (576,)."""
    import cv2

    small = cv2.resize(gray, (_SMALL_PX, _SMALL_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64).ravel() / 255.0


def describe_hog(gray: NDArray[np.uint8]) -> Floats:
    """Return the histograms of oriented gradients of the frame reduced to 64 x 64 px.

    Cells of 8 px, 9 directions without sign, shared out linearly to the two nearest;
    blocks of 2 x 2 cells, normalised by their length, cut at 0.2 and normalised again
    (Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005),
    (1764,).
    """
    import cv2

    small = cv2.resize(gray, (_HOG_PX, _HOG_PX), interpolation=cv2.INTER_AREA) / 255.0
    dy, dx = np.gradient(small)
    strength = np.hypot(dx, dy)
    direction = (np.arctan2(dy, dx) / np.pi * _N_DIRECTIONS - 0.5) % _N_DIRECTIONS
    low = np.floor(direction).astype(np.intp) % _N_DIRECTIONS
    share = direction - np.floor(direction)
    n_cells = _HOG_PX // _CELL_PX
    histogram = np.zeros((_HOG_PX, _HOG_PX, _N_DIRECTIONS))
    at = np.ix_(range(_HOG_PX), range(_HOG_PX))
    histogram[(*at, low)] += strength * (1 - share)
    histogram[(*at, (low + 1) % _N_DIRECTIONS)] += strength * share
    cells = histogram.reshape(n_cells, _CELL_PX, n_cells, _CELL_PX, _N_DIRECTIONS).sum((1, 3))
    blocks = np.lib.stride_tricks.sliding_window_view(cells, (2, 2), axis=(0, 1))
    blocks = np.moveaxis(blocks, 2, -1).reshape((n_cells - 1) ** 2, -1)  # (49, 2 * 2 * 9)
    cut = np.minimum(_normalize(blocks), 0.2)
    return _normalize(cut).ravel()


IMAGE_FEATURES.register("pixels", describe_pixels)
IMAGE_FEATURES.register("hog", describe_hog)


def read_features(request: Request, keys: Keys, boxes: NDArray[np.float64] | None = None) -> Floats:
    """Return what frames look like, (F, D), at most twenty numbers for each.

    Frames are read in the order of the videos; the numbers are the scores of the principal
    components of the chosen image feature.

    Parameters
    ----------
    request : Request
    keys : array of int64, shape (F,)
        Of the frames, in any order.
    boxes : array of float, shape (F, 4), optional
        (left, top, right, bottom) in px of the part of each frame to look at; NaN = all
        of it, as by default. What lies outside the frame is black.

    Raises
    ------
    VideoError
        If a frame cannot be read.
    """
    if not len(keys):
        return np.zeros((0, 1))
    describe = IMAGE_FEATURES.get(request.image_feature)
    order = np.argsort(keys, kind="stable")
    described: list[Floats] = [np.zeros(0)] * len(keys)
    for video in np.unique(keys >> 32).tolist():
        mine = order[keys[order] >> 32 == video]
        frames = (keys[mine] & 0xFFFFFFFF).tolist()
        reader = iterate_frames(request.videos[video], frames, batch_size=4)
        images = (image for _, batch in reader for image in batch)
        for place, image in zip(mine.tolist(), images, strict=True):
            part = image if boxes is None else cut_box(image, boxes[place])
            described[place] = describe(np.ascontiguousarray(to_gray(part)))
    return _reduce(np.stack(described))


def cut_box(image: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the part (left, top, right, bottom) of an image, black beyond its border."""
    if np.isnan(box).any():
        return image
    left, top, right, bottom = np.round(box).astype(int).tolist()
    height, width = image.shape[:2]
    shape = (max(bottom - top, 1), max(right - left, 1), *image.shape[2:])
    part = np.zeros(shape, np.uint8)
    x1, x2 = np.clip((left, left + shape[1]), 0, width).tolist()
    y1, y2 = np.clip((top, top + shape[0]), 0, height).tolist()
    part[y1 - top : y2 - top, x1 - left : x2 - left] = image[y1:y2, x1:x2]
    return part


def _normalize(blocks: Floats) -> Floats:
    """Return rows of length 1, or 0 where there is nothing."""
    return np.asarray(blocks / np.sqrt((blocks**2).sum(axis=1, keepdims=True) + 1e-6))


def to_gray(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame (H, W, C) as gray levels (H, W)."""
    return np.asarray(frame[..., 0] if frame.shape[-1] == 1 else to_luma(frame)[..., 0], np.uint8)


def _reduce(features: Floats) -> Floats:
    """Return the scores of the leading principal components, (F, <= 20).

    From the inner products of the frames, which are fewer than the numbers of each.
    """
    centred = features - features.mean(axis=0)
    first = max(len(centred) - _N_COMPONENTS, 0)
    power, axes = eigh(centred @ centred.T, subset_by_index=(first, len(centred) - 1))
    return np.asarray(axes * np.sqrt(np.maximum(power, 0)))
