"""Out-of-core fits: classifiers that learn from all rows, of which a block at a time is read.

Each is the pipeline of `featx.learning.classifiers`, with the numbers that its ordinary fit finds,
as far as sums in another order are the same. Discriminants and principal components follow from
covariances, the nearest centroid from means and spreads. What comes after the former, a regression
or a perceptron, takes as many columns as there are classes or components, which mostly fit in
memory; where they do not, it learns from a sample of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.features.blocks import BLOCK_BYTES, row_blocks
from featx.features.matrix import Features
from featx.images.labels import Label
from featx.learning.learner import Learner, predict
from featx.learning.moments import Moments
from featx.text import count

_BLOCKS = 8  # copies of a block, of float32, that are in memory at once


@dataclass(frozen=True, eq=False)
class Table:
    """Rows to learn from, which are read block by block.

    Attributes
    ----------
    matrices : tuple of array of shape (n, ...)
        Features of images, and of each of their views.
    y : ndarray of shape (n,)
        The class of each image.
    """

    matrices: tuple[Any, ...]
    y: np.ndarray

    @classmethod
    def of(cls, features: Features) -> Table:
        """Take labelled features."""
        assert features.y is not None
        return cls((features.X, *features.views), features.y)

    @property
    def columns(self) -> int:
        """The number of columns of the rows."""
        return int(np.prod(self.matrices[0].shape[1:]))

    def blocks(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give the positions and features of some images, and again those of each view."""
        for matrix in self.matrices:
            yield from row_blocks(matrix, rows)

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Return the classes of what `blocks` gives."""
        return np.tile(self.y[rows], len(self.matrices))

    def transformed(self, steps: Sequence[Any], rows: np.ndarray, width: int) -> np.ndarray:
        """Return what `blocks` gives after these steps, which leave so many columns."""
        values = np.empty((len(rows) * len(self.matrices), width), np.float32)
        start = 0
        for _, block in self.blocks(rows):
            values[start : start + len(block)] = _after(steps, block)
            start += len(block)
        return values


@dataclass(frozen=True)
class BlockFit:
    """How a classifier is fitted block by block.

    Attributes
    ----------
    fit : callable
        Fits a pipeline to rows of a table within some bytes; it returns the number of rows that
        what comes last has learned from.
    squares : int
        Matrices of columns x columns, of float64, that it needs at once.
    first, last : str
        What learns from all rows, and what comes last; the latter is empty where nothing does.
    """

    fit: Callable[[Any, Table, np.ndarray, int], int]
    squares: int
    first: str
    last: str = ""


def can_by_blocks(learner: Learner) -> bool:
    """Whether a learner can be fitted block by block."""
    return isinstance(learner.given, str) and learner.given in _FITS


def needed_by_blocks(learner: Learner, table: Table) -> int:
    """Return how many bytes such a fit takes at least."""
    classes = len(np.unique(table.y))
    squares = 8 * _FITS[learner.given].squares * table.columns**2
    return squares + _BLOCKS * (BLOCK_BYTES + 8 * classes * table.columns)


def fit_by_blocks(learner: Learner, table: Table, rows: np.ndarray, room: int) -> tuple[Any, str]:
    """Fit a classifier to rows of a table, given in rising order, within some bytes.

    Returns the fitted pipeline, and what learned from how many images.
    """
    how = _FITS[learner.given]
    pipeline = learner.build_for(table.y[rows], table.columns, len(table.matrices) - 1)
    last = how.fit(pipeline, table, rows, room)
    told = f"{how.first} from {count(len(rows), 'image')}"
    if how.last:
        told += f", {how.last} from {'all of them' if last == len(rows) else f'{last:,} of them'}"
    return pipeline, told


def predict_by_blocks(
    fitted: Any, matrices: Sequence[Any], rows: np.ndarray, classes: Sequence[Label]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predict rows as `predict` does; probabilities are float32.

    `matrices` are features of images, and of each of their views, as `Table` has them.
    """
    names = np.array(classes)
    labels = np.empty(len(rows), names.dtype)
    probabilities: np.ndarray | None = np.empty((len(rows), len(names)), np.float32)
    start = 0
    for together in zip(*(row_blocks(X, rows) for X in matrices), strict=True):
        X, *views = (values for _, values in together)
        predicted, shares = predict(fitted, X, views, classes)
        stop = start + len(X)
        labels[start:stop] = predicted
        if probabilities is not None and shares is not None:
            probabilities[start:stop] = shares
        else:
            probabilities = None
        start = stop
    return labels, probabilities


