"""The network of a SLEAP model as plain data: which layers there are and how they connect.

A graph comes from a model file (`nn.legacy`) or from the configuration of a run that was
started with one, and is checked against the white-list of `nn.sleap_layers` either way.
Layers are built of it in `nn.models.sleap`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from napari_animalpose.errors import ModelError
from napari_animalpose.nn.geometry import Layer, receptive_field
from napari_animalpose.nn.sleap_layers import LAYERS, Shape, check_options

__all__ = [
    "INPUT",
    "MOST_LAYERS",
    "MOST_PARAMETERS",
    "OUTPUT_NAMES",
    "Graph",
    "GraphLayer",
    "unet_graph",
]

INPUT = "input"  # the name by which layers refer to the image
OUTPUT_NAMES = "confmaps", "centroids", "offsets", "pafs", "classmaps", "classes"
MOST_LAYERS = 5000
MOST_PARAMETERS = 500_000_000  # 2 GB of float32; the largest encoder of SLEAP has 115 million


@dataclass(frozen=True)
class GraphLayer:
    """One layer of a graph.

    Parameters
    ----------
    name : str
    kind : str
        Name in `sleap_layers.LAYERS`.
    options : dict
        All of them, checked.
    inputs : tuple of str
        Names of the layers it reads from.
    """

    name: str
    kind: str
    options: dict[str, Any]
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A network without weights, its layers in an order in which they can be built.

    Parameters
    ----------
    layers : tuple of GraphLayer
    channels : int
        Of the image.
    size : (int, int) or None
        (height, width) in px of the only images that it takes; None where any will do.

    Raises
    ------
    ModelError
        If a layer reads from one that does not come before it, or shapes do not fit.
    """

    layers: tuple[GraphLayer, ...]
    channels: int = 1
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ModelError(
                f"Expected a network for images of 1 or 3 channels; received {self.channels}."
            )
        if len(self.layers) > MOST_LAYERS:
            raise ModelError(f"Expected at most {MOST_LAYERS} layers; received {len(self.layers)}.")
        count = sum(
            _product(shape) for name in self.by_name for shape in self.weights(name).values()
        )
        if count > MOST_PARAMETERS:
            raise ModelError(
                f"Expected a network of at most {MOST_PARAMETERS:,} parameters; received {count:,}."
            )

    # -------------------------------------------------------------------- as plain data
    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Graph:
        """Read what `to_dict` gave, checking all of it.

        Raises
        ------
        ModelError
            If it is damaged.
        """
        try:
            layers = tuple(
                GraphLayer(
                    str(name), kind, check_options(kind, options, name), tuple(map(str, inputs))
                )
                for name, kind, options, inputs in values["layers"]
            )
            size = values.get("size")
            return cls(layers, int(values["channels"]), size and (int(size[0]), int(size[1])))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(
                f"Expected the graph of a network; received damaged data ({error})."
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, options only where they are not the default."""
        return {
            "channels": self.channels,
            "size": self.size and list(self.size),
            "layers": [
                [layer.name, layer.kind, _shorten(layer), list(layer.inputs)]
                for layer in self.layers
            ],
        }

    # ------------------------------------------------------------------------- questions
    @cached_property
    def by_name(self) -> dict[str, GraphLayer]:
        """Layers by their names."""
        names = {layer.name: layer for layer in self.layers}
        if len(names) < len(self.layers) or INPUT in names:
            raise ModelError("Expected layers of different names; received one name twice.")
        return names

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """What comes out of every layer, and of `INPUT`."""
        shapes = {INPUT: Shape(self.channels, Fraction(1))}
        for layer in self.layers:
            kind = LAYERS[layer.kind]
            missing = [name for name in layer.inputs if name not in shapes]
            if missing or not layer.inputs or (len(layer.inputs) > 1 and not kind.many):
                raise ModelError(
                    f"Expected the inputs of the layer {layer.name!r} to be layers before it; "
                    f"received {list(layer.inputs)}."
                )
            try:
                shapes[layer.name] = kind.shape(layer.options, [shapes[i] for i in layer.inputs])
            except ModelError as error:
                raise ModelError(f"{error} (layer {layer.name!r})") from None
        return shapes

    def weights(self, name: str) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a layer's weights by their names in Keras, in order."""
        layer = self.by_name[name]
        given = self.shapes[layer.inputs[0]].channels
        return LAYERS[layer.kind].weights(layer.options, given)

    @property
    def max_stride(self) -> int:
        """Input px between two cells of the deepest layer."""
        return max(int(s.stride) for s in self.shapes.values() if s.stride is not None)

    @property
    def deepest(self) -> str:
        """The last layer of the largest stride: the end of the encoder."""
        return self._last_at(self.max_stride)

    def _last_at(self, stride: int) -> str:
        return [name for name, shape in self.shapes.items() if shape.stride == stride][-1]

    def last_at(self, stride: int) -> str:
        """Return the last layer of a stride: where maps of that stride are read from.

        Raises
        ------
        ModelError
            If no layer has it.
        """
        strides = {s.stride for s in self.shapes.values() if s.stride is not None}
        if stride not in strides:
            reached = ", ".join(str(int(s)) for s in sorted(strides) if s >= 1)
            raise ModelError(
                f"Expected an output stride that this network has ({reached}); received {stride}."
            )
        return self._last_at(stride)

    # ------------------------------------------------------------------------ parts of it
    def upto(self, names: Iterable[str]) -> Graph:
        """Return the graph of some layers and all that they are made from."""
        needed: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in needed and name != INPUT:
                needed.add(name)
                waiting.extend(self.by_name[name].inputs)
        kept = tuple(layer for layer in self.layers if layer.name in needed)
        return Graph(kept, self.channels, self.size)

    def longest_path(self, name: str) -> list[Layer]:
        """Return the layers on the way to `name` that see the most of the image."""
        paths: dict[str, list[Layer]] = {INPUT: []}
        for layer in self.upto([name]).layers:
            best = max((paths[source] for source in layer.inputs), key=receptive_field)
            paths[layer.name] = best + LAYERS[layer.kind].sees(layer.options)
        return paths[name]


def _product(shape: Sequence[int]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def _shorten(layer: GraphLayer) -> dict[str, Any]:
    """Options that are not the default, pairs as lists."""
    defaults = LAYERS[layer.kind].options
    plain = {name: _as_plain(value) for name, value in layer.options.items()}
    return {name: value for name, value in plain.items() if value != _as_plain(defaults[name])}


def _as_plain(value: Any) -> Any:
    return [_as_plain(item) for item in value] if isinstance(value, list | tuple) else value


def unet_graph(
    filters: int = 16, rate: float = 2.0, down_blocks: int = 4, output_stride: int = 2,
    channels: int = 1,
) -> Graph:  # fmt: skip
    """Return the U-Net of SLEAP 1.4's baseline profile, or one like it.

    Pooling before the convolutions of a block, two of them everywhere, bilinear
    upsampling and no batch normalization.

    Parameters
    ----------
    filters : int
        Of the first block.
    rate : float
        Factor from one block to the next deeper one.
    down_blocks : int
    output_stride : int
    channels : int
        Of the image.
    """
    layers: list[list[Any]] = []

    def add(name: str, kind: str, options: dict[str, Any], *inputs: str) -> str:
        layers.append([name, kind, options, list(inputs)])
        return name

    def convolve(x: str, name: str, depth: int, count: int = 2) -> str:
        for i in range(count):
            width = int(filters * rate**depth)
            options = {"filters": width, "kernel_size": [3, 3], "padding": "same"}
            x = add(f"{name}_conv{i}", "Conv2D", options, x)
            x = add(f"{name}_act{i}_relu", "Activation", {"activation": "relu"}, x)
        return x

    x, skips = INPUT, []
    pooling = {"strides": [2, 2], "padding": "same"}
    for depth in range(down_blocks):
        if depth:
            x = add(f"stack0_enc{depth}_pool", "MaxPooling2D", pooling, x)
        x = convolve(x, f"stack0_enc{depth}", depth)
        skips.append(x)
    x = add(f"stack0_enc{down_blocks}_last_pool", "MaxPooling2D", pooling, x)
    x = convolve(x, f"stack0_enc{down_blocks + 1}_middle_expand", down_blocks, 1)
    x = convolve(x, f"stack0_enc{down_blocks + 2}_middle_contract", down_blocks, 1)
    stride = 2**down_blocks
    for block in range(down_blocks):
        if stride <= output_stride:
            break
        name = f"stack0_dec{block}_s{stride}_to_s{stride // 2}"
        stride //= 2
        x = add(f"{name}_interp_bilinear", "UpSampling2D", {"interpolation": "bilinear"}, x)
        x = add(f"{name}_skip_concat", "Concatenate", {}, skips.pop(), x)
        x = convolve(x, f"{name}_refine", down_blocks - 1 - block)
    return Graph.from_dict({"channels": channels, "layers": layers})
