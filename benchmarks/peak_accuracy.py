"""How far refined peaks lie from the truth, on clean, rounded, noisy and crowded maps.

Compares the refinements of `napari_animalpose.nn.peaks` with the three-point logarithmic
fit and with the centre of mass, on maps of one point each whose place is known:

    python benchmarks/peak_accuracy.py --stride 2 --sigmas 2.5 5 10

Errors are means in input px. The last column is the least error that any unbiased
estimator can reach under white noise of that strength (Cramér-Rao).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_animalpose.nn.geometry import from_map
from napari_animalpose.nn.peaks import global_peaks
from napari_animalpose.nn.targets import confidence_maps

Array = NDArray[np.float64]
SIDE = 96  # px of the square input


def fit_three_points(maps: Array) -> Array:
    """Parabola through ln of the highest cell and its two neighbours, along each axis."""
    cells, _ = global_peaks(maps, "none")
    found = cells[:, 0]
    for n, (x, y) in enumerate(np.rint(found).astype(int)):
        logs = np.log(np.maximum(np.pad(maps[n, ..., 0], 1), 1e-6))[y : y + 3, x : x + 3]
        for axis, line in enumerate((logs[1], logs[:, 1])):
            bend = line[0] - 2 * line[1] + line[2]
            if bend < -1e-6:
                found[n, axis] += np.clip(0.5 * (line[0] - line[2]) / bend, -1.5, 1.5)
    return found


def by_refinement(name: str) -> Callable[[Array], Array]:
    return lambda maps: global_peaks(maps, name)[0][:, 0]


ESTIMATORS: dict[str, Callable[[Array], Array]] = {
    "gaussian": by_refinement("gaussian"),
    "three points": fit_three_points,
    "integral": by_refinement("integral"),
    "none": by_refinement("none"),
}


def spoilers(
    rng: np.random.Generator, sigma_cells: float
) -> dict[str, tuple[Callable[[Array], Array], float]]:
    """Ways to spoil a map, with the strength of their white noise (NaN: not white)."""

    def add(strength: float) -> Callable[[Array], Array]:
        return lambda maps: maps + rng.normal(0, strength, maps.shape)

    def add_smooth(maps: Array) -> Array:
        noise = gaussian_filter(rng.normal(size=maps.shape), (0, 1.5, 1.5, 0))
        return maps + 0.03 * noise / noise.std()

    def add_neighbour(maps: Array) -> Array:
        return np.maximum(maps, 0.9 * np.roll(maps, round(2.5 * sigma_cells), axis=2))

    return {
        "clean": (lambda maps: maps, 0.0),
        "float16": (lambda maps: maps.astype(np.float16), 0.0),
        "bfloat16": (lambda maps: maps.astype(ml_dtypes.bfloat16), 0.0),
        "noise .01": (add(0.01), 0.01),
        "noise .03": (add(0.03), 0.03),
        "noise .05": (add(0.05), 0.05),
        "half height, noise .03": (lambda maps: add(0.03)(0.5 * maps), 0.06),
        "factor 1 +- .05": (lambda maps: maps * rng.normal(1, 0.05, maps.shape), math.nan),
        "smooth noise .03": (add_smooth, math.nan),
        "neighbour at 2.5 sigma": (add_neighbour, 0.0),
        "saturated at .8": (lambda maps: np.minimum(maps, 0.8), 0.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stride", type=int, default=2, help="output stride in px")
    parser.add_argument("--sigmas", type=float, nargs="+", default=[2.5, 5.0, 10.0], help="px")
    parser.add_argument("--points", type=int, default=500)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    names = "".join(f"{name:>14}" for name in ESTIMATORS)
    for sigma in options.sigmas:
        xy = rng.uniform(SIDE / 4, 3 * SIDE / 4, (options.points, 1, 1, 2))
        clean = confidence_maps(xy, SIDE, SIDE, options.stride, sigma)
        print(f"stride {options.stride} px, sigma {sigma:g} px\n{'':24}{names}{'bound':>14}")
        for kind, (spoil, strength) in spoilers(rng, sigma / options.stride).items():
            maps = spoil(clean).astype(np.float32)
            errors = [
                np.hypot(*(from_map(find(maps), options.stride) - xy[:, 0, 0]).T).mean()
                for find in ESTIMATORS.values()
            ]
            # Per axis sqrt(2 / pi) * noise cells; the mean length of two is sqrt(pi / 2) that.
            row = [*errors, strength * options.stride]
            print(f"{kind:24}" + "".join(f"{value:14.4f}" for value in row))


if __name__ == "__main__":
    main()
