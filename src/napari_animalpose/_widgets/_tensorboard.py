"""TensorBoard in a process of its own, and its page in the browser."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from qtpy.QtCore import QObject, QProcess, QUrl, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QDesktopServices

__all__ = ["TensorBoard", "command"]

_ADDRESS = re.compile(r"http://[^\s/]+:\d+/?")


def command(folder: Path) -> list[str]:
    """Return the command that serves a folder of logs on this machine only."""
    return [sys.executable, "-m", "tensorboard.main", "--host", "127.0.0.1", "--logdir",
            str(folder)]  # fmt: skip


class TensorBoard(QObject):
    """One TensorBoard, for the folder that it was last asked for.

    Attributes
    ----------
    opened : Signal(str)
        The address, when the page can be read.
    failed : Signal(str)
        One sentence.
    """

    opened = Signal(str)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder: Path | None = None
        self._address = ""
        self._said = ""
        self._process = QProcess(self)
        self._process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self._process.readyRead.connect(self._read)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_finished)

    def open(self, folder: Path) -> None:
        """Serve a folder and show it in the browser; the one that is served is shown again."""
        if self.is_running and folder == self._folder:
            if self._address:
                self._show()
            return
        self.close()
        self._folder, self._address, self._said = folder, "", ""
        program, *arguments = command(folder)
        self._process.start(program, arguments)

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    @property
    def address(self) -> str:
        """Where its page is; "" as long as it is not."""
        return self._address

    def close(self) -> None:
        """End the process."""
        if self.is_running:
            self._folder = None
            self._process.kill()
            self._process.waitForFinished(1000)

    def _read(self) -> None:
        self._said += bytes(self._process.readAll().data()).decode(errors="replace")
        found = _ADDRESS.search(self._said)
        if found and not self._address:
            self._address = found[0]
            self._show()

    def _show(self) -> None:
        QDesktopServices.openUrl(QUrl(self._address))
        self.opened.emit(self._address)

    def _on_finished(self) -> None:
        if self._folder is not None and not self._address and not self.is_running:
            folder, self._folder = self._folder, None
            self.failed.emit(
                "Expected TensorBoard to start; received the end of its process. Start it in a "
                f"terminal to see why: tensorboard --logdir {folder}"
            )
