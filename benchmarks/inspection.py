"""How long a step takes while one looks into a network: from the request to the arrays.

Trains a bottom-up network for a few seconds on the sample, opens it in a warm child
process (`jobs.Worker`) and asks for frame after frame, as a window does when a person
steps through a video; then for frames anywhere in it. Prints a table and one JSON object.

    python benchmarks/inspection.py --pipeline bottomup --size 384 --frames 20
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_animalpose.config import PredictConfig
from napari_animalpose.data.project import Project
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_writer import VideoWriter
from napari_animalpose.jobs import Worker
from napari_animalpose.nn.inspection_views import paf_vectors, project_maps
from napari_animalpose.pipeline import train
from napari_animalpose.pipeline.inspection import open_inspector, request_inspection
from napari_animalpose.sample import make_sample


def write_sample(folder: Path, size: int, n_frames: int) -> tuple[Path, LazyVideo]:
    """Write a video of two animals with labels on every fourth frame."""
    sample = make_sample(n_frames=n_frames, n_animals=2, size=(size, size), seed=1)
    with VideoWriter(folder / "video.mp4", fps=25) as writer:
        for index in range(n_frames):
            writer.write(sample.video[index])
    video = LazyVideo(str(folder / "video.mp4"))
    poses = sample.poses.select(sample.poses.frame % 4 == 0)
    write_labels(Project(videos=(video,), poses=poses), folder / "labels.slp")
    return folder / "labels.slp", video


def measure(worker: Worker, video: LazyVideo, frames: list[int]) -> dict[str, float]:
    """Median and longest seconds from asking to having the arrays, and the parts."""
    times, stages, n_bytes = [], [], 0
    for frame in frames:
        began = time.perf_counter()
        seen = worker.result(worker.ask(request_inspection(video, frame)), 600)
        times.append(time.perf_counter() - began)
        stages.append(seen.seconds)
        n_bytes = len(pickle.dumps(seen, pickle.HIGHEST_PROTOCOL))
    parts = {f"{name}_s": statistics.median(s[name] for s in stages) for name in stages[0]}
    return {
        "n_maps": len(seen.maps),
        "median_s": statistics.median(times),
        "shortest_s": min(times),
        "longest_s": max(times),
        "answer_mb": n_bytes / 1e6,
        **parts,
    }


def measure_views(worker: Worker, video: LazyVideo) -> dict[str, float]:
    """Seconds for what the window makes of the arrays."""
    seen = worker.result(worker.ask(request_inspection(video, 0)), 600)
    maps = seen.maps[-1].values
    colors = np.random.default_rng(0).integers(0, 255, (len(maps), 3))
    times = {}
    began = time.perf_counter()
    project_maps(maps, colors)
    times["projection_s"] = time.perf_counter() - began
    began = time.perf_counter()
    paf_vectors(seen, stride_cells=2)
    times["vectors_s"] = time.perf_counter() - began
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipeline", default="bottomup")
    parser.add_argument("--size", type=int, default=384, help="side of the frames in px")
    parser.add_argument("--frames", type=int, default=20, help="steps to measure")
    parser.add_argument("--steps", type=int, default=60, help="of training")
    parser.add_argument("--threshold", type=float, default=0.2, help="of peaks")
    parser.add_argument("--run", type=Path, help="look into this run instead of a new one")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels, video = write_sample(folder, options.size, max(48, options.frames))
        run = options.run
        if run is None:
            overrides = (f"train.steps_per_epoch={options.steps}", "train.epochs=1")
            run = train(
                labels, folder / "run", pipeline=options.pipeline, overrides=overrides, seed=0
            ).path
        began = time.perf_counter()
        config = PredictConfig(peak_threshold=options.threshold, max_instances=2)
        with Worker(open_inspector, run, config) as worker:
            first = measure(worker, video, [0])
            first["start_and_first_s"] = time.perf_counter() - began
            steps = measure(worker, video, list(range(1, options.frames)))
            anywhere = np.random.default_rng(0).permutation(len(video))[: options.frames]
            jumps = measure(worker, video, anywhere.tolist())
            views = measure_views(worker, video)
    print(f"start and first frame {first['start_and_first_s']:.1f} s")
    for label, row in (("one frame on", steps), ("anywhere", jumps)):
        print(
            f"{label}: median {1000 * row['median_s']:.0f} ms, shortest "
            f"{1000 * row['shortest_s']:.0f} ms, longest "
            f"{1000 * row['longest_s']:.0f} ms, {row['answer_mb']:.1f} MB in {row['n_maps']} stacks"
        )
        for key, value in row.items():
            if key.endswith("_s") and key not in ("median_s", "shortest_s", "longest_s"):
                print(f"    {key.removesuffix('_s'):10s} {1000 * value:6.1f} ms")
    result = {"pipeline": options.pipeline, "size": options.size, "first": first}
    print(json.dumps({**result, "steps": steps, "jumps": jumps, **views}))


if __name__ == "__main__":
    main()
