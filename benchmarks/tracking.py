"""How well every tracker keeps animals apart, and how fast it is.

Takes the exact poses of the sample, makes them as bad as those of a network (jitter,
missing points and animals, false detections, animals that touch found as one), tracks
them and compares with the true identities:

    python benchmarks/tracking.py --animals 2 5 10 20 --frames 800 --every 1 4 --out rows.jsonl
    python benchmarks/tracking.py --trackers window kalman flow

`simple` is the plain window of SLEAP with its defaults: the last five frames (or, with a
known number of animals, the last five poses of each), the mean of exp(-d^2) over points,
optimal assignment, no motion, no gate. `oracle` gives every instance the identity of the
true animal that it is most like: no tracker can do better. `+ stitching` is the second
pass. With --out, rows that the file has already are not computed again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from napari_animalpose.config import StitchConfig, TrackConfig
from napari_animalpose.data.oks import compute_oks
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.io.video import ArrayVideo
from napari_animalpose.sample import make_sample
from napari_animalpose.tracking.base import TRACKERS, Instances, Tracker
from napari_animalpose.tracking.metrics import evaluate_tracks
from napari_animalpose.tracking.stitching import refine_tracks
from napari_animalpose.tracking.track import track_poses

JITTER_PX = 1.5  # standard deviation along one axis
LOST_ANIMALS, LOST_POINTS = 0.04, 0.05
FALSE_ANIMALS = 0.03  # for each true one
MERGE_PROBABILITY, MERGE_DISTANCE = 0.5, 0.25  # of a body length between the centroids

SHARES = ("hota", "assa", "deta", "idf1", "mota")
FIGURES = (*SHARES, "n_switches", "n_fragments", "n_predicted_tracks")
TITLES = {
    "hota": "HOTA", "assa": "AssA", "deta": "DetA", "idf1": "IDF1", "mota": "MOTA",
    "n_switches": "switches", "n_fragments": "breaks", "n_predicted_tracks": "tracks",
}  # fmt: skip


def spoil(truth: Poses, seed: int = 0) -> Poses:
    """Return what a network might have made of the truth, without identities."""
    rng = np.random.default_rng(seed)
    frames, xys = [], []
    for (_, frame), rows in truth:
        xy = rows.xy.astype(np.float64)
        length = np.median(np.hypot(*np.ptp(xy, axis=1).T))
        xy = merge(xy, length, rng)
        xy = xy[rng.random(len(xy)) >= LOST_ANIMALS]
        xy = np.concatenate([xy, *invent(xy, length, rng, rows.xy)])
        xy = xy + rng.normal(0, JITTER_PX, xy.shape)
        xy[rng.random(xy.shape[:2]) < LOST_POINTS] = np.nan
        rng.shuffle(xy)
        frames += [frame] * len(xy)
        xys.append(xy)
    xy = np.concatenate(xys)
    placed = ~np.isnan(xy[..., 0]).all(axis=1)
    return Poses.from_arrays(
        truth.skeleton,
        frame=np.array(frames)[placed],
        xy=xy[placed],
        origin=Origin.PREDICTED,
        score=rng.uniform(0.6, 1.0, len(xy))[placed],
    )


def merge(xy: NDArray[np.float64], length: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Make one of two animals that lie upon each other, with points of both."""
    centre = xy.mean(axis=1)
    gone = set()
    for one in range(len(xy)):
        for other in range(one + 1, len(xy)):
            close = np.hypot(*(centre[one] - centre[other])) < MERGE_DISTANCE * length
            if close and not gone & {one, other} and rng.random() < MERGE_PROBABILITY:
                foreign = rng.random(xy.shape[1]) < 0.3
                xy[one, foreign] = xy[other, foreign]
                gone.add(other)
    return xy[[number not in gone for number in range(len(xy))]]


