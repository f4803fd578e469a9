"""Where the windows lie that networks learn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.nn.dataset import Example
from napari_animalpose.nn.identity import NO_CLASS

__all__ = ["box_centre", "choose_jitter", "examples_around_animals"]

JITTER = 0.15  # of the window: how far from its middle an animal may be
CENTRED_JITTER = 0.02  # the same where it is centred by a centroid network: what that errs


def choose_jitter(window_px: int, *, centred: bool) -> float:
    """Return how far the middle of a window may lie from that of its animal, in px."""
    return window_px * (CENTRED_JITTER if centred else JITTER)


def examples_around_animals(
    frame: int,
    xy: NDArray[np.float64],
    frame_middle: tuple[float, float],
    classes: NDArray[np.int32] | None = None,
) -> list[Example]:
    """Return one example for each animal of a frame, its neighbours labelled as well.

    Parameters
    ----------
    frame : int
        Number in the `FrameStore`.
    xy : float array, shape (I, K, 2)
        Points of the animals in px of the kept frame; NaN = missing.
    frame_middle : (float, float)
        (x, y) of the middle of the frame.
    classes : int array, shape (I,), optional
        Numbers of their identities, -1 = not known.

    Returns
    -------
    list of Example
        Each is centred on the box around one animal, whose points come first. A frame
        without animals is one example whose window lies anywhere.
    """
    if classes is None:
        classes = np.full(len(xy), NO_CLASS, np.int32)
    there = np.isfinite(xy).all(axis=-1).any(axis=-1)
    xy, classes = xy[there], classes[there]
    orders = [[i, *(j for j in range(len(xy)) if j != i)] for i in range(len(xy))]
    return [
        Example(frame, box_centre(xy[order[0]]), xy[order], tuple(classes[order].tolist()))
        for order in orders
    ] or [Example(frame, frame_middle, xy, anywhere=True)]


def box_centre(xy: NDArray[np.float64]) -> tuple[float, float]:
    """Return the middle (x, y) of the box around the points (K, 2) of an animal."""
    middle = (np.nanmin(xy, axis=0) + np.nanmax(xy, axis=0)) / 2
    return float(middle[0]), float(middle[1])
