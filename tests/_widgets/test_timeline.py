"""The timeline under a real mouse: seek, scrub, select, zoom, step; and what it paints."""

from __future__ import annotations

import numpy as np
import pytest
from fake_session import FakeDocument, FakeSession, FakeVideo
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_animalpose._widgets import timeline_dock
from napari_animalpose._widgets._overviews import get_overviews
from napari_animalpose._widgets._timeline_picture import (
    KIND_COLORS,
    LANES,
    Geometry,
    format_time,
)
from napari_animalpose._widgets.timeline_dock import TimelineDock
from napari_animalpose.data import edits
from napari_animalpose.data.overview import FrameKind, Overview
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.colors import color_distance

pytestmark = pytest.mark.gui

N_FRAMES = 1000
LEFT, SHIFT, NONE = (
    Qt.MouseButton.LeftButton,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.NoModifier,
)


def make_document(n_frames: int = N_FRAMES, **marks) -> FakeDocument:
    frames = np.repeat(np.arange(0, n_frames, 2), 2)
    poses = Poses.from_arrays(
        Skeleton(("head", "tail")), frame=frames, xy=np.ones((len(frames), 2, 2)), origin=1,
        track=np.tile([0, 1], len(frames) // 2), score=0.5, track_names=("a", "b"),
    )  # fmt: skip
    return FakeDocument(poses, (FakeVideo(n_frames),), **marks)


@pytest.fixture
def session(qapp):
    return FakeSession(make_document(suggestions=[(0, 100), (0, 700)], empty=[(0, 301)]))


@pytest.fixture
def dock(qtbot, monkeypatch, session):
    monkeypatch.setattr(timeline_dock, "get_session", lambda viewer: session)
    dock = TimelineDock(None)
    qtbot.addWidget(dock)
    dock.resize(1084, 160)  # 1000 px of strip: one for each frame
    dock.show()
    qtbot.waitExposed(dock)
    assert dock.view.view.strip == (76, 1000)
    return dock


def at(dock: TimelineDock, frame: float, y: int = 40) -> QPoint:
    return QPoint(int(dock.view.view.x_of(frame)), y)


def turn_wheel(dock: TimelineDock, frame: float, dy: int, modifiers=NONE, dx: int = 0) -> None:
    place = QPointF(at(dock, frame))
    event = QWheelEvent(
        place, dock.view.mapToGlobal(place), QPoint(), QPoint(dx, dy), Qt.MouseButton.NoButton,
        modifiers, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(dock.view, event)


def pixel(dock: TimelineDock, frame: float, kind: FrameKind) -> tuple[int, ...]:
    y = dock.view.view.lane_rect(LANES.index(kind)).center().y()
    color = dock.view.grab().toImage().pixelColor(at(dock, frame).x(), round(y))
    return color.getRgb()[:3]


# --------------------------------------------------------------------------- the mouse
def test_a_click_seeks_and_a_drag_scrubs(dock, session, qtbot):
    QTest.mousePress(dock.view, LEFT, NONE, at(dock, 200.5))
    assert session.frame == 200
    for frame in (250.5, 300.5, 2000):
        QTest.mouseMove(dock.view, at(dock, frame))
        qtbot.waitUntil(lambda frame=frame: session.frame == min(int(frame), N_FRAMES - 1))
    QTest.mouseRelease(dock.view, LEFT, NONE, at(dock, 300.5))
    QTest.mouseMove(dock.view, at(dock, 50))
    qtbot.wait(20)
    assert session.frame == N_FRAMES - 1


def test_shift_drag_selects_a_range_and_its_ends_can_be_dragged(dock, session, qtbot):
    session.go_to(5)
    QTest.mousePress(dock.view, LEFT, SHIFT, at(dock, 400.5))
    QTest.mouseMove(dock.view, at(dock, 500.5))
    qtbot.waitUntil(lambda: session.selected_range == (400, 500))
    QTest.mouseMove(dock.view, at(dock, 350.5))
    qtbot.waitUntil(lambda: session.selected_range == (350, 400))
    QTest.mouseRelease(dock.view, LEFT, SHIFT, at(dock, 350.5))
    assert session.frame == 5
    ruler = at(dock, 351, y=8)
    QTest.mousePress(dock.view, LEFT, NONE, ruler)
    QTest.mouseMove(dock.view, at(dock, 100.5, y=8))
    qtbot.waitUntil(lambda: session.selected_range == (100, 400))
    QTest.mouseRelease(dock.view, LEFT, NONE, at(dock, 100.5, y=8))
    assert session.frame == 5


def test_shift_click_selects_from_the_frame_in_view(dock, session):
    session.go_to(20)
    QTest.mouseClick(dock.view, LEFT, SHIFT, at(dock, 60.5))
    assert session.selected_range == (20, 60)
    session.selected_range = None
    spot = at(dock, 60.5)
    QTest.mousePress(dock.view, LEFT, SHIFT, spot)
    QTest.mouseMove(dock.view, spot + QPoint(0, 2))  # the hand shakes
    assert session.selected_range == (20, 60)
    QTest.mouseMove(dock.view, at(dock, 80.5))  # it drags
    QTest.mouseRelease(dock.view, LEFT, SHIFT, at(dock, 80.5))
    assert session.selected_range == (60, 80)


def test_the_wheel_zooms_around_the_mouse_and_a_double_click_shows_all(dock, session):
    turn_wheel(dock, 300, 240)
    first, last = dock.view.visible_frames
    assert last - first == pytest.approx(500)
    assert first == pytest.approx(150)  # 300 stays where it was: at 30 % of the width
    turn_wheel(dock, 300, -120 * 40)
    assert dock.view.visible_frames == (0, N_FRAMES)
    for _ in range(60):
        turn_wheel(dock, 0, 240)
    assert dock.view.visible_frames == (0, 12)
    QTest.mouseDClick(dock.view, LEFT, NONE, at(dock, 3))
    assert dock.view.visible_frames == (0, N_FRAMES)


def test_the_wheel_pans_sideways(dock):
    turn_wheel(dock, 500, 480)  # 250 frames
    first = dock.view.visible_frames[0]
    turn_wheel(dock, 500, -120, SHIFT)
    assert dock.view.visible_frames[0] == pytest.approx(first + 25)
    turn_wheel(dock, 500, 0, dx=240)
    assert dock.view.visible_frames[0] == pytest.approx(first - 25)


def test_the_middle_button_pans(dock, session, qtbot):
    turn_wheel(dock, 500, 480)
    first, last = dock.view.visible_frames
    middle, start = Qt.MouseButton.MiddleButton, at(dock, 500)
    QTest.mousePress(dock.view, middle, NONE, start)
    QTest.mouseMove(dock.view, start + QPoint(-200, 0))
    qtbot.waitUntil(lambda: dock.view.visible_frames[0] == pytest.approx(first + 50))
    QTest.mouseRelease(dock.view, middle, NONE, start)
    assert session.frame == 0
    assert dock.view.visible_frames[1] == pytest.approx(last + 50)


def test_the_view_follows_the_playhead(dock, session):
    turn_wheel(dock, 0, 480)
    session.go_to(600)
    first, last = dock.view.visible_frames
    assert first < 600 < last
    assert last - first == pytest.approx(250)
    session.go_to(10)
    first, last = dock.view.visible_frames
    assert first <= 10 < last


def test_keys_seek_zoom_and_clear(dock, session):
    session.go_to(500)
    session.selected_range = (3, 9)
    for key, frame in (
        (Qt.Key.Key_Right, 501), (Qt.Key.Key_Left, 500), (Qt.Key.Key_PageDown, 600),
        (Qt.Key.Key_PageUp, 500), (Qt.Key.Key_End, 999), (Qt.Key.Key_Right, 999),
        (Qt.Key.Key_Home, 0),
    ):  # fmt: skip
        QTest.keyClick(dock.view, key)
        assert session.frame == frame
    QTest.keyClick(dock.view, Qt.Key.Key_Plus)
    assert np.diff(dock.view.visible_frames) == 500
    QTest.keyClick(dock.view, Qt.Key.Key_Minus)
    assert np.diff(dock.view.visible_frames) == 1000
    QTest.keyClick(dock.view, Qt.Key.Key_Escape)
    assert session.selected_range is None


def test_a_click_leaves_the_keyboard_to_others(dock):
    QTest.mouseClick(dock.view, LEFT, NONE, at(dock, 200))
    assert not dock.view.hasFocus()


def test_the_menu_zooms_to_the_range_and_clears_it(dock, session):
    menu = {action.text(): action for action in dock.view.make_menu().actions()}
    assert not menu["Zoom to the selected range"].isEnabled()
    menu["Select the whole video"].trigger()
    assert session.selected_range == (0, 999)
    session.selected_range = (100, 199)
    menu = {action.text(): action for action in dock.view.make_menu().actions()}
    menu["Zoom to the selected range"].trigger()
    assert dock.view.visible_frames == pytest.approx((95, 205))
    menu["Clear the selected range"].trigger()
    assert session.selected_range is None
    menu["Show the whole video"].trigger()
    assert dock.view.visible_frames == (0, N_FRAMES)


# ----------------------------------------------------------------------------- stepping
def click(dock: TimelineDock, name: str) -> None:
    QTest.mouseClick(dock.buttons[name], LEFT)


def test_buttons_step_through_the_chosen_kind(dock, session):
    dock.kind.setCurrentText("Suggested")
    frames = []
    for name in ("next", "next", "next", "previous", "first", "last"):
        click(dock, name)
        frames.append(session.frame)
    assert frames == [100, 700, 100, 700, 100, 700]
    dock.kind.setCurrentText("Flagged")
    click(dock, "next")
    click(dock, "first")
    assert session.messages == [
        "There is no flagged frame.", "There is no flagged frame in this video."
    ]  # fmt: skip
    dock.kind.setCurrentText("Empty")
    click(dock, "next")
    click(dock, "next")
    assert session.frame == 301
    assert session.messages[-1] == "No other empty frame."


def test_the_name_of_a_lane_chooses_the_kind(dock):
    lane = dock.view.view.lane_rect(LANES.index(FrameKind.FLAGGED))
    QTest.mouseClick(dock.view, LEFT, NONE, QPoint(20, round(lane.center().y())))
    assert dock.kind.currentText() == "Flagged"


def test_stepping_goes_on_in_the_next_video(dock, session):
    document = make_document(suggestions=[(0, 100), (1, 40)])
    document.videos = (FakeVideo(N_FRAMES), FakeVideo(50))
    session.open(document)
    dock.kind.setCurrentText("Suggested")
    for expected in ((0, 100), (1, 40), (0, 100)):
        click(dock, "next")
        assert (session.video, session.frame) == expected
        assert dock.view.overview is get_overviews(session).of(session.video)


# ------------------------------------------------------------------------ what it shows
def test_lanes_show_what_every_frame_is_and_follow_edits(dock, session):
    assert pixel(dock, 100.5, FrameKind.SUGGESTED) == KIND_COLORS[FrameKind.SUGGESTED]
    assert pixel(dock, 400.5, FrameKind.LABELLED) != KIND_COLORS[FrameKind.LABELLED]
    session.do(edits.accept_predictions(session.document.poses, [[0, 400, 0]]))
    assert pixel(dock, 400.5, FrameKind.LABELLED) == KIND_COLORS[FrameKind.LABELLED]
    session.undo()
    assert pixel(dock, 400.5, FrameKind.LABELLED) != KIND_COLORS[FrameKind.LABELLED]
    session.set_findings([type("Finding", (), {"video": 0, "frame": 555})])
    assert pixel(dock, 555.5, FrameKind.FLAGGED) == KIND_COLORS[FrameKind.FLAGGED]


def test_the_line_above_tells_of_the_frame_in_view(dock, session):
    session.go_to(300)
    assert dock.status.text() == "Frame 300 / 999  ·  0:12  ·  predicted  ·  score 0.5"
    dock.curve.setCurrentText("Count")
    session.go_to(301)
    assert dock.status.text() == "Frame 301 / 999  ·  0:12.04  ·  empty  ·  count 0 animals"
    dock.curve.setCurrentText("No curve")
    session.go_to(303)
    assert dock.status.text() == "Frame 303 / 999  ·  0:12.12  ·  not labelled"


def test_tips_tell_of_frames_and_lanes(dock):
    assert dock.view.tip_at(at(dock, 100.5).x(), 40).startswith("Frame 100 / 999")
    lane = dock.view.view.lane_rect(LANES.index(FrameKind.SUGGESTED))
    assert dock.view.tip_at(10, lane.center().y()).startswith("2 suggested frames.")
    assert dock.view.tip_at(10, 150) == ""


def test_tracks_have_curves_of_their_own(dock, session):
    dock.curve.setCurrentText("Count")
    dock.track.setCurrentText("b")
    assert dock.view._curve.values[:3].tolist() == [1, 0, 1]
    session.do(edits.delete_instances(session.document.poses, [[0, 0, 1]]))
    assert dock.view._curve.values[:3].tolist() == [0, 0, 1]
    session.do(edits.set_track(session.document.poses, [[0, 0, 0]], "new"))
    assert [dock.track.itemText(i) for i in range(dock.track.count())] == [
        "All animals", "a", "b", "new"
    ]  # fmt: skip
    assert dock.track.currentText() == "b"


def test_without_a_document_there_is_a_hint(dock, session):
    session.open(None)
    assert dock._pages.currentIndex() == 0
    assert dock.view.overview is None
    dock.view.grab()
    session.open(make_document())
    assert dock._pages.currentIndex() == 1


def test_another_document_begins_with_the_whole_video(dock, session):
    turn_wheel(dock, 500, 480)
    session.open(make_document(400))
    assert dock.view.visible_frames == (0, 400)


def test_the_picture_is_kept_while_only_the_playhead_moves(dock, session):
    dock.view.grab()
    kept = dock.view._picture
    for frame in (3, 4, 5):
        session.go_to(frame)
        dock.view.grab()
    assert dock.view._picture is kept
    QApplication.sendEvent(dock.view, QEvent(QEvent.Type.PaletteChange))
    dock.view.grab()
    assert dock.view._picture is not kept


@pytest.mark.parametrize("curve", ["Score", "Count", "Velocity"])
@pytest.mark.parametrize("n_frames", [1, 3, 1000, 50_000])
def test_any_length_at_any_zoom_can_be_painted(dock, session, n_frames, curve):
    session.open(make_document(n_frames))
    dock.curve.setCurrentText(curve)
    for _ in range(12):
        image = dock.view.grab().toImage()
        assert image.width() == dock.view.width()
        dock.view.zoom(0.3, n_frames / 2)


# ------------------------------------------------------------------------------ geometry
@pytest.mark.parametrize("n_frames", [1, 7, 1000, 1_000_000])
@pytest.mark.parametrize("share", [1.0, 0.1, 0.001])
def test_columns_cover_the_frames_in_view_once(n_frames, share):
    span = max(1.0, share * n_frames)
    starts, stops = Geometry(900, 120, 0.3 * (n_frames - span), span, n_frames).columns(1.5)
    assert len(starts) == round(816 * 1.5)
    assert (stops > starts).all()
    assert ((starts[1:] == stops[:-1]) | (starts[1:] == starts[:-1])).all()
    assert starts[0] <= 0.3 * (n_frames - span) + span / len(starts) / 16
    assert stops[-1] >= 0.3 * (n_frames - span) + span * (1 - 1 / len(starts))


@pytest.mark.parametrize("frame", [0, 1, 500, 999])
def test_a_frame_is_found_where_it_is_drawn(frame):
    geometry = Geometry(500, 120, 0.0, 1000.0, 1000)
    assert geometry.frame_at(geometry.x_of(frame + 0.5)) == frame


def test_one_frame_in_a_million_is_seen(qtbot):
    poses = Poses.from_arrays(Skeleton(("a",)), frame=[123_456], xy=np.ones((1, 1, 2)))
    overview = Overview(poses, 0, 1_000_000)
    starts, stops = Geometry(900, 120, 0.0, 1e6, 1_000_000).columns(1.0)
    hits = overview.between(starts, stops) & FrameKind.LABELLED
    assert np.count_nonzero(hits) == 1


@pytest.mark.parametrize(
    ("frame", "text"),
    [(0, "0:00"), (50, "0:02"), (40, "0:01.60"), (1500, "1:00"), (90001, "1:00:00.04")],
)  # fmt: skip
def test_times(frame, text):
    assert format_time(frame, 25.0) == text


def test_colours_are_told_apart_by_colour_blind_eyes():
    colors = np.array([KIND_COLORS[kind] for kind in LANES], np.uint8)
    distance = color_distance(colors[:, None], colors[None])
    assert distance[~np.eye(len(colors), dtype=bool)].min() > 0.1
