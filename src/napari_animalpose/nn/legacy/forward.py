"""Frames in, points out, for the networks of SLEAP: its way to prepare them, compiled."""

from __future__ import annotations

from typing import Any

from napari_animalpose.config import ModelConfig
from napari_animalpose.nn.geometry import crop_corner, uncrop_points
from napari_animalpose.nn.heads import Head
from napari_animalpose.nn.inspection import Grid
from napari_animalpose.nn.legacy.description import Description
from napari_animalpose.nn.legacy.frames import normalize, resize, to_sleap_channels
from napari_animalpose.nn.models.device import cut_windows, pad_to
from napari_animalpose.nn.models.forward import Forward, crop_side

__all__ = ["SleapForward"]


class SleapForward(Forward):
    """The compiled way from frames to points for one network of SLEAP.

    What other networks are shown at their input scale stays a frame here until just
    before the network, because SLEAP resizes gray levels that are not whole numbers.

    Parameters
    ----------
    network : keras.Model
        Of `network.build_sleap_network`.
    head : Head
        Of `heads.make_head`.
    config : ModelConfig
        With `input_scale` 1.
    refinement : {"gaussian", "integral", "none"}
    description : Description
    max_stride : int
        Of the network with all its outputs.
    """

    def __init__(
        self, network: Any, head: Head, config: ModelConfig, refinement: str,
        description: Description, max_stride: int,
    ) -> None:  # fmt: skip
        super().__init__(network, head, config, refinement)
        self.description = description
        self.scale = description.input_scale
        pad = description.pad_to_stride
        self.max_stride = pad if pad and pad % max_stride == 0 else max_stride

    def _to_input_frames(self, frames: Any) -> Any:
        """uint8 (B, H, W, C) -> uint8 (B, H, W, channels), not resized."""
        return to_sleap_channels(frames, self.config.channels)

    def _apply(self, images: Any) -> Any:
        """Run the network on images (B, h, w, channels) of 0..255 at its input scale."""
        x = normalize(images / 255.0, self.description.imagenet_mode)
        return self.network(pad_to(x, self.max_stride), training=False)

    def _run(self, inputs: Any) -> Any:
        return self._apply(resize(inputs, self.scale))

    def _run_windows(self, inputs: Any, numbers: Any, centres: Any) -> tuple[Any, Any]:
        side = crop_side(self.config)
        corners = crop_corner(centres * self.scale, (side, side))  # (N, 2)
        return self._apply(cut_windows(resize(inputs, self.scale), numbers, corners, side)), corners

    def _leave_windows(self, points: Any, corners: Any, inputs: Any) -> Any:
        # The head has given them in px of the frame, counted from the corner.
        return uncrop_points(points, corners[:, None, None] / self.scale)

    def map_stride(self, name: str) -> int:
        """Return the input px between two cells of a map."""
        strides = self.description.strides
        return strides.get(name, strides["confmaps"])

    def grid(self, stride: int, corner: Any = (0.0, 0.0)) -> Grid:
        """Return where cells lie in the full frame; cell i at ``i * stride / scale``."""
        x, y = corner
        return Grid(stride / self.scale, float(x) / self.scale, float(y) / self.scale)
