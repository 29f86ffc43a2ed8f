"""What a file may cost: memory in all threads together, and time."""

import struct
import subprocess
import sys
import threading
import zlib
from io import BytesIO
from pathlib import Path

import bombs
import numpy as np
import pytest
from fakes import decode, encoded, photo
from PIL import Image

from featx.images import cost, limits, rgb
from featx.images.decode import decode_rgb
from featx.images.limits import LimitedFile, RefusedError, Room
from featx.images.square import Square

SQUARE = Square(32)


def test_room_is_kept_until_the_block_ends():
    room = Room(100)
    order = []
    asks = threading.Event()

    def second():
        asks.set()
        with room.taken(50):
            order.append("second")

    thread = threading.Thread(target=second)
    with room.taken(60):
        thread.start()
        assert asks.wait(10)
        thread.join(0.05)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_what_never_fits_is_refused_at_once():
    message = r"takes 2\.0 kB of memory to decode, at most 1\.0 kB"
    with pytest.raises(RefusedError, match=message), Room(1000).taken(2000):
        pass


def test_room_is_given_back_after_an_error():
    room = Room(100)
    with pytest.raises(ValueError, match="damaged"), room.taken(100):
        raise ValueError("damaged")
    with room.taken(100):
        pass


@pytest.mark.parametrize(
    ("mode", "format", "options", "least", "most"),
    [
        ("RGB", "JPEG", {}, 4, 4),
        ("RGB", "JPEG", {"progressive": True}, 7, 7),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 0}, 10, 10),
        ("L", "PNG", {}, 1, 1),
        ("RGBA", "PNG", {}, 8, 8),
        ("I;16", "PNG", {}, 3, 3),
        ("F", "TIFF", {}, 5, 5),
        ("F", "TIFF", {"compression": "tiff_lzw"}, 5, 9),
        ("RGB", "WEBP", {}, 17, 17),
        ("RGB", "JPEG2000", {}, 22, 22),
    ],
)
def test_the_memory_of_a_picture_is_told_from_its_header(mode, format, options, least, most):
    data = encoded(
        photo(800, 600).convert("L" if mode in ("F", "I;16") else mode).convert(mode),
        format,
        **options,
    )
    with Image.open(BytesIO(data)) as image:
        bytes_ = cost.decoding_bytes(image, data, 1, turned=False) - len(data)
    pixels = 800 * 600
    work = 0 if mode in ("RGB", "L") else 40 * pixels  # of the piece that is converted at a time
    assert least * pixels <= bytes_ - work <= (most + 0.2) * pixels, (bytes_ - work) / pixels


def test_a_reduced_jpeg_takes_less_and_a_turned_one_more():
    data = encoded(photo(800, 600), "JPEG")
    with Image.open(BytesIO(data)) as image:
        full, reduced, turned = (
            cost.decoding_bytes(image, data, reduction, turned)
            for reduction, turned in ((1, False), (4, False), (1, True))
        )
    assert reduced < full / 4
    assert turned > 1.8 * full


def test_a_ribbon_that_resizing_would_blow_up_is_refused():
    pixels, outcome = decode(bombs.tiff(31, 4_259_844, 8, rows=4_259_844), SQUARE)
    assert pixels is None
    assert outcome.reason.startswith("too large: it takes "), outcome


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_the_picture_in_an_icon_counts_not_the_size_that_the_icon_says(kind, monkeypatch):
    inner = bombs.png(13_300, 13_300, 8, 6, rows=1)
    if kind == "BMP":
        inner = struct.pack("<IiiHHIIiiII", 40, 13_300, -13_300, 1, 32, 0, 0, 0, 0, 0, 0) + bytes(
            99
        )
    header = b"\0\0\1\0\1\0" + bytes([16, 16, 0, 0, 1, 0, 32, 0])
    data = header + len(inner).to_bytes(4, "little") + (22).to_bytes(4, "little") + inner
    monkeypatch.setattr(Image, "open", None)  # which decodes an icon
    assert decode(data, SQUARE)[1].reason == "too large for an icon: 13300x13300 pixels"


def test_the_largest_picture_in_an_apple_icon_counts():
    inner = bombs.png(13_300, 13_300, 8, 6, rows=1)
    entry = b"ic07" + (len(inner) + 8).to_bytes(4, "big") + inner
    data = b"icns" + (len(entry) + 8).to_bytes(4, "big") + entry
    assert decode(data, SQUARE)[1].reason.startswith("too large: it takes ")


def test_empty_scans_of_a_large_jpeg_are_counted_before_it_is_decoded():
    _, outcome = decode(bombs.jpeg(1000, 1000, 5_000), SQUARE)
    assert outcome.reason == "too many scans: 5010 of 1000x1000 pixels"
    assert decode(bombs.jpeg(1000, 1000, 0), SQUARE)[1].ok
    assert decode(bombs.jpeg(40, 40, 100), SQUARE)[1].ok


