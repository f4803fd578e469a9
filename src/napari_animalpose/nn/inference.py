"""From frames to poses with trained networks: one compiled graph, uint8 in, points out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.config import ModelConfig, PredictConfig, RunConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.video import Video
from napari_animalpose.errors import CancelledError
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.io.video import iterate_frames
from napari_animalpose.jobs import StopRequest, never_stop
from napari_animalpose.nn.heads import HEADS, PIPELINES, Detections, Detector
from napari_animalpose.nn.identity import NO_CLASS
from napari_animalpose.nn.inspection import Findings, Inspection, Inspector
from napari_animalpose.nn.models.forward import Forward
from napari_animalpose.nn.models.network import build_head_network, resolve_precision

__all__ = ["Predictor", "batch_frames", "choose_batch_size", "load_run", "poses_from_detections"]

COMPILED = ("refinement", "precision", "sleap_exact")  # in `PredictConfig`: part of the graphs


def choose_batch_size(config: PredictConfig, model: ModelConfig, height: int, width: int) -> int:
    """Return the configured batch size, or one that suits the frames and the device.

    About a million input px on a CPU, where larger batches only need more memory, and
    eight million on a GPU, where they hide the start of each kernel.
    """
    if config.batch_size:
        return config.batch_size
    pixels = 8e6 if tf.config.list_physical_devices("GPU") else 1e6
    return max(1, min(64, round(pixels / (height * width * model.input_scale**2))))


def batch_frames(
    frames: Iterable[tuple[int, NDArray[np.uint8]]], batch_size: int
) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Group consecutive frames of one size: yields numbers and an array (B, H, W, C)."""
    numbers: list[int] = []
    waiting: list[NDArray[np.uint8]] = []
    for number, frame in frames:
        if waiting and (frame.shape != waiting[0].shape or len(waiting) == batch_size):
            yield numbers, np.stack(waiting)
            numbers, waiting = [], []
        numbers.append(number)
        waiting.append(frame)
    if waiting:
        yield numbers, np.stack(waiting)


def poses_from_detections(
    skeleton: Skeleton,
    video: int,
    frames: Sequence[int],
    found: Detections,
    threshold: float,
    classes: Sequence[str] = (),
) -> Poses:
    """Turn what was detected in some frames into predicted instances.

    Parameters
    ----------
    skeleton : Skeleton
        With K nodes.
    video : int
    frames : sequence of int, length B
    found : Detections
    threshold : float
        Points of lower confidence are missing; an instance without any point is left out.
        Without scores of its own, an instance has the mean of its points' confidences.
    classes : sequence of str
        Names of the identities that ``found.classes`` counts: the tracks of the result.
    """
    numbers = np.repeat(np.asarray(frames, np.int64), found.points.shape[1])
    xy = found.points.reshape(-1, len(skeleton), 2).astype(np.float32)
    placed = find_placed(found, threshold).reshape(-1, len(skeleton))
    scores = np.nan_to_num(found.point_scores.reshape(-1, len(skeleton)))
    point_score = np.clip(scores, 0, 1).astype(np.float32)
    rows = placed.any(axis=1)
    xy = np.where(placed[..., None], xy, np.nan)[rows]
    point_score = np.where(placed, point_score, np.nan)[rows]
    if found.scores is not None:
        score = found.scores.reshape(-1)[rows]
    else:
        score = np.nansum(point_score, axis=1) / placed[rows].sum(axis=1)
    track = NO_CLASS if found.classes is None else found.classes.reshape(-1)[rows]
    track_score = np.nan if found.class_scores is None else found.class_scores.reshape(-1)[rows]
    return Poses.from_arrays(
        skeleton,
        video=video,
        frame=numbers[rows],
        xy=xy,
        track=track,
        origin=Origin.PREDICTED,
        point_score=point_score,
        score=score,
        track_score=track_score,
        track_names=classes,
    )


