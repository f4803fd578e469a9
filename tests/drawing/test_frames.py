import numpy as np
import pytest

from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.colors import node_colors, qualitative_colors
from napari_animalpose.drawing.frames import (
    DrawStyle,
    draw_caption,
    draw_frame,
    draw_poses,
    draw_trails,
    trail_node,
)
from napari_animalpose.drawing.view import View
from napari_animalpose.errors import ConfigError

LINE = Skeleton(("a", "b", "c"), edges=((1, 0), (1, 2)))
STYLE = DrawStyle(node_radius_px=3, edge_width_px=2, font_size_px=10)


def one_animal(xy=((10, 20), (30, 20), (50, 20)), **columns):
    return Poses.from_arrays(LINE, frame=[0], xy=[xy], **columns)


def blank(height=60, width=80):
    return np.zeros((height, width, 3), np.uint8)


def test_nodes_have_their_colors_and_edges_those_of_their_destination():
    image = blank()
    draw_poses(image, one_animal(), STYLE)
    colors = node_colors(LINE)
    np.testing.assert_array_equal(image[20, [10, 30, 50]], colors)
    np.testing.assert_array_equal(image[20, [20, 40]], colors[[0, 2]])


def test_a_person_gets_white_rims_and_a_network_dark_ones():
    user, predicted, corrected = (
        draw_frame(blank(), one_animal(origin=origin), STYLE) for origin in Origin
    )
    assert (user[16, 10] > 100).all()
    assert (predicted[16, 10] < 25).all()
    np.testing.assert_array_equal(corrected, user)
    assert predicted[20, 20].sum() < user[20, 20].sum()  # fainter edges


def test_occluded_points_are_hollow():
    rows = one_animal(visibility=[[Visibility.VISIBLE, Visibility.OCCLUDED, Visibility.VISIBLE]])
    style = DrawStyle(node_radius_px=6, show_edges=False)
    image = draw_frame(blank(), rows, style)
    assert not image[20, 30].any()
    np.testing.assert_array_equal(image[20, 35], node_colors(LINE)[1])
    assert image[20, 10].any()


def test_missing_points_are_drawn_nowhere_and_take_their_edges_along():
    image = draw_frame(blank(), one_animal([(10, 20), (np.nan, np.nan), (50, 20)]), STYLE)
    assert image[20, [10, 50]].any(axis=1).all()
    assert not image[:, 20:40].any()


def test_points_of_low_score_are_not_drawn_and_points_without_one_are():
    rows = one_animal(point_score=[[0.1, 0.9, np.nan]])
    style = DrawStyle(node_radius_px=3, show_edges=False, min_point_score=0.5)
    image = draw_frame(blank(), rows, style)
    assert not image[20, 10].any()
    assert image[20, [30, 50]].any(axis=1).all()


def test_an_animal_without_points_or_a_frame_without_animals_changes_nothing():
    frame = np.random.default_rng(0).integers(0, 255, (21, 33, 3), np.uint8)
    style = DrawStyle(node_labels=True, track_labels=True, scores=True)
    nothing = one_animal(np.full((3, 2), np.nan), score=0.5)
    for rows in (nothing, Poses.empty(LINE)):
        np.testing.assert_array_equal(draw_frame(frame, rows, style), frame)


def test_a_skeleton_without_edges_is_drawn_as_dots():
    rows = Poses.from_arrays(Skeleton(("a", "b")), frame=[0], xy=[[(10, 20), (30, 20)]])
    image = draw_frame(blank(), rows, STYLE)
    assert image[20, [10, 30]].any(axis=1).all()
    assert not image[20, 20].any()


def test_drawing_follows_the_view():
    view = View(20, 10, 40, 30, scale=3)
    image = draw_frame(blank(), one_animal(), DrawStyle(node_radius_px=4, show_edges=False), view)
    assert image.shape == (90, 120, 3)
    x, y = view.to_picture([(30, 20)])[0]
    w = image[:, :60].sum(axis=2).astype(float)
    yy, xx = np.mgrid[:90, :60]
    assert (w * xx).sum() / w.sum() == pytest.approx(x, abs=0.05)
    assert (w * yy).sum() / w.sum() == pytest.approx(y, abs=0.05)


