"""Netpbm pictures of any highest value, such as the 4095 of a camera of 12 bits.

Pillow decodes them value by value in Python, a hundred times slower, to the same numbers.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

#: The decoder of Pillow for them.
CODEC = "ppm"


def load_netpbm(image: Image.Image, data: bytes) -> Image.Image:
    """Return the pixels of a PGM or PPM, opened by Pillow and not loaded, scaled to 16 or 8 bits.

    A file that has fewer values than pixels is an `OSError`.
    """
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