def invent(
    xy: NDArray[np.float64],
    length: float,
    rng: np.random.Generator,
    source: NDArray[np.float32],
) -> list[NDArray[np.float64]]:
    """False animals: half anywhere, half beside a true one."""
    made = []
    for _ in range(rng.binomial(len(source), FALSE_ANIMALS)):
        pose = source[rng.integers(len(source))].astype(np.float64)
        if rng.random() < 0.5:
            pose += rng.uniform(0, np.nanmax(source, axis=(0, 1))) - pose.mean(axis=0)
        else:
            pose += rng.normal(0, 0.3 * length, 2)
        made.append(pose[None])
    return made


def track_simply(poses: Poses, max_animals: int) -> Poses:
    """Track as SLEAP's `simple` and, with a number of animals, `simplemaxtracks` do."""
    window: deque[dict[int, NDArray[np.float64]]] = deque(maxlen=5)
    queues: dict[int, deque[NDArray[np.float64]]] = {}
    track, n_tracks = [], 0
    for _, rows in poses:
        xy = rows.xy.astype(np.float64)
        if not max_animals:  # one queue of frames instead of one for each track
            queues = {}
            for past in window:
                for number, pose in past.items():
                    queues.setdefault(number, deque()).append(pose)
        numbers = list(queues)
        score = np.array([[score_simply(pose, queues[n]) for n in numbers] for pose in xy])
        chosen = np.full(len(xy), -1)
        if score.size:
            instances, columns = linear_sum_assignment(score, maximize=True)
            chosen[instances] = np.array(numbers)[columns]
        for instance in np.flatnonzero(chosen < 0):
            if not max_animals or n_tracks < max_animals:
                chosen[instance] = n_tracks
                queues[n_tracks] = deque(maxlen=5)
                n_tracks += 1
        found = {int(n): pose for n, pose in zip(chosen, xy, strict=True) if n >= 0}
        for number, pose in found.items():
            queues[number].append(pose)
        window.append(found)
        track.append(chosen)
    names = [f"track_{n}" for n in range(n_tracks)]
    return poses.replace(track=np.concatenate(track), track_names=names)


def score_simply(pose: NDArray[np.float64], queue: deque[NDArray[np.float64]]) -> float:
    """Best similarity of a pose with those of a track."""
    past = np.stack(queue)
    n_points = np.maximum(np.count_nonzero(~np.isnan(past[..., 0]), axis=1), 1)
    distance2 = ((past - pose) ** 2).sum(axis=-1)
    return float((np.nansum(np.exp(-distance2), axis=1) / n_points).max())


def label_truly(poses: Poses, truth: Poses) -> Poses:
    """Give every instance the identity of the animal it is most like, if it is like one."""
    track = []
    for (video, frame), rows in poses:
        there = truth.at(video, frame)
        oks = compute_oks(there.xy, rows.xy, stddev=0.1)
        animals, instances = linear_sum_assignment(oks, maximize=True)
        like = oks[animals, instances] > 0.3
        chosen = np.full(len(rows), -1)
        chosen[instances[like]] = there.track[animals[like]]
        track.append(chosen)
    return poses.replace(track=np.concatenate(track), track_names=truth.track_names)


