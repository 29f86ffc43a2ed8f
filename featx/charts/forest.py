"""Forest plot of a comparison: one row for each candidate, its accuracy with the interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from featx.charts.fonts import fonts_for
from featx.charts.looks import looks_of, named
from featx.charts.style import FONT, INK, LINE, MUTED, NARROW, check_width, dress, own_axes
from featx.text import speed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_ROW, _AROUND = 0.22, 1.0  # inches: of a candidate, of the axis and the heading


class Compared(Protocol):
    """What has a table of candidates and a margin, such as a `Comparison`."""

    @property
    def within(self) -> float: ...
    def to_frame(self) -> pd.DataFrame: ...


def plot_forest(comparison: Compared, ax: Axes | None = None, *, width: float = 6.6) -> Axes:
    """Draw the accuracy of every candidate with its 95 % interval, one row for each.

    The most accurate is at the top. Colour and marker are as in `plot_comparison`: the network, and
    what learns from it; a filled marker is unbeaten, and the name of the recommended candidate is
    bold. The grey band is the margin below the accuracy of the first.

    Parameters
    ----------
    comparison : Comparison
        What to draw.
    ax : Axes, optional
        Where to draw; by default a figure of its own, as high as the candidates need.
    width : float, default=6.6
        Inches of that figure; 3.5 is a column of a journal.

    Returns
    -------
    matplotlib.axes.Axes
        `ax.figure.savefig("forest.pdf")` writes it, to scale in .pdf and .svg.
    """
    check_width(width)
    frame = comparison.to_frame()
    ax = own_axes(ax, width, forest_height(len(frame)))
    rows = np.arange(len(frame))
    accuracy = 100 * frame.accuracy.to_numpy()
    ax.axvspan(accuracy[0] - 100 * comparison.within, accuracy[0], color=LINE, alpha=0.6, zorder=0)
    for row, look in enumerate(looks_of(frame)):
        low, high = 100 * frame.accuracy_low[row], 100 * frame.accuracy_high[row]
        ax.plot([low, high], [row, row], color=look.color, linewidth=1.3, zorder=2)
        ax.plot(
            accuracy[row],
            row,
            marker=look.marker,
            markersize=6,
            markeredgewidth=1.3,
            markeredgecolor=look.color,
            markerfacecolor=look.color if frame.unbeaten[row] else "white",
            zorder=3,
            clip_on=False,
        )
    ax.set_ylim(len(frame) - 0.5, -0.5)
    low, high = 100 * frame.accuracy_low.min(), 100 * frame.accuracy_high.max()
    ax.set_xlim(max(0, low - 2), min(100.5, high + 2))
    dress(ax, "", "")
    said = _axis(frame, comparison.within, narrow=width < NARROW)
    ax.set_xlabel(said, loc="right", color=MUTED, fontsize=FONT - 1)
    ax.grid(axis="x", color=LINE, linewidth=0.7)
    ax.grid(axis="y", visible=False)
    _name_rows(ax, frame, rows, narrow=width < NARROW)
    _write_speeds(ax, frame)
    return ax


def forest_height(candidates: int) -> float:
    """Return how many inches high the plot of so many candidates is."""
    return _AROUND + _ROW * candidates


def _axis(frame: pd.DataFrame, within: float, *, narrow: bool) -> str:
    """Write what stands on the axis, and what markers and shades say."""
    said = [f"grey: within {100 * within:g} points of the first"]
    if frame.recommended.any():
        said.insert(0, "bold: recommended")
    if frame.unbeaten.any() and np.isfinite(frame.images_per_second).any():
        said.insert(0, "filled: unbeaten")
    return "\n".join(["accuracy with its 95 % interval, %", *_lines(said, narrow)])


def _lines(said: list[str], narrow: bool) -> list[str]:
    return said if narrow else ["; ".join(said)]


def _name_rows(ax: Axes, frame: pd.DataFrame, rows: np.ndarray, *, narrow: bool) -> None:
    """Write the name of each candidate beside its row."""
    names = named(list(frame.candidate), 32 if narrow else 40)
    ax.set_yticks(rows, names)
    ax.tick_params(axis="y", length=0)
    for text, recommended in zip(ax.get_yticklabels(), frame.recommended, strict=True):
        text.set(
            color=INK,
            fontsize=FONT - 1.5 if narrow else FONT,
            fontfamily=fonts_for(names),
            parse_math=False,
            fontweight="bold" if recommended else "normal",
        )


def _write_speeds(ax: Axes, frame: pd.DataFrame) -> None:
    """Write the images per second of each candidate on the right, where any is known."""
    if all(math.isnan(each) for each in frame.images_per_second):
        return
    where: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points"}
    looks: dict[str, Any] = {
        "ha": "right",
        "va": "center",
        "fontsize": FONT,
        "annotation_clip": False,
    }
    for row, each in enumerate(frame.images_per_second):
        bold = "bold" if frame.recommended[row] else "normal"
        ax.annotate(speed(each), (1, row), (44, 0), color=INK, fontweight=bold, **where, **looks)
    ax.annotate("images/s", (1, -0.5), (44, 8), color=MUTED, **where, **looks)
