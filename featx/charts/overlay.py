"""Overlays: a photograph in grey, coloured by what in it speaks for a class and what against."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import Protocol

import numpy as np
from PIL import Image, ImageFilter

from featx.images.decode import decode_rgb
from featx.images.digests import read_file
from featx.images.labels import Label
from featx.images.quiet import quiet_pillow
from featx.images.square import Square
from featx.images.views import Box

#: Share of what speaks for a class that lies within the line.
DECIDING = 0.5

_SIDE = 384  # pixels along the longer side
_MOST_DECODED = 4096
# Oklab, a space in which equal steps look equal: lightness is that of the photograph, within
# bounds in which every colour can be shown, and the colour is that of the map. Orange and blue are
# told apart by people of every kind of colour vision.
_DARKEST, _BRIGHTEST = 0.38, 0.85
_LIFT = 0.14  # of what is dark under the strongest colour, which is lighter than that
_FOR, _AGAINST = np.deg2rad(58), np.deg2rad(258)
_CHROMA = 0.16
_STEPS = 64  # of colour to either side of grey
_SMALL = 240  # pixels; a smaller picture has a thinner line
_LITTLE = 0.2  # of the strongest colour
_SMOOTH = np.array([0.25, 0.5, 0.25], np.float32)  # of a place and its neighbours
_ALL_OVER = 0.35  # share of a photograph; in a larger part no place can be named
_LINE, _CASING = (255, 255, 255), (25, 25, 25)
_UNSEEN = 0.35  # share of its contrast that is left to what the network did not see


class Explained(Protocol):
    """What says which parts of a picture decided, such as an `Explanation`."""

    @property
    def path(self) -> str: ...
    @property
    def picture(self) -> np.ndarray: ...
    @property
    def square(self) -> Square: ...
    @property
    def size(self) -> tuple[int, int] | None: ...
    @property
    def heat(self) -> np.ndarray: ...
    @property
    def exact(self) -> bool: ...


class Answer(Explained, Protocol):
    """An explanation with what it says: of which class, how probable, found in which way."""

    @property
    def label(self) -> Label: ...
    @property
    def predicted(self) -> Label: ...
    @property
    def probability(self) -> float | None: ...
    @property
    def method(self) -> str: ...
    @property
    def budget(self) -> int: ...


def overlay(
    explained: Explained,
    side: int = _SIDE,
    *,
    photograph: Image.Image | None = None,
    scale: float | None = None,
) -> np.ndarray:
    """Draw a photograph in grey, under the colours of what speaks for a class and against it.

    Orange speaks for it and blue against it, the stronger the colour, the more; grey says nothing.
    Within the line lies half of all that speaks for it; there is none where little does. What the
    network did not see is pale.

    Parameters
    ----------
    explained : Explanation
        What to draw.
    side : int, default=384
        Pixels of the longer side.
    photograph : Image, optional
        The upright photograph; by default it is read again, and where it is gone, what the network
        saw of it is drawn.
    scale : float, optional
        The value of the strongest colour, so that several maps can be compared; by default the
        largest of the map.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        In the proportions of the photograph.
    """
    picture, box = _shown(explained, side, photograph)
    values, seen = _on(map_of(explained), box, picture.size)
    scale = scale_of([explained]) if scale is None else scale
    grey = np.asarray(picture.convert("L"))
    levels = np.rint(np.clip(values / (scale or 1.0), -1, 1) * _STEPS).astype(int)
    drawn: np.ndarray = _colors()[grey, levels + _STEPS]
    if values.max() > _LITTLE * scale:
        _draw_line(drawn, values)
    drawn[~seen] = 255 - _UNSEEN * (255 - drawn[~seen].astype(float))
    return drawn


def overlay_png(
    explained: Explained, side: int = _SIDE, *, photograph: Image.Image | None = None
) -> bytes:
    """Return an `overlay` as the bytes of a PNG file."""
    stream = BytesIO()
    Image.fromarray(overlay(explained, side, photograph=photograph)).save(
        stream, "PNG", compress_level=3
    )
    return stream.getvalue()


def photograph_of(explained: Explained, side: int = _SIDE) -> Image.Image:
    """Return the upright photograph, or the square that the network saw where it is gone."""
    picture, _ = _shown(explained, side, None)
    return picture


def place_of(explained: Explained) -> str:
    """Say in words where in the photograph the deciding part is, for those who do not see it.

    Such as "at the upper left", "in the middle", "all over", or "nowhere".
    """
    picture, box = _shown(explained, _SMALL, None)
    values, _ = _on(map_of(explained), box, picture.size)
    inside = values >= _least(values)
    if not inside.any():
        return "nowhere"
    if inside.mean() > _ALL_OVER:
        return "all over"
    down, across = (
        np.average((np.arange(n) + 0.5) / n, weights=(values * inside).sum(axis=1 - axis))
        for axis, n in enumerate(inside.shape)
    )
    row = ("upper", "", "lower")[int(3 * down)]
    column = ("left", "", "right")[int(3 * across)]
    if not row and not column:
        return "in the middle"
    if row and column:
        return f"at the {row} {column}"
    return f"at the {column}" if column else f"in the {row} part"


def way_of(explained: Answer) -> str:
    """Say in a few words how an explanation was found, and how far it can be trusted."""
    if explained.exact:
        return "class map, exact"
    if not np.any(explained.heat):
        return f"{explained.budget:,} masks, none of which changed the answer"
    return f"{explained.budget:,} masks, an estimate"


def scale_of(explained: Sequence[Explained]) -> float:
    """Return the largest value of several maps, with which they can be compared."""
    return max(float(np.abs(map_of(each)).max()) for each in explained)


def map_of(explained: Explained) -> np.ndarray:
    """Return the map to draw: an estimate is smoothed, since its places are uncertain each."""
    heat = np.asarray(explained.heat, np.float32)
    if explained.exact or min(heat.shape) < len(_SMOOTH):
        return heat
    for axis in (0, 1):
        around = np.pad(heat, [(1, 1) if each == axis else (0, 0) for each in (0, 1)], "edge")
        windows = np.lib.stride_tricks.sliding_window_view(around, len(_SMOOTH), axis)
        heat = np.asarray(windows @ _SMOOTH)
    return heat


def scale_bar(width: int, height: int) -> np.ndarray:
    """Return the colours from the strongest against a class to the strongest for it.

    Of shape (height, width, 3), uint8.
    """
    levels = np.linspace(0, 2 * _STEPS, width).round().astype(int)
    return np.repeat(_colors()[150, levels][None], height, axis=0)


def _shown(
    explained: Explained, side: int, photograph: Image.Image | None
) -> tuple[Image.Image, Box]:
    """Return the picture to draw, and the box of it, in its pixels, that the square shows."""
    picture = photograph or _read(explained.path, side)
    if picture is None:
        return _from_square(explained, side)
    picture = picture.convert("RGB").resize(_fitted(picture.size, side), Image.Resampling.LANCZOS)
    return picture, explained.square.shown(*picture.size)


def _from_square(explained: Explained, side: int) -> tuple[Image.Image, Box]:
    """Return what the square shows of the photograph, in the proportions that it has there."""
    square = Image.fromarray(explained.picture)
    width, height = explained.size or square.size
    left, top, right, bottom = explained.square.shown(width, height)
    seen = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    across, down = square.width / (right - left), square.height / (bottom - top)
    part = (
        (seen[0] - left) * across,
        (seen[1] - top) * down,
        (seen[2] - left) * across,
        (seen[3] - top) * down,
    )
    size = _fitted((seen[2] - seen[0], seen[3] - seen[1]), side)
    scale = size[0] / (seen[2] - seen[0]), size[1] / (seen[3] - seen[1])
    box = (
        (left - seen[0]) * scale[0],
        (top - seen[1]) * scale[1],
        (right - seen[0]) * scale[0],
        (bottom - seen[1]) * scale[1],
    )
    return square.resize(size, Image.Resampling.BICUBIC, part), box


def _read(path: str, side: int) -> Image.Image | None:
    """Decode a photograph, no larger than is needed; None if it is gone since."""
    try:
        data, _ = read_file(path)
    except OSError:
        return None
    with quiet_pillow():
        image, _ = decode_rgb(data, most=max(2 * side, 64))
    return image


def _fitted(size: tuple[float, float], side: int) -> tuple[int, int]:
    """Return the size at which the longer side has so many pixels."""
    width, height = (max(1, round(each * side / max(size))) for each in size)
    return width, height


def _on(heat: np.ndarray, box: Box, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Lay a map of the square onto the picture: its values there, and which pixels it shows."""
    left, top, right, bottom = box
    inner = (max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1]))
    first = round(inner[0]), round(inner[1])
    last = max(round(inner[2]), first[0] + 1), max(round(inner[3]), first[1] + 1)
    across, down = heat.shape[1] / (right - left), heat.shape[0] / (bottom - top)
    part = (
        (inner[0] - left) * across,
        (inner[1] - top) * down,
        (inner[2] - left) * across,
        (inner[3] - top) * down,
    )
    laid = Image.fromarray(np.ascontiguousarray(heat, np.float32)).resize(
        (last[0] - first[0], last[1] - first[1]), Image.Resampling.BICUBIC, part
    )
    values, seen = np.zeros(size[::-1], np.float32), np.zeros(size[::-1], bool)
    place = slice(first[1], last[1]), slice(first[0], last[0])
    # Between its points a smooth map swings beyond them.
    values[place] = np.asarray(laid).clip(heat.min(), heat.max())
    seen[place] = True
    return values, seen


