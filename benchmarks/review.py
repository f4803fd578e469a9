"""Measure what every finder of errors costs, as a JSON object of processor seconds.

The poses are a sample of 1,000 frames repeated with jitter; the leaps between its
repetitions are found as well.

Example
-------
    python benchmarks/review.py --frames 100000 --animals 2
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from napari_animalpose.config import ReviewConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.review import FINDERS, find_errors
from napari_animalpose.review.evidence import Evidence
from napari_animalpose.sample import make_sample

PERIOD = 1000


def make_poses(n_frames: int, n_animals: int) -> Poses:
    """Return predictions of a repeated sample, with the jitter of a good network."""
    truth = make_sample(n_frames=min(n_frames, PERIOD), n_animals=n_animals, seed=3).poses
    n_repeats = -(-n_frames // PERIOD)
    xy = np.tile(truth.xy, (n_repeats, 1, 1))
    xy += np.random.default_rng(0).normal(0, 0.7, xy.shape).astype(np.float32)
    return Poses.from_arrays(
        truth.skeleton,
        frame=np.concatenate([truth.frame + PERIOD * i for i in range(n_repeats)]),
        xy=xy,
        track=np.tile(truth.track, n_repeats),
        origin=Origin.PREDICTED,
        point_score=0.9,
        score=0.9,
        track_names=truth.track_names,
    )


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--animals", type=int, default=2)
    args = parser.parse_args()
    poses = make_poses(args.frames, args.animals)
    evidence = Evidence(poses, ReviewConfig(), variance=np.ones(poses.visibility.shape))
    seconds = {}
    for name in FINDERS.names():
        start = time.process_time()
        FINDERS.get(name)(evidence)
        seconds[name] = round(time.process_time() - start, 3)
    start = time.process_time()
    found = find_errors(poses)
    seconds["find_errors"] = round(time.process_time() - start, 3)
    print(json.dumps({"instances": len(poses), "found": len(found), "seconds": seconds}, indent=2))


if __name__ == "__main__":
    main()
