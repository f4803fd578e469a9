"""Reading labelled frames as one network will see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.video import Video
from napari_animalpose.errors import CancelledError
from napari_animalpose.jobs import Event, Progress, StopRequest
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.dataset import Example, FrameStore, frame_centre
from napari_animalpose.nn.geometry import pad_to_multiple, scale_points
from napari_animalpose.nn.models.device import resize_frames, to_channels

__all__ = ["TrainingData", "prepare", "shrink_frame"]

JITTER = 0.15  # of the window: how far from its middle an animal may be


@dataclass
class TrainingData:
    """What one network learns from.

    Parameters
    ----------
    store : FrameStore
        Frames as the network sees them.
    train, validation : sequences of Example
        Validation examples are whole frames; there may be none.
    window : (int, int)
        (height, width) in px of a training window.
    animal_size_px : float
        Median diagonal of the animals' bounding boxes in px of the full frame: an error
        is counted as at most a fifth of it, so that one lost point does not hide what
        the others do.
    """

    store: FrameStore
    train: Sequence[Example]
    validation: Sequence[Example]
    window: tuple[int, int]
    animal_size_px: float
    jitter_px: float = 0.0


def shrink_frame(frame: NDArray[np.uint8], model: ModelConfig) -> NDArray[np.uint8]:
    """Return a frame (H, W, C) at the input scale and with the channels of a network."""
    x = to_channels(tf.constant(frame[None]), model.channels)
    if model.input_scale < 1:
        x = tf.cast(tf.round(resize_frames(x, model.input_scale)), tf.uint8)
    return np.asarray(x[0])


def prepare(
    videos: Sequence[Video],
    labels: Poses,
    split: Mapping[str, Sequence[tuple[int, int]]],
    config: RunConfig,
    name: str,
    animal_size_px: float,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], StopRequest],
) -> TrainingData:
    """Read the training and validation frames of one network.

    Parameters
    ----------
    videos : sequence of Video
    labels : Poses
        Labelled instances.
    split : mapping
        (video, frame) pairs under ``train`` and ``validation``.
    config : RunConfig
    name : str
        Of the network.
    animal_size_px : float
        Passed on.
    on_event, should_stop : callable

    Raises
    ------
    CancelledError
        If asked to cancel.
    VideoError
        If a labelled frame cannot be read.
    """
    model = config.networks[name]
    store = FrameStore(round(config.train.cache_gb * 2**30))
    parts: dict[str, list[Example]] = {"train": [], "validation": []}
    total = sum(len(split.get(part, ())) for part in parts)
    whole = not config.train.window_px
    # In the order of the videos: reading forward is a hundred times faster than seeking.
    order = sorted((key, part) for part in parts for key in split.get(part, ()))
    for done, ((video, frame), part) in enumerate(order):
        if should_stop() is StopRequest.CANCEL:
            raise CancelledError("Training was cancelled; nothing was kept.")
        image = shrink_frame(videos[video][frame], model)
        xy = scale_points(labels.at(video, frame).xy.astype(np.float64), model.input_scale)
        centre = frame_centre(image.shape) if whole else box_centre(xy)
        parts[part].append(Example(store.append(image), centre, xy))
        on_event(Progress("read frames", done + 1, total))
    largest: Any = np.array([store.shape(i)[:2] for i in range(len(store))]).max(axis=0)
    side = config.train.window_px
    size = largest.tolist() if whole else (side, side)
    window = pad_to_multiple(size, backbone_options(model).max_stride)
    jitter = 0.0 if whole else JITTER * side
    return TrainingData(store, parts["train"], parts["validation"], window, animal_size_px, jitter)


def box_centre(xy: NDArray[np.float64]) -> tuple[float, float]:
    """Return the middle (x, y) of the box around all points of (I, K, 2)."""
    points = xy.reshape(-1, 2)
    middle = (np.nanmin(points, axis=0) + np.nanmax(points, axis=0)) / 2
    return float(middle[0]), float(middle[1])
