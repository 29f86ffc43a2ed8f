"""Chart of a comparison: accuracy against speed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from featx.charts.fonts import fonts_for
from featx.charts.looks import Look, looks_of, named
from featx.charts.style import (
    FONT,
    INK,
    MUTED,
    NARROW,
    check_width,
    dress,
    own_axes,
    write_beside,
    write_legend,
)
from featx.text import width as width_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_MOST_LABELS = 12  # candidates that are named in a plot
_SAME = 2.0  # points of the page, within which candidates stand on one place
_OFFSETS = (0, -12, 12, -24, 24)  # of a name from its point, in points
_FAR = (*_OFFSETS, -36, 36)  # with a line that leads to it


class Compared(Protocol):
    """What has a table of candidates, such as a `Comparison`."""

    def to_frame(self) -> pd.DataFrame: ...


def plot_comparison(comparison: Compared, ax: Axes | None = None, *, width: float = 6.6) -> Axes:
    """Draw the accuracy of candidates against their speed.

    The colour says the network, the marker what learns from it. Filled markers that a line joins
    are unbeaten: nothing is both faster and more accurate; their 95 % intervals are drawn. A ring
    is around the candidate that is recommended. A name stands beside a point where no other point
    is as near. Where the speed of a network is not known, all are drawn against the time of a fit,
    or else by rank; then intervals are those of all, and nothing is joined.

    Parameters
    ----------
    comparison : Comparison
        What to draw.
    ax : Axes, optional
        Where to draw; by default a figure of its own.
    width : float, default=6.6
        Inches of that figure; 3.5 is a column of a journal, with its legend below.

    Returns
    -------
    matplotlib.axes.Axes
        `ax.figure.savefig("comparison.pdf")` writes it, to scale in .pdf and .svg.
    """
    check_width(width)
    frame = comparison.to_frame()
    looks = looks_of(frame)
    unbeaten = frame.unbeaten.to_numpy(dtype=bool)
    x, label = _cost(frame.images_per_second, frame.fit_seconds)
    if not label.startswith("images"):
        unbeaten = np.zeros(len(frame), bool)
    entries = _explained(frame, looks, unbeaten)
    below = width < NARROW
    ax = own_axes(ax, width, 2.4 + (0.09 * len(entries) if below else 0.25 * width))
    order = np.flatnonzero(unbeaten)[np.argsort(x[unbeaten], kind="stable")]
    y = 100 * frame.accuracy.to_numpy()
    certain = unbeaten if unbeaten.any() else ~unbeaten
    _draw_intervals(ax, x, frame, certain, looks)
    if len(order) > 1:
        ax.plot(x[order], y[order], color=MUTED, linewidth=1.1, zorder=3)
    _draw_points(ax, x, y, looks, unbeaten, frame.recommended.to_numpy(dtype=bool))
    _limit(ax, x, y, frame, certain, logarithmic=label != "rank")
    dress(ax, label, "accuracy, %")
    write_legend(ax, entries)
    _name_points(ax, x, y, frame, unbeaten, order)
    return ax


def _cost(speed: Any, seconds: Any) -> tuple[np.ndarray, str]:
    """Choose what stands on the horizontal axis, of what is known for every candidate."""
    for values, label in ((speed, "images/s"), (seconds, "seconds a fit")):
        found = np.asarray(values, dtype=float)
        if np.isfinite(found).all() and (found > 0).all():
            return found, label
    return np.arange(1.0, len(found) + 1), "rank"


def _draw_intervals(
    ax: Axes, x: np.ndarray, frame: pd.DataFrame, certain: np.ndarray, looks: Sequence[Look]
) -> None:
    """Draw the intervals of some of the candidates."""
    low, high = 100 * frame.accuracy_low.to_numpy(), 100 * frame.accuracy_high.to_numpy()
    colors = [look.color for look, drawn in zip(looks, certain, strict=True) if drawn]
    if len(colors):
        ax.vlines(
            x[certain], low[certain], high[certain], colors, linewidth=1.1, alpha=0.6, zorder=2
        )


def _draw_points(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    looks: Sequence[Look],
    unbeaten: np.ndarray,
    recommended: np.ndarray,
) -> None:
    """Draw the candidates, the unbeaten filled and above the others."""
    for row in np.argsort(unbeaten, kind="stable"):
        look, filled = looks[row], bool(unbeaten[row])
        ax.plot(
            x[row],
            y[row],
            linestyle="",
            marker=look.marker,
            markersize=6,
            markeredgewidth=1.3,
            markeredgecolor=look.color,
            markerfacecolor=look.color if filled else "white",
            zorder=5 if filled else 4,
        )
    ring: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 12, "fillstyle": "none"}
    ax.plot(x[recommended], y[recommended], color=INK, markeredgewidth=1.0, zorder=6, **ring)


def _limit(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    frame: pd.DataFrame,
    certain: np.ndarray,
    *,
    logarithmic: bool,
) -> None:
    """Leave room for names, and write powers of ten as people write numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    bottom = np.where(certain, 100 * frame.accuracy_low, y).min()
    top = np.where(certain, 100 * frame.accuracy_high, y).max()
    ax.set_ylim(max(0, bottom - 4), min(103, top + 4))
    ax.set_yticks([tick for tick in ax.get_yticks() if tick <= 100])  # above is room for names
    if not logarithmic:
        ax.set_xlim(0.4, len(x) + 1.2)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        return
    ax.set_xscale("log")
    span = max(float(np.log10(x.max() / x.min())), 0.5)
    ax.set_xlim(x.min() / 10 ** (0.14 * span), x.max() * 10 ** (0.3 * span))
    steps = (1, 2, 5) if span < 2.5 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=steps))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _explained(frame: pd.DataFrame, looks: Sequence[Look], unbeaten: np.ndarray) -> list[Line2D]:
    """Return the entries of the legend: what colours, markers, rings and lines stand for."""
    from matplotlib.lines import Line2D

    def entry(text: str, **how: Any) -> Line2D:
        how = {"marker": "o", "linestyle": "", "color": MUTED, "markersize": 6, **how}
        return Line2D([], [], label=text, markeredgewidth=1.3, **how)

    colors = _others_last({look.network: look.color for look in looks})
    markers = _others_last({look.rest: look.marker for look in looks if look.rest})
    entries = [
        entry(name, color=color)
        for name, color in zip(named(list(colors), 24), colors.values(), strict=True)
    ]
    if len(markers) > 1:
        entries += [
            entry(name, marker=marker, markerfacecolor="none")
            for name, marker in zip(named(list(markers), 24), markers.values(), strict=True)
        ]
    drawn = "unbeaten, 95 % interval" if unbeaten.any() else "95 % interval"
    entries.append(entry(drawn, marker="o" if unbeaten.any() else "", linestyle="-", linewidth=1.1))
    if frame.recommended.any():
        entries.append(entry("recommended", markersize=10, fillstyle="none", color=INK))
    return entries


