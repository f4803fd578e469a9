"""What SLEAP 1.4 itself answers, to compare with: `PredictConfig.sleap_exact`.

All of it is reproduced: gray levels cut off to whole numbers, the half pixel that is added
wherever a frame was resized and the half pixel that windows are off, the centre of mass
that is drawn to the middle of 5 x 5 cells, plateaus without a peak, fields read at the
nearest cell. For anything but comparisons the other way is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig
from napari_animalpose.errors import ConfigError
from napari_animalpose.nn.heads import Detections, Detector
from napari_animalpose.nn.legacy.composition import Composition
from napari_animalpose.nn.legacy.detectors import Anchors
from napari_animalpose.nn.legacy.exact_grouping import Joined, classify, group_by_fields
from napari_animalpose.nn.legacy.exact_peaks import find_global_peaks, find_local_peaks
from napari_animalpose.nn.legacy.frames import cut_boxes, resize, to_sleap_channels
from napari_animalpose.nn.legacy.loading import SleapModel
from napari_animalpose.nn.models.device import pad_to

__all__ = ["ExactForward", "make_exact_detector"]

Maps = dict[str, NDArray[np.float32]]


class ExactForward:
    """Frames or windows in, maps out, as SLEAP 1.4 prepares them.

    Parameters
    ----------
    model : SleapModel
    network : keras.Model
        In float32.
    """

    def __init__(self, model: SleapModel, network: Any) -> None:
        self.description = model.description
        self.network = network
        self.scale = model.description.input_scale
        self.maps_name = model.maps_name
        stride = model.network.graph.max_stride
        pad = model.description.pad_to_stride if model.description.head == "centroid" else 0
        self.pad = pad or stride
        self._channels = model.network.graph.channels
        self._of_frames = tf.function(self._run_frames, autograph=False, reduce_retracing=True)
        self._of_windows = tf.function(self._run_windows, autograph=False, reduce_retracing=True)

    def _run_frames(self, frames: Any) -> Any:
        x = to_sleap_channels(frames, self._channels)
        x = resize(tf.cast(x, tf.float32) / 255.0, self.scale)
        return self.network(pad_to(x, self.pad), training=False)

    def _run_windows(self, frames: Any, numbers: Any, corners: Any) -> Any:
        x = to_sleap_channels(frames, self._channels)
        if self.scale != 1.0:
            x = tf.cast(resize(x, self.scale), tf.uint8)  # which cuts fractions off
        windows = cut_boxes(x, numbers, corners, self.description.crop_px)
        return self.network(tf.floor(windows) / 255.0, training=False)

    def maps(self, frames: NDArray[np.uint8]) -> Maps:
        """Return the outputs for frames (B, H, W, C), by name."""
        return _to_numpy(self._of_frames(tf.constant(frames)))

    def maps_of_windows(
        self, frames: NDArray[np.uint8], numbers: NDArray[Any], centres: NDArray[Any]
    ) -> tuple[Maps, NDArray[np.float32]]:
        """Return the outputs for windows, and where SLEAP believes them to begin.

        Parameters
        ----------
        frames : uint8 array, shape (B, H, W, C)
        numbers : int array, shape (N,)
            Which frame each window is of.
        centres : float array, shape (N, 2)
            (x, y) in px of the frame.

        Returns
        -------
        maps : dict of float32 array, shape (N, ...)
        corners : float32 array, shape (N, 2)
            Half a pixel to the left of and above where they are, at the input scale.
        """
        side = self.description.crop_px
        scaled = np.asarray(centres * self.scale, np.float32)
        corners = scaled - np.float32((side - 1) / 2)
        outputs = self._of_windows(
            tf.constant(frames), tf.constant(numbers, tf.int32), tf.constant(corners)
        )
        return _to_numpy(outputs), scaled - np.float32(side / 2)

    def to_frame(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move points (..., 2) from px at the input scale to what SLEAP calls px of the frame."""
        if self.scale == 1.0:
            return points
        return np.asarray(points / np.float32(self.scale) + np.float32(0.5))

    def locate_all(self, maps: Maps, threshold: float) -> tuple[Any, NDArray[np.float32]]:
        """Return all peaks, and where they are in px at the input scale (N, 2)."""
        peaks = find_local_peaks(maps[self.maps_name], maps.get("offsets"), threshold)
        return peaks, peaks.cell * np.float32(self.description.strides["confmaps"])

    def locate_highest(self, maps: Maps, threshold: float) -> tuple[Any, Any]:
        """Return points (B, K, 2) in px at the input scale, and their values (B, K)."""
        cells, values = find_global_peaks(maps["confmaps"], maps.get("offsets"), threshold)
        return cells * np.float32(self.description.strides["confmaps"]), values


