"""Which frames runs did not learn from, in the numbers of the videos of a project."""

from __future__ import annotations

from collections.abc import Iterable

from napari_animalpose.data.project import Project
from napari_animalpose.errors import DataError, FileFormatError
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.pipeline.evaluation import match_videos

__all__ = ["common_held_out", "read_split_of"]

Key = tuple[int, int]
Split = dict[str, list[Key]]


def read_split_of(folder: RunFolder, project: Project) -> Split:
    """Return how a run divided its frames, with the videos numbered as in a project.

    Videos are the same by source, name or as the only ones (`evaluation.match_videos`).
    Frames of videos that the project lacks are left out; without any video in common, the
    parts are empty.

    Raises
    ------
    ModelError
        If the folder holds no readable split.
    """
    split = folder.read_split()
    try:
        numbers = match_videos(read_labels(folder.path / "labels.slp"), project)
    except (DataError, FileFormatError):
        numbers = {}
    return {
        part: sorted((numbers[video], frame) for video, frame in pairs if video in numbers)
        for part, pairs in split.items()
    }


def common_held_out(folders: Iterable[RunFolder], project: Project) -> list[Key]:
    """Return the (video, frame) that every one of some runs held out, sorted.

    Validation and test frames both count: no weight was changed for them.

    Raises
    ------
    ModelError
        If a folder holds no readable split: it might have learned from any frame.
    """
    common: set[Key] | None = None
    for folder in folders:
        split = read_split_of(folder, project)
        held_out = {*split.get("validation", ()), *split.get("test", ())}
        common = held_out if common is None else common & held_out
    return sorted(common or ())
