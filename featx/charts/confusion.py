"""Chart of confusions: a matrix of true and predicted classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from featx.charts.fonts import drawable, fonts_for
from featx.charts.style import FONT, INK, RIGHT, WRONG, dress, own_axes
from featx.images.labels import Label
from featx.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_COUNTS = 20  # classes up to which a confusion matrix has its counts written in
_MOST_TICKS = 40


class Confusions(Protocol):
    """What knows which class was predicted as which, such as an `Evaluation`."""

    @property
    def classes(self) -> tuple[Label, ...]: ...
    @property
    def counts(self) -> np.ndarray: ...


def plot_confusion(evaluation: Confusions, ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix: a row for each true class, a column for each predicted one.

    A cell is the darker the larger its share of the row; mistakes have another colour.

    Parameters
    ----------
    evaluation : Evaluation
        What to draw.
    ax : Axes, optional
        Where to draw; by default a figure of its own, the larger the more classes there are.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    counts = evaluation.counts
    n = len(counts)
    side = min(2.2 + 0.3 * n, 9.0)
    ax = own_axes(ax, side + 0.6, side)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    rows, columns = np.nonzero(counts)
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) - 0.5
    colors = [
        to_rgba(RIGHT if row == column else WRONG, 0.15 + 0.85 * float(shares[row, column]))
        for row, column in zip(rows, columns, strict=True)
    ]
    cells = np.stack([columns, rows], axis=1)[:, None] + corners
    ax.add_collection(PolyCollection(list(cells), facecolors=colors, linewidths=0))
    if n <= _MOST_COUNTS:
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            color = "white" if shares[row, column] > 0.5 else INK
            text = f"{counts[row, column]:.3g}"
            ax.text(column, row, text, ha="center", va="center", color=color, fontsize=FONT - 1)
    ticks = list(range(0, n, math.ceil(n / _MOST_TICKS) or 1))
    names = [shortened(drawable(evaluation.classes[tick]), 18) for tick in ticks]
    fonts = fonts_for(names)
    ax.set_xticks(ticks, names, rotation=90, parse_math=False, fontfamily=fonts)
    ax.set_yticks(ticks, names, parse_math=False, fontfamily=fonts)
    ax.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
    dress(ax, "predicted", "true")
    figure = ax.get_figure(root=True)
    if figure is not None:  # of its height the names take a quarter or so
        ax.tick_params(labelsize=min(FONT, 54 * figure.get_figheight() / max(len(ticks), 1)))
    ax.grid(False)
    return ax