def _others_last(looks: dict[str, str]) -> dict[str, str]:
    return dict(sorted(looks.items(), key=lambda pair: pair[0] == "other"))


def _name_points(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    frame: pd.DataFrame,
    unbeaten: np.ndarray,
    joined: np.ndarray,
) -> None:
    """Write names beside points, where each can only be that of its point.

    Points that stand on one place have one name together. The name of an unbeaten point may stand
    further off, at the end of a line.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()  # settles where the axes are
    scale = figure.dpi / 72  # all that follows is in points
    points = ax.transData.transform(np.column_stack([x, y])) / scale
    least, most = ax.get_window_extent().get_points() / scale + np.array([(0, 0), (4, 0)])
    lines = [np.linspace(start, end, 60) for start, end in pairwise(points[joined])]
    lower = np.vstack([points - 4, *(line - 1 for line in lines)])  # corners of what is taken
    upper = np.vstack([points + 4, *(line + 1 for line in lines)])
    order = sorted(range(len(frame)), key=lambda row: (not unbeaten[row], row))
    told = _together(points, order, named(list(frame.candidate)))
    fonts = fonts_for(told.values())
    for row, name in list(told.items())[:_MOST_LABELS]:
        size = np.array([0.62 * width_of(name), 1.25]) * FONT
        for dy, dx in product(_FAR if unbeaten[row] else _OFFSETS, (8, -8 - size[0])):
            low = points[row] + (dx, dy - size[1] / 2)
            high = low + size
            inside = (low >= least).all() and (high <= most).all()
            taken = ((low < upper) & (lower < high)).all(axis=1).any()
            if not inside or taken or not (unbeaten[row] or _nearest(points, row, low, high)):
                continue
            lower, upper = np.vstack([lower, low]), np.vstack([upper, high])
            alone = _nearest(points, row, low, high)
            looks: dict[str, Any] = {"color": INK, "fontfamily": fonts}
            if not alone:
                line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.7, "shrinkA": 1}
                looks["arrowprops"] = line | {"relpos": (0.0 if dx > 0 else 1.0, 0.5)}
            write_beside(ax, name, (x[row], y[row]), (dx, dy), **looks)
            break


def _nearest(points: np.ndarray, row: int, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether a box of text is by far nearest to its own point."""
    away = np.linalg.norm(np.maximum(0, np.maximum(low - points, points - high)), axis=1)
    others = np.linalg.norm(points - points[row], axis=1) > _SAME
    return not others.any() or bool(away[others].min() > 1.6 * away[row])


def _together(points: np.ndarray, order: Sequence[int], names: Sequence[str]) -> dict[int, str]:
    """Join the names of points that stand on one place, at the first of them in an order."""
    told: dict[int, list[str]] = {}
    for row in order:
        same = [at for at in told if np.abs(points[at] - points[row]).max() <= _SAME]
        told.setdefault(same[0] if same else row, []).append(names[row])
    return {
        row: own[0] if len(own) == 1 else f"{own[0]} and {len(own) - 1} more here"
        for row, own in told.items()
    }
