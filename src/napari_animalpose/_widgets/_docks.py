"""The docks of the plugin by name: their titles, and where in the window they go."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_animalpose._widgets._settings import PLUGIN

if TYPE_CHECKING:
    import napari

__all__ = ["DOCKS", "DockPlace", "show_dock"]


class DockPlace(NamedTuple):
    """A dock: its title in the manifest and the side of the window where it opens."""

    title: str
    area: Qt.DockWidgetArea


_RIGHT, _BOTTOM = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea

DOCKS = {
    "project": DockPlace("Label", _RIGHT),
    "skeleton": DockPlace("Skeleton", _RIGHT),
    "timeline": DockPlace("Timeline", _BOTTOM),
    "review": DockPlace("Review", _RIGHT),
    "train": DockPlace("Train", _RIGHT),
    "monitor": DockPlace("Training monitor", _RIGHT),
    "predict": DockPlace("Predict", _RIGHT),
    "inspect": DockPlace("Inspect", _RIGHT),
    "evaluate": DockPlace("Evaluate", _RIGHT),
}


def show_dock(viewer: napari.Viewer, name: str) -> QWidget:
    """Show a dock in its place, made on first use, and return its widget.

    napari puts every dock of a plugin on the right; a dock that is new is moved to where
    it belongs, and on the right it shares its place with those that are there.
    """
    place = DOCKS[name]
    is_new = not any(title.startswith(f"{place.title} (") for title in viewer.window.dock_widgets)
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, place.title)
    window = dock.window()
    if is_new and isinstance(window, QMainWindow):
        others = _visible_docks(window, place.area, dock)
        window.addDockWidget(place.area, dock)
        if others and place.area == _RIGHT:
            window.tabifyDockWidget(others[-1], dock)
    dock.show()
    dock.raise_()
    found: QWidget = widget
    return found


def _visible_docks(
    window: QMainWindow, area: Qt.DockWidgetArea, but: QDockWidget
) -> list[QDockWidget]:
    """Return the docks on one side of the window that are not floating or hidden."""
    return [
        dock
        for dock in window.findChildren(QDockWidget)
        if dock is not but
        and window.dockWidgetArea(dock) == area
        and dock.isVisible()
        and not dock.isFloating()
    ]
