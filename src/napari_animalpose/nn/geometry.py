"""Where a pixel goes: crop, resize, pad, output stride, affine maps, receptive field.

Training targets and predictions go through the same functions, one forward and one
backward, so a point that a network finds exactly comes back exactly.

Conventions. Points are (x, y) in px with pixel centres at integers, NaN = missing, and
NaN stays NaN through every function. Sizes are (height, width) in px, as in array
shapes. The arithmetic on points takes numpy arrays (results are float64) and device
tensors (results keep the dtype of the tensor) alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FrameTransform",
    "Layer",
    "actual_scale",
    "affine_matrix",
    "compose",
    "crop_corner",
    "crop_points",
    "from_map",
    "invert",
    "jump",
    "map_size",
    "pad_to_multiple",
    "receptive_field",
    "scale_points",
    "scaled_size",
    "to_map",
    "transform_points",
    "uncrop_points",
    "unscale_points",
]

Scale = float | tuple[float, float]
Size = tuple[int, int]


# ---------------------------------------------------------------------------- resizing
def _per_axis(scale: Scale) -> tuple[float, float]:
    """One scale for x and one for y, as Python floats: arrays and tensors accept them."""
    if isinstance(scale, tuple):
        return float(scale[0]), float(scale[1])
    return float(scale), float(scale)


def scale_points(xy: Any, scale: Scale) -> Any:
    """Move points as a resize of their image by `scale` moves them.

    A resize keeps the outer edges of the image: the left edge of pixel 0, at -0.5,
    stays at -0.5. Hence x goes to ``(x + 0.5) * scale - 0.5``.

    Parameters
    ----------
    xy : array, shape (..., 2)
        (x, y) in px.
    scale : float or (float, float)
        New size over old size, the same for both axes or (x, y); see `actual_scale`.

    Returns
    -------
    array, shape (..., 2)
        (x, y) in px of the resized image.
    """
    sx, sy = _per_axis(scale)
    return xy * (sx, sy) + (0.5 * sx - 0.5, 0.5 * sy - 0.5)


def unscale_points(xy: Any, scale: Scale) -> Any:
    """Undo `scale_points`: x goes to ``(x + 0.5) / scale - 0.5``.

    Parameters
    ----------
    xy : array, shape (..., 2)
        (x, y) in px of the resized image.
    scale : float or (float, float)
        The scale that was applied, for both axes or (x, y).

    Returns
    -------
    array, shape (..., 2)
        (x, y) in px of the image before the resize.
    """
    sx, sy = _per_axis(scale)
    return scale_points(xy, (1.0 / sx, 1.0 / sy))


def scaled_size(size: Sequence[int], scale: Scale) -> Size:
    """Return the whole number of pixels of a resized image, at least 1 a side.

    Parameters
    ----------
    size : (int, int)
        (height, width) in px.
    scale : float or (float, float)
        Wanted scale, for both axes or (x, y).

    Returns
    -------
    (int, int)
        (height, width), each rounded to nearest with halves up.
    """
    sx, sy = _per_axis(scale)
    height, width = size
    return max(1, math.floor(height * sy + 0.5)), max(1, math.floor(width * sx + 0.5))


def actual_scale(size: Sequence[int], new_size: Sequence[int]) -> tuple[float, float]:
    """Return the scale (x, y) between two image sizes.

    Sizes are whole numbers, so the scale that a resize really applies differs from the
    wanted one, and between the axes: 0.5 makes 51 px of 101, a scale of 0.50495.

    Parameters
    ----------
    size, new_size : (int, int)
        (height, width) in px before and after.

    Returns
    -------
    (float, float)
        The scale along x and along y: for points, hence in the order of points.
    """
    return new_size[1] / size[1], new_size[0] / size[0]


def pad_to_multiple(size: Sequence[int], multiple: int) -> Size:
    """Return (height, width) in px, each rounded up to a multiple.

    Images are padded at the bottom and on the right, which leaves points where they are.
    """
    height, width = size
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


# ---------------------------------------------------------------------------- cropping
def crop_corner(centre: Any, crop_size: Sequence[int]) -> Any:
    """Return where pixel (0, 0) of a crop around a point lies, fractions kept.

    A crop of c pixels has its middle at pixel (c - 1) / 2, so its corner is at
    ``centre - (c - 1) / 2``.

    Parameters
    ----------
    centre : array, shape (..., 2)
        (x, y) in px.
    crop_size : (int, int)
        (height, width) of the crop in px.

    Returns
    -------
    array, shape (..., 2)
        (x, y) in px of the full image; whole numbers only by chance.
    """
    height, width = crop_size
    return centre - ((width - 1) / 2, (height - 1) / 2)


def crop_points(xy: Any, corner: Any) -> Any:
    """Move points from the image into a crop: ``xy - corner``.

    Parameters
    ----------
    xy : array, shape (..., 2)
        (x, y) in px of the image.
    corner : array, shape (2,) or broadcastable to `xy`
        (x, y) of pixel (0, 0) of the crop, which may be a fraction.

    Returns
    -------
    array, shape (..., 2)
        (x, y) in px of the crop.
    """
    return xy - corner


def uncrop_points(xy: Any, corner: Any) -> Any:
    """Undo `crop_points`: ``xy + corner``, shapes as there."""
    return xy + corner


# ------------------------------------------------------------------------ output stride
def map_size(size: Sequence[int], stride: int) -> Size:
    """Return (height, width) of a map in cells: ``ceil(size / stride)``."""
    height, width = size
    return -(-height // stride), -(-width // stride)


def to_map(xy: Any, stride: int) -> Any:
    """Move points from network input px to map cells: ``xy / stride``.

    Cell i of a map with output stride o stands for input pixel ``i * o``.

    Parameters
    ----------
    xy : array, shape (..., 2)
        (x, y) in px of the network input.
    stride : int
        Output stride in px.

    Returns
    -------
    array, shape (..., 2)
        (x, y) in cells.
    """
    return xy * (1.0 / stride, 1.0 / stride)


def from_map(xy: Any, stride: int) -> Any:
    """Undo `to_map`: ``xy * stride``, shapes as there."""
    return xy * (float(stride), float(stride))


# ------------------------------------------------------------------- the whole way in
@dataclass(frozen=True)
class FrameTransform:
    """The way of a point from a video frame into a network input: crop, resize, pad.

    Build one with `for_frame` or `for_crop`, then give the sizes to whatever moves the
    pixels and the points to `forward` and `inverse`.

    Parameters
    ----------
    corner : (float, float)
        (x, y) of pixel (0, 0) of the crop, px of the frame. (0, 0) without a crop.
    crop_size : (int, int)
        (height, width) of the crop, px of the frame.
    scaled_size : (int, int)
        (height, width) after the resize.
    input_size : (int, int)
        (height, width) after padding at the bottom and on the right.
    """

    corner: tuple[float, float]
    crop_size: Size
    scaled_size: Size
    input_size: Size

    @classmethod
    def for_frame(
        cls, size: Sequence[int], scale: Scale = 1.0, multiple: int = 1
    ) -> FrameTransform:
        """Return the transform of a whole frame.

        Parameters
        ----------
        size : (int, int)
            (height, width) of the frame in px.
        scale : float or (float, float)
            Wanted input scale; the one applied follows from the rounded size.
        multiple : int
            The input is padded up to a multiple of this many px.
        """
        return cls._build((0.0, 0.0), size, scale, multiple)

    @classmethod
    def for_crop(
        cls,
        centre: Sequence[float],
        crop_size: Sequence[int],
        scale: Scale = 1.0,
        multiple: int = 1,
    ) -> FrameTransform:
        """Return the transform of a crop around a point of the frame.

        Parameters
        ----------
        centre : (float, float)
            (x, y) in px of the frame.
        crop_size : (int, int)
            (height, width) in px of the frame.
        scale, multiple
            As in `for_frame`.
        """
        corner = crop_corner(np.asarray(centre, np.float64), crop_size)
        return cls._build((float(corner[0]), float(corner[1])), crop_size, scale, multiple)

    @classmethod
    def _build(
        cls, corner: tuple[float, float], size: Sequence[int], scale: Scale, multiple: int
    ) -> FrameTransform:
        scaled = scaled_size(size, scale)
        return cls(corner, (size[0], size[1]), scaled, pad_to_multiple(scaled, multiple))

    @property
    def scale(self) -> tuple[float, float]:
        """Scale (x, y) that the resize applies."""
        return actual_scale(self.crop_size, self.scaled_size)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The same map as a 2 x 3 matrix for `transform_points`, shape (2, 3)."""
        (sx, sy), (x0, y0) = self.scale, self.corner
        return np.array([[sx, 0.0, (0.5 - x0) * sx - 0.5], [0.0, sy, (0.5 - y0) * sy - 0.5]])

    def forward(self, xy: Any) -> NDArray[np.float64]:
        """Return points of the frame in px of the network input, float64, shape (..., 2)."""
        points = crop_points(np.asarray(xy, np.float64), self.corner)
        return np.asarray(scale_points(points, self.scale))

    def inverse(self, xy: Any) -> NDArray[np.float64]:
        """Return points of the network input in px of the frame, float64, shape (..., 2)."""
        points = unscale_points(np.asarray(xy, np.float64), self.scale)
        return np.asarray(uncrop_points(points, self.corner))


