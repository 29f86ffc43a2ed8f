"""Chart of a training history: loss and accuracy by epoch, and where a network over-fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from featx.charts.style import FONT, INK, MUTED, RIGHT, WRONG, dress, write_beside
from featx.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Trained(Protocol):
    """What was trained in epochs, such as an `ImageClassifier`."""

    @property
    def history(self) -> pd.DataFrame: ...


def plot_history(
    source: Trained | pd.DataFrame, axes: Sequence[Axes] | np.ndarray | None = None
) -> np.ndarray:
    """Draw the loss and the accuracy of a network by epoch, in training and held out.

    A line stands at the epoch whose weights were taken, the one with the least loss held out. What
    lies between the curves is the gap of over-fitting: learned by heart, not understood.

    Parameters
    ----------
    source : ImageClassifier, ScratchNetwork or pandas.DataFrame
        A model that was trained in epochs, or its `history`.
    axes : sequence of two Axes, optional
        Where to draw; by default a figure of its own.

    Returns
    -------
    ndarray of shape (2,)
        The axes of the loss and of the accuracy.

    Raises
    ------
    OptionError
        The source has no history.
    """
    import pandas as pd
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    history = source if isinstance(source, pd.DataFrame) else getattr(source, "history", None)
    if history is None or not {"loss", "accuracy"} <= set(history.columns):
        raise OptionError(
            f"{type(source).__name__} has no history: expected a model that `featx.train` trained "
            "as 'cnn', or its history"
        )
    if axes is None:
        axes = Figure(figsize=(8.4, 3.3), dpi=150, layout="constrained").subplots(1, 2)
    axes = np.asarray(axes, dtype=object).ravel()
    if len(axes) != 2:
        raise OptionError(f"{len(axes)} axes: expected two, for the loss and the accuracy")
    watched = "val_loss" if "val_loss" in history else "loss"
    taken = int(history.index[int(history[watched].argmin())])
    for ax, name, scale in zip(axes, ("loss", "accuracy"), (1, 100), strict=True):
        _draw(ax, history, name, scale)
        ax.axvline(taken, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        dress(ax, "epoch", "loss" if name == "loss" else "accuracy, %")
    axes[1].set_ylim(0, 103)
    axes[0].set_ylim(bottom=0)
    looks = {"xycoords": ("data", "axes fraction"), "va": "top", "fontsize": FONT - 1}
    write_beside(axes[0], f"taken: epoch {taken}", (taken, 1), (4, -2), color=MUTED, **looks)
    return np.asarray(axes)


def _draw(ax: Axes, history: pd.DataFrame, name: str, scale: float) -> None:
    """Draw one measure: a line each for training and held-out pictures, named at its end."""
    epochs = history.index.to_numpy()
    lines = [(name, "training", WRONG), (f"val_{name}", "held out", RIGHT)]
    drawn = [(scale * history[key], text, color) for key, text, color in lines if key in history]
    for values, _, color in drawn:
        ax.plot(epochs, values, color=color, linewidth=1.4, marker="o" if len(epochs) < 3 else "")
    ends = [float(values.iloc[-1]) for values, *_ in drawn]
    if len(drawn) == 2:
        ax.fill_between(epochs, drawn[0][0], drawn[1][0], color=WRONG, alpha=0.09, linewidth=0)
    higher = int(np.argmax(ends))
    for number, ((_, text, color), end) in enumerate(zip(drawn, ends, strict=True)):
        close = len(ends) == 2 and abs(ends[0] - ends[1]) < 0.08 * np.ptp(ax.get_ylim())
        above = 0 if not close else 6 if number == higher else -6
        write_beside(ax, text, (epochs[-1], end), (4, above), color=color, annotation_clip=False)
    ax.margins(x=0.02)
    ax.tick_params(labelcolor=INK)
