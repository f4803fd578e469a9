"""What validation compares and shows; numpy only, so that a window can read it.

A `jobs.Preview` of a training holds a few validation examples, the same ones through the
whole run: see `ValidationExample` for each, and `preview_arrays` for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.nn.dataset import Example

__all__ = [
    "ValidationExample",
    "choose_examples",
    "closest_distances",
    "find_nearest",
    "make_example",
    "preview_arrays",
]

MOST_EXAMPLES = 3
PREVIEW_BYTES = 8 << 20  # of all frames and maps of a preview; one example is always shown


@dataclass(frozen=True, eq=False)
class ValidationExample:
    """One validation frame or window, as labelled and as the network sees it.

    Everything is in px of the network input, which is the frame resized by the scale of
    the preview, or a window cut out of that.

    Parameters
    ----------
    frame : uint8 array, shape (h, w, C)
        The input.
    truth, points : float32 array, shape (J, K, 2)
        (x, y) of the labelled points and of what the network found nearest to each; NaN
        where nothing is labelled, or nothing was found.
    confidence : float16 array, shape (rows, columns)
        The highest of the confidence maps; cell i lies at px i * stride.
    node : uint8 or uint16 array, shape (rows, columns)
        Which of the maps that is.
    source : (int, int), optional
        (video, frame) that it is taken from.
    """

    frame: NDArray[np.uint8]
    truth: NDArray[np.float32]
    points: NDArray[np.float32]
    confidence: NDArray[np.float16]
    node: NDArray[np.unsignedinteger[Any]]
    source: tuple[int, int] | None = None

    @property
    def nbytes(self) -> int:
        """Memory of the frame and the maps in bytes."""
        return self.frame.nbytes + self.confidence.nbytes + self.node.nbytes

    def maps(self, n_nodes: int) -> NDArray[np.float32]:
        """Return maps (rows, columns, n_nodes) that are zero but where they are highest."""
        maps = np.zeros((*self.confidence.shape, n_nodes), np.float32)
        np.put_along_axis(
            maps, self.node[..., None].astype(np.intp), self.confidence[..., None], axis=2
        )
        return maps


def choose_examples(examples: Sequence[Example], count: int = MOST_EXAMPLES) -> list[int]:
    """Return the numbers of up to `count` examples with labels, evenly spread."""
    labelled = [i for i, example in enumerate(examples) if np.isfinite(example.xy).any()]
    spread = np.linspace(0, len(labelled) - 1, min(count, len(labelled))).round().astype(int)
    return [labelled[i] for i in spread.tolist()]


def make_example(
    frame: NDArray[np.uint8],
    truth: NDArray[np.float64],
    found: NDArray[np.floating[Any]],
    maps: NDArray[np.float32],
    source: tuple[int, int] | None = None,
) -> ValidationExample:
    """Return what is shown of a frame.

    Parameters
    ----------
    frame : uint8 array, shape (h, w, C)
    truth : array of float, shape (J, K, 2)
    found : array of float, shape (I, K, 2)
        Both in px of the frame; NaN = missing.
    maps : float32 array, shape (rows, columns, K)
    source : (int, int), optional
    """
    return ValidationExample(
        frame=frame,
        truth=truth.astype(np.float32),
        points=find_nearest(found, truth).astype(np.float32),
        confidence=np.clip(maps.max(axis=2), 0.0, 1.0).astype(np.float16),
        node=maps.argmax(axis=2).astype(np.uint8 if maps.shape[2] <= 256 else np.uint16),
        source=source,
    )


def preview_arrays(
    examples: Sequence[ValidationExample], *, scale: float, stride: int, step: int, epoch: int
) -> dict[str, Any]:
    """Return what a `jobs.Preview` of a validation holds.

    ``examples``, as many as `PREVIEW_BYTES` have room for and at least one; ``scale``, px
    of the input for a px of the full frame; ``stride``, px of the input between two cells
    of a map; ``step`` and ``epoch``.
    """
    shown, used = list(examples[:1]), sum(example.nbytes for example in examples[:1])
    for example in examples[1:]:
        used += example.nbytes
        if used > PREVIEW_BYTES:
            break
        shown.append(example)
    return {
        "examples": tuple(shown), "scale": scale, "stride": stride, "step": step, "epoch": epoch,
    }  # fmt: skip


def closest_distances(
    found: NDArray[np.floating[Any]], truth: NDArray[np.float64], missed_px: float
) -> NDArray[np.float64]:
    """Distances of the labelled points to the nearest instance's point, at most `missed_px`.

    Parameters
    ----------
    found : (I, K, 2), truth : (J, K, 2), px; NaN = missing.
    """
    difference = found[None] - truth[:, None]  # (J, I, K, 2)
    distance = np.sqrt((difference**2).sum(axis=-1))
    distance = np.fmin(distance, missed_px).min(axis=1, initial=missed_px)  # (J, K)
    return np.asarray(distance[np.isfinite(truth).all(axis=-1)], np.float64)


def find_nearest(
    found: NDArray[np.floating[Any]], truth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return, for each labelled point (J, K, 2), the nearest of the points (I, K, 2) found.

    NaN where nothing is labelled or found. What a network finds need not be in the order
    of the labels, nor joined to animals yet.
    """
    if not len(found):
        return np.full_like(truth, np.nan)
    distance = np.linalg.norm(found[None] - truth[:, None], axis=-1)  # (J, I, K)
    known = np.isfinite(distance).any(axis=1)  # (J, K)
    chosen = np.where(np.isnan(distance), np.inf, distance).argmin(axis=1)
    points = np.take_along_axis(found, chosen[..., None], axis=0)  # (J, K, 2)
    return np.where(known[..., None], points, np.nan)
