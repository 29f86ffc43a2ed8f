"""The map of features: pictures that a network takes for alike lie near one another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from featx.charts.layout import lay_out, sample_rows
from featx.evaluation.evaluation import Evaluation
from featx.features.matrix import Features
from featx.insight.thumbnails import Album, side_for

_WIDTH, _HEIGHT, _MARGIN = 640.0, 430.0, 14.0
_HUES = 8
# Corners of a marker, their distance from its middle, and the angle of the first in turns.
_OUTLINES = ((40, 1.0, 0.0), (4, 1.25, 0.125), (3, 1.5, 0.75), (4, 1.4, 0.0), (3, 1.5, 0.25))


def map_of(
    features: Features, evaluation: Evaluation, album: Album, short: Callable[[str], str]
) -> dict[str, Any] | None:
    """Return the points of a map as a page draws them, the wrong ones last, on top.

    They are the rows of images that `evaluation` knows; None where those are fewer than two. The
    album gets a thumbnail of each.
    """
    judged = {path: row for row, path in enumerate(evaluation.paths)}
    rows = np.array([row for row, path in enumerate(features.paths) if path in judged], dtype=int)
    if len(rows) < 2:
        return None
    own = np.array([judged[path] for path in features.paths[rows]])
    kept = sample_rows(evaluation.y_true[own].tolist())
    total, rows, own = len(rows), rows[kept], own[kept]
    plane = lay_out(features.matrix[rows])
    extent = np.abs(plane).max(axis=0)
    plane *= (_WIDTH / 2 - _MARGIN, _MARGIN - _HEIGHT / 2) / np.where(extent > 0, extent, 1)
    plane += (_WIDTH / 2, _HEIGHT / 2)
    classes = sorted(set(evaluation.y_true[own].tolist()))
    # All hues with one marker, then all with the next.
    looks = {
        name: (number % _HUES, number // _HUES % len(_OUTLINES))
        for number, name in enumerate(classes)
    }
    side = side_for(len(rows))
    certainty = evaluation.certainty
    points = [
        {
            "x": f"{x:.1f}",
            "y": f"{y:.1f}",
            "look": looks[evaluation.y_true[row]],
            "thumb": album.place(evaluation.paths[row], side),
            "path": short(evaluation.paths[row]),
            "true": evaluation.y_true[row],
            "predicted": evaluation.y_pred[row],
            "probability": float(certainty[row]),
        }
        for (x, y), row in zip(plane.tolist(), own.tolist(), strict=True)
    ]
    points.sort(key=lambda point: point["true"] != point["predicted"])
    radius = 6.0 if len(points) <= 150 else 4.6 if len(points) <= 600 else 3.4
    return {
        "points": points,
        "total": total,
        "classes": [(name, looks[name]) for name in classes],
        "repeated": len(classes) > _HUES * len(_OUTLINES),
        "width": _WIDTH,
        "height": _HEIGHT,
        "radius": radius,
        "markers": [_marker(*outline, radius) for outline in _OUTLINES],
    }


def _marker(corners: int, reach: float, turn: float, radius: float) -> str:
    """Return the outline of a marker as the path of an SVG."""
    angles = [2 * math.pi * (turn + corner / corners) for corner in range(corners)]
    out = reach * radius
    places = [f"{out * math.cos(each):.2f} {out * math.sin(each):.2f}" for each in angles]
    return f"M{'L'.join(places)}z"
