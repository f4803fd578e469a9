"""Pieces of the encoders made for ImageNet, and weights for them from files.

Layers have the names, shapes and order of those in `keras.applications`, so that weights
made there fit; dilation, precision and batch normalization are ours.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from napari_animalpose.errors import ModelError
from napari_animalpose.nn.encoders import EncoderOptions

__all__ = ["EncoderLayers", "ImageNetInput", "load_encoder_weights"]

CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)  # of ImageNet, gray levels in 0..255
MOMENTUM = 0.9  # of the statistics: runs are short, and the averaged weights smooth them


class ImageNetInput(keras.layers.Layer):
    """Turns images (B, H, W, 1 or 3) in 0..1 into what ImageNet encoders take, (B, H, W, 3).

    Gray becomes three equal channels.

    Parameters
    ----------
    mode : {"caffe", "tf"}
        "caffe": blue, green, red in 0..255 less their mean over ImageNet; "tf": -1..1.
    """

    def __init__(self, mode: Literal["caffe", "tf"], **options: Any) -> None:
        super().__init__(**options)
        self.mode = mode

    def call(self, x: Any) -> Any:
        """Convert images in 0..1."""
        if x.shape[-1] == 1:
            x = ops.concatenate([x, x, x], axis=-1)
        if self.mode == "tf":
            return 2.0 * x - 1.0
        return 255.0 * ops.flip(x, axis=-1) - ops.convert_to_tensor(CAFFE_MEAN_BGR, x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input shape with three channels."""
        return *input_shape[:-1], 3


@dataclass(frozen=True)
class EncoderLayers:
    """Makes the layers of one encoder.

    Parameters
    ----------
    policy : str
        Keras dtype policy.
    trainable : bool
        Where not, batch normalization uses its statistics and leaves them, in training too.
    epsilon : float
        Of the batch normalization.
    use_bias : bool
        Of the convolutions.
    """

    policy: str
    trainable: bool
    epsilon: float
    use_bias: bool = False

    def _keep(self, name: str) -> dict[str, Any]:
        return {"dtype": self.policy, "trainable": self.trainable, "name": name}

    def pad(self, x: Any, padding: Any, name: str) -> Any:
        """Add zeros around: cells on all sides, or ((top, bottom), (left, right))."""
        return keras.layers.ZeroPadding2D(padding, **self._keep(name))(x)

    def convolve(self, x: Any, filters: int, kernel: int, name: str, **options: Any) -> Any:
        """Convolve: (B, h, w, C) -> (B, h', w', filters)."""
        layer = keras.layers.Conv2D(
            filters, kernel, use_bias=self.use_bias, kernel_initializer="he_normal",
            **options, **self._keep(name),
        )  # fmt: skip
        return layer(x)

    def convolve_each(self, x: Any, name: str, **options: Any) -> Any:
        """Convolve every channel by itself, 3 x 3: (B, h, w, C) -> (B, h', w', C)."""
        layer = keras.layers.DepthwiseConv2D(
            3, use_bias=self.use_bias, depthwise_initializer="he_normal",
            **options, **self._keep(name),
        )  # fmt: skip
        return layer(x)

    def normalize(self, x: Any, name: str) -> Any:
        """Normalise each channel over the batch, same shape."""
        return keras.layers.BatchNormalization(
            momentum=MOMENTUM, epsilon=self.epsilon, **self._keep(name)
        )(x)

    def rectify(self, x: Any, name: str, highest: float | None = None) -> Any:
        """Cut off below zero and, if given, above `highest`; same shape."""
        return keras.layers.ReLU(highest, **self._keep(name))(x)


# ------------------------------------------------------------------------ from a file
def load_encoder_weights(network: Any, options: EncoderOptions, path: Path) -> int:
    """Give the encoder of a network the weights of a file.

    Keras itself reads the file, into the encoder of `keras.applications`, from which the
    layers of the same name are copied.

    Parameters
    ----------
    network : keras.Model
        As `build_network` makes it for these options.
    options : EncoderOptions
    path : Path
        File of the encoder without its top: .weights.h5, or .h5 in the older layout.

    Returns
    -------
    int
        How many arrays were set: all of the encoder.

    Raises
    ------
    ModelError
        If the file cannot be read, or is of another network; the network is unchanged.
    """
    reference = _read_reference(options, path)
    pairs = [
        (own, read)
        for layer in reference.layers
        if (target := _layer(network, layer.name)) is not None
        for own, read in zip(target.weights, layer.weights, strict=True)
    ]
    for own, read in pairs:
        own.assign(read)
    return len(pairs)


def _layer(network: Any, name: str) -> Any:
    return next((layer for layer in network.layers if layer.name == name), None)


def _read_reference(options: EncoderOptions, path: Path) -> Any:
    """Build the encoder of `keras.applications` and read the file into all of it."""
    name, arguments = options.reference
    reference = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(None, None, 3), **arguments
    )
    for weight in reference.weights:
        weight.assign(np.full(weight.shape, np.nan))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error", UserWarning
            )  # Keras only warns of parts that it did not find
            reference.load_weights(path)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, UserWarning) as error:
        raise _refuse(path, name, arguments, "one that does not fit") from error
    unset = sum(bool(np.isnan(np.asarray(weight)).any()) for weight in reference.weights)
    if unset:
        counted = f"one that leaves {unset} of its {len(reference.weights)} arrays unset"
        raise _refuse(path, name, arguments, counted)
    return reference


def _refuse(path: Path, name: str, arguments: dict[str, Any], received: str) -> ModelError:
    made = ", ".join(["include_top=False", *(f"{k}={v}" for k, v in arguments.items())])
    return ModelError(
        f"Expected the weights of keras.applications.{name}({made}) in {str(path)!r}; received "
        f"{received}. Name another file: --set model.backbone_options.weights=PATH"
    )
