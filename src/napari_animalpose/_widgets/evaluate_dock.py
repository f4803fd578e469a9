"""The Evaluate dock: runs side by side, how far off their points are, the worst animals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._circles_view import CirclesView
from napari_animalpose._widgets._form import Section
from napari_animalpose._widgets._job_row import JobRow
from napari_animalpose._widgets._prediction_overlay import PredictionOverlay
from napari_animalpose._widgets._record_table import Record, RecordTable
from napari_animalpose._widgets._runs import get_runs
from napari_animalpose._widgets._runs_table import RunsTable
from napari_animalpose._widgets._session import get_session
from napari_animalpose.data.history import Change
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ModelError
from napari_animalpose.nn.legacy import is_sleap_model
from napari_animalpose.pipeline.evaluating import EvaluationReport, RunReport, evaluate_runs
from napari_animalpose.pipeline.model_info import describe_model, list_models
from napari_animalpose.pipeline.rounds import models_folder
from napari_animalpose.pipeline.worst import InstanceError

if TYPE_CHECKING:
    import napari

__all__ = ["EvaluateDock"]

_NO_RUNS = "No runs yet: train a model, or add a run."
_NOT_OPEN = "Open a project to compare runs on its labels."


class EvaluateDock(QWidget):
    """Compares runs on the labelled frames that none of them has learned from."""

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = get_session(napari_viewer)
        self.report: EvaluationReport | None = None
        self._added: list[Path] = []
        self._home: Path | None = None
        self._is_stale = True  # other runs or labels than in the report
        self._n_truth = (0, 0)
        self._build()
        self._connect()
        self._list_runs()

    # --------------------------------------------------------------------------- building
    def _build(self) -> None:
        self.table = RunsTable(self)
        self.work = JobRow("Compare", "Measure all ticked runs on the same labelled frames", self)
        self.add = QPushButton("Add run", self)
        self.add.setToolTip("Add a run from elsewhere, or a zip of one")
        menu = QMenu(self.add)
        menu.addAction("Run folder …", self._add_folder)
        menu.addAction("Zip of a run …", self._add_zip)
        self.add.setMenu(menu)
        self.note, self.circles_text, self.worst_text = QLabel(), QLabel(), QLabel()
        for label in (self.note, self.circles_text, self.worst_text):
            label.setWordWrap(True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.circles = CirclesView()
        self.worst = RecordTable(("Frame", "Error", "What"))
        self.overlay = PredictionOverlay(self.session, self)
        circles, worst = QWidget(), QWidget()
        for place, widgets in (
            (circles, (self.circles, self.circles_text)), (worst, (self.worst_text, self.worst)),
        ):  # fmt: skip
            stack = QVBoxLayout(place)
            stack.setContentsMargins(0, 0, 0, 0)
            stack.setSpacing(2)
            for widget in widgets:
                stack.addWidget(widget, 0 if isinstance(widget, QLabel) else 1)
        self.circles_section = Section("Error circles", lambda: circles)
        self.worst_section = Section("Worst animals", lambda: worst)
        top = QHBoxLayout()
        top.addWidget(self.work, 1)
        top.addWidget(self.add)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.table)
        column.addWidget(self.note)
        column.addWidget(self.circles_section)
        column.addWidget(self.worst_section)
        column.addStretch(0)
        self.column = column
        for section in (self.circles_section, self.worst_section):
            section.toggled.connect(lambda is_open: self._share_room())
            section.open()
        self.setMinimumWidth(300)

    def _share_room(self) -> None:
        """Give the room to the sections that are open; else it stays empty below."""
        shares = (self.circles_section, 3), (self.worst_section, 2)
        for section, share in shares:
            self.column.setStretchFactor(section, share if section.is_open else 0)
        is_empty = not any(section.is_open for section, _ in shares)
        self.column.setStretch(self.column.count() - 1, int(is_empty))

    def _connect(self) -> None:
        self.work.requested.connect(self.compare)
        self.work.result.connect(self._take)
        self.work.failed.connect(self.session.show_error)
        self.table.chosen.connect(lambda path: self._show_run())
        self.table.ticked.connect(self._on_ticked)
        self.worst.chosen.connect(self._go)
        self.session.document_changed.connect(self._on_document)
        self.session.state_changed.connect(self._on_state)
        self.session.edited.connect(self._on_edited)
        get_runs(self.session).train_finished.connect(lambda path: self._on_new_runs())

    # --------------------------------------------------------------------------- comparing
    def hideEvent(self, event: object) -> None:
        """Take the prediction away: nothing says any more what it is."""
        self.overlay.clear()

    def showEvent(self, event: object) -> None:
        """Look for runs, and compare them if there are others than before."""
        self.session.watch_window(self)
        self._on_new_runs()

    def add_run(self, path: Path | str) -> bool:
        """Add a run from elsewhere and compare it too; tell what is wrong with it."""
        info = self.session.attempt(lambda: _check_run(path))
        if info is None:
            return False
        if info not in self._added:
            self._added.append(info)
        self._on_new_runs()
        return True

    def compare(self) -> None:
        """Compare the ticked runs, in a child process."""
        self._is_stale = False
        self._n_truth = self._count_truth()
        runs = self.table.compared
        if runs:
            self.work.start(evaluate_runs, runs, self._project())
        self._show_note()

    def _on_new_runs(self) -> None:
        if self._list_runs():
            self._is_stale = True
        if self._is_stale and self.isVisible() and self.table.compared:
            self.compare()

    def _list_runs(self) -> bool:
        """Read which runs there are; return whether these are others than before."""
        document = self.session.document
        self._home = None if document is None else document.path
        beside = [] if self._home is None else list_models(models_folder(self._home))
        paths = [info.paths[0] for info in beside]
        paths += [path for path in self._added if path.resolve() not in _resolved(paths)]
        before = self.table.paths
        is_other = paths != before
        if is_other:
            self.table.set_runs(paths)
            if self.report is not None:
                self.table.show_report(self.report)
        self._show_note()
        self._show_run()
        return is_other

    def _project(self) -> Project | None:
        """Return what the child needs: all rows of the frames that have labels."""
        document = self.session.document
        if document is None:
            return None
        project = document.project
        frames = project.labeled_frames()
        if not len(frames) and not len(project.negative_frames):
            return None
        poses = project.poses.take_frames(frames) if len(frames) else project.poses.select([])
        return project.replace(poses=poses, suggestions=(), provenance={}, extras=None)

    def _take(self, report: EvaluationReport) -> None:
        self.report = report
        self.table.show_report(report)
        usable = [run for run in report.runs if not run.problem]
        if self.table.current is None and usable:
            self.table.choose(usable[0].path)
        self._show_note()
        self._show_run()

    # ---------------------------------------------------------------------------- showing
    @property
    def shown(self) -> RunReport | None:
        """The run whose circles and worst animals are shown."""
        runs = () if self.report is None else self.report.runs
        return next((run for run in runs if run.path == self.table.current), None)

    def _show_note(self) -> None:
        report = self.report
        self.work.setEnabled(bool(self.table.compared))
        self.table.setVisible(bool(self.table.paths))
        for section in (self.circles_section, self.worst_section):
            section.setVisible(report is not None)
        if not self.table.paths:
            text = _NO_RUNS if self.session.document is not None else _NOT_OPEN
        elif report is None:
            text = ""
        else:
            text = _describe(report)
            if self._is_stale:
                text += " Labels or runs have changed since: compare again."
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _show_run(self) -> None:
        run = self.shown
        circles = None if run is None else run.circles
        self.circles.set_circles(circles)
        self.circles.setVisible(circles is not None)
        self.circles_text.setText(_describe_circles(run))
        errors = () if run is None else run.errors
        document = self.session.document
        skeleton = Skeleton(()) if document is None else document.skeleton
        many = document is not None and len(document.videos) > 1
        self.worst.set_records([_record(error, skeleton, many) for error in errors], -1)
        self.worst.setVisible(bool(errors))
        self.worst_text.setText(_describe_worst(run))
        self.worst_text.setVisible(bool(self.worst_text.text()))

    # ---------------------------------------------------------------------------- actions
    def _go(self, row: int) -> None:
        """Go to an animal, draw its prediction, and select its label if it is still there."""
        run, document = self.shown, self.session.document
        if run is None or document is None or row >= len(run.errors):
            return
        error = run.errors[row]
        if error.video >= len(document.videos):
            return
        self.session.go_to(error.frame, error.video)
        if error.predicted_xy is not None and len(error.predicted_xy) == len(document.skeleton):
            self.overlay.show(error.predicted_xy, document.skeleton)
        else:
            self.overlay.clear()
        rows = document.poses.at(error.video, error.frame)
        if 0 <= error.instance < len(rows):
            self.session.select_instance(error.instance)
        else:
            self.session.select([])

    def _add_folder(self) -> None:
        path = self.session.dialogs.ask_folder("Add a run folder")
        if path is not None:
            self.add_run(path)

    def _add_zip(self) -> None:
        path = self.session.dialogs.ask_file("Add a zip of a run", "Zip files (*.zip)")
        if path is not None:
            self.add_run(path)

    # -------------------------------------------------------------------------- following
    def _on_document(self) -> None:
        self.work.cancel()
        self.report, self._is_stale = None, True
        self._on_new_runs()

    def _on_state(self) -> None:
        document = self.session.document
        if (None if document is None else document.path) != self._home:
            self._on_new_runs()

    def _on_ticked(self) -> None:
        self._is_stale = True
        self._show_note()

    def _on_edited(self, change: Change) -> None:
        if self.report is not None and not self._is_stale and self._concerns_labels(change):
            self._is_stale = True
            self._show_note()

    def _count_truth(self) -> tuple[int, int]:
        """Return how many labels and how many empty frames there are."""
        document = self.session.document
        if document is None:
            return 0, 0
        return int(document.poses.is_label.sum()), len(document.negative_frames)

    def _concerns_labels(self, change: Change) -> bool:
        """Whether an edit changed more than predictions and suggestions."""
        document = self.session.document
        if document is None or change.frames is None or self._count_truth() != self._n_truth:
            return True
        return bool(document.poses.take_frames(change.frames).is_label.any())


def _check_run(path: Path | str) -> Path:
    if is_sleap_model(path):
        raise ModelError(
            f"Expected a run of this program; received {str(path)!r}, a model of SLEAP, whose "
            "held-out frames are not known. Predict the labelled frames with it instead."
        )
    return describe_model(path).paths[0]


def _resolved(paths: list[Path]) -> set[Path]:
    return {path.resolve() for path in paths}


def _describe(report: EvaluationReport) -> str:
    """Return what the figures are of."""
    n_usable = sum(not run.problem for run in report.runs)
    problems = " ".join(f"{run.path.name}: {run.problem}" for run in report.runs if run.problem)
    if not n_usable:
        return problems
    if report.n_common:
        runs = "Measured" if n_usable == 1 else f"All {n_usable} runs are measured"
        learned = "it has not" if n_usable == 1 else "none of them has"
        n = report.n_common
        text = f"{runs} on {n} labelled frame{'s' if n != 1 else ''} that {learned} learned from."
    elif n_usable == 1:
        text = "Measured on the frames that the run held out itself."
    else:
        text = (
            "No labelled frame was held out by all of these runs: each is measured on its own, "
            "and figures of different runs cannot be compared."
        )
    return f"{text} {problems}".strip()


def _describe_circles(run: RunReport | None) -> str:
    if run is None:
        return "Choose a run in the table."
    if run.problem:
        return run.problem
    if run.circles is not None:
        return (
            "Circles hold 50, 75 and 90 % of the errors of a point. Move the mouse to it for its "
            "figures."
        )
    if run.errors:
        return "No animal was found in these frames: there are no distances."
    return "Only the figures of this run are known: none of its held-out frames has labels here."


def _describe_worst(run: RunReport | None) -> str:
    if run is None or run.problem or not run.errors:
        return ""
    kinds = [error.kind for error in run.errors]
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("missed", "invented") if kind in kinds]
    among = f"Among them {' and '.join(counts)}. " if counts else ""
    return f"{among}Choose one to see its prediction in orange."


def _record(error: InstanceError, skeleton: Skeleton, many: bool) -> Record:
    where = f"{error.video + 1}: {error.frame:,}" if many else f"{error.frame:,}"
    if error.kind == "missed":
        return Record((where, "missed", "not found"), "This labelled animal was not found")
    if error.kind == "invented":
        tip = "There is no label where this animal was predicted"
        return Record((where, "invented", "no such animal"), tip)
    if not math.isfinite(error.error_px):
        return Record((where, "–", "no point in common"))
    name = skeleton.nodes[error.node] if 0 <= error.node < len(skeleton) else "?"
    text = f"{name} is {error.node_error_px:.1f} px off"
    tip = f"Mean distance of its points {error.error_px:.1f} px; {text}"
    return Record((where, f"{error.error_px:.1f} px", text), tip)
