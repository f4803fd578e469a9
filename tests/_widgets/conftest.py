"""What tests of the window share: one window for each file, documents, a person, no dialogs."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `person`

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_writer import VideoWriter

N_FRAMES, HEIGHT, WIDTH = 40, 120, 160
FLY = Skeleton(
    ("head", "thorax", "abdomen", "wingL", "wingR"),
    ((0, 1), (1, 2), (1, 3), (1, 4)),
    ((3, 4),),
)
SHAPE = np.array([[0, -16], [0, 0], [0, 18], [-14, 6], [14, 6]], np.float32)
PLACES = np.array([[45, 50], [110, 70]], np.float32)


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keep journals and caches of the person at the keyboard out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ANIMALPOSE_JOURNALS", "ANIMALPOSE_CACHE"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield Path(os.environ["ANIMALPOSE_JOURNALS"])


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two videos of flat frames that differ in brightness."""
    folder = tmp_path_factory.mktemp("videos")
    paths = folder / "first.mp4", folder / "second.mp4"
    for path, n_frames in zip(paths, (N_FRAMES, 25), strict=True):
        with VideoWriter(path, fps=25) as writer:
            for index in range(n_frames):
                writer.write(np.full((HEIGHT, WIDTH, 3), 40 + 4 * index, np.uint8))
    return paths


def make_poses(frames: Any, *, origin: Origin = Origin.USER, video: int = 0) -> Poses:
    """Return two flies with tracks in each frame; they move 1 px a frame to the right."""
    frames = np.asarray(frames, np.int32)
    drift = frames.astype(np.float32)[:, None, None, None] * np.array([1, 0], np.float32)
    xy = (PLACES[:, None] + SHAPE)[None] + drift  # (F, 2, K, 2)
    predicted = origin != Origin.USER
    return Poses.from_arrays(
        FLY,
        video=np.full(2 * len(frames), video, np.int32),
        frame=np.repeat(frames, 2),
        track=np.tile([0, 1], len(frames)),
        origin=origin,
        xy=xy.reshape(-1, len(FLY), 2),
        score=0.9 if predicted else np.nan,
        point_score=0.8 if predicted else np.nan,
        track_names=("female", "male"),
    )


@pytest.fixture
def labels(videos: tuple[Path, Path], tmp_path: Path) -> Path:
    """Return a file of labels of frames 0, 10 and 30, and predictions in frames 11 to 19."""
    poses = Poses.concat(
        [make_poses([0, 10, 30]), make_poses(range(11, 20), origin=Origin.PREDICTED)]
    )
    project = Project(tuple(LazyVideo(str(path)) for path in videos), poses)
    write_labels(project, tmp_path / "labels.slp")
    return tmp_path / "labels.slp"


class Answers:
    """Answers to the questions of the window; a question without an answer fails the test."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name not in (
            "ask_to_save", "confirm", "ask_save_path", "ask_open_path", "ask_videos", "ask_file",
            "ask_folder", "ask_about_other_changes",
        ):  # fmt: skip
            raise AttributeError(name)

        def answer(*args: Any, **kwargs: Any) -> Any:
            self.asked.append(name)
            assert name in self.given, f"The window asked {name}{args}."
            return self.given[name]

        return answer


@pytest.fixture(scope="module")
def opened(own_folders: Path) -> Any:
    """Return viewer, session and person of a window with the dock Label, for a whole file.

    Plugins are given the public proxy of a viewer, and whatever is private to napari is
    an error.
    """
    import napari
    from napari.utils._proxies import PublicOnlyProxy
    from person import Person
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    from napari_animalpose._widgets._session import get_session

    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=FutureWarning)
        viewer = napari.Viewer(show=True, show_welcome_screen=False)
        viewer.window.resize(1200, 900)
        session = get_session(PublicOnlyProxy(viewer))
        session.open_dock("project")
        QApplication.processEvents()
        opened = SimpleNamespace(
            viewer=viewer, session=session, person=Person(viewer, session.window)
        )
        yield opened
        session.close()
        viewer.close()
    # napari's own fixtures, in the next file, refuse to start beside a viewer that is left.
    opened.__dict__.clear()
    del viewer, session
    for _ in range(5):
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()
    gc.collect()


@pytest.fixture
def window(opened: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the window of this file, its dialogs answered, errors kept.

    What the test before had open still is: making layers anew takes seconds.
    """
    from napari_animalpose._widgets._settings import Settings

    session = opened.session
    answers = Answers()
    messages: list[str] = []
    monkeypatch.setattr(session, "dialogs", answers)
    monkeypatch.setattr(session, "show_error", messages.append)
    monkeypatch.setattr(session, "show_info", messages.append)
    for name, value in vars(Settings()).items():
        if getattr(session.settings, name) != value:
            session.change_setting(name, value)
    opened.answers, opened.messages = answers, messages
    yield opened
    if session.document is not None:
        session.document.history.mark_clean()
        if session.document.is_dirty:  # it was recovered
            give_up(opened)
    for layer in [one for one in opened.viewer.layers if one not in session.canvas.layers]:
        opened.viewer.layers.remove(layer)


def give_up(window: Any) -> None:
    """Close what is open and answer that its edits are not wanted."""
    window.answers.given["ask_to_save"] = "discard"
    assert window.session.may_close()
    window.session.set_document(None)


@pytest.fixture
def empty(window: Any) -> Any:
    """Return the window with nothing open."""
    window.session.set_document(None)
    return window


@pytest.fixture
def project(window: Any, labels: Path) -> Any:
    """Return the window with the labels open and the whole frame in view."""
    assert window.session.open(labels)
    window.session.canvas.points.mode = "select"
    window.person.look_at(WIDTH / 2, HEIGHT / 2, zoom=4.0)
    assert window.messages == []
    return window
