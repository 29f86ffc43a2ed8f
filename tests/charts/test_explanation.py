"""A chart of explanations shows each photograph beside what decided, and says how it was found."""

from itertools import pairwise

import explained
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from featx.charts.explanation import plot_explanations
from featx.charts.overlay import way_of
from featx.charts.style import save_figure
from featx.errors import OptionError
from featx.images.square import Square


@pytest.fixture
def made(tmp_path):
    """Return a function that gives explanations of pictures of different proportions."""
    sizes = [(80, 40), (40, 80), (50, 50)]
    paths = [explained.grey(tmp_path / f"{n}.png", size) for n, size in enumerate(sizes)]

    def make(n, **known):
        known = {"heat": explained.spot(2, 5), **known}
        return [explained.Made(paths[number % 3], **known) for number in range(n)]

    return make


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 24])
def test_photographs_and_overlays_lie_side_by_side_in_their_proportions(made, n, pyplot_untouched):
    figure = plot_explanations(made(n))
    *pictures, scale = figure.axes
    assert len(pictures) == 2 * n
    assert scale.get_position().width > 0
    across, down = figure.get_size_inches()
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.texts]
    assert all(box.x0 >= 0 and box.y0 >= 0 for box in boxes)
    assert all(box.x1 <= across * figure.dpi and box.y1 <= down * figure.dpi for box in boxes)
    for number in range(n):
        photograph, drawn = (ax.get_position() for ax in pictures[2 * number : 2 * number + 2])
        ratio = photograph.width * across / (photograph.height * down)
        assert ratio == pytest.approx([2, 0.5, 1][number % 3], rel=0.02)
        assert drawn.x0 > photograph.x1
        assert (drawn.y0, drawn.height) == pytest.approx((photograph.y0, photograph.height))
    for one, other in pairwise(boxes):
        assert not one.overlaps(other), f"texts lie on one another: {texts(figure)}"


def test_the_photograph_is_untouched_and_beside_it_is_the_overlay(made):
    photograph, drawn = (ax.images[0].get_array() for ax in plot_explanations(made(1)).axes[:2])
    assert (np.asarray(photograph) == 128).all()
    assert np.ptp(np.asarray(drawn)) > 100


def test_label_probability_file_and_way_are_said(made):
    figure = plot_explanations(made(1))
    assert texts(figure)[:2] == ["why cat?  87 %", "0.png: class map, exact"]
    assert "half of all that speaks for it" in texts(figure)[-1]
    assert "pale" not in texts(figure)[-1]
    figure = plot_explanations(made(1, probability=None, square=Square(32, "crop")))
    assert texts(figure)[0] == "why cat?"
    assert "pale: not seen by the network" in texts(figure)[-1]


def test_a_class_that_was_not_predicted_is_asked_for_otherwise(made):
    figure = plot_explanations(made(1, label="dog", probability=0.031))
    assert texts(figure)[0] == "why not dog?  3 %"


def test_whether_it_is_exact_and_what_it_took_is_said(made):
    (each,) = made(1, method="masks", exact=False, budget=1200)
    assert way_of(each) == "1,200 masks, an estimate"


def test_an_answer_that_no_mask_changed_is_told(made):
    (each,) = made(1, heat=np.zeros((8, 8)), method="masks", exact=False, budget=256)
    assert way_of(each) == "256 masks, none of which changed the answer"


def test_names_that_are_long_or_drive_a_terminal_are_drawn_as_text(made, tmp_path):
    label = "a$x_{1}$\x1b[2J" + 60 * "very long "
    figure = plot_explanations(made(1, label=label, predicted=label))
    title = texts(figure)[0]
    assert "\x1b" not in title
    assert title.endswith("…?  87 %")
    save_figure(figure, tmp_path / "x.png")
    right = figure.texts[0].get_window_extent(FigureCanvasAgg(figure).get_renderer()).x1
    assert right <= figure.get_size_inches()[0] * figure.dpi


def test_more_than_can_be_seen_are_counted(made):
    figure = plot_explanations(made(61))
    assert len(figure.axes) == 2 * 60 + 1
    assert "the first 60 of 61 pictures are shown" in texts(figure)[-1]


def test_nothing_to_draw_is_refused():
    with pytest.raises(OptionError, match="no explanations to draw"):
        plot_explanations([])
