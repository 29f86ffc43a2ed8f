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
from featx.learning.classes import rows_by_class
from featx.learning.learner import Learner, fit_estimator, predict
from featx.learning.moments import Moments
from featx.text import count

_FEWEST_OF_CLASS = 10  # rows in a sample, as far as there is room
_FEWEST_OF_LAST = 2  # and at least, of what comes last
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
        Fits to rows of a table what of a pipeline learns from all of them.
    squares : int
        Matrices of columns x columns, of float64, that it needs at once.
    first, last : str
        What learns from all rows, and what comes last; the latter is empty where nothing does.
    per_class, per_column : int
        Bytes that what comes last takes of a row for each class, and for each of its columns.
    """

    fit: Callable[[Any, Table, np.ndarray], None]
    squares: int
    first: str
    last: str = ""
    per_class: int = 0
    per_column: int = 0

    def bytes_of_image(self, table: Table, classes: int, width: int) -> int:
        """Return how many bytes what comes last takes of an image, in so many columns."""
        of_row = self.per_class * classes + self.per_column * width + table.y.itemsize
        return len(table.matrices) * of_row


def can_by_blocks(learner: Learner) -> bool:
    """Whether a learner can be fitted block by block."""
    return isinstance(learner.given, str) and learner.given in _FITS


def needed_by_blocks(learner: Learner, table: Table) -> int:
    """Return how many bytes such a fit takes at least."""
    how, classes = _FITS[learner.given], len(np.unique(table.y))
    first = 8 * how.squares * table.columns**2
    first += _BLOCKS * (BLOCK_BYTES + 8 * classes * table.columns)
    last = _FEWEST_OF_LAST * classes * how.bytes_of_image(table, classes, table.columns)
    return max(first, last)


def fit_by_blocks(learner: Learner, table: Table, rows: np.ndarray, room: int) -> tuple[Any, str]:
    """Fit a classifier to rows of a table, given in rising order, within some bytes.

    Returns the fitted pipeline, and what learned from how many images.
    """
    how = _FITS[learner.given]
    pipeline = learner.build_for(table.y[rows], table.columns, len(table.matrices) - 1)
    how.fit(pipeline, table, rows)
    last = _fit_last(how, pipeline, table, rows, room) if how.last else len(rows)
    told = f"{how.first} from {count(len(rows), 'image')}"
    if how.last:
        told += f", {how.last} from {'all of them' if last == len(rows) else f'{last:,} of them'}"
    return pipeline, told


def predict_by_blocks(
    fitted: Any,
    matrices: Sequence[Any],
    rows: np.ndarray,
    classes: Sequence[Label],
    *,
    keep_probabilities: bool = True,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predict rows as `predict` does; probabilities, if they are to be kept, are float32.

    `matrices` are features of images, and of each of their views, as `Table` has them.
    """
    names = np.array(classes)
    labels = np.empty(len(rows), names.dtype)
    probabilities: np.ndarray | None = None
    if keep_probabilities:
        probabilities = np.empty((len(rows), len(names)), np.float32)
    start = 0
    wide = max(int(np.prod(matrices[0].shape[1:])), len(names))
    most = max(1, BLOCK_BYTES // (4 * wide))
    for together in zip(*(row_blocks(X, rows, most) for X in matrices), strict=True):
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
    """Choose no more than so many of some rows, in rising order; one of each class at least.

    Of small classes ten are kept, or all, as far as there is room; the others are drawn from each
    class by its share.
    """
    if len(rows) <= most:
        return rows
    of_classes = [rows[own] for own in rows_by_class(y[rows])]
    sizes = np.array([len(own) for own in of_classes])
    least = np.minimum(sizes, np.clip(most // len(sizes), 1, _FEWEST_OF_CLASS))
    further = (sizes - least) * max(0, most - least.sum()) // max(1, (sizes - least).sum())
    random = np.random.default_rng(0)
    kept = [
        random.choice(own, number, replace=False)
        for own, number in zip(of_classes, least + further, strict=True)
    ]
    return np.sort(np.concatenate(kept))


def _fit_logistic(pipeline: Any, table: Table, rows: np.ndarray) -> None:
    (_, root), (_, discriminants), _ = pipeline.steps
    names, of_class = np.unique(table.y, return_inverse=True)
    moments = Moments(len(names), table.columns)
    for chosen, values in table.blocks(rows):
        moments.add(root.fit(values).transform(values), of_class[chosen])
    discriminants.fit_moments(moments, np.float32)


def _fit_pca_mlp(pipeline: Any, table: Table, rows: np.ndarray) -> None:
    (_, variance), (_, pca), _ = pipeline.steps
    _fit_variance(variance, table, rows)
    moments = Moments(1, int(variance.get_support().sum()))
    for _, values in table.blocks(rows):
        moments.add(variance.transform(values), np.zeros(len(values), int))
    pca.fit(_rows_like(moments))


def _fit_centroid(pipeline: Any, table: Table, rows: np.ndarray) -> None:
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


def _fit_variance(variance: Any, table: Table, rows: np.ndarray) -> None:
    """Fit a variance threshold to two rows, of the mean and the spread of all."""
    n, low, high = 0, np.full(table.columns, np.inf), np.full(table.columns, -np.inf)
    sums, squares = np.zeros((2, table.columns))
    for _, values in table.blocks(rows):
        n += len(values)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
        sums += values.sum(axis=0, dtype=np.float64)
        squares += (values.astype(np.float64) ** 2).sum(axis=0)
    if not np.isfinite(squares).all():  # the threshold would drop such columns
        raise ValueError("features are not finite")
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


def _fit_last(how: BlockFit, pipeline: Any, table: Table, rows: np.ndarray, room: int) -> int:
    """Fit what comes last to as many rows as there is room for, and return their number."""
    *steps, last = (step for _, step in pipeline.steps)
    width = _after(steps, next(table.blocks(rows[:1]))[1]).shape[1]
    each = how.bytes_of_image(table, len(np.unique(table.y)), width)
    kept = sample_of(table.y, rows, max(1, room // each))
    fit_estimator(last, table.transformed(steps, kept, width), table.labels(kept))
    return len(kept)


def _after(steps: Sequence[Any], values: np.ndarray) -> np.ndarray:
    for step in steps:
        values = step.transform(values)
    return values


_FITS = {
    "logistic": BlockFit(_fit_logistic, 5, "discriminants", "regression", 12, 4),
    "pca-mlp": BlockFit(_fit_pca_mlp, 10, "principal components", "perceptron", 10, 8),
    "centroid": BlockFit(_fit_centroid, 0, "means"),
}
