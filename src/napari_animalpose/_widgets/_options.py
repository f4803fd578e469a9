"""The options of a configuration as a list: paths, types, labels, explanations, choices.

What a form shows is read from the dataclasses themselves: a new option of a
configuration, an architecture or a tracker appears in the window without any work here.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal

from napari_animalpose.config import Config, ModelConfig, RunConfig, SmoothConfig, TrackConfig
from napari_animalpose.nn.backbones import BACKBONES, backbone_options
from napari_animalpose.registry import Registry

__all__ = [
    "Option",
    "Path",
    "check",
    "default",
    "explain",
    "label",
    "list_options",
    "read",
    "write",
]

Path = tuple[str, ...]

UNITS = {
    "px": "px", "deg": "°", "s": "s", "gb": "GB", "frames": "frames", "epochs": "epochs",
    "nats": "nats", "hz": "Hz", "ms": "ms", "sd": "SD",
}  # fmt: skip
LABELS = {
    "ema_momentum": "Averaging of weights", "cutout_probability": "Cut-out probability",
    "convs_per_block": "Convolutions per block", "decoder_convs": "Decoder convolutions",
    "max_minutes": "Time limit (min)", "scale_min": "Smallest magnification",
    "scale_max": "Largest magnification", "translate_fraction": "Shift (fraction)",
    "warmup_steps": "Warm-up steps", "max_edge_px": "Longest edge (px)",
    "max_reach_px": "Longest reach (px)", "paf_half_width_px": "PAF half-width (px)",
}  # fmt: skip
ACRONYMS = {"paf": "PAF", "oks": "OKS", "iou": "IoU", "id": "ID", "ema": "EMA"}

# Texts that name a part of a registry, and dictionaries whose keys do; imported when asked.
CHOICES: dict[tuple[type, str], str] = {
    (ModelConfig, "backbone"): "nn.backbones:BACKBONES",
    (TrackConfig, "tracker"): "tracking.base:TRACKERS",
    (TrackConfig, "assignment"): "tracking.assignment:ASSIGNMENTS",
    (SmoothConfig, "method"): "tracking.smoothing:SMOOTHERS",
}
KEYS: dict[tuple[type, str], str] = {(TrackConfig, "costs"): "tracking.base:COSTS"}
# Numbers of which only a few make sense.
NUMBERS: dict[str, tuple[int, ...]] = {
    "channels": (1, 3), "output_stride": (1, 2, 4, 8, 16, 32), "stem_stride": (1, 2, 4),
}  # fmt: skip


@dataclass(frozen=True)
class Option:
    """One value of a configuration.

    Parameters
    ----------
    path : tuple of str
        Names and keys from the root to the value.
    kind : type
        bool, int, float, str or tuple.
    owner : str
        Name of the class that the value belongs to, as errors name it.
    label, tip : str
        For people.
    choices : tuple
        All that is allowed; empty where anything of the kind is.
    is_optional : bool
        Whether it may be None.
    """

    path: Path
    kind: type
    owner: str
    label: str
    tip: str
    choices: tuple[Any, ...] = ()
    is_optional: bool = False


def label(name: str) -> str:
    """Return the name of an option for people, with its unit: "Sigma (px)"."""
    if name in LABELS:
        return LABELS[name]
    stem, _, last = name.rpartition("_")
    unit = UNITS.get(last) if stem not in ("", "max", "min") else None
    words = (stem if unit else name).replace("-", "_").split("_")
    words = [ACRONYMS.get(word, word) for word in words]
    text = " ".join(words)
    return text[:1].upper() + text[1:] + (f" ({unit})" if unit else "")


@cache
def explain(cls: type) -> dict[str, str]:
    """Return what the docstring of a class and its bases say about each parameter."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        _, _, section = text.partition("Parameters\n----------\n")
        section = re.split(r"\n\n?\w[\w ]*\n---+\n", section)[0]
        for entry in re.split(r"\n(?=\S)", section):
            head, _, body = entry.partition("\n")
            names, colon, _ = head.partition(" : ")
            sentence = " ".join(inspect.cleandoc(body).split())
            if colon and sentence:
                found |= {name.strip(): _plain(sentence) for name in names.split(",")}
    return found


def _plain(text: str) -> str:
    """Return a docstring's sentence without its markup."""
    text = re.sub(r"`{1,2}([^`]+)`{1,2}", lambda m: m[1].rpartition(".")[2], text)
    return text[:1].upper() + text[1:]


