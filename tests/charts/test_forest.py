"""A forest plot has a row for each candidate, the most accurate at the top."""

import math
from itertools import pairwise

import pytest
from candidates import FIVE, NETWORKS, comparison, points
from matplotlib.figure import Figure

from featx.charts.forest import plot_forest


def made(**changed):
    options = {"names": FIVE, "backbones": NETWORKS, "recommended": 2, **changed}
    return comparison([0.9, 0.88, 0.85, 0.8, 0.7], [9, 9, 30, 30, 99], **options)


def test_each_candidate_has_a_row_with_its_accuracy_and_interval():
    ax = plot_forest(made())
    assert [text.get_text() for text in ax.get_yticklabels()] == FIVE
    places = [line.get_xydata()[0].round(6).tolist() for line in points(ax)]
    assert places == [[90, 0], [88, 1], [85, 2], [80, 3], [70, 4]]
    intervals = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
    assert intervals[0] == pytest.approx([85, 92])
    low, high = ax.get_ylim()
    assert low > high, "the most accurate is not at the top"


def test_the_recommended_is_bold_the_unbeaten_filled_and_the_margin_grey():
    ax = plot_forest(made())
    weights = [text.get_fontweight() for text in ax.get_yticklabels()]
    assert weights == ["normal", "normal", "bold", "normal", "normal"]
    filled = [line.get_markerfacecolor() != "white" for line in points(ax)]
    assert filled == [True, False, True, False, True]
    band = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    assert (band.x0, band.x1) == pytest.approx((88, 90))
    for said in ("filled: unbeaten", "bold: recommended", "grey: within 2 points of the first"):
        assert said in ax.get_xlabel()


def test_speeds_stand_on_the_right_where_they_are_known():
    texts = [text.get_text() for text in plot_forest(made()).texts]
    assert texts == ["9.0", "9.0", "30", "30", "99", "images/s"]
    unknown = comparison([0.9, 0.8], [math.nan] * 2)
    assert not plot_forest(unknown).texts


@pytest.mark.parametrize("width", [6.6, 3.5])
@pytest.mark.parametrize("n", [1, 30])
def test_names_of_any_length_leave_room_for_the_intervals(n, width):
    names = [f"{'network ' * 30}{number}" for number in range(n)]
    ax = plot_forest(comparison([0.9] * n, [10] * n, names=names), width=width)
    ax.figure.canvas.draw()
    assert ax.get_window_extent().width > 0.15 * ax.figure.get_window_extent().width
    rows = [text.get_window_extent() for text in ax.get_yticklabels()]
    for above, below in pairwise(rows):
        assert above.y0 > below.y0 + 0.8 * below.height, "rows overlap"


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_it_is_written_to_scale(suffix, tmp_path):
    path = tmp_path / f"forest.{suffix}"
    plot_forest(made(), width=3.5).figure.savefig(path)
    text = path.read_bytes()
    assert b"/Subtype /Image" not in text
    assert b"<image" not in text
    assert text.startswith({"pdf": b"%PDF", "svg": b"<?xml"}[suffix])


def test_it_is_drawn_into_the_axes_given_and_touches_nothing_else(pyplot_untouched):
    ax = Figure().add_subplot()
    assert plot_forest(made(), ax) is ax
