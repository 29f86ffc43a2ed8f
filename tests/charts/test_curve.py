"""A learning curve shows what was measured, and the forecast apart from it."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from featx.charts.curve import plot_learning_curve
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
