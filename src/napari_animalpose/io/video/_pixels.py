"""From whatever a file stores to uint8 gray or RGB, by one rule for the whole video."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PixelRule", "choose_rule", "is_gray", "sample_indices", "to_luma"]

# Channels that differ by no more than this are one gray: JPEG and YUV round gray sources.
GRAY_TOLERANCE = 2
# Bit depths of cameras, which store 10, 12 or 14 bits in the low end of 16.
_BIT_DEPTHS = (8, 10, 12, 14, 16)
_MAX_SAMPLES = 9


def sample_indices(n: int, count: int = _MAX_SAMPLES) -> list[int]:
    """Return up to `count` indices spread evenly over 0 .. n-1, first and last included."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, count))}) if n else []


def is_gray(frame: NDArray[Any]) -> bool:
    """Say whether a frame (H, W), (H, W, C) has no colour.

    One or two channels (gray, gray with alpha) have none; of three or four, R, G and B
    may differ by at most 2 of 255 levels anywhere.
    """
    if frame.ndim == 2 or frame.shape[2] < 3:
        return True
    red = frame[..., 0].astype(np.float32)
    span = 1.0 if frame.dtype == np.uint8 else max(float(np.abs(frame).max()) / 255.0, 1e-12)
    return all(
        float(np.abs(red - frame[..., channel]).max(initial=0.0)) <= GRAY_TOLERANCE * span
        for channel in (1, 2)
    )


def to_luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded.

    Parameters
    ----------
    rgb : (H, W, 3) uint8

    Returns
    -------
    (H, W, 1) uint8
        Equal to R where R = G = B.
    """
    # Weights in 1/65536 that sum to 65536, so that gray stays exactly itself.
    weighted = rgb[..., 0].astype(np.uint32) * 19595
    weighted += rgb[..., 1].astype(np.uint32) * 38470
    weighted += rgb[..., 2].astype(np.uint32) * 7471
    return ((weighted + 32768) >> 16).astype(np.uint8)[..., np.newaxis]


@dataclass(frozen=True)
class PixelRule:
    """How stored values become uint8 frames; the same for every frame of a video.

    Attributes
    ----------
    low, high : float
        Stored values that become 0 and 255; in between is linear, outside is clipped.
    channels : int
        1 (gray) or 3 (RGB).
    """

    low: float
    high: float
    channels: int

    def apply(self, raw: NDArray[Any]) -> NDArray[np.uint8]:
        """Convert one stored frame.

        Parameters
        ----------
        raw : (H, W) or (H, W, C)
            Any real dtype; C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha. Alpha
            is dropped. NaN becomes 0.

        Returns
        -------
        (H, W, `channels`) uint8
        """
        frame = raw[..., np.newaxis] if raw.ndim == 2 else raw
        frame = frame[..., : 3 if frame.shape[2] >= 3 else 1]
        pixels = self._to_uint8(frame)
        if pixels.shape[2] == self.channels:
            return pixels
        return to_luma(pixels) if self.channels == 1 else np.repeat(pixels, 3, axis=2)

    def _to_uint8(self, frame: NDArray[Any]) -> NDArray[np.uint8]:
        """Scale `low` .. `high` to 0 .. 255."""
        if frame.dtype == np.uint8 and (self.low, self.high) == (0.0, 255.0):
            return frame
        scaled = (frame.astype(np.float32) - self.low) * (255.0 / (self.high - self.low))
        scaled = np.nan_to_num(np.rint(scaled), nan=0.0, posinf=255.0, neginf=0.0)
        pixels: NDArray[np.uint8] = np.clip(scaled, 0.0, 255.0).astype(np.uint8)
        return pixels


def choose_rule(samples: Iterable[NDArray[Any]], grayscale: bool | None) -> PixelRule:
    """Choose the one conversion of a video from a few of its frames.

    uint8 stays as it is and boolean becomes 0 and 255. uint16 is taken as the smallest
    camera bit depth (8, 10, 12, 14 or 16) that holds the largest sampled value, so that
    black stays black and no frame is stretched on its own. Floats within 0 .. 1 are
    multiplied by 255. Every other type is stretched linearly from the smallest to the
    largest sampled value.

    Parameters
    ----------
    samples : iterable of (H, W) or (H, W, C) arrays
        At least one; may be lazy.
    grayscale : bool or None
        Fixes the channels; None means gray if every sample is (see `is_gray`).
    """
    gray = True
    low, high = np.inf, -np.inf
    kinds: set[np.dtype[Any]] = set()
    for sample in samples:
        gray = gray and (grayscale is not None or is_gray(sample))
        kinds.add(sample.dtype)
        finite = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
        if finite.size and sample.dtype != np.uint8:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    channels = 1 if (gray if grayscale is None else grayscale) else 3
    return PixelRule(*_choose_range(kinds, low, high), channels)


def _choose_range(kinds: set[np.dtype[Any]], low: float, high: float) -> tuple[float, float]:
    """Return the stored values that become 0 and 255."""
    if kinds <= {np.dtype(np.uint8)}:
        return 0.0, 255.0
    if kinds <= {np.dtype(np.bool_)}:
        return 0.0, 1.0
    if all(kind.kind == "u" and kind.itemsize <= 2 for kind in kinds):
        bits = next(bits for bits in _BIT_DEPTHS if high < 2**bits)
        return 0.0, float(2**bits - 1)
    if all(kind.kind == "f" for kind in kinds) and low >= 0.0 and high <= 1.0:
        return 0.0, 1.0
    if not low < high:
        # A constant or empty video: any span keeps it black.
        return (low, low + 1.0) if np.isfinite(low) else (0.0, 1.0)
    return low, high
