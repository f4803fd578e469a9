"""How often animals have their right names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_animalpose.data.poses import Poses
from napari_animalpose.nn.metrics.matching import match_frames

__all__ = ["Naming", "measure_naming"]


@dataclass(frozen=True)
class Naming:
    """Names of predicted animals against those of the truth.

    Parameters
    ----------
    n_named_truth : int
        True instances with a track.
    n_right, n_wrong, n_without_name : int
        Those of them that were found with their own name, with another, without any. The
        rest were not found.
    """

    n_named_truth: int
    n_right: int
    n_wrong: int
    n_without_name: int

    @property
    def accuracy(self) -> float:
        """Share of the true instances that were found and have their own name; NaN of none."""
        return self.n_right / self.n_named_truth if self.n_named_truth else math.nan

    @property
    def accuracy_of_found(self) -> float:
        """Share of the true instances that were found that have their own name; NaN of none."""
        found = self.n_right + self.n_wrong + self.n_without_name
        return self.n_right / found if found else math.nan

    @property
    def precision(self) -> float:
        """Share of the given names that are right; NaN where none was given."""
        given = self.n_right + self.n_wrong
        return self.n_right / given if given else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain numbers, None in place of NaN."""
        return {
            "class_accuracy": None if math.isnan(self.accuracy) else self.accuracy,
            "identity_accuracy": (
                None if math.isnan(self.accuracy_of_found) else self.accuracy_of_found
            ),
            "class_precision": None if math.isnan(self.precision) else self.precision,
            "n_named_right": self.n_right,
            "n_named_wrong": self.n_wrong,
            "n_without_name": self.n_without_name,
        }


def measure_naming(predicted: Poses, truth: Poses) -> Naming:
    """Compare the track names of predictions with those of the true instances they match.

    Which prediction stands for which true instance is decided by their points alone
    (`match_frames`). The same name counts as right: this is about animals that are known
    individually, not about the numbers that a tracker gives.

    Parameters
    ----------
    predicted, truth : Poses
        Of the same nodes in the same order; video and frame numbers mean the same.
    """
    pairs = match_frames(predicted, truth)
    true_names = np.array([*truth.track_names, ""], object)[truth.track]
    found_names = np.array([*predicted.track_names, ""], object)[predicted.track]
    known = truth.track[pairs.truth] >= 0
    rows, columns = pairs.truth[known], pairs.predicted[known]
    named = predicted.track[columns] >= 0
    right = named & (true_names[rows] == found_names[columns])
    return Naming(
        n_named_truth=int((truth.track >= 0).sum()),
        n_right=int(right.sum()),
        n_wrong=int((named & ~right).sum()),
        n_without_name=int((~named).sum()),
    )
