"""Which device networks run on; asked once, in a child process, because it loads TensorFlow."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_animalpose import jobs
from napari_animalpose._widgets._worker import QtJob
from napari_animalpose.pipeline.background import Device, find_device

__all__ = ["DeviceFinder"]

_FOUND: list[Device] = []  # in this process, for all windows


class DeviceFinder(QObject):
    """Finds the device and says it in words.

    Attributes
    ----------
    changed : Signal()
        `text` is another.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job: QtJob | None = None
        self._failure = ""

    def find(self) -> None:
        """Begin to look, if nobody has found it yet."""
        if _FOUND or self._job is not None:
            return
        self._job = QtJob.start(find_device, parent=self, nice=10)
        self._job.result.connect(self._on_found)
        self._job.failed.connect(self._on_failed)

    @property
    def device(self) -> Device | None:
        """The device; None while it is not known."""
        return _FOUND[0] if _FOUND else None

    @property
    def text(self) -> str:
        """What it runs on, in a few words."""
        if self._failure:
            return self._failure
        if self.device is None:
            return "Looking for a GPU …"
        device = self.device
        if device.kind == "cpu":
            return f"No GPU found: training runs on the CPU, in {device.precision}"
        return f"GPU {device.name}, {device.precision}"

    def _on_found(self, device: Device) -> None:
        _FOUND[:] = [device]
        self.changed.emit()

    def _on_failed(self, failed: jobs.Failed) -> None:
        self._failure = failed.message
        self.changed.emit()
