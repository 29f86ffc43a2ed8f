"""Blocks of rows of a matrix that may be larger than memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

_SCATTERED = 64  # rows that are taken from a memory map at once
BLOCK_BYTES = 16 << 20  # of float32 values


def row_blocks(
    X: Any, rows: np.ndarray | None = None, most: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read rows of a matrix, a block of them at a time.

    Of a memory map no page stays in memory once its block has been copied.

    Parameters
    ----------
    X : array of shape (n, width) or (n, height, width, channels)
        In memory, a memory map, or whatever else gives arrays for slices and arrays of rows.
    rows : ndarray of int, optional
        Which, best in rising order; by default all.
    most : int, optional
        Rows of a block; by default as many as are 16 MiB of float32.

    Yields
    ------
    rows : ndarray of shape (m,), int
        The positions in X.
    values : ndarray of shape (m, columns)
        Copies of the rows, flat, of the type of X.
    """
    columns = int(np.prod(X.shape[1:]))
    step = max(1, most or BLOCK_BYTES // (4 * max(1, columns)))
    for start in range(0, len(X) if rows is None else len(rows), step):
        if rows is None:
            chosen = np.arange(start, min(start + step, len(X)))
            values = np.array(X[start : start + step])
        else:
            chosen = rows[start : start + step]
            values = take(X, chosen)
        release(X)
        yield chosen, values.reshape(len(chosen), columns)


def take(X: Any, rows: np.ndarray) -> np.ndarray:
    """Return copies of some rows.

    For each that is read of a memory map the system takes many pages into memory, of which no more
    than those of a few rows stay.
    """
    if _map_of(X) is None:
        return np.asarray(X[rows])
    values = np.empty((len(rows), *X.shape[1:]), X.dtype)
    for start in range(0, len(rows), _SCATTERED):
        values[start : start + _SCATTERED] = X[rows[start : start + _SCATTERED]]
        release(X)
    return values


def release(X: Any) -> None:
    """Give pages of a memory map back; they are read again when they are next used."""
    mapped = _map_of(X)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)


def _map_of(X: Any) -> mmap.mmap | None:
    """Return what an array is a map of, where pages can be given back without a loss."""
    base = X
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode == "c":  # what was written is in no file
            return None
        base = base.base
    return base if isinstance(base, mmap.mmap) and hasattr(base, "madvise") else None
