"""Identity of a matrix: what tells its rows from those of another one, piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from featx.features.parts.part import Part
from featx.features.parts.rows import LazyRows

_PIECE = 65_536  # rows
_NAMED_BY = 1024  # rows
_OF_PART = 16  # rows that are looked at beside its keys
_BESIDE = "_index.usearch"  # programs that read folders of Parquet pass over files with a "_"


@dataclass(frozen=True)
class Identity:
    """What an index says of the rows that it was made of.

    Parameters
    ----------
    name : str
        Stays the same where rows are added at the end.
    ends : tuple of int
        Where pieces of rows end, the last one at the number of rows.
    mark : callable
        Returns a text that stands for the rows from one position to another.
    file : Path or None
        Where the index is kept beside the features, if they are in a folder.
    """

    name: str
    ends: tuple[int, ...]
    mark: Callable[[int, int], str]
    file: Path | None = None

    def marks(self, ends: Sequence[int]) -> list[str]:
        """Return the marks of pieces that end at these positions."""
        return [self.mark(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def begins_with(self, ends: Sequence[int], marks: Sequence[str]) -> bool:
        """Tell whether the first rows are those of which an index has the marks."""
        if not ends or ends[-1] > self.ends[-1]:
            return False
        starts = [0, *ends]
        return all(
            self.mark(start, end) == mark
            for start, end, mark in zip(starts, ends, marks, strict=False)
        )


def identity_of(X: Any) -> Identity:
    """Identify a matrix: that of a folder by its parts, one that is mapped from a file by that.

    Others are known by their content.
    """
    if isinstance(X, LazyRows) and X.parts:
        return _of_parts(X, X.parts)
    file = getattr(X, "filename", None)
    if isinstance(X, np.memmap) and file is not None and os.path.isfile(file):
        return _of_file(os.path.abspath(file), X)
    ends = tuple(range(_PIECE, len(X), _PIECE))

    @cache
    def mark(start: int, end: int) -> str:
        return _digest(X, start, end)

    return Identity(_digest(X, 0, min(len(X), _NAMED_BY)), (*ends, len(X)), mark)


def _of_parts(X: LazyRows, parts: Sequence[Part]) -> Identity:
    """Identify the rows of a folder by the keys of their pictures, and a few vectors a part."""
    starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    ends = tuple(np.unique(starts[1:][starts[1:] > 0]).tolist())
    place = parts[0].place

    @cache
    def mark(start: int, end: int) -> str:
        number = int(np.searchsorted(starts, start, side="right")) - 1
        few = np.unique(np.linspace(start, end - 1, _OF_PART).astype(int))
        digest = sha256(f"{start} {end} {X.shape[1]}".encode())
        digest.update(parts[number].keys()[: end - starts[number]].tobytes())
        digest.update(np.ascontiguousarray(X[few], np.float32).tobytes())
        return digest.hexdigest()

    file, writable = None, False
    if place.folder is not None:  # at an address there is none
        file = place.folder / _BESIDE
        writable = file.exists() or os.access(place.folder, os.W_OK)
    return Identity(
        sha256(str(place).encode(errors="replace")).hexdigest(),
        ends,
        mark,
        file if writable else None,
    )


def _of_file(path: str, X: np.memmap) -> Identity:
    """Identify rows by their file, and which of its rows they are."""
    state = os.stat(path)
    whole = X.base if isinstance(X.base, np.memmap) else X
    begin = X.offset + X.ctypes.data - whole.ctypes.data
    stamp = f"{path} {state.st_size} {state.st_mtime_ns} {begin} {X.shape} {X.strides} {X.dtype}"

    def mark(start: int, end: int) -> str:
        return sha256(f"{stamp} {start} {end}".encode(errors="surrogateescape")).hexdigest()

    return Identity(sha256(os.fsencode(path)).hexdigest(), (len(X),), mark)


def _digest(X: Any, start: int, end: int) -> str:
    """Return a digest of the numbers of some rows, which are read a few at a time."""
    digest = sha256(f"{X.shape[1]}".encode())
    for at in range(start, end, 1024):
        rows = np.ascontiguousarray(X[at : min(at + 1024, end)], np.float32)
        digest.update(rows.data.cast("B") if rows.size else b"")
    return digest.hexdigest()
