"""Frames drawn at random."""

from __future__ import annotations

import numpy as np

from napari_animalpose.data.store import pack
from napari_animalpose.review.suggestions.base import Candidates, Request

__all__ = ["suggest_at_random"]


def suggest_at_random(request: Request) -> Candidates:
    """Suggest frames drawn from all videos together, each frame with the same chance."""
    lengths = [request.n_frames(int(video)) for video in request.chosen_videos]
    video = np.repeat(request.chosen_videos, lengths)
    frame = np.concatenate([np.arange(length) for length in lengths])
    keys = pack(video, frame)
    keys = request.generator.permutation(keys[request.admits(keys)])
    return Candidates(keys, ["Drawn at random."] * len(keys))
