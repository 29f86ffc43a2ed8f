"""Whatever the file is, the answer is pixels and an outcome, or a reason."""

import os
import re
import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import decode, encoded, photo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, PngImagePlugin, features
from PIL.PngImagePlugin import PngImageFile, PngInfo

from featx.images.decode import MAX_PIXELS, Outcome, decode_rgb
from featx.images.rgb import to_8_bit
from featx.images.square import Square

SHARED = Path(os.environ.get("FEATX_SHARED", Path(__file__).parents[3] / "shared"))
MESSY = SHARED / "data" / "messy"
MESSY_FILES = sorted(path.relative_to(MESSY).as_posix() for path in MESSY.glob("*/*"))

# How the reason of a failure begins: for a kind as a whole, or for a file of a mixed kind.
KINDS_THAT_FAIL = {
    "bomb_error": "too many pixels: ",
    "truncated": "truncated: ",
    "zero_bytes": "empty file",
    "unidentified": "not an image that Pillow can read",
}
FILES_THAT_FAIL = {
    "pillow__balloon_eciRGBv2_aware.jp2": "damaged: broken data stream",
    "pillow__crash-1185209cf7655b5aed8ae5e77784dfdd18ab59e9.tif": "damaged: decoder error -2",
    "pillow__crash-63b1dffefc8c075ddc606c0a2f5fdc15ece78863.tif": "damaged: decoder error -2",
    "pillow__gfs.t06z.rassda.tm00.bufr_d": "not an image that Pillow can read",
    "pillow__sgi_overrun_expandrow.bin": "damaged: buffer overrun",
    "gofuzz__png__3ae857ba3fd75f5177f5b5fd276520a4db77f31a-1.png": "damaged: unrecognized data",
    "gofuzz__png__13795f323871ec568e35f2352e7801924546b36f-3.png": "truncated: ",
    "gofuzz__png__76f02e882765f0d7c4e0869eccb8b38fafe10578-2.png": "truncated: ",
    "gofuzz__png__c2d89db6147ad67c0b99051f6b226216709d74aa-3.png": "truncated: ",
}
# What is noted of every file of a kind that decodes.
NOTES_OF_KINDS = {
    "apng": "first of",
    "cmyk_jpeg": "CMYK to RGB",
    "cmyk_other": "CMYK to RGB",
    "exif_orientation_2to8": "rotated as EXIF says",
    "gif_animated": "first of",
    "int_or_float_other": "to 8-bit",
    "mpo": "first of 2 frames",
    "png_16bit": "16-bit to 8-bit",
    "tiff_multipage": "first",
}
NOTES_OF_FILES = {"pillow__rgb32bf-abgr.bmp": "alpha of zero everywhere ignored"}

SQUARE = Square(32)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.*")


def full_size(data: bytes) -> tuple[np.ndarray, Outcome]:
    image, outcome = decode_rgb(data)
    assert image is not None, outcome
    assert image.mode == "RGB", image.mode
    return np.asarray(image), outcome


def grey16(values) -> bytes:
    return encoded(Image.fromarray(np.asarray(values, np.uint16)))


@pytest.mark.skipif(not MESSY_FILES, reason=f"there is no {MESSY}: set FEATX_SHARED")
@pytest.mark.parametrize("name", MESSY_FILES or ["none"])
def test_a_messy_file_becomes_a_square_or_fails_with_its_reason(name):
    kind, file = name.split("/")
    pixels, outcome = decode((MESSY / name).read_bytes(), SQUARE)
    reason = KINDS_THAT_FAIL.get(kind) or FILES_THAT_FAIL.get(file)
    if reason is not None:
        assert pixels is None, outcome
        assert outcome.status == "failed", outcome
        assert outcome.reason.startswith(reason), outcome
        assert "\n" not in outcome.reason, outcome
        return
    assert outcome.status == "decoded", outcome
    assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
    note = NOTES_OF_FILES.get(file) or NOTES_OF_KINDS.get(kind, "")
    assert note in " ".join(outcome.notes), outcome


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_gives_the_same_upright_picture(format, orientation):
    upright = photo(48, 32)
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
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(format, {})
    pixels, outcome = full_size(encoded(stored, format, exif=exif, **options))
    difference = np.abs(pixels.astype(int) - np.asarray(upright))
    assert pixels.shape == (32, 48, 3)
    assert difference.max() <= (30 if format == "JPEG" else 0), difference.max()
    assert outcome.notes == (("rotated as EXIF says",) if orientation > 1 else ())


