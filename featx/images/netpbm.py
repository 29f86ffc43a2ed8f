"""Netpbm pictures (PGM, PPM): written, and read where their highest value is any but 255.

Pillow decodes those, such as the 4095 of a camera of 12 bits, value by value in Python, a hundred
times slower, to the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# What netpbm, and for RGBA Pillow, calls pictures of so many channels: the same bytes that Pillow
# writes to a .pgm or .ppm, so that the cache knows such a file too.
_MAGIC = {1: b"P5", 3: b"P6", 4: b"PyRGBA"}

#: The decoder of Pillow for them.
CODEC = "ppm"


def decoded(image: Image.Image, data: bytes) -> Image.Image:
    """Return the pixels of a PGM or PPM, opened by Pillow and not loaded, scaled to 16 or 8 bits.

    A file that has fewer values than pixels is an `OSError`.
    """
    from PIL import Image

    _, extents, offset, args = image.tile[0]  # type: ignore[attr-defined]
    highest = args[-1]
    bands = len(image.getbands())
    width, height = extents[2:]
    deep = image.mode == "I"
    most = 65535 if deep else 255
    stored = np.dtype(">u2") if highest > 255 else np.dtype("u1")
    count = width * height * bands
    if len(data) < offset + count * stored.itemsize:
        raise OSError(f"image file is truncated ({len(data)} bytes)")
    values = np.frombuffer(data, stored, count, offset)
    scaled = np.rint(np.arange(65536) / highest * most).clip(max=most)
    table = scaled.astype(np.uint16 if deep else np.uint8)
    shape = (height, width) if bands == 1 else (height, width, bands)
    return Image.fromarray(table[values].reshape(shape))


def encoded(pixels: np.ndarray) -> bytes:
    """Return grey, RGB or RGBA pixels, uint8, as a file would hold them: a binary PGM or PPM."""
    height, width = pixels.shape[:2]
    magic = _MAGIC[1 if pixels.ndim == 2 else pixels.shape[2]]
    return b"%b\n%d %d\n255\n%b" % (magic, width, height, pixels.tobytes())
