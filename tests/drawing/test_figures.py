import subprocess
import sys

import numpy as np
import pytest
from matplotlib.patches import Circle, Rectangle

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.drawing.canvas import crop_limits, figure_to_rgb, save_figure
from napari_animalpose.drawing.colors import node_colors
from napari_animalpose.drawing.comparison import (
    ErrorTile,
    draw_error_gallery,
    draw_receptive_field,
    draw_validation_preview,
    overlay_maps,
)
from napari_animalpose.drawing.curves import (
    draw_error_histograms,
    draw_oks_distribution,
    draw_pck_curves,
    draw_training_curves,
    pck_curve,
)
from napari_animalpose.drawing.figures import choose_zoom, draw_error_circles, round_length
from napari_animalpose.errors import DataError, OutputError

MOUSE = Skeleton(("snout", "earL", "earR"), edges=((0, 1), (0, 2)), symmetries=((1, 2),))
POSE = np.array([(60.0, 40.0), (90.0, 70.0), (100.0, 35.0)])
RADII = np.array([(0.5, 1.0, 2.5), (1.0, 2.0, 4.0), (0.25, 0.5, 1.0)])


@pytest.fixture
def frame():
    return np.random.default_rng(0).integers(0, 255, (120, 160, 1), np.uint8)


def artists(figure, kind):
    return [a for axes in figure.axes for a in axes.findobj(kind) if a.get_gid()]


# --------------------------------------------------------------------- error circles
def test_circles_have_the_radii_of_the_percentiles_in_px_of_the_frame(frame):
    figure = draw_error_circles(frame, POSE, MOUSE, RADII)
    circles = {c.get_gid(): c for c in artists(figure, Circle)}
    assert len(circles) == 9
    for node, name in enumerate(MOUSE.nodes):
        for level, radius in zip((50, 75, 90), RADII[node], strict=True):
            circle = circles[f"{name} {level}"]
            assert circle.radius == radius
            assert circle.center == tuple(POSE[node])
            assert circle.get_data_transform() == figure.axes[0].transData
            np.testing.assert_allclose(
                np.array(circle.get_edgecolor()[:3]) * 255, node_colors(MOUSE)[node]
            )


def test_the_stated_zoom_is_the_zoom_of_the_picture(frame):
    figure = draw_error_circles(frame, POSE, MOUSE, RADII)
    picture = figure.axes[0]
    zoom = choose_zoom(RADII, (*picture.get_xlim(), *picture.get_ylim()))
    a, b = picture.transData.transform([(0, 0), (1, 1)])
    np.testing.assert_allclose(b - a, (zoom, -zoom), rtol=1e-6)
    texts = [text.get_text() for text in figure.axes[1].texts]
    assert any(f"Zoom {zoom:g}:" in text for text in texts)


def test_the_table_states_the_radii(frame):
    figure = draw_error_circles(frame, POSE, MOUSE, RADII)
    texts = [text.get_text() for text in figure.axes[1].texts]
    for value in ("0.50", "1.00", "2.50", "2.00", "4.00", "0.25", "snout", "earL", "90%"):
        assert value in texts


def test_nodes_without_a_place_or_a_figure_get_no_circle(frame):
    pose, radii = POSE.copy(), RADII.copy()
    pose[0], radii[1, 2], radii[0, 0] = np.nan, np.inf, np.nan
    figure = draw_error_circles(frame, pose, MOUSE, radii)
    names = {c.get_gid() for c in artists(figure, Circle)}
    assert names == {"earL 50", "earL 75", "earR 50", "earR 75", "earR 90"}
    texts = [text.get_text() for text in figure.axes[1].texts]
    assert texts.count("–") == texts.count("∞") == 1
    figure_to_rgb(figure)


def test_every_circle_lies_inside_the_picture(frame):
    axes = draw_error_circles(frame, POSE, MOUSE, RADII).axes[0]
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    assert left <= (POSE[:, 0] - RADII[:, 2]).min()
    assert right >= (POSE[:, 0] + RADII[:, 2]).max()
    assert top <= (POSE[:, 1] - RADII[:, 2]).min()
    assert bottom >= (POSE[:, 1] + RADII[:, 2]).max()


def test_the_scale_bar_has_a_round_length(frame):
    from matplotlib.lines import Line2D

    figure = draw_error_circles(frame, POSE, MOUSE, RADII)
    (bar,) = [line for line in artists(figure, Line2D) if line.get_gid() == "scale bar"]
    length = np.ptp(bar.get_xdata())
    assert length == pytest.approx(round_length(length))
    assert f"{length:g} px" in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(
    ("length", "expected"), [(1, 1), (1.9, 1), (2, 2), (49.9, 20), (50, 50), (0.7, 0.5), (130, 100)]
)
def test_round_lengths(length, expected):
    assert round_length(length) == pytest.approx(expected)


def test_small_circles_raise_the_zoom_up_to_a_limit():
    limits = (0.0, 300.0, 200.0, 0.0)
    assert choose_zoom(np.full((3, 3), 5.0), limits) == 3.0  # 900 px / 300 px
    assert choose_zoom(np.full((3, 3), 0.5), limits) == 5.0  # 2.5 px / 0.5 px
    assert choose_zoom(np.full((3, 3), 0.01), limits) == 6.7  # 2000 px / 300 px
    assert choose_zoom(np.full((3, 3), np.nan), limits) == 3.0


