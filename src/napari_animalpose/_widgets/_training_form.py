"""Which options of a training are on top, and how the sections are called."""

from __future__ import annotations

from typing import NamedTuple

from napari_animalpose._widgets._training_words import name_network
from napari_animalpose.config import RunConfig
from napari_animalpose.nn.heads import CENTRED_HEADS

__all__ = ["FormLayout", "form_layout"]


class FormLayout(NamedTuple):
    """What `ConfigForm` takes.

    top : dotted paths of the options on top, with their labels
    hidden : dotted paths of the options that are not shown
    titles : dotted paths of the sections, with their titles
    """

    top: dict[str, str]
    hidden: tuple[str, ...]
    titles: dict[str, str]


def form_layout(config: RunConfig, goes_on: bool = False) -> FormLayout:
    """Return the layout for a configuration: what matters on top, everything within reach.

    Parameters
    ----------
    config : RunConfig
    goes_on : bool
        Whether the networks have learned before: what they are made of cannot be changed.
    """
    name = list(config.networks)[-1]
    pose = f"networks.{name}"
    window = f"{pose}.crop_px" if name in CENTRED_HEADS else "train.window_px"
    network = {
        f"{pose}.input_scale": "",
        window: "Crop (px of input)" if name in CENTRED_HEADS else "Window (px of input)",
        f"{pose}.sigma_px": "",
        f"{pose}.output_stride": "",
        f"{pose}.backbone": "",
        f"{pose}.backbone_options.filters": "Size (filters)",
        f"{pose}.backbone_options.width": "Size (width)",
    }
    training = {
        "train.batch_size": "",
        "train.learning_rate": "",
        "augment.rotation_deg": "",
        "train.validation_fraction": "",
        "train.seed": "",
    }
    top = {"train.max_minutes": "", **({} if goes_on else network), **training}
    hidden: tuple[str, ...] = ("pipeline",)
    if goes_on:
        hidden += ("networks.*.*", "networks.*.backbone_options.*", "train.window_px")
    titles = {f"networks.{each}": _title(each) for each in config.networks}
    titles |= {"augment": "Augmentation", "train": "Training"}
    return FormLayout(top, hidden, titles)


def _title(network: str) -> str:
    name = name_network(network)
    return name[:1].upper() + name[1:]
