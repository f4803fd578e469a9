"""What is going to be trained: the choice, what a person changed in it, what is in the way.

The Train dock is a view of it. Labels are measured and video is read in a child process;
choosing a configuration from the measures takes a few milliseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_animalpose import jobs
from napari_animalpose._widgets._options import list_options, read, write
from napari_animalpose._widgets._runs import Runs, TrainingRun, get_runs
from napari_animalpose._widgets._worker import QtJob
from napari_animalpose.config import RunConfig
from napari_animalpose.data.history import Change
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import AnimalPoseError, ConfigError, DataError
from napari_animalpose.nn.autoconfig import LabelMeasures, choose_config, measure_labels
from napari_animalpose.nn.grouping import check_joinable
from napari_animalpose.nn.legacy import is_sleap_model
from napari_animalpose.pipeline.background import measure
from napari_animalpose.pipeline.identities import check_tracks
from napari_animalpose.pipeline.model_info import describe_model
from napari_animalpose.pipeline.rounds import next_run_folder
from napari_animalpose.pipeline.selection import empty_frames, training_labels
from napari_animalpose.pipeline.start import choose_gentle, open_start

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["MINUTES", "TrainingSetup"]

MINUTES = {"fast": 5.0, "balanced": 15.0, "accurate": 60.0}
"""Limits of time that a window begins with: nobody means to wait for days."""
PAUSE_MS = 700  # after an edit, before labels are measured again
MEASURED_HERE = 3000  # instances at most; more are measured in a child
_FOREIGN = "The networks are those of the SLEAP model; everything else suits the labels."


@dataclass(frozen=True)
class _Labels:
    """What would be learned from."""

    project: Project
    poses: Poses
    n_empty: int

    @property
    def n_frames(self) -> int:
        return len(self.poses.frame_keys())


class TrainingSetup(QObject):
    """The next training of a session.

    Attributes
    ----------
    changed : Signal()
        Choice, configuration or what is in the way is another.
    """

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.runs: Runs = get_runs(session)
        self.pipeline, self.preset = "auto", "balanced"
        self.resume: Path | None = None
        self.measures: LabelMeasures | None = None
        self.chosen: RunConfig | None = None  # before a person's changes
        self.config: RunConfig | None = None
        self.reasons: tuple[str, ...] = ()
        self.form_problem = ""
        self._out: Path | None = None
        self._labels: _Labels | None = None
        self._label_problem = self._choice_problem = ""
        self._changes: dict[tuple[str, ...], Any] = {}
        self._job: QtJob | None = None
        self._is_active, self._is_stale = False, True
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._remeasure)
        session.document_changed.connect(self._on_document)
        session.edited.connect(self._on_edited)
        session.state_changed.connect(self._tell)
        self.runs.started.connect(self._tell)
        self.runs.ended.connect(self._tell)

    # ---------------------------------------------------------------------------- choosing
    def set_active(self, is_active: bool) -> None:
        """Follow the labels only while somebody looks."""
        self._is_active = is_active
        if is_active and self._is_stale:
            self._measure()

    def set_pipeline(self, name: str) -> None:
        """Choose a pipeline, or "auto"."""
        self.pipeline = name
        self._choose_anew()

    def set_preset(self, name: str) -> None:
        """Choose a preset; a limit of time that was entered stays."""
        self.preset = name
        self._choose_anew()

    def set_resume(self, path: Path | None) -> None:
        """Go on from a run folder or a model of SLEAP, or start anew."""
        self.resume = path
        self._changes = {}
        self._choose_anew()

    def set_out(self, path: Path | None) -> None:
        """Choose the run folder; None for the usual one beside the project."""
        self._out = path
        self._tell()

    def set_config(self, config: RunConfig) -> None:
        """Take over what a person entered."""
        assert self.chosen is not None
        for option in list_options(config):
            if option.path == ("pipeline",):  # is chosen, not entered
                continue
            value = read(config, option.path)
            if self._read_chosen(option.path) != value:
                self._changes[option.path] = value
            else:
                self._changes.pop(option.path, None)
        self.config = config
        self.form_problem = ""
        self._tell()

    def set_form_problem(self, sentence: str) -> None:
        """Note what is wrong with what is entered; "" for nothing."""
        if sentence != self.form_problem:
            self.form_problem = sentence
            self._tell()

    def forget_changes(self) -> None:
        """Go back to what was chosen."""
        self._changes = {}
        self._choose_anew()

    @property
    def has_changes(self) -> bool:
        """Whether a person changed anything in the choice."""
        return bool(self._changes)

    @property
    def out(self) -> Path | None:
        """The run folder; None while nobody knows where."""
        document = self.session.document
        if self._out is not None or document is None or document.path is None:
            return self._out
        return next_run_folder(document.path)

    @property
    def is_measuring(self) -> bool:
        """Whether a child looks at labels and frames."""
        return self._job is not None and self._job.is_running

    @property
    def is_foreign(self) -> bool:
        """Whether the training goes on from models of SLEAP."""
        return self.resume is not None and is_sleap_model(self.resume)

    # --------------------------------------------------------------------------- measuring
    def _on_document(self) -> None:
        self._out, self.resume, self._changes = None, None, {}
        self.measures = self.chosen = self.config = self._labels = None
        self.reasons, self.form_problem = (), ""
        self._measure_when_active()
        self._tell()

    def _on_edited(self, change: Change) -> None:
        self._is_stale = True
        if change.videos or change.skeleton or self.measures is None:
            self.measures = None
        if self._is_active:
            self._pause.start()

    def _measure_when_active(self) -> None:
        self._is_stale = True
        if self._is_active:
            self._measure()

    def _remeasure(self) -> None:
        """Measure labels again; the frames are known, so here, if there are not many."""
        known = self.measures
        if not self._collect() or known is None:
            self._measure()
            return
        assert self._labels is not None
        labels = self._labels
        if len(labels.poses) > MEASURED_HERE:
            self._measure()
            return
        size = known.frame_height, known.frame_width
        measured = measure_labels(labels.poses, [size], known.channels, labels.n_empty)
        self.measures = replace(
            measured, n_sizes=known.n_sizes, gray_and_colour=known.gray_and_colour
        )
        self._is_stale = False
        self._choose()

    def _measure(self) -> None:
        """Have a child measure the labels and look at some of their frames."""
        if self._job is not None:
            self._job.cancel()
            self._job = None
        self._is_stale = False
        if not self._collect():
            self.measures = self.chosen = self.config = None
            self._tell()
            return
        assert self._labels is not None
        job = self._job = QtJob.start(measure, self._labels.project, parent=self, nice=3)
        job.result.connect(lambda found: self._on_measured(job, found))
        job.failed.connect(lambda failed: self._on_not_measured(job, failed))
        self._tell()

    def _collect(self) -> bool:
        """Find the labels to learn from; return whether there are any."""
        self._labels, self._label_problem = None, ""
        document = self.session.document
        if document is None:
            return False
        project = document.project
        if not len(document.skeleton):
            self._label_problem = (
                "Define a skeleton first: the Skeleton dock gives names to the points."
            )
            return False
        try:
            poses = training_labels(project)
        except DataError:
            self._label_problem = "Label some frames first: there are no labels to learn from."
            return False
        empty = empty_frames(project, poses)
        learned = project.replace(poses=poses, suggestions=(), extras=None)
        self._labels = _Labels(learned, poses, len(empty))
        return True

    def _on_measured(self, job: QtJob, measures: LabelMeasures) -> None:
        if job is self._job:
            self._job = None
            self.measures = measures
            self._choose()
        job.deleteLater()

    def _on_not_measured(self, job: QtJob, failed: jobs.Failed) -> None:
        if job is self._job:
            self._job = None
            self.measures, self._label_problem = None, failed.message
            self._tell()
        job.deleteLater()

    # ------------------------------------------------------------------------ configuration
    def _choose_anew(self) -> None:
        """Choose what is asked for otherwise: what is half entered has no place in it."""
        self.form_problem = ""
        self._choose()

    def _choose(self) -> None:
        """Choose a configuration and apply what a person changed."""
        self._choice_problem = ""
        if self.measures is None or self._labels is None:
            self._tell()
            return
        try:
            self.chosen, self.reasons = self._find_choice(self.measures)
        except AnimalPoseError as error:
            self.chosen = self.config = None
            self.reasons, self._choice_problem = (), str(error)
            self._tell()
            return
        if self.config is None or self.config.pipeline != self.chosen.pipeline:
            self.form_problem = ""  # what is half entered is of other networks
        self.config = self._apply_changes(self.chosen)
        self._tell()

    def _find_choice(self, measures: LabelMeasures) -> tuple[RunConfig, tuple[str, ...]]:
        assert self._labels is not None
        if self.resume is not None and not self.is_foreign:
            start = open_start(self.resume)
            start.check_skeleton(self._labels.project.skeleton)
            return start.configure(measures, self.preset)
        config, reasons = self._suit_labels(self._labels.poses, measures)
        train = config.train.replace(max_minutes=MINUTES.get(self.preset, 0.0))
        return config.replace(train=train), reasons

    def _suit_labels(
        self, poses: Poses, measures: LabelMeasures
    ) -> tuple[RunConfig, tuple[str, ...]]:
        """Choose by the labels; of models of SLEAP, what is not their own."""
        if self.resume is None:
            check_tracks(poses, self.pipeline)
            choice = choose_config(measures, self.preset, self.pipeline)
            return choice.config, choice.reasons
        pipeline = describe_model(self.resume).pipeline
        check_tracks(poses, pipeline)
        config, gentler = choose_gentle(measures, self.preset, pipeline)
        return config, (_FOREIGN, gentler)

    def _apply_changes(self, chosen: RunConfig) -> RunConfig:
        """Return the choice with what a person changed, as far as it has such options."""
        config = chosen
        known = {option.path for option in list_options(chosen)}
        for path, value in sorted(
            self._changes.items(), key=lambda pair: "backbone" not in pair[0]
        ):
            if path not in known and "backbone_options" not in path:
                continue
            values = config.to_dict()
            try:
                write(values, path, value)
                changed = RunConfig.from_dict(values)
                list_options(changed)  # refuses options that its backbones do not have
            except (ConfigError, KeyError):
                continue
            config = changed
        return config

    def _read_chosen(self, path: tuple[str, ...]) -> Any:
        assert self.chosen is not None
        try:
            return read(self.chosen, path)
        except (AttributeError, KeyError):
            return None

    # ------------------------------------------------------------------------- in the way
    @property
    def problem(self) -> str:
        """What is in the way of a training, one sentence with what to do; "" if nothing."""
        for sentence in (
            self.problem_of_labels, self._choice_problem, self.form_problem,
            self._too_few(), self._wrong_pipeline(), self._no_folder(),
        ):  # fmt: skip
            if sentence:
                return sentence
        return ""

    @property
    def problem_of_labels(self) -> str:
        """What is in the way of any training, whatever its options are."""
        if self.session.document is None:
            return "Open a video or labels first."
        for sentence in (self._running(), self._label_problem):
            if sentence:
                return sentence
        if self.measures is None or self.is_measuring:
            return "Looking at the labels and their frames …"
        return ""

    def _running(self) -> str:
        running = self.runs.running
        if running is None:
            return ""
        return f"The training {running.name} is at work: wait for it, or stop it."

    def _too_few(self) -> str:
        if self.config is None or self._labels is None:
            return ""
        train = self.config.train
        held_out = sum(
            max(1, round(self._labels.n_frames * fraction)) if fraction else 0
            for fraction in (train.validation_fraction, train.test_fraction)
        )
        if held_out < self._labels.n_frames:
            return ""
        return (
            f"Label at least {held_out + 1} frames: some to learn from, some to check with; "
            f"there {'is' if self._labels.n_frames == 1 else 'are'} {self._labels.n_frames}."
        )

    def _wrong_pipeline(self) -> str:
        if self.measures is None or self._labels is None or self.config is None:
            return ""
        if self.config.pipeline == "single" and self.measures.animals_per_frame > 1:
            return (
                f"There are up to {self.measures.animals_per_frame} animals in a frame: choose "
                "another pipeline than the one for a single animal."
            )
        try:
            if "multi_instance" in self.config.networks:
                check_joinable(self._labels.project.skeleton)
        except DataError as error:
            return str(error)
        return ""

    def _no_folder(self) -> str:
        out = self.out
        if out is None:
            return (
                "Save the project first, or choose a folder for the model: it is usually kept "
                "beside the project."
            )
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            return f"Choose another folder for the model: {out.name} holds files already."
        return ""

    @property
    def note(self) -> str:
        """What is worth knowing although it is not in the way; "" if nothing."""
        if self._labels is None or self._labels.poses.is_label.any():
            return ""
        return (
            f"There are no labels: the predictions in {self._labels.n_frames} frames would be "
            "learned as if they were true."
        )

    @property
    def learned(self) -> Project | None:
        """The project with the labels to learn from, unsaved edits included."""
        return None if self._labels is None else self._labels.project

    # --------------------------------------------------------------------------- starting
    def start(self) -> TrainingRun:
        """Start the training with the labels as they are now.

        Raises
        ------
        ConfigError
            If something is in the way.
        """
        self._pause.stop()
        if self._is_stale:
            self._remeasure()
        if not self._collect() or self.problem:
            raise ConfigError(self.problem)
        assert self._labels is not None
        assert self.config is not None
        out = self.out
        assert out is not None
        if self.resume is None:
            run = self.runs.start(self._labels.project, out, config=self.config)
        else:
            run = self.runs.start(
                self._labels.project, out, config=None if self.is_foreign else self.config,
                resume=self.resume, overrides=self._overrides(), preset=self.preset,
            )  # fmt: skip
        self._out = None
        self._tell()
        return run

    def retrain(self, last: Path) -> TrainingRun:
        """Go on from the last round, with its options and the labels as they are now."""
        before, changes = self.resume, dict(self._changes)
        self.set_resume(last)
        try:
            return self.start()
        finally:  # what is entered for the next training stays
            self.resume, self._changes = before, changes
            self._choose()

    def _overrides(self) -> list[str]:
        """Return the changes as texts: what a training that goes on can be told."""
        assert self.config is not None
        paths = {path for path in self._changes if path[0] in ("train", "augment")}
        if self.is_foreign:
            paths.add(("train", "max_minutes"))
        return [f"{'.'.join(path)}={json.dumps(read(self.config, path))}" for path in sorted(paths)]

    def _tell(self, *args: Any) -> None:
        self.changed.emit()
