"""The training monitor: what a training says is shown, and every end has its words."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import scripted_training as scripted
from qtpy.QtGui import QDesktopServices

from napari_animalpose import jobs
from napari_animalpose._widgets._runs import TrainingRun, get_runs
from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets._tensorboard import TensorBoard, command
from napari_animalpose._widgets._training_words import say_duration
from napari_animalpose._widgets._validation_view import color_map, to_image
from napari_animalpose._widgets._worker import QtJob
from napari_animalpose._widgets.monitor import MonitorDock
from napari_animalpose.io.runs import RunFolder

pytestmark = pytest.mark.gui

OUT = Path("models") / "flies_round_01"


@pytest.fixture
def session(make_napari_viewer_proxy):
    return get_session(make_napari_viewer_proxy())


@pytest.fixture
def monitor(qtbot, session):
    monitor = MonitorDock(session.viewer)
    qtbot.addWidget(monitor)
    monitor.resize(360, 900)
    monitor.show()
    return monitor


@pytest.fixture
def with_labels(session, labels):
    """The session with a project that is learned from."""
    assert session.open(labels, ask=False)
    return session


def begin(session, *events, out: Path = OUT) -> tuple[scripted.ScriptedJob, TrainingRun]:
    """Have a training without a process at work."""
    runs, job = get_runs(session), scripted.ScriptedJob(events)
    run = TrainingRun(
        QtJob(job), out, scripted.TWO, scripted.SKELETON, session.document, parent=runs
    )
    run.changed.connect(runs.changed)
    run.ended.connect(runs._on_ended)
    runs.runs.append(run)
    runs.started.emit(run)
    return job, run


def wait_for(qtbot, condition) -> None:
    qtbot.waitUntil(condition, timeout=10_000)


def test_without_a_training_it_says_where_to_start_one(monitor):
    assert monitor.empty.isVisible()
    assert "Train dock" in monitor.empty.text()


def test_curves_queue_best_epoch_and_time_left(monitor, session, qtbot):
    _job, run = begin(session, *scripted.whole_training(OUT, n_epochs=10))
    wait_for(qtbot, lambda: run.progress is not None)
    monitor.refresh()
    assert run.networks == ("centroid", "centered_instance")
    assert monitor.queue.text() == "✓ centroid network   →   ● centred network"
    assert monitor.title.text() == "flies_round_01: training the centred network"
    assert "bfloat16" in monitor.facts.text()
    assert "17 frames to learn from, 3 to check" in monitor.facts.text()
    names = [series.name for series in monitor.loss._series]
    assert names == ["centroid network", "centred network"]
    epochs, errors = run.column("centered_instance", "val_error_px")
    best = 1 + int(np.nanargmin(errors))
    assert run.best("centered_instance") == (best, pytest.approx(np.nanmin(errors)))
    assert f"at epoch {best}" in monitor.best.text()
    assert monitor.error._marked == best
    assert 38 < run.seconds_left <= 42
    assert "left" in monitor.bar.format()
    assert epochs == list(range(1, 11))


def test_examples_of_each_network_and_the_way_to_their_frame(monitor, with_labels, session, qtbot):
    begin(session, *scripted.whole_training(OUT, n_epochs=4))
    panel = monitor.examples
    wait_for(qtbot, lambda: panel.network.count() == 2)
    assert panel.network.currentText() == "centred network"
    assert panel.source.text() == "frame 0, epoch 4"
    panel.next.click()
    assert panel.source.text() == "frame 10, epoch 4"
    with qtbot.waitSignal(panel.frame_requested) as told:
        panel.source.click()
    assert told.args == [0, 10]
    assert session.frame == 10
    panel.previous.click()
    panel.previous.click()
    assert panel.source.text() == "frame 20, epoch 4"
    with_maps = panel.view.grab().toImage()
    panel.maps.click()
    assert panel.view.grab().toImage() != with_maps


def test_frames_of_another_project_are_out_of_reach(
    monitor, with_labels, session, labels, videos, qtbot
):
    begin(session, *scripted.whole_training(OUT, n_epochs=4))
    panel = monitor.examples
    wait_for(qtbot, lambda: panel.network.count() == 2)
    panel.next.click()
    assert panel.source.isEnabled()
    assert session.open_new([videos[1]], ask=False)
    assert not panel.source.isEnabled()
    assert "another project" in panel.source.toolTip()
    panel.source.click()
    assert (session.video, session.frame) == (0, 0)
    session.set_document(None)
    assert not panel.source.isEnabled()
    assert session.open(labels, ask=False)
    panel.source.click()
    assert (session.video, session.frame) == (0, 10)


def test_the_end_in_another_project_offers_nothing_there(
    monitor, with_labels, session, labels, videos, qtbot
):
    runs, told = get_runs(session), []
    runs.train_finished.connect(told.append)
    for project in (videos[1], labels):
        assert session.open(labels, ask=False)
        job, run = begin(session, *scripted.whole_training(OUT, 2))
        assert session.open(project, ask=False)
        job.say(scripted.end(OUT))
        wait_for(qtbot, lambda run=run: not run.is_running)
        assert run.is_usable
        assert told == ([] if project != labels else [OUT])


def test_the_end_tells_the_accuracy_and_offers_to_predict(
    monitor, with_labels, session, qtbot, monkeypatch
):
    job, run = begin(session, *scripted.whole_training(OUT, 2))
    runs, opened = get_runs(session), []
    monkeypatch.setattr(session, "open_dock", opened.append)
    with qtbot.waitSignal(runs.train_finished, timeout=10_000) as told:
        job.say(scripted.end(OUT))
    assert told.args == [OUT]
    monitor.refresh()
    assert run.state == "done"
    assert monitor.queue.text() == "✓ centroid network   →   ✓ centred network"
    assert "median error is 1.9 px" in monitor.message.text()
    assert "1 of 6 animals were missed" in monitor.message.text()
    assert not monitor.stop.isVisible()
    with qtbot.waitSignal(runs.predict_requested) as told:
        monitor.predict.click()
    assert told.args == [OUT]
    assert opened == ["predict"]


def test_open_folder(monitor, session, qtbot, monkeypatch):
    shown = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()))
    _job, run = begin(session, scripted.plan(OUT), scripted.end(OUT))
    wait_for(qtbot, lambda: not run.is_running)
    monitor.refresh()
    monitor.folder.click()
    assert shown == [str(OUT.resolve())]


def test_a_training_stopped_between_networks_cannot_predict(monitor, with_labels, session, qtbot):
    told: list[Path] = []
    get_runs(session).train_finished.connect(told.append)
    first = scripted.network("centroid", 0, 2)
    _job, run = begin(session, scripted.plan(OUT), first, scripted.end(OUT, {}))
    wait_for(qtbot, lambda: not run.is_running)
    monitor.refresh()
    assert not monitor.predict.isVisible()
    assert "Continue from it" in monitor.message.text()
    assert monitor.queue.text() == "✓ centroid network   →   ○ centred network"
    assert told == []


def test_a_failure_is_one_sentence_with_details(monitor, session, qtbot):
    failed = jobs.Failed("Expected memory; received none. Take less.", "SIGKILL", "last words")
    _job, run = begin(session, scripted.plan(OUT), failed)
    wait_for(qtbot, lambda: not run.is_running)
    monitor.refresh()
    assert run.state == "failed"
    assert monitor.message.text() == failed.message
    monitor.details.click()
    assert monitor.trace.toPlainText() == "last words"
    assert monitor.trace.isVisible()
    assert run.log[-1] == (logging.ERROR, failed.message)


def test_stop_early_and_cancel_reach_the_job(monitor, session, qtbot):
    job, run = begin(session, *scripted.whole_training(OUT, 2))
    wait_for(qtbot, lambda: run.progress is not None)
    monitor.refresh()
    monitor.stop.click()
    assert job.orders == ["stop"]
    assert run.state == "stopping"
    monitor.refresh()
    assert not monitor.stop.isEnabled()
    monitor.cancel.click()
    assert job.orders == ["stop", "cancel"]
    wait_for(qtbot, lambda: run.state == "cancelled")
    monitor.refresh()
    assert "nothing of it was kept" in monitor.message.text()


@pytest.mark.parametrize("has_plan", [True, False])
def test_what_a_child_that_had_to_be_killed_left_is_removed(session, qtbot, tmp_path, has_plan):
    out = tmp_path / "run"
    job, run = begin(session, *([scripted.plan(out)] if has_plan else []), out=out)
    wait_for(qtbot, lambda: not job.waiting)
    wait_for(qtbot, lambda: (run.plan is not None) == has_plan)
    out.mkdir()
    (out / "config.json").touch()
    if has_plan:
        RunFolder(out).write_weights("centroid", [np.zeros(1, np.float32)])
    run.cancel()
    wait_for(qtbot, lambda: run.state == "cancelled")
    assert not out.exists()


def test_folders_that_a_cancelled_training_did_not_make_stay(session, qtbot, tmp_path):
    before, meanwhile = tmp_path / "before", tmp_path / "meanwhile"
    before.mkdir()
    (before / "notes.txt").touch()
    for out in (before, meanwhile):
        _job, run = begin(session, out=out)
        if out is meanwhile:  # by another program
            out.mkdir()
            RunFolder(out).write_weights("centroid", [np.zeros(1, np.float32)])
        run.cancel()
        wait_for(qtbot, lambda run=run: run.state == "cancelled")
        assert out.exists()


def test_a_dock_that_is_closed_and_opened_again_shows_the_run(monitor, session, qtbot):
    job, run = begin(session, *scripted.whole_training(OUT, 3)[:5])
    wait_for(qtbot, lambda: bool(run.history))
    monitor.close()
    job.say(*scripted.whole_training(OUT, 3)[5:])
    wait_for(qtbot, lambda: run.progress is not None)
    again = MonitorDock(session.viewer)
    qtbot.addWidget(again)
    again.show()
    assert again.queue.text().startswith("✓ centroid network")
    assert again.examples.network.count() == 2
    again.findChildren(type(again.examples))
    assert run.is_running


def test_closing_the_window_asks_while_a_training_is_at_work(session, qtbot, monkeypatch, tmp_path):
    runs = get_runs(session)
    assert runs is get_runs(session)
    assert runs.may_close()
    out = tmp_path / "run"
    job, run = begin(session, scripted.plan(out), out=out)
    wait_for(qtbot, lambda: run.plan is not None)
    out.mkdir()
    answers = [False, True]
    monkeypatch.setattr(session.dialogs, "confirm", lambda *a, **k: answers.pop(0))
    assert not runs.may_close()
    assert job.orders == []
    assert out.exists()
    assert runs.may_close()
    assert job.orders == ["cancel"]
    assert not out.exists()  # the window does not wait for anything any more
    wait_for(qtbot, lambda: not run.is_running)


def test_durations():
    assert [say_duration(s) for s in (3.2, 75, 120, 3900, float("nan"))] == [
        "3 s", "1 min 15 s", "2 min", "1 h 5 min", "?",
    ]  # fmt: skip


def test_pictures_have_the_pixels_of_the_arrays(qtbot):
    rng = np.random.default_rng(0)
    for shape in ((5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)):
        pixels = rng.integers(0, 255, shape, np.uint8)
        color = to_image(pixels).pixelColor(6, 4)
        found = [color.red(), color.green(), color.blue(), color.alpha()]
        expected = np.atleast_1d(pixels[4, 6]).tolist()
        expected = expected * 3 if len(expected) == 1 else expected
        assert found[: len(expected)] == expected


def test_maps_are_as_opaque_as_they_are_confident(qtbot):
    example = scripted.preview("centered_instance", 1).arrays["examples"][0]
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    rgba = color_map(example, colors)
    row, column = np.unravel_index(example.confidence.argmax(), example.confidence.shape)
    assert rgba[row, column, 3] == rgba[..., 3].max() > 150
    assert (rgba[row, column, :3] == colors[example.node[row, column]]).all()


def test_tensorboard_serves_the_folder_on_this_machine(qtbot, monkeypatch, tmp_path):
    shown: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toString()))
    script = "print('noise'); print('TensorBoard at http://127.0.0.1:6007/ (Press)', flush=True)"
    module = "napari_animalpose._widgets._tensorboard.command"
    import sys

    wait = "import time; time.sleep(60)"
    monkeypatch.setattr(module, lambda folder: [sys.executable, "-c", f"{script}; {wait}"])
    board = TensorBoard()
    with qtbot.waitSignal(board.opened, timeout=20_000) as told:
        board.open(tmp_path)
    assert told.args == ["http://127.0.0.1:6007/"]
    board.open(tmp_path)
    assert shown == ["http://127.0.0.1:6007/"] * 2
    board.close()
    assert not board.is_running
    monkeypatch.setattr(module, lambda folder: [sys.executable, "-c", "raise SystemExit(1)"])
    with qtbot.waitSignal(board.failed, timeout=20_000) as told:
        board.open(tmp_path)
    assert "tensorboard --logdir" in told.args[0]


def test_the_command_of_tensorboard():
    assert command(Path("logs"))[1:3] == ["-m", "tensorboard.main"]
    assert command(Path("logs"))[-1] == "logs"