def find_placed(found: Detections, threshold: float) -> NDArray[np.bool_]:
    """Return which points (B, I, K) are there; an instance without any is none."""
    scores = np.clip(np.nan_to_num(found.point_scores), 0, 1)
    return np.asarray((scores >= threshold) & np.isfinite(found.points).all(axis=-1))


class Predictor:
    """Trained networks, ready for frames.

    Parameters
    ----------
    run : RunConfig
    skeleton : Skeleton
        With K nodes.
    networks : mapping of str to keras.Model
        With trained weights, by the name of their head.
    config : PredictConfig
    """

    needs_anchors = False  # whether labels have to say where the animals are

    def __init__(
        self,
        run: RunConfig,
        skeleton: Skeleton,
        networks: Mapping[str, Any],
        config: PredictConfig,
    ) -> None:
        self.run_config = run
        self.skeleton = skeleton
        self.config = config
        self.forwards = {
            name: Forward(
                network, HEADS.get(name)(run.networks[name], skeleton), run.networks[name],
                config.refinement,
            )
            for name, network in networks.items()
        }  # fmt: skip
        self._detector = self._make_detector()
        self._inspector: Inspector | None = None

    def _make_detector(self) -> Detector:
        detector = PIPELINES.get(self.run_config.pipeline).load_detector()
        return detector(self.forwards, self.config)

    def reconfigure(self, config: PredictConfig) -> None:
        """Decide by other thresholds from now on, with the networks as they are loaded.

        Parameters
        ----------
        config : PredictConfig
            Its `refinement`, `precision` and `sleap_exact` are not followed: the networks
            are compiled with those that they were loaded with.
        """
        kept = {name: getattr(self.config, name) for name in COMPILED}
        config = replace(config, **kept)
        if config != self.config:
            self.config = config
            self._detector, self._inspector = self._make_detector(), None

    def use_labels(self, labels: Poses) -> None:
        """Take from labels where the animals are, if that is not found (`needs_anchors`)."""

    def predict(
        self,
        video: Video,
        frames: Iterable[int] | None = None,
        *,
        video_number: int = 0,
        progress: Callable[[str], None] | None = None,
    ) -> Poses:
        """Return the poses in some frames of a video.

        Parameters
        ----------
        video : Video
        frames : iterable of int, optional
            In any order; by default all.
        video_number : int
            What the column `video` of the result says.
        progress : callable, optional
            Receives a short text after every batch, such as ``print``.
        """
        numbers = sorted(range(len(video)) if frames is None else {int(f) for f in frames})

        def report(done: int, rate: float) -> None:
            if progress is not None:
                progress(f"{done} of {len(numbers)} frames, {rate:.1f} frames a second")

        return self.run(video, numbers, video_number, on_progress=report)[0]

    def run(
        self,
        video: Video,
        frames: Sequence[int],
        video_number: int,
        *,
        on_progress: Callable[[int, float], None] = lambda done, rate: None,
        on_crowded: Callable[[list[int]], None] = lambda numbers: None,
        on_poses: Callable[[Poses, Sequence[int]], None] = lambda poses, numbers: None,
        should_stop: Callable[[], StopRequest] = never_stop,
    ) -> tuple[Poses, int]:
        """Predict ascending frames; return the poses and how many frames are done.

        Reading goes on while the device works. `on_progress` receives the number of
        frames done and the rate in frames a second; `on_crowded` the numbers of frames
        that may hold more animals than could be kept; `on_poses` the poses of every batch
        and the numbers of its frames. `should_stop` is asked between
        batches: `StopRequest.STOP_EARLY` returns what is done.

        Raises
        ------
        CancelledError
            If asked to cancel.
        """
        parts = [Poses.empty(self.skeleton, self.run_config.classes)]
        if not len(frames):
            return parts[0], 0
        model = next(iter(self.run_config.networks.values()))
        batch_size = choose_batch_size(self.config, model, *video.shape[1:3])
        began, done = time.monotonic(), 0
        for numbers, batch in batch_frames(read_frames(video, frames, batch_size), batch_size):
            stop = should_stop()
            if stop is StopRequest.CANCEL:
                raise CancelledError("Prediction was cancelled; nothing was kept.")
            if stop is StopRequest.STOP_EARLY:
                break
            found = self._detect(batch, video_number, numbers)
            if found.crowded is not None and found.crowded.any():
                on_crowded([numbers[i] for i in np.flatnonzero(found.crowded)])
            threshold = self.config.peak_threshold
            parts.append(
                poses_from_detections(
                    self.skeleton, video_number, numbers, found, threshold, self.run_config.classes
                )
            )
            on_poses(parts[-1], numbers)
            done += len(numbers)
            on_progress(done, done / (time.monotonic() - began))
        return Poses.concat(parts), done

    def inspect(
        self, frame: NDArray[np.uint8], *, video_number: int = 0, number: int = 0
    ) -> Inspection:
        """Return all that the networks see in one frame, and why it becomes what it does.

        Parameters
        ----------
        frame : uint8 array, shape (H, W, C)
        video_number, number : int
            Which frame of which video that is, for the instances.

        Raises
        ------
        ConfigError
            If models of SLEAP were loaded with `sleap_exact`.
        """
        if self._inspector is None:
            self._inspector = self._detector.make_inspector()
        findings = self._look(self._inspector, frame[None], video_number, number)
        findings = findings.trimmed((frame.shape[0], frame.shape[1]))
        found, threshold = findings.detections, self.config.peak_threshold
        classes = self.run_config.classes
        instances = poses_from_detections(
            self.skeleton, video_number, [number], found, threshold, classes
        )
        there = find_placed(found, threshold)[0].any(axis=-1)  # (I,)
        # The last entry is what -1, no instance, stands for.
        rows = np.append(np.where(there, np.cumsum(there) - 1, -1), -1).astype(np.int32)

        def renumber(table: Any) -> Any:
            return table and replace(table, instance=rows[table.instance])

        return Inspection(
            pipeline=self.run_config.pipeline,
            skeleton=self.skeleton,
            classes=classes,
            video=video_number,
            frame=number,
            size=(frame.shape[0], frame.shape[1]),
            instances=instances,
            maps=findings.maps,
            peaks=renumber(findings.peaks),
            fields=findings.fields,
            crops=renumber(findings.crops),
            connections=renumber(findings.connections),
            limits=findings.limits,
            seconds=findings.seconds,
        )

    def _look(
        self, inspector: Inspector, frames: NDArray[np.uint8], video: int, number: int
    ) -> Findings:
        """Return what is found in a frame (1, H, W, C)."""
        return inspector(frames)

    def _detect(self, frames: NDArray[np.uint8], video: int, numbers: Sequence[int]) -> Detections:
        """Return what is in frames (B, H, W, C) of a video, of which these are the numbers."""
        return self._detector.finish(self._detector.start(frames))


def read_frames(
    video: Video, frames: Sequence[int], batch_size: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield frames with their numbers while a thread reads ahead."""
    for numbers, images in iterate_frames(video, frames, batch_size=batch_size):
        yield from zip(numbers, images, strict=True)


def load_run(folder: RunFolder, config: PredictConfig) -> Predictor:
    """Build the networks of a run folder and give them their best weights.

    Raises
    ------
    ModelError
        If the folder holds no run, or its weights do not fit its configuration.
    """
    run = folder.read_config()
    skeleton = folder.read_skeleton()
    precision = resolve_precision(config.precision)
    networks = {}
    for name, model in run.networks.items():
        head = HEADS.get(name)(model, skeleton)
        network = build_head_network(head, model, precision)
        network.set_weights(folder.read_weights(name, [w.shape for w in network.weights]))
        networks[name] = network
    return Predictor(run, skeleton, networks, config)
