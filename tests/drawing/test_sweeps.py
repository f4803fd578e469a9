"""Figures of a sweep: means and spreads where they belong, colours that all can tell apart."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb

from napari_animalpose.drawing import sweeps
from napari_animalpose.drawing.sweeps import (
    ACCURACY_PANELS,
    CROWD_PANELS,
    Line,
    Mark,
    Panel,
    Series,
    draw_sweep,
)
from napari_animalpose.errors import DataError

PANEL = Panel("error (px)", (Line("a", "all"), Line("b", "of it half")))


def series(name="topdown", x=(5, 5, 20, 20), a=(4, 2, 3, 1), b=(2, 1, 1.5, 0.5)):
    return Series(name, np.array(x, float), {"a": np.array(a, float), "b": np.array(b, float)})


def draw(*given, panel=PANEL, **options):
    return draw_sweep(list(given), [panel], x_label="labelled frames", title="T", **options)


def line(figure, gid):
    (found,) = [each for each in figure.axes[0].lines if each.get_gid() == gid]
    return found


def test_lines_go_through_the_means_and_bands_from_the_lowest_to_the_highest():
    figure = draw(series())
    np.testing.assert_array_equal(line(figure, "topdown a").get_xydata(), [(5, 3), (20, 2)])
    np.testing.assert_array_equal(line(figure, "topdown b").get_xydata(), [(5, 1.5), (20, 1)])
    (band,) = figure.axes[0].findobj(PolyCollection)
    corners = {tuple(point) for point in band.get_paths()[0].vertices}
    assert corners == {(5, 2), (5, 4), (20, 1), (20, 3)}
    dots = [each for each in figure.axes[0].lines if each.get_linestyle() == "None"]
    np.testing.assert_array_equal(np.sort(dots[0].get_xydata()[:, 1]), [1, 2, 3, 4])


def test_single_trainings_have_no_band_and_missing_figures_no_point():
    figure = draw(series(x=(5, 20, 60), a=(4, np.nan, 1), b=(1, 1, 1)))
    np.testing.assert_array_equal(line(figure, "topdown a").get_xydata(), [(5, 4), (60, 1)])
    assert not figure.axes[0].findobj(PolyCollection)


@pytest.mark.parametrize("logarithmic", [True, False])
def test_a_panel_without_any_figure_says_so(logarithmic, recwarn):
    panel = Panel("error (px)", (Line("a"),), logarithmic=logarithmic)
    figure = draw(series(a=[np.nan] * 4), panel=panel)
    assert "no figures" in [text.get_text() for text in figure.axes[0].texts]


def test_axes_are_logarithmic_with_plain_numbers_where_the_points_are():
    panel = Panel("error (px)", (Line("a"),), logarithmic=True)
    figure = draw(series(), panel=panel)
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    figure.draw_without_rendering()
    assert [text.get_text() for text in axes.get_xticklabels()] == ["5", "20"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("labelled frames", "error (px)")
    low, high = axes.get_ylim()
    assert high / low >= 3


def test_a_linear_axis_begins_at_zero():
    axes = draw(series(), logarithmic=False).axes[0]
    assert axes.get_xscale() == "linear"
    assert axes.get_xlim()[0] == 0


def test_the_mark_lies_where_it_belongs_inside_the_axis():
    figure = draw(series(), mark=Mark(87.0, "animal, 87 px"))
    np.testing.assert_array_equal(line(figure, "mark").get_xdata(), [87, 87])
    assert figure.axes[0].get_xlim()[1] > 87
    assert "animal, 87 px" in [text.get_text() for text in figure.axes[0].texts]


def simulate_dichromat(rgb, matrix):
    """Linear-light simulation of a colour-vision deficiency (Machado et al. 2009)."""
    return np.clip(matrix @ np.asarray(rgb) ** 2.2, 0, 1) ** (1 / 2.2)


MATRICES = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


@pytest.mark.parametrize("vision", MATRICES)
def test_two_pipelines_can_be_told_apart_with_any_colour_vision(vision):
    figure = draw(series("topdown"), series("bottomup"))
    lines = [line(figure, f"{name} a") for name in ("topdown", "bottomup")]
    seen = [simulate_dichromat(to_rgb(each.get_color()), MATRICES[vision]) for each in lines]
    assert np.linalg.norm(seen[0] - seen[1]) > 0.4
    assert lines[0].get_marker() != lines[1].get_marker()


def test_what_nobody_could_tell_apart_is_refused():
    with pytest.raises(DataError, match="1 to"):
        draw()
    with pytest.raises(DataError, match="1 to"):
        draw(*[series(str(i)) for i in range(len(sweeps._STYLES) + 1)])


def test_rows_become_columns_of_numbers():
    rows = [{"x": 1, "a": None, "name": "p"}, {"x": 2.5, "a": 3, "name": "p"}]
    made = Series.from_rows("p", rows, "x")
    np.testing.assert_array_equal(made.x, [1, 2.5])
    np.testing.assert_array_equal(made.figures["a"], [np.nan, 3])
    assert set(made.figures) == {"a"}


@pytest.mark.parametrize("panels", [ACCURACY_PANELS, CROWD_PANELS])
def test_the_figure_is_saved_with_all_its_panels(panels, tmp_path):
    keys = {line.key for panel in panels for line in panel.lines}
    one = Series("topdown", np.array([2.0, 5.0]), {key: np.array([0.3, 0.6]) for key in keys})
    figure = draw_sweep(
        [one], panels, tmp_path / "sweep.png", x_label="x", title="T", notes=("a", "b")
    )
    assert len(figure.axes) == len(panels)
    assert (tmp_path / "sweep.png").stat().st_size > 10_000
