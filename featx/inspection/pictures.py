"""Pictures that are unlike the others: blank, dark, bright, blurred, small, of another shape.

A limit is absolute, so that a good picture among better ones is none of them, and relative to the
middle of the folder, so that what all pictures are (digits on black, icons) is no fault of one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from featx.images.labels import Label
from featx.images.measures import SIDE, Measures
from featx.inspection.findings import KINDS, Finding
from featx.paths import plain_path
from featx.text import count, percent

_BLANK = 4.0  # contrast; that of photographs is 20 to 90, the least of five sets is 8
_ONE_COLOUR = 0.97
_DARK, _BRIGHT = 50, 205  # of 255: what 1 % of the pixels are above, below
_BLURRED = 0.15  # of the detail at one scale to that at the next; photographs have 0.3 to 1.5
_SMALL = 4.0  # times smaller than the middle one
_SHAPE = 2.5  # times wider or higher
_USUAL = 0.1  # share of the pictures from which up something is how the folder is


@dataclass(frozen=True)
class _Usual:
    """The middle of a folder."""

    one_colour: float
    dark: float
    light: float
    sharpness: float
    side: float
    shape: float


def find_odd_pictures(
    measures: Mapping[str, Measures], labels: Mapping[str, Label | None]
) -> list[Finding]:
    """Find the pictures that are unlike the others by their measures."""
    if not measures:
        return []
    every = list(measures.values())

    def middle(value: Callable[[Measures], float]) -> float:
        return float(np.median([value(each) for each in every]))

    usual = _Usual(
        one_colour=middle(lambda each: each.one_colour),
        dark=middle(lambda each: each.dark),
        light=middle(lambda each: each.light),
        sharpness=middle(_sharpness),
        side=middle(_side),
        shape=middle(lambda each: math.log(each.width / each.height)),
    )
    found: dict[str, list[Finding]] = {}
    for path, each in measures.items():
        for kind, detail in _oddities(each, usual).items():
            found.setdefault(kind, []).append(Finding(kind, detail, path, labels.get(path)))
    most = max(_USUAL * len(every), 1)
    return [
        finding
        for kind, several in found.items()
        for finding in (
            several
            if len(several) <= most or KINDS[kind].leaves_out
            else [_of_all(kind, several, len(every))]
        )
    ]


def _of_all(kind: str, several: list[Finding], n: int) -> Finding:
    """Say of many pictures in one finding what they are."""
    share = f"{len(several):,} of {count(n, 'picture')} ({percent(len(several) / n, 0)})"
    name = os.path.basename(plain_path(several[0].path))
    return Finding(kind, f"{share}, such as {name}: {several[0].detail}")


def _oddities(each: Measures, usual: _Usual) -> dict[str, str]:
    """Say what is odd about a picture, by kind."""
    if each.contrast < _BLANK:
        return {"blank": f"all of it of one brightness, {(each.dark + each.light) / 2:.0f} of 255"}
    odd = {}
    if each.one_colour > max(_ONE_COLOUR, 1 - (1 - usual.one_colour) / 4):
        odd["one-colour"] = f"{percent(each.one_colour, 0)} of it of one colour"
    if each.light < min(_DARK, usual.light / 3):
        odd["dark"] = f"99 % of it darker than {each.light:.0f} of 255"
    if 255 - each.dark < min(255 - _BRIGHT, (255 - usual.dark) / 3):
        odd["bright"] = f"99 % of it brighter than {each.dark:.0f} of 255"
    if _side(each) < usual.side / _SMALL:
        odd["small"] = f"{each.width} x {each.height} pixels, the usual side is {usual.side:.0f}"
    elif _sharpness(each) < min(_BLURRED, usual.sharpness / 3):
        odd["blurred"] = f"{percent(_sharpness(each) / usual.sharpness, 0)} of the usual detail"
    shape = math.log(each.width / each.height)
    if abs(shape - usual.shape) > math.log(_SHAPE):
        odd["shape"] = f"{each.width} x {each.height} pixels"
    return odd


def _side(each: Measures) -> float:
    return math.sqrt(each.width * each.height)


def _sharpness(each: Measures) -> float:
    """Return the finest detail against that of twice the scale; 1 of too small a picture."""
    fine, coarse = each.detail[:2]
    if min(each.width, each.height) < SIDE or coarse < 0.5:
        return 1.0
    return fine / coarse
