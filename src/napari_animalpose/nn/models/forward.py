"""The compiled way of one network: frames in, points or maps out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.config import ModelConfig
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.geometry import (
    crop_corner,
    pad_to_multiple,
    scale_points,
    uncrop_points,
    unscale_points,
)
from napari_animalpose.nn.heads import Head
from napari_animalpose.nn.inspection import Grid
from napari_animalpose.nn.models.device import cut_windows, pad_to, shrink_frames

__all__ = ["Forward", "crop_side", "to_frame"]


def crop_side(config: ModelConfig) -> int:
    """Return `ModelConfig.crop_px` rounded up to what the backbone can take, in px."""
    side = (config.crop_px, config.crop_px)
    return pad_to_multiple(side, backbone_options(config).max_stride)[0]


def to_frame(
    points: NDArray[np.float32], input_scale: float, height: int, width: int
) -> NDArray[np.float32]:
    """Move points (..., 2) from px of the network input to px of the frame, into it."""
    points = unscale_points(points, input_scale)
    # A peak in the padding belongs to the last pixel of the frame, not beyond it.
    return np.clip(points, -0.5, np.array([width, height]) - 0.5).astype(np.float32)


def _compile_for_frames(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Compile a function of frames (B, H, W, C): one graph for gray frames, one for colour.

    A single graph for any C, which TensorFlow makes when it has seen two, could not tell
    them apart.
    """

    def run(frames: Any, channels: int) -> Any:
        return function(tf.ensure_shape(frames, (None, None, None, channels)))

    graph = tf.function(run, autograph=False, reduce_retracing=True)

    def call(frames: Any) -> Any:
        tensor = tf.convert_to_tensor(frames)
        return graph(tensor, tensor.shape[-1])

    return call


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
        self._prepare = _compile_for_frames(self._to_input_frames)
        self._from_frames = _compile_for_frames(self._frames_to_points)
        self._from_inputs = tf.function(
            self._inputs_to_points, autograph=False, input_signature=[own_frames]
        )
        self._check = tf.function(
            self._inputs_to_checks,
            autograph=False,
            input_signature=[own_frames, tf.TensorSpec((None, None, None, 2), tf.float32)],
        )
        self._maps = tf.function(self._run, autograph=False, input_signature=[own_frames])
        self._window_signature = [
            own_frames, tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None, 2), tf.float32),
        ]  # fmt: skip
        self._from_windows = tf.function(
            self._windows_to_points, autograph=False, input_signature=self._window_signature
        )

    # ------------------------------------------------------------------ on the device
    def _to_input_frames(self, frames: Any) -> Any:
        """uint8 (B, H, W, C) of the video -> uint8 (B, h, w, channels) at the input scale."""
        return shrink_frames(frames, self.config.channels, self.config.input_scale)

    def _run(self, inputs: Any) -> Any:
        x = pad_to(tf.cast(inputs, tf.float32) / 255.0, self.max_stride)
        return self.network(x, training=False)

    def _inputs_to_points(self, inputs: Any) -> tuple[Any, Any]:
        """Return points in px of the full frame (B, I, K, 2) and confidences (B, I, K)."""
        points, scores = self.head.decode(self._run(inputs), self.refinement)
        return self._to_frame(points, inputs), scores

    def _inputs_to_checks(self, inputs: Any, xy: Any) -> tuple[Any, Any]:
        outputs = self._run(inputs)
        points, _ = self.head.decode(outputs, self.refinement)
        return self._to_frame(points, inputs), self.head.identify(outputs, xy)

    def _to_frame(self, points: Any, inputs: Any) -> Any:
        """Move points (..., 2) from px of the inputs to px of the full frame, into it."""
        size = tf.shape(inputs)
        # A peak in the padding belongs to the last pixel of the frame, not beyond it.
        corner = tf.cast(tf.stack([size[2], size[1]]), tf.float32) - 0.5
        return unscale_points(tf.clip_by_value(points, -0.5, corner), self.config.input_scale)

    def _windows_to_points(self, inputs: Any, numbers: Any, centres: Any) -> tuple[Any, Any, Any]:
        """Cut windows out of prepared frames and return what is in them, in px of the frame."""
        outputs, corners = self._run_windows(inputs, numbers, centres)
        points, scores = self.head.decode(outputs, self.refinement)
        likely = self.head.identify(outputs, points)  # (N, 1, C)
        return self._leave_windows(points, corners, inputs)[:, 0], scores[:, 0], likely[:, 0]

    def _run_windows(self, inputs: Any, numbers: Any, centres: Any) -> tuple[Any, Any]:
        """Return the maps of windows, and their corners (N, 2) in px of the network input."""
        side = crop_side(self.config)
        centres = scale_points(centres, self.config.input_scale)
        corners = crop_corner(centres, (side, side))
        return self._run(cut_windows(inputs, numbers, corners, side)), corners

    def _leave_windows(self, points: Any, corners: Any, inputs: Any) -> Any:
        """Move points (N, ..., ..., 2) from windows to px of the full frame."""
        return self._to_frame(uncrop_points(points, corners[:, None, None]), inputs)

    def _frames_to_points(self, frames: Any) -> tuple[Any, Any]:
        points, scores = self._inputs_to_points(self._to_input_frames(frames))
        # The inputs may stand for up to 1 / input_scale px more than there are in the frame.
        size = tf.cast(tf.shape(frames), tf.float32)
        return tf.minimum(points, tf.stack([size[2], size[1]]) - 0.5), scores

    # -------------------------------------------------------------------- from numpy
    def prepare(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return frames (B, H, W, C) as the network sees them: uint8 (B, h, w, channels)."""
        return np.asarray(self.inputs(frames))

    def inputs(self, frames: Any) -> Any:
        """The same as a tensor, left on the device; frames may be on it already."""
        return self._prepare(frames)

    def points(self, frames: NDArray[np.uint8]) -> tuple[Any, Any]:
        """Start on frames (B, H, W, C) of the video: points (B, I, K, 2), confidences (B, I, K).

        Points are (x, y) in px of the frame. The result is a pair of tensors, so that
        the caller can go on while the device works.
        """
        result: tuple[Any, Any] = self._from_frames(frames)
        return result

    def points_of_inputs(self, inputs: NDArray[np.uint8]) -> tuple[Any, Any]:
        """The same for frames that `prepare` has been applied to."""
        result: tuple[Any, Any] = self._from_inputs(tf.constant(inputs))
        return result

    def check_inputs(
        self, inputs: NDArray[np.uint8], xy: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what is found, and which animals those are that are known to be there.

        Parameters
        ----------
        inputs : uint8 array, shape (B, h, w, channels)
            Frames that `prepare` has been applied to.
        xy : array of float, shape (B, J, K, 2)
            The true points in px of the inputs; NaN = missing.

        Returns
        -------
        points : float32 array, shape (B, I, K, 2)
            As of `points_of_inputs`.
        probabilities : float32 array, shape (B, J, C)
            Of each identity for the animals at `xy`; C is 0 for a head without classes.
        """
        found = self._check(tf.constant(inputs), tf.constant(xy, tf.float32))
        points, probabilities = (np.asarray(part, np.float32) for part in found)
        return points, probabilities

    def points_in_windows(
        self, inputs: Any, numbers: NDArray[np.int32], centres: NDArray[np.float32]
    ) -> tuple[Any, Any, Any]:
        """Start on windows of `crop_side` px, for a network that looks at one animal each.

        Parameters
        ----------
        inputs : uint8 array or tensor, shape (B, h, w, channels)
            Frames that `prepare` has been applied to.
        numbers : int32 array, shape (N,)
            Which of the frames each window is cut out of.
        centres : float32 array, shape (N, 2)
            (x, y) of the middle of each window in px of the full frame, fractions welcome.

        Returns
        -------
        points : tensor, shape (N, K, 2)
            (x, y) in px of the full frame.
        confidences : tensor, shape (N, K)
        probabilities : tensor, shape (N, C)
            Of each identity; C is 0 for a head without classes.
        """
        result: tuple[Any, Any, Any] = self._from_windows(
            tf.convert_to_tensor(inputs), tf.constant(numbers), tf.constant(centres)
        )
        return result

    def compile(self, read_maps: Callable[[dict[str, Any]], Any]) -> Callable[[Any], Any]:
        """Return the graph from frames (B, H, W, C) of the video to `read_maps` of its maps.

        Parameters
        ----------
        read_maps : callable
            Receives the output maps by name, each float32 (B, h, w, channels), inside
            the graph, and returns tensors.
        """

        def ask(frames: Any) -> Any:
            return read_maps(self._run(self._to_input_frames(frames)))

        return _compile_for_frames(ask)

    def compile_windows(
        self, read_maps: Callable[[dict[str, Any]], tuple[Any, ...]]
    ) -> Callable[[Any, Any, Any], tuple[Any, ...]]:
        """Return the graph from prepared frames and windows to all that is seen in them.

        Parameters
        ----------
        read_maps : callable
            From the maps of N windows, inside the graph, to tensors, of which the first are
            points (N, K, P, 2) in px of the window.

        Returns
        -------
        callable
            Takes what `points_in_windows` takes; gives what that gives, the corners
            (N, 2) of the windows in px of the network input, and what `read_maps` returns
            with the points in px of the frame.
        """

        def ask(inputs: Any, numbers: Any, centres: Any) -> tuple[Any, ...]:
            outputs, corners = self._run_windows(inputs, numbers, centres)
            points, scores = self.head.decode(outputs, self.refinement)
            likely = self.head.identify(outputs, points)
            points = self._leave_windows(points, corners, inputs)[:, 0]
            peaks, *rest = read_maps(outputs)
            peaks = self._leave_windows(peaks, corners, inputs)
            return points, scores[:, 0], likely[:, 0], corners, peaks, *rest

        return tf.function(ask, autograph=False, input_signature=self._window_signature)

    def map_stride(self, name: str) -> int:
        """Return the input px between two cells of a map."""
        return self.config.output_stride

    def grid(self, stride: int, corner: Any = (0.0, 0.0)) -> Grid:
        """Return where cells lie in the full frame.

        Parameters
        ----------
        stride : int
            Input px between two cells.
        corner : pair of float
            (x, y) of the first cell in px of the network input.
        """
        scale = self.config.input_scale
        x, y = unscale_points(np.asarray(corner, np.float64), scale)
        return Grid(stride / scale, float(x), float(y))

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
