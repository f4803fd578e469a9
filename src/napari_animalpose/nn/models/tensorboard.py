"""Logs that TensorBoard shows: the graph, the scalars, pictures of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["TensorBoardLog"]


class TensorBoardLog:
    """Writes one network's log into a folder.

    Parameters
    ----------
    folder : path-like
        Made if needed.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self._writer = tf.summary.create_file_writer(fspath(folder))
        self._step = 0

    def write_graph(self, function: Any) -> None:
        """Write the graph of a concrete function."""
        with self._writer.as_default(step=0):
            tf.summary.graph(function.graph)

    def write_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write figures of one step; NaN is left out."""
        self._step = step
        with self._writer.as_default(step=step):
            for name, value in values.items():
                if np.isfinite(value):
                    tf.summary.scalar(name, value)
        self._writer.flush()

    def write_image(self, name: str, image: NDArray[np.uint8]) -> None:
        """Write a picture (H, W, 3) at the newest step."""
        with self._writer.as_default(step=self._step):
            tf.summary.image(name, image[None])

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
