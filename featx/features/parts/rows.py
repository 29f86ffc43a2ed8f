"""A matrix that is read lazily: rows of parts, by position."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from featx.features.blocks import take
from featx.features.parts.part import Part
from featx.features.parts.place import Place
from featx.files import MEMORY_MAP_BYTES, room_for
from featx.storage.deadline import request_threads

_FEW = 64  # rows that one thread reads as soon


class LazyRows(NDArrayOperatorsMixin):
    """The vectors of parts, row after row, as an array that reads what it is asked for.

    `rows[...]` gives arrays in memory, or large ones in a nameless file; so does whatever takes it
    for an array, which reads all of it once. `select` gives rows that are read lazily, too.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        parts: Sequence[Part],
        shape: tuple[int, ...],
        folder: Path | None = None,
        chosen: np.ndarray | None = None,
    ) -> None:
        """Take the shape of one row, where large results may be put, and which rows count."""
        self._parts = tuple(parts)
        self._starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        self._folder = folder
        self._chosen = chosen
        self.shape = (int(self._starts[-1]) if chosen is None else len(chosen), *shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({' x '.join(map(str, self.shape))}, float32)"

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all values."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, *rest = (key if isinstance(key, tuple) else (key,)) or (...,)
        if rows is Ellipsis or rows is None or np.ndim(rows) > 1:
            return np.asarray(self._whole[key])
        positions = np.arange(len(self))[(rows,)]
        if positions.ndim > 1:  # a truth value, which adds a dimension
            return np.asarray(self._whole[key])
        if self.ndim == 2 and len(rest) == 1 and _are_apart(rows, rest[0]):
            return self._read(positions, np.arange(self.shape[1])[(rest[0],)])
        block = self._read(np.atleast_1d(positions))
        first: Any = slice(None)
        if positions.ndim == 0:
            first = 0
        elif not isinstance(rows, slice) and any(map(_is_array, rest)):
            first = np.arange(len(block))  # in pairs with the others, as numpy takes them
        return np.asarray(block[(first, *rest)])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (row for start in range(0, len(self), 1024) for row in self[start : start + 1024])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._whole.astype(dtype or self.dtype, copy=bool(copy))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [each._whole if isinstance(each, LazyRows) else each for each in inputs]
        return getattr(ufunc, method)(*plain, **options)

    def __getattr__(self, name: str) -> Any:
        """Return another attribute of an array, such as `mean` or `T`, by reading all rows."""
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if callable(getattr(np.ndarray, name)):  # nothing is read before it is called
            return lambda *args, **options: getattr(self._whole, name)(*args, **options)
        return getattr(self._whole, name)

    @property
    def parts(self) -> tuple[Part, ...] | None:
        """The parts whose rows these are, all of them and in order; None where some were chosen."""
        return self._parts if self._chosen is None else None

    def select(self, rows: np.ndarray) -> LazyRows:
        """Choose rows by position, and read none of them yet."""
        positions = np.arange(len(self))[rows]
        chosen = positions if self._chosen is None else self._chosen[positions]
        return LazyRows(self._parts, self.shape[1:], self._folder, chosen)

    def is_in(self, place: Place) -> bool:
        """Whether the files at a place hold these rows."""
        return any(_resolved(part.place) == _resolved(place) for part in self._parts)

    @cached_property
    def _whole(self) -> np.ndarray:
        """All rows, read once; a memory map where they are large."""
        return self._read(np.arange(len(self)))

    def _read(self, positions: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        """Read rows in any order, all columns or some of each."""
        rows = positions if self._chosen is None else self._chosen[positions]
        width = math.prod(self.shape[1:]) if columns is None else len(columns)
        out = room_for((len(rows), width), self._folder)
        order = np.argsort(rows, kind="stable")
        ends = np.searchsorted(rows[order], self._starts)
        tasks = [
            (part, rows[order[first:last]] - start, order[first:last])
            for part, start, first, last in zip(
                self._parts, self._starts[:-1], ends[:-1], ends[1:], strict=True
            )
            if last > first
        ]

        def read(task: tuple[Part, np.ndarray, np.ndarray]) -> None:
            part, own, targets = task
            part.read(own, out, targets, columns)

        if len(rows) < _FEW or len(tasks) == 1:
            for task in tasks:
                read(task)
        else:
            with request_threads(
                min(self._parts[0].place.threads, len(tasks)), "featx-rows"
            ) as pool:
                list(pool.map(read, tasks))
        return out if columns is not None else out.reshape(len(rows), *self.shape[1:])


def _is_array(index: Any) -> bool:
    """Whether numpy takes an index for an array, as it does a truth value."""
    return np.ndim(index) > 0 or isinstance(index, bool | np.bool_)


def _are_apart(rows: Any, columns: Any) -> bool:
    """Whether rows and columns are chosen one apart from the other, not in pairs."""
    if isinstance(columns, slice):
        return isinstance(rows, slice) or np.ndim(rows) == 1
    return isinstance(rows, slice) and np.ndim(columns) == 1


def chosen_rows(X: np.ndarray | LazyRows, rows: np.ndarray | slice) -> Any:
    """Return rows of a matrix; very many of one that is read lazily are read lazily, too."""
    if isinstance(X, LazyRows) and isinstance(rows, np.ndarray):
        chosen = X.select(rows)
        return chosen if chosen.nbytes > MEMORY_MAP_BYTES else chosen[:]
    return X[rows] if isinstance(rows, slice) else take(X, rows)


def _resolved(place: Place) -> str:
    return str(place) if place.folder is None else os.path.realpath(place.folder)
