"""What a tracker remembers after very many frames: its own state and the whole process.

Animals wander over a floor and meet; poses are noisy, points and animals are missing, and a
false detection is in every tenth frame. They are made in chunks, so that only the tracker
could grow:

    python benchmarks/tracking_memory.py --frames 1000000 --animals 2
"""

from __future__ import annotations

import argparse
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import TrackConfig
from napari_animalpose.tracking.base import TRACKERS, Instances

CHUNK = 10_000  # frames made at once
SIZE_PX = 800.0
JITTER_PX, STEP_PX = 1.0, 3.0
LOST_ANIMALS, LOST_POINTS, FALSE_ANIMALS = 0.03, 0.05, 0.1


def make_frames(n_frames: int, n_animals: int, n_nodes: int) -> Iterator[Instances]:
    """Instances frame by frame."""
    rng = np.random.default_rng(0)
    body = rng.uniform(-30, 30, (n_nodes, 2))
    place = rng.uniform(0, SIZE_PX, (n_animals, 2))
    for start in range(0, n_frames, CHUNK):
        count = min(CHUNK, n_frames - start)
        way = place + np.cumsum(rng.normal(0, STEP_PX, (count, n_animals, 2)), axis=0)
        place = way[-1]
        seen = SIZE_PX - np.abs(way % (2 * SIZE_PX) - SIZE_PX)  # turned back at the walls
        xy = seen[:, :, None] + body
        xy += rng.normal(0, JITTER_PX, xy.shape)
        xy[rng.random(xy.shape[:3]) < LOST_POINTS] = np.nan
        there = rng.random(xy.shape[:2]) >= LOST_ANIMALS
        false = rng.random(count) < FALSE_ANIMALS
        for pose, here, more in zip(xy, there, false, strict=True):
            yield Instances(add_false(pose[here], body, rng) if more else pose[here])


def add_false(
    pose: NDArray[np.float64], body: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    return np.concatenate([pose, body[None] + rng.uniform(0, SIZE_PX, 2)])


def resident_mb() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(name: str, options: argparse.Namespace) -> None:
    config = TrackConfig(tracker=name, max_animals=options.limit)
    tracker = TRACKERS.get(name)(options.nodes, config)
    marks = {max(round(options.frames * share), 1) for share in (0.001, 0.01, 0.1, 0.25, 0.5, 1)}
    print(f"\n{name}, {options.animals} animals, limit {options.limit or 'none'}")
    print(
        f"| {'frames':>9} | {'process, MB':>11} | {'state, kB':>9} | {'frames/s':>8} | identities |"
    )
    print("|---|---|---|---|---|")
    spent = 0.0
    for number, instances in enumerate(
        make_frames(options.frames, options.animals, options.nodes), start=1
    ):
        began = time.process_time()
        tracker.update(instances)
        spent += time.process_time() - began
        if number in marks:
            print(
                f"| {number:9} | {resident_mb():11.1f} | {len(pickle.dumps(tracker)) / 1000:9.1f} |"
                f" {number / spent:8.0f} | {tracker.identities.n_identities:10} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--animals", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=13)
    parser.add_argument("--trackers", nargs="+", default=["window", "kalman"])
    parser.add_argument("--limit", type=int, default=0, help="number of animals, where known")
    options = parser.parse_args()
    for name in options.trackers:
        measure(name, options)


if __name__ == "__main__":
    main()