def _to_numpy(outputs: Mapping[str, Any]) -> Maps:
    return {name: np.asarray(value, np.float32) for name, value in outputs.items()}


class _ExactDetector:
    """Finds everything in `start`; nothing is left to wait for."""

    def __init__(
        self, forwards: Mapping[str, ExactForward], anchors: Anchors | None,
        config: PredictConfig,
    ) -> None:  # fmt: skip
        self.forwards = forwards
        self.anchors = anchors
        self.config = config
        self.last = list(forwards.values())[-1]

    def start(self, frames: NDArray[np.uint8]) -> Detections:
        raise NotImplementedError

    def make_inspector(self) -> NoReturn:
        """Refuse: what SLEAP 1.4 sees is not kept.

        Raises
        ------
        ConfigError
            Always.
        """
        raise ConfigError(
            "Expected a model without sleap_exact to look into; received one with it. Turn "
            "sleap_exact off: the maps are the same."
        )

    def finish(self, pending: Detections) -> Detections:
        """Return what `start` found."""
        return pending

    def _centroids(self, frames: NDArray[np.uint8]) -> tuple[Any, Any, Any]:
        """Return frame (N,), (x, y) in px of the frame (N, 2) and confidence (N,) of animals."""
        if self.anchors is not None:
            number, places = self.anchors.get()
            return number, places, np.ones(len(places), np.float32)
        forward = self.forwards["centroid"]
        peaks, points = forward.locate_all(forward.maps(frames), self.config.peak_threshold)
        kept = np.arange(len(peaks.frame))
        if self.config.max_instances:
            kept = _keep_best(peaks.frame, peaks.value, self.config.max_instances)
        return peaks.frame[kept], forward.to_frame(points)[kept], peaks.value[kept]


