"""Measure how fast the embedded data set is made and drawn, and what memory it takes.

python benchmarks/sample_render.py --species fly --n-animals 2 --size 384 384
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

from napari_animalpose.sample import SPECIES, make_sample


def measure_rates(sample_video, n_frames: int, repeats: int) -> list[float]:
    """Return frames a second of several runs over the same frames."""
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        for index in range(n_frames):
            sample_video[index]
        rates.append(n_frames / (time.perf_counter() - start))
    return rates


def main() -> None:
    """Print seconds to simulate, seconds for the truth, frames a second and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--species", choices=SPECIES.names(), default="fly")
    parser.add_argument("--n-animals", type=int, default=2)
    parser.add_argument("--size", type=int, nargs=2, default=(384, 384), metavar=("H", "W"))
    parser.add_argument("--n-frames", type=int, default=1500, help="length of the sample")
    parser.add_argument("--draw", type=int, default=100, help="frames drawn in a run")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()

    start = time.perf_counter()
    sample = make_sample(
        n_frames=given.n_frames,
        n_animals=given.n_animals,
        size=tuple(given.size),
        species=given.species,
    )
    made = time.perf_counter()
    n_rows = len(sample.poses)
    truth = time.perf_counter()
    rates = measure_rates(sample.video, min(given.draw, given.n_frames), given.repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"made {sample!r} in {made - start:.2f} s")
    print(f"truth of {n_rows} instances in {truth - made:.2f} s")
    print(
        f"{statistics.median(rates):.0f} frames/s, median of {given.repeats} runs "
        f"({min(rates):.0f} to {max(rates):.0f})"
    )
    print(f"peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
