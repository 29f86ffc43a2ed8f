"""The map of features: pictures that a network takes for alike lie near one another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from featx.evaluation.evaluation import Evaluation
from featx.features.matrix import Features
from featx.insight.thumbnails import Album, side_for

MOST = 2_000  # rows of a map; more would be slow to lay out and too dense to read
_COMPONENTS = 50
_PERPLEXITY = 30
_FEW = 6  # rows below which t-SNE has nothing to say that the principal components do not
_ELEMENTS = 4 << 20  # numbers of one working array

_WIDTH, _HEIGHT, _MARGIN = 640.0, 430.0, 14.0
_HUES = 8
# Corners of a marker, their distance from its middle, and the angle of the first in turns.
_OUTLINES = ((40, 1.0, 0.0), (4, 1.25, 0.125), (3, 1.5, 0.75), (4, 1.4, 0.0), (3, 1.5, 0.25))


def lay_out(matrix: np.ndarray) -> np.ndarray:
    """Lay features of shape (n, columns) out in two dimensions: (n, 2), float64.

    The columns are standardised, reduced to at most 50 principal components and laid out by
    t-SNE (van der Maaten and Hinton, Visualizing data using t-SNE, Journal of Machine Learning
    Research 9, 2008). Fewer than six rows are laid out by their first two components. Values that
    are not finite count as the mean of their column. The layout is around 0, its furthest
    coordinate at 1; it is zeros where all rows are equal.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    n = len(matrix)
    scores = _principal_components(matrix) if n else np.zeros((0, 2))
    if n >= _FEW and scores.any():
        perplexity = min(_PERPLEXITY, (n - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=0)
        # Thousands of short steps: where the cores are busy, threads would wait for one another.
        with threadpool_limits(1):
            scores = tsne.fit_transform(scores)
    plane = np.zeros((n, 2))
    plane[:, : scores.shape[1]] = scores[:, :2]
    if n:
        plane -= (plane.max(axis=0) + plane.min(axis=0)) / 2
    furthest = np.abs(plane).max(initial=0.0)
    return plane / furthest if furthest > 0 else plane


def sample_rows(labels: Sequence[object], most: int = MOST, *, seed: int = 0) -> np.ndarray:
    """Choose the rows of a map, rising, by their classes.

    All of them, or a random share of each class, at least one: `most` unless there are more
    classes than that.
    """
    n = len(labels)
    if n <= most:
        return np.arange(n)
    order = np.random.default_rng(seed).permutation(n)
    members: dict[object, list[int]] = {}
    for row in order.tolist():
        members.setdefault(labels[row], []).append(row)
    chosen = [row for rows in members.values() for row in rows[: max(1, most * len(rows) // n)]]
    return np.sort(np.array(chosen))


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


def _principal_components(matrix: np.ndarray) -> np.ndarray:
    """Return the scores of the rows on at most 50 components of the standardised columns.

    By way of the products of rows, in pieces of columns: features of maps are far wider than long.
    """
    n = len(matrix)
    products = np.zeros((n, n))
    step = max(1, _ELEMENTS // n)
    for start in range(0, matrix.shape[1], step):
        part = np.array(matrix[:, start : start + step], dtype=np.float64)
        known = np.isfinite(part)
        part[~known] = 0
        count = np.maximum(known.sum(axis=0), 1)
        size = np.abs(part).max(axis=0)
        part -= part.sum(axis=0) / count
        part[~known] = 0
        deviation = np.sqrt((part**2).sum(axis=0) / count)
        part /= np.where(deviation > 1e-6 * size, deviation, np.inf)  # a constant says nothing
        products += part @ part.T
    values, vectors = np.linalg.eigh(products)  # rising
    kept = np.flatnonzero(values > 1e-9 * max(float(values[-1]), 1))[::-1][:_COMPONENTS]
    scores = vectors[:, kept] * np.sqrt(values[kept])
    # The sign of a component is arbitrary; this choice makes it the same everywhere.
    signs = np.sign(scores[np.abs(scores).argmax(axis=0), np.arange(len(kept))])
    return np.asarray(scores * signs)
