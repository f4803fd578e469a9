"""From poses to individuals: a first pass, stitching and, on request, smoothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import IdentityConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.smoothed import Smoothed
from napari_animalpose.data.video import Video
from napari_animalpose.errors import DataError
from napari_animalpose.jobs import Event, Progress, StopRequest, ignore_event, never_stop
from napari_animalpose.pipeline.looked_at import looked_at_frames
from napari_animalpose.tracking.changes import Change
from napari_animalpose.tracking.smoothing import smooth_poses
from napari_animalpose.tracking.stitching import refine_tracks
from napari_animalpose.tracking.track import find_anchored, read_classes, track_poses

__all__ = ["Tracked", "check_poses", "track", "track_in_detail"]

FilePath = str | PathLike[str]
Source = TypeVar("Source", Poses, Project)


@dataclass(frozen=True, eq=False)
class Tracked:
    """What tracking makes of a table of poses.

    Parameters
    ----------
    poses : Poses
        With identities; of the instances that were given, with `max_animals` without those
        that can be no animal.
    changes : tuple of Change
        What was done after the first pass, step by step.
    smoothed : Smoothed or None
        The same poses filled and smoothed, where that was asked for.
    """

    poses: Poses
    changes: tuple[Change, ...]
    smoothed: Smoothed | None


def track(
    source: Source,
    *,
    max_animals: int = 0,
    tracker: str | None = None,
    config: IdentityConfig | None = None,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> Source:
    """Give every animal its identity, through all frames of each video.

    Parameters
    ----------
    source : Poses or Project
        A tracker that looks at images needs a project.
    max_animals : int
        How many animals there are, where that is known; 0 means unknown.
    tracker : str, optional
        Name in `tracking.base.TRACKERS`.
    config : IdentityConfig, optional
        Everything else; the two arguments before win over it.
    on_event, should_stop : callable
        As `jobs.run` gives them. `StopRequest.STOP_EARLY` leaves later frames without
        identities.

    Returns
    -------
    Poses or Project
        The same kind as `source`.

    Raises
    ------
    DataError
        If a person named more animals than there may be, or videos are missing for a
        tracker that looks at them.
    CancelledError
        If asked to cancel.

    Examples
    --------
    >>> poses = track(poses, max_animals=2)
    """
    config = (config or IdentityConfig()).with_animals(max_animals, tracker)
    if isinstance(source, Project):
        done = track_in_detail(
            source.poses, config, source.videos, on_event, should_stop,
            looked_at=looked_at_frames(source),
        )  # fmt: skip
        return source.with_poses(done.poses)
    return track_in_detail(source, config, (), on_event, should_stop).poses


def track_in_detail(
    poses: Poses,
    config: IdentityConfig,
    videos: Sequence[Video] = (),
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
    *,
    looked_at: NDArray[np.int64] | None = None,
) -> Tracked:
    """Do what `track` does and tell what happened on the way.

    Parameters
    ----------
    poses : Poses
    config : IdentityConfig
    videos : sequence of Video
        Only opened by a tracker that looks at images.
    on_event, should_stop : callable
    looked_at : array of int64, shape (F, 2), optional
        (video, frame) that were looked at; see `looked_at_frames`. By default those with
        poses.

    Raises
    ------
    DataError, CancelledError
        As `track`.
    """
    stopped = False

    def ask() -> StopRequest:
        nonlocal stopped
        answer = should_stop()
        stopped |= answer is not StopRequest.NONE
        return answer

    looks = read_classes(poses) if config.track.use_identities else None
    tracked = track_poses(
        poses, config.track, videos or None, should_stop=ask,
        on_progress=lambda done, total: on_event(Progress("track", done, total)),
    )  # fmt: skip
    changes: tuple[Change, ...] = ()
    # Half a video has animals without identities by intention: nothing is removed there.
    if config.stitching and not stopped:
        on_event(Progress("stitch", 0, None))
        tracked, changes = refine_tracks(
            tracked,
            config.stitch,
            appearance=looks,
            anchored=find_anchored(poses, config.track),
            looked_at=looked_at,
            confirm_frames=config.track.confirm_frames,
        )
        on_event(Progress("stitch", 1, 1))
    smoothed = None
    if config.smoothing:
        on_event(Progress("smooth", 0, None))
        smoothed = smooth_poses(tracked, config.smooth)
        on_event(Progress("smooth", 1, 1))
    return Tracked(tracked, changes, smoothed)


def check_poses(project: Project, path: FilePath) -> Project:
    """Return a project; refuse one without poses, which there is nothing to track in."""
    if not len(project.poses):
        raise DataError(
            f"Expected a file with poses; received {fspath(path)!r}, which has none. "
            "Predict first: animalpose predict VIDEO -m RUN -o poses.slp"
        )
    return project