# ------------------------------------------------------------------------- affine maps
# Products are written out element by element: on a GPU matrix products of float32 run
# in TF32 by default, whose 10-bit mantissa moves a point at x = 1000 by half a pixel.
def affine_matrix(
    centre: Any,
    *,
    rotation_rad: Any = 0.0,
    scale: Any = 1.0,
    translation: Any = (0.0, 0.0),
    flip_x: Any = False,
    flip_y: Any = False,
    xp: Any = np,
) -> Any:
    """Return the map that flips, scales and turns about a centre, then shifts.

    ``x' = centre + translation + scale * R(rotation) @ F @ (x - centre)``

    Parameters
    ----------
    centre : array, shape (..., 2)
        (x, y) in px that stays in place but for the translation. The middle of an image
        of (H, W) is ((W - 1) / 2, (H - 1) / 2).
    rotation_rad : array, shape (...)
        Angle that turns the x axis towards the y axis: clockwise on a screen.
    scale : array, shape (...)
        Magnification.
    translation : array, shape (..., 2)
        (x, y) in px.
    flip_x, flip_y : array of bool, shape (...)
        Mirror left-right, up-down (before the rotation).
    xp : module
        `numpy` or `keras.ops`.

    Returns
    -------
    array, shape (..., 2, 3)
        Matrix for column vectors (x, y, 1).
    """
    (cx, cy), (tx, ty) = _split(centre), _split(translation)
    cosine, sine = scale * xp.cos(rotation_rad), scale * xp.sin(rotation_rad)
    sign_x, sign_y = xp.where(flip_x, -1.0, 1.0), xp.where(flip_y, -1.0, 1.0)
    a, b = cosine * sign_x, -sine * sign_y
    c, d = sine * sign_x, cosine * sign_y
    x0 = cx + tx - a * cx - b * cy
    y0 = cy + ty - c * cx - d * cy
    zero = 0.0 * (x0 + y0)  # has the shape to which everything broadcasts
    rows = [
        xp.stack([a + zero, b + zero, x0 + zero], axis=-1),
        xp.stack([c + zero, d + zero, y0 + zero], axis=-1),
    ]
    return xp.stack(rows, axis=-2)


