"""The whole configuration of a run, and the sentences that justify it."""

from __future__ import annotations

from dataclasses import dataclass

from napari_animalpose.config import AugmentConfig, RunConfig
from napari_animalpose.errors import ConfigError
from napari_animalpose.nn.autoconfig.measures import LabelMeasures
from napari_animalpose.nn.autoconfig.models import PRESETS
from napari_animalpose.nn.autoconfig.pipelines import CONFIGURATORS
from napari_animalpose.nn.backbones import model_receptive_field
from napari_animalpose.nn.heads import PIPELINES

__all__ = [
    "Choice",
    "choose_config",
]

SMALL_ANIMAL = 0.3  # of the shorter side of the frame
ALL_ROUND_DEG = 60.0  # circular standard deviation; seen from above it is larger
IDENTITY_SCALE = 0.97, 1.03  # magnifications where size tells animals apart
IDENTITY_CHANGE = 0.5  # of contrast, brightness and gamma, where tone may do so


@dataclass(frozen=True)
class Choice:
    """A configuration and why it was chosen.

    Parameters
    ----------
    config : RunConfig
    reasons : tuple of str
        One sentence for each decision, for biologists.
    receptive_field_px : float
        Side of the receptive field of the last network in px of the full frame.
    """

    config: RunConfig
    reasons: tuple[str, ...]
    receptive_field_px: float


def choose_config(
    measures: LabelMeasures, preset: str = "balanced", pipeline: str = "auto"
) -> Choice:
    """Choose pipeline, scale, depth, strides and augmentation for an animal.

    Parameters
    ----------
    measures : LabelMeasures
    preset : {"fast", "balanced", "accurate"}
        How much input and how many filters the network may have.
    pipeline : str
        A name in `nn.heads.PIPELINES`, or "auto".

    Raises
    ------
    ConfigError
        If the preset or the pipeline is unknown.
    """
    if preset not in PRESETS:
        raise ConfigError(f"Expected one of the presets {', '.join(PRESETS)}; received {preset!r}.")
    reasons = [_describe(measures), *_describe_peculiarities(measures)]
    if pipeline == "auto":
        pipeline = _choose_pipeline(measures, reasons)
    heads = PIPELINES.get(pipeline).heads
    networks, training = CONFIGURATORS[pipeline](measures, PRESETS[preset], reasons)
    last = networks[heads[-1]]
    augment = _choose_augmentation(measures, reasons)
    if PIPELINES.get(pipeline).identifies:
        augment = _spare_identities(augment, reasons)
    return Choice(
        RunConfig(
            pipeline=pipeline,
            networks=networks,
            augment=augment,
            train=training,
        ),
        tuple(reasons),
        model_receptive_field(last) / last.input_scale,
    )


def _describe(m: LabelMeasures) -> str:
    spacing = f" about {m.spacing_px:.0f} px from one to the next" if m.n_nodes > 1 else ""
    animals = "one animal" if m.animals_per_frame == 1 else f"up to {m.animals_per_frame} animals"
    up_to = f"{m.n_sizes} sizes up to " if m.n_sizes > 1 else ""
    return (
        f"{m.n_frames} labelled frames of {up_to}{m.frame_width} x {m.frame_height} px with "
        f"{animals} each; an animal is {m.size_px:.0f} px long ({m.share_of_frame:.0%} of the "
        f"shorter side) with {m.n_nodes} points{spacing}, of which {m.points_labelled:.0%} are "
        "labelled."
    )


def _describe_peculiarities(m: LabelMeasures) -> list[str]:
    """Say what is made of labels and frames that are not all alike."""
    said = []
    if m.n_empty_frames:
        said.append(
            f"{m.n_empty_frames} frames marked as empty are learned from as well: there the "
            "network is to find nothing."
        )
    if m.gray_and_colour:
        said.append(
            "Some frames are gray and some have colours: the network sees all of them in gray, "
            "so that an animal looks alike in both. To use the colours all the same: "
            "--set model.channels=3"
        )
    if m.points_occluded:
        said.append(
            f"{m.points_occluded:.0%} of the labelled points are marked as occluded. They are "
            "learned like the others, so the network will place what it cannot see."
        )
    return said


def _choose_pipeline(m: LabelMeasures, reasons: list[str]) -> str:
    if m.animals_per_frame == 1:
        reasons.append("Pipeline single: never more than one animal is labelled in a frame.")
        return "single"
    if m.share_of_frame < SMALL_ANIMAL:
        better = "topdown"
        why = "are small beside it, so each is found first and then looked at closely."
    elif not m.joinable:
        better = "topdown"
        why = (
            "fill much of it and may touch, for which bottomup would be better; but the skeleton "
            "has no edges along which points could be joined, or a point that two edges lead to, "
            "or a loop. So each animal is found first and then looked at closely."
        )
    else:
        better = "bottomup"
        why = "fill much of it and may touch, so all points are found at once and joined."
    reasons.append(f"Pipeline {better}: several animals in a frame that {why}")
    return better


def _choose_augmentation(m: LabelMeasures, reasons: list[str]) -> AugmentConfig:
    if m.orientation_spread_deg >= ALL_ROUND_DEG:
        reasons.append("Rotation by any angle: the animals lie in all directions.")
        return AugmentConfig(rotation_deg=180.0)
    if m.animals_per_frame > 1:
        reasons.append(
            "Rotation by any angle: animals that meet turn around each other sooner or later, "
            f"though the labelled ones keep their direction within {m.orientation_spread_deg:.0f} "
            "degrees."
        )
        return AugmentConfig(rotation_deg=180.0)
    rotation = float(max(15, round(m.orientation_spread_deg)))
    reasons.append(
        f"Rotation by up to {rotation:.0f} degrees: the animals keep their direction within "
        f"about {m.orientation_spread_deg:.0f} degrees."
    )
    return AugmentConfig(rotation_deg=rotation)


def _spare_identities(augment: AugmentConfig, reasons: list[str]) -> AugmentConfig:
    """Change size and brightness less: an animal must not be made to look like another."""
    spared = augment.replace(
        scale_min=IDENTITY_SCALE[0], scale_max=IDENTITY_SCALE[1],
        contrast=IDENTITY_CHANGE * augment.contrast, gamma=IDENTITY_CHANGE * augment.gamma,
        brightness=IDENTITY_CHANGE * augment.brightness,
    )  # fmt: skip
    reasons.append(
        f"Training changes the size of the animals by no more than {spared.scale_max - 1:.0%} and "
        "their brightness less than usual: by these they may be told apart."
    )
    return spared
