"""Pictures of results; every function draws into matplotlib figures of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import OptionError
from featx.files import written
from featx.images.decode import decode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RIGHT, _WRONG, _UNKNOWN = "#1a7f37", "#cf222e", "#24292f"
_THUMBNAIL = 200  # px
_MOST = 100  # pictures in a gallery; more would be too small to see


def plot_gallery(
    paths: Sequence[str],
    predicted: Sequence[str],
    *,
    true: Sequence[str | None] | None = None,
    probabilities: Sequence[float] | None = None,
    columns: int | None = None,
) -> Figure:
    """Draw pictures with their predicted labels.

    Parameters
    ----------
    paths : sequence of str
        The pictures; of more than 100, the first 100.
    predicted : sequence of str
        Their predicted labels.
    true : sequence of (str or None), optional
        Their true labels: a right prediction is green, a wrong one red with the truth beside it.
    probabilities : sequence of float, optional
        Of the predicted labels, 0 to 1; NaN where there is none.
    columns : int, optional
        Pictures in a row; by default 2 to 8, as suits their number.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        The sequences are empty or of different lengths.
    """
    from matplotlib.figure import Figure

    n = len(paths)
    lengths = {
        n,
        len(predicted),
        *(len(each) for each in (true, probabilities) if each is not None),
    }
    if n == 0 or len(lengths) > 1:
        raise OptionError(f"a gallery needs as many labels as pictures, at least one: got {n}")
    shown = min(n, _MOST)
    columns = columns or min(8, max(2, math.ceil(math.sqrt(1.5 * shown))))
    columns = min(columns, shown)
    rows = math.ceil(shown / columns)
    figure = Figure(figsize=(1.7 * columns + 0.3, 2.05 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for i in range(shown):
        truth = None if true is None else true[i]
        probability = math.nan if probabilities is None else probabilities[i]
        _draw(axes[i], paths[i], predicted[i], truth, probability)
    if shown < n:
        figure.supxlabel(f"the first {shown} of {n} pictures", fontsize=8)
    return figure


def _draw(ax, path: str, label: str, truth: str | None, probability: float) -> None:
    ax.imshow(_thumbnail(path))
    text = _shorten(label)
    if not math.isnan(probability):
        text += f"  {100 * probability:.0f} %"
    color = _UNKNOWN
    if truth is not None:
        color = _RIGHT if truth == label else _WRONG
        if truth != label:
            text += f"\nis {_shorten(truth)}"
    ax.set_title(text, fontsize=9, color=color, pad=3)
    ax.set_axis_on()
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_color(color)
        spine.set_linewidth(2.0 if truth is not None else 0.8)


def _shorten(label: str) -> str:
    return label if len(label) <= 20 else label[:19] + "…"


def _thumbnail(path: str) -> np.ndarray:
    """Decode a picture small; one that has gone since it was predicted is a grey square."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        data = b""
    pixels, _ = decode(data, _THUMBNAIL, resize="crop")
    return np.full((8, 8, 3), 128, np.uint8) if pixels is None else pixels


def save_figure(figure: Figure, path: str | PathLike[str]) -> None:
    """Write a figure to a file in the format of its suffix.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    with written(path) as file:
        figure.savefig(file, dpi=150, facecolor="white")
