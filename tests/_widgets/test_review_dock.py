"""The review dock: frames are suggested, errors found, gone through, repaired, flagged."""

from __future__ import annotations

import numpy as np
import pytest
from fake_session import FakeDocument, FakeSession, FakeVideo
from planted import make_predictions
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_animalpose._widgets import review_dock
from napari_animalpose._widgets.review_dock import ReviewDock
from napari_animalpose.data import edits
from napari_animalpose.data.poses import Poses
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.suggestions.base import SUGGESTERS, Suggestions

pytestmark = pytest.mark.gui

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def predictions() -> Poses:
    poses = make_predictions(n_frames=240)
    track = poses.track.copy()
    track[poses.frame >= 120] = 1 - track[poses.frame >= 120]
    return poses.replace(track=track)


@pytest.fixture
def session(qapp, predictions):
    return FakeSession(FakeDocument(predictions.copy(), (FakeVideo(240),)))


@pytest.fixture
def dock(qtbot, monkeypatch, session):
    monkeypatch.setattr(review_dock, "get_session", lambda viewer: session)
    dock = ReviewDock(None)
    qtbot.addWidget(dock)
    dock.resize(380, 800)
    dock.show()
    qtbot.waitExposed(dock)
    return dock


def click(button) -> None:
    assert button.isEnabled()
    QTest.mouseClick(button, LEFT)


def click_row(table, row: int) -> None:
    place = table.visualRect(table.model().index(row, 1)).center()
    QTest.mouseClick(table.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, place)


def suggest(*frames: int) -> Suggestions:
    pairs = np.array([(0, frame) for frame in frames], np.int32)
    return Suggestions(pairs, tuple(f"Because of {frame}." for frame in frames), "even")


def cells(table) -> list[tuple[str, ...]]:
    return [record.cells for record in table.records]


# ------------------------------------------------------------------------- suggestions
def test_frames_are_chosen_in_a_child_process(dock, session, qtbot):
    tab = dock.suggestions
    tab.method.setCurrentIndex(SUGGESTERS.names().index("even"))
    tab.count.setValue(5)
    click(tab.work.button)
    assert tab.work.is_running
    assert not tab.work.button.isEnabled()
    qtbot.waitUntil(lambda: not tab.work.is_running, timeout=120_000)
    assert session.messages == []
    assert len(session.document.suggestions) == 5
    assert len(tab.table.records) == 5
    assert all(session.document.suggestion_reasons)
    assert tab.progress.text() == "0 of 5 labelled"


def test_what_is_asked_of_the_child(dock, session, monkeypatch):
    asked = []
    monkeypatch.setattr(dock.suggestions.work, "start", lambda *a, **k: asked.append((a, k)))
    session.do(session.document.replace_suggestions([(0, 3)]))
    tab = dock.suggestions
    tab.spacing.setValue(7)
    click(tab.work.button)
    click(tab.only_here)
    click(tab.keep)
    click(tab.work.button)
    for ((_, project, count, method), options), there, videos in zip(
        asked, ([[0, 3]], []), (None, [0]), strict=True
    ):
        assert (count, method) == (20, "diverse")
        assert project.suggestions.tolist() == there
        assert options["exclude"].tolist() == there
        assert options["min_spacing_frames"] == 7
        assert options["videos"] == videos


def test_suggestions_add_to_those_there_are_or_replace_them(dock, session):
    tab = dock.suggestions
    tab.work.result.emit(suggest(10, 50))
    tab.work.result.emit(suggest(50, 90))
    assert session.document.suggestions.tolist() == [[0, 10], [0, 50], [0, 90]]
    assert session.document.suggestion_reasons[0] == "Because of 10."
    tab.keep.setChecked(False)
    tab.work.result.emit(suggest(7))
    assert cells(tab.table) == [("7", "Because of 7.")]
    tab.work.result.emit(suggest())
    assert session.messages == ["There is no other frame so far apart from the rest."]
    assert len(tab.table.records) == 1


def test_a_click_goes_there_and_buttons_step(dock, session):
    tab = dock.suggestions
    tab.work.result.emit(suggest(10, 50, 90))
    click_row(tab.table, 1)
    assert session.frame == 50
    assert tab.why.text() == "Because of 50."
    visited = []
    for button in (tab.next, tab.next, tab.previous):
        click(button)
        visited.append(session.frame)
    assert visited == [90, 10, 90]
    QTest.keyClick(tab.table, Qt.Key.Key_Up)
    assert session.frame == 50
    session.go_to(20)
    click_row(tab.table, 1)  # the line that is chosen already
    assert session.frame == 50
    session.go_to(10)  # from elsewhere: the list follows
    assert tab.table.current == 0
    assert tab.why.text() == "Because of 10."


def test_labelled_suggestions_are_ticked_off(dock, session):
    tab = dock.suggestions
    tab.work.result.emit(suggest(10, 50))
    session.do(edits.accept_predictions(session.document.poses, [[0, 50, 0]]))
    assert [record.is_done for record in tab.table.records] == [False, True]
    assert tab.progress.text() == "1 of 2 labelled"
    session.undo()
    assert tab.progress.text() == "0 of 2 labelled"


def test_suggestions_can_be_taken_off_the_list(dock, session):
    tab = dock.suggestions
    tab.work.result.emit(suggest(10, 50, 90))
    click_row(tab.table, 1)
    click(tab.remove)
    assert session.document.suggestions.tolist() == [[0, 10], [0, 90]]
    click(tab.clear)
    assert tab.table.records == []
    assert not tab.next.isEnabled()


