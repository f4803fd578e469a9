"""The networks of each pipeline: one entry each."""

from __future__ import annotations

from collections.abc import Callable

from napari_animalpose.config import ModelConfig, TrainConfig
from napari_animalpose.nn.autoconfig.measures import LabelMeasures
from napari_animalpose.nn.autoconfig.models import (
    Preset,
    choose_centroid_model,
    choose_crop_model,
    choose_model,
    choose_training,
)

__all__ = [
    "CONFIGURATORS",
    "Configurator",
]

WINDOW_NEIGHBOURS = 1.5  # side of a training window in animals, with neighbours
PAF_CELLS = 1.0, 2.5  # least and largest half-width of a part affinity field


Configurator = Callable[
    [LabelMeasures, Preset, list[str]], tuple[dict[str, ModelConfig], TrainConfig]
]
"""From measures and a preset to the networks of a pipeline, by the name of their head and
in the order in which they run, and how they are trained; appends its reasons."""


def _configure_single(
    m: LabelMeasures, preset: Preset, reasons: list[str]
) -> tuple[dict[str, ModelConfig], TrainConfig]:
    model = choose_model(m, preset, reasons)
    return {"single_instance": model}, choose_training(m, model, reasons)


def _configure_bottomup(
    m: LabelMeasures, preset: Preset, reasons: list[str]
) -> tuple[dict[str, ModelConfig], TrainConfig]:
    model = choose_model(m, preset, reasons, preset.joined_animal_px)
    scale, stride = model.input_scale, model.output_stride
    narrowest, widest = (cells * stride for cells in PAF_CELLS)
    half_width = round(min(max(0.5 * m.spacing_px * scale, narrowest), widest), 1)
    reasons.append(
        f"Part affinity fields, which join points to animals, have a half-width of "
        f"{half_width:g} px (of the network input): as wide as the spacing of the points "
        f"allows, so that the fields of neighbouring limbs stay apart, and never narrower "
        f"than a cell of the map. Points further apart than {m.longest_edge_px:.0f} px, the "
        f"longest edge in the labels, need better evidence to be joined."
    )
    model = model.replace(
        max_peaks=max(10, 2 * m.animals_per_frame),
        paf_half_width_px=half_width,
        max_edge_px=round(m.longest_edge_px * scale, 1),
    )
    training = choose_training(m, model, reasons, WINDOW_NEIGHBOURS)
    return {"multi_instance": model}, training


def _configure_topdown(
    m: LabelMeasures, preset: Preset, reasons: list[str]
) -> tuple[dict[str, ModelConfig], TrainConfig]:
    networks = {
        "centroid": choose_centroid_model(m, preset, reasons),
        "centered_instance": choose_crop_model(m, preset, reasons),
    }
    return networks, TrainConfig(batch_size=8)


def _configure_topdown_id(
    m: LabelMeasures, preset: Preset, reasons: list[str]
) -> tuple[dict[str, ModelConfig], TrainConfig]:
    _explain_identities(m, reasons)
    networks, training = _configure_topdown(m, preset, reasons)
    closer = networks.pop("centered_instance").replace(classes=m.identities)
    return {**networks, "centered_instance_id": closer}, training


def _configure_bottomup_id(
    m: LabelMeasures, preset: Preset, reasons: list[str]
) -> tuple[dict[str, ModelConfig], TrainConfig]:
    _explain_identities(m, reasons)
    model = choose_model(m, preset, reasons, preset.joined_animal_px)
    reasons.append(
        "Points are joined by whose they are, seen from the whole animal around them. No point "
        f"belongs to an animal whose middle is more than {m.large_size_px:.0f} px away: 95 % of "
        "the animals are shorter than that from end to end."
    )
    model = model.replace(
        classes=m.identities,
        max_peaks=max(10, 2 * m.animals_per_frame),
        max_reach_px=round(m.large_size_px * model.input_scale, 1),
    )
    return {"multi_instance_id": model}, choose_training(m, model, reasons, WINDOW_NEIGHBOURS)


def _explain_identities(m: LabelMeasures, reasons: list[str]) -> None:
    more = len(m.identities) > m.animals_per_frame
    reasons.append(
        f"Identities are the {len(m.identities)} tracks of the labels: {', '.join(m.identities)}."
        + (
            f" No frame has more than {m.animals_per_frame} of them together: if some are pieces "
            "of the track of one animal, join these first, or the network will learn to tell "
            "the animal from itself."
            if more
            else ""
        )
    )


CONFIGURATORS: dict[str, Configurator] = {
    "single": _configure_single,
    "bottomup": _configure_bottomup,
    "topdown": _configure_topdown,
    "topdown-id": _configure_topdown_id,
    "bottomup-id": _configure_bottomup_id,
}
