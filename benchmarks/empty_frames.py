"""What frames marked as empty are good for: animals invented where none is.

A sample video of flies goes on with a stretch of the bare floor and one in which another
animal, a mouse, crosses it. Networks learn from labelled fly frames alone, and from the
same with some frames of both stretches marked as empty; what they find in the rest of the
stretches is invented. Prints a table and one JSON object.

    python benchmarks/empty_frames.py --pipelines single,topdown,bottomup --steps 900
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.io.video import open_video
from napari_animalpose.nn.metrics import evaluate
from napari_animalpose.pipeline import predict, train
from napari_animalpose.sample import make_sample

N_STRETCH = 80  # frames of each stretch; the second half is tested
N_TEST = 60  # fly frames at the end that are tested


def make_project(n_animals: int, n_labeled: int, size: int) -> tuple[Project, Poses]:
    """Fly frames, then the bare floor, then the mouse; labels of the first, all the truth."""
    n_flies = 10 * n_labeled + 10 * N_TEST
    flies = make_sample(n_frames=n_flies, n_animals=n_animals, size=(size, size), seed=1)
    mouse = make_sample(
        species="mouse", n_frames=10 * N_STRETCH, n_animals=1, size=(size, size), seed=2
    )
    fly_frames = np.stack([flies.video[i] for i in range(0, n_flies, 10)])
    floor = np.median(fly_frames, axis=0)
    rng = np.random.default_rng(3)
    noisy = floor + rng.normal(0, flies.config.noise_sd, (N_STRETCH, *floor.shape))
    bare = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    crossed = np.stack([mouse.video[10 * i] for i in range(N_STRETCH)])
    video = open_video(np.concatenate([fly_frames, bare, crossed]))
    chosen = flies.poses.select(flies.poses.frame % 10 == 0)
    truth = chosen.replace(frame=chosen.frame // 10)
    return Project(videos=[video], poses=truth.select(truth.frame < n_labeled)), truth


def count_invented(poses: Poses, frames: NDArray[np.int64]) -> int:
    return int(np.isin(poses.frame, frames).sum())


def try_pipeline(
    name: str, n_empty: int, options: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """Train with `n_empty` empty frames of each stretch and test on what was not learned."""
    n_animals = 1 if name == "single" else 2
    project, truth = make_project(n_animals, options.labeled, options.size)
    first = options.labeled + N_TEST
    bare, crossed = (first + i * N_STRETCH + np.arange(N_STRETCH) for i in (0, 1))
    spread = np.linspace(0, N_STRETCH // 2 - 1, max(n_empty, 1)).astype(int)[:n_empty]
    marked = [(0, int(frame)) for part in (bare, crossed) for frame in part[spread]]
    project = project.replace(negative_frames=np.array(marked, np.int32).reshape(-1, 2))
    began = time.monotonic()
    run = train(
        project, folder / f"{name}-{n_empty}", pipeline=name, preset="fast", seed=0,
        overrides=["train.steps_per_epoch=75", f"train.epochs={max(1, options.steps // 75)}"],
    )  # fmt: skip
    seconds = time.monotonic() - began
    found = predict(project, run.path).poses
    half = N_STRETCH // 2
    tested = np.arange(options.labeled, first)
    keys = np.stack([np.zeros_like(tested), tested], axis=1)
    figures = evaluate(found, truth, frames=keys).to_dict()
    return {
        "pipeline": name, "empty_frames": 2 * n_empty,
        "invented_per_100_bare": 100 * count_invented(found, bare[half:]) / half,
        "invented_per_100_crossed": 100 * count_invented(found, crossed[half:]) / half,
        "error_p50": figures["error_p50"], "n_missed": figures["n_missed"],
        "n_instances": figures["n_instances"],
        "n_false_positives": figures["n_false_positives"], "training_s": seconds,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipelines", default="single", help="such as single,topdown,bottomup")
    parser.add_argument("--empty", default="0,10", help="marked frames of each stretch, to compare")
    parser.add_argument("--labeled", type=int, default=60)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--steps", type=int, default=75)
    options = parser.parse_args()
    rows = []
    print("pipeline  empty | invented in 100 frames: bare  crossed | median px  missed  false")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.pipelines.split(","):
            for n_empty in (int(text) for text in options.empty.split(",")):
                row = try_pipeline(name, n_empty, options, Path(folder))
                rows.append(row)
                print(
                    f"{name:9s} {row['empty_frames']:5d} | {row['invented_per_100_bare']:28.1f} "
                    f"{row['invented_per_100_crossed']:8.1f} | {row['error_p50'] or np.nan:9.2f} "
                    f"{row['n_missed']:7d} {row['n_false_positives']:6d}",
                    flush=True,
                )
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
