"""The compiled way of one network: frames in, points or maps out."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.config import ModelConfig
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.geometry import unscale_points
from napari_animalpose.nn.heads import Head
from napari_animalpose.nn.models.device import pad_to, resize_frames, to_channels

__all__ = ["Forward"]


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
