"""Scale, depth, strides and windows of one network, each with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_animalpose.config import ModelConfig, TrainConfig
from napari_animalpose.nn.autoconfig.measures import LabelMeasures
from napari_animalpose.nn.backbones import UNetOptions, backbone_options, model_receptive_field

__all__ = [
    "PRESETS",
    "SMALLEST_ANIMAL_PX",
    "Preset",
    "choose_centroid_model",
    "choose_crop_model",
    "choose_model",
    "choose_training",
    "round_up",
]

SCALES = (1.0, 0.75, 0.5, 1 / 3, 0.25, 1 / 6, 0.125)
SMALLEST_ANIMAL_PX = 60  # of network input: below, the points of an animal run together
COARSE_FROM_PX = 150  # of network input: from here an output stride of 4 loses nothing
SIGMA_CELLS = 1.5  # of the confidence map: wide enough for the sub-pixel fit
WINDOW_ANIMALS = 1.15  # side of a training window in lengths of a large animal
CENTROID_ANIMAL_PX = 32  # length of an animal that is only to be found
CENTROID_CONTEXT = 2.0  # receptive field of the network that finds it, in its lengths
CENTROID_WINDOW = 4.0  # side of a training window of that network, in lengths
WHOLE_FROM = 0.6  # share of the frame from which windows gain nothing over whole frames
CROP_BUDGET = 0.18  # px of a crop over those of a whole frame that a preset can afford
COARSE_CROP_PX = 250  # of network input: from here an output stride of 4 loses nothing


@dataclass(frozen=True)
class Preset:
    """How much a network may cost."""

    input_pixels: float  # px of network input a frame that training can afford
    joined_animal_px: float  # length in network input of animals whose points are to be joined
    filters: int
    summary: str


PRESETS: dict[str, Preset] = {
    "fast": Preset(110e3, 60, 16, "small input and network: minutes on a CPU"),
    "balanced": Preset(220e3, 72, 16, "the default"),
    "accurate": Preset(900e3, 150, 24, "large input and network: for a GPU or patience"),
}


def choose_model(
    m: LabelMeasures, preset: Preset, reasons: list[str], most_px: float = math.inf
) -> ModelConfig:
    """Give a network that looks at whole frames its scale, strides and depth.

    `most_px` is the length of an animal in its input from which steps count for more than
    detail: half the scale is four times as many steps in the same time.
    """
    scale = _choose_scale(m, preset, reasons, most_px)
    size = m.large_size_px * scale
    stride = 4 if size >= COARSE_FROM_PX else 2
    sigma = SIGMA_CELLS * stride
    reasons.append(
        f"Output stride {stride} with sigma {sigma:g} px (of the network input): fine enough "
        "that the sub-pixel fit, and not the map, limits the precision."
    )
    options = UNetOptions(filters=preset.filters, stem_stride=2 if size >= COARSE_FROM_PX else 1)
    for depth in range(2, 7):
        options = options.replace(down_blocks=depth)
        model = ModelConfig(
            backbone="unet",
            backbone_options=options.to_dict(),
            channels=m.channels,
            input_scale=scale,
            output_stride=stride,
            sigma_px=sigma,
        )
        field = model_receptive_field(model)
        if field >= size:
            break
    reasons.append(
        f"U-Net with {options.down_blocks} halvings"
        + (f" after a stem of stride {options.stem_stride}" if options.stem_stride > 1 else "")
        + f" and {options.filters} filters: it sees {field / scale:.0f} px of the frame around "
        f"each place, enough for the whole animal (95 % are shorter than {m.large_size_px:.0f} px)."
    )
    return model


def choose_training(
    m: LabelMeasures, model: ModelConfig, reasons: list[str], animals: float = WINDOW_ANIMALS
) -> TrainConfig:
    """Windows of so many animals' length where these are much smaller than the frame."""
    multiple = backbone_options(model).max_stride
    side = math.ceil(animals * m.large_size_px * model.input_scale / multiple) * multiple
    frame = m.frame_height * m.frame_width * model.input_scale**2
    if side * side > 0.6 * frame:
        reasons.append("Training on whole frames: the animal fills much of them.")
        return TrainConfig(batch_size=4)
    reasons.append(
        f"Training on windows of {side / model.input_scale:.0f} px around the animal, which is "
        f"{frame / side**2:.0f} times faster than on whole frames; prediction looks at whole ones."
    )
    return TrainConfig(batch_size=8, window_px=side)


