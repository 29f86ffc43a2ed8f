"""An overlay shows where in the photograph, not in the square, something speaks for a class."""

from io import BytesIO

import explained
import numpy as np
import pytest
from PIL import Image

from featx.charts.overlay import overlay, overlay_png, photograph_of, place_of, scale_bar
from featx.images.square import RESIZES, Square

# What people without one kind of cone see of linear RGB (Machado, Oliveira and Fernandes 2009).
SEEN_WITHOUT = {
    "red": [
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ],
    "green": [
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ],
    "blue": [
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ],
}


@pytest.fixture
def wide(tmp_path):
    """The path of a grey picture that is twice as wide as high."""
    return explained.grey(tmp_path / "wide.png")


def warmth(pixels) -> np.ndarray:
    """Return how much more red than blue each pixel has."""
    return pixels[:, :, 0].astype(int) - pixels[:, :, 2]


def centre(where) -> tuple[float, float]:
    """Return the middle of some pixels, right and down, as shares of the sides."""
    down, across = np.nonzero(where)
    height, width = where.shape
    return (across.mean() + 0.5) / width, (down.mean() + 0.5) / height


@pytest.mark.parametrize("size", [(80, 40), (40, 80), (50, 50), (3, 400)])
@pytest.mark.parametrize("resize", RESIZES)
def test_an_overlay_has_the_proportions_of_the_photograph(tmp_path, size, resize):
    path = explained.grey(tmp_path / "x.png", size)
    made = overlay(explained.Made(path, explained.spot(3, 3), square=Square(32, resize)), 120)
    height, width = made.shape[:2]
    assert max(width, height) == 120
    assert min(width, height) == pytest.approx(120 * min(size) / max(size), abs=0.6)
    assert photograph_of(explained.Made(path, explained.spot(3, 3)), 120).size == (width, height)


@pytest.mark.parametrize(
    ("resize", "expected"),
    [
        ("squash", (5.5 / 8, 2.5 / 8)),
        ("crop", (0.5 + 0.875 / 2 * 1.5 / 8, 0.5 - 0.875 * 1.5 / 8)),  # the middle of a wide one
        ("pad", (5.5 / 8, 0.5 - 2 * 1.5 / 8)),  # whose height is half of the square
    ],
)
def test_the_colour_is_where_the_square_has_it(wide, resize, expected):
    made = explained.Made(wide, explained.spot(2, 5), square=Square(32, resize))
    drawn = warmth(overlay(made, 240))
    assert centre(drawn > 0.6 * drawn.max()) == pytest.approx(expected, abs=0.02)


def test_what_speaks_for_a_class_is_orange_what_speaks_against_it_blue_and_nothing_grey(wide):
    heat = explained.spot(2, 1) - explained.spot(2, 6)
    drawn = warmth(overlay(explained.Made(wide, heat), 240))
    assert drawn.max() > 80
    assert drawn.min() < -80
    assert centre(drawn > 60)[0] == pytest.approx(1.5 / 8, abs=0.03)
    assert centre(drawn < -60)[0] == pytest.approx(6.5 / 8, abs=0.03)
    assert np.abs(drawn[-30:]).max() <= 2, "no colour where the map is 0"


def test_the_scale_is_centred_on_zero_also_where_little_speaks_against(wide):
    heat = explained.spot(2, 1) - explained.spot(2, 6, value=0.1)
    drawn = warmth(overlay(explained.Made(wide, heat), 240))
    assert -0.4 * drawn.max() < drawn.min() < 0
    bar = warmth(scale_bar(129, 2))[0]
    assert abs(bar[64]) <= 2
    assert (np.diff(bar) >= -2).all()


def test_maps_that_share_a_scale_can_be_compared(wide):
    weak = explained.Made(wide, explained.spot(2, 1, value=0.25))
    alone, together = warmth(overlay(weak, 240)), warmth(overlay(weak, 240, scale=1.0))
    assert together.max() < 0.5 * alone.max()


def test_half_of_what_speaks_for_a_class_lies_within_the_line(wide):
    heat = explained.spot(2, 1) + explained.spot(5, 6, value=0.3)
    drawn = overlay(explained.Made(wide, heat), 240)
    line = (drawn == 255).all(axis=2)
    across, down = centre(line)
    assert (across, down) == pytest.approx((1.5 / 8, 2.5 / 8), abs=0.03)
    assert line[:, 120:].sum() == 0, "the weaker place is not within it"
    nothing = overlay(explained.Made(wide, -heat), 240)
    assert not (nothing == 255).all(axis=2).any(), "nothing speaks for it: there is no line"


def test_where_little_speaks_for_a_class_there_is_no_line(wide):
    weak = explained.Made(wide, explained.spot(2, 1, value=0.1))
    assert (overlay(weak, 240) == 255).all(axis=2).any()
    assert not (overlay(weak, 240, scale=1.0) == 255).all(axis=2).any()


