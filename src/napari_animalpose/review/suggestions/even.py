"""Frames at even distances."""

from __future__ import annotations

import numpy as np

from napari_animalpose.data.store import pack
from napari_animalpose.review.suggestions.base import Candidates, Keys, Request, share_out

__all__ = ["spread_evenly", "suggest_evenly"]


def suggest_evenly(request: Request) -> Candidates:
    """Suggest frames at even distances, from every video in proportion to its length."""
    keys = spread_evenly(request, request.count)
    return Candidates(keys, [_tell(request, key) for key in keys.tolist()])


def spread_evenly(request: Request, count: int) -> Keys:
    """Return the keys of admitted frames in the middle of equal stretches of all videos.

    Frames that are taken, or too near to one that is, are left out before the rest is
    divided, so that as many come back as there are, up to `count`.
    """
    pools = [_find_free(request, int(video)) for video in request.chosen_videos]
    shares = share_out(count, [len(pool) for pool in pools])
    parts = []
    for video, pool, share in zip(request.chosen_videos.tolist(), pools, shares, strict=True):
        middle = (np.arange(share) + 0.5) * len(pool) / max(share, 1)
        parts.append(pack(np.full(share, video), pool[middle.astype(np.intp)]))
    return np.concatenate(parts)


def _find_free(request: Request, video: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the frames of a video that keep their distance to all taken ones."""
    free = np.ones(request.n_frames(video), bool)
    spacing = max(request.min_spacing_frames, 1)
    taken = request.taken[request.taken >> 32 == video] & 0xFFFFFFFF
    for frame in taken.tolist():
        free[max(frame - spacing + 1, 0) : frame + spacing] = False
    return np.flatnonzero(free)


def _tell(request: Request, key: int) -> str:
    length = request.n_frames(key >> 32)
    return f"At {100 * ((key & 0xFFFFFFFF) + 0.5) / length:.0f} % of the video."
