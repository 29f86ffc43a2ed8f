"""A gallery shows each picture with its label, in colours that tell right from wrong."""

import math
import warnings

import fakes
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from PIL import Image

from featx.charts.gallery import plot_gallery
from featx.charts.style import save_figure
from featx.errors import OptionError, StorageError

GREEN, RED, GREY = "#1a7f37", "#cf222e", "#57606a"


@pytest.fixture
def pictures(tmp_path):
    """Return a function that gives the paths of so many pictures, all of one file."""
    path = str(fakes.draw(tmp_path / "picture.png", (200, 40, 40), size=(60, 30)))
    return lambda n: [path] * n


def frame_color(ax) -> str:
    colors = {to_hex(spine.get_edgecolor()) for spine in ax.spines.values()}
    assert len(colors) == 1
    return colors.pop()


def boxes(figure) -> np.ndarray:
    """Return left, bottom, right, top of each picture with its title, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    found = [ax.get_tightbbox(renderer) for ax in figure.axes]
    return np.array([[box.x0, box.y0, box.x1, box.y1] for box in found])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 10, 28, 41, 100])
def test_each_picture_is_drawn_once_in_a_wide_grid_without_empty_rows(pictures, n):
    figure = plot_gallery(pictures(n), ["cat"] * n)
    assert len(figure.axes) == n
    assert all(ax.images for ax in figure.axes)
    lefts = {round(ax.get_position().x0, 6) for ax in figure.axes}
    tops = {round(ax.get_position().y1, 6) for ax in figure.axes}
    empty = len(lefts) * len(tops) - n
    assert 0 <= empty < len(lefts)
    assert empty <= 2, f"{n} pictures leave {empty} places empty"
    assert len(lefts) >= len(tops)


@pytest.mark.parametrize("n", [1, 3, 10, 28])
def test_pictures_are_square_fill_the_figure_and_do_not_touch(pictures, n):
    figure = plot_gallery(pictures(n), ["Banana"] * n, probabilities=[0.5] * n)
    width, height = figure.canvas.get_width_height()
    found = boxes(figure)
    for ax in figure.axes:
        box = ax.get_window_extent()
        assert box.width == pytest.approx(box.height, abs=1.5)
    assert found.min() >= 0
    assert found[:, 2].max() <= width
    assert found[:, 3].max() <= height
    band = 0.3 * figure.dpi  # no more than this is left empty at an edge
    assert found[:, 0].min() < band
    assert width - found[:, 2].max() < band
    assert found[:, 1].min() < band
    assert height - found[:, 3].max() < band
    for i in range(n):
        for other in found[:i]:
            apart = (
                found[i][0] >= other[2]
                or other[0] >= found[i][2]
                or found[i][1] >= other[3]
                or other[1] >= found[i][3]
            )
            assert apart, f"picture {i} touches another: {found[i]}, {other}"


def test_the_number_of_columns_can_be_chosen(pictures):
    figure = plot_gallery(pictures(6), ["cat"] * 6, columns=2)
    assert len({ax.get_position().x0 for ax in figure.axes}) == 2
    assert len(plot_gallery(pictures(1), ["cat"], columns=9).axes) == 1


def test_right_is_green_wrong_is_red_with_the_truth_and_unknown_is_grey(pictures):
    figure = plot_gallery(
        pictures(3),
        ["cat", "dog", "cow"],
        true=["cat", "cat", None],
        probabilities=[0.987, 0.5, math.nan],
    )
    titles = [ax.title for ax in figure.axes]
    assert [title.get_text() for title in titles] == ["cat  99 %", "dog  50 %\nis cat", "cow"]
    assert [to_hex(title.get_color()) for title in titles] == [GREEN, RED, GREY]
    assert [frame_color(ax) for ax in figure.axes] == [GREEN, RED, GREY]
    assert [text.get_text() for text in figure.texts] == ["1 of 2 right"]


def test_without_truths_nothing_is_judged(pictures):
    figure = plot_gallery(pictures(2), ["cat", "dog"])
    assert [ax.get_title() for ax in figure.axes] == ["cat", "dog"]
    assert {frame_color(ax) for ax in figure.axes} == {GREY}
    assert list(figure.texts) == []


def test_what_is_unfamiliar_is_marked_and_counted(pictures):
    figure = plot_gallery(
        pictures(3),
        ["cat", "cat", "dog"],
        true=["cat", "cat", None],
        answered=[True, True, False],
        unfamiliar=[False, True, True],
    )
    assert [ax.get_title() for ax in figure.axes] == [
        *("cat", "cat (unfamiliar)", "unfamiliar (dog?)")
    ]
    assert [frame_color(ax) for ax in figure.axes] == [GREEN, GREEN, GREY]
    assert figure.texts[0].get_text() == "2 of 2 right; 2 unfamiliar"


def test_what_is_unsure_is_grey_a_question_and_not_counted(pictures):
    figure = plot_gallery(
        pictures(4),
        ["cat", "cat", "dog", "dog"],
        true=["cat", "cat", "cat", None],
        probabilities=[0.9, 0.4, 0.3, 0.2],
        answered=[True, False, False, False],
    )
    assert [ax.get_title() for ax in figure.axes] == [
        "cat  90 %",
        "unsure (cat?)  40 %",
        "unsure (dog?)  30 %\nis cat",
        "unsure (dog?)  20 %",
    ]
    assert [frame_color(ax) for ax in figure.axes] == [GREEN, GREY, GREY, GREY]
    assert figure.texts[0].get_text() == "1 of 1 right; 3 unsure"


def test_labels_and_probabilities_may_be_arrays(pictures):
    figure = plot_gallery(
        np.array(pictures(2), dtype=object),
        np.array(["cat", "dog"]),
        true=np.array(["cat", "cat"]),
        probabilities=np.array([0.25, 0.75], np.float32),
    )
    assert [ax.get_title() for ax in figure.axes] == ["cat  25 %", "dog  75 %\nis cat"]


@pytest.mark.parametrize("n", [1, 10, 60])
@pytest.mark.parametrize(
    "label",
    [
        "a label of many words that goes on and on and would not fit a line nor two of them",
        "one_word_without_any_place_to_break_it_and_as_long_as_a_name_of_a_class_can_be",
        "Golden-Delicious-Red-Bell-Pepper",
    ],
)
def test_long_labels_are_broken_and_cut_to_the_width_of_their_picture(pictures, label, n):
    figure = plot_gallery(pictures(n), [label] * n, true=["x" * 70] * n, probabilities=[0.5] * n)
    figure.canvas.draw()
    ax = figure.axes[0]
    lines = ax.get_title().split("\n")
    assert len(lines) <= 5
    assert "50 %" in ax.get_title()
    assert lines[0].startswith(label[:8])
    picture, title = ax.get_window_extent(), ax.title.get_window_extent()
    assert title.width <= picture.width * 1.15
    assert title.y1 <= figure.canvas.get_width_height()[1]


@pytest.mark.parametrize(
    "label", ["$\\notmath$", "100 $ and 5 $", "a_b^c", "caf\udce9", "line\nbreak", "", "%s {0}"]
)
def test_labels_are_text_whatever_they_hold(pictures, tmp_path, label):
    figure = plot_gallery(pictures(2), [label, "x"], true=["x", label])
    save_figure(figure, tmp_path / "gallery.png")
    shown = label.replace("\udce9", "\ufffd").replace("\n", r"\n")
    assert figure.axes[0].get_title() == f"{shown}\nis x"
    assert figure.axes[1].get_title().startswith("x\nis")


def test_of_more_than_a_hundred_pictures_the_first_hundred_are_shown(pictures):
    n = 120
    figure = plot_gallery(pictures(n), ["cat"] * n, true=["cat"] * 90 + ["dog"] * 30)
    assert len(figure.axes) == 100
    assert [text.get_text() for text in figure.texts] == [
        "90 of 120 right; the first 100 of 120 pictures are shown"
    ]


@pytest.mark.parametrize("size", [(40, 40), (80, 40), (40, 80)])
def test_a_picture_is_shown_upright_in_its_colours_all_of_its_shorter_side(tmp_path, size):
    flag = Image.new("RGB", (36, 36), (0, 0, 255))
    flag.paste((255, 0, 0), (0, 0, 36, 18))
    picture = Image.new("RGB", size, (255, 255, 0))
    picture.paste(flag, ((size[0] - 36) // 2, (size[1] - 36) // 2))
    picture.save(tmp_path / "flag.png")
    shown = plot_gallery([str(tmp_path / "flag.png")], ["flag"]).axes[0].images[0].get_array()
    side = shown.shape[0]
    assert shown.shape == (side, side, 3)
    assert side >= 200
    for row, column, color in (
        (1, side // 2, (255, 255, 0)),
        (side // 4, 1, (255, 255, 0)),
        (side // 4, side // 4, (255, 0, 0)),
        (3 * side // 4, 3 * side // 4, (0, 0, 255)),
        (-2, -2, (255, 255, 0)),
    ):
        assert np.abs(shown[row, column].astype(int) - color).max() < 10, (row, column)


def test_a_picture_that_is_gone_or_broken_is_a_grey_square(tmp_path, pictures):
    (tmp_path / "broken.jpg").write_text("no picture")
    paths = [str(tmp_path / "gone.jpg"), str(tmp_path / "broken.jpg"), *pictures(1)]
    figure = plot_gallery(paths, ["a", "b", "c"])
    arrays = [ax.images[0].get_array() for ax in figure.axes]
    assert [len(np.unique(array.reshape(-1, 3), axis=0)) for array in arrays] == [1, 1, 1]
    assert arrays[0][0, 0].tolist() == arrays[1][0, 0].tolist() == [208, 208, 208]
    assert arrays[2][0, 0].tolist() == [200, 40, 40]


@pytest.mark.parametrize(
    "arguments",
    [
        {"paths": [], "predicted": []},
        {"paths": ["a.jpg"], "predicted": []},
        {"paths": ["a.jpg"], "predicted": ["x"], "true": ["x", "y"]},
        {"paths": ["a.jpg"], "predicted": ["x"], "probabilities": []},
    ],
)
def test_sequences_of_other_lengths_are_told(arguments):
    with pytest.raises(OptionError, match=r"as many labels as pictures, at least one: got [01]"):
        plot_gallery(**arguments)


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".jpg", "JPEG"), (".PNG", "PNG")])
def test_a_saved_gallery_opens_at_the_size_that_it_was_drawn(pictures, tmp_path, suffix, kind):
    path = tmp_path / f"gallery{suffix}"
    figure = plot_gallery(pictures(3), ["a", "b", "c"], true=["a", "a", None])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(figure, path)
    with Image.open(path) as image:
        image.load()
        assert image.format == kind
        assert image.size == figure.canvas.get_width_height()
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for color in (GREEN, RED):
        rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels - rgb).max(axis=1) < 12).sum() > 500, f"no {color} in {path.name}"
    assert (pixels == 255).all(axis=1).mean() > 0.05


@pytest.mark.parametrize(("suffix", "start"), [(".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_a_gallery_can_be_a_document(pictures, tmp_path, suffix, start):
    save_figure(plot_gallery(pictures(1), ["a"]), tmp_path / f"gallery{suffix}")
    assert (tmp_path / f"gallery{suffix}").read_bytes()[: len(start)] == start


def test_a_gallery_that_cannot_be_written_is_told_and_leaves_nothing(pictures, tmp_path):
    figure = plot_gallery(pictures(1), ["a"])
    with pytest.raises(StorageError, match="there is no such folder; create it first"):
        save_figure(figure, tmp_path / "nowhere" / "gallery.png")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_drawing_touches_no_figure_or_setting_of_the_user(pictures, tmp_path, pyplot_untouched):
    save_figure(plot_gallery(pictures(2), ["a", "b"]), tmp_path / "gallery.png")
    assert (tmp_path / "gallery.png").is_file()
