"""Measure an open project of a long video: open, edit, journal, save; JSON on the last line.

Seconds are of the processor of this process, and in brackets of the clock.

Example
-------
    python benchmarks/document.py --frames 1000000
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_animalpose.data.edit_kinds import FrameEdit
from napari_animalpose.data.edits import move_points, replace_frames
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.journal import find_recoverable
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.pipeline.document import Document

T = TypeVar("T")


def make_project(n_frames: int, n_animals: int = 2, n_nodes: int = 13) -> Project:
    """Return predictions in every frame of a video that is not there."""
    rng = np.random.default_rng(0)
    n_rows = n_frames * n_animals
    poses = Poses.from_arrays(
        Skeleton(tuple(f"node {k}" for k in range(n_nodes))),
        frame=np.repeat(np.arange(n_frames), n_animals),
        track=np.tile(np.arange(n_animals), n_frames),
        xy=rng.random((n_rows, n_nodes, 2), np.float32) * 1000,
        origin=Origin.PREDICTED,
        point_score=rng.random((n_rows, n_nodes), np.float32),
        score=rng.random(n_rows, np.float32),
        track_names=[f"animal {i}" for i in range(n_animals)],
        copy=False,
    )
    return Project((LazyVideo("video.mp4", shape=(n_frames, 1024, 1024, 1), fps=100.0),), poses)


def measure(what: str, action: Callable[[], T], times: dict[str, float], repeats: int = 1) -> T:
    """Run an action, print how long it takes in the middle, and keep it in s."""
    processor, clock = [], []
    for _ in range(repeats):
        start, begin = time.process_time(), time.perf_counter()
        result = action()
        processor.append(time.process_time() - start)
        clock.append(time.perf_counter() - begin)
    seconds = statistics.median(processor)
    times[what] = round(seconds, 6)
    unit, factor = ("s", 1) if seconds > 0.1 else ("ms", 1e3)
    waited = statistics.median(clock) * factor
    print(f"{what:<42}{seconds * factor:9.3f} {unit:<3}({waited:.3f})")
    return result


def measure_edits(document: Document, times: dict[str, float], repeats: int) -> None:
    """Measure one dragged point, alone, with its journal, and undone."""
    poses, history, journal = document.poses, document.history, document._journal
    frames = iter(np.random.default_rng(1).permutation(poses.frames()).tolist() * 10)

    def build() -> FrameEdit:
        return move_points(poses, [(0, next(frames), 0, 0)], [(1.0, 2.0)])

    document.do(build())  # the first one begins the journal
    measure("build an edit of a point", build, times, repeats)
    measure("build and do it, without journal", lambda: history.do(build()), times, repeats)
    edit = build()
    measure("write it to the journal", lambda: journal.append(edit), times, repeats)
    measure("build, do, write it", lambda: document.do(build()), times, repeats)
    measure("undo it, and write that", document.undo, times, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, journals = folder / "long.slp", folder / "journals"
        write_labels(make_project(options.frames), path)
        print(f"{options.frames} frames, {path.stat().st_size / 2**20:.0f} MiB")
        document = measure("open", lambda: Document.open(path, journal_folder=journals), times)
        measure_edits(document, times, options.repeats)
        some = document.poses.select(document.poses.frame < 100_000)
        new = some.replace(score=np.ones(len(some)))
        edit = measure(
            "build predictions of 100,000 frames",
            lambda: replace_frames(document.poses, new.frame_keys(), new),
            times,
        )
        measure("do and write them", lambda: document.do(edit), times)
        measure("undo them, and write that", document.undo, times)
        measure("save", lambda: document.save(folder / "saved.slp"), times)
        document.do(move_points(document.poses, [(0, 3, 0, 0)], [(1.0, 2.0)]))
        document.close(keep_unsaved=True)
        [recovery] = find_recoverable(journals)
        again = measure("recover", lambda: Document.recover(recovery), times)
        assert np.array_equal(again.poses.xy, document.poses.xy, equal_nan=True)
        again.close()
    print(json.dumps(times))


if __name__ == "__main__":
    main()
