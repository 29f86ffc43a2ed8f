"""Small files that would cost gigabytes or minutes, for tests of the limits of decoding."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image


def tiff(
    width: int, height: int, bits: int, kind: int = 1, rows: int = 1000, samples: int = 1
) -> bytes:
    """Write a TIFF of zeros, all its strips the same few bytes; `kind` is the sample format."""
    rows = min(rows, height)
    strip = zlib.compress(bytes(rows * width * bits // 8 * samples), 1)
    count = -(-height // rows)
    start = 8 + 2 + 12 * 11 + 4
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, bits),
        (259, 3, 1, 8),
        (262, 3, 1, 1),
        (273, 4, count, start + len(strip) if count > 1 else start),
        (277, 3, 1, samples),
        (278, 4, 1, rows),
        (279, 4, count, start + len(strip) + 4 * count if count > 1 else len(strip)),
        (284, 3, 1, 1),
        (339, 3, 1, kind),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    offsets = struct.pack(f"<{count}I", *[start] * count)
    sizes = struct.pack(f"<{count}I", *[len(strip)] * count)
    return b"II*\0" + struct.pack("<I", 8) + directory + strip + offsets + sizes


def png(width: int, height: int, bits: int, kind: int, rows: int | None = None) -> bytes:
    """Write a PNG of zeros, cut off after some rows; `kind` is the colour type."""
    channels = {0: 1, 2: 3, 6: 4}[kind]
    pack = zlib.compressobj(1)
    row = bytes(1 + width * channels * bits // 8)
    packed = [pack.compress(row) for _ in range(rows or height)] + [pack.flush()]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), (b"IDAT", b"".join(packed)), (b"IEND", b""))
    )


def jpeg(width: int, height: int, scans: int) -> bytes:
    """Write a progressive JPEG with so many empty scans more."""
    stream = BytesIO()
    Image.new("RGB", (width, height)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    scan = data[start : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]
    return data[:end] + scan * scans + data[end:]


def qoi(width: int, height: int) -> bytes:
    """Write a QOI picture of one colour."""
    header = struct.pack(">4sIIBB", b"qoif", width, height, 3, 0)
    return header + b"\xfd" * (width * height // 62 + 1) + bytes(7) + b"\1"


def pgm(width: int, height: int) -> bytes:
    """Write a PGM of noise of 12 bits."""
    values = np.random.default_rng(0).integers(0, 4096, (height, width)).astype(">u2")
    return b"P5 %d %d 4095\n" % (width, height) + values.tobytes()


BOMBS = {
    "float32 TIFF": lambda: tiff(13_000, 13_000, 32, 3),
    "float32 TIFF of one strip": lambda: tiff(13_000, 13_000, 32, 3, rows=13_000),
    "int32 TIFF": lambda: tiff(13_000, 13_000, 32, 2),
    "16-bit TIFF": lambda: tiff(13_300, 13_300, 16),
    "ribbon TIFF": lambda: tiff(31, 4_259_844, 8, rows=4_259_844),
    "wide TIFF": lambda: tiff(4_259_844, 31, 8),
    "needle TIFF": lambda: tiff(1, 170_000_000, 8, rows=170_000_000),
    "RGBA PNG": lambda: png(13_300, 13_300, 8, 6),
    "RGB PNG": lambda: png(13_300, 13_300, 8, 2),
    "16-bit PNG": lambda: png(13_300, 13_300, 16, 0),
    "16-bit RGB PNG": lambda: png(13_300, 13_300, 16, 2),
    "JPEG of 5,000 scans": lambda: jpeg(8_000, 8_000, 5_000),
    "progressive JPEG": lambda: jpeg(13_000, 13_000, 0),
    "QOI": lambda: qoi(10_000, 10_000),
    "12-bit PGM": lambda: pgm(3_000, 3_000),
}