def test_percentiles_that_do_not_fit_are_refused(frame):
    with pytest.raises(DataError, match=r"\(3, 2\).*\(3, 3\)"):
        draw_error_circles(frame, POSE, MOUSE, RADII[:2])


# ------------------------------------------------------------------------------ files
@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_the_suffix_is_the_format(tmp_path, suffix, magic, frame):
    path = tmp_path / f"circles.{suffix}"
    draw_error_circles(frame, POSE, MOUSE, RADII, path)
    assert path.read_bytes().startswith(magic)
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_suffix_is_refused_and_nothing_is_written(tmp_path):
    figure = draw_oks_distribution([0.5])
    with pytest.raises(OutputError, match=r"\.png, \.svg, \.pdf"):
        save_figure(figure, tmp_path / "figure.bmp")
    assert not list(tmp_path.iterdir())


def test_a_figure_becomes_pixels_of_its_size():
    figure = draw_oks_distribution([0.5])
    rgb = figure_to_rgb(figure)
    width, height = figure.get_size_inches() * figure.dpi
    assert rgb.dtype == np.uint8
    assert rgb.shape == (round(height), round(width), 3)
    assert (rgb[0, 0] == 255).all()


def test_matplotlib_waits_for_the_first_figure_and_pyplot_is_never_used():
    program = (
        "import sys\n"
        "from napari_animalpose.drawing import canvas, comparison, curves, figures, report\n"
        "assert 'matplotlib' not in sys.modules\n"
        "canvas.figure_to_rgb(curves.draw_oks_distribution([0.5]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_crops_hold_the_points_and_stay_inside_the_frame():
    left, right, bottom, top = crop_limits([[(10, 5), (30, 15)], [(np.nan, 3)]], (50, 60), 4)
    assert (left, right, bottom, top) == (6, 34, 19, 1)
    left, right, bottom, top = crop_limits([[(1, 1)]], (50, 60), 10)
    assert (left, right, bottom, top) == (-0.5, 19.5, 19.5, -0.5)
    assert crop_limits([[(np.nan, np.nan)]], (50, 60), 4) == (-0.5, 59.5, 49.5, -0.5)
    left, right, bottom, top = crop_limits([[(20, 20), (30, 22)]], (50, 60), 5, square=True)
    assert right - left == bottom - top == 20


# ------------------------------------------------------------------------- comparison
def test_gallery_tiles_state_label_and_error(frame):
    shifted = POSE + np.array([3, 4])
    missing = np.full((3, 2), np.nan)
    tiles = [
        ErrorTile(frame, POSE, shifted, "frame 7"),
        ErrorTile(frame, POSE, missing, "frame 9"),
        ErrorTile(frame, POSE, POSE),
        ErrorTile(frame, missing, POSE, "frame 11"),
        ErrorTile(
            frame, np.where([[1], [0], [1]], POSE, np.nan), np.where([[0], [1], [0]], POSE, np.nan)
        ),
    ]
    assert tiles[0].error_px == 5.0
    figure = draw_error_gallery(tiles, MOUSE, columns=2)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        "frame 7 · 5.0 px", "frame 9 · missed", "0.0 px", "frame 11 · invented",
        "no point in both", "",
    ]  # fmt: skip
    points = {
        artist.get_gid(): artist.get_offsets()
        for artist in figure.axes[0].collections
        if artist.get_gid()
    }
    np.testing.assert_allclose(points["truth"], POSE)
    np.testing.assert_allclose(points["predicted"], shifted)


def test_an_empty_gallery_is_refused():
    with pytest.raises(DataError, match="at least one"):
        draw_error_gallery([], MOUSE)


