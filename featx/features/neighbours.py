"""Neighbours among many vectors: the pairs that are near, without comparing all with all.

Vectors are centred, scaled by column and brought to length 1. A sketch of each, its coordinates
along the principal components of a sample and the length of the rest, is never further from
another one than the vectors themselves are; so whatever is far in the sketch is far, and only what
is near there is looked at in full. The result is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

ELEMENTS = 8 << 20  # numbers of one working array, 32 MiB
_SKETCHED = 256  # columns of a sketch
_SAMPLE = 1000  # vectors that its axes are taken of
_SLACK = 1e-4  # of a cosine, for rounding
_MOST_PAIRS = 50  # for each vector, on the average; of more the sketch tells too little


class Space:
    """The vectors, centred and scaled, a part of them at a time."""

    def __init__(self, table: np.ndarray, rows: np.ndarray) -> None:
        self._table = table
        self._mean, self._scale = np.zeros((2, table.shape[1]), np.float32)
        for columns in self._pieces(len(rows)):
            values = table[rows, columns]
            self._mean[columns] = values.mean(axis=0, dtype=float)
            self._scale[columns] = values.std(axis=0, dtype=float)
        # With the mean variance added, a column that is nearly constant stays nearly silent.
        varying = self._scale[self._scale > 0].astype(float)
        self._scale = np.hypot(self._scale, np.sqrt((varying**2).mean())).astype(np.float32)
        squares = np.zeros(len(table))
        for columns in self._pieces(len(rows)):
            squares[rows] += (self._scaled(rows, columns) ** 2).sum(axis=1, dtype=float)
        self._lengths = np.sqrt(np.maximum(squares, 1e-30)).astype(np.float32)

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self._mean)

    def distances(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the distances, 0 to 2, of some rows to others: (some, others), float32."""
        products = np.zeros((len(some), len(others)), np.float32)
        for columns in self._pieces(len(some) + len(others)):
            products += self._scaled(some, columns) @ self._scaled(others, columns).T
        products /= self._lengths[some, None] * self._lengths[others]
        return _distances(products)

    def distances_between(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the distance of each row to the one at the same place in `others`: (n,)."""
        cosines = np.empty(len(some), np.float32)
        step = max(1, ELEMENTS // self.width)
        for start in range(0, len(some), step):
            here, there = some[start : start + step], others[start : start + step]
            cosines[start : start + step] = np.einsum("ij,ij->i", self.unit(here), self.unit(there))
        return _distances(cosines)

    def unit(self, rows: np.ndarray) -> np.ndarray:
        """Return rows at length 1: (rows, width), float32."""
        return self._scaled(rows, slice(None)) / self._lengths[rows, None]

    def _scaled(self, rows: np.ndarray, columns: slice) -> np.ndarray:
        values = self._table[rows, columns] - self._mean[columns]
        values /= self._scale[columns]
        return np.asarray(values)

    def _pieces(self, rows: int) -> list[slice]:
        step = -(-ELEMENTS // rows)
        return [slice(at, at + step) for at in range(0, self._table.shape[1], step)]


@dataclass(frozen=True, eq=False)
class NearPairs:
    """Every pair of rows that is no further apart than a limit.

    Attributes
    ----------
    first, second : ndarray of shape (n,), int64
        The rows of each pair.
    away : ndarray of shape (n,), float32
        How far apart they are.
    limit : float
        The distance up to which there are pairs.
    """

    first: np.ndarray
    second: np.ndarray
    away: np.ndarray
    limit: float
    _nearest: dict[int, tuple[np.ndarray, float]] = field(default_factory=dict, repr=False)

    def among(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the pairs of some rows, which rise: their places among these, and distances."""
        i, j = np.searchsorted(rows, [self.first, self.second])
        i, j = np.minimum(i, len(rows) - 1), np.minimum(j, len(rows) - 1)
        kept = (rows[i] == self.first) & (rows[j] == self.second)
        return i[kept], j[kept], self.away[kept]

    def beyond(self, space: Space, rows: np.ndarray, k: int, doubt: float) -> np.ndarray:
        """Return the distance of each row to its k-th neighbour among the rows.

        Where that is more than the limit, the limit stands for it, unless the row has a pair
        further apart than `doubt`.
        """
        i, j, away = self.among(rows)
        ends, far = np.concatenate([i, j]), np.concatenate([away, away])
        order = np.lexsort((far, ends))
        ends, far = ends[order], far[order]
        starts, stops = np.searchsorted(ends, np.arange(len(rows))), np.arange(len(rows)) + 1
        stops = np.searchsorted(ends, stops)
        beyond = np.full(len(rows), self.limit, np.float32)
        many = stops - starts >= k
        beyond[many] = far[starts[many] + k - 1]
        doubtful = ~many & (stops > starts)
        doubtful[doubtful] = far[stops[doubtful] - 1] > doubt
        asked = [row for row in np.flatnonzero(doubtful).tolist() if not self._knows(rows, row, k)]
        step = max(1, ELEMENTS // len(rows))
        for start in range(0, len(asked), step):
            some = np.array(asked[start : start + step])
            away = _distances_to_all(space, rows, some)
            nearest = np.argpartition(away, k - 1, axis=1)[:, :k]
            far = np.take_along_axis(away, nearest, axis=1).max(axis=1)
            known = zip(rows[some].tolist(), rows[nearest], far.tolist(), strict=True)
            self._nearest.update({row: (their, each) for row, their, each in known})
        for place in np.flatnonzero(doubtful).tolist():
            beyond[place] = self._nearest[int(rows[place])][1]
        return beyond

    def _knows(self, rows: np.ndarray, place: int, k: int) -> bool:
        """Whether the k nearest of a row are known from more rows, and are all among these."""
        their, _ = self._nearest.get(int(rows[place]), (rows[:0], 0.0))
        found = np.minimum(np.searchsorted(rows, their), len(rows) - 1)
        return len(their) == k and bool((rows[found] == their).all())


def near_pairs(space: Space, rows: np.ndarray, limit: float) -> NearPairs | None:
    """Find the pairs of rows that are no further apart than a limit, which is less than 2.

    None where they are so many, or so little is seen in the sketch, that it is no use.
    """
    sketch, found, number = _sketch(space, rows), [], 0
    least = 1 - limit**2 / 2 - _SLACK
    step = max(1, ELEMENTS // len(rows))
    for start in range(0, len(rows), step):
        cosines = sketch[start : start + step] @ sketch[start:].T
        i, j = np.divmod(np.flatnonzero(cosines >= least), cosines.shape[1])
        later = j > i
        found.append(np.stack([i[later], j[later]]) + start)
        number += int(later.sum())
        if number > _MOST_PAIRS * len(rows):
            return None
    first, second = rows[np.concatenate(found, axis=1)]
    away = space.distances_between(first, second)
    near = away <= limit
    return NearPairs(first[near], second[near], away[near], limit)


def nearest(
    space: Space, rows: np.ndarray, k: int, limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Compare all rows with all, in blocks.

    Returns the pairs of each row with those of its k nearest neighbours that are within a limit,
    by their places in `rows`, how far apart they are, and the distance of each row to its k-th
    neighbour.
    """
    beyond, found = np.empty(len(rows), np.float32), []
    step = max(1, ELEMENTS // len(rows))
    for start in range(0, len(rows), step):
        block = np.arange(start, min(start + step, len(rows)))
        away = _distances_to_all(space, rows, block)
        beyond[block] = np.partition(away, k - 1, axis=1)[:, k - 1]
        here, there = np.nonzero(away <= np.minimum(beyond[block, None], limit))
        found.append((block[here], there, away[here, there]))
    i, j, d = (np.concatenate(part) for part in zip(*found, strict=True))
    return i, j, d, beyond


def _distances_to_all(space: Space, rows: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return the distances of a block of rows to all; that to itself is infinite."""
    away = space.distances(rows[block], rows)
    away[np.arange(len(block)), block] = np.inf
    return away


def _sketch(space: Space, rows: np.ndarray) -> np.ndarray:
    """Return the sketches of rows, of length 1: (rows, columns), float32."""
    most = max(1, min(_SAMPLE, ELEMENTS // space.width))
    axes = principal_axes(space.unit(rows[:: math.ceil(len(rows) / most)]))
    sketch = np.empty((len(rows), axes.shape[1] + 1), np.float32)
    for start in range(0, len(rows), most):
        seen = space.unit(rows[start : start + most]) @ axes
        sketch[start : start + most, :-1] = seen
        rest = 1 - np.einsum("ij,ij->i", seen, seen)
        sketch[start : start + most, -1] = np.sqrt(np.maximum(rest, 0))
    return sketch


def principal_axes(sample: np.ndarray) -> np.ndarray:
    """Return orthonormal axes near the principal ones of a sample: (width, axes), float32.

    By a randomised projection with one power iteration (Halko, Martinsson and Tropp, Finding
    structure with randomness, SIAM Review 53, 2011): a decomposition of the whole sample takes
    longer than all the rest.
    """
    from threadpoolctl import threadpool_limits

    mixture = np.random.default_rng(0).normal(size=(min(_SKETCHED, len(sample)), len(sample)))
    mixed = ((mixture.astype(np.float32) @ sample) @ sample.T @ sample).astype(float)
    with threadpool_limits(1):  # on a small matrix threads wait for one another
        strengths, turns = np.linalg.eigh(mixed @ mixed.T)  # rising
    strong = strengths > 1e-9 * strengths[-1]
    axes = mixed.T @ (turns[:, strong] / np.sqrt(strengths[strong]))
    return np.asarray(axes, np.float32)


def _distances(cosines: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.maximum(2 - 2 * cosines, 0)))
