"""Training frames and the batches drawn from them; numpy only.

Frames are kept as the network will see them (resized, gray or colour, uint8), in memory
up to a budget and in a temporary file beyond it, read back piece by piece. A batch holds,
for each example, the patch of the frame that its window can touch, the affine map that
places it, and its points in the window; the device does the rest.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import AugmentConfig
from napari_animalpose.nn.augment import sample_affine, sample_cutout, sample_intensity
from napari_animalpose.nn.geometry import invert, transform_points

__all__ = ["Batch", "BatchSampler", "Example", "FrameStore", "frame_centre"]


class FrameStore:
    """Frames of any sizes, in memory up to a budget and in a temporary file beyond.

    Parameters
    ----------
    budget_bytes : int
        What may stay in memory.

    Notes
    -----
    The file is read piece by piece and not mapped: mapped pages would count as memory of
    the process. It is deleted when the store is closed or the process ends. Several
    threads may read: training draws batches while validation looks at whole frames.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._used = 0
        self._frames: list[NDArray[np.uint8] | tuple[int, tuple[int, ...]]] = []
        self._file: Any = None
        self._file_size = 0
        self._lock = Lock()

    def append(self, frame: NDArray[np.uint8]) -> int:
        """Keep a frame (H, W, C) and return its number."""
        if self._used + frame.nbytes <= self._budget:
            self._frames.append(np.ascontiguousarray(frame))
            self._used += frame.nbytes
        else:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="animalpose-frames-")  # noqa: SIM115
            self._file.seek(self._file_size)
            self._file.write(np.ascontiguousarray(frame).data)
            self._file.flush()
            self._frames.append((self._file_size, frame.shape))
            self._file_size += frame.nbytes
        return len(self._frames) - 1

    def __len__(self) -> int:
        return len(self._frames)

    def shape(self, number: int) -> tuple[int, ...]:
        """Return (H, W, C) of a frame without reading it."""
        kept = self._frames[number]
        return kept[1] if isinstance(kept, tuple) else kept.shape

    def rows(self, number: int, first: int, last: int) -> NDArray[np.uint8]:
        """Return rows `first` to `last` (exclusive) of a frame: (last - first, W, C)."""
        kept = self._frames[number]
        if not isinstance(kept, tuple):
            return kept[first:last]
        offset, (_, width, channels) = kept
        line = width * channels
        with self._lock:
            self._file.seek(offset + first * line)
            data = self._file.read((last - first) * line)
        return np.frombuffer(data, np.uint8).reshape(-1, width, channels)

    def __getitem__(self, number: int) -> NDArray[np.uint8]:
        return self.rows(number, 0, self.shape(number)[0])

    def close(self) -> None:
        """Drop everything and delete the file."""
        self._frames.clear()
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True)
class Example:
    """One thing to learn from: a place in a kept frame and all instances around it.

    Parameters
    ----------
    frame : int
        Number in the `FrameStore`.
    centre : (float, float)
        (x, y) in px of the kept frame around which the window lies.
    xy : float array, shape (I, K, 2)
        Points of the instances in px of the kept frame; NaN = missing.
    classes : tuple of int
        Number of each instance's identity, -1 = not known; empty where it is of none.
    anywhere : bool
        The window may lie anywhere in the frame: there is no animal to lie around.
    source : (int, int), optional
        (video, frame) that the kept frame is of.
    """

    frame: int
    centre: tuple[float, float]
    xy: NDArray[np.float64]
    classes: tuple[int, ...] = ()
    anywhere: bool = False
    source: tuple[int, int] | None = None


class Batch(NamedTuple):
    """What goes to the device for B examples.

    patches : uint8 (B, h, w, C), parts of frames, zero where a patch leaves its frame
    matrices : float32 (B, 2, 3), from window px to patch px
    xy : float32 (B, I, K, 2), points in window px, NaN = missing
    intensity : float32 (B, 4), for `device.adjust_intensity`
    boxes : float32 (B, 4), for `device.cut_out`
    seed : int32 (2,), of the noise
    classes : int32 (B, I), numbers of the instances' identities, -1 = not known
    """

    patches: NDArray[np.uint8]
    matrices: NDArray[np.float32]
    xy: NDArray[np.float32]
    intensity: NDArray[np.float32]
    boxes: NDArray[np.float32]
    seed: NDArray[np.int32]
    classes: NDArray[np.int32]


