"""Predictions of a session: what is at work, what has arrived, and how it enters the project.

A prediction belongs to the session and not to a dock: closing the dock does not end it.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_animalpose import jobs
from napari_animalpose._widgets._worker import QtJob
from napari_animalpose.config import IdentityConfig, PredictConfig
from napari_animalpose.data.edit_kinds import Edit, FrameEdit
from napari_animalpose.data.edit_sequence import EditSequence, chain_edits
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.schema_edits import replace_skeleton
from napari_animalpose.pipeline.looked_at import looked_at_frames
from napari_animalpose.pipeline.merging import MERGE_MODES, merge_predictions
from napari_animalpose.pipeline.model_info import ModelInfo
from napari_animalpose.pipeline.predicted_parts import PREDICTED, PredictedPart, join_parts
from napari_animalpose.pipeline.prediction import predict_and_track

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session
    from napari_animalpose.pipeline.document import Document

__all__ = ["Outcome", "Prediction", "Predictions", "Request", "get_predictions"]

NICE = 3  # a prediction yields to the window that one works in


def get_predictions(session: Session) -> Predictions:
    """Return the predictions of a session, made on first use."""
    found = session.findChild(Predictions)
    return found if isinstance(found, Predictions) else Predictions(session)


@dataclass(frozen=True, eq=False)
class Request:
    """What a person asks for.

    Parameters
    ----------
    model : ModelInfo
    frames : array of int64, shape (F, 2)
        (video, frame) to look at.
    config : PredictConfig
    tracking : IdentityConfig, optional
        None leaves animals without identities.
    mode : str
        Name in `pipeline.merging.MERGE_MODES`.
    """

    model: ModelInfo
    frames: NDArray[np.int64]
    config: PredictConfig
    tracking: IdentityConfig | None = None
    mode: str = "replace"


@dataclass(frozen=True)
class Outcome:
    """What a prediction has brought into the project.

    Parameters
    ----------
    n_frames : int
        Frames that were looked at.
    n_animals : int
        Predictions that are in the project now.
    n_labelled : int
        Predictions that were left out, because a label says the same.
    n_empty : int
        Frames in which nothing was found.
    score : float
        Mean score of what was found; NaN without any.
    first : (int, int) or None
        (video, frame) of the first one that is new.
    """

    n_frames: int
    n_animals: int
    n_labelled: int
    n_empty: int
    score: float
    first: tuple[int, int] | None


class Prediction(QObject):
    """One prediction: its child process, and what has come of it.

    Attributes
    ----------
    changed : Signal()
        There is anything new.
    ended : Signal()
        The child is gone; `state` says how.
    """

    changed = Signal()
    ended = Signal()

    def __init__(
        self, worker: QtJob, request: Request, document: Document, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.worker, self.request, self.document = worker, request, document
        worker.setParent(self)
        self.progress: jobs.Progress | None = None
        self.warnings: list[str] = []
        self.failure: jobs.Failed | None = None
        self.is_stopping = False
        self.n_edits = 0  # of the document since it began
        self._parts: list[PredictedPart] = []
        self._result: PredictedPart | None = None
        worker.progress.connect(self._on_progress)
        worker.part.connect(self._on_part)
        worker.log.connect(self._on_log)
        worker.result.connect(self._on_result)
        worker.failed.connect(self._on_failed)
        worker.finished.connect(self._on_finished)

    @property
    def is_running(self) -> bool:
        """Whether the child is at work."""
        return self.worker.is_running

    @property
    def state(self) -> str:
        """``running``, ``stopping``, ``cancelling``, ``done``, ``failed`` or ``cancelled``."""
        if self.is_running:
            if self.worker.is_cancelled:
                return "cancelling"
            return "stopping" if self.is_stopping else "running"
        if self.failure is not None:
            return "failed"
        return "done" if self._result is not None else "cancelled"

    @property
    def n_arrived(self) -> int:
        """Frames whose predictions are here already."""
        return sum(len(part.frames) for part in self._parts)

    @property
    def arrived(self) -> PredictedPart | None:
        """The result, or else what had come of it; None if there is nothing."""
        if self._result is not None:
            return self._result
        return join_parts(self._parts) if self._parts else None

    def stop(self) -> None:
        """Ask it to end now with what is done."""
        self.is_stopping = True
        self.worker.stop()
        self.changed.emit()

    def cancel(self) -> None:
        """End it and keep nothing."""
        self.worker.cancel()
        self.changed.emit()

    def _on_progress(self, progress: jobs.Progress) -> None:
        self.progress = progress
        self.changed.emit()

    def _on_part(self, part: jobs.Part) -> None:
        if part.name == PREDICTED:
            self._parts.append(part.value)
            self.changed.emit()

    def _on_log(self, log: jobs.Log) -> None:
        if log.level >= logging.WARNING:
            self.warnings.append(log.message)

    def _on_result(self, found: Project) -> None:
        self._result = PredictedPart(found.poses, looked_at_frames(found))
        self._parts = []

    def _on_failed(self, failed: jobs.Failed) -> None:
        self.failure = failed

    def _on_finished(self) -> None:
        self.changed.emit()
        self.ended.emit()


class Predictions(QObject):
    """The predictions of a session; only one is at work at a time.

    Attributes
    ----------
    current : Prediction or None
        The one that is at work or was last.
    outcome : Outcome or None
        What it has brought into the project; None before.
    is_waiting : bool
        Whether something has arrived of a prediction that ended badly, and a person has to
        say whether to keep it: `keep` or `discard`.
    problem : str
        Why the last one ended badly; "" if it did not.
    model : tuple of Path or None
        The model that a person chose.
    models : list of ModelInfo
        Models that a person added, in this order.
    changed : Signal()
        Anything of these is another.
    merged : Signal(object)
        An `Outcome`: predictions are in the project now.
    """

    changed = Signal()
    merged = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self.current: Prediction | None = None
        self.outcome: Outcome | None = None
        self.is_waiting = False
        self.problem = ""
        self.models: list[ModelInfo] = []
        self.model: tuple[Path, ...] | None = None
        session.add_document_check(self.may_close)
        session.edited.connect(self._on_edited)
        session.document_changed.connect(self._on_document)

    @property
    def running(self) -> Prediction | None:
        """The prediction that is at work."""
        return self.current if self.current is not None and self.current.is_running else None

    def start(self, request: Request) -> Prediction:
        """Have a child process predict on the project as it is now.

        Raises
        ------
        RuntimeError
            If one is at work, or nothing is open.
        """
        document = self._session.document
        if self.running is not None or document is None:
            raise RuntimeError("a prediction is at work" if self.running else "nothing is open")
        worker = QtJob.start(
            predict_and_track, _strip(document.project, request), list(request.model.paths),
            tracking=request.tracking, pairs=request.frames, config=request.config, stream=True,
            nice=NICE,
        )  # fmt: skip
        return self.follow(worker, request, document)

    def follow(self, worker: QtJob, request: Request, document: Document) -> Prediction:
        """Take over a prediction that has begun."""
        if self.current is not None:
            self.current.deleteLater()
        self.is_waiting, self.problem, self.outcome = False, "", None
        self.current = Prediction(worker, request, document, parent=self)
        self.current.changed.connect(self.changed)
        self.current.ended.connect(self._on_ended)
        self.changed.emit()
        return self.current

    def keep(self) -> None:
        """Bring what had arrived into the project."""
        if self.current is not None and self.current.arrived is not None:
            self._merge(self.current, self.current.arrived)
        self.changed.emit()

    def discard(self) -> None:
        """Forget what had arrived."""
        self.is_waiting, self.problem, self.current = False, "", None
        self.changed.emit()

    def may_close(self) -> bool:
        """Ask whether to give up what is predicted or waits; return whether the project may go."""
        running, confirm = self.running, self._session.dialogs.confirm
        if running is not None and running.state != "cancelling":
            go_on = confirm(
                "Prediction at work",
                "The prediction is not finished.",
                "Closing cancels it. To keep what is done, stop it in the Predict dock.",
                yes="Cancel prediction and close",
            )
        elif self.is_waiting:
            go_on = confirm(
                "Predictions wait",
                "Predictions have arrived that are not in the project.",
                "Closing discards them. In the Predict dock they can be kept.",
                yes="Discard predictions and close",
            )
        else:
            return True
        if go_on and running is not None:
            running.cancel()
        return bool(go_on)

    # --------------------------------------------------------------------------- internals
    def _on_ended(self) -> None:
        prediction = self.current
        assert prediction is not None
        if self._session.document is not prediction.document:
            self.current = None
        elif prediction.failure is not None:
            self.problem = prediction.failure.message
            self.is_waiting = prediction.n_arrived > 0
        elif prediction.state == "done":
            assert prediction.arrived is not None
            self._merge(prediction, prediction.arrived)
        self.changed.emit()

    def _merge(self, prediction: Prediction, part: PredictedPart) -> None:
        """Bring predictions into the project, as one step that can be undone."""
        session, document = self._session, self._session.document
        if document is None or document is not prediction.document:
            return
        request = prediction.request
        edit = session.attempt(lambda: _build_edit(document.poses, part, request))
        has_edits = prediction.n_edits > 0
        if edit is None or not session.do(edit):
            self.is_waiting = True
            self.problem = "The predictions do not fit the project as it is now."
            return
        self.is_waiting, self.problem = False, ""
        self.outcome = outcome = _summarize(edit, part, request.mode)
        if outcome.first is not None and not has_edits:  # else the person works elsewhere
            video, frame = outcome.first
            session.go_to(frame, video)
        self.merged.emit(outcome)

    def _on_edited(self, change: Any) -> None:
        if self.current is not None:
            self.current.n_edits += 1

    def _on_document(self) -> None:
        """Another project is open: what is predicted for the one before has no place."""
        if self.running is None:
            self.current = None
        elif self.running.state != "cancelling":
            self.running.cancel()
        self.is_waiting, self.problem, self.outcome = False, "", None
        self.changed.emit()


def _strip(project: Project, request: Request) -> Project:
    """Return what the child needs of a project: videos, and labels only for some models."""
    needed = Poses.empty(project.skeleton)
    if request.model.needs_labels:
        needed = project.poses.take_frames(np.unique(request.frames, axis=0))
    return project.replace(
        poses=needed, suggestions=(), negative_frames=(), provenance={}, extras=None
    )


def _build_edit(poses: Poses, part: PredictedPart, request: Request) -> Edit:
    """Return the step that brings predictions in, with their skeleton where there is none."""

    def merge(table: Poses) -> Edit:
        return merge_predictions(
            table, part.poses, part.frames, request.mode,
            names_identify=request.model.identifies,
        )  # fmt: skip

    if len(poses.skeleton):
        return merge(poses)
    skeleton = part.poses.skeleton
    label = f"Predict {len(part.frames)} frames"
    return chain_edits(poses, label, (lambda table: replace_skeleton(table, skeleton), merge))


def _summarize(edit: Edit, part: PredictedPart, mode: str) -> Outcome:
    rows = edit.edits[-1] if isinstance(edit, EditSequence) else edit
    assert isinstance(rows, FrameEdit)
    is_kept = MERGE_MODES.get(mode).clears == "nowhere"
    n_before = int((~rows.before.is_label).sum()) if is_kept else 0
    new = rows.after.select(~rows.after.is_label)
    found, keys = part.poses, new.frame_keys()
    score = found.score[np.isfinite(found.score)]
    n_new = len(new) - n_before
    return Outcome(
        n_frames=len(part.frames),
        n_animals=n_new,
        n_labelled=len(found) - n_new,
        n_empty=len(part.frames) - len(found.frame_keys()),
        score=float(score.mean()) if len(score) else math.nan,
        first=(int(keys[0, 0]), int(keys[0, 1])) if len(keys) else None,
    )
