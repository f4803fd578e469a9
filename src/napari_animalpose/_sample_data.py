"""*File > Open Sample*: two synthetic flies, with and without labels."""

from __future__ import annotations

import numpy as np

from napari_animalpose._reader import LayerData, open_in_viewer
from napari_animalpose.pipeline.sample_files import LABELS, VIDEO, make_sample_files

__all__ = ["open_labelled", "open_video"]


def open_labelled() -> list[LayerData]:
    """Open the sample with ten labelled frames."""
    open_in_viewer(str(make_sample_files() / LABELS), as_example=True)
    return _nothing()


def open_video() -> list[LayerData]:
    """Open the sample video as a new project without labels."""
    open_in_viewer(str(make_sample_files() / VIDEO))
    return _nothing()


def _nothing() -> list[LayerData]:
    """Return an empty layer, which is taken away again.

    The layers of the sample are there already, but napari takes a sample without a layer of
    its own (0.9.2; it is otherwise with readers) for one that has failed.
    """
    from napari_animalpose._widgets._canvas import NOTHING

    return [(np.zeros((0, 2)), {"name": "sample", "metadata": NOTHING}, "points")]
