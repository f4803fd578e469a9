"""The networks of SLEAP models as the start of a new training."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.legacy.loading import SleapModel
from napari_animalpose.nn.models.transfer import copy_channels, field_channels

__all__ = ["adapt_config", "transfer_weights"]

LENGTHS = ("max_edge_px", "max_reach_px")  # of a `ModelConfig`, in px of the network input


def adapt_config(model: SleapModel, chosen: ModelConfig) -> ModelConfig:
    """Return the configuration for training a SLEAP network on with our targets and losses.

    Parameters
    ----------
    model : SleapModel
    chosen : ModelConfig
        What would be chosen for the labels. Kept of it is what SLEAP does not say or what
        depends on the labels: identities, numbers of peaks, lengths of edges, the windows
        of a centroid network.

    Raises
    ------
    ConfigError
        If the network needs frames that are enlarged, or intensities of another range.
    """
    known = model.description
    if known.input_scale > 1 or known.imagenet_mode:
        what = f"imagenet_mode {known.imagenet_mode!r}" if known.imagenet_mode else "a scale over 1"
        raise ConfigError(
            f"Expected a model that sees frames as they are or smaller; received {what} in "
            f"{model.path!r}. Predict with it, or train from the start."
        )
    own = model.make_config()
    ratio = own.input_scale / chosen.input_scale
    stride: int = backbone_options(own).max_stride
    side = own.crop_px or math.ceil(chosen.crop_px * ratio / stride) * stride
    half_width = (2 * known.paf_sigma**2 * math.log(2)) ** 0.25
    lengths: dict[str, Any] = {
        name: round(getattr(chosen, name) * ratio, 1) for name in LENGTHS if hasattr(chosen, name)
    }
    return replace(
        chosen,
        backbone=own.backbone,
        backbone_options=own.backbone_options,
        channels=own.channels,
        input_scale=own.input_scale,
        output_stride=own.output_stride,
        sigma_px=own.sigma_px,
        crop_px=side,
        anchor=own.anchor,
        paf_half_width_px=round(half_width, 1) if "pafs" in known.strides
        else chosen.paf_half_width_px,
        **lengths,
    )  # fmt: skip


def transfer_weights(network: Any, model: SleapModel, skeleton: Skeleton) -> tuple[str, ...]:
    """Give a new network the weights of a SLEAP model.

    Layers of the same name get theirs. Of the maps, those get theirs that show the same
    nodes or the same edges; the others are to be learned.

    Parameters
    ----------
    network : keras.Model
        As `build_head_network` makes it of `adapt_config`; changed in place.
    model : SleapModel
    skeleton : Skeleton
        Of the new training.

    Returns
    -------
    tuple of str
        Outputs of the network of which anything is to be learned from the start: maps of
        nodes and fields of edges that the model does not know, fields that it reads from
        other features than its maps, and identities.
    """
    graph = model.network.graph
    names = {layer.name for layer in network.layers}
    for name, arrays in model.weights.items():
        if name in names:
            network.get_layer(name).set_weights(arrays)
    known = model.description.skeleton
    channels = {"centroids": [0]}
    if model.maps_name == "confmaps":
        nodes = [known.nodes.index(n) if n in known.nodes else -1 for n in skeleton.nodes]
        channels = {"confmaps": nodes}
    maps, fields = (model.outputs.get(name) for name in (model.maps_name, "pafs"))
    if maps and fields and graph.by_name[maps].inputs == graph.by_name[fields].inputs:
        channels["pafs"] = field_channels(_name_edges(known), _name_edges(skeleton))
    whole = {name for name in channels if _transfer_channels(network, model, name, channels[name])}
    outputs = [name.removesuffix("_out") for name in network.output_names]
    return tuple(name for name in outputs if name not in whole)


def _name_edges(skeleton: Skeleton) -> list[tuple[str, str]]:
    return [(skeleton.nodes[a], skeleton.nodes[b]) for a, b in skeleton.edges]


def _transfer_channels(network: Any, model: SleapModel, name: str, channels: list[int]) -> bool:
    """Copy channels of an output; -1 keeps what the new network has there.

    Returns whether nothing of the output was kept.
    """
    old = model.weights.get(model.outputs[name])
    layer = network.get_layer(name)
    new = layer.get_weights()
    if old is None or [len(a.shape) for a in old] != [len(a.shape) for a in new]:
        return False
    if old[0].shape[:-1] != new[0].shape[:-1]:  # read from other features
        return False
    layer.set_weights([copy_channels(a, b, channels) for a, b in zip(new, old, strict=True)])
    return -1 not in channels