def list_options(config: Config, path: Path = ()) -> list[Option]:
    """Return all options of a configuration, those of nested ones after their own place."""
    hints = typing.get_type_hints(type(config))
    options: list[Option] = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        options += _options_of(config, field.name, hints[field.name], value, (*path, field.name))
    return options


def _options_of(owner: Config, name: str, hint: Any, value: Any, path: Path) -> list[Option]:
    if isinstance(value, Config):
        return list_options(value, path)
    if isinstance(owner, ModelConfig) and name == "backbone_options":
        return list_options(BACKBONES.get(owner.backbone).options.from_dict(value), path)
    if isinstance(value, Mapping):
        nested = [v for v in value.values() if isinstance(v, Config)]
        if nested:
            return [o for key, v in value.items() for o in list_options(v, (*path, key))]
        return _options_of_numbers(owner, name, value, path)
    arguments = typing.get_args(hint)
    is_optional = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if is_optional:
        hint = next(a for a in arguments if a is not type(None))
        arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    choices = arguments if origin is Literal else NUMBERS.get(name, ())
    if (type(owner), name) in CHOICES:
        choices = _load(CHOICES[type(owner), name]).names()
    kind = str if origin is Literal else origin or hint
    return [_make(owner, name, kind, path, choices, is_optional)]


def _options_of_numbers(
    owner: Config, name: str, value: Mapping[str, Any], path: Path
) -> list[Option]:
    """Return one option a key of a dictionary of numbers, for all keys that there can be."""
    place = KEYS.get((type(owner), name))
    known = () if place is None else _load(place).names()
    keys = [*known, *(key for key in value if key not in known)]
    whole = _make(owner, name, float, path)
    return [
        dataclasses.replace(whole, path=(*path, key), label=f"{whole.label}: {label(key).lower()}")
        for key in keys
    ]


def _make(
    owner: Config, name: str, kind: type, path: Path, choices: tuple[Any, ...] = (),
    is_optional: bool = False,
) -> Option:  # fmt: skip
    cls: type = type(owner)
    tip = explain(cls).get(name, label(name))
    if (cls, name) in CHOICES:
        tip = _describe_parts(_load(CHOICES[cls, name])) or tip
    return Option(path, kind, cls.__name__, label(name), tip, choices, is_optional)


def _load(place: str) -> Registry[Any]:
    module, _, name = place.partition(":")
    registry: Registry[Any] = getattr(import_module(f"napari_animalpose.{module}"), name)
    return registry


def _describe_parts(registry: Registry[Any]) -> str:
    """Return one line for each part of a registry; "" where they say nothing of themselves."""
    parts = {name: getattr(registry.get(name), "summary", "") for name in registry}
    return "\n".join(f"{name}: {summary}" for name, summary in parts.items() if summary)


# ------------------------------------------------------------------- values along a path
def read(config: Config, path: Path) -> Any:
    """Return the value at a path; what a backbone leaves at its default is that default."""
    value: Any = config
    for name in path:
        if isinstance(value, ModelConfig) and name == "backbone_options":
            value = BACKBONES.get(value.backbone).options.from_dict(value.backbone_options)
        elif isinstance(value, Mapping):
            value = value.get(name, 0.0)
        else:
            value = getattr(value, name)
    return value


def write(values: dict[str, Any], path: Path, value: Any) -> None:
    """Change one value in the plain data of a configuration, without checking it.

    The options of another architecture would mean nothing, so with a new backbone they
    are its defaults; the anchor is that of all networks of a run.
    """
    if path[0] == "networks" and path[-1] == "anchor":
        for model in values["networks"].values():
            model["anchor"] = value
        return
    section = values
    for name in path[:-1]:
        section = section[name]
    last = path[-1]
    if path[-2:-1] == ("costs",) and value == 0:
        section.pop(last, None)
        return
    section[last] = value
    if last == "backbone":
        section["backbone_options"] = {}


def default(config: Config, path: Path) -> Any:
    """Return the default of an option of a backbone; of another option, what it is."""
    if "backbone_options" not in path:
        return read(config, path)
    values = config.to_dict()
    section = values
    for name in path[: path.index("backbone_options")]:
        section = section[name]
    section["backbone_options"] = {}
    return read(type(config).from_dict(values), path)


def check(config: Config) -> None:
    """Check what a configuration does not check itself: the options of its backbones.

    Raises
    ------
    ConfigError
    """
    if isinstance(config, ModelConfig):
        backbone_options(config)
    if isinstance(config, RunConfig):
        for model in config.networks.values():
            backbone_options(model)
