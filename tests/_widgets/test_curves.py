"""The plot of live curves: ranges, ticks, values under the mouse, what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import QPoint, Qt

from napari_animalpose._widgets._curves import CurvePlot, Series, thin_out, ticks, write_value

pytestmark = pytest.mark.gui


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 12))
def test_ticks_are_round_within_the_range_and_about_as_many_as_asked(low, width, count):
    high = low + width
    found = ticks(low, high, count)
    slack = 1e-6 * max(abs(low), abs(high), width)
    assert all(low - slack <= value <= high + slack for value in found)
    assert len(found) <= count + 1
    if len(found) > 1:
        step = found[1] - found[0]
        leading = step / 10.0 ** np.floor(np.log10(step) + 1e-6)
        assert min(abs(leading - f) for f in (1, 2, 5, 10)) < 1e-3


def test_values_are_short():
    assert [write_value(v) for v in (0, 0.002, 1500, 250_000, 3e6, 12.5)] == [
        "0", "0.002", "1500", "250k", "3M", "12.5",
    ]  # fmt: skip


def test_ranges_leave_out_what_is_missing_and_cover_the_mark(qtbot):
    plot = CurvePlot()
    qtbot.addWidget(plot)
    plot.set_series([Series("a", [1, 2, 3], [4.0, np.nan, 8.0])])
    plot.mark(9)
    assert plot.x_range == (1, 9)
    low, high = plot.y_range
    assert low < 4 < 8 < high
    plot.set_log(True)
    low, high = plot.y_range
    assert low < np.log10(4) < np.log10(8) < high


def test_a_log_scale_leaves_out_what_has_no_logarithm(qtbot):
    plot = CurvePlot()
    qtbot.addWidget(plot)
    plot.set_series([Series("a", [0, 1, 2], [0.0, 10.0, 1000.0])])
    plot.set_log(True)
    low, high = plot.y_range
    assert 0.5 < low < 1
    assert 3 < high < 3.5


def test_values_nearest_to_a_place(qtbot):
    plot = CurvePlot()
    qtbot.addWidget(plot)
    plot.set_series([Series("a", [0, 10], [1, 2]), Series("b", [4], [3]), Series("none", [], [])])
    assert plot.values_at(6) == [("a", 10, 2), ("b", 4, 3)]


@given(st.integers(4, 5000), st.integers(1, 300))
def test_thinned_lines_keep_ends_and_extremes(count, width):
    rng = np.random.default_rng(count)
    points = np.stack([np.linspace(0, width, count), rng.normal(size=count)], axis=1)
    thin = thin_out(points)
    np.testing.assert_array_equal(thin[[0, -1]], points[[0, -1]])
    assert thin[:, 1].max() == points[:, 1].max()
    assert thin[:, 1].min() == points[:, 1].min()
    assert len(thin) <= max(4 * (width + 1), 4)


def test_curves_are_painted_in_their_colours_and_a_click_tells_where(qtbot):
    plot = CurvePlot("Loss", "epoch")
    qtbot.addWidget(plot)
    plot.resize(300, 200)
    blank = plot.grab().toImage()
    plot.set_series([Series("a", np.arange(50), np.arange(50.0), color="#ff0000")])
    drawn = plot.grab().toImage()
    reds = [
        (x, y)
        for x in range(drawn.width()) for y in range(drawn.height())
        if drawn.pixelColor(x, y).red() > 200 and drawn.pixelColor(x, y).green() < 60
    ]  # fmt: skip
    assert blank != drawn
    xs, ys = np.array(reds).T
    assert np.corrcoef(xs, ys)[0, 1] < -0.99  # ascending, and y points down
    with qtbot.waitSignal(plot.clicked) as told:
        qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(290, 100))
    assert told.args[0] == pytest.approx(49, abs=0.5)
