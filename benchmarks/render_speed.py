"""Measure how fast labelled frames are drawn and written, and at what memory.

Example: ``python benchmarks/render_speed.py --size 384 --animals 2 --nodes 13``
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.render import render_frames, render_video


class NoiseVideo:
    """A gray gradient with a little noise, from memory: decoding is not measured."""

    name = source = "noise"
    fps = 50.0

    def __init__(self, size: int, n_frames: int) -> None:
        rng = np.random.default_rng(0)
        gradient = np.linspace(40, 90, size).astype(np.uint8)[:, None, None]
        self._frames = gradient + rng.integers(0, 3, (8, size, size, 1), np.uint8)
        self.shape = (n_frames, size, size, 1)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self._frames[index % 8]

    def close(self) -> None:
        """Nothing to release."""


def make_poses(size: int, n_frames: int, n_animals: int, n_nodes: int) -> Poses:
    """Stars of 100 px that wander over the frame."""
    skeleton = Skeleton(
        tuple(f"n{k}" for k in range(n_nodes)), tuple((0, k) for k in range(1, n_nodes))
    )
    rng = np.random.default_rng(1)
    angle = 2 * np.pi * np.arange(n_nodes) / max(n_nodes - 1, 1)
    star = 50.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    star[0] = 0
    steps = rng.normal(0, 2, (n_frames, n_animals, 1, 2)).cumsum(axis=0)
    centers = np.clip(size / 2 + steps, 60, size - 60)
    return Poses.from_arrays(
        skeleton,
        frame=np.repeat(np.arange(n_frames), n_animals),
        xy=(centers + star).reshape(-1, n_nodes, 2),
        track=np.tile(np.arange(n_animals), n_frames),
        track_names=[f"track {t}" for t in range(n_animals)],
        origin=Origin.PREDICTED,
    )


def main() -> None:
    """Print frames a second for drawing alone and with encoding, and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=384, help="side of the frame in px")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--animals", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=13)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--trail", type=int, default=0, help="length of trails in frames")
    arguments = parser.parse_args()
    video = NoiseVideo(arguments.size, arguments.frames)
    poses = make_poses(arguments.size, arguments.frames, arguments.animals, arguments.nodes)
    options = {"scale": arguments.scale, "trail_frames": arguments.trail}
    start, cpu_start = time.perf_counter(), time.process_time()
    for _ in render_frames(video, poses, **options):
        pass
    drawn = arguments.frames / (time.perf_counter() - start)
    drawn_cpu = arguments.frames / (time.process_time() - cpu_start)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        render_video(video, poses, Path(folder) / "out.mp4", **options)
        written = arguments.frames / (time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{arguments.size} px, {arguments.animals} x {arguments.nodes} nodes: {options}")
    print(
        f"drawing {drawn:.0f} frames/s ({drawn_cpu:.0f} per CPU second), "
        f"with encoding {written:.0f} frames/s, peak memory {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
