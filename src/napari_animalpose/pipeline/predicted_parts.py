"""What is done of a prediction while it goes on, so that nothing is lost but the last second.

`predict(..., stream=True)` sends a `jobs.Part` called `PREDICTED` about every second. Whoever
collects them has them, even if the process that predicts is killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import DataError
from napari_animalpose.jobs import Event, Part, ignore_event

__all__ = ["PREDICTED", "PartStream", "PredictedPart", "join_parts"]

PREDICTED = "predicted"
PART_EVERY_S = 1.0


@dataclass(frozen=True, eq=False)
class PredictedPart:
    """Poses of some frames: the value of a `jobs.Part` called `PREDICTED`.

    Parameters
    ----------
    poses : Poses
        Without identities, unless the model tells them.
    frames : array of int64, shape (F, 2)
        (video, frame) that were looked at, ascending.
    """

    poses: Poses
    frames: NDArray[np.int64]


def join_parts(parts: Iterable[PredictedPart]) -> PredictedPart:
    """Join what has come so far, as after the death of the process that predicted.

    Raises
    ------
    DataError
        If there is no part.
    """
    parts = list(parts)
    if not parts:
        raise DataError("Expected at least one predicted part; received none.")
    frames = np.unique(np.concatenate([part.frames for part in parts]), axis=0)
    return PredictedPart(Poses.concat([part.poses for part in parts]), frames)


class PartStream:
    """Collects the poses of batches; sends them on about every second, and at the end.

    As a context it gives a function that returns, for a video, what takes its poses and the
    numbers of their frames. Nothing is sent at the end of a failure.

    Parameters
    ----------
    on_event : callable
        Receives the parts. For `jobs.ignore_event` nothing is collected.
    """

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._sent_at = time.monotonic()
        self._poses: list[Poses] = []
        self._frames: list[tuple[int, int]] = []

    def __enter__(self) -> Callable[[int], Callable[[Poses, Sequence[int]], None]]:
        return self._of_video

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._send()

    def _of_video(self, video: int) -> Callable[[Poses, Sequence[int]], None]:
        def keep(poses: Poses, numbers: Sequence[int]) -> None:
            if self._on_event is ignore_event:
                return
            self._poses.append(poses)
            self._frames += [(video, number) for number in numbers]
            if time.monotonic() - self._sent_at >= PART_EVERY_S:
                self._send()

        return keep

    def _send(self) -> None:
        self._sent_at = time.monotonic()
        if not self._frames:
            return
        part = PredictedPart(Poses.concat(self._poses), np.array(self._frames, np.int64))
        self._poses, self._frames = [], []
        self._on_event(Part(PREDICTED, part))
