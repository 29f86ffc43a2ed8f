"""Limits of decoding: the memory and time that a file costs, as its header tells, and may cost."""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image

from featx import text
from featx.forks import in_child
from featx.images import netpbm
from featx.images.depth import jpeg2000_header
from featx.images.rgb import PIECE

#: What the pictures that are being decoded, in all threads together, may take in memory. One that
#: needs more alone is refused.
DECODE_BYTES = 920_000_000

JPEG_FORMATS = ("JPEG", "MPO")

MOST_READS = 500_000  # of a file by Pillow, in small pieces; an ordinary file needs a few hundred
_MOST_TIMES, _AND_BYTES = 16, 64 << 20  # how often a file is read as a whole, and more
_MOST_SCANNED = 4_000_000_000  # pixels of a JPEG times its scans: some seconds
_SCAN = b"\xff\xda"
_FEW_SCANS = 20
_SCAN_BYTES = 10  # that a scan takes at least
_READS_PER_PIXEL = 4
_MOST_OF_ICON = 16_000_000  # pixels
_MOST_IN_PYTHON = 4_000_000  # pixels that Pillow decodes one by one, in Python: some seconds

_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1}  # in memory; any other mode takes four
_BYTES_OF_I16 = 2
_WORK = 40  # bytes for a pixel of a piece that is converted
# What decoders hold beside the picture, in bytes for a pixel.
_BESIDE = {"AVIF": 12, "HEIF": 16, "WEBP": 13, "QOI": 4, "DDS": 4}
_BESIDE_COMPONENT = 6  # of a tile of JPEG 2000
_PYTHON_BESIDE = 24
_NETPBM_BESIDE = 4

_STRIP_ROWS, _TILE_WIDTH, _TILE_LENGTH = 278, 322, 323  # tags of TIFF
_STRIPS = (273, 279, 324, 325)
_MOST_STRIPS = 200_000
_MOST_VALUES = 1_000_000
_KNOWN_TAGS = range(254, 400)  # others are left alone by Pillow
_MARGIN = 1.4  # what views and the crop add to the side of a square


class RefusedError(Exception):
    """The image is refused; the message is the reason, word for word."""


class LimitedFile(BytesIO):
    """The bytes of a file, which can be read a limited number of times.

    Millions of empty chunks or frames, each a few bytes long, would take minutes.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._bytes_left = _MOST_TIMES * len(data) + _AND_BYTES
        self._left = MOST_READS

    def allow(self, reads: int) -> None:
        """Let it be read so much more often."""
        self._left += reads

    def read(self, size: int | None = -1, /) -> bytes:
        """Read some bytes; a `RefusedError` if the file is read too often."""
        piece = super().read(size)
        self._left -= 1
        self._bytes_left -= len(piece)
        if self._left < 0 or self._bytes_left < 0:
            raise RefusedError("too many parts: it would take minutes to read them")
        return piece


class Room:
    """A number of bytes that threads take from and give back, and wait for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._taken = 0
        self._changed = threading.Condition()
        in_child(self._forget)

    @contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        """Wait until so many bytes are free, and keep them as long as the block lasts.

        More than there are altogether is a `RefusedError`. Whoever keeps some takes no more.
        """
        if amount > self.size:
            raise RefusedError(
                f"too large: it takes {text.size(amount)} of memory to decode, at most "
                f"{text.size(self.size)}"
            )
        with self._changed:
            self._changed.wait_for(lambda: self._taken + amount <= self.size)
            self._taken += amount
        try:
            yield
        finally:
            with self._changed:
                self._taken -= amount
                self._changed.notify_all()

    def _forget(self) -> None:
        """Start anew, as in a child of a fork, where those who took some are gone."""
        self._taken = 0
        self._changed = threading.Condition()


ROOM = Room(DECODE_BYTES)


