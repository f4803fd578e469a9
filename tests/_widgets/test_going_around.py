"""Timeline and review docks in a real viewer, over a real document."""

from __future__ import annotations

import numpy as np
import pytest
from fake_session import FakeVideo
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_animalpose._widgets._session import get_session
from napari_animalpose._widgets.review_dock import ReviewDock
from napari_animalpose._widgets.timeline_dock import TimelineDock
from napari_animalpose.data.overview import FrameKind
from napari_animalpose.data.poses import Origin
from napari_animalpose.data.project import Project
from napari_animalpose.pipeline.document import Document
from napari_animalpose.review.suggestions.base import Suggestions
from napari_animalpose.sample import make_sample

pytestmark = pytest.mark.gui

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy(show=True)


@pytest.fixture
def session(viewer):
    sample = make_sample(n_frames=60, n_animals=2, size=(96, 128), seed=1)
    poses = sample.poses.replace(origin=Origin.PREDICTED, score=0.9)
    session = get_session(viewer)
    session.set_document(Document(Project(videos=(FakeVideo(60),), poses=poses)))
    yield session
    session.close()


@pytest.fixture
def timeline(viewer, session, qtbot):
    dock = TimelineDock(viewer)
    viewer.window.add_dock_widget(dock, area="bottom", name="Timeline")
    qtbot.wait(50)  # for the layout
    return dock


@pytest.fixture
def review(viewer, session, qtbot):
    dock = ReviewDock(viewer)
    viewer.window.add_dock_widget(dock, area="right", name="Review")
    qtbot.wait(50)
    return dock


def at(timeline: TimelineDock, frame: float, y: int = 40) -> QPoint:
    return QPoint(int(timeline.view.view.x_of(frame)), y)


def test_the_viewer_follows_the_timeline_and_the_timeline_the_viewer(timeline, session, qtbot):
    QTest.mouseClick(timeline.view, LEFT, NONE, at(timeline, 31.5))
    assert session.frame == 31
    assert session.viewer.dims.current_step[0] == 31
    session.viewer.dims.set_current_step(0, 47)
    assert timeline.status.text().startswith("Frame 47 / 59")


def test_the_selected_range_is_the_one_of_the_session(timeline, session):
    shift = Qt.KeyboardModifier.ShiftModifier
    session.go_to(10)
    QTest.mouseClick(timeline.view, LEFT, shift, at(timeline, 20.5))
    assert session.selected_range == (10, 20)


def test_suggestions_are_edits_of_the_document(timeline, review, session):
    found = Suggestions(np.array([[0, 5], [0, 50]], np.int32), ("Fast.", "Slow."), "even")
    review.suggestions.work.result.emit(found)
    assert session.document.suggestions.tolist() == [[0, 5], [0, 50]]
    assert timeline.view.overview.frames(FrameKind.SUGGESTED).tolist() == [5, 50]
    QTest.mouseClick(review.suggestions.next, LEFT)
    QTest.mouseClick(review.suggestions.next, LEFT)
    assert session.frame == 50
    session.do(session.document.mark_empty([(0, 50)]))
    assert review.suggestions.progress.text() == "1 of 2 labelled"
    assert timeline.view.overview.frames(FrameKind.EMPTY).tolist() == [50]
    session.undo()
    session.undo()
    assert timeline.view.overview.count(FrameKind.SUGGESTED) == 0
    assert review.suggestions.table.records == []


def test_likely_errors_are_found_and_shown_in_the_canvas(timeline, review, session, qtbot):
    track = session.document.poses.track.copy()
    late = session.document.poses.frame >= 30
    track[late] = 1 - track[late]
    project = session.document.project
    session.set_document(Document(project.with_poses(project.poses.replace(track=track))))
    review.tabs.setCurrentIndex(1)
    qtbot.wait(50)
    QTest.mouseClick(review.errors.work.button, LEFT)
    qtbot.waitUntil(lambda: not review.errors.work.is_running, timeout=120_000)
    kinds = [record.cells[:2] for record in review.errors.table.records]
    assert ("Switch", "30") in kinds
    QTest.mouseClick(review.errors.next, LEFT)
    assert session.frame == 30
    assert len(session.selected_instances) == 1
    qtbot.wait(50)
    QTest.mouseClick(review.errors.flag, LEFT)
    assert 30 in timeline.view.overview.frames(FrameKind.FLAGGED).tolist()
    [swap] = [b for b in review.errors.repairs if b.text() == "Swap from here"]
    QTest.mouseClick(swap, LEFT)
    assert (session.document.poses.track[late] == 1 - track[late]).all()


def test_docks_without_a_document_say_what_to_do(viewer):
    session = get_session(viewer)
    for dock in (TimelineDock(viewer), ReviewDock(viewer)):
        viewer.window.add_dock_widget(dock)
        dock.grab()
    assert session.document is None
