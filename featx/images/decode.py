"""Bytes to RGB pixels, whatever the file is: the only place that opens an image."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from featx.errors import one_line
from featx.images.rgb import to_rgb
from featx.images.square import Square
from featx.images.views import Box
from featx.text import printable

#: Raised whenever the same bytes would give other pixels; part of a recipe's fingerprint.
DECODE_VERSION = 1

#: More pixels than this are refused from the header, before anything is decoded. It is where
#: Pillow itself refuses by default, but a user's `Image.MAX_IMAGE_PIXELS` does not move it.
MAX_PIXELS = 178_956_970

# What may be opened, likeliest first. Left out on purpose: EPS (starts Ghostscript), WMF, PDF,
# IPTC (opens what is inside it by any format), and formats that Pillow only names.
_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF", "JPEG2000", "PPM"),
    *("ICO", "CUR", "ICNS", "DIB", "PSD", "DDS", "QOI", "PCX", "SGI", "SUN", "XBM", "XPM", "TGA"),
)
_JPEG_FORMATS = ("JPEG", "MPO")
_FRAMED = ("AVIF", "GIF", "MPO", "PNG", "TIFF", "WEBP")

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_Turn = Image.Transpose
_SWAPS_SIDES = (_Turn.TRANSPOSE, _Turn.ROTATE_270, _Turn.TRANSVERSE, _Turn.ROTATE_90)
_STARTS_RIGHT = (_Turn.FLIP_LEFT_RIGHT, _Turn.ROTATE_180, _Turn.ROTATE_270, _Turn.TRANSVERSE)
_STARTS_BELOW = (_Turn.ROTATE_180, _Turn.FLIP_TOP_BOTTOM, _Turn.TRANSVERSE, _Turn.ROTATE_90)

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1")
_HEIC_REASON = (
    "HEIC photograph: Pillow cannot read it; `pip install pillow-heif` and call "
    "pillow_heif.register_heif_opener(), or convert to JPEG"
)


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Parameters
    ----------
    status : str
        "decoded", "embedded", "cached" or "failed".
    reason : str
        Why it failed: one line without the path; empty if it did not.
    notes : tuple of str
        What was done to it on the way to 8-bit RGB, such as "rotated as EXIF says".
        A change of representation that loses nothing (grey, palette) is not noted.
    path : str
        The file; empty where only its bytes are known.
    """

    status: str
    reason: str = ""
    notes: tuple[str, ...] = ()
    path: str = ""

    @property
    def ok(self) -> bool:
        """Whether there are pixels or features for this file."""
        return self.status != "failed"

    @property
    def failure(self) -> str:
        """What to say of a file that failed."""
        return f"failed: {printable(self.path)}: {printable(self.reason)}"


class _RefusedError(Exception):
    """The image is refused; the message is the reason, word for word."""


def decode_all(data: bytes, squares: Sequence[Square]) -> tuple[list[np.ndarray], Outcome]:
    """Decode a file's bytes once for several squares, at least one.

    Returns an array of RGB pixels for each of `squares`, of shape (size, size, 3), uint8 and
    C-contiguous, and the outcome, "decoded" or "failed". There are none if it is "failed", which
    is said of whatever is wrong with `data`: nothing in it raises.
    """
    opened: dict[int, _Opened] = {}  # by the reduction that it was decoded at
    pixels: dict[Square, np.ndarray] = {}
    size = _jpeg_size(data) if any(square.decode == "scaled" for square in squares) else None
    try:
        for square in squares:
            reduction = square.reduction(*size) if size else 1
            if reduction not in opened:
                opened[reduction] = _open_rgb(data, reduction)
            if square not in pixels:
                picture = opened[reduction]
                pixels[square] = np.array(square.of(picture.image, picture.box))
    except Exception as error:
        return [], Outcome("failed", _reason(error, data))
    return [pixels[square] for square in squares], opened[reduction].outcome


def decode_rgb(data: bytes, reduction: int = 1) -> tuple[Image.Image | None, Outcome]:
    """Decode a file's bytes to an upright RGB image, or to None if the outcome is "failed".

    The orientation in the EXIF block is applied; `featx.images.rgb.to_rgb` makes it 8-bit RGB; of
    an animation or a file of several pages the first frame counts. Colour profiles are ignored.
    A truncated file fails, unless the process has set Pillow's `ImageFile.LOAD_TRUNCATED_IMAGES`.
    A reduction of 2, 4 or 8 decodes a JPEG to this fraction of its sides, rounded up.
    """
    try:
        opened = _open_rgb(data, reduction)
    # Whatever a damaged file makes Pillow raise (struct.error, KeyError, RecursionError,
    # MemoryError, ...), the other files go on.
    except Exception as error:
        return None, Outcome("failed", _reason(error, data))
    return opened.image, opened.outcome