def test_a_broken_exif_block_does_not_lose_the_image():
    exif = Image.Exif()
    exif[0x0112] = 6
    good = exif.tobytes()
    for length in range(7, len(good)):
        data = encoded(photo(), "JPEG", exif=good[:length] + b"\xff" * 9)
        image, outcome = decode_rgb(data)
        assert outcome.ok, (length, outcome)
        assert image.size in ((60, 40), (40, 60)), (length, image.size)


def test_an_exif_block_that_pillow_cannot_parse_does_not_lose_the_image():
    profile = PngInfo()
    profile.add_text("Raw profile type exif", "\nexif\n9\nno hexadecimal digits")
    for data in (
        encoded(photo(), pnginfo=profile),
        encoded(photo(), exif=b"Exif\0\0no TIFF"),
        encoded(photo(), "WEBP", lossless=True, exif=b"Exif\0\0no TIFF"),
    ):
        with pytest.raises((ValueError, SyntaxError)):
            Image.open(BytesIO(data)).getexif()
        pixels, outcome = full_size(data)
        np.testing.assert_array_equal(pixels, np.asarray(photo()))
        assert outcome.notes == ()


def test_a_failure_to_read_pixels_is_not_taken_for_broken_exif():
    data = bytearray(encoded(photo()))
    start = data.index(b"IDAT") + 4
    data[start : start + 20] = bytes(20)
    _, outcome = decode_rgb(bytes(data))
    assert outcome.status == "failed", outcome


def test_alpha_is_flattened_on_white():
    rgba = np.array([[[200, 0, 100, 255], [200, 0, 100, 0], [200, 0, 100, 51]]], np.uint8)
    pixels, outcome = full_size(encoded(Image.fromarray(rgba)))
    # 51 / 255 is a fifth of the colour on four fifths of white.
    np.testing.assert_array_equal(pixels, [[[200, 0, 100], [255, 255, 255], [244, 204, 224]]])
    assert outcome.notes == ("alpha on white",)


def test_grey_with_alpha_is_flattened_on_white():
    pixels, outcome = full_size(
        encoded(
            Image.merge(
                "LA", [Image.new("L", (2, 1), 100), Image.linear_gradient("L").resize((2, 1), 0)]
            )
        )
    )
    alpha = np.asarray(Image.linear_gradient("L").resize((2, 1), 0))
    expected = np.rint((100.0 * alpha + 255.0 * (255 - alpha)) / 255)
    np.testing.assert_array_equal(pixels[..., 0], expected)
    assert outcome.notes == ("alpha on white",)


def test_opaque_alpha_changes_nothing_and_is_not_noted():
    image = photo()
    image.putalpha(255)
    pixels, outcome = full_size(encoded(image))
    np.testing.assert_array_equal(pixels, np.asarray(photo()))
    assert outcome.notes == ()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "La", "RGBa", "PA"])
def test_a_transparent_image_of_any_mode_becomes_white(mode):
    start = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)
    image = Image.new(start, (3, 2)).convert(mode)
    notes: list[str] = []
    rgb = to_8_bit(image, notes, int.bit_length)
    np.testing.assert_array_equal(np.asarray(rgb), 255)
    assert notes == ["alpha on white"]


def test_a_fourth_byte_left_at_zero_does_not_blank_the_picture():
    image = photo()
    image.putalpha(0)
    pixels, outcome = full_size(encoded(image, "TGA"))
    np.testing.assert_array_equal(pixels, np.asarray(photo()))
    assert outcome.notes == ("alpha of zero everywhere ignored",)


@pytest.mark.parametrize(
    ("mode", "transparency"), [("RGB", (9, 9, 9)), ("L", 9), ("P", 1), ("P", b"\xff\x00")]
)
def test_a_transparent_colour_becomes_white(mode, transparency):
    image = Image.new(mode, (2, 1), 1 if mode == "P" else 9 if mode == "L" else (9, 9, 9))
    if mode == "P":
        image.putpalette([50, 60, 70, 9, 9, 9])
    image.putpixel((0, 0), {"RGB": (50, 60, 70), "L": 50, "P": 0}[mode])
    pixels, outcome = full_size(encoded(image, transparency=transparency))
    kept = (50, 50, 50) if mode == "L" else (50, 60, 70)
    np.testing.assert_array_equal(pixels, [[kept, (255, 255, 255)]])
    assert outcome.notes == ("alpha on white",)


