"""Values of 12 bits in files of 16 are as bright as they were seen, and 16-bit values stay."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from fakes import decode, encoded
from PIL import Image

from featx.images.decode import decode_rgb
from featx.images.square import Square

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def pixels_of(data: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    image, outcome = decode_rgb(data)
    assert image is not None, outcome
    return np.asarray(image), outcome.notes


def tiff(values, **tags) -> bytes:
    return encoded(Image.fromarray(np.asarray(values, np.uint16)), "TIFF", **tags)


def png(values, bits=None, deep_colours=False, alpha=False) -> bytes:
    """Write a PNG of 16 bits a value, which Pillow does not for colours, with a chunk sBIT."""
    values = np.asarray(values, ">u2")
    kind = (6 if alpha else 2) if deep_colours else 0
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    if bits:
        chunks.insert(1, (b"sBIT", bytes([bits] * (3 if deep_colours else 1))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@pytest.mark.parametrize("write", [png, tiff])
@pytest.mark.parametrize(
    ("highest", "depth"), [(255, 8), (256, 10), (4095, 12), (5000, 14), (16383, 14), (16384, 16)]
)
def test_the_depth_is_what_the_values_need(write, highest, depth):
    pixels, notes = pixels_of(write([[0, highest // 2, highest]]))
    expected = np.rint(np.array([0, highest // 2, highest]) * 255 / (2**depth - 1))
    np.testing.assert_array_equal(pixels[0, :, 0], expected)
    assert notes == (f"16-bit to 8-bit, of depth {depth}",)


@pytest.mark.parametrize(
    ("declared", "depth"), [(4095, 12), (3000, 12), (65535, 16), (1, 10), (511, 10)]
)
def test_the_highest_value_that_a_tiff_declares_counts_where_it_is_more(declared, depth):
    _, notes = pixels_of(tiff([[0, 1000]], tiffinfo={281: declared}))
    assert notes == (f"16-bit to 8-bit, of depth {depth}",)


def test_a_tiff_of_12_bits_a_value_declares_them():
    packed = bytes([0x00, 0x00, 0x64, 0x12, 0xC0, 0x00])  # 0, 100, 300, 0
    data = bytearray(tiff(np.zeros((1, 4))))
    data = data.replace(
        struct.pack("<HHIHH", 258, 3, 1, 16, 0), struct.pack("<HHIHH", 258, 3, 1, 12, 0)
    )
    data = data.replace(
        struct.pack("<HHI", 279, 4, 1) + struct.pack("<I", 8), struct.pack("<HHII", 279, 4, 1, 6)
    )
    data[-8:] = packed
    pixels, notes = pixels_of(bytes(data))
    np.testing.assert_array_equal(pixels[0, :, 0], np.rint(np.array([0, 100, 300, 0]) * 255 / 4095))
    assert notes == ("16-bit to 8-bit, of depth 12",)


@pytest.mark.parametrize(
    ("values", "bits", "depth"),
    [
        ([0, 100, 1001], None, 10),
        ([0, 100, 1001], 12, 12),  # not scaled, though it should be
        ([0, 160, 1600], 12, 16),  # scaled: a dark picture
        ([0, 100, 1001], 16, 16),
        ([0, 100, 60000], 12, 16),
    ],
)
def test_the_significant_bits_that_a_png_declares_count(values, bits, depth):
    assert pixels_of(png([values], bits))[1] == (f"16-bit to 8-bit, of depth {depth}",)


def test_a_pgm_declares_its_highest_value():
    for highest, most in ((4095, 1000), (65535, 1000), (1023, 1000)):
        data = b"P5 2 1 %d\n" % highest + np.array([0, most], ">u2").tobytes()
        pixels, notes = pixels_of(data)
        assert abs(int(pixels[0, 1, 0]) - most * 255 / highest) < 1, highest
        assert notes == ("16-bit to 8-bit, of depth 16",)


@pytest.mark.parametrize(
    ("magic", "highest"), [(b"P5", 4095), (b"P5", 100), (b"P6", 100), (b"P6", 4095)]
)
def test_a_picture_of_any_highest_value_is_what_pillow_makes_of_it(magic, highest):
    values = np.random.default_rng(0).integers(0, highest + 40, (5, 6 if magic == b"P5" else 18))
    data = (
        b"%b 6 5 %d\n" % (magic, highest)
        + values.astype(">u2" if highest > 255 else "u1").tobytes()
    )
    with Image.open(BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB") if image.mode != "I" else image)
    pixels, _ = pixels_of(data)
    if expected.ndim == 2:
        expected = np.rint(expected / 257)[..., np.newaxis].repeat(3, axis=2)
    np.testing.assert_array_equal(pixels, expected)


def test_a_picture_of_any_highest_value_that_is_cut_off_fails():
    image, outcome = decode_rgb(b"P5 3 3 4095\n" + bytes(17))
    assert image is None
    assert outcome.reason.startswith("truncated: ")


@pytest.mark.parametrize("alpha", [False, True])
def test_colours_of_12_bits_are_as_bright_as_grey_of_12_bits(alpha):
    colours = np.stack([RAMP, RAMP[::-1], RAMP.T] + [np.full_like(RAMP, 65535)] * alpha, axis=-1)
    pixels, notes = pixels_of(png(colours, deep_colours=True, alpha=alpha))
    np.testing.assert_array_equal(pixels, np.rint(colours[..., :3] * (255 / 4095)))
    assert notes == ("16-bit to 8-bit, of depth 12",)


def test_colours_that_use_16_bits_stay_as_pillow_makes_them():
    colours = np.stack([RAMP, RAMP * 4, RAMP * 16], axis=-1)
    data = png(colours, deep_colours=True)
    pixels, notes = pixels_of(data)
    np.testing.assert_array_equal(pixels, colours >> 8)
    assert notes == ("16-bit to 8-bit, of depth 16",)


def test_a_12_bit_picture_is_nearly_the_8_bit_one():
    eight = encoded(Image.fromarray((RAMP // 16).astype(np.uint8)))
    for data in (png(RAMP), tiff(RAMP), tiff(RAMP, compression="tiff_lzw")):
        squares = [decode(each, Square(32))[0].astype(int) for each in (eight, data)]
        assert np.abs(squares[0] - squares[1]).max() <= 1
