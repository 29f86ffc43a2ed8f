"""A comparison shows accuracy against speed, so that each candidate can be told from the others."""

import math

import numpy as np
import pytest
from candidates import FIVE, NETWORKS, comparison, points
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from featx.charts.comparison import plot_comparison
from featx.charts.looks import HUES, looks_of, named


def places(ax) -> set[tuple[float, float]]:
    found = [line.get_xydata()[0] for line in points(ax)]
    return {(round(float(x), 6), round(float(y), 6)) for x, y in found}


def legend(ax) -> dict:
    """Return the entries of the legend, by what is written."""
    made = ax.get_legend() or ax.figure.legends[0]
    texts = [text.get_text() for text in made.get_texts()]
    return dict(zip(texts, made.legend_handles, strict=True))


def boxes_of_names(ax):
    """Return the boxes of the names that are written beside points, in pixels."""
    ax.figure.canvas.draw()
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    return [type(text).__mro__[1].get_window_extent(text, renderer) for text in ax.texts]


def test_no_accuracy_above_one_hundred_percent_is_on_the_axis():
    ax = plot_comparison(comparison([1.0, 0.98], [20, 100]))
    low, high = ax.get_ylim()
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    assert high > 100, "there is no room for a name above the best"
    assert max(ticks) == 100
    assert len(ticks) > 2


def test_candidates_stand_at_their_accuracy_and_speed_with_their_interval():
    ax = plot_comparison(comparison([0.9, 0.8], [20, 100]))
    assert places(ax) == {(20, 90), (100, 80)}
    bars = ax.collections[0].get_segments()
    assert bars[0][:, 1] == pytest.approx([85, 92])
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "images/s"
    assert {text.get_text() for text in ax.texts} == {"candidate 0", "candidate 1"}


def test_the_colour_says_the_network_and_the_marker_the_rest():
    made = comparison([0.9, 0.88, 0.85, 0.8, 0.7], [9, 9, 30, 30, 99], None, FIVE, NETWORKS)
    ax = plot_comparison(made)
    entries = legend(ax)
    assert list(entries)[:5] == ["resnet50", "vgg16", "xception", "avg knn", "max knn"]
    looks = {tuple(line.get_xydata()[0].round(6)): line for line in points(ax)}
    for place, network, rest in (
        ((9, 90), "resnet50", "avg knn"),
        ((9, 88), "resnet50", "max knn"),
        ((30, 80), "vgg16", "max knn"),
    ):
        drawn = looks[place]
        assert drawn.get_markeredgecolor() == entries[network].get_color(), place
        assert drawn.get_marker() == entries[rest].get_marker(), place


def test_a_line_joins_the_unbeaten_and_only_they_are_filled_with_an_interval():
    ax = plot_comparison(comparison([0.9, 0.85, 0.8], [20, 10, 100]))
    line = next(line for line in ax.lines if len(line.get_xdata()) > 1)
    assert line.get_xdata() == pytest.approx([20, 100])
    filled = {
        float(each.get_xdata()[0]): each.get_markerfacecolor() != "white" for each in points(ax)
    }
    assert filled == {20: True, 10: False, 100: True}
    assert len(ax.collections[0].get_segments()) == 2
    assert "unbeaten, 95 % interval" in legend(ax)


def test_a_ring_is_around_the_recommended():
    ax = plot_comparison(comparison([0.9, 0.85, 0.8], [20, 10, 100], recommended=2))
    (ring,) = [line for line in ax.lines if line.get_fillstyle() == "none"]
    assert ring.get_xydata().tolist() == [[100, 80]]
    assert "recommended" in legend(ax)


def test_candidates_of_one_speed_stand_where_they_are():
    ax = plot_comparison(comparison([0.9, 0.9, 0.7], [50, 50, 50]))
    assert places(ax) == {(50, 90), (50, 70)}
    assert "candidate 0 and 1 more here" in {text.get_text() for text in ax.texts}


@pytest.mark.parametrize("speed", [[math.nan] * 3, [20, math.nan, 100]])
def test_where_a_speed_is_unknown_the_time_of_a_fit_takes_its_place(speed):
    ax = plot_comparison(comparison([0.9, 0.8, 0.7], speed, seconds=[0.1, 0.2, 3.0]))
    assert ax.get_xlabel() == "seconds a fit"
    assert places(ax) == {(0.1, 90), (0.2, 80), (3.0, 70)}
    assert not [line for line in ax.lines if len(line.get_xdata()) > 1]
    assert "95 % interval" in legend(ax)


def test_where_nothing_is_known_of_cost_candidates_stand_by_rank():
    ax = plot_comparison(comparison([0.9, 0.8], [math.nan] * 2, seconds=[math.nan, 1.0]))
    assert ax.get_xlabel() == "rank"
    assert places(ax) == {(1, 90), (2, 80)}


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


def test_a_name_without_a_line_is_nearest_to_its_own_point():
    random = np.random.default_rng(1)
    accuracy = np.sort(0.9 - 0.2 * random.random(12))[::-1]
    ax = plot_comparison(comparison(accuracy, 10 ** (1 + random.random(12))))
    found = zip(ax.texts, boxes_of_names(ax), strict=True)
    pixels = ax.transData.transform([line.get_xydata()[0] for line in points(ax)])
    checked = 0
    for text, box in found:
        if text.arrow_patch is not None:
            continue
        corners = box.get_points()
        away = np.maximum(0, np.maximum(corners[0] - pixels, pixels - corners[1]))
        own = np.abs(pixels - ax.transData.transform(text.xy)).sum(axis=1).argmin()
        assert np.linalg.norm(away, axis=1).argmin() == own, text.get_text()
        checked += 1
    assert checked > 2


def test_the_networks_of_the_unbeaten_have_a_colour_where_there_are_more_than_colours():
    n = 3 * len(HUES)
    made = comparison(np.linspace(0.9, 0.6, n), [5] * (n - 1) + [100])
    looks = looks_of(made.to_frame())
    assert looks[-1].color in HUES
    assert [look.network for look in looks].count("other") == n - len(HUES)
    assert list(legend(plot_comparison(made)))[-3] == "other"


def test_long_names_that_are_alike_when_short_are_numbered():
    long = [f"{'x' * 40}{number}{'y' * 40}" for number in range(3)]
    short = named([*long, long[0], "short", "\x1b[31m"], 20)
    assert len(set(short[:3])) == 3
    assert short[3] == short[0]
    assert short[4:] == ["short", r"\x1b[31m"]


def test_a_narrow_figure_has_its_legend_below():
    ax = plot_comparison(comparison([0.9, 0.8], [10, 20]), width=3.5)
    assert ax.figure.get_size_inches()[0] == 3.5
    assert ax.get_legend() is None
    ax.figure.canvas.draw()
    (below,) = ax.figure.legends
    assert below.get_window_extent().y1 <= ax.get_window_extent().y0


def test_it_is_drawn_into_the_axes_given_and_touches_nothing_else(pyplot_untouched):
    ax = Figure().add_subplot()
    assert plot_comparison(comparison([0.9, 0.8], [10, 20]), ax) is ax