def test_maps_take_the_colors_of_their_nodes():
    colors = np.array([(255, 0, 0), (0, 0, 255)], np.uint8)
    maps = np.array([[(1.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.0, 0.0), (2.0, np.nan), (-1, 0)]])
    expected = [(1, 0, 0, 1), (0, 0, 1, 0.5), (0.5, 0, 0.5, 0.5), (0,) * 4, (1, 0, 0, 1), (0,) * 4]
    np.testing.assert_allclose(overlay_maps(maps, colors)[0], expected)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_map_cells_lie_on_their_pixels(frame, stride):
    maps = np.zeros((120 // stride, 160 // stride, 3))
    figure = draw_validation_preview(frame, POSE, POSE[None], maps, stride, MOUSE)
    left, right, bottom, top = figure.axes[1].images[1].get_extent()
    cell_width = (right - left) / maps.shape[1]
    cell_height = (bottom - top) / maps.shape[0]
    assert cell_width == cell_height == stride
    centers = left + (np.arange(maps.shape[1]) + 0.5) * cell_width
    np.testing.assert_allclose(centers, np.arange(maps.shape[1]) * stride)
    assert top + 0.5 * cell_height == 0.0
    # The overlay must not move the frame below it.
    assert figure.axes[1].get_xlim() == (-0.5, 159.5)
    assert figure.axes[1].get_ylim() == (119.5, -0.5)


def test_previews_show_all_animals_even_if_their_numbers_differ(frame):
    maps = np.zeros((60, 80, 3))
    two = np.stack([POSE, POSE + 5])
    axes = draw_validation_preview(frame, two, POSE, maps, 2, MOUSE).axes[0]
    shown = [a for a in axes.collections if a.get_gid() == "truth"]
    assert len(shown) == 2


def test_the_receptive_field_is_centered_on_the_animal(frame):
    figure = draw_receptive_field(frame, POSE, 76)
    boxes = {box.get_gid(): box for box in artists(figure, Rectangle)}
    animal, field = boxes["animal"], boxes["receptive field"]
    assert animal.get_xy() == (60, 35)
    assert (animal.get_width(), animal.get_height()) == (40, 35)
    assert field.get_xy() == (80 - 38, 52.5 - 38)
    assert field.get_width() == field.get_height() == 76
    with pytest.raises(DataError, match="at least one point"):
        draw_receptive_field(frame, np.full((3, 2), np.nan), 76)


# ----------------------------------------------------------------------------- curves
def test_pck_counts_missed_points_and_leaves_out_unlabelled_ones():
    errors = [0.5, 1.0, 3.0, np.inf, np.nan]
    np.testing.assert_allclose(
        pck_curve(errors, [0, 0.5, 1, 2, 3, 99]), [0, 0.25, 0.5, 0.5, 0.75, 0.75]
    )
    assert np.isnan(pck_curve([np.nan], [1.0])).all()


def test_pck_curves_of_nodes_and_of_all_points():
    errors = np.array([(1.0, 4.0, np.nan), (2.0, np.inf, np.nan)])
    axes = draw_pck_curves(errors, MOUSE, max_px=10).axes[0]
    lines = {line.get_gid(): line for line in axes.lines}
    x, y = lines["snout"].get_data()
    np.testing.assert_allclose(y, np.where(x >= 2, 1.0, np.where(x >= 1, 0.5, 0.0)))
    assert lines["earL"].get_ydata()[-1] == 0.5
    assert lines["all"].get_ydata()[-1] == 0.75
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["snout  100%", "earL  50%", "earR  no truth", "all points  75%"]


def test_histograms_state_median_percentile_and_misses():
    errors = np.array([(i, np.inf if i > 8 else 20.0, np.nan) for i in range(1, 11)], float)
    figure = draw_error_histograms(errors, MOUSE, max_px=10)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[:3] == ["5.5 / 9.1", "20.0 / 20.0, 20% missed", "no truth"]
    figure_to_rgb(figure)
    lost = draw_error_histograms(np.full((2, 3), np.inf), MOUSE, max_px=10)
    assert lost.axes[0].texts[0].get_text() == "– / –, 100% missed"


@pytest.mark.parametrize("draw", [draw_pck_curves, draw_error_histograms])
def test_errors_that_do_not_fit_the_skeleton_are_refused(draw):
    with pytest.raises(DataError, match=r"\(N, 3\)"):
        draw(np.zeros((5, 4)), MOUSE)


def test_the_oks_distribution_states_its_mean():
    figure = draw_oks_distribution([0.2, 0.6, 0.8, 1.0, np.nan])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["75% ≥ 0.5", "50% ≥ 0.75", "mean 0.650"]
    figure = draw_oks_distribution([0.2, 0.6, 0.8, 1.0], n_missed=4)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["38% ≥ 0.5", "25% ≥ 0.75", "mean 0.650", "4 missed"]  # 3 and 2 of 8
    assert figure.axes[0].get_ylabel() == "animals (of 8)"
    lost = draw_oks_distribution([], n_missed=2)
    assert [text.get_text() for text in lost.axes[0].texts][-1] == "2 missed"
    with pytest.raises(DataError, match="at least one"):
        draw_oks_distribution([np.nan])


def test_training_curves_show_the_columns_there_are():
    history = {"loss": [1.0, 0.1, 0.05], "val_loss": [1.0, 0.2, 0.3]}
    assert len(draw_training_curves(history).axes) == 1
    history |= {"val_error_px": [9.0, np.nan, 3.0], "learning_rate": [1e-3] * 3}
    figure = draw_training_curves(history)
    loss, error, rate = figure.axes
    assert loss.get_yscale() == rate.get_yscale() == "log"
    assert error.get_yscale() == "linear"
    np.testing.assert_allclose(loss.lines[1].get_data(), [(1, 2, 3), (1.0, 0.2, 0.3)])
    (best,) = [line for line in error.lines if line.get_gid() == "best"]
    np.testing.assert_allclose(best.get_data(), [[3], [3.0]])
    figure_to_rgb(figure)


def test_a_log_without_a_loss_or_of_unequal_columns_is_refused():
    with pytest.raises(DataError, match="loss"):
        draw_training_curves({"val_loss": [1.0]})
    with pytest.raises(DataError, match="val_loss 1"):
        draw_training_curves({"loss": [1.0, 2.0], "val_loss": [1.0]})
