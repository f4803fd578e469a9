"""Anti-aliased dots, rings, lines and text on uint8 RGB images, with numpy alone.

A shape covers a pixel by ``clip(half_width + 0.5 - distance, 0, 1)``, where the distance
runs from the pixel's centre to the middle of the line or dot: the box-filtered edge of
the shape, exact for straight edges. Only the pixels near a shape are touched, so that
the cost follows what is drawn and not the size of the image. Coordinates are (x, y) in
px with pixel centres at integers; NaN draws nothing; what lies outside is clipped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

__all__ = ["Anchor", "draw_dots", "draw_lines", "draw_path", "draw_text"]

_SMALL_RADIUS = 2.5  # px; above it the distance rule keeps the centroid within 0.03 px
Anchor = Literal["left", "center", "right"]
Image = NDArray[np.uint8]


def _blend(image: Image, top: int, left: int, alpha: NDArray[Any], paint: NDArray[Any]) -> None:
    """Mix `paint` (h, w, 3) or (3,) into a patch by `alpha` (h, w), clipped to the image."""
    height, width = alpha.shape
    y0, y1 = max(top, 0), min(top + height, image.shape[0])
    x0, x1 = max(left, 0), min(left + width, image.shape[1])
    if y0 >= y1 or x0 >= x1:
        return
    inside = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    weight = alpha[inside][..., None]
    colors = paint[inside] if paint.ndim == 3 else paint
    patch = image[y0:y1, x0:x1]
    patch[...] = patch + weight * (colors - patch) + np.float32(0.5)


def _as_points(xy: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(xy, np.float64).reshape(-1, 2)


def _as_colors(colors: ArrayLike, n: int) -> NDArray[np.float32]:
    return np.broadcast_to(np.asarray(colors, np.float32), (n, 3))


def draw_dots(
    image: Image,
    xy: ArrayLike,
    radius: float,
    colors: ArrayLike,
    *,
    rim_colors: ArrayLike = (0, 0, 0),
    rim_width: float = 0.0,
    hollow: ArrayLike = False,
    opacity: ArrayLike = 1.0,
) -> None:
    """Draw filled dots or rings in place.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        Changed in place.
    xy : array_like of float, shape (n, 2)
        Centres in px; NaN = not drawn.
    radius : float
        Radius of the coloured disk in px.
    colors, rim_colors : array_like, shape (n, 3) or (3,)
        RGB from 0 to 255 of the disks and of the rims around them.
    rim_width : float
        Width in px of a rim outside the disk; 0 = none.
    hollow : array_like of bool, shape (n,) or scalar
        Draw the outer third of the disk alone, at least 1 px wide, without a rim.
    opacity : array_like of float, shape (n,) or scalar
        From 0 (invisible) to 1.
    """
    points = _as_points(xy)
    n = len(points)
    reach = int(np.ceil(radius + rim_width + 1.0))
    height, width = image.shape[:2]
    low, high = -reach - 1.0, np.array([width + reach, height + reach], float)
    (shown,) = np.nonzero(((points > low) & (points < high)).all(axis=1))  # NaN fails
    if not len(shown):
        return
    points = points[shown]
    fill = _as_colors(colors, n)[shown]
    rim = _as_colors(rim_colors, n)[shown]
    is_ring = np.broadcast_to(np.asarray(hollow, bool), n)[shown]
    strength = np.broadcast_to(np.asarray(opacity, np.float32), n)[shown]
    corners = np.rint(points).astype(int) - reach
    inner, outer = _dot_coverage(points - corners, reach, radius, rim_width, is_ring)
    paint = _mix(inner, outer, fill, rim)
    outer *= strength[:, None, None]
    for (left, top), alpha, patch in zip(corners.tolist(), outer, paint, strict=True):
        _blend(image, top, left, alpha, patch)


def _dot_coverage(
    centers: NDArray[np.float64],
    reach: int,
    radius: float,
    rim_width: float,
    is_ring: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coverage by the colour and by the whole shape, (n, p, p) each, p = 2 reach + 1."""
    # The distance rule is good where the edge is nearly straight within a pixel; the edge
    # of a small dot is not, so it is drawn four times finer and averaged.
    fine = 4 if radius < _SMALL_RADIUS else 1
    size = 2 * reach + 1
    steps = ((np.arange(size * fine) + 0.5) / fine - 0.5).astype(np.float32)
    dx = steps[None, None, :] - centers[:, 0, None, None].astype(np.float32)
    dy = steps[None, :, None] - centers[:, 1, None, None].astype(np.float32)
    distance = np.sqrt(dx * dx + dy * dy)

    def disk(disk_radius: float) -> NDArray[np.float32]:
        coverage = np.clip((disk_radius - distance) * fine + 0.5, 0.0, 1.0).astype(np.float32)
        if fine == 1:
            return coverage
        return np.asarray(coverage.reshape(-1, size, fine, size, fine).mean(axis=(2, 4)))

    inner, outer = disk(radius), disk(radius + rim_width)
    if is_ring.any():
        hole = disk(max(radius - max(radius / 3.0, 1.0), 0.0))
        inner[is_ring] -= hole[is_ring]
        outer[is_ring] = inner[is_ring]
    return inner, outer


