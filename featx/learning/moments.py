"""Moments of rows by class, added up block by block: what of them linear methods need to know."""

from __future__ import annotations

import numpy as np


class Moments:
    """Counts, means and covariances of rows in classes.

    Parameters
    ----------
    classes : int
        How many classes there are; those without rows do not count.
    columns : int
        Columns of the rows.
    """

    def __init__(self, classes: int, columns: int) -> None:
        self._counts = np.zeros(classes, np.int64)
        self._sums = np.zeros((classes, columns))
        self._products = np.zeros((columns, columns))

    def add(self, rows: np.ndarray, of_class: np.ndarray) -> None:
        """Add rows of shape (n, columns), with the number of the class of each."""
        values = rows.astype(np.float64)
        self._products += values.T @ values
        for number in np.unique(of_class):
            own = of_class == number
            self._counts[number] += np.count_nonzero(own)
            self._sums[number] += values[own].sum(axis=0)

    @property
    def n(self) -> int:
        """The number of rows."""
        return int(self._counts.sum())

    @property
    def columns(self) -> int:
        """The number of columns."""
        return len(self._products)

    @property
    def mean(self) -> np.ndarray:
        """The mean of all rows, of shape (columns,), float64."""
        return np.asarray(self._sums.sum(axis=0) / self.n)

    @property
    def means(self) -> np.ndarray:
        """The mean of each class that has rows, of shape (n_classes, columns), float64."""
        kept = self._counts > 0
        return np.asarray(self._sums[kept] / self._counts[kept, None])

    @property
    def within(self) -> np.ndarray:
        """The covariance within classes, of shape (columns, columns), float64."""
        kept = self._counts > 0
        roots = self._sums[kept] / np.sqrt(self._counts[kept, None])
        covariance = self._products - roots.T @ roots
        covariance /= self.n
        return covariance

    @property
    def covariance(self) -> np.ndarray:
        """The covariance of all rows, whatever their classes, of the shape of `within`."""
        mean = self.mean
        covariance = self._products / self.n
        covariance -= mean[:, None] * mean
        return np.asarray(covariance)

    @property
    def spread(self) -> float:
        """The trace of the covariance of all rows."""
        return float(np.trace(self._products) / self.n - self.mean @ self.mean)
