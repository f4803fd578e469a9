"""Frames with suspected errors."""

from __future__ import annotations

from napari_animalpose.data.store import pack
from napari_animalpose.errors import DataError
from napari_animalpose.review.suggestions.base import Candidates, Request

__all__ = ["suggest_findings"]


def suggest_findings(request: Request) -> Candidates:
    """Suggest the frames in which errors show most, the worst first (`find_errors`).

    Raises
    ------
    DataError
        If there are no poses.
    """
    if not len(request.poses):
        raise DataError(
            "Expected poses to look for errors in; received none. Predict first, or use the "
            "method 'image', 'even' or 'random'."
        )
    found = request.findings.ranked()
    return Candidates(pack(found.video, found.frame), [str(text) for text in found.text])
