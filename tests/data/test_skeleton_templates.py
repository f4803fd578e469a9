"""Templates, drawings and advice: what every template must be, and exact small cases."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.skeleton_advice import advise, find_cycle, find_parts
from napari_animalpose.data.skeleton_layout import (
    arrange_nodes,
    lay_out,
    mean_pose,
    pair_by_name,
    place_new_node,
)
from napari_animalpose.data.skeleton_templates import (
    SKELETON_TEMPLATES,
    SkeletonTemplate,
    find_template,
    fit_unit_box,
)
from napari_animalpose.sample.mouse import MOUSE

EVERY = pytest.mark.parametrize("name", list(SKELETON_TEMPLATES))


# ------------------------------------------------------------------------------- templates
@EVERY
def test_a_template_is_one_tree_in_a_unit_box(name):
    template = SKELETON_TEMPLATES.get(name)
    skeleton, layout = template.skeleton, template.layout
    assert advise(skeleton) == ()
    assert len(skeleton.edges) == len(skeleton) - 1
    assert skeleton.parents.count(-1) == 1
    assert layout.min() == pytest.approx(0)
    assert layout.max() == pytest.approx(1)
    gaps = np.hypot(*(layout[:, None] - layout).transpose(2, 0, 1))
    assert gaps[~np.eye(len(skeleton), dtype=bool)].min() > 0.04  # nodes can be told apart
    assert not layout.flags.writeable
    assert template.title
    assert template.origin


@EVERY
def test_pairs_of_a_template_mirror_each_other_and_are_told_by_name(name):
    template = SKELETON_TEMPLATES.get(name)
    skeleton, layout = template.skeleton, template.layout
    for a, b in skeleton.symmetries:
        np.testing.assert_allclose(layout[a, 0] + layout[b, 0], 1, atol=1e-12)
        np.testing.assert_allclose(layout[a, 1], layout[b, 1])
    found = {tuple(sorted(map(skeleton.index, pair))) for pair in pair_by_name(skeleton.nodes)}
    assert found == set(skeleton.symmetries)


@EVERY
def test_left_is_on_the_left_from_above_and_on_the_right_of_who_faces_us(name):
    template = SKELETON_TEMPLATES.get(name)
    for left, right in pair_by_name(template.skeleton.nodes):
        x = [template.layout[template.skeleton.index(node), 0] for node in (left, right)]
        assert (x[0] > x[1]) == (name == "human17")


def test_counts_are_those_of_the_titles():
    for name in SKELETON_TEMPLATES:
        template = SKELETON_TEMPLATES.get(name)
        assert f"{len(template.skeleton)} nodes" in template.title
    assert list(SKELETON_TEMPLATES) == ["fly13", "fly32", "mouse", "worm", "bee", "human17"]


def test_the_mouse_is_the_mouse_of_the_sample_data():
    ours = SKELETON_TEMPLATES.get("mouse").skeleton
    assert ours.nodes == MOUSE.skeleton.nodes
    assert set(ours.edges) == set(MOUSE.skeleton.edges)
    assert set(ours.symmetries) == set(MOUSE.skeleton.symmetries)


def test_a_template_needs_a_place_for_every_node():
    with pytest.raises(ValueError, match="place for each of 2 nodes"):
        SkeletonTemplate("x", Skeleton(("a", "b")), np.zeros((1, 2)))


def test_real_flies_find_their_template(real_data):
    from napari_animalpose.io.labels import read_labels

    clip = read_labels(real_data / "flies_clip" / "labels.slp").skeleton
    assert find_template(clip) is SKELETON_TEMPLATES.get("fly13")
    assert clip.nodes == SKELETON_TEMPLATES.get("fly13").skeleton.nodes
    predicted = read_labels(real_data / "flies_centered" / "sleap_predictions.slp").skeleton
    assert find_template(predicted) is SKELETON_TEMPLATES.get("fly32")


def test_find_template_of_strangers_and_of_nothing():
    assert find_template(Skeleton(("petal",))) is None
    assert find_template(Skeleton(())) is None


# --------------------------------------------------------------------------------- layouts
def test_fit_unit_box_keeps_proportions_and_missing_points():
    found = fit_unit_box([[10, 10], [30, 20], [np.nan, np.nan]])
    np.testing.assert_allclose(found[:2], [[0, 0.25], [1, 0.75]])
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(fit_unit_box([[7, 9]]), [[0.5, 0.5]])
    assert fit_unit_box(np.zeros((0, 2))).shape == (0, 2)


turns = st.lists(st.floats(-np.pi, np.pi), min_size=1, max_size=6)


def _turned(shape, angles, shifts=100.0):
    xy = [
        shape @ [[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]] + i * shifts
        for i, a in enumerate(angles)
    ]
    return np.array(xy)


@given(turns)
def test_the_mean_of_turned_copies_is_the_shape_with_its_head_up(angles):
    shape = np.array([[0, -30], [0, 0], [0, 20], [-12, 5], [12, 5.0]])
    skeleton = Skeleton(("head", "thorax", "abdomen", "wingL", "wingR"))
    xy = _turned(shape, angles)
    found = mean_pose(Poses.from_arrays(skeleton, frame=np.arange(len(xy)), xy=xy))
    np.testing.assert_allclose(found, shape - shape.mean(axis=0), atol=1e-3)


def test_the_mean_pose_bridges_missing_points():
    shape = np.array([[0, -30], [0, 0], [0, 20], [-12, 5], [12, 5.0]])
    skeleton = Skeleton(("head", "thorax", "abdomen", "wingL", "wingR"))
    xy = _turned(shape, [0.0, 1.0, 2.0, 3.0])
    xy[0, 3] = xy[1, 4] = xy[2, 2] = np.nan
    found = mean_pose(Poses.from_arrays(skeleton, frame=np.arange(4), xy=xy))
    np.testing.assert_allclose(found, shape - shape.mean(axis=0), atol=1e-3)


def test_the_mean_pose_is_of_labels_where_there_are_any():
    skeleton = Skeleton(("head", "tail"))
    xy = np.array([[[0, 0], [0, 10]], [[0, 0], [0, 50.0]]])
    both = Poses.from_arrays(skeleton, frame=[0, 1], xy=xy, origin=[Origin.USER, Origin.PREDICTED])
    assert mean_pose(both)[:, 1].tolist() == [-5, 5]
    predicted = both.select([1])
    assert mean_pose(predicted)[:, 1].tolist() == [-25, 25]


def test_no_points_have_no_mean_pose():
    skeleton = Skeleton(("a", "b"))
    assert np.isnan(mean_pose(Poses.empty(skeleton))).all()
    lone = Poses.from_arrays(skeleton, frame=[0], xy=np.full((1, 2, 2), np.nan))
    assert np.isnan(mean_pose(lone)).all()


def test_lay_out_puts_unlabelled_nodes_where_the_template_has_them():
    template = SKELETON_TEMPLATES.get("fly13")
    xy = np.array([template.layout * 90 + 40])
    xy[0, template.skeleton.index("wingL")] = np.nan
    poses = Poses.from_arrays(template.skeleton, frame=[0], xy=xy)
    wing = lay_out(poses)[template.skeleton.index("wingL")]
    np.testing.assert_allclose(wing, template.layout[template.skeleton.index("wingL")], atol=0.02)


def test_without_labels_a_template_or_a_tree_or_a_circle():
    fly = SKELETON_TEMPLATES.get("fly13")
    reordered = Skeleton(fly.skeleton.nodes[::-1])
    np.testing.assert_allclose(arrange_nodes(reordered), fly.layout[::-1])
    tree = Skeleton.from_names(("r", "a", "b"), [("r", "a"), ("r", "b")])
    np.testing.assert_allclose(arrange_nodes(tree), [[0.5, 0], [0, 1], [1, 1]])
    circle = arrange_nodes(Skeleton(("p", "q", "s", "t")))
    np.testing.assert_allclose(circle, [[0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5]], atol=1e-9)


graphs = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.sets(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] != e[1]),
            max_size=12,
        ),
    )
)


@given(graphs)
def test_any_graph_is_laid_out_with_every_node_in_a_place_of_its_own(graph):
    n, edges = graph
    skeleton = Skeleton(tuple(f"petal {i}" for i in range(n)), tuple(sorted(edges)))
    places = arrange_nodes(skeleton)
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()
    assert len(np.unique(places.round(6), axis=0)) == n


def test_a_new_node_goes_where_there_is_room():
    assert place_new_node(np.zeros((0, 2))) == (0.5, 0.5)
    assert place_new_node([[0, 0], [0.4, 0.4]]) == pytest.approx((0.9, 0.9))


# ----------------------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("eyeL", "eyeR"),
        ("L_ear", "R_ear"),
        ("forelegL4", "forelegR4"),
        ("left_ear", "right_ear"),
        ("LeftPaw", "RightPaw"),
        ("PAW_LEFT", "PAW_RIGHT"),
        ("paw_l", "paw_r"),
        ("l.paw", "r.paw"),
        ("fLleg1", "fRleg1"),
        ("tail left", "tail right"),
    ],
)
def test_sides_are_told_by_name(left, right):
    assert pair_by_name(["nose", right, left]) == ((left, right),)


def test_names_without_a_partner_are_left_alone():
    assert pair_by_name(["tail", "tair", "L", "head", "belly", "berry", "LR"]) == ()


# ---------------------------------------------------------------------------------- advice
def _chain(*names, extra=()):
    return Skeleton.from_names(names, [*pairwise(names), *extra])


def test_advice_says_what_is_wrong_and_what_to_do():
    assert advise(Skeleton(("nose",))) == ()
    (none,) = advise(Skeleton(("nose", "tail")))
    assert none.is_error
    assert "No edges yet" in none.text
    (cycle,) = advise(_chain("a", "b", "c", extra=[("c", "a")]))
    assert cycle.text == "The edges run in a circle: a → b → c → a. Remove one of them."
    assert cycle.is_error
    assert set(cycle.nodes) == {0, 1, 2}
    (crowded,) = advise(Skeleton.from_names("abc", [("a", "c"), ("b", "c")]))
    assert crowded.text == "Edges from a and b both lead to c. Remove one of them."
    assert crowded.nodes == (2, 0, 1)


def test_advice_about_parts_and_lonely_nodes():
    skeleton = Skeleton.from_names("abcdef", [("a", "b"), ("d", "c")])
    parts, alone = advise(skeleton)
    assert "2 separate parts, with the roots a and d." in parts.text
    assert alone.text == "e and f are not joined to anything. Click a node, then e, to add an edge."
    assert not parts.is_error
    assert find_parts(skeleton) == ((0, 1), (2, 3), (4,), (5,))
    many = Skeleton.from_names("abcdefgh", [("a", "b")])
    assert "c, d, e and 3 more are not joined" in advise(many)[0].text


@given(graphs)
def test_advice_is_an_error_exactly_when_grouping_refuses(graph):
    n, edges = graph
    skeleton = Skeleton(tuple(f"n{i}" for i in range(n)), tuple(sorted(edges)))
    if n > 1:
        refused = not skeleton.edges or not skeleton.is_forest
        assert any(advice.is_error for advice in advise(skeleton)) == refused
    assert sorted(node for part in find_parts(skeleton) for node in part) == list(range(n))
    cycle = find_cycle(skeleton)
    around = zip(cycle, (*cycle[1:], *cycle[:1]), strict=True)
    assert set(around) <= set(skeleton.edges)
    if not cycle and skeleton.edges:
        assert _has_topological_order(n, skeleton.edges)


def _has_topological_order(n, edges):
    left, edges = set(range(n)), set(edges)
    while left:
        free = {node for node in left if not any(b == node for _, b in edges)}
        if not free:
            return False
        left -= free
        edges = {(a, b) for a, b in edges if a not in free}
    return True
