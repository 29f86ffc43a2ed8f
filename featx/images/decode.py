"""Bytes to RGB pixels, whatever the file is: the only place that opens an image."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from featx.errors import OptionError, check_choice
from featx.images.rgb import to_rgb

RESIZES = ("squash", "crop", "pad")
INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos")

#: Raised whenever the same bytes would give other pixels; part of a recipe's fingerprint.
DECODE_VERSION = 1

#: More pixels than this are refused from the header, before anything is decoded. It is where
#: Pillow itself refuses by default, but a user's `Image.MAX_IMAGE_PIXELS` does not move it.
MAX_PIXELS = 178_956_970

#: Share of the resized shorter side that `crop` keeps: the ImageNet evaluation protocol.
CROP_FRACTION = 0.875

# What may be opened, likeliest first. Left out on purpose: EPS (starts Ghostscript), WMF, PDF,
# IPTC (opens what is inside it by any format), and formats that Pillow only names.
_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF", "JPEG2000", "PPM"),
    *("ICO", "CUR", "ICNS", "DIB", "PSD", "DDS", "QOI", "PCX", "SGI", "SUN", "XBM", "XPM", "TGA"),
)
_FRAMED = ("AVIF", "GIF", "MPO", "PNG", "TIFF", "WEBP")
_FILTERS = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}

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


class _RefusedError(Exception):
    """The image is refused; the message is the reason, word for word."""


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's warnings off the screen: what matters in them is in the outcomes.

    To be entered once, in the main thread, around all calls of `decode`: the state of the
    warnings belongs to the whole process, so that changing it within threads would leave it wrong.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def decode(
    data: bytes, size: int, resize: str = "squash", interpolation: str = "bilinear"
) -> tuple[np.ndarray | None, Outcome]:
    """Decode a file's bytes to a square of RGB pixels.

    Parameters
    ----------
    data : bytes
        A whole file.
    size : int
        Side of the square, in pixels.
    resize : {"squash", "crop", "pad"}
        "squash" ignores the aspect ratio and gives, for an 8-bit RGB file, the pixels of
        `keras.utils.load_img(path, target_size=(size, size), interpolation=interpolation)`.
        "crop" resizes the shorter side to `size / 0.875` and takes the centre. "pad" resizes the
        longer side to `size` and centres the image on black.
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos"}
        Pillow's filter of that name.

    Returns
    -------
    pixels : ndarray of shape (size, size, 3), uint8, C-contiguous; or None
        None if, and only if, the outcome is "failed".
    outcome : Outcome
        "decoded" or "failed".

    Raises
    ------
    OptionError
        An option has an unknown value. Nothing in `data` raises.
    """
    check_choice("resize", resize, RESIZES)
    check_choice("interpolation", interpolation, INTERPOLATIONS)
    if size < 1:
        raise OptionError(f"size is {size}: expected at least 1 pixel")

    image, outcome = decode_rgb(data)
    if image is None:
        return None, outcome
    fit = {"squash": _squash, "crop": _crop, "pad": _pad}[resize]
    try:
        return np.array(fit(image, size, _FILTERS[interpolation])), outcome
    except Exception as error:
        return None, _failed(error, data)


def decode_rgb(data: bytes) -> tuple[Image.Image | None, Outcome]:
    """Decode a file's bytes to an upright RGB image of full size.

    The orientation in the EXIF block is applied; `featx.images.rgb.to_rgb` makes it 8-bit RGB; of
    an animation or a file of several pages the first frame counts. Colour profiles are ignored.
    A truncated file fails, unless the process has set Pillow's `ImageFile.LOAD_TRUNCATED_IMAGES`.

    Parameters
    ----------
    data : bytes
        A whole file.

    Returns
    -------
    image : PIL.Image.Image of mode "RGB"; or None
        None if, and only if, the outcome is "failed".
    outcome : Outcome
        "decoded" or "failed". Nothing in `data` raises.
    """
    notes: list[str] = []
    try:
        image = _open_rgb(data, notes)
    # Whatever a damaged file makes Pillow raise (struct.error, KeyError, RecursionError,
    # MemoryError, ...), the other files go on.
    except Exception as error:
        return None, _failed(error, data)
    return image, Outcome("decoded", notes=tuple(notes))


def _open_rgb(data: bytes, notes: list[str]) -> Image.Image:
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
    return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


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


def _squash(image: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    return image.resize((size, size), resample)


def _crop(image: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    shorter = round(size / CROP_FRACTION)
    scale = shorter / min(image.size)
    # The part of the original that becomes the centre is resized, not the whole: the same pixels,
    # and the memory for a ribbon of 1x10000 pixels stays that of the square.
    spans = []
    for side in image.size:
        resized = max(shorter, round(side * scale))
        start = round((resized - size) / 2)
        spans.append((start * side / resized, min(side, (start + size) * side / resized)))
    (left, right), (top, bottom) = spans
    return image.resize((size, size), resample, box=(left, top, right, bottom))


def _pad(image: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    canvas = Image.new("RGB", (size, size))
    resized = image.resize((width, height), resample)
    canvas.paste(resized, ((size - width) // 2, (size - height) // 2))
    return canvas


def _failed(error: Exception, data: bytes) -> Outcome:
    return Outcome("failed", reason=_reason(error, data))


def _reason(error: Exception, data: bytes) -> str:
    message = " ".join(str(error).split())[:200]
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
    return f"damaged: {message or type(error).__name__}"


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
