"""A square of pixels: how it is cut, and how much of a JPEG may be left out on the way to it."""

from io import BytesIO

import numpy as np
import pytest
from fakes import decode, encoded, photo
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featx.errors import OptionError
from featx.images.decode import Outcome
from featx.images.square import INTERPOLATIONS, RESIZES, Square


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize(("width", "height"), [(60, 40), (23, 71), (32, 32)])
def test_squash_gives_the_pixels_of_keras_load_img(width, height, format, interpolation):
    data = encoded(photo(width, height), format)
    pixels, outcome = decode(data, Square(32, "squash", interpolation))
    image = Image.open(BytesIO(data)).convert("RGB")
    expected = np.asarray(image.resize((32, 32), Image.Resampling[interpolation.upper()]))
    np.testing.assert_array_equal(pixels, expected)
    assert outcome == Outcome("decoded")
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(("width", "height"), [(60, 40), (41, 200), (500, 333), (9, 9), (30, 1)])
def test_crop_is_the_centre_of_the_image_resized_as_for_imagenet(width, height, interpolation):
    image = photo(width, height)
    pixels, _ = decode(encoded(image), Square(28, "crop", interpolation))
    scale = 32 / min(width, height)
    whole = image.resize(
        (round(width * scale), round(height * scale)), Image.Resampling[interpolation.upper()]
    )
    left, top = (round((side - 28) / 2) for side in whole.size)
    expected = np.asarray(whole.crop((left, top, left + 28, top + 28)))
    difference = np.abs(pixels.astype(int) - expected).max()
    assert difference <= 1, difference


def test_crop_of_a_ribbon_needs_no_more_memory_than_the_square(monkeypatch):
    asked = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image,
        "resize",
        lambda self, size, *a, **k: asked.append(size) or resize(self, size, *a, **k),
    )
    ribbon = np.zeros((1, 10_000, 3), np.uint8)
    ribbon[:, 5000:] = 255
    pixels, _ = decode(encoded(Image.fromarray(ribbon)), Square(28, "crop", "nearest"))
    assert asked == [(28, 28)]
    assert pixels[:, :14].max() == 0, pixels[0, :, 0]
    assert pixels[:, 14:].min() == 255, pixels[0, :, 0]


def test_pad_centres_the_whole_image_on_black():
    pixels, _ = decode(encoded(Image.new("RGB", (60, 30), "white")), Square(20, "pad"))
    np.testing.assert_array_equal(pixels[:5], 0)
    np.testing.assert_array_equal(pixels[5:15], 255)
    np.testing.assert_array_equal(pixels[15:], 0)


def test_pad_leaves_a_pixel_of_a_ribbon():
    pixels, _ = decode(encoded(Image.new("RGB", (1, 10_000), "white")), Square(21, "pad"))
    np.testing.assert_array_equal(np.flatnonzero(pixels.sum(axis=(0, 2))), [10])


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize(("width", "height"), [(60, 40), (41, 200), (200, 41), (64, 64)])
def test_the_part_that_is_shown_says_where_each_pixel_of_the_square_is_from(resize, width, height):
    """In this picture red says how far a pixel is to the right, and green how far down."""
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    places = np.stack([across, down, np.full_like(down, 255)], axis=2).astype(np.uint8)
    square = Square(28, resize)
    left, top, right, bottom = square.shown(width, height)
    made = np.asarray(square.of(Image.fromarray(places))).astype(float)
    steps = (np.arange(28) + 0.5) / 28
    x, y = left + steps * (right - left) - 0.5, top + steps * (bottom - top) - 0.5
    step = max(right - left, bottom - top) / 28  # at its edges a picture is mixed of fewer pixels
    inside = (made[:, :, 2] > 254) & (x > step) & (x < width - step)
    inside &= ((y > step) & (y < height - step))[:, None]
    assert inside.sum() > 20
    assert np.abs(made[:, :, 0] - x)[inside].max() < 1.1
    assert np.abs(made[:, :, 1] - y[:, None])[inside].max() < 1.1