class Rows:
    """Measured rows, kept in a file of JSON lines if there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self._known = {tuple(row.pop("key")): row for row in map(json.loads, lines)}

    def measure(
        self, key: tuple[str | int, ...], track: Callable[[], Poses], truth: Poses
    ) -> dict[str, float]:
        """Return the figures of a key; track and compare with the truth if they are new."""
        if key not in self._known:
            result = evaluate_tracks(track(), truth)
            row = {name: getattr(result, name) for name in FIGURES}
            self._known[key] = row
            if self._path:
                with self._path.open("a") as file:
                    file.write(json.dumps({"key": key, **row}) + "\n")
        return self._known[key]


def describe(name: str, row: dict[str, float]) -> str:
    cells = (f"{row[f]:>9.3f}" if f in SHARES else f"{row[f]:>9}" for f in FIGURES)
    return f"| {name:28} |" + " |".join(cells) + " |"


def compare(n_animals: int, every: int, seed: int, options: argparse.Namespace, rows: Rows) -> None:
    n_frames = options.frames
    sample = make_sample(n_frames=n_frames * every, n_animals=n_animals, seed=seed)
    truth = sample.poses.select(sample.poses.frame % every == 0)
    truth = truth.replace(frame=truth.frame // every)
    spoiled = truth.replace(track=-1, track_names=(), origin=Origin.PREDICTED)
    if not options.exact:
        spoiled = spoil(truth, seed)
    video = cache(lambda: ArrayVideo(np.stack([sample.video[f * every] for f in range(n_frames)])))
    case = (n_animals, n_frames, every, seed, int(options.exact))
    print(f"\n{n_animals} animals, {n_frames} frames, every {every}. of 50 a second, seed {seed}\n")
    print(f"| {'':28} |" + " |".join(f"{TITLES.get(f, f):>9}" for f in FIGURES) + " |")
    print("|" + "---|" * (len(FIGURES) + 1))

    def show(name: str, track: Callable[[], Poses]) -> None:
        print(describe(name, rows.measure((*case, name), track, truth)), flush=True)

    show("oracle", lambda: label_truly(spoiled, truth))
    for limit in (0, n_animals):
        known = "N known" if limit else "N unknown"
        show(f"simple, {known}", lambda limit=limit: track_simply(spoiled, limit))
        for name in options.trackers:
            config = TrackConfig(tracker=name, max_animals=limit)
            videos = video if TRACKERS.get(name).needs_images else lambda: None
            first = cache(
                lambda config=config, videos=videos: track_poses(
                    spoiled, config, [shown] if (shown := videos()) else None
                )
            )
            show(f"{name}, {known}", first)
            stitch = StitchConfig(max_animals=limit)
            show(
                f"{name} + stitching, {known}",
                lambda first=first, stitch=stitch: refine_tracks(first(), stitch)[0],
            )


def make_frames(n_frames: int, n_animals: int, n_nodes: int = 13) -> list[Instances]:
    """Instances as a network would find them, made before the clock runs."""
    sample = make_sample(n_frames=n_frames, n_animals=n_animals)
    xy = sample.points[:, :, :n_nodes]
    rng = np.random.default_rng(0)
    xy = xy + rng.normal(0, JITTER_PX, xy.shape)
    xy[rng.random(xy.shape[:3]) < LOST_POINTS] = np.nan
    there = rng.random(xy.shape[:2]) >= LOST_ANIMALS
    return [Instances(pose[here]) for pose, here in zip(xy, there, strict=True)]


def build(name: str, limit: int, n_nodes: int = 13) -> Tracker:
    return TRACKERS.get(name)(n_nodes, TrackConfig(tracker=name, max_animals=limit))


def measure_speed(trackers: list[str], n_frames: int = 500, n_animals: int = 20) -> None:
    frames = make_frames(n_frames, n_animals)
    print(f"\n{n_animals} animals of 13 nodes, processor time of one core")
    for name in trackers:
        if TRACKERS.get(name).needs_images:
            continue
        best = np.inf
        for _ in range(3):
            tracker = build(name, n_animals)
            began = time.process_time()
            for instances in frames:
                tracker.update(instances)
            best = min(best, time.process_time() - began)
        print(f"{name:24}{n_frames / best:8.0f} frames a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--animals", type=int, nargs="+", default=[2, 10])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--every", type=int, nargs="+", default=[1], help="take every n-th frame")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--trackers", nargs="+", default=["window", "kalman"])
    parser.add_argument("--exact", action="store_true", help="do not spoil the poses")
    parser.add_argument("--out", type=Path, help="file of JSON lines to go on with")
    parser.add_argument("--no-speed", action="store_true", help="leave out the speed")
    options = parser.parse_args()
    if not options.no_speed:
        measure_speed(options.trackers)
    rows = Rows(options.out)
    for count, every, seed in product(options.animals, options.every, options.seeds):
        compare(count, every, seed, options, rows)


if __name__ == "__main__":
    main()