def sample_of(y: np.ndarray, rows: np.ndarray, most: int) -> np.ndarray:
    """Choose about so many of some rows, in rising order, as many of each class as it has share.

    Of small classes ten are kept, or all.
    """
    if len(rows) <= most:
        return rows
    random = np.random.default_rng(0)
    kept = []
    for name in np.unique(y[rows]):
        own = rows[y[rows] == name]
        number = min(len(own), max(_FEWEST_OF_CLASS, len(own) * most // len(rows)))
        kept.append(random.choice(own, number, replace=False))
    return np.sort(np.concatenate(kept))


_FEWEST_OF_CLASS = 10  # rows in a sample


def _fit_logistic(pipeline: Any, table: Table, rows: np.ndarray, room: int) -> int:
    (_, root), (_, discriminants), (_, regression) = pipeline.steps
    names, of_class = np.unique(table.y, return_inverse=True)
    moments = Moments(len(names), table.columns)
    for chosen, values in table.blocks(rows):
        moments.add(root.fit(values).transform(values), of_class[chosen])
    discriminants.fit_moments(moments, np.float32)
    del moments
    return _fit_last(
        regression, table, rows, [root, discriminants], room, per_class=24, per_column=4
    )


def _fit_pca_mlp(pipeline: Any, table: Table, rows: np.ndarray, room: int) -> int:
    (_, variance), (_, pca), (_, perceptron) = pipeline.steps
    _fit_variance(variance, table, rows)
    moments = Moments(1, int(variance.get_support().sum()))
    for _, values in table.blocks(rows):
        moments.add(variance.transform(values), np.zeros(len(values), int))
    pca.fit(_rows_like(moments))
    del moments
    return _fit_last(perceptron, table, rows, [variance, pca], room, per_class=10, per_column=8)


def _fit_centroid(pipeline: Any, table: Table, rows: np.ndarray, room: int) -> int:
    """Fit the nearest centroid to two rows a class that have its mean and the common spread."""
    (_, variance), (_, normalizer), (_, centroid) = pipeline.steps
    _fit_variance(variance, table, rows)
    names, of_class = np.unique(table.y, return_inverse=True)
    counts = np.zeros(len(names))
    sums = np.zeros((len(names), int(variance.get_support().sum())))
    squares = np.zeros(sums.shape[1])
    for chosen, values in table.blocks(rows):
        units = _after([variance, normalizer], values).astype(np.float64)
        squares += (units**2).sum(axis=0)
        for number in np.unique(of_class[chosen]):
            own = of_class[chosen] == number
            counts[number] += np.count_nonzero(own)
            sums[number] += units[own].sum(axis=0)
    kept = counts > 0
    names, counts, sums = names[kept], counts[kept], sums[kept]
    means = sums / counts[:, None]
    squares = np.maximum(squares - (sums * means).sum(axis=0), 0)
    spread = np.sqrt(squares / (counts.sum() - len(names)) / 2)
    centroid.fit(np.concatenate([means - spread, means + spread]), np.tile(names, 2))
    return len(rows)


def _fit_variance(variance: Any, table: Table, rows: np.ndarray) -> None:
    """Fit a variance threshold to two rows, of the mean and the spread of all."""
    n, low, high = 0, np.full(table.columns, np.inf), np.full(table.columns, -np.inf)
    sums, squares = np.zeros((2, table.columns))
    for _, values in table.blocks(rows):
        n += len(values)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
        sums += values.sum(axis=0, dtype=np.float64)
        squares += (values.astype(np.float64) ** 2).sum(axis=0)
    mean = sums / n
    spread = np.sqrt(np.maximum(squares / n - mean**2, 0))
    spread[low == high] = 0
    variance.fit(np.stack([mean - spread, mean + spread]).astype(np.float32))


def _rows_like(moments: Moments) -> np.ndarray:
    """Return twice as many rows as columns, of the same mean and covariance."""
    covariance = moments.covariance
    strengths, axes = np.linalg.eigh(covariance)
    half = (axes * np.sqrt(np.maximum(strengths, 0) * len(axes))).T.astype(np.float32)
    mean = moments.mean.astype(np.float32)
    return np.concatenate([mean - half, mean + half])


def _fit_last(
    estimator: Any,
    table: Table,
    rows: np.ndarray,
    steps: Sequence[Any],
    room: int,
    *,
    per_class: int,
    per_column: int,
) -> int:
    """Fit what comes after fitted steps, to as many rows as there is room for.

    It takes so many bytes of each row for each class, and for each column. Returns the number of
    rows.
    """
    width = _after(steps, next(table.blocks(rows[:1]))[1]).shape[1]
    classes = len(np.unique(table.y))
    each = len(table.matrices) * (per_class * classes + per_column * width + table.y.itemsize)
    kept = sample_of(table.y, rows, max(1, room // each))
    estimator.fit(table.transformed(steps, kept, width), table.labels(kept))
    return len(kept)


def _after(steps: Sequence[Any], values: np.ndarray) -> np.ndarray:
    for step in steps:
        values = step.transform(values)
    return values


_FITS = {
    "logistic": BlockFit(_fit_logistic, 5, "discriminants", "regression"),
    "pca-mlp": BlockFit(_fit_pca_mlp, 10, "principal components", "perceptron"),
    "centroid": BlockFit(_fit_centroid, 0, "means"),
}
