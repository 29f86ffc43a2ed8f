"""A comparison shows accuracy against speed, and names as many candidates as there is room for."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from featx.charts.comparison import plot_comparison
from featx.charts.style import RIGHT


def comparison(accuracy, speed, seconds=None, names=None):
    """Stand in for a comparison: what is drawn comes from its frame."""
    accuracy = np.array(accuracy, float)
    value = np.nan_to_num(np.array(speed, float))
    beaten = [
        ((accuracy >= a) & (value >= v) & ((accuracy > a) | (value > v))).any()
        for a, v in zip(accuracy, value, strict=True)
    ]
    frame = pd.DataFrame(
        {
            "candidate": names or [f"candidate {i}" for i in range(len(accuracy))],
            "accuracy": accuracy,
            "accuracy_low": accuracy - 0.05,
            "accuracy_high": np.minimum(accuracy + 0.02, 1),
            "images_per_second": np.array(speed, float),
            "fit_seconds": seconds or [0.5] * len(accuracy),
            "unbeaten": ~np.array(beaten),
        }
    )
    return SimpleNamespace(to_frame=lambda: frame)


def places(ax) -> np.ndarray:
    """Return where the points of a comparison are."""
    return np.asarray(ax.collections[-1].get_offsets())


def boxes_of_names(ax):
    """Return the boxes of the names that are written beside points, in pixels."""
    ax.figure.canvas.draw()
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    return [text.get_window_extent(renderer) for text in ax.texts]


def test_no_accuracy_above_one_hundred_percent_is_on_the_axis():
    ax = plot_comparison(comparison([1.0, 0.98], [20, 100]))
    low, high = ax.get_ylim()
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    assert high > 100, "there is no room for a name above the best"
    assert max(ticks) == 100
    assert len(ticks) > 2


def test_candidates_stand_at_their_accuracy_and_speed_with_their_interval():
    ax = plot_comparison(comparison([0.9, 0.8], [20, 100]))
    x, y = places(ax).T
    assert x == pytest.approx([20, 100])
    assert y == pytest.approx([90, 80])
    bars = ax.collections[0].get_segments()
    assert bars[0][:, 1] == pytest.approx([85, 92])
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "images/s"
    assert {text.get_text() for text in ax.texts} == {"candidate 0", "candidate 1"}


def test_a_line_joins_the_unbeaten_and_only_they_are_filled():
    ax = plot_comparison(comparison([0.9, 0.85, 0.8], [20, 10, 100]))
    line = next(line for line in ax.lines if len(line.get_xdata()) > 1)
    assert line.get_xdata() == pytest.approx([20, 100])
    filled = [to_hex(color) for color in ax.collections[-1].get_facecolor()]
    assert filled == [RIGHT, "#ffffff", RIGHT]


def test_candidates_of_one_speed_are_drawn_side_by_side():
    ax = plot_comparison(comparison([0.9, 0.9, 0.7], [50, 50, 50]))
    x = places(ax)[:, 0]
    assert len(set(x.round(3))) == 3
    assert x == pytest.approx([50] * 3, rel=0.1)


@pytest.mark.parametrize("speed", [[math.nan] * 3, [20, math.nan, 100]])
def test_where_a_speed_is_unknown_the_time_of_a_fit_takes_its_place(speed):
    ax = plot_comparison(comparison([0.9, 0.8, 0.7], speed, seconds=[0.1, 0.2, 3.0]))
    assert ax.get_xlabel() == "seconds a fit"
    assert places(ax)[:, 0] == pytest.approx([0.1, 0.2, 3.0])
    assert not [line for line in ax.lines if len(line.get_xdata()) > 1]


def test_where_nothing_is_known_of_cost_candidates_stand_by_rank():
    ax = plot_comparison(comparison([0.9, 0.8], [math.nan] * 2, seconds=[math.nan, 1.0]))
    assert ax.get_xlabel() == "rank"
    assert places(ax)[:, 0].tolist() == [1, 2]


@pytest.mark.parametrize("n", [1, 2, 12, 40])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_names_of_candidates_are_few_and_do_not_overlap(n, spread):
    random = np.random.default_rng(0)
    accuracy = np.sort(0.9 - spread * random.random(n))[::-1]
    ax = plot_comparison(comparison(accuracy, 10 ** (1 + 2 * random.random(n))))
    found = boxes_of_names(ax)
    assert 1 <= len(found) <= 12
    assert ax.texts[0].get_text().startswith("candidate")
    for i, one in enumerate(found):
        for other in found[:i]:
            width = min(one.x1, other.x1) - max(one.x0, other.x0)
            height = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert width < 4 or height < 4, f"names overlap: {one}, {other}"


def test_it_is_drawn_into_the_axes_given_and_touches_nothing_else(pyplot_untouched):
    ax = Figure().add_subplot()
    assert plot_comparison(comparison([0.9, 0.8], [10, 20]), ax) is ax
