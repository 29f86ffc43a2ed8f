"""Map of features: a point for each picture, those that are alike near one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from featx.charts.gallery import thumbnail
from featx.charts.layout import METHODS, lay_out_scores, principal_components, sample_rows
from featx.charts.looks import HUES, MARKERS, named
from featx.charts.style import LINE, MUTED, NARROW, check_width, dress, own_axes, write_legend
from featx.errors import OptionError, check_choice
from featx.images.quiet import quiet_pillow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_MOST_CLASSES = 24  # named in the legend
_MOST_PICTURES = 120  # shown as thumbnails
_SIDE = 26.0  # points, of a thumbnail
_NAMES = {"tsne": "t-SNE", "umap": "UMAP"}


class Mapped(Protocol):
    """What has a row of numbers for each picture, such as `Features`."""

    @property
    def matrix(self) -> np.ndarray: ...
    @property
    def paths(self) -> np.ndarray: ...
    @property
    def labels(self) -> Sequence[object]: ...


def plot_map(
    features: Mapped,
    ax: Axes | None = None,
    *,
    method: str = "pca",
    thumbnails: bool = False,
    width: float = 6.6,
) -> Axes:
    """Draw features in two dimensions, coloured by their classes.

    Parameters
    ----------
    features : Features
        What to draw; of more than 2,000 rows a random part of each class, which the map says.
    ax : Axes, optional
        Where to draw; by default a figure of its own.
    method : str, default="pca"
        "pca", whose axes are directions of the greatest variance; "tsne" or "umap", which keep
        neighbours together and whose axes mean nothing. "umap" needs `pip install "featx[umap]"`.
    thumbnails : bool, default=False
        Draw the pictures in place of points, as many as do not hide one another.
    width : float, default=6.6
        Inches of a figure of its own; 3.5 is a column of a journal.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        There are fewer than two rows, the method is unknown, or its library is not installed.
    """
    check_choice("method", method, METHODS)
    check_width(width)
    total = len(features.matrix)
    if total < 2:
        raise OptionError(f"a map of {total} rows: expected at least two pictures")
    labels = ["no label" if each is None else each for each in features.labels]
    rows = sample_rows(labels)
    scores, shares = principal_components(features.matrix[rows])
    plane = lay_out_scores(scores, method)
    classes = [labels[row] for row in rows]
    looks = _looks_of(classes)
    entries = _explained(classes, looks) if len(looks) > 1 else []
    below = width < NARROW
    ax = own_axes(ax, width, 0.75 * width + (0.09 * len(entries) if below else 0))
    _draw_points(ax, plane, classes, looks)
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.1 if thumbnails else 0.05)
    part = f"{len(rows):,} of " if len(rows) < total else ""
    _dress(ax, method, shares, f"{part}{total:,} pictures")
    if entries:
        write_legend(ax, entries)
    if thumbnails:
        _draw_pictures(ax, plane, features.paths[rows].tolist(), classes, looks)
    return ax


def _looks_of(classes: Sequence[object]) -> dict[object, tuple[str, str]]:
    """Give each class a colour and a marker: all colours with one marker, then with the next."""
    names = sorted(set(classes), key=lambda name: (name == "no label", str(name)))
    return {
        name: (MUTED, ".")
        if name == "no label"
        else (HUES[number % len(HUES)], MARKERS[number // len(HUES) % len(MARKERS)])
        for number, name in enumerate(names)
    }


def _draw_points(
    ax: Axes,
    plane: np.ndarray,
    classes: Sequence[object],
    looks: dict[object, tuple[str, str]],
) -> None:
    size = 30 if len(plane) <= 150 else 16 if len(plane) <= 600 else 8
    for name, (color, marker) in looks.items():
        own = plane[[each == name for each in classes]]
        ax.scatter(
            own[:, 0],
            own[:, 1],
            s=size,
            c=color,
            marker=marker,
            alpha=0.85,
            linewidths=0.3,
            edgecolors="white",
        )


def _dress(ax: Axes, method: str, shares: np.ndarray, told: str) -> None:
    """Say what the axes are; where they mean nothing they have no names."""
    if method == "pca":
        first, second = (f"{100 * each:.0f} % of the variance" for each in [*shares, 0.0, 0.0][:2])
        dress(ax, f"component 1, {first}\n{told}", f"component 2, {second}")
    else:
        dress(ax, f"{_NAMES[method]} of {told}", "")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(visible=True, color=LINE)


def _explained(classes: Sequence[object], looks: dict[object, tuple[str, str]]) -> list[Line2D]:
    """Return the entries of the legend: the classes, and how many are not named."""
    from matplotlib.lines import Line2D

    def entry(text: str, **how: Any) -> Line2D:
        return Line2D([], [], label=text, linestyle="", markersize=6, **how)

    shown = list(looks)[:_MOST_CLASSES]
    texts = named(shown, 24)
    entries = [
        entry(text, color=looks[name][0], marker=looks[name][1])
        for text, name in zip(texts, shown, strict=True)
    ]
    if len(looks) > len(shown):
        entries.append(entry(f"and {len(looks) - len(shown):,} more classes", marker=""))
    return entries


def _draw_pictures(
    ax: Axes,
    plane: np.ndarray,
    paths: Sequence[Any],
    classes: Sequence[object],
    looks: dict[object, tuple[str, str]],
) -> None:
    """Draw thumbnails where they do not hide one another, framed in the colours of classes."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    figure = ax.get_figure(root=True)
    assert figure is not None
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()  # settles where the axes are
    places = ax.transData.transform(plane) / (figure.dpi / 72)
    shown: list[int] = []
    for row in np.random.default_rng(0).permutation(len(plane)).tolist():
        apart = np.abs(places[shown] - places[row]).max(axis=1) if shown else np.array([np.inf])
        if apart.min() >= _SIDE and len(shown) < _MOST_PICTURES:
            shown.append(row)
    with quiet_pillow():
        for row in shown:
            picture = OffsetImage(thumbnail(paths[row], 64), zoom=_SIDE / 64)
            frame = {"edgecolor": looks[classes[row]][0], "linewidth": 1.4}
            ax.add_artist(
                AnnotationBbox(picture, tuple(plane[row]), pad=0.05, bboxprops=frame, frameon=True)
            )
