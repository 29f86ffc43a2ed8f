"""Search by products: every query is compared with every row, a block of them at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from featx.similarity.space import ELEMENTS, Space

_QUERIES = 1024  # that are compared at once
NONE = -1  # stands for a row where there is none


class Nearest(NamedTuple):
    """The nearest rows of each query, the most similar first.

    Parameters
    ----------
    rows : ndarray of shape (queries, n), int64
        Their positions; -1 where there are fewer than n.
    similarity : ndarray of shape (queries, n), float32
        From -1 to 1; NaN where there is none.
    """

    rows: np.ndarray
    similarity: np.ndarray


def nearest(X: Any, space: Space, queries: np.ndarray, own: np.ndarray, n: int) -> Nearest:
    """Find the rows of X, of shape (rows, columns), that are nearest to each query.

    `own` is the row that each query is itself, which is left out, or -1.
    """
    found = [
        _nearest_few(X, space, queries[some], own[some], n)
        for some in blocks(len(queries), _QUERIES)
    ]
    return Nearest(*(np.concatenate(part) for part in zip(*found, strict=True)))


def similarities(space: Space, query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return how similar one query, of length 1, is to vectors: (n,), float32."""
    return np.asarray(space.unit(vectors) @ query)


def best(rows: np.ndarray, similarity: np.ndarray, n: int) -> Nearest:
    """Keep the n most similar of rows that were found, of shape (queries, candidates).

    Of rows that are equally similar the first comes first. NaN is the least of all.
    """
    missing = n - rows.shape[1]
    if missing > 0:
        rows = np.pad(rows, ((0, 0), (0, missing)), constant_values=NONE)
        similarity = np.pad(similarity, ((0, 0), (0, missing)), constant_values=np.nan)
    order = np.lexsort((rows, -similarity), axis=1)[:, :n]
    kept = np.take_along_axis(rows, order, axis=1)
    values = np.take_along_axis(similarity, order, axis=1)
    return Nearest(np.where(np.isnan(values), NONE, kept), values)


def _nearest_few(X: Any, space: Space, queries: np.ndarray, own: np.ndarray, n: int) -> Nearest:
    units = space.unit(queries)
    rows = np.empty((len(units), 0), np.int64)
    similarity = np.empty((len(units), 0), np.float32)
    for block in blocks(len(X), max(1, ELEMENTS // max(X.shape[1], len(units)))):
        products = units @ space.unit(X[block]).T
        at = own - block.start
        inside = (at >= 0) & (at < products.shape[1])
        products[inside, at[inside]] = np.nan
        few = _largest(products, n)
        rows = np.concatenate([rows, few + block.start], axis=1)
        similarity = np.concatenate([similarity, np.take_along_axis(products, few, 1)], axis=1)
        rows, similarity = best(rows, similarity, n)
    return Nearest(rows, similarity)


def _largest(products: np.ndarray, n: int) -> np.ndarray:
    """Return the columns of the n largest products of each row, in no order."""
    if n >= products.shape[1]:
        return np.broadcast_to(np.arange(products.shape[1]), products.shape)
    return np.argpartition(-products, n - 1, axis=1)[:, :n]  # which puts NaN last


def blocks(n: int, step: int) -> list[slice]:
    """Divide n rows into blocks of so many."""
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]
