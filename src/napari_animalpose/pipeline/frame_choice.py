"""Which frames a person means: the one that is shown, a range, suggestions, random ones.

A name in `FRAME_CHOICES` and where a person stands (`FrameContext`) become (video, frame)
pairs. Lists and combo boxes iterate the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.store import pack, unpack
from napari_animalpose.errors import DataError
from napari_animalpose.registry import Registry

__all__ = ["FRAME_CHOICES", "FrameChoice", "FrameContext", "choose_frames"]

Keys = NDArray[np.int64]  # frames as `data.store.pack` writes them


@dataclass(frozen=True)
class FrameContext:
    """Where a person stands when choosing frames.

    Parameters
    ----------
    video, frame : int
        What is shown.
    selected_range : (int, int), optional
        First and last frame of the shown video, both included.
    count : int
        How many random frames.
    seed : int
        Of the random frames.
    """

    video: int = 0
    frame: int = 0
    selected_range: tuple[int, int] | None = None
    count: int = 20
    seed: int = 0


@dataclass(frozen=True)
class FrameChoice:
    """One way to choose frames.

    Parameters
    ----------
    label : str
        For people: "Current frame".
    choose : callable
        From a project and a `FrameContext` to the keys of frames, in any order.
    needs_range, needs_count : bool
        Whether `FrameContext.selected_range`, or `count` and `seed`, have a meaning.
    """

    label: str
    choose: Callable[[Project, FrameContext], Keys]
    needs_range: bool = False
    needs_count: bool = False


def choose_frames(
    project: Project, name: str, context: FrameContext | None = None
) -> NDArray[np.int64]:
    """Return the frames that a person means.

    Parameters
    ----------
    project : Project
    name : str
        Name in `FRAME_CHOICES`.
    context : FrameContext, optional

    Returns
    -------
    array of int64, shape (F, 2)
        (video, frame), sorted, without repeats; empty where there are no such frames.

    Raises
    ------
    ConfigError
        If there is no choice of that name.
    DataError
        If the video, the frame or the range are not there.
    VideoError
        If a video has to be opened to learn its length and cannot be.
    """
    choice = FRAME_CHOICES.get(name)
    return unpack(np.unique(choice.choose(project, context or FrameContext())))


# ------------------------------------------------------------------------------ choices
def _current_frame(project: Project, context: FrameContext) -> Keys:
    length = _count_frames(project, context.video)
    if not 0 <= context.frame < length:
        raise DataError(
            f"Expected a frame from 0 to {length - 1} of video {context.video}; received "
            f"{context.frame}."
        )
    return pack([context.video], [context.frame])


def _selected_range(project: Project, context: FrameContext) -> Keys:
    if context.selected_range is None:
        raise DataError("Expected a selected range of frames; received none. Select one first.")
    first, last = sorted(context.selected_range)
    length = _count_frames(project, context.video)
    if first < 0 or last >= length:
        raise DataError(
            f"Expected a range within the frames 0 to {length - 1} of video {context.video}; "
            f"received {first} to {last}."
        )
    return pack(context.video, np.arange(first, last + 1))


def _this_video(project: Project, context: FrameContext) -> Keys:
    return pack(context.video, np.arange(_count_frames(project, context.video)))


def _all_videos(project: Project, context: FrameContext) -> Keys:
    lengths = np.array([len(video) for video in project.videos], np.int64)
    videos = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.cumsum(lengths) - lengths
    return pack(videos, np.arange(len(videos)) - starts[videos])


def _suggested(project: Project, context: FrameContext) -> Keys:
    return _keys(project.suggestions)


def _random_of_video(project: Project, context: FrameContext) -> Keys:
    return _draw(_this_video(project, context), project, context)


def _random_of_all(project: Project, context: FrameContext) -> Keys:
    return _draw(_all_videos(project, context), project, context)


def _labelled(project: Project, context: FrameContext) -> Keys:
    return _labelled_keys(project)


def _unlabelled(project: Project, context: FrameContext) -> Keys:
    return np.setdiff1d(_all_videos(project, context), _labelled_keys(project), assume_unique=True)


def _unpredicted(project: Project, context: FrameContext) -> Keys:
    predicted = _frames_of(project.poses, ~project.poses.is_label)
    return np.setdiff1d(_all_videos(project, context), predicted, assume_unique=True)


FRAME_CHOICES: Registry[FrameChoice] = Registry("choice of frames")
for _name, _choice in {
    "current": FrameChoice("Current frame", _current_frame),
    "range": FrameChoice("Selected range", _selected_range, needs_range=True),
    "video": FrameChoice("This video", _this_video),
    "all": FrameChoice("All videos", _all_videos),
    "suggested": FrameChoice("Suggested frames", _suggested),
    "random": FrameChoice("Random frames of this video", _random_of_video, needs_count=True),
    "random-all": FrameChoice("Random frames of all videos", _random_of_all, needs_count=True),
    "labelled": FrameChoice("Labelled frames", _labelled),
    "unlabelled": FrameChoice("Frames without labels", _unlabelled),
    "unpredicted": FrameChoice("Frames without predictions", _unpredicted),
}.items():
    FRAME_CHOICES.register(_name, _choice)


# ---------------------------------------------------------------------------- internals
def _count_frames(project: Project, video: int) -> int:
    if not 0 <= video < len(project.videos):
        raise DataError(f"Expected a video from 0 to {len(project.videos) - 1}; received {video}.")
    return len(project.videos[video])


def _keys(frames: ArrayLike) -> Keys:
    pairs = np.asarray(frames, np.int64).reshape(-1, 2)
    return pack(pairs[:, 0], pairs[:, 1])


def _frames_of(poses: Poses, rows: NDArray[np.bool_]) -> Keys:
    """Return the keys of the frames of some rows (N,), sorted."""
    return np.unique(pack(poses.video[rows], poses.frame[rows]))


def _labelled_keys(project: Project) -> Keys:
    """Return frames that a person is done with: with a label, or marked as empty."""
    labelled = _frames_of(project.poses, project.poses.is_label)
    return np.union1d(labelled, _keys(project.negative_frames))


def _draw(candidates: Keys, project: Project, context: FrameContext) -> Keys:
    """Draw frames without labels, all if there are too few."""
    free = np.setdiff1d(candidates, _labelled_keys(project), assume_unique=True)
    generator = np.random.default_rng(context.seed)
    return generator.choice(free, min(max(0, context.count), len(free)), replace=False)
