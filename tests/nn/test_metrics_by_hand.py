"""Figures of small scenes worked out with paper and pencil, by the constants of SLEAP.

Object keypoint similarity: exp(-d^2 / ((2 * 0.025)^2 * 2 * area)), area = the box around the
true points; mAP and mAR over OKS 0.50, 0.55, ... 0.95 at 101 recalls; PCK strictly below
1, 2, ... 10 px.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.metrics import evaluate, match_centroids, measure_naming

PAIR = Skeleton(("a", "b"), ((0, 1),))
BODY = np.array([[0.0, 0.0], [80.0, 60.0]])  # box 80 x 60: area 4800, diagonal 100
# d^2 of an OKS: -ln(OKS) * 0.05^2 * 2 * 4800 = -24 ln(OKS).


def table(frames, xy, **columns):
    return Poses.from_arrays(PAIR, frame=frames, xy=np.asarray(xy, float), **columns)


def shifted(oks):
    """The body moved in x so far that every point, and so the animal, has this OKS."""
    return BODY + np.array([math.sqrt(-24 * math.log(oks)), 0.0])


def test_similarity_average_precision_and_recall():
    """Three animals; found at OKS 0.97 and 0.72 and not at all.

    Ten thresholds from 0.5 to 0.95: five of them (0.5 to 0.7) accept both, five the first
    alone, which has the higher score. Precision is 1 up to the recall that is reached:
    2/3 (67 of the 101 recalls 0, 0.01, ..., 0.66) or 1/3 (34 of them).
    """
    truth = table([0, 1, 2], [BODY] * 3)
    guess = table([0, 1], [shifted(0.97), shifted(0.72)], score=[0.9, 0.8])
    figures = evaluate(guess, truth).to_dict()
    assert figures["mOKS"] == pytest.approx((0.97 + 0.72) / 2, abs=1e-6)
    assert figures["mAP"] == pytest.approx((5 * 67 + 5 * 34) / 10 / 101)
    assert figures["mAR"] == pytest.approx((5 * 2 / 3 + 5 * 1 / 3) / 10)
    assert figures["mAP_with_false_positives"] == pytest.approx(figures["mAP"])
    assert (figures["n_matched"], figures["n_missed"], figures["n_false_positives"]) == (2, 1, 0)


def test_a_surer_false_positive_costs_precision_at_every_recall():
    """One wrong instance above all: 2 of 3 are right where both are, 1 of 2 elsewhere."""
    truth = table([0, 1, 2], [BODY] * 3)
    guess = table([0, 1, 2], [shifted(0.97), shifted(0.72), BODY + 5000], score=[0.9, 0.8, 0.95])
    figures = evaluate(guess, truth).to_dict()
    assert figures["mAP"] == pytest.approx((5 * 67 + 5 * 34) / 10 / 101)
    expected = (5 * 67 * 2 / 3 + 5 * 34 * 1 / 2) / 10 / 101
    assert figures["mAP_with_false_positives"] == pytest.approx(expected)
    assert (figures["n_missed"], figures["n_false_positives"], figures["n_invented"]) == (1, 1, 0)


def test_an_invented_animal_in_an_empty_frame():
    """The same as above, in a frame of its own that somebody marked as empty."""
    truth = table([0, 1], [BODY] * 2)
    guess = table([0, 1, 7, 7, 8], [BODY] * 5, score=[0.5, 0.5, 0.9, 0.9, 0.9])
    figures = evaluate(guess, truth, frames=[[0, 0], [0, 1], [0, 7], [0, 9]]).to_dict()
    assert figures["mAP"] == 1.0
    assert figures["mAP_with_false_positives"] == pytest.approx(1 / 2)
    assert (figures["n_frames"], figures["n_frames_empty"]) == (4, 2)
    assert (figures["n_frames_invented"], figures["n_invented"]) == (1, 2)
    assert figures["centroid_precision"] == 0.5
    assert figures["false_point_rate"] == 0.5


def test_correct_keypoints_and_their_precision():
    """Errors of 2.5 and 7.5 px: PCK 1, 2 = 0, PCK 3 to 7 = 1/2, PCK 8, 9, 10 = 1.

    The mean is (5 / 2 + 3) / 10 = 0.55, by which SLEAP's pck_voc ranks the pair: above 0.5
    and 0.55 and below the other eight thresholds.
    """
    truth = table([0], [BODY])
    figures = evaluate(table([0], [BODY + np.array([[2.5, 0], [0, 7.5]])]), truth).to_dict()
    assert [figures[f"pck{d}"] for d in range(1, 11)] == [0, 0, *[0.5] * 5, 1, 1, 1]
    assert figures["mpck"] == pytest.approx(0.55)
    assert figures["mAP_by_pck"] == figures["mAR_by_pck"] == pytest.approx(0.2)
    assert figures["error_mean"] == pytest.approx(5.0)
    assert figures["error_p50"] == pytest.approx(5.0)
    assert figures["error_p90"] == pytest.approx(7.0)  # linear between 2.5 and 7.5
    assert figures["nodes"]["a"]["error_p99"] == pytest.approx(2.5)


def test_presence_of_points():
    """Truth has a and b, then a alone; the predictions have a alone, then both."""
    lone = BODY.copy()
    lone[1] = np.nan
    figures = evaluate(table([0, 1], [lone, BODY]), table([0, 1], [BODY, lone])).to_dict()
    assert figures["visibility"] == {"tp": 2, "fp": 1, "tn": 0, "fn": 1}
    assert figures["visibility_precision"] == figures["visibility_recall"] == pytest.approx(2 / 3)


def test_occluded_points_are_reported_apart():
    truth = table(
        [0, 1], [BODY] * 2,
        visibility=[[Visibility.VISIBLE, Visibility.OCCLUDED], [Visibility.VISIBLE] * 2],
    )  # fmt: skip
    guess = table([0, 1], [BODY + np.array([[1, 0], [9, 0]]), BODY + np.array([[2, 0], [3, 0]])])
    figures = evaluate(guess, truth).to_dict()
    assert figures["n_points"] == 4
    assert figures["n_points_occluded"] == 1
    assert figures["error_p50_visible"] == pytest.approx(2.0)
    assert figures["error_p50_occluded"] == pytest.approx(9.0)
    plain = evaluate(guess, table([0, 1], [BODY] * 2)).to_dict()
    assert plain["error_p50_occluded"] is None


# -------------------------------------------------------------------------- centroids
def test_places_count_within_a_quarter_of_the_animal():
    """The diagonal is 100 px, so 25 px: one animal 24 px off, one 26, one for nobody."""
    truth = table([0, 0, 1], [BODY, BODY + 400, BODY])
    guess = table([0, 0, 2], [BODY + np.array([24, 0]), BODY + np.array([400, 426]), BODY])
    figures = evaluate(guess, truth, frames=[[0, 0], [0, 1], [0, 2]]).to_dict()
    assert figures["centroid_distance_px"] == pytest.approx(25.0)
    assert figures["centroid_precision"] == figures["centroid_recall"] == pytest.approx(1 / 3)
    assert figures["centroid_error_p50"] == pytest.approx(24.0)


def test_animals_of_one_point_are_found_within_fifty_pixels():
    point = Skeleton(("p",))
    truth = Poses.from_arrays(point, frame=[0, 0], xy=[[[0.0, 0.0]], [[300.0, 0.0]]])
    guess = Poses.from_arrays(point, frame=[0, 0], xy=[[[49.0, 0.0]], [[351.0, 0.0]]])
    figures = evaluate(guess, truth).to_dict()
    assert figures["centroid_distance_px"] == 50.0
    assert figures["centroid_recall"] == 0.5


def test_one_prediction_is_not_taken_by_the_wrong_of_two_animals():
    """The nearest for both is the middle one; only together do both get one."""
    point = Skeleton(("p",))

    def at(*places):
        return Poses.from_arrays(
            point, frame=np.zeros(len(places), int), xy=[[[x, 0.0]] for x in places]
        )

    found = match_centroids(at(10.0, 19.0), at(0.0, 11.0), 15.0)
    assert sorted(found.errors_px) == [8.0, 10.0]
    assert found.precision == found.recall == 1.0
    assert len(match_centroids(at(10.0, 29.0), at(0.0, 11.0), 15.0).errors_px) == 1


@given(st.integers(0, 2**32 - 1))
def test_as_many_places_as_possible_and_of_these_the_nearest(seed):
    rng = np.random.default_rng(seed)
    point = Skeleton(("p",))
    here, there = rng.uniform(0, 60, (4, 2)), rng.uniform(0, 60, (3, 2))
    tables = [
        Poses.from_arrays(point, frame=np.zeros(len(xy), int), xy=xy[:, None])
        for xy in (here, there)
    ]
    found = match_centroids(*tables, 20.0)
    distance = np.linalg.norm(there[:, None] - here[None], axis=-1)
    near = distance <= 20.0
    most = int(near[linear_sum_assignment(near, maximize=True)].sum())
    assert len(found.errors_px) == most
    rows, columns = linear_sum_assignment(np.where(near, distance, 1e6))
    best = distance[rows, columns][near[rows, columns]].sum()
    assert found.errors_px.sum() == pytest.approx(best, abs=1e-3)


# ------------------------------------------------------------------------- identities
def test_names_of_the_animals_that_were_found():
    """Four animals: one not found, of three found one named right, one wrong, one not."""
    truth = table([0, 0, 1, 1], [BODY, BODY + 400] * 2, track=[0, 1, 0, 1],
                  track_names=["male", "female"])  # fmt: skip
    guess = table([0, 0, 1], [BODY, BODY + 400, BODY], track=[1, 1, -1],
                  track_names=["female", "male"])  # fmt: skip
    figures = measure_naming(guess, truth).to_dict()
    assert figures["identity_accuracy"] == pytest.approx(1 / 3)
    assert figures["class_accuracy"] == pytest.approx(1 / 4)
    assert figures["class_precision"] == pytest.approx(1 / 2)