def _mix(
    inner: NDArray[np.float32],
    outer: NDArray[np.float32],
    fill: NDArray[np.float32],
    rim: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Colour of each pixel of each dot (n, p, p, 3): fill inside, rim around."""
    share = np.divide(inner, outer, out=np.zeros_like(inner), where=outer > 0)[..., None]
    return np.asarray(rim[:, None, None] + share * (fill - rim)[:, None, None])


def draw_lines(
    image: Image,
    starts: ArrayLike,
    ends: ArrayLike,
    width: float,
    colors: ArrayLike,
    *,
    taper: bool = False,
    opacity: ArrayLike = 1.0,
) -> None:
    """Draw straight lines with round ends in place.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        Changed in place.
    starts, ends : array_like of float, shape (n, 2)
        End points in px; a line with a NaN is not drawn.
    width : float
        Width in px.
    colors : array_like, shape (n, 3) or (3,)
        RGB from 0 to 255.
    taper : bool
        Draw wedges: twice the width at the start, a point at the end.
    opacity : array_like of float, shape (n,) or scalar
    """
    begin, finish = _as_points(starts), _as_points(ends)
    paint = _as_colors(colors, len(begin))
    strength = np.broadcast_to(np.asarray(opacity, np.float32), len(begin))
    radii = (width, 0.0) if taper else (width / 2.0, width / 2.0)
    for a, b, color, weight in zip(begin, finish, paint, strength, strict=True):
        rows, columns, coverage = _cover_segment(a, b, radii, image.shape)
        if len(rows):
            pixels = image[rows, columns]
            alpha = (coverage * weight)[:, None]
            image[rows, columns] = pixels + alpha * (color - pixels) + np.float32(0.5)


def draw_path(
    image: Image, xy: ArrayLike, width: float, color: ArrayLike, opacity: ArrayLike = 1.0
) -> None:
    """Draw a line through points in place, broken where a point is NaN.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        Changed in place.
    xy : array_like of float, shape (n, 2)
    width : float
        In px.
    color : array_like, shape (3,)
        RGB from 0 to 255.
    opacity : array_like of float, shape (n,) or scalar
        Of the piece that ends at each point; pieces that overlap do not add up.
    """
    points = _as_points(xy)
    strength = np.broadcast_to(np.asarray(opacity, np.float32), len(points))
    pieces = [
        (*_cover_segment(a, b, (width / 2.0, width / 2.0), image.shape), weight)
        for a, b, weight in zip(points[:-1], points[1:], strength[1:], strict=True)
    ]
    pieces = [piece for piece in pieces if len(piece[0])]
    if not pieces:
        return
    top, left = (min(int(piece[axis].min()) for piece in pieces) for axis in (0, 1))
    bottom, right = (max(int(piece[axis].max()) for piece in pieces) for axis in (0, 1))
    alpha = np.zeros((bottom - top + 1, right - left + 1), np.float32)
    for rows, columns, coverage, weight in pieces:
        at = rows - top, columns - left
        alpha[at] = np.maximum(alpha[at], coverage * weight)
    _blend(image, top, left, alpha, np.asarray(color, np.float32))


_Cover = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]
_NOTHING: _Cover = (np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0, np.float32))


def _cover_segment(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    radii: tuple[float, float],
    shape: tuple[int, ...],
) -> _Cover:
    """Rows, columns and coverage of the pixels under a segment, each pixel once.

    Walks along the longer axis and looks, at each step, at a short band across it.
    """
    if not (np.isfinite(start).all() and np.isfinite(end).all()):
        return _NOTHING
    along = int(abs(end[1] - start[1]) > abs(end[0] - start[0]))  # 0: x is the longer axis
    across = 1 - along
    delta = end - start
    reach = max(radii) + 1.0
    limit = (shape[1], shape[0])
    first = max(int(np.floor(min(start[along], end[along]) - reach)), 0)
    last = min(int(np.ceil(max(start[along], end[along]) + reach)), limit[along] - 1)
    if first > last:
        return _NOTHING
    slope = delta[across] / delta[along] if delta[along] else 0.0
    # The band's half-height: across a line of slope <= 1, reach lengthens by at most 2**.5,
    # and round ends stay within it.
    half = int(np.ceil(reach * np.sqrt(1.0 + slope * slope))) + 1
    major = np.arange(first, last + 1)
    near = np.clip(major, *sorted((start[along], end[along]))) - start[along]
    middle = np.clip(start[across] + slope * near, -half - 1.0, limit[across] + half + 1.0)
    minor = np.rint(middle).astype(int)[:, None] + np.arange(-half, half + 1)
    coverage = _capsule_coverage(
        major[:, None] - start[along], minor - start[across], delta[along], delta[across], radii
    )
    keep = (coverage > 0) & (minor >= 0) & (minor < limit[across])
    majors = np.broadcast_to(major[:, None], minor.shape)[keep]
    places = (minor[keep], majors) if along == 0 else (majors, minor[keep])
    return (*places, coverage[keep])


def _capsule_coverage(
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    length_u: float,
    length_v: float,
    radii: tuple[float, float],
) -> NDArray[np.float32]:
    """Coverage of pixels (u, v) by the segment from (0, 0) to (length_u, length_v)."""
    squared = length_u * length_u + length_v * length_v
    t = np.clip((u * length_u + v * length_v) / squared, 0.0, 1.0) if squared else np.zeros(())
    du, dv = u - t * length_u, v - t * length_v
    radius = radii[0] + t * (radii[1] - radii[0])
    return np.clip(radius + 0.5 - np.sqrt(du * du + dv * dv), 0.0, 1.0).astype(np.float32)


@lru_cache(maxsize=16)
def _load_font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


@lru_cache(maxsize=1024)
def _text_masks(text: str, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coverage of the letters and of a dark halo around them, (h, w) each, from 0 to 1."""
    from PIL import Image, ImageDraw

    font = _load_font(size)
    left, _, right, _ = font.getbbox(text)
    ascent_to_descent = font.getbbox("Agjpqy|")
    margin = 2
    width = int(np.ceil(right - left)) + 2 * margin
    height = int(np.ceil(ascent_to_descent[3])) + 2 * margin
    canvas = Image.new("L", (width, height), 0)
    ImageDraw.Draw(canvas).text((margin - left, margin), text, fill=255, font=font)
    letters = np.asarray(canvas, np.float32) / 255.0
    padded = np.pad(letters, 1)
    shifts = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return letters, np.max(shifts, axis=0)


def draw_text(
    image: Image,
    text: str,
    xy: tuple[float, float],
    size: int,
    color: ArrayLike = (255, 255, 255),
    *,
    anchor: Anchor = "left",
    halo: float = 0.75,
) -> None:
    """Write one line of text in place, with a dark halo that keeps it readable.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        Changed in place.
    text : str
        One line.
    xy : (float, float)
        Left end, middle or right end of the line, halfway up; NaN = not drawn.
    size : int
        Height of the font in px.
    color : array_like, shape (3,)
        RGB from 0 to 255.
    anchor : {"left", "center", "right"}
        Which part of the text `xy` is.
    halo : float
        Opacity of the halo, 0 = none.
    """
    if not (text and np.isfinite(xy).all()):
        return
    letters, around = _text_masks(text, size)
    shift = {"left": 0.0, "center": 0.5, "right": 1.0}[anchor]
    height, width = letters.shape
    limit = 1e6  # keeps far-away positions within integers; the patch is clipped anyway
    left = round(float(np.clip(xy[0], -limit, limit)) - shift * width)
    top = round(float(np.clip(xy[1], -limit, limit)) - height / 2)
    _blend(image, top, left, around * np.float32(halo), np.zeros(3, np.float32))
    _blend(image, top, left, letters, np.asarray(color, np.float32))
