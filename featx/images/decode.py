"""Bytes to RGB pixels, whatever the file is: the only place that opens an image."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from featx.errors import one_line
from featx.images import netpbm
from featx.images.cost import JPEG_FORMATS, codec, decoding_bytes, has_deep_colours
from featx.images.depth import choose_low_bytes, depth_of
from featx.images.limits import (
    ROOM,
    LimitedFile,
    RefusedError,
    check_icon,
    check_tiff,
    check_time,
)
from featx.images.measures import SIDE, Header, Measures, camera_of, measures_of
from featx.images.rgb import DepthOf, depth_note, to_8_bit, with_low_bytes
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
_FRAMED = ("AVIF", "GIF", "MPO", "PNG", "TIFF", "WEBP")

_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # Pillow unpacks colour profiles like texts
_MOST_EXIF = 4 << 20  # bytes; in more there is anything, and it takes gigabytes to list
_MOST_CHUNKS = 500_000

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

# What the `ftyp` box of an ISO file names.
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1")
_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_REASON = (
    "HEIC photograph: `pip install pillow-heif`, and featx reads it; or convert it to JPEG"
)
_AVIF_REASON = "AVIF picture: `pip install --upgrade pillow`, to 11.3 at least, and featx reads it"
_heif = threading.Lock()


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


def decode_all(
    data: bytes,
    squares: Sequence[Square],
    notice: Callable[[Header, Square, Image.Image], object] | None = None,
) -> tuple[list[np.ndarray], Outcome]:
    """Decode a file's bytes once for several squares, at least one.

    Returns an array of RGB pixels for each of `squares`, of shape (size, size, 3), uint8 and
    C-contiguous, and the outcome, "decoded" or "failed". There are none if it is "failed", which
    is said of whatever is wrong with `data`: nothing in it raises. `notice` is given the
    header, and each square as an image.
    """
    alike: dict[int, list[Square]] = {}  # by the reduction that they are decoded at
    size = _jpeg_size(data) if any(square.decode == "scaled" for square in squares) else None
    for square in dict.fromkeys(squares):
        alike.setdefault(square.reduction(*size) if size else 1, []).append(square)
    pixels: dict[Square, np.ndarray] = {}
    try:
        for reduction, group in alike.items():
            with _decoded(data, reduction, max(square.size for square in group)) as picture:
                for square in group:
                    made = square.of(picture.image, picture.box)
                    pixels[square] = np.array(made)
                    if notice is not None:
                        notice(picture.header, square, made)
                outcome = picture.outcome
                del picture  # before its room is given to others
    # Whatever a damaged file makes Pillow raise (struct.error, KeyError, RecursionError,
    # MemoryError, ...), the other files go on.
    except Exception as error:
        return [], Outcome("failed", _reason(error, data))
    return [pixels[square] for square in squares], outcome


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height that a file's header tells; None where it cannot be opened.

    Nothing is decoded.
    """
    try:
        with _opened(data) as image:
            return image.size
    except Exception:  # decoding says why
        return None


def decode_rgb(
    data: bytes, reduction: int = 1, most: int | None = None
) -> tuple[Image.Image | None, Outcome]:
    """Decode a file's bytes to an upright RGB image, or to None if the outcome is "failed".

    The orientation in the EXIF block is applied; `featx.images.rgb.to_8_bit` makes it 8-bit; of
    an animation or a file of several pages the first frame counts. Colour profiles are ignored.
    A truncated file fails, unless the process has set Pillow's `ImageFile.LOAD_TRUNCATED_IMAGES`.
    A reduction of 2, 4 or 8 decodes a JPEG to this fraction of its sides, rounded up. `most` is
    the largest side in pixels; a larger image is made smaller.
    """
    try:
        with _decoded(data, reduction) as picture:
            image, outcome = picture.image, picture.outcome
            del picture
            if most is not None:
                image.thumbnail((most, most))
            return image.convert("RGB"), outcome
    except Exception as error:
        return None, Outcome("failed", _reason(error, data))