def test_the_transparent_value_of_a_16_bit_grey_image_becomes_white():
    data = encoded(Image.fromarray(np.array([[257, 51400]], np.uint16)), transparency=51400)
    pixels, outcome = full_size(data)
    np.testing.assert_array_equal(pixels[0, :, 0], [1, 255])
    assert outcome.notes == ("16-bit to 8-bit, of depth 16", "alpha on white")


def test_16_bit_grey_is_divided_by_257():
    ramp = np.arange(65536).reshape(256, 256)
    pixels, outcome = full_size(grey16(ramp))
    np.testing.assert_array_equal(pixels[..., 1], np.rint(ramp / 257))
    assert outcome.notes == ("16-bit to 8-bit, of depth 16",)


def test_16_bit_colour_is_noted():
    data = encoded(Image.new("RGB", (4, 4), (1, 2, 3)))
    assert full_size(data)[1].notes == ()

    # The same header with 16 bits a channel, and the rows that belong to it.
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    row = b"\0" + struct.pack(">6H", 65535, 0, 257, 512, 300, 9)
    deep = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    deep += chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    pixels, outcome = full_size(deep)
    np.testing.assert_array_equal(pixels, [[[255, 0, 1], [2, 1, 0]]])
    assert outcome.notes == ("16-bit to 8-bit, of depth 16",)


@pytest.mark.parametrize(
    ("values", "expected", "notes"),
    [
        ([0, 7, 255], [0, 7, 255], ()),
        ([-5, 7, 255], [0, 7, 255], ()),
        ([0, 257, 65535], [0, 1, 255], ("16-bit to 8-bit, of depth 16",)),
        ([-9, 0, 256], [0, 0, 64], ("16-bit to 8-bit, of depth 10",)),
        ([0, 1 << 30, 1 << 31], [0, 128, 255], ("32-bit to 8-bit",)),
        ([-4, -3, -2], [0, 0, 0], ()),
    ],
)
def test_integers_are_scaled_by_their_range(values, expected, notes):
    clipped = np.minimum(values, 2**31 - 1)
    pixels, outcome = full_size(encoded(Image.fromarray(np.array([clipped], np.int32)), "TIFF"))
    np.testing.assert_array_equal(pixels[0, :, 0], expected)
    assert outcome.notes == notes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([-1, 0.2, 1], [0, 51, 255]),
        ([0, 100, 255], [0, 100, 255]),
        ([-100, 100.4, 255], [0, 100, 255]),
        ([-100, 200, 500], [0, 128, 255]),
        ([1000, 1000, 1000], [0, 0, 0]),
        ([np.nan, 0.2, 1], [0, 51, 255]),
        ([-np.inf, 0.2, np.inf], [0, 51, 255]),
        ([-np.inf, 500, np.inf], [0, 0, 255]),
        ([-np.inf, np.nan, np.inf], [0, 0, 255]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
        ([-3e38, 0, 1], [0, 0, 255]),
        ([-3e38, 0, 3e38], [0, 128, 255]),
    ],
)
def test_floats_are_scaled_by_their_finite_range_without_a_warning(values, expected):
    data = encoded(Image.fromarray(np.array([values], np.float32)), "TIFF")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels, outcome = full_size(data)
    np.testing.assert_array_equal(pixels[0, :, 0], expected)
    assert outcome.notes == ("float to 8-bit",)


def test_cmyk_becomes_rgb():
    cmyk = Image.merge("CMYK", [Image.new("L", (8, 8), value) for value in (0, 255, 255, 0)])
    pixels, outcome = full_size(encoded(cmyk, "TIFF"))
    np.testing.assert_array_equal(pixels, np.full((8, 8, 3), (255, 0, 0)))
    assert outcome.notes == ("CMYK to RGB",)
    pixels, _ = full_size(encoded(cmyk, "JPEG", quality=100))
    assert np.abs(pixels - np.array([255.0, 0, 0])).max() <= 3, pixels[0, 0]


