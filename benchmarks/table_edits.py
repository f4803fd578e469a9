"""Measure what edits of a large pose table cost, as a JSON object of milliseconds.

Example
-------
    python benchmarks/table_edits.py --frames 1000000
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np

from napari_animalpose.data import edits, schema_edits
from napari_animalpose.data.history import History
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton


def make_table(n_frames: int, n_instances: int, n_nodes: int) -> Poses:
    """Return a table with the same number of instances in every frame."""
    n_rows = n_frames * n_instances
    rng = np.random.default_rng(0)
    return Poses.from_arrays(
        Skeleton(tuple(f"node{i}" for i in range(n_nodes))),
        frame=np.repeat(np.arange(n_frames), n_instances),
        xy=rng.random((n_rows, n_nodes, 2), np.float32) * 1000,
        track=np.tile(np.arange(n_instances), n_frames),
        track_names=[f"animal{i}" for i in range(n_instances)],
    )


def measure(function: Callable[[int], object], repeats: int) -> dict[str, float]:
    """Return median and largest time in ms; the argument is the number of the call."""
    times = []
    for call in range(repeats):
        start = time.perf_counter()
        function(call)
        times.append((time.perf_counter() - start) * 1e3)
    return {"median_ms": round(statistics.median(times), 4), "max_ms": round(max(times), 4)}


def measure_edits(poses: Poses, repeats: int) -> dict[str, dict[str, float]]:
    """Return the cost of every kind of edit on frames spread over the table."""
    history = History(poses, max_bytes=2**30)
    last = int(poses.frames()[-1])
    frames = np.random.default_rng(1).integers(0, last + 1, repeats + 1).tolist()
    new = Poses.from_arrays(
        poses.skeleton, frame=[0], xy=np.zeros((1, poses.n_nodes, 2)), track_names=()
    )

    def move(call: int) -> None:
        history.do(edits.move_points(poses, [[0, frames[call], 0, 0]], [[call, 1.0]]))

    def add(call: int) -> None:
        history.do(edits.paste_instances(poses, new, 0, frames[call]))

    def delete(call: int) -> None:
        history.do(edits.delete_instances(poses, [[0, frames[call], 1]]))

    def read_window(call: int) -> None:
        poses.between(0, frames[call] - 10, frames[call] + 10)

    measured = {"first_search": measure(lambda _: poses.at(0, 0), 1)}
    measured["read_frame"] = measure(lambda call: poses.at(0, frames[call]), repeats)
    measured["move_point"] = measure(move, repeats)
    measured["undo_move"] = measure(lambda _: history.undo(), repeats)
    measured["add_instance"] = measure(add, repeats)
    measured["read_window_with_pending"] = measure(read_window, repeats)
    measured["undo_add"] = measure(lambda _: history.undo(), repeats)
    measured["delete_instance"] = measure(delete, repeats)
    measured["undo_delete"] = measure(lambda _: history.undo(), repeats)
    add(repeats)
    measured["whole_column_after_add"] = measure(lambda _: poses.xy, 1)
    measured["copy"] = measure(lambda _: poses.copy(), 1)
    measured["first_move_after_copy"] = measure(move, 1)
    measured["remove_node"] = measure(
        lambda _: history.do(schema_edits.remove_node(poses, poses.skeleton.nodes[0])), 1
    )
    measured["undo_remove_node"] = measure(lambda _: history.undo(), 1)
    return measured


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--instances", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=13)
    parser.add_argument("--repeats", type=int, default=300)
    args = parser.parse_args()
    poses = make_table(args.frames, args.instances, args.nodes)
    print(json.dumps(measure_edits(poses, args.repeats), indent=2))


if __name__ == "__main__":
    main()
