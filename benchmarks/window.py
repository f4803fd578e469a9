"""Measure the window: steps, drags and opening, beside a whole table in one Points layer.

Every way has a viewer of its own, and they take turns, so that whatever else the machine does
meets all of them. Milliseconds are medians: "asked" until the program is done with a step (thread
time of the window), "painted" until the picture is there as well (by the clock, and processor time
of all threads, which other programs hardly change). Under software OpenGL most of the latter is
the painting of the window, whatever is in it.

The other ways hold the whole table in napari layers, as napari-deeplabcut (one Points layer,
coloured by a feature) and movement (Points and Tracks, a track for each point) do. They are
written here after what those plugins do and are not the plugins.

Example
-------
    python benchmarks/window.py --frames 1000 1000000 --others 1000 10000
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton

ROOT = Path(__file__).resolve().parents[1]
GUI_ENV = ROOT / "scripts" / "gui-env"
N_NODES, N_ANIMALS = 13, 2
SIZE = (512, 512)
STALLS_MS = 3000  # a way that takes so long for a step is not asked again


class MemoryVideo:
    """Gray noise of any length: decoding, equal for all ways, is left out."""

    fps, name, source = 50.0, "noise.mp4", "noise.mp4"

    def __init__(self, n_frames: int) -> None:
        self.shape = (n_frames, *SIZE, 1)
        self._frames = np.random.default_rng(0).integers(0, 255, (16, *SIZE, 1), np.uint8)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Any:
        return self._frames[index % 16]

    def close(self) -> None:
        """There is nothing to close."""


def make_poses(n_frames: int) -> Poses:
    """Return predictions of two flies that go round, in every frame."""
    rng = np.random.default_rng(0)
    shape = rng.normal(0, 20, (N_NODES, 2)).astype(np.float32)
    angle = np.arange(n_frames, dtype=np.float32)[:, None] / 300 + [0, np.pi]
    middle = 256 + 120 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)  # (F, 2, 2)
    xy = (middle[:, :, None] + shape).astype(np.float32).reshape(-1, N_NODES, 2)
    n_rows = len(xy)
    return Poses.from_arrays(
        Skeleton(
            tuple(f"node{i}" for i in range(N_NODES)), tuple((0, i) for i in range(1, N_NODES))
        ),
        frame=np.repeat(np.arange(n_frames), N_ANIMALS),
        track=np.tile(np.arange(N_ANIMALS), n_frames),
        origin=Origin.PREDICTED,
        xy=xy,
        score=rng.random(n_rows, np.float32),
        point_score=rng.random((n_rows, N_NODES), np.float32),
        track_names=["female", "male"],
    )


# ---------------------------------------------------------------------------------- the ways
class Way:
    """A viewer that shows poses in one way."""

    def __init__(self, name: str, n_frames: int, title: str) -> None:
        import napari

        self.name, self.n_frames, self.title = name, n_frames, title
        self.viewer = napari.Viewer(title=title, show_welcome_screen=False)
        self.viewer.window.resize(1000, 800)
        self.frame = n_frames // 2
        self.asked: list[float] = []
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def step(self) -> None:
        """Go on by one frame and wait until it is painted; note how long it took."""
        self.frame = (self.frame + 1) % self.n_frames
        start = time.perf_counter(), time.process_time(), time.thread_time()
        self.viewer.dims.set_current_step(0, self.frame)
        self.asked.append((time.thread_time() - start[2]) * 1e3)
        process_events()
        self.wall.append((time.perf_counter() - start[0]) * 1e3)
        self.cpu.append((time.process_time() - start[1]) * 1e3)

    @property
    def stalls(self) -> bool:
        return bool(self.wall) and self.wall[-1] > STALLS_MS

    def close(self) -> None:
        self.viewer.close()


class Ours(Way):
    """The session of the plugin, with or without docks."""

    def __init__(self, n_frames: int, docks: tuple[str, ...] = ()) -> None:
        super().__init__("ours" + (" with docks" if docks else ""), n_frames, "ours")
        from napari_animalpose._widgets._session import get_session
        from napari_animalpose.pipeline.document import Document

        self.session = get_session(self.viewer)
        project = Project((MemoryVideo(n_frames),), make_poses(n_frames))
        self.session.set_document(Document(project))
        for name in docks or ("project",):
            widget = self.session.open_dock(name)
            if not docks:
                widget.parentWidget().hide()
        self.session.go_to(self.frame)

    def close(self) -> None:
        self.session.close()
        super().close()


def show_video(way: Way) -> None:
    from napari_animalpose._widgets._video_array import VideoArray

    way.viewer.add_image(VideoArray(MemoryVideo(way.n_frames)), contrast_limits=(0, 255))


def make_video_alone(n_frames: int) -> Way:
    """Return a viewer with the video and nothing else."""
    way = Way("video alone", n_frames, "video")
    show_video(way)
    return way


def make_one_points_layer(n_frames: int) -> Way:
    """Return a viewer with all points in one layer, coloured by a feature."""
    way = Way("all in one Points layer", n_frames, "points")
    show_video(way)
    data, features = flatten(make_poses(n_frames))
    names = [f"node{i}" for i in range(N_NODES)]
    cycle = dict(zip(names, np.random.default_rng(1).random((N_NODES, 3)), strict=True))
    way.viewer.add_points(
        data, features=features, face_color="label", face_color_cycle=cycle, size=6,
        border_width=0, ndim=3,
    )  # fmt: skip
    return way


def make_points_and_tracks(n_frames: int) -> Way:
    """Return a viewer with all points in a Points and a Tracks layer."""
    way = make_one_points_layer(n_frames)
    way.name = "all in Points and Tracks"
    data, features = flatten(make_poses(n_frames))
    node = np.unique(features["label"], return_inverse=True)[1]
    individual = np.unique(features["id"], return_inverse=True)[1]
    track = individual * N_NODES + node
    order = np.lexsort([data[:, 0], track])
    way.viewer.add_tracks(np.column_stack([track, data])[order], tail_length=30)
    return way


def flatten(poses: Poses) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return all points as rows (frame, y, x), and their features."""
    n_rows = len(poses)
    frame = np.repeat(poses.frame, N_NODES)
    xy = poses.xy.reshape(-1, 2)
    return np.column_stack([frame, xy[:, 1], xy[:, 0]]), {
        "label": np.tile(np.array(poses.skeleton.nodes, object), n_rows),
        "id": np.repeat(np.array(poses.track_names, object)[poses.track], N_NODES),
        "likelihood": poses.point_score.ravel(),
    }


