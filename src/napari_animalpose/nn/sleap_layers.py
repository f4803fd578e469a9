"""The layers that networks of SLEAP are made of: their options, and what they do to a shape.

This is a white-list. A file may name these layers and set these options, to values of the
stated form; anything else in it is refused. Nothing here imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

from napari_animalpose.errors import ModelError
from napari_animalpose.nn.geometry import Layer

__all__ = ["ACTIVATIONS", "LAYERS", "LayerKind", "Shape", "check_options"]

ACTIVATIONS = frozenset(
    {
        "elu", "hard_sigmoid", "linear", "relu", "relu6", "selu", "sigmoid", "silu", "softmax",
        "swish", "tanh",
    }
)  # fmt: skip
MOST_CHANNELS = 1 << 16
MOST_CELLS = 64  # of a kernel, a stride, a padding
Options = Mapping[str, Any]


class Shape(NamedTuple):
    """What is known of a tensor before there is an image.

    channels : numbers of its last axis; 0 where that depends on the size of the image
    stride : input px between two of its cells; None where it has no cells, as a vector
    """

    channels: int
    stride: Fraction | None


# --------------------------------------------------------------------- forms of values
def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MOST_CHANNELS


def _is_pair(value: Any) -> bool:
    numbers = isinstance(value, list | tuple) and len(value) == 2
    return numbers and all(type(n) is int and 1 <= n <= MOST_CELLS for n in value)


def _is_border(value: Any) -> bool:
    sides = isinstance(value, list | tuple) and len(value) == 2
    return sides and all(
        isinstance(side, list | tuple)
        and len(side) == 2
        and all(type(n) is int and 0 <= n <= MOST_CELLS for n in side)
        for side in value
    )


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_last_axis(value: Any) -> bool:
    return value in (-1, 3, [3], [-1], (3,), (-1,))


def _is_unit_shape(value: Any) -> bool:
    """One cell: what the channels of a squeeze-and-excitation block are spread from."""
    cell = isinstance(value, list | tuple) and len(value) == 3 and list(value[:2]) == [1, 1]
    return cell and _is_count(value[2])


def _is_one_of(*names: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in names


FORMS: Mapping[str, Callable[[Any], bool]] = {
    "filters": _is_count,
    "units": _is_count,
    "groups": _is_count,
    "depth_multiplier": _is_count,
    "kernel_size": _is_pair,
    "strides": _is_pair,
    "dilation_rate": _is_pair,
    "pool_size": _is_pair,
    "size": _is_pair,
    "border": _is_border,
    "padding": _is_one_of("same", "valid"),
    "activation": lambda value: isinstance(value, str) and value in ACTIVATIONS,
    "interpolation": _is_one_of("bilinear", "nearest"),
    "use_bias": _is_flag,
    "center": _is_flag,
    "scale": _is_flag,
    "epsilon": _is_number,
    "rate": _is_number,
    "max_value": _is_number,
    "negative_slope": _is_number,
    "threshold": _is_number,
    "alpha": _is_number,
    "axis": _is_last_axis,
    "target_shape": _is_unit_shape,
}


# ------------------------------------------------------------------ effects on a shape
def _stride_of(options: Options, name: str) -> int:
    """Return an option that must be the same along both axes."""
    first, second = options[name]
    if first != second:
        raise ModelError(f"Expected the same {name} along both axes; received {options[name]}.")
    return int(first)


def _coarsen(channels: Callable[[Options, int], int], option: str = "strides") -> Any:
    def effect(options: Options, inputs: Sequence[Shape]) -> Shape:
        (given,) = inputs
        stride = None if given.stride is None else given.stride * _stride_of(options, option)
        return Shape(channels(options, given.channels), stride)

    return effect


def _refine(option: str, channels: Callable[[Options, int], int]) -> Any:
    def effect(options: Options, inputs: Sequence[Shape]) -> Shape:
        (given,) = inputs
        stride = None if given.stride is None else given.stride / _stride_of(options, option)
        return Shape(channels(options, given.channels), stride)

    return effect


def _keep(_: Options, inputs: Sequence[Shape]) -> Shape:
    (given,) = inputs
    return given


def _join(_: Options, inputs: Sequence[Shape]) -> Shape:
    _common_stride(inputs)
    return Shape(sum(shape.channels for shape in inputs), inputs[0].stride)


def _combine(_: Options, inputs: Sequence[Shape]) -> Shape:
    channels = {shape.channels for shape in inputs}
    if len(channels) != 1:
        raise ModelError(f"Expected layers of one width to be combined; received {channels}.")
    return Shape(inputs[0].channels, _common_stride(inputs))


def _common_stride(inputs: Sequence[Shape]) -> Fraction | None:
    """Return the one stride of layers that meet; single cells (None) go with any."""
    strides = {shape.stride for shape in inputs if shape.stride is not None}
    if len(strides) > 1:
        raise ModelError(
            f"Expected layers of one stride to meet; received {sorted(map(float, strides))}."
        )
    return next(iter(strides), None)


def _pool_all(_: Options, inputs: Sequence[Shape]) -> Shape:
    return Shape(inputs[0].channels, None)


def _flatten(_: Options, inputs: Sequence[Shape]) -> Shape:
    (given,) = inputs
    return given if given.stride is None else Shape(0, None)


def _reshape(options: Options, inputs: Sequence[Shape]) -> Shape:
    (given,) = inputs
    if given.stride is not None or given.channels != options["target_shape"][2]:
        raise ModelError(
            f"Expected a vector to be made one cell of {options['target_shape'][2]} channels; "
            f"received {given.channels}."
        )
    return given


def _become_rgb(_: Options, inputs: Sequence[Shape]) -> Shape:
    return Shape(3, inputs[0].stride)


def _same(_: Options, channels: int) -> int:
    return channels


# --------------------------------------------------------------------------- weights
Weights = dict[str, tuple[int, ...]]


def _bias(options: Options, width: int) -> Weights:
    return {"bias": (width,)} if options["use_bias"] else {}


def _weigh_convolution(options: Options, given: int) -> Weights:
    filters = options["filters"]
    kernel = (*options["kernel_size"], given // options["groups"], filters)
    return {"kernel": kernel, **_bias(options, filters)}


def _weigh_transposed(options: Options, given: int) -> Weights:
    filters = options["filters"]
    return {"kernel": (*options["kernel_size"], filters, given), **_bias(options, filters)}


def _weigh_depthwise(options: Options, given: int) -> Weights:
    factor = options["depth_multiplier"]
    kernel = (*options["kernel_size"], given, factor)
    return {"depthwise_kernel": kernel, **_bias(options, given * factor)}


def _weigh_dense(options: Options, given: int) -> Weights:
    return {"kernel": (given, options["units"]), **_bias(options, options["units"])}


def _weigh_normalization(options: Options, given: int) -> Weights:
    names = [name for name, on in (("gamma", "scale"), ("beta", "center")) if options[on]]
    return dict.fromkeys((*names, "moving_mean", "moving_variance"), (given,))


def _weigh_nothing(_: Options, given: int) -> Weights:
    return {}


# ------------------------------------------------------------------- receptive fields
def _see_kernel(options: Options) -> list[Layer]:
    return [Layer(options["kernel_size"][0], options["strides"][0], options["dilation_rate"][0])]


def _see_pool(options: Options) -> list[Layer]:
    return [Layer(options["pool_size"][0], options["strides"][0])]


def _see_doubling(kernel: int, factor: int) -> list[Layer]:
    """Doublings of the resolution that take the place of one step by a power of two."""
    return [Layer(kernel, 0.5)] * (factor.bit_length() - 1)


def _see_transposed(options: Options) -> list[Layer]:
    return _see_doubling(options["kernel_size"][0], options["strides"][0])


def _see_upsampling(options: Options) -> list[Layer]:
    return _see_doubling(4 if options["interpolation"] == "bilinear" else 2, options["size"][0])


def _see_nothing(_: Options) -> list[Layer]:
    return []


@dataclass(frozen=True)
class LayerKind:
    """One kind of layer.

    Parameters
    ----------
    options : dict
        Its options with their defaults; `REQUIRED` for those that must be given.
    shape : callable
        From its options and the shapes of its inputs to the shape of its output.
    weights : callable
        From its options and the channels of its input to the shapes of its weights by
        the name that Keras gives them, in order.
    sees : callable
        From its options to what it adds to the receptive field.
    many : bool
        Whether it takes several inputs.
    """

    options: dict[str, Any] = field(default_factory=dict)
    shape: Callable[[Options, Sequence[Shape]], Shape] = _keep
    weights: Callable[[Options, int], Weights] = _weigh_nothing
    sees: Callable[[Options], list[Layer]] = _see_nothing
    many: bool = False


REQUIRED = object()
ONE = (1, 1)
_CONVOLUTION = {
    "kernel_size": REQUIRED, "strides": ONE, "padding": "valid", "dilation_rate": ONE,
    "activation": "linear", "use_bias": True,
}  # fmt: skip
_POOLING = {"pool_size": (2, 2), "strides": REQUIRED, "padding": "valid"}

LAYERS: Mapping[str, LayerKind] = {
    "Conv2D": LayerKind(
        {"filters": REQUIRED, "groups": 1, **_CONVOLUTION},
        _coarsen(lambda options, _: options["filters"]), _weigh_convolution, _see_kernel,
    ),
    "Conv2DTranspose": LayerKind(
        {"filters": REQUIRED, **_CONVOLUTION},
        _refine("strides", lambda options, _: options["filters"]),
        _weigh_transposed, _see_transposed,
    ),
    "DepthwiseConv2D": LayerKind(
        {"depth_multiplier": 1, **_CONVOLUTION},
        _coarsen(lambda options, given: given * options["depth_multiplier"]),
        _weigh_depthwise, _see_kernel,
    ),
    "Dense": LayerKind(
        {"units": REQUIRED, "activation": "linear", "use_bias": True},
        lambda options, inputs: Shape(options["units"], inputs[0].stride), _weigh_dense,
    ),
    "BatchNormalization": LayerKind(
        {"axis": -1, "epsilon": 1e-3, "center": True, "scale": True},
        weights=_weigh_normalization,
    ),
    "Activation": LayerKind({"activation": REQUIRED}),
    "ReLU": LayerKind({"max_value": None, "negative_slope": 0.0, "threshold": 0.0}),
    "LeakyReLU": LayerKind({"alpha": 0.3}),
    "Dropout": LayerKind({"rate": REQUIRED}),
    "MaxPooling2D": LayerKind(dict(_POOLING), _coarsen(_same), sees=_see_pool),
    "AveragePooling2D": LayerKind(dict(_POOLING), _coarsen(_same), sees=_see_pool),
    "GlobalMaxPooling2D": LayerKind(shape=_pool_all),
    "GlobalAveragePooling2D": LayerKind(shape=_pool_all),
    "ZeroPadding2D": LayerKind({"border": REQUIRED}),
    "UpSampling2D": LayerKind(
        {"size": (2, 2), "interpolation": "nearest"}, _refine("size", _same),
        sees=_see_upsampling,
    ),
    "Concatenate": LayerKind({"axis": -1}, _join, many=True),
    "Add": LayerKind(shape=_combine, many=True),
    "Multiply": LayerKind(shape=_combine, many=True),
    "Flatten": LayerKind(shape=_flatten),
    "Reshape": LayerKind({"target_shape": REQUIRED}, _reshape),
    "GrayToRgb": LayerKind(shape=_become_rgb),
    "ImageNetInput": LayerKind(shape=_become_rgb),
}  # fmt: skip
"""All that a graph may consist of, by the names of Keras; the last two are our own, for what
SLEAP does to images in front of an encoder that was trained on ImageNet."""


def check_options(kind: str, given: Options, where: str) -> dict[str, Any]:
    """Return all options of a layer, defaults filled in.

    Raises
    ------
    ModelError
        For a layer, an option or a value that is not on the white-list.
    """
    if kind not in LAYERS:
        raise ModelError(
            f"Expected only layers that SLEAP's networks are made of; received {kind!r} as "
            f"{where!r}. Such a model cannot be used here."
        )
    known = LAYERS[kind].options
    options = {**known, **given}
    for name, value in options.items():
        if name not in known or value is REQUIRED or not FORMS[name](value):
            raise ModelError(
                f"Expected a {kind} of Keras for the layer {where!r}; received "
                f"{name}={'nothing' if value is REQUIRED else repr(value)[:80]}. "
                "The model is damaged, or not one of SLEAP."
            )
    return options
