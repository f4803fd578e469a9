"""Which frames are learned from: labelled ones and empty ones, and how they are divided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import DataError
from napari_animalpose.nn.autoconfig import LabelMeasures, measure_labels
from napari_animalpose.pipeline.files import parse_frames_of_videos

__all__ = [
    "describe_contradictions",
    "empty_frames",
    "measure_project",
    "split_empty_frames",
    "split_frames",
    "training_labels",
]

Key = tuple[int, int]
SIZE_SAMPLES = 40  # frames opened to learn their sizes and colours before training


def training_labels(project: Project, frames: str | None = None) -> Poses:
    """Return the labelled instances to learn from.

    Where a file holds no labels but predictions, these are what a user can mean, as
    when somebody else's poses are all there is.

    Raises
    ------
    DataError
        If there is nothing to learn from.
    """
    labels = project.poses.labels_or_all()
    if frames is not None:
        keys = np.stack([labels.video, labels.frame], axis=1)
        labels = labels.select(_are_among(keys, project, frames))
    labels = labels.select(np.isfinite(labels.xy[..., 0]).any(axis=1))
    if not len(labels):
        where = f" in the frames {frames}" if frames else ""
        raise DataError(
            f"Expected labelled points to learn from{where}; received none. "
            "Label some frames first."
        )
    return labels


def empty_frames(project: Project, labels: Poses, frames: str | None = None) -> list[Key]:
    """Return the (video, frame) of frames that were marked as empty, ascending.

    A frame that holds one of `labels` is not empty, whatever was marked.

    Parameters
    ----------
    project : Project
    labels : Poses
        What is learned from.
    frames : str, optional
        Only these frames, as `parse_frames_of_videos` reads them.
    """
    marked = project.negative_frames
    if frames is not None and len(marked):
        marked = marked[_are_among(marked, project, frames)]
    labelled = {(video, frame) for video, frame in labels.frame_keys().tolist()}
    return [(video, frame) for video, frame in marked.tolist() if (video, frame) not in labelled]


def describe_contradictions(project: Project, labels: Poses) -> tuple[str, ...]:
    """Say which frames were marked as empty although one of `labels` is there."""
    labelled = {(video, frame) for video, frame in labels.frame_keys().tolist()}
    both = [key for key in map(tuple, project.negative_frames.tolist()) if key in labelled]
    if not both:
        return ()
    video, frame = both[0]
    return (
        f"Frames with labels that are marked as empty all the same: {len(both)}, the first is "
        f"frame {frame} of video {video}. The labels count there.",
    )


def _are_among(keys: NDArray[np.integer[Any]], project: Project, frames: str) -> NDArray[np.bool_]:
    """Whether each (video, frame) of (F, 2) is among the frames that a text names."""
    wanted = parse_frames_of_videos(frames, [len(video) for video in project.videos])
    among = np.zeros(len(keys), bool)
    for video, numbers in enumerate(wanted):
        among |= (keys[:, 0] == video) & np.isin(keys[:, 1], numbers)
    return among


def measure_project(project: Project, labels: Poses, empty: Sequence[Key] = ()) -> LabelMeasures:
    """Measure labels together with the sizes and colours of (some of) their frames.

    At least one frame of every video is looked at.
    """
    keys = labels.frame_keys()
    spread = np.linspace(0, len(keys) - 1, min(len(keys), SIZE_SAMPLES)).astype(int)
    firsts = np.unique(keys[:, 0], return_index=True)[1]
    chosen = keys[np.union1d(spread, firsts)]
    shapes = [project.videos[video][frame].shape for video, frame in chosen.tolist()]
    return measure_labels(
        labels,
        [(shape[0], shape[1]) for shape in shapes],
        [shape[2] for shape in shapes],
        n_empty_frames=len(empty),
    )


def split_frames(
    keys: Sequence[Key], validation: float, test: float, seed: int
) -> dict[str, list[Key]]:
    """Divide labelled frames at random into training, validation and test frames.

    At least one frame is for training and, where a fraction is not zero, at least one is
    held out for it.

    Raises
    ------
    DataError
        If there are fewer frames than parts.
    """
    counts = {
        "test": max(1, round(len(keys) * test)) if test else 0,
        "validation": max(1, round(len(keys) * validation)) if validation else 0,
    }
    if sum(counts.values()) >= len(keys):
        raise DataError(
            f"Expected at least {sum(counts.values()) + 1} labelled frames, some to learn from "
            f"and some to check with; received {len(keys)}. Label more frames."
        )
    order = np.random.default_rng(seed).permutation(len(keys)).tolist()
    parts: dict[str, list[Key]] = {}
    for name, count in counts.items():
        parts[name] = sorted(keys[i] for i in order[:count])
        order = order[count:]
    return {"train": sorted(keys[i] for i in order), **parts}


def split_empty_frames(
    keys: Sequence[Key], validation: float, test: float, seed: int
) -> dict[str, list[Key]]:
    """Divide frames without animals like those with labels, as far as there are enough."""
    order = [keys[i] for i in np.random.default_rng([seed, 1]).permutation(len(keys)).tolist()]
    n_test, n_validation = round(len(keys) * test), round(len(keys) * validation)
    return {
        "test": order[:n_test],
        "validation": order[n_test : n_test + n_validation],
        "train": order[n_test + n_validation :],
    }