# --------------------------------------------------------------------------------- measuring
def process_events() -> None:
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()


def settle(seconds: float = 0.5) -> None:
    """Let windows appear."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        process_events()
        time.sleep(0.01)


def take_turns(ways: list[Way], n_steps: int) -> None:
    """Step each viewer in turn."""
    for way in ways:
        for _ in range(3):
            way.step()
        way.asked, way.wall, way.cpu = way.asked[-1:], way.wall[-1:], way.cpu[-1:]
    for number in range(n_steps):
        turn = ways if number % 2 else ways[::-1]
        for way in turn:
            if not way.stalls:
                way.step()


def measure_drag(way: Ours) -> dict[str, float]:
    """Return what a movement of the mouse costs while a point is dragged, and the edges of it.

    The second is the difference to the same drag with the edges hidden, in processor time.
    """
    sys.path.insert(0, str(ROOT / "tests" / "_widgets"))
    from person import Person

    session = way.session
    person = Person(way.viewer, session.window)
    session.canvas.points.mode = "select"
    wall: dict[bool, list[float]] = {True: [], False: []}
    cpu: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(6):
        visible = turn % 2 == 0
        session.canvas.skeleton.visible = visible
        settle(0.1)
        drag(person, session, visible, wall[visible], cpu[visible])
    session.canvas.skeleton.visible = True
    with_edges, without = (statistics.median(cpu[visible]) for visible in (True, False))
    return {
        "wall_ms": round(statistics.median(wall[True]), 2), "cpu_ms": round(with_edges, 2),
        "edges_cpu_ms": round(with_edges - without, 2),
    }  # fmt: skip


def drag(
    person: Any, session: Any, visible: bool, wall: list[float], cpu: list[float], n_moves: int = 15
) -> None:
    """Drag the first point through a curve and note what each movement took."""
    from qtpy.QtCore import QEvent, Qt

    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    keys = Qt.KeyboardModifier.NoModifier
    x, y = session.rows.xy[0, 0].tolist()
    person.look_at(x, y, 3.0)
    person.move(x, y)
    person._mouse(QEvent.Type.MouseButtonPress, person.place(x, y), left, left, keys)
    for number in range(1, n_moves + 1):
        place = person.place(x + number, y + 10 * np.sin(number / 4))
        before = np.asarray(session.canvas.skeleton.data).copy()
        start = time.perf_counter(), time.process_time()
        person._mouse(QEvent.Type.MouseMove, place, none, left, keys)
        process_events()
        wall.append((time.perf_counter() - start[0]) * 1e3)
        cpu.append((time.process_time() - start[1]) * 1e3)
        assert not visible or not np.array_equal(before, session.canvas.skeleton.data)
    person._mouse(QEvent.Type.MouseButtonRelease, place, left, none, keys)
    settle(0.1)
    assert session.document.is_dirty


def measure_open(n_frames: int, repeats: int = 3) -> dict[str, float]:
    """Return seconds from the name of a file to its first picture in a viewer that is there."""
    import napari

    from napari_animalpose._widgets._session import get_session
    from napari_animalpose.io.labels import write_labels
    from napari_animalpose.io.video import LazyVideo
    from napari_animalpose.io.video_writer import VideoWriter

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with VideoWriter(folder / "short.mp4", fps=50) as writer:
            for index in range(50):
                writer.write(np.full((*SIZE, 3), index, np.uint8))
        video = LazyVideo(str(folder / "short.mp4"), shape=(n_frames, *SIZE, 3), fps=50.0)
        write_labels(Project((video,), make_poses(n_frames)), folder / "big.slp")
        viewer = napari.Viewer(show_welcome_screen=False)
        session = get_session(viewer)
        settle()
        wall, cpu = [], []
        for _ in range(repeats):
            start = time.perf_counter(), time.process_time()
            assert session.open(folder / "big.slp", ask=False)
            process_events()
            wall.append(time.perf_counter() - start[0])
            cpu.append(time.process_time() - start[1])
        megabytes = (folder / "big.slp").stat().st_size / 2**20
        session.close()
        viewer.close()
    return {
        "wall_s": round(min(wall), 2), "cpu_s": round(min(cpu), 2), "file_mib": round(megabytes),
    }  # fmt: skip


def make_ways(args: argparse.Namespace) -> Iterator[Callable[[], Way]]:
    for n_frames in args.frames:
        yield lambda n=n_frames: make_video_alone(n)
        yield lambda n=n_frames: Ours(n)
    yield lambda n=args.frames[-1]: Ours(n, ("project", "timeline"))
    for n_frames in args.others:
        yield lambda n=n_frames: make_one_points_layer(n)
        yield lambda n=n_frames: make_points_and_tracks(n)


def summarize(way: Way) -> dict[str, Any]:
    medians = {
        name: round(statistics.median(values), 2)
        for name, values in (
            ("asked_ms", way.asked), ("painted_cpu_ms", way.cpu), ("painted_ms", way.wall),
        )
    }  # fmt: skip
    return {"way": way.name, "frames": way.n_frames, **medians, "n": len(way.wall)}


def print_table(results: dict[str, Any]) -> None:
    """Print steps with what they cost over the video alone, then drags and opening."""
    columns = ("asked_ms", "painted_cpu_ms", "painted_ms")
    steps = results["steps"]
    videos = [step for step in steps if step["way"] == "video alone"]
    titles = ("asked", "over video", "painted, CPU", "over video", "by the clock", "over video")
    print(f"\n{'ms a step':26}{'frames':>10}" + "".join(f"{title:>15}" for title in titles))
    for step in steps:
        alone = min(videos, key=lambda video: abs(video["frames"] - step["frames"]))
        values = [value for name in columns for value in (step[name], step[name] - alone[name])]
        texts = "".join(f"{value:15.1f}" for value in values)
        print(f"{step['way']:26}{step['frames']:>10,}{texts}")
    for name in ("drag", "open"):
        for n_frames, values in results[name].items():
            print(f"{name:26}{int(n_frames):>10,}    {values}")


def main() -> int:
    """Read the arguments, measure, print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--others", type=int, nargs="*", default=[1000])
    parser.add_argument("--steps", type=int, default=25)
    args = parser.parse_args()
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        os.execv(GUI_ENV, [str(GUI_ENV), sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ANIMALPOSE_JOURNALS"] = folder
        ways = [make() for make in make_ways(args)]
        settle(1.0)
        take_turns(ways, args.steps)
        ours = [way for way in ways if type(way) is Ours and way.name == "ours"]
        results: dict[str, Any] = {
            "steps": [summarize(way) for way in ways],
            "drag": {str(way.n_frames): measure_drag(way) for way in ours},
        }
        for way in ways:
            way.close()
        results["open"] = {str(n): measure_open(n) for n in args.frames}
        print_table(results)
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
