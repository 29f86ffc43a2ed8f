"""Names are drawn in fonts that have their letters, where the machine has any."""

import warnings

import numpy as np
from matplotlib.figure import Figure

from featx.charts.confusion import plot_confusion
from featx.charts.fonts import drawable, fonts_for, quiet_boxes
from featx.charts.gallery import plot_gallery
from featx.charts.style import save_figure

# DejaVu Sans lacks it, and another font that comes with matplotlib has it.
HOOKED = "\N{LATIN SMALL LETTER D WITH PALATAL HOOK}"
NOWHERE = "\U0010fffd"  # for private use


class Confusions:
    """Two classes that were confused once."""

    def __init__(self, name):
        self.classes = ("cat", name)
        self.counts = np.array([[3, 1], [0, 2]])


def test_letters_that_the_usual_font_has_need_no_other():
    assert fonts_for(["cat", "Käfer", "Ελληνικά", "e\u0301", "a\u200d\n"]) == ["sans-serif"]
    assert fonts_for([]) == ["sans-serif"]


def test_letters_are_drawn_with_a_font_that_has_them(tmp_path):
    name = f"{HOOKED} cat"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(fonts_for([name])) == 2
        plot_confusion(Confusions(name), Figure().add_subplot()).figure.savefig(tmp_path / "c.png")
        gallery = plot_gallery([str(tmp_path / "none.png")], [name], true=["dog"])
        gallery.savefig(tmp_path / "g.png")


def test_a_font_is_looked_for_once(monkeypatch):
    first = fonts_for([HOOKED])

    def opened(*_, **__):
        raise AssertionError("a font was opened again")

    monkeypatch.setattr("matplotlib.ft2font.FT2Font", opened)
    assert fonts_for([f"{HOOKED} dog"]) == first


def test_letters_that_no_font_has_are_said_once_and_drawn_as_boxes(tmp_path):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        gallery = plot_gallery([str(tmp_path / "none.png")], [f"{NOWHERE}{NOWHERE} cat"])
        save_figure(gallery, tmp_path / "g.png")
        gallery._repr_png_()
    assert [str(each.message).partition(":")[0] for each in said] == [
        f"no font of this machine has {NOWHERE}"
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_boxes():  # a browser may have them
            plot_confusion(Confusions(NOWHERE), Figure().add_subplot())


def test_what_is_drawn_is_one_line_of_letters_with_a_picture_each():
    assert drawable("e\u0301 ❤\ufe0f\n\x1b\u202e") == r"é ❤\n\x1b\u202e"
    assert drawable(7) == "7"


def test_wide_names_take_no_more_room_than_others(tmp_path):
    names = ["日本のとても長い名前のクラス" * 3, "x" * 80]
    with quiet_boxes():
        gallery = plot_gallery([str(tmp_path / "none.png")] * 2, names, probabilities=[0.5, 0.5])
        gallery.canvas.draw()
        for ax in gallery.axes:
            assert ax.title.get_window_extent().width <= 1.15 * ax.get_window_extent().width
            assert ax.get_title().endswith("…\n50 %")
        ax = plot_confusion(Confusions(names[0]), Figure().add_subplot())
    assert ax.get_yticklabels()[1].get_text() == "日本のとても長い…"
