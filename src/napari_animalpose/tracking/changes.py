"""What a step after tracking did to a table, for reports and for checks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.store import pack, unpack

__all__ = ["Change", "record_change", "remove_rows"]


@dataclass(frozen=True, eq=False)
class Change:
    """What one step changed or removed.

    Attributes
    ----------
    action : str
        What was done to the rows, in the past tense: "removed duplicates".
    rows : numpy.ndarray of intp, shape (M,)
        Rows of the table *before* the step, ascending.
    frames : numpy.ndarray of int64, shape (F, 2)
        (video, frame) of those rows, sorted, without repeats.
    """

    action: str
    rows: NDArray[np.intp]
    frames: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __str__(self) -> str:
        if not len(self):
            return f"{self.action}: none"
        return f"{self.action}: {len(self)} instances in {len(self.frames)} frames"


def record_change(action: str, poses: Poses, rows: ArrayLike) -> Change:
    """Return the change of some rows of `poses`, given as a mask (N,) or as row numbers."""
    rows = np.asarray(rows)
    rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else np.sort(rows.astype(np.intp))
    keys = pack(poses.video[rows], poses.frame[rows])  # sorted, as the table is
    return Change(action, rows, unpack(keys[np.diff(keys, prepend=-1) > 0]))


def remove_rows(action: str, poses: Poses, rows: NDArray[np.bool_]) -> tuple[Poses, Change]:
    """Return `poses` without the rows of a mask (N,), and the record of it."""
    kept = poses.select(~rows) if rows.any() else poses
    return kept, record_change(action, poses, rows)
