"""Limits of decoding: the memory and time that a file may cost."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image

from featx import text
from featx.forks import in_child
from featx.images.cost import JPEG_FORMATS, SCAN, in_python, several_scans

#: What the pictures that are being decoded, in all threads together, may take in memory. One that
#: needs more alone is refused.
DECODE_BYTES = 920_000_000

MOST_READS = 500_000  # of a file by Pillow, in small pieces; an ordinary file needs a few hundred
_MOST_TIMES, _AND_BYTES = 16, 64 << 20  # how often a file is read as a whole, and more
_MOST_SCANNED = 4_000_000_000  # pixels of a JPEG times its scans: some seconds
_FEW_SCANS = 20
_SCAN_BYTES = 10  # that a scan takes at least
_READS_PER_PIXEL = 4
_MOST_OF_ICON = 16_000_000  # pixels
_MOST_IN_PYTHON = 4_000_000  # pixels that Pillow decodes one by one, in Python: some seconds

_STRIPS = (273, 279, 324, 325)  # tags of TIFF: where strips and tiles are, and their sizes
_MOST_STRIPS = 200_000
_MOST_VALUES = 1_000_000
_KNOWN_TAGS = range(254, 400)  # others are left alone by Pillow


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
    if image.format in JPEG_FORMATS and several_scans(image, data):
        scans = len(data) // _SCAN_BYTES  # at most, which is enough to know of a small picture
        if scans * pixels > _MOST_SCANNED:
            scans = _scans(data)
        if scans > _FEW_SCANS and scans * pixels > _MOST_SCANNED:
            raise RefusedError(f"too many scans: {scans} of {image.width}x{image.height} pixels")
    if in_python(image):
        if pixels > _MOST_IN_PYTHON:
            raise RefusedError(
                f"too many pixels for the slow format {image.format}: {image.width}x{image.height},"
                f" at most {_MOST_IN_PYTHON // 10**6} million; convert it to PNG"
            )
        source = getattr(image, "fp", None)
        if isinstance(source, LimitedFile):
            source.allow(_READS_PER_PIXEL * pixels)


def _scans(data: bytes) -> int:
    """Count the scans of a JPEG; `bytes.count` is slow where there are many of the first byte."""
    values = np.frombuffer(data, np.uint8)
    return int(np.count_nonzero((values[:-1] == SCAN[0]) & (values[1:] == SCAN[1])))
