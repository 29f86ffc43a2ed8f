"""The square that a picture is made into: its size, how it is resized, what it may leave out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image

from featx.errors import OptionError, check_choice
from featx.images.views import Box, view_of

DECODES = ("full", "scaled")
RESIZES = ("squash", "crop", "pad")
INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos")

#: Share of the resized shorter side that `crop` keeps: the ImageNet evaluation protocol.
CROP_FRACTION = 0.875

#: A scaled JPEG keeps at least this many times the pixels that are needed, along each side.
SCALED_MARGIN = 2

_FILTERS = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}


@dataclass(frozen=True)
class Square:
    """What a picture is made into: a square of RGB pixels.

    Parameters
    ----------
    size : int
        Side of the square, in pixels.
    resize : {"squash", "crop", "pad"}
        "squash" ignores the aspect ratio and gives, for an 8-bit RGB file, the pixels of
        `keras.utils.load_img(path, target_size=(size, size), interpolation=interpolation)`.
        "crop" resizes the shorter side to `size / 0.875` and takes the centre. "pad" resizes the
        longer side to `size` and centres the image on black.
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos"}
        Pillow's filter of that name.
    decode : {"full", "scaled"}
        "scaled" lets the JPEG decoder leave out detail that the resizing would: it decodes to
        1/2, 1/4 or 1/8 of the size, and at least twice what the square needs. Large photographs
        decode several times faster, to nearly the same pixels; other formats are not touched.
    view : int, default=0
        The number of an augmented view (`featx.images.views`); 0 for the photograph as it is.
    """

    size: int
    resize: str = "squash"
    interpolation: str = "bilinear"
    decode: str = "full"
    view: int = 0

    def __post_init__(self) -> None:
        check_choice("resize", self.resize, RESIZES)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        check_choice("decode", self.decode, DECODES)
        if self.size < 1:
            raise OptionError(f"size is {self.size}: expected at least 1 pixel")

    def reduction(self, width: int, height: int) -> int:
        """Return by how much, 1, 2, 4 or 8, a JPEG of this size is scaled down while decoding."""
        if self.decode == "full":
            return 1
        side = max(width, height) if self.resize == "pad" else min(width, height)
        needed = self.size / CROP_FRACTION if self.resize == "crop" else self.size
        if self.view:
            view = view_of(self.view)
            needed = view.margin(math.ceil(needed)) / view.side
        factor = side / needed / SCALED_MARGIN
        return max((each for each in (2, 4, 8) if each <= factor), default=1)

    def of(self, image: Image.Image, box: Box | None = None) -> Image.Image:
        """Resize a grey or RGB image, or the box of it that is the picture, to the RGB square."""
        shape = {"squash": _squash, "crop": _crop, "pad": _pad}[self.resize]
        box, resample = box or (0, 0, *image.size), _FILTERS[self.interpolation]
        if not self.view:
            return shape(image, box, self.size, resample).convert("RGB")
        view = view_of(self.view)
        square = shape(image, view.part(box), view.margin(self.size), resample).convert("RGB")
        return view.finish(square, self.size)

    def shown(self, width: float, height: float) -> Box:
        """Return the part of a picture of this size, in its pixels, that the square shows.

        That of "crop" is the centre; that of "pad" goes beyond the picture, where there is black.
        """
        sides = (width, height)
        if self.resize == "crop":
            spans = _crop_spans(sides, self.size)
        elif self.resize == "pad":
            spans = _pad_spans(sides, self.size)
        else:
            spans = [(0.0, width), (0.0, height)]
        (left, right), (top, bottom) = spans
        return left, top, right, bottom


def _squash(image: Image.Image, box: Box, size: int, resample: Image.Resampling) -> Image.Image:
    return image.resize((size, size), resample, box)


def _crop(image: Image.Image, box: Box, size: int, resample: Image.Resampling) -> Image.Image:
    # The part of the original that becomes the centre is resized, not the whole: the same pixels,
    # and the memory for a ribbon of 1x10000 pixels stays that of the square.
    (left, right), (top, bottom) = _crop_spans((box[2] - box[0], box[3] - box[1]), size)
    part = (box[0] + left, box[1] + top, box[0] + right, box[1] + bottom)
    return image.resize((size, size), resample, part)


def _crop_spans(sides: tuple[float, float], size: int) -> list[tuple[float, float]]:
    """Return where the centre begins and ends, along the width and along the height."""
    shorter = round(size / CROP_FRACTION)
    scale = shorter / min(sides)
    spans = []
    for side in sides:
        resized = max(shorter, round(side * scale))
        start = round((resized - size) / 2)
        spans.append((start * side / resized, min(side, (start + size) * side / resized)))
    return spans


def _pad(image: Image.Image, box: Box, size: int, resample: Image.Resampling) -> Image.Image:
    width, height = _padded((box[2] - box[0], box[3] - box[1]), size)
    canvas = Image.new("RGB", (size, size))
    resized = image.resize((width, height), resample, box)
    canvas.paste(resized, ((size - width) // 2, (size - height) // 2))
    return canvas


def _pad_spans(sides: tuple[float, float], size: int) -> list[tuple[float, float]]:
    """Return where the square begins and ends, along the width and along the height."""
    spans = []
    for side, resized in zip(sides, _padded(sides, size), strict=True):
        begin = -((size - resized) // 2) * side / resized
        spans.append((begin, begin + size * side / resized))
    return spans


def _padded(sides: tuple[float, float], size: int) -> tuple[int, int]:
    """Return the width and height in the square of a picture with black around it."""
    width, height = (max(1, round(side * size / max(sides))) for side in sides)
    return width, height
