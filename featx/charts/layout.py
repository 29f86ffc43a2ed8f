"""Layout of features in two dimensions: rows that are alike near one another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from featx.errors import OptionError, check_choice

METHODS = ("pca", "tsne", "umap")
MOST = 2_000  # rows of a map; more would be slow to lay out and too dense to read
_COMPONENTS = 50
_PERPLEXITY = 30  # of t-SNE
_NEIGHBOURS = 15  # of UMAP
_FEW = 6  # rows below which neighbours say nothing that the principal components do not
_ELEMENTS = 4 << 20  # numbers of one working array


def lay_out(matrix: np.ndarray, method: str = "tsne") -> np.ndarray:
    """Lay features of shape (n, columns) out in two dimensions: (n, 2), float64.

    The columns are standardised and reduced to at most 50 principal components. `method` is "pca"
    for the first two of them; "tsne" (van der Maaten and Hinton, Visualizing data using t-SNE,
    Journal of Machine Learning Research 9, 2008); or "umap" (McInnes, Healy and Melville, UMAP:
    uniform manifold approximation and projection, 2018), where umap-learn is installed. Fewer than
    six rows are laid out by their first two components. Values that are not finite count as the
    mean of their column. The layout is around 0, its furthest coordinate at 1; it is zeros where
    all rows are equal.
    """
    check_choice("method", method, METHODS)
    return lay_out_scores(principal_components(matrix)[0], method)


def lay_out_scores(scores: np.ndarray, method: str) -> np.ndarray:
    """Lay rows out whose principal components are known; see `lay_out`."""
    n = len(scores)
    if n >= _FEW and scores.shape[1] > 1 and method != "pca":
        scores = _neighbours_kept(scores, method)
    plane = np.zeros((n, 2))
    plane[:, : scores.shape[1]] = scores[:, :2]
    if n:
        plane -= (plane.max(axis=0) + plane.min(axis=0)) / 2
    furthest = np.abs(plane).max(initial=0.0)
    return plane / furthest if furthest > 0 else plane


def _neighbours_kept(scores: np.ndarray, method: str) -> np.ndarray:
    """Lay rows out so that those nearest to one another stay together."""
    from threadpoolctl import threadpool_limits

    n = len(scores)
    if method == "umap":
        neighbours = min(_NEIGHBOURS, n - 1)
        laid = _umap().UMAP(n_neighbors=neighbours, random_state=0, n_jobs=1).fit_transform(scores)
        return np.asarray(laid, dtype=np.float64)
    from sklearn.manifold import TSNE

    tsne = TSNE(perplexity=min(_PERPLEXITY, (n - 1) / 3), init="pca", random_state=0)
    # Thousands of short steps: where the cores are busy, threads would wait for one another.
    with threadpool_limits(1):
        return np.asarray(tsne.fit_transform(scores))


def _umap() -> Any:
    """Return the library that has UMAP, or say how to get it.

    It imports TensorFlow where that is installed, which would say so on the screen.
    """
    loud = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    try:
        return import_module("umap")
    except ImportError as error:
        raise OptionError(
            "method 'umap' needs umap-learn, which is not installed: "
            "pip install \"featx[umap]\", or take 'tsne'"
        ) from error
    finally:
        if loud is None:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
        else:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = loud


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


def principal_components(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the rows on at most 50 components of the standardised columns.

    The second array is the share of the variance of each component, 0 to 1.

    By way of the products of rows, in pieces of columns: features of maps are far wider than long.
    """
    n = len(matrix)
    if not n:
        return np.zeros((0, 2)), np.zeros(2)
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
    return np.asarray(scores * signs), values[kept] / max(float(values.clip(0).sum()), 1e-300)