def _least(values: np.ndarray) -> float:
    """Return the least value within the line; infinity where nothing speaks for the class."""
    found = np.sort(values[values > 0])[::-1]
    if not len(found):
        return np.inf
    sums = np.cumsum(found, dtype=float)
    return float(found[np.searchsorted(sums, DECIDING * sums[-1])])


def _draw_line(drawn: np.ndarray, values: np.ndarray) -> None:
    """Draw a line around the part in which half of all that speaks for the class lies."""
    inside = Image.fromarray(((values >= _least(values)) * 255).astype(np.uint8))
    wide = max(drawn.shape) >= _SMALL
    for color, outer, inner in ((_CASING, 5 if wide else 3, 1), (_LINE, 3 if wide else 1, 3)):
        grown, shrunk = ImageFilter.MaxFilter(outer), ImageFilter.MinFilter(inner)
        drawn[np.asarray(inside.filter(grown)) != np.asarray(inside.filter(shrunk))] = color


@cache
def _colors() -> np.ndarray:
    """Return the colour of each grey level and each value, of shape (256, 2 * steps + 1, 3)."""
    grey = np.arange(256) / 255
    light = np.cbrt(np.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4))
    value = np.linspace(-1, 1, 2 * _STEPS + 1)
    darkest = _DARKEST + _LIFT * np.abs(value)
    lightness = darkest + light[:, None] * (_BRIGHTEST - darkest)
    hue = np.where(value > 0, _FOR, _AGAINST)
    a, b = _CHROMA * np.abs(value) * np.cos(hue), _CHROMA * np.abs(value) * np.sin(hue)
    return _of_oklab(lightness, a, b)


def _of_oklab(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return colours of Oklab in sRGB, uint8; see https://bottosson.github.io/posts/oklab/."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ],
        axis=-1,
    ).clip(0, 1)
    bright = 1.055 * linear ** (1 / 2.4) - 0.055
    shares = np.where(linear <= 0.0031308, 12.92 * linear, bright)
    return np.asarray(np.rint(255 * shares), np.uint8)
