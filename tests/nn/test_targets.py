"""Targets against their formulas, written out cell by cell."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_animalpose.nn.targets import confidence_maps, part_affinity_fields

HEIGHT, WIDTH = 21, 30
instances = arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.just(3), st.just(2)),
    elements=st.one_of(st.floats(-5, 35, width=32), st.just(np.nan)),
)


@settings(max_examples=40)
@given(instances, st.sampled_from([1, 2, 4]), st.floats(0.7, 8.0))
def test_confidence_maps_follow_their_formula(xy, stride, sigma):
    maps = confidence_maps(xy, HEIGHT, WIDTH, stride, sigma)
    assert maps.shape == (math.ceil(HEIGHT / stride), math.ceil(WIDTH / stride), 3)
    rows, columns = np.indices(maps.shape[:2]) * stride
    for k in range(3):
        expected = np.zeros(maps.shape[:2])
        for x, y in xy[:, k]:
            if not (np.isnan(x) or np.isnan(y)):
                distance2 = (columns - x) ** 2 + (rows - y) ** 2
                expected = np.maximum(expected, np.exp(-distance2 / (2 * sigma**2)))
        np.testing.assert_allclose(maps[..., k], expected, atol=1e-9)


def test_the_peak_is_one_on_the_cell_of_the_point():
    maps = confidence_maps(np.array([[[8.0, 4.0]]]), HEIGHT, WIDTH, 4, 2.0)
    assert maps[1, 2, 0] == maps.max() == 1.0


def test_leading_axes_are_independent():
    xy = np.random.default_rng(0).uniform(0, 20, (2, 3, 2, 4, 2)).astype(np.float32)
    maps = confidence_maps(xy, HEIGHT, WIDTH, 2, 3.0)
    fields = part_affinity_fields(xy, [(0, 1), (2, 3)], HEIGHT, WIDTH, 2, 3.0)
    assert maps.shape == (2, 3, 11, 15, 4)
    assert fields.shape == (2, 3, 11, 15, 2, 2)
    assert maps.dtype == fields.dtype == np.float32
    np.testing.assert_array_equal(maps[1, 2], confidence_maps(xy[1, 2], HEIGHT, WIDTH, 2, 3.0))


def field_by_hand(xy, edge, stride, half_width, shape):
    """Sum over instances, each cell by the distance to the nearest point of the segment."""
    field = np.zeros((*shape, 2))
    for instance in xy:
        source, destination = instance[edge[0]], instance[edge[1]]
        length = np.linalg.norm(destination - source)
        if not length > 0:
            continue
        unit = (destination - source) / length
        for i, j in np.ndindex(shape):
            cell = np.array([j * stride, i * stride])
            nearest = source + np.clip((cell - source) @ unit, 0, length) * unit
            distance = np.linalg.norm(cell - nearest)
            field[i, j] += unit * 0.5 ** ((distance / half_width) ** 2)
    norm = np.linalg.norm(field, axis=-1, keepdims=True)
    return field / np.maximum(norm, 1.0)


@settings(max_examples=20)
@given(instances, st.sampled_from([2, 4]), st.floats(1.0, 8.0))
def test_part_affinity_fields_follow_their_formula(xy, stride, half_width):
    edges = [(0, 1), (2, 1)]
    fields = part_affinity_fields(xy, edges, HEIGHT, WIDTH, stride, half_width)
    for e, edge in enumerate(edges):
        expected = field_by_hand(xy, edge, stride, half_width, fields.shape[:2])
        np.testing.assert_allclose(fields[..., e, :], expected, atol=1e-6)


def test_field_is_the_unit_vector_on_the_edge_and_half_at_the_half_width():
    xy = np.array([[[4.0, 10.0], [24.0, 10.0]]])
    field = part_affinity_fields(xy, [(0, 1)], HEIGHT, WIDTH, 1, 5.0)[:, :, 0]
    np.testing.assert_allclose(field[10, 14], [1.0, 0.0])
    np.testing.assert_allclose(field[15, 14], [0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(field[10, 29], [0.5, 0.0], atol=1e-12)  # 5 px past the end


def test_overlapping_edges_of_one_direction_stay_unit_vectors():
    xy = np.array([[[4.0, 10.0], [24.0, 10.0]]])
    twice = np.concatenate([xy, xy])
    single = part_affinity_fields(xy, [(0, 1)], HEIGHT, WIDTH, 1, 5.0)
    double = part_affinity_fields(twice, [(0, 1)], HEIGHT, WIDTH, 1, 5.0)
    assert np.linalg.norm(double, axis=-1).max() == pytest.approx(1.0)
    np.testing.assert_allclose(double, np.minimum(2 * single, 1.0), atol=1e-12)


def test_crossing_edges_share_the_crossing():
    xy = np.array([[[4.0, 10.0], [24.0, 10.0]], [[14.0, 0.0], [14.0, 20.0]]])
    field = part_affinity_fields(xy, [(0, 1)], HEIGHT, WIDTH, 1, 2.0)[:, :, 0]
    np.testing.assert_allclose(field[10, 14], [math.sqrt(0.5), math.sqrt(0.5)])


def test_no_edges_give_no_channels():
    fields = part_affinity_fields(np.zeros((2, 1, 3, 2)), [], HEIGHT, WIDTH, 2, 3.0)
    assert fields.shape == (2, 11, 15, 0, 2)


# ------------------------------------------------------- instances that do not reach a window
def crowd(seed=0, n_near=3, n_far=5):
    """Instances around the window, and others out of reach of it on all sides."""
    rng = np.random.default_rng(seed)
    near = rng.uniform(-10, 40, (n_near, 4, 2)).astype(np.float32)
    side = rng.choice([-1, 1], (n_far, 1, 2)) * rng.uniform(200, 400, (n_far, 1, 2))
    far = (side + rng.uniform(-10, 10, (n_far, 4, 2))).astype(np.float32)
    return near, far


def draw(xy):
    """Maps of sigma 2 (reach 29 px) and fields of half-width 3 (reach 37 px)."""
    edges = [(0, 1), (2, 1), (3, 0)]
    return (
        confidence_maps(xy, HEIGHT, WIDTH, 2, 2.0),
        part_affinity_fields(xy, edges, HEIGHT, WIDTH, 2, 3.0),
    )


@pytest.mark.parametrize("seed", range(5))
def test_instances_out_of_reach_change_nothing_wherever_they_are_listed(seed):
    near, far = crowd(seed)
    mixed = np.concatenate([near, far])[np.argsort([0, 3, 7, 1, 2, 4, 5, 6])]
    for alone, among in zip(draw(near), draw(mixed), strict=True):
        np.testing.assert_array_equal(among, alone)
    for maps in draw(far):
        np.testing.assert_array_equal(maps, 0)


def test_an_instance_may_reach_a_window_with_some_of_its_points():
    near, far = crowd(n_near=2, n_far=2)
    xy = np.stack([far[0], near[0], far[1], near[1]])
    xy[0, 2] = (12, 8)
    xy[2, 0], xy[2, 3] = (-300, 10), (300, 10)  # this edge crosses the window, its ends do not
    maps, fields = draw(xy)
    single = [draw(instance[None]) for instance in xy]
    np.testing.assert_array_equal(maps, np.max([each[0] for each in single], axis=0))
    assert maps[..., 2].max() > 0.5
    assert np.linalg.norm(fields[5, :, 2], axis=-1).min() > 0.99


def test_the_faintest_bump_and_edge_of_float32_are_drawn():
    """13.4 sigma: the weight of exp(-90), a subnormal number of float32, is not lost."""
    x = -13.4 * 2.0
    maps = confidence_maps(np.array([[[x, 0.0]]]), HEIGHT, WIDTH, 1, 2.0)
    assert maps[0, 0, 0] == pytest.approx(math.exp(-0.5 * 13.4**2), rel=1e-6)
    xy = np.array([[[-36.0, 0.0], [-36.0, 20.0]]])  # 12 half-widths
    fields = part_affinity_fields(xy, [(0, 1)], HEIGHT, WIDTH, 1, 3.0)
    assert fields[10, 0, 0, 1] == pytest.approx(0.5**144, rel=1e-6)


def test_a_graph_does_not_grow_with_the_number_of_instances():
    import keras
    import tensorflow as tf

    def count_nodes(n_instances):
        def both(xy):
            return (
                confidence_maps(xy, HEIGHT, WIDTH, 2, 2.0, keras.ops),
                part_affinity_fields(xy, [(0, 1)], HEIGHT, WIDTH, 2, 3.0, keras.ops),
            )

        signature = [tf.TensorSpec((None, n_instances, 4, 2), tf.float32)]
        graph = tf.function(both, autograph=False, input_signature=signature)
        return len(graph.get_concrete_function().graph.as_graph_def().node)

    assert count_nodes(2) == count_nodes(30)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_compiled_graph_leaves_out_what_does_not_reach_its_windows(batch):
    import keras
    import tensorflow as tf

    near, far = crowd()
    windows = [np.concatenate([np.roll(near, i, axis=0), far]) for i in range(batch)]
    xy = np.stack(windows).astype(np.float32)
    xy[:, 1, 2] = np.nan

    def both(xy, xp=keras.ops):
        return (
            confidence_maps(xy, HEIGHT, WIDTH, 2, 2.0, xp),
            part_affinity_fields(xy, [(0, 1), (1, 2)], HEIGHT, WIDTH, 2, 3.0, xp),
        )

    compiled = tf.function(both, autograph=False)(tf.constant(xy))
    for device, expected in zip(compiled, both(xy, np), strict=True):
        np.testing.assert_allclose(device, expected, atol=1e-6)
