"""How long it takes to join peaks to animals, on one core.

Draws ideal fields of animals of 13 nodes as the flies have, and times
`napari_animalpose.nn.grouping.group_peaks` part by part:

    python benchmarks/grouping.py --animals 2 5 10 20 50 --frames 8
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.grouping import Grouping, group_peaks, match_edges, score_edges
from napari_animalpose.nn.targets import part_affinity_fields

N_NODES = 13
STRIDE = 2
SIDE = 512  # px of the square network input


def draw_animals(n_frames: int, n_animals: int, seed: int = 0) -> np.ndarray:
    """A body of three and five pairs of limbs, turned and placed at random: (B, I, K, 2)."""
    rng = np.random.default_rng(seed)
    side = np.linspace(-40, 40, 5)
    body = np.concatenate(
        [[[0, 0], [0, -30], [0, 30]], *([[x * 0.8, 35.0], [x * 0.8, -35.0]] for x in side)]
    )
    angle = rng.uniform(0, 2 * np.pi, (n_frames, n_animals))
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=-1)
    turned = np.einsum("fiab,kb->fika", turn.reshape(n_frames, n_animals, 2, 2), body)
    centres = rng.uniform(50, SIDE - 50, (n_frames, n_animals, 1, 2))
    return (turned + centres).astype(np.float32)


def shortest(call: Callable[[], Any], repeats: int) -> float:
    """Shortest time of a call in seconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--animals", type=int, nargs="+", default=[2, 5, 10, 20])
    parser.add_argument("--frames", type=int, default=4, help="in a batch")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    nodes = tuple(f"node {k}" for k in range(N_NODES))
    skeleton = Skeleton(nodes, tuple((0, k) for k in range(1, N_NODES)))
    how = Grouping(stride=STRIDE, max_edge_px=90, max_gap_px=90)
    print(f"{'animals':>8}{'lines':>10}{'matching':>10}{'all':>10}  ms a frame, {options.frames=}")
    for count in options.animals:
        xy = draw_animals(options.frames, count)
        pafs = part_affinity_fields(xy, skeleton.edges, SIDE, SIDE, STRIDE, 6.0)
        points = xy.transpose(0, 2, 1, 3)
        values = np.ones(points.shape[:3], np.float32)
        scores, support = score_edges(points, pafs, skeleton.edge_array, how)
        calls: list[Callable[[], Any]] = [
            lambda points=points, pafs=pafs: score_edges(points, pafs, skeleton.edge_array, how),
            lambda pair=(scores, support): match_edges(*pair, np.ones_like(pair[0]), how),
            lambda points=points, pafs=pafs, values=values: group_peaks(
                points, values, pafs, skeleton, how
            ),
        ]
        times = [1000 * shortest(call, options.repeats) / options.frames for call in calls]
        right = (group_peaks(points, values, pafs, skeleton, how).peaks >= 0).sum()
        print(f"{count:8}" + "".join(f"{t:10.2f}" for t in times) + f"  {right} points joined")


if __name__ == "__main__":
    main()
