"""What a training would look at, before it is started: windows, crops, receptive fields.

Free of keras, so that a window can show it while a person turns the knobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.project import Project
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.nn.anchors import anchor_index, locate_anchors
from napari_animalpose.nn.augment import (
    sample_affine,
    sample_cutout,
    sample_intensity,
    warp_image,
)
from napari_animalpose.nn.backbones import backbone_options, model_receptive_field
from napari_animalpose.nn.dataset import Example, frame_centre
from napari_animalpose.nn.device_in_numpy import adjust_intensity, cut_out, shrink_frame
from napari_animalpose.nn.geometry import (
    invert,
    pad_to_multiple,
    scale_points,
    transform_points,
    unscale_points,
)
from napari_animalpose.nn.heads import CENTRED_HEADS
from napari_animalpose.nn.windows import choose_jitter, examples_around_animals
from napari_animalpose.pipeline.selection import training_labels

__all__ = [
    "AugmentationPreview",
    "AugmentedWindow",
    "NetworkGeometry",
    "Rectangle",
    "describe_geometry",
    "preview_augmentation",
]


class Rectangle(NamedTuple):
    """Edges in px of the full frame; pixel i reaches from i - 0.5 to i + 0.5."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class NetworkGeometry:
    """How much of a frame a network looks at; all lengths in px of the full frame.

    Parameters
    ----------
    network : str
        Name in `nn.heads.HEADS`.
    input_scale : float
        Px of the network input for a px of the frame.
    receptive_field_px : float
        Side of the square that one cell of a map can see.
    window_px : float
        Side of the squares that training looks at; 0 for whole frames.
    crop_px : float
        Side of the squares that prediction looks at; 0 for whole frames.
    stride_px : float
        Between two cells of a map.
    max_stride_px : float
        Between two cells of the deepest layer.
    sigma_px : float
        Standard deviation of the peaks that the network learns to draw.
    anchor : int or None
        Node that squares are centred on; None for the middle of the animal's box.
    """

    network: str
    input_scale: float
    receptive_field_px: float
    window_px: float
    crop_px: float
    stride_px: float
    max_stride_px: float
    sigma_px: float
    anchor: int | None

    def around(self, xy: ArrayLike, side_px: float) -> Rectangle:
        """Return a square of one of these sides around an animal.

        Parameters
        ----------
        xy : array_like of float, shape (K, 2)
            Its points in px of the frame; NaN = missing.
        side_px : float

        Raises
        ------
        DataError
            If the animal has no point.
        """
        x, y = locate_anchors(np.asarray(xy, np.float64), self.anchor).tolist()
        if not np.isfinite(x):
            raise DataError("Expected an animal with at least one point; received none.")
        half = side_px / 2
        return Rectangle(x - half, y - half, x + half, y + half)


def describe_geometry(config: RunConfig, network: str, project: Project) -> NetworkGeometry:
    """Return what to draw on an image for one network of a configuration.

    Raises
    ------
    ConfigError
        If there is no such network, or its options do not exist.
    DataError
        If the skeleton of the project lacks the anchor.
    """
    model = _model(config, network)
    scale, options = model.input_scale, backbone_options(model)
    window = _window_side(config, model, network)
    return NetworkGeometry(
        network=network,
        input_scale=scale,
        receptive_field_px=model_receptive_field(model) / scale,
        window_px=window / scale,
        crop_px=window / scale if network in CENTRED_HEADS else 0.0,
        stride_px=model.output_stride / scale,
        max_stride_px=options.max_stride / scale,
        sigma_px=model.sigma_px / scale,
        anchor=anchor_index(model, project.skeleton),
    )


# ------------------------------------------------------------------------ augmentation
@dataclass(frozen=True, eq=False)
class AugmentedWindow:
    """One training window as the network sees it.

    Parameters
    ----------
    image : uint8 array, shape (h, w, C)
    xy : float32 array, shape (I, K, 2)
        (x, y) of the labelled points in px of the window, also those outside; NaN =
        missing. Mirrored animals have their symmetric points exchanged.
    outline : float32 array, shape (4, 2)
        Corners of the window in px of the full frame, in turn.
    """

    image: NDArray[np.uint8]
    xy: NDArray[np.float32]
    outline: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AugmentationPreview:
    """Several windows of one frame.

    Parameters
    ----------
    network : str
    video, frame : int
    windows : tuple of AugmentedWindow
    """

    network: str
    video: int
    frame: int
    windows: tuple[AugmentedWindow, ...]


