"""The Inspect dock: what a network sees in the frame in view, and what it makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._form import ERROR_COLOR, ConfigForm, Section
from napari_animalpose._widgets._inspect_controls import InspectControls
from napari_animalpose._widgets._inspect_layers import InspectLayers
from napari_animalpose._widgets._inspect_process import Answer, InspectProcess
from napari_animalpose._widgets._inspect_tables import InspectTables
from napari_animalpose._widgets._model_choice import ModelChoice
from napari_animalpose._widgets._session import get_session
from napari_animalpose.config import PredictConfig
from napari_animalpose.data.edit_kinds import Edit
from napari_animalpose.data.edit_sequence import chain_edits
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.schema_edits import replace_skeleton
from napari_animalpose.nn.inspection import Inspection
from napari_animalpose.pipeline.inspection import request_inspection
from napari_animalpose.pipeline.merging import merge_predictions
from napari_animalpose.pipeline.model_info import ModelInfo, explain_mismatch

if TYPE_CHECKING:
    import napari

__all__ = ["InspectDock"]

_ALWAYS_HIDDEN = ("batch_size", "refinement", "precision", "sleap_exact")
_WELCOME = (
    "See what a trained network sees in this frame: confidence maps, part affinity fields, every "
    "candidate point and pair, and why each was taken or not."
)


class InspectDock(QWidget):
    """Looks into a trained network at the frame in view, and follows as one steps.

    While it is switched on, a child process keeps the model warm. It ends when the dock is
    closed, and the layers go with it.
    """

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = get_session(napari_viewer)
        self.process = InspectProcess(self)
        self.layers = InspectLayers(self.session, self)
        self.model = ModelChoice(self.session)
        self.controls = InspectControls()
        self.tables = InspectTables()
        self.thresholds = ConfigForm(
            PredictConfig(), top={"peak_threshold": ""}, hidden=_ALWAYS_HIDDEN
        )
        self.inspection: Inspection | None = None
        self._config = PredictConfig()
        self._is_seen = False
        self._build()
        self._connect()
        self._show_state()

    # --------------------------------------------------------------------------- building
    def _build(self) -> None:
        self.on = QPushButton("Look inside")
        self.on.setCheckable(True)
        self.on.setToolTip(
            "<qt>Load the model in a process of its own and look at the frame in view, now and "
            "after each step</qt>"
        )
        self.status = QLabel()
        self.status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.hint, self.problem, self.found = _text(), _text(), _text()
        self.problem.setStyleSheet(f"color: {ERROR_COLOR}")
        self.again = QPushButton("Start again")
        self.again.setToolTip("Load the model in a new process")
        self.take = QPushButton("Take over as predictions")
        self.options = Section("Thresholds", lambda: self.thresholds)
        self.model.list.setToolTip("The model to look into; runs beside the project come first")
        top = QHBoxLayout()
        top.addWidget(self.on)
        top.addWidget(self.status, 1)
        self.result = QWidget()
        lower = QVBoxLayout(self.result)
        lower.setContentsMargins(0, 0, 0, 0)
        lower.setSpacing(4)
        lower.addWidget(self.tables, 1)
        lower.addWidget(self.found)
        lower.addWidget(self.take)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 4)
        column.setSpacing(4)
        column.addLayout(top)
        for widget in (
            self.model, self.problem, self.again, self.hint, self.options, self.controls,
        ):  # fmt: skip
            column.addWidget(widget)
        column.addWidget(self.result, 1)
        column.addStretch()
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inner)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.area)
        self.setMinimumWidth(320)

    def _connect(self) -> None:
        session = self.session
        session.frame_changed.connect(self.look)
        session.document_changed.connect(self.refresh)
        session.edited.connect(self._on_edited)
        self.model.changed.connect(self.refresh)
        self.on.toggled.connect(self.refresh)
        self.again.clicked.connect(self._start_again)
        self.thresholds.valueChanged.connect(self._on_thresholds)
        self.process.answered.connect(self._on_answer)
        self.process.failed.connect(self._on_failed)
        self.process.changed.connect(self._show_state)
        self.controls.changed.connect(self._draw)
        self.controls.shown_changed.connect(self.layers.set_wanted)
        self.controls.opacity_changed.connect(self.layers.set_opacity)
        self.layers.shown_changed.connect(self.controls.set_shown)
        self.tables.chosen.connect(self._on_chosen)
        self.take.clicked.connect(self.take_over)
        self.layers.set_wanted("fields", self.controls.boxes["fields"].isChecked())

    # --------------------------------------------------------------------- on, off, seen
    def showEvent(self, event: QShowEvent | None) -> None:
        """Go on where it was when the dock was closed."""
        self.session.watch_window(self)
        self._is_seen = True
        self.refresh()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """End the child and take the layers away, unless the window is only minimized."""
        if event is not None and event.spontaneous():
            return
        self._is_seen = False
        self.process.stop()
        if not self.session.is_closed:
            self._forget()
            self.layers.close()

    @property
    def is_active(self) -> bool:
        """Whether there is something to look at, and a person wants to."""
        return (
            self._is_seen
            and self.on.isChecked()
            and self.model.info is not None
            and self.session.document is not None
            and self.session.n_frames > 0
        )

    def refresh(self) -> None:
        """Follow another document, model, or the switch."""
        info = self.model.info
        if not self.is_active or info is None:
            self.process.stop()
            self._forget()
            self.layers.close()
        elif info.paths != self.process.models:
            self._forget()
            self._show_thresholds(info)
            self.process.start(info.paths, self._config)
            self.look()
        elif self.process.state != "dead":
            self.look()
        self._show_state()

    def _start_again(self) -> None:
        self.process.stop()
        self.refresh()

    def _show_thresholds(self, info: ModelInfo) -> None:
        """Offer the thresholds that mean something to a model."""
        hidden = list(_ALWAYS_HIDDEN)
        if not info.joins_lines:
            hidden += ["min_line_score", "min_points"]
        if not info.identifies:
            hidden.append("min_class_probability")
        if info.pipeline.startswith("topdown"):
            hidden.append("min_mean_confidence")
        elif not info.joins_lines:
            hidden.append("min_instance_score")
        if not self.thresholds.problem:
            self.thresholds.set_layout({"peak_threshold": ""}, hidden, {})
            self.thresholds.setValue(self.thresholds.value())

    # --------------------------------------------------------------------------- looking
    def look(self, *args: Any) -> None:
        """Ask what the network sees in the frame in view; what is drawn of another goes."""
        session, info = self.session, self.model.info
        if not self.is_active or not self.process.models or info is None:
            return
        self._forget()
        if not session.has_picture:
            self.process.forget()
            self._say_problem("The video of this frame cannot be opened: there is nothing to see.")
            return
        self._say_problem("")
        document = session.document
        assert document is not None
        if not self.thresholds.problem:  # else the last valid ones
            self._config = self.thresholds.value()
        video, frame, config = document.videos[session.video], session.frame, self._config
        key = (info.paths, config, id(document), session.video, frame, video.source)
        request = session.attempt(
            lambda: request_inspection(
                video, frame, video_number=session.video, config=config,
                poses=document.poses if info.needs_labels else None,
            )
        )  # fmt: skip
        if request is not None:
            self.process.ask(request, None if info.needs_labels else key)

    def _forget(self) -> None:
        """Show nothing of an earlier frame."""
        if self.inspection is not None:
            self.inspection = None
            self.controls.choose()
            self.layers.clear()
            self.tables.show(None, self.controls.choice)
            self._show_found()

    def _on_answer(self, answer: Answer) -> None:
        seen = answer.inspection
        here = (self.session.video, self.session.frame)
        if not self.is_active or (seen.video, seen.frame) != here:
            return
        self.inspection = seen
        self.controls.choose()
        self.controls.follow(seen)
        self.layers.show(seen, self.controls.choice)
        self.tables.show(seen, self.controls.choice)
        self._show_found()
        self._show_state()
        self._show_time(answer)

    def _on_failed(self, message: str) -> None:
        self._say_problem(message)
        self._show_state()

    def _on_edited(self, change: Any) -> None:
        """Look again where the answer depends on labels."""
        info = self.model.info
        if info is not None and info.needs_labels:
            self.look()

    def _on_thresholds(self, config: PredictConfig) -> None:
        self.look()

    # --------------------------------------------------------------------------- showing
    def _draw(self) -> None:
        """Draw and list the same inspection by another choice."""
        if self.inspection is not None:
            self.layers.show(self.inspection, self.controls.choice)
            self.tables.show(self.inspection, self.controls.choice)

    def _on_chosen(self, kind: str, row: int) -> None:
        """Have a line of a list stand out in the picture, and go there."""
        seen = self.inspection
        if seen is None:
            return
        if kind == "connections" and seen.connections is not None:
            ends = int(seen.connections.source[row]), int(seen.connections.destination[row])
            self.controls.choose(ends, connection=row)
            self._centre_on(seen.peaks.xy[list(ends)].mean(axis=0))
        elif kind == "peaks":
            self.controls.choose((row,))
            self._centre_on(seen.peaks.xy[row])
        elif kind == "crops" and seen.crops is not None:
            self.controls.choose(crop=row)
            self._centre_on(seen.crops.centre[row])
        self.layers.show(seen, self.controls.choice)

    def _centre_on(self, xy: NDArray[np.float32]) -> None:
        viewer: Any = self.session.viewer
        camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
        camera.center = (*camera.center[:-2], float(xy[1]), float(xy[0]))

    def _show_state(self) -> None:
        """Say what it is doing; show what there is to use."""
        state, is_ready = self.process.state, self.is_active
        self.on.setEnabled(self.model.info is not None and self.session.document is not None)
        if state == "dead":
            self._say_problem(self.process.problem)
            self._forget()
        elif not is_ready:
            self._say_problem("")
        self.again.setVisible(state == "dead")
        if self.inspection is None or state == "dead":
            words = {
                "starting": "Loading the model …",
                "busy": f"Computing frame {self.session.frame} …",
                "dead": "Stopped",
            }
            self.status.setText(words.get(state, ""))
            self.status.setToolTip("")
        has_result = is_ready and state != "dead" and self.controls.is_filled
        self.hint.setText(self._say_hint())
        self.hint.setVisible(bool(self.hint.text()))
        self.options.setVisible(is_ready)
        self.controls.setVisible(has_result)
        self.result.setVisible(has_result)

    def _say_hint(self) -> str:
        if self.session.document is None:
            return "Open a video or labels first."
        return "" if self.on.isChecked() else _WELCOME

    def _say_problem(self, text: str) -> None:
        self.problem.setText(text)
        self.problem.setVisible(bool(text))

    def _show_time(self, answer: Answer) -> None:
        seen = answer.inspection
        took = f"{answer.seconds:.2f} s" if answer.seconds else "remembered"
        if answer.was_loading:
            took = f"{answer.seconds:.0f} s with loading"
        self.status.setText(f"Frame {seen.frame}: {took}")
        parts = "".join(f"<br>{name}: {1000 * s:.0f} ms" for name, s in seen.seconds.items())
        self.status.setToolTip(f"<qt>Time in the process of the model:{parts}</qt>")

    def _show_found(self) -> None:
        seen, document = self.inspection, self.session.document
        if seen is None or document is None:
            self.found.setText("")
            self.take.setEnabled(False)
            return
        scores = ", ".join(f"{score:.2f}" for score in seen.instances.score)
        n = len(seen.instances)
        self.found.setText(
            f"Found {n} animal{'s' if n != 1 else ''}, score {scores}." if n else "No animal found."
        )
        mismatch = explain_mismatch(seen.skeleton, document.skeleton)
        self.take.setEnabled(not mismatch)
        self.take.setToolTip(
            f"<qt>{mismatch}</qt>" if mismatch else "<qt>Put what was found into the project, in "
            "place of earlier predictions in this frame; labels stay</qt>"
        )  # fmt: skip

    # ---------------------------------------------------------------------------- editing
    def take_over(self) -> None:
        """Bring what was found into the project, as one step that can be undone."""
        seen, document = self.inspection, self.session.document
        if seen is None or document is None:
            return
        poses = document.poses
        edit = self.session.attempt(lambda: _build_edit(poses, seen))
        if edit is not None:
            self.session.do(edit)


def _build_edit(poses: Poses, seen: Inspection) -> Edit:
    """Return the step that brings in what was found, with its skeleton where there is none."""
    where = [(seen.video, seen.frame)]
    if len(poses.skeleton):
        return merge_predictions(poses, seen.instances, where)
    return chain_edits(
        poses,
        "Predict frame",
        (
            lambda table: replace_skeleton(table, seen.skeleton),
            lambda table: merge_predictions(table, seen.instances, where),
        ),
    )


def _text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label
