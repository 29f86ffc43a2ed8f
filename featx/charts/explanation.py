"""Chart of explanations: photographs, each beside the parts of it that decided."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from featx.charts.fonts import drawable, fonts_for
from featx.charts.gallery import GalleryFigure
from featx.charts.overlay import Answer, overlay, photograph_of, scale_bar, way_of
from featx.charts.style import DPI, INK, MUTED
from featx.errors import OptionError
from featx.paths import plain_path
from featx.text import percent, shortened

_MOST = 60  # photographs in a figure; more would be too small to see
_MARGIN, _GAP, _BETWEEN = 0.16, 0.22, 0.05  # inches: around all, between pairs, within a pair
_BAR = (1.1, 0.11)  # inches of the scale
_LEGEND = "the line holds half of all that speaks for it"
_PALE = "pale: not seen by the network"


def plot_explanations(explanations: Sequence[Answer], *, columns: int | None = None) -> Figure:
    """Draw photographs, each beside the parts of it that speak for a class and against it.

    The photograph is drawn again in grey. Orange speaks for the class and blue against it; the
    stronger the colour, the more. Within the line lies half of all that speaks for it.

    Parameters
    ----------
    explanations : sequence of Explanation
        What to draw; of more than 60, the first 60.
    columns : int, optional
        Pairs in a row; by default so many that the figure is about as wide as high.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        There is none.
    """
    if not len(explanations):
        raise OptionError("no explanations to draw: expected at least one")
    shown = explanations[:_MOST]
    side, font = _sizes(len(shown))
    pairs = [_pair(each, side, font) for each in shown]
    columns = min(columns or _columns(len(pairs)), len(pairs))
    said = [_LEGEND]
    if any(each.square.resize == "crop" for each in shown):
        said.append(_PALE)
    if len(explanations) > _MOST:
        said.append(f"the first {_MOST} of {len(explanations)} pictures are shown")
    return _drawn(pairs, columns, side, font, "; ".join(said))


@dataclass(frozen=True, eq=False)
class _Pair:
    """A photograph and its overlay, with what stands above and below."""

    photograph: np.ndarray
    overlay: np.ndarray
    title: str
    below: str

    def size(self, side: float) -> tuple[float, float]:
        """Return width and height of either picture in inches, the longer one `side`."""
        height, width = self.overlay.shape[:2]
        return side * width / max(width, height), side * height / max(width, height)


def _pair(explained: Answer, side: float, font: float) -> _Pair:
    pixels, room = round(side * DPI), int(2 * side * 72 / (0.58 * font))
    photograph = photograph_of(explained, pixels)
    share = explained.probability
    chance = "" if share is None or math.isnan(share) else f"  {percent(share, 0)}"
    asked = "why" if explained.label == explained.predicted else "why not"
    name = shortened(drawable(explained.label), max(room - len(asked + chance) - 2, 8))
    file = drawable(os.path.basename(plain_path(explained.path)))
    way = way_of(explained)
    small = int(room * font / (font - 2))
    file = shortened(file, max(small - len(way) - 3, 12), 6)
    return _Pair(
        np.asarray(photograph),
        overlay(explained, pixels, photograph=photograph),
        f"{asked} {name}?{chance}",
        f"{file}: {way}" if file else way,
    )


def _drawn(
    pairs: Sequence[_Pair], columns: int, side: float, font: float, legend: str
) -> GalleryFigure:
    """Draw pairs in rows, each row as high as its highest picture, and the legend below."""
    title, small = 1.6 * font / 72, 1.7 * (font - 2) / 72
    rows = [pairs[start : start + columns] for start in range(0, len(pairs), columns)]
    heights = [max(pair.size(side)[1] for pair in row) for row in rows]
    widths = [
        max(2 * pair.size(side)[0] + _BETWEEN for pair in pairs[column::columns])
        for column in range(columns)
    ]
    widths = [max(each, 1.4 * side) for each in widths]
    across = max(2 * _MARGIN + sum(widths) + (columns - 1) * _GAP, 5.2)
    down = 2 * _MARGIN + sum(heights) + len(rows) * (title + small + _GAP) + small
    figure = GalleryFigure(figsize=(across, down), dpi=DPI)
    fonts = fonts_for(text for pair in pairs for text in (pair.title, pair.below))
    looks: dict[str, Any] = {"fontfamily": fonts, "parse_math": False, "va": "bottom"}
    top = down - _MARGIN
    for row, height in zip(rows, heights, strict=True):
        top -= title
        left = _MARGIN
        for pair, width in zip(row, widths, strict=False):
            wide, high = pair.size(side)
            place = left / across, (top + 0.25 * title) / down
            figure.text(*place, pair.title, fontsize=font, color=INK, weight="bold", **looks)
            for number, image in enumerate((pair.photograph, pair.overlay)):
                start = left + number * (wide + _BETWEEN)
                box = (start / across, (top - high) / down, wide / across, high / down)
                figure.add_axes(box).imshow(image, aspect="auto")
                figure.axes[-1].set_axis_off()
            place = left / across, (top - high - 0.9 * small) / down
            figure.text(*place, pair.below, fontsize=font - 2, color=MUTED, **looks)
            left += width + _GAP
        top -= height + small + _GAP
    _write_legend(figure, legend, small)
    return figure


def _write_legend(figure: GalleryFigure, legend: str, line: float) -> None:
    """Draw the scale of the colours at the foot of a figure, and what else there is to know."""
    across, down = figure.get_size_inches()
    size, bottom = 72 * line / 1.7, _MARGIN / down
    looks: dict[str, Any] = {"fontsize": size, "color": MUTED, "va": "bottom"}
    first = figure.text(_MARGIN / across, bottom, "against it", **looks)
    left = _MARGIN + 0.53 * size * len(first.get_text()) / 72
    box = (left / across, bottom, _BAR[0] / across, _BAR[1] / down)
    figure.add_axes(box).imshow(scale_bar(129, 2), aspect="auto")
    figure.axes[-1].set_axis_off()
    figure.text((left + _BAR[0] + 0.08) / across, bottom, f"for it;  {legend}", **looks)


def _columns(n: int) -> int:
    """Choose a number of pairs in a row: few empty places in the last one."""
    if n <= 3:
        return 1
    ideal = math.sqrt(n / 1.6)
    choices = range(max(math.floor(0.8 * ideal), 2), max(math.ceil(1.3 * ideal), 2) + 1)
    return min(choices, key=lambda columns: (-n % columns, abs(columns - ideal)))


def _sizes(n: int) -> tuple[float, float]:
    """Choose the longer side of a picture in inches, and the size of its title in points."""
    if n <= 3:
        return 2.8, 11.0
    return (2.0, 10.0) if n <= 16 else (1.5, 9.0)
