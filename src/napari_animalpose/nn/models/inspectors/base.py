"""What the inspectors share: one network on one whole frame, and lists of peaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.nn.inspection import NONE, MapStack, Peaks
from napari_animalpose.nn.models.detectors.growing import GrowingPeaks
from napari_animalpose.nn.models.forward import Forward, to_frame

__all__ = [
    "PEAK_FLOOR",
    "PeakTable",
    "Seen",
    "Stopwatch",
    "WholeFrame",
    "mark_nearest",
    "pack_maps",
]

PEAK_FLOOR = 0.05  # lower maxima are noise, whatever the threshold
SLOTS, MOST_SLOTS = 64, 128  # peaks of a node in a frame


class Stopwatch:
    """Seconds by stage, in the order of the stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the last call to a stage."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


class Seen(NamedTuple):
    """What a network answers for a whole frame.

    points : float32 (1, K, P, 2), peaks as the head gives them, NaN in empty slots
    heights : float32 (1, K, P), descending, 0 in empty slots
    maps : dict of float16 array (C, h, w), by name
    more : what else was asked for
    placed : float32 (K, P, 2), the peaks in px of the frame
    """

    points: NDArray[np.float32]
    heights: NDArray[np.float32]
    maps: dict[str, NDArray[np.float16]]
    more: tuple[NDArray[Any], ...]
    placed: NDArray[np.float32]


class WholeFrame:
    """One network on one frame at a time: all maps and all peaks from one graph.

    Parameters
    ----------
    forward : Forward
    threshold : float
        Of the predictor. Peaks are looked for down to `PEAK_FLOOR` at least.
    read_more : callable
        From the output maps and the peaks, inside the graph, to more tensors.
    most : int
        Peaks of a node, the highest.
    """

    def __init__(
        self,
        forward: Forward,
        threshold: float,
        read_more: Callable[[dict[str, Any], Any], tuple[Any, ...]] = lambda outputs, points: (),
        most: int = MOST_SLOTS,
    ) -> None:
        self.forward = forward
        self.names = tuple(forward.head.n_outputs)
        floor = min(PEAK_FLOOR, threshold)
        head: Any = forward.head

        def read_maps(outputs: dict[str, Any], slots: int) -> tuple[Any, ...]:
            points, heights = head.find_peaks(outputs, floor, slots, forward.refinement)
            maps = (pack_maps(outputs[name]) for name in self.names)
            return points, heights, *maps, *read_more(outputs, points)

        self._peaks = GrowingPeaks(forward, read_maps, floor, SLOTS, most)

    def __call__(self, frames: Any) -> Seen:
        """Look at a frame (1, H, W, C)."""
        (points, heights, *rest), _ = self._peaks.finish(self._peaks.start(frames))
        maps = {name: values[0] for name, values in zip(self.names, rest, strict=False)}
        scale, size = self.forward.config.input_scale, frames.shape[1:3]
        placed = to_frame(points[0], scale, *size)
        return Seen(points, heights, maps, tuple(rest[len(maps) :]), placed)

    def pack(self, name: str, channels: tuple[str, ...], values: NDArray[np.float16]) -> MapStack:
        """Return maps (K, h, w) with where they lie in the frame."""
        grid = self.forward.grid(self.forward.map_stride(name))
        return MapStack(name, channels, values, grid)


def pack_maps(values: Any) -> Any:
    """Return maps (B, h, w, K) as float16 (B, K, h, w), on the device."""
    return tf.cast(tf.transpose(values, (0, 3, 1, 2)), tf.float16)


def mark_nearest(placed: NDArray[np.float32], animals: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return which instance each peak became a point of.

    Parameters
    ----------
    placed : float32 array, shape (K, P, 2)
        Peaks; NaN in empty slots.
    animals : float32 array, shape (I, K, 2)
        Points, each the place of one of the peaks of its node; NaN = missing.

    Returns
    -------
    int32 array, shape (K, P)
        -1 for those that nobody has.
    """
    owner = np.full(placed.shape[:2], NONE, np.int32)
    for instance, node in np.argwhere(np.isfinite(animals[..., 0])):
        away = np.linalg.norm(placed[node] - animals[instance, node], axis=-1)
        if np.isfinite(away).any() and np.nanmin(away) < 1.0:
            owner[node, np.nanargmin(away)] = instance
    return owner


class PeakTable:
    """Collects peaks of frames and crops as rows.

    Parameters
    ----------
    n_classes : int
    """

    def __init__(self, n_classes: int = 0) -> None:
        self._n_classes = n_classes
        self._n_rows = 0
        self._parts: list[Peaks] = []

    def add(
        self,
        placed: NDArray[np.float32],
        heights: NDArray[np.float32],
        instance: NDArray[np.int32],
        *,
        node: int | None = None,
        crop: int = NONE,
        likely: NDArray[np.float32] | None = None,
    ) -> NDArray[np.int64]:
        """Add the filled ones of the slots (K, P) of every node.

        Parameters
        ----------
        placed : float32 array, shape (K, P, 2)
            In px of the frame.
        heights : float32 array, shape (K, P)
        instance : int array, shape (K, P)
        node : int, optional
            By default the first axis counts the nodes.
        crop : int
        likely : float32 array, shape (K, P, C), optional

        Returns
        -------
        int64 array, shape (K, P)
            Row of each slot; -1 for the empty ones.
        """
        there = np.isfinite(placed[..., 0]) & (heights > 0)
        nodes, slots = np.nonzero(there)
        rows = np.full(there.shape, -1, np.int64)
        rows[nodes, slots] = self._n_rows + np.arange(len(nodes))
        self._n_rows += len(nodes)
        shape = len(nodes), self._n_classes
        self._parts.append(
            Peaks(
                xy=placed[nodes, slots],
                node=(nodes if node is None else np.full_like(nodes, node)).astype(np.int32),
                score=heights[nodes, slots],
                crop=np.full(len(nodes), crop, np.int32),
                instance=instance[nodes, slots].astype(np.int32),
                likely=np.full(shape, np.nan, np.float32)
                if likely is None
                else likely[nodes, slots],
            )
        )
        return rows

    def build(self) -> Peaks:
        """Return all rows."""
        columns = {
            name: np.concatenate([getattr(part, name) for part in self._parts])
            for name in ("xy", "node", "score", "crop", "instance", "likely")
        }
        return Peaks(**columns)
