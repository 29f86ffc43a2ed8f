"""Charts show every number where it belongs, and stay readable with little or much to show."""

import math
import warnings
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from featx.insight.charts import (
    INK,
    RIGHT,
    WRONG,
    confusions,
    inline_svg,
    plot_comparison,
    plot_confusion,
    plot_learning_curve,
)
from featx.insight.names import shortened
from featx.learning.evaluation import Evaluation
from featx.learning.intervals import Estimate


def evaluation(true, predicted, classes=None) -> Evaluation:
    paths = np.array([f"{i}.jpg" for i in range(len(true))], dtype=object)
    classes = tuple(classes or sorted({*true, *predicted}))
    return Evaluation(paths, np.array(true), np.array(predicted), classes)


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
            "efficient": ~np.array(beaten),
        }
    )
    return SimpleNamespace(frame=frame)


def curve(sizes=(2, 4, 8), values=(0.6, 0.7, 0.8), per_class=10.0):
    """Stand in for a learning curve, with a forecast that rises a little."""

    def forecast(n):
        return Estimate(0.8 + 0.001 * n, 0.75, 0.9)

    estimates = tuple(Estimate(v, v - 0.1, v + 0.1) for v in values)
    return SimpleNamespace(
        sizes=np.array(sizes), estimates=estimates, per_class=per_class, forecast=forecast
    )


def places(ax) -> np.ndarray:
    """Return where the points of a comparison are."""
    return np.asarray(ax.collections[-1].get_offsets())


def boxes_of_names(ax):
    """Return the boxes of the names that are written beside points, in pixels."""
    ax.figure.canvas.draw()
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    return [text.get_window_extent(renderer) for text in ax.texts]


def test_counts_are_those_of_the_confusion_matrix():
    made = evaluation(["ant", "ant", "bee", "cat"], ["ant", "cat", "bee", "cat"])
    assert (confusions(made) == made.confusion.to_numpy()).all()


def test_a_confusion_matrix_has_a_cell_and_a_count_for_each_pair_that_occurs():
    ax = plot_confusion(evaluation(["ant", "ant", "bee", "cat"], ["ant", "cat", "bee", "cat"]))
    written = {(text.get_position(), text.get_text()) for text in ax.texts}
    assert written == {((0, 0), "1"), ((2, 0), "1"), ((1, 1), "1"), ((2, 2), "1")}
    cells = ax.collections[0]
    colors = [to_hex(color) for color in cells.get_facecolor()]
    assert colors == [RIGHT, WRONG, RIGHT, RIGHT]
    assert cells.get_facecolor()[0, 3] < cells.get_facecolor()[2, 3] == 1
    assert ax.get_xlabel() == "predicted"
    assert ax.get_ylabel() == "true"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ant", "bee", "cat"]
    assert ax.get_ylim() == (2.5, -0.5)


@pytest.mark.parametrize("n", [1, 30, 100])
def test_names_of_many_classes_do_not_overlap(n):
    names = [f"class number {i:03d}" for i in range(n)]
    ax = plot_confusion(evaluation(names, names))
    ax.figure.canvas.draw()
    found = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert 1 <= len(found) <= 40
    for above, below in pairwise(found):
        assert above.y0 >= below.y0 + 0.55 * above.height


@pytest.mark.parametrize("name", ["$\\notmath$", "caf\udce9", "a\nb\x1b", "x" * 100, "日本", ""])
def test_any_name_of_a_class_can_be_drawn(name):
    made = plot_confusion(evaluation([name, "zzz"], ["zzz", "zzz"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = inline_svg(made.figure, "chart", name, {})
    ElementTree.fromstring(svg)
    assert max(len(label.get_text()) for label in made.get_yticklabels()) <= 18


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


def test_a_learning_curve_shows_what_was_measured_and_what_is_foretold():
    ax = plot_learning_curve(curve())
    measured, forecast = ax.lines
    assert measured.get_xdata().tolist() == [2, 4, 8]
    assert measured.get_ydata() == pytest.approx([60, 70, 80])
    assert forecast.get_xdata()[[0, -1]].tolist() == [8, 20]
    assert forecast.get_ydata()[-1] == pytest.approx(82)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["measured", "forecast"]
    low, high = ax.get_ylim()
    assert low <= 50
    assert high >= 90


def test_charts_are_drawn_into_the_axes_given_and_touch_nothing_else():
    before = dict(plt.rcParams)
    calls = (
        (plot_confusion, evaluation(["a", "b"], ["a", "b"])),
        (plot_comparison, comparison([0.9, 0.8], [10, 20])),
        (plot_learning_curve, curve()),
    )
    for plot, made in calls:
        ax = Figure().add_subplot()
        assert plot(made, ax) is ax
        inline_svg(ax.figure, "x", "y", {})
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before


def test_a_chart_without_axes_is_a_new_figure_that_pyplot_and_notebooks_show():
    mine = plt.figure()
    ax = plot_learning_curve(curve())
    assert ax.figure is not mine
    assert plt.get_fignums() == [mine.number, ax.figure.number]


def test_an_inline_drawing_has_ids_of_its_own_the_colours_of_the_page_and_no_style_sheet():
    ax = plot_learning_curve(curve())
    svg = inline_svg(ax.figure, "mine", 'what "it" <shows>', {INK: "var(--ink)"})
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'what "it" <shows>'
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    assert len(set(ids)) == len(ids)
    assert all(each.startswith("mine-") for each in ids)
    for each in root.iter():
        for key in ("href", "clip-path"):
            if each.get(key):
                assert each.get(key).replace("url(", "").strip("#()") in ids
    assert "var(--ink)" in svg
    assert INK not in svg
    assert not [each for each in root.iter() if each.tag in ("style", "metadata")]
    assert "http" not in svg
    assert "DejaVu" not in svg
    assert "measured" in "".join(root.itertext())


def test_a_long_name_keeps_its_end_where_candidates_differ():
    name = "efficientnet_lite0+resnet50 avg 2 views logistic C=0.001"
    assert shortened(name, 34, 14) == "efficientnet_lite0+…gistic C=0.001"
    assert len(shortened(name, 34, 14)) == 34
    assert shortened(name, 10) == "efficient…"
    assert shortened("short", 10, 4) == "short"
