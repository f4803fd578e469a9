"""From the `model_config` that Keras 2 saved to a checked graph of layers.

Only data is taken from it: names of layers, their options, what they read from. The code
that a Lambda layer carries is never looked at. SLEAP itself put three of those, with names
of their own, in front of encoders that were trained on ImageNet; what they did is done by
layers of ours. Any other is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_animalpose.errors import ModelError
from napari_animalpose.nn.sleap_graph import INPUT, MOST_LAYERS, OUTPUT_NAMES, Graph, GraphLayer
from napari_animalpose.nn.sleap_layers import LAYERS, check_options

__all__ = ["KerasModel", "read_keras_config"]

MODELS = ("Functional", "Model")
KNOWN_LAMBDAS = {
    "ensure_rgb": "GrayToRgb",
    "tile_channels": "GrayToRgb",
    "imagenet_preproc_v1": "ImageNetInput",
}
SAME_AS = {"FixedDropout": "Dropout", "SpatialDropout2D": "Dropout"}
RENAMED = {"ZeroPadding2D": {"padding": "border"}}
IGNORED = frozenset(
    {
        "name", "trainable", "dtype", "data_format", "seed", "noise_shape", "ragged", "sparse",
        "momentum", "renorm", "fused", "virtual_batch_size", "output_padding", "keepdims",
        "activity_regularizer",
    }
)  # fmt: skip
"""What does not change the output of a trained network, or is checked by `_read_options`."""
IGNORED_ENDINGS = ("_initializer", "_regularizer", "_constraint")
DEEPEST_NESTING = 4
TAKEN = frozenset(
    (INPUT, "image", "focus", *(f"{name}{end}" for name in OUTPUT_NAMES for end in ("", "_out")))
)  # names of layers that are added to a graph


@dataclass(frozen=True)
class KerasModel:
    """A network as a file describes it.

    Parameters
    ----------
    graph : Graph
        For images of any size, unless it says so.
    outputs : tuple of str
        Names of the layers that are the outputs, in order.
    sources : dict of str to (str, str)
        For each layer, the group of the file that its weights are in and its name there.
    """

    graph: Graph
    outputs: tuple[str, ...]
    sources: dict[str, tuple[str, str]]


def read_keras_config(values: Any, where: str) -> KerasModel:
    """Read the JSON of a Keras 2 model.

    Parameters
    ----------
    values : nested plain data
    where : str
        The file, for messages.

    Raises
    ------
    ModelError
        For anything that the networks of SLEAP do not have.
    """
    try:
        if values["class_name"] not in MODELS:
            raise ModelError(
                f"Expected a functional model of Keras in {where!r}; received the class "
                f"{str(values['class_name'])[:80]!r}. Only networks trained by SLEAP can be used."
            )
        reader = _Reader()
        outputs = reader.read_model(values["config"], [INPUT], None, 0)
        channels, size = reader.image
        graph = Graph(tuple(reader.layers), channels)
        if any(graph.shapes[name].channels == 0 for name in graph.shapes):
            graph = Graph(graph.layers, channels, size)  # flattened maps: a vector per size
        return KerasModel(graph, tuple(outputs), reader.sources)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise ModelError(f"{error} ({where})") from None
        raise ModelError(
            f"Expected the network of a SLEAP model in {where!r}; received a damaged file "
            f"({type(error).__name__}: {str(error)[:80]}). Copy the model again."
        ) from None


class _Reader:
    """Collects the layers of a model and of the models inside it."""

    def __init__(self) -> None:
        self.layers: list[GraphLayer] = []
        self.sources: dict[str, tuple[str, str]] = {}
        self.image: tuple[int, tuple[int, int] | None] = (0, None)

    def read_model(
        self, config: Mapping[str, Any], inputs: Sequence[str], group: str | None, depth: int
    ) -> list[str]:
        """Add the layers of one model; return the names of its outputs in the graph.

        Parameters
        ----------
        config : mapping
            Of the model.
        inputs : sequence of str
            What it reads from.
        group : str or None
            Where the file keeps the weights of a model inside the model.
        depth : int
            How many models it is inside of.
        """
        if depth > DEEPEST_NESTING:
            raise ModelError(
                f"Expected models nested at most {DEEPEST_NESTING} deep; received {group!r}."
            )
        starts = [_first(node)[0] for node in _listed(config["input_layers"])]
        if len(starts) != len(inputs):
            raise ModelError(f"Expected {len(inputs)} input(s); received {len(starts)}.")
        made: dict[str, list[str]] = {
            name: [source] for name, source in zip(starts, inputs, strict=True)
        }
        waiting = [layer for layer in config["layers"] if layer["class_name"] != "InputLayer"]
        for layer in config["layers"]:
            if layer["class_name"] == "InputLayer" and depth == 0:
                self.image = _read_image(layer["config"])
        if len(waiting) > MOST_LAYERS:
            raise ModelError(f"Expected at most {MOST_LAYERS} layers; received {len(waiting)}.")
        while waiting:  # mostly once: Keras writes them in an order in which they can be built
            later = []
            for layer in waiting:
                if all(name in made for name, _ in _sources(layer)):
                    made[layer["name"]] = self._add(layer, made, group, depth)
                else:
                    later.append(layer)
            if len(later) == len(waiting):
                raise ModelError("Expected layers that follow from the image; received a loop.")
            waiting = later
        ends = map(_first, _listed(config["output_layers"]))
        return [made[name][index] for name, index in ends]

    def _add(
        self, layer: Mapping[str, Any], made: Mapping[str, list[str]], group: str | None, depth: int
    ) -> list[str]:
        """Add one layer, or all layers of a model; return the names of its outputs."""
        inputs = [made[name][index] for name, index in _sources(layer)]
        name = str(layer["name"])
        if layer["class_name"] in MODELS:
            return self.read_model(layer["config"], inputs, group or name, depth + 1)
        kind, options = _read_options(layer)
        own = "".join(letter if letter.isalnum() else "_" for letter in name)
        while own in self.sources or own in TAKEN:
            own += "_"
        self.sources[own] = (group or name, name)
        self.layers.append(GraphLayer(own, kind, options, tuple(inputs)))
        return [own]


def _read_options(layer: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind of a layer in `sleap_layers.LAYERS` and its checked options."""
    name, kind = str(layer["name"]), str(layer["class_name"])
    config = layer["config"]
    if kind == "Lambda" and name in KNOWN_LAMBDAS:
        return KNOWN_LAMBDAS[name], {}
    if kind == "Lambda":
        raise ModelError(
            f"Expected layers that are data; received the Lambda layer {name!r}, which is code. "
            "A model file is never executed here: convert this model in SLEAP, or train anew."
        )
    kind = SAME_AS.get(kind, kind)
    if config.get("data_format", "channels_last") != "channels_last":
        raise ModelError(f"Expected channels to come last; received the layer {name!r}.")
    if config.get("keepdims"):
        raise ModelError(f"Expected pooling that makes a vector; received the layer {name!r}.")
    if config.get("output_padding") is not None or (
        kind == "Conv2DTranspose" and config.get("groups", 1) != 1
    ):
        raise ModelError(
            f"Expected a transposed convolution of all channels as {name!r}; received one of "
            f"{config.get('groups')} groups, padded by {config.get('output_padding')}."
        )
    renamed = RENAMED.get(kind, {})
    given = {
        renamed.get(key, key): value.lower() if key == "padding" and type(value) is str else value
        for key, value in config.items()
        if key not in IGNORED and not key.endswith(IGNORED_ENDINGS)
    }
    if kind == "Conv2DTranspose":
        given.pop("groups", None)
    if kind in LAYERS and "groups" not in LAYERS[kind].options and given.get("groups") == 1:
        given.pop("groups")
    return kind, check_options(kind, given, name)


