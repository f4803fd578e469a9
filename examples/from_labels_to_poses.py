"""From a few labelled frames to poses, errors and a labelled video, in Python.

Run it without arguments for the embedded sample, or with a label file of your own::

    python examples/from_labels_to_poses.py labels.slp --minutes 5
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import napari_animalpose as ap
from napari_animalpose.drawing.render import render_video
from napari_animalpose.sample import make_sample


def make_labels(folder: Path, n_frames: int = 400, n_labels: int = 40) -> Path:
    """Write a sample video and a label file that knows some of its frames."""
    sample = make_sample(n_frames=n_frames, n_animals=1, size=(192, 192))
    sample.save(folder)
    video = ap.read(folder / "video.mp4")
    chosen = np.linspace(0, n_frames - 1, n_labels).astype(int)
    labels = sample.poses.select(np.isin(sample.poses.frame, chosen))
    ap.write(video.with_poses(labels), folder / "labels.slp")
    return folder / "labels.slp"


def main() -> None:
    """Train, predict, compare and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", nargs="?", type=Path)
    parser.add_argument("--out", type=Path, default=Path("example"))
    parser.add_argument("--minutes", type=float, default=1.0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    labels = options.labels or make_labels(options.out)
    project = ap.read(labels)
    run = ap.train(project, options.out / "run", max_minutes=options.minutes)
    print(f"median error on held-out frames: {run.metrics['validation']['error_p50']:.2f} px")

    predictor = ap.load_predictor(run.path)
    video = project.videos[0]
    poses = predictor.predict(video, frames=range(min(100, len(video))))
    ap.write(project.with_poses(poses), options.out / "predictions.slp")
    render_video(video, poses, options.out / "labelled.mp4", frames=poses.frames())


if __name__ == "__main__":
    main()
