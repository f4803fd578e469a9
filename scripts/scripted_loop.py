"""A scripted person trains, predicts, corrects and trains again, in the window.

    scripts/gui-env .venv/bin/python scripts/scripted_loop.py FOLDER [MINUTES]

On the recording `flies_centered` (ANIMALPOSE_REAL_DATA): labels are SLEAP's predictions on
ten frames, accepted with a key; the network is trained from the dock, predicts fifty other
frames, which come back as layers; one of them is corrected and accepted with nine more; the
second round goes on from the first. FOLDER/report.json has minutes and accuracy of each
round, FOLDER/*.png what the window showed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "_widgets"))

LABELLED = np.linspace(20, 1060, 10).astype(int)
PREDICTED = (np.linspace(5, 1090, 50).astype(int) // 2) * 2 + 1


def prepare(folder: Path) -> tuple[Path, Any]:
    """Write a project with SLEAP's predictions on ten frames; return it and all of them."""
    from napari_animalpose.data.project import Project
    from napari_animalpose.io.labels import write_labels
    from napari_animalpose.io.video import LazyVideo
    from napari_animalpose.pipeline import read

    data = Path(os.environ["ANIMALPOSE_REAL_DATA"]) / "flies_centered"
    poses = read(data / "sleap_predictions.slp").poses
    order = np.lexsort((-poses.score, poses.frame))
    rank = np.zeros(len(poses), int)  # the two best of each frame are the two flies
    rank[order] = np.arange(len(poses)) - np.searchsorted(poses.frame[order], poses.frame[order])
    two = poses.select(np.flatnonzero(rank < 2))
    chosen = two.select(np.isin(two.frame, LABELLED))
    video = LazyVideo(str(data / "video.mp4"))
    write_labels(Project(videos=(video,), poses=chosen), folder / "flies.slp")
    return folder / "flies.slp", two


def measure(poses: Any, truth: Any, frames: Any) -> dict[str, float]:
    """Return accuracy of the predictions of some frames against SLEAP's."""
    from napari_animalpose.data.poses import Poses
    from napari_animalpose.nn.metrics import evaluate

    def rows(table: Any) -> Poses:
        return table.select(np.isin(table.frame, frames))

    pairs = np.array([(0, frame) for frame in frames])
    figures = evaluate(rows(poses), rows(truth), frames=pairs).to_dict()
    return {name: figures[name] for name in ("error_p50", "error_p90", "pck5", "mOKS", "mAP")}