def measure(data: bytes) -> Measures | None:
    """Measure the picture in a file's bytes; None if it cannot be decoded.

    A JPEG is decoded scaled down, to no less than the square in which it is measured.
    """
    size = _jpeg_size(data) or (0, 0)
    reduction = next((each for each in (8, 4, 2) if min(size) >= each * SIDE), 1)
    try:
        with _decoded(data, reduction, SIDE) as picture:
            left, top, right, bottom = map(round, picture.box)
            image = picture.image.crop((left, top, right, bottom))
            return measures_of(image, picture.header, len(data))
    except Exception:  # whatever Pillow raises, the other files go on
        return None


@dataclass(frozen=True)
class _Decoded:
    """A decoded, upright image, RGB or grey, and the box of it that is the picture."""

    image: Image.Image
    box: Box
    outcome: Outcome
    header: Header


@contextmanager
def _decoded(data: bytes, reduction: int, side: int = 0) -> Iterator[_Decoded]:
    """Decode a picture, for a square of so many pixels; it has its room until the block ends."""
    with _opened(data) as image:
        check_time(image, data)
        # Loading a TIFF turns it upright and forgets its tag. The other formats are asked after
        # loading: `getexif` may load a PNG itself, and what goes wrong then would be lost.
        turned = _orientation(lambda: getattr(image, "tag_v2", {}))
        with ROOM.taken(decoding_bytes(image, data, reduction, _may_turn(image, turned), side)):
            try:
                picture = _load(image, data, reduction, turned)
            except ValueError as error:
                if not _is_of_text(error):
                    raise
                with _opened(_without_text(data)) as again:
                    picture = _load(again, data, reduction, turned)
            yield picture


def _opened(data: bytes) -> Image.Image:
    """Open a picture: its header is read and its size is no more than `MAX_PIXELS`."""
    if not data:
        raise RefusedError("empty file")
    check_icon(data)
    check_tiff(data)
    Image.init()
    if _lacks_heif(data):
        _register_heif()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    try:
        image = Image.open(LimitedFile(data), formats=formats)
    except ValueError as error:
        if not _is_of_text(error):
            raise
        image = Image.open(LimitedFile(_without_text(data)), formats=formats)
    if image.width * image.height > MAX_PIXELS:
        raise RefusedError(_too_many(f"{image.width}x{image.height}"))
    return image


def _is_of_text(error: ValueError) -> bool:
    """Whether Pillow refuses a PNG for what is written in it beside the picture."""
    return "MAX_TEXT_CHUNK" in str(error) or "text chunks" in str(error)


def _without_text(data: bytes) -> bytes:
    """Return a PNG without its texts, one of which can be larger than the picture."""
    parts, start = [data[:8]], 8
    while start + 8 <= len(data) and len(parts) < _MOST_CHUNKS:
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if data[start + 4 : start + 8] not in _TEXT_CHUNKS:
            parts.append(data[start:end])
        start = end
    return b"".join(parts)


def _may_turn(image: Image.Image, turned: Any) -> bool:
    """Whether an image that is not loaded may have to be turned upright."""
    if image.format in JPEG_FORMATS:
        return _orientation(image.getexif) in _UPRIGHT
    return turned in _UPRIGHT or "exif" in image.info


