"""Chart of a learning curve: accuracy against photographs per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from featx.charts.looks import HUES, MARKERS, named
from featx.charts.style import (
    FONT,
    INK,
    MUTED,
    NARROW,
    RIGHT,
    check_width,
    dress,
    own_axes,
    write_legend,
)
from featx.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Measured(Protocol):
    """A value with its interval, such as an `Estimate`."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class Curve(Protocol):
    """Accuracies at several sizes, such as a `LearningCurve`."""

    @property
    def sizes(self) -> np.ndarray: ...
    @property
    def per_class(self) -> float: ...
    @property
    def estimates(self) -> Sequence[Measured]: ...
    def forecast(self, per_class: float) -> Measured: ...


def plot_learning_curve(curve: Curve, ax: Axes | None = None) -> Axes:
    """Draw accuracy against photographs per class, with its interval, and the forecast dashed.

    Parameters
    ----------
    curve : LearningCurve
        What to draw; the forecast goes to twice the photographs of the last point.
    ax : Axes, optional
        Where to draw; by default a figure of its own.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from matplotlib.ticker import MaxNLocator

    ax = own_axes(ax, 6.0, 3.6)
    sizes = np.asarray(curve.sizes, dtype=float)
    value, low, high = 100 * np.array([(e.value, e.low, e.high) for e in curve.estimates]).T
    ax.fill_between(sizes, low, high, color=RIGHT, alpha=0.16, linewidth=0)
    ax.plot(sizes, value, color=RIGHT, marker="o", markersize=5, linewidth=1.6, label="measured")
    further = np.linspace(sizes[-1], 2 * sizes[-1], 16)
    coming = 100 * np.array([(e.value, e.low, e.high) for e in map(curve.forecast, further)])
    ax.fill_between(further, coming[:, 1], coming[:, 2], color=MUTED, alpha=0.12, linewidth=0)
    ax.plot(
        further, coming[:, 0], color=MUTED, linestyle=(0, (4, 3)), linewidth=1.4, label="forecast"
    )
    ax.set_xlim(0, further[-1] * 1.02)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    ax.set_ylim(max(0, min(low.min(), coming[:, 1].min()) - 3), 101)
    dress(ax, "photographs per class to train on", "accuracy, %")
    ax.legend(loc="lower right", frameon=False, fontsize=FONT, labelcolor=INK)
    return ax


def plot_learning_curves(
    curves: Mapping[str, Curve] | Sequence[tuple[str, Curve]],
    ax: Axes | None = None,
    *,
    width: float = 6.6,
) -> Axes:
    """Draw several learning curves in one figure, each with its forecast dashed.

    Parameters
    ----------
    curves : mapping of str to LearningCurve, or sequence of (str, LearningCurve)
        What to draw, by name. How wide the intervals are is said below; bands of several curves
        would hide one another.
    ax : Axes, optional
        Where to draw; by default a figure of its own.
    width : float, default=6.6
        Inches of that figure; 3.5 is a column of a journal, with its legend below.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        There is no curve.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    check_width(width)
    pairs = list(curves.items()) if isinstance(curves, Mapping) else list(curves)
    if not pairs:
        raise OptionError("no learning curves to draw: expected at least one")
    below = width < NARROW
    ax = own_axes(ax, width, 0.58 * width + (0.1 * len(pairs) + 0.8 if below else 0))
    entries = []
    names = named([name for name, _ in pairs], 18 if below else 34)
    for number, (name, (_, curve)) in enumerate(zip(names, pairs, strict=True)):
        color, marker = HUES[number % len(HUES)], MARKERS[number % len(MARKERS)]
        looks: dict[str, Any] = {
            "color": color,
            "linewidth": 1.5,
            "marker": marker,
            "markersize": 5,
        }
        measured = [100 * each.value for each in curve.estimates]
        ax.plot(np.asarray(curve.sizes, dtype=float), measured, **looks)
        entries.append(Line2D([], [], label=name, **looks))
        further = np.linspace(curve.sizes[-1], 2 * curve.sizes[-1], 16)
        coming = [100 * curve.forecast(each).value for each in further]
        ax.plot(further, coming, color=color, linewidth=1.1, linestyle=(0, (4, 3)))
    entries.append(Line2D([], [], label="forecast", color=MUTED, linestyle=(0, (4, 3))))
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    ax.set_ylim(top=min(101, ax.get_ylim()[1]))
    widths = _widths([curve for _, curve in pairs])
    dress(ax, f"photographs per class to train on\n{widths}", "accuracy, %")
    write_legend(ax, entries)
    return ax


def _widths(curves: Sequence[Curve]) -> str:
    """Say how wide the intervals of the last points are."""
    ends = [curve.estimates[-1] for curve in curves]
    halves = sorted(f"{50 * (end.high - end.low):.1f}" for end in ends)
    several = "" if halves[0] == halves[-1] else f" to {halves[-1]}"
    return f"(95 % interval at the end: ± {halves[0]}{several})"
