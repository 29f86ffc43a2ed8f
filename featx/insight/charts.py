"""Charts of what was measured: confusions, comparisons and learning curves.

Every function draws into the axes that it is given, or into a figure of its own.
"""

from __future__ import annotations

import math
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.insight.names import printable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from featx.learning.comparison import Comparison
    from featx.learning.curve import LearningCurve
    from featx.learning.evaluation import Evaluation

INK, MUTED, LINE, RIGHT, WRONG = "#1f2933", "#5b6770", "#d9dee2", "#0b5fa5", "#b3450b"
_MOST_LABELS = 12  # candidates that are named in a plot
_MOST_COUNTS = 20  # classes up to which a confusion matrix has its counts written in
_MOST_TICKS = 40
_FONT = 9.0


def plot_confusion(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
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

    counts = confusions(evaluation)
    n = len(counts)
    side = min(2.2 + 0.3 * n, 9.0)
    ax = _axes(ax, side + 0.6, side)
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
            ax.text(column, row, text, ha="center", va="center", color=color, fontsize=_FONT - 1)
    ticks = list(range(0, n, math.ceil(n / _MOST_TICKS) or 1))
    names = [shortened(evaluation.classes[tick], 18) for tick in ticks]
    ax.set_xticks(ticks, names, rotation=90, parse_math=False)
    ax.set_yticks(ticks, names, parse_math=False)
    ax.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
    dress(ax, "predicted", "true")
    figure = ax.get_figure(root=True)
    if figure is not None:  # of its height the names take a quarter or so
        ax.tick_params(labelsize=min(_FONT, 54 * figure.get_figheight() / max(len(ticks), 1)))
    ax.grid(False)
    return ax


def plot_comparison(comparison: Comparison, ax: Axes | None = None) -> Axes:
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
    ax = _axes(ax, 6.6, 4.0)
    frame = comparison.frame
    x, label = _cost(frame.images_per_second, frame.fit_seconds)
    speed = label.startswith("images")
    accuracy = 100 * frame.accuracy.to_numpy()
    low = np.maximum(accuracy - 100 * frame.accuracy_low.to_numpy(), 0)
    high = np.maximum(100 * frame.accuracy_high.to_numpy() - accuracy, 0)
    unbeaten = frame.efficient.to_numpy(dtype=bool) if speed else np.zeros(len(frame), bool)
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
    dress(ax, label, "accuracy, %")
    named = sorted(range(len(frame)), key=lambda row: (not unbeaten[row], row))[:_MOST_LABELS]
    _name_points(
        ax, x, accuracy, [(row, shortened(frame.candidate[row], 34, 14)) for row in named], order
    )
    return ax


def plot_learning_curve(curve: LearningCurve, ax: Axes | None = None) -> Axes:
    """Draw accuracy against photographs a class, with its interval, and the forecast dashed.

    Parameters
    ----------
    curve : LearningCurve
        What to draw; the forecast goes to twice the photographs there are.
    ax : Axes, optional
        Where to draw; by default a figure of its own.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from matplotlib.ticker import MaxNLocator

    ax = _axes(ax, 6.0, 3.6)
    sizes = np.asarray(curve.sizes, dtype=float)
    value, low, high = 100 * np.array([(e.value, e.low, e.high) for e in curve.estimates]).T
    ax.fill_between(sizes, low, high, color=RIGHT, alpha=0.16, linewidth=0)
    ax.plot(sizes, value, color=RIGHT, marker="o", markersize=5, linewidth=1.6, label="measured")
    further = np.linspace(sizes[-1], max(2 * curve.per_class, sizes[-1] * 1.2), 16)
    coming = 100 * np.array([(e.value, e.low, e.high) for e in map(curve.forecast, further)])
    ax.fill_between(further, coming[:, 1], coming[:, 2], color=MUTED, alpha=0.12, linewidth=0)
    ax.plot(
        further, coming[:, 0], color=MUTED, linestyle=(0, (4, 3)), linewidth=1.4, label="forecast"
    )
    ax.set_xlim(0, further[-1] * 1.02)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    ax.set_ylim(max(0, min(low.min(), coming[:, 1].min()) - 3), 101)
    dress(ax, "photographs a class to train on", "accuracy, %")
    ax.legend(loc="lower right", frameon=False, fontsize=_FONT, labelcolor=INK)
    return ax


def confusions(evaluation: Evaluation) -> np.ndarray:
    """Count, for each true class and each predicted one, the images of a repeat, on average.

    As `evaluation.confusion`, which a class of a name that is not Unicode keeps from being a table.

    Returns
    -------
    ndarray of shape (n_classes, n_classes), float
    """
    classes, predicted = np.array(evaluation.classes), evaluation.predictions
    own = np.broadcast_to(np.searchsorted(classes, evaluation.y_true), predicted.shape)
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (own, np.searchsorted(classes, predicted)), 1)
    return counts / len(predicted)


def inline_svg(figure: Figure, name: str, description: str, colors: dict[str, str]) -> str:
    """Return a figure as an <svg> element for the middle of an HTML page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to draw; its text stays text, in the typeface of the page.
    name : str
        Begins every id of the element, so that several may stand on one page.
    description : str
        For those who do not see it.
    colors : dict of str to str
        What to put for a colour, such as "var(--ink)" for "#1f2933".
    """
    import matplotlib

    stream = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "featx"}):
        unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with warnings.catch_warnings():  # the typeface of the page has the glyphs, not that here
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            figure.savefig(stream, format="svg", transparent=True, metadata=unsaid)
    root = ElementTree.fromstring(stream.getvalue())
    for parent in root.iter():  # its rules would hold for the whole page
        for child in [each for each in parent if each.tag.endswith("}style")]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes = {key.rpartition("}")[2]: text for key, text in element.attrib.items()}
        for key, text in attributes.items():
            if key == "id":
                text = f"{name}-{text}"
            if key in ("href", "clip-path", "style"):
                text = re.sub(r"^#|(?<=url\()#", f"#{name}-", text)
            if key == "style":
                text = re.sub(r"font: ([\d.]+px)[^;]*|font-family: [^;]*", _size_only, text)
                for color, replacement in colors.items():
                    text = text.replace(color, replacement)
            attributes[key] = text
        element.attrib.clear()
        element.attrib.update(attributes)
    root.attrib.clear()
    width, height = figure.get_size_inches() * 72
    root.set("viewBox", f"0 0 {width:g} {height:g}")
    root.set("class", "chart")
    root.set("role", "img")
    root.set("aria-label", printable(description))
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _size_only(font: re.Match[str]) -> str:
    """Leave the typeface of a text to the page."""
    return f"font-size: {font[1]}" if font[1] else "font-style: inherit"


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the axes given, or those of a new figure of so many inches, which pyplot shows."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.figure(figsize=(width, height), layout="constrained").add_subplot()


def dress(ax: Axes, x: str, y: str) -> None:
    """Give axes their labels and the looks of all charts."""
    ax.set_xlabel(x, color=MUTED, fontsize=_FONT)
    ax.set_ylabel(y, color=MUTED, fontsize=_FONT)
    ax.tick_params(which="both", colors=LINE, labelcolor=INK, labelsize=_FONT, length=3)
    ax.grid(axis="y", color=LINE, linewidth=0.7)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LINE)


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
    scale = figure.dpi / 72
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()  # settles where the axes are
    points = ax.transData.transform(np.column_stack([x, y])) / scale
    frame = ax.get_window_extent()
    left, bottom, right, top = (each / scale for each in frame.extents)
    taken = [(px - 3, py - 3, px + 3, py + 3) for px, py in points]
    for start, end in pairwise(points[joined]):
        along = start + np.linspace(0, 1, 60)[:, None] * (end - start)
        taken += [(px - 1, py - 1, px + 1, py + 1) for px, py in along]
    for row, name in names:
        width, height = 0.56 * _FONT * len(name), 1.25 * _FONT
        left_of = -7 - width
        for dx, dy in [(x, y) for y in (0, -12, 12, -24, 24) for x in (7, left_of)]:
            x0, y0 = points[row] + (dx, dy - height / 2)
            box = (x0, y0, x0 + width, y0 + height)
            inside = left <= box[0] and box[2] <= right + 4 and bottom <= box[1] and box[3] <= top
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                ax.annotate(
                    name,
                    (x[row], y[row]),
                    (dx, dy),
                    textcoords="offset points",
                    va="center",
                    color=INK,
                    fontsize=_FONT,
                    parse_math=False,
                )
                break


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
