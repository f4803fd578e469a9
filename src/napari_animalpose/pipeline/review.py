"""Which frames to look at: likely errors, and frames worth labelling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.config import ReviewConfig, SmoothConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import CancelledError, VideoError
from napari_animalpose.jobs import Event, Progress, StopRequest, ignore_event, never_stop
from napari_animalpose.review.find import find_errors
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.suggestions import Suggestions, suggest_frames
from napari_animalpose.tracking.smoothing import smooth_poses

__all__ = ["find_likely_errors", "propose_frames", "suggest"]


def find_likely_errors(
    project: Project,
    *,
    expected_animals: int = 0,
    kinds: Iterable[str] | None = None,
    config: ReviewConfig | None = None,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> Findings:
    """Return what is probably wrong in the poses of a project, the worst first.

    Parameters
    ----------
    project : Project
    expected_animals : int
        In every frame; 0 means as many as most frames have.
    kinds : iterable of str, optional
        Names in `review.find.FINDERS`; by default all.
    config : ReviewConfig, optional
    on_event, should_stop : callable

    Raises
    ------
    ConfigError
        If there is no finder of one of the names.
    CancelledError
        If asked to stop.
    """
    config = config or ReviewConfig()
    if expected_animals:
        config = config.replace(expected_animals=expected_animals)
    on_event(Progress("smooth", 0, None))
    variance = measure_variance(project.poses)
    on_event(Progress("smooth", 1, 1))
    return find_errors(
        project.poses,
        config=config,
        kinds=kinds,
        variance=variance,
        n_frames=[_count_frames(project, number) for number in range(len(project.videos))],
        on_progress=lambda done, total: on_event(Progress("look for errors", done, total)),
        should_stop=lambda: should_stop() is not StopRequest.NONE,
    )


def measure_variance(poses: Poses) -> NDArray[np.float64] | None:
    """Return the posterior variance in px^2 of every point (N, K); None without tracks.

    That of the Kalman smoother. Nothing is filled, so that its rows are those of the table.
    """
    if not (poses.track >= 0).any():
        return None
    smoothed = smooth_poses(poses, SmoothConfig(max_gap_frames=0))
    return np.square(smoothed.stddev_px.astype(np.float64))


def _count_frames(project: Project, number: int) -> int:
    """Return the length of a video; of one that is not there, what its poses need."""
    try:
        return len(project.videos[number])
    except VideoError:
        frames = project.poses.frames(number)
        return int(frames[-1]) + 1 if len(frames) else 0


def suggest(
    project: Project,
    count: int = 20,
    method: str = "diverse",
    *,
    seed: int = 0,
    min_spacing_frames: int = 10,
    extend: bool = True,
) -> tuple[Project, Suggestions]:
    """Propose frames for labelling and add them to a project.

    Parameters
    ----------
    project : Project
    count : int
    method : str
        Name in `review.suggestions.SUGGESTERS`.
    seed : int
    min_spacing_frames : int
        Least distance in time to any other proposed or labelled frame.
    extend : bool
        Keep the suggestions that the project has; otherwise replace them.

    Returns
    -------
    project : Project
        With the suggestions.
    suggestions : Suggestions
        The new ones and the reason for each.

    Raises
    ------
    ConfigError, DataError
        As `review.suggestions.suggest_frames`.
    """
    before = project.suggestions if extend else np.zeros((0, 2), np.int32)
    found = suggest_frames(
        project, count, method, seed=seed, min_spacing_frames=min_spacing_frames, exclude=before
    )
    return project.replace(suggestions=np.concatenate([before, found.frames])), found


def propose_frames(
    project: Project,
    count: int = 20,
    method: str = "diverse",
    *,
    seed: int = 0,
    min_spacing_frames: int = 10,
    videos: Sequence[int] | None = None,
    exclude: ArrayLike = (),
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> Suggestions:
    """Propose frames for labelling, for a child process: `suggest_frames` with events.

    Raises
    ------
    ConfigError, DataError, VideoError
        As `review.suggestions.suggest_frames`.
    CancelledError
        If asked to stop.
    """
    on_event(Progress("choose frames", 0, None))
    found = suggest_frames(
        project,
        count,
        method,
        seed=seed,
        min_spacing_frames=min_spacing_frames,
        videos=videos,
        exclude=exclude,
    )
    if should_stop() is not StopRequest.NONE:
        raise CancelledError
    on_event(Progress("choose frames", 1, 1))
    return found
