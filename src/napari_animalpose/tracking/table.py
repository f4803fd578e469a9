"""The tracks in sight and lately lost, in columns: what a tracker remembers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["TrackTable"]


class TrackTable:
    """A table of T tracks that rows join and leave; memory follows T and nothing else.

    Parameters
    ----------
    columns : mapping of str to (dtype, shape)
        Type and shape of one row of every column.
    """

    def __init__(self, columns: Mapping[str, tuple[DTypeLike, tuple[int, ...]]]) -> None:
        self._columns: dict[str, NDArray[Any]] = {
            name: np.zeros((0, *shape), dtype) for name, (dtype, shape) in columns.items()
        }

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column, shape (T, ...), to read or to write into."""
        return self._columns[name]

    @property
    def nbytes(self) -> int:
        """Memory of all columns in bytes."""
        return sum(column.nbytes for column in self._columns.values())

    def append(self, n_rows: int) -> NDArray[np.intp]:
        """Add rows of zeros and return their numbers."""
        first = len(self)
        for name, column in self._columns.items():
            new = np.zeros((n_rows, *column.shape[1:]), column.dtype)
            self._columns[name] = np.concatenate([column, new])
        return np.arange(first, first + n_rows)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Drop all rows but these, a mask (T,)."""
        for name, column in self._columns.items():
            self._columns[name] = column[rows]
