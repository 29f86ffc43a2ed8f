"""Regular files: opened without waiting; and what tells that they, or objects, are unchanged."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import NamedTuple

from featx import text
from featx.storage.entry import Entry

#: A larger file is refused before it is read.
MAX_FILE_BYTES = 512_000_000

MAX_INTEGER = 2**63 - 1  # of SQLite; a file may be dated beyond it, in the year 2262

_SETTLED_NS = 2_000_000_000
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Stamp(NamedTuple):
    """What tells that a file is unchanged: size in bytes and times in nanoseconds.

    The time of change (`ctime`) is there because a program can restore the other one.
    """

    size: int
    mtime_ns: int
    ctime_ns: int


def open_regular(path: str, flags: int) -> int:
    """Open a file, and nothing else: without waiting, whatever takes its place meanwhile."""
    _check_regular(os.stat(path))
    number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        _check_regular(os.fstat(number))
    except OSError:
        os.close(number)
        raise
    return number


def _check_regular(status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if kind != stat.S_IFREG:
        raise OSError(f"{_KINDS.get(kind, 'something else')}, not a regular file")


def check_size(size: int) -> None:
    """Raise an `OSError` for a file, or a member of one, that is too large to be read."""
    if size > MAX_FILE_BYTES:
        raise OSError(f"too large: {text.size(size)}, at most {text.size(MAX_FILE_BYTES)}")


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file that was looked at."""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_settled(status: os.stat_result, now: int) -> bool:
    """Tell whether a change from `now` on, in nanoseconds, would change the stamp of a file.

    Times are coarse (2 s on FAT): a file changed just now may be changed again within the same
    tick and look the same. So its digest is trusted only once its times lie further back.
    """
    return now - status.st_ctime_ns > _SETTLED_NS and abs(now - status.st_mtime_ns) > _SETTLED_NS


def stamp_of_object(entry: Entry) -> Stamp | None:
    """Write the stamp of an object, such as its ETag, as the numbers of a file's."""
    if not entry.stamp:
        return None
    hashed = hashlib.sha256(entry.stamp.encode()).digest()
    numbers = (int.from_bytes(hashed[start : start + 8]) & MAX_INTEGER for start in (0, 8))
    return Stamp(entry.size, *numbers)