@dataclass(frozen=True)
class _Opened:
    """A decoded, upright RGB image, and the box of it that is the picture."""

    image: Image.Image
    box: Box
    outcome: Outcome


def _open_rgb(data: bytes, reduction: int) -> _Opened:
    notes: list[str] = []
    if not data:
        raise _RefusedError("empty file")
    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    with Image.open(BytesIO(data), formats=formats) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise _RefusedError(_too_many(f"{width}x{height}"))
        deep = any(re.search(r";16[BLNS]", str(tile)) for tile in image.tile)
        # Loading a TIFF turns it upright and forgets its tag. The other formats are asked after
        # loading: `getexif` may load a PNG itself, and what goes wrong then would be lost.
        turned = _orientation(lambda: getattr(image, "tag_v2", {}))
        if reduction > 1 and image.format in _JPEG_FORMATS:
            image.draft(None, (max(1, width // reduction), max(1, height // reduction)))
        image.load()
        orientation = _orientation(image.getexif)

        rgb = to_rgb(image, notes)
        if deep and "16-bit to 8-bit" not in notes:
            notes.append("16-bit to 8-bit")
        if rgb is image and image.format in ("GIF", "TIFF"):
            rgb = image.copy()  # these are searched for frames, which replaces their pixels
        if image.format in _FRAMED:
            _note_frames(image, notes)

    if turned in _UPRIGHT or orientation in _UPRIGHT:
        notes.append("rotated as EXIF says")
    turn = _UPRIGHT.get(orientation)
    upright = rgb if turn is None else rgb.transpose(turn)
    # The sides of a reduced JPEG are rounded up; what is beyond the true ones is no picture.
    extent = (width / reduction, height / reduction) if rgb.size != (width, height) else rgb.size
    outcome = Outcome("decoded", notes=tuple(notes))
    return _Opened(upright, _turned_box(extent, turn, upright), outcome)


def _turned_box(
    extent: tuple[float, float], turn: Image.Transpose | None, upright: Image.Image
) -> Box:
    """Return where the first `extent` pixels of a stored image are once it is upright."""
    width, height = extent[::-1] if turn in _SWAPS_SIDES else extent
    left = upright.width - width if turn in _STARTS_RIGHT else 0
    top = upright.height - height if turn in _STARTS_BELOW else 0
    return left, top, left + width, top + height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height of a JPEG from its header; None for any other file."""
    try:
        with Image.open(BytesIO(data), formats=["JPEG"]) as image:
            return image.size if min(image.size) else None
    except Exception:
        return None


def upright(image: Image.Image) -> Image.Image:
    """Turn a loaded image as its EXIF block says."""
    turn = _UPRIGHT.get(_orientation(image.getexif))
    return image if turn is None else image.transpose(turn)


def _orientation(read_tags: Callable[[], Mapping[int, Any]]) -> Any:
    try:
        return read_tags().get(_ORIENTATION_TAG)
    except Exception:  # a broken EXIF block must not lose the image
        return None


def _note_frames(image: Image.Image, notes: list[str]) -> None:
    try:
        count = getattr(image, "n_frames", 1)
    except Exception:  # the first frame is good, and that one counts
        notes.append("first frame, the others are damaged")
        return
    if count > 1:
        notes.append(f"first of {count} frames")


def _reason(error: Exception, data: bytes) -> str:
    message = one_line(error)
    if isinstance(error, _RefusedError):
        return message
    if isinstance(error, UnidentifiedImageError):
        return _HEIC_REASON if _is_heic(data) else "not an image that Pillow can read"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        # Pillow counts before it gives the image away: its own limit, and no width and height.
        pixels = re.search(r"\d+", message)
        count = f"{int(pixels[0]) // 10**6} million" if pixels else "more than Pillow allows"
        return _too_many(count)
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if "truncated" in message.lower():
        return f"truncated: {message}"
    return f"damaged: {message}"


def _too_many(pixels: str) -> str:
    limit = MAX_PIXELS if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS
    limit = min(limit, MAX_PIXELS) // 10**6
    return f"too many pixels: {pixels}, at most {limit} million (a decompression bomb?)"


def _is_heic(data: bytes) -> bool:
    """Whether the bytes begin with the `ftyp` box of an ISO file that holds HEVC images."""
    if data[4:8] != b"ftyp" or "HEIF" in Image.OPEN:
        return False
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[start : start + 4] for start in range(16, end, 4))}
    return not brands.isdisjoint(_HEIC_BRANDS) and brands.isdisjoint((b"avif", b"avis"))
