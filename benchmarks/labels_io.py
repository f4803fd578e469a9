"""Seconds to open and save a large SLEAP file, against SLEAP's own reader.

python benchmarks/labels_io.py --instances 100000 --nodes 13
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.video import LazyVideo

T = TypeVar("T")


def make_project(n_instances: int, n_nodes: int) -> Project:
    """Return a project of two tracked animals, one instance in ten a label."""
    rng = np.random.default_rng(0)
    skeleton = Skeleton(
        tuple(f"node {i}" for i in range(n_nodes)), tuple((0, i) for i in range(1, n_nodes))
    )
    xy = rng.uniform(0, 1000, (n_instances, n_nodes, 2)).astype(np.float32)
    xy[rng.random((n_instances, n_nodes)) < 0.05] = np.nan
    label = rng.random(n_instances) < 0.1
    poses = Poses.from_arrays(
        skeleton,
        frame=np.arange(n_instances) // 2,
        track=np.arange(n_instances) % 2,
        xy=xy,
        origin=np.where(label, Origin.USER, Origin.PREDICTED),
        point_score=np.where(label[:, None], np.nan, rng.random((n_instances, n_nodes))),
        score=np.where(label, np.nan, rng.random(n_instances)),
        track_names=("female", "male"),
    )
    video = LazyVideo("video.mp4", shape=(n_instances // 2 + 1, 1024, 1024, 1), fps=100.0)
    return Project((video,), poses)


def measure(what: str, action: Callable[[], T], times: dict[str, float], repeats: int = 3) -> T:
    """Run an action a few times; print and keep the shortest time."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = action()
        seconds.append(time.perf_counter() - start)
    times[what] = round(min(seconds), 3)
    print(f"{what:<44}{min(seconds):8.3f} s")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=13)
    parser.add_argument("--sleap", action="store_true", help="time SLEAP's eager reader, too")
    options = parser.parse_args()
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder) / "large.slp", Path(folder) / "copy.slp"
        made = make_project(options.instances, options.nodes)
        measure("save a new project", lambda: write_labels(made, path), times)
        print(f"{path.stat().st_size / 2**20:.0f} MiB")
        project = measure("open", lambda: read_labels(path), times)
        assert project.poses == made.poses
        measure("save unchanged", lambda: write_labels(project, copy), times)
        xy = project.poses.xy.copy()
        xy[::7, 0] += 1
        moved = project.with_poses(project.poses.replace(xy=xy))
        measure("save after moving a point in 1 of 7", lambda: write_labels(moved, copy), times)
        fewer = project.with_poses(project.poses.select(np.arange(len(made.poses)) % 11 != 0))
        measure("save after deleting 1 of 11", lambda: write_labels(fewer, copy), times)
        if options.sleap:
            import sleap_io

            measure("SLEAP opens it, eagerly", lambda: sleap_io.load_slp(str(path)), times, 1)
    print(json.dumps(times))


if __name__ == "__main__":
    main()
