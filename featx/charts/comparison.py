"""Chart of a comparison: accuracy against speed."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from featx.charts.fonts import drawable, fonts_for
from featx.charts.style import FONT, INK, MUTED, RIGHT, dress, own_axes, write_beside
from featx.text import shortened, width

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MOST_LABELS = 12  # candidates that are named in a plot


class Compared(Protocol):
    """What has a table of candidates, such as a `Comparison`."""

    def to_frame(self) -> pd.DataFrame: ...


def plot_comparison(comparison: Compared, ax: Axes | None = None) -> Axes:
    """Draw the accuracy of candidates, with its interval, against their speed.

    A line joins the candidates that nothing beats on both. Where the speed of a network is not
    known, all are drawn against the time of a fit, or else by rank, and nothing is joined.

    Parameters
    ----------
    comparison : Comparison
        What to draw; about a dozen candidates are named, the unbeaten and the best first.
    ax : Axes, optional
        Where to draw; by default a figure of its own.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = own_axes(ax, 6.6, 4.0)
    frame = comparison.to_frame()
    x, label = _cost(frame.images_per_second, frame.fit_seconds)
    speed = label.startswith("images")
    accuracy = 100 * frame.accuracy.to_numpy()
    low = np.maximum(accuracy - 100 * frame.accuracy_low.to_numpy(), 0)
    high = np.maximum(100 * frame.accuracy_high.to_numpy() - accuracy, 0)
    unbeaten = frame.unbeaten.to_numpy(dtype=bool) if speed else np.zeros(len(frame), bool)
    logarithmic = label != "rank"
    if logarithmic:
        ax.set_xscale("log")
    x = _side_by_side(x, logarithmic)
    ax.errorbar(
        x, accuracy, yerr=[low, high], fmt="none", ecolor=MUTED, elinewidth=1, alpha=0.45, zorder=2
    )
    order = np.flatnonzero(unbeaten)[np.argsort(x[unbeaten], kind="stable")]
    if len(order) > 1:
        ax.plot(x[order], accuracy[order], color=RIGHT, linewidth=1.2, zorder=3)
    face = [RIGHT if each else "white" for each in unbeaten]
    ax.scatter(x, accuracy, s=34, c=face, edgecolors=RIGHT, linewidths=1.4, zorder=4)
    _limit(ax, x, logarithmic)
    ax.set_ylim(
        max(0, (accuracy - low).min() - 4) if len(x) else 0, min(103, (accuracy + high).max() + 4)
    )
    ax.set_yticks([tick for tick in ax.get_yticks() if tick <= 100])  # above is room for names
    dress(ax, label, "accuracy, %")
    named = sorted(range(len(frame)), key=lambda row: (not unbeaten[row], row))[:_MOST_LABELS]
    names = [shortened(drawable(frame.candidate[row]), 34, 14) for row in named]
    _name_points(ax, x, accuracy, list(zip(named, names, strict=True)), order)
    return ax


def _cost(speed: Any, seconds: Any) -> tuple[np.ndarray, str]:
    """Choose what stands on the horizontal axis, of what is known for every candidate."""
    for values, label in ((speed, "images/s"), (seconds, "seconds a fit")):
        found = np.asarray(values, dtype=float)
        if np.isfinite(found).all() and (found > 0).all():
            return found, label
    return np.arange(1.0, len(found) + 1), "rank"


def _side_by_side(x: np.ndarray, logarithmic: bool) -> np.ndarray:
    """Move points of the same place a little apart, so that their intervals can be told."""
    places = np.log10(x) if logarithmic else x.astype(float)
    step = 0.012 * max(float(np.ptp(places)), 0.5)
    moved = places.copy()
    for place in np.unique(places):
        same = np.flatnonzero(places == place)
        moved[same] += step * (np.arange(len(same)) - (len(same) - 1) / 2)
    return 10**moved if logarithmic else moved


def _limit(ax: Axes, x: np.ndarray, logarithmic: bool) -> None:
    """Leave room for names, and write powers of ten as people write numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    if not logarithmic:
        ax.set_xlim(0.4, len(x) + 1.2)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        return
    span = max(float(np.log10(x.max() / x.min())), 0.5)
    ax.set_xlim(x.min() / 10 ** (0.14 * span), x.max() * 10 ** (0.3 * span))
    steps = (1, 2, 5) if span < 2.5 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=steps))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _name_points(
    ax: Axes, x: np.ndarray, y: np.ndarray, names: list[tuple[int, str]], joined: np.ndarray
) -> None:
    """Write names beside points and the line that joins some; one without room is left out."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()  # settles where the axes are
    scale = figure.dpi / 72  # all that follows is in points
    points = ax.transData.transform(np.column_stack([x, y])) / scale
    least, most = ax.get_window_extent().get_points() / scale + np.array([(0, 0), (4, 0)])
    lines = [np.linspace(start, end, 60) for start, end in pairwise(points[joined])]
    lower = np.vstack([points - 3, *(line - 1 for line in lines)])  # corners of what is taken
    upper = np.vstack([points + 3, *(line + 1 for line in lines)])
    fonts = fonts_for(name for _, name in names)
    for row, name in names:
        size = np.array([0.56 * width(name), 1.25]) * FONT
        for dy, dx in product((0, -12, 12, -24, 24), (7, -7 - size[0])):
            low = points[row] + (dx, dy - size[1] / 2)
            high = low + size
            inside = (low >= least).all() and (high <= most).all()
            if inside and not ((low < upper) & (lower < high)).all(axis=1).any():
                lower, upper = np.vstack([lower, low]), np.vstack([upper, high])
                write_beside(ax, name, (x[row], y[row]), (dx, dy), color=INK, fontfamily=fonts)
                break
