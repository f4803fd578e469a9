"""Numbers in text tables, read exactly and with little memory."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import FileFormatError

__all__ = ["parse_numbers"]


def parse_numbers(
    rows: Iterable[Sequence[str]], n_columns: int, texts: Collection[int], path: Path
) -> tuple[list[list[str]], NDArray[np.float64]]:
    """Parse the rows of a table.

    Parameters
    ----------
    rows : iterable of sequences of str
        As `csv.reader` yields them; empty rows are skipped.
    n_columns : int
        How many cells a row has.
    texts : collection of int
        Columns that hold text.
    path : Path
        The file, for messages.

    Returns
    -------
    texts : list of list of str
        The text cells of each row.
    numbers : numpy.ndarray, shape (N, n_columns)
        NaN where a cell is empty or holds text.

    Raises
    ------
    FileFormatError
        If a row has another number of cells or a cell holds no number.
    """
    found: list[list[str]] = []
    numbers = array("d")
    for line, row in enumerate(rows, start=1):
        if not row:
            continue
        if len(row) != n_columns:
            raise FileFormatError(
                f"Expected {n_columns} cells as in the header in row {line} below it of "
                f"{str(path)!r}; received {len(row)}. Export the file again.",
                path,
            )
        found.append([row[column] for column in texts])
        try:
            numbers.extend(
                float(cell) if cell and column not in texts else np.nan
                for column, cell in enumerate(row)
            )
        except ValueError as error:
            raise FileFormatError(
                f"Expected numbers below the header of {str(path)!r}; received in row {line}: "
                f"{error}. Correct the cell or export the file again.",
                path,
            ) from error
    return found, np.frombuffer(numbers, np.float64).reshape(-1, n_columns).copy()
