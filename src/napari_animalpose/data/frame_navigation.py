"""The next frame of some kind: labelled, suggested, predicted, flagged, not labelled yet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from napari_animalpose.data.overview import FrameKind, Overview
from napari_animalpose.data.poses import FrameKey

__all__ = ["find_frame", "step_through"]


def find_frame(
    overviews: Callable[[int], Overview],
    n_videos: int,
    kind: FrameKind,
    here: FrameKey | tuple[int, int],
    step: int = 1,
    *,
    wrap: bool = True,
    all_videos: bool = True,
) -> FrameKey | None:
    """Return the next or previous frame of a kind.

    Parameters
    ----------
    overviews : callable
        Returns the overview of a video. Only the videos that are searched are asked for.
    n_videos : int
    kind : FrameKind
        Of several kinds, each will do.
    here : (video, frame)
        Where to begin; this frame itself is found only after all others.
    step : {1, -1}
        Forwards or backwards.
    wrap : bool
        Whether to go on at the other end.
    all_videos : bool
        Whether to go on in the next or previous video.

    Returns
    -------
    FrameKey or None
        None where there is none.

    Notes
    -----
    Costs the logarithm of the length of the videos that are searched.
    """
    if step not in (1, -1):
        raise ValueError(f"Expected a step of 1 or -1; received {step}.")
    video, frame = here
    found = _search(overviews(video), frame + step, kind, step)
    if found is not None:
        return FrameKey(video, found)
    others = range(1, n_videos) if all_videos else ()
    for away in others:
        other = video + step * away
        if not 0 <= other < n_videos:
            if not wrap:
                return None
            other %= n_videos
        found = _search(overviews(other), None, kind, step)
        if found is not None:
            return FrameKey(other, found)
    found = _search(overviews(video), None, kind, step) if wrap else None
    return None if found is None else FrameKey(video, found)


def step_through(frames: ArrayLike, here: int, step: int = 1, *, wrap: bool = True) -> int | None:
    """Return the next or previous of some frames: a binary search.

    Parameters
    ----------
    frames : array_like of int, shape (F,)
        Ascending: frames of a video, or keys of `data.store.pack` across videos.
    here : int
        It need not be among them.
    step : {1, -1}
        Forwards or backwards.
    wrap : bool
        Whether to go on at the other end; a single frame then follows itself.
    """
    if step not in (1, -1):
        raise ValueError(f"Expected a step of 1 or -1; received {step}.")
    sorted_frames = np.asarray(frames)
    if step == 1:
        place = int(sorted_frames.searchsorted(here, side="right"))
    else:
        place = int(sorted_frames.searchsorted(here, side="left")) - 1
    if not len(sorted_frames) or (not wrap and not 0 <= place < len(sorted_frames)):
        return None
    return int(sorted_frames[place % len(sorted_frames)])


def _search(overview: Overview, start: int | None, kind: FrameKind, step: int) -> int | None:
    """Return the first frame of a kind from `start`, or from the end where that is None."""
    if step == 1:
        return overview.find_next(start or 0, kind)
    return overview.find_previous(overview.n_frames - 1 if start is None else start, kind)
