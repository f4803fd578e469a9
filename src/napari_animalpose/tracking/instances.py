"""What goes into a tracker for one frame, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import DataError
from napari_animalpose.tracking.identities import Naming

__all__ = ["Instances", "Step"]

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Instances:
    """The instances of one frame.

    Parameters
    ----------
    xy : array of float, shape (I, K, 2)
        (x, y) in px; NaN = missing.
    score : array of float, shape (I,), optional
        Confidence; NaN = none.
    classes : array of float, shape (I, A), optional
        Class probabilities, or any vectors whose cosine tells animals apart; NaN = unknown.
    anchor : array of int, shape (I,), optional
        What a person said: instances of one number from 0 are one animal; -1 = unsaid.
    """

    xy: NDArray[np.floating]
    score: NDArray[np.floating] | None = None
    classes: NDArray[np.floating] | None = None
    anchor: NDArray[np.integer] | None = None

    def __len__(self) -> int:
        return len(self.xy)

    def read_points(self, n_nodes: int, n_classes: int) -> Floats:
        """Return a copy of the points (I, K, 2), with both coordinates NaN where one is.

        Raises
        ------
        DataError
            If shapes do not fit together, or an anchor comes twice.
        """
        xy = np.array(self.xy, np.float64)
        if xy.ndim != 3 or xy.shape[1:] != (n_nodes, 2):
            raise DataError(f"Expected points of shape (I, {n_nodes}, 2); received {xy.shape}.")
        for name, shape in (("score", ()), ("classes", (n_classes,)), ("anchor", ())):
            values = getattr(self, name)
            if values is not None and np.shape(values) != (len(xy), *shape):
                raise DataError(
                    f"Expected {name} of shape {(len(xy), *shape)}; received {np.shape(values)}."
                )
        said = [] if self.anchor is None else self.anchors[self.anchors >= 0].tolist()
        if len(set(said)) < len(said):
            raise DataError(
                "Expected every anchor once in a frame; received one twice. An animal is in one "
                "place: drop one of the two."
            )
        xy[~np.isfinite(xy).all(axis=-1)] = np.nan
        return xy

    @cached_property
    def anchors(self) -> NDArray[np.int64]:
        """The column `anchor`, all -1 where it was not given."""
        if self.anchor is None:
            return np.full(len(self), -1, np.int64)
        return np.asarray(self.anchor, np.int64)

    @cached_property
    def scores(self) -> Floats:
        """The column `score`, all NaN where it was not given."""
        if self.score is None:
            return np.full(len(self), np.nan)
        return np.asarray(self.score, np.float64)

    @cached_property
    def class_vectors(self) -> Floats | None:
        """The column `classes`, if it was given."""
        return None if self.classes is None else np.asarray(self.classes, np.float64)


class Step(NamedTuple):
    """What a tracker says about one frame.

    Parameters
    ----------
    identity : array of int64, shape (I,)
        Identity of every instance, from 0; -1 = none (yet).
    tracklet : array of int64, shape (I,)
        Number of the unbroken piece of a track that it belongs to; -1 = of none.
    score : array of float64, shape (I,)
        Probability of this choice among all tracks that come into question and none of
        them, between 0 and 1; NaN without tracklet.
    named : tuple of Naming
        Tracklets, seen already in earlier frames, whose identity has become clear.
    """

    identity: Numbers
    tracklet: Numbers
    score: Floats
    named: tuple[Naming, ...]
