"""Chart of a learning curve: accuracy against photographs per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from featx.charts.style import FONT, INK, MUTED, RIGHT, dress, own_axes

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
