"""A scripted person labels a real clip, with mouse and key events; screenshots at each step.

    scripts/gui-env .venv/bin/python scripts/scripted_person.py VIDEO LABELS FOLDER

LABELS say where the points are: the person clicks there. The process kills itself with
SIGKILL after the last edits, which were not saved; a second start recovers them. What it
counted and found goes to FOLDER/report.json.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "_widgets"))

FRAMES = (0, 100, 200)
N_NODES = 13


def begin(folder: Path) -> tuple[Any, Any, Any]:
    """Open napari with our docks; return viewer, session and person."""
    import napari
    from person import Person

    from napari_animalpose._widgets._session import get_session

    viewer = napari.Viewer()
    viewer.window.resize(1500, 1000)
    session = get_session(viewer)
    session.show_docks()
    return viewer, session, Person(viewer, session.window, folder)


def label(video: Path, labels: Path, folder: Path) -> None:
    """Label three frames of two flies, edit, save, edit again, and die."""
    from qtpy.QtCore import Qt

    from napari_animalpose.pipeline import read

    truth = read(labels).poses
    _, session, person = begin(folder)
    person.wait(0.5)
    person.picture("start")
    drop_on_start_page(person, video)
    person.picture("video")
    define_skeleton(session, person, truth.skeleton)
    person.picture("skeleton")
    session.open_dock("project")
    counted = {}
    xy = truth.at(0, 0).xy
    person.look_at(*np.nanmean(xy, axis=(0, 1)), zoom=4.0)
    for frame in FRAMES:
        clicks, keys = person.n_clicks, person.n_keys
        go_to(person, session, frame)
        label_frame(person, truth.at(0, frame).xy, f"frame_{frame}")
        counted[f"frame {frame}"] = {
            "clicks": person.n_clicks - clicks, "keys": person.n_keys - keys,
        }  # fmt: skip
    person.key(Qt.Key.Key_3)  # select and move
    x, y = session.rows.xy[0, 0].tolist()
    person.drag((x, y), (x + 6, y - 5))
    dragged = (session.rows.xy[0, 0] - [x, y]).round().tolist()
    person.picture("dragged")
    person.click(*session.rows.xy[1, 2].tolist())
    person.key(Qt.Key.Key_O)
    occluded = int((session.rows.visibility == 1).sum())
    person.picture("occluded")
    person.key(Qt.Key.Key_G)
    person.key(Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    go_to(person, session, FRAMES[-1] + 5)
    person.key(Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    person.picture("pasted")
    pasted = len(session.rows)
    person.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    undone = len(session.rows)
    person.key(
        Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    redone = len(session.rows)
    session.dialogs.ask_save_path = lambda document: folder / "flies.slp"
    person.key(
        Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    person.picture("saved")
    is_saved = (folder / "flies.slp").exists() and not session.document.is_dirty
    person.click(*session.rows.xy[0, 1].tolist())
    person.key(Qt.Key.Key_G)
    person.key(Qt.Key.Key_BracketRight, times=3)  # turn the copy: not saved
    person.key(Qt.Key.Key_Question, Qt.KeyboardModifier.ShiftModifier)
    person.picture("keys")
    session.canvas.points.selected_data = set()
    report = {
        "counted": counted, "dragged": dragged, "occluded": occluded,
        "pasted": pasted, "undone": undone, "redone": redone,
        "saved": is_saved, "dirty": session.document.is_dirty,
    }  # fmt: skip
    report["skeleton"] = session.document.skeleton == truth.skeleton or [
        len(truth.skeleton), len(truth.skeleton.edges), len(truth.skeleton.symmetries),
    ] == [
        len(session.document.skeleton), len(session.document.skeleton.edges),
        len(session.document.skeleton.symmetries),
    ]  # fmt: skip
    np.savez(folder / "before.npz", **session.document.poses.columns)
    (folder / "report.json").write_text(json.dumps(report))
    os.kill(os.getpid(), signal.SIGKILL)


def drop_on_start_page(person: Any, video: Path) -> None:
    """Drag the video from a file manager onto the dock."""
    from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
    from qtpy.QtGui import QDragEnterEvent, QDropEvent
    from qtpy.QtWidgets import QApplication

    from napari_animalpose._widgets._start_page import StartPage

    page = person.window.findChild(StartPage)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(video))])
    details = (
        Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(page, QDragEnterEvent(QPoint(9, 9), *details))
    QApplication.sendEvent(page, QDropEvent(QPointF(9, 9), *details))
    person.wait(0.5)


def define_skeleton(session: Any, person: Any, skeleton: Any) -> None:
    """Type the names of the nodes, click node to node for each edge, pair left and right."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    from napari_animalpose._widgets._skeleton_view import SkeletonView

    dock = session.open_dock("skeleton")
    person.wait(0.3)
    for name in skeleton.nodes:
        QTest.keyClicks(dock.entry, name)
        QTest.keyClick(dock.entry, Qt.Key.Key_Return)
    person.wait(0.2)
    view = dock.findChild(SkeletonView)

    def click(node: int, keys: Any = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.mouseClick(view, Qt.MouseButton.LeftButton, keys, view.position_of(node))
        person.wait(0.03)

    for source, destination in skeleton.edges:
        click(source)
        click(destination)
    for left, right in skeleton.symmetries:
        click(left, Qt.KeyboardModifier.ControlModifier)
        click(right, Qt.KeyboardModifier.ControlModifier)
    person.wait(0.2)


def go_to(person: Any, session: Any, frame: int) -> None:
    """Click on the timeline, and step to the very frame with the arrow keys."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    from napari_animalpose._widgets._timeline_view import TimelineView

    timeline = person.window.findChild(TimelineView)
    spot = QPoint(round(timeline.view.x_of(frame + 0.5)), 40)
    QTest.mouseClick(timeline, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, spot)
    person.wait(0.2)
    while session.frame != frame:
        way = Qt.Key.Key_Right if session.frame < frame else Qt.Key.Key_Left
        person.key(way)
        person.n_keys -= 1  # going there is not labelling


def label_frame(person: Any, xy: Any, name: str) -> None:
    """Click all points of all animals of a frame, in the order of the skeleton."""
    from qtpy.QtCore import Qt

    person.key(Qt.Key.Key_N)
    for number, animal in enumerate(xy):
        for node, (x, y) in enumerate(animal.tolist()):
            if np.isfinite(x):
                if node == 5 and number == 0:
                    person.rest_at(x, y)
                    person.picture(f"{name}_placing")
                person.click(x, y)
            else:
                person.key(Qt.Key.Key_X)
    person.key(Qt.Key.Key_Q)
    person.picture(name)


def recover(folder: Path) -> None:
    """Start again: the start page offers what was not saved, to the last edit."""
    from qtpy.QtWidgets import QPushButton

    viewer, session, person = begin(folder / "again")
    person.wait(0.5)
    person.picture("recovery_offered")
    (button,) = [b for b in person.window.findChildren(QPushButton) if b.text() == "Recover"]
    button.click()
    person.wait(0.5)
    session.go_to(FRAMES[-1] + 5)
    person.picture("recovered")
    before = np.load(folder / "before.npz")
    poses = session.document.poses
    same = all(
        np.array_equal(poses.column(name), before[name], equal_nan=before[name].dtype.kind == "f")
        for name in before.files
    )
    report = json.loads((folder / "report.json").read_text())
    report |= {"recovered": same, "dirty_again": session.document.is_dirty}
    report["instances"] = len(poses)
    (folder / "report.json").write_text(json.dumps(report, indent=1))
    session.close()
    viewer.close()


def main() -> int:
    """Run both lives of the person, each in a process of its own."""
    if sys.argv[1] in ("label", "recover"):
        paths = [Path(text).resolve() for text in sys.argv[2:]]
        {"label": label, "recover": recover}[sys.argv[1]](*paths)
        return 0
    video, labels, folder = (Path(text).resolve() for text in sys.argv[1:4])
    (folder / "again").mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "ANIMALPOSE_JOURNALS": str(folder / "journals")}
    script = [sys.executable, __file__]
    first = subprocess.run([*script, "label", video, labels, folder], env=environment, check=False)
    if first.returncode != -signal.SIGKILL:
        print(f"Expected the first process to kill itself; it ended with {first.returncode}.")
        return 1
    subprocess.run([*script, "recover", folder], env=environment, check=True)
    print((folder / "report.json").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
