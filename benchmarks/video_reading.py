"""Measure reading of a video against what its decoder does alone.

    python benchmarks/video_reading.py VIDEO [--frames 500] [--rounds 3]

In order, each way of reading is compared with a bare PyAV loop that converts every frame
to the same array; the rounds are interleaved and the best of each counts, because a busy
machine only ever slows down.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import av

from napari_animalpose.io.video import BaseVideo, iterate_frames, open_video
from napari_animalpose.io.video_writer import VideoWriter
from napari_animalpose.sample import make_sample


def read_bare(path: Path, n: int, pixel_format: str | None) -> None:
    """Decode in order with PyAV alone, converting to an array if a format is given."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in islice(container.decode(stream), n):
            if pixel_format is not None:
                frame.to_ndarray(format=pixel_format)


def read_in_order(video: BaseVideo, n: int) -> None:
    """Read frame after frame through the cache."""
    video.close()
    for i in range(n):
        video[i]


def read_batches(video: BaseVideo, n: int) -> None:
    """Read batches in the background, with nothing to do meanwhile."""
    video.close()
    for _ in iterate_frames(video, range(n), batch_size=16):
        pass


def read_backwards(video: BaseVideo, n: int) -> None:
    """Step back frame by frame."""
    video.close()
    for i in range(n - 1, -1, -1):
        video[i]


def read_at_random(video: BaseVideo, n: int) -> None:
    """Jump to 50 frames anywhere."""
    video.close()
    for i in random.Random(0).choices(range(n), k=50):
        video.read(i, keep=False)


def measure(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Return the best time of each way in seconds, rounds interleaved."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def make_video(folder: str) -> Path:
    """Write a sample video of 400 frames."""
    sample = make_sample(n_frames=400)
    path = Path(folder) / "sample.mp4"
    with VideoWriter(path, fps=sample.fps) as writer:
        for i in range(400):
            writer.write(sample.video[i])
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path, nargs="?", help="default: a sample made for it")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options.video or make_video(folder), options.frames, options.rounds)


def run(path: Path, n_frames: int, rounds: int) -> None:
    """Read one video in every way and print milliseconds a frame."""
    start = time.perf_counter()
    natural = open_video(path)
    opening = time.perf_counter() - start
    colour = open_video(path, grayscale=False)
    n = min(n_frames, len(natural))
    bare = "gray" if natural.shape[3] == 1 else "rgb24"
    ways: dict[str, Callable[[], None]] = {
        "decoder alone, no array": lambda: read_bare(path, n, None),
        "decoder alone to RGB": lambda: read_bare(path, n, "rgb24"),
        f"decoder alone to {bare}": lambda: read_bare(path, n, bare),
        "video[i] RGB": lambda: read_in_order(colour, n),
        "video[i]": lambda: read_in_order(natural, n),
        "iterate_frames RGB": lambda: read_batches(colour, n),
        "iterate_frames": lambda: read_batches(natural, n),
        "backwards": lambda: read_backwards(natural, n),
    }
    print(f"{path.name}: {natural.shape}, opened and indexed in {opening * 1e3:.0f} ms")
    for name, seconds in measure(ways, rounds).items():
        print(f"{name:28s} {seconds / n * 1e3:8.2f} ms a frame")
    jump = measure({"jump": lambda: read_at_random(natural, n)}, 1)["jump"]
    print(f"{'at random':28s} {jump / 50 * 1e3:8.2f} ms a frame")


if __name__ == "__main__":
    main()
