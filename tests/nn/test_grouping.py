"""Ideal maps and fields of known animals give these animals back, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError
from napari_animalpose.nn.grouping import Grouping, check_joinable, group_peaks, score_edges
from napari_animalpose.nn.peaks import local_peaks
from napari_animalpose.nn.targets import confidence_maps, part_affinity_fields

STRIDE = 2
SIGMA = 3.0
HALF_WIDTH = 4.0
# A body of five nodes, two legs on each side and a tail; (x, y) in px, head to the right.
NODES = ("thorax", "head", "abdomen", "leg_l", "leg_r", "tail")
EDGES = ((0, 1), (0, 2), (0, 3), (0, 4), (2, 5))
BODY = np.array([[0, 0], [22, 0], [-22, 0], [6, 20], [6, -20], [-44, 0]], np.float32)
SKELETON = Skeleton(NODES, EDGES)
HOW = Grouping(stride=STRIDE, max_edge_px=30, max_gap_px=50)


def place(*poses):
    """Bodies (I, K, 2) at (x, y, degrees)."""
    animals = []
    for x, y, degrees in poses:
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        animals.append(BODY @ np.array([[c, s], [-s, c]]) + (x, y))
    return np.array(animals, np.float32).reshape(-1, len(NODES), 2)


def ideal(xy, skeleton=SKELETON, size=(256, 256), n_peaks=60):
    """Peaks (1, K, P, 2), heights and fields of animals (I, K, 2)."""
    xy = xy[None]
    maps = confidence_maps(xy, *size, STRIDE, SIGMA)
    fields = part_affinity_fields(xy, skeleton.edges, *size, STRIDE, HALF_WIDTH)
    cells, heights = local_peaks(maps, 0.2, n_peaks)
    return cells * STRIDE, heights, fields


def group(xy, how=HOW, skeleton=SKELETON, size=(256, 256)):
    """Animals (I, K, 2) that come back."""
    found = group_peaks(*ideal(xy, skeleton, size), skeleton, how)
    return found.points[0]


def assert_same_animals(found, truth, atol=0.1):
    """As sets: every animal of the one is one of the other, point by point."""
    assert found.shape == truth.shape
    distance = np.abs(np.nan_to_num(found[:, None], nan=-999) - np.nan_to_num(truth, nan=-999))
    distance = distance.max(axis=(2, 3))  # (found, truth)
    assert (distance.min(axis=1) < atol).all()
    assert sorted(distance.argmin(axis=1)) == list(range(len(truth)))


GRID = [(50 + 78 * (i % 3), 45 + 56 * (i // 3), 40 * i) for i in range(12)]
SCENES = {
    "one": [(128, 128, 30)],
    "two": [(60, 60, 0), (180, 180, 200)],
    "five": GRID[:5],
    "ten": GRID[:10],
    "head touches tail": [(80, 128, 0), (150, 128, 0)],
    "side by side": [(128, 100, 0), (128, 122, 0)],
    "face to face": [(100, 128, 0), (162, 128, 180)],
    "crossing at right angles": [(128, 128, 10), (128, 140, 100)],
    "crossing at 45 degrees": [(128, 128, 0), (138, 147, 45)],
    "on top of each other, opposite": [(128, 128, 0), (128, 146, 180)],
}


@pytest.mark.parametrize("scene", SCENES)
def test_animals_come_back(scene):
    truth = place(*SCENES[scene])
    assert_same_animals(group(truth), truth)


def test_animals_cut_by_the_border_come_back_with_the_points_inside():
    truth = place((10, 128, 0), (128, 245, 90))  # one without abdomen and tail, one headless
    inside = (truth >= 0).all(axis=-1) & (truth <= 255).all(axis=-1)
    assert inside.sum(axis=1).tolist() == [4, 5]
    assert_same_animals(group(truth), np.where(inside[..., None], truth, np.nan), 0.5)


@pytest.mark.parametrize("missing", [[1], [5], [3, 4], [1, 3, 5]])
def test_animals_without_outer_points_come_back(missing):
    truth = place(*GRID[:6])
    truth[::2, missing] = np.nan
    assert_same_animals(group(truth), truth)


@pytest.mark.parametrize("missing", [0, 2])
def test_parts_held_apart_by_a_missing_node_are_one_animal(missing):
    truth = place((80, 80, 20), (170, 170, 250))
    truth[0, missing] = np.nan
    if missing == 0:  # what is left are abdomen and tail, and three lone points around them
        assert len(group(truth, Grouping(STRIDE))) == 2
    assert_same_animals(group(truth), truth)


def test_parts_further_apart_than_the_gap_stay_apart():
    truth = place((128, 128, 0))
    truth[0, 2] = np.nan  # the tail is 44 px from the thorax
    assert np.isnan(group(truth, Grouping(STRIDE, max_gap_px=40))[0, 5]).all()
    assert_same_animals(group(truth, Grouping(STRIDE, max_gap_px=45)), truth)


def test_neighbours_that_the_field_keeps_apart_are_not_merged():
    """The gap rule is for missing nodes: here head and thorax are both there."""
    points, heights, fields = ideal(place((128, 128, 0)))
    fields[..., 0, :] = 0.0  # no field from thorax to head
    found = group_peaks(points, heights, fields, SKELETON, HOW)
    assert found.points.shape[1] == 1
    assert np.isnan(found.points[0, 0, 1]).all()


def test_several_trees_and_lone_nodes_join_by_distance():
    skeleton = Skeleton(NODES, ((0, 1), (0, 3), (0, 4)))  # abdomen and tail are alone
    truth = place((60, 60, 10), (170, 170, 100))
    assert_same_animals(group(truth, skeleton=skeleton), truth)


@pytest.mark.parametrize("size", [(256, 256), (8, 8), (2, 2)])
def test_no_animal_gives_none(size):
    empty = np.full((1, len(NODES), 2), np.nan, np.float32)
    assert group_peaks(*ideal(empty, size=size, n_peaks=1), SKELETON, HOW).points.shape[1] == 0


def test_fifty_animals():
    rng = np.random.default_rng(0)
    poses = [(60 + 70 * (i % 8), 60 + 60 * (i // 8), rng.uniform(-20, 20)) for i in range(50)]
    truth = place(*poses)
    parts = ideal(truth, size=(480, 600))
    assert_same_animals(group_peaks(*parts, SKELETON, HOW).points[0], truth)
    best = group_peaks(*parts, SKELETON, Grouping(STRIDE, max_instances=7))
    assert best.points.shape == (1, 7, len(NODES), 2)


def test_plateaus_are_one_point():
    truth = place((80, 80, 0), (170, 160, 90))
    maps = confidence_maps(truth[None], 256, 256, STRIDE, SIGMA)
    cells, heights = local_peaks(np.minimum(maps, 0.7), 0.2, 20)
    fields = part_affinity_fields(truth[None], EDGES, 256, 256, STRIDE, HALF_WIDTH)
    found = group_peaks(cells * STRIDE, heights, fields, SKELETON, HOW)
    assert_same_animals(found.points[0], truth, STRIDE / 2)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_peaks_has_no_meaning(seed):
    rng = np.random.default_rng(seed)
    truth = place(*GRID[:5])
    truth[1, 0] = truth[2, 2] = np.nan
    points, heights, fields = ideal(truth, n_peaks=8)
    expected = group_peaks(points, heights, fields, SKELETON, HOW)
    for node in range(len(NODES)):
        order = rng.permutation(points.shape[2])
        points[:, node], heights[:, node] = points[:, node, order], heights[:, node, order]
    found = group_peaks(points, heights, fields, SKELETON, HOW)
    assert_same_animals(found.points[0], expected.points[0], 1e-6)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_noise_invents_no_animal(seed, count):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 255, (1, len(NODES), count, 2)).astype(np.float32)
    heights = rng.uniform(0.2, 1, points.shape[:3]).astype(np.float32)
    noise = rng.normal(0, 0.1, (1, 128, 128, len(EDGES), 2)).astype(np.float32)
    # Points of an edge within a cell of each other are joined without asking the field.
    near = np.linalg.norm(points[:, :, :, None, None] - points[:, None, None], axis=-1) < STRIDE
    near = near.transpose(0, 1, 3, 2, 4)[:, [a for a, _ in EDGES], [b for _, b in EDGES]]
    found = group_peaks(points, heights, noise, SKELETON, HOW)
    assert found.points.shape[1] <= near.sum()


def test_noise_peaks_beside_an_animal_stay_out():
    truth = place((128, 128, 0))
    points, heights, fields = ideal(truth, n_peaks=4)
    points[0, :, 1:] = np.random.default_rng(0).uniform(0, 255, (len(NODES), 3, 2))
    heights[0, :, 1:] = 0.9
    assert_same_animals(group_peaks(points, heights, fields, SKELETON, HOW).points[0], truth)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 360)), min_size=1, max_size=5))
def test_frames_of_a_batch_do_not_mix(poses):
    """Frames with different numbers of animals give the same together as alone."""
    frames = [place(*((60 + 65 * i, 128, angle) for i in range(n))) for n, angle in poses]
    parts = [ideal(f if len(f) else np.full((1, len(NODES), 2), np.nan)) for f in frames]
    batch = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    together = group_peaks(*batch, SKELETON, HOW)
    for n, part in enumerate(parts):
        alone = group_peaks(*part, SKELETON, HOW)
        count = alone.points.shape[1]
        np.testing.assert_array_equal(together.points[n, :count], alone.points[0])
        np.testing.assert_array_equal(together.scores[n, :count], alone.scores[0])
        assert np.isnan(together.points[n, count:]).all()
        assert np.isnan(together.scores[n, count:]).all()
        assert (together.peaks[n, count:] == -1).all()


# ------------------------------------------------------------------- scores in closed form
def uniform_field(x, y, n_edges=1):
    field = np.zeros((1, 32, 32, n_edges, 2), np.float32)
    field[...] = (x, y)
    return field


PAIR = np.array([[0, 1]])


@pytest.mark.parametrize("degrees", [0, 30, 90, 180])
def test_the_score_is_the_cosine_to_the_field(degrees):
    angle = np.deg2rad(degrees)
    points = np.array([[[[30, 30]], [[30 + 20 * np.cos(angle), 30 + 20 * np.sin(angle)]]]])
    how = Grouping(STRIDE)
    scores, support = score_edges(points.astype(np.float32), uniform_field(1, 0), PAIR, how)
    assert scores[0, 0, 0, 0] == pytest.approx(np.cos(angle), abs=1e-6)
    assert support[0, 0, 0, 0] == (np.cos(angle) > how.min_sample_score)


def test_the_field_is_interpolated_between_cells():
    """A field that grows linearly in x has, along any line, the value of its middle."""
    field = uniform_field(0, 0)
    field[..., 0] = np.arange(32)[None, None, :, None]
    points = np.array([[[[11.3, 20.7]], [[30.1, 20.7]]]], np.float32)
    scores, _ = score_edges(points, field, PAIR, Grouping(STRIDE))
    assert scores[0, 0, 0, 0] == pytest.approx((11.3 + 30.1) / 2 / STRIDE, rel=1e-5)


def test_length_costs():
    points = np.array([[[[5, 5]], [[45, 5]]]], np.float32)
    how = Grouping(STRIDE, max_edge_px=30, penalty_weight=0.5)
    scores, _ = score_edges(points, uniform_field(1, 0), PAIR, how)
    assert scores[0, 0, 0, 0] == pytest.approx(1 + 0.5 * (30 / 40 - 1))


def test_a_line_with_a_gap_is_not_joined():
    """Thorax of one animal, head of the next in line: the field is there on both ends."""
    field = uniform_field(1, 0)
    field[:, :, 9:21] = 0.0
    points = np.array([[[[2, 20]], [[60, 20]]]], np.float32)
    scores, support = score_edges(points, field, PAIR, Grouping(STRIDE))
    assert scores[0, 0, 0, 0] > 0.5
    assert support[0, 0, 0, 0] < Grouping().min_support
    two = Skeleton(("a", "b"), ((0, 1),))
    found = group_peaks(points, np.ones((1, 2, 1)), field, two, Grouping(STRIDE))
    assert found.points.shape[1] == 0


def test_points_on_top_of_each_other_are_joined():
    points = np.array([[[[20, 20]], [[20, 20]]]], np.float32)
    two = Skeleton(("a", "b"), ((0, 1),))
    found = group_peaks(points, np.ones((1, 2, 1)), uniform_field(0, 0), two, Grouping(STRIDE))
    assert found.points.shape[1] == 1


def test_the_best_sum_of_scores_wins_over_the_best_pair():
    """Both sources prefer the same destination; only one way leaves nobody alone."""
    field = uniform_field(0, 0, 1)
    field[0, :10, :, 0, 0] = 1.0
    field[0, :, :, 0, 0] = np.linspace(1.0, 0.2, 32)[:, None]
    points = np.array([[[[10, 10], [10, 30]], [[40, 10], [40, 30]]]], np.float32)
    two = Skeleton(("a", "b"), ((0, 1),))
    found = group_peaks(
        points, np.ones((1, 2, 2)), field, two, Grouping(STRIDE), return_candidates=True
    )
    assert np.array_equal(found.candidates.joined[0, 0], np.eye(2, dtype=bool))


def test_scores_of_instances_and_candidates():
    truth = place((80, 80, 0), (170, 170, 45))
    truth[1, 5] = np.nan
    points, heights, fields = ideal(truth, n_peaks=5)
    found = group_peaks(points, heights, fields, SKELETON, HOW, return_candidates=True)
    candidates = found.candidates
    assert candidates.scores.shape == (1, len(EDGES), 2, 2)  # empty slots are cut off
    assert candidates.joined.sum() == 9
    for i in range(2):
        edges = [
            candidates.scores[0, e, found.peaks[0, i, a], found.peaks[0, i, b]]
            for e, (a, b) in enumerate(EDGES)
            if found.peaks[0, i, [a, b]].min() >= 0
        ]
        expected = (sum(edges) + np.nansum(found.point_scores[0, i])) / (len(NODES) + len(EDGES))
        assert found.scores[0, i] == pytest.approx(expected, rel=1e-5)
    assert found.scores[0, 0] > found.scores[0, 1]
    assert np.isnan(candidates.scores[0, 4]).any()  # the second animal has no tail


def test_least_number_of_points():
    truth = place((60, 60, 0), (180, 180, 0))
    truth[1, [1, 3, 4, 5]] = np.nan
    assert len(group(truth, Grouping(STRIDE, min_points=3))) == 1
    truth[1, 2] = np.nan
    assert len(group(truth, Grouping(STRIDE, min_points=2))) == 1
    assert len(group(truth, Grouping(STRIDE, min_points=1))) == 2


@pytest.mark.parametrize(
    ("edges", "what"),
    [(((0, 1), (1, 2), (2, 0)), "cycle"), (((0, 2), (1, 2)), "two edges into"), ((), "edges")],
)
def test_skeletons_that_cannot_be_joined(edges, what):
    with pytest.raises(DataError, match=what):
        check_joinable(Skeleton(("a", "b", "c"), edges))


def test_a_faint_peak_on_the_way_does_not_take_the_place_of_a_high_one():
    points = np.array([[[[10, 10], [50, 10]], [[40, 10], [30, 10]]]], np.float32)
    points[0, 0, 1] = np.nan  # one source, two destinations on one line
    heights = np.array([[[0.9, 0.0], [0.9, 0.3]]], np.float32)
    two = Skeleton(("a", "b"), ((0, 1),))
    field = uniform_field(1, 0)
    field[..., 0] -= np.linspace(0, 0.1, 32, dtype=np.float32)[None, None, :, None]
    scores, _ = score_edges(points, field, PAIR, Grouping(STRIDE))
    assert scores[0, 0, 0, 1] > scores[0, 0, 0, 0]
    found = group_peaks(points, heights, field, two, Grouping(STRIDE))
    np.testing.assert_array_equal(found.points[0], [[[10, 10], [40, 10]]])


def test_animals_of_faint_peaks_are_left_out():
    truth = place((60, 60, 0), (180, 180, 0))
    points, heights, fields = ideal(truth)
    near = points[..., 0] < 120
    heights[near] = 0.3
    heights[0, 0][near[0, 0]] = 0.9
    found = group_peaks(points, heights, fields, SKELETON, Grouping(STRIDE, min_mean_height=0.5))
    assert_same_animals(found.points[0], truth[1:])
    both = group_peaks(points, heights, fields, SKELETON, Grouping(STRIDE, min_mean_height=0.35))
    assert_same_animals(both.points[0], truth)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_without_hopeless_pairs_the_animals_are_the_same(seed, min_support):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 120, (2, len(NODES), 7, 2)).astype(np.float32)
    points[rng.random(points.shape[:3]) < 0.2] = np.nan
    values = np.where(np.isfinite(points[..., 0]), rng.uniform(0.2, 1, points.shape[:3]), 0)
    coarse = rng.normal(0, 0.8, (2, 8, 8, len(EDGES), 2)).astype(np.float32)
    fields = np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2)
    how = Grouping(STRIDE, min_support=min_support, max_gap_px=30, ghost_px=5)
    edges = SKELETON.edge_array
    scores, support = score_edges(points, fields, edges, how)
    few, few_support = score_edges(points, fields, edges, how, hopeless=False)
    known = np.isfinite(few)
    np.testing.assert_array_equal(few[known], scores[known])
    np.testing.assert_array_equal(few_support[known], support[known])
    assert not (support[~known & np.isfinite(support)] >= min_support).any()
    found = group_peaks(points, values, fields, SKELETON, how)
    shown = group_peaks(points, values, fields, SKELETON, how, return_candidates=True)
    np.testing.assert_array_equal(found.peaks, shown.peaks)
    np.testing.assert_array_equal(found.scores, shown.scores)


def test_ghosts_are_left_out_before_the_animals_are_counted():
    """Second peaks at the points of other nodes are joined to an animal on top of the real one."""
    truth = place((60, 60, 0), (180, 180, 0))
    points, values, fields = ideal(truth, n_peaks=4)
    mirrored = place((60, 60, 0), (180, 180, 0))[:, [0, 1, 2, 4, 3, 5]] + 1.5
    points[0, :, 2:4], values[0, :, 2:4] = mirrored.transpose(1, 0, 2), 0.3
    # Legs are near enough that the field of the one leads to the other, too.
    plain = group_peaks(points, values, fields, SKELETON, Grouping(STRIDE))
    assert len(plain.peaks[0]) > 2
    for most in (0, 2):
        how = Grouping(STRIDE, ghost_px=4.5, max_instances=most)
        assert_same_animals(group_peaks(points, values, fields, SKELETON, how).points[0], truth)


def test_animals_of_a_few_faint_points_are_left_out():
    """Two points at .5 joined with 1 are 2 of the 11 parts of an animal."""
    truth = place((60, 60, 0), (180, 180, 0))
    truth[1, 2:] = np.nan
    points, values, fields = ideal(truth)
    values = np.where(values > 0, 0.5, 0).astype(np.float32)
    for least, count in ((0.0, 2), (0.17, 2), (0.2, 1), (0.9, 0)):
        found = group_peaks(points, values, fields, SKELETON, Grouping(STRIDE, min_score=least))
        assert found.points.shape[1] == count, least
    scores = group_peaks(points, values, fields, SKELETON, Grouping(STRIDE)).scores
    np.testing.assert_allclose(scores, [[(6 * 0.5 + 5) / 11, 2 / 11]], atol=0.02)
