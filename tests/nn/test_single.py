"""The pipeline for one animal: one instance, or none where there is no animal."""

import numpy as np

from napari_animalpose.config import PredictConfig
from napari_animalpose.nn.models.detectors.single import SingleDetector

POINTS = np.arange(3 * 1 * 4 * 2, dtype=np.float32).reshape(3, 1, 4, 2)


def find(scores, **config):
    """Return what becomes of three frames of four points with these confidences."""
    detector = SingleDetector({"single_instance": None}, PredictConfig(**config))
    return detector.finish((POINTS, np.asarray(scores, np.float32)[:, None]))


def test_faint_points_are_no_animal_and_hidden_ones_no_reason_to_doubt_it():
    found = find(
        [
            [0.9, 0.8, 0.9, 0.7],  # an animal
            [0.9, 0.1, 0.1, 0.0],  # one of whose points three are hidden
            [0.3, 0.3, 0.25, 0.1],  # the highest points of an empty frame
        ]
    )
    np.testing.assert_array_equal(found.points[:2], POINTS[:2])
    assert np.isnan(found.points[2]).all()
    assert np.isnan(found.point_scores[2]).all()


def test_the_limit_holds_for_the_mean_of_the_points_that_are_not_missing():
    scores = [[0.5, 0.3, 0.1, 0.1], [0.5, 0.29, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0]]
    found = find(scores, peak_threshold=0.2, min_mean_confidence=0.4)
    np.testing.assert_array_equal(
        np.isfinite(found.points).all(axis=(1, 2, 3)), [True, False, False]
    )
    found = find(scores, peak_threshold=0.2, min_mean_confidence=0.0)
    np.testing.assert_array_equal(found.points, POINTS)
