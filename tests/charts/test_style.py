"""A chart becomes part of a page: its ids are its own, its colours and letters the page's."""

import xml.etree.ElementTree as ElementTree

import pytest
from matplotlib.figure import Figure

from featx.charts.style import FONT, INK, RIGHT, dress, inline_svg
from featx.errors import OptionError


def drawing() -> Figure:
    """Draw what has everything that charts have: lines, areas cut to the axes, a legend."""
    figure = Figure(figsize=(4, 3), layout="constrained")
    ax = figure.add_subplot()
    ax.plot([1, 2, 9], [1, 3, 2], color=RIGHT, marker="o", label="measured")
    ax.fill_between([1, 2, 9], [0, 2, 1], [2, 4, 3], color=RIGHT, alpha=0.2)
    ax.set_xlim(0, 5)
    ax.legend(fontsize=FONT, labelcolor=INK)
    dress(ax, "photographs", "accuracy, %")
    return figure


def test_an_inline_drawing_has_ids_of_its_own_the_colours_of_the_page_and_no_style_sheet():
    svg = inline_svg(drawing(), "mine", 'what "it" <shows>', {INK: "var(--ink)"})
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


@pytest.mark.parametrize("width", [0, -3.5, 1000, "wide", None, float("nan")])
def test_a_width_that_cannot_be_drawn_is_refused(cloud, width):
    with pytest.raises(OptionError, match=r"expected 2 to 100 inches, such as 3\.5 for a column"):
        cloud().plot(width=width)


def test_drawing_it_touches_no_figure_or_setting_of_the_user(pyplot_untouched):
    inline_svg(drawing(), "x", "y", {})
