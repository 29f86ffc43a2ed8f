"""Augmented views: the same photograph mirrored, a little nearer, tilted, in another light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from PIL import Image

#: Raised whenever a view of a number would give other pixels; part of a recipe's fingerprint.
VIEWS_VERSION = 1

_NEAREST = 0.7  # share of each side that a view shows at least
_TILT = 10.0  # degrees to either side
_LIGHT = 0.2  # how far brightness and contrast go from 1

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class View:
    """How a view differs from the photograph."""

    mirrored: bool
    side: float = 1.0  # share of each side that is shown
    left: float = 0.0  # where that part begins, as a share of what is left over
    top: float = 0.0
    tilt: float = 0.0  # degrees, counter-clockwise
    brightness: float = 1.0  # a factor
    contrast: float = 1.0  # a factor, about the middle grey

    def part(self, box: Box) -> Box:
        """Return the part of a box, in pixels, that the view shows."""
        width, height = (box[2] - box[0]) * self.side, (box[3] - box[1]) * self.side
        left = box[0] + self.left * (box[2] - box[0] - width)
        top = box[1] + self.top * (box[3] - box[1] - height)
        return left, top, left + width, top + height

    def margin(self, size: int) -> int:
        """Return the side of the square to tilt, so that one of `size` fits inside it."""
        turn = math.radians(abs(self.tilt))
        return math.ceil(size * (math.cos(turn) + math.sin(turn)))

    def finish(self, square: Image.Image, size: int) -> Image.Image:
        """Tilt, mirror and light a square of side `margin(size)`, and cut out its centre."""
        if self.tilt:
            square = square.rotate(self.tilt, Image.Resampling.BILINEAR)
        start = (square.width - size) // 2
        square = square.crop((start, start, start + size, start + size))
        if self.mirrored:
            square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.brightness == 1.0 == self.contrast:
            return square
        levels = ((128 + (level - 128) * self.contrast) * self.brightness for level in range(256))
        return square.point([round(min(max(level, 0), 255)) for level in levels] * 3)


@lru_cache(maxsize=256)
def view_of(number: int) -> View:
    """Return a view by its number, from 1 up, the same on every machine.

    The first is the mirror image. From the second on, part of the photograph is shown, tilted
    and lit at random; the even ones are not mirrored.
    """
    if number == 1:
        return View(mirrored=True)
    random = Random(f"featx view {number}").random  # of a text: the same in every Python
    return View(
        mirrored=number % 2 == 1,
        side=_NEAREST + (1 - _NEAREST) * random(),
        left=random(),
        top=random(),
        tilt=_TILT * (2 * random() - 1),
        brightness=1 + _LIGHT * (2 * random() - 1),
        contrast=1 + _LIGHT * (2 * random() - 1),
    )
