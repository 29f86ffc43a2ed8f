"""The memory that decoding a picture costs, as its header tells."""

from __future__ import annotations

import re

from PIL import Image

from featx.images import netpbm
from featx.images.depth import jpeg2000_header
from featx.images.rgb import PIECE

JPEG_FORMATS = ("JPEG", "MPO")
SCAN = b"\xff\xda"  # begins a scan of a JPEG

_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1}  # in memory; any other mode takes four
_BYTES_OF_I16 = 2
_WORK = 40  # bytes for a pixel of a piece that is converted
# What decoders hold beside the picture, in bytes for a pixel.
_BESIDE = {"AVIF": 12, "HEIF": 16, "WEBP": 13, "QOI": 4, "DDS": 4}
_BESIDE_COMPONENT = 6  # of a tile of JPEG 2000
_PYTHON_BESIDE = 24
_NETPBM_BESIDE = 4

_STRIP_ROWS, _TILE_WIDTH, _TILE_LENGTH = 278, 322, 323  # tags of TIFF
_MARGIN = 1.4  # what views and the crop add to the side of a square


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


def in_python(image: Image.Image) -> bool:
    """Whether Pillow decodes an image value by value in Python, and nothing here does better."""
    return codec(image) in Image.DECODERS and codec(image) != netpbm.CODEC


def _beside(image: Image.Image, data: bytes, pixels: int) -> int:
    """Return the bytes that a decoder holds beside the picture."""
    if image.format in JPEG_FORMATS:
        # With several scans the coefficients of the whole picture are held, two bytes each.
        return 2 * _samples(image, pixels) if several_scans(image, data) else 0
    if image.format == "JPEG2000":
        tile, components, _ = jpeg2000_header(data)
        return _BESIDE_COMPONENT * components * min(tile, pixels)
    if image.format == "TIFF":
        return _beside_tiff(image)
    if in_python(image):
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


def several_scans(image: Image.Image, data: bytes) -> bool:
    """Whether a JPEG comes in several scans: not all colours are in the first of them."""
    file = getattr(image, "fp", None)
    end = file.tell() if file else 0  # Pillow has read the header of the first scan
    start = data.rfind(SCAN, max(0, end - 16), end)
    components = data[start + 4] if 0 <= start < len(data) - 4 else 0
    return "progressive" in image.info or components < len(getattr(image, "layer", []))
