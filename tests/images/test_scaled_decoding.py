"""A large JPEG may be decoded at a fraction of its size: faster, and to nearly the same square."""

from collections import Counter
from unittest import mock

import numpy as np
import pytest
from fakes import decode, encoded, photo
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featx.images.decode import Outcome, decode_all, decode_rgb
from featx.images.square import DECODES, INTERPOLATIONS, RESIZES, Square

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.*")


def scene(width: int, height: int, seed: int = 0) -> Image.Image:
    """Draw something like a photograph: detail of every size, less of it the finer it is."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells in (3, 6, 12, 24, 48, 96, 192):
        noise = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += (np.asarray(noise.resize((width, height))) - 127.5) / cells
    return Image.fromarray((127 + 120 * total / np.abs(total).max()).astype(np.uint8))


LARGE = scene(1600, 1200)
LARGE_JPEG = encoded(LARGE, "JPEG", quality=90)


def distance(one, other) -> float:
    """The mean difference of two pictures, of at most 255."""
    return float(np.abs(np.asarray(one, int) - np.asarray(other, int)).mean())


def both(data: bytes, size: int, resize: str = "squash", interpolation: str = "bilinear"):
    """Decode in full and scaled; both have to go well, and alike but for the pixels."""
    full, outcome = decode(data, Square(size, resize, interpolation))
    scaled, same = decode(data, Square(size, resize, interpolation, "scaled"))
    assert outcome.ok, outcome
    assert same == outcome
    assert scaled.shape == full.shape
    return full, scaled


# -- The pixels ----------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize(("size", "reduction"), [(256, 2), (128, 4), (64, 8)])
def test_the_square_of_a_scaled_photograph_is_nearly_that_of_the_full_one(
    size, reduction, resize, interpolation
):
    assert Square(size, resize, decode="scaled").reduction(1600, 1200) == reduction
    full, scaled = both(LARGE_JPEG, size, resize, interpolation)
    # "nearest" picks single pixels, of which the scaled picture has others.
    most = 4.0 if interpolation == "nearest" else 1.0
    assert 0 < distance(full, scaled) <= most, distance(full, scaled)


@pytest.mark.parametrize("resize", RESIZES)
def test_sides_that_the_reduction_does_not_divide_move_no_pixel(resize):
    data = encoded(LARGE.resize((1593, 1193)), "JPEG", quality=90)
    distances = [distance(*both(data, size, resize)) for size in (64, 74, 128)]
    assert max(distances) <= 1.0, distances


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_cut_where_the_full_one_is(resize, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(LARGE.resize((1593, 1193)), "JPEG", quality=90, exif=exif)
    distances = [distance(*both(data, size, resize)) for size in (64, 75, 128)]
    assert max(distances) <= 1.0, distances


PHOTOGRAPHS = {
    "exif_orientation_2to8/exif_orientation__Portrait_4.jpg": ((224, 2), (150, 4), (75, 8), 1.0),
    "jpeg_gray/sharp__concert.jpg": ((64, 2), (32, 4), (16, 8), 2.0),
    "mpo/pillow__frozenpond.mpo": ((112, 2), (60, 4), (30, 8), 1.0),
    "cmyk_jpeg/sharp__Channel_digital_image_CMYK_color_no_profile.jpg": ((80, 2), (40, 4), 5.0),
    "jpeg_progressive/gofuzz__jpeg__video-001.progressive.jpeg": ((25, 2), (12, 4), 5.0),
}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_real_photographs_are_nearly_the_same(shared, name):
    path = shared / "data" / "messy" / name
    *sizes, most = PHOTOGRAPHS[name]
    with Image.open(path) as image:
        width, height = image.size
    for size, reduction in sizes:
        assert Square(size, decode="scaled").reduction(width, height) == reduction, size
        full, scaled = both(path.read_bytes(), size)
        assert 0 < distance(full, scaled) <= most, (size, distance(full, scaled))


def test_messy_files_fare_as_they_do_in_full(shared):
    messy = sorted((shared / "data" / "messy").glob("*/*"))
    assert len(messy) > 50, len(messy)
    others = {}
    for path in messy:
        data = path.read_bytes()
        outcomes = [decode(data, Square(16, decode=how))[1] for how in DECODES]
        if len(set(outcomes)) > 1:
            others[path.name] = outcomes
    assert others == {}


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "GIF", "BMP", "a TIFF of JPEG tiles"])
def test_other_formats_are_decoded_in_full(format):
    image = scene(900, 600)
    options = {"format": "TIFF", "compression": "jpeg"} if "JPEG" in format else {"format": format}
    full, scaled = both(encoded(image, **options), 50)
    np.testing.assert_array_equal(scaled, full)


@pytest.mark.parametrize(("width", "height"), [(895, 1200), (100, 60), (8, 8), (1, 1)])
def test_a_jpeg_that_is_not_large_for_its_square_has_the_very_pixels_of_full(width, height):
    full, scaled = both(encoded(scene(width, height), "JPEG"), 224)
    np.testing.assert_array_equal(scaled, full)


# -- What the decoder does -----------------------------------------------------------------------


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1600, 1200), (801, 1203), (17, 9)])
def test_a_jpeg_is_decoded_to_the_fraction_that_is_asked_for(width, height, progressive):
    data = encoded(LARGE.resize((width, height)), "JPEG", progressive=progressive)
    for reduction in (1, 2, 4, 8):
        image, outcome = decode_rgb(data, reduction)
        assert outcome == Outcome("decoded")
        assert image.size == (-(-width // reduction), -(-height // reduction)), reduction


def test_the_reduced_picture_is_the_full_one_seen_from_farther_away():
    full, _ = decode_rgb(LARGE_JPEG)
    for reduction in (2, 4, 8):
        reduced, _ = decode_rgb(LARGE_JPEG, reduction)
        difference = distance(reduced, full.reduce(reduction))
        assert difference <= 1.5, (reduction, difference)


def test_a_progressive_jpeg_is_scaled_to_the_pixels_of_a_baseline_one():
    data = encoded(LARGE, "JPEG", quality=90, progressive=True)
    assert data != LARGE_JPEG
    for reduction in (2, 4, 8):
        pixels = [np.asarray(decode_rgb(each, reduction)[0]) for each in (data, LARGE_JPEG)]
        np.testing.assert_array_equal(*pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_upright_when_it_is_scaled(orientation):
    upright = scene(640, 400)
    stored_as = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(stored_as[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image, outcome = decode_rgb(encoded(stored, "JPEG", quality=95, exif=exif), 4)
    assert image.size == (160, 100)
    assert distance(image, upright.reduce(4)) <= 1.5, distance(image, upright.reduce(4))
    assert outcome.notes == (("rotated as EXIF says",) if orientation > 1 else ())


def test_a_grey_jpeg_is_scaled_and_grey():
    grey = LARGE.convert("L")
    image, outcome = decode_rgb(encoded(grey, "JPEG", quality=95), 8)
    assert (image.size, outcome) == ((200, 150), Outcome("decoded"))
    red, green, blue = (np.asarray(band) for band in image.split())
    np.testing.assert_array_equal(red, green)
    np.testing.assert_array_equal(red, blue)
    assert distance(red, grey.reduce(8)) <= 1.5, distance(red, grey.reduce(8))


def test_a_cmyk_jpeg_is_scaled_in_the_right_colours():
    cmyk = LARGE.convert("CMYK")
    image, outcome = decode_rgb(encoded(cmyk, "JPEG", quality=95), 4)
    assert (image.size, outcome.notes) == ((400, 300), ("CMYK to RGB",))
    assert distance(image, LARGE.reduce(4)) <= 1.5, distance(image, LARGE.reduce(4))


def test_the_first_picture_of_a_multi_picture_jpeg_is_the_one_that_is_scaled():
    data = encoded(LARGE, "MPO", save_all=True, append_images=[scene(1600, 1200, seed=9)])
    image, outcome = decode_rgb(data, 8)
    assert (image.size, outcome.notes) == ((200, 150), ("first of 2 frames",))
    assert distance(image, LARGE.reduce(8)) <= 1.5, distance(image, LARGE.reduce(8))
    full, scaled = both(data, 64)
    assert 0 < distance(full, scaled) <= 1.0, distance(full, scaled)


@pytest.mark.parametrize(("width", "height"), [(4000, 7), (4000, 1), (3, 4000)])
def test_a_ribbon_keeps_a_pixel_across(width, height):
    data = encoded(Image.new("RGB", (width, height), (255, 255, 255)), "JPEG")
    square = Square(64, "pad", decode="scaled")
    assert square.reduction(width, height) == 8
    full, scaled = both(data, 64, "pad")
    np.testing.assert_array_equal(scaled, full)
    assert full.max() == 255


# -- What cannot be decoded ----------------------------------------------------------------------


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.95])
def test_a_truncated_jpeg_fails_as_it_does_in_full(share, progressive):
    data = encoded(LARGE, "JPEG", quality=90, progressive=progressive)
    data = data[: int(share * len(data))]
    pixels, outcome = decode(data, Square(64, decode="scaled"))
    assert pixels is None
    assert outcome.reason.startswith("truncated: "), outcome
    assert outcome == decode(data, Square(64))[1]


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", LARGE_JPEG[:200], LARGE_JPEG[:2], b"\0" + LARGE_JPEG],
    ids=["empty", "text", "a part of the header", "two bytes", "a byte before the start"],
)
def test_what_is_no_whole_jpeg_fails_as_it_does_in_full(data):
    _, outcome = decode(data, Square(64, decode="scaled"))
    assert outcome.status == "failed", outcome
    assert outcome == decode(data, Square(64))[1]


def test_a_jpeg_that_claims_too_many_pixels_is_refused_however_far_it_would_be_scaled():
    frame = LARGE_JPEG.index(b"\xff\xc0")
    sides = (20_000).to_bytes(2, "big") * 2
    data = LARGE_JPEG[: frame + 5] + sides + LARGE_JPEG[frame + 9 :]
    for how in DECODES:
        _, outcome = decode(data, Square(64, decode=how))
        assert outcome.reason.startswith("too many pixels: 400 million"), (how, outcome)


SMALL_JPEG = encoded(scene(64, 48), "JPEG", exif=Image.Exif().tobytes())


@given(
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.1, 1.0),
    resize=st.sampled_from(RESIZES),
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_jpeg_never_raises_when_it_is_scaled(changes, kept, resize):
    data = bytearray(SMALL_JPEG)
    for position, value in changes:
        data[position % len(data)] = value
    pixels, outcome = decode(
        bytes(data[: int(len(data) * kept)]), Square(4, resize, decode="scaled")
    )
    if pixels is None:
        assert outcome.status == "failed", outcome
        assert outcome.reason, outcome
    else:
        assert (outcome.status, pixels.shape) == ("decoded", (4, 4, 3)), outcome


# -- Several squares of one file -----------------------------------------------------------------


def times_opened(data, fits) -> int:
    """Decode, and return how often Pillow was given the file."""
    with mock.patch.object(Image, "open", wraps=Image.open) as opened:
        decode_all(data, fits)
    return opened.call_count


FITS = [
    *(
        Square(64),
        Square(299),
        Square(224, "crop"),
        Square(224, "pad", "lanczos"),
        Square(64, decode="scaled"),
    ),
    *(Square(299, decode="scaled"), Square(100, "crop", "nearest", "scaled"), Square(64)),
]
FILES = {
    "a large JPEG": LARGE_JPEG,
    "a small JPEG": encoded(photo(), "JPEG"),
    "a PNG": encoded(scene(900, 700)),
    "CMYK": encoded(LARGE.convert("CMYK"), "JPEG"),
}


@pytest.mark.parametrize("file", FILES)
def test_each_of_several_squares_is_what_it_is_alone(file):
    squares, outcome = decode_all(FILES[file], FITS)
    assert len(squares) == len(FITS)
    for fit, pixels in zip(FITS, squares, strict=True):
        alone, expected = decode(FILES[file], fit)
        np.testing.assert_array_equal(pixels, alone, err_msg=str(fit))
        assert pixels.flags.c_contiguous, fit
        assert outcome == expected, fit


@pytest.mark.parametrize("data", [b"", b"no picture", LARGE_JPEG[:9000]], ids=len)
def test_a_file_that_cannot_be_decoded_has_no_squares_and_is_opened_as_for_one(data):
    squares, outcome = decode_all(data, FITS)
    assert squares == []
    assert outcome == decode(data, FITS[0])[1]
    assert outcome.status == "failed"
    assert times_opened(data, FITS) == times_opened(data, [Square(64, decode="scaled")])


def test_the_pixels_of_a_file_that_ends_too_early_are_decoded_once(decoded_sizes):
    assert decode_all(LARGE_JPEG[:9000], FITS)[0] == []
    assert decoded_sizes == [(1600, 1200)]


@pytest.mark.parametrize(
    ("fits", "expected"),
    [
        ([Square(224), Square(299)], {1: 1}),
        ([Square(224), Square(224, "crop"), Square(224, "pad", "lanczos")], {1: 1}),
        ([Square(224, decode="scaled"), Square(299, decode="scaled")], {2: 1}),
        ([Square(64, decode="scaled"), Square(224, decode="scaled")], {8: 1, 2: 1}),
        ([Square(224), Square(224, decode="scaled")], {1: 1, 2: 1}),
        ([Square(800), Square(800, decode="scaled")], {1: 1}),
    ],
)
def test_a_file_is_decoded_once_to_each_size_that_is_needed(decoded_sizes, fits, expected):
    decode_all(LARGE_JPEG, fits)
    assert Counter(1600 // width for width, _ in decoded_sizes) == expected


def test_other_formats_are_decoded_once_for_all_squares(decoded_sizes):
    decode_all(encoded(scene(900, 700)), FITS)
    assert decoded_sizes == [(900, 700)]


def test_no_memory_for_a_square_is_a_failure(monkeypatch):
    def fail(fit, image, box):
        raise MemoryError

    monkeypatch.setattr(Square, "of", fail)
    assert decode_all(LARGE_JPEG, FITS) == ([], Outcome("failed", "not enough memory to decode it"))
