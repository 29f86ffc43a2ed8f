"""The file of a container, on the disk or at an address, read piece by piece."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from featx.images.regular import Stamp, is_settled, open_regular, stamp_of, stamp_of_object
from featx.storage.address import is_address
from featx.storage.entry import Entry
from featx.storage.objects import entry, read

_BLOCK = 1 << 12  # bytes: what lies close together is read at once
_BLOCK_AT = 8 << 20  # at an address, where each reading is a request
_TRUSTED_S = 10.0  # for which an object is not looked at again
_MOST_LOOKED_AT = 10_000

_looked_at: dict[str, tuple[float, Entry]] = {}


class ContainerFile:
    """A file that is open for reading, by one thread.

    Attributes
    ----------
    path : str
        Its own, or its address.
    size : int
        Bytes.
    stamp : Stamp
        What tells that it is unchanged.
    settled : bool
        Whether the stamp can be trusted: a file on the disk was written long enough ago.
    """

    block = _BLOCK

    def __init__(self, path: str, size: int, stamp: Stamp, settled: bool) -> None:
        self.path, self.size, self.stamp, self.settled = path, size, stamp, settled
        self._block, self._start = b"", 0

    def read(self, start: int, size: int) -> bytes:
        """Return so many bytes from a place on; fewer where the file ends before."""
        return self._read(start, size)

    def _read(self, start: int, size: int) -> bytes:
        raise NotImplementedError

    def near(self, start: int, size: int) -> bytes:
        """Read a few bytes, and those behind them into memory: the next are not far."""
        place = start - self._start
        if place < 0 or place + size > len(self._block):
            self._block, self._start = self.read(start, max(size, self.block)), start
            place = 0
        return self._block[place : place + size]

    def reopened(self) -> Any:
        """Return what Arrow reads the file by, beyond this opening: its path, or a file."""
        return self.path


class _OnDisk(ContainerFile):
    def __init__(self, path: str, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        settled = is_settled(status, time.time_ns())
        super().__init__(path, status.st_size, stamp_of(status), settled)
        self._file = file

    def _read(self, start: int, size: int) -> bytes:
        self._file.seek(start)
        return self._file.read(size)


class _AtAddress(ContainerFile):
    block = _BLOCK_AT

    def __init__(self, address: str) -> None:
        found = _look(address)
        stamp = stamp_of_object(found)
        super().__init__(address, found.size, stamp or Stamp(found.size, 0, 0), stamp is not None)

    def _read(self, start: int, size: int) -> bytes:
        stop = min(start + size, self.size)
        if start >= stop:
            return b""
        data = read(self.path, start, stop)
        if len(data) > stop - start:
            raise OSError(
                "its web server gives no parts of files: fetch it first, and name the copy"
            )
        return data

    def reopened(self) -> Any:
        return io.BufferedReader(_Raw(self), _BLOCK)


class _Raw(io.RawIOBase):
    """An object as a file of Python's."""

    def __init__(self, file: ContainerFile) -> None:
        self._held, self._place = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._held.size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        data = self._held.read(self._place, len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


@contextmanager
def container_file(path: str) -> Iterator[ContainerFile]:
    """Open the file of a container; what cannot be opened is an `OSError`."""
    if is_address(path):
        yield _AtAddress(path)
        return
    try:
        file = open(path, "rb", buffering=0, opener=open_regular)  # noqa: SIM115  closed below
    except ValueError as error:  # a path that no file can have
        raise OSError(str(error)) from error
    with file:
        yield _OnDisk(path, file)


def _look(address: str) -> Entry:
    """Look at an object, no more than once in a while: a container has thousands of pictures."""
    now = time.monotonic()
    known = _looked_at.get(address)
    if known is None or now - known[0] > _TRUSTED_S:
        if len(_looked_at) > _MOST_LOOKED_AT:
            _looked_at.clear()
        known = _looked_at[address] = now, entry(address)
    return known[1]