def check_icon(data: bytes) -> None:
    """Refuse an icon that holds a large picture: Pillow decodes it while it opens the file."""
    if not data.startswith(b"\0\0\1\0"):
        return
    for entry in range(6, 6 + 16 * int.from_bytes(data[4:6], "little"), 16):
        start = int.from_bytes(data[entry + 12 : entry + 16], "little")
        if data[start : start + 8] == b"\x89PNG\r\n\x1a\n":
            width, height = struct.unpack(">II", data[start + 16 : start + 24].ljust(8, b"\0"))
        else:
            width, height = struct.unpack("<ii", data[start + 4 : start + 12].ljust(8, b"\0"))
        if abs(width * height) > _MOST_OF_ICON:
            raise RefusedError(f"too large for an icon: {abs(width)}x{abs(height)} pixels")


def check_tiff(data: bytes) -> None:
    """Refuse a TIFF whose first directory has tables that take gigabytes to list."""
    if data[:2] not in (b"II", b"MM") or not {42, 43} & set(data[2:4]):
        return
    order, big = "<" if data[:2] == b"II" else ">", data[2] == 43  # as Pillow tells them
    first, many, entry = ("Q", "Q", "HHQ8x") if big else ("L", "H", "HHL4x")
    try:
        (start,) = struct.unpack_from(order + first, data, 8 if big else 4)
        (count,) = struct.unpack_from(order + many, data, start)
        start += struct.calcsize(order + many)
        size = struct.calcsize(order + entry)
        count = min(count, 65535, (len(data) - start) // size)
        entries = data[start : start + count * size]
        for tag, _, values in struct.iter_unpack(order + entry, entries):
            most = _MOST_STRIPS if tag in _STRIPS else _MOST_VALUES
            # Pillow passes over what is larger than the file.
            if most < values <= len(data) and tag in _KNOWN_TAGS:
                raise RefusedError(f"too many parts: a TIFF of {values} values for tag {tag}")
    except struct.error:  # Pillow says what is wrong with it
        return


def check_time(image: Image.Image, data: bytes) -> None:
    """Refuse an opened image that would take minutes to decode."""
    pixels = image.width * image.height
    if image.format in JPEG_FORMATS and _several_scans(image, data):
        scans = len(data) // _SCAN_BYTES  # at most, which is enough to know of a small picture
        if scans * pixels > _MOST_SCANNED:
            scans = _scans(data)
        if scans > _FEW_SCANS and scans * pixels > _MOST_SCANNED:
            raise RefusedError(f"too many scans: {scans} of {image.width}x{image.height} pixels")
    if _in_python(image):
        if pixels > _MOST_IN_PYTHON:
            raise RefusedError(
                f"too many pixels for the slow format {image.format}: {image.width}x{image.height},"
                f" at most {_MOST_IN_PYTHON // 10**6} million; convert it to PNG"
            )
        source = getattr(image, "fp", None)
        if isinstance(source, LimitedFile):
            source.allow(_READS_PER_PIXEL * pixels)


def decoding_bytes(
    image: Image.Image, data: bytes, reduction: int, turned: bool, side: int = 0
) -> int:
    """Return about how much memory it takes to decode an opened image and to make it square.

    Parameters
    ----------
    image : Image
        As Pillow opened it, its pixels not loaded.
    data : bytes
        The file.
    reduction : int
        By how much a JPEG is scaled down.
    turned : bool
        Whether it is turned upright afterwards.
    side : int
        Of the largest square that it is made into, in pixels.
    """
    width, height = _true_size(image, data)
    whole = width * height
    if image.format in JPEG_FORMATS:
        width, height = -(-width // reduction), -(-height // reduction)
    pixels = width * height
    stored = _stored(image) * pixels
    converted = _converted(image) * pixels
    upright = (converted or stored) if turned else 0
    rows = 16 * width + 24 * height  # buffers of a row, pointers to rows
    # Pillow resizes across first: a ribbon becomes as wide as the square, at its full height.
    resized = int(_MARGIN * side) * height * 4 + 48 * (width + height)
    beside = _beside(image, data, whole)
    work = _WORK * min(pixels, PIECE) if converted else 0
    return work + len(data) + beside + stored + converted + upright + rows + resized


def _stored(image: Image.Image) -> int:
    """Return the bytes of a pixel in memory."""
    if image.mode.startswith("I;16"):
        return _BYTES_OF_I16
    return _BYTES_PER_PIXEL.get(image.mode, 4)


def _converted(image: Image.Image) -> int:
    """Return the bytes of a pixel that the picture takes once more when it is made 8-bit RGB."""
    if has_deep_colours(image):
        return 8
    if image.mode in ("1", "I", "F") or image.mode.startswith("I;16"):
        return 1
    if image.mode in ("RGB", "L") and not image.has_transparency_data:
        return 0
    return 4


def has_deep_colours(image: Image.Image) -> bool:
    """Whether an opened image has 16 bits a value, of which Pillow keeps eight."""
    return not image.mode.startswith("I") and bool(re.search(r";16[BLNS]", str(_tiles(image))))


def _tiles(image: Image.Image) -> list[tuple[str, tuple[int, ...], int, object]]:
    return getattr(image, "tile", [])


def codec(image: Image.Image) -> str:
    """Return the name of the decoder for an opened image; empty where it has none."""
    return next((tile[0] for tile in _tiles(image)), "")


def _in_python(image: Image.Image) -> bool:
    """Whether Pillow decodes an image value by value in Python, and nothing here does better."""
    return codec(image) in Image.DECODERS and codec(image) != netpbm.CODEC


def _beside(image: Image.Image, data: bytes, pixels: int) -> int:
    """Return the bytes that a decoder holds beside the picture."""
    if image.format in JPEG_FORMATS:
        # With several scans the coefficients of the whole picture are held, two bytes each.
        return 2 * _samples(image, pixels) if _several_scans(image, data) else 0
    if image.format == "JPEG2000":
        tile, components, _ = jpeg2000_header(data)
        return _BESIDE_COMPONENT * components * min(tile, pixels)
    if image.format == "TIFF":
        return _beside_tiff(image)
    if _in_python(image):
        return _PYTHON_BESIDE * pixels
    if codec(image) == netpbm.CODEC:
        return _NETPBM_BESIDE * pixels
    return _BESIDE.get(image.format or "", 0) * pixels


def _samples(image: Image.Image, pixels: int) -> int:
    """Return the coefficients of a JPEG: fewer of colours that are stored at half the size."""
    layers: list[tuple[int, int, int, int]] = getattr(image, "layer", [])
    most = max((across * down for _, down, across, _ in layers), default=0)
    if not most:
        return len(image.getbands()) * pixels
    return sum(across * down for _, down, across, _ in layers) * pixels // most


def _beside_tiff(image: Image.Image) -> int:
    """Return the bytes of the strip or tile that libtiff decodes at once."""
    if codec(image) != "libtiff":
        return 0
    tags: dict[int, object] = getattr(image, "tag_v2", {})
    width, height = tags.get(_TILE_WIDTH), tags.get(_TILE_LENGTH)
    if not (isinstance(width, int) and isinstance(height, int)):
        rows = tags.get(_STRIP_ROWS, image.height)
        width = image.width
        height = min(rows, image.height) if isinstance(rows, int) else image.height
    bytes_ = _stored(image) * (2 if has_deep_colours(image) else 1)
    return width * height * bytes_


def _true_size(image: Image.Image, data: bytes) -> tuple[int, int]:
    """Return the width and height of an image; of an icon those of the largest picture in it."""
    sizes = [image.size]
    if image.format == "ICNS":
        for found in re.finditer(rb"\x89PNG\r\n\x1a\n.{4}IHDR(.{4})(.{4})", data, re.DOTALL):
            width, height = (int.from_bytes(each, "big") for each in found.groups())
            sizes.append((width, height))
    return max(sizes, key=lambda size: size[0] * size[1])


def _several_scans(image: Image.Image, data: bytes) -> bool:
    """Whether a JPEG comes in several scans: not all colours are in the first of them."""
    file = getattr(image, "fp", None)
    end = file.tell() if file else 0  # Pillow has read the header of the first scan
    start = data.rfind(_SCAN, max(0, end - 16), end)
    components = data[start + 4] if 0 <= start < len(data) - 4 else 0
    return "progressive" in image.info or components < len(getattr(image, "layer", []))


def _scans(data: bytes) -> int:
    """Count the scans of a JPEG; `bytes.count` is slow where there are many of the first byte."""
    values = np.frombuffer(data, np.uint8)
    return int(np.count_nonzero((values[:-1] == _SCAN[0]) & (values[1:] == _SCAN[1])))
