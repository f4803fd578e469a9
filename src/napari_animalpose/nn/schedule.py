"""How far a training run is, and what follows from it: learning rate, time left, the end."""

from __future__ import annotations

import math
import time

from napari_animalpose.config import TrainConfig

__all__ = ["Schedule"]


class Schedule:
    """Linear warm-up by steps, or by time where steps are slow, then cosine annealing to the end.

    Whichever of the two limits comes first rules: with `max_minutes` the learning rate
    reaches its end just when the time is over, so that a run cut to four minutes is a
    complete run and not the beginning of a longer one.

    Parameters
    ----------
    config : TrainConfig
    steps_per_epoch : int
    started : float
        `time.monotonic` of the beginning that `max_minutes` counts from.
    reserve_s : float
        Seconds to keep for the last validation and for saving.
    """

    FLOOR = 0.01  # of the peak learning rate, where annealing ends
    WARMUP = 0.1  # of the run: in a short one, or a slow one, the warm-up takes no more

    def __init__(
        self, config: TrainConfig, steps_per_epoch: int, started: float, reserve_s: float = 0.0
    ) -> None:
        self.peak = config.learning_rate
        self.warmup_steps = config.warmup_steps
        self.total_steps = config.epochs * steps_per_epoch
        self.started = started
        self.limit_s = config.max_minutes * 60
        self.reserve_s = reserve_s
        self._first_step: float | None = None

    def begin(self) -> None:
        """Note that steps start now: what was before (building, compiling) is no progress."""
        self._first_step = time.monotonic()

    def progress(self, step: int) -> float:
        """Return how much of the run is done, 0 to 1."""
        done = step / self.total_steps
        if not self.limit_s or self._first_step is None:
            return min(1.0, done)
        since = self._first_step
        available = self.started + self.limit_s - self.reserve_s - since
        passed = time.monotonic() - since
        by_time = 1.0 if available <= 0 else passed / available
        return min(1.0, max(done, by_time))

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        progress = self.progress(step)
        annealed = 0.5 * (1 + math.cos(math.pi * progress))
        rate = self.peak * (self.FLOOR + (1 - self.FLOOR) * annealed)
        warm = max((step + 1) / max(1, self.warmup_steps), progress / self.WARMUP)
        return rate * min(1.0, warm)

    def is_over(self, step: int) -> bool:
        """Return whether the last step or the last moment has come."""
        return self.progress(step) >= 1.0

    def seconds_left(self, step: int) -> float:
        """Return the estimated time to the end; NaN before the first steps."""
        if self._first_step is None:
            return math.nan
        since = self._first_step
        passed, done = time.monotonic() - since, self.progress(step)
        return math.nan if done <= 0 else passed * (1 - done) / done
