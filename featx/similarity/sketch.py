"""Sketch of features: their coordinates along the principal components of a sample.

Whatever is near in a space of thousands of columns is near in the 256 in which pictures differ
most; an index of these is an eighth as large and as slow as one of the features themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.features.neighbours import principal_axes
from featx.similarity.space import Space, sample


@dataclass(frozen=True, eq=False)
class Sketch:
    """The axes of an index, which stay as they are while rows are added.

    Parameters
    ----------
    centre : ndarray of shape (columns,), float32
        The mean of the features, as `Space` has it.
    mean : ndarray of shape (columns,), float32
        The mean of the vectors of length 1.
    axes : ndarray of shape (columns, width), float32
        At most 256 orthonormal columns.
    """

    centre: np.ndarray
    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, X: Any) -> Sketch:
        """Learn the axes of a sample of rows of a matrix of shape (n, columns)."""
        space = Space.of(X)
        units = space.unit(sample(X))
        mean = units.mean(axis=0, dtype=float).astype(np.float32)
        return cls(space.centre, mean, principal_axes(units - mean))

    @property
    def width(self) -> int:
        """The number of axes."""
        return int(self.axes.shape[1])

    def of_rows(self, vectors: np.ndarray) -> np.ndarray:
        """Return the sketches of features: (n, width), float32; 0 for what is not finite."""
        units = Space(self.centre).unit(vectors)
        units -= self.mean
        sketches: np.ndarray = units @ self.axes
        np.nan_to_num(sketches, copy=False, nan=0, posinf=0, neginf=0)
        return sketches
