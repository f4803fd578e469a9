"""Layers that come and go while a person goes on with another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Layer

if TYPE_CHECKING:
    import napari

__all__ = ["add_aside", "remove_aside"]


def add_aside(viewer: napari.Viewer, layer: Layer) -> None:
    """Add a layer and leave the one that a person works on active."""
    active = viewer.layers.selection.active
    viewer.add_layer(layer)
    viewer.layers.selection.active = active


def remove_aside(viewer: napari.Viewer, layer: Layer) -> None:
    """Remove a layer, if it is there, and leave the one that a person works on active."""
    if layer not in viewer.layers:
        return
    active = viewer.layers.selection.active
    viewer.layers.remove(layer)
    if active is not layer:
        viewer.layers.selection.active = active
