"""Solid parts painted once, at twice the resolution, and drawn at any sub-pixel pose.

A sprite holds its appearance as a linear function of the light direction, so that a
turning part is lit from a fixed side: channels are (base, along, across, coverage), and
the gray level is ``base + light_u * along + light_v * across`` over what lies below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_animalpose.sample.plan import Floats, Shape

__all__ = ["LIGHT", "Canvas", "Sprite", "draw_sprite", "paint_shadow", "paint_sprite", "sample"]

Canvas = NDArray[np.float32]

LIGHT = (-0.42, -0.55, 0.72)  # direction towards the lamp: x right, y down, z to the camera
AMBIENT = 0.42
DIFFUSE = 0.85
SUPERSAMPLING = 2.0  # sprite px per image px
BLUR_PX = 0.5  # standard deviation of the lens blur, image px
_BLUR_SUPPORT_PX = 3.0


@dataclass(frozen=True)
class Sprite:
    """A painted part.

    Attributes
    ----------
    texels : float32, shape (H * W, 4)
        Premultiplied gray levels and coverage, rows by v and columns by u.
    shape : (int, int)
        H and W.
    origin : (float, float)
        (u, v) in texels of the joint's origin.
    density : float
        Texels per body length.
    """

    texels: NDArray[np.float32]
    shape: tuple[int, int]
    origin: tuple[float, float]
    density: float


def _grid(shapes: Sequence[Shape], density: float, margin: float) -> tuple[Floats, Floats]:
    """Return (u, v) in BL of every texel around some shapes, each (H, W)."""
    reach = [max(s.semi) * (1 + abs(s.taper)) + margin / density for s in shapes]
    low = [min(s.center[k] - r for s, r in zip(shapes, reach, strict=True)) for k in (0, 1)]
    high = [max(s.center[k] + r for s, r in zip(shapes, reach, strict=True)) for k in (0, 1)]
    cells = [np.arange(np.floor(low[k] * density), np.ceil(high[k] * density) + 1) for k in (0, 1)]
    v, u = np.meshgrid(cells[1] / density, cells[0] / density, indexing="ij")
    return u, v


def _coverage(level: Floats, density: float) -> Floats:
    """Area of a texel inside a shape, from its implicit function to first order."""
    gv, gu = np.gradient(level, 1 / density)
    distance = (level - 1) / np.maximum(np.hypot(gu, gv), 1e-6)
    return np.asarray(np.clip(0.5 - distance * density, 0, 1))


def _normals(shape: Shape, u: Floats, v: Floats, density: float) -> tuple[Floats, Floats, Floats]:
    """Unit normals of the dome over a shape, in joint coordinates."""
    level = np.minimum(shape.level(u, v), 1.0)
    gv, gu = np.gradient(level**2, 1 / density)
    steep = np.maximum(np.hypot(gu, gv), 1e-9)
    lean = shape.bulge * level
    rise = np.sqrt(np.maximum(1 - level**2, 0)) + 0.35
    norm = np.hypot(lean, rise)
    return lean * gu / steep / norm, lean * gv / steep / norm, rise / norm


def paint_sprite(
    shapes: Sequence[Shape],
    px_per_bl: float,
    tone: float,
    generator: np.random.Generator,
    difference: float,
) -> Sprite:
    """Paint shapes of one joint, the first lowest.

    Parameters
    ----------
    shapes : sequence of Shape
        All on the same joint.
    px_per_bl : float
        Image px per body length.
    tone : float
        Factor on all albedos.
    generator : numpy.random.Generator
        Source of texture.
    difference : float
        How far this animal's pattern may leave the average one.
    """
    density = SUPERSAMPLING * px_per_bl
    margin = _BLUR_SUPPORT_PX * SUPERSAMPLING
    u, v = _grid(shapes, density, margin)
    canvas = np.zeros((*u.shape, 4))
    for shape in shapes:
        coverage = _coverage(shape.level(u, v), density)
        albedo, opacity = np.full(u.shape, shape.albedo), np.ones(u.shape)
        if shape.paint is not None:
            along, across = shape.to_unit(u, v)
            albedo, opacity = shape.paint(along, across, generator, difference)
        nu, nv, nz = _normals(shape, u, v, density)
        gray = 255 * tone * albedo
        layer = np.stack(
            [gray * (AMBIENT + DIFFUSE * LIGHT[2] * nz), gray * nu, gray * nv, np.ones(u.shape)],
            axis=-1,
        )
        alpha = (coverage * opacity)[..., None]
        canvas = canvas * (1 - alpha) + layer * alpha
    blur = BLUR_PX * SUPERSAMPLING
    canvas = ndimage.gaussian_filter(canvas, (blur, blur, 0), mode="constant")
    canvas[[0, -1]] = 0
    canvas[:, [0, -1]] = 0
    origin = (-float(u[0, 0]) * density, -float(v[0, 0]) * density)
    flat = np.ascontiguousarray(canvas.reshape(-1, 4), np.float32)
    return Sprite(flat, (u.shape[0], u.shape[1]), origin, density)


def paint_shadow(shapes: Sequence[Shape], px_per_bl: float, softness: float) -> Sprite:
    """Paint the soft shadow of shapes given in one common frame: coverage in column 0.

    `softness` is the standard deviation of its edge in BL.
    """
    density = 0.5 * px_per_bl
    u, v = _grid(shapes, density, 3.0 * softness * density + 2)
    cover = np.zeros(u.shape)
    for shape in shapes:
        cover = np.maximum(cover, _coverage(shape.level(u, v), density))
    cover = ndimage.gaussian_filter(cover, softness * density, mode="constant")
    cover[[0, -1]] = 0
    cover[:, [0, -1]] = 0
    origin = (-float(u[0, 0]) * density, -float(v[0, 0]) * density)
    flat = np.ascontiguousarray(cover.reshape(-1, 1), np.float32)
    return Sprite(flat, (u.shape[0], u.shape[1]), origin, density)


def sample(
    sprite: Sprite, frame: Sequence[float], stretch: float, size: tuple[int, int]
) -> tuple[tuple[slice, slice], NDArray[np.float32]] | None:
    """Resample a sprite onto the pixels that it touches, bilinearly.

    Parameters
    ----------
    sprite : Sprite
    frame : sequence of 4 floats
        Joint frame: origin x, y and forward axis times px per BL (see `articulate`).
    stretch : float
        Fore-and-aft scale.
    size : (int, int)
        Height and width of the image.

    Returns
    -------
    window : (slice, slice)
        Rows and columns of the image.
    texels : float32, shape (h, w, channels)
        None in place of both where the sprite lies outside the image.
    """
    x0, y0, ax, ay = frame
    height, width = sprite.shape
    u = (-sprite.origin[0] * stretch, (width - 1 - sprite.origin[0]) * stretch)
    v = (-sprite.origin[1], height - 1 - sprite.origin[1])
    ex, ey = ax / sprite.density, ay / sprite.density
    xs = [x0 + a * ex - b * ey for a in u for b in v]
    ys = [y0 + a * ey + b * ex for a in u for b in v]
    left, right = max(int(min(xs)), 0), min(int(max(xs)) + 2, size[1])
    top, bottom = max(int(min(ys)), 0), min(int(max(ys)) + 2, size[0])
    if left >= right or top >= bottom:
        return None
    px = np.arange(left, right, dtype=np.float32) - np.float32(x0)
    py = (np.arange(top, bottom, dtype=np.float32) - np.float32(y0))[:, None]
    norm = sprite.density**2 / (ax * ax + ay * ay)
    ku, kv = norm / stretch, norm
    col = px * np.float32(ex * ku) + (py * np.float32(ey * ku) + np.float32(sprite.origin[0]))
    row = px * np.float32(-ey * kv) + (py * np.float32(ex * kv) + np.float32(sprite.origin[1]))
    for cells, limit in ((col, width - 1.001), (row, height - 1.001)):
        np.maximum(cells, 0, out=cells)
        np.minimum(cells, np.float32(limit), out=cells)
    i, j = row.astype(np.int32), col.astype(np.int32)
    row -= i
    col -= j
    i *= width
    i += j
    texels, fu, fv = sprite.texels, col[..., None], row[..., None]
    # indices are in range by the clipping above; mode="clip" only skips a second check
    a, b = (texels.take(i + step, axis=0, mode="clip") for step in (0, 1))
    c, d = (texels.take(i + step, axis=0, mode="clip") for step in (width, width + 1))
    b -= a
    b *= fu
    a += b
    d -= c
    d *= fu
    c += d
    c -= a
    c *= fv
    a += c
    return (slice(top, bottom), slice(left, right)), a


def draw_sprite(canvas: Canvas, sprite: Sprite, frame: Sequence[float], stretch: float) -> None:
    """Draw a lit sprite over a canvas (H, W) of gray levels, in place."""
    found = sample(sprite, frame, stretch, (canvas.shape[0], canvas.shape[1]))
    if found is None:
        return
    window, texels = found
    ax, ay = frame[2], frame[3]
    norm = DIFFUSE / (ax * ax + ay * ay) ** 0.5
    mix = np.array(
        [1.0, norm * (LIGHT[0] * ax + LIGHT[1] * ay), norm * (LIGHT[1] * ax - LIGHT[0] * ay)],
        np.float32,
    )
    below = canvas[window]
    below *= 1 - texels[..., 3]
    below += texels[..., :3] @ mix