@pytest.mark.parametrize(
    ("heat", "expected"),
    [
        (explained.spot(0, 0), "at the upper left"),
        (explained.spot(7, 7), "at the lower right"),
        (explained.spot(4, 4), "in the middle"),
        (explained.spot(4, 7), "at the right"),
        (explained.spot(7, 4), "in the lower part"),
        (np.ones((8, 8)), "all over"),
        (-explained.spot(4, 4), "nowhere"),
    ],
)
def test_the_place_is_said_for_those_who_do_not_see_it(wide, heat, expected):
    assert place_of(explained.Made(wide, heat)) == expected


def test_an_estimate_is_smoothed_and_an_exact_map_is_not(wide):
    """A place of an estimate that stands alone is as likely chance."""
    heat = explained.spot(2, 1) + explained.spot(5, 5) + explained.spot(5, 6)
    sums = {}
    for exact in (True, False):
        made = explained.Made(wide, heat, exact=exact, budget=256)
        drawn = warmth(overlay(made, 240))
        sums[exact] = drawn[30:45, 30:60].max() / drawn[75:90, 150:210].max()
    assert sums[True] > 0.95
    assert sums[False] < 0.8


def test_what_the_network_did_not_see_is_pale(wide):
    drawn = overlay(explained.Made(wide, explained.spot(3, 3), square=Square(32, "crop")), 240)
    edge, middle = drawn[:, :4].mean(), drawn[-20:-15, 118:122].mean()
    assert edge > middle + 40


def test_a_photograph_that_is_gone_is_drawn_from_the_square(tmp_path):
    made = explained.Made(str(tmp_path / "gone.jpg"), explained.spot(2, 5))
    assert overlay(made, 96).shape == (96, 96, 3)


@pytest.mark.parametrize(("resize", "proportions"), [("squash", 0.5), ("pad", 0.5), ("crop", 1.0)])
def test_what_the_square_shows_of_it_has_its_proportions(wide, tmp_path, resize, proportions):
    known = {"heat": explained.spot(3, 4), "square": Square(32, resize)}
    gone = explained.Made(str(tmp_path / "gone.jpg"), size=(80, 40), **known)
    drawn = overlay(gone, 240)
    assert drawn.shape[0] / drawn.shape[1] == pytest.approx(proportions, abs=0.01)
    warm = warmth(drawn)
    there = warmth(overlay(explained.Made(wide, **known), 240))
    seen = there[:, 68:172] if resize == "crop" else there
    expected = centre(seen > 0.6 * there.max())
    if resize == "crop":  # which leaves out as much above and below
        expected = (expected[0], 0.5 + (expected[1] - 0.5) / 0.875)
    assert centre(warm > 0.6 * warm.max()) == pytest.approx(expected, abs=0.03)


def test_the_photograph_may_be_given(wide):
    made = explained.Made("upload", explained.spot(2, 5))
    given = overlay(made, 240, photograph=Image.open(wide))
    assert (given == overlay(explained.Made(wide, explained.spot(2, 5)), 240)).all()


@pytest.mark.parametrize("heat", [np.zeros((7, 7)), np.zeros((1, 1)), np.ones((1, 1))])
def test_a_map_without_differences_is_drawn(wide, heat):
    assert overlay(explained.Made(wide, heat), 100).shape == (50, 100, 3)


def test_the_bytes_are_a_small_png_of_the_overlay(wide):
    made = explained.Made(wide, explained.spot(2, 5))
    data = overlay_png(made, 200)
    assert len(data) < 60_000
    with Image.open(BytesIO(data)) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), overlay(made, 200))


def test_light_and_dark_photographs_stay_legible_under_the_colours(tmp_path):
    """Neighbouring shades differ by as much of their lightness in any colour."""
    for value in (0, 1, -1):
        shades = []
        for level in (0, 64, 128, 192, 255):
            path = explained.grey(tmp_path / f"{level}.png", (40, 40), level)
            heat = np.full((4, 4), value, np.float32)
            shades.append(overlay(explained.Made(path, heat), 40, scale=1.0)[20, 20].mean())
        assert (np.diff(shades) > 12).all(), f"value {value}: {shades}"


@pytest.mark.parametrize("cone", SEEN_WITHOUT)
def test_for_and_against_are_told_apart_without_any_one_kind_of_cone(cone):
    shades = scale_bar(129, 1)[0, [0, 64, 128]] / 255
    linear = ((shades + 0.055) / 1.055) ** 2.4
    seen = (linear @ np.array(SEEN_WITHOUT[cone]).T).clip(0, 1)
    against, nothing, for_it = 255 * (1.055 * seen ** (1 / 2.4) - 0.055)
    for one, other in ((against, for_it), (against, nothing), (for_it, nothing)):
        assert np.abs(one - other).max() > 60, (cone, against, nothing, for_it)