class Loop:
    """The window, and what the person does in it."""

    def __init__(self, folder: Path, minutes: float) -> None:
        import napari
        from person import Person

        from napari_animalpose._widgets._runs import get_runs
        from napari_animalpose._widgets._session import get_session

        self.viewer = napari.Viewer()
        self.viewer.window.resize(1600, 1050)
        self.session = get_session(self.viewer)
        self.session.show_docks()
        self.person = Person(self.viewer, self.session.window, folder)
        self.runs = get_runs(self.session)
        self.minutes = minutes
        self.report: dict[str, Any] = {"rounds": []}

    def wait_for(self, done: Any, seconds: float) -> None:
        """Let the window work until something is so."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"Expected it within {seconds} s.")
            self.person.wait(0.5)

    def accept(self, frames: Any) -> None:
        """Accept all predictions of some frames with one key each."""
        from qtpy.QtCore import Qt

        for frame in frames:
            self.session.go_to(int(frame))
            self.person.wait(0.1)
            self.person.key(Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)

    def train(self, name: str, *, again: bool) -> dict[str, Any]:
        """Train from the dock and return minutes and the accuracy on held-out labels."""
        dock = self.session.open_dock("train")
        self.person.wait(1)
        if not again:
            dock.setup.set_pipeline("bottomup")
        self.wait_for(lambda: not dock.setup.is_measuring and dock.setup.config is not None, 120)
        config = dock.setup.config
        train = replace(config.train, max_minutes=self.minutes)
        dock.setup.set_config(replace(config, train=train))
        self.person.wait(1)
        self.person.picture(f"{name}_train_dock")
        began = time.monotonic()
        button = dock.footer.retrain if again else dock.footer.train
        button.click()
        self.wait_for(lambda: self.runs.running is not None, 30)
        self.session.open_dock("monitor")
        self.person.wait(self.minutes * 40)
        self.person.picture(f"{name}_monitor")
        self.wait_for(lambda: self.runs.running is None, self.minutes * 60 + 300)
        self.person.picture(f"{name}_trained")
        run = self.runs.current
        if run.state != "done":
            raise RuntimeError(f"Expected a trained run; received {run.state}.")
        metrics = json.loads((run.out / "metrics.json").read_text())
        return {
            "minutes": (time.monotonic() - began) / 60,
            "run": run.out.name,
            "held_out": {
                key: metrics["validation"].get(key) for key in ("error_p50", "error_p90", "mAP")
            },
        }

    def predict(self, name: str, run: Path) -> float:
        """Predict on the suggested frames from the dock; return seconds."""
        from napari_animalpose._widgets._predictions import get_predictions

        dock = self.session.open_dock("predict")
        self.person.wait(1)
        if not dock.use_model(run):
            raise RuntimeError(f"Expected a model in {run}; the dock refuses it.")
        dock.animals.setValue(2)
        predictions = get_predictions(self.session)
        began = time.monotonic()
        dock.footer.suggested.click()
        self.wait_for(lambda: predictions.running is not None, 30)
        self.wait_for(lambda: predictions.running is None, 300)
        seconds = time.monotonic() - began
        self.session.go_to(int(PREDICTED[25]))
        self.person.picture(f"{name}_predicted")
        return seconds

    def correct(self, truth: Any, frames: Any, beyond_px: float = 4.0) -> int:
        """Drag what is wrong in some frames to where it belongs, and accept them; count drags."""
        from qtpy.QtCore import Qt

        drags = 0
        for frame in frames:
            self.session.go_to(int(frame))
            self.person.wait(0.1)
            wanted = truth.at(0, int(frame)).xy
            for position in range(len(self.session.rows)):
                xy = self.session.rows.xy[position]
                gap = np.linalg.norm(wanted - xy, axis=-1)  # (2, K)
                near = int(np.nanmedian(gap, axis=1).argmin())
                for node in np.flatnonzero(gap[near] > beyond_px).tolist():
                    start = self.session.rows.xy[position, node].tolist()
                    self.person.click(*start)
                    self.person.drag(start, wanted[near, node].tolist(), steps=3)
                    drags += 1
                    if drags == 3:
                        self.person.picture("correction")
            self.person.key(Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
        return drags


def main() -> int:
    """Run the loop and write the report."""
    folder = Path(sys.argv[1]).resolve()
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    folder.mkdir(parents=True, exist_ok=True)
    project, truth = prepare(folder)
    loop = Loop(folder, minutes)
    loop.session.open(project, ask=False)
    loop.person.look_at(192, 192, 2.2)
    loop.accept(LABELLED)
    pairs = np.array([(0, frame) for frame in PREDICTED])
    loop.session.do(loop.session.document.replace_suggestions(pairs))
    loop.session.save()
    corrected, others = PREDICTED[::5], np.setdiff1d(PREDICTED, PREDICTED[::5])
    for number, name in enumerate(("first", "second")):
        figures = loop.train(name, again=bool(number))
        run = folder / "models" / figures["run"]
        figures["predict_s"] = loop.predict(name, run)
        figures["others"] = measure(loop.session.document.poses, truth, others)
        if not number:
            figures["drags"] = loop.correct(truth, corrected)
            loop.session.save()
        loop.report["rounds"].append(figures)
        (folder / "report.json").write_text(json.dumps(loop.report, indent=1))
    print((folder / "report.json").read_text())
    loop.session.open_dock("train")
    loop.person.picture("rounds")
    loop.session.close()
    loop.viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
