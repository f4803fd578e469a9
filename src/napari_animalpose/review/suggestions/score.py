"""Frames of which the network was least sure."""

from __future__ import annotations

import numpy as np

from napari_animalpose.errors import DataError
from napari_animalpose.review.finders.scores import measure_confidence
from napari_animalpose.review.suggestions.base import Candidates, Request
from napari_animalpose.review.suggestions.frames import order_frames

__all__ = ["suggest_low_scores"]


def suggest_low_scores(request: Request) -> Candidates:
    """Suggest the frames with the least sure prediction (`measure_confidence`).

    Raises
    ------
    DataError
        If no prediction has a score.
    """
    confidence = measure_confidence(request.evidence)
    if not np.isfinite(confidence).any():
        raise DataError(
            "Expected predictions with scores to suggest frames from; received none. Predict "
            "first, or use the method 'image', 'even' or 'random'."
        )

    def tell(row: int) -> str:
        name = request.evidence.name_track(row)
        return f"Low confidence: {confidence[row]:.2f} for {name}."

    return order_frames(request, -confidence, tell)
