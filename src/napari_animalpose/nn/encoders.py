"""Encoders made for ImageNet: options, closed-form geometry and files of weights.

Free of keras, like `nn.backbones`, which registers them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from napari_animalpose.config import Config
from napari_animalpose.nn.filters import filters_at
from napari_animalpose.nn.geometry import Layer

__all__ = ["EncoderOptions", "MobileNetOptions", "ResNetOptions", "WeightsFile"]

ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications"
MOBILENET_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)  # for which there are ImageNet weights


class WeightsFile(NamedTuple):
    """Where the weights of an encoder without its classifier are published.

    `md5` is the published checksum, "" where there is none.
    """

    url: str
    md5: str = ""

    @property
    def name(self) -> str:
        """Name of the file, also in the cache."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class EncoderOptions(Config, ABC):
    """What all encoders made for ImageNet have in common, and the decoder after them.

    Parameters
    ----------
    width : float
        Factor on the filters of the encoder.
    atrous : bool
        Replace the last halving by dilated convolutions (DeepLab, Chen et al. 2017):
        16 px between the deepest cells instead of 32, with the same weights.
    decoder_filters : int
        Of a decoder block at the full resolution of the input.
    decoder_rate : float
        Factor on them for each halving of the resolution.
    decoder_convs : int
        3 x 3 convolutions in each block of the decoder.
    skip : {"concat", "add", "none"}
        How the decoder sees the encoder at each resolution; at that of the input there is
        nothing to see.
    upsampling : {"bilinear", "transposed"}
        How a decoder block doubles the resolution.
    weights : str
        What the encoder starts from: "" for random weights, "imagenet" to download those
        that Keras publishes, or the path of a file (.h5 or .weights.h5) of the encoder of
        `keras.applications` without its top.
    trainable : bool
        Whether the encoder learns, too. Where not, its batch normalization keeps the
        statistics of the file as well.
    """

    width: float = 1.0
    atrous: bool = False
    decoder_filters: int = 24
    decoder_rate: float = 1.5
    decoder_convs: int = 1
    skip: Literal["concat", "add", "none"] = "concat"
    upsampling: Literal["bilinear", "transposed"] = "bilinear"
    weights: str = ""
    trainable: bool = True

    def __post_init__(self) -> None:
        self._require(0 < self.width <= 4, "width", "a factor above 0 and up to 4")
        for name in ("decoder_filters", "decoder_convs"):
            self._require(getattr(self, name) >= 1, name, "a whole number of at least 1")
        self._require(self.decoder_rate >= 1, "decoder_rate", "a factor of at least 1")

    @property
    def max_stride(self) -> int:
        """Input px between two cells of the deepest layer."""
        return 16 if self.atrous else 32

    @property
    @abstractmethod
    def reference(self) -> tuple[str, dict[str, Any]]:
        """Name and arguments of the same encoder in `keras.applications`."""

    @property
    @abstractmethod
    def imagenet(self) -> WeightsFile:
        """Where Keras publishes the weights for "imagenet"."""

    @abstractmethod
    def encoder_layers(self) -> list[Layer]:
        """Return the layers on the longest path through the encoder."""

    def decoder_width(self, stride: int) -> int:
        """Return the filters of the decoder at a stride in px."""
        return filters_at(self.decoder_filters, self.decoder_rate, stride.bit_length() - 1)

    def layers(self, output_stride: int) -> list[Layer]:
        """Return the layers on the longest path from the input to a confidence map."""
        path = self.encoder_layers()
        stride = self.max_stride
        while stride > output_stride:
            path += [Layer(4 if self.upsampling == "bilinear" else 3, 0.5)]
            path += [Layer(3)] * self.decoder_convs
            stride //= 2
        return path


@dataclass(frozen=True)
class ResNetOptions(EncoderOptions):
    """ResNet-50 (He et al. 2016) as the encoder; see `EncoderOptions` for the options."""

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = self.width == 1 or not self.weights
        self._require(fits, "width", "1, the only one that weights for ResNet-50 have,")

    @property
    def reference(self) -> tuple[str, dict[str, Any]]:
        """Name and arguments of the same encoder in `keras.applications`."""
        return "ResNet50", {}

    @property
    def imagenet(self) -> WeightsFile:
        """Where Keras publishes the weights for "imagenet"."""
        name = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
        return WeightsFile(f"{ADDRESS}/resnet/{name}", "4d473c1dd8becc155b73f8504c6f6626")

    def encoder_layers(self) -> list[Layer]:
        """Return the layers on the longest path through the encoder.

        Convolutions of one cell and stride 1, which change nothing, are left out.
        """
        path = [Layer(7, 2), Layer(3, 2)]
        path += [Layer(3)] * 3
        path += [Layer(1, 2)] + [Layer(3)] * 4
        path += [Layer(1, 2)] + [Layer(3)] * 6
        if self.atrous:
            return path + [Layer(3, 1, 2)] * 3
        return path + [Layer(1, 2)] + [Layer(3)] * 3


@dataclass(frozen=True)
class MobileNetOptions(EncoderOptions):
    """MobileNetV2 (Sandler et al. 2018) as the encoder; see `EncoderOptions` for the options.

    It ends with the last bottleneck; the widening convolution after it serves the
    classifier.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        known = self.width in MOBILENET_WIDTHS or self.weights != "imagenet"
        widths = ", ".join(f"{width:g}" for width in MOBILENET_WIDTHS)
        self._require(known, "width", f"one of {widths}, for which there are ImageNet weights,")

    @property
    def reference(self) -> tuple[str, dict[str, Any]]:
        """Name and arguments of the same encoder in `keras.applications`."""
        return "MobileNetV2", {"alpha": self.width}

    @property
    def imagenet(self) -> WeightsFile:
        """Where Keras publishes the weights for "imagenet"."""
        kind = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels"
        return WeightsFile(f"{ADDRESS}/mobilenet_v2/{kind}_{self.width}_224_no_top.h5")

    def encoder_layers(self) -> list[Layer]:
        """Return the layers on the longest path through the encoder.

        Convolutions of one cell and stride 1, which change nothing, are left out.
        """
        path = [Layer(3, 2), Layer(3)]
        path += [Layer(3, 2), Layer(3)]
        path += [Layer(3, 2)] + [Layer(3)] * 2
        path += [Layer(3, 2)] + [Layer(3)] * 6
        if self.atrous:
            return [*path, Layer(3)] + [Layer(3, 1, 2)] * 3
        return [*path, Layer(3, 2)] + [Layer(3)] * 3