class BatchSampler:
    """Draws augmented batches for ever: every example once, in random order, then again.

    Parameters
    ----------
    store : FrameStore
    examples : sequence of Example
    window : (int, int)
        (height, width) in px of what the network sees.
    augment : AugmentConfig
    flip_order : int array, shape (K,)
        Order of the nodes in a mirrored image (`Skeleton.flip_order`).
    batch_size : int
    seed : int
    jitter_px : float
        The window's centre moves uniformly by up to this many px in x and y, on top of
        the augmentation, so that an animal is learned everywhere in its window.
    background_fraction : float
        Share of the examples whose window lies anywhere in its frame instead.
    """

    def __init__(
        self,
        store: FrameStore,
        examples: Sequence[Example],
        window: tuple[int, int],
        augment: AugmentConfig,
        flip_order: NDArray[np.intp],
        batch_size: int,
        seed: int,
        jitter_px: float = 0.0,
        background_fraction: float = 0.0,
    ) -> None:
        self.store = store
        self.examples = list(examples)
        self.window = window
        self.augment = augment
        self.flip_order = flip_order
        self.batch_size = batch_size
        self.jitter_px = jitter_px
        self.background_fraction = background_fraction
        self.rng = np.random.default_rng(seed)
        self.n_instances = max(1, max(len(example.xy) for example in self.examples))
        self._order: list[int] = []
        self._patch = self._patch_size()

    def _patch_size(self) -> tuple[int, int]:
        """(height, width) that holds a window however it is turned, scaled and moved."""
        height, width = self.window
        turned = (
            _turned_side(height, width, self.augment.rotation_deg),
            _turned_side(width, height, self.augment.rotation_deg),
        )
        needed = [math.ceil(side / self.augment.scale_min) + 2 for side in turned]
        largest = np.array([self.store.shape(e.frame)[:2] for e in self.examples]).max(axis=0)
        return int(min(needed[0], largest[0])), int(min(needed[1], largest[1]))

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield self.draw()

    def draw(self) -> Batch:
        """Return the next batch."""
        chosen = [self.examples[self._next()] for _ in range(self.batch_size)]
        count = len(chosen)
        centre = self._draw_centres(chosen)
        forward, mirrored = sample_affine(self.rng, self.augment, centre, self.window)
        xy = np.full((count, self.n_instances, len(self.flip_order), 2), np.nan)
        patches = np.zeros((count, *self._patch, self.store.shape(chosen[0].frame)[2]), np.uint8)
        classes = np.full((count, self.n_instances), -1, np.int32)
        back = np.empty((count, 2, 3))
        for i, example in enumerate(chosen):
            points = transform_points(forward[i], example.xy)
            if mirrored[i]:
                points = points[:, self.flip_order]
            xy[i, : len(points)] = points
            classes[i, : len(example.classes)] = example.classes
            corner = self._copy_patch(patches[i], example.frame, invert(forward[i]))
            back[i] = invert(forward[i])
            back[i, :, 2] -= corner
        return Batch(
            patches,
            back.astype(np.float32),
            xy.astype(np.float32),
            sample_intensity(self.rng, self.augment, count),
            sample_cutout(self.rng, self.augment, count, self.window),
            self.rng.integers(0, 2**31 - 1, 2, dtype=np.int32),
            classes,
        )

    def _draw_centres(self, chosen: Sequence[Example]) -> NDArray[np.float64]:
        """Where the windows of some examples lie, (x, y) in px of their frames, (B, 2)."""
        count = len(chosen)
        centre = np.array([example.centre for example in chosen], np.float64)
        centre = centre + self.rng.uniform(-1, 1, (count, 2)) * self.jitter_px
        sides = np.array([self.store.shape(example.frame)[1::-1] for example in chosen])
        anywhere = self.rng.uniform(0, 1, (count, 2)) * sides - 0.5
        elsewhere = self.rng.random(count) < self.background_fraction
        elsewhere |= [example.anywhere for example in chosen]
        return np.where(elsewhere[:, None], anywhere, centre)

    def _next(self) -> int:
        if not self._order:
            self._order = self.rng.permutation(len(self.examples)).tolist()
        return self._order.pop()

    def _copy_patch(
        self, patch: NDArray[np.uint8], frame: int, back: NDArray[np.float64]
    ) -> tuple[int, int]:
        """Copy the part of a frame around the window's middle; return its corner (x, y)."""
        height, width, _ = self.store.shape(frame)
        middle = np.array([[(self.window[1] - 1) / 2, (self.window[0] - 1) / 2]])
        x, y = transform_points(back, middle)[0]
        rows, columns = patch.shape[:2]
        x0 = _place(x, columns, width)
        y0 = _place(y, rows, height)
        top, bottom = max(y0, 0), min(y0 + rows, height)
        left, right = max(x0, 0), min(x0 + columns, width)
        if top < bottom and left < right:
            source = self.store.rows(frame, top, bottom)
            patch[top - y0 : bottom - y0, left - x0 : right - x0] = source[:, left:right]
        return x0, y0

    def identity_batch(self, numbers: Sequence[int]) -> Batch:
        """Return given examples without any change, for pictures and tests."""
        plain = AugmentConfig(
            rotation_deg=0, scale_min=1, scale_max=1, translate_fraction=0,
            contrast=0, brightness=0, gamma=0, noise=0,
        )  # fmt: skip
        chosen = [replace(self.examples[i], anywhere=False) for i in numbers]
        sampler = BatchSampler(
            self.store, chosen, self.window, plain, self.flip_order, len(chosen), 0
        )
        sampler._order = list(range(len(chosen)))[::-1]
        return sampler.draw()


def _turned_side(side: float, other: float, degrees: float) -> float:
    """Longest extent along `side` of a rectangle turned by up to `degrees`."""
    angle = min(math.radians(degrees), math.atan2(other, side))
    return side * math.cos(angle) + other * math.sin(angle)


def _place(middle: float, length: int, available: int) -> int:
    """First px of a stretch of `length` around `middle`, inside 0..available if it fits."""
    first = round(middle - (length - 1) / 2)
    if length >= available:
        return 0 if length == available else min(max(first, available - length), 0)
    return min(max(first, 0), available - length)


def frame_centre(shape: Sequence[int]) -> tuple[float, float]:
    """Return the middle (x, y) in px of a frame of (H, W, ...)."""
    return (shape[1] - 1) / 2, (shape[0] - 1) / 2