def test_a_large_picture_that_pillow_decodes_in_python_is_refused():
    _, outcome = decode(bombs.qoi(3000, 3000), SQUARE)
    assert outcome.reason.startswith("too many pixels for the slow format QOI: 3000x3000"), outcome
    data = encoded(
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (500, 700, 3), np.uint8)), "QOI"
    )
    assert decode(data, SQUARE)[1].ok, "more reads than other formats may make"


def test_a_file_of_too_many_parts_is_refused(monkeypatch):
    source = LimitedFile(b"abc")
    monkeypatch.setattr(source, "_left", 2)
    assert source.read(1) + source.read(1) == b"ab"
    with pytest.raises(RefusedError, match="too many parts"):
        source.read(1)


def test_a_png_of_many_empty_chunks_is_refused(monkeypatch):
    data = encoded(photo())
    empty = b"\0\0\0\0prVt" + zlib.crc32(b"prVt").to_bytes(4, "big")
    monkeypatch.setattr(limits, "MOST_READS", 1000)
    _, outcome = decode(data[:33] + empty * 1000 + data[33:], SQUARE)
    assert outcome.reason == "too many parts: it would take minutes to read them"
    assert decode(data, SQUARE)[1].ok


@pytest.mark.parametrize("magic", [b"II*\0", b"MM\0*", b"II+\0"])
@pytest.mark.parametrize(("tag", "count"), [(273, 300_000), (325, 300_000), (258, 2_000_000)])
def test_a_tiff_whose_tables_are_huge_is_refused_before_it_is_opened(
    magic, tag, count, monkeypatch
):
    order, big = "<" if magic[:2] == b"II" else ">", magic[2] == 43
    directory = [(256, 4, 1, 8), (tag, 4, count, 200)]
    if big:
        data = magic + struct.pack("<HHQQ", 8, 0, 16, 2)
        data += b"".join(struct.pack("<HHQQ", *entry) for entry in directory)
    else:
        data = magic + struct.pack(order + "LH", 8, 2)
        data += b"".join(struct.pack(order + "HHLL", *entry) for entry in directory)
    monkeypatch.setattr(Image, "open", None)
    assert decode(data.ljust(count), SQUARE)[1].reason == (
        f"too many parts: a TIFF of {count} values for tag {tag}"
    )


def test_an_exif_block_of_megabytes_is_not_searched():
    exif = Image.Exif()
    exif[0x0112] = 6
    for size, notes in ((10, ("rotated as EXIF says",)), (5 << 20, ())):
        exif[0x9286] = b"x" * size
        _, outcome = decode(encoded(photo(), "PNG", exif=exif.tobytes()), SQUARE)
        assert outcome.notes == notes, size


def test_a_file_that_is_read_as_a_whole_again_and_again_is_refused():
    source = LimitedFile(bytes(8 << 20))
    for _ in range(24):
        source.seek(0)
        source.read()
    source.seek(0)
    with pytest.raises(RefusedError, match="too many parts"):
        source.read()


def test_a_large_picture_is_converted_in_pieces_to_the_same_pixels(monkeypatch):
    grey = np.random.default_rng(0).integers(0, 65536, (50, 70))
    rgba = np.random.default_rng(0).integers(0, 256, (50, 70, 4), np.uint8)
    files = [
        encoded(Image.fromarray(grey.astype(np.uint16))),
        encoded(Image.fromarray(grey.astype(np.int32) * 9), "TIFF"),
        encoded(Image.fromarray(grey.astype(np.float32)), "TIFF"),
        encoded(Image.fromarray(rgba)),
        encoded(Image.fromarray(rgba).convert("RGB").convert("P"), transparency=3),
        encoded(Image.fromarray(rgba).convert("CMYK"), "TIFF"),
    ]
    whole = [np.asarray(decode_rgb(data)[0]) for data in files]
    for piece in (10, 70, 300):
        monkeypatch.setattr(rgb, "PIECE", piece)
        for data, expected in zip(files, whole, strict=True):
            np.testing.assert_array_equal(np.asarray(decode_rgb(data)[0]), expected)


MEASURE = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from featx.images.decode import decode_all
from featx.images.square import Square

def memory(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1]) * 1024

data = Path(sys.argv[1]).read_bytes()
decode_all(b"P5 1 1 255 .", [Square(224)])
before = memory("VmRSS")
with ThreadPoolExecutor() as pool:
    outcomes = list(pool.map(lambda _: decode_all(data, [Square(224)])[1], range(os.cpu_count())))
assert len(set(outcomes)) == 1, outcomes
print(memory("VmHWM") - before, outcomes[0].reason)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("name", bombs.BOMBS)
def test_a_bomb_takes_less_than_a_gigabyte_with_all_threads_or_is_refused(name, tmp_path):
    (tmp_path / "bomb").write_bytes(bombs.BOMBS[name]())
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "bomb")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    taken, _, reason = ran.stdout.strip().partition(" ")
    assert int(taken) < 1e9, f"{int(taken) / 1e6:.0f} MB"
    assert not reason or reason.startswith("too "), reason