def _choose_scale(m: LabelMeasures, preset: Preset, reasons: list[str], most_px: float) -> float:
    """Largest of the simple scales that the budget allows and the animal does not need less of."""
    pixels = m.frame_height * m.frame_width
    affordable = min(math.sqrt(preset.input_pixels / pixels), most_px / m.size_px)
    needed = SMALLEST_ANIMAL_PX / m.size_px
    wanted = min(1.0, max(affordable, needed))
    scale = min(SCALES, key=lambda s: abs(math.log(s / wanted)))
    if scale == 1:
        reasons.append("Input scale 1: the frame is small enough to be used as it is.")
    elif needed > affordable:
        reasons.append(
            f"Input scale {scale:.3g}: smaller, and the animal would be less than "
            f"{SMALLEST_ANIMAL_PX} px long; training will take its time."
        )
    else:
        reasons.append(
            f"Input scale {scale:.3g}: the animal is still {m.size_px * scale:.0f} px long, and "
            f"training is {1 / scale**2:.0f} times faster."
        )
    return scale


def choose_centroid_model(m: LabelMeasures, preset: Preset, reasons: list[str]) -> ModelConfig:
    """Find animals in frames so small that this costs little and they are still animals."""
    scale = _nearest_scale(CENTROID_ANIMAL_PX / m.size_px)
    size = m.large_size_px * scale
    model = _deepen_unet(
        UNetOptions(filters=preset.filters),
        ModelConfig(channels=m.channels, input_scale=scale, sigma_px=2 * SIGMA_CELLS),
        CENTROID_CONTEXT * size,
    )
    frame = m.frame_height * m.frame_width * scale**2
    side = round_up(CENTROID_WINDOW * size, model)
    if side * side > WHOLE_FROM * frame:
        side = 0
    field = model_receptive_field(model) / scale
    shown = f"windows of {side / scale:.0f} px of the frame" if side else "whole frames"
    reasons.append(
        f"Centroid network at input scale {scale:.3g}: an animal {m.size_px * scale:.0f} px long "
        f"is enough to see where it is; it looks at {field:.0f} px of the frame around each "
        f"place and learns from {shown}."
    )
    return model.replace(crop_px=side)


def choose_crop_model(m: LabelMeasures, preset: Preset, reasons: list[str]) -> ModelConfig:
    """Look at each animal as closely as the preset can afford."""
    length = WINDOW_ANIMALS * m.large_size_px
    affordable = math.sqrt(CROP_BUDGET * preset.input_pixels)
    scale = next((s for s in SCALES if s * length <= affordable), SCALES[-1])
    stride = 4 if length * scale >= COARSE_CROP_PX else 2
    model = _deepen_unet(
        UNetOptions(filters=preset.filters),
        ModelConfig(
            channels=m.channels, input_scale=scale, output_stride=stride,
            sigma_px=SIGMA_CELLS * stride,
        ),
        length * scale,
    )  # fmt: skip
    side = round_up(length * scale, model)
    reasons.append(
        f"Centred network on crops of {side / scale:.0f} px of the frame at input scale "
        f"{scale:.3g}: 95 % of the animals are shorter than {m.large_size_px:.0f} px, and the "
        "margin covers what the centroid may be off."
    )
    reasons.append(
        f"Output stride {stride} with sigma {model.sigma_px:g} px and a U-Net with "
        f"{backbone_options(model).down_blocks} halvings: each place of the crop sees "
        f"{model_receptive_field(model) / scale:.0f} px of the frame, so all of the animal."
    )
    return model.replace(crop_px=side)


def _nearest_scale(wanted: float) -> float:
    return min(SCALES, key=lambda scale: abs(math.log(scale / min(1.0, wanted))))


def _deepen_unet(options: UNetOptions, model: ModelConfig, reach_px: float) -> ModelConfig:
    """Give a model the shallowest U-Net whose receptive field is `reach_px` of its input."""
    for depth in range(2, 7):
        options = options.replace(down_blocks=depth)
        model = model.replace(backbone="unet", backbone_options=options.to_dict())
        if model_receptive_field(model) >= reach_px:
            break
    return model


def round_up(side_px: float, model: ModelConfig) -> int:
    """Return a side in px rounded up to a multiple that the backbone can take."""
    multiple: int = backbone_options(model).max_stride
    return math.ceil(side_px / multiple) * multiple
