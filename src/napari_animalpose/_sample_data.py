"""*File > Open Sample*: two synthetic flies, with and without labels."""

from __future__ import annotations

from napari_animalpose._reader import LayerData, open_in_viewer
from napari_animalpose.pipeline.sample_files import LABELS, VIDEO, make_sample_files

__all__ = ["open_labelled", "open_video"]


def open_labelled() -> list[LayerData]:
    """Open the sample with ten labelled frames."""
    return open_in_viewer(str(make_sample_files() / LABELS), as_example=True)


def open_video() -> list[LayerData]:
    """Open the sample video as a new project without labels."""
    return open_in_viewer(str(make_sample_files() / VIDEO))