def _split(point: Any) -> tuple[Any, Any]:
    """x and y of a pair of numbers or of an array (..., 2)."""
    return point if isinstance(point, tuple) else (point[..., 0], point[..., 1])


def transform_points(matrix: Any, xy: Any, xp: Any = np) -> Any:
    """Apply affine maps to points.

    Parameters
    ----------
    matrix : array, shape (2, 3) or (..., 2, 3)
        One map, or one for each set of points.
    xy : array, shape (..., N, 2)
        (x, y) in px; a point with a NaN becomes NaN in both.
    xp : module
        `numpy` or `keras.ops`.

    Returns
    -------
    array, shape (..., N, 2)
    """
    x, y = xy[..., 0], xy[..., 1]
    rows = [
        matrix[..., i, 0, None] * x + matrix[..., i, 1, None] * y + matrix[..., i, 2, None]
        for i in (0, 1)
    ]
    return xp.stack(rows, axis=-1)


def compose(second: Any, first: Any, xp: Any = np) -> Any:
    """Return the affine map that applies `first` and then `second`.

    Parameters
    ----------
    second, first : array, shape (..., 2, 3)
        Of one shape.
    xp : module
        `numpy` or `keras.ops`.

    Returns
    -------
    array, shape (..., 2, 3)
    """
    linear = second[..., :, 0:1] * first[..., 0:1, :] + second[..., :, 1:2] * first[..., 1:2, :]
    shift = second[..., :, 2:3]
    return linear + xp.concatenate([xp.zeros_like(second[..., :, :2]), shift], axis=-1)


def invert(matrix: Any, xp: Any = np) -> Any:
    """Return the affine map that undoes another, shapes (..., 2, 3).

    A map with scale 0 has no inverse: its result is not finite.
    """
    a, b, x0 = (matrix[..., 0, i] for i in range(3))
    c, d, y0 = (matrix[..., 1, i] for i in range(3))
    determinant = a * d - b * c
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    rows = [
        xp.stack([a, b, -a * x0 - b * y0], axis=-1),
        xp.stack([c, d, -c * x0 - d * y0], axis=-1),
    ]
    return xp.stack(rows, axis=-2)


# ---------------------------------------------------------------------- receptive field
class Layer(NamedTuple):
    """A convolution or pooling: what it means for the receptive field, in its own cells.

    A stride of 0.5 doubles the resolution: a transposed convolution of stride 2, whose
    kernel counts cells of its output. Bilinear doubling is one with a kernel of 4.
    """

    kernel: int
    stride: float = 1
    dilation: int = 1


def jump(layers: Iterable[Layer]) -> float:
    """Return the distance in input px between neighbouring cells after all layers."""
    return math.prod(layer.stride for layer in layers)


def receptive_field(layers: Iterable[Layer]) -> int:
    """Return the width in input px that one cell after all layers depends on.

    From the output, where r = 1, back to the input: through a layer of kernel k, stride s
    and dilation d, r cells need ``(r - 1) * s + (k - 1) * d + 1`` (Araujo, Norris and Sim,
    "Computing receptive fields of convolutional neural networks", Distill 2019). Through
    a doubling of the resolution they need ``floor((r + k) / 2)``, where they start at an
    even cell, and at times one less otherwise: the result is that of the cell with most.

    Parameters
    ----------
    layers : iterable of Layer
        From the input to the output, along the path with the largest result.
    """
    width = 1
    for layer in reversed(list(layers)):
        if layer.stride == 0.5:
            width = (width + layer.kernel) // 2
        else:
            width = int((width - 1) * layer.stride) + (layer.kernel - 1) * layer.dilation + 1
    return width
