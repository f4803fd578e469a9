"""The architectures by name, with their options and their closed-form geometry.

Free of keras, so that a window or a command can list them, check their options and
draw their receptive field; the layers are built in `nn.models`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from napari_animalpose.config import Config, ModelConfig
from napari_animalpose.errors import ConfigError
from napari_animalpose.nn.encoders import MobileNetOptions, ResNetOptions
from napari_animalpose.nn.filters import filters_at
from napari_animalpose.nn.geometry import Layer, receptive_field
from napari_animalpose.nn.sleap_options import SleapOptions
from napari_animalpose.registry import Registry

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneOptions",
    "LeapOptions",
    "MobileNetOptions",
    "ResNetOptions",
    "UNetOptions",
    "backbone_options",
    "filters_at",
    "model_receptive_field",
]


class BackboneOptions(Protocol):
    """What the options of every architecture can say about its geometry."""

    @property
    def max_stride(self) -> int:
        """Input px between two cells of the deepest layer: sides are padded to it."""
        ...

    def layers(self, output_stride: int) -> list[Layer]:
        """Return the layers on the longest path from the input to a confidence map."""
        ...


@dataclass(frozen=True)
class UNetOptions(Config):
    """A U-Net (Ronneberger et al. 2015) as a template with explicit knobs.

    Parameters
    ----------
    filters : int
        Of the first block.
    filters_rate : float
        Factor from one block to the next deeper one.
    down_blocks : int
        Number of halvings after the stem.
    convs_per_block : int
        3 x 3 convolutions in each block, on the way down and up.
    stem_stride : int
        1, or 2 or 4 for a strided 5 x 5 stem that makes large frames cheap.
    skip : {"concat", "add", "none"}
        How the way up sees the way down.
    upsampling : {"bilinear", "transposed"}
        How a block doubles the resolution.
    normalization : {"none", "batch"}
        After each convolution.
    """

    filters: int = 16
    filters_rate: float = 1.5
    down_blocks: int = 4
    convs_per_block: int = 2
    stem_stride: int = 1
    skip: Literal["concat", "add", "none"] = "concat"
    upsampling: Literal["bilinear", "transposed"] = "bilinear"
    normalization: Literal["none", "batch"] = "none"

    def __post_init__(self) -> None:
        for name in ("filters", "down_blocks", "convs_per_block"):
            self._require(getattr(self, name) >= 1, name, "a whole number of at least 1")
        self._require(self.stem_stride in (1, 2, 4), "stem_stride", "1, 2 or 4")
        self._require(self.filters_rate >= 1, "filters_rate", "a factor of at least 1")

    @property
    def max_stride(self) -> int:
        """Input px between two cells of the deepest layer."""
        return int(self.stem_stride * 2**self.down_blocks)

    def layers(self, output_stride: int) -> list[Layer]:
        """Return the layers on the longest path from the input to a confidence map."""
        convs = [Layer(3, 1)] * self.convs_per_block
        path = [Layer(5, 2)] * (self.stem_stride.bit_length() - 1) + convs
        for _ in range(self.down_blocks):
            path += [Layer(2, 2), *convs]
        stride = self.max_stride
        while stride > output_stride:
            path += [Layer(4 if self.upsampling == "bilinear" else 3, 0.5), *convs]
            stride //= 2
        return path


@dataclass(frozen=True)
class LeapOptions(Config):
    """The LEAP network (Pereira et al. 2019): convolutions, pooling, transposed ones up.

    Parameters
    ----------
    filters : int
        Of the first block; each deeper block has `filters_rate` times as many.
    filters_rate : float
        Factor from one block to the next deeper one.
    down_blocks : int
        Number of halvings.
    convs_per_block : int
        3 x 3 convolutions in each block.
    """

    filters: int = 32
    filters_rate: float = 2.0
    down_blocks: int = 3
    convs_per_block: int = 3

    def __post_init__(self) -> None:
        for name in ("filters", "down_blocks", "convs_per_block"):
            self._require(getattr(self, name) >= 1, name, "a whole number of at least 1")
        self._require(self.filters_rate >= 1, "filters_rate", "a factor of at least 1")

    @property
    def max_stride(self) -> int:
        """Input px between two cells of the deepest layer."""
        return int(2**self.down_blocks)

    def layers(self, output_stride: int) -> list[Layer]:
        """Return the layers on the longest path from the input to a confidence map."""
        convs = [Layer(3, 1)] * self.convs_per_block
        path = list(convs)
        for _ in range(self.down_blocks):
            path += [Layer(2, 2), *convs]
        stride = self.max_stride
        while stride > output_stride:
            stride //= 2
            last = stride == output_stride
            path += [Layer(3, 0.5), *convs[: 0 if last else len(convs) - 1]]
        return path


class Backbone(NamedTuple):
    """One architecture: its options and where its layers are built."""

    options: type[Any]
    builder: str
    summary: str


BACKBONES: Registry[Backbone] = Registry("backbone")
BACKBONES.register(
    "unet",
    Backbone(
        UNetOptions,
        "napari_animalpose.nn.models.unet:build_unet",
        "encoder and decoder with skip connections; the default",
    ),
)
BACKBONES.register(
    "leap",
    Backbone(
        LeapOptions,
        "napari_animalpose.nn.models.leap:build_leap",
        "the network of LEAP (2019): simple, without skip connections",
    ),
)
BACKBONES.register(
    "resnet50",
    Backbone(
        ResNetOptions,
        "napari_animalpose.nn.models.resnet:build_resnet",
        "ResNet-50 with a decoder: large; with weights from ImageNet if asked for",
    ),
)
BACKBONES.register(
    "mobilenetv2",
    Backbone(
        MobileNetOptions,
        "napari_animalpose.nn.models.mobilenet:build_mobilenet",
        "MobileNetV2 with a decoder: light; with weights from ImageNet if asked for",
    ),
)
BACKBONES.register(
    "sleap",
    Backbone(
        SleapOptions,
        "napari_animalpose.nn.models.sleap:build_sleap",
        "the network of a SLEAP model, layer by layer: to go on training it",
    ),
)


def backbone_options(config: ModelConfig) -> Any:
    """Return the checked options of the backbone that a model asks for.

    Raises
    ------
    ConfigError
        For an unknown backbone or option, and for an output stride that the backbone does
        not reach.
    """
    given: Mapping[str, Any] = config.backbone_options
    options = BACKBONES.get(config.backbone).options.from_dict(given)
    lowest = getattr(options, "stem_stride", 1)
    if not lowest <= config.output_stride <= options.max_stride:
        raise ConfigError(
            f"Expected an output stride from {lowest} to {options.max_stride} for this "
            f"{config.backbone}; received {config.output_stride}."
        )
    return options


def model_receptive_field(config: ModelConfig) -> int:
    """Return the side of the receptive field in px of the network input.

    A closed formula over the layers (`geometry.receptive_field`); divide by
    `input_scale` for px of the frame.
    """
    return receptive_field(backbone_options(config).layers(config.output_stride))
