"""Closing a window: unsaved work is asked about, and nothing is left behind.

Each test has a window of its own, made by napari's fixture, which finds leaks.
"""

from __future__ import annotations

import pytest
from qtpy.QtCore import QEvent
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication

from napari_animalpose._widgets import _session
from napari_animalpose._widgets._session import get_session
from napari_animalpose.data import edits
from napari_animalpose.io.journal import find_recoverable
from napari_animalpose.io.labels import read_labels
from napari_animalpose.pipeline.document import Document

pytestmark = pytest.mark.gui


def move(session):
    return session.do(edits.move_points(session.document.poses, [[0, 0, 0, 0]], [[60.0, 40.0]]))


@pytest.fixture
def fresh(make_napari_viewer_proxy, labels):
    """Return a window of its own, to be closed."""
    viewer = make_napari_viewer_proxy(show=True)
    session = get_session(viewer)
    session.open_dock("project")
    assert session.open(labels)
    return viewer, session


def close_by_event(session):
    """Send what the button of the window sends; return whether it was taken."""
    event = QCloseEvent()
    QApplication.sendEvent(session.window, event)
    return event.isAccepted()


def test_closing_the_window_asks_about_unsaved_work(fresh, labels, monkeypatch):
    _, session = fresh
    answers: list[str] = []
    monkeypatch.setattr(
        session.dialogs, "ask_to_save", lambda document: answers.pop(), raising=True
    )
    move(session)
    answers.append("cancel")
    assert not close_by_event(session)
    assert not session.is_closed
    assert session.document.is_dirty
    answers.append("save")
    assert close_by_event(session)
    assert read_labels(labels).poses.at(0, 0).xy[0, 0].tolist() == [60, 40]
    assert not answers


def test_a_check_of_a_dock_keeps_the_window_open(fresh):
    _, session = fresh
    says = [False]
    session.add_close_check(lambda: says[0])
    assert not close_by_event(session)
    says[0] = True
    assert close_by_event(session)


def test_a_check_of_a_dock_keeps_the_project_open_and_its_edits(fresh, labels):
    _, session = fresh
    says = [False]
    session.add_document_check(lambda: says[0])
    session.dialogs.ask_to_save = lambda document: "discard"
    move(session)
    document = session.document
    assert not session.open(labels)
    assert not close_by_event(session)
    assert session.document is document
    session.close()  # as a script may: nobody gave the edits up
    [recovery] = find_recoverable()
    Document.recover(recovery).close()


def test_napari_may_keep_the_window_after_we_agreed(fresh):
    """It asks a question of its own after ours; the session goes on if it is answered no."""
    _, session = fresh
    move(session)
    session.dialogs.ask_to_save = lambda document: "discard"
    assert session._watch.eventFilter(session.window, QCloseEvent()) is False
    QApplication.processEvents()
    assert not session.is_closed
    QApplication.sendEvent(session.window, QEvent(QEvent.Type.Hide))
    assert not session.is_closed
    assert session.document.is_dirty


def test_a_closed_window_ends_its_session_and_gives_up_the_journal(fresh):
    viewer, session = fresh
    move(session)
    session.dialogs.ask_to_save = lambda document: "discard"
    viewer.close()
    assert session.is_closed
    assert session.document is None
    assert find_recoverable() == []


def test_unsaved_work_that_nobody_gave_up_is_offered_at_the_next_start(fresh):
    """A script, or a napari that is told to quit, may close a window without a question."""
    _, session = fresh
    move(session)
    session.close()
    [recovery] = find_recoverable()
    document = Document.recover(recovery)
    assert document.poses.at(0, 0).xy[0, 0].tolist() == [60, 40]
    document.close()
    assert find_recoverable() == []


def test_docks_and_session_do_not_keep_their_viewer_alive(make_napari_viewer_proxy, labels, qtbot):
    """The fixture looks for viewers that are left, once this function is done with its own."""
    viewer = make_napari_viewer_proxy(show=True)
    session = get_session(viewer)
    session.show_docks()
    session.open(labels)
    qtbot.wait(50)
    viewer.close()
    assert session.is_closed
    assert get_sessions_left() == 0


def get_sessions_left() -> int:
    return sum(not session.is_closed for session in _session._SESSIONS.values())