def _load(image: Image.Image, data: bytes, reduction: int, turned: Any) -> _Decoded:
    notes: list[str] = []
    width, height = image.size
    deep = has_deep_colours(image)
    if reduction > 1 and image.format in JPEG_FORMATS:
        image.draft(None, (max(1, width // reduction), max(1, height // reduction)))
    depth = partial(depth_of, image, data)
    if codec(image) == netpbm.CODEC:
        bright = netpbm.decoded(image, data)
    else:
        image.load()
        bright = _brightened(image, data, notes, depth) if deep else image
    huge = len(image.info.get("exif") or b"") > _MOST_EXIF
    orientation: Any = None if huge else _orientation(image.getexif)
    converted = to_8_bit(bright, notes, depth)
    if image.format in ("GIF", "TIFF"):  # counting replaces the pixels of these
        with _opened(data) as again:
            _note_frames(again, notes)
    elif image.format in _FRAMED:
        _note_frames(image, notes)

    if turned in _UPRIGHT or orientation in _UPRIGHT:
        notes.append("rotated as EXIF says")
    # The sides of a reduced JPEG are rounded up; what is beyond the true ones is no picture.
    reduced = converted.size != (width, height)
    extent = (width / reduction, height / reduction) if reduced else converted.size
    turn = _UPRIGHT.get(orientation)
    turned_up = converted if turn is None else converted.transpose(turn)
    outcome = Outcome("decoded", notes=tuple(notes))
    size = (height, width) if turn in _SWAPS_SIDES else (width, height)
    header = Header(*size, image.format or "", camera_of(image))
    return _Decoded(turned_up, _turned_box(extent, turn, turned_up), outcome, header)


def _brightened(image: Image.Image, data: bytes, notes: list[str], depth: DepthOf) -> Image.Image:
    """Return a picture of 16-bit colours as 8-bit ones, however few of their bits it uses.

    Pillow has taken the high bytes. Where they are all small, the low ones count.
    """
    extrema: Any = image.getextrema()
    if len(image.getbands()) > 1 and max(high for _, high in extrema[:3]) < 64:
        with _opened(data) as again:
            if choose_low_bytes(again):
                again.load()
                return with_low_bytes(image, again, notes, depth)
    notes.append(depth_note(16))
    return image


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
    except RefusedError:
        notes.append("first of many frames")
        return
    except Exception:  # the first frame is good, and that one counts
        notes.append("first frame, the others are damaged")
        return
    if count > 1:
        notes.append(f"first of {count} frames")


def _reason(error: Exception, data: bytes) -> str:
    message = one_line(error)
    if isinstance(error, RefusedError):
        return message
    if isinstance(error, UnidentifiedImageError):
        if _is_avif(data) and "avif" not in features.get_supported_modules():
            return _AVIF_REASON
        return _HEIC_REASON if _lacks_heif(data) else "not an image that Pillow can read"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        # Pillow counts before it gives the image away: its own limit, and no width and height.
        pixels = re.search(r"\d+", message)
        count = f"{int(pixels[0]) // 10**6} million" if pixels else "more than Pillow allows"
        return _too_many(count)
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if "truncated" in message.lower():
        told = re.search(r"\((.*)\)", message)  # how many bytes, if it is said
        return f"truncated: {told[1] if told else 'the file ends too soon'}"
    return f"damaged: {message}"


def _too_many(pixels: str) -> str:
    limit = MAX_PIXELS if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS
    limit = min(limit, MAX_PIXELS) // 10**6
    return f"too many pixels: {pixels}, at most {limit} million (a decompression bomb?)"


def _brands(data: bytes) -> set[bytes]:
    """Return what the `ftyp` box of an ISO file says that it holds."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 256)
    return {data[8:12], *(data[start : start + 4] for start in range(16, end, 4))}


def _is_avif(data: bytes) -> bool:
    return not _brands(data).isdisjoint(_AVIF_BRANDS)


def _lacks_heif(data: bytes) -> bool:
    """Whether this is a HEIC photograph, and nothing here reads one."""
    brands = _brands(data)
    is_heic = not brands.isdisjoint(_HEIC_BRANDS) and brands.isdisjoint(_AVIF_BRANDS)
    return is_heic and "HEIF" not in Image.OPEN


def _register_heif() -> None:
    """Let Pillow read HEIC photographs where `pillow-heif` is installed."""
    with _heif, suppress(ImportError):
        import pillow_heif

        if "HEIF" not in Image.OPEN:
            pillow_heif.register_heif_opener()
