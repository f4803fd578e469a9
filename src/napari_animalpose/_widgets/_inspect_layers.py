"""The layers of an inspection: maps, fields, connections, crops and peaks of one frame."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from napari.utils.colormaps import Colormap
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_animalpose._widgets._frame_layers import Points, Vectors
from napari_animalpose._widgets._inspect_arrays import (
    Choice,
    Lines,
    Picture,
    draw_connections,
    draw_crops,
    draw_fields,
    draw_maps,
    draw_peaks,
)
from napari_animalpose.nn.inspection import Inspection

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["KINDS", "InspectLayers"]

KINDS = {
    "maps": "confidence maps",
    "fields": "part affinity fields",
    "crops": "crops",
    "connections": "connections",
    "peaks": "peaks",
}
"""Kinds of layers with their names, from the lowest to the highest."""

_METADATA = "napari_animalpose"
_ROLE = "inspection"
_NO_LINES = Lines(np.zeros((0, 2, 2), np.float32), np.zeros((0, 4), np.float32))


class InspectLayers(QObject):
    """Draws one inspection over the video.

    Layers are made when there is first something for them to show and filled anew after
    that; between a step and the answer for it they are empty. A layer that is hidden is
    filled when it can be seen again.

    Attributes
    ----------
    shown_changed : Signal(str, bool)
        A person has hidden, shown or deleted a layer of this kind in napari's list.
    """

    shown_changed = Signal(str, bool)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._layers: dict[str, list[Any]] = {kind: [] for kind in KINDS}
        self._is_wanted = dict.fromkeys(KINDS, True)
        self._inspection: Inspection | None = None
        self._choice = Choice()
        self._opacity = 0.8
        self._busy = 0
        self._is_listening = False

    # --------------------------------------------------------------------------- asking
    @property
    def inspection(self) -> Inspection | None:
        """What is drawn; None while nothing is."""
        return self._inspection

    def layers(self, kind: str) -> list[Any]:
        """The layers of a kind, of which only the maps of crops have many."""
        return list(self._layers[kind])

    # ------------------------------------------------------------------------- drawing
    def show(self, inspection: Inspection, choice: Choice) -> None:
        """Draw an inspection."""
        before = self._choice if inspection is self._inspection else None
        self._inspection, self._choice = inspection, choice
        for kind in KINDS if before is None else _touched(before, choice):
            self._fill(kind)

    def clear(self) -> None:
        """Draw nothing; the layers stay."""
        if self._inspection is None:
            return
        self._inspection = None
        with self._working():
            for kind in KINDS:
                for layer in self._layers[kind]:
                    if layer.visible:
                        _empty(layer)

    def close(self) -> None:
        """Remove the layers."""
        self._inspection = None
        for kind in KINDS:
            self._remove(kind)
        if self._is_listening:
            self._session.viewer.layers.events.removed.disconnect(self._on_removed)
            self._is_listening = False

    def set_wanted(self, kind: str, is_wanted: bool) -> None:
        """Show or hide the layers of a kind; those that were deleted are made again."""
        self._is_wanted[kind] = is_wanted
        with self._working():
            for layer in self._layers[kind]:
                layer.visible = is_wanted
                if is_wanted and self._inspection is None:
                    _empty(layer)  # it may hold a frame from before it was hidden
        self._fill(kind)

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity of the maps, 0 to 1."""
        self._opacity = opacity
        for layer in self._layers["maps"]:
            layer.opacity = opacity

    def _fill(self, kind: str) -> None:
        inspection = self._inspection
        if inspection is None or not self._is_wanted[kind]:
            return
        with self._working():
            match kind:
                case "maps":
                    self._fill_maps(draw_maps(inspection, self._choice))
                case "fields":
                    self._fill_lines(kind, draw_fields(inspection, self._choice))
                case "connections":
                    self._fill_lines(kind, draw_connections(inspection, self._choice))
                case "crops":
                    self._fill_lines(kind, draw_crops(inspection, self._choice))
                case _:
                    self._fill_peaks(inspection)

    def _fill_maps(self, pictures: list[Picture]) -> None:
        """Fill one layer for each picture; layers that are left over are emptied."""
        layers = self._layers["maps"]
        if pictures and any(layer.rgb != pictures[0].is_colored for layer in layers):
            self._remove("maps")  # whether an image has colours is settled when it is made
            layers = self._layers["maps"]
        for number, picture in enumerate(pictures):
            if number == len(layers):
                self._add("maps", _make_map(picture, number, self._opacity))
            else:
                _fill_map(layers[number], picture)
        for layer in layers[len(pictures) :]:
            _empty(layer)

    def _fill_lines(self, kind: str, lines: Lines) -> None:
        layers = self._layers[kind]
        if not layers:
            if not len(lines.vectors):
                return
            self._add(kind, _make_vectors(kind))
        [layer] = self._layers[kind]
        with layer.events.data.blocker():
            layer.data = lines.vectors
        if len(lines.vectors):
            layer.edge_color = lines.colors
        width = self._line_width(kind)
        if layer.edge_width != width:
            layer.edge_width = width
        layer.draw_thumbnail()

    def _line_width(self, kind: str) -> float:
        """Width in px of the image, as animals are large."""
        point_px = self._session.canvas.style.point_px
        if kind == "fields" and self._inspection is not None:
            fields = self._inspection.fields
            return 0.16 * self._choice.stride_cells * fields.grid.scale if fields else 1.0
        return max(0.4, (0.13 if kind == "connections" else 0.1) * point_px)

    def _fill_peaks(self, inspection: Inspection) -> None:
        marks = draw_peaks(inspection, self._choice)
        if not self._layers["peaks"]:
            if not len(marks.rows):
                return
            self._add("peaks", _make_peaks())
        [layer] = self._layers["peaks"]
        with _quiet(layer, ("data", "set_data", "size", "current_size", "symbol", "face_color")):
            layer.data = marks.yx
            if len(marks.rows):
                layer.size = marks.size * self._session.canvas.style.point_px
                layer.symbol = marks.symbol
                layer.face_color = marks.face
        if len(marks.rows):
            layer.border_color = marks.border  # draws all of it at once
        else:
            layer.refresh()
        layer.features = marks.features
        layer.draw_thumbnail()

    # ------------------------------------------------------------------ coming and going
    def _add(self, kind: str, layer: Layer) -> None:
        """Add a layer in its place, and leave the one that a person works on active."""
        viewer = self._session.viewer
        if not self._is_listening:
            viewer.layers.events.removed.connect(self._on_removed)
            self._is_listening = True
        chosen = viewer.layers.selection.active
        with self._working():
            viewer.layers.insert(self._place_of(kind), layer)
            if chosen is not None:
                viewer.layers.selection.active = chosen
        self._layers[kind].append(layer)
        layer.events.visible.connect(self._on_visible)

    def _place_of(self, kind: str) -> int:
        """Maps and fields lie right above the video, below the instances; the rest on top."""
        layers = self._session.viewer.layers
        if kind not in ("maps", "fields"):
            order = list(KINDS)
            above = [
                layers.index(layer)
                for later in order[order.index(kind) + 1 :]
                for layer in self._layers[later]
            ]
            return min(above, default=len(layers))
        below = [self._session.canvas.image, *self._layers["maps"]]
        below += self._layers["fields"] if kind == "fields" else []
        return max((layers.index(each) + 1 for each in below if each in layers), default=0)

    def _remove(self, kind: str) -> None:
        viewer = self._session.viewer
        layers, self._layers[kind] = self._layers[kind], []
        with self._working():
            for layer in layers:
                if layer in viewer.layers:
                    chosen = viewer.layers.selection.active
                    viewer.layers.remove(layer)
                    if chosen is not layer and chosen is not None:
                        viewer.layers.selection.active = chosen

    def _on_removed(self, event: Any) -> None:
        """Forget a layer that a person deleted, and make no other in its place."""
        if self._busy:
            return
        for kind, layers in self._layers.items():
            if any(layer is event.value for layer in layers):
                layers[:] = [layer for layer in layers if layer is not event.value]
                self._is_wanted[kind] = False
                self._remove(kind)
                self.shown_changed.emit(kind, False)

    def _on_visible(self, event: Any) -> None:
        if self._busy:
            return
        for kind, layers in self._layers.items():
            if any(layer is event.source for layer in layers):
                is_shown = bool(event.source.visible)
                self.set_wanted(kind, is_shown)
                self.shown_changed.emit(kind, is_shown)

    @contextmanager
    def _working(self) -> Generator[None, None, None]:
        """Mark changes of the layers as ours."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1


def _touched(before: Choice, now: Choice) -> list[str]:
    """Return the kinds of layers that look different with another choice."""
    asks: dict[str, Callable[[Choice], Any]] = {
        "maps": lambda c: (c.maps, c.crops),
        "fields": lambda c: (c.edge, c.threshold, c.stride_cells),
        "crops": lambda c: (c.crops, c.chosen_crop),
        "connections": lambda c: (c.edge, c.only_rejected, c.chosen_connection),
        "peaks": lambda c: (c.maps, c.edge, c.chosen_peaks),
    }
    return [kind for kind, ask in asks.items() if ask(before) != ask(now)]


# -------------------------------------------------------------------------- single layers
def _make_map(picture: Picture, number: int, opacity: float) -> Image:
    name = KINDS["maps"] if number == 0 else f"{KINDS['maps']} {number + 1}"
    scale, translate = picture.grid.layer_transform()
    options: dict[str, Any] = {"rgb": True}
    if not picture.is_colored:
        options = {
            "rgb": False, "contrast_limits": (0.0, 1.0), "colormap": _shades(picture.color),
        }  # fmt: skip
    return Image(
        picture.values, name=name, scale=scale, translate=translate, blending="additive",
        opacity=opacity, interpolation2d="linear", multiscale=False,
        metadata={_METADATA: {"role": _ROLE}}, **options,
    )  # fmt: skip


def _fill_map(layer: Image, picture: Picture) -> None:
    scale, translate = picture.grid.layer_transform()
    if not np.allclose(layer.scale, scale):
        layer.scale = scale
    if not np.allclose(layer.translate, translate, atol=1e-9):
        layer.translate = translate
    if not picture.is_colored:
        shades = _shades(picture.color)
        if layer.colormap.name != shades.name:
            layer.colormap = shades
    with layer.events.data.blocker():
        layer.data = picture.values


def _shades(color: Any) -> Colormap:
    """Return the colours from black to that of a node."""
    red, green, blue = (float(value) for value in color)
    name = f"node {round(255 * red)} {round(255 * green)} {round(255 * blue)}"
    return Colormap([[0, 0, 0, 1], [red, green, blue, 1]], name=name)


def _make_vectors(kind: str) -> Vectors:
    return Vectors(
        np.zeros((0, 2, 2)), ndim=2, name=KINDS[kind],
        vector_style="arrow" if kind == "fields" else "line",
        opacity=0.9, metadata={_METADATA: {"role": _ROLE}},
    )  # fmt: skip


def _make_peaks() -> Points:
    layer = Points(
        np.zeros((0, 2)), ndim=2, name=KINDS["peaks"], border_width=0.2, opacity=1.0,
        metadata={_METADATA: {"role": _ROLE}},
    )  # fmt: skip
    layer.editable = False
    return layer


def _empty(layer: Any) -> None:
    """Have a layer show nothing of the frame before."""
    if isinstance(layer, Image):
        with layer.events.data.blocker():
            layer.data = np.zeros_like(layer.data)
    elif len(layer.data):
        with layer.events.data.blocker():
            layer.data = np.zeros((0, *layer.data.shape[1:]))


@contextmanager
def _quiet(layer: Any, names: Iterable[str]) -> Generator[None, None, None]:
    """Hold back some events of a layer: napari draws it at each of them."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(getattr(layer.events, name).blocker())
        yield
