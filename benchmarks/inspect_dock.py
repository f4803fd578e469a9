"""How long a step takes while one looks into a network in the window: until it is drawn.

Opens the sample in a real viewer, has a bottom-up network of a few seconds of training
kept warm by the Inspect dock, and steps from frame to frame as a person does. Prints, for
each step, from the key to the filled layers: what the worker computed, what asking and
transfer took, and what the layers took; and one JSON object. Without a display it runs
under scripts/gui-env.

    python benchmarks/inspect_dock.py --size 384 --frames 20
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication

from napari_animalpose._widgets._session import Session, get_session
from napari_animalpose._widgets.inspect_dock import InspectDock
from napari_animalpose.data.project import Project
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_writer import VideoWriter
from napari_animalpose.sample import make_sample

GUI_ENV = Path(__file__).resolve().parents[1] / "scripts" / "gui-env"
TRAIN = """
import sys
from napari_animalpose.pipeline import train
train(sys.argv[1], sys.argv[2], pipeline=sys.argv[3], seed=0,
      overrides=(f"train.steps_per_epoch={sys.argv[4]}", "train.epochs=1"))
"""  # in a process of its own: TensorFlow must not be in that of the window


def write_sample(folder: Path, size: int, n_frames: int) -> Path:
    """Write a video of two animals with labels on every fourth frame."""
    sample = make_sample(n_frames=n_frames, n_animals=2, size=(size, size), seed=1)
    with VideoWriter(folder / "video.mp4", fps=25) as writer:
        for index in range(n_frames):
            writer.write(sample.video[index])
    poses = sample.poses.select(sample.poses.frame % 4 == 0)
    video = LazyVideo(str(folder / "video.mp4"))
    write_labels(Project(videos=(video,), poses=poses), folder / "labels.slp")
    return folder / "labels.slp"


def wait_until(is_there: Callable[[], bool], timeout_s: float = 600.0) -> None:
    """Run the event loop, as napari does, until something is there."""
    end = time.monotonic() + timeout_s
    while not is_there():
        if time.monotonic() > end:
            raise TimeoutError("the dock did not answer")
        QApplication.processEvents()
        time.sleep(0.001)


class Stopwatch:
    """Adds up the seconds spent in some methods, and those of the processor."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, owner: Any, method: str, name: str) -> None:
        inner = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began, worked = time.perf_counter(), time.thread_time()
            try:
                return inner(*args, **kwargs)
            finally:
                self._add(name, time.perf_counter() - began)
                self._add(f"{name}_cpu", time.thread_time() - worked)

        setattr(owner, method, timed)

    def _add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds


def measure(dock: InspectDock, session: Session, frames: list[int]) -> dict[str, float]:
    """Return the medians in ms over steps to some frames."""
    watch = Stopwatch()
    watch.watch(dock.layers, "show", "layers")
    watch.watch(dock.layers, "clear", "clearing")
    watch.watch(dock.tables, "show", "lists")
    steps: list[dict[str, float]] = []
    for frame in frames:
        watch.seconds.clear()
        began = time.perf_counter()
        session.go_to(frame)
        wait_until(lambda: dock.inspection is not None)
        total = time.perf_counter() - began
        QApplication.processEvents()
        drawn = time.perf_counter() - began
        assert dock.inspection is not None
        worker = sum(dock.inspection.seconds.values())
        here = {key: value for key, value in watch.seconds.items() if key.endswith("_cpu")}
        stages = {f"of_it_{key}": value for key, value in dock.inspection.seconds.items()}
        parts = {"worker": worker, **{k: v for k, v in watch.seconds.items() if k not in here}}
        steps.append({
            "total": total, **parts, "asking_and_transfer": total - sum(parts.values()),
            "drawn_too": drawn, **here, **stages,
        })  # fmt: skip
    medians = {key: 1e3 * statistics.median(step[key] for step in steps) for key in steps[0]}
    return {**medians, "longest": 1e3 * max(step["total"] for step in steps)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipeline", default="bottomup")
    parser.add_argument("--size", type=int, default=384, help="side of the frames in px")
    parser.add_argument("--frames", type=int, default=20, help="steps to measure")
    parser.add_argument("--steps", type=int, default=60, help="of training")
    parser.add_argument("--labels", type=Path, help="labels to open instead of the sample")
    parser.add_argument("--run", type=Path, help="look into this run instead of a new one")
    options = parser.parse_args()
    if sys.platform == "linux" and "DISPLAY" not in os.environ:
        os.execv(GUI_ENV, [str(GUI_ENV), sys.executable, *sys.argv])

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = options.labels or write_sample(folder, options.size, max(48, options.frames + 4))
        run = options.run
        if run is None:
            run = folder / "run"
            subprocess.run(
                [sys.executable, "-c", TRAIN, labels, run, options.pipeline, str(options.steps)],
                check=True,
            )
        viewer = napari.Viewer(show=True)
        session = get_session(viewer)
        session.open(labels, ask=False)
        session.go_to(0)
        dock = InspectDock(viewer)
        viewer.window.add_dock_widget(dock)
        # A network of so few steps is sure of nothing: have it look at faint peaks, too.
        dock.thresholds.setValue(dock.thresholds.value().replace(peak_threshold=0.15))
        dock.model.use(run)
        dock.controls.boxes["fields"].setChecked(True)
        dock.controls.threshold.setValue(0.05)
        began = time.perf_counter()
        dock.on.click()
        wait_until(lambda: dock.inspection is not None)
        first = time.perf_counter() - began
        session.go_to(1)
        wait_until(lambda: dock.inspection is not None)
        result = measure(dock, session, list(range(2, options.frames + 2)))
        result["n_arrows"] = sum(len(layer.data) for layer in dock.layers.layers("fields"))
        result["n_lines"] = len(dock.tables.tables["connections"].records)
        result["n_peaks"] = len(dock.inspection.peaks) if dock.inspection else 0
        session.set_document(None)
        viewer.close()
    print(f"start and first frame {first:.1f} s; then, in ms, medians of {options.frames} steps:")
    for key, value in result.items():
        print(f"    {key:20s} {value:7.1f}")
    print(json.dumps({"size": options.size, "pipeline": options.pipeline, "first_s": first,
                      **result}))  # fmt: skip


if __name__ == "__main__":
    main()
