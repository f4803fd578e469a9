"""Which frames a prediction looked at, also where it found nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.project import Project
from napari_animalpose.pipeline.files import parse_frames

__all__ = ["FRAMES_KEY", "looked_at_frames", "predicted_frames"]

FRAMES_KEY = "animalpose_frames"  # in the provenance of a project


def predicted_frames(project: Project) -> dict[int, np.ndarray[Any, Any]] | None:
    """Return the frames that a prediction looked at, by video; None if the file does not say."""
    texts = project.provenance.get(FRAMES_KEY)
    if not isinstance(texts, Mapping):
        return None
    limit = np.iinfo(np.int32).max
    return {
        int(video): parse_frames(text, limit) if text else np.zeros(0, np.int64)
        for video, text in texts.items()
    }


def looked_at_frames(project: Project) -> NDArray[np.int64]:
    """Return the (video, frame) that a prediction looked at, sorted, shape (F, 2).

    Of a file that does not say it, the frames with poses.
    """
    frames = predicted_frames(project)
    if frames is None:
        return project.poses.frame_keys()
    parts = [
        np.stack([np.full(len(numbers), video, np.int64), numbers], axis=1)
        for video, numbers in sorted(frames.items())
    ]
    return np.concatenate([np.zeros((0, 2), np.int64), *parts])