@pytest.mark.parametrize("resize", RESIZES)
def test_an_image_of_one_pixel_fills_the_square(resize):
    pixels, outcome = decode(encoded(Image.new("RGB", (1, 1), (10, 20, 30))), Square(17, resize))
    assert outcome.ok
    np.testing.assert_array_equal(pixels, np.full((17, 17, 3), (10, 20, 30)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size is 0: expected at least 1"),
        ({"resize": "stretch"}, "unknown resize 'stretch': expected one of squash, crop, pad"),
        ({"interpolation": "area"}, "unknown interpolation 'area': expected one of bilinear"),
        ({"decode": "draft"}, "unknown decode 'draft': expected one of full, scaled"),
    ],
)
def test_an_unknown_option_raises(options, message):
    with pytest.raises(OptionError, match=message):
        Square(**{"size": 32, **options})


# -- How far a JPEG may be scaled down -----------------------------------------------------------

# What each way of resizing 224 px needs: twice it is kept, along the side that counts.
NEEDED = {"squash": 224, "crop": 256, "pad": 224}


def size_with(resize: str, side: int, portrait: bool) -> tuple[int, int]:
    """A width and a height of which the one that counts for `resize` is `side`."""
    longer, shorter = (side, side // 2 + 1) if resize == "pad" else (2 * side, side)
    return (shorter, longer) if portrait else (longer, shorter)


@pytest.mark.parametrize("portrait", [False, True], ids=["landscape", "portrait"])
@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("resize", RESIZES)
def test_a_picture_is_halved_as_long_as_twice_the_square_is_left(resize, reduction, portrait):
    square = Square(224, resize, decode="scaled")
    side = 2 * NEEDED[resize] * reduction
    enough, short = (size_with(resize, each, portrait) for each in (side, side - 1))
    assert square.reduction(*enough) == reduction, enough
    assert square.reduction(*short) == reduction // 2, short


@pytest.mark.parametrize("resize", RESIZES)
def test_a_picture_is_never_scaled_to_less_than_an_eighth(resize):
    assert Square(8, resize, decode="scaled").reduction(60_000, 60_000) == 8


@pytest.mark.parametrize("resize", ["squash", "crop"])
def test_the_shorter_side_counts_where_it_fills_the_square(resize):
    assert Square(224, resize, decode="scaled").reduction(60_000, 400) == 1


def test_the_longer_side_counts_where_the_whole_picture_is_in_the_square():
    assert Square(224, "pad", decode="scaled").reduction(4 * 224, 20) == 2


@given(
    size=st.integers(1, 4096),
    resize=st.sampled_from(RESIZES),
    width=st.integers(1, 70_000),
    height=st.integers(1, 70_000),
)
def test_twice_what_the_square_needs_is_left_of_any_picture(size, resize, width, height):
    reduction = Square(size, resize, decode="scaled").reduction(width, height)
    assert reduction in (1, 2, 4, 8), reduction
    if reduction == 1:
        return
    # The crop is cut from a picture whose shorter side is longer than the square.
    needed = size / 0.875 if resize == "crop" else size
    left = [side / reduction for side in (width, height)]
    counting = max(left) if resize == "pad" else min(left)
    assert counting >= 2 * needed, (reduction, left, needed)


@given(
    size=st.integers(1, 4096),
    resize=st.sampled_from(RESIZES),
    width=st.integers(1, 70_000),
    height=st.integers(1, 70_000),
)
def test_no_more_of_a_picture_is_decoded_than_has_to_be(size, resize, width, height):
    square = Square(size, resize, decode="scaled")
    reduction = square.reduction(width, height)
    needed = size / 0.875 if resize == "crop" else size
    counting = max(width, height) if resize == "pad" else min(width, height)
    assert reduction == 8 or counting / (2 * reduction) < 2 * needed, reduction
    assert reduction == square.reduction(height, width), "turning the picture changes it"


@given(size=st.integers(1, 4096), resize=st.sampled_from(RESIZES), side=st.integers(1, 70_000))
def test_full_decoding_leaves_nothing_out(size, resize, side):
    assert Square(size, resize).reduction(side, side) == 1
    assert Square(size, resize, decode="full").reduction(side, 2 * side) == 1
