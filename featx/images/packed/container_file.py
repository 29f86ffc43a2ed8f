"""The file of an archive, read piece by piece."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from featx.images.regular import Stamp, is_settled, open_regular, stamp_of

_BLOCK = 1 << 12  # bytes: what lies close together is read at once


class ContainerFile:
    """A file that is open for reading, by one thread.

    Attributes
    ----------
    size : int
        Bytes.
    stamp : Stamp
        What tells that it is unchanged.
    settled : bool
        Whether it was written long enough ago for the stamp to tell that.
    """

    def __init__(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        self.size = status.st_size
        self.stamp: Stamp = stamp_of(status)
        self.settled = is_settled(status, time.time_ns())
        self._file = file
        self._block, self._start = b"", 0

    def read(self, start: int, size: int) -> bytes:
        """Return so many bytes from a place on; fewer where the file ends before."""
        self._file.seek(start)
        return self._file.read(size)

    def near(self, start: int, size: int) -> bytes:
        """Read a few bytes, and those behind them into memory: the next are not far."""
        place = start - self._start
        if place < 0 or place + size > len(self._block):
            self._block, self._start = self.read(start, max(size, _BLOCK)), start
            place = 0
        return self._block[place : place + size]


@contextmanager
def container_file(path: str) -> Iterator[ContainerFile]:
    """Open the file of an archive; what cannot be opened is an `OSError`."""
    try:
        file = open(path, "rb", buffering=0, opener=open_regular)  # noqa: SIM115  closed below
    except ValueError as error:  # a path that no file can have
        raise OSError(str(error)) from error
    with file:
        yield ContainerFile(file)
