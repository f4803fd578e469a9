"""From frames to poses with trained networks: one compiled graph, uint8 in, points out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

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
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.geometry import unscale_points
from napari_animalpose.nn.heads import HEADS, PIPELINES, Head
from napari_animalpose.nn.models.device import pad_to, resize_frames, to_channels
from napari_animalpose.nn.models.network import build_network, resolve_precision

__all__ = [
    "Detector",
    "Forward",
    "Predictor",
    "SingleDetector",
    "batch_frames",
    "choose_batch_size",
    "load_run",
    "poses_from_points",
]


class Forward:
    """The compiled way from a batch of frames to points, for one network.

    Parameters
    ----------
    network : keras.Model
    head : Head
    config : ModelConfig
    refinement : {"gaussian", "integral", "none"}
    """

    def __init__(self, network: Any, head: Head, config: ModelConfig, refinement: str) -> None:
        self.network = network
        self.head = head
        self.config = config
        self.refinement = refinement
        self.max_stride: int = backbone_options(config).max_stride
        own_frames = tf.TensorSpec((None, None, None, config.channels), tf.uint8)
        self._prepare = tf.function(self._to_input_frames, autograph=False, reduce_retracing=True)
        self._from_frames = tf.function(
            self._frames_to_points, autograph=False, reduce_retracing=True
        )
        self._from_inputs = tf.function(
            self._inputs_to_points, autograph=False, input_signature=[own_frames]
        )
        self._maps = tf.function(self._run, autograph=False, input_signature=[own_frames])

    # ------------------------------------------------------------------ on the device
    def _to_input_frames(self, frames: Any) -> Any:
        """uint8 (B, H, W, C) of the video -> uint8 (B, h, w, channels) at the input scale."""
        x = to_channels(frames, self.config.channels)
        if self.config.input_scale == 1:
            return x
        return tf.cast(tf.round(resize_frames(x, self.config.input_scale)), tf.uint8)

    def _run(self, inputs: Any) -> Any:
        x = pad_to(tf.cast(inputs, tf.float32) / 255.0, self.max_stride)
        return self.network(x, training=False)

    def _inputs_to_points(self, inputs: Any) -> tuple[Any, Any]:
        """Return points in px of the full frame (B, I, K, 2) and confidences (B, I, K)."""
        points, scores = self.head.decode(self._run(inputs), self.refinement)
        size = tf.shape(inputs)
        # A peak in the padding belongs to the last pixel of the frame, not beyond it.
        corner = tf.cast(tf.stack([size[2], size[1]]), tf.float32) - 0.5
        points = tf.clip_by_value(points, -0.5, corner)
        return unscale_points(points, self.config.input_scale), scores

    def _frames_to_points(self, frames: Any) -> tuple[Any, Any]:
        return self._inputs_to_points(self._to_input_frames(frames))

    # -------------------------------------------------------------------- from numpy
    def prepare(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return frames (B, H, W, C) as the network sees them: uint8 (B, h, w, channels)."""
        return np.asarray(self._prepare(tf.constant(frames)))

    def points(self, frames: NDArray[np.uint8]) -> tuple[Any, Any]:
        """Start on frames (B, H, W, C) of the video: points (B, I, K, 2), confidences (B, I, K).

        Points are (x, y) in px of the frame. The result is a pair of tensors, so that
        the caller can go on while the device works.
        """
        result: tuple[Any, Any] = self._from_frames(tf.constant(frames))
        return result

    def points_of_inputs(self, inputs: NDArray[np.uint8]) -> tuple[Any, Any]:
        """The same for frames that `prepare` has been applied to."""
        result: tuple[Any, Any] = self._from_inputs(tf.constant(inputs))
        return result

    def trace(self) -> Any:
        """Return the graph from prepared frames to points, as a concrete function."""
        return self._from_inputs.get_concrete_function()

    def maps(self, frames: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the output maps for frames (B, H, W, C) of the video, by name.

        Each is float32 (B, h, w, channels): cell i lies at px i * output_stride of the
        network input, which is the frame resized by `input_scale`.
        """
        return self.maps_of_inputs(self.prepare(frames))

    def maps_of_inputs(self, inputs: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """The same for frames that `prepare` has been applied to."""
        outputs = self._maps(tf.constant(inputs))
        return {name: np.asarray(values, np.float32) for name, values in outputs.items()}


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


def poses_from_points(
    skeleton: Skeleton,
    video: int,
    frames: Sequence[int],
    points: NDArray[np.float32],
    scores: NDArray[np.float32],
    threshold: float,
) -> Poses:
    """Turn the points of some frames into predicted instances.

    Parameters
    ----------
    skeleton : Skeleton
        With K nodes.
    video : int
    frames : sequence of int, length B
    points : float32 array, shape (B, I, K, 2)
        (x, y) in px of the frame.
    scores : float32 array, shape (B, I, K)
        Confidences of the points.
    threshold : float
        Points below it are missing; an instance without any point is left out. The
        score of an instance is the mean of its points' confidences.
    """
    numbers = np.repeat(np.asarray(frames, np.int64), points.shape[1])
    xy = points.reshape(-1, len(skeleton), 2).astype(np.float32)
    point_score = np.clip(scores.reshape(-1, len(skeleton)), 0, 1).astype(np.float32)
    found = point_score >= threshold
    rows = found.any(axis=1)
    xy = np.where(found[..., None], xy, np.nan)[rows]
    point_score = np.where(found, point_score, np.nan)[rows]
    return Poses.from_arrays(
        skeleton,
        video=video,
        frame=numbers[rows],
        xy=xy,
        origin=Origin.PREDICTED,
        point_score=point_score,
        score=np.nanmean(point_score, axis=1) if rows.any() else np.zeros(0, np.float32),
    )


class Detector(Protocol):
    """A pipeline's way from frames to instances, all its networks together."""

    def detect(self, frames: NDArray[np.uint8]) -> tuple[Any, Any]:
        """Return points (B, I, K, 2) in px of the frame and confidences (B, I, K).

        Parameters
        ----------
        frames : uint8 array, shape (B, H, W, C)
        """
        ...


class SingleDetector:
    """Frames to one instance each with one network."""

    def __init__(self, forwards: Mapping[str, Forward], config: PredictConfig) -> None:
        self.forward = forwards["single_instance"]

    def detect(self, frames: NDArray[np.uint8]) -> tuple[Any, Any]:
        """Return points (B, 1, K, 2) in px of the frame and confidences (B, 1, K)."""
        return self.forward.points(frames)


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
        self._detector = PIPELINES.get(run.pipeline).load_detector()(self.forwards, config)

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
        should_stop: Callable[[], StopRequest] = never_stop,
    ) -> tuple[Poses, int]:
        """Predict ascending frames; return the poses and how many frames are done.

        Reading goes on while the device works. `on_progress` receives the number of
        frames done and the rate in frames a second; `should_stop` is asked between
        batches: `StopRequest.STOP_EARLY` returns what is done.

        Raises
        ------
        CancelledError
            If asked to cancel.
        """
        parts = [Poses.empty(self.skeleton)]
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
            points, scores = (np.asarray(part) for part in self._detector.detect(batch))
            threshold = self.config.peak_threshold
            parts.append(
                poses_from_points(self.skeleton, video_number, numbers, points, scores, threshold)
            )
            done += len(numbers)
            on_progress(done, done / (time.monotonic() - began))
        return Poses.concat(parts), done


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
        network = build_network(model, head.n_outputs, precision)
        network.set_weights(folder.read_weights(name, [w.shape for w in network.weights]))
        networks[name] = network
    return Predictor(run, skeleton, networks, config)