def test_lab_becomes_rgb():
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(Image.new("RGB", (4, 4), (200, 100, 50)), to_lab)
    pixels, outcome = full_size(encoded(lab, "TIFF"))
    assert np.abs(pixels - np.array([200.0, 100, 50])).max() <= 4, pixels[0, 0]
    assert outcome.notes == ("LAB to RGB",)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_bilevel_grey_and_palette_become_rgb_without_a_note(mode):
    image = photo().convert(mode)
    pixels, outcome = full_size(encoded(image))
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))
    assert outcome.notes == ()


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_counts(format):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    pixels, outcome = full_size(data)
    np.testing.assert_array_equal(pixels, np.full((4, 6, 3), (255, 0, 0)))
    assert outcome.notes == ("first of 3 frames",)


def test_a_truncated_jpeg_fails():
    data = encoded(photo(300, 200), "JPEG")
    for share in (0.4, 0.7, 0.95):
        pixels, outcome = decode(data[: int(len(data) * share)], SQUARE)
        assert pixels is None, share
        assert re.fullmatch(r"truncated: \d+ bytes not processed", outcome.reason), outcome


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"cats are not dogs\n" * 9, "not an image that Pillow can read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image that Pillow can read"),
        (b"%PDF-1.7\n", "not an image that Pillow can read"),
        (b"P6 0 7 255\n", "not an image that Pillow can read"),
    ],
)
def test_what_is_no_image_fails_with_its_reason(data, reason):
    assert decode(data, SQUARE) == (None, Outcome("failed", reason))


def test_ghostscript_and_stub_formats_are_never_asked(monkeypatch):
    Image.init()
    asked = []

    def opener(name):
        def take(file, filename):  # it is offered every file, whatever that begins with
            asked.append(name)
            raise SyntaxError("not mine")

        return take, None

    dangerous = {"EPS", "WMF", "PDF", "IPTC", "BUFR", "GRIB", "HDF5", "FITS", "MPEG"}
    for name in (*dangerous, "QOI"):
        monkeypatch.setitem(Image.OPEN, name, opener(name))
    for square in (Square(32), Square(32, decode="scaled")):
        assert decode(b"whose file is this?", square)[1].status == "failed"
    assert asked == ["QOI"] * 2, "QOI is no danger, and shows that openers are heard here"


@pytest.mark.skipif("pillow_heif" in sys.modules, reason="HEIC can be read here")
def test_a_heic_photograph_says_what_to_install():
    box = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(64)
    _, outcome = decode(box, SQUARE)
    assert outcome.reason.startswith("HEIC photograph: `pip install pillow-heif`"), outcome
    _, outcome = decode(box.replace(b"heic", b"miaf").replace(b"ftypmif1", b"ftypmp42"), SQUARE)
    assert outcome.reason.startswith("HEIC"), outcome  # mif1 among the compatible brands
    _, outcome = decode(box.replace(b"heic", b"isom").replace(b"mif1", b"mp42"), SQUARE)
    assert outcome.reason == "not an image that Pillow can read"


def test_pillow_heif_registers_itself_where_it_is_installed(monkeypatch):
    """It stands for the real one, which is not needed to test featx."""
    box = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)

    def opened(file, filename):
        return PngImageFile(BytesIO(encoded(photo())))

    def register():
        monkeypatch.setitem(Image.OPEN, "HEIF", (opened, lambda prefix: prefix[4:8] == b"ftyp"))

    Image.init()
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    module = SimpleNamespace(register_heif_opener=register)
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    pixels, outcome = full_size(box)
    assert outcome.ok
    np.testing.assert_array_equal(pixels, np.asarray(photo()))


def test_an_avif_picture_says_what_to_install_where_pillow_cannot_read_it(monkeypatch):
    monkeypatch.setattr(features, "get_supported_modules", lambda: ["webp"])
    _, outcome = decode(b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(64), SQUARE)
    assert outcome.reason.startswith("AVIF picture: `pip install --upgrade pillow`"), outcome


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
@pytest.mark.parametrize("place", ["before the pixels", "after the pixels"])
def test_a_png_of_a_megabyte_of_text_is_read_without_the_text(kind, place):
    data = encoded(photo())
    packed = zlib.compress(bytes(3 << 20))
    body = {
        "zTXt": b"Comment\0\0" + packed,
        "iTXt": b"Comment\0\1\0\0\0" + packed,
        "iCCP": b"profile\0\0" + packed,
    }[kind]
    chunk = kind.encode() + body
    chunk = struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    start = 33 if place == "before the pixels" else data.index(b"IEND") - 4
    pixels, outcome = full_size(data[:start] + chunk + data[start:])
    np.testing.assert_array_equal(pixels, np.asarray(photo()))
    assert outcome.notes == ()


