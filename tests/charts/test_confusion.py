"""A confusion matrix shows every count where it belongs, and any name of a class."""

import warnings
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from featx.charts.confusion import plot_confusion
from featx.charts.style import RIGHT, WRONG, inline_svg
from featx.evaluation.evaluation import Evaluation


def evaluation(true, predicted, classes=None) -> Evaluation:
    paths = np.array([f"{i}.jpg" for i in range(len(true))], dtype=object)
    classes = tuple(classes or sorted({*true, *predicted}))
    return Evaluation(paths, np.array(true), np.array(predicted), classes)


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


def test_it_is_drawn_into_the_axes_given_and_touches_nothing_else(pyplot_untouched):
    ax = Figure().add_subplot()
    assert plot_confusion(evaluation(["a", "b"], ["a", "b"]), ax) is ax