def test_the_frame_is_darkened_and_the_drawing_is_not():
    image = draw_frame(
        np.full((60, 80), 200, np.uint8), one_animal(), DrawStyle(node_radius_px=3, darken=0.5)
    )
    assert (image[0, 0] == 100).all()
    np.testing.assert_array_equal(image[20, 10], node_colors(LINE)[0])


def test_names_and_scores_are_written_only_when_asked_for():
    rows = one_animal(track=0, track_names=["fly"], score=0.5)
    plain = draw_frame(blank(), rows, STYLE)
    for option in ("node_labels", "track_labels", "scores"):
        style = DrawStyle(node_radius_px=3, edge_width_px=2, font_size_px=10, **{option: True})
        assert (draw_frame(blank(), rows, style) != plain).any()
    draw_caption(plain, "frame 3")
    assert plain[:14, :40].any()


def test_sizes_fit_the_animals_in_the_picture():
    rows = one_animal([(0, 0), (30, 0), (60, 80)])  # diagonal 100 px
    fitted = DrawStyle().fitted_to(rows, scale=2)
    assert fitted.node_radius_px == pytest.approx(0.025 * 200)
    assert DrawStyle(node_radius_px=9).fitted_to(rows).node_radius_px == 9
    assert DrawStyle().fitted_to(rows, scale=0.01).node_radius_px == 1.5
    assert DrawStyle().fitted_to(Poses.empty(LINE)).node_radius_px == pytest.approx(2.5)


@pytest.mark.parametrize(
    "options", [{"node_radius_px": 0}, {"darken": 1.5}, {"color_by": "mood"}, {"font_size_px": -1}]
)
def test_styles_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="Expected"):
        DrawStyle(**options)


def test_the_trail_is_of_the_node_with_most_edges():
    assert trail_node(LINE) == 1
    assert trail_node(Skeleton(("a", "b"))) == 0


def walk(track, gap=()):
    """Node b walks right by 10 px a frame; other nodes stay away from the line y = 20."""
    frames = np.array([f for f in range(5) if f not in gap])
    xy = np.full((len(frames), 3, 2), 50.0)
    xy[:, 1] = np.stack([10.0 + 10 * frames, np.full(len(frames), 20.0)], axis=1)
    return Poses.from_arrays(LINE, frame=frames, xy=xy, track=track, track_names=["t"])


def test_trails_fade_backwards_in_time():
    image = blank()
    style = DrawStyle(color_by="track", edge_width_px=2)
    draw_trails(image, walk(0), node=1, frames=np.arange(5), style=style)
    brightness = image[20, [15, 25, 35, 45]].sum(axis=1)
    assert (np.diff(brightness.astype(int)) > 0).all()
    expected = 0.9 * qualitative_colors(1)[0]
    np.testing.assert_allclose(image[20, 45], expected, atol=1)
    assert not image[40:].any()


def test_trails_break_where_the_track_is_missing():
    image = blank()
    draw_trails(
        image, walk(0, gap=(2,)), node=1, frames=np.arange(5), style=DrawStyle(edge_width_px=2)
    )
    assert image[20, [15, 45]].any(axis=1).all()
    assert not image[20, [25, 35]].any()


def test_animals_without_a_track_leave_dots():
    image = blank()
    draw_trails(image, walk(-1), node=1, frames=np.arange(5), style=DrawStyle(edge_width_px=2))
    assert image[20, [10, 20, 30, 40, 50]].any(axis=1).all()
    assert not image[20, [15, 25, 35, 45]].any()


def test_no_trail_without_a_past():
    image = blank()
    draw_trails(image, Poses.empty(LINE), node=1, frames=np.arange(0))
    assert not image.any()
