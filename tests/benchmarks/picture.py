"""A picture of images/s: `python -m tests.benchmarks.picture results.json benchmark.png`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from featx.charts.style import save_figure

_BARS = {  # from the top of a group: figure, name, colour, its bound
    "loop": ("Keras, one image at a time", "#c9ced6", None),
    "dataset": ("Keras, predict on a dataset", "#8e99a8", None),
    "default": ("featx", "#2f7fb8", "default_bound"),
    "fast": ("featx --fast", "#e07b39", "fast_bound"),
}
_INK = "#22272e"
_FAINT = "#6b7480"
_GROUP = 4.7  # bars a group takes, with the gap below it
_BAR = 0.84


def draw(results: dict[str, Any]) -> Figure:
    """Draw the images/s of each backbone as bars, with the bound of the machine as a tick.

    Parameters
    ----------
    results : dict
        What `python -m tests.benchmarks --json` keeps, with the part `throughput`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    backbones = results["throughput"]
    n = len(backbones)
    height = 1.45 + 0.235 * _GROUP * n
    figure = Figure(figsize=(9, height), dpi=150)
    top, bottom = 1 - 1.0 / height, 0.35 / height
    ax = figure.add_axes((0.15, bottom, 0.82, top - bottom))
    farthest = max(max(each[key] for key in ("fast_bound", "fast")) for each in backbones.values())
    for group, figures in enumerate(backbones.values()):
        for row, (key, (_, color, bound)) in enumerate(_BARS.items()):
            y = group * _GROUP + row
            ax.barh(y, figures[key], _BAR, color=color)
            edge = figures[key]
            if bound:
                tick = figures[bound]
                ax.plot([tick, tick], [y - _BAR / 2, y + _BAR / 2], color=_INK, lw=1.4)
                edge = max(edge, tick)
            _label(ax, edge + 0.008 * farthest, y, figures, key)
    ax.set_yticks([group * _GROUP + 1.5 for group in range(n)], list(backbones), color=_INK)
    ax.set_ylim(n * _GROUP - 1, -0.9)
    ax.set_xlim(0, 1.17 * farthest)
    ax.tick_params(axis="y", length=0, labelsize=10)
    ax.tick_params(axis="x", length=0, labelsize=8, labelcolor=_FAINT)
    ax.grid(axis="x", color="#e6e9ed", lw=0.8)
    ax.set_axisbelow(True)
    for spine in ax.spines.values():
        spine.set_visible(False)
    _head(figure, results["machine"], results["images"], height)
    return figure


def _label(ax, x: float, y: float, figures: dict[str, Any], key: str) -> None:
    """Write the value beside a bar, and how many times that of predict(dataset) it is."""
    value = figures[key]
    text = f"{value:.0f}" if value >= 100 else f"{value:.1f}"
    strong = key in ("default", "fast")
    name = ax.annotate(
        text, (x, y), va="center", fontsize=8, color=_INK, weight="bold" if strong else "normal"
    )
    if strong:
        ax.annotate(
            f"  {value / figures['dataset']:.1f}×",
            (1, 0),
            xycoords=name,
            va="bottom",
            fontsize=8,
            color=_FAINT,
        )


def _head(figure: Figure, machine: dict[str, Any], images: str, height: float) -> None:
    units = f", {machine['units'][0]}" if machine["units"] else ""  # the quickest
    about = f"{machine['cpu']}, {machine['cores']} cores{units}"
    left = 0.02
    figure.text(
        left,
        1 - 0.3 / height,
        "Images embedded per second",
        fontsize=14,
        weight="bold",
        color=_INK,
    )
    about += f"; {images}; in grey: times predict on a dataset"
    figure.text(left, 1 - 0.55 / height, about, fontsize=8.5, color=_FAINT)
    handles: list[Any] = [Patch(color=color, label=name) for name, color, _ in _BARS.values()]
    mark = {"marker": "|", "ls": "", "ms": 10, "mew": 1.4}
    handles.append(Line2D([], [], color=_INK, label="what the cores allow", **mark))
    figure.legend(
        handles=handles,
        ncols=len(handles),
        loc="upper left",
        bbox_to_anchor=(left - 0.008, 1 - 0.62 / height),
        frameon=False,
        fontsize=8.5,
        labelcolor=_INK,
        handlelength=1.1,
        handleheight=0.9,
        columnspacing=1.4,
    )


if __name__ == "__main__":
    save_figure(draw(json.loads(Path(sys.argv[1]).read_text())), sys.argv[2])
