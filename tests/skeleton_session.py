"""A session without a viewer: a table with its history, and answers to questions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_animalpose.data.history import History
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.colors import node_colors
from napari_animalpose.errors import AnimalPoseError


class FakeSession(QObject):
    """What the skeleton dock uses of a session; `errors` and `questions` are kept."""

    document_changed = Signal()
    edited = Signal(object)

    def __init__(self, poses: Poses | None) -> None:
        super().__init__()
        self.document = None
        self.errors: list[str] = []
        self.infos: list[str] = []
        self.questions: list[str] = []
        self.answer = True
        self.dialogs = SimpleNamespace(confirm=self._confirm)
        if poses is not None:
            self.open(poses)

    def open(self, poses: Poses | None) -> None:
        self.document = None
        if poses is not None:
            history = History(poses)
            history.on_change.append(self.edited.emit)
            self.document = SimpleNamespace(poses=poses, history=history)
        self.document_changed.emit()

    def do(self, edit) -> bool:
        try:
            self.document.history.do(edit)
        except AnimalPoseError as error:
            self.show_error(str(error))
            return False
        return True

    def undo(self) -> None:
        self.document.history.undo()

    def node_colors(self):
        return node_colors(self.document.poses.skeleton)

    def watch_window(self, widget) -> None:
        pass

    def show_error(self, message: str) -> None:
        self.errors.append(message)

    def show_info(self, message: str) -> None:
        self.infos.append(message)

    def _confirm(self, title: str, text: str, detail: str = "", yes: str = "") -> bool:
        self.questions.append(f"{title}\n{text}\n{detail}")
        return self.answer


def labelled(skeleton: Skeleton, layout, n: int = 5) -> Poses:
    """Return n labels and two predictions of animals drawn by `layout`, each turned otherwise."""
    angles = np.linspace(0, 2, n + 2)
    turns = np.stack([np.cos(angles), -np.sin(angles), np.sin(angles), np.cos(angles)], axis=1)
    xy = np.asarray(layout) @ turns.reshape(-1, 2, 2).transpose(0, 2, 1) * 80 + 200
    origin = [Origin.USER] * n + [Origin.PREDICTED] * 2
    return Poses.from_arrays(skeleton, frame=np.arange(n + 2), xy=xy, origin=origin)
