"""An entry of a listing: an object of a store, with its size and stamp."""

from __future__ import annotations

from typing import NamedTuple

from featx import text
from featx.errors import StorageError


class Entry(NamedTuple):
    """An object of a store.

    Attributes
    ----------
    address : str
        Where it is.
    size : int
        Bytes.
    stamp : str
        What changes with its content: its ETag, else the time of its change; empty if there is
        neither.
    """

    address: str
    size: int
    stamp: str


class LargeObjectError(StorageError):
    """An object is larger than it may be."""


def check_size(size: int, most: int | None) -> None:
    """Raise a `LargeObjectError` if an object has more than `most` bytes."""
    if most is not None and size > most:
        raise LargeObjectError(f"too large: {text.size(size)}, at most {text.size(most)}")
