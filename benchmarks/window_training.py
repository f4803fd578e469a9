"""Measure how fluid the window stays while a network is trained, and how a training ends.

A viewer with the docks Train and Training monitor is open, a timer of its event loop beats
every 10 ms, and somebody steps through the video. A stall is what the beat came late by: by
the clock, and in processor time of the main thread, which other programs do not change.
Then a training is cancelled, one is killed (SIGKILL) and one has too little memory.

Example
-------
    python benchmarks/window_training.py --seconds 60
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GUI_ENV = Path(__file__).resolve().parents[1] / "scripts" / "gui-env"
BEAT_MS = 10
STEP_EVERY_S = 0.25
PATIENCE_S = 600


def make_labels(folder: Path) -> Path:
    """Write a video of a fly and labels of every fourth frame."""
    import numpy as np

    from napari_animalpose.data.project import Project
    from napari_animalpose.io.labels import write_labels
    from napari_animalpose.io.video import LazyVideo
    from napari_animalpose.io.video_writer import VideoWriter
    from napari_animalpose.sample import make_sample

    sample = make_sample(n_frames=80, n_animals=1, size=(256, 320), seed=1)
    with VideoWriter(folder / "fly.mp4", fps=25) as writer:
        for index in range(80):
            writer.write(sample.video[index])
    poses = sample.poses.select(np.isin(sample.poses.frame, range(0, 80, 4)))
    video = LazyVideo(str(folder / "fly.mp4"))
    write_labels(Project(videos=(video,), poses=poses), folder / "fly.slp")
    return folder / "fly.slp"


class Window:
    """A viewer with the two docks, and what its event loop does."""

    def __init__(self, labels: Path) -> None:
        import napari
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication

        from napari_animalpose._widgets._session import get_session
        from napari_animalpose._widgets.monitor import MonitorDock
        from napari_animalpose._widgets.train_dock import TrainDock

        self.viewer = napari.Viewer()
        self.session = get_session(self.viewer)
        self.session.open_dock = lambda name: None  # both are open already
        self.dock, self.monitor = TrainDock(self.viewer), MonitorDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, area="right", name="Train")
        self.viewer.window.add_dock_widget(self.monitor, area="right", name="Monitor")
        self.app = QApplication.instance()
        self.session.open(labels, ask=False)
        self.stalls: list[tuple[float, float]] = []
        self._last = (0.0, 0.0)
        self._beat = QTimer(self.dock)
        self._beat.setInterval(BEAT_MS)
        self._beat.timeout.connect(self._on_beat)

    def _on_beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self.stalls.append((now[0] - self._last[0] - BEAT_MS / 1e3, now[1] - self._last[1]))
        self._last = now

    def spin(self, until: Callable[[], bool], seconds: float, steps: bool = False) -> float:
        """Run the event loop until something is so; return how long that took."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop, began, frame = QEventLoop(), time.perf_counter(), 0
        check = QTimer()
        check.setInterval(5)

        def look() -> None:
            if until() or time.perf_counter() - began > seconds:
                loop.quit()

        check.timeout.connect(look)
        check.start()
        step = QTimer()
        step.setInterval(int(1e3 * STEP_EVERY_S))

        def go_on() -> None:
            nonlocal frame
            frame = (frame + 1) % self.session.n_frames
            self.session.go_to(frame)

        step.timeout.connect(go_on)
        if steps:
            step.start()
        self._last = time.perf_counter(), time.thread_time()
        self._beat.start()
        loop.exec()
        self._beat.stop()
        return time.perf_counter() - began

    def take_stalls(self) -> dict[str, float]:
        """Return the longest stalls since the last call, in ms."""
        walls = sorted(1e3 * wall for wall, _ in self.stalls)
        busy = max(1e3 * cpu for _, cpu in self.stalls)
        late = {"longest_ms": walls[-1], "p99_ms": walls[int(0.99 * (len(walls) - 1))]}
        self.stalls.clear()
        return {name: round(value, 1) for name, value in (late | {"longest_cpu_ms": busy}).items()}

    def start(self, minutes: float) -> Any:
        """Press *Train* once the labels are measured."""
        setup = self.dock.setup
        self.spin(lambda: not setup.problem, PATIENCE_S)
        train = setup.config.train.replace(max_minutes=minutes, steps_per_epoch=10)
        setup.set_config(setup.config.replace(train=train))
        self.dock.footer.train.click()
        return setup.runs.running


def measure_ends(window: Window, labels: Path) -> dict[str, Any]:
    """Cancel one training, kill the next and leave the last one without memory."""
    import resource

    before = hashlib.sha256(labels.read_bytes()).hexdigest()
    results: dict[str, Any] = {}
    for end in ("cancel", "kill", "memory"):
        run = window.start(10.0)
        if end != "memory":
            window.spin(lambda run=run: bool(run.history), PATIENCE_S)
        began = time.perf_counter()
        if end == "cancel":
            window.dock.footer.cancel.click()
        elif end == "kill":
            os.kill(run.worker.pid, signal.SIGKILL)
        else:
            limit = 900 << 20
            resource.prlimit(run.worker.pid, resource.RLIMIT_AS, (limit, limit))
        window.spin(lambda run=run: not run.is_running, PATIENCE_S)
        results[end] = {
            "seconds": round(time.perf_counter() - began, 2),
            "state": run.state,
            "message": "" if run.failure is None else run.failure.message,
            "run_folder_is_gone": not run.out.exists(),
            "labels_are_intact": hashlib.sha256(labels.read_bytes()).hexdigest() == before,
        }
    return results


def measure(seconds: float, ends: bool) -> dict[str, Any]:
    """Return all figures."""
    with tempfile.TemporaryDirectory() as folder:
        labels = make_labels(Path(folder))
        window = Window(labels)
        window.spin(lambda: not window.dock.setup.problem, PATIENCE_S)
        window.spin(lambda: window.dock.footer.device.device is not None, PATIENCE_S)
        window.take_stalls()
        window.spin(lambda: False, 5.0, steps=True)
        results: dict[str, Any] = {"without_training": window.take_stalls()}
        run = window.start(seconds / 60)
        window.spin(lambda: not run.is_running, PATIENCE_S, steps=True)
        results["training"] = window.take_stalls()
        results["training"] |= {
            "state": run.state,
            "epochs": sum(len(rows) for rows in run.history.values()),
        }
        if ends and sys.platform == "linux":
            results["ends"] = measure_ends(window, labels)
        results["tensorflow_in_window"] = "tensorflow" in sys.modules
        window.session.set_document(None)
        window.viewer.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=40.0, help="length of the training")
    parser.add_argument("--no-ends", action="store_true", help="leave out how trainings end")
    options = parser.parse_args()
    if sys.platform == "linux" and "DISPLAY" not in os.environ:
        os.execv(GUI_ENV, [str(GUI_ENV), sys.executable, *sys.argv])
    print(json.dumps(measure(options.seconds, not options.no_ends), indent=2))


if __name__ == "__main__":
    main()
