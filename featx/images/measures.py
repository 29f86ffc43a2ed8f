"""Measures of a picture: its size, light, detail and edges, as numbers that can be compared."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image

#: Side of the square in which a picture is measured, whatever its own size.
SIDE = 112
#: Side of the square of brightness that tells copies.
MINIATURE = 14

_OCTAVES = 4
_EDGE = 7  # pixels of the square that are its edge
_WINDOW = 25  # levels of 256 that count as one colour
_MOST_EXIF = 1 << 20  # bytes; in more there is anything
_MAKE, _MODEL = 0x010F, 0x0110  # tags of EXIF


@dataclass(frozen=True)
class Header:
    """What the header of a file tells of its picture.

    Attributes
    ----------
    width, height : int
        In pixels, upright.
    format : str
        Of the file, as Pillow calls it.
    camera : str
        Make and model that the EXIF block names, or empty.
    """

    width: int
    height: int
    format: str
    camera: str


@dataclass(frozen=True)
class Measures(Header):
    """What can be measured of a picture without knowing what it shows.

    Attributes
    ----------
    width, height, format, camera : int, int, str, str
        Of the header.
    n_bytes : int
        Of the file.
    dark, light : float
        Brightness that 1 % of the pixels are below, and 1 % above: 0 to 255.
    contrast : float
        Standard deviation of the brightness, 0 to 128.
    one_colour : float
        Share of the pixels that have nearly the commonest brightness and hue, 0 to 1.
    detail : tuple of float
        Variance of the brightness at each scale, the finest first, of a square of 112 pixels.
    edges : tuple of float
        Mean colour (YCbCr) of the upper, lower, left and right edge.
    miniature : bytes
        Brightness of 14 x 14 parts, by rows.
    """

    n_bytes: int
    dark: float
    light: float
    contrast: float
    one_colour: float
    detail: tuple[float, ...]
    edges: tuple[float, ...]
    miniature: bytes

    def to_bytes(self) -> bytes:
        """Write them down."""
        values = {**vars(self), "miniature": self.miniature.hex()}
        return json.dumps(list(values.values())).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Measures:
        """Read what `to_bytes` wrote."""
        *values, detail, edges, miniature = json.loads(data)
        names = [field.name for field in fields(cls)]
        known: dict[str, Any] = dict(zip(names, values, strict=False))
        return cls(
            **known, detail=tuple(detail), edges=tuple(edges), miniature=bytes.fromhex(miniature)
        )


def measures_of(image: Image.Image, header: Header, n_bytes: int) -> Measures:
    """Measure an upright image, RGB or grey, scaled to any size that is no less than the square."""
    square = _square(image if image.mode == "RGB" else image.convert("RGB"))
    colours = square.convert("YCbCr")
    levels = np.array(colours.histogram(), dtype=float).reshape(3, 256) / SIDE**2
    below = levels[0].cumsum()
    grades = np.arange(256)
    mean = float(levels[0] @ grades)
    pixels = np.asarray(colours)
    detail, miniature = _detail(pixels[..., 0])
    return Measures(
        **vars(header),
        n_bytes=n_bytes,
        dark=float(np.searchsorted(below, 0.01)),
        light=float(np.searchsorted(below, 0.99)),
        contrast=round(float(np.sqrt(max(levels[0] @ grades**2 - mean**2, 0))), 3),
        one_colour=round(min(map(_commonest, levels)), 4),
        detail=detail,
        edges=_edges(colours),
        miniature=miniature,
    )


def camera_of(image: Image.Image) -> str:
    """Return the make and model of the camera that an opened image names."""
    exif = image.info.get("exif") or b""
    if not exif or len(exif) > _MOST_EXIF:
        return ""
    try:
        tags: dict[int, Any] = dict(image.getexif())
    except Exception:  # a broken EXIF block must not lose the image
        return ""
    names = [str(tags[tag]).strip("\0 ") for tag in (_MAKE, _MODEL) if tag in tags]
    return " ".join(filter(None, names))[:80]


def _square(image: Image.Image) -> Image.Image:
    """Return an RGB image as the square in which it is measured."""
    if image.size == (2 * SIDE, 2 * SIDE):  # as most networks see it
        return image.reduce(2)
    return image.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=1.0)


def _edges(square: Image.Image) -> tuple[float, ...]:
    """Return the mean colour of each edge of a square."""
    far = SIDE - _EDGE
    boxes = ((0, 0, SIDE, _EDGE), (0, far, SIDE, SIDE), (0, 0, _EDGE, SIDE), (far, 0, SIDE, SIDE))
    means = [square.resize((1, 1), Image.Resampling.BOX, box=box) for box in boxes]
    return tuple(float(value) for mean in means for value in mean.tobytes())


def _commonest(levels: np.ndarray) -> float:
    """Return the largest share of pixels that is within a window of levels."""
    total = np.concatenate([[0.0], levels.cumsum()])
    return float((total[_WINDOW:] - total[:-_WINDOW]).max())


def _detail(brightness: np.ndarray) -> tuple[tuple[float, ...], bytes]:
    """Return the variance at each scale, and the picture at 14 x 14."""
    level: np.ndarray = brightness.astype(np.float32)
    squares = [float(np.vdot(level, level)) / level.size]
    miniature = b""
    for _ in range(_OCTAVES):
        level = level[0::2] + level[1::2]
        level = (level[:, 0::2] + level[:, 1::2]) / 4
        squares.append(float(np.vdot(level, level)) / level.size)
        if len(level) == MINIATURE:
            miniature = level.round().astype(np.uint8).tobytes()
    detail = [round(max(fine - coarse, 0.0), 3) for fine, coarse in pairwise(squares)]
    return tuple(detail), miniature
