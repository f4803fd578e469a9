"""How long it takes to stitch, cull and smooth long tables, and how right the result is.

Animals wander through a square with a rigid body; their tracks are broken on purpose:

    python benchmarks/smoothing.py --animals 20 --frames 100000 --nodes 13
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.signal import lfilter

from napari_animalpose.config import SmoothConfig, StitchConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.tracking.cleaning import cull_instances
from napari_animalpose.tracking.smoothing import SMOOTHERS, smooth_poses
from napari_animalpose.tracking.stitching import stitch_tracks

NOISE_PX = 1.0
SIDE_PX = 1000.0


def wander(n_frames: int, n_animals: int, n_nodes: int, seed: int = 0) -> np.ndarray:
    """Points (F, A, K, 2) of bodies that drift with a velocity that changes slowly."""
    rng = np.random.default_rng(seed)
    velocity = lfilter([0.1], [1, -0.9], rng.normal(0, 10, (n_frames, n_animals, 2)), axis=0)
    centre = rng.uniform(0, SIDE_PX, (1, n_animals, 2)) + np.cumsum(velocity, axis=0)
    centre = np.abs((centre + SIDE_PX) % (2 * SIDE_PX) - SIDE_PX)  # walls reflect
    body = rng.normal(0, 15, (n_nodes, 2)) * rng.uniform(0.9, 1.1, (n_animals, 1, 1))
    return (centre[:, :, None] + body).astype(np.float32)


def tabulate(points: np.ndarray, rng: np.random.Generator) -> Poses:
    """A table of noisy points, one track for each animal."""
    n_frames, n_animals, n_nodes, _ = points.shape
    noisy = points + rng.normal(0, NOISE_PX, points.shape).astype(np.float32)
    return Poses.from_arrays(
        Skeleton(tuple(f"n{k}" for k in range(n_nodes)), tuple((0, k) for k in range(1, n_nodes))),
        frame=np.repeat(np.arange(n_frames), n_animals),
        xy=noisy.reshape(-1, n_nodes, 2),
        track=np.tile(np.arange(n_animals), n_frames),
        origin=Origin.PREDICTED,
        track_names=[f"animal {a}" for a in range(n_animals)],
    )


def break_tracks(poses: Poses, n_tracklets: int, rng: np.random.Generator) -> Poses:
    """The same animals in about `n_tracklets` tracks, with gaps of 1 to 10 frames."""
    track = np.full(len(poses), -1)
    number = 0
    for animal in range(len(poses.track_names)):
        rows = np.flatnonzero(poses.track == animal)
        n_parts = max(n_tracklets // len(poses.track_names), 1)
        cuts = np.sort(rng.integers(1, len(rows), n_parts - 1)).tolist()
        for first, last in zip([0, *cuts], [*cuts, len(rows)], strict=True):
            skipped = 0 if first == 0 else int(rng.integers(1, 11))
            track[rows[first + skipped : last]] = number
            number += 1
    broken = poses.replace(track=track, track_names=[f"part {i}" for i in range(number)])
    return broken.select(track >= 0)


def timed(what: str, call: Callable[[], Any]) -> Any:
    began, worked = time.perf_counter(), time.process_time()
    result = call()
    wall, cpu = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:32}{wall:8.2f} s ({cpu:.2f} s of work)   peak {peak:.2f} GiB", end="")
    return result


def rms(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean((a - b) ** 2) * 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--animals", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=13)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--tracklets", type=int, default=500)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    points = wander(options.frames, options.animals, options.nodes)
    poses = tabulate(points, rng)
    truth = points.reshape(-1, options.nodes, 2)
    print(f"{len(poses)} instances of {options.nodes} nodes")
    for method in SMOOTHERS:
        smoothed = timed(method, lambda m=method: smooth_poses(poses, SmoothConfig(m)))
        print(f"   error {rms(poses.xy, truth):.3f} -> {rms(smoothed.poses.xy, truth):.3f} px")
    _, change = timed("cull to half", lambda: cull_instances(poses, max(options.animals // 2, 1)))
    print(f"   {len(change)} instances removed")
    broken = break_tracks(poses, options.tracklets, rng)
    animal = broken.track.copy()  # parts are numbered by animal
    for known in (options.animals, 0):
        config = StitchConfig(max_animals=known)
        what = f"stitch {len(broken.track_names)}, " + ("N known" if known else "N unknown")
        stitched, _ = timed(what, lambda c=config: stitch_tracks(broken, c))
        n_tracks = len(np.unique(stitched.track[stitched.track >= 0]))
        pairs = len(np.unique(np.stack([animal, stitched.track]), axis=1).T)
        print(f"   {n_tracks} tracks of {options.animals} animals from {pairs} parts")


if __name__ == "__main__":
    main()
