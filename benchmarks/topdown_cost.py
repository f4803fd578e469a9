"""What a frame costs in the top-down pipeline, by the number of animals in it.

Networks have random weights, which cost what trained ones do; the centroids are given,
so that every frame has exactly the wished number of animals. Prints a table and fits a
line: seconds a frame = frame part + animals * animal part.

    python benchmarks/topdown_cost.py --animals 0,1,2,5,10,20 --out topdown_cost.png
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import ModelConfig, PredictConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.heads import HEADS
from napari_animalpose.nn.models.detectors.topdown import Candidates, TopDownDetector
from napari_animalpose.nn.models.forward import Forward
from napari_animalpose.nn.models.network import build_network, resolve_precision


def build_forward(
    head_name: str, model: ModelConfig, skeleton: Skeleton, precision: str
) -> Forward:
    head = HEADS.get(head_name)(model, skeleton)
    return Forward(build_network(model, head.n_outputs, precision), head, model, "gaussian")


def choose_places(n_frames: int, n_animals: int, size: int) -> Candidates:
    """The same number of places in every frame."""
    rng = np.random.default_rng(0)
    count = n_frames * n_animals
    return Candidates(
        np.repeat(np.arange(n_frames, dtype=np.int32), n_animals),
        rng.uniform(0, size, (count, 2)).astype(np.float32),
        np.ones(count, np.float32),
        np.zeros(n_frames, bool),
    )


class GivenPlaces(TopDownDetector):
    """The detector with the results of its first network replaced, but not its cost."""

    places: Candidates

    def find_places(self, frames: Any) -> Candidates:
        super().find_places(frames)
        return self.places


def measure(detector: GivenPlaces, frames: NDArray[np.uint8], repeats: int) -> float:
    """Shortest of some times in seconds a frame, from pixels to instances."""
    times = []
    for _ in range(repeats + 1):  # the first one compiles
        began = time.perf_counter()
        detector.finish(detector.start(frames))
        times.append(time.perf_counter() - began)
    return min(times[1:]) / len(frames)


def draw(rows: list[dict[str, float]], frame_s: float, animal_s: float, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    animals = np.array([row["animals"] for row in rows])
    axes.plot(animals, [1000 * row["seconds"] for row in rows], "o", color="#1a1a1a")
    axes.plot(animals, 1000 * (frame_s + animals * animal_s), "-", color="#7a7a7a", lw=1)
    axes.set(xlabel="animals in a frame", ylabel="ms a frame", ylim=(0, None), xticks=animals)
    axes.set_title(f"{1000 * frame_s:.0f} ms a frame + {1000 * animal_s:.1f} ms an animal", size=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--animals", default="0,1,2,5,10,20", metavar="N,N,...")
    parser.add_argument("--size", type=int, default=1024, help="side of the frames in px")
    parser.add_argument("--crop", type=int, default=144, help="side of a crop in px")
    parser.add_argument("--scale", type=float, default=0.25, help="input scale for the centroids")
    parser.add_argument("--nodes", type=int, default=13)
    parser.add_argument("--frames", type=int, default=8, help="in a batch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, help="picture (png, svg, pdf)")
    options = parser.parse_args()

    precision = resolve_precision(options.precision)
    skeleton = Skeleton(tuple(f"n{i}" for i in range(options.nodes)))
    models = {
        "centroid": ModelConfig(
            backbone_options={"down_blocks": 3}, input_scale=options.scale, sigma_px=3.0
        ),
        "centered_instance": ModelConfig(
            backbone_options={"down_blocks": 4}, crop_px=options.crop, sigma_px=3.0
        ),
    }
    forwards = {
        name: build_forward(name, model, skeleton, precision) for name, model in models.items()
    }
    detector = GivenPlaces(forwards, PredictConfig(peak_threshold=0.0))
    rng = np.random.default_rng(0)
    shape = (options.frames, options.size, options.size, 1)
    frames = rng.integers(0, 255, shape).astype(np.uint8)
    rows: list[dict[str, float]] = []
    for n_animals in (int(text) for text in options.animals.split(",")):
        detector.places = choose_places(options.frames, n_animals, options.size)
        seconds = measure(detector, frames, options.repeats)
        rows.append({"animals": n_animals, "seconds": seconds})
        print(f"{n_animals:3d} animals: {1000 * seconds:7.1f} ms a frame")
    animal_s, frame_s = np.polyfit([r["animals"] for r in rows], [r["seconds"] for r in rows], 1)
    print(f"{precision}: {1000 * frame_s:.1f} ms a frame + {1000 * animal_s:.2f} ms an animal")
    print(
        json.dumps({"precision": precision, "frame_s": frame_s, "animal_s": animal_s, "rows": rows})
    )
    if options.out:
        draw(rows, frame_s, animal_s, options.out)


if __name__ == "__main__":
    main()