def _keep_best(frame: NDArray[Any], value: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Return the rows with the highest values of each frame, in their order."""
    rows = [
        part[np.argsort(-value[part], kind="stable")[:count]]
        for part in (np.flatnonzero(frame == number) for number in np.unique(frame))
    ]
    return np.sort(np.concatenate([np.zeros(0, np.intp), *rows]))


class ExactSingle(_ExactDetector):
    """One animal in a frame."""

    def start(self, frames: NDArray[np.uint8]) -> Detections:
        """Return one instance for each of the frames (B, H, W, C)."""
        maps = self.last.maps(frames)
        points, values = self.last.locate_highest(maps, self.config.peak_threshold)
        return Detections(self.last.to_frame(points)[:, None], values[:, None])


class ExactCentroid(_ExactDetector):
    """Animals of one point."""

    def start(self, frames: NDArray[np.uint8]) -> Detections:
        """Return the centroids of the frames (B, H, W, C)."""
        number, places, values = self._centroids(frames)
        return _arrange(len(frames), number, places[:, None], values[:, None], values)


class ExactTopDown(_ExactDetector):
    """Windows around centroids; with class vectors one animal for each class."""

    def start(self, frames: NDArray[np.uint8]) -> Detections:
        """Return the instances of the frames (B, H, W, C)."""
        number, places, values = self._centroids(frames)
        n_nodes = len(self.last.description.skeleton)
        points, scores = np.zeros((0, n_nodes, 2), np.float32), np.zeros((0, n_nodes), np.float32)
        likely = np.zeros((0, len(self.last.description.classes)), np.float32)
        if len(number):
            maps, corners = self.last.maps_of_windows(frames, number, places)
            points, scores = self.last.locate_highest(maps, self.config.peak_threshold)
            points = self.last.to_frame(points + corners[:, None])
            likely = maps.get("classes", np.zeros((len(number), 0), np.float32))
        if not self.last.description.classes:
            return _arrange(len(frames), number, points, scores, values)
        classes = np.full(len(number), -1, np.int64)
        for frame in np.unique(number):
            rows = np.flatnonzero(number == frame)
            classes[rows] = classify(likely[rows])
        kept = np.flatnonzero(classes >= 0)
        kept = kept[np.lexsort((classes[kept], number[kept]))]
        class_scores = likely[kept, classes[kept]]
        return _arrange(
            len(frames), number[kept], points[kept], scores[kept], class_scores,
            classes[kept], class_scores,
        )  # fmt: skip


class ExactBottomUp(_ExactDetector):
    """All points at once, joined by fields."""

    def start(self, frames: NDArray[np.uint8]) -> Detections:
        """Return the instances of the frames (B, H, W, C)."""
        forward, known = self.last, self.last.description
        maps = forward.maps(frames)
        peaks, points = forward.locate_all(maps, self.config.peak_threshold)
        joined: list[Joined] = []
        for frame in range(len(frames)):
            rows = np.flatnonzero(peaks.frame == frame)
            own = peaks._replace(node=peaks.node[rows], value=peaks.value[rows])
            animals = group_by_fields(
                own, points[rows], maps["pafs"][frame], known.skeleton.edge_array,
                known.strides["pafs"], len(known.skeleton), self.config.min_line_score,
            )  # fmt: skip
            if self.config.max_instances:
                best = np.argsort(-animals.scores, kind="stable")[: self.config.max_instances]
                animals = Joined(*(part[np.sort(best)] for part in animals))
            joined.append(animals)
        number = np.repeat(np.arange(len(frames)), [len(part.scores) for part in joined])
        points, scores, evidence = (np.concatenate(parts) for parts in zip(*joined, strict=True))
        return _arrange(len(frames), number, forward.to_frame(points), scores, evidence)


class ExactBottomUpId(_ExactDetector):
    """All points at once, one animal for each class."""

    def start(self, frames: NDArray[np.uint8]) -> Detections:
        """Return the instances of the frames (B, H, W, C)."""
        forward, known = self.last, self.last.description
        maps = forward.maps(frames)
        peaks, points = forward.locate_all(maps, self.config.peak_threshold)
        cells = np.rint(points / known.strides["classmaps"]).astype(int)
        height, width, n_classes = maps["classmaps"].shape[1:]
        column, row = np.clip(cells[:, 0], 0, width - 1), np.clip(cells[:, 1], 0, height - 1)
        likely = maps["classmaps"][peaks.frame, row, column]  # (N, C)
        shape = len(frames), n_classes, len(known.skeleton)
        xy = np.full((*shape, 2), np.nan, np.float32)
        scores, certainty = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        for frame, node in np.unique(np.stack([peaks.frame, peaks.node], axis=1), axis=0):
            rows = np.flatnonzero((peaks.frame == frame) & (peaks.node == node))
            classes = classify(likely[rows])
            rows, classes = rows[classes >= 0], classes[classes >= 0]
            xy[frame, classes, node] = points[rows]
            scores[frame, classes, node] = peaks.value[rows]
            certainty[frame, classes, node] = likely[rows, classes]
        known_points = np.isfinite(certainty)
        count = known_points.sum(axis=-1)
        mean = np.where(known_points, certainty, 0).sum(axis=-1) / np.maximum(count, 1)
        mean = np.where(count > 0, mean, np.nan).astype(np.float32)
        if self.config.max_instances:
            rank = np.argsort(np.argsort(-np.nan_to_num(mean, nan=-1.0), axis=1), axis=1)
            count[rank >= self.config.max_instances] = 0
            scores[count == 0] = np.nan
        numbers = np.where(count > 0, np.arange(n_classes, dtype=np.int32), np.int32(-1))
        return Detections(forward.to_frame(xy), scores, mean, numbers, mean)


def _arrange(n_frames: int, number: NDArray[Any], *columns: NDArray[Any]) -> Detections:
    """Arrange rows by frame, in their order; NaN, or -1 for whole numbers, fills up."""
    counts = np.bincount(number, minlength=n_frames)
    slots = np.concatenate([np.zeros(0, int), *(np.arange(count) for count in counts)])
    order = np.argsort(number, kind="stable")
    arranged: list[Any] = []
    for values in columns:
        whole = values.dtype.kind == "i"
        shape = (n_frames, int(counts.max(initial=0)), *values.shape[1:])
        target = np.full(shape, -1 if whole else np.nan, np.int32 if whole else np.float32)
        target[number[order], slots] = values[order]
        arranged.append(target)
    return Detections(*arranged)


EXACT: Mapping[str, Any] = {
    "single": ExactSingle,
    "topdown": ExactTopDown,
    "topdown-id": ExactTopDown,
    "bottomup": ExactBottomUp,
    "bottomup-id": ExactBottomUpId,
}


def make_exact_detector(
    composition: Composition,
    networks: Mapping[str, Any],
    anchors: Anchors | None,
    config: PredictConfig,
) -> Detector:
    """Return the detector that answers as SLEAP 1.4 does.

    Parameters
    ----------
    composition : Composition
    networks : mapping of str to keras.Model
        By the name of their head.
    anchors : Anchors or None
        In place of a centroid network.
    config : PredictConfig
    """
    forwards = {
        name: ExactForward(model, networks[name]) for name, model in composition.models.items()
    }
    kind = ExactCentroid if composition.is_centroid_alone else EXACT[composition.pipeline]
    detector: Detector = kind(forwards, anchors, config)
    return detector
