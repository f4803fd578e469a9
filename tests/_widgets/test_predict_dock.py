"""The Predict dock: what is asked of the child, what becomes of what it says, every end."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtTest import QTest
from scripted_training import ScriptedJob
from scripted_training import end as end_training

from napari_animalpose import jobs
from napari_animalpose._widgets import _predictions
from napari_animalpose._widgets._predictions import Request, get_predictions
from napari_animalpose._widgets._runs import TrainingRun, get_runs
from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets._worker import QtJob
from napari_animalpose._widgets.predict_dock import PredictDock
from napari_animalpose.config import ModelConfig, PredictConfig, RunConfig
from napari_animalpose.data.edits import move_points
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.pipeline.document import Document
from napari_animalpose.pipeline.model_info import ModelInfo
from napari_animalpose.pipeline.predicted_parts import PREDICTED, PredictedPart

pytestmark = pytest.mark.gui

CHILD_MS = 240_000  # for a child process, on a machine that has other things to do
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def session(make_napari_viewer_proxy, monkeypatch):
    session = get_session(make_napari_viewer_proxy())
    session.errors = []
    monkeypatch.setattr(session, "show_error", session.errors.append)
    return session


@pytest.fixture
def labels(tiny_labels: Path, tmp_path: Path) -> Path:
    for name in ("labels.slp", "video.mp4"):
        shutil.copy(tiny_labels.parent / name, tmp_path / name)
    return tmp_path / "labels.slp"


@pytest.fixture
def dock(qtbot, session):
    dock = PredictDock(session.viewer)
    qtbot.addWidget(dock)
    dock.resize(360, 700)
    dock.show()
    return dock


def make_run(path: Path, skeleton: Skeleton, pipeline: str = "single") -> Path:
    """Write a run folder that says it is trained, with weights that nobody looks at."""
    head = {"single": "single_instance", "bottomup": "multi_instance"}[pipeline]
    path.mkdir(parents=True)
    run = RunFolder(path)
    run.write_config(RunConfig(pipeline=pipeline, networks={head: ModelConfig()}))
    run.write_skeleton(skeleton)
    run.write_weights(head, [np.zeros(1, np.float32)])
    return path


@pytest.fixture
def ready(session, dock, labels):
    """The dock with labels, and a model beside them."""
    make_run(labels.parent / "models" / "round_01", Document.open(labels).skeleton)
    assert session.open(labels, ask=False)
    return dock


class Scripted:
    """Has predictions asked for without a process at work."""

    def __init__(self, monkeypatch) -> None:
        self.asked: list[tuple] = []
        self.job = ScriptedJob()
        monkeypatch.setattr(_predictions.QtJob, "start", self._start)

    def _start(self, function, *args, **options):
        self.asked.append((function, args, options))
        self.job = ScriptedJob()
        return QtJob(self.job)


@pytest.fixture
def scripted(monkeypatch):
    return Scripted(monkeypatch)


def click(button) -> None:
    assert button.isEnabled()
    assert button.isVisible()
    QTest.mouseClick(button, LEFT)


def predict_on(document: Document, *frames: int, shift: float = 300.0) -> PredictedPart:
    """Return a prediction of one animal a frame, away from the labels."""
    row = document.poses.select([0]).xy + np.float32(shift)
    poses = Poses.from_arrays(
        document.skeleton, frame=frames, xy=np.repeat(row, len(frames), axis=0),
        origin=Origin.PREDICTED, score=np.linspace(0.5, 1, len(frames)),
    )  # fmt: skip
    return PredictedPart(poses, np.array([(0, frame) for frame in frames], np.int64))


def end(document: Document, part: PredictedPart) -> jobs.Result:
    text = ",".join(str(frame) for frame in part.frames[:, 1].tolist())
    provenance = {"animalpose_frames": {"0": text}}
    return jobs.Result(Project(document.videos, part.poses, provenance=provenance))


def state_of(session):
    poses = session.document.poses
    return poses.frame.tolist(), poses.origin.tolist(), poses.xy.tobytes()


# ------------------------------------------------------------------------- in the way
def test_without_a_project_a_video_or_a_model_it_says_what_to_do(session, dock, labels):
    assert dock.footer.problem.text() == "Open a video or labels first."
    assert not dock.footer.predict.isEnabled()
    assert session.open(labels, ask=False)
    assert dock.footer.problem.text().startswith("Choose a model")
    assert "No model yet" in dock.model.facts.text()
    assert not dock.start()
    assert session.errors == [dock.problem]


def test_other_points_than_the_projects_are_refused_in_one_sentence(session, dock, labels):
    nodes = Document.open(labels).skeleton.nodes
    make_run(labels.parent / "models" / "other", Skeleton(("tail", *nodes[1:])))
    assert session.open(labels, ask=False)
    assert dock.problem == (
        f"This model has other points than the project: it lacks {nodes[0]} and also has tail. "
        "Choose another model, or change the points in the Skeleton dock."
    )
    assert not dock.footer.predict.isEnabled()
    order = Skeleton(tuple(reversed(nodes)))
    assert dock.use_model(make_run(labels.parent / "reversed", order))
    assert dock.problem == ""


def test_each_choice_of_frames_says_what_it_needs(ready, session):
    frames = ready.frames
    assert frames.text.text() == "24 frames"
    frames.choose("suggested")
    assert ready.footer.problem.text().startswith("No frames are suggested")
    assert not ready.footer.predict.isEnabled()
    frames.choose("range")
    assert "Shift" in ready.footer.problem.text()
    session.selected_range = (4, 9)
    QTest.qWait(300)
    assert frames.text.text() == "Frames 4 to 9: 6"
    assert ready.footer.predict.isEnabled()
    frames.choose("current")
    session.go_to(7)
    assert frames.frames.tolist() == [[0, 7]]
    assert not frames.count.isVisible()
    frames.choose("random")
    frames.count.setValue(5)
    assert frames.count.isVisible()
    drawn = frames.frames.tolist()
    assert len(drawn) == 5
    assert all(frame % 2 for _, frame in drawn)  # the others are labelled
    frames.draw_others()
    assert frames.frames.tolist() != drawn


# ----------------------------------------------------------------------------- models
def test_the_newest_run_beside_the_project_is_chosen_and_a_new_one_when_it_is_done(
    ready, session, labels
):
    first = labels.parent / "models" / "round_01"
    assert ready.model.info.paths == (first,)
    assert ready.model.facts.text() == f"single, {len(session.document.skeleton)} points."
    second = make_run(labels.parent / "models" / "round_02", session.document.skeleton)
    get_runs(session).train_finished.emit(second)
    assert ready.model.info.paths == (second,)
    assert ready.model.list.count() == 2
    get_runs(session).predict_requested.emit(first)
    assert ready.model.info.paths == (first,)


def test_a_new_run_is_chosen_in_its_own_project_and_in_no_other(
    ready, session, labels, tmp_path, qtbot
):
    runs, document, job = get_runs(session), session.document, ScriptedJob()
    first = labels.parent / "models" / "round_01"
    second = make_run(labels.parent / "models" / "round_02", document.skeleton)
    run = TrainingRun(QtJob(job), second, document=document, parent=runs)
    run.ended.connect(runs._on_ended)
    runs.runs.append(run)
    runs.train_finished.emit(first)
    assert ready.model.info.paths == (first,)
    other = tmp_path / "other" / "labels.slp"
    other.parent.mkdir()
    for name in ("labels.slp", "video.mp4"):
        shutil.copy(labels.parent / name, other.parent / name)
    assert session.open(other, ask=False)
    assert ready.model.info is None
    job.say(end_training(second))
    qtbot.waitUntil(lambda: not run.is_running)
    assert run.is_usable
    assert ready.model.info is None
    assert session.errors == []
    assert session.open(labels, ask=False)
    assert ready.model.info.paths == (first,)
    assert ready.model.list.count() == 2


def test_a_run_that_is_dropped_is_chosen_and_stays_for_a_dock_that_is_opened_later(
    ready, session, qtbot, tmp_path
):
    path = make_run(tmp_path / "elsewhere", session.document.skeleton)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(9, 9), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier
    )
    ready.dropEvent(event)
    assert ready.model.info.paths == (path,)
    another = PredictDock(session.viewer)
    qtbot.addWidget(another)
    assert another.model.info.paths == (path,)


def test_what_is_no_model_is_told_and_the_choice_stays(ready, session, tmp_path):
    before = ready.model.info
    assert not ready.use_model(tmp_path / "nowhere")
    assert not ready.use_model([before.paths[0], before.paths[0]])
    assert "does not exist" in session.errors[0]
    assert "choose it alone" in session.errors[1]
    assert ready.model.info == before


def test_a_half_model_of_sleap_asks_for_the_other(ready, session, real_data, monkeypatch):
    folder = real_data / "sleap_models"
    assert ready.use_model(folder / "minimal_instance.UNet.centered_instance")
    assert ready.model.info.needs_labels
    assert ready.model.partner.text() == "Add centroid model …"
    other = folder / "minimal_instance.UNet.centroid"
    monkeypatch.setattr(session.dialogs, "ask_folder", lambda title: other)
    click(ready.model.partner)
    info = ready.model.info
    assert len(info.paths) == 2
    assert info.missing == ""
    assert info.pipeline == "topdown"
    assert info.skeleton.nodes == ("A", "B")
    assert not ready.model.partner.isVisible()


# ----------------------------------------------------------------- what the child gets
def test_what_is_asked_of_the_child(ready, session, scripted):
    ready.frames.choose("current")
    session.go_to(3)
    ready.animals.setValue(2)
    ready.tracker.setCurrentIndex(ready.tracker.findData("flow"))
    ready.more.open()
    editor = ready.options.editor("peak_threshold")
    editor.lineEdit().setText("0.31")
    editor.lineEdit().textEdited.emit("0.31")
    click(ready.footer.predict)
    [(function, (project, models), options)] = scripted.asked
    assert function is _predictions.predict_and_track
    assert models == list(ready.model.info.paths)
    assert options["pairs"].tolist() == [[0, 3]]
    assert options["config"] == PredictConfig(peak_threshold=0.31, max_instances=2)
    assert options["tracking"].track.tracker == "flow"
    assert options["tracking"].track.max_animals == 2
    assert options["stream"] is True
    assert len(project.poses) == 0  # of 12 labels: no model of ours needs them
    assert project.skeleton == session.document.skeleton
    assert project.videos == session.document.videos


def test_a_model_that_needs_labels_gets_those_of_the_frames_as_they_are_now(session, dock, labels):
    assert session.open(labels, ask=False)
    poses = session.document.poses
    session.do(move_points(poses, [[0, 4, 0, 1]], [[55.0, 44.0]]))
    info = ModelInfo((labels,), "topdown", poses.skeleton, is_sleap=True, missing="centroid")
    request = Request(info, np.array([[0, 4], [0, 5]]), PredictConfig())
    sent = _predictions._strip(session.document.project, request)
    assert sent.poses.frame.tolist() == [4]
    assert sent.poses.xy[0, 1].tolist() == [55.0, 44.0]


def test_options_that_mean_nothing_to_a_model_are_not_shown(ready, session, tmp_path):
    ready.more.open()
    shown = {path[-1] for path in ready.options._rows}
    assert shown >= {"peak_threshold", "min_mean_confidence", "refinement", "batch_size"}
    assert not shown & {"max_instances", "min_line_score", "sleap_exact", "min_class_probability"}
    ready.use_model(make_run(tmp_path / "bu", session.document.skeleton, "bottomup"))
    assert {"min_line_score", "min_points"} <= {path[-1] for path in ready.options._rows}


def test_what_is_typed_wrong_is_said_and_nothing_starts(ready, session, scripted):
    ready.more.open()
    editor = ready.options.editor("peak_threshold")
    editor.lineEdit().setText("7")
    editor.lineEdit().textEdited.emit("7")
    assert "from 0 to 1" in ready.footer.problem.text()
    assert not ready.start()
    assert scripted.asked == []


# ---------------------------------------------------------------------------- results
def test_results_are_one_step_of_undo_and_the_first_one_is_shown(ready, session, scripted, qtbot):
    before, document = state_of(session), session.document
    session.go_to(0)
    click(ready.footer.predict)
    assert ready.footer.text.text() == "Loading the model …"
    assert not ready.footer.predict.isVisible()
    scripted.job.say(jobs.Progress("predict", 6, 24, rate=8.25, eta_s=75))
    qtbot.waitUntil(lambda: ready.footer.text.text().startswith("6"))
    assert ready.footer.text.text() == "6 of 24 frames, 8.25 frames/s, 1 min 15 s left"
    assert ready.footer.bar.value() == 250
    assert state_of(session) == before
    part = predict_on(document, 9, 11)
    scripted.job.say(end(document, PredictedPart(part.poses, np.array([[0, 7], *part.frames]))))
    qtbot.waitUntil(lambda: ready.predictions.running is None)
    assert document.poses.at(0, 9).origin.tolist() == [Origin.PREDICTED]
    assert session.frame == 9
    assert "2 predictions, mean score 0.75. 1 frame without animals." in ready.footer.text.text()
    session.go_to(0)
    click(ready.footer.first)
    assert session.frame == 9
    session.undo()
    assert state_of(session) == before
    assert not document.history.can_undo


def test_a_person_who_works_elsewhere_is_left_there(ready, session, scripted, qtbot):
    document = session.document
    click(ready.footer.predict)
    session.go_to(2)
    session.do(move_points(document.poses, [[0, 2, 0, 0]], [[12.0, 13.0]]))
    scripted.job.say(end(document, predict_on(document, 9)))
    qtbot.waitUntil(lambda: ready.predictions.running is None)
    assert session.frame == 2
    assert document.poses.at(0, 2).xy[0, 0].tolist() == [12.0, 13.0]
    assert len(document.poses.at(0, 9)) == 1


@pytest.mark.parametrize(
    ("mode", "left"), [("replace", [1, 3]), ("clear", [1]), ("keep", [1, 1, 3])]
)
def test_what_becomes_of_earlier_predictions(ready, session, scripted, qtbot, mode, left):
    document = session.document
    for frame in (1, 3):
        ready.frames.choose("current")
        session.go_to(frame)
        ready.start()
        scripted.job.say(end(document, predict_on(document, frame)))
        qtbot.waitUntil(lambda: ready.predictions.running is None)
    session.go_to(1)
    ready.mode.setCurrentIndex(ready.mode.findData(mode))
    assert ready.mode_text.text().endswith(".")
    ready.start()
    scripted.job.say(end(document, predict_on(document, 1)))
    qtbot.waitUntil(lambda: ready.predictions.running is None)
    assert document.poses.frame[~document.poses.is_label].tolist() == left
    assert ready.predictions.outcome.n_animals == 1


def test_the_animals_of_two_predictions_are_not_taken_for_each_other(
    ready, session, scripted, qtbot
):
    document = session.document
    for frames in ((1, 3), (3, 5)):
        click(ready.footer.predict)
        part = predict_on(document, *frames)
        poses = part.poses.replace(track=0, track_names=["track_0"])
        scripted.job.say(end(document, PredictedPart(poses, part.frames)))
        qtbot.waitUntil(lambda: ready.predictions.running is None)
    found = document.poses.select(~document.poses.is_label)
    names = [document.poses.track_names[track] for track in found.track.tolist()]
    assert found.frame.tolist() == [1, 3, 5]
    assert names[0] != names[1] == names[2]


def test_labelled_animals_are_counted_as_left_out(ready, session, scripted, qtbot):
    document = session.document
    click(ready.footer.predict)
    same = document.poses.take_frames([(0, 4)]).replace(origin=Origin.PREDICTED, score=0.9)
    scripted.job.say(end(document, PredictedPart(same, np.array([[0, 4]]))))
    qtbot.waitUntil(lambda: ready.predictions.running is None)
    assert "0 predictions" in ready.footer.text.text()
    assert "1 animal had a label already and was left out." in ready.footer.text.text()
    assert ready.predictions.outcome.n_labelled == 1
    assert not document.history.can_undo


def test_nothing_found_says_what_to_try(ready, session, scripted, qtbot):
    document = session.document
    click(ready.footer.predict)
    nobody = PredictedPart(Poses.empty(document.skeleton), np.array([[0, 1], [0, 2]]))
    scripted.job.say(jobs.Log(logging.WARNING, "Crowded."), end(document, nobody))
    qtbot.waitUntil(lambda: ready.predictions.running is None)
    text = ready.footer.text.text()
    assert "Nothing was found: lower the peak threshold" in text
    assert text.endswith("Crowded.")
    assert not ready.footer.first.isVisible()


def test_a_project_without_points_takes_those_of_the_model_in_the_same_step(
    session, dock, labels, scripted, qtbot, tmp_path
):
    videos, known = Document.open(labels).videos, Document.open(labels)
    session.set_document(Document(Project(videos, Poses.empty(Skeleton(())))))
    assert dock.use_model(make_run(tmp_path / "run", known.skeleton))
    click(dock.footer.predict)
    part = predict_on(known, 5, shift=0)
    scripted.job.say(end(session.document, part))
    qtbot.waitUntil(lambda: dock.predictions.running is None)
    assert session.document.skeleton == known.skeleton
    np.testing.assert_array_equal(session.document.poses.xy, part.poses.xy)
    assert session.frame == 5
    session.undo()
    assert session.document.skeleton == Skeleton(())
    assert len(session.document.poses) == 0


def test_suggestions_are_predicted_with_one_click(ready, session, scripted):
    assert not ready.footer.suggested.isEnabled()
    assert not ready.predict_on_suggestions()
    assert "No frames are suggested" in session.errors[0]
    session.do(session.document.replace_suggestions([(0, 13), (0, 5)]))
    click(ready.footer.suggested)
    assert scripted.asked[0][2]["pairs"].tolist() == [[0, 5], [0, 13]]
    assert not ready.start()  # one at a time
    assert "at work" in session.errors[1]


# ------------------------------------------------------------------------ ends too soon
def test_stop_asks_the_child_and_keeps_what_it_returns(ready, session, scripted, qtbot):
    document = session.document
    click(ready.footer.predict)
    assert not ready.footer.stop.isEnabled()  # nothing is done yet
    part = predict_on(document, 1, 3)
    scripted.job.say(jobs.Progress("predict", 2, 24), jobs.Part(PREDICTED, part))
    qtbot.waitUntil(ready.footer.stop.isEnabled)
    click(ready.footer.stop)
    assert scripted.job.orders == ["stop"]
    assert ready.footer.text.text() == "Stopping; 2 frames are kept …"
    scripted.job.say(end(document, part))
    qtbot.waitUntil(lambda: ready.predictions.running is None)
    assert ready.footer.text.text().startswith("Looked at 2 of 24 frames in ")
    assert (~document.poses.is_label).sum() == 2


def test_cancel_keeps_nothing(ready, session, scripted, qtbot):
    before = state_of(session)
    click(ready.footer.predict)
    scripted.job.say(jobs.Part(PREDICTED, predict_on(session.document, 1)))
    qtbot.waitUntil(lambda: ready.predictions.current.n_arrived == 1)
    click(ready.footer.cancel)
    qtbot.waitUntil(lambda: ready.predictions.running is None)
    assert ready.footer.text.text() == "Cancelled; nothing was kept."
    assert state_of(session) == before
    assert ready.footer.predict.isEnabled()


@pytest.mark.parametrize("keeps", [True, False])
def test_after_the_death_of_the_child_what_had_arrived_is_offered(
    ready, session, scripted, qtbot, keeps
):
    before, document = state_of(session), session.document
    click(ready.footer.predict)
    for frame in (1, 3):
        scripted.job.say(jobs.Part(PREDICTED, predict_on(document, frame)))
    scripted.job.say(jobs.Failed("It was killed.", "SIGKILL"))
    qtbot.waitUntil(lambda: ready.predictions.is_waiting)
    assert ready.footer.text.text() == "It was killed. 2 of 24 frames had arrived."
    assert state_of(session) == before
    assert not ready.footer.predict.isEnabled()  # it would forget them
    click(ready.footer.keep if keeps else ready.footer.discard)
    assert document.poses.frame[~document.poses.is_label].tolist() == ([1, 3] if keeps else [])
    assert not ready.footer.keep.isVisible()
    assert ready.footer.predict.isEnabled()
    if keeps:
        assert ready.footer.text.text().startswith("Kept what had arrived of 2 of 24 frames.")


def test_a_failure_before_anything_arrived_is_only_told(ready, scripted, qtbot):
    click(ready.footer.predict)
    scripted.job.say(jobs.Failed("Expected memory; received none.", "MemoryError"))
    qtbot.waitUntil(lambda: ready.predictions.running is None)
    assert ready.footer.text.text() == "Expected memory; received none."
    assert not ready.footer.keep.isVisible()
    assert ready.footer.predict.isEnabled()


def test_predictions_that_do_not_fit_any_more_wait(ready, session, scripted, qtbot):
    from napari_animalpose.data.schema_edits import rename_node

    document = session.document
    click(ready.footer.predict)
    part = predict_on(document, 1)
    session.do(rename_node(document.poses, document.skeleton.nodes[0], "nose"))
    scripted.job.say(end(document, part))
    qtbot.waitUntil(lambda: ready.predictions.is_waiting)
    assert "do not fit" in ready.footer.text.text()
    session.undo()
    click(ready.footer.keep)
    assert len(document.poses.at(0, 1)) == 1


def test_another_project_ends_the_prediction(ready, session, scripted, labels, qtbot):
    click(ready.footer.predict)
    job = scripted.job
    assert session.open(labels, ask=False)
    assert job.orders == ["cancel"]
    qtbot.waitUntil(lambda: ready.predictions.running is None)
    assert (~session.document.poses.is_label).sum() == 0
    assert ready.footer.text.text() == ""


class Asked:
    """Has questions noted, and answered as `answer` says."""

    def __init__(self, session, monkeypatch) -> None:
        self.titles: list[str] = []
        self.answer = False
        monkeypatch.setattr(session.dialogs, "confirm", self._confirm)

    def _confirm(self, title, *args, **options) -> bool:
        self.titles.append(title)
        return self.answer


def test_a_prediction_at_work_is_asked_about_before_its_project_goes(
    ready, session, scripted, labels, qtbot, monkeypatch
):
    asked, document = Asked(session, monkeypatch), session.document
    click(ready.footer.predict)
    assert not session.open(labels)
    assert not session.open_new([labels.parent / "video.mp4"])
    assert not session.may_close()  # asked by what closes the project or the window
    assert asked.titles == ["Prediction at work"] * 3
    assert session.document is document
    assert scripted.job.orders == []
    asked.answer = True
    assert session.open(labels)
    assert session.document is not document
    assert scripted.job.orders == ["cancel"]
    assert session.open(labels)  # nothing to ask about, be the child gone or not
    assert asked.titles == ["Prediction at work"] * 4
    qtbot.waitUntil(lambda: ready.predictions.running is None)
    assert session.document.poses.is_label.all()


def test_predictions_that_wait_are_asked_about_before_their_project_goes(
    ready, session, scripted, labels, qtbot, monkeypatch
):
    asked, document = Asked(session, monkeypatch), session.document
    click(ready.footer.predict)
    scripted.job.say(
        jobs.Part(PREDICTED, predict_on(document, 1)), jobs.Failed("It was killed.", "SIGKILL")
    )
    qtbot.waitUntil(lambda: ready.predictions.is_waiting)
    assert not session.open(labels)
    assert asked.titles == ["Predictions wait"]
    assert session.document is document
    assert ready.footer.keep.isVisible()
    asked.answer = True
    assert session.open(labels)
    assert not ready.predictions.is_waiting
    assert not ready.footer.keep.isVisible()
    assert session.may_close()
    assert asked.titles == ["Predictions wait"] * 2


def test_a_dock_that_is_closed_does_not_end_it_and_napari_asks(
    ready, session, scripted, qtbot, monkeypatch
):
    click(ready.footer.predict)
    ready.close()
    predictions = get_predictions(session)
    assert predictions.running is not None
    questions = []
    monkeypatch.setattr(session.dialogs, "confirm", lambda *a, **k: questions.append(a))
    assert not predictions.may_close()
    assert scripted.job.orders == []
    monkeypatch.setattr(session.dialogs, "confirm", lambda *a, **k: True)
    assert predictions.may_close()
    assert scripted.job.orders == ["cancel"]
    assert len(questions) == 1


# ----------------------------------------------------------------------- a real network
@pytest.fixture(scope="module")
def trained(tiny_labels, tiny_overrides, tmp_path_factory) -> Path:
    """A tiny run, trained in a process of its own: TensorFlow stays out of this one."""
    out = tmp_path_factory.mktemp("trained") / "run"
    settings = [part for text in tiny_overrides for part in ("--set", text)]
    command = [sys.executable, "-m", "napari_animalpose", "train", str(tiny_labels)]
    done = subprocess.run(
        [*command, "-o", str(out), *settings], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out


def ask_for_everything(dock) -> None:
    """Have even a network that knows nothing find something everywhere."""
    for name in ("peak_threshold", "min_mean_confidence"):
        editor = dock.options.editor(name)
        editor.lineEdit().setText("0")
        editor.lineEdit().textEdited.emit("0")


@pytest.mark.slow
def test_a_real_network_predicts_in_a_child(session, dock, labels, trained, qtbot):
    assert session.open(labels, ask=False)
    assert dock.use_model(trained)
    session.do(session.document.replace_suggestions([(0, 1), (0, 3), (0, 21)]))
    ask_for_everything(dock)
    click(dock.footer.suggested)
    qtbot.waitUntil(lambda: dock.predictions.running is None, timeout=CHILD_MS)
    assert dock.predictions.problem == ""
    poses = session.document.poses
    assert poses.frame[~poses.is_label].tolist() == [1, 3, 21]
    assert session.frame == 1
    assert "Looked at 3 frames in " in dock.footer.text.text()
    session.undo()
    assert session.document.poses.is_label.all()
    assert "tensorflow" not in sys.modules


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no kill -9.")
def test_a_child_that_is_killed_leaves_the_project_as_it_was(session, dock, labels, trained, qtbot):
    assert session.open(labels, ask=False)
    assert dock.use_model(trained)
    before = state_of(session)
    click(dock.footer.predict)
    time.sleep(1.0)
    os.kill(dock.predictions.running.worker.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: dock.predictions.running is None, timeout=CHILD_MS)
    assert dock.predictions.problem != ""
    assert state_of(session) == before
    assert dock.footer.text.text().startswith(dock.predictions.problem)
