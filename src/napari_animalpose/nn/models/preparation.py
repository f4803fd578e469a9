"""Reading labelled frames as one network will see them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.video import Video
from napari_animalpose.errors import CancelledError
from napari_animalpose.jobs import Event, Progress, StopRequest
from napari_animalpose.nn.anchors import anchor_index, locate_anchors
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.dataset import Example, FrameStore, frame_centre
from napari_animalpose.nn.geometry import crop_corner, crop_points, pad_to_multiple, scale_points
from napari_animalpose.nn.heads import CENTRED_HEADS, HEADS, LANDMARKS
from napari_animalpose.nn.identity import class_numbers
from napari_animalpose.nn.models.device import cut_windows, shrink_frames
from napari_animalpose.nn.models.forward import crop_side
from napari_animalpose.nn.windows import choose_jitter, examples_around_animals

__all__ = ["TrainingData", "prepare", "repeat_empty", "shrink_frame"]


@dataclass
class TrainingData:
    """What one network learns from.

    Parameters
    ----------
    store : FrameStore
        Frames as the network sees them.
    train, validation : sequences of Example
        A training example is a whole frame or, with windows, one animal of a frame; a
        frame without animals is an example (with windows several, see `repeat_empty`)
        whose window lies anywhere in it.
        Validation examples, if there are any, are the inputs of prediction and what is to
        be found in them: whole frames, or windows for a network of `CENTRED_HEADS`.
    window : (int, int)
        (height, width) in px of a training window.
    animal_size_px : float
        Median diagonal of the animals' bounding boxes in px of the full frame: an error
        is counted as at most a fifth of it, so that one lost point does not hide what
        the others do.
    jitter_px : float
        How far the middle of a window may move, in px of the kept frames.
    background_fraction : float
        Share of the windows that lie anywhere in a frame.
    """

    store: FrameStore
    train: Sequence[Example]
    validation: Sequence[Example]
    window: tuple[int, int]
    animal_size_px: float
    jitter_px: float = 0.0
    background_fraction: float = 0.0


def shrink_frame(frame: NDArray[np.uint8], model: ModelConfig) -> NDArray[np.uint8]:
    """Return a frame (H, W, C) at the input scale and with the channels of a network."""
    return np.asarray(shrink_frames(tf.constant(frame[None]), model.channels, model.input_scale)[0])


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
        (video, frame) pairs under ``train`` and ``validation``. Frames without labels are
        empty: a network that finds animals learns that none is there; one of
        `CENTRED_HEADS`, which is only shown animals, does without them.
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
    side = model.crop_px or config.train.window_px
    centred = name in CENTRED_HEADS
    arrange = _Arrangement(store, name, model, labels.skeleton, whole=not side)
    # In the order of the videos: reading forward is a hundred times faster than seeking.
    order = sorted((key, part) for part in parts for key in split.get(part, ()))
    for done, ((video, frame), part) in enumerate(order):
        if should_stop() is StopRequest.CANCEL:
            raise CancelledError("Training was cancelled; nothing was kept.")
        rows = labels.at(video, frame)
        if len(rows) or not centred:
            image = shrink_frame(videos[video][frame], model)
            xy = scale_points(rows.xy.astype(np.float64), model.input_scale)
            arrange_part = arrange.check if part == "validation" else arrange.learn
            examples = arrange_part(image, xy, class_numbers(rows, model.classes))
            parts[part] += [replace(example, source=(video, frame)) for example in examples]
        on_event(Progress("read frames", done + 1, total))
    largest: Any = np.array([store.shape(i)[:2] for i in range(len(store))]).max(axis=0)
    size = (side, side) if side else largest.tolist()
    return TrainingData(
        store,
        repeat_empty(parts["train"], store, size),
        parts["validation"],
        pad_to_multiple(size, backbone_options(model).max_stride),
        animal_size_px,
        jitter_px=choose_jitter(side, centred=centred),
        background_fraction=config.train.background_fraction if side and not centred else 0.0,
    )


class _Arrangement:
    """Makes examples for one network of frames (H, W, C), points (I, K, 2) and classes (I,).

    Points are in px of the frames; a class is the number of an identity, -1 = not known.

    Parameters
    ----------
    store : FrameStore
        Keeps the frames.
    name : str
        Of the head.
    model : ModelConfig
    skeleton : Skeleton
    whole : bool
        Learn from whole frames instead of windows.
    """

    def __init__(
        self, store: FrameStore, name: str, model: ModelConfig, skeleton: Skeleton, *, whole: bool
    ) -> None:
        HEADS.get(name)(model, skeleton)  # refuses what does not go together
        self.store = store
        self.model = model
        self.anchor = anchor_index(model, skeleton)
        self.whole = whole
        self.centred = name in CENTRED_HEADS
        self.finds_anchors = name in LANDMARKS

    def learn(
        self, image: NDArray[np.uint8], xy: NDArray[np.float64], classes: NDArray[np.int32]
    ) -> list[Example]:
        """Return the training examples of a frame."""
        number, middle = self.store.append(image), frame_centre(image.shape)
        if self.centred:
            return [Example(number, *animal) for animal in self._animals(xy, classes)]
        if self.whole:
            return [Example(number, middle, xy, tuple(classes.tolist()))]
        return examples_around_animals(number, xy, middle, classes)

    def check(
        self, image: NDArray[np.uint8], xy: NDArray[np.float64], classes: NDArray[np.int32]
    ) -> list[Example]:
        """Return the validation examples of a frame; their points are what is to be found."""
        if self.centred:
            return [self._cut(image, *animal) for animal in self._animals(xy, classes)]
        if self.finds_anchors:
            xy = locate_anchors(xy, self.anchor)[:, None]  # (I, 1, 2)
        middle = frame_centre(image.shape)
        return [Example(self.store.append(image), middle, xy, tuple(classes.tolist()))]

    def _animals(
        self, xy: NDArray[np.float64], classes: NDArray[np.int32]
    ) -> list[tuple[tuple[float, float], NDArray[np.float64], tuple[int]]]:
        """Return place, points (1, K, 2) and class of every animal that has any points."""
        places = locate_anchors(xy, self.anchor)
        return [
            ((float(places[i, 0]), float(places[i, 1])), xy[i : i + 1], (int(classes[i]),))
            for i in np.flatnonzero(np.isfinite(places[:, 0]))
        ]

    def _cut(
        self,
        image: NDArray[np.uint8],
        place: tuple[float, float],
        xy: NDArray[np.float64],
        classes: tuple[int],
    ) -> Example:
        """Return a window around an animal as a frame of its own, as prediction sees it."""
        side = crop_side(self.model)
        corner = crop_corner(np.asarray(place), (side, side))
        windows = cut_windows(
            tf.constant(image[None]), tf.zeros(1, tf.int32), tf.constant(corner[None], tf.float32),
            side,
        )  # fmt: skip
        window = np.asarray(tf.cast(tf.round(windows[0]), tf.uint8))
        number = self.store.append(window)
        return Example(number, frame_centre(window.shape), crop_points(xy, corner), classes)


def repeat_empty(
    examples: Sequence[Example], store: FrameStore, window: Sequence[int]
) -> list[Example]:
    """Return examples with those of empty frames so often that windows cover the frames.

    A window shows a small part of a large frame, and what was marked as "no animal" may
    be anywhere in it. Together they become at most half as many as the others, each at
    least one: there is more to learn about animals.

    Parameters
    ----------
    examples : sequence of Example
    store : FrameStore
    window : (int, int)
        (height, width) in px.
    """
    empty = [example for example in examples if example.anywhere]
    rest = [example for example in examples if not example.anywhere]
    if not empty:
        return rest
    most = max(1, len(rest) // 2 // len(empty))
    area = window[0] * window[1]
    for example in empty:
        height, width = store.shape(example.frame)[:2]
        rest += [example] * min(most, math.ceil(height * width / area))
    return rest
