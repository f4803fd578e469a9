"""Which frames are learned from: labelled ones and empty ones, and how they are divided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    keys: Sequence[Key],
    validation: float,
    test: float,
    seed: int,
    earlier: Mapping[str, Sequence[Key]] | None = None,
) -> dict[str, list[Key]]:
    """Divide labelled frames at random into training, validation and test frames.

    At least one frame is for training and, where a fraction is not zero, at least one is
    held out for it.

    Parameters
    ----------
    keys : sequence of (video, frame)
    validation, test : float
        Fractions of the frames.
    seed : int
    earlier : mapping, optional
        How an earlier run divided frames. What it held out stays held out for the same
        purpose, so that runs can be compared, and what it learned from stays learned from,
        because its weights know these frames. Of the new frames so many are held out, at
        most every second, that the fractions are kept. Frames that were learned from are
        held out only where there would be none otherwise.

    Raises
    ------
    DataError
        If there are fewer frames than parts, or an earlier run held out all that there are.
    """
    counts = {
        "test": max(1, round(len(keys) * test)) if test else 0,
        "validation": max(1, round(len(keys) * validation)) if validation else 0,
    }
    if sum(counts.values()) >= len(keys):
        raise _too_few(sum(counts.values()) + 1, f"{len(keys)}")
    if earlier is not None:
        return _extend_split(keys, counts, seed, earlier)
    order = np.random.default_rng(seed).permutation(len(keys)).tolist()
    parts: dict[str, list[Key]] = {}
    for name, count in counts.items():
        parts[name] = sorted(keys[i] for i in order[:count])
        order = order[count:]
    return {"train": sorted(keys[i] for i in order), **parts}


def _extend_split(
    keys: Sequence[Key], counts: Mapping[str, int], seed: int, earlier: Mapping[str, Sequence[Key]]
) -> dict[str, list[Key]]:
    """Divide frames as before and new ones so that held-out parts come to their counts."""
    parts = {name: _still_there(earlier, name, keys) if counts[name] else [] for name in counts}
    known = set(_still_there(earlier, "train", keys))
    new = [key for key in keys if key not in known.union(*parts.values())]
    order = [new[i] for i in np.random.default_rng([seed, 2]).permutation(len(new)).tolist()]
    held_out = sum(len(part) for part in parts.values())
    most = math.ceil(len(new) / 2) if known else len(new) // 2
    for name, count in sorted(counts.items(), key=lambda item: len(parts[item[0]]) > 0):
        n_new = max(0, min(count - len(parts[name]), most))
        most -= n_new
        parts[name], order = parts[name] + order[:n_new], order[n_new:]
    learned = sorted([*known, *order])
    missing = [name for name, count in counts.items() if count and not parts[name]]
    if len(learned) <= len(missing):
        least = held_out + len(missing) + 1
        raise _too_few(least, f"{len(keys)}, of which the run before held out {held_out}")
    for name in missing:
        chosen = int(np.random.default_rng([seed, 3]).integers(len(learned)))
        parts[name] = [learned.pop(chosen)]
    return {"train": learned, **{name: sorted(part) for name, part in parts.items()}}


def _too_few(least: int, received: str) -> DataError:
    return DataError(
        f"Expected at least {least} labelled frames, some to learn from and some to check with; "
        f"received {received}. Label more frames."
    )


def _still_there(earlier: Mapping[str, Sequence[Key]], name: str, keys: Sequence[Key]) -> list[Key]:
    return sorted(set(earlier.get(name, ())) & set(keys))


def split_empty_frames(
    keys: Sequence[Key],
    validation: float,
    test: float,
    seed: int,
    earlier: Mapping[str, Sequence[Key]] | None = None,
) -> dict[str, list[Key]]:
    """Divide frames without animals like those with labels, as far as there are enough."""
    kept: dict[str, list[Key]] = {"test": [], "validation": [], "train": []}
    fractions = {"test": test, "validation": validation, "train": 1.0}
    if earlier is not None:
        kept = {name: _still_there(earlier, name, keys) if fractions[name] else [] for name in kept}
    new = [key for key in keys if not any(key in part for part in kept.values())]
    order = [new[i] for i in np.random.default_rng([seed, 1]).permutation(len(new)).tolist()]
    n_test, n_validation = round(len(new) * test), round(len(new) * validation)
    return {
        "test": kept["test"] + order[:n_test],
        "validation": kept["validation"] + order[n_test : n_test + n_validation],
        "train": kept["train"] + order[n_test + n_validation :],
    }