def _read_image(config: Mapping[str, Any]) -> tuple[int, tuple[int, int] | None]:
    """Return channels and (height, width) of the images that a network was trained on."""
    _, height, width, channels = config.get("batch_input_shape") or config["batch_shape"]
    return int(channels), (int(height), int(width)) if height and width else None


def _sources(layer: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return what a layer reads from: names of layers, and which of their outputs."""
    nodes = layer["inbound_nodes"]
    if len(nodes) != 1:
        raise ModelError(
            f"Expected every layer to be used once; received {layer['name']!r}, used "
            f"{len(nodes)} times."
        )
    return [_first(node) for node in _listed(nodes[0])]


def _first(node: Sequence[Any]) -> tuple[str, int]:
    """Return the layer and the output that a reference [name, node, output, options] names."""
    if len(node) > 3 and node[3]:
        raise ModelError(f"Expected layers without further arguments; received {node[3]!r}.")
    if node[1] != 0:
        raise ModelError(f"Expected every layer to be used once; received {node[0]!r}.")
    return str(node[0]), int(node[2])


def _listed(nodes: Sequence[Any]) -> list[Any]:
    """Return a list of references; Keras writes a single one without the list around it."""
    return [nodes] if nodes and isinstance(nodes[0], str) else list(nodes)
