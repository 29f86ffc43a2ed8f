"""A learning curve shows what was measured, and the forecast apart from it."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from featx.charts.curve import plot_learning_curve, plot_learning_curves
from featx.errors import OptionError
from featx.evaluation.intervals import Estimate


def curve(sizes=(2, 4, 8), values=(0.6, 0.7, 0.8), per_class=10.0):
    """Stand in for a learning curve, with a forecast that rises a little."""

    def forecast(n):
        return Estimate(0.8 + 0.001 * n, 0.75, 0.9)

    estimates = tuple(Estimate(v, v - 0.1, v + 0.1) for v in values)
    return SimpleNamespace(
        sizes=np.array(sizes), estimates=estimates, per_class=per_class, forecast=forecast
    )


def test_a_learning_curve_shows_what_was_measured_and_what_is_forecast():
    ax = plot_learning_curve(curve())
    measured, forecast = ax.lines
    assert measured.get_xdata().tolist() == [2, 4, 8]
    assert measured.get_ydata() == pytest.approx([60, 70, 80])
    assert forecast.get_xdata()[[0, -1]].tolist() == [8, 16]
    assert forecast.get_ydata()[-1] == pytest.approx(81.6)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["measured", "forecast"]
    low, high = ax.get_ylim()
    assert low <= 50
    assert high >= 90


def test_it_is_drawn_into_the_axes_given_and_touches_nothing_else(pyplot_untouched):
    ax = Figure().add_subplot()
    assert plot_learning_curve(curve(), ax) is ax


def test_a_chart_without_axes_is_a_new_figure_that_pyplot_and_notebooks_show():
    mine = plt.figure()
    ax = plot_learning_curve(curve())
    assert ax.figure is not mine
    assert plt.get_fignums() == [mine.number, ax.figure.number]


def test_several_curves_stand_in_one_figure_told_apart_by_colour_and_marker():
    made = {"a": curve(), "b": curve(values=(0.5, 0.6, 0.7)), "c": curve(sizes=(1, 3, 7))}
    ax = plot_learning_curves(made)
    measured, forecasts = ax.lines[::2], ax.lines[1::2]
    assert [line.get_xdata().tolist() for line in measured] == [[2, 4, 8], [2, 4, 8], [1, 3, 7]]
    assert [line.get_xdata()[-1] for line in forecasts] == [16, 16, 14]
    assert len({line.get_color() for line in measured}) == 3
    assert len({line.get_marker() for line in measured}) == 3
    for own, forecast in zip(measured, forecasts, strict=True):
        assert own.get_color() == forecast.get_color()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c", "forecast"]
    assert "95 % interval at the end: ± 10.0" in ax.get_xlabel()


def test_many_curves_of_long_names_stay_apart_in_a_column():
    made = [(f"{'long ' * 9}{number}", curve()) for number in range(12)]
    ax = plot_learning_curves(made, width=3.5)
    looks = {(line.get_color(), line.get_marker()) for line in ax.lines[::2]}
    assert len(looks) == 12
    texts = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert len(set(texts)) == 13


def test_no_curve_is_told():
    with pytest.raises(OptionError, match="no learning curves to draw: expected at least one"):
        plot_learning_curves({})
