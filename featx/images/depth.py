"""Bit depth of pictures: how many of its 16 bits a file uses, as cameras and microscopes write."""

from __future__ import annotations

import re
import sys
from typing import Any

from PIL import Image

# What instruments measure in. Others are counted with the next.
_DEPTHS = (8, 10, 12, 14, 16)

_BITS_PER_SAMPLE, _MAX_SAMPLE_VALUE = 258, 281  # tags of TIFF
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def depth_of(image: Image.Image, data: bytes, used: int) -> int:
    """Return the bit depth, 8, 10, 12, 14 or 16, of the values of a file of 16 bits.

    It depends on the file alone: it is what the file declares, at least as much as the values need.

    Parameters
    ----------
    image : Image
        As Pillow opened it.
    data : bytes
        The file.
    used : int
        The bits that are set in any of the values.
    """
    needed = max(used.bit_length(), _declared(image, data, used))
    return next(depth for depth in _DEPTHS if depth >= needed)


def _declared(image: Image.Image, data: bytes, used: int) -> int:
    """Return how many bits the file says that its values have, or 0."""
    if image.format == "PPM":
        return 16  # it says its highest value, and Pillow has scaled that to 65535
    if image.format == "JPEG2000":
        precision = jpeg2000_header(data)[2]
        return 16 if precision < 16 else 0  # Pillow has scaled them to 16 bits
    if image.format == "TIFF":
        return _declared_by_tiff(getattr(image, "tag_v2", {}))
    if image.format == "PNG":
        return _declared_by_png(data, used)
    return 0


def _declared_by_tiff(tags: Any) -> int:
    highest, bits = tags.get(_MAX_SAMPLE_VALUE, 0), tags.get(_BITS_PER_SAMPLE, 16)
    if isinstance(bits, tuple):
        bits = bits[0] if bits else 16
    if isinstance(highest, tuple):
        highest = max(highest, default=0)
    if isinstance(highest, int) and 255 < highest <= 65535:
        return highest.bit_length()
    return bits if isinstance(bits, int) and 8 < bits < 16 else 0


def _declared_by_png(data: bytes, used: int) -> int:
    """Return the bits that the chunk sBIT tells of.

    Values are to be scaled to all 16 bits, which leaves the lowest of them zero. Where those are
    used and the highest are not, the program that wrote the file has not scaled them.
    """
    header = data[: data.find(b"IDAT")]
    start = header.find(b"sBIT")
    if start < 4:
        return 0
    length = int.from_bytes(header[start - 4 : start], "big")
    significant = max(header[start + 4 : start + 4 + length][:3], default=0)
    if not 0 < significant <= 16:
        return 0
    scaled = used.bit_length() > significant or not used & ((1 << (16 - significant)) - 1)
    return 16 if scaled else significant


def jpeg2000_header(data: bytes) -> tuple[int, int, int]:
    """Return the pixels of a tile, the components and their bits as a JPEG 2000 file tells them."""
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return 0, 0, 0
    start += 8  # behind the marker, its length and the capabilities
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (start + 16, start + 20))
    count = int.from_bytes(data[start + 32 : start + 34], "big")
    precision = data[start + 34] if len(data) > start + 34 else 0
    return width * height, count, (precision & 0x7F) + 1


def choose_low_bytes(image: Image.Image) -> bool:
    """Let a picture of 16-bit colours, opened and not loaded, load the low byte of each value.

    Pillow takes the high one. Returns whether that was possible.
    """
    swapped = [tile._replace(args=_other_bytes(tile.args)) for tile in image.tile]  # type: ignore[attr-defined]
    if swapped == image.tile:  # type: ignore[attr-defined]
        return False
    image.tile = swapped  # type: ignore[attr-defined]
    return True


def _other_bytes(args: Any) -> Any:
    """Name the other byte order in what a decoder of Pillow is told."""
    if isinstance(args, str):
        return re.sub(r";16([BLN])$", lambda order: f";16{_SWAPPED[order[1]]}", args)
    if isinstance(args, tuple):
        return tuple(_other_bytes(each) for each in args)
    return args
