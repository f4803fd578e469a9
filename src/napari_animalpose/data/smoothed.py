"""Poses after gaps were filled and noise was taken out, with a mark on every point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import DataError

__all__ = ["PointKind", "Smoothed"]


class PointKind(IntEnum):
    """Where the position of a point comes from."""

    RAW = 0  # as it was, or missing as it was
    FILLED = 1  # there was none
    SMOOTHED = 2  # there was another one


@dataclass(frozen=True, eq=False)
class Smoothed:
    """A new table of poses beside the raw one, and what is not raw in it.

    Parameters
    ----------
    poses : Poses
        N instances of K points. Instances that were created in gaps are predictions
        without a score.
    kind : array_like of uint8, shape (N, K)
        `PointKind` of every point.
    stddev_px : array_like of float32, shape (N, K)
        Standard deviation of each coordinate of a point in px, given all that was
        measured; NaN where no method said.
    steps : tuple of mapping
        What was done, in order: values that JSON can hold.

    Raises
    ------
    DataError
        If the shapes do not fit or a kind is unknown.
    """

    poses: Poses
    kind: NDArray[np.uint8]
    stddev_px: NDArray[np.float32]
    steps: tuple[Mapping[str, Any], ...] = field(default=())

    def __post_init__(self) -> None:
        shape = (len(self.poses), self.poses.n_nodes)
        for name, dtype in (("kind", np.uint8), ("stddev_px", np.float32)):
            values = _freeze(getattr(self, name), dtype)
            if values.shape != shape:
                raise DataError(
                    f"Expected {name} of shape {shape}, one value for each point; received "
                    f"shape {values.shape}."
                )
            object.__setattr__(self, name, values)
        largest = self.kind.max(initial=0)
        if largest > max(PointKind):
            raise DataError(f"Expected kinds from 0 to {int(max(PointKind))}; received {largest}.")
        object.__setattr__(self, "steps", tuple(dict(step) for step in self.steps))

    @classmethod
    def raw(cls, poses: Poses) -> Smoothed:
        """Return poses to which nothing was done."""
        shape = (len(poses), poses.n_nodes)
        return cls(poses, np.zeros(shape, np.uint8), np.full(shape, np.nan, np.float32))

    @property
    def n_filled(self) -> int:
        """Number of points that were filled."""
        return int((self.kind == PointKind.FILLED).sum())

    @property
    def n_smoothed(self) -> int:
        """Number of points that were moved."""
        return int((self.kind == PointKind.SMOOTHED).sum())

    def __repr__(self) -> str:
        return f"<Smoothed: {self.n_filled} points filled, {self.n_smoothed} moved, {self.poses!r}>"


def _freeze(values: ArrayLike, dtype: type[np.generic]) -> NDArray[Any]:
    array = np.array(values, dtype)
    array.flags.writeable = False
    return array
