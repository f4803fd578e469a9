"""Draw a frame: floor, and for every animal from the lowest up its shadow and its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.sample.articulate import BodyState, articulate
from napari_animalpose.sample.capsules import capsule_coverage, draw_capsule, shade_capsule
from napari_animalpose.sample.config import SampleConfig
from napari_animalpose.sample.floor import FLAT_GRAY, NoisePool, paint_floor
from napari_animalpose.sample.plan import Bone, Floats, Shape, Species
from napari_animalpose.sample.sprites import (
    AMBIENT,
    DIFFUSE,
    LIGHT,
    Canvas,
    Sprite,
    draw_sprite,
    paint_shadow,
    paint_sprite,
    sample,
)

__all__ = ["Coat", "Renderer"]

_SHADOW_DEPTH = 0.42
_SHADOW_SOFTNESS_BL = 0.035
_BODY_HEIGHT_BL = 0.10  # height from which the body throws its shadow
_LEG_SHADOW_DEPTH = 0.22
_TILT = (-LIGHT[0] / LIGHT[2], -LIGHT[1] / LIGHT[2])  # shadow offset per height


@dataclass(frozen=True)
class Coat:
    """What one animal looks like: painted parts in the order of drawing."""

    tone: float
    parts: tuple[tuple[int, Sprite, tuple[Shape, ...]], ...]  # joint, sprite, its shapes
    shadow: Sprite


class Renderer:
    """Draws frames of one sample from body states.

    Parameters
    ----------
    species : Species
    config : SampleConfig
    scale : float64, shape (A,)
        px per body length of every animal.
    tone : float64, shape (A,)
        Factor on the brightness of every animal.
    """

    def __init__(self, species: Species, config: SampleConfig, scale: Floats, tone: Floats) -> None:
        self.species, self.config, self.scale = species, config, scale
        self.coats = [
            self._make_coat(number, float(scale[number]), float(tone[number]))
            for number in range(config.n_animals)
        ]
        flat = np.full(config.size, FLAT_GRAY, np.float32)
        texture = np.random.default_rng([config.seed, 1])
        self.floor: Canvas = paint_floor(config.size, texture) if config.floor else flat
        self.noise = NoisePool(config.size, config.noise_sd, config.seed)

    def _make_coat(self, number: int, scale: float, tone: float) -> Coat:
        species, difference = self.species, self.config.individual_differences
        pattern = number if difference else 0
        generator = np.random.default_rng([self.config.seed, 2, pattern])
        groups: list[list[Shape]] = []
        shapes = species.coat_shapes(number, self.config.markings)
        for shape in shapes:  # neighbours in drawing order on one joint: one sprite
            if groups and groups[-1][0].joint == shape.joint:
                groups[-1].append(shape)
            else:
                groups.append([shape])
        parts = tuple(
            (
                species.joint_number[group[0].joint],
                paint_sprite(group, scale, tone, generator, difference),
                tuple(shape for shape in group if shape.gloss),
            )
            for group in groups
        )
        at_rest = [
            _moved(shape, species.joints[species.joint_number[shape.joint]].pivot)
            for shape in species.shapes
            if shape.opaque
        ]
        return Coat(tone, parts, paint_shadow(at_rest, scale, _SHADOW_SOFTNESS_BL))

    # ------------------------------------------------------------------------ drawing
    def draw(self, state: BodyState, index: int) -> NDArray[np.uint8]:
        """Draw frame `index` from the state (A, ...) of its animals.

        Returns
        -------
        uint8, shape (H, W, 1)
        """
        canvas = self.draw_clean(state)
        if self.config.noise_sd:
            canvas += self.noise.at(index)
        canvas += np.float32(0.5)
        np.maximum(canvas, 0, out=canvas)
        np.minimum(canvas, 255, out=canvas)
        return canvas.astype(np.uint8)[..., None]

    def draw_clean(self, state: BodyState) -> Canvas:
        """Draw without noise and rounding: float32 gray levels, shape (H, W)."""
        canvas = self.floor.copy()
        frames, vertices = articulate(self.species, state)
        for number, coat in enumerate(self.coats):
            joints, points = frames[number].tolist(), vertices[number].tolist()
            stretch = float(state.stretch[number])
            if self.config.floor:
                self._draw_shadow(canvas, coat, joints[0], points, stretch, number)
            self._draw_animal(canvas, coat, joints, points, stretch, number)
        return canvas

    def _draw_shadow(
        self,
        canvas: Canvas,
        coat: Coat,
        body: list[float],
        points: list[list[float]],
        stretch: float,
        number: int,
    ) -> None:
        scale = float(self.scale[number])
        shift = [_TILT[k] * _BODY_HEIGHT_BL * scale for k in (0, 1)]
        frame = (body[0] + shift[0], body[1] + shift[1], body[2], body[3])
        found = sample(coat.shadow, frame, stretch, self.config.size)
        if found is not None:
            window, cover = found
            canvas[window] *= 1 - np.float32(_SHADOW_DEPTH) * cover[..., 0]
        for bone in self.species.bones:
            (x0, y0), (x1, y1) = points[bone.start], points[bone.stop]
            a, b = (lift * scale for lift in bone.lift)
            ends = (x0 + a * _TILT[0], y0 + a * _TILT[1], x1 + b * _TILT[0], y1 + b * _TILT[1])
            soft = 1.5 + 0.02 * scale
            shade_capsule(canvas, ends, _radii(bone, scale), _LEG_SHADOW_DEPTH, soft)

    def _draw_animal(
        self,
        canvas: Canvas,
        coat: Coat,
        joints: list[list[float]],
        points: list[list[float]],
        stretch: float,
        number: int,
    ) -> None:
        scale = float(self.scale[number])
        lit = 255 * coat.tone * (AMBIENT + DIFFUSE * LIGHT[2])
        for bone in self.species.bones:
            (x0, y0), (x1, y1) = points[bone.start], points[bone.stop]
            draw_capsule(canvas, (x0, y0, x1, y1), _radii(bone, scale), lit * bone.albedo)
        for joint, sprite, glossy in coat.parts:
            draw_sprite(canvas, sprite, joints[joint], stretch)
            for shape in glossy:
                _add_highlight(canvas, shape, joints[joint], stretch, scale)

    # ------------------------------------------------------------------------- proof
    def part_mask(self, state: BodyState, animal: int, part: str) -> NDArray[np.float32]:
        """Return how much of every pixel one shape or bone covers, hidden or not.

        Drawn by the code that draws the frames, so that ground truth can be checked
        against it.

        Parameters
        ----------
        state : BodyState
            Of one frame, leading axis A.
        animal : int
        part : str
            Name of a shape or bone of the species.

        Returns
        -------
        float32, shape (H, W)
            0 outside to 1 inside.
        """
        mask = np.zeros(self.config.size, np.float32)
        frames, vertices = articulate(self.species, state)
        scale = float(self.scale[animal])
        for bone in self.species.bones:
            if bone.name == part:
                ends = (*vertices[animal, bone.start], *vertices[animal, bone.stop])
                found = capsule_coverage(self.config.size, ends, _radii(bone, scale))
                if found is not None:
                    mask[found[0]] = found[1]
                return mask
        (shape,) = (shape for shape in self.species.shapes if shape.name == part)
        sprite = paint_sprite([shape], scale, 1.0, np.random.default_rng(0), 0.0)
        frame = frames[animal, self.species.joint_number[shape.joint]].tolist()
        found_texels = sample(sprite, frame, float(state.stretch[animal]), self.config.size)
        if found_texels is not None:
            mask[found_texels[0]] = found_texels[1][..., 3]
        return mask


def _moved(shape: Shape, by: tuple[float, float]) -> Shape:
    """Return a shape of a joint that is not turned, in body coordinates."""
    center = (shape.center[0] + by[0], shape.center[1] + by[1])
    return Shape(shape.name, "body", center, shape.semi, shape.angle, shape.taper)


def _radii(bone: Bone, scale: float) -> tuple[float, float]:
    return bone.radii[0] * scale, bone.radii[1] * scale


def _add_highlight(
    canvas: Canvas, shape: Shape, frame: list[float], stretch: float, scale: float
) -> None:
    """Add the lamp's reflection, a soft spot on the side of the shape towards the light."""
    u, v = shape.center[0] * stretch, shape.center[1]
    sigma = max(0.26 * min(shape.semi) * scale, 0.6)
    lean = 0.42 * min(shape.semi) * scale
    x = frame[0] + u * frame[2] - v * frame[3] + lean * LIGHT[0]
    y = frame[1] + u * frame[3] + v * frame[2] + lean * LIGHT[1]
    reach = int(2.6 * sigma) + 1
    left, right = max(int(x) - reach, 0), min(int(x) + reach + 2, canvas.shape[1])
    top, bottom = max(int(y) - reach, 0), min(int(y) + reach + 2, canvas.shape[0])
    if left >= right or top >= bottom:
        return
    across = np.exp(-0.5 * ((np.arange(left, right) - x) / sigma) ** 2)
    down = np.exp(-0.5 * ((np.arange(top, bottom) - y) / sigma) ** 2)
    canvas[top:bottom, left:right] += np.outer(shape.gloss * down, across).astype(np.float32)