def test_reasons_that_the_document_remembers_are_shown_and_kept(dock, session):
    """As after a recovery, or where another dock has suggested the frames."""
    document = session.document
    session.do(document.replace_suggestions([[0, 3], [0, 9], [0, 12]], ["one", "two", "three"]))
    assert [row[-1] for row in cells(dock.suggestions.table)] == ["one", "two", "three"]
    click_row(dock.suggestions.table, 0)
    click(dock.suggestions.remove)
    assert document.suggestion_reasons == ("two", "three")


def test_a_failure_is_told_and_cancelling_keeps_what_there_was(dock, session, qtbot):
    tab = dock.suggestions
    tab.work.result.emit(suggest(10))
    tab.spacing.setValue(0)
    tab.method.setCurrentIndex(SUGGESTERS.names().index("findings"))
    session.document.poses.restore(session.document.poses.select([]))
    click(tab.work.button)
    click(tab.work.cancel_button)
    assert not tab.work.is_running
    click(tab.work.button)
    qtbot.waitUntil(lambda: not tab.work.is_running, timeout=120_000)
    assert len(session.messages) == 1
    assert session.messages[0].startswith("Expected poses to look for errors in")
    assert len(tab.table.records) == 1


def test_every_method_explains_itself(dock):
    tab = dock.suggestions
    for row in range(tab.method.count()):
        tab.method.setCurrentIndex(row)
        assert tab.method.toolTip().startswith("Suggest ")
        assert "`" not in tab.method.toolTip()


# -------------------------------------------------------------------------------- errors
def make_findings() -> Findings:
    return Findings.build(
        frame=[120, 30, 60], video=0, first=[120, 28, 60], last=[120, 200, 60],
        kind=np.array(["switch", "jump", "jump"], object), track=[0, 1, -1],
        other_track=[1, -1, -1], instance=[1, 0, -1], severity=[0.9, 0.5, 0.2],
        text=np.array(["They switch.", "A leg jumps.", "Odd."], object),
        also=np.array(["leap", "", ""], object), track_names=("fly1", "fly2"),
    )  # fmt: skip


@pytest.fixture
def errors(dock, session):
    names = session.document.poses.track_names
    dock.tabs.setCurrentIndex(1)
    findings = make_findings()
    object.__setattr__(findings, "track_names", names)
    dock.errors.work.result.emit(findings)
    return dock.errors


def test_errors_are_found_in_a_child_process_and_a_switch_is_swapped_back(
    dock, session, qtbot, predictions
):
    dock.tabs.setCurrentIndex(1)
    tab = dock.errors
    click(tab.work.button)
    qtbot.waitUntil(lambda: not tab.work.is_running, timeout=120_000)
    assert session.messages == []
    assert cells(tab.table)[0][:2] == ("Switch", "120")
    click_row(tab.table, 0)
    assert session.frame == 120
    [swap] = [button for button in tab.repairs if button.text() == "Swap from here"]
    click(swap)
    late = predictions.frame >= 120
    assert (session.document.poses.track[late] == 1 - predictions.track[late]).all()
    assert (session.document.poses.track[~late] == predictions.track[~late]).all()
    session.undo()
    assert (session.document.poses.track == predictions.track).all()


def test_a_click_goes_there_selects_the_range_and_the_animal(errors, session):
    assert cells(errors.table) == [
        ("Switch", "120", "They switch."),
        ("Jump", "28–200", "A leg jumps."),
        ("Jump", "60", "Odd."),
    ]
    click_row(errors.table, 0)
    assert (session.frame, session.selected_range) == (120, (105, 135))
    assert session.selected[0] == (1, 0)
    assert errors.text.text() == "They switch. Also: leap."
    click(errors.next)
    assert (session.frame, session.selected_range) == (30, (28, 200))
    assert errors.repairs == []


def test_a_range_that_a_person_selects_is_the_one_that_is_swapped(errors, session):
    click_row(errors.table, 0)
    assert errors.repairs[-1].text() == "Swap in frame 120"
    session.selected_range = (118, 125)
    assert errors.repairs[-1].text() == "Swap in 118–125"
    click(errors.repairs[-1])
    assert session.document.history.undo_labels[0].startswith("Swap ")
    assert len(errors.table.records) == 2


def test_entries_are_filtered_ticked_off_and_opened_again(errors, session):
    errors.kind.setCurrentIndex(2)
    assert errors.kind.currentText() == "Jump (2)"
    click_row(errors.table, 0)
    click(errors.done)
    assert cells(errors.table) == [("Jump", "60", "Odd.")]
    assert session.frame == 60  # the next one
    click(errors.done)
    assert errors.table.records == []
    assert errors.text.text() == "All of these are done."
    errors.show_done.setChecked(True)
    assert [record.is_done for record in errors.table.records] == [True, True]
    click_row(errors.table, 1)
    assert errors.done.text() == "Reopen"
    click(errors.done)
    assert [record.is_done for record in errors.table.records] == [True, False]


def test_flags_are_for_all_and_dismissing_takes_one_away(errors, session):
    assert not errors.unflag.isEnabled()
    click(errors.flag)
    assert session.flagged_frames(0).tolist() == [30, 60, 120]
    click_row(errors.table, 1)
    click(errors.dismiss)
    assert session.flagged_frames(0).tolist() == [60, 120]
    assert session.frame == 60
    click(errors.unflag)
    assert session.flagged_frames(0).tolist() == []


def test_another_document_has_other_errors(errors, session):
    click(errors.flag)
    session.open(None)
    assert errors.table.records == []
    assert not errors.work.isEnabled()
    assert errors.text.text().startswith("Search for frames")


def test_nothing_wrong_is_said(errors):
    errors.work.result.emit(make_findings().select([]))
    assert errors.text.text() == "Nothing looks wrong."
