"""Metrics against closed forms and against definitions written out one by one."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError
from napari_animalpose.nn.metrics import (
    OKS_THRESHOLDS,
    compute_areas,
    compute_oks,
    compute_precision_recall,
    evaluate,
    match_instances,
)

SKELETON = Skeleton(("nose", "neck", "tail"), ((0, 1), (1, 2)))
ANIMAL = np.array([[0.0, 0.0], [20.0, 10.0], [60.0, 40.0]])  # area 2400, diagonal sqrt(5200)


def table(frames, xy, score=np.nan, skeleton=SKELETON, video=0):
    return Poses.from_arrays(
        skeleton, frame=np.asarray(frames), xy=np.asarray(xy), score=score, video=video
    )


def random_tables(seed, n_frames=6, gap=0.2):
    """Truth and predictions that are missing, doubled, shifted or broken at random."""
    rng = np.random.default_rng(seed)
    frames, truth, predicted_frames, predicted = [], [], [], []
    for frame in range(n_frames):
        for _ in range(rng.integers(0, 4)):
            animal = ANIMAL + rng.uniform(0, 120, 2)
            frames.append(frame)
            truth.append(np.where(rng.random((3, 1)) < gap, np.nan, animal))
            for _ in range(rng.choice(3, p=[0.2, 0.7, 0.1])):
                moved = animal + rng.normal(0, rng.choice([0.5, 3.0, 10.0]), (3, 2))
                predicted_frames.append(frame)
                predicted.append(np.where(rng.random((3, 1)) < gap, np.nan, moved))
    truth.append(ANIMAL)  # one animal at least
    frames.append(0)
    xy = np.reshape(predicted, (-1, 3, 2))
    return table(predicted_frames, xy, rng.permutation(len(xy)) / 100), table(frames, truth)


# ------------------------------------------------------------------------- similarity
def oks_by_hand(truth, predicted, area):
    similarities = []
    for a, b in zip(truth, predicted, strict=True):
        if not np.isnan(a).any():
            d2 = ((a - b) ** 2).sum()
            missing = np.isnan(b).any()
            similarities.append(0.0 if missing else math.exp(-d2 / (0.05**2 * 2 * area)))
    return sum(similarities) / len(similarities)


def test_similarity_follows_its_formula():
    shifted = ANIMAL + np.array([3.0, 4.0])  # 5 px off
    expected = math.exp(-25 / (0.05**2 * 2 * 2400))
    assert compute_oks([ANIMAL], [shifted]).item() == pytest.approx(expected)
    assert compute_oks([ANIMAL], [ANIMAL]).item() == 1.0


def test_missing_points_count_as_the_definition_says():
    one_missing = ANIMAL.copy()
    one_missing[1] = np.nan
    assert compute_oks([ANIMAL], [one_missing]).item() == pytest.approx(2 / 3)
    assert compute_oks([one_missing], [ANIMAL]).item() == 1.0


def test_an_instance_without_points_resembles_nothing():
    assert compute_oks([np.full((3, 2), np.nan)], [ANIMAL]).item() == 0.0


def test_an_empty_box_needs_an_area():
    point, near = [[[5.0, 5.0]]], [[[6.0, 5.0]]]
    assert compute_areas(point).item() == 0.0
    assert compute_oks(point, point).item() == 1.0
    assert compute_oks(point, near).item() == 0.0
    assert compute_oks(point, near, area_px2=[200.0]).item() == pytest.approx(math.exp(-1))


def test_areas_ignore_missing_points():
    xy = np.array([ANIMAL, ANIMAL])
    xy[1, 2] = np.nan
    np.testing.assert_allclose(compute_areas(xy), [2400.0, 200.0])


# --------------------------------------------------------------------------- matching
def test_the_highest_score_chooses_first():
    oks = np.array([[0.9, 0.8], [0.0, 0.7]])
    truth, predicted = match_instances(oks, np.array([0.2, 0.6]))
    assert list(zip(truth, predicted, strict=True)) == [(0, 1)]
    truth, predicted = match_instances(oks, np.array([0.6, 0.2]))
    assert list(zip(truth, predicted, strict=True)) == [(0, 0), (1, 1)]


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_order_of_instances_does_not_change_the_pairs(seed, scored):
    rng = np.random.default_rng(seed)
    oks = rng.random((3, 4)) * (rng.random((3, 4)) < 0.7)
    scores = rng.random(4) if scored else np.full(4, np.nan)
    rows, columns = rng.permutation(3), rng.permutation(4)
    pairs = set(zip(*match_instances(oks, scores), strict=True))
    truth, predicted = match_instances(oks[rows][:, columns], scores[columns])
    assert set(zip(rows[truth], columns[predicted], strict=True)) == pairs


# -------------------------------------------------------------------------- precision
def precision_by_hand(pairs, n_truth):
    """mAP and mAR from (oks, score) pairs, one threshold and one recall at a time."""
    ranked = [oks for oks, _ in sorted(pairs, key=lambda pair: -pair[1])]
    precisions, recalls = [], []
    for threshold in OKS_THRESHOLDS:
        curve = []
        for n in range(1, len(ranked) + 1):
            right = sum(oks >= threshold for oks in ranked[:n])
            curve.append((right / n_truth, right / n))
        precisions.extend(
            max([p for recall, p in curve if recall >= wanted], default=0.0)
            for wanted in np.linspace(0, 1, 101)
        )
        recalls.append(curve[-1][0] if curve else 0.0)
    return np.mean(precisions), np.mean(recalls)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 8), st.integers(0, 5))
def test_precision_and_recall_follow_their_definition(seed, n_pairs, n_missed):
    rng = np.random.default_rng(seed)
    oks, scores = rng.uniform(0.3, 1.0, n_pairs), rng.permutation(n_pairs).astype(float)
    n_truth = max(n_pairs + n_missed, 1)
    found = compute_precision_recall(oks, scores, n_truth)
    precision, recall = precision_by_hand(list(zip(oks, scores, strict=True)), n_truth)
    assert found.mean_precision == pytest.approx(precision)
    assert found.mean_recall == pytest.approx(recall)


def test_a_wrong_prediction_costs_precision_by_its_rank():
    def precision_at_half(oks, scores):
        return compute_precision_recall(oks, scores, 2).precision[0]

    assert precision_at_half([1.0, 1.0, 0.0], [0.9, 0.8, 0.1]) == 1.0
    assert precision_at_half([1.0, 1.0, 0.0], [0.2, 0.1, 0.9]) == pytest.approx(2 / 3)
    assert precision_at_half([1.0, 1.0, 0.0], [0.2, 0.1, np.nan]) == 1.0


# ------------------------------------------------------------------------- evaluation
def test_a_perfect_prediction_is_perfect():
    _, truth = random_tables(0)
    figures = evaluate(truth, truth).to_dict()
    for key in ("mOKS", "mAP", "mAR", "mAP_with_false_positives", "pck1", "mpck"):
        assert figures[key] == 1.0, key
    for key in ("error_mean", "error_p50", "error_p99", "n_missed", "n_false_positives"):
        assert figures[key] == 0.0, key
    assert figures["visibility_precision"] == figures["visibility_recall"] == 1.0


@given(st.floats(0.1, 9.9), st.floats(0, 2 * math.pi))
def test_a_shift_is_the_error_of_every_point(distance, angle):
    truth = table([0, 3], [ANIMAL, ANIMAL + 200])
    shift = distance * np.array([math.cos(angle), math.sin(angle)])
    found = evaluate(truth.replace(xy=truth.xy + shift), truth)
    np.testing.assert_allclose(found.errors_px, distance, atol=1e-4)
    np.testing.assert_allclose(found.error_percentiles, distance, atol=1e-4)
    assert found.error_mean == pytest.approx(distance, abs=1e-4)
    if abs(distance - round(distance)) > 1e-3:
        assert found.mpck == pytest.approx((10 - math.floor(distance)) / 10)


def test_pck_is_strict():
    truth = table([0], [ANIMAL])
    found = evaluate(table([0], [ANIMAL + np.array([3.0, 4.0])]), truth)
    assert found.pck(5.0) == 0.0
    assert found.pck(5.1) == 1.0


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_evaluation_follows_its_definitions(seed):
    """A second implementation with loops over frames, instances and points."""
    predicted, truth = random_tables(seed)
    errors, pairs, ranked_all, n_points, n_truth, n_predicted = [], [], [], 0, 0, 0
    with_points = [xy for xy in truth.xy.astype(float) if not np.isnan(xy).all()]
    sizes = [np.ptp(xy[~np.isnan(xy[:, 0])], axis=0) for xy in with_points]
    areas = [width * height for width, height in sizes if width * height > 0]
    for frame in truth.frames():
        animals = [a.astype(float) for a in truth.at(0, frame).xy if not np.isnan(a).all()]
        rows = predicted.at(0, frame)
        n_truth += len(animals)
        n_points += sum((~np.isnan(a[:, 0])).sum() for a in animals)
        for row in np.argsort(-rows.score):
            guess, score = rows.xy[row].astype(float), rows.score[row]
            if np.isnan(guess).all():
                continue
            n_predicted += 1
            oks = []
            for animal in animals:
                area = np.prod(np.ptp(animal[~np.isnan(animal[:, 0])], axis=0))
                oks.append(oks_by_hand(animal, guess, area or np.median(areas)))
            best = int(np.argmax(oks)) if oks else -1
            matched = best >= 0 and oks[best] > 0
            ranked_all.append((oks[best] if matched else 0.0, score))
            if matched:
                pairs.append(ranked_all[-1])
                errors.extend(np.linalg.norm(animals.pop(best) - guess, axis=1))
    errors = np.array(errors)[~np.isnan(errors)]
    found = evaluate(predicted, truth)
    assert (found.n_truth, found.n_predicted, found.n_matched) == (n_truth, n_predicted, len(pairs))
    np.testing.assert_allclose(
        np.sort(found.errors_px[~np.isnan(found.errors_px)]), np.sort(errors), atol=1e-6
    )
    assert found.pck(5.0) == pytest.approx((errors < 5).sum() / n_points)
    precision, recall = precision_by_hand(pairs, n_truth)
    assert found.ranking.mean_precision == pytest.approx(precision)
    assert found.ranking.mean_recall == pytest.approx(recall)
    with_false_positives = precision_by_hand(ranked_all, n_truth)[0]
    assert found.ranking_with_false_positives.mean_precision == pytest.approx(with_false_positives)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_order_of_rows_changes_nothing(seed):
    predicted, truth = random_tables(seed)
    rng = np.random.default_rng(seed)

    def shuffled(poses):
        order = rng.permutation(len(poses))
        return table(poses.frame[order], poses.xy[order], poses.score[order])

    before = evaluate(predicted, truth).to_dict()
    after = evaluate(shuffled(predicted), shuffled(truth)).to_dict()
    for nested in ("nodes", "visibility"):
        assert json.dumps(after.pop(nested)) == json.dumps(before.pop(nested))
    assert after == pytest.approx(before)


def test_a_false_positive_lowers_only_the_figures_that_count_it():
    truth = table([0, 1], [ANIMAL, ANIMAL])
    before = table([0, 1], [ANIMAL, ANIMAL], [0.5, 0.6])
    after = table([0, 1, 1], [ANIMAL, ANIMAL, ANIMAL + 500], [0.5, 0.6, 0.9])
    old, new = evaluate(before, truth).to_dict(), evaluate(after, truth).to_dict()
    assert new["mAP"] == old["mAP"] == 1.0
    assert new["mAP_with_false_positives"] == pytest.approx(2 / 3)
    assert new["n_false_positives"] == 1
    assert new["false_point_rate"] == pytest.approx(3 / 9)
    assert new["pck5"] == old["pck5"]


def test_frames_without_a_prediction_are_misses():
    truth = table([0, 1, 1, 2], [ANIMAL, ANIMAL, ANIMAL + 200, ANIMAL])
    found = evaluate(table([1, 7], [ANIMAL, ANIMAL]), truth)
    assert (found.n_frames, found.n_frames_missed) == (3, 2)
    assert (found.n_truth, found.n_predicted, found.n_matched) == (4, 1, 1)
    assert found.ranking.mean_recall == 0.25
    assert found.pck(5.0) == 0.25
    assert found.error_mean == 0.0
    assert found.n_points_missed.tolist() == [3, 3, 3]


def test_only_the_frames_asked_for_count():
    truth = table([0, 1], [ANIMAL, ANIMAL])
    predicted = table([0, 1, 5], [ANIMAL + 1, ANIMAL + 2, ANIMAL])
    found = evaluate(predicted, truth, frames=[[0, 1], [0, 5]])
    assert (found.n_frames, found.n_truth, found.n_predicted, found.n_matched) == (2, 1, 2, 1)
    assert found.error_mean == pytest.approx(math.sqrt(8))


def test_videos_are_kept_apart():
    truth = table([4, 4], [ANIMAL, ANIMAL + 300], video=[0, 1])
    predicted = table([4, 4], [ANIMAL, ANIMAL + 300], video=[1, 0])
    assert evaluate(predicted, truth).n_matched == 0
    assert evaluate(truth, truth).n_matched == 2


def test_points_by_presence():
    true_xy, predicted_xy = ANIMAL.copy(), ANIMAL.copy()
    true_xy[0], predicted_xy[1] = np.nan, np.nan
    found = evaluate(table([0], [predicted_xy]), table([0], [true_xy]))
    assert found.visibility == {"tp": 1, "fp": 1, "tn": 0, "fn": 1}
    assert found.visibility_precision == found.visibility_recall == 0.5
    assert found.n_points_missed.tolist() == [0, 1, 0]
    assert np.isnan(found.pck_per_node[0]).all()
    assert found.pck_per_node[1:, 4].tolist() == [0.0, 1.0]
    assert found.pck(5.0) == 0.5  # of the two labelled points


def test_figures_relative_to_the_size_of_the_animal():
    truth = table([0], [ANIMAL])
    size = math.sqrt(5200)
    found = evaluate(table([0], [ANIMAL + np.array([0.07 * size, 0.0])]), truth)
    assert found.animal_size_px == pytest.approx(size)
    figures = found.to_dict()
    assert figures["error_p50_of_size"] == pytest.approx(0.07, abs=1e-6)
    assert figures["pck_5_percent_of_size"] == 0.0
    assert figures["pck_10_percent_of_size"] == 1.0


def test_one_visible_point_is_matched_at_the_size_of_the_others():
    lone = np.full((3, 2), np.nan)
    lone[1] = [20.0, 10.0]
    found = evaluate(table([0, 1], [ANIMAL, lone + 1]), table([0, 1], [ANIMAL, lone]))
    expected = math.exp(-2 / (0.05**2 * 2 * 2400))
    np.testing.assert_allclose(found.oks, [1.0, expected], rtol=1e-6)


def test_a_skeleton_of_one_point_has_errors_too():
    point = Skeleton(("centre",))
    truth = table([0, 1], [[[10.0, 10.0]], [[90.0, 40.0]]], skeleton=point)
    found = evaluate(table([0, 1], truth.xy + np.array([0.0, 2.0]), skeleton=point), truth)
    assert found.error_mean == pytest.approx(2.0)
    assert math.isnan(found.animal_size_px)
    assert found.to_dict()["animal_size_px"] is None


def test_nodes_are_matched_by_name():
    order = [2, 0, 1]
    turned = Skeleton(tuple(SKELETON.nodes[i] for i in order))
    found = evaluate(table([0], [ANIMAL[order]], skeleton=turned), table([0], [ANIMAL]))
    assert found.error_mean == 0.0


def test_other_nodes_are_refused():
    other = table([0], [ANIMAL], skeleton=Skeleton(("a", "b", "c")))
    with pytest.raises(DataError, match="Expected predictions of the nodes nose, neck, tail"):
        evaluate(other, table([0], [ANIMAL]))


def test_nothing_labelled_is_refused():
    truth = table([0], [ANIMAL])
    with pytest.raises(DataError, match="at least one labelled point"):
        evaluate(truth, truth, frames=[[0, 9]])


def test_no_prediction_gives_figures_and_valid_json():
    figures = evaluate(Poses.empty(SKELETON), table([0], [ANIMAL])).to_dict()
    assert figures["mAP"] == figures["mAR"] == figures["pck5"] == 0.0
    assert figures["error_p50"] is figures["mOKS"] is None
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
