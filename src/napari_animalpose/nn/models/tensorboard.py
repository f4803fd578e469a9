"""Logs that TensorBoard shows: the graph, the scalars, pictures of predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.errors import OutputError

__all__ = ["TensorBoardLog"]

PICTURE_EVERY_S = 30.0  # drawing one takes a good part of a second


class TensorBoardLog:
    """Writes one network's log into a folder.

    Parameters
    ----------
    folder : path-like
        Made if needed.

    Raises
    ------
    OutputError
        By all methods, if the file cannot be written.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self._folder = fspath(folder)
        self._step = 0
        self._pictured_at = -PICTURE_EVERY_S
        with self._explain_errors():
            self._writer = tf.summary.create_file_writer(self._folder)

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Turn what TensorFlow says about files into one sentence."""
        try:
            yield
        except tf.errors.OpError as error:
            raise OutputError(
                f"Expected to write the TensorBoard log into {self._folder!r}; "
                f"received {error.message!r}. Free some space or choose another disk.",
                self._folder,
            ) from error

    def write_graph(self, function: Any) -> None:
        """Write the graph of a concrete function."""
        with self._explain_errors(), self._writer.as_default(step=0):
            tf.summary.graph(function.graph)

    def write_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write figures of one step; NaN is left out."""
        self._step = step
        with self._explain_errors(), self._writer.as_default(step=step):
            for name, value in values.items():
                if np.isfinite(value):
                    tf.summary.scalar(name, value)
            self._writer.flush()

    def write_image(self, name: str, draw: Callable[[], NDArray[np.uint8]]) -> None:
        """Write the picture (H, W, 3) that `draw` returns, if the last one is old enough."""
        if time.monotonic() - self._pictured_at < PICTURE_EVERY_S:
            return
        self._pictured_at = time.monotonic()
        with self._explain_errors(), self._writer.as_default(step=self._step):
            tf.summary.image(name, draw()[None])

    def close(self) -> None:
        """Finish the file."""
        with self._explain_errors():
            self._writer.close()
