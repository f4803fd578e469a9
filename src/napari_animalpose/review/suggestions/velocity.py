"""Frames with fast movement."""

from __future__ import annotations

import numpy as np

from napari_animalpose.errors import DataError
from napari_animalpose.review.evidence import measure_distance
from napari_animalpose.review.suggestions.base import Candidates, Request
from napari_animalpose.review.suggestions.frames import order_frames

__all__ = ["suggest_fast_frames"]


def suggest_fast_frames(request: Request) -> Candidates:
    """Suggest the frames in which the points of an animal move fastest, in the mean.

    Raises
    ------
    DataError
        If no animal is seen in two frames close together.
    """
    evidence = request.evidence
    steps = evidence.steps(evidence.previous)
    speed = measure_distance(steps, np.zeros_like(steps)) / evidence.gap_to(evidence.previous)
    if not np.isfinite(speed).any():
        raise DataError(
            "Expected an animal in neighbouring frames to measure its speed; received none. "
            "Predict and track first, or use the method 'image', 'even' or 'random'."
        )

    def tell(row: int) -> str:
        bodies = speed[row] / evidence.body_px
        return f"Fast: {evidence.name_track(row)} moves {bodies:.2f} body lengths a frame."

    return order_frames(request, speed, tell)