def test_decoding_leaves_the_settings_of_pillow_alone(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1234)
    before = (ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK, ImageFile.MAXBLOCK)
    for format in ("PNG", "JPEG", "TIFF"):
        decode(encoded(photo(30, 20), format), SQUARE)
    after = (ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK, ImageFile.MAXBLOCK)
    assert (after, Image.MAX_IMAGE_PIXELS) == (before, 1234)


@pytest.mark.parametrize("limit", [None, 10**9])
def test_a_bomb_is_refused_from_its_header_whatever_pillow_is_told(monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    data = bytearray(encoded(Image.new("1", (8, 8)), "BMP"))
    data[18:26] = (20_000).to_bytes(4, "little") * 2
    _, outcome = decode(bytes(data), SQUARE)
    assert outcome.reason == (
        "too many pixels: 20000x20000, at most 178 million (a decompression bomb?)"
    )


def test_a_bomb_that_pillow_refuses_has_the_same_kind_of_reason(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3_000_000)
    _, outcome = decode(encoded(Image.new("1", (4000, 2000))), SQUARE)
    assert outcome.reason == "too many pixels: 8 million, at most 6 million (a decompression bomb?)"


def test_the_limit_is_where_pillow_refuses_by_default():
    assert 2 * Image.MAX_IMAGE_PIXELS == MAX_PIXELS


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), KeyError("x")])
def test_any_exception_of_pillow_is_a_failure(monkeypatch, error):
    def fail(self):
        raise error

    data = encoded(photo())
    monkeypatch.setattr(PngImageFile, "load", fail)
    pixels, outcome = decode(data, SQUARE)
    assert pixels is None
    assert outcome.status == "failed"
    assert outcome.reason


def test_threads_give_the_same_pixels_as_one():
    files = [
        encoded(photo(40 + 3 * n, 90 - 5 * n), format)
        for n in range(9)
        for format in ("JPEG", "PNG", "GIF")
    ]
    files += [encoded(photo(), "JPEG")[:300], b"", grey16([[1, 2], [3, 60_000]])]
    serial = [decode(data, Square(40, "crop")) for data in files]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda data: decode(data, Square(40, "crop")), files * 4))
    for position, (pixels, outcome) in enumerate(threaded):
        expected_pixels, expected_outcome = serial[position % len(files)]
        assert outcome == expected_outcome, position
        np.testing.assert_array_equal(pixels, expected_pixels)


def assert_answers(data: bytes) -> None:
    pixels, outcome = decode(data, Square(16))
    if pixels is None:
        assert outcome.status == "failed", outcome
        assert outcome.reason, outcome
        assert len(outcome.reason.splitlines()) == 1, outcome
    else:
        assert outcome.status == "decoded", outcome
        assert pixels.shape == (16, 16, 3)


MAGIC = [
    b"",
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"II*\0",
    b"BM",
    b"RIFF\0\0\0\0WEBP",
    b"P6 ",
]


@given(magic=st.sampled_from(MAGIC), rest=st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_random_bytes_never_raise(magic, rest):
    assert_answers(magic + rest)


VALID = {
    "JPEG": encoded(photo(24, 16), "JPEG", exif=Image.Exif().tobytes()),
    "PNG": encoded(photo(24, 16)),
    "GIF": encoded(photo(24, 16), "GIF", save_all=True, append_images=[Image.new("RGB", (24, 16))]),
    "TIFF": encoded(photo(24, 16), "TIFF", compression="tiff_lzw"),
    "BMP": encoded(photo(24, 16), "BMP"),
    "WEBP": encoded(photo(24, 16), "WEBP"),
    "PPM": encoded(photo(24, 16), "PPM"),
    "ICO": encoded(photo(24, 16), "ICO"),
    "TGA": encoded(photo(24, 16), "TGA"),
}


@given(
    format=st.sampled_from(sorted(VALID)),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.1, 2.0),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_image_never_raises(format, changes, kept):
    data = bytearray(VALID[format])
    for position, value in changes:
        data[position % len(data)] = value
    assert_answers(bytes(data[: int(len(data) * kept)]))