def preview_augmentation(
    project: Project,
    config: RunConfig,
    network: str | None = None,
    *,
    frame: tuple[int, int] | None = None,
    count: int = 8,
    seed: int = 0,
) -> AugmentationPreview:
    """Return training windows of one labelled frame, changed at random as training does.

    Windows around animals are shown; the share of them that training puts anywhere in the
    frame (`TrainConfig.background_fraction`) is not.

    Parameters
    ----------
    project : Project
    config : RunConfig
    network : str, optional
        Name of one of its networks; by default the last, which finds the points.
    frame : (int, int), optional
        (video, frame); by default one of the labelled frames, drawn at random.
    count : int
    seed : int
        Of all that is random.

    Raises
    ------
    ConfigError
        If there is no such network, or its options do not exist.
    DataError
        If the frame has no labels.
    VideoError
        If it cannot be read.
    """
    name = list(config.networks)[-1] if network is None else network
    model, rng = _model(config, name), np.random.default_rng(seed)
    labels = training_labels(project)
    video, number = rng.choice(labels.frame_keys()).tolist() if frame is None else frame
    rows = labels.at(video, number)
    if not len(rows):
        raise DataError(
            f"Expected a labelled frame; received frame {number} of video {video}, which has no "
            "labels. Label it first, or choose another."
        )
    image = shrink_frame(project.videos[video][number], model.channels, model.input_scale)
    xy = scale_points(rows.xy.astype(np.float64), model.input_scale)
    side = _window_side(config, model, name)
    size = pad_to_multiple(
        (side, side) if side else image.shape[:2], backbone_options(model).max_stride
    )
    centred = name in CENTRED_HEADS
    if centred:
        examples = _centre_animals(xy, anchor_index(model, project.skeleton))
    elif side:
        examples = examples_around_animals(0, xy, frame_centre(image.shape))
    else:
        examples = [Example(0, frame_centre(image.shape), xy)]
    chosen = [examples[i] for i in rng.integers(len(examples), size=count).tolist()]
    jitter = choose_jitter(_learned_side(config, model), centred=centred)
    windows = _draw_windows(image, chosen, config, project, size, jitter, rng)
    scaled = [
        AugmentedWindow(w.image, w.xy, unscale_points(w.outline, model.input_scale))
        for w in windows
    ]
    return AugmentationPreview(name, video, number, tuple(scaled))


def _draw_windows(
    image: NDArray[np.uint8],
    examples: list[Example],
    config: RunConfig,
    project: Project,
    size: tuple[int, int],
    jitter_px: float,
    rng: np.random.Generator,
) -> list[AugmentedWindow]:
    """Change windows (height, width) of an image at random; outlines in px of the image."""
    count, (height, width) = len(examples), size
    centre = np.array([example.centre for example in examples], np.float64).reshape(-1, 2)
    centre += rng.uniform(-1, 1, (count, 2)) * jitter_px
    matrices, mirrored = sample_affine(rng, config.augment, centre, size)
    intensity = sample_intensity(rng, config.augment, count)
    boxes = sample_cutout(rng, config.augment, count, size)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64) - 0.5
    windows = []
    for i, example in enumerate(examples):
        # Training warps whole numbers: warped values are cut to them before anything else.
        seen = np.floor(warp_image(image, matrices[i], size)) / np.float32(255)
        changed = cut_out(adjust_intensity(seen, intensity[i], rng), boxes[i])
        points = transform_points(matrices[i], example.xy)
        if mirrored[i]:
            points = points[:, project.skeleton.flip_order]
        outline = transform_points(invert(matrices[i]), corners)
        windows.append(
            AugmentedWindow(
                np.rint(255 * changed).astype(np.uint8), points.astype(np.float32),
                outline.astype(np.float32),
            )
        )  # fmt: skip
    return windows


# ---------------------------------------------------------------------------- internals
def _model(config: RunConfig, network: str) -> ModelConfig:
    if network not in config.networks:
        raise ConfigError(
            f"Expected one of the networks {', '.join(config.networks)}; received {network!r}."
        )
    return config.networks[network]


def _learned_side(config: RunConfig, model: ModelConfig) -> int:
    """Return the side of training windows in px of the network input, before rounding up."""
    return model.crop_px or config.train.window_px


def _window_side(config: RunConfig, model: ModelConfig, network: str) -> int:
    """Return it as a multiple of what the backbone can take; 0 for whole frames."""
    side = _learned_side(config, model)
    return pad_to_multiple((side, side), backbone_options(model).max_stride)[0]


def _centre_animals(xy: NDArray[np.float64], anchor: int | None) -> list[Example]:
    """Return one example for each animal of (I, K, 2) that has any point, alone."""
    places = locate_anchors(xy, anchor)
    return [
        Example(0, (float(places[i, 0]), float(places[i, 1])), xy[i : i + 1])
        for i in np.flatnonzero(np.isfinite(places[:, 0]))
    ]
